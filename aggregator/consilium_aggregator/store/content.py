"""What an aggregator needs of a store: content named by its digest, kept in areas that are dropped as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What an area holds: hospitals' chunks go when their round is decided, sums stay for those who come late."""

    UPDATES = "updates"
    SUMS = "sums"


@dataclass(frozen=True, slots=True, order=True)
class Area:
    """The content of one kind of one round: the unit of retention.

    A ciphertext never comes twice (each encryption is fresh, each chunk is bound to its round), so content is shared
    by nobody outside its area, and dropping an area needs no counting of references.
    """

    study: str
    round: int
    kind: Kind


class ContentStore(Protocol):
    """A content-addressed store. Calls block; callers make them in threads. Every method raises `StoreError`."""

    def put(self, area: Area, contents: Sequence[bytes]) -> list[bytes]:
        """Store contents durably, each whole or not at all, and return their 32-byte SHA-256 digests."""
        ...

    def get(self, area: Area, digest: bytes) -> bytes:
        """Return the content of this digest, verified.

        Raises:
            MissingContentError: the area doesn't hold it.
            CorruptContentError: it changed on its medium; it is dropped.
        """
        ...

    def held(self, area: Area, digests: Iterable[bytes]) -> list[bool]:
        """Tell for each digest whether the area holds it."""
        ...

    def areas(self) -> list[Area]:
        """Return the areas that hold anything."""
        ...

    def drop(self, area: Area) -> None:
        """Forget an area and all that is in it."""
        ...

    def size(self, area: Area) -> tuple[int, int]:
        """Return how many contents an area holds, and their bytes."""
        ...
