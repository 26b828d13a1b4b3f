import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium_proto.chunks import (
    decode_sum,
    decode_update,
    encode_sum,
    encode_update,
    sum_chunk_size,
    update_chunk_size,
)
from consilium_proto.errors import ChunkError
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet, parameter_set

CHOSEN = parameter_set("bfv4096-q58-b8")
EPOCH = 3
SEED = bytes(range(64))
WORDS = np.random.default_rng(0).integers(0, CHOSEN.modulus, (2, CHOSEN.degree), dtype=np.uint64)
UPDATE = encode_update(CHOSEN, EPOCH, WORDS[0], SEED)
SUM = encode_sum(CHOSEN, EPOCH, WORDS)


def with_byte(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([value]) + content[at + 1 :]


def test_what_is_encoded_is_what_is_decoded() -> None:
    chunk = decode_update(CHOSEN, EPOCH, UPDATE)
    assert (chunk.words == WORDS[0]).all()
    assert chunk.seed == SEED
    assert (decode_sum(CHOSEN, EPOCH, SUM) == WORDS).all()
    assert len(UPDATE) == update_chunk_size(CHOSEN) == 64 + 8 * 4096 + 64
    assert len(SUM) == sum_chunk_size(CHOSEN) == 64 + 2 * 8 * 4096


def test_the_bytes_of_a_chunk_stay_what_they_are() -> None:
    words = np.arange(CHOSEN.degree, dtype=np.uint64)
    content = encode_update(CHOSEN, EPOCH, words, SEED)
    header = b"CSLC" + bytes([2, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 3]) + bytes(6) + b"bfv4096-q58-b8" + bytes(26)
    assert content[:64] == header
    assert content[64:80] == bytes(8) + b"\x01" + bytes(7)
    assert content[-64:] == SEED


@pytest.mark.parametrize("chosen", PARAMETER_SETS.values(), ids=lambda chosen: chosen.name)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_words_take_as_many_little_endian_bytes_as_q_needs(chosen: ParameterSet, data: st.DataObject) -> None:
    """Written here byte by byte. Words of 7 bytes are packed and unpacked in pieces that overlap."""
    words = np.random.default_rng(1).integers(0, chosen.modulus, (2, chosen.degree), dtype=np.uint64)
    word, place = st.integers(0, chosen.modulus - 1), st.integers(0, chosen.degree - 1)
    for row in words:
        for where, value in data.draw(st.lists(st.tuples(place, word), max_size=20)):
            row[where] = value
        row[[0, -1]] = data.draw(st.tuples(word, word))
    body = [b"".join(value.to_bytes(chosen.word_bytes, "little") for value in row.tolist()) for row in words]
    update, total = encode_update(chosen, EPOCH, words[0], SEED), encode_sum(chosen, EPOCH, words)
    assert update[64:] == body[0] + SEED
    assert total[64:] == body[0] + body[1]
    assert (decode_update(chosen, EPOCH, update).words == words[0]).all()
    assert (decode_sum(chosen, EPOCH, total) == words).all()


@pytest.mark.parametrize("position", [0, 1, CHOSEN.degree - 1])
@pytest.mark.parametrize("excess", [0, 1])
def test_words_of_seven_bytes_are_below_q(position: int, excess: int) -> None:
    chosen = PARAMETER_SETS["bfv4096-q56-radix-b8"]
    content = encode_update(chosen, EPOCH, np.zeros(chosen.degree, dtype=np.uint64), SEED)
    at, value = 64 + 7 * position, chosen.modulus + excess
    why = f"word {position} of the chunk is {value}, not below q"
    with pytest.raises(ChunkError, match=why):
        decode_update(chosen, EPOCH, content[:at] + value.to_bytes(7, "little") + content[at + 7 :])


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 128, len(UPDATE) - 1, len(UPDATE) - 64])
def test_truncated(length: int) -> None:
    with pytest.raises(ChunkError, match=f"truncated chunk: {length} bytes"):
        decode_update(CHOSEN, EPOCH, UPDATE[:length])
    with pytest.raises(ChunkError, match=f"truncated chunk: {length} bytes"):
        decode_sum(CHOSEN, EPOCH, SUM[:length])


@pytest.mark.parametrize("extra", [1, 8, 1000])
def test_oversized(extra: int) -> None:
    with pytest.raises(ChunkError, match=f"oversized chunk: {len(UPDATE) + extra} bytes instead of {len(UPDATE)}"):
        decode_update(CHOSEN, EPOCH, UPDATE + bytes(extra))
    with pytest.raises(ChunkError, match="oversized"):
        decode_sum(CHOSEN, EPOCH, SUM + bytes(extra))


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, 0x44, "not a chunk"),
        (4, 3, "wire version 3; this release reads version 2"),
        (6, 2, r"kind 2 where kind 1 \(update\)"),
        (6, 9, "kind 9"),
        (7, 1, "reserved byte"),
        (8, 4, "key epoch 4 where epoch 3"),
        (15, 1, "key epoch"),
        (16, 5, r"SEAL 5\.3, but bfv4096-q58-b8 is defined by SEAL 4\.3"),
        (17, 2, r"SEAL 4\.2"),
        (18, 1, "reserved byte"),
        (24, 0x63, "parameter set 'cfv4096-q58-b8'"),
        (50, 0x31, "parameter set"),
    ],
)
def test_a_foreign_header(at: int, value: int, why: str) -> None:
    with pytest.raises(ChunkError, match=why):
        decode_update(CHOSEN, EPOCH, with_byte(UPDATE, at, value))


def test_a_chunk_of_another_set_or_epoch_or_kind() -> None:
    other = PARAMETER_SETS["bfv4096-q58-b12"]
    with pytest.raises(ChunkError, match="'bfv4096-q58-b8' where 'bfv4096-q58-b12' is expected"):
        decode_update(other, EPOCH, UPDATE)
    with pytest.raises(ChunkError, match="key epoch 3 where epoch 2"):
        decode_sum(CHOSEN, 2, SUM)
    with pytest.raises(ChunkError, match="kind"):
        decode_sum(CHOSEN, EPOCH, UPDATE)
    with pytest.raises(ChunkError, match="kind"):
        decode_update(CHOSEN, EPOCH, SUM)


@pytest.mark.parametrize("position", [0, 1, CHOSEN.degree - 1])
@pytest.mark.parametrize("value", [CHOSEN.modulus, CHOSEN.modulus + 1, 2**64 - 1])
def test_words_are_below_q(position: int, value: int) -> None:
    why = f"word {position} of the chunk is {value}, not below q"
    at = 64 + 8 * position
    with pytest.raises(ChunkError, match=why):
        decode_update(CHOSEN, EPOCH, UPDATE[:at] + value.to_bytes(8, "little") + UPDATE[at + 8 :])
    with pytest.raises(ChunkError, match=why):
        decode_sum(CHOSEN, EPOCH, SUM[:at] + value.to_bytes(8, "little") + SUM[at + 8 :])
    words = WORDS.copy()
    words[0, position] = value
    with pytest.raises(ChunkError, match=why):
        encode_update(CHOSEN, EPOCH, words[0], SEED)
    words[0, position] = CHOSEN.modulus - 1
    encode_sum(CHOSEN, EPOCH, words)


def test_only_what_can_be_decoded_is_encoded() -> None:
    with pytest.raises(ChunkError, match="64 bytes, not 63"):
        encode_update(CHOSEN, EPOCH, WORDS[0], SEED[:-1])
    with pytest.raises(ChunkError, match=r"uint64 of shape \(4096,\)"):
        encode_update(CHOSEN, EPOCH, WORDS, SEED)
    with pytest.raises(ChunkError, match="not int64"):
        encode_sum(CHOSEN, EPOCH, WORDS.astype(np.int64))
    for epoch in (0, -1, 2**64):
        with pytest.raises(ChunkError, match=str(epoch)):
            encode_sum(CHOSEN, epoch, WORDS)


@settings(max_examples=300)
@given(st.integers(0, 63), st.integers(0, 255))
def test_no_header_has_two_forms(at: int, value: int) -> None:
    changed = with_byte(UPDATE, at, value)
    if changed == UPDATE:
        decode_update(CHOSEN, EPOCH, changed)
    else:
        with pytest.raises(ChunkError):
            decode_update(CHOSEN, EPOCH, changed)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_anything_else(content: bytes) -> None:
    with pytest.raises(ChunkError):
        decode_update(CHOSEN, EPOCH, content)
    with pytest.raises(ChunkError):
        decode_sum(CHOSEN, EPOCH, UPDATE[:30] + content)
