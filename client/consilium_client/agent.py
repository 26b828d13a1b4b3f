"""A hospital's agent: watches its study on the ledger and does its part, round after round.

The loop is level-triggered: events only wake it up, and what to do follows from the ledger's state and the journal
(`duties`). It may be killed at any moment and started again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from consilium_client import figures, rounds, verification
from consilium_client.disputes import others_lists
from consilium_client.duties import Duty, Situation, begins, needs_model, next_duty, ring_position
from consilium_client.errors import (
    AggregatorRefusalError,
    AggregatorUnavailableError,
    ChallengeError,
    KeyEpochError,
    PolicyRefusalError,
    PrivacyError,
    TermsMismatchError,
    TrainingError,
    UnusableSumError,
    VectorWithheldError,
)
from consilium_client.holders import open_epoch
from consilium_client.key_renewal import KeyRenewal
from consilium_client.models import catch_up
from consilium_client.recording import recorded
from consilium_client.site import Site
from consilium_client.wakeups import Wakeups
from consilium_peers.errors import GatewayError, PeersError
from consilium_peers.gateway import Network
from consilium_proto.records import Opening, RoundView, StudyPhase, StudyView
from consilium_proto.refusals import RefusalCode

log = logging.getLogger("consilium.agent")

# How long the agent sleeps when no event comes: deadlines pass without one.
TICK_SECONDS = 1.0
# Between two hospitals' attempts at what any of them may submit.
RING_SECONDS = 0.3
# An aggregator that lost its store, or took over from another, gets the update again this often.
ANNOUNCE_SECONDS = 5.0
# After a failure that may pass: the peer restarts, an aggregator is replaced.
RETRY_SECONDS = 1.0
# The peer that was asked may be a block behind; what is refused again and again is asked less and less often.
OVERTAKEN_SECONDS, LONGEST_OVERTAKEN_SECONDS = 0.1, 2.0

# This hospital doesn't take part, as long as it is so.
_REFUSALS = (PolicyRefusalError, PrivacyError, TrainingError, ChallengeError, UnusableSumError, KeyEpochError)

# The ledger has moved on, or somebody else was faster: look again.
_OVERTAKEN = {
    RefusalCode.ALREADY_WRITTEN,
    RefusalCode.CONFLICTING,
    RefusalCode.DEADLINE_PASSED,
    RefusalCode.NOT_YET,
    RefusalCode.STALE_EPOCH,
    RefusalCode.WRONG_PHASE,
}


class Agent:
    """One hospital's part in one study."""

    def __init__(self, site: Site, network: Network) -> None:
        self._site = site
        self._wakeups = Wakeups(network, site.terms.study)
        self._uploaded: tuple[int, int] | None = None
        self._uploaded_at = 0.0
        self._settled: set[int] = set()
        self._examined: set[tuple[int, str, str]] = set()
        self._refusal = ""
        self._announced: tuple[Duty, int, int] | None = None
        self._overtaken = 0
        self._key = KeyRenewal(site)

    async def run(self) -> None:
        """Act until the study is closed or has all its final rounds.

        Raises:
            TermsMismatchError: the ledger's study isn't the one in the hospital's study file.
            ClientError: what can't pass by itself, such as a changed journal.
        """
        async with self._wakeups.listening():
            while not await self._step_or_wait():
                pass

    async def _step_or_wait(self) -> bool:
        try:
            duty = await self._step()
        except _REFUSALS as error:
            self._refused(str(error))
            duty = Duty.WAIT
        except VectorWithheldError as error:
            # Whoever should have uploaded or published it may still do so.
            log.info("not there yet", extra={"detail": str(error)})
            await self._wakeups.sleep(RETRY_SECONDS)
            return False
        except (AggregatorRefusalError, AggregatorUnavailableError) as error:
            # It passes, or the round's deadline ends it; the ledger records who was silent.
            log.warning("the aggregator didn't do its part; trying again", extra={"detail": str(error)})
            await asyncio.sleep(RETRY_SECONDS)
            return False
        except PeersError as error:
            if isinstance(error, GatewayError) and error.refusal is RefusalCode.BUDGET_EXCEEDED:
                self._refused(str(error))
                await self._wakeups.sleep(TICK_SECONDS)
                return False
            if isinstance(error, GatewayError) and error.refusal in _OVERTAKEN:
                log.info("overtaken", extra={"detail": str(error)})
                await asyncio.sleep(min(OVERTAKEN_SECONDS * 2**self._overtaken, LONGEST_OVERTAKEN_SECONDS))
                self._overtaken += 1
                return False
            log.warning("the ledger didn't answer; trying again", extra={"detail": str(error)})
            await asyncio.sleep(RETRY_SECONDS)
            return False
        self._overtaken = 0
        if duty is Duty.WAIT:
            await self._wakeups.sleep(TICK_SECONDS)
        return duty is Duty.FINISHED

    async def _step(self) -> Duty:
        site = self._site
        study = await site.federation.read_study(site.terms.study)
        if study.study.terms != site.terms:
            raise TermsMismatchError(
                f"study {site.terms.study} on the ledger isn't the one in {site.study.path}; "
                "compare with: consilium study status"
            )
        view = await site.federation.read_round(site.terms.study, study.head.round) if study.head.round else None
        await self._settle(study, view)
        active = study.study.phase is StudyPhase.ACTIVE
        if active:
            await self._key.look(study)
            # From ANCHORED on a round ends under its own key: what is due in it mustn't wait for the next one.
            if (view is None or view.round.phase.decided or begins(view)) and await self._key.renew(study):
                return Duty.OPEN_EPOCH
        self._wakeups.of_single_writes = self._position(view) == 0
        duty = next_duty(self._situation(study, view))
        if active and needs_model(duty, view):
            await self._catch_up(study, duty)
        await self._do(duty, study, view)
        return duty

    def _situation(self, study: StudyView, view: RoundView | None) -> Situation:
        unusable = view is not None and self._site.journal.round(view.round.round).unusable() is not None
        return Situation(
            study,
            view,
            self._site.hospital,
            int(time.time() * 1000),
            self._recently_uploaded(),
            frozenset(self._examined),
            unusable,
            not self._key.holds,
        )

    async def _catch_up(self, study: StudyView, duty: Duty) -> None:
        """See to it that this hospital has the study's newest model; the end of a study doesn't wait for it in vain."""
        try:
            await catch_up(self._site, study)
        except KeyEpochError as error:
            if duty is not Duty.FINISHED:
                raise
            log.warning("no model of the last rounds", extra={"detail": str(error)})

    async def _do(self, duty: Duty, study: StudyView, view: RoundView | None) -> None:
        site = self._site
        if duty in (Duty.WAIT, Duty.FINISHED):
            return
        if duty is Duty.OPEN_EPOCH:
            if not await open_epoch(site.federation, study):
                await self._wakeups.sleep(TICK_SECONDS)
            return
        if duty is Duty.OPEN_ROUND:
            await self._in_turn(study, view, lambda: self._open_round(study))
            return
        assert view is not None
        self._announce(duty, view)
        if duty is Duty.ADVANCE:
            await self._in_turn(study, view, lambda: self._advance(view))
        elif duty is Duty.UPLOAD:
            await self._upload(study, view)
        elif duty is Duty.DISPROVE:
            await self._disprove(view)
        else:
            await _OWN_PART[duty](site, view)

    async def _upload(self, study: StudyView, view: RoundView) -> None:
        """Upload; also when that fails, other duties come before the next try: an aggregator mustn't stop witnesses."""
        try:
            barred = frozenset(bar.party for bar in study.bars)
            await rounds.upload(self._site, view, barred)
        finally:
            self._uploaded, self._uploaded_at = (view.round.round, view.round.attempt), time.monotonic()

    async def _disprove(self, view: RoundView) -> None:
        await verification.disprove(self._site, view)
        lists = others_lists(view, self._site.hospital, self._site.terms.max_colluding)
        self._examined |= {(view.round.publication, entry.hospital, entry.listing.vector) for entry in lists}

    async def _open_round(self, study: StudyView) -> None:
        number = study.head.round + 1
        opening = Opening(study=self._site.terms.study, round=number, base=study.head.model, epoch=study.head.epoch)
        journal = self._site.journal.round(number)
        await recorded(journal, "OpenRound", self._site.federation.open_round(opening))

    async def _advance(self, view: RoundView) -> None:
        journal = self._site.journal.round(view.round.round)
        submission = self._site.federation.advance(view.round.study, view.round.round)
        await recorded(journal, "Advance", submission)

    async def _in_turn(self, study: StudyView, view: RoundView | None, submit: Callable[[], Awaitable[None]]) -> None:
        """Submit what any hospital may submit, unless an earlier one in the ring already has."""
        position = self._position(view)
        if position:
            await asyncio.sleep(position * RING_SECONDS)
            now = await self._site.federation.read_study(self._site.terms.study)
            if now.head.round != study.head.round:
                return
            if (
                view is not None
                and (await self._site.federation.read_round(view.round.study, view.round.round)).round != view.round
            ):
                return
        await submit()

    def _position(self, view: RoundView | None) -> int:
        """How many hospitals come before this one in submitting what any of them may."""
        coordinates = self._site.hospital == self._site.terms.coordinator
        if view is None or (view.round.phase.decided and coordinates):
            return 0
        hospitals = tuple(entry.hospital for entry in self._site.terms.participants)
        return ring_position(view.round, self._site.hospital, hospitals)

    async def _settle(self, study: StudyView, view: RoundView | None) -> None:
        """Once a round is decided: figures, what the policy releases, and no update or mask key left behind."""
        for number in range(1, study.head.round + 1):
            if number in self._settled:
                continue
            current = view is not None and view.round.round == number
            decided = view if current else await self._site.federation.read_round(self._site.terms.study, number)
            if decided is None or not decided.round.phase.decided:
                continue
            await figures.settle(self._site, decided)
            self._site.keystore.delete(rounds.mask_key_name(decided.round))
            self._site.keystore.delete(verification.reveal_secret_name(decided.round.study, number))
            self._examined.clear()
            self._site.journal.round(number).forget_update()
            self._settled.add(number)
            log.info("round decided", extra={"round": number, "phase": decided.round.phase.value})

    def _recently_uploaded(self) -> tuple[int, int] | None:
        return self._uploaded if time.monotonic() - self._uploaded_at < ANNOUNCE_SECONDS else None

    def _announce(self, duty: Duty, view: RoundView) -> None:
        """Log what is done, once: a duty that is refused comes up again and again."""
        described = (duty, view.round.round, view.round.attempt)
        if described != self._announced:
            self._announced = described
            extra = {"study": self._site.terms.study, "round": view.round.round, "attempt": view.round.attempt}
            log.info(duty.value, extra=extra)

    def _refused(self, reason: str) -> None:
        if reason != self._refusal:
            log.warning("not taking part", extra={"detail": reason})
            self._refusal = reason


_OWN_PART: dict[Duty, Callable[[Site, RoundView], Awaitable[None]]] = {
    Duty.JOIN: rounds.join,
    Duty.ANCHOR: rounds.anchor,
    Duty.HOLD: verification.hold,
    Duty.REVEAL: verification.reveal,
    Duty.FINGERPRINT: verification.fingerprint,
    Duty.LIST: verification.list_disputed,
    Duty.ATTEST: rounds.attest,
}
