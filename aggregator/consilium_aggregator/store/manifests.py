"""The lists of digests that make content a vector, on disk: `manifests/<study>/<round>/<attempt>-<label>-<owner>`.

A file is the 32-byte digests in order, nothing else. An update's manifest is written once and whole. A sum's grows
with the sum: its file has its full length from the start, and zeros stand where no chunk has been added up yet.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from consilium_aggregator.errors import StoreError
from consilium_aggregator.store.files import write_whole
from consilium_proto.chunk_tree import DIGEST_SIZE

_NAME = re.compile(r"(\d+)-(update|sum)-([A-Za-z][A-Za-z0-9.-]*)\Z")
_ABSENT = bytes(DIGEST_SIZE)


@dataclass(frozen=True, slots=True)
class VectorName:
    """Names a vector among those of one channel; `label` is "update" or "sum"."""

    study: str
    round: int
    attempt: int
    owner: str
    label: str


class Digests:
    """Digests of a vector in tree order, 32 bytes each and no more; some may be absent while a sum is being made."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = bytearray(content)

    @classmethod
    def absent(cls, count: int) -> Digests:
        """Return `count` digests that aren't known yet."""
        return cls(bytes(count * DIGEST_SIZE))

    def __len__(self) -> int:
        return len(self._content) // DIGEST_SIZE

    def __getitem__(self, position: int) -> bytes:
        if not 0 <= position < len(self):
            raise IndexError(position)
        return bytes(self._content[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE])

    def __setitem__(self, position: int, digest: bytes) -> None:
        if not 0 <= position < len(self) or len(digest) != DIGEST_SIZE:
            raise IndexError(position)
        self._content[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE] = digest

    def known(self, position: int) -> bool:
        """Tell whether the digest at a position is there."""
        return self[position] != _ABSENT

    def encode(self) -> bytes:
        """Return the bytes of the manifest's file."""
        return bytes(self._content)


class ManifestFiles:
    """Reads and writes manifests below one folder; calls block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "manifests"

    def write(self, name: VectorName, digests: Digests) -> None:
        """Write a manifest as a whole.

        Raises:
            StoreError: it can't be written.
        """
        write_whole(self._place(name), digests.encode())

    def record(self, name: VectorName, entries: dict[int, bytes]) -> None:
        """Write some digests of a manifest that `write` made, durably.

        Raises:
            StoreError: it can't be written.
        """
        place = self._place(name)
        try:
            descriptor = os.open(place, os.O_WRONLY)
            try:
                for position, digest in entries.items():
                    os.pwrite(descriptor, digest, position * DIGEST_SIZE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"can't write {place}: {error.strerror}") from None

    def read(self, name: VectorName, count: int) -> Digests | None:
        """Return a manifest of `count` digests; None when there is none, or none of that length."""
        try:
            content = self._place(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"can't read {self._place(name)}: {error.strerror}") from None
        return Digests(content) if len(content) == count * DIGEST_SIZE else None

    def names(self) -> list[VectorName]:
        """Return the names of all manifests, by study, round and file name."""
        found = []
        for place in sorted(self._directory.glob("*/*/*")):
            match = _NAME.fullmatch(place.name)
            if match and place.parent.name.isdecimal():
                found.append(
                    VectorName(place.parent.parent.name, int(place.parent.name), int(match[1]), match[3], match[2])
                )
        return found

    def size(self, name: VectorName) -> int:
        """Return how many digests a manifest's file has room for, 0 when there is none."""
        try:
            return self._place(name).stat().st_size // DIGEST_SIZE
        except FileNotFoundError:
            return 0

    def drop(self, name: VectorName) -> None:
        """Forget a manifest."""
        self._place(name).unlink(missing_ok=True)

    def drop_round(self, study: str, round_number: int) -> None:
        """Forget all manifests of a round."""
        shutil.rmtree(self._directory / study / str(round_number), ignore_errors=True)

    def _place(self, name: VectorName) -> Path:
        return self._directory / name.study / str(name.round) / f"{name.attempt}-{name.label}-{name.owner}"
