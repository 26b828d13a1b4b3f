"""The life of a round: what `Advance` makes of it.

    OPEN ──▶ SEALED ──▶ ANCHORED ──▶ AGGREGATED ──▶ CHALLENGED ──▶ VERIFIED ──▶ FINAL
             │    ▲         ▲                        │   ▲
             └────┘         └── a rejected sum ──────┘   │
      a new attempt without those                        ▼
      who didn't anchor                      LISTING, PROVING (`verification`)

A round moves on as soon as every expected write is there. Once the deadline has passed it moves on with those who
wrote, if they are enough, and is otherwise decided as EXPIRED (too few took part) or VOID (what was done can't be
used). The participants shrink until ANCHORED and never afterwards, because uploads begin there: two sums of the same
updates over different sets would differ by one hospital's update. For the same reason a liar's contribution stays in.

Silence is noted (`missing`, `unheld`) and never called a lie: whoever fell silent may have been cut off
(`test_a_withheld_write_is_recorded`). Only what was proved bars.

Nothing here reads a ledger or a clock: `advance` is a function of the state, of what was written, and of a timestamp.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from consilium_chaincode.federation.bounds import attestation_quorum, smallest_cohort
from consilium_chaincode.federation.deadlines import deadline, has_passed
from consilium_chaincode.federation.verification import (
    Evidence,
    Verdict,
    claimed,
    expected_lists,
    judge,
    judge_dispute,
)
from consilium_proto.records import MAX_PUBLICATIONS, Fingerprint, Round, RoundPhase, StudyTerms, UnheldVector
from consilium_proto.witnesses import witnesses_of


@dataclass(frozen=True, slots=True)
class Written:
    """Who has written what the current phase waits for; what belongs to other phases is left empty.

    Attributes:
        joined: hospitals.
        anchored: hospitals, of the current attempt.
        held: (owner, witness) of every vector that is confirmed.
        published: aggregators.
        revealed: hospitals, for the current publication.
        challenge: what all revealed values make (hex); none before they are all there.
        fingerprints: by hospital, for the current publication.
        listed: (author, vector) of every list for the current publication.
        disproved: (author, vector) of every such list that was disproved.
        malformed: vectors, by their owner, that were shown to have a malformed chunk.
        attested: the model each hospital attested for the current publication.
        current_epoch: the study's newest key epoch.
    """

    joined: frozenset[str] = frozenset()
    anchored: frozenset[str] = frozenset()
    held: frozenset[tuple[str, str]] = frozenset()
    published: frozenset[str] = frozenset()
    revealed: frozenset[str] = frozenset()
    challenge: str | None = None
    fingerprints: Mapping[str, Fingerprint] = field(default_factory=dict)
    listed: frozenset[tuple[str, str]] = frozenset()
    disproved: frozenset[tuple[str, str]] = frozenset()
    malformed: frozenset[str] = frozenset()
    attested: Mapping[str, str] = field(default_factory=dict)
    current_epoch: int = 0


def expected_holders(terms: StudyTerms, state: Round) -> tuple[tuple[str, str], ...]:
    """Return (owner, witness) of everything that must be held before a sum may be published.

    All of it: else an aggregator could publish a sum without a contribution and say it had never been there
    (`test_a_publication_before_all_is_held_is_refused`).
    """
    return tuple(
        (owner, witness)
        for owner in state.participants
        for witness in witnesses_of(state.participants, owner, terms.max_colluding)
    )


def advance(terms: StudyTerms, state: Round, written: Written, timestamp: int) -> Round | None:
    """Return the round as it goes on from here at `timestamp`; None when nothing moves yet or ever again."""
    if state.phase.decided:
        return None
    late = has_passed(state.deadline, timestamp, terms)
    return _LEAVE[state.phase](terms, state, written, timestamp, late)


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
    malformed = written.malformed & set(state.participants)
    if malformed:
        # No sum can be made of it, and none may be made without it.
        return _enter(terms, _bar(state, malformed), RoundPhase.EXPIRED, timestamp)
    unheld = [pair for pair in expected_holders(terms, state) if pair not in written.held]
    undecided = written.published - set(state.rejected)
    if undecided and not unheld and state.publication < MAX_PUBLICATIONS:
        taken = replace(state, publisher=min(undecided), publication=state.publication + 1)
        return _enter(terms, taken, RoundPhase.AGGREGATED, timestamp)
    if not late:
        return None
    noted = tuple(UnheldVector(owner=owner, witness=witness) for owner, witness in unheld)
    return _enter(terms, replace(state, unheld=noted), RoundPhase.EXPIRED, timestamp)


def _leave_aggregated(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    if state.publisher in written.malformed:
        return _reject(terms, state, timestamp, lied=True)
    _, absent = _split(state.participants, written.revealed)
    if absent:
        # A challenge over a subset of the values could be chosen by whoever reveals last.
        return _enter(terms, _note_missing(state, absent), RoundPhase.EXPIRED, timestamp) if late else None
    return _enter(terms, replace(state, challenge=written.challenge), RoundPhase.CHALLENGED, timestamp)


def _leave_challenged(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    if state.publisher in written.malformed:
        return _reject(terms, state, timestamp, lied=True)
    _, absent = _split(state.participants, frozenset(written.fingerprints))
    if absent:
        return _enter(terms, _note_missing(state, absent), RoundPhase.EXPIRED, timestamp) if late else None
    verdict = judge(terms, state, Evidence(written.fingerprints))
    if verdict is Verdict.DISPUTED:
        return _enter(terms, state, RoundPhase.LISTING, timestamp)
    return _settle(terms, state, verdict, timestamp)


def _leave_listing(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    if state.publisher in written.malformed:
        return _reject(terms, state, timestamp, lied=True)
    unlisted = expected_lists(claimed(state, written.fingerprints)) - written.listed
    if unlisted and not late:
        return None
    state = _note_missing(state, tuple(author for author, _ in unlisted))
    return _enter(terms, state, RoundPhase.PROVING, timestamp)


def _leave_proving(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
    """Bar the authors of disproved lists, also when the round takes another turn."""
    liars = {author for author, _ in written.disproved}
    if state.publisher in written.malformed:
        return _reject(terms, _bar(state, liars), timestamp, lied=True)
    verdict = judge_dispute(terms, state, Evidence(written.fingerprints, written.listed, written.disproved))
    if verdict is not Verdict.DISPUTED:
        return _settle(terms, _bar(state, liars), verdict, timestamp)
    return _enter(terms, _bar(state, liars), RoundPhase.EXPIRED, timestamp) if late else None


def _leave_verified(terms: StudyTerms, state: Round, written: Written, timestamp: int, late: bool) -> Round | None:
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


def _settle(terms: StudyTerms, state: Round, verdict: Verdict, timestamp: int) -> Round:
    """Go on to VERIFIED with a true sum, back to ANCHORED with another."""
    if verdict is Verdict.TRUE:
        return _enter(terms, state, RoundPhase.VERIFIED, timestamp)
    return _reject(terms, state, timestamp, lied=verdict is Verdict.FALSE)


def _reject(terms: StudyTerms, state: Round, timestamp: int, *, lied: bool) -> Round:
    """Wait for another aggregator's sum; a publisher that only withheld its own isn't barred."""
    publisher = state.publisher
    assert publisher is not None
    if lied:
        state = _bar(state, {publisher})
    rejected = tuple(sorted({*state.rejected, publisher}))
    return _enter(
        terms, replace(state, rejected=rejected, publisher=None, challenge=None), RoundPhase.ANCHORED, timestamp
    )


def _bar(state: Round, liars: Collection[str]) -> Round:
    return replace(state, barred=tuple(sorted({*state.barred, *liars})))


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


_LEAVE = {
    RoundPhase.OPEN: _leave_open,
    RoundPhase.SEALED: _leave_sealed,
    RoundPhase.ANCHORED: _leave_anchored,
    RoundPhase.AGGREGATED: _leave_aggregated,
    RoundPhase.CHALLENGED: _leave_challenged,
    RoundPhase.LISTING: _leave_listing,
    RoundPhase.PROVING: _leave_proving,
    RoundPhase.VERIFIED: _leave_verified,
}
