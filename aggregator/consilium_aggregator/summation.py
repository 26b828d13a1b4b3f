"""Adds the hospitals' ciphertexts, chunk by chunk, without any key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_aggregator.errors import SummationError
from consilium_proto import seal_buffers
from consilium_proto.chunks import UpdateChunk, decode_update, encode_sum
from consilium_proto.cipher_path import CipherPath
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.residues import reduce
from consilium_proto.seal_buffers import SealBuffersError, SeedExpansion
from consilium_proto.seal_streams import MemoryFile, SealContext

log = logging.getLogger("consilium.aggregator.sum")

_adders = threading.local()


class RunningSum(Protocol):
    """A sum of ciphertexts that grows by one at a time."""

    def start(self) -> None:
        """Begin anew, with nothing added."""
        ...

    def add(self, chunk: UpdateChunk) -> None:
        """Add one.

        Raises:
            WireError: SEAL refuses it.
        """
        ...

    def words(self) -> NDArray[np.uint64]:
        """Return both polynomials, uint64[2, degree], of what was added, at least one."""
        ...


class ChunkAdder:
    """Adds chunks of one parameter set. Holds one sum and one chunk in memory; for one thread at a time."""

    def __init__(self, parameter_set: ParameterSet, path: CipherPath = CipherPath.BUFFERS) -> None:
        self._parameter_set = parameter_set
        self._sum = _open_sum(parameter_set, path)

    def add(self, epoch: int, chunks: Iterable[bytes]) -> bytes:
        """Return the sum's chunk of one chunk per hospital, all at the same position and of this key epoch.

        Raises:
            SummationError: no chunk, more than give an exact sum, or a malformed one; the message names its place.
        """
        self._sum.start()
        count = 0
        for count, content in enumerate(chunks, start=1):
            try:
                self._sum.add(decode_update(self._parameter_set, epoch, content))
            except WireError as error:
                raise SummationError(f"chunk {count}: {error}") from None
        try:
            self._parameter_set.check_exact(count)
        except WireError as error:
            raise SummationError(str(error)) from None
        return encode_sum(self._parameter_set, epoch, self._sum.words())


class WordSum:
    """Adds words; seeds are expanded out of SEAL's buffers."""

    def __init__(self, parameter_set: ParameterSet) -> None:
        self._modulus = parameter_set.modulus
        self._expansion = SeedExpansion(parameter_set.degree, parameter_set.modulus)
        self._total = np.zeros((2, parameter_set.degree), dtype=np.uint64)
        self._second = np.empty(parameter_set.degree, dtype=np.uint64)
        # So many words below q fit a sum of 64 bits, the one that is there included.
        self._most = ((1 << 64) - 1) // (parameter_set.modulus - 1)
        self._unreduced = 0

    def start(self) -> None:
        """See `RunningSum`."""
        self._total[:] = 0
        self._unreduced = 0

    def add(self, chunk: UpdateChunk) -> None:
        """See `RunningSum`."""
        if self._unreduced + 1 >= self._most:
            reduce(self._total, self._modulus)
            self._unreduced = 1
        self._unreduced += 1
        self._expansion.write(chunk.seed, self._second)
        self._total[0] += chunk.words
        self._total[1] += self._second

    def words(self) -> NDArray[np.uint64]:
        """See `RunningSum`."""
        reduce(self._total, self._modulus)
        return self._total


class CiphertextSum:
    """Adds SEAL's ciphertexts by SEAL, through streams as TenSEAL's interface reads and writes them."""

    def __init__(self, parameter_set: ParameterSet) -> None:
        self._context = SealContext(parameter_set)
        self._evaluator = sealapi.Evaluator(self._context.seal)
        self._file = MemoryFile()
        self._total, self._next = sealapi.Ciphertext(), sealapi.Ciphertext()
        self._count = 0

    def start(self) -> None:
        """See `RunningSum`."""
        self._count = 0

    def add(self, chunk: UpdateChunk) -> None:
        """See `RunningSum`."""
        target = self._next if self._count else self._total
        self._file.load(target, self._context.seal, self._context.update_stream(chunk.words, chunk.seed))
        if self._count:
            self._evaluator.add_inplace(self._total, self._next)
        self._count += 1

    def words(self) -> NDArray[np.uint64]:
        """See `RunningSum`."""
        return self._context.read_sum(self._file.save(self._total))


def add_chunks(
    parameter_set: ParameterSet, epoch: int, chunks: Iterable[bytes], path: CipherPath = CipherPath.BUFFERS
) -> bytes:
    """Return the sum's chunk of one chunk per hospital; safe to call from any thread.

    The chunks are taken one by one, so a generator's are never all in memory. Both paths give the same bytes.

    Raises:
        SummationError: see `ChunkAdder.add`.
    """
    adders: dict[tuple[str, CipherPath], ChunkAdder] = _adders.__dict__.setdefault("by_set", {})
    adder = adders.get((parameter_set.name, path))
    if adder is None:
        adder = adders[parameter_set.name, path] = ChunkAdder(parameter_set, path)
    return adder.add(epoch, chunks)


def _open_sum(parameter_set: ParameterSet, path: CipherPath) -> RunningSum:
    """Return the chosen way; the interface, and a warning, where the buffers can't be used."""
    if path is CipherPath.BUFFERS:
        try:
            seal_buffers.check(parameter_set)
        except SealBuffersError as error:
            log.warning("SEAL's buffers can't be used; adding through its interface", extra={"detail": str(error)})
        else:
            return WordSum(parameter_set)
    return CiphertextSum(parameter_set)
