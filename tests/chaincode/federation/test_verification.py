"""From a published sum to a verified one: what fingerprints, lists and disproofs come to; no real ciphertexts."""

from __future__ import annotations

from typing import Any

import pytest
from federation_world import (
    AGGREGATORS,
    ALPHA,
    BETA,
    DELTA,
    GAMMA,
    HOSPITALS,
    LENGTH,
    NOW,
    TOLERANCE,
    chain,
    fingerprint,
    held,
    join,
    listing,
    refused,
    reveal,
    round_,
    seconds,
    terms,
    value_of,
)
from msgspec.structs import replace

from consilium_chaincode.federation import bars, verification_writes
from consilium_chaincode.federation.round import Written, advance
from consilium_chaincode.federation.verification import claimed, disputed, expected_lists
from consilium_proto.records import (
    Bar,
    Fingerprint,
    Readmission,
    Round,
    RoundPhase,
    StudyBars,
    WitnessedFingerprint,
)
from consilium_proto.refusals import RefusalCode

SUM, OTHER = AGGREGATORS
SOON = NOW + 1
LATE = NOW + seconds(3 * TOLERANCE + LENGTH)
ANCHORED, AGGREGATED, CHALLENGED, LISTING, PROVING, VERIFIED = list(RoundPhase)[2:8]
HONEST = {name: fingerprint(name) for name in HOSPITALS}
# Alpha is witnessed by Beta, Beta by Delta, and so on around.
FALSE = value_of(77)


def moved(phase: RoundPhase, written: Written, timestamp: int = SOON, **changes: Any) -> Round | None:
    return advance(terms(), round_(phase, **changes), written, timestamp)


def certainly_moved(phase: RoundPhase, written: Written, timestamp: int = SOON, **changes: Any) -> Round:
    following = moved(phase, written, timestamp, **changes)
    assert following is not None
    return following


def false_own(name: str) -> dict[str, Fingerprint]:
    return {**HONEST, name: replace(HONEST[name], own=FALSE)}


def false_witness(witness: str, owner: str) -> dict[str, Fingerprint]:
    lie = (WitnessedFingerprint(owner=owner, value=FALSE),)
    return {**HONEST, witness: replace(HONEST[witness], witnessed=lie)}


def false_sum(*names: str) -> dict[str, Fingerprint]:
    return {**HONEST, **{name: replace(HONEST[name], sum=FALSE) for name in names}}


def without_sum(*names: str) -> dict[str, Fingerprint]:
    return {**HONEST, **{name: replace(HONEST[name], sum=None) for name in names}}


# ---- reveals


def test_the_challenge_comes_when_all_values_are_there() -> None:
    everybody = Written(revealed=frozenset(HOSPITALS), challenge="c" * 64)
    challenged = certainly_moved(AGGREGATED, everybody)
    assert (challenged.phase, challenged.challenge) == (CHALLENGED, "c" * 64)


def test_a_value_kept_back_ends_the_round_and_is_noted() -> None:
    three = Written(revealed=frozenset(HOSPITALS[:3]))
    assert moved(AGGREGATED, three) is None
    expired = certainly_moved(AGGREGATED, three, LATE)
    assert (expired.phase, expired.ended_in, expired.missing, expired.barred) == (
        RoundPhase.EXPIRED,
        AGGREGATED,
        (GAMMA,),
        (),
    )


def test_a_value_is_on_its_hospitals_chain_and_for_this_publication() -> None:
    state, joined = round_(AGGREGATED), join(chain_end=chain(ALPHA, 0))
    verification_writes.check_reveal(state, ALPHA, joined, reveal(ALPHA), NOW)
    with refused(RefusalCode.CONFLICTING, "isn't 1 steps before"):
        verification_writes.check_reveal(state, ALPHA, joined, reveal(BETA), NOW)
    with refused(RefusalCode.CONFLICTING, "number 1, not 2"):
        verification_writes.check_reveal(state, ALPHA, joined, reveal(ALPHA, 2), NOW)
    later = replace(state, publication=2)
    with refused(RefusalCode.CONFLICTING, "2 steps"):
        verification_writes.check_reveal(later, ALPHA, joined, reveal(ALPHA, 2, value=chain(ALPHA, 1)), NOW)


# ---- witnesses


def test_only_witnesses_confirm_and_only_in_their_phase_and_attempt() -> None:
    state = round_(ANCHORED)
    verification_writes.check_held(terms(), state, BETA, held(ALPHA), NOW)
    for stranger in (ALPHA, DELTA, GAMMA):
        with refused(RefusalCode.FORBIDDEN, f"not {ALPHA}"):
            verification_writes.check_held(terms(), state, stranger, held(ALPHA), NOW)
    with refused(RefusalCode.WRONG_PHASE):
        verification_writes.check_held(terms(), state, BETA, held(ALPHA, attempt=1), NOW)
    with refused(RefusalCode.WRONG_PHASE):
        verification_writes.check_held(terms(), round_(AGGREGATED), BETA, held(ALPHA), NOW)


def test_what_nobody_confirmed_is_noted_as_a_pair() -> None:
    written = Written(held=frozenset({(ALPHA, BETA), (BETA, DELTA), (DELTA, GAMMA)}))
    expired = certainly_moved(ANCHORED, written, LATE)
    assert [(pair.owner, pair.witness) for pair in expired.unheld] == [(GAMMA, ALPHA)]
    assert (expired.phase, expired.missing, expired.barred) == (RoundPhase.EXPIRED, (), ())


# ---- fingerprints


def test_consistent_fingerprints_verify_the_sum() -> None:
    assert certainly_moved(CHALLENGED, Written(fingerprints=HONEST)).phase is VERIFIED


def test_a_sum_that_all_agree_on_and_that_isnt_the_vectors_bars_its_publisher() -> None:
    rejected = certainly_moved(CHALLENGED, Written(fingerprints=false_sum(*HOSPITALS)), challenge="c" * 64)
    assert (rejected.phase, rejected.barred, rejected.rejected) == (ANCHORED, (SUM,), (SUM,))
    assert (rejected.publisher, rejected.challenge, rejected.publication) == (None, None, 1)


def test_a_sum_that_too_few_could_fetch_is_rejected_and_nobody_barred() -> None:
    rejected = certainly_moved(CHALLENGED, Written(fingerprints=without_sum(*HOSPITALS[:3])))
    assert (rejected.phase, rejected.barred, rejected.rejected) == (ANCHORED, (), (SUM,))
    assert certainly_moved(CHALLENGED, Written(fingerprints=without_sum(*HOSPITALS[:2]))).phase is VERIFIED


def test_a_missing_fingerprint_ends_the_round() -> None:
    three = {name: HONEST[name] for name in HOSPITALS[:3]}
    assert moved(CHALLENGED, Written(fingerprints=three)) is None
    expired = certainly_moved(CHALLENGED, Written(fingerprints=three), LATE)
    assert (expired.phase, expired.missing) == (RoundPhase.EXPIRED, (GAMMA,))


@pytest.mark.parametrize(
    ("lie", "vector", "authors"),
    [
        (false_own(BETA), BETA, {BETA, DELTA}),
        (false_witness(BETA, ALPHA), ALPHA, {ALPHA, BETA}),
        (false_sum(BETA), SUM, set(HOSPITALS)),
    ],
)
def test_contradictions_are_listed_by_all_authors(lie: dict[str, Fingerprint], vector: str, authors: set[str]) -> None:
    state = certainly_moved(CHALLENGED, Written(fingerprints=lie))
    assert state.phase is LISTING
    claims = claimed(round_(CHALLENGED), lie)
    assert disputed(claims) == (vector,)
    assert expected_lists(claims) == {(author, vector) for author in authors}


def test_fingerprints_are_of_the_vectors_that_a_hospital_holds_and_below_q() -> None:
    state = round_(CHALLENGED)
    verification_writes.check_fingerprint(terms(), state, ALPHA, HONEST[ALPHA], NOW)
    with refused(RefusalCode.CONFLICTING, "witnesses"):
        verification_writes.check_fingerprint(terms(), state, BETA, HONEST[ALPHA], NOW)
    with refused(RefusalCode.CONFLICTING, "witnesses"):
        verification_writes.check_fingerprint(terms(), state, ALPHA, fingerprint(ALPHA, witnessed=()), NOW)
    beyond = ("f" * 16, "0" * 16)
    for changed in (fingerprint(ALPHA, own=beyond), fingerprint(ALPHA, sum=beyond)):
        with refused(RefusalCode.MALFORMED, "isn't below q"):
            verification_writes.check_fingerprint(terms(), state, ALPHA, changed, NOW)


# ---- lists


def test_a_list_adds_up_to_what_its_author_wrote() -> None:
    state = round_(LISTING)
    claims = {BETA: FALSE, DELTA: value_of(2)}
    verification_writes.check_listing(terms(), state, BETA, listing(BETA, 77), claims, NOW)
    verification_writes.check_listing(terms(), state, DELTA, listing(BETA, 2), claims, NOW)
    with refused(RefusalCode.CONFLICTING, "adds up to"):
        verification_writes.check_listing(terms(), state, BETA, listing(BETA, 2), claims, NOW)
    with refused(RefusalCode.FORBIDDEN, "wrote no fingerprint"):
        verification_writes.check_listing(terms(), state, GAMMA, listing(BETA, 2), claims, NOW)
    with refused(RefusalCode.CONFLICTING, "nobody contradicts"):
        agreed = dict.fromkeys(claims, value_of(2))
        verification_writes.check_listing(terms(), state, BETA, listing(BETA, 2), agreed, NOW)
    with refused(RefusalCode.CONFLICTING, "the vector has 2 chunks"):
        short = listing(BETA, 77, values=(FALSE,))
        verification_writes.check_listing(terms(), state, BETA, short, claims, NOW)


def proving(
    fingerprints: dict[str, Fingerprint],
    listed: set[tuple[str, str]],
    disproved: set[tuple[str, str]] = frozenset(),  # type: ignore[assignment]
    timestamp: int = SOON,
) -> Round | None:
    written = Written(fingerprints=fingerprints, listed=frozenset(listed), disproved=frozenset(disproved))
    return moved(PROVING, written, timestamp)


def test_listing_ends_when_all_have_listed_or_at_its_deadline() -> None:
    lie = false_own(BETA)
    assert moved(LISTING, Written(fingerprints=lie, listed=frozenset({(DELTA, BETA)}))) is None
    both = frozenset({(DELTA, BETA), (BETA, BETA)})
    assert certainly_moved(LISTING, Written(fingerprints=lie, listed=both)).phase is PROVING
    assert certainly_moved(LISTING, Written(fingerprints=lie), LATE).phase is PROVING


def test_a_disproved_author_is_barred_and_the_other_value_counts() -> None:
    both = {(BETA, BETA), (DELTA, BETA)}
    assert proving(false_own(BETA), both) is None
    verified = proving(false_own(BETA), both, {(BETA, BETA)})
    assert verified is not None
    assert (verified.phase, verified.barred) == (VERIFIED, (BETA,))


def test_an_unlisted_value_is_removed_and_nobody_barred() -> None:
    verified = proving(false_own(BETA), {(DELTA, BETA)})
    assert verified is not None
    assert (verified.phase, verified.barred) == (VERIFIED, ())


def test_what_is_left_may_show_that_the_aggregator_lied() -> None:
    """The hospital adjusted its value so that the wrong sum would add up; without it, it doesn't."""
    adjusted = {name: replace(written, sum=value_of(10 + 75)) for name, written in false_own(BETA).items()}
    rejected = proving(adjusted, {(BETA, BETA), (DELTA, BETA)}, {(BETA, BETA)})
    assert rejected is not None
    assert (rejected.phase, rejected.barred, rejected.rejected) == (ANCHORED, (BETA, SUM), (SUM,))


def test_a_false_list_of_a_true_value_takes_down_its_author_alone() -> None:
    """Gamma wrote the true sum and lists it falsely; the value stands by the honest authors' lists."""
    lie = false_sum(ALPHA)
    listed = {(name, SUM) for name in HOSPITALS}
    verified = proving(lie, listed, {(ALPHA, SUM), (GAMMA, SUM)})
    assert verified is not None
    assert (verified.phase, verified.barred) == (VERIFIED, (ALPHA, GAMMA))


def test_without_one_value_left_the_round_ends_and_liars_are_barred_all_the_same() -> None:
    both = {(BETA, BETA), (DELTA, BETA)}
    expired = proving(false_own(BETA), both, timestamp=LATE)
    assert expired is not None
    assert (expired.phase, expired.barred) == (RoundPhase.EXPIRED, ())
    nothing = proving(false_own(BETA), both, both, LATE)
    assert nothing is not None
    assert (nothing.phase, nothing.barred) == (RoundPhase.EXPIRED, (BETA, DELTA))


# ---- malformed chunks


@pytest.mark.parametrize("phase", [AGGREGATED, CHALLENGED, LISTING, PROVING])
def test_a_malformed_sum_is_rejected_until_it_is_verified(phase: RoundPhase) -> None:
    rejected = certainly_moved(phase, Written(malformed=frozenset({SUM})))
    assert (rejected.phase, rejected.barred, rejected.rejected) == (ANCHORED, (SUM,), (SUM,))


def test_liars_proved_beside_a_malformed_sum_are_barred_too() -> None:
    written = Written(fingerprints=false_own(BETA), disproved=frozenset({(BETA, BETA)}), malformed=frozenset({SUM}))
    assert certainly_moved(PROVING, written).barred == (BETA, SUM)


def test_a_malformed_vector_ends_the_round_and_bars_its_owner() -> None:
    expired = certainly_moved(ANCHORED, Written(malformed=frozenset({DELTA})))
    assert (expired.phase, expired.ended_in, expired.barred) == (RoundPhase.EXPIRED, ANCHORED, (DELTA,))


# ---- several aggregators


def test_another_aggregators_sum_follows_a_rejected_one() -> None:
    pairs = frozenset({(ALPHA, BETA), (BETA, DELTA), (DELTA, GAMMA), (GAMMA, ALPHA)})
    after = round_(ANCHORED, publication=1, rejected=(SUM,))
    assert advance(terms(), after, Written(held=pairs, published=frozenset({SUM})), SOON) is None
    second = advance(terms(), after, Written(held=pairs, published=frozenset({SUM, OTHER})), SOON)
    assert second is not None
    assert (second.phase, second.publisher, second.publication) == (AGGREGATED, OTHER, 2)


# ---- bars


def test_bars_are_kept_by_the_first_round_and_lifted_by_a_majority_without_the_barred_one() -> None:
    found = bars.after_round(None, round_(VERIFIED, barred=(BETA, SUM)))
    assert found.bars == (Bar(party=BETA, round=1), Bar(party=SUM, round=1))
    again = bars.after_round(found, round_(VERIFIED, round=2, barred=(BETA,)))
    assert again == found
    request = Readmission(study="heart", party=BETA, round=1)
    with refused(RefusalCode.NOT_YET, "2 of 3"):
        bars.readmit(terms(), found, request, {ALPHA, BETA, DELTA})
    lifted = bars.readmit(terms(), found, request, {ALPHA, DELTA, GAMMA})
    assert lifted == StudyBars(bars=(Bar(party=SUM, round=1),))


def test_colluders_cannot_readmit_each_other() -> None:
    """With T = 2 of 5, a majority of three would need one honest word; with T = 3 of 5 it wouldn't, so T+1 it is."""
    found = StudyBars(bars=(Bar(party=BETA, round=1),))
    request = Readmission(study="heart", party=BETA, round=1)
    with refused(RefusalCode.NOT_YET, "3 of 4"):
        bars.readmit(terms(max_colluding=3), found, request, {ALPHA, DELTA, GAMMA})
