"""How long chaincode takes to decide one dispute, in its own time and without TenSEAL.

What is decided: a listed fingerprint of one chunk, which is submitted with its path in the tree of the largest vector.
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import time
from typing import Any

import numpy as np

from consilium_bench import shapes
from consilium_bench.child import answer, arguments_of, say
from consilium_proto import canonical
from consilium_proto.chunk_tree import (
    InclusionProof,
    VectorContext,
    check_inclusion,
    chunk_digest,
    inclusion_proof,
    tree_root,
)
from consilium_proto.chunks import SEED_SIZE, decode_update, encode_update
from consilium_proto.fingerprint import Challenge
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import Disproof, ProvedChunk
from consilium_proto.seed_expansion import expand_seed

EPOCH = 1
SET = parameter_set("bfv4096-q58-b20")
CONTEXT = VectorContext("consilium", "bench", EPOCH, 1, 0, "AMSP", "update")


def measure(layers: shapes.Layers, repetitions: int) -> dict[str, Any]:
    """Decide a dispute `repetitions` times, each with a new challenge; return the milliseconds of each."""
    say("disputes decided as chaincode decides them")
    chunks = SET.chunk_count(shapes.parameters(layers))
    argument, root = _disproof(chunks)
    times = []
    for _ in range(repetitions):
        seed = secrets.token_hex(32)
        started = time.perf_counter()
        _decide(argument, root, seed, chunks)
        times.append((time.perf_counter() - started) * 1000)
    if "tenseal" in sys.modules:
        raise RuntimeError("deciding a dispute loaded TenSEAL")
    return {"milliseconds": {"median": statistics.median(times), "max": max(times)}, "chunks": chunks}


def _disproof(chunks: int) -> tuple[bytes, str]:
    words = np.random.default_rng(1).integers(0, SET.modulus, SET.degree, dtype=np.uint64)
    content = encode_update(SET, EPOCH, words, os.urandom(SEED_SIZE))
    index = chunks // 2
    digests = [chunk_digest(content) if place == index else os.urandom(32) for place in range(chunks)]
    path = tuple(sibling.hex() for sibling in inclusion_proof(CONTEXT, digests, index).path)
    shown = ProvedChunk(index=index, content=content.hex(), path=path)
    disproof = Disproof(study="bench", round=1, publication=1, vector="AMSP", author="BMSP", chunk=shown)
    return canonical.encode(disproof), tree_root(CONTEXT, digests)


def _decide(argument: bytes, root: str, seed: str, chunks: int) -> tuple[int, int]:
    """Return the true fingerprint of the chunk that a disproof shows, once it is proved to be the vector's."""
    chunk = canonical.decode(Disproof, argument).chunk
    content = bytes.fromhex(chunk.content)
    proof = InclusionProof(chunk.index, chunks, tuple(bytes.fromhex(sibling) for sibling in chunk.path))
    check_inclusion(root, CONTEXT, chunk_digest(content), proof)
    update = decode_update(SET, EPOCH, content)
    words = np.concatenate([update.words, expand_seed(update.seed, SET.degree, SET.modulus)])
    return Challenge(seed, SET, chunks).chunk_values(words[np.newaxis], chunk.index)[0]


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    answer(measure(shapes.layers_of(given["size"]), given["repetitions"]))


if __name__ == "__main__":
    main()
