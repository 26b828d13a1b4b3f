"""Fingerprints of ciphertext vectors, chunk by chunk, with SEAL's own expansion of seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from consilium_client.seeded_chunks import SeedExpander
from consilium_proto.chunks import decode_sum
from consilium_proto.fingerprint import Challenge, Value
from consilium_proto.parameter_sets import ParameterSet

Kind = Literal["update", "sum"]
# Chunks multiplied at once: with few the words stay in the cache from one step to the next, and the matrix product is
# one of the small ones that OpenBLAS has kernels for.
BATCH = 4


def chunk_values(
    challenge: Challenge, parameter_set: ParameterSet, epoch: int, kind: Kind, chunks: Iterable[bytes]
) -> list[Value]:
    """Return the share of each chunk of a vector in its fingerprint, in order; `Challenge.total` adds them up.

    Raises:
        ChunkError: a malformed chunk.
    """
    write = _writer(parameter_set, epoch, kind)
    values: list[Value] = []
    space = np.empty((BATCH, 2 * parameter_set.degree), dtype=np.uint64)
    remaining = iter(chunks)
    while batch := list(itertools.islice(remaining, BATCH)):
        for row, chunk in zip(space, batch, strict=False):
            write(chunk, row)
        values += challenge.chunk_values(space[: len(batch)], len(values))
    return values


def _writer(parameter_set: ParameterSet, epoch: int, kind: Kind) -> Callable[[bytes, NDArray[np.uint64]], None]:
    """Return a function that writes a chunk's words into a row, uint64[2 · degree]."""
    if kind == "update":
        return SeedExpander(parameter_set, epoch).expand

    def write(chunk: bytes, row: NDArray[np.uint64]) -> None:
        row[:] = decode_sum(parameter_set, epoch, chunk).reshape(-1)

    return write
