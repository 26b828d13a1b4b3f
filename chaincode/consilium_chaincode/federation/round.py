"""The life of a round: how it opens and what `Advance` makes of it.

    OPEN ──▶ SEALED ──▶ ANCHORED ──▶ AGGREGATED ──▶ FINAL
             │    ▲
             └────┘ a new attempt without those who didn't anchor

A round moves on as soon as every expected write is there. Once the deadline has passed it moves on with those who
wrote, if they are enough, and is otherwise decided as EXPIRED (too few took part) or VOID (what was done can't be
used). The participants shrink until ANCHORED and never afterwards, because uploads begin there: two sums of the same
updates over different sets would differ by one hospital's update.

Nothing here reads a ledger or a clock: `advance` is a function of the state, of who has written, and of a timestamp.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from consilium_chaincode.federation.bounds import attestation_quorum, smallest_cohort
from consilium_chaincode.federation.deadlines import deadline, has_passed, others_may_open
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.key_epoch import holders
from consilium_chaincode.federation.study import check_coalition, require_phase
from consilium_proto.records import (
    Consortium,
    KeyEpoch,
    Opening,
    Round,
    RoundPhase,
    Study,
    StudyPhase,
    StudyProgress,
    StudyTerms,
)
from consilium_proto.refusals import RefusalCode


@dataclass(frozen=True, slots=True)
class Written:
    """Who has written what the current phase waits for; what belongs to other phases is left empty.

    `anchored` is about the current attempt, `attested` maps hospitals to the model they attested for the round's
    publication, `current_epoch` is the study's newest key epoch.
    """

    joined: frozenset[str] = frozenset()
    anchored: frozenset[str] = frozenset()
    published: frozenset[str] = frozenset()
    attested: Mapping[str, str] = field(default_factory=dict)
    current_epoch: int = 0


def check_opener(terms: StudyTerms, progress: StudyProgress, hospital: str, timestamp: int) -> None:
    """Refuse a participant other than the coordinator until the study has been idle for an open deadline."""
    if hospital != terms.coordinator and not others_may_open(timestamp, progress.idle_since, terms):
        raise Refused(
            RefusalCode.NOT_YET,
            f"round {progress.round + 1} is the coordinator's ({terms.coordinator}) to open until the study has been "
            f"idle for {terms.deadlines.open} s",
        )


def open_round(
    study: Study,
    progress: StudyProgress,
    consortium: Consortium,
    key_epoch: KeyEpoch | None,
    opening: Opening,
    timestamp: int,
) -> tuple[Round, StudyProgress]:
    """Return a new round in OPEN, and the study's progress with it.

    Its participants are the holders of the current key epoch (`key_epoch`, none before the first) who still are
    hospitals of the consortium.

    Raises:
        Refused: WRONG_PHASE when the study isn't active, has an undecided round or all its rounds; CONFLICTING when
            number or base model aren't the next ones; STALE_EPOCH when the epoch isn't current or too few of its
            holders are left; UNSAFE_TERMS when the consortium has become too small for the terms.
    """
    terms = study.terms
    _check_next(study, progress, opening)
    check_coalition(terms, consortium)
    if key_epoch is None or opening.epoch != key_epoch.epoch:
        newest = 0 if key_epoch is None else key_epoch.epoch
        raise Refused(RefusalCode.STALE_EPOCH, f"epoch {opening.epoch} isn't the study's current key epoch, {newest}")
    eligible = tuple(hospital for hospital in holders(key_epoch) if hospital in consortium.hospitals)
    least = smallest_cohort(terms.max_colluding)
    if len(eligible) < least:
        raise Refused(
            RefusalCode.STALE_EPOCH,
            f"{len(eligible)} holders of epoch {key_epoch.epoch} are hospitals of the consortium and {least} are "
            "needed; open a new key epoch",
        )
    opened = Round(
        study=terms.study,
        round=opening.round,
        phase=RoundPhase.OPEN,
        base=opening.base,
        epoch=opening.epoch,
        attempt=0,
        participants=eligible,
        missing=(),
        publisher=None,
        model=None,
        attested_by=(),
        entered=timestamp,
        deadline=deadline(RoundPhase.OPEN, timestamp, terms),
    )
    return opened, replace(progress, round=opening.round, undecided=True)


def _check_next(study: Study, progress: StudyProgress, opening: Opening) -> None:
    terms = study.terms
    require_phase(study, StudyPhase.ACTIVE)
    if progress.undecided:
        raise Refused(RefusalCode.WRONG_PHASE, f"round {progress.round} is undecided; advance it first")
    if progress.final_rounds >= terms.rounds:
        raise Refused(RefusalCode.WRONG_PHASE, f"study {terms.study} has had its {terms.rounds} final rounds")
    if opening.round != progress.round + 1:
        raise Refused(RefusalCode.CONFLICTING, f"round {opening.round} isn't the next round, {progress.round + 1}")
    if opening.base != progress.model:
        raise Refused(RefusalCode.CONFLICTING, f"the study's model is {progress.model}, not {opening.base}")


def advance(terms: StudyTerms, state: Round, written: Written, timestamp: int) -> Round | None:
    """Return the round as it goes on from here at `timestamp`; None when nothing moves yet or ever again."""
    if state.phase.decided:
        return None
    late = has_passed(state.deadline, timestamp, terms)
    if state.phase is RoundPhase.OPEN:
        return _leave_open(terms, state, written, timestamp, late)
    if state.phase is RoundPhase.SEALED:
        return _leave_sealed(terms, state, written, timestamp, late)
    if state.phase is RoundPhase.ANCHORED:
        return _leave_anchored(terms, state, written, timestamp, late)
    return _leave_aggregated(terms, state, written, timestamp, late)


def _leave_open(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    if written.current_epoch != state.epoch:
        return _enter(terms, state, RoundPhase.VOID, timestamp)
    present, absent = _split(state.participants, written.joined)
    if absent and not late:
        return None
    state = _note_missing(state, absent)
    if len(present) < smallest_cohort(terms.max_colluding):
        return _enter(terms, state, RoundPhase.EXPIRED, timestamp)
    return _enter(terms, replace(state, participants=present), RoundPhase.SEALED, timestamp)


def _leave_sealed(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    if written.current_epoch != state.epoch:
        # Nothing has been uploaded yet, so nothing needs the old key, which may be compromised.
        return _enter(terms, state, RoundPhase.VOID, timestamp)
    present, absent = _split(state.participants, written.anchored)
    if not absent:
        return _enter(terms, state, RoundPhase.ANCHORED, timestamp)
    if not late:
        return None
    state = _note_missing(state, absent)
    if len(present) < smallest_cohort(terms.max_colluding) or state.attempt + 1 >= terms.attempts:
        return _enter(terms, state, RoundPhase.EXPIRED, timestamp)
    retried = replace(state, participants=present, attempt=state.attempt + 1)
    return _enter(terms, retried, RoundPhase.SEALED, timestamp)


def _leave_anchored(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    if written.published:
        return _enter(terms, replace(state, publisher=min(written.published)), RoundPhase.AGGREGATED, timestamp)
    return _enter(terms, state, RoundPhase.EXPIRED, timestamp) if late else None


def _leave_aggregated(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    _, absent = _split(state.participants, frozenset(written.attested))
    if absent and not late:
        return None
    state = _note_missing(state, absent)
    attested_by: dict[str, list[str]] = defaultdict(list)
    for hospital in state.participants:
        if hospital in written.attested:
            attested_by[written.attested[hospital]].append(hospital)
    quorum = attestation_quorum(len(state.participants), terms.max_colluding)
    for model, hospitals in attested_by.items():
        if len(hospitals) >= quorum:
            state = replace(state, model=model, attested_by=tuple(hospitals))
            return _enter(terms, state, RoundPhase.FINAL, timestamp)
    return _enter(terms, state, RoundPhase.VOID, timestamp)


def _split(expected: tuple[str, ...], present: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(h for h in expected if h in present), tuple(h for h in expected if h not in present)


def _note_missing(state: Round, absent: tuple[str, ...]) -> Round:
    return replace(state, missing=tuple(sorted({*state.missing, *absent})))


def _enter(terms: StudyTerms, state: Round, phase: RoundPhase, timestamp: int) -> Round:
    return replace(
        state,
        phase=phase,
        entered=timestamp,
        deadline=deadline(phase, timestamp, terms),
        ended_in=state.phase if phase.decided else None,
    )
