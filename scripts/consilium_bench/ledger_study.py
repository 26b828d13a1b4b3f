"""A study whose parties do nothing but write to the ledger, with true values of vectors of one chunk."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consilium_client.encryption import UpdateCipher
from consilium_client.key_epochs import new_epoch
from consilium_client.masks import public_key_hex
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.parameter_sets import PLAIN_BITS, parameter_set
from consilium_proto.records import Deadlines, Participant, StudyTerms
from consilium_proto.refusals import RefusalCode

SET = parameter_set("bfv4096-q58-b8")
EPOCH = 1
MODEL = "ab" * 32
PHASE_SECONDS = 120
PATIENCE_SECONDS = 30
RETRY_SECONDS = 0.02
# What a peer that is a block behind still answers.
_BEHIND = (RefusalCode.NOT_FOUND, RefusalCode.WRONG_PHASE, RefusalCode.NOT_YET, RefusalCode.STALE_EPOCH)


@dataclass(frozen=True)
class Party:
    """One organisation, with what its client and its administrator may call."""

    organization: str
    client: Federation
    admin: Federation


@dataclass(frozen=True)
class LedgerStudy:
    """An active study with an open key epoch: the hospitals, sorted, the aggregator and each one's cipher."""

    name: str
    channel: str
    hospitals: tuple[Party, ...]
    aggregator: Party
    max_colluding: int
    cipher: UpdateCipher

    @property
    def participants(self) -> list[str]:
        """The hospitals' identifiers, sorted."""
        return [party.organization for party in self.hospitals]

    def new_chunk(self) -> bytes:
        """Encrypt one chunk of random slots, as masked ones are."""
        slots = np.random.default_rng().integers(0, 1 << PLAIN_BITS, (1, SET.degree), dtype=np.uint64)
        return next(iter(self.cipher.encrypt(slots)))


@asynccontextmanager
async def ledger_study(network: Network, rounds: int) -> AsyncIterator[LedgerStudy]:
    """Connect every party to a network and begin a study there."""
    async with AsyncExitStack() as stack:
        hospitals = [await _party(stack, network, each.name) for each in network.topology.hospitals]
        aggregator = await _party(stack, network, network.topology.aggregators[0].name)
        yield await begin_study(network.topology.channel, hospitals, aggregator, rounds)


async def begin_study(channel: str, hospitals: Sequence[Party], aggregator: Party, rounds: int) -> LedgerStudy:
    """Propose, approve and activate a study of all hospitals, with T = 1, and open its key epoch."""
    ordered = tuple(sorted(hospitals, key=lambda party: party.organization))
    terms = _terms(ordered, rounds)
    seed = await _activate(terms, ordered)
    cipher = UpdateCipher(SET, seed, EPOCH)
    return LedgerStudy(terms.study, channel, ordered, aggregator, terms.max_colluding, cipher)


async def persistently(action: Callable[[], Awaitable[object]]) -> None:
    """Repeat what a peer that is a block behind still refuses.

    Raises:
        GatewayError: another refusal.
        TimeoutError: still refused after half a minute.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await action()
            except GatewayError as error:
                if error.refusal not in _BEHIND:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


def _terms(hospitals: tuple[Party, ...], rounds: int) -> StudyTerms:
    phases = ("open", "sealed", "anchored", "aggregated", "challenged", "listing", "proving", "verified")
    return StudyTerms(
        study=f"ledger-{os.getpid()}-{secrets.token_hex(4)}",
        purpose="benchmark",
        coordinator=hospitals[0].organization,
        participants=tuple(Participant(hospital=party.organization, sample_cap=10) for party in hospitals),
        max_colluding=1,
        rounds=rounds,
        attempts=1,
        deadlines=Deadlines(**dict.fromkeys(phases, PHASE_SECONDS)),
        clock_tolerance=60,
        code=MODEL,
        schema=MODEL,
        initial_model=MODEL,
        parameters=SET.values_per_chunk,
        parameter_set=SET.name,
        update_bound_micro=1_000_000,
        privacy=None,
    )


async def _activate(terms: StudyTerms, hospitals: tuple[Party, ...]) -> bytes:
    first = hospitals[0]
    await first.admin.propose_study(terms)
    digest = canonical.digest(terms)
    for party in hospitals:
        await persistently(partial(party.admin.approve_study, terms.study, digest))
    await persistently(lambda: first.admin.activate_study(terms.study))
    keys = {party.organization: public_key_hex(X25519PrivateKey.generate()) for party in hospitals}
    epoch, seed = new_epoch(terms.study, EPOCH, keys)
    await persistently(lambda: first.client.open_key_epoch(epoch))
    return seed


async def _party(stack: AsyncExitStack, network: Network, name: str) -> Party:
    client = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name))))
    admin = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name, "admin"))))
    return Party(
        client.profile.organization, Federation(client.network().contract()), Federation(admin.network().contract())
    )
