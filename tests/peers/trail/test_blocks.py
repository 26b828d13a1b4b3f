"""Decoding blocks: what is in them comes out, and nothing but a typed error out of anything else."""

from __future__ import annotations

import hashlib

import pytest
from fabric_protos.common import common_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium_trail.blocks.block import Header, data_hash, decode_block
from consilium_trail.blocks.configuration import decode_configuration
from consilium_trail.blocks.transactions import decode_transaction
from consilium_trail.blocks.wire import parse
from consilium_trail.errors import MalformedBlockError, MalformedTransactionError, TrailError


def block(number: int = 5, flags: bytes = b"\0\0", envelopes: tuple[bytes, ...] = (b"one", b"two")) -> bytes:
    header = common_pb2.BlockHeader(number=number, previous_hash=bytes(32), data_hash=data_hash(envelopes))
    metadata = common_pb2.BlockMetadata(metadata=[b"", b"", flags])
    message = common_pb2.Block(header=header, data=common_pb2.BlockData(data=envelopes), metadata=metadata)
    return bytes(message.SerializeToString())


def test_a_block_is_decoded() -> None:
    found = decode_block(block())
    assert (found.number, found.envelopes, found.flags) == (5, (b"one", b"two"), b"\0\0")
    assert found.header.data_hash == hashlib.sha256(b"onetwo").digest()


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (65535, "020300ffff")]
)
def test_a_header_is_encoded_as_der_asks(number: int, encoded: str) -> None:
    header = Header(number, b"", bytes(32)).encoded()
    assert header.hex() == f"30{len(header) - 2:02x}{encoded}0400" + "0420" + "00" * 32


@pytest.mark.parametrize(
    "raw",
    [block(flags=b"\0"), block(envelopes=(), flags=b""), b"", b"\xff" * 9, block()[:-1]],
    ids=["a flag is missing", "no transaction", "empty", "garbage", "truncated"],
)
def test_what_is_no_block_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedBlockError):
        decode_block(raw)


def test_an_undecodable_transaction_has_the_code_that_peers_give_it() -> None:
    with pytest.raises(MalformedTransactionError) as refused:
        decode_transaction(bytes(common_pb2.Envelope(payload=b"\xff").SerializeToString()))
    assert refused.value.code == "BAD_PAYLOAD"


def test_groups_are_passed_over_in_messages_within_messages() -> None:
    deep = b"\x9b\x06" * 5000 + b"\x9c\x06" * 5000
    header = common_pb2.Header(channel_header=b"one", signature_header=b"two").SerializeToString()
    length = len(header) + len(deep)
    raw = (
        deep
        + b"\x0a"
        + bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
        + deep
        + header
        + b"\x12\x04data"
    )
    found = parse(common_pb2.Payload, raw, "the payload")
    assert (found.header.channel_header, found.header.signature_header, found.data) == (b"one", b"two", b"data")


@pytest.mark.parametrize("raw", [b"\x9b\x06" * 20_000, b"\x9b\x06" * 200, b"\x9c\x06", b"\x0a\xff\xff\xff\xff\x0f"])
def test_groups_that_peers_refuse_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedBlockError):
        parse(common_pb2.Envelope, raw, "the transaction")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_only_typed_errors_come_out_of_hostile_bytes(raw: bytes) -> None:
    for decode in (decode_block, decode_transaction, decode_configuration):
        try:
            decode(raw)
        except TrailError:
            continue
