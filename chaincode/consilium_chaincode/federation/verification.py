"""From a published sum to a verified one: reveals, fingerprints, lists and disproofs.

    AGGREGATED ──▶ CHALLENGED ──▶ VERIFIED
                       │  ▲           ▲
                       ▼  └ rejected: ANCHORED, another aggregator's sum
                    LISTING ──▶ PROVING

Every vector has several authors who fingerprint it: a hospital's own vector its owner and T witnesses, the sum all
who could fetch it. With T colluders in all, at least one of T+1 authors is honest; so what all authors agree on is
true, and where they differ a false value is among them. A value must then be listed chunk by chunk (LISTING) and a
list that isn't true can be disproved with one chunk (PROVING). What is left is true, and the sum of the hospitals' true
fingerprints tells whether the published sum is theirs.

Attacks, and the tests that play them: an aggregator that adds anything else (`test_a_wrong_sum_bars_its_aggregator`),
one that has a hospital adjust its fingerprint to a shifted sum
(`test_a_shifted_sum_with_adjusted_fingerprints_bars_both_liars`), false values with and without lists
(`test_a_false_fingerprint_bars_its_author`, `test_a_false_fingerprint_without_a_list_is_removed`), a sum that is
withheld (`test_a_sum_withheld_from_one_hospital_ends_without_it`).

Nothing here reads a ledger or a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from consilium_proto.fingerprint import add, from_record
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import Fingerprint, FingerprintValue, Round, StudyTerms
from consilium_proto.witnesses import witnessed_by, witnesses_of

Claims = dict[str, dict[str, FingerprintValue]]
"""By vector (named by its owner) and author: the fingerprint that the author wrote of it."""


class Verdict(Enum):
    """What the fingerprints say of the published sum."""

    TRUE = "the sum is the sum of the anchored vectors"
    FALSE = "it isn't, so its publisher lied"
    DISPUTED = "some authors contradict each other"
    UNSEEN = "too few could fetch the sum"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the parties wrote about one publication.

    Attributes:
        fingerprints: by hospital.
        listed: (author, vector) of every list.
        disproved: (author, vector) of every disproved list.
    """

    fingerprints: Mapping[str, Fingerprint]
    listed: Collection[tuple[str, str]] = ()
    disproved: Collection[tuple[str, str]] = ()


def authors_of(terms: StudyTerms, state: Round, vector: str) -> tuple[str, ...]:
    """Return who may fingerprint a vector: its owner and its witnesses, or every participant for the sum."""
    if vector == state.publisher:
        return state.participants
    return (vector, *witnesses_of(state.participants, vector, terms.max_colluding))


def claimed(state: Round, fingerprints: Mapping[str, Fingerprint]) -> Claims:
    """Sort what hospitals wrote by vector and author."""
    claims: Claims = {vector: {} for vector in state.participants}
    for hospital, written in fingerprints.items():
        claims[hospital][hospital] = written.own
        for witnessed in written.witnessed:
            claims[witnessed.owner][hospital] = witnessed.value
    assert state.publisher is not None, "fingerprints are written about a publication"
    sums = {name: written.sum for name, written in fingerprints.items() if written.sum is not None}
    claims[state.publisher] = sums
    return claims


def expected_owners(terms: StudyTerms, state: Round, hospital: str) -> tuple[str, ...]:
    """Return whose vectors a hospital's fingerprint must cover besides its own, sorted."""
    return witnessed_by(state.participants, hospital, terms.max_colluding)


def disputed(claims: Claims) -> tuple[str, ...]:
    """Return the vectors, sorted, of which authors wrote different values."""
    return tuple(sorted(vector for vector, values in claims.items() if len(set(values.values())) > 1))


def expected_lists(claims: Claims) -> frozenset[tuple[str, str]]:
    """Return (author, vector) of every list that LISTING waits for: all authors of every disputed vector."""
    return frozenset((author, vector) for vector in disputed(claims) for author in claims[vector])


def judge(terms: StudyTerms, state: Round, evidence: Evidence) -> Verdict:
    """Return what all hospitals' fingerprints say before any dispute."""
    claims = claimed(state, evidence.fingerprints)
    assert state.publisher is not None
    # Of T+1 who fetched the sum one is honest; with fewer, colluders could speak about a sum that nobody else has seen.
    if len(claims[state.publisher]) <= terms.max_colluding:
        return Verdict.UNSEEN
    if disputed(claims):
        return Verdict.DISPUTED
    return _compare(terms, state, {vector: next(iter(values.values())) for vector, values in claims.items()})


def judge_dispute(terms: StudyTerms, state: Round, evidence: Evidence) -> Verdict:
    """Return what is left of the fingerprints: DISPUTED as long as not exactly one value of each vector is.

    A value stands when an author of it listed it and that author's list isn't disproved. It is the author's list that
    falls, not the value: else a colluder could list a true value falsely, and take it down with its own list.
    """
    claims = claimed(state, evidence.fingerprints)
    values: dict[str, FingerprintValue] = {}
    for vector, by_author in claims.items():
        standing = set(by_author.values())
        if len(standing) > 1:
            standing = {
                value
                for author, value in by_author.items()
                if (author, vector) in evidence.listed and (author, vector) not in evidence.disproved
            }
        if len(standing) != 1:
            return Verdict.DISPUTED
        values[vector] = standing.pop()
    return _compare(terms, state, values)


def _compare(terms: StudyTerms, state: Round, values: Mapping[str, FingerprintValue]) -> Verdict:
    chosen = parameter_set(terms.parameter_set)
    assert state.publisher is not None
    own = add((from_record(values[vector], chosen) for vector in state.participants), chosen)
    return Verdict.TRUE if own == from_record(values[state.publisher], chosen) else Verdict.FALSE
