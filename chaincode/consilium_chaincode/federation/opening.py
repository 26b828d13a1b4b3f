"""How a round opens: whose turn it is, on which model, under which key, and with whom."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from consilium_chaincode.federation.bounds import smallest_cohort
from consilium_chaincode.federation.deadlines import deadline, others_may_open
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
    barred: Collection[str],
    opening: Opening,
    timestamp: int,
) -> tuple[Round, StudyProgress]:
    """Return a new round in OPEN, and the study's progress with it.

    Its participants are the holders of the current key epoch (`key_epoch`, none before the first) who still are
    hospitals of the consortium and aren't barred.

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
    eligible = eligible_hospitals(consortium, key_epoch, barred)
    least = smallest_cohort(terms.max_colluding)
    if len(eligible) < least:
        raise Refused(
            RefusalCode.STALE_EPOCH,
            f"{len(eligible)} holders of epoch {key_epoch.epoch} are hospitals of the consortium and not barred, and "
            f"{least} are needed; open a new key epoch, or readmit who is barred",
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


def eligible_hospitals(consortium: Consortium, key_epoch: KeyEpoch, barred: Collection[str]) -> tuple[str, ...]:
    """Return who may take part in a round under a key epoch, sorted."""
    return tuple(name for name in holders(key_epoch) if name in consortium.hospitals and name not in barred)


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
