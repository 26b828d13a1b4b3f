"""Unknown groups in protocol buffers: what Fabric's peers pass over, and Python's parser refuses when it is deep.

Go skips unknown groups that are nested up to 10,000 deep, Python's parser up to 100. No message of Fabric has groups;
but any client may put some around what it signs, and peers then find valid what Python couldn't read.
"""

from __future__ import annotations

from typing import Any

_DEEPEST_GROUP = 10_000
_DEEPEST_MESSAGE = 30
_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
_LONGEST_VARINT = 10


def without_groups(descriptor: Any, data: bytes, depth: int = 0) -> bytes:
    """Return a message without groups, in it or in the messages that its type has in it.

    Raises:
        ValueError: it isn't a message, or is nested too deeply.
    """
    if depth > _DEEPEST_MESSAGE:
        raise ValueError("nested too deeply")
    kept = bytearray()
    position = 0
    while position < len(data):
        start = position
        tag, position = _varint(data, position)
        if tag & 7 == _GROUP:
            position = _behind_group(data, position)
            continue
        value = position
        position = _behind_value(data, position, tag & 7)
        field = descriptor.fields_by_number.get(tag >> 3)
        if tag & 7 == _BYTES and field is not None and field.message_type is not None:
            _, content = _varint(data, value)
            inner = without_groups(field.message_type, data[content:position], depth + 1)
            kept += data[start:value] + _encoded(len(inner)) + inner
        else:
            kept += data[start:position]
    return bytes(kept)


def _behind_group(data: bytes, position: int) -> int:
    open_groups = 1
    while open_groups:
        tag, position = _varint(data, position)
        if tag & 7 == _GROUP:
            open_groups += 1
            if open_groups > _DEEPEST_GROUP:
                raise ValueError("nested too deeply")
        elif tag & 7 == _END_GROUP:
            open_groups -= 1
        else:
            position = _behind_value(data, position, tag & 7)
    return position


def _behind_value(data: bytes, position: int, kind: int) -> int:
    if kind == _VARINT:
        return _varint(data, position)[1]
    if kind == _BYTES:
        length, position = _varint(data, position)
        position += length
    elif kind in (_FIXED32, _FIXED64):
        position += 4 if kind == _FIXED32 else 8
    else:
        raise ValueError(f"wire type {kind}")
    if position > len(data):
        raise ValueError("truncated")
    return position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(_LONGEST_VARINT):
        if position >= len(data):
            raise ValueError("truncated")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is too long")


def _encoded(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
