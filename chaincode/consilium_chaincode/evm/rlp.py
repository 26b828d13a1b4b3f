"""Recursive Length Prefix (yellow paper, appendix B), read strictly: each item has one valid form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from consilium_chaincode.evm.errors import MalformedTransaction

Item: TypeAlias = "bytes | Sequence[Item]"
_SHORT = 55
_STRING, _LIST = 0x80, 0xC0
# A transaction is a list with a list of accesses, each a list with a list of slots.
_DEEPEST = 4


def encode(item: Item) -> bytes:
    """Return an item's encoding; lists may be any sequence of items."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _STRING:
            return item
        return _prefix(len(item), _STRING) + item
    content = b"".join(encode(each) for each in item)
    return _prefix(len(content), _LIST) + content


def encode_number(number: int) -> bytes:
    """Return a number's bytes as RLP has them: big-endian, no leading zero, none for zero."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def decode(data: bytes) -> Item:
    """Return the one item that the bytes are; lists become lists.

    Raises:
        MalformedTransaction: the bytes end too soon or go on after the item, or a shorter form of it exists.
    """
    item, end = _decode_at(data, 0, _DEEPEST)
    if end != len(data):
        raise MalformedTransaction(f"{len(data) - end} bytes follow the item")
    return item


def _prefix(length: int, kind: int) -> bytes:
    if length <= _SHORT:
        return bytes([kind + length])
    written = encode_number(length)
    return bytes([kind + _SHORT + len(written)]) + written


def _decode_at(data: bytes, start: int, levels: int) -> tuple[Item, int]:
    if start >= len(data):
        raise MalformedTransaction("the bytes end before an item begins")
    first = data[start]
    if first < _STRING:
        return data[start : start + 1], start + 1
    if first < _LIST:
        content, end = _content(data, start, _STRING)
        if len(content) == 1 and content[0] < _STRING:
            raise MalformedTransaction(f"byte 0x{content[0]:02x} is written as a string; it stands for itself")
        return content, end
    if not levels:
        raise MalformedTransaction(f"lists lie in each other more than {_DEEPEST} deep; no transaction's do")
    content, end = _content(data, start, _LIST)
    items: list[Item] = []
    place = 0
    while place < len(content):
        item, place = _decode_at(content, place, levels - 1)
        items.append(item)
    return items, end


def _content(data: bytes, start: int, kind: int) -> tuple[bytes, int]:
    """Return what a prefix announces, and where it ends."""
    length, begin = data[start] - kind, start + 1
    if length > _SHORT:
        begin += length - _SHORT
        written = data[start + 1 : begin]
        length = int.from_bytes(written, "big")
        if written[:1] == b"\0" or length <= _SHORT:
            raise MalformedTransaction(f"a length of {length} is written in {len(written)} bytes; fewer do")
    end = begin + length
    if end > len(data):
        raise MalformedTransaction(f"an item of {length} bytes is announced, {len(data) - begin} are there")
    return data[begin:end], end
