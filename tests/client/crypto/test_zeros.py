"""Prepared encryptions of zero: each is used once, in one process, and becomes an encryption like any other."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from consilium_aggregator.summation import add_chunks
from consilium_client.encryption import UpdateCipher
from consilium_client.errors import EncryptionError
from consilium_client.zeros import PreparedZeros
from consilium_proto.chunks import decode_update
from consilium_proto.parameter_sets import parameter_set

SEED = bytes(range(64))
BYTE = parameter_set("bfv4096-q58-b8")


def some_slots(chunks: int) -> NDArray[np.uint64]:
    return np.random.default_rng(chunks).integers(0, 1 << BYTE.plain_bits, (chunks, BYTE.degree), dtype=np.uint64)


def prepared_zeros(count: int) -> PreparedZeros:
    source, prepared = UpdateCipher(BYTE, SEED, 1), PreparedZeros()
    for _ in range(count):
        prepared.add(source.encrypt_zero())
    return prepared


def test_each_zero_is_used_once_and_then_the_cipher_goes_on_by_itself() -> None:
    source, prepared = UpdateCipher(BYTE, SEED, 1), PreparedZeros()
    made = [source.encrypt_zero() for _ in range(3)]
    for zero in made:
        prepared.add(zero)
    slots = some_slots(5)
    cipher = UpdateCipher(BYTE, SEED, 1, zeros=prepared)
    chunks = list(cipher.encrypt(slots))
    assert [chunk[-64:] for chunk in chunks[:3]] == [zero.seed for zero in made]
    assert len({chunk[-64:] for chunk in chunks}) == 5
    assert len(prepared) == 0
    assert prepared.take() is None
    sums = [add_chunks(BYTE, 1, [chunk]) for chunk in chunks]
    assert (cipher.decrypt(sums) == slots).all()


def test_two_plaintexts_under_one_zero_would_give_away_their_difference() -> None:
    """The attack that all this is against: without any key, from two chunks that share a zero."""
    prepared, slots = prepared_zeros(1), some_slots(2)
    zero = prepared.take()
    assert zero is not None
    twice = PreparedZeros()
    twice.add(zero)
    twice.add(zero)
    one, other = (
        decode_update(BYTE, 1, chunk).words for chunk in UpdateCipher(BYTE, SEED, 1, zeros=twice).encrypt(slots)
    )
    difference = (one + (np.uint64(BYTE.modulus) - other)) % np.uint64(BYTE.modulus)
    modulus, plain = BYTE.modulus, 1 << BYTE.plain_bits
    found = [(word * plain + modulus // 2) // modulus % plain for word in difference.tolist()]
    assert found == [(first - second) % plain for first, second in zip(*slots.tolist(), strict=True)]


def test_a_forked_process_finds_none() -> None:
    prepared = prepared_zeros(3)
    slots = some_slots(3)
    cipher = UpdateCipher(BYTE, SEED, 1, zeros=prepared)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "wb") as out:
            out.write(bytes([len(prepared), prepared.take() is None]) + b"".join(cipher.encrypt(slots)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as source:
        content = source.read()
    assert os.waitpid(child, 0)[1] == 0
    assert content[:2] == bytes([0, True])
    assert len(prepared) == 3
    own = list(cipher.encrypt(slots))
    assert len(prepared) == 0
    theirs = [content[at : at + len(own[0])] for at in range(2, len(content), len(own[0]))]
    assert len({chunk[-64:] for chunk in own + theirs}) == 6
    assert (cipher.decrypt([add_chunks(BYTE, 1, [chunk]) for chunk in theirs]) == slots).all()


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_they_are_neither_copied_nor_pickled(twin: Callable[[PreparedZeros], object]) -> None:
    prepared = prepared_zeros(1)
    with pytest.raises(EncryptionError, match="never copied"):
        twin(prepared)
    assert len(prepared) == 1
