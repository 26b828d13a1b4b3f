"""A round of four hospitals on a real network, through an aggregator that is killed on the way."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from aggregator_world import CHUNKS, PARAMETERS, SET
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from patience import SETTLING_SECONDS, is_behind, persistently

from consilium_client.encryption import UpdateCipher
from consilium_client.key_epochs import new_epoch
from consilium_client.upload import AggregatorClient
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.chunk_tree import VectorContext, chunk_digest, tree_root
from consilium_proto.records import (
    Anchor,
    Deadlines,
    Held,
    Join,
    Opening,
    Participant,
    RoundPhase,
    StudyTerms,
)
from consilium_proto.witnesses import witnessed_by

pytestmark = pytest.mark.network

STUDY = "aggregated"
HOSPITALS = {
    "cleveland": "ClevelandMSP",
    "hungary": "HungaryMSP",
    "longbeach": "LongBeachMSP",
    "switzerland": "SwitzerlandMSP",
}
MODEL = "a" * 64


@dataclass(frozen=True)
class Hospital:
    organization: str
    profile: Profile
    admin: Federation
    client: Federation


@asynccontextmanager
async def hospitals(network: Network) -> AsyncIterator[list[Hospital]]:
    async with AsyncExitStack() as stack:
        found = []
        for name, organization in HOSPITALS.items():
            ways = {}
            for user in ("admin", "client"):
                profile = Profile.load(network.profile(name, user))
                gateway = await stack.enter_async_context(Gateway.connect(profile))
                ways[user] = Federation(gateway.network().contract())
            found.append(Hospital(organization, profile, ways["admin"], ways["client"]))
        yield found


@asynccontextmanager
async def aggregator(network: Network, state: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    profile = network.profile("aggregator", "aggregator")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consilium_command", "aggregator", "run", "--profile", profile, "--state", state,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), SETTLING_SECONDS)
        assert line.startswith(b"listening on")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def terms() -> StudyTerms:
    return StudyTerms(
        study=STUDY,
        purpose="research",
        coordinator="ClevelandMSP",
        participants=tuple(Participant(hospital=name, sample_cap=10) for name in sorted(HOSPITALS.values())),
        max_colluding=1,
        rounds=1,
        attempts=1,
        deadlines=Deadlines(**dict.fromkeys(Deadlines.__struct_fields__, 600)),
        clock_tolerance=60,
        code=MODEL,
        schema=MODEL,
        initial_model=MODEL,
        parameters=PARAMETERS,
        parameter_set=SET.name,
        update_bound_micro=1_000_000,
        privacy=None,
    )


async def advance(hospital: Hospital, phase: RoundPhase) -> None:
    """Move the round into a phase; a peer that is a block behind says NOT_YET for a moment."""
    async with asyncio.timeout(SETTLING_SECONDS):
        while (await hospital.client.read_round(STUDY, 1)).round.phase is not phase:
            try:
                await hospital.client.advance(STUDY, 1)
            except GatewayError as error:
                if not is_behind(error):
                    raise
                await asyncio.sleep(0.2)


async def test_a_round_on_the_network_survives_its_aggregators_death(network: Network, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    slots = {name: generator.integers(0, 1 << 40, (CHUNKS, SET.degree), dtype=np.uint64) for name in HOSPITALS.values()}
    async with hospitals(network) as parties:
        first = parties[0]
        cipher = await start_study(parties)
        chunks = {name: list(cipher.encrypt(values)) for name, values in slots.items()}
        await anchor_all(parties, chunks)
        async with aggregator(network, tmp_path) as process:
            for party in parties[:2]:
                await upload(party, chunks[party.organization])
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await advance(first, RoundPhase.ANCHORED)
        async with aggregator(network, tmp_path) as process:
            assert (await upload(parties[0], chunks[parties[0].organization])) == 0
            for party in parties[1:]:
                await upload(party, chunks[party.organization])
            await hold_all(parties, chunks)
            await advance(first, RoundPhase.AGGREGATED)
            view = await first.client.read_round(STUDY, 1)
            publication = view.publications[0].publication
            async with AggregatorClient.connect(first.profile) as client:
                fetched = await client.fetch_sum(context("AggregatorMSP", "sum"), publication.root, CHUNKS)
            process.terminate()
            _, said = await asyncio.wait_for(process.communicate(), SETTLING_SECONDS)
            assert process.returncode == 0
    np.testing.assert_array_equal(cipher.decrypt(fetched.chunks), sum(slots.values()))
    events = [json.loads(line) for line in said.decode().splitlines()]
    assert any(entry["event"] == "sum published" and entry["root"] == publication.root for entry in events)
    assert (tmp_path / "events.json").is_file()


async def start_study(parties: list[Hospital]) -> UpdateCipher:
    """Propose, approve and activate the study; open its key epoch and its round."""
    first = parties[0]
    await first.admin.propose_study(terms())
    for party in parties:
        await persistently(lambda party=party: party.admin.approve_study(STUDY, canonical.digest(terms())))  # type: ignore[misc]
    await persistently(lambda: first.admin.activate_study(STUDY))
    keys = {party.organization: X25519PrivateKey.generate().public_key().public_bytes_raw().hex() for party in parties}
    epoch, seed = new_epoch(STUDY, 1, keys)
    await persistently(lambda: first.client.open_key_epoch(epoch))
    await persistently(lambda: first.client.open_round(Opening(study=STUDY, round=1, base=MODEL, epoch=1)))
    return UpdateCipher(SET, seed, 1)


async def anchor_all(parties: list[Hospital], chunks: dict[str, list[bytes]]) -> None:
    for party in parties:
        key = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        join = Join(study=STUDY, round=1, samples=5, mask_key=key, chain_end=MODEL)
        await persistently(lambda party=party, join=join: party.client.join(join))  # type: ignore[misc]
    await advance(parties[0], RoundPhase.SEALED)
    for party in parties:
        name = party.organization
        anchor = Anchor(study=STUDY, round=1, attempt=0, root=root_of(name, chunks), chunks=CHUNKS, privacy=None)
        await persistently(lambda party=party, anchor=anchor: party.client.anchor(anchor))  # type: ignore[misc]
    await advance(parties[0], RoundPhase.ANCHORED)


async def hold_all(parties: list[Hospital], chunks: dict[str, list[bytes]]) -> None:
    """Let every witness fetch what it witnesses from the aggregator and confirm it."""
    ring = tuple(sorted(party.organization for party in parties))
    for party in parties:
        (owner,) = witnessed_by(ring, party.organization, 1)
        vector = context(owner, "update")
        async with AggregatorClient.connect(party.profile) as client:
            fetched = await client.fetch_update(vector, root_of(owner, chunks), CHUNKS)
        assert fetched.chunks == chunks[owner]
        held = Held(study=STUDY, round=1, attempt=0, owner=owner)
        await persistently(lambda party=party, held=held: party.client.hold(held))  # type: ignore[misc]


def root_of(owner: str, chunks: dict[str, list[bytes]]) -> str:
    return tree_root(context(owner, "update"), map(chunk_digest, chunks[owner]))


async def upload(party: Hospital, chunks: list[bytes]) -> int:
    async with AggregatorClient.connect(party.profile) as client:
        return (await client.upload(context(party.organization, "update"), chunks)).chunks_sent


def context(owner: str, label: str) -> VectorContext:
    return VectorContext("consilium", STUDY, 1, 1, 0, owner, label)
