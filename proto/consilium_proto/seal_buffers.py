"""numpy views on the buffers of SEAL's objects: the fast way in and out. Needs numpy and tenseal.

TenSEAL's interface moves polynomials through files, compressed on the way out. Their memory is at hand, though: a
pybind11 object holds a pointer to SEAL's, and SEAL's holds size and address of its words. None of that is promised by
an interface, so nobody may use it before `check` has found, in this very process, that what the views show is what the
interface says. The views are valid as long as their object lives and isn't written by SEAL.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_proto.chunks import SEED_SIZE
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.residues import reduce
from consilium_proto.seal_streams import MemoryFile, SealContext
from consilium_proto.seed_expansion import REFILL_BYTES, acceptance_limit, expand_seed

Words = NDArray[np.uint64]

# The release whose layout is described here; any other is refused before a pointer is followed.
_TENSEAL = "0.3.18"
_POINTER = ctypes.sizeof(ctypes.c_uint64)
# pybind11: a Python object's header, then the pointer to the C++ object.
_INSTANCE = 2 * _POINTER
# SEAL 4.3: where the count of the words (of a generator, of the bytes) and their address lie in the C++ object.
_CIPHERTEXT_COUNT, _GENERATOR_COUNT = 13 * _POINTER, 13 * _POINTER
# In place of its second polynomial a seeded ciphertext holds a mark and the generator's stream.
_SEEDED = np.uint64((1 << 64) - 1)
_GENERATOR_STREAM = 16 + 1 + SEED_SIZE
_STREAM_MAGIC, _BLAKE2XB = b"\x5e\xa1", 1
_SEED = struct.Struct("<8Q")


class SealBuffersError(WireError):
    """SEAL's buffers aren't where this release looks for them; the interface still works."""


def ciphertext_words(ciphertext: Any) -> Words:
    """Return a view of a ciphertext's words, uint64[2 · degree]: both polynomials, one after the other."""
    count, address = _array(ciphertext, _CIPHERTEXT_COUNT)
    return _view(count, address)


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


class SeedExpansion:
    """Expands seeds to polynomials of one degree and modulus. For one thread at a time.

    SEAL's generator fills a buffer of its own, refill by refill; that is read here, and what SEAL does with it after
    (`sample_poly_uniform`) is done by numpy, so that no ciphertext has to pass through a file.
    """

    def __init__(self, degree: int, modulus: int) -> None:
        self._degree = degree
        self._modulus = modulus
        self._limit = acceptance_limit(modulus)

    def write(self, seed: bytes, words: Words) -> None:
        """Write the polynomial of a 64-byte seed into words, uint64[degree].

        Raises:
            SealBuffersError: the generator's buffer isn't where this release looks for it.
        """
        generator = sealapi.Blake2xbPRNG(_SEED.unpack(seed))
        buffer = _generator_words(generator)
        for start in range(0, self._degree, len(buffer)):
            generator.refresh()
            words[start : start + len(buffer)] = buffer
        if int(words.max()) >= self._limit:
            # Some word is drawn again, once in millions of polynomials.
            words[:] = expand_seed(seed, self._degree, self._modulus)
        else:
            reduce(words, self._modulus)


def _generator_words(generator: Any) -> Words:
    """Return a view of what a generator drew last, uint64[512]."""
    size, address = _array(generator, _GENERATOR_COUNT)
    _require(size == REFILL_BYTES)
    return _view(size // _POINTER, address)


def _array(instance: Any, count_at: int) -> tuple[int, int]:
    place = ctypes.c_uint64.from_address(id(instance) + _INSTANCE).value
    count, address = (ctypes.c_uint64 * 2).from_address(place + count_at)
    return count, address


def _view(count: int, address: int) -> Words:
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
    """Encrypt, expand, write a ciphertext: with views on one side and streams on the other."""
    degree, modulus = context.parameter_set.degree, context.parameter_set.modulus
    seeded = sealapi.Encryptor(context.seal, key).encrypt_zero_symmetric()
    words, seed = seeded_words(seeded, degree)
    streamed, streamed_seed = context.read_update(file.save(seeded))
    _require(seed == streamed_seed and bool((words == streamed).all()))
    whole = sealapi.Ciphertext()
    file.load(whole, context.seal, context.update_stream(streamed, seed))
    shown = ciphertext_words(whole)
    _require(len(shown) == 2 * degree and bool((shown == context.read_sum(file.save(whole)).reshape(-1)).all()))
    expanded = np.empty(degree, dtype=np.uint64)
    SeedExpansion(degree, modulus).write(seed, expanded)
    _require(bool((expanded == shown[degree:]).all()))
    target = sealapi.Ciphertext()
    file.load(target, context.seal, context.sum_stream(np.zeros((2, degree), dtype=np.uint64)))
    ciphertext_words(target)[:] = shown
    _require(bool((context.read_sum(file.save(target)).reshape(-1) == shown).all()))


def _require(holds: bool) -> None:
    if not holds:
        raise SealBuffersError("SEAL's buffers don't hold what its interface says")
