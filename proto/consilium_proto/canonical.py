"""Canonical JSON: the one byte form of every record on the ledger and of every argument of the contract.

Keys are sorted, there is no white space, numbers are integers and byte strings are lower-case hex, so that equal
records have equal bytes and equal hashes on every endorser. A text that decodes but isn't in this form is refused:
otherwise one record would have several hashes.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from consilium_proto.errors import MalformedMessageError

R = TypeVar("R", bound="Record")

_encoder = msgspec.json.Encoder(order="sorted")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A typed, immutable record. Subclasses annotate fields with msgspec constraints, which decoding enforces."""


def encode(record: Record) -> bytes:
    """Return the record's canonical bytes (UTF-8 JSON)."""
    return _encoder.encode(record)


def decode(kind: type[R], data: bytes) -> R:
    """Read a record of `kind` from canonical bytes.

    Raises:
        MalformedMessageError: not JSON, a field missing, unknown, of the wrong type or out of range, or a text that
            isn't canonical. The message names the field and what was expected there.
    """
    try:
        record = msgspec.json.decode(data, type=kind, strict=True)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise MalformedMessageError(f"{kind.__name__}: {error}") from None
    if encode(record) != data:
        raise MalformedMessageError(f"{kind.__name__}: not in canonical form; encode it with consilium_proto.canonical")
    return record


def digest(record: Record) -> str:
    """Return the SHA-256 of the record's canonical bytes, in lower-case hex."""
    return hashlib.sha256(encode(record)).hexdigest()
