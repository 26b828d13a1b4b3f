"""Keys of the ledger as people read and type them: `round/heart/3` for the composite key of kind, study and number.

No part of a federation key can hold a slash, so the form is unambiguous there; a simple key of another chaincode is
shown as it is.
"""

from __future__ import annotations

from typing import NamedTuple

_SEPARATOR = "\0"


class LedgerKey(NamedTuple):
    """A composite key's kind and attributes; a simple key is all kind."""

    kind: str
    attributes: tuple[str, ...]


def read_key(key: str) -> LedgerKey:
    """Take a key of the state apart."""
    if not key.startswith(_SEPARATOR):
        return LedgerKey(key, ())
    kind, *attributes = key.strip(_SEPARATOR).split(_SEPARATOR)
    return LedgerKey(kind, tuple(attributes))


def shown_key(key: str) -> str:
    """Return a key as people read it."""
    kind, attributes = read_key(key)
    return "/".join([kind, *attributes])
