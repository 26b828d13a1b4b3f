"""Where artifacts lie, named by the SHA-256 of their bytes."""

from __future__ import annotations

from typing import Protocol

DIGEST_BYTES = 32


class ContentStore(Protocol):
    """A content-addressed store. Digests are 32 bytes; what comes back always has the digest it was asked for by."""

    def put(self, content: bytes) -> bytes:
        """Store durably and return the digest."""
        ...

    def get(self, digest: bytes) -> bytes:
        """Return the content of that digest.

        Raises:
            ContentMissingError: the store doesn't hold it, or what it holds was damaged.
        """
        ...

    def has(self, digest: bytes) -> bool:
        """Tell whether the store holds the content of that digest."""
        ...

    def remove(self, digest: bytes) -> None:
        """Forget a content; nothing happens when the store doesn't hold it."""
        ...
