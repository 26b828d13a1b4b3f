"""A content-addressed store in a folder: one file per content, written aside, synced and renamed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from consilium_aggregator.errors import ContentMissingError
from consilium_peers.durable import write_durably


class FileStore:
    """Implements `ContentStore`. Two levels of folders keep each of them small."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> bytes:
        """See `ContentStore`."""
        digest = hashlib.sha256(content).digest()
        path = self._path(digest)
        if path.exists():
            return digest
        write_durably(path, content)
        return digest

    def get(self, digest: bytes) -> bytes:
        """See `ContentStore`. A damaged file is removed, so that its owner is asked for it again."""
        path = self._path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise ContentMissingError(f"the store holds nothing of digest {digest.hex()}") from None
        if hashlib.sha256(content).digest() != digest:
            path.unlink(missing_ok=True)
            raise ContentMissingError(f"{path} was damaged and is removed; it has to be sent again")
        return content

    def has(self, digest: bytes) -> bool:
        """See `ContentStore`."""
        return self._path(digest).exists()

    def remove(self, digest: bytes) -> None:
        """See `ContentStore`."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._directory / name[:2] / name
