"""The object of `eth_call`, `eth_estimateGas`, `eth_createAccessList` and `eth_sendTransaction`."""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.errors import InvalidParametersError
from consilium_proto.ethereum.scalars import as_data, as_quantity
from consilium_proto.ethereum.transactions import MAX_AUTHORIZATIONS, AccessEntry, AuthorizationEntry, Question

MOST_ENTRIES = 5_000
_ZERO_ADDRESS = as_data(bytes(20))
# Prices are taken and mean nothing: nothing is paid for. What else is left out changes nothing either.
_KNOWN = {"from", "to", "gas", "value", "data", "input", "nonce", "accessList", "authorizationList", "type", "chainId"}
_PRICES = {"gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"}
_UNSUPPORTED = {
    "blobs": "this ledger has no blobs",
    "blobVersionedHashes": "this ledger has no blobs",
    "maxFeePerBlobGas": "this ledger has no blobs",
}


@dataclass(frozen=True, slots=True)
class CallObject:
    """What somebody asks to be done; None where it wasn't said."""

    sender: str | None
    to: str | None
    gas: int | None
    value: int
    data: str
    nonce: int | None
    chain_id: int | None
    access_list: tuple[AccessEntry, ...]
    authorizations: tuple[AuthorizationEntry, ...]

    def question(self, block_number: int) -> Question:
        """Return the question to the chaincode."""
        return Question(
            sender=self.sender or _ZERO_ADDRESS,
            to=self.to,
            data=self.data,
            value=as_quantity(self.value),
            gas=None if self.gas is None else as_quantity(self.gas),
            access_list=self.access_list,
            authorizations=self.authorizations,
            block_number=block_number,
        )


def call_object(given: dict[str, object]) -> CallObject:
    """Read the object; null is the same as absent."""
    fields = {name: value for name, value in given.items() if value is not None}
    for name, reason in _UNSUPPORTED.items():
        if fields.pop(name, None):
            raise InvalidParametersError(f"{name} isn't supported: {reason}")
    unknown = set(fields) - _KNOWN - _PRICES
    if unknown:
        raise InvalidParametersError(f"{min(unknown)} isn't a field of a transaction")
    if "data" in fields and "input" in fields and fields["data"] != fields["input"]:
        raise InvalidParametersError("data and input differ; give one of them")
    for name in _PRICES & set(fields):
        values.quantity(fields[name], name)

    def number(name: str, bits: int = 256) -> int | None:
        return values.quantity(fields[name], name, bits) if name in fields else None

    data = fields.get("input", fields.get("data"))
    return CallObject(
        sender=values.address(fields["from"], "from") if "from" in fields else None,
        to=values.address(fields["to"], "to") if "to" in fields else None,
        gas=number("gas", 64),
        value=number("value") or 0,
        data="0x" if data is None else values.data(data, "data"),
        nonce=number("nonce", 64),
        chain_id=number("chainId"),
        access_list=_access_list(fields.get("accessList", [])),
        authorizations=_authorizations(fields.get("authorizationList", [])),
    )


def _access_list(given: object) -> tuple[AccessEntry, ...]:
    entries = values.sequence(given, "accessList")
    if len(entries) > MOST_ENTRIES:
        raise InvalidParametersError(f"accessList has {len(entries)} entries; at most {MOST_ENTRIES} are taken")
    return tuple(_entry(values.mapping(each, "an entry of accessList")) for each in entries)


def _entry(given: dict[str, object]) -> AccessEntry:
    keys = values.sequence(given.get("storageKeys") or [], "storageKeys")
    return AccessEntry(
        address=values.address(given.get("address"), "address"),
        slots=tuple(values.hash_of(each, "a storage key") for each in keys),
    )


def _authorizations(given: object) -> tuple[AuthorizationEntry, ...]:
    entries = values.sequence(given, "authorizationList")
    if len(entries) > MAX_AUTHORIZATIONS:
        raise InvalidParametersError(
            f"authorizationList has {len(entries)} entries; at most {MAX_AUTHORIZATIONS} are taken"
        )
    return tuple(_authorization(values.mapping(each, "an entry of authorizationList")) for each in entries)


def _authorization(given: dict[str, object]) -> AuthorizationEntry:
    def number(name: str, bits: int) -> str:
        return as_quantity(values.quantity(given.get(name), name, bits))

    return AuthorizationEntry(
        chain_id=number("chainId", 256),
        address=values.address(given.get("address"), "address"),
        nonce=number("nonce", 64),
        y_parity=number("yParity", 8),
        r=number("r", 256),
        s=number("s", 256),
    )
