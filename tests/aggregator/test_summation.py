"""Sums are the same bytes on both ways through SEAL; the one that can't be used is told, and the other taken."""

from __future__ import annotations

import numpy as np
import pytest

from consilium_aggregator.errors import SummationError
from consilium_aggregator.summation import ChunkAdder, add_chunks
from consilium_proto import seal_buffers
from consilium_proto.chunks import decode_sum, encode_update
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet, parameter_set
from consilium_proto.seal_buffers import SealBuffersError
from consilium_proto.seed_expansion import expand_seed

EPOCH = 1
BYTE = parameter_set("bfv4096-q58-b8")
EVERY_SET = pytest.mark.parametrize("chosen", PARAMETER_SETS.values(), ids=lambda chosen: chosen.name)
EVERY_PATH = pytest.mark.parametrize("path", CipherPath)


def some_chunks(chosen: ParameterSet, count: int) -> tuple[list[bytes], np.ndarray]:
    """Chunks, with all their words as large as can be in places, and both polynomials of their sum."""
    generator = np.random.default_rng(count)
    words = generator.integers(0, chosen.modulus, (count, chosen.degree), dtype=np.uint64)
    words[:, :5] = chosen.modulus - 1
    seeds = [generator.bytes(64) for _ in range(count)]
    chunks = [encode_update(chosen, EPOCH, row, seed) for row, seed in zip(words, seeds, strict=True)]
    seconds = [expand_seed(seed, chosen.degree, chosen.modulus) for seed in seeds]
    total = np.stack([words, np.stack(seconds)], axis=1).astype(object).sum(axis=0) % chosen.modulus
    return chunks, total


@EVERY_SET
@EVERY_PATH
@pytest.mark.parametrize("count", [1, 2, 10, 64])
def test_a_sum_is_the_sum_of_all_words(chosen: ParameterSet, path: CipherPath, count: int) -> None:
    chunks, total = some_chunks(chosen, min(count, chosen.max_hospitals))
    adder = ChunkAdder(chosen, path)
    # The second time with what the first one left behind.
    for _ in range(2):
        assert (decode_sum(chosen, EPOCH, adder.add(EPOCH, chunks)) == total).all()


@EVERY_SET
def test_both_paths_give_the_same_bytes(chosen: ParameterSet) -> None:
    chunks, _ = some_chunks(chosen, 5)
    assert len({add_chunks(chosen, EPOCH, chunks, path) for path in CipherPath}) == 1


@EVERY_PATH
def test_what_cant_be_added_is_named_and_forgotten(path: CipherPath) -> None:
    chunks, total = some_chunks(BYTE, 3)
    adder = ChunkAdder(BYTE, path)
    for wrong, why in [
        ([], "at least one hospital"),
        (chunks * 6, "at most 16"),
        ([*chunks[:2], chunks[2][:-1]], "chunk 3: truncated"),
    ]:
        with pytest.raises(SummationError, match=why):
            adder.add(EPOCH, wrong)
    assert (decode_sum(BYTE, EPOCH, adder.add(EPOCH, chunks)) == total).all()


def test_where_the_buffers_cant_be_used_it_says_so_and_adds_through_the_interface(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: ParameterSet) -> None:
        raise SealBuffersError("another layout")

    def followed(*_: object) -> None:
        raise AssertionError("a pointer was followed")

    chunks, total = some_chunks(BYTE, 3)
    monkeypatch.setattr(seal_buffers, "check", refuse)
    monkeypatch.setattr(seal_buffers, "_array", followed)
    with caplog.at_level("WARNING", logger="consilium.aggregator.sum"):
        adder = ChunkAdder(BYTE)
    (told,) = caplog.records
    assert "SEAL's buffers can't be used" in told.message
    assert vars(told)["detail"] == "another layout"
    assert (decode_sum(BYTE, EPOCH, adder.add(EPOCH, chunks)) == total).all()


def test_nothing_is_told_where_they_can(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        ChunkAdder(BYTE)
    assert not caplog.records
