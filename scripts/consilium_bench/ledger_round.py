"""How long the ledger takes for a whole round of four hospitals, at a block interval of 100 ms.

Every phase is written as an honest round writes it, from the opening to FINAL, with true values of vectors of one
chunk; what agents would do besides is left out: they neither train nor upload. What is computed in between, the
fingerprints of a few chunks, is in the measured time.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from consilium_aggregator.summation import add_chunks
from consilium_bench.parties import EPOCH, ActiveStudy, Party, begin_study
from consilium_bench.played_round import PlayedRound
from consilium_client.encryption import KEY_SEED_SIZE, UpdateCipher
from consilium_network.network import Network
from consilium_network.topology import packaged_topology
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.chunk_tree import chunk_digest
from consilium_proto.chunks import decode_sum, decode_update
from consilium_proto.fingerprint import Challenge, Value
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import RoundPhase
from consilium_proto.seed_expansion import expand_seed

SET = parameter_set("bfv4096-q58-b8")
BLOCK_INTERVAL_MS = 100
ROUNDS = 3
FIRST_PORT = 17_000

Say = Callable[[str], None]


@asynccontextmanager
async def network_of_four(folder: Path, say: Say) -> AsyncIterator[Network]:
    """Bring up a network of four hospitals in `folder`, as long as the block lasts.

    Raises:
        NetworkError: the network can't be brought up.
    """
    topology = msgspec.structs.replace(packaged_topology(4), block_interval_ms=BLOCK_INTERVAL_MS)
    if (former := Network(folder)).exists:
        await former.down()
    network = Network(folder, topology.with_ports_from(FIRST_PORT))
    try:
        await network.up(say)
        yield network
    finally:
        await network.stop()


async def measure(network: Network, say: Say) -> dict[str, Any]:
    """Play some rounds on a running network and return the median round's seconds.

    Raises:
        GatewayError: a write is refused.
    """
    async with connected(network) as parties:
        study = await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, ROUNDS)
        played = [await timed_round(study, number, say) for number in range(1, ROUNDS + 1)]
    return {
        "seconds": statistics.median(sum(phases.values()) for phases in played),
        "block_interval_ms": network.topology.block_interval_ms,
        "hospitals": len(network.topology.hospitals),
        "rounds": played,
    }


def write(place: Path, found: dict[str, Any]) -> None:
    """Write what was measured to a file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found, indent=2) + "\n")


async def timed_round(study: ActiveStudy, number: int, say: Say) -> dict[str, float]:
    """Play one round and return the seconds of each of its steps, by the phase that it is taken in."""
    vectors = Vectors(study)
    played = PlayedRound(study, number, vectors.digests)

    async def fingerprint() -> None:
        values = vectors.values(await played.challenge())
        await played.fingerprint(values, RoundPhase.VERIFIED)

    steps = {
        "opening": played.open,
        "OPEN": played.join,
        "SEALED": played.anchor,
        "ANCHORED": played.hold_and_publish,
        "AGGREGATED": played.reveal,
        "CHALLENGED": fingerprint,
        "VERIFIED": played.attest,
    }
    phases: dict[str, float] = {}
    for phase, step in steps.items():
        started = time.perf_counter()
        await step()
        phases[phase] = time.perf_counter() - started
    say(f"ledger_round: round {number} FINAL after {sum(phases.values()):.2f} s")
    return phases


class Vectors:
    """The encrypted vectors of a round, of one chunk each, and their sum."""

    def __init__(self, study: ActiveStudy) -> None:
        cipher = UpdateCipher(SET, os.urandom(KEY_SEED_SIZE), EPOCH)
        generator = np.random.default_rng()
        self._aggregator = study.aggregator.organization
        self.chunks: dict[str, bytes] = {}
        for name in study.participants:
            slots = generator.integers(0, 1 << SET.plain_bits, (1, SET.degree), dtype=np.uint64)
            self.chunks[name] = next(iter(cipher.encrypt(slots)))
        self._total = add_chunks(SET, EPOCH, list(self.chunks.values()))

    @property
    def digests(self) -> dict[str, list[bytes]]:
        """The digests of every vector's chunk, by its owner."""
        return {name: [chunk_digest(chunk)] for name, chunk in (*self.chunks.items(), (self._aggregator, self._total))}

    def values(self, seed: str) -> dict[tuple[str, str], Value]:
        """Return the true fingerprints under a challenge, by author and by vector."""
        challenge = Challenge(seed, SET, 1)
        of_vectors = {name: challenge.chunk_values(_expanded(chunk), 0)[0] for name, chunk in self.chunks.items()}
        total = decode_sum(SET, EPOCH, self._total).reshape(1, -1)
        of_vectors[self._aggregator] = challenge.chunk_values(total, 0)[0]
        return {(author, vector): value for author in self.chunks for vector, value in of_vectors.items()}


def _expanded(chunk: bytes) -> np.ndarray[Any, np.dtype[np.uint64]]:
    update = decode_update(SET, EPOCH, chunk)
    return np.concatenate([update.words, expand_seed(update.seed, SET.degree, SET.modulus)])[np.newaxis]


@asynccontextmanager
async def connected(network: Network) -> AsyncIterator[tuple[list[Party], Party]]:
    """Connect the hospitals and the aggregator of a network."""
    async with AsyncExitStack() as stack:
        hospitals = [await _party(stack, network, each.name) for each in network.topology.hospitals]
        yield hospitals, await _party(stack, network, network.topology.aggregators[0].name)


async def _party(stack: AsyncExitStack, network: Network, name: str) -> Party:
    client = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name))))
    admin = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name, "admin"))))
    return Party(
        client.profile.organization, Federation(client.network().contract()), Federation(admin.network().contract())
    )
