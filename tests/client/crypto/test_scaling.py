"""Scaling by q/t equals SEAL's, bit for bit: for honest words, for extreme ones, and for any garbage."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seal_reference import SealReference, Words

from consilium_client.encryption import UpdateCipher
from consilium_client.errors import EncryptionError
from consilium_client.scaling import Scaling
from consilium_client.seal_paths import BufferPath, InterfacePath, SealPath
from consilium_proto.chunks import encode_sum
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet, parameter_set

EVERY_SET = pytest.mark.parametrize("chosen", PARAMETER_SETS.values(), ids=lambda chosen: chosen.name)
EVERY_PATH = pytest.mark.parametrize("path", CipherPath)
BOTH_PATHS = pytest.mark.parametrize("open_path", [InterfacePath, BufferPath])
SEED = bytes(range(64))
BYTE = parameter_set("bfv4096-q58-b8")

reference = cache(SealReference)


def random_words(chosen: ParameterSet, below: int, *shape: int, seed: int = 0) -> Words:
    return np.random.default_rng(seed).integers(0, below, (*shape, chosen.degree), dtype=np.uint64)


def on_the_edge(chosen: ParameterSet) -> list[int]:
    """Words on either side of where the plaintext changes, and the ends: all the ways in which rounding can go."""
    q, t = chosen.modulus, 1 << chosen.plain_bits
    plaintexts = [0, 1, 2, t // 3, t // 2 - 1, t // 2, t - 2, t - 1, *(secrets.randbelow(t) for _ in range(300))]
    found = [(2 * plaintext + 1) * q // (2 * t) for plaintext in plaintexts]
    return [0, 1, q - 1, *(word + step for word in found for step in (-1, 0, 1, 2) if word + step < q)]


def nearly_tied(chosen: ParameterSet) -> list[int]:
    """Plaintexts m whose q m / t is as close to a half as it can get."""
    t = 1 << chosen.plain_bits
    inverse = pow(chosen.modulus, -1, t)
    return [(t // 2 + step) * inverse % t for step in range(-200, 201)]


def exactly_scaled(chosen: ParameterSet, slot: int) -> int:
    t = 1 << chosen.plain_bits
    return (chosen.modulus * slot + (t + 1) // 2) // t


# ---- encryption: a zero with a plaintext added


@EVERY_SET
@pytest.mark.parametrize("seed", range(3))
def test_a_zero_with_a_plaintext_added_is_what_seal_encrypts(chosen: ParameterSet, seed: int) -> None:
    """Under the same randomness the bytes are equal, so nothing tells a prepared encryption from another."""
    seal = reference(chosen)
    slots = random_words(chosen, 1 << chosen.plain_bits, seed=seed)
    edges = [0, 1, (1 << chosen.plain_bits) - 1, *nearly_tied(chosen)]
    slots[: len(edges)] = edges
    slots[-seed % 5 :] = 0
    zero, whole = seal.encrypt(np.zeros_like(slots)), seal.encrypt(slots)
    assert whole.seed == zero.seed
    assert (Scaling(chosen).add_plain(zero.words, slots) == whole.words).all()


@EVERY_SET
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_plaintext_is_scaled_exactly(chosen: ParameterSet, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.integers(0, (1 << chosen.plain_bits) - 1), min_size=1, max_size=50))
    zero = data.draw(st.integers(0, chosen.modulus - 1))
    slots = np.array(drawn + nearly_tied(chosen), dtype=np.uint64)
    found = Scaling(chosen).add_plain(np.full(len(slots), zero, dtype=np.uint64), slots)
    assert found.tolist() == [(exactly_scaled(chosen, slot) + zero) % chosen.modulus for slot in slots.tolist()]


def test_a_zero_stays_as_it_is() -> None:
    zero, slots = random_words(BYTE, BYTE.modulus), random_words(BYTE, 1 << BYTE.plain_bits)
    before = zero.copy(), slots.copy()
    Scaling(BYTE).add_plain(zero, slots)
    assert (zero == before[0]).all()
    assert (slots == before[1]).all()


# ---- decryption: the plaintext of c0 + c1·s


@EVERY_SET
def test_words_on_the_edge_of_a_plaintext_decrypt_as_in_seal(chosen: ParameterSet) -> None:
    # With a second polynomial of zero SEAL scales the first as it is.
    words = np.zeros((2, chosen.degree), dtype=np.uint64)
    words[0] = random_words(chosen, chosen.modulus)
    edges = on_the_edge(chosen)
    words[0, : len(edges)] = edges
    phase = words[0].copy()
    Scaling(chosen).remove(phase)
    assert (phase == reference(chosen).decrypt(words)).all()


@EVERY_SET
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_plaintext_is_rounded_exactly(chosen: ParameterSet, data: st.DataObject) -> None:
    q, t = chosen.modulus, 1 << chosen.plain_bits
    drawn = data.draw(st.lists(st.integers(0, 2 * q - 1), min_size=1, max_size=50))
    words = [*drawn, *on_the_edge(chosen), *(word + q for word in on_the_edge(chosen))]
    phase = np.array(words, dtype=np.uint64)
    Scaling(chosen).remove(phase)
    assert phase.tolist() == [(2 * t * word + q) // (2 * q) % t for word in words]


@EVERY_SET
@BOTH_PATHS
def test_a_product_with_the_key_is_what_seal_decrypts_with(
    chosen: ParameterSet, open_path: Callable[..., SealPath]
) -> None:
    seal = reference(chosen)
    path, scaling = open_path(seal.context), Scaling(chosen)
    for seed in range(3):
        firsts, seconds = (random_words(chosen, chosen.modulus, 2, seed=2 * seed + part) for part in (0, 1))
        seconds[0, 0], seconds[1, :2] = chosen.modulus - 1, (0, 1)
        phases = firsts + path.times(seal.key.data(), list(seconds))
        scaling.remove(phases)
        for first, second, phase in zip(firsts, seconds, phases, strict=True):
            assert (phase == seal.decrypt(np.stack([first, second]))).all()


@EVERY_PATH
@pytest.mark.parametrize("zeros", [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_sums_decrypt_as_in_seal_also_those_whose_second_polynomial_is_zero(
    path: CipherPath, zeros: tuple[int, ...], count: int
) -> None:
    cipher = UpdateCipher(BYTE, SEED, 1, path)
    seal = SealReference(BYTE, cipher._key)
    sums = random_words(BYTE, BYTE.modulus, count, 2)
    for place in zeros:
        sums[place % count, 1] = 0
    found = cipher.decrypt([encode_sum(BYTE, 1, words) for words in sums])
    assert (found == np.stack([seal.decrypt(words) for words in sums])).all()


@EVERY_PATH
def test_a_malformed_sum_leaves_the_cipher_as_it_was(path: CipherPath) -> None:
    cipher = UpdateCipher(BYTE, SEED, 1, path)
    good = [encode_sum(BYTE, 1, words) for words in random_words(BYTE, BYTE.modulus, 2, 2)]
    expected = cipher.decrypt(good)
    for wrong, place in [([good[0], good[1][:-1]], 2), ([good[0], good[1], good[0][:9]], 3)]:
        with pytest.raises(EncryptionError, match=f"chunk {place} of the sum: truncated"):
            cipher.decrypt(wrong)
    for count in (1, 3):
        with pytest.raises(EncryptionError, match="chunks"):
            cipher.decrypt(iter(good), count)
    assert (cipher.decrypt(good) == expected).all()


# ---- sets that can't be scaled


@pytest.mark.parametrize(
    "changed",
    [
        {"modulus": BYTE.modulus + 2},
        {"modulus": (1 << 57) + (1 << 40) + 1},
        {"modulus": (1 << 62) - 8192 + 1},
        {"plain_bits": 13},
        {"plain_bits": 58},
    ],
    ids=["not 1 modulo 2N", "far below a power of two", "too large", "t too small", "t not below q"],
)
def test_a_set_that_cant_be_scaled_exactly_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(EncryptionError, match="can't be scaled exactly"):
        Scaling(replace(BYTE, **changed))
