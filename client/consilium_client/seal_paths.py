"""Two ways through SEAL: TenSEAL's interface, and SEAL's own buffers. Both give the same bytes.

The interface is what TenSEAL documents, and the default. The buffers are faster, and used only after they were compared
with the interface in this process (`consilium_proto.seal_buffers.check`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_proto import seal_buffers
from consilium_proto.chunks import UpdateChunk
from consilium_proto.cipher_path import CipherPath
from consilium_proto.seal_buffers import SealBuffersError, SeedExpansion
from consilium_proto.seal_streams import MemoryFile, SealContext

log = logging.getLogger("consilium.encryption")

Words = NDArray[np.uint64]


class SealPath(Protocol):
    """What a cipher and an expander need of SEAL. For one thread at a time."""

    def encrypt_zero(self, encryptor: Any) -> UpdateChunk:
        """Encrypt zero."""
        ...

    def times(self, key: Any, polynomials: Sequence[Words]) -> Words:
        """Return the products of two polynomials, uint64[degree] each, with the secret key: uint64[2, degree].

        SEAL takes them for the polynomials of one ciphertext, which halves what a product costs beside its
        arithmetic. It refuses a ciphertext whose second polynomial is zero ("transparent"), so that must not be.

        Args:
            key: the secret key's plaintext (`SecretKey.data`), which SEAL holds transformed.
            polynomials: the two, each word below q.

        Returns:
            The products, which may be a view that the next call writes.
        """
        ...

    def expand(self, chunk: UpdateChunk, words: Words) -> None:
        """Write both polynomials of a hospital's chunk into words, uint64[2 · degree]."""
        ...


def open_path(chosen: CipherPath, context: SealContext) -> SealPath:
    """Return the chosen way; the interface, and a warning, where the buffers can't be used."""
    if chosen is CipherPath.BUFFERS:
        try:
            seal_buffers.check(context.parameter_set)
        except SealBuffersError as error:
            log.warning("SEAL's buffers can't be used; going on through its interface", extra={"detail": str(error)})
        else:
            return BufferPath(context)
    return InterfacePath(context)


class InterfacePath:
    """Through streams, as TenSEAL's interface reads and writes them."""

    def __init__(self, context: SealContext) -> None:
        self._context = context
        self._evaluator = sealapi.Evaluator(context.seal)
        self._file = MemoryFile()

    def encrypt_zero(self, encryptor: Any) -> UpdateChunk:
        """See `SealPath`."""
        return UpdateChunk(*self._context.read_update(self._file.save(encryptor.encrypt_zero_symmetric())))

    def times(self, key: Any, polynomials: Sequence[Words]) -> Words:
        """See `SealPath`."""
        ciphertext = sealapi.Ciphertext()
        self._file.load(ciphertext, self._context.seal, self._context.sum_stream(np.stack(polynomials)))
        _multiply(self._evaluator, ciphertext, key)
        return self._context.read_sum(self._file.save(ciphertext))

    def expand(self, chunk: UpdateChunk, words: Words) -> None:
        """See `SealPath`."""
        ciphertext = sealapi.Ciphertext()
        self._file.load(ciphertext, self._context.seal, self._context.update_stream(chunk.words, chunk.seed))
        words[:] = self._context.read_sum(self._file.save(ciphertext)).reshape(-1)


class BufferPath:
    """Through views on SEAL's memory; objects are made once and used again."""

    def __init__(self, context: SealContext) -> None:
        self._evaluator = sealapi.Evaluator(context.seal)
        self._degree = context.parameter_set.degree
        self._expansion = SeedExpansion(self._degree, context.parameter_set.modulus)
        self._ciphertext = sealapi.Ciphertext()
        file = MemoryFile()
        file.load(self._ciphertext, context.seal, context.sum_stream(np.zeros((2, self._degree), dtype=np.uint64)))
        file.close()

    def encrypt_zero(self, encryptor: Any) -> UpdateChunk:
        """See `SealPath`."""
        seeded = encryptor.encrypt_zero_symmetric()
        words, seed = seal_buffers.seeded_words(seeded, self._degree)
        return UpdateChunk(words.copy(), seed)

    def times(self, key: Any, polynomials: Sequence[Words]) -> Words:
        """See `SealPath`."""
        # Looked up anew: SEAL may have moved them.
        for row, polynomial in zip(self._words(), polynomials, strict=True):
            row[:] = polynomial
        _multiply(self._evaluator, self._ciphertext, key)
        return self._words()

    def expand(self, chunk: UpdateChunk, words: Words) -> None:
        """See `SealPath`."""
        words[: self._degree] = chunk.words
        self._expansion.write(chunk.seed, words[self._degree :])

    def _words(self) -> Words:
        return seal_buffers.ciphertext_words(self._ciphertext).reshape(2, self._degree)


def _multiply(evaluator: Any, ciphertext: Any, key: Any) -> None:
    """Multiply each polynomial of a ciphertext by the key, modulo X^N + 1 and q."""
    evaluator.transform_to_ntt_inplace(ciphertext)
    evaluator.multiply_plain_inplace(ciphertext, key)
    evaluator.transform_from_ntt_inplace(ciphertext)
