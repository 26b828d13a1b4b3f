"""What one transaction may do: the interface that contracts are written against.

`PeerStub` offers it on a real peer and `MemoryStub` in memory; one test suite runs on both. Reads see the committed
state only, never the transaction's own writes, as everywhere in Fabric.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from consilium_chaincode.shim.composite_keys import composite_key, split_composite_key
from consilium_proto.access_roles import ATTRIBUTES_OID

__all__ = [
    "ChaincodeStub",
    "Creator",
    "Event",
    "KeyModification",
    "KeyValue",
    "Page",
    "composite_key",
    "split_composite_key",
]

_ROLES = ("client", "admin", "peer", "orderer")


@dataclass(frozen=True)
class Creator:
    """Who signed the proposal, as its certificate says: MSP id, certificate (PEM), role and attributes."""

    msp_id: str
    certificate: bytes
    role: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_certificate(cls, msp_id: str, certificate_pem: bytes) -> Creator:
        """Read role (the NodeOU among the organisational units) and attributes from a certificate."""
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        units = [
            str(unit.value) for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        ]
        role = next((unit for unit in units if unit in _ROLES), "")
        return cls(msp_id, certificate_pem, role, _attributes(certificate))


def _attributes(certificate: x509.Certificate) -> dict[str, str]:
    """Return the attributes that Fabric's CA writes into a certificate (an extension, JSON)."""
    try:
        extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(ATTRIBUTES_OID))
    except x509.ExtensionNotFound:
        return {}
    raw = extension.value
    if not isinstance(raw, x509.UnrecognizedExtension):
        return {}
    try:
        attributes = json.loads(raw.value)["attrs"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(value) for name, value in attributes.items()}


class KeyValue(NamedTuple):
    """An entry of a range."""

    key: str
    value: bytes


class Page(NamedTuple):
    """Part of a range, and the bookmark of the next part; empty at the end."""

    entries: tuple[KeyValue, ...]
    bookmark: str


class KeyModification(NamedTuple):
    """One change of a key: by which transaction, to what, when (milliseconds since 1970), or that it was deleted."""

    tx_id: str
    value: bytes
    timestamp: int
    is_delete: bool


class Event(NamedTuple):
    """The event of a transaction."""

    name: str
    payload: bytes


class ChaincodeStub(Protocol):
    """One transaction."""

    tx_id: str
    channel: str
    timestamp: int
    """Milliseconds since 1970, as the client wrote it into the proposal: a claim, not a fact."""
    creator: Creator
    entry_chaincode: str
    """The chaincode that the client's signed proposal names. Behind it, `creator` is whom it may be acting for."""
    function: str
    arguments: tuple[bytes, ...]
    transient: Mapping[str, bytes]

    async def get_state(self, key: str, *, collection: str = "") -> bytes | None:
        """Return a key's committed value, None when it has none."""
        ...

    async def get_states(self, keys: Sequence[str], *, collection: str = "") -> list[bytes | None]:
        """Return several keys' committed values, in one request when the peer offers it."""
        ...

    async def put_state(self, key: str, value: bytes, *, collection: str = "") -> None:
        """Write a value; an empty one is refused, since Fabric can't tell it from none."""
        ...

    async def delete_state(self, key: str, *, collection: str = "") -> None:
        """Delete a key."""
        ...

    async def purge_private(self, collection: str, key: str) -> None:
        """Delete a private value and, on every peer, its history."""
        ...

    async def private_hash(self, collection: str, key: str) -> bytes | None:
        """Return the SHA-256 of a private value, which peers outside the collection have too."""
        ...

    async def get_validation_parameter(self, key: str, *, collection: str = "") -> bytes | None:
        """Return the key's own endorsement policy (a serialized policy), None when it has none."""
        ...

    async def set_validation_parameter(self, key: str, policy: bytes, *, collection: str = "") -> None:
        """Give an existing key, or one that this transaction writes, an endorsement policy of its own.

        `endorsement_policies.quorum_of` makes policies; one that peers can't evaluate is refused.
        """
        ...

    def range(self, start: str = "", end: str = "", *, collection: str = "") -> AsyncIterator[KeyValue]:
        """Iterate over simple keys from `start` (included) to `end` (excluded; empty: no bound)."""
        ...

    async def range_page(self, start: str, end: str, size: int, bookmark: str = "") -> Page:
        """Return at most `size` entries of a range; for queries (a paged read isn't protected against phantoms)."""
        ...

    def by_partial_key(self, kind: str, *attributes: str, collection: str = "") -> AsyncIterator[KeyValue]:
        """Iterate over the composite keys that start with kind and attributes."""
        ...

    def history(self, key: str) -> AsyncIterator[KeyModification]:
        """Iterate over a key's changes, newest first."""
        ...

    async def invoke_chaincode(self, name: str, *arguments: bytes, channel: str = "") -> bytes:
        """Call another chaincode in the same transaction and return its answer."""
        ...

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the transaction's event; there is one, and the last call wins. Only valid transactions emit it."""
        ...
