"""Small vectors of real chunks, as hospitals upload them and aggregators add them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from federation_world import CHUNKS, PARAMETER_SET, STUDY
from numpy.typing import NDArray

from consilium_proto.chunk_tree import VectorContext, chunk_digest, inclusion_proof, tree_root
from consilium_proto.chunks import encode_sum, encode_update
from consilium_proto.fingerprint import Challenge, Value
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import ProvedChunk
from consilium_proto.seed_expansion import expand_seed

SET = parameter_set(PARAMETER_SET)
CHANNEL = "memory"
EPOCH = 1
Words = NDArray[np.uint64]


def context(owner: str, label: str, number: int = 1, attempt: int = 0) -> VectorContext:
    return VectorContext(CHANNEL, STUDY, EPOCH, number, attempt, owner, label)


@dataclass(frozen=True)
class Vector:
    """A vector's chunks, and their words, uint64[chunks, 2N]; words are None where a chunk isn't well-formed."""

    context: VectorContext
    contents: tuple[bytes, ...]
    words: Words | None

    @property
    def root(self) -> str:
        return tree_root(self.context, [chunk_digest(content) for content in self.contents])

    def proved(self, index: int) -> ProvedChunk:
        digests = [chunk_digest(content) for content in self.contents]
        path = tuple(sibling.hex() for sibling in inclusion_proof(self.context, digests, index).path)
        return ProvedChunk(index=index, content=self.contents[index].hex(), path=path)

    def values(self, seed: str) -> list[Value]:
        """The fingerprints of its chunks under a challenge."""
        assert self.words is not None
        return challenge(seed).chunk_values(self.words, 0)


@lru_cache(maxsize=8)
def challenge(seed: str) -> Challenge:
    return Challenge(seed, SET, CHUNKS)


@lru_cache(maxsize=64)
def _update(number: int) -> tuple[tuple[bytes, ...], Words]:
    generator = np.random.default_rng(number)
    contents, words = [], []
    for _ in range(CHUNKS):
        first = generator.integers(0, SET.modulus, SET.degree, dtype=np.uint64)
        seed = generator.bytes(64)
        contents.append(encode_update(SET, EPOCH, first, seed))
        words.append(np.concatenate([first, expand_seed(seed, SET.degree, SET.modulus)]))
    return tuple(contents), np.stack(words)


def update(hospital: str, number: int, round_number: int = 1, attempt: int = 0) -> Vector:
    """A hospital's vector; `number` chooses its content."""
    contents, words = _update(number)
    return Vector(context(hospital, "update", round_number, attempt), contents, words)


def spoilt(vector: Vector, index: int = 0) -> Vector:
    """The vector with a first word that isn't below q in one chunk."""
    contents = list(vector.contents)
    contents[index] = contents[index][:64] + b"\xff" * 8 + contents[index][72:]
    return Vector(vector.context, tuple(contents), None)


def sum_of(
    aggregator: str,
    updates: Sequence[Words],
    tamper: Callable[[Words], Words] = lambda words: words,
    round_number: int = 1,
    attempt: int = 0,
) -> Vector:
    """What an aggregator publishes: the sum of the updates, changed by `tamper`."""
    total = tamper(np.sum(np.stack(updates), axis=0, dtype=np.uint64) % np.uint64(SET.modulus))
    contents = tuple(encode_sum(SET, EPOCH, chunk.reshape(2, SET.degree)) for chunk in total)
    return Vector(context(aggregator, "sum", round_number, attempt), contents, total)
