"""Both ways through SEAL give the same bytes, which are SEAL's own."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from seal_reference import SealReference

from consilium_client.encryption import UpdateCipher
from consilium_client.seal_paths import BufferPath, InterfacePath, open_path
from consilium_proto import seal_buffers
from consilium_proto.chunks import encode_update
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet, parameter_set
from consilium_proto.seal_buffers import SealBuffersError
from consilium_proto.seal_streams import SealContext

EVERY_SET = pytest.mark.parametrize("chosen", PARAMETER_SETS.values(), ids=lambda chosen: chosen.name)
SEED = bytes(range(64))
BYTE = parameter_set("bfv4096-q58-b8")


def some_slots(chosen: ParameterSet, seed: int) -> NDArray[np.uint64]:
    """Random slots with the extremes among them, and zeros at the end, which SEAL leaves out."""
    slots = np.random.default_rng(seed).integers(0, 1 << chosen.plain_bits, chosen.degree, dtype=np.uint64)
    slots[:3] = 0, 1, (1 << chosen.plain_bits) - 1
    slots[-seed % 5 :] = 0
    return slots


@EVERY_SET
def test_both_ways_give_the_same_bytes_and_they_are_seals(chosen: ParameterSet) -> None:
    seal = SealReference(chosen)
    interface, buffers = InterfacePath(seal.context), BufferPath(seal.context)
    fixed = seal.encrypt(np.zeros(chosen.degree, dtype=np.uint64))
    for path in (interface, buffers):
        zero = path.encrypt_zero(seal.encryptor)
        assert (zero.words == fixed.words).all()
        assert zero.seed == fixed.seed
    for seed in range(4):
        slots = some_slots(chosen, seed)
        chunk = replace(seal.encrypt(slots), seed=secrets.token_bytes(64))
        expanded = np.empty((2, 2 * chosen.degree), dtype=np.uint64)
        for path, whole in zip((interface, buffers), expanded, strict=True):
            path.expand(chunk, whole)
            assert (whole == seal.expand(chunk).reshape(-1)).all()
        products = [path.times(seal.key.data(), list(seal.expand(chunk))).copy() for path in (interface, buffers)]
        assert (products[0] == products[1]).all()


@EVERY_SET
@pytest.mark.parametrize("path", CipherPath)
def test_what_a_cipher_encrypts_is_what_seal_encrypts(chosen: ParameterSet, path: CipherPath) -> None:
    """Under the same randomness, with every word and the seed: SEAL adds the plaintext itself."""
    seal = SealReference(chosen)
    cipher = UpdateCipher(chosen, SEED, 1, path)
    cipher._encryptor = seal.encryptor
    slots = np.stack([some_slots(chosen, seed) for seed in range(3)])
    for row, chunk in zip(slots, cipher.encrypt(slots), strict=True):
        expected = seal.encrypt(row)
        assert chunk == encode_update(chosen, 1, expected.words, expected.seed)


def test_where_the_buffers_cant_be_used_the_interface_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: ParameterSet) -> None:
        raise SealBuffersError("another layout")

    monkeypatch.setattr(seal_buffers, "check", refuse)
    with caplog.at_level("WARNING"):
        assert isinstance(open_path(CipherPath.BUFFERS, SealContext(BYTE)), InterfacePath)
    assert "can't be used" in caplog.text


def test_another_release_than_the_layouts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal_buffers, "version", lambda _: "0.3.19")
    seal_buffers.check.cache_clear()
    with pytest.raises(SealBuffersError, match=r"0\.3\.19"):
        seal_buffers.check(BYTE)
    seal_buffers.check.cache_clear()


def test_a_difference_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = seal_buffers.seeded_words

    def off_by_one(ciphertext: Any, degree: int) -> tuple[NDArray[np.uint64], bytes]:
        words, seed = honest(ciphertext, degree)
        changed = words.copy()
        changed[0] ^= np.uint64(1)
        return changed, seed

    monkeypatch.setattr(seal_buffers, "seeded_words", off_by_one)
    seal_buffers.check.cache_clear()
    with pytest.raises(SealBuffersError, match="what its interface says"):
        seal_buffers.check(BYTE)
    seal_buffers.check.cache_clear()


@pytest.mark.parametrize("place", [0, 4095])
def test_a_difference_in_a_seeds_expansion_is_noticed(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    class Wrong(seal_buffers.SeedExpansion):
        def write(self, seed: bytes, words: NDArray[np.uint64]) -> None:
            super().write(seed, words)
            words[place] ^= np.uint64(1)

    monkeypatch.setattr(seal_buffers, "SeedExpansion", Wrong)
    seal_buffers.check.cache_clear()
    with pytest.raises(SealBuffersError, match="what its interface says"):
        seal_buffers.check(BYTE)
    seal_buffers.check.cache_clear()


def test_a_generator_whose_buffer_is_of_another_size_isnt_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    # There lies the size of the seed.
    monkeypatch.setattr(seal_buffers, "_GENERATOR_COUNT", 4 * 8)
    with pytest.raises(SealBuffersError):
        seal_buffers.SeedExpansion(BYTE.degree, BYTE.modulus).write(SEED, np.empty(BYTE.degree, dtype=np.uint64))
