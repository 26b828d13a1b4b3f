"""What SEAL itself encrypts and decrypts, through its documented interface alone: slow, and what others must equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_proto.chunks import UpdateChunk
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_streams import MemoryFile, SealContext

Words = NDArray[np.uint64]


class SealReference:
    """SEAL under one key, with a generator that always starts alike: two encryptions have the same randomness."""

    def __init__(self, chosen: ParameterSet, key: Any = None) -> None:
        self.context = SealContext(chosen, seed=[7] * 8)
        self.key = sealapi.KeyGenerator(self.context.seal).secret_key() if key is None else key
        self.encryptor = sealapi.Encryptor(self.context.seal, self.key)
        self._decryptor = sealapi.Decryptor(self.context.seal, self.key)
        self._file = MemoryFile()

    def encrypt(self, slots: Words) -> UpdateChunk:
        """Encrypt slots, uint64[degree]."""
        terms = [f"{slot:X}x^{power}" for power, slot in enumerate(slots.tolist()) if slot]
        plaintext = sealapi.Plaintext(" + ".join(reversed(terms)).removesuffix("x^0") or "0")
        return UpdateChunk(*self.context.read_update(self._file.save(self.encryptor.encrypt_symmetric(plaintext))))

    def decrypt(self, words: Words) -> Words:
        """Decrypt both polynomials, uint64[2, degree], to slots, uint64[degree]."""
        ciphertext, plaintext = sealapi.Ciphertext(), sealapi.Plaintext()
        self._file.load(ciphertext, self.context.seal, self.context.sum_stream(words))
        self._decryptor.decrypt(ciphertext, plaintext)
        slots = np.zeros(words.shape[1], dtype=np.uint64)
        count = plaintext.coeff_count()
        slots[:count] = [plaintext.data(place) for place in range(count)]
        return slots

    def expand(self, chunk: UpdateChunk) -> Words:
        """Return both polynomials of a chunk, uint64[2, degree]."""
        ciphertext = sealapi.Ciphertext()
        self._file.load(ciphertext, self.context.seal, self.context.update_stream(chunk.words, chunk.seed))
        return self.context.read_sum(self._file.save(ciphertext))
