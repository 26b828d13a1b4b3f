"""How long the ledger takes for a whole round of four hospitals, at a block interval of 100 ms.

Every phase is written as an honest round writes it, from the opening to FINAL; what agents would do besides is left
out: they neither train nor upload. A phase's parties write at once, and the round is moved on as soon as all have
written. What is computed in between (fingerprints of one chunk) is in the measured time.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consilium_aggregator.summation import add_chunks
from consilium_bench.ledger_study import EPOCH, MODEL, SET, LedgerStudy, Party, ledger_study, persistently
from consilium_client.masks import public_key_hex
from consilium_network.network import Network
from consilium_network.topology import packaged_topology
from consilium_proto.chunk_tree import VectorContext, chunk_digest, tree_root
from consilium_proto.chunks import decode_sum, decode_update
from consilium_proto.fingerprint import Challenge, Value, to_record
from consilium_proto.records import (
    Anchor,
    Attestation,
    Fingerprint,
    Held,
    Join,
    Opening,
    Publication,
    Reveal,
    RoundPhase,
    RoundView,
    WitnessedFingerprint,
)
from consilium_proto.reveal_chain import SECRET_SIZE, chain_value
from consilium_proto.seed_expansion import expand_seed
from consilium_proto.witnesses import witnessed_by

BLOCK_INTERVAL_MS = 100
ROUNDS = 3
FIRST_PORT = 17_000
PUBLICATION = 1

Say = Callable[[str], None]


async def measure(folder: Path, say: Say) -> dict[str, Any]:
    """Bring up a network below `folder`, play some rounds and return the median round's seconds.

    Raises:
        NetworkError: the network can't be brought up.
        GatewayError: a write is refused, or the round doesn't end FINAL.
    """
    topology = msgspec.structs.replace(packaged_topology(4), block_interval_ms=BLOCK_INTERVAL_MS)
    if (former := Network(folder)).exists:
        await former.down()
    network = Network(folder, topology.with_ports_from(FIRST_PORT))
    try:
        await network.up(say)
        async with ledger_study(network, ROUNDS) as study:
            played = [await timed_round(study, number, say) for number in range(1, ROUNDS + 1)]
    finally:
        await network.stop()
    return {
        "seconds": statistics.median(sum(phases.values()) for phases in played),
        "block_interval_ms": BLOCK_INTERVAL_MS,
        "hospitals": len(topology.hospitals),
        "rounds": played,
    }


def write(place: Path, found: dict[str, Any]) -> None:
    """Write what was measured to a file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found, indent=2) + "\n")


async def timed_round(study: LedgerStudy, number: int, say: Say) -> dict[str, float]:
    """Play one round and return the seconds of each of its steps."""
    played = PlayedRound(study, number)
    phases: dict[str, float] = {}
    for name, step in played.steps().items():
        started = time.perf_counter()
        await step()
        phases[name] = time.perf_counter() - started
    say(f"ledger_round: round {number} FINAL after {sum(phases.values()):.2f} s")
    return phases


@dataclass
class PlayedRound:
    """One round that all parties play honestly. What needs no ledger is prepared before it opens."""

    study: LedgerStudy
    number: int
    chunks: dict[str, bytes] = field(init=False)
    secrets: dict[str, bytes] = field(init=False)
    mask_keys: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        names = self.study.participants
        self.chunks = {name: self.study.new_chunk() for name in names}
        self.secrets = {name: secrets.token_bytes(SECRET_SIZE) for name in names}
        self.mask_keys = {name: public_key_hex(X25519PrivateKey.generate()) for name in names}
        self._total = add_chunks(SET, EPOCH, [self.chunks[name] for name in names])

    def steps(self) -> dict[str, Callable[[], Any]]:
        """Return the steps in order, by the phase that each is taken in."""
        return {
            "opening": self._open,
            "OPEN": lambda: self._all(self._join, RoundPhase.SEALED),
            "SEALED": lambda: self._all(self._anchor, RoundPhase.ANCHORED),
            "ANCHORED": self._hold_and_publish,
            "AGGREGATED": lambda: self._all(self._reveal, RoundPhase.CHALLENGED),
            "CHALLENGED": self._fingerprints,
            "VERIFIED": lambda: self._all(self._attest, RoundPhase.FINAL),
        }

    async def _open(self) -> None:
        opening = Opening(study=self.study.name, round=self.number, base=MODEL, epoch=EPOCH)
        await persistently(lambda: self.study.hospitals[0].client.open_round(opening))

    async def _all(self, write: Callable[[Party], Any], following: RoundPhase) -> None:
        await asyncio.gather(*(persistently(partial(write, party)) for party in self.study.hospitals))
        await self._advance(following)

    async def _advance(self, following: RoundPhase) -> None:
        first = self.study.hospitals[0].client
        await persistently(lambda: first.advance(self.study.name, self.number))
        view = await self._view(lambda view: view.round.phase is following or view.round.phase.decided)
        if view.round.phase is not following:
            raise RuntimeError(f"round {self.number} went on to {view.round.phase}, not to {following}")

    async def _view(self, wanted: Callable[[RoundView], bool]) -> RoundView:
        found: list[RoundView] = []

        async def look() -> None:
            found.append(await self.study.hospitals[0].client.read_round(self.study.name, self.number))

        async with asyncio.timeout(30):
            while not found or not wanted(found[-1]):
                await persistently(look)
        return found[-1]

    async def _join(self, party: Party) -> None:
        name = party.organization
        end = chain_value(self.study.name, self.number, name, self.secrets[name], 0)
        await party.client.join(
            Join(study=self.study.name, round=self.number, samples=5, mask_key=self.mask_keys[name], chain_end=end)
        )

    async def _anchor(self, party: Party) -> None:
        root = self._root(party.organization, "update", self.chunks[party.organization])
        await party.client.anchor(
            Anchor(study=self.study.name, round=self.number, attempt=0, root=root, chunks=1, privacy=None)
        )

    async def _hold_and_publish(self) -> None:
        root = self._root(self.study.aggregator.organization, "sum", self._total)
        publication = Publication(study=self.study.name, round=self.number, attempt=0, root=root, chunks=1)
        holds = [
            persistently(partial(self._hold, party, owner))
            for party in self.study.hospitals
            for owner in self._witnessed(party)
        ]
        await asyncio.gather(*holds, persistently(lambda: self.study.aggregator.client.publish(publication)))
        await self._advance(RoundPhase.AGGREGATED)

    async def _hold(self, party: Party, owner: str) -> None:
        await party.client.hold(Held(study=self.study.name, round=self.number, attempt=0, owner=owner))

    async def _reveal(self, party: Party) -> None:
        name = party.organization
        value = chain_value(self.study.name, self.number, name, self.secrets[name], PUBLICATION)
        await party.client.reveal(
            Reveal(study=self.study.name, round=self.number, publication=PUBLICATION, value=value)
        )

    async def _fingerprints(self) -> None:
        view = await self._view(lambda view: view.round.challenge is not None)
        assert view.round.challenge is not None
        challenge = Challenge(view.round.challenge, SET, 1)
        values = {name: self._update_value(challenge, chunk) for name, chunk in self.chunks.items()}
        total = challenge.chunk_values(decode_sum(SET, EPOCH, self._total).reshape(1, -1), 0)[0]
        await self._all(lambda party: self._fingerprint(party, values, total), RoundPhase.VERIFIED)

    async def _fingerprint(self, party: Party, values: dict[str, Value], total: Value) -> None:
        witnessed = tuple(
            WitnessedFingerprint(owner=owner, value=to_record(values[owner])) for owner in self._witnessed(party)
        )
        await party.client.fingerprint(
            Fingerprint(
                study=self.study.name,
                round=self.number,
                publication=PUBLICATION,
                own=to_record(values[party.organization]),
                witnessed=witnessed,
                sum=to_record(total),
            )
        )

    async def _attest(self, party: Party) -> None:
        publisher = self.study.aggregator.organization
        await party.client.attest(
            Attestation(study=self.study.name, round=self.number, publication=publisher, model=MODEL)
        )

    def _witnessed(self, party: Party) -> tuple[str, ...]:
        return witnessed_by(self.study.participants, party.organization, self.study.max_colluding)

    def _root(self, owner: str, label: str, chunk: bytes) -> str:
        context = VectorContext(self.study.channel, self.study.name, EPOCH, self.number, 0, owner, label)
        return tree_root(context, [chunk_digest(chunk)])

    def _update_value(self, challenge: Challenge, chunk: bytes) -> Value:
        update = decode_update(SET, EPOCH, chunk)
        words = np.concatenate([update.words, expand_seed(update.seed, SET.degree, SET.modulus)])
        return challenge.chunk_values(words[np.newaxis], 0)[0]
