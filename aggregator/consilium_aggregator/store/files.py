"""A content store of plain files: `content/<study>/<round>/<kind>/<digest in hex>`.

A file appears under its name only when its bytes are on the medium: written aside, synced, renamed, and the folder
synced before `put` returns. What a killed process left aside is removed when the store is opened.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from consilium_aggregator.errors import CorruptContentError, MissingContentError, StoreError
from consilium_aggregator.store.content import Area, Kind
from consilium_peers.durable import write_durably
from consilium_proto.chunk_tree import chunk_digest

_ASIDE = ".part"


class FileStore:
    """Implements `ContentStore` below one folder. One process writes; threads of it may share the store."""

    def __init__(self, directory: Path) -> None:
        self._content = directory / "content"
        with _as_store_errors(f"open the store in {directory}"):
            self._content.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, area: Area, contents: Sequence[bytes]) -> list[bytes]:
        """See `ContentStore.put`. The folder is synced once for all contents."""
        folder = self._folder(area)
        digests = [chunk_digest(content) for content in contents]
        with _as_store_errors(f"write to {folder}"):
            self._make(folder)
            for digest, content in zip(digests, contents, strict=True):
                place = folder / digest.hex()
                if not place.exists():
                    _write(place, content)
            _sync_folder(folder)
        return digests

    def get(self, area: Area, digest: bytes) -> bytes:
        """See `ContentStore.get`."""
        place = self._folder(area) / digest.hex()
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            raise MissingContentError(f"{area.study}, round {area.round}: no content {digest.hex()}") from None
        except OSError as error:
            raise StoreError(f"can't read {place}: {error.strerror}") from None
        if chunk_digest(content) != digest:
            place.unlink(missing_ok=True)
            raise CorruptContentError(
                f"{area.study}, round {area.round}: content {digest.hex()} changed on disk and was dropped"
            )
        return content

    def held(self, area: Area, digests: Iterable[bytes]) -> list[bool]:
        """See `ContentStore.held`. The folder is listed once, which is faster than asking for each file."""
        folder = self._folder(area)
        with _as_store_errors(f"list {folder}"):
            present = {entry.name for entry in _entries(folder)}
        return [digest.hex() in present for digest in digests]

    def areas(self) -> list[Area]:
        """See `ContentStore.areas`."""
        with _as_store_errors(f"list {self._content}"):
            return sorted(
                Area(folder.parent.parent.name, int(folder.parent.name), Kind(folder.name))
                for folder in self._content.glob("*/*/*")
                if folder.parent.name.isdecimal() and folder.name in set(Kind)
            )

    def drop(self, area: Area) -> None:
        """See `ContentStore.drop`."""
        folder = self._folder(area)
        with _as_store_errors(f"remove {folder}"):
            if folder.is_dir():
                shutil.rmtree(folder)
            for parent in (folder.parent, folder.parent.parent):
                with contextlib.suppress(OSError):  # not empty, or not there
                    parent.rmdir()

    def size(self, area: Area) -> tuple[int, int]:
        """See `ContentStore.size`."""
        folder = self._folder(area)
        with _as_store_errors(f"list {folder}"):
            sizes = [entry.stat().st_size for entry in _entries(folder) if not entry.name.endswith(_ASIDE)]
        return len(sizes), sum(sizes)

    def _folder(self, area: Area) -> Path:
        return self._content / area.study / str(area.round) / area.kind.value

    def _make(self, folder: Path) -> None:
        """Make a folder whose own entry, and its parents', survive a power cut as its files do."""
        if folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def sweep(directory: Path) -> None:
    """Remove what a killed process had only half written anywhere below a folder.

    Raises:
        StoreError: something can't be removed.
    """
    with _as_store_errors(f"clean up {directory}"):
        for left in directory.rglob(f"*{_ASIDE}"):
            left.unlink(missing_ok=True)


def write_whole(place: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent, whatever is killed when, and stays once this returns.

    Raises:
        StoreError: no space, no permission.
    """
    with _as_store_errors(f"write {place}"):
        write_durably(place, content)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder; one that isn't there, or goes while it is listed, is empty."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _write(place: Path, content: bytes) -> None:
    aside = place.with_name(f"{place.name}-{secrets.token_hex(4)}{_ASIDE}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(place)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _as_store_errors(attempt: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"can't {attempt}: {error.strerror or error}") from None
