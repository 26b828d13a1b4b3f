"""Fingerprints of ciphertext vectors, chunk by chunk, with SEAL's own expansion of seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from consilium_client.seeded_chunks import SeedExpander
from consilium_proto.chunks import decode_sum
from consilium_proto.fingerprint import Challenge, Value
from consilium_proto.parameter_sets import ParameterSet

Kind = Literal["update", "sum"]
# Chunks multiplied at once: enough for the matrix product to run at full speed, few enough to stay in the cache.
_BATCH = 16


def chunk_values(
    challenge: Challenge, parameter_set: ParameterSet, epoch: int, kind: Kind, chunks: Iterable[bytes]
) -> list[Value]:
    """Return the share of each chunk of a vector in its fingerprint, in order; `Challenge.total` adds them up.

    Raises:
        ChunkError: a malformed chunk.
    """
    values: list[Value] = []
    for words in _batches(_words(parameter_set, epoch, kind, chunks), 2 * parameter_set.degree):
        values += challenge.chunk_values(words, len(values))
    return values


def _words(
    parameter_set: ParameterSet, epoch: int, kind: Kind, chunks: Iterable[bytes]
) -> Iterator[NDArray[np.uint64]]:
    if kind == "sum":
        return (decode_sum(parameter_set, epoch, chunk).reshape(-1) for chunk in chunks)
    expander = SeedExpander(parameter_set, epoch)
    return (expander.expand(chunk).reshape(-1) for chunk in chunks)


def _batches(rows: Iterator[NDArray[np.uint64]], width: int) -> Iterator[NDArray[np.uint64]]:
    space = np.empty((_BATCH, width), dtype=np.uint64)
    while True:
        count = 0
        for row in itertools.islice(rows, _BATCH):
            space[count] = row
            count += 1
        if not count:
            return
        yield space[:count]
