"""Fingerprints: exact, linear, bound to the challenge; and the expansion of seeds, equal to SEAL's."""

from __future__ import annotations

import operator
import secrets
from dataclasses import replace

import numpy as np
import pytest
from tenseal import sealapi

from consilium_proto import fingerprint
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.fingerprint import Challenge, FingerprintError, add, challenge_seed, from_record, to_record
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet
from consilium_proto.records import MAX_PUBLICATIONS
from consilium_proto.reveal_chain import chain_value, reveals
from consilium_proto.seal_buffers import SeedExpansion
from consilium_proto.seal_streams import MemoryFile, SealContext
from consilium_proto.seed_expansion import expand_seed
from consilium_proto.witnesses import witnessed_by, witnesses_of

CHUNKS = 5
SETS = list(PARAMETER_SETS.values())
SUM = VectorContext("care", "heart", 1, 3, 0, "AggregatorMSP", "sum")


def random_words(parameter_set: ParameterSet, generator: np.random.Generator) -> np.ndarray:
    shape = (CHUNKS, 2 * parameter_set.degree)
    return generator.integers(0, parameter_set.modulus, shape, dtype=np.uint64)


def expanded_by_seal(parameter_set: ParameterSet, seed: bytes) -> np.ndarray:
    """The polynomial of a seed, when SEAL loads a ciphertext."""
    context, file, ciphertext = SealContext(parameter_set), MemoryFile(), sealapi.Ciphertext()
    words = np.zeros(parameter_set.degree, dtype=np.uint64)
    file.load(ciphertext, context.seal, context.update_stream(words, seed))
    return context.read_sum(file.save(ciphertext))[1]


@pytest.mark.parametrize("parameter_set", SETS, ids=lambda chosen: chosen.name)
class TestFingerprint:
    def test_is_the_exact_sum_of_its_words_weights(self, parameter_set: ParameterSet) -> None:
        challenge, generator = Challenge("17" * 32, parameter_set, 1), np.random.default_rng(1)
        places = generator.choice(2 * parameter_set.degree, 200, replace=False)
        # Each word's weight shows when it alone is one.
        singles = np.zeros((len(places), 2 * parameter_set.degree), dtype=np.uint64)
        singles[np.arange(len(places)), places] = 1
        weights = [challenge.chunk_values(single[None], 0)[0] for single in singles]
        words = np.zeros((1, 2 * parameter_set.degree), dtype=np.uint64)
        words[0, places] = generator.integers(parameter_set.modulus - 9, parameter_set.modulus, 200, dtype=np.uint64)
        for row in (0, 1):
            exact = sum(int(words[0, place]) * weight[row] for place, weight in zip(places, weights, strict=True))
            assert challenge.chunk_values(words, 0)[0][row] == exact % parameter_set.modulus

    def test_the_largest_words_and_weights_are_multiplied_exactly(
        self, parameter_set: ParameterSet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All words and weights q − 1, so that limbs and their sums are as large as they get."""
        largest = parameter_set.modulus - 1
        monkeypatch.setattr(fingerprint, "_uniform", lambda *given: np.full(given[3], largest, dtype=np.uint64))
        words = np.full((CHUNKS, 2 * parameter_set.degree), largest, dtype=np.uint64)
        exact = 2 * parameter_set.degree * largest**3 % parameter_set.modulus
        assert Challenge("17" * 32, parameter_set, CHUNKS).chunk_values(words, 0) == [(exact, exact)] * CHUNKS

    def test_is_the_exact_sum_over_all_words_of_a_chunk(self, parameter_set: ParameterSet) -> None:
        count, modulus = 2 * parameter_set.degree, parameter_set.modulus
        inner = [fingerprint._uniform("17" * 32, "inner", row, count, modulus).tolist() for row in (0, 1)]
        outer = [fingerprint._uniform("17" * 32, "outer", row, CHUNKS, modulus).tolist() for row in (0, 1)]
        words = random_words(parameter_set, np.random.default_rng(6))
        found = Challenge("17" * 32, parameter_set, CHUNKS).chunk_values(words, 0)
        for chunk, factors, value in zip(words.tolist(), zip(*outer, strict=True), found, strict=True):
            products = [sum(map(operator.mul, chunk, weights)) for weights in inner]
            assert value == tuple(a * b % modulus for a, b in zip(factors, products, strict=True))

    def test_is_linear(self, parameter_set: ParameterSet) -> None:
        generator = np.random.default_rng(2)
        challenge = Challenge("2b" * 32, parameter_set, CHUNKS)
        vectors = [random_words(parameter_set, generator) for _ in range(4)]
        total = sum(vectors[1:], start=vectors[0]) % np.uint64(parameter_set.modulus)
        parts = [challenge.total(challenge.chunk_values(vector, 0)) for vector in vectors]
        assert challenge.total(challenge.chunk_values(total, 0)) == add(parts, parameter_set)

    def test_doesnt_depend_on_how_chunks_are_grouped(self, parameter_set: ParameterSet) -> None:
        words = random_words(parameter_set, np.random.default_rng(3))
        challenge = Challenge("3c" * 32, parameter_set, CHUNKS)
        at_once = challenge.chunk_values(words, 0)
        one_by_one = [challenge.chunk_values(words[n : n + 1], n)[0] for n in range(CHUNKS)]
        assert at_once == one_by_one

    def test_one_flipped_bit_or_two_swapped_chunks_change_it(self, parameter_set: ParameterSet) -> None:
        words = random_words(parameter_set, np.random.default_rng(4))
        challenge = Challenge("4d" * 32, parameter_set, CHUNKS)
        flipped, swapped = words.copy(), words[[1, 0, 2, 3, 4]]
        flipped[4, 8191] ^= np.uint64(1)
        values = {challenge.total(challenge.chunk_values(vector, 0)) for vector in (words, flipped, swapped)}
        assert len(values) == 3

    def test_another_challenge_gives_another_fingerprint(self, parameter_set: ParameterSet) -> None:
        words = random_words(parameter_set, np.random.default_rng(5))
        values = {
            Challenge(seed * 32, parameter_set, CHUNKS).chunk_values(words[:1], 0)[0] for seed in ("5e", "5f", "60")
        }
        assert len(values) == 3

    def test_the_generators_buffer_gives_what_seal_expands(self, parameter_set: ParameterSet) -> None:
        for seed in (bytes(64), secrets.token_bytes(64)):
            found = np.empty(parameter_set.degree, dtype=np.uint64)
            SeedExpansion(parameter_set.degree, parameter_set.modulus).write(seed, found)
            assert np.array_equal(found, expanded_by_seal(parameter_set, seed))

    def test_seeds_expand_as_in_seal(self, parameter_set: ParameterSet) -> None:
        seed = secrets.token_bytes(64)
        expanded = expanded_by_seal(parameter_set, seed)
        assert np.array_equal(expand_seed(seed, parameter_set.degree, parameter_set.modulus), expanded)

    def test_numbers_beyond_q_are_refused(self, parameter_set: ParameterSet) -> None:
        value = (parameter_set.modulus - 1, 0)
        assert from_record(to_record(value), parameter_set) == value
        with pytest.raises(FingerprintError, match="isn't below q"):
            from_record(to_record((parameter_set.modulus, 0)), parameter_set)


def test_words_that_the_uniform_draw_rejects_are_drawn_again() -> None:
    # A prime far from a power of two: 2^64 isn't near a multiple of it, so that SEAL rejects one word in twenty.
    chosen = replace(PARAMETER_SETS["bfv4096-q60-b12"], modulus=1_037_629_354_145_832_961)
    assert (1 << 64) % chosen.modulus > 0.04 * (1 << 64)
    for number in range(5):
        seed, found = number.to_bytes(64, "little"), np.empty(chosen.degree, dtype=np.uint64)
        expanded = expanded_by_seal(chosen, seed)
        SeedExpansion(chosen.degree, chosen.modulus).write(seed, found)
        assert np.array_equal(found, expanded)
        assert np.array_equal(expand_seed(seed, chosen.degree, chosen.modulus), expanded)


def test_many_rejected_words_take_several_more_refills() -> None:
    # With a modulus just above half of 2^64 almost half of the words are rejected.
    modulus, found = (1 << 63) + 29, np.empty(4096, dtype=np.uint64)
    assert (expand_seed(bytes(64), 4096, modulus) < np.uint64(modulus)).all()
    SeedExpansion(4096, modulus).write(bytes(64), found)
    assert np.array_equal(found, expand_seed(bytes(64), 4096, modulus))


@pytest.mark.parametrize("changed", [{"degree": 8192}, {"modulus": (1 << 60) + 1}], ids=["too many words", "too large"])
def test_what_cant_be_multiplied_exactly_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(FingerprintError, match="can't be multiplied exactly"):
        Challenge("17" * 32, replace(SETS[0], **changed), 1)


@pytest.mark.parametrize(
    "changed",
    [
        (SUM, 2, ["aa" * 32, "bb" * 32], "cc" * 32, ["dd" * 32, "ee" * 32]),
        (VectorContext("care", "heart", 1, 3, 1, "AggregatorMSP", "sum"), 1, ["aa" * 32, "bb" * 32], "cc" * 32, []),
        (SUM, 1, ["bb" * 32, "aa" * 32], "cc" * 32, ["dd" * 32, "ee" * 32]),
        (SUM, 1, ["aa" * 32, "bb" * 32], "cd" * 32, ["dd" * 32, "ee" * 32]),
        (SUM, 1, ["aa" * 32, "bb" * 32], "cc" * 32, ["ee" * 32, "dd" * 32]),
        (SUM, 1, ["aa" * 32, "bb" * 32, "cc" * 32], "dd" * 32, ["ee" * 32]),
    ],
)
def test_the_challenge_binds_everything(changed: tuple[VectorContext, int, list[str], str, list[str]]) -> None:
    plain = challenge_seed(SUM, 1, ["aa" * 32, "bb" * 32], "cc" * 32, ["dd" * 32, "ee" * 32])
    assert challenge_seed(*changed) != plain


def test_a_chain_reveals_one_value_for_each_publication() -> None:
    secret = secrets.token_bytes(32)
    end = chain_value("heart", 3, "AlphaMSP", secret, 0)
    for publication in range(1, MAX_PUBLICATIONS + 1):
        value = chain_value("heart", 3, "AlphaMSP", secret, publication)
        assert reveals("heart", 3, "AlphaMSP", end, publication, value)
        assert not reveals("heart", 3, "AlphaMSP", end, publication % MAX_PUBLICATIONS + 1, value)
        for other in (("heart", 4, "AlphaMSP"), ("lung", 3, "AlphaMSP"), ("heart", 3, "BetaMSP")):
            assert not reveals(*other, end, publication, value)
    assert chain_value("heart", 3, "AlphaMSP", secret, MAX_PUBLICATIONS) == secret.hex()


@pytest.mark.parametrize("max_colluding", [1, 2, 3])
def test_witnesses_are_the_next_in_the_ring(max_colluding: int) -> None:
    ring = ("A", "B", "C", "D", "E")
    for owner in ring:
        found = witnesses_of(ring, owner, max_colluding)
        assert len(set(found)) == max_colluding
        assert owner not in found
        assert all(owner in witnessed_by(ring, witness, max_colluding) for witness in found)
    assert witnesses_of(ring, "E", max_colluding)[0] == "A"
