"""A study whose hospitals are played by the test: every write is the test's own, on the real network."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from patience import SETTLING_SECONDS, is_behind, persistently

from consilium_client.key_epochs import new_epoch
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.records import (
    Anchor,
    Deadlines,
    Join,
    Opening,
    Participant,
    RoundPhase,
    RoundReference,
    RoundView,
    StudyTerms,
)
from consilium_proto.refusals import RefusalCode

HOSPITALS = {
    "cleveland": "ClevelandMSP",
    "hungary": "HungaryMSP",
    "longbeach": "LongBeachMSP",
    "switzerland": "SwitzerlandMSP",
}
MODEL = "ab" * 32
# A phase lasts so long that no hospital of the test is late, or so short that its deadline can be waited for; the
# tolerance is as long as a slow machine may take from a proposal to its endorsement.
PHASE_SECONDS, TOLERANCE = 120, 8
SHORT_SECONDS, SHORT_TOLERANCE = 8, 2
_numbers = itertools.count(1)


@dataclass
class Party:
    """One organisation's client and administrator."""

    organization: str
    gateway: Gateway
    contract: Contract
    client: Federation
    admin: Federation
    mask_key: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)


@dataclass
class PlayedStudy:
    """A study of four hospitals."""

    terms: StudyTerms
    parties: dict[str, Party]

    @property
    def name(self) -> str:
        return self.terms.study

    @property
    def hospitals(self) -> list[Party]:
        return [self.parties[name] for name in HOSPITALS]

    async def view(self, number: int = 1) -> RoundView:
        return await self.parties["cleveland"].client.read_round(self.name, number)

    async def until(self, seen: Callable[[RoundView], bool]) -> RoundView:
        """Return the round as soon as it looks so at the peer that is asked."""
        async with asyncio.timeout(SETTLING_SECONDS):
            while not seen(view := await self.view()):
                await asyncio.sleep(0.1)
            return view

    async def until_level(self) -> None:
        """Wait until every hospital's own peer has the round as it is at the peer that is furthest."""
        async with asyncio.timeout(SETTLING_SECONDS):
            while len({await self._at(party) for party in self.hospitals}) > 1:
                await asyncio.sleep(0.1)

    async def _at(self, party: Party) -> bytes | None:
        argument = canonical.encode(RoundReference(study=self.name, round=1))
        try:
            raw = await party.contract.evaluate("ReadRound", argument, organizations=[party.organization])
        except GatewayError as error:
            if error.refusal is not RefusalCode.NOT_FOUND:
                raise
            return None
        return canonical.encode(canonical.decode(RoundView, raw).round)

    def join(self, party: Party, mask_key: str | None = None) -> Join:
        key = mask_key or party.mask_key.public_key().public_bytes_raw().hex()
        return Join(study=self.name, round=1, samples=5, mask_key=key, chain_end=MODEL)

    def anchor(self, attempt: int = 0) -> Anchor:
        return Anchor(study=self.name, round=1, attempt=attempt, root=os.urandom(32).hex(), chunks=1, privacy=None)

    async def join_all(self) -> None:
        for party in self.hospitals:
            await persistently(lambda party=party: party.client.join(self.join(party)))  # type: ignore[misc]

    async def advance_to(self, phase: RoundPhase, attempt: int = 0) -> RoundView:
        """Advance as soon as the ledger allows it, also past a deadline."""
        async with asyncio.timeout(SETTLING_SECONDS):
            while True:
                view = await self.view()
                if (view.round.phase, view.round.attempt) == (phase, attempt):
                    await self.until_level()
                    return view
                assert not view.round.phase.decided, view.round
                try:
                    await self.parties["hungary"].client.advance(self.name, 1)
                except GatewayError as error:
                    if not is_behind(error):
                        raise
                await asyncio.sleep(0.2)


@asynccontextmanager
async def played_study(network: Network, *short: str) -> AsyncIterator[PlayedStudy]:
    """Start a study and its first round; the deadlines of the phases that are named as short can be waited for."""
    usual = dict.fromkeys(Deadlines.__struct_fields__, PHASE_SECONDS)
    terms = StudyTerms(
        study=f"played-{os.getpid()}-{next(_numbers)}",
        purpose="research",
        coordinator="ClevelandMSP",
        participants=tuple(Participant(hospital=name, sample_cap=10) for name in sorted(HOSPITALS.values())),
        max_colluding=1,
        rounds=2,
        attempts=2,
        deadlines=Deadlines(**{**usual, **dict.fromkeys(short, SHORT_SECONDS)}),
        clock_tolerance=SHORT_TOLERANCE if short else TOLERANCE,
        code=MODEL,
        schema=MODEL,
        initial_model=MODEL,
        parameters=5,
        parameter_set="bfv4096-q58-b20",
        update_bound_micro=1_000_000,
        privacy=None,
    )
    async with AsyncExitStack() as stack:
        names = [*HOSPITALS, "regulator", "aggregator"]
        parties = {name: await _party(stack, network, name) for name in names}
        study = PlayedStudy(terms, parties)
        first = parties["cleveland"]
        await first.admin.propose_study(terms)
        digest = canonical.digest(terms)
        for party in study.hospitals[:3]:
            await persistently(lambda party=party: party.admin.approve_study(terms.study, digest))  # type: ignore[misc]
        await persistently(lambda: first.admin.activate_study(terms.study))
        keys = {
            p.organization: X25519PrivateKey.generate().public_key().public_bytes_raw().hex() for p in study.hospitals
        }
        epoch, _seed = new_epoch(terms.study, 1, keys)
        await persistently(lambda: first.client.open_key_epoch(epoch))
        opening = Opening(study=terms.study, round=1, base=MODEL, epoch=1)
        await persistently(lambda: first.client.open_round(opening))
        await study.until_level()
        yield study


async def _party(stack: AsyncExitStack, network: Network, name: str) -> Party:
    user = "auditor" if name == "regulator" else "client"
    client = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name, user))))
    admin = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name, "admin"))))
    contract = client.network().contract()
    return Party(
        client.profile.organization, client, contract, Federation(contract), Federation(admin.network().contract())
    )
