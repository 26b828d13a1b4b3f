"""What masks and fingerprints cost beside encryption, on one vector, in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilium_aggregator.summation import add_chunks
from consilium_bench import shapes
from consilium_bench.child import answer, arguments_of, say
from consilium_bench.cipher_paths import new_cipher, seal_path
from consilium_bench.cpu_time import Stages
from consilium_bench.our_side import EPOCH, Hospitals
from consilium_client.encryption import KEY_SEED_SIZE, UpdateCipher
from consilium_client.packing import pack
from consilium_client.quantise import quantise
from consilium_client.seeded_chunks import SeedExpander
from consilium_client.vector_fingerprints import BATCH
from consilium_proto.chunks import decode_sum
from consilium_proto.fingerprint import Challenge, Value
from consilium_proto.parameter_sets import ParameterSet, parameter_set

# The others that a hospital fetches and fingerprints: T = 1 witnessed.
WITNESSED = 1


def measure(layers: shapes.Layers, clients: int, bits: int, path: str) -> dict[str, Any]:
    """Return processor seconds of encryption, masks and fingerprints of one vector, the sum's words included."""
    chosen = parameter_set(f"bfv4096-q58-b{bits}")
    stages = Stages()
    say(f"{bits} bits, {path} path: masks and fingerprints beside encryption")
    update = shapes.flat(shapes.draw(layers, 0)).astype(np.float64)
    slots = pack(quantise(update, shapes.BOUND, chosen), chosen)
    hospitals, cipher = Hospitals(clients), new_cipher(path, chosen, os.urandom(KEY_SEED_SIZE), EPOCH)
    expander = SeedExpander(chosen, EPOCH, seal_path(path))
    # Once on a single chunk: what is loaded or made at the first call isn't what a vector costs.
    _measure(Stages(), hospitals, cipher, expander, chosen, slots[:1])
    return {"seconds": _measure(stages, hospitals, cipher, expander, chosen, slots)}


def _measure(
    stages: Stages,
    hospitals: Hospitals,
    cipher: UpdateCipher,
    expander: SeedExpander,
    chosen: ParameterSet,
    slots: NDArray[np.uint64],
) -> dict[str, float]:
    with stages.measured("masks"):
        masked = hospitals.mask(0, slots)
    with stages.measured("encryption"):
        chunks = list(cipher.encrypt(masked))
    total = [add_chunks(chosen, EPOCH, [chunk, chunk]) for chunk in chunks]
    with stages.measured("challenge"):
        challenge = Challenge(os.urandom(32).hex(), chosen, len(chunks))
    own = _update_value(stages, "own", challenge, expander, chosen, chunks)
    for _ in range(WITNESSED):
        _update_value(stages, "witnessed", challenge, expander, chosen, chunks)
    sums = _sum_value(stages, challenge, chosen, total)
    if challenge.total([own, own]) != sums:
        raise RuntimeError("the fingerprints of the vectors don't add up to the sum's")
    return stages.seconds


def _update_value(
    stages: Stages,
    name: str,
    challenge: Challenge,
    expander: SeedExpander,
    chosen: ParameterSet,
    chunks: list[bytes],
) -> Value:
    values: list[Value] = []
    space = np.empty((BATCH, 2 * chosen.degree), dtype=np.uint64)
    for first, batch in _batches(chunks):
        with stages.measured(f"{name}: expansion"):
            for row, chunk in zip(space, batch, strict=False):
                expander.expand(chunk, row)
        with stages.measured(f"{name}: inner products"):
            values += challenge.chunk_values(space[: len(batch)], first)
    return challenge.total(values)


def _sum_value(stages: Stages, challenge: Challenge, chosen: ParameterSet, chunks: list[bytes]) -> Value:
    values: list[Value] = []
    space = np.empty((BATCH, 2 * chosen.degree), dtype=np.uint64)
    for first, batch in _batches(chunks):
        with stages.measured("sum: reading"):
            for row, chunk in zip(space, batch, strict=False):
                row[:] = decode_sum(chosen, EPOCH, chunk).reshape(-1)
        with stages.measured("sum: inner products"):
            values += challenge.chunk_values(space[: len(batch)], first)
    return challenge.total(values)


def _batches(chunks: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    return ((first, chunks[first : first + BATCH]) for first in range(0, len(chunks), BATCH))


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    answer(measure(shapes.layers_of(given["size"]), given["clients"], given["bits"], given["path"]))


if __name__ == "__main__":
    main()
