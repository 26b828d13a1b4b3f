"""Both ways through SEAL give the same bytes; prepared encryptions of zero become encryptions like any other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_client.cipher_path import CipherPath
from consilium_client.encryption import UpdateCipher
from consilium_client.seal_paths import BufferPath, InterfacePath, open_path
from consilium_client.zeros import PreparedZeros, add_plaintext
from consilium_proto import seal_buffers
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


class Repeatable:
    """A context whose generator always starts alike, so that two encryptions of the same are the same."""

    def __init__(self, chosen: ParameterSet) -> None:
        self.context = SealContext(chosen, seed=[7] * 8)
        self.key = sealapi.KeyGenerator(self.context.seal).secret_key()
        self.encryptor = sealapi.Encryptor(self.context.seal, self.key)
        self.decryptor = sealapi.Decryptor(self.context.seal, self.key)


@EVERY_SET
def test_both_ways_give_the_same_bytes(chosen: ParameterSet) -> None:
    fixed = Repeatable(chosen)
    interface, buffers = InterfacePath(fixed.context), BufferPath(fixed.context)
    for seed in range(4):
        slots = some_slots(chosen, seed)
        one, other = (path.encrypt(fixed.encryptor, slots) for path in (interface, buffers))
        assert (one.words == other.words).all()
        assert one.seed == other.seed
        wholes = np.empty((2, 2 * chosen.degree), dtype=np.uint64)
        for path, whole in zip((interface, buffers), wholes, strict=True):
            path.expand(one, whole)
        assert (wholes[0] == wholes[1]).all()
        for path in (interface, buffers):
            found = np.empty(chosen.degree, dtype=np.uint64)
            path.decrypt(fixed.decryptor, wholes[0].reshape(2, -1), found)
            assert (found == slots).all()


@EVERY_SET
def test_a_zero_with_a_plaintext_added_is_what_seal_encrypts(chosen: ParameterSet) -> None:
    """Under the same randomness the bytes are equal, so nothing tells a prepared encryption from another."""
    fixed = Repeatable(chosen)
    path = InterfacePath(fixed.context)
    zero = path.encrypt(fixed.encryptor, np.zeros(chosen.degree, dtype=np.uint64))
    for seed in range(6):
        slots = some_slots(chosen, seed)
        whole = path.encrypt(fixed.encryptor, slots)
        assert whole.seed == zero.seed
        assert (add_plaintext(chosen, zero.words, slots) == whole.words).all()


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


# ---- prepared zeros


def test_each_zero_is_used_once_and_then_the_cipher_goes_on_by_itself() -> None:
    source, prepared = UpdateCipher(BYTE, SEED, 1), PreparedZeros()
    made = [source.encrypt_zero() for _ in range(3)]
    for zero in made:
        prepared.add(zero)
    slots = np.stack([some_slots(BYTE, seed) for seed in range(5)])
    cipher = UpdateCipher(BYTE, SEED, 1, zeros=prepared)
    chunks = list(cipher.encrypt(slots))
    assert [chunk[-64:] for chunk in chunks[:3]] == [zero.seed for zero in made]
    assert len({chunk[-64:] for chunk in chunks}) == 5
    assert len(prepared) == 0
    assert prepared.take() is None
    from consilium_aggregator.summation import add_chunks

    sums = [add_chunks(BYTE, 1, [chunk]) for chunk in chunks]
    assert (cipher.decrypt(sums) == slots).all()
