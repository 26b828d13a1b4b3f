"""Proposals as no honest client writes them, read as Fabric's peers read them.

Peers read protocol buffers leniently: unknown fields are skipped, of a repeated field the last one counts, numbers may
be padded. A client may therefore write a proposal that a peer and a strict reader see differently, if the strict reader
isn't strict enough. Python's runtime reads as leniently as Go's, so it stands for the peer here.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from fabric_consortium import Question
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from google.protobuf.message import DecodeError


def varint(number: int, padding: int = 0) -> bytes:
    """Encode a number; with padding it takes more bytes than it needs."""
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    if padding:
        digits[-1] |= 0x80
        digits += b"\x80" * (padding - 1) + b"\0"
    return bytes(digits)


def field(tag: int, content: bytes, padding: int = 0) -> bytes:
    return varint(tag) + varint(len(content), padding) + content


def split_fields(message: bytes) -> list[bytes]:
    """Split a message into its fields, each with tag and length; IndexError if it can't be."""
    fields, start = [], 0
    while start < len(message):
        at = start
        tag, at = _number(message, at)
        if tag & 7 == 0:
            _, at = _number(message, at)
        else:
            length, at = _number(message, at)
            at += length
        if at > len(message):
            raise IndexError("a field reaches beyond the message's end")
        fields.append(message[start:at])
        start = at
    return fields


def _number(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        digit = message[at]
        number |= (digit & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if digit < 0x80:
            return number, at


def as_peers_read(question: Question) -> tuple[str, str] | None:
    """Return channel and function as a peer sees them, or nothing if it would refuse to read the proposal."""
    try:
        header = common_pb2.ChannelHeader.FromString(question.channel_header)
        signed = common_pb2.SignatureHeader.FromString(question.signature_header)
        proposed = proposal_pb2.ChaincodeProposalPayload.FromString(question.proposal_payload)
        invoked = chaincode_pb2.ChaincodeInvocationSpec.FromString(proposed.input)
    except DecodeError:
        return None
    arguments = invoked.chaincode_spec.input.args
    if not (header.channel_id and header.tx_id and signed.creator and signed.nonce and arguments):
        return None
    return header.channel_id, arguments[0].decode(errors="replace")


def random_surgery(question: Question, chance: random.Random) -> Question:
    """Change a part or two of a proposal, at random, mostly so that it can still be read."""
    parts = list(question.parts)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = chance.randrange(3)
        parts[place] = _operate(parts[place], chance)
    return Question(*parts)


def shifted(question: Question, chance: random.Random) -> Question:
    """Claim other boundaries between the parts: their hash stays the same."""
    whole = b"".join(question.parts)
    ends = {len(question.channel_header), len(question.channel_header) + len(question.signature_header)}
    fields = [b for part in question.parts for b in split_fields_or_whole(part)]
    edge = 0
    for each in fields:
        edge += len(each)
        ends.add(edge)
    first, second = sorted(chance.choices(sorted(ends), k=2))
    if chance.random() < 0.5:  # only one of them
        second = len(question.channel_header) + len(question.signature_header)
        first = min(first, second)
    return Question(whole[:first], whole[first:second], whole[second:])


def split_fields_or_whole(part: bytes) -> list[bytes]:
    try:
        return split_fields(part)
    except IndexError:
        return [part]


def _operate(part: bytes, chance: random.Random) -> bytes:
    try:
        fields, operations = split_fields(part) or [b""], _OPERATIONS
    except IndexError:
        fields, operations = [part], _BLUNT_OPERATIONS
    return b"".join(chance.choice(operations)(fields, chance))


def _double(fields: list[bytes], chance: random.Random) -> list[bytes]:
    copied = chance.choice(fields)
    place = chance.randrange(len(fields) + 1)
    return [*fields[:place], copied, *fields[place:]]


def _shuffle(fields: list[bytes], chance: random.Random) -> list[bytes]:
    return chance.sample(fields, len(fields))


def _insert_known(fields: list[bytes], chance: random.Random) -> list[bytes]:
    content = chance.choice((b"consilium", b"trial", b"AttestEpoch", b"eth_call", b"", b"\x0a\x00"))
    tag = chance.choice((0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x3A, 0x42, 0x4A))
    place = chance.randrange(len(fields) + 1)
    return [*fields[:place], field(tag, content, chance.choice((0, 0, 1))), *fields[place:]]


def _append_channel(fields: list[bytes], chance: random.Random) -> list[bytes]:
    return [*fields, field(0x22, chance.choice((b"consilium", b"trial")))]


def _insert_number(fields: list[bytes], chance: random.Random) -> list[bytes]:
    place = chance.randrange(len(fields) + 1)
    number = varint(chance.choice((0, 3, 200, 1 << 40)), chance.choice((0, 1)))
    added = varint(chance.choice((0x08, 0x10, 0x30, 0x48))) + number
    return [*fields[:place], added, *fields[place:]]


def _pad_length(fields: list[bytes], chance: random.Random) -> list[bytes]:
    place = chance.randrange(len(fields))
    chosen = fields[place]
    tag, at = _number(chosen, 0) if chosen else (0, 0)
    if tag & 7 != 2:
        return fields
    length, start = _number(chosen, at)
    padded = varint(tag) + varint(length, chance.choice((1, 2, 5))) + chosen[start:]
    return [*fields[:place], padded, *fields[place + 1 :]]


def _descend(fields: list[bytes], chance: random.Random) -> list[bytes]:
    """Operate inside a field that holds a message, as the specification of what is invoked."""
    place = chance.randrange(len(fields))
    chosen = fields[place]
    tag, at = _number(chosen, 0) if chosen else (0, 0)
    if tag & 7 != 2:
        return fields
    _, start = _number(chosen, at)
    changed = _operate(chosen[start:], chance)
    return [*fields[:place], field(tag, changed), *fields[place + 1 :]]


def _flip(fields: list[bytes], chance: random.Random) -> list[bytes]:
    place = chance.randrange(len(fields))
    changed = bytearray(fields[place])
    if changed:
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return [*fields[:place], bytes(changed), *fields[place + 1 :]]


def _drop(fields: list[bytes], chance: random.Random) -> list[bytes]:
    place = chance.randrange(len(fields))
    return [*fields[:place], *fields[place + 1 :]] or [b""]


_OPERATIONS: tuple[Callable[[list[bytes], random.Random], list[bytes]], ...] = (
    _double,
    _shuffle,
    _insert_known,
    _append_channel,
    _insert_number,
    _pad_length,
    _descend,
    _descend,
    _descend,
    _flip,
    _drop,
)
# For what isn't made of fields.
_BLUNT_OPERATIONS = (_double, _insert_known, _insert_number, _flip, _drop)
