"""What a hospital has to do next in a study: a pure decision from what the ledger and the own journal say.

The agent asks again after every event and every action, so that nothing depends on having seen an event: an agent that
was killed, or slept through a phase, finds its duty from the state alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from consilium_client.disputes import current_fingerprints, others_lists, to_list
from consilium_proto.records import Round, RoundPhase, RoundView, StudyPhase, StudyView
from consilium_proto.witnesses import witnessed_by


class Duty(Enum):
    """One action of the agent."""

    WAIT = "wait"
    OPEN_EPOCH = "open a key epoch"
    OPEN_ROUND = "open a round"
    JOIN = "join"
    ANCHOR = "train, encrypt and anchor"
    UPLOAD = "upload"
    HOLD = "fetch and confirm what it witnesses"
    REVEAL = "reveal"
    FINGERPRINT = "fingerprint"
    LIST = "list a disputed vector"
    DISPROVE = "disprove a false list"
    ATTEST = "decrypt, apply and attest"
    ADVANCE = "advance the round"
    FINISHED = "nothing more to do"


@dataclass(frozen=True)
class Situation:
    """What the decision rests on: `now` in milliseconds since 1970, `uploaded` the round and attempt last sent.

    `examined` names (publication, author, vector) of lists that were compared with the hospital's own vectors,
    `unusable` says that the round's sum gives no model, `keyless` that this hospital can't open the newest key epoch.
    """

    study: StudyView
    round: RoundView | None
    hospital: str
    now: int
    uploaded: tuple[int, int] | None
    examined: frozenset[tuple[int, str, str]] = frozenset()
    unusable: bool = False
    keyless: bool = False


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


def needs_model(duty: Duty, view: RoundView | None) -> bool:
    """Tell whether a duty needs the study's newest model, or there is time to derive it."""
    idle = duty is Duty.WAIT and view is not None and view.round.phase.decided
    return idle or duty in (Duty.JOIN, Duty.ANCHOR, Duty.ATTEST, Duty.FINISHED)


def begins(view: RoundView) -> bool:
    """Tell whether a round is before ANCHORED, from where on it ends under the key epoch that it began under."""
    return view.round.phase in (RoundPhase.OPEN, RoundPhase.SEALED)


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
    if situation.now > state.deadline or hospital not in state.participants:
        return None
    if begins(view) and (situation.keyless or _outdated(situation, state)):
        return None
    if state.phase is RoundPhase.OPEN:
        joined = any(entry.hospital == hospital for entry in view.joins)
        return None if joined else Duty.JOIN
    if state.phase is RoundPhase.SEALED:
        anchored = any(e.hospital == hospital and e.anchor.attempt == state.attempt for e in view.anchors)
        return None if anchored else Duty.ANCHOR
    if state.phase is RoundPhase.ANCHORED:
        return _while_anchored(situation, view)
    if state.phase is RoundPhase.AGGREGATED:
        revealed = any(e.hospital == hospital and e.reveal.publication == state.publication for e in view.reveals)
        return None if revealed else Duty.REVEAL
    if state.phase is RoundPhase.VERIFIED:
        attested = any(entry.hospital == hospital for entry in view.attestations)
        return None if attested or situation.unusable else Duty.ATTEST
    return _while_checked(situation, view)


def _while_anchored(situation: Situation, view: RoundView) -> Duty | None:
    state, hospital = view.round, situation.hospital
    if situation.uploaded != (state.round, state.attempt):
        return Duty.UPLOAD
    confirmed = {entry.owner for entry in view.held if entry.witness == hospital}
    shown = {entry.vector for entry in view.malformed}
    expected = witnessed_by(state.participants, hospital, situation.study.study.terms.max_colluding)
    return None if set(expected) <= confirmed | shown else Duty.HOLD


def _while_checked(situation: Situation, view: RoundView) -> Duty | None:
    state, hospital = view.round, situation.hospital
    max_colluding = situation.study.study.terms.max_colluding
    if any(entry.vector == state.publisher for entry in view.malformed):
        return None
    if state.phase is RoundPhase.CHALLENGED:
        written = any(entry.hospital == hospital for entry in current_fingerprints(view))
        return None if written else Duty.FINGERPRINT
    if state.phase is RoundPhase.LISTING:
        return Duty.LIST if to_list(view, hospital, max_colluding) else None
    lists = {
        (state.publication, entry.hospital, entry.listing.vector)
        for entry in others_lists(view, hospital, max_colluding)
    }
    return Duty.DISPROVE if lists - situation.examined else None


def _outdated(situation: Situation, state: Round) -> bool:
    """A round that hasn't reached ANCHORED is void once the study has a newer key epoch: nobody acts in it any more."""
    return state.epoch != situation.study.head.epoch


def ring_position(state: Round, hospital: str, hospitals: tuple[str, ...]) -> int:
    """Return how many hospitals come before this one in submitting what any of them may submit.

    The ring turns by one place a round, so that no single hospital always pays for `Advance`.
    """
    if hospital not in hospitals:
        return len(hospitals)
    return (hospitals.index(hospital) - state.round) % len(hospitals)
