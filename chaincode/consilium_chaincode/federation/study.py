"""A study: its terms, its way PROPOSED, ACTIVE, CLOSED, and where its rounds stand."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from consilium_chaincode.federation.bounds import MAX_DISPUTED_VALUES, largest_coalition, majority, most_lists
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.listings import check_sorted_unique
from consilium_chaincode.privacy.account import check_privacy_terms
from consilium_proto.canonical import digest
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import (
    MAX_LISTED_CHUNKS,
    Consortium,
    Round,
    RoundPhase,
    Study,
    StudyApprovalRequest,
    StudyHead,
    StudyPhase,
    StudyProgress,
    StudyTerms,
)
from consilium_proto.refusals import RefusalCode


def participants(terms: StudyTerms) -> tuple[str, ...]:
    """Return the study's hospitals, sorted."""
    return tuple(participant.hospital for participant in terms.participants)


def sample_cap(terms: StudyTerms, hospital: str) -> int:
    """Return the largest sample count that a participant may claim; 0 for a hospital that isn't one."""
    return next((entry.sample_cap for entry in terms.participants if entry.hospital == hospital), 0)


def chunk_count(terms: StudyTerms) -> int:
    """Return how many ciphertext chunks one update has, and one sum."""
    return parameter_set(terms.parameter_set).chunk_count(terms.parameters)


def check_terms(terms: StudyTerms, consortium: Consortium) -> None:
    """Refuse terms that are malformed, name strangers, or under which the protocol doesn't protect what it promises.

    Raises:
        Refused: MALFORMED for participants that aren't sorted and unique, or a coordinator who isn't one; CONFLICTING
            for a participant who isn't a hospital of the consortium; UNSAFE_TERMS otherwise.
    """
    hospitals = participants(terms)
    check_sorted_unique(hospitals, "participants")
    if terms.coordinator not in hospitals:
        raise Refused(RefusalCode.MALFORMED, f"the coordinator {terms.coordinator} must be one of the participants")
    strangers = sorted(set(hospitals) - set(consortium.hospitals))
    if strangers:
        raise Refused(RefusalCode.CONFLICTING, f"{', '.join(strangers)} isn't a hospital of the consortium")
    check_coalition(terms, consortium)
    _check_parameter_set(terms)
    if terms.privacy is not None:
        check_privacy_terms(terms.privacy)


def check_coalition(terms: StudyTerms, consortium: Consortium) -> None:
    """Refuse a number of colluding hospitals that masks and endorsement can't bear: 1 <= T <= min(K-2, Q-1)."""
    largest = largest_coalition(len(terms.participants), len(consortium.hospitals))
    if not 1 <= terms.max_colluding <= largest:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"max_colluding is {terms.max_colluding}; with {len(terms.participants)} participants of "
            f"{len(consortium.hospitals)} hospitals it must be between 1 and {largest}",
        )


def _check_parameter_set(terms: StudyTerms) -> None:
    try:
        parameter_set(terms.parameter_set).check_exact(len(terms.participants))
        chunks = chunk_count(terms)
    except WireError as error:
        raise Refused(RefusalCode.UNSAFE_TERMS, str(error)) from None
    if chunks > MAX_LISTED_CHUNKS:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"{terms.parameters} parameters take {chunks} chunks of {terms.parameter_set}; a dispute can list at most "
            f"{MAX_LISTED_CHUNKS}: choose a set with more values in a chunk",
        )
    disputed = chunks * most_lists(len(terms.participants), terms.max_colluding)
    if disputed > MAX_DISPUTED_VALUES:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"{terms.max_colluding} colluding of {len(terms.participants)} hospitals could make a dispute list "
            f"{disputed} values of {chunks} chunks; readers get at most {MAX_DISPUTED_VALUES}: choose a set with more "
            "values in a chunk, fewer hospitals, or a smaller max_colluding",
        )


def propose(terms: StudyTerms, proposer: str, timestamp: int) -> tuple[Study, StudyProgress]:
    """Return a new study and its progress: no round yet, the model is the initial one."""
    progress = StudyProgress(
        round=0, undecided=False, last_final_round=0, final_rounds=0, model=terms.initial_model, idle_since=timestamp
    )
    return Study(terms=terms, proposer=proposer, phase=StudyPhase.PROPOSED), progress


def require_phase(study: Study, phase: StudyPhase) -> None:
    """Refuse a transaction that needs another phase of the study."""
    if study.phase is not phase:
        raise Refused(RefusalCode.WRONG_PHASE, f"study {study.terms.study} is {study.phase}; this needs {phase}")


def check_approval(study: Study, request: StudyApprovalRequest) -> None:
    """Refuse an approval of other terms than the ledger holds, or of a study that is closed.

    A study becomes active with a majority; the other hospitals' approvals still belong on record afterwards.
    """
    if study.phase is StudyPhase.CLOSED:
        raise Refused(RefusalCode.WRONG_PHASE, f"study {study.terms.study} is closed; there is nothing to approve")
    expected = digest(study.terms)
    if request.terms != expected:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the terms of study {request.study} have digest {expected}, not {request.terms}; read them again",
        )


def activate(
    study: Study, progress: StudyProgress, consortium: Consortium, approved_by: Collection[str], timestamp: int
) -> tuple[Study, StudyProgress]:
    """Return the study as ACTIVE when a majority of the consortium's hospitals have approved its terms.

    The terms are checked against the consortium of now, which may have changed since the proposal.
    """
    require_phase(study, StudyPhase.PROPOSED)
    check_terms(study.terms, consortium)
    approved = [hospital for hospital in consortium.hospitals if hospital in approved_by]
    needed = majority(len(consortium.hospitals))
    if len(approved) < needed:
        raise Refused(RefusalCode.NOT_YET, f"{len(approved)} of {needed} approvals of study {study.terms.study}")
    return replace(study, phase=StudyPhase.ACTIVE), replace(progress, idle_since=timestamp)


def close(study: Study, progress: StudyProgress) -> Study:
    """Return the study as CLOSED; refuse while a round is undecided."""
    if study.phase is StudyPhase.CLOSED:
        raise Refused(RefusalCode.WRONG_PHASE, f"study {study.terms.study} is closed already")
    if progress.undecided:
        raise Refused(RefusalCode.WRONG_PHASE, f"round {progress.round} is undecided; close the study after it")
    return replace(study, phase=StudyPhase.CLOSED)


def after_decision(progress: StudyProgress, decided: Round, timestamp: int) -> StudyProgress:
    """Return the progress once a round is decided: only a FINAL round moves the model."""
    progress = replace(progress, undecided=False, idle_since=timestamp)
    if decided.phase is RoundPhase.FINAL and decided.model is not None:
        return replace(
            progress,
            model=decided.model,
            last_final_round=decided.round,
            final_rounds=progress.final_rounds + 1,
        )
    return progress


def head(progress: StudyProgress, epoch: int) -> StudyHead:
    """Return what readers see of a study's progress: with the current key epoch in it."""
    return StudyHead(
        round=progress.round,
        undecided=progress.undecided,
        last_final_round=progress.last_final_round,
        final_rounds=progress.final_rounds,
        model=progress.model,
        epoch=epoch,
        idle_since=progress.idle_since,
    )
