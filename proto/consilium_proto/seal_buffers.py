"""numpy views on the buffers of SEAL's objects: the fast way in and out. Needs numpy and tenseal.

TenSEAL's interface moves polynomials through files, compressed on the way out. Their memory is at hand, though: a
pybind11 object holds a pointer to SEAL's, and SEAL's holds size and address of its words. None of that is promised by
an interface, so nobody may use it before `check` has found, in this very process, that what the views show is what the
interface says. The views are valid as long as their object lives and isn't written by SEAL.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_proto.chunks import SEED_SIZE
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_streams import MemoryFile, SealContext

Words = NDArray[np.uint64]

# The release whose layout is described here; any other is refused before a pointer is followed.
_TENSEAL = "0.3.18"
_POINTER = ctypes.sizeof(ctypes.c_uint64)
# pybind11: a Python object's header, then the pointer to the C++ object.
_INSTANCE = 2 * _POINTER
# SEAL 4.3: where the words' count and address lie in the C++ object.
_CIPHERTEXT_COUNT, _PLAINTEXT_COUNT = 13 * _POINTER, 9 * _POINTER
# In place of its second polynomial a seeded ciphertext holds a mark and the generator's stream.
_SEEDED = np.uint64((1 << 64) - 1)
_GENERATOR_STREAM = 16 + 1 + SEED_SIZE
_STREAM_MAGIC, _BLAKE2XB = b"\x5e\xa1", 1


class SealBuffersError(WireError):
    """SEAL's buffers aren't where this release looks for them; the interface still works."""


def ciphertext_words(ciphertext: Any) -> Words:
    """Return a view of a ciphertext's words, uint64[2 · degree]: both polynomials, one after the other."""
    return _view(ciphertext, _CIPHERTEXT_COUNT)


def plaintext_words(plaintext: Any) -> Words:
    """Return a view of a plaintext's coefficients, uint64[count]; SEAL leaves out trailing zeros of a decrypted one."""
    return _view(plaintext, _PLAINTEXT_COUNT)


def seeded_words(ciphertext: Any, degree: int) -> tuple[Words, bytes]:
    """Return a view of a seeded ciphertext's first polynomial, uint64[degree], and the seed of the second.

    Raises:
        SealBuffersError: the ciphertext isn't seeded with Blake2xb.
    """
    words = ciphertext_words(ciphertext)
    start = degree + 1
    stream = words[start : start + -(-_GENERATOR_STREAM // _POINTER)].tobytes()[:_GENERATOR_STREAM]
    if words[degree] != _SEEDED or stream[:2] != _STREAM_MAGIC or stream[16] != _BLAKE2XB:
        raise SealBuffersError("SEAL made a ciphertext that isn't seeded with Blake2xb")
    return words[:degree], stream[-SEED_SIZE:]


def _view(instance: Any, count_at: int) -> Words:
    place = ctypes.c_uint64.from_address(id(instance) + _INSTANCE).value
    count = ctypes.c_uint64.from_address(place + count_at).value
    address = ctypes.c_uint64.from_address(place + count_at + _POINTER).value
    return np.frombuffer(memoryview((ctypes.c_uint64 * count).from_address(address)).cast("B"), dtype=np.uint64)


@functools.cache
def check(parameter_set: ParameterSet) -> None:
    """Compare what the views show with what TenSEAL's interface says, for one parameter set; once in a process.

    Raises:
        SealBuffersError: another TenSEAL or Python than this layout is of, or a difference.
    """
    if version("tenseal") != _TENSEAL or sys.implementation.name != "cpython" or sys.byteorder != "little":
        raise SealBuffersError(
            f"SEAL's buffers are known for tenseal {_TENSEAL} on little-endian CPython, not for "
            f"{version('tenseal')} on {sys.byteorder}-endian {sys.implementation.name}"
        )
    context = SealContext(parameter_set)
    key = sealapi.KeyGenerator(context.seal).secret_key()
    file = MemoryFile()
    try:
        _check_round(context, key, file)
    finally:
        file.close()


def _check_round(context: SealContext, key: Any, file: MemoryFile) -> None:
    """Encrypt, expand, decrypt: with views on one side and streams on the other."""
    degree = context.parameter_set.degree
    # A last coefficient that isn't zero, since SEAL leaves out trailing zeros.
    slots = np.arange(1, degree + 1, dtype=np.uint64) % np.uint64(1 << context.parameter_set.plain_bits)
    plaintext = sealapi.Plaintext(degree)
    _require(len(plaintext_words(plaintext)) == degree)
    plaintext_words(plaintext)[:] = slots
    _require(bool((context.read_plaintext(file.save(plaintext)) == slots).all()))
    seeded = sealapi.Encryptor(context.seal, key).encrypt_symmetric(plaintext)
    words, seed = seeded_words(seeded, degree)
    streamed, streamed_seed = context.read_update(file.save(seeded))
    _require(seed == streamed_seed and bool((words == streamed).all()))
    whole = sealapi.Ciphertext()
    file.load(whole, context.seal, context.update_stream(streamed, seed))
    shown = ciphertext_words(whole)
    _require(len(shown) == 2 * degree and bool((shown == context.read_sum(file.save(whole)).reshape(-1)).all()))
    target = sealapi.Ciphertext()
    file.load(target, context.seal, context.sum_stream(np.zeros((2, degree), dtype=np.uint64)))
    ciphertext_words(target)[:] = shown
    decrypted = sealapi.Plaintext()
    sealapi.Decryptor(context.seal, key).decrypt(target, decrypted)
    _require(bool((plaintext_words(decrypted) == slots).all()))


def _require(holds: bool) -> None:
    if not holds:
        raise SealBuffersError("SEAL's buffers don't hold what its interface says")
