"""A ledger below the aggregator under test: records in files, so that another process can read and write them too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from consilium_peers.errors import EndorseError, EvaluateError
from consilium_peers.events import ChaincodeEvent
from consilium_proto import canonical
from consilium_proto.records import (
    Anchor,
    AnchoredHospital,
    EventName,
    FederationEvent,
    HeldVector,
    Publication,
    PublishedSum,
    Round,
    RoundPhase,
    RoundView,
    Study,
    StudyHead,
    StudyList,
    StudyPhase,
    StudyTerms,
    StudyView,
)

R = TypeVar("R", bound=canonical.Record)

AGGREGATOR = "AggregatorMSP"
OTHER = "StandbyMSP"
DIGEST = "0" * 64


def all_held(state: Round) -> tuple[HeldVector, ...]:
    """Every vector is confirmed by the next hospital in the ring."""
    names = state.participants
    return tuple(HeldVector(owner=name, witness=names[(place + 1) % len(names)]) for place, name in enumerate(names))


class LedgerDouble:
    """What `Federation` offers an aggregator. `down` makes every call fail as an unreachable peer does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._listeners: list[asyncio.Queue[ChaincodeEvent]] = []
        self._block = 0
        self.down = False

    # ---- what the aggregator calls

    async def read_study(self, study: str) -> StudyView:
        self._check()
        return self._read(StudyView, study)

    async def read_round(self, study: str, round_number: int) -> RoundView:
        self._check()
        return self._read(RoundView, f"{study}.{round_number}")

    async def list_studies(self) -> StudyList:
        self._check()
        return StudyList(studies=tuple(sorted(path.name for path in self._directory.iterdir() if "." not in path.name)))

    async def publish(self, publication: Publication) -> Any:
        self._check()
        view = self.round(publication.study, publication.round)
        if view.round.phase is not RoundPhase.ANCHORED:
            raise EndorseError("tx", "ABORTED", f"WRONG_PHASE: round is {view.round.phase}")
        if any(entry.aggregator == AGGREGATOR for entry in view.publications):
            raise EndorseError("tx", "ABORTED", "ALREADY_WRITTEN: published before")
        if len(view.held) < len(view.round.participants):
            raise EndorseError("tx", "ABORTED", "NOT_YET: not all is held")
        sums = (PublishedSum(aggregator=AGGREGATOR, publication=publication), *view.publications)
        self._write(f"{publication.study}.{publication.round}", replace(view, publications=sums))

    async def events(self) -> AsyncIterator[ChaincodeEvent]:
        queue: asyncio.Queue[ChaincodeEvent] = asyncio.Queue()
        self._listeners.append(queue)
        while True:
            yield await queue.get()

    # ---- what the tests do

    def start_study(self, terms: StudyTerms) -> None:
        study = Study(terms=terms, proposer=terms.coordinator, phase=StudyPhase.ACTIVE)
        head = StudyHead(
            round=0, undecided=False, last_final_round=0, final_rounds=0, model=DIGEST, epoch=1, idle_since=0
        )
        self._write(terms.study, StudyView(study=study, approvals=(), head=head, key_epoch=None))

    def start_round(
        self, study: str, number: int, anchors: dict[str, Anchor], phase: RoundPhase, *, held: bool = True
    ) -> None:
        """Put a round on the ledger; `held` says whether its witnesses have confirmed everything."""
        state = Round(
            study=study,
            round=number,
            phase=phase,
            base=DIGEST,
            epoch=1,
            attempt=0,
            participants=tuple(anchors),
            missing=(),
            publisher=None,
            model=None,
            attested_by=(),
            entered=1,
            deadline=2,
        )
        anchored = tuple(AnchoredHospital(hospital=name, anchor=anchor) for name, anchor in anchors.items())
        view = RoundView(
            round=state,
            joins=(),
            anchors=anchored,
            held=all_held(state) if held else (),
            publications=(),
            attestations=(),
            next_phase=None,
        )
        self._write(f"{study}.{number}", view)
        seen = self._read(StudyView, study)
        self._write(study, replace(seen, head=replace(seen.head, round=number, undecided=True)))

    def move(self, study: str, number: int, phase: RoundPhase, event: EventName | None = None) -> None:
        """Put a round into a phase and tell listeners, if an event is named."""
        view = self.round(study, number)
        publisher = AGGREGATOR if view.publications else None
        self._write(f"{study}.{number}", replace(view, round=replace(view.round, phase=phase, publisher=publisher)))
        if event is not None:
            self._block += 1
            about = FederationEvent(study=study, round=number, phase=phase.value, author="AlphaMSP")
            for queue in self._listeners:
                queue.put_nowait(
                    ChaincodeEvent(self._block, f"tx{self._block}", "federation", event.value, canonical.encode(about))
                )

    def confirm(self, study: str, number: int) -> None:
        """Let all witnesses confirm what they hold."""
        view = self.round(study, number)
        self._write(f"{study}.{number}", replace(view, held=all_held(view.round)))
        self.move(study, number, view.round.phase, EventName.UPDATE_HELD)

    def publish_other(self, study: str, number: int, publication: Publication) -> None:
        """Let another aggregator publish."""
        view = self.round(study, number)
        sums = (*view.publications, PublishedSum(aggregator=OTHER, publication=publication))
        self._write(f"{study}.{number}", replace(view, publications=sums))

    def reject(self, study: str, number: int, aggregator: str) -> None:
        """Take a round back to ANCHORED because an aggregator's sum was wrong."""
        view = self.round(study, number)
        state = replace(view.round, rejected=(*view.round.rejected, aggregator))
        self._write(f"{study}.{number}", replace(view, round=state))
        self.move(study, number, RoundPhase.ANCHORED, EventName.SUM_REJECTED)

    def round(self, study: str, number: int) -> RoundView:
        return self._read(RoundView, f"{study}.{number}")

    def _check(self) -> None:
        if self.down:
            raise EvaluateError("", "UNAVAILABLE", "the peer is down")

    def _read(self, kind: type[R], name: str) -> R:
        try:
            return canonical.decode(kind, (self._directory / name).read_bytes())
        except FileNotFoundError:
            raise EvaluateError("", "ABORTED", f"NOT_FOUND: no {name}") from None

    def _write(self, name: str, record: canonical.Record) -> None:
        aside = self._directory / f".{name}.part"
        aside.write_bytes(canonical.encode(record))
        aside.replace(self._directory / name)
