"""The parties of a study that write to a ledger, real or in memory, and the study that they begin. Needs no TenSEAL."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import UNSET, UnsetType

from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_proto import canonical
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.records import Deadlines, KeyEpoch, Participant, PrivacyTerms, RewardTerms, StudyTerms, WrappedKey
from consilium_proto.refusals import RefusalCode

EPOCH = 1
MODEL = "ab" * 32
PHASE_SECONDS = 120
PATIENCE_SECONDS = 30
RETRY_SECONDS = 0.02
# What a peer that is a block behind still answers.
_BEHIND = (RefusalCode.NOT_FOUND, RefusalCode.WRONG_PHASE, RefusalCode.NOT_YET, RefusalCode.STALE_EPOCH)
_PHASES = ("open", "sealed", "anchored", "aggregated", "challenged", "listing", "proving", "verified")


@dataclass(frozen=True)
class Party:
    """One organisation, with what its client and its administrator may call."""

    organization: str
    client: Federation
    admin: Federation


@dataclass(frozen=True)
class ActiveStudy:
    """A study with an open key epoch; its hospitals are sorted."""

    name: str
    channel: str
    parameter_set: ParameterSet
    chunks: int
    max_colluding: int
    hospitals: tuple[Party, ...]
    aggregator: Party

    @property
    def participants(self) -> list[str]:
        """The hospitals' identifiers, sorted."""
        return [party.organization for party in self.hospitals]


async def begin_study(
    channel: str,
    parties: tuple[Sequence[Party], Party],
    chosen: ParameterSet,
    parameters: int,
    rounds: int,
    privacy: PrivacyTerms | None = None,
    reward: RewardTerms | UnsetType = UNSET,
) -> ActiveStudy:
    """Propose, approve and activate a study of all hospitals with T = 1, and open its key epoch.

    Args:
        channel: the ledger's name.
        parties: the hospitals, and the aggregator.
        chosen: the parameter set.
        parameters: of the model.
        rounds: how many there will be.
        privacy: the terms of the study's privacy, if it has any.
        reward: what a final round is worth, if it is.
    """
    hospitals = tuple(sorted(parties[0], key=lambda party: party.organization))
    first, names = hospitals[0], [party.organization for party in hospitals]
    terms = _terms(names, chosen, parameters, rounds, privacy, reward)
    await first.admin.propose_study(terms)
    for party in hospitals:
        await persistently(partial(party.admin.approve_study, terms.study, canonical.digest(terms)))
    await persistently(lambda: first.client.activate_study(terms.study))
    await persistently(partial(first.client.open_key_epoch, _key_epoch(terms.study, names)))
    chunks = chosen.chunk_count(parameters)
    return ActiveStudy(terms.study, channel, chosen, chunks, terms.max_colluding, hospitals, parties[1])


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


def new_public_key() -> str:
    """Return the public half (hex) of a fresh X25519 key."""
    return X25519PrivateKey.generate().public_key().public_bytes_raw().hex()


def _terms(
    names: list[str],
    chosen: ParameterSet,
    parameters: int,
    rounds: int,
    privacy: PrivacyTerms | None,
    reward: RewardTerms | UnsetType,
) -> StudyTerms:
    return StudyTerms(
        study=f"bench-{os.getpid()}-{secrets.token_hex(4)}",
        purpose="benchmark",
        coordinator=names[0],
        participants=tuple(Participant(hospital=name, sample_cap=10) for name in names),
        max_colluding=1,
        rounds=rounds,
        attempts=1,
        deadlines=Deadlines(**dict.fromkeys(_PHASES, PHASE_SECONDS)),
        clock_tolerance=60,
        code=MODEL,
        schema=MODEL,
        initial_model=MODEL,
        parameters=parameters,
        parameter_set=chosen.name,
        update_bound_micro=1_000_000,
        privacy=privacy,
        reward=reward,
    )


def _key_epoch(study: str, names: list[str]) -> KeyEpoch:
    """Return an epoch of the usual size. Nobody opens it, and the ledger can't tell."""
    holders = tuple(
        WrappedKey(holder=name, encapsulated=new_public_key(), ciphertext=secrets.token_hex(80)) for name in names
    )
    return KeyEpoch(study=study, epoch=EPOCH, commitment=secrets.token_hex(32), holders=holders)
