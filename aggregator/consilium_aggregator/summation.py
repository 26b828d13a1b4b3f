"""Adds the hospitals' ciphertexts, chunk by chunk, without any key."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from tenseal import sealapi

from consilium_aggregator.errors import SummationError
from consilium_proto.chunks import decode_update, encode_sum
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_streams import MemoryFile, SealContext

_adders = threading.local()


class ChunkAdder:
    """Adds chunks of one parameter set. Holds one sum and one chunk in memory; for one thread at a time."""

    def __init__(self, parameter_set: ParameterSet) -> None:
        self._parameter_set = parameter_set
        self._context = SealContext(parameter_set)
        self._evaluator = sealapi.Evaluator(self._context.seal)
        self._file = MemoryFile()

    def add(self, epoch: int, chunks: Sequence[bytes]) -> bytes:
        """Return the sum's chunk of one chunk per hospital, all at the same position and of this key epoch.

        Raises:
            SummationError: no chunk, more than give an exact sum, or a malformed one; the message names its place.
        """
        try:
            self._parameter_set.check_exact(len(chunks))
        except WireError as error:
            raise SummationError(str(error)) from None
        total = self._load(epoch, chunks, 0)
        for place in range(1, len(chunks)):
            self._evaluator.add_inplace(total, self._load(epoch, chunks, place))
        words = self._context.read_sum(self._file.save(total))
        return encode_sum(self._parameter_set, epoch, np.ascontiguousarray(words))

    def _load(self, epoch: int, chunks: Sequence[bytes], place: int) -> sealapi.Ciphertext:
        ciphertext = sealapi.Ciphertext()
        try:
            chunk = decode_update(self._parameter_set, epoch, chunks[place])
            self._file.load(ciphertext, self._context.seal, self._context.update_stream(chunk.words, chunk.seed))
        except WireError as error:
            raise SummationError(f"chunk {place + 1} of {len(chunks)}: {error}") from None
        return ciphertext


def add_chunks(parameter_set: ParameterSet, epoch: int, chunks: Sequence[bytes]) -> bytes:
    """Return the sum's chunk of one chunk per hospital; safe to call from any thread.

    Raises:
        SummationError: see `ChunkAdder.add`.
    """
    adders: dict[str, ChunkAdder] = _adders.__dict__.setdefault("by_set", {})
    adder = adders.get(parameter_set.name)
    if adder is None:
        adder = adders[parameter_set.name] = ChunkAdder(parameter_set)
    return adder.add(epoch, chunks)
