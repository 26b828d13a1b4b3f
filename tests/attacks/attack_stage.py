"""A stage for attacks: a study on the real network with real agents and aggregators, of which some are dishonest.

Hospitals run the product's own agent in this process; what they train is made up, so that the right model is known. A
dishonest hospital is an agent whose writes are changed or withheld on their way to the ledger and the aggregators
(`dishonest_hospitals`), a dishonest aggregator one that adds, publishes or serves something else
(`dishonest_aggregators`). A stage plays one round and shows what became of it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from patience import SETTLING_SECONDS, persistently

from consilium_client import holders
from consilium_client.agent import Agent
from consilium_client.journal import Parameters, StudyJournal, model_digest
from consilium_client.key_epochs import new_epoch
from consilium_client.keystore import Keystore
from consilium_client.models import WRAPPING_KEY, next_model
from consilium_client.policy import StudyRule
from consilium_client.quantise import dequantise_sum, quantise
from consilium_client.site import Site
from consilium_client.study_file import StudyFile
from consilium_client.training_site import TrainedUpdate, TrainingSite
from consilium_client.upload import AggregatorClient
from consilium_network.network import Network
from consilium_peers.errors import GatewayError, PeersError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import (
    Deadlines,
    Opening,
    Participant,
    PrivacyEntry,
    PrivacyTerms,
    RoundView,
    StudyTerms,
    StudyView,
)

HOSPITALS = {
    "cleveland": "ClevelandMSP",
    "hungary": "HungaryMSP",
    "longbeach": "LongBeachMSP",
    "switzerland": "SwitzerlandMSP",
}
COORDINATOR, CHEAT = "ClevelandMSP", "HungaryMSP"
# In ring order the cheat witnesses the coordinator and is witnessed by Long Beach.
WITNESSED, WITNESS = COORDINATOR, "LongBeachMSP"
# Three chunks of two fields, the last of them not full.
PARAMETERS = 20_000
SET = parameter_set("bfv4096-q58-b20")
SAMPLES, LARGEST_CAP = 10, 20
# A phase ends as soon as everybody has acted, so nobody waits for these; nobody honest needs so long on any machine.
PHASE_SECONDS, TOLERANCE = 60, 10
# In a phase that somebody lets pass everybody waits for the deadline, and twice the tolerance on top: as short as a
# slow machine allows for what the honest ones have to do in it.
SILENT_SECONDS = {"open": 8, "sealed": 10, "anchored": 15, "listing": 8}
OTHER_SILENT_SECONDS, SILENT_TOLERANCE = 8, 2
DECIDED_SECONDS = 240
_numbers = itertools.count(1)


@dataclass
class Party:
    """One hospital: its ways to the ledger, its folder, and its secrets, which outlive a study."""

    organization: str
    profile: Profile
    gateway: Gateway
    contract: Contract
    client: Federation
    admin: Federation
    aggregators: AggregatorClient
    keystore: Keystore


class PlayedTraining:
    """Trains nothing: each hospital's update is drawn from its name, so that everybody's right model is known."""

    def __init__(self, hospital: str, terms: StudyTerms, entry: PrivacyEntry | None = None) -> None:
        self.samples = SAMPLES
        self._hospital = hospital
        self._terms = terms
        self.entry = entry

    def draft_entry(self) -> PrivacyEntry | None:
        return self.entry

    def train(self, base: Parameters, round_number: int) -> TrainedUpdate:
        return TrainedUpdate(weighted_update(self._hospital), self.entry)

    def count(self, round_number: int, entry: PrivacyEntry) -> None:
        return

    def settle(self, view: RoundView, hospital: str) -> int | None:
        return None

    def evaluate(self, parameters: Parameters) -> Any:
        return _Unjudged()


class _Unjudged:
    def metrics(self) -> dict[str, Any]:
        return {}

    def released_scores(self) -> dict[str, Any]:
        return {}


def weighted_update(hospital: str) -> NDArray[np.float64]:
    """Return a hospital's update, float64[PARAMETERS], within the study's bound of 1."""
    generator = np.random.default_rng(int.from_bytes(hospital.encode()[:8], "big"))
    return generator.uniform(-0.5, 0.5, PARAMETERS)


def right_model(terms: StudyTerms, participants: tuple[str, ...]) -> str:
    """Return the digest of the model that follows from these hospitals' updates."""
    bound = terms.update_bound_micro / 1e6
    integers = [quantise(weighted_update(name), bound, SET).astype(np.uint64) for name in participants]
    summed = dequantise_sum(sum(integers[1:], start=integers[0]), len(participants), bound, SET)
    return model_digest(next_model(np.zeros(PARAMETERS), summed, [SAMPLES] * len(participants), terms))


@dataclass
class Stage:
    """One study with its parties.

    `liar` is the dishonest aggregator's way to the ledger; `ledgers` and `uploads` replace a dishonest hospital's ways
    to the outside.
    """

    terms: StudyTerms
    parties: dict[str, Party]
    folder: Path
    liar: Federation
    ledgers: dict[str, Federation] = field(default_factory=dict)
    uploads: dict[str, AggregatorClient] = field(default_factory=dict)
    entries: dict[str, PrivacyEntry] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    key_seed: bytes = b""

    @property
    def name(self) -> str:
        return self.terms.study

    async def study(self) -> StudyView:
        """Return the study as the peer has it that shows the rounds."""
        return await self.parties["SwitzerlandMSP"].client.read_study(self.name)

    async def view(self, number: int = 1) -> RoundView:
        return await self.parties["SwitzerlandMSP"].client.read_round(self.name, number)

    async def view_of(self, name: str, number: int = 1) -> RoundView:
        """Return the round as a party's own peer has it."""
        return await self.parties[name].client.read_round(self.name, number)

    async def until(
        self, seen: Callable[[RoundView], bool], seconds: float = DECIDED_SECONDS, number: int = 1
    ) -> RoundView:
        """Return a round as soon as it is there and looks so."""
        async with asyncio.timeout(seconds):
            while True:
                with suppress(GatewayError):  # not opened yet, or the peer is a block behind
                    view = await self.view(number)
                    if seen(view):
                        return view
                await asyncio.sleep(0.1)

    async def play(self, *absent: str) -> RoundView:
        """Run every hospital's agent (but the absent ones') until the round is decided; return how it ended.

        An agent that ends by an error of its own is a failure of the test: attacks never stop an honest agent.
        """
        async with self.running(*absent):
            return await self.until(lambda view: view.round.phase.decided)

    async def first_under(self, epoch: int) -> RoundView:
        """Return the first round under a key epoch as soon as it is open; the rounds before it stay as they are."""
        for number in itertools.count(1):
            view = await self.until(lambda view: view.round.epoch >= epoch or view.round.phase.decided, number=number)
            if view.round.epoch >= epoch:
                break
        return view

    @asynccontextmanager
    async def running(self, *absent: str) -> AsyncIterator[None]:
        """Run the agents as long as the block lasts."""
        agents = [
            asyncio.create_task(self._agent(party).run()) for name, party in self.parties.items() if name not in absent
        ]
        try:
            yield
            ended = [agent.exception() for agent in agents if agent.done() and not agent.cancelled()]
            assert not [error for error in ended if error is not None], ended
        finally:
            for agent in agents:
                agent.cancel()
            await asyncio.gather(*agents, return_exceptions=True)

    async def open_next_epoch(self, number: int = 2, without: str = "") -> None:
        """Open another key epoch, as any participant may, with or without one of the holders."""
        keys = {name: key for name, key in wrapping_keys(self.parties).items() if name != without}
        epoch, self.key_seed = new_epoch(self.name, number, keys)
        await persistently(lambda: self.parties[COORDINATOR].client.open_key_epoch(epoch))

    def site(self, name: str) -> Site:
        """Return a hospital's site, made at the first call."""
        if name not in self.sites:
            party = self.parties[name]
            training = PlayedTraining(name, self.terms, self.entries.get(name))
            self.sites[name] = Site(
                hospital=name,
                channel=party.profile.channel,
                federation=self.ledgers.get(name, party.client),
                aggregators=self.uploads.get(name, party.aggregators),
                journal=StudyJournal(self.folder / name, self.name),
                keystore=party.keystore,
                rule=_rule(self.terms),
                study=cast(StudyFile, PlayedStudyFile(self.terms)),
                training=cast(TrainingSite, training),
            )
        return self.sites[name]

    def _agent(self, party: Party) -> Agent:
        return Agent(self.site(party.organization), party.gateway.network())


SetUp = Callable[..., Awaitable[Stage]]
"""Sets up a study, with terms of its own or the usual ones, and an aggregator's trick in it."""
Plays = dict[str, asyncio.Task[None]]
"""Attacks that are played beside others; who awaits one sees whether it ended as it should."""


@dataclass(frozen=True)
class PlayedStudyFile:
    """What the agent needs of a study file: the terms and the first model, which is all zeros."""

    terms: StudyTerms
    path: Path = Path("played.yaml")

    def initial_parameters(self) -> Parameters:
        return np.zeros(PARAMETERS)


def _rule(terms: StudyTerms) -> StudyRule:
    return StudyRule(
        study=terms.study,
        purpose=terms.purpose,
        code=frozenset({terms.code}),
        epsilon_budget_micro=None if terms.privacy is None else terms.privacy.epsilon_budget_micro,
        required_partners=frozenset(),
        minimum_hospitals=3,
        release=frozenset(),
    )


def attack_terms(*silent: str, privacy: PrivacyTerms | None = None, **lengths: int) -> StudyTerms:
    """Return a study of four hospitals of whom one may collude.

    Args:
        silent: the phases that somebody lets pass, so that their deadlines are waited for.
        privacy: the study's privacy terms.
        lengths: seconds of phases, by name, where they matter in another way.
    """
    waited = {phase: SILENT_SECONDS.get(phase, OTHER_SILENT_SECONDS) for phase in silent}
    usual = dict.fromkeys(Deadlines.__struct_fields__, PHASE_SECONDS)
    return StudyTerms(
        study=f"attacked-{os.getpid()}-{next(_numbers)}",
        purpose="research",
        coordinator=COORDINATOR,
        participants=tuple(Participant(hospital=name, sample_cap=LARGEST_CAP) for name in sorted(HOSPITALS.values())),
        max_colluding=1,
        rounds=2,
        attempts=2,
        deadlines=Deadlines(**{**usual, **waited, **lengths}),
        clock_tolerance=SILENT_TOLERANCE if silent else TOLERANCE,
        code="ab" * 32,
        schema="ab" * 32,
        initial_model=model_digest(np.zeros(PARAMETERS)),
        parameters=PARAMETERS,
        parameter_set=SET.name,
        update_bound_micro=1_000_000,
        privacy=privacy,
    )


@asynccontextmanager
async def hospitals(network: Network, folder: Path) -> AsyncIterator[dict[str, Party]]:
    """Open every hospital's connections and keystore, for all attacks of a run."""
    async with AsyncExitStack() as stack:
        parties = {}
        for name, organization in HOSPITALS.items():
            profile = Profile.load(network.profile(name))
            gateway = await stack.enter_async_context(Gateway.connect(profile))
            admin = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name, "admin"))))
            contract = gateway.network().contract()
            parties[organization] = Party(
                organization,
                profile,
                gateway,
                contract,
                Federation(contract),
                Federation(admin.network().contract()),
                await stack.enter_async_context(AggregatorClient.connect(profile)),
                Keystore(folder / name / "keys", b"a passphrase for attacks"),
            )
        yield parties


async def set_up(parties: dict[str, Party], liar: Federation, terms: StudyTerms, folder: Path) -> Stage:
    """Propose, approve and activate a study, open its key epoch and its first round."""
    first = parties[terms.coordinator]
    await first.admin.propose_study(terms)
    digest = canonical.digest(terms)
    approving = [party for party in parties.values() if party.organization != CHEAT]
    await asyncio.gather(*(persistently(lambda p=p: p.admin.approve_study(terms.study, digest)) for p in approving))  # type: ignore[misc]
    await persistently(lambda: first.admin.activate_study(terms.study))
    epoch, seed = new_epoch(terms.study, 1, wrapping_keys(parties))
    await persistently(lambda: first.client.open_key_epoch(epoch))
    opening = Opening(study=terms.study, round=1, base=terms.initial_model, epoch=1)
    await persistently(lambda: first.client.open_round(opening))
    stage = Stage(terms, parties, folder, liar, key_seed=seed)
    await _level(stage)
    return stage


def wrapping_keys(parties: dict[str, Party]) -> dict[str, str]:
    """Return the public keys to which key epochs are wrapped, by hospital."""
    return {
        name: party.keystore.x25519(WRAPPING_KEY).public_key().public_bytes_raw().hex()
        for name, party in parties.items()
    }


def know_wrapping_keys(parties: dict[str, Party], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let agents find the parties' wrapping keys as if they were registered.

    On the ledger, these keys would be what later studies of other tests are wrapped to.
    """
    keys = wrapping_keys(parties)

    async def key_of(_: Federation, hospital: str) -> str:
        return keys[hospital]

    monkeypatch.setattr(holders, "registered_key", key_of)


async def _level(stage: Stage) -> None:
    """Wait until every hospital's own peer has the round."""
    async with asyncio.timeout(SETTLING_SECONDS):
        for party in stage.parties.values():
            while True:
                try:
                    await party.client.read_round(stage.name, 1)
                except PeersError:
                    await asyncio.sleep(0.1)
                else:
                    break
