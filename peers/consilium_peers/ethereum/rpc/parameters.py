"""The parameters of one request, by position; all errors name the position or the field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.errors import InvalidParametersError


class Tag(StrEnum):
    """The blocks that have a name. What is committed on this ledger is final, so three of them are the same block."""

    EARLIEST = "earliest"
    LATEST = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class BlockByHash:
    """A block named by its hash (EIP-1898)."""

    hash: str


BlockName = Tag | int | BlockByHash


class Parameters:
    """What a request has under `params`; absent and null are the same where a parameter may be absent."""

    def __init__(self, given: list[object]) -> None:
        self._given = given

    def expect(self, most: int) -> None:
        """Refuse more parameters than the method has."""
        if len(self._given) > most:
            raise InvalidParametersError(f"{len(self._given)} parameters were given; the method takes at most {most}")

    def raw(self, place: int, what: str) -> object:
        """Return a parameter that must be there."""
        if place >= len(self._given) or self._given[place] is None:
            raise InvalidParametersError(f"parameter {place + 1}, {what}, is missing")
        return self._given[place]

    def optional(self, place: int) -> Any:
        """Return a parameter, None if it isn't there."""
        return self._given[place] if place < len(self._given) else None

    def address(self, place: int) -> str:
        """Return an address."""
        return values.address(self.raw(place, "an address"), f"parameter {place + 1}")

    def hash(self, place: int) -> str:
        """Return a hash."""
        return values.hash_of(self.raw(place, "a hash"), f"parameter {place + 1}")

    def quantity(self, place: int, what: str) -> int:
        """Return a number."""
        return values.quantity(self.raw(place, what), what)

    def slot(self, place: int) -> str:
        """Return the place of a storage slot, 32 bytes."""
        return values.slot(self.raw(place, "a storage slot"), f"parameter {place + 1}")

    def boolean(self, place: int) -> bool:
        """Return true or false; false if it isn't there."""
        given = self.optional(place)
        return False if given is None else values.boolean(given, f"parameter {place + 1}")

    def mapping(self, place: int, what: str) -> dict[str, object]:
        """Return an object."""
        return values.mapping(self.raw(place, what), what)

    def block(self, place: int) -> BlockName:
        """Return a block's name; the latest one if it isn't there."""
        given = self.optional(place)
        return Tag.LATEST if given is None else block_name(given, f"parameter {place + 1}")


def block_name(given: object, what: str) -> BlockName:
    """Read a tag, a number, or an object that holds either a number or a hash (EIP-1898)."""
    if isinstance(given, dict):
        unknown = set(given) - {"blockHash", "blockNumber", "requireCanonical"}
        if unknown or ("blockHash" in given) == ("blockNumber" in given):
            raise InvalidParametersError(f"{what} is {given!r}; expected either blockHash or blockNumber (EIP-1898)")
        if "blockHash" in given:
            return BlockByHash(values.hash_of(given["blockHash"], "blockHash"))
        given = given["blockNumber"]
    if isinstance(given, str) and not given.startswith("0x"):
        if given not in list(Tag):
            raise InvalidParametersError(f"{what} is {given!r}; expected a block's number or one of {', '.join(Tag)}")
        return Tag(given)
    return values.quantity(given, what, 64)
