"""Adds the hospitals' ciphertexts, chunk by chunk, without any key."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_aggregator.errors import SummationError
from consilium_proto.chunks import decode_update, encode_sum
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_buffers import SealBuffersError, check, ciphertext_words
from consilium_proto.seal_streams import MemoryFile, SealContext

_adders = threading.local()


class ChunkAdder:
    """Adds chunks of one parameter set. Holds one sum and one chunk in memory; for one thread at a time."""

    def __init__(self, parameter_set: ParameterSet) -> None:
        self._parameter_set = parameter_set
        self._context = SealContext(parameter_set)
        self._file = MemoryFile()
        self._expanded = sealapi.Ciphertext()
        # So many words below q fit a sum of 64 bits, the one that is there included.
        self._before_reduction = ((1 << 64) - 1) // (parameter_set.modulus - 1)
        try:
            check(parameter_set)
            self._views = True
        except SealBuffersError:
            self._views = False

    def add(self, epoch: int, chunks: Iterable[bytes]) -> bytes:
        """Return the sum's chunk of one chunk per hospital, all at the same position and of this key epoch.

        Raises:
            SummationError: no chunk, more than give an exact sum, or a malformed one; the message names its place.
        """
        modulus = np.uint64(self._parameter_set.modulus)
        total = np.zeros(2 * self._parameter_set.degree, dtype=np.uint64)
        count = unreduced = 0
        for chunk in chunks:
            if unreduced + 1 >= self._before_reduction:
                total %= modulus
                unreduced = 1
            count, unreduced = count + 1, unreduced + 1
            total += self._words(epoch, chunk, count)
        try:
            self._parameter_set.check_exact(count)
        except WireError as error:
            raise SummationError(str(error)) from None
        total %= modulus
        return encode_sum(self._parameter_set, epoch, total.reshape(2, -1))

    def _words(self, epoch: int, content: bytes, place: int) -> NDArray[np.uint64]:
        """Return both polynomials of a chunk, uint64[2 · degree]; SEAL expands the seed of the second."""
        try:
            chunk = decode_update(self._parameter_set, epoch, content)
            self._file.load(self._expanded, self._context.seal, self._context.update_stream(chunk.words, chunk.seed))
        except WireError as error:
            raise SummationError(f"chunk {place}: {error}") from None
        if self._views:
            return ciphertext_words(self._expanded)
        return self._context.read_sum(self._file.save(self._expanded)).reshape(-1)


def add_chunks(parameter_set: ParameterSet, epoch: int, chunks: Iterable[bytes]) -> bytes:
    """Return the sum's chunk of one chunk per hospital; safe to call from any thread.

    The chunks are taken one by one, so a generator's are never all in memory.

    Raises:
        SummationError: see `ChunkAdder.add`.
    """
    adders: dict[str, ChunkAdder] = _adders.__dict__.setdefault("by_set", {})
    adder = adders.get(parameter_set.name)
    if adder is None:
        adder = adders[parameter_set.name] = ChunkAdder(parameter_set)
    return adder.add(epoch, chunks)
