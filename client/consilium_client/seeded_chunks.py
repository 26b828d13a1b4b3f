"""Hospitals' chunks with their second polynomial, as SEAL expands it from the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_proto.chunks import decode_update
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_streams import MemoryFile, SealContext


class SeedExpander:
    """Expands chunks of one parameter set and key epoch. Needs no key. For one thread at a time."""

    def __init__(self, parameter_set: ParameterSet, epoch: int) -> None:
        self._parameter_set = parameter_set
        self._epoch = epoch
        self._context = SealContext(parameter_set)
        self._file = MemoryFile()

    def expand(self, content: bytes) -> NDArray[np.uint64]:
        """Return both polynomials of a chunk, uint64[2, degree].

        Raises:
            ChunkError: a malformed chunk.
        """
        chunk = decode_update(self._parameter_set, self._epoch, content)
        ciphertext = sealapi.Ciphertext()
        self._file.load(ciphertext, self._context.seal, self._context.update_stream(chunk.words, chunk.seed))
        return self._context.read_sum(self._file.save(ciphertext))
