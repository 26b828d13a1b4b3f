"""SEAL's stream format and its context, for the client and the aggregator. Needs numpy, tenseal and zstandard.

TenSEAL's documented `sealapi` reads and writes objects as files only and always compresses what it writes. So
objects enter SEAL as uncompressed streams written here and leave as zstd streams read here, both through a file that
exists in memory only. Ciphertexts of a single coefficient prime need no evaluation keys, so there are none.
"""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_proto.chunks import SEED_SIZE
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet

# magic, header size, SEAL's major and minor version, compression, reserved, size of the stream with this header.
_HEADER = struct.Struct("<HBBBBHQ")
_MAGIC = 0xA15E
_UNCOMPRESSED, _ZSTD = 0, 2
_BLAKE2XB = b"\x01"
# parms_id, NTT form; then size, degree, primes, scale, correction factor.
_CIPHERTEXT_START = struct.Struct("<32sBQQQdQ")
_COUNT = struct.Struct("<Q")
_WORD = np.dtype("<u8")


Buffer = bytes | memoryview
Stream = list[Buffer]
"""A stream in parts, to be written one after the other."""


class SealStreamError(WireError):
    """SEAL refused a stream, wrote one that this release can't read, or isn't the SEAL the parameter set is for."""


class MemoryFile:
    """A file in memory through which SEAL loads and saves. For one thread at a time; a forked child gets its own."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._owner = os.getpid()
        self._size = -1
        self._descriptor = os.memfd_create("seal", os.MFD_CLOEXEC)
        self._path = f"/proc/self/fd/{self._descriptor}"
        self._release = weakref.finalize(self, os.close, self._descriptor)

    def load(self, target: Any, context: Any, stream: Sequence[Buffer]) -> None:
        """Load a SEAL object from a stream, given in parts that are written one after the other.

        Raises:
            SealStreamError: SEAL refused it.
        """
        self._renew()
        size = sum(len(part) for part in stream)
        # Pages are kept from one stream to the next of the same size.
        if size != self._size:
            os.ftruncate(self._descriptor, size)
            self._size = size
        os.pwritev(self._descriptor, stream, 0)
        try:
            target.load(context, self._path)
        except (RuntimeError, ValueError) as error:
            raise SealStreamError(f"SEAL refuses the {type(target).__name__.lower()}: {error}") from None

    def save(self, source: Any) -> bytes:
        """Return the stream that SEAL writes for an object."""
        self._renew()
        source.save(self._path)
        self._size = -1
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def close(self) -> None:
        """Give the memory back, at once instead of when the object is collected."""
        self._release()

    def _renew(self) -> None:
        # A forked child would share the file's content with its parent, and each would read the other's objects.
        if self._owner != os.getpid():
            self._release()
            self._open()


class SealContext:
    """SEAL's context of one parameter set, with the streams of its ciphertexts.

    `seed` (8 words) fixes the random generator; only key derivation may use that. Without it SEAL draws a fresh seed
    from the operating system for every operation.

    Attributes:
        parameter_set: the set.
        seal: the `sealapi.SEALContext`.
    """

    def __init__(self, parameter_set: ParameterSet, *, seed: list[int] | None = None) -> None:
        self.parameter_set = parameter_set
        parameters = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(parameter_set.degree)
        parameters.set_coeff_modulus([sealapi.Modulus(parameter_set.modulus)])
        parameters.set_plain_modulus(1 << parameter_set.plain_bits)
        if seed is not None:
            parameters.set_random_generator(sealapi.Blake2xbPRNGFactory(seed))
        level = getattr(sealapi.SEC_LEVEL_TYPE, f"TC{parameter_set.security_bits}")
        self.seal = sealapi.SEALContext(parameters, False, level)
        if not self.seal.parameters_set():
            raise SealStreamError(f"SEAL refuses {parameter_set.name}: {self.seal.parameters_error_message()}")
        self._decompressor = zstandard.ZstdDecompressor()
        self._parms_id = struct.pack("<4Q", *self.seal.first_parms_id())
        self._check_version()

    def update_stream(self, words: NDArray[np.uint64], seed: bytes) -> Stream:
        """Return the stream of a seeded ciphertext: its first polynomial uint64[degree] and the seed of the second."""
        generator = self._header(len(_BLAKE2XB) + len(seed)) + _BLAKE2XB + seed
        return self._stream(self._ciphertext_start(), words, generator)

    def sum_stream(self, words: NDArray[np.uint64]) -> Stream:
        """Return the stream of a full ciphertext of both polynomials, uint64[2, degree]."""
        return self._stream(self._ciphertext_start(), words)

    def read_update(self, stream: bytes) -> tuple[NDArray[np.uint64], bytes]:
        """Return the first polynomial, uint64[degree], and the seed of a seeded ciphertext that SEAL saved."""
        body = self._unwrap(stream)
        degree = self.parameter_set.degree
        words = self._read_array(body, _CIPHERTEXT_START.size, degree)
        tail = self._header(len(_BLAKE2XB) + SEED_SIZE) + _BLAKE2XB
        at = len(body) - SEED_SIZE - len(tail)
        expected = _CIPHERTEXT_START.size + _HEADER.size + _COUNT.size + _WORD.itemsize * degree
        if at != expected or body[at : at + len(tail)] != tail:
            raise SealStreamError("SEAL wrote a ciphertext that isn't seeded with Blake2xb")
        return words, body[-SEED_SIZE:]

    def read_sum(self, stream: bytes) -> NDArray[np.uint64]:
        """Return both polynomials, uint64[2, degree], of a full ciphertext that SEAL saved."""
        body = self._unwrap(stream)
        words = self._read_array(body, _CIPHERTEXT_START.size, 2 * self.parameter_set.degree)
        return words.reshape(2, self.parameter_set.degree)

    def _check_version(self) -> None:
        file = MemoryFile()
        major, minor = _HEADER.unpack_from(file.save(sealapi.Plaintext("0")))[2:4]
        file.close()
        if (major, minor) != self.parameter_set.seal_version:
            expected = "{}.{}".format(*self.parameter_set.seal_version)
            raise SealStreamError(
                f"{self.parameter_set.name} is defined by SEAL {expected}, installed is {major}.{minor}; "
                "install the tenseal release that this package asks for"
            )

    def _ciphertext_start(self) -> bytes:
        return _CIPHERTEXT_START.pack(self._parms_id, 0, 2, self.parameter_set.degree, 1, 1.0, 1)

    def _stream(self, start: bytes, words: NDArray[np.uint64], end: bytes = b"") -> Stream:
        """Wrap an object's start, its array of words and its end; the words are passed on without a copy."""
        content = np.ascontiguousarray(words, dtype=_WORD).reshape(-1)
        array = self._header(_COUNT.size + content.nbytes) + _COUNT.pack(content.size)
        size = len(start) + len(array) + content.nbytes + len(end)
        return [self._header(size) + start + array, content.data.cast("B"), end]

    def _header(self, body: int) -> bytes:
        """Return the header of a stream, or of an object within one, whose body has so many bytes."""
        size = _HEADER.size + body
        return _HEADER.pack(_MAGIC, _HEADER.size, *self.parameter_set.seal_version, _UNCOMPRESSED, 0, size)

    def _unwrap(self, stream: bytes) -> bytes:
        magic, _, _, _, compression, _, size = _HEADER.unpack_from(stream)
        if magic != _MAGIC or size != len(stream):
            raise SealStreamError("SEAL wrote a stream that this release can't read")
        if compression == _UNCOMPRESSED:
            return stream[_HEADER.size :]
        if compression != _ZSTD:
            raise SealStreamError(f"SEAL wrote a stream of compression {compression}; zstd is expected")
        # Two polynomials and what is around them; SEAL doesn't write how much it was.
        most = 2 * _WORD.itemsize * self.parameter_set.degree + 4096
        return self._decompressor.decompress(memoryview(stream)[_HEADER.size :], max_output_size=most)

    def _read_array(self, body: bytes, offset: int, count: int) -> NDArray[np.uint64]:
        (found,) = _COUNT.unpack_from(body, offset + _HEADER.size)
        if found != count:
            raise SealStreamError(f"SEAL wrote {found} words where {count} are expected")
        start = offset + _HEADER.size + _COUNT.size
        return np.frombuffer(body, dtype=_WORD, count=count, offset=start)
