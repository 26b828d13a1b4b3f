"""An aggregator's folder: the content, the manifests, the place in the stream of events, and who they belong to."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consilium_aggregator.errors import StoreError
from consilium_aggregator.store.content import ContentStore
from consilium_aggregator.store.files import FileStore, sweep, write_whole
from consilium_aggregator.store.manifests import ManifestFiles


@dataclass(frozen=True)
class StoreFolder:
    """What an aggregator keeps between two runs."""

    content: ContentStore
    manifests: ManifestFiles
    checkpoint: Path


def look_into(directory: Path) -> StoreFolder:
    """Return what is in a folder without taking it into use.

    Raises:
        StoreError: there is no store.
    """
    if not (directory / "owner.json").is_file():
        raise StoreError(f"no store in {directory}; `consilium aggregator run --state` makes one")
    return _contents(directory)


@contextmanager
def open_store(directory: Path, organization: str, channel: str) -> Iterator[StoreFolder]:
    """Take a folder into use by this process alone, made when it isn't there.

    Raises:
        StoreError: another process uses it, or it belongs to another organisation or channel.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise StoreError(f"can't use {directory} as a store: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another aggregator runs on the store {directory}; give each its own") from None
        _check_owner(directory / "owner.json", {"organization": organization, "channel": channel})
        sweep(directory)
        yield _contents(directory)


def _contents(directory: Path) -> StoreFolder:
    return StoreFolder(FileStore(directory), ManifestFiles(directory), directory / "events.json")


def _check_owner(place: Path, owner: dict[str, str]) -> None:
    if not place.exists():
        write_whole(place, json.dumps(owner).encode())
        return
    try:
        found = json.loads(place.read_bytes())
    except (OSError, ValueError):
        raise StoreError(f"{place} can't be read; the store is damaged: start on a new folder") from None
    if found != owner:
        raise StoreError(
            f"the store {place.parent} belongs to {found.get('organization')} on channel {found.get('channel')}, "
            f"not to {owner['organization']} on {owner['channel']}; name another folder with --state"
        )
