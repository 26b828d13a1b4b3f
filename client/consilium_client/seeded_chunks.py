"""Hospitals' chunks with their second polynomial, as SEAL expands it from the seed. Needs no key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consilium_client.seal_paths import open_path
from consilium_proto.chunks import decode_update
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_streams import SealContext


class SeedExpander:
    """Expands chunks of one parameter set and key epoch. For one thread at a time."""

    def __init__(self, parameter_set: ParameterSet, epoch: int, path: CipherPath = CipherPath.BUFFERS) -> None:
        self._parameter_set = parameter_set
        self._epoch = epoch
        self._path = open_path(path, SealContext(parameter_set))

    def expand(self, content: bytes, words: NDArray[np.uint64]) -> None:
        """Write both polynomials of a chunk into words, uint64[2 · degree].

        Raises:
            ChunkError: a malformed chunk.
        """
        self._path.expand(decode_update(self._parameter_set, self._epoch, content), words)
