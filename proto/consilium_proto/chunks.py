"""The bytes of one ciphertext chunk: what a hospital uploads and what an aggregator publishes. Needs numpy.

A chunk is a header of 64 bytes and little-endian words below q, each in as many whole bytes as q needs. A hospital's
chunk ends in the 64-byte public seed that SEAL expands to the second polynomial; a sum has no seed, so its chunk has
both polynomials.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from consilium_proto.errors import ChunkError
from consilium_proto.parameter_sets import ParameterSet

WIRE_VERSION = 2
SEED_SIZE = 64
# Nobody fetches, shows or looks at more bytes than this as one chunk: twice those of the longest sum's.
LARGEST_CHUNK = 2 * (64 + 2 * 8 * 4096)
_MAGIC = b"CSLC"
# magic, wire version, kind, reserved, epoch, SEAL's version, reserved, parameter set.
_HEADER = struct.Struct("<4sHBxQBB6x40s")
_WORD, _HALF = np.dtype("<u8"), np.dtype("<u4")


class _Kind(IntEnum):
    UPDATE = 1
    SUM = 2


@dataclass(frozen=True, slots=True)
class UpdateChunk:
    """A hospital's chunk: the first polynomial, uint64[degree], each below q, and the seed of the second."""

    words: NDArray[np.uint64]
    seed: bytes


def update_chunk_size(parameter_set: ParameterSet) -> int:
    """Return the size of a hospital's chunk in bytes."""
    return _HEADER.size + parameter_set.word_bytes * parameter_set.degree + SEED_SIZE


def sum_chunk_size(parameter_set: ParameterSet) -> int:
    """Return the size of a sum's chunk in bytes."""
    return _HEADER.size + 2 * parameter_set.word_bytes * parameter_set.degree


def encode_update(parameter_set: ParameterSet, epoch: int, words: NDArray[np.uint64], seed: bytes) -> bytes:
    """Return a hospital's chunk of the first polynomial (uint64[degree]) and the seed of the second (64 bytes).

    Raises:
        ChunkError: a wrong shape, type or length, or a word that isn't below q.
    """
    if len(seed) != SEED_SIZE:
        raise ChunkError(f"a chunk's seed has {SEED_SIZE} bytes, not {len(seed)}")
    body = _encode_words(parameter_set, words, (parameter_set.degree,))
    return b"".join([_header(parameter_set, epoch, _Kind.UPDATE), body, seed])


def decode_update(parameter_set: ParameterSet, epoch: int, content: bytes) -> UpdateChunk:
    """Read a hospital's chunk made under this parameter set and key epoch.

    Raises:
        ChunkError: truncated, oversized, of another kind, version, set or epoch, or with a word that isn't below q.
    """
    _check_form(parameter_set, epoch, content, _Kind.UPDATE, update_chunk_size(parameter_set))
    words = _unpacked(parameter_set, content, parameter_set.degree)
    return UpdateChunk(words, bytes(content[-SEED_SIZE:]))


def encode_sum(parameter_set: ParameterSet, epoch: int, words: NDArray[np.uint64]) -> bytes:
    """Return a sum's chunk of both polynomials, uint64[2, degree].

    Raises:
        ChunkError: a wrong shape or type, or a word that isn't below q.
    """
    body = _encode_words(parameter_set, words, (2, parameter_set.degree))
    return b"".join([_header(parameter_set, epoch, _Kind.SUM), body])


def decode_sum(parameter_set: ParameterSet, epoch: int, content: bytes) -> NDArray[np.uint64]:
    """Read a sum's chunk made under this parameter set and key epoch: both polynomials, uint64[2, degree].

    Raises:
        ChunkError: truncated, oversized, of another kind, version, set or epoch, or with a word that isn't below q.
    """
    _check_form(parameter_set, epoch, content, _Kind.SUM, sum_chunk_size(parameter_set))
    return _unpacked(parameter_set, content, 2 * parameter_set.degree).reshape(2, parameter_set.degree)


def _header(parameter_set: ParameterSet, epoch: int, kind: _Kind) -> bytes:
    if not 1 <= epoch < 1 << 64:
        raise ChunkError(f"a key epoch is a number from 1, not {epoch}")
    name = parameter_set.name.encode()
    return _HEADER.pack(_MAGIC, WIRE_VERSION, kind, epoch, *parameter_set.seal_version, name)


def _check_form(parameter_set: ParameterSet, epoch: int, content: bytes, kind: _Kind, size: int) -> None:
    """Check a chunk's header and length."""
    if len(content) < _HEADER.size:
        raise ChunkError(f"truncated chunk: {len(content)} bytes, a header alone has {_HEADER.size}")
    magic, version, found_kind, found_epoch, major, minor, name = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise ChunkError(f"not a chunk: it starts with {magic.hex()} instead of {_MAGIC.hex()}")
    if version != WIRE_VERSION:
        raise ChunkError(f"chunk of wire version {version}; this release reads version {WIRE_VERSION}")
    if found_kind != kind:
        raise ChunkError(f"chunk of kind {found_kind} where kind {int(kind)} ({kind.name.lower()}) is expected")
    if (major, minor) != parameter_set.seal_version:
        expected = "{}.{}".format(*parameter_set.seal_version)
        raise ChunkError(f"chunk of SEAL {major}.{minor}, but {parameter_set.name} is defined by SEAL {expected}")
    if name.rstrip(b"\0") != parameter_set.name.encode():
        shown = name.rstrip(b"\0").decode("ascii", "backslashreplace")
        raise ChunkError(f"chunk of parameter set {shown!r} where {parameter_set.name!r} is expected")
    if found_epoch != epoch:
        raise ChunkError(f"chunk of key epoch {found_epoch} where epoch {epoch} is expected")
    if len(content) != size:
        wrong = "truncated" if len(content) < size else "oversized"
        raise ChunkError(f"{wrong} chunk: {len(content)} bytes instead of {size}")
    # What is left of the header is padding; a chunk has one byte form, so padding is zero.
    if bytes(content[: _HEADER.size]) != _header(parameter_set, epoch, kind):
        raise ChunkError("chunk with a reserved byte of its header set")


def _encode_words(
    parameter_set: ParameterSet, words: NDArray[np.uint64], shape: tuple[int, ...]
) -> bytearray | memoryview:
    if words.shape != shape or words.dtype != np.uint64:
        raise ChunkError(f"a chunk's words are uint64 of shape {shape}, not {words.dtype} of shape {words.shape}")
    _check_words(parameter_set, words)
    whole = np.ascontiguousarray(words, dtype=_WORD).reshape(-1)
    if parameter_set.word_bytes == _WORD.itemsize:
        return whole.data
    return _packed(whole, parameter_set.word_bytes)


def _packed(words: NDArray[np.uint64], size: int) -> bytearray:
    """Write words of `size` bytes, 5 to 7, as two halves of four each: the byte or more that both have is the same."""
    packed = bytearray(size * len(words))
    for offset in (0, size - _HALF.itemsize):
        half = np.ndarray(len(words), dtype=_HALF, buffer=packed, offset=offset, strides=(size,))
        np.copyto(half, words >> np.uint64(8 * offset), casting="unsafe")
    return packed


def _unpacked(parameter_set: ParameterSet, content: bytes, count: int) -> NDArray[np.uint64]:
    """Return the words behind a chunk's header, uint64[count], each below q, which may be a view of it."""
    size, rest = parameter_set.word_bytes, _WORD.itemsize - parameter_set.word_bytes
    # A word is read with the bytes before it, which are there because of the header, and these are shifted out.
    words = np.ndarray(count, dtype=_WORD, buffer=content, offset=_HEADER.size - rest, strides=(size,))
    if rest:
        words = words >> np.uint64(8 * rest)
    _check_words(parameter_set, words)
    return words


def _check_words(parameter_set: ParameterSet, words: NDArray[np.uint64]) -> None:
    if int(words.max()) >= parameter_set.modulus:
        position = int(np.argmax(words.reshape(-1) >= parameter_set.modulus))
        raise ChunkError(
            f"word {position} of the chunk is {int(words.reshape(-1)[position])}, not below q = {parameter_set.modulus}"
        )
