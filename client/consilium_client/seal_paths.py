"""Two ways through SEAL for one chunk: TenSEAL's interface, and SEAL's own buffers. Both give the same bytes.

The interface is what TenSEAL documents, and the default. The buffers are faster, and used only after they were compared
with the interface in this process (`consilium_proto.seal_buffers.check`).
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_client.cipher_path import CipherPath
from consilium_proto import seal_buffers
from consilium_proto.chunks import UpdateChunk
from consilium_proto.seal_buffers import SealBuffersError
from consilium_proto.seal_streams import MemoryFile, SealContext

log = logging.getLogger("consilium.encryption")

Words = NDArray[np.uint64]


class SealPath(Protocol):
    """What a cipher and an expander need of SEAL, chunk by chunk. For one thread at a time."""

    def encrypt(self, encryptor: Any, slots: Words) -> UpdateChunk:
        """Encrypt slots, uint64[degree]."""
        ...

    def decrypt(self, decryptor: Any, words: Words, slots: Words) -> None:
        """Decrypt both polynomials, uint64[2, degree], into slots, uint64[degree]."""
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
        self._file = MemoryFile()

    def encrypt(self, encryptor: Any, slots: Words) -> UpdateChunk:
        """See `SealPath`."""
        plaintext = sealapi.Plaintext()
        self._file.load(plaintext, self._context.seal, self._context.plaintext_stream(slots))
        words, seed = self._context.read_update(self._file.save(encryptor.encrypt_symmetric(plaintext)))
        return UpdateChunk(words, seed)

    def decrypt(self, decryptor: Any, words: Words, slots: Words) -> None:
        """See `SealPath`."""
        ciphertext, plaintext = sealapi.Ciphertext(), sealapi.Plaintext()
        self._file.load(ciphertext, self._context.seal, self._context.sum_stream(words))
        decryptor.decrypt(ciphertext, plaintext)
        slots[:] = self._context.read_plaintext(self._file.save(plaintext))

    def expand(self, chunk: UpdateChunk, words: Words) -> None:
        """See `SealPath`."""
        ciphertext = sealapi.Ciphertext()
        self._file.load(ciphertext, self._context.seal, self._context.update_stream(chunk.words, chunk.seed))
        words[:] = self._context.read_sum(self._file.save(ciphertext)).reshape(-1)


class BufferPath:
    """Through views on SEAL's memory; objects are made once and used again."""

    def __init__(self, context: SealContext) -> None:
        self._context = context
        self._degree = context.parameter_set.degree
        self._file = MemoryFile()
        self._plaintext = sealapi.Plaintext(self._degree)
        self._decrypted = sealapi.Plaintext()
        self._expanded = sealapi.Ciphertext()
        self._ciphertext = sealapi.Ciphertext()
        empty = context.sum_stream(np.zeros((2, self._degree), dtype=np.uint64))
        self._file.load(self._ciphertext, context.seal, empty)

    def encrypt(self, encryptor: Any, slots: Words) -> UpdateChunk:
        """See `SealPath`."""
        seal_buffers.plaintext_words(self._plaintext)[:] = slots
        seeded = encryptor.encrypt_symmetric(self._plaintext)
        words, seed = seal_buffers.seeded_words(seeded, self._degree)
        return UpdateChunk(words.copy(), seed)

    def decrypt(self, decryptor: Any, words: Words, slots: Words) -> None:
        """See `SealPath`."""
        seal_buffers.ciphertext_words(self._ciphertext)[:] = words.reshape(-1)
        decryptor.decrypt(self._ciphertext, self._decrypted)
        found = seal_buffers.plaintext_words(self._decrypted)
        slots[: len(found)] = found
        slots[len(found) :] = 0

    def expand(self, chunk: UpdateChunk, words: Words) -> None:
        """See `SealPath`."""
        stream = self._context.update_stream(chunk.words, chunk.seed)
        self._file.load(self._expanded, self._context.seal, stream)
        words[:] = seal_buffers.ciphertext_words(self._expanded)
