"""Protocol buffers of other people: parsed, or refused with a typed error."""

from __future__ import annotations

from typing import Any

from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError

from consilium_trail.blocks.unknown_groups import without_groups
from consilium_trail.errors import MalformedBlockError


def parse(kind: Any, data: bytes, what: str) -> Any:
    """Return the message of a generated class `kind` in `data`; `what` says what it is, for the error.

    Raises:
        MalformedBlockError: it isn't one.
    """
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        problem = str(error)
    try:
        return kind.FromString(without_groups(kind.DESCRIPTOR, data))
    except (DecodeError, ValueError, RuntimeError):
        raise MalformedBlockError(f"{what} isn't a {kind.DESCRIPTOR.full_name}: {problem}") from None


def parse_identity(data: bytes, what: str) -> tuple[str, bytes]:
    """Return the MSP id and the certificate (PEM) of a serialized identity.

    Raises:
        MalformedBlockError: it isn't one, or lacks either.
    """
    identity = parse(identities_pb2.SerializedIdentity, data, what)
    if not identity.mspid or not identity.id_bytes:
        raise MalformedBlockError(f"{what} has no MSP id or no certificate")
    return str(identity.mspid), bytes(identity.id_bytes)


def identity_bytes(msp_id: str, certificate: bytes) -> bytes:
    """Return an identity's serialized form."""
    return bytes(identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=certificate).SerializeToString())
