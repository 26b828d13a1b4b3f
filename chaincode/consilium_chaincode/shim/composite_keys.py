"""Composite keys: a kind and attributes in one key, apart from all simple keys, as every Fabric shim builds them."""

from __future__ import annotations

from consilium_chaincode.shim.errors import ChaincodeError

_SEPARATOR = "\0"
_MAX_RUNE = "\U0010ffff"


def composite_key(kind: str, *attributes: str) -> str:
    """Return the composite key of a kind and its attributes.

    Raises:
        ChaincodeError: the kind is empty, or a part holds U+0000 or U+10FFFF, which delimit keys.
    """
    if not kind:
        raise ChaincodeError("a composite key needs a kind")
    for part in (kind, *attributes):
        if _SEPARATOR in part or _MAX_RUNE in part:
            raise ChaincodeError(f"{part!r} can't be part of a composite key: U+0000 and U+10FFFF delimit keys")
    return _SEPARATOR + kind + _SEPARATOR + "".join(attribute + _SEPARATOR for attribute in attributes)


def split_composite_key(key: str) -> tuple[str, tuple[str, ...]]:
    """Return kind and attributes of a composite key.

    Raises:
        ChaincodeError: the key isn't composite.
    """
    if not key.startswith(_SEPARATOR) or not key.endswith(_SEPARATOR) or len(key) < 3:
        raise ChaincodeError(f"{key!r} isn't a composite key")
    kind, *attributes = key[1:-1].split(_SEPARATOR)
    return kind, tuple(attributes)


def partial_key_range(kind: str, *attributes: str) -> tuple[str, str]:
    """Return the bounds of all composite keys that start with kind and attributes."""
    start = composite_key(kind, *attributes)
    return start, start + _MAX_RUNE


def check_simple_key(key: str) -> None:
    """Refuse a key that can't be written or read: an empty one.

    Raises:
        ChaincodeError: the key is empty.
    """
    if not key:
        raise ChaincodeError("a key must not be empty")
