"""The phase machine: opening, Advance, and what may be written when."""

from __future__ import annotations

from collections.abc import Callable, Collection
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
    MODEL_1,
    MODEL_2,
    NOW,
    SAMPLE_CAP,
    TOLERANCE,
    anchor,
    attestation,
    consortium,
    fingerprint,
    join,
    key_epoch,
    opening,
    participants,
    privacy_entry,
    privacy_terms,
    progress,
    publication,
    refused,
    round_,
    seconds,
    study,
    terms,
)

from consilium_chaincode.federation import opening as rules
from consilium_chaincode.federation import round_writes
from consilium_chaincode.federation.round import Written, advance, expected_holders
from consilium_proto.records import Round, RoundPhase, StudyPhase
from consilium_proto.refusals import RefusalCode

SOON = NOW + 1
DEADLINE = NOW + seconds(TOLERANCE + LENGTH)
LATE = DEADLINE + seconds(2 * TOLERANCE)
OPEN, SEALED, ANCHORED, AGGREGATED, CHALLENGED, LISTING, PROVING, VERIFIED = list(RoundPhase)[:8]
HELD = frozenset(expected_holders(terms(), round_(RoundPhase.ANCHORED)))
DECIDED = [RoundPhase.FINAL, RoundPhase.EXPIRED, RoundPhase.VOID]


def moved(state: Round, written: Written, timestamp: int = SOON, **changes: Any) -> Round:
    following = advance(terms(**changes), state, written, timestamp)
    assert following is not None
    assert following.entered == timestamp
    assert (following.ended_in is not None) == following.phase.decided
    expected = 0 if following.phase.decided else timestamp + seconds(TOLERANCE + LENGTH)
    assert following.deadline == expected
    return following


# ---- opening


def test_a_round_opens_with_the_holders_of_the_current_epoch() -> None:
    opened, after = rules.open_round(
        study(), progress(), consortium(), key_epoch(1, HOSPITALS[:3]), frozenset(), opening(), NOW
    )
    assert opened == round_(participants=HOSPITALS[:3])
    assert after == progress(round=1, undecided=True)


def test_a_hospital_that_left_the_consortium_is_not_waited_for() -> None:
    smaller = consortium(hospitals=(ALPHA, BETA, DELTA), revision=2)
    opened, _ = rules.open_round(study(), progress(), smaller, key_epoch(), frozenset(), opening(), NOW)
    assert opened.participants == (ALPHA, BETA, DELTA)


@pytest.mark.parametrize(
    ("phase", "at", "changes", "code", "match"),
    [
        (StudyPhase.PROPOSED, {}, {}, RefusalCode.WRONG_PHASE, "PROPOSED"),
        (StudyPhase.CLOSED, {}, {}, RefusalCode.WRONG_PHASE, "CLOSED"),
        (StudyPhase.ACTIVE, {"round": 1, "undecided": True}, {"round": 2}, RefusalCode.WRONG_PHASE, "undecided"),
        (StudyPhase.ACTIVE, {"round": 5, "final_rounds": 3}, {"round": 6}, RefusalCode.WRONG_PHASE, "3 final"),
        (StudyPhase.ACTIVE, {}, {"round": 2}, RefusalCode.CONFLICTING, "next round, 1"),
        (StudyPhase.ACTIVE, {"round": 1}, {}, RefusalCode.CONFLICTING, "next round, 2"),
        (StudyPhase.ACTIVE, {}, {"base": MODEL_1}, RefusalCode.CONFLICTING, "model"),
        (StudyPhase.ACTIVE, {}, {"epoch": 2}, RefusalCode.STALE_EPOCH, "current key epoch, 1"),
    ],
)
def test_openings_are_refused(
    phase: StudyPhase, at: dict[str, Any], changes: dict[str, Any], code: RefusalCode, match: str
) -> None:
    with refused(code, match):
        rules.open_round(study(phase), progress(**at), consortium(), key_epoch(), frozenset(), opening(**changes), NOW)


def test_expired_and_void_rounds_do_not_use_up_the_studys_rounds() -> None:
    at = progress(round=17, final_rounds=2)
    opened, _ = rules.open_round(study(), at, consortium(), key_epoch(), frozenset(), opening(round=18), NOW)
    assert opened.round == 18


def test_no_round_opens_without_a_key_or_with_too_few_holders_left() -> None:
    with refused(RefusalCode.STALE_EPOCH, "current key epoch, 0"):
        rules.open_round(study(), progress(), consortium(), None, frozenset(), opening(), NOW)
    smaller = consortium(hospitals=(ALPHA, BETA, "NuMSP", "OmegaMSP"), revision=2)
    with refused(RefusalCode.STALE_EPOCH, "open a new key epoch"):
        rules.open_round(study(), progress(), smaller, key_epoch(), frozenset(), opening(), NOW)


def test_no_round_opens_when_the_consortium_has_become_too_small_for_the_terms() -> None:
    smaller = consortium(hospitals=(ALPHA, BETA, DELTA), revision=2)
    with refused(RefusalCode.UNSAFE_TERMS):
        rules.open_round(study(max_colluding=2), progress(), smaller, key_epoch(), frozenset(), opening(), NOW)


def test_others_open_a_round_only_when_the_coordinator_is_silent() -> None:
    rules.check_opener(terms(), progress(), ALPHA, NOW)
    with refused(RefusalCode.NOT_YET, ALPHA):
        rules.check_opener(terms(), progress(), BETA, NOW + seconds(LENGTH))
    rules.check_opener(terms(), progress(), BETA, NOW + seconds(LENGTH) + 1)


def test_who_is_barred_takes_no_part() -> None:
    opened, _ = rules.open_round(study(), progress(), consortium(), key_epoch(), frozenset({BETA}), opening(), NOW)
    assert opened.participants == (ALPHA, DELTA, GAMMA)
    with refused(RefusalCode.STALE_EPOCH, "readmit who is barred"):
        rules.open_round(study(), progress(), consortium(), key_epoch(), {BETA, GAMMA}, opening(), NOW)


# ---- Advance


@pytest.mark.parametrize("phase", DECIDED)
def test_decided_rounds_never_move(phase: RoundPhase) -> None:
    everything = Written(
        joined=frozenset(HOSPITALS), anchored=frozenset(HOSPITALS), published=frozenset(AGGREGATORS), current_epoch=9
    )
    assert advance(terms(), round_(phase), everything, LATE * 2) is None


@pytest.mark.parametrize("phase", [OPEN, SEALED, ANCHORED, AGGREGATED, CHALLENGED, VERIFIED])
def test_nothing_moves_before_the_deadline_while_a_write_is_missing(phase: RoundPhase) -> None:
    some = frozenset(HOSPITALS[:3])
    written = Written(
        joined=some,
        anchored=some,
        held=HELD - {(ALPHA, BETA)},
        published=frozenset(AGGREGATORS),
        revealed=some,
        fingerprints={name: fingerprint(name) for name in some},
        attested=dict.fromkeys(some, MODEL_1),
        current_epoch=1,
    )
    for timestamp in (NOW - 1, SOON, DEADLINE, LATE - 1):
        assert advance(terms(), round_(phase), written, timestamp) is None
    assert advance(terms(), round_(phase), written, LATE) is not None


def test_open_is_sealed_when_all_have_joined() -> None:
    assert moved(round_(), Written(joined=frozenset(HOSPITALS), current_epoch=1)).phase is SEALED


def test_open_is_sealed_after_the_deadline_with_those_who_joined() -> None:
    sealed = moved(round_(), Written(joined=frozenset({ALPHA, BETA, GAMMA, "OmegaMSP"}), current_epoch=1), LATE)
    assert (sealed.phase, sealed.participants, sealed.missing) == (SEALED, (ALPHA, BETA, GAMMA), (DELTA,))


@pytest.mark.parametrize(("max_colluding", "joined"), [(1, HOSPITALS[:2]), (2, HOSPITALS[:3]), (1, ())])
def test_open_expires_with_too_few(max_colluding: int, joined: tuple[str, ...]) -> None:
    expired = moved(round_(), Written(joined=frozenset(joined), current_epoch=1), LATE, max_colluding=max_colluding)
    assert (expired.phase, expired.ended_in) == (RoundPhase.EXPIRED, OPEN)
    assert expired.participants == HOSPITALS
    assert set(expired.missing) == set(HOSPITALS) - set(joined)


def test_sealed_is_anchored_when_all_have_anchored() -> None:
    assert moved(round_(SEALED), Written(anchored=frozenset(HOSPITALS), current_epoch=1)).phase is ANCHORED


def test_a_changed_key_epoch_voids_a_round_before_uploads_and_leaves_it_afterwards() -> None:
    everybody = frozenset(HOSPITALS)
    for phase in (OPEN, SEALED):
        void = moved(round_(phase), Written(joined=everybody, anchored=everybody, current_epoch=2))
        assert (void.phase, void.ended_in) == (RoundPhase.VOID, phase)
    kept = moved(round_(ANCHORED), Written(published=frozenset(AGGREGATORS), held=HELD, current_epoch=2))
    assert kept.phase is AGGREGATED


def test_sealed_retries_without_the_missing_and_expires_when_attempts_run_out() -> None:
    written = Written(anchored=frozenset(HOSPITALS[:3]), current_epoch=1)
    retried = moved(round_(SEALED), written, LATE)
    assert (retried.phase, retried.attempt, retried.participants) == (SEALED, 1, HOSPITALS[:3])
    assert retried.missing == (GAMMA,)
    again = Written(anchored=frozenset({ALPHA, BETA}), current_epoch=1)
    expired = moved(retried, again, 2 * LATE)
    assert (expired.phase, expired.ended_in, expired.attempt) == (RoundPhase.EXPIRED, SEALED, 1)
    assert expired.missing == (DELTA, GAMMA)
    assert moved(round_(SEALED), written, LATE, attempts=1).phase is RoundPhase.EXPIRED


def test_sealed_expires_when_too_few_would_remain() -> None:
    two = Written(anchored=frozenset({ALPHA, BETA}), current_epoch=1)
    assert moved(round_(SEALED), two, LATE).phase is RoundPhase.EXPIRED
    three = Written(anchored=frozenset(HOSPITALS[:3]), current_epoch=1)
    assert moved(round_(SEALED), three, LATE, max_colluding=2).phase is RoundPhase.EXPIRED


def test_anchored_takes_the_first_publication_in_order_of_aggregators() -> None:
    first = moved(round_(ANCHORED), Written(published=frozenset(AGGREGATORS), held=HELD))
    assert (first.phase, first.publisher, first.publication) == (AGGREGATED, AGGREGATORS[0], 1)
    second = moved(round_(ANCHORED), Written(published=frozenset(AGGREGATORS[1:]), held=HELD), LATE)
    assert second.publisher == AGGREGATORS[1]
    expired = moved(round_(ANCHORED), Written(), LATE)
    assert (expired.phase, expired.participants, expired.publisher) == (RoundPhase.EXPIRED, HOSPITALS, None)


def test_equal_attestations_of_all_make_a_model_final_at_once() -> None:
    final = moved(round_(VERIFIED), Written(attested=dict.fromkeys(HOSPITALS, MODEL_1)))
    assert (final.phase, final.model, final.attested_by) == (RoundPhase.FINAL, MODEL_1, HOSPITALS)


def test_a_quorum_is_enough_once_all_have_attested_or_the_deadline_has_passed() -> None:
    majority = {ALPHA: MODEL_1, BETA: MODEL_1, DELTA: MODEL_1}
    assert advance(terms(), round_(VERIFIED), Written(attested=majority), SOON) is None
    late = moved(round_(VERIFIED), Written(attested=majority), LATE)
    assert (late.phase, late.attested_by, late.missing) == (RoundPhase.FINAL, (ALPHA, BETA, DELTA), (GAMMA,))
    dissent = moved(round_(VERIFIED), Written(attested={**majority, GAMMA: MODEL_2}))
    assert (dissent.phase, dissent.model, dissent.attested_by) == (RoundPhase.FINAL, MODEL_1, (ALPHA, BETA, DELTA))


def test_without_a_quorum_the_round_is_void() -> None:
    split = {ALPHA: MODEL_1, BETA: MODEL_1, DELTA: MODEL_2, GAMMA: MODEL_2}
    void = moved(round_(VERIFIED), Written(attested=split))
    assert (void.phase, void.model, void.attested_by) == (RoundPhase.VOID, None, ())
    two = Written(attested={ALPHA: MODEL_1, BETA: MODEL_1})
    assert moved(round_(VERIFIED), two, LATE).phase is RoundPhase.VOID


def test_the_quorum_exceeds_the_colluders() -> None:
    five = ("AMSP", "BMSP", "CMSP", "DMSP", "EMSP")
    state = round_(VERIFIED, participants=five)
    colluders = Written(attested=dict.fromkeys(five[:3], MODEL_2))
    assert moved(state, colluders, LATE, max_colluding=3).phase is RoundPhase.VOID


def test_attestations_of_outsiders_do_not_count() -> None:
    attested = {ALPHA: MODEL_1, BETA: MODEL_1, "OmegaMSP": MODEL_1, "NuMSP": MODEL_1}
    assert moved(round_(VERIFIED), Written(attested=attested), LATE).phase is RoundPhase.VOID


# ---- writes


def publish(
    state: Round,
    timestamp: int = NOW,
    held: Collection[tuple[str, str]] = HELD,
    barred: Collection[str] = (),
    **changes: Any,
) -> None:
    """Check a publication of the first aggregator."""
    sum_ = publication(**changes)
    round_writes.check_publication(terms(), state, AGGREGATORS[0], sum_, held, barred, timestamp)


def test_a_sum_is_published_of_everything_that_is_held_by_whoever_is_not_barred() -> None:
    publish(round_(ANCHORED))
    for pair in HELD:
        with refused(RefusalCode.NOT_YET, f"{pair[1]} hasn't confirmed {pair[0]}"):
            publish(round_(ANCHORED), held=HELD - {pair})
    with refused(RefusalCode.FORBIDDEN, "barred"):
        publish(round_(ANCHORED), barred=AGGREGATORS)


@pytest.mark.parametrize("phase", list(RoundPhase))
def test_each_write_belongs_to_one_phase(phase: RoundPhase) -> None:
    state = round_(phase)
    writes: dict[RoundPhase, Callable[[], None]] = {
        OPEN: lambda: round_writes.check_join(terms(), state, ALPHA, join(), NOW),
        SEALED: lambda: round_writes.check_anchor(terms(), state, anchor(), None, NOW),
        ANCHORED: lambda: publish(state),
        VERIFIED: lambda: round_writes.check_attestation(state, attestation(), NOW),
    }
    for own, check in writes.items():
        if own is phase:
            check()
        else:
            with refused(RefusalCode.WRONG_PHASE, f"{phase}; this is written in {own}"):
                check()


@pytest.mark.parametrize(("timestamp", "in_time"), [(DEADLINE, True), (DEADLINE + 1, False), (LATE, False)])
def test_writes_are_in_time_up_to_the_deadline(timestamp: int, in_time: bool) -> None:
    checks: list[Callable[[], None]] = [
        lambda: round_writes.check_join(terms(), round_(OPEN), ALPHA, join(), timestamp),
        lambda: round_writes.check_anchor(terms(), round_(SEALED), anchor(), None, timestamp),
        lambda: publish(round_(ANCHORED), timestamp),
        lambda: round_writes.check_attestation(round_(VERIFIED), attestation(), timestamp),
    ]
    for check in checks:
        if in_time:
            check()
        else:
            with refused(RefusalCode.DEADLINE_PASSED):
                check()


def test_a_join_is_bounded_by_the_approved_cap_and_needs_a_sound_key() -> None:
    round_writes.check_join(terms(), round_(), ALPHA, join(samples=SAMPLE_CAP), NOW)
    with refused(RefusalCode.CONFLICTING, f"at most {SAMPLE_CAP}"):
        round_writes.check_join(terms(), round_(), ALPHA, join(samples=SAMPLE_CAP + 1), NOW)
    with refused(RefusalCode.MALFORMED, "low order"):
        round_writes.check_join(terms(), round_(), ALPHA, join(mask_key="00" * 32), NOW)
    assert participants(HOSPITALS)[0].sample_cap == SAMPLE_CAP


@pytest.mark.parametrize("attempt", [0, 2])
def test_anchors_and_publications_name_the_current_attempt(attempt: int) -> None:
    with refused(RefusalCode.WRONG_PHASE, "attempt 1, not"):
        round_writes.check_anchor(terms(), round_(SEALED, attempt=1), anchor(attempt=attempt), None, NOW)
    with refused(RefusalCode.WRONG_PHASE, "attempt 1, not"):
        publish(round_(ANCHORED, attempt=1), attempt=attempt)


@pytest.mark.parametrize("chunks", [1, 3])
def test_vectors_have_exactly_the_chunks_of_the_terms(chunks: int) -> None:
    with refused(RefusalCode.CONFLICTING, "make 2"):
        round_writes.check_anchor(terms(), round_(SEALED), anchor(chunks=chunks), None, NOW)
    with refused(RefusalCode.CONFLICTING, "make 2"):
        publish(round_(ANCHORED), chunks=chunks)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sample_rate_numerator": 11}, "sample rate"),
        ({"noise_multiplier_milli": 1099}, "noise"),
        ({"clip_milli": 1001}, "clipping"),
        ({"delta_denominator": 999}, "delta"),
    ],
)
def test_privacy_entries_follow_the_terms(changes: dict[str, Any], match: str) -> None:
    private = terms(privacy=privacy_terms())
    round_writes.check_anchor(private, round_(SEALED), anchor(privacy=privacy_entry()), None, NOW)
    with refused(RefusalCode.CONFLICTING, match):
        round_writes.check_anchor(private, round_(SEALED), anchor(privacy=privacy_entry(**changes)), None, NOW)


def test_privacy_entries_are_there_exactly_when_the_terms_ask_for_them() -> None:
    with refused(RefusalCode.CONFLICTING, "ask for a privacy entry"):
        round_writes.check_anchor(terms(privacy=privacy_terms()), round_(SEALED), anchor(), None, NOW)
    with refused(RefusalCode.CONFLICTING, "ask for no privacy entry"):
        round_writes.check_anchor(terms(), round_(SEALED), anchor(privacy=privacy_entry()), None, NOW)


def test_a_retry_carries_the_identical_privacy_entry() -> None:
    private, state = terms(privacy=privacy_terms()), round_(SEALED, attempt=1)
    first = anchor(privacy=privacy_entry())
    round_writes.check_anchor(private, state, anchor(1, attempt=1, privacy=privacy_entry()), first, NOW)
    other = anchor(1, attempt=1, privacy=privacy_entry(steps=11))
    with refused(RefusalCode.CONFLICTING, "attempt 0"):
        round_writes.check_anchor(private, state, other, first, NOW)


def test_an_attestation_is_about_the_rounds_publication() -> None:
    with refused(RefusalCode.CONFLICTING, AGGREGATORS[0]):
        round_writes.check_attestation(round_(VERIFIED), attestation(publication=AGGREGATORS[1]), NOW)
