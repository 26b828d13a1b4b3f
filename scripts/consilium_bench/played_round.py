"""One round whose parties do nothing but write to the ledger. Needs no TenSEAL.

A phase's parties write at once, and the round is moved on as soon as all have written.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from consilium_bench.parties import EPOCH, MODEL, PATIENCE_SECONDS, ActiveStudy, Party, new_public_key, persistently
from consilium_proto.chunk_tree import VectorContext, tree_root
from consilium_proto.fingerprint import Value, to_record
from consilium_proto.records import (
    Anchor,
    Attestation,
    Fingerprint,
    Held,
    Join,
    Opening,
    PrivacyEntry,
    Publication,
    Reveal,
    RoundPhase,
    RoundView,
    WitnessedFingerprint,
)
from consilium_proto.reveal_chain import SECRET_SIZE, chain_value
from consilium_proto.witnesses import witnessed_by

PUBLICATION = 1


class PlayedRound:
    """A round of a study. What needs no ledger is prepared before it opens."""

    def __init__(
        self,
        study: ActiveStudy,
        number: int,
        digests: Mapping[str, Sequence[bytes]],
        privacy: Mapping[str, PrivacyEntry] | None = None,
    ) -> None:
        """Prepare a round.

        Args:
            study: the study.
            number: the round's.
            digests: of the chunks of every hospital's vector and of the aggregator's sum, by MSP id.
            privacy: what the round costs each hospital, where the study's terms ask for it.
        """
        self._privacy = privacy or {}
        self.study = study
        self.number = number
        self._roots = {owner: tree_root(self.context(owner), vector) for owner, vector in digests.items()}
        self._secrets = {name: secrets.token_bytes(SECRET_SIZE) for name in study.participants}
        self._mask_keys = {name: new_public_key() for name in study.participants}

    def context(self, owner: str) -> VectorContext:
        """Return what the chunks of a hospital's vector, or of the aggregator's sum, are bound to."""
        label = "sum" if owner == self.study.aggregator.organization else "update"
        return VectorContext(self.study.channel, self.study.name, EPOCH, self.number, 0, owner, label)

    def witnessed(self, witness: str) -> tuple[str, ...]:
        """Return whose vectors a hospital witnesses."""
        return witnessed_by(self.study.participants, witness, self.study.max_colluding)

    async def open(self) -> None:
        """Open the round."""
        opening = Opening(study=self.study.name, round=self.number, base=MODEL, epoch=EPOCH)
        await persistently(partial(self.study.hospitals[0].client.open_round, opening))

    async def join(self) -> None:
        """Let every hospital join; SEALED."""
        await self.all_write(self.join_one, RoundPhase.SEALED)

    async def anchor(self) -> None:
        """Let every hospital anchor; ANCHORED."""
        await self.all_write(self._anchor, RoundPhase.ANCHORED)

    async def hold_and_publish(self) -> None:
        """Let the witnesses confirm and the aggregator publish; AGGREGATED."""
        holds = [
            persistently(partial(self._hold, party, owner))
            for party in self.study.hospitals
            for owner in self.witnessed(party.organization)
        ]
        await asyncio.gather(*holds, persistently(self._publish))
        await self.advance(RoundPhase.AGGREGATED)

    async def reveal(self) -> None:
        """Let every hospital reveal; CHALLENGED."""
        await self.all_write(self._reveal, RoundPhase.CHALLENGED)

    async def challenge(self) -> str:
        """Return the challenge, once there is one."""
        challenge = (await self.view(lambda view: view.round.challenge is not None)).round.challenge
        assert challenge is not None
        return challenge

    async def fingerprint(self, values: Mapping[tuple[str, str], Value], following: RoundPhase) -> None:
        """Let every hospital write its fingerprints: `values` by author and by vector."""
        await self.all_write(partial(self._fingerprint, values), following)

    async def attest(self) -> None:
        """Let every hospital attest; FINAL."""
        await self.all_write(self._attest, RoundPhase.FINAL)

    async def all_write(self, write: Callable[[Party], Awaitable[object]], following: RoundPhase) -> None:
        """Let every hospital write, and move the round on to `following`."""
        await asyncio.gather(*(persistently(partial(write, party)) for party in self.study.hospitals))
        await self.advance(following)

    async def advance(self, following: RoundPhase) -> None:
        """Move the round on.

        Raises:
            RuntimeError: it went on to another phase.
        """
        first = self.study.hospitals[0].client
        await persistently(lambda: first.advance(self.study.name, self.number))
        view = await self.view(lambda view: view.round.phase is following or view.round.phase.decided)
        if view.round.phase is not following:
            raise RuntimeError(f"round {self.number} went on to {view.round.phase}, not to {following}")

    async def view(self, wanted: Callable[[RoundView], bool]) -> RoundView:
        """Return the round as soon as it looks so at the peer that is asked."""
        found: list[RoundView] = []

        async def look() -> None:
            found.append(await self.study.hospitals[0].client.read_round(self.study.name, self.number))

        async with asyncio.timeout(PATIENCE_SECONDS):
            while not found or not wanted(found[-1]):
                await persistently(look)
        return found[-1]

    async def join_one(self, party: Party) -> None:
        """Let one hospital join."""
        name = party.organization
        end = chain_value(self.study.name, self.number, name, self._secrets[name], 0)
        key = self._mask_keys[name]
        await party.client.join(Join(study=self.study.name, round=self.number, samples=5, mask_key=key, chain_end=end))

    async def _anchor(self, party: Party) -> None:
        name, chunks = party.organization, self.study.chunks
        root, privacy = self._roots[name], self._privacy.get(name)
        await party.client.anchor(
            Anchor(study=self.study.name, round=self.number, attempt=0, root=root, chunks=chunks, privacy=privacy)
        )

    async def _hold(self, party: Party, owner: str) -> None:
        await party.client.hold(Held(study=self.study.name, round=self.number, attempt=0, owner=owner))

    async def _publish(self) -> None:
        root, chunks = self._roots[self.study.aggregator.organization], self.study.chunks
        await self.study.aggregator.client.publish(
            Publication(study=self.study.name, round=self.number, attempt=0, root=root, chunks=chunks)
        )

    async def _reveal(self, party: Party) -> None:
        name = party.organization
        value = chain_value(self.study.name, self.number, name, self._secrets[name], PUBLICATION)
        await party.client.reveal(
            Reveal(study=self.study.name, round=self.number, publication=PUBLICATION, value=value)
        )

    async def _fingerprint(self, values: Mapping[tuple[str, str], Value], party: Party) -> None:
        name = party.organization
        witnessed = tuple(
            WitnessedFingerprint(owner=owner, value=to_record(values[name, owner])) for owner in self.witnessed(name)
        )
        await party.client.fingerprint(
            Fingerprint(
                study=self.study.name,
                round=self.number,
                publication=PUBLICATION,
                own=to_record(values[name, name]),
                witnessed=witnessed,
                sum=to_record(values[name, self.study.aggregator.organization]),
            )
        )

    async def _attest(self, party: Party) -> None:
        publisher = self.study.aggregator.organization
        await party.client.attest(
            Attestation(study=self.study.name, round=self.number, publication=publisher, model=MODEL)
        )
