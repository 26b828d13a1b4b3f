"""What a hospital has to do next in a study: a pure decision from what the ledger and the own journal say.

The agent asks again after every event and every action, so that nothing depends on having seen an event: an agent that
was killed, or slept through a phase, finds its duty from the state alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from consilium_proto.records import Round, RoundPhase, RoundView, StudyPhase, StudyView


class Duty(Enum):
    """One action of the agent."""

    WAIT = "wait"
    OPEN_EPOCH = "open a key epoch"
    OPEN_ROUND = "open a round"
    JOIN = "join"
    ANCHOR = "train, encrypt and anchor"
    UPLOAD = "upload"
    ATTEST = "decrypt, apply and attest"
    ADVANCE = "advance the round"
    FINISHED = "nothing more to do"


@dataclass(frozen=True)
class Situation:
    """What the decision rests on: `now` in milliseconds since 1970, `uploaded` the round and attempt last sent."""

    study: StudyView
    round: RoundView | None
    hospital: str
    now: int
    uploaded: tuple[int, int] | None


def next_duty(situation: Situation) -> Duty:
    """Return the duty that comes next; `ADVANCE` only after this hospital has done its own part."""
    study = situation.study
    if study.study.phase is StudyPhase.CLOSED:
        return Duty.FINISHED
    if study.study.phase is StudyPhase.PROPOSED:
        return Duty.WAIT
    if situation.round is None or situation.round.round.phase.decided:
        return _between_rounds(situation)
    own = _own_part(situation, situation.round)
    if own is not None:
        return own
    return Duty.ADVANCE if situation.round.next_phase is not None else Duty.WAIT


def _between_rounds(situation: Situation) -> Duty:
    study, terms = situation.study, situation.study.study.terms
    if study.head.final_rounds >= terms.rounds:
        return Duty.FINISHED
    coordinates = situation.hospital == terms.coordinator
    # Another hospital may open the round when the coordinator is silent for longer than the phase OPEN may last.
    silent = situation.now > study.head.idle_since + 1000 * (terms.deadlines.open + terms.clock_tolerance)
    if not (coordinates or silent):
        return Duty.WAIT
    return Duty.OPEN_EPOCH if study.key_epoch is None else Duty.OPEN_ROUND


def _own_part(situation: Situation, view: RoundView) -> Duty | None:
    state, hospital = view.round, situation.hospital
    if situation.now > state.deadline or _outdated(situation, state):
        return None
    if state.phase is RoundPhase.OPEN:
        joined = any(entry.hospital == hospital for entry in view.joins)
        return None if joined or not _listed(situation) else Duty.JOIN
    if hospital not in state.participants:
        return None
    if state.phase is RoundPhase.SEALED:
        anchored = any(e.hospital == hospital and e.anchor.attempt == state.attempt for e in view.anchors)
        return None if anchored else Duty.ANCHOR
    if state.phase is RoundPhase.ANCHORED:
        return None if situation.uploaded == (state.round, state.attempt) else Duty.UPLOAD
    attested = any(entry.hospital == hospital for entry in view.attestations)
    return None if attested else Duty.ATTEST


def _outdated(situation: Situation, state: Round) -> bool:
    """A round that hasn't reached ANCHORED is void once the study has a newer key epoch: nobody acts in it any more."""
    early = state.phase in (RoundPhase.OPEN, RoundPhase.SEALED)
    return early and state.epoch != situation.study.head.epoch


def _listed(situation: Situation) -> bool:
    return any(entry.hospital == situation.hospital for entry in situation.study.study.terms.participants)


def ring_position(state: Round, hospital: str, hospitals: tuple[str, ...]) -> int:
    """Return how many hospitals come before this one in submitting what any of them may submit.

    The ring turns by one place a round, so that no single hospital always pays for `Advance`.
    """
    if hospital not in hospitals:
        return len(hospitals)
    return (hospitals.index(hospital) - state.round) % len(hospitals)
