"""A study's transitions, and its key epochs."""

from __future__ import annotations

from typing import Any

import pytest
from federation_world import (
    ALPHA,
    BETA,
    DELTA,
    GAMMA,
    HOSPITALS,
    MODEL_0,
    MODEL_1,
    NOW,
    STUDY,
    consortium,
    hash_,
    key_epoch,
    participants,
    privacy_terms,
    progress,
    public_key,
    refused,
    round_,
    study,
    terms,
)
from msgspec.structs import replace

from consilium_chaincode.federation import key_epoch as epochs
from consilium_chaincode.federation import study as rules
from consilium_proto.canonical import digest
from consilium_proto.records import CurrentEpoch, RoundPhase, StudyApprovalRequest, StudyPhase
from consilium_proto.refusals import RefusalCode


@pytest.mark.parametrize(
    ("changes", "code", "match"),
    [
        ({"participants": participants((BETA, ALPHA, GAMMA))}, RefusalCode.MALFORMED, "sorted"),
        ({"participants": participants((ALPHA, BETA, BETA, GAMMA))}, RefusalCode.MALFORMED, "twice"),
        ({"coordinator": "OmegaMSP"}, RefusalCode.MALFORMED, "coordinator"),
        ({"participants": participants((ALPHA, BETA, "OmegaMSP"))}, RefusalCode.CONFLICTING, "OmegaMSP"),
        ({"max_colluding": 3}, RefusalCode.UNSAFE_TERMS, "between 1 and 2"),
        ({"max_colluding": 0}, RefusalCode.UNSAFE_TERMS, "between 1 and 2"),
        ({"max_colluding": 2, "participants": participants(HOSPITALS[:3])}, RefusalCode.UNSAFE_TERMS, "and 1"),
        ({"parameters": 2**31}, RefusalCode.UNSAFE_TERMS, "can list at most 65536"),
        ({"parameter_set": "unknown"}, RefusalCode.UNSAFE_TERMS, "unknown"),
        ({"privacy": privacy_terms(delta_numerator=1000)}, RefusalCode.UNSAFE_TERMS, "delta"),
        ({"privacy": privacy_terms(noise_multiplier_milli=299)}, RefusalCode.UNSAFE_TERMS, "at least 0.3"),
    ],
)
def test_terms_are_refused(changes: dict[str, Any], code: RefusalCode, match: str) -> None:
    with refused(code, match):
        rules.check_terms(terms(**changes), consortium())


def test_a_parameter_set_that_is_inexact_for_so_many_hospitals_is_refused() -> None:
    many = tuple(f"H{number:02d}MSP" for number in range(17))
    with refused(RefusalCode.UNSAFE_TERMS):
        rules.check_terms(terms(participants=participants(many), coordinator=many[0]), consortium(hospitals=many))
    rules.check_terms(terms(participants=participants(many[:16]), coordinator=many[0]), consortium(hospitals=many))


def test_terms_under_which_nobody_could_read_a_dispute_are_refused() -> None:
    many = tuple(f"H{number:02d}MSP" for number in range(10))
    changes = {"participants": participants(many), "coordinator": many[0], "max_colluding": 2}
    with refused(RefusalCode.UNSAFE_TERMS, "readers get at most 1048576"):
        rules.check_terms(terms(**changes, parameters=2**29), consortium(hospitals=many))
    rules.check_terms(terms(**changes, parameters=2**28), consortium(hospitals=many))


def test_good_terms_are_accepted() -> None:
    rules.check_terms(terms(), consortium())
    rules.check_terms(terms(max_colluding=2), consortium())
    rules.check_terms(terms(participants=participants(HOSPITALS[:3]), privacy=privacy_terms()), consortium())


def test_a_study_becomes_active_with_a_majority_of_the_consortium() -> None:
    proposed, start = rules.propose(terms(), BETA, NOW)
    assert (proposed.phase, proposed.proposer, start.model) == (StudyPhase.PROPOSED, BETA, MODEL_0)
    with refused(RefusalCode.NOT_YET, "2 of 3"):
        rules.activate(proposed, start, consortium(), {ALPHA, BETA, "OmegaMSP"}, NOW + 5)
    active, begun = rules.activate(proposed, start, consortium(), {ALPHA, BETA, DELTA}, NOW + 5)
    assert (active.phase, begun.idle_since) == (StudyPhase.ACTIVE, NOW + 5)
    with refused(RefusalCode.WRONG_PHASE):
        rules.activate(active, begun, consortium(), HOSPITALS, NOW + 6)


def test_terms_that_a_changed_consortium_makes_unsafe_cannot_become_active() -> None:
    proposed, start = rules.propose(terms(max_colluding=2, participants=participants(HOSPITALS)), ALPHA, NOW)
    smaller = consortium(hospitals=HOSPITALS[:3], revision=2)
    with refused(RefusalCode.CONFLICTING, GAMMA):
        rules.activate(proposed, start, smaller, HOSPITALS, NOW)


def test_an_approval_is_of_the_terms_that_the_ledger_holds() -> None:
    proposed = study(StudyPhase.PROPOSED)
    rules.check_approval(proposed, StudyApprovalRequest(study=STUDY, terms=digest(proposed.terms)))
    with refused(RefusalCode.CONFLICTING, "digest"):
        rules.check_approval(proposed, StudyApprovalRequest(study=STUDY, terms=hash_(5)))
    rules.check_approval(study(), StudyApprovalRequest(study=STUDY, terms=digest(proposed.terms)))
    closed = study(StudyPhase.CLOSED)
    with refused(RefusalCode.WRONG_PHASE):
        rules.check_approval(closed, StudyApprovalRequest(study=STUDY, terms=digest(proposed.terms)))


def test_a_study_closes_only_between_rounds() -> None:
    assert rules.close(study(), progress()).phase is StudyPhase.CLOSED
    assert rules.close(study(StudyPhase.PROPOSED), progress()).phase is StudyPhase.CLOSED
    with refused(RefusalCode.WRONG_PHASE, "undecided"):
        rules.close(study(), progress(round=1, undecided=True))
    with refused(RefusalCode.WRONG_PHASE, "closed already"):
        rules.close(study(StudyPhase.CLOSED), progress())


@pytest.mark.parametrize("phase", [RoundPhase.EXPIRED, RoundPhase.VOID])
def test_only_a_final_round_moves_the_model(phase: RoundPhase) -> None:
    before = progress(round=1, undecided=True)
    after = rules.after_decision(before, round_(phase), NOW + 9)
    assert after == replace(before, undecided=False, idle_since=NOW + 9)
    final = rules.after_decision(before, round_(RoundPhase.FINAL, model=MODEL_1), NOW + 9)
    assert final == replace(after, model=MODEL_1, last_final_round=1, final_rounds=1)


def test_the_head_shows_progress_and_epoch() -> None:
    head = rules.head(progress(round=4, final_rounds=2), 3)
    assert (head.round, head.final_rounds, head.epoch, head.model) == (4, 2, 3, MODEL_0)


def test_key_epochs_follow_each_other() -> None:
    opened = epochs.open_epoch(terms(), consortium(), 0, ALPHA, key_epoch())
    assert opened == CurrentEpoch(epoch=1)
    for number in (1, 3):
        with refused(RefusalCode.STALE_EPOCH, "open 2"):
            epochs.open_epoch(terms(), consortium(), 1, ALPHA, key_epoch(number))
    assert epochs.open_epoch(terms(), consortium(), 1, BETA, key_epoch(2, HOSPITALS[:3])).epoch == 2


def test_only_the_coordinator_opens_the_first_key_epoch() -> None:
    with refused(RefusalCode.FORBIDDEN, ALPHA):
        epochs.check_opener(terms(), None, BETA)
    epochs.check_opener(terms(), None, ALPHA)
    epochs.check_opener(terms(), key_epoch(1, HOSPITALS[:3]), BETA)


@pytest.mark.parametrize(
    ("hospitals", "code"),
    [
        ((ALPHA, BETA, "OmegaMSP"), RefusalCode.FORBIDDEN),
        ((BETA, ALPHA, GAMMA), RefusalCode.MALFORMED),
        ((ALPHA, ALPHA, BETA), RefusalCode.MALFORMED),
        ((BETA, DELTA, GAMMA), RefusalCode.MALFORMED),
    ],
)
def test_holders_are_participants_sorted_and_include_the_opener(hospitals: tuple[str, ...], code: RefusalCode) -> None:
    with refused(code):
        epochs.open_epoch(terms(), consortium(), 0, ALPHA, key_epoch(1, hospitals))


def test_holders_who_left_the_consortium_and_too_few_holders_are_refused() -> None:
    with refused(RefusalCode.FORBIDDEN, GAMMA):
        epochs.open_epoch(terms(), consortium(hospitals=HOSPITALS[:3]), 0, ALPHA, key_epoch())
    with refused(RefusalCode.UNSAFE_TERMS, "at least 4"):
        epochs.open_epoch(terms(max_colluding=2), consortium(), 0, ALPHA, key_epoch(1, HOSPITALS[:3]))


def test_encapsulated_keys_of_low_order_are_refused() -> None:
    good = key_epoch()
    bad = replace(good, holders=(replace(good.holders[0], encapsulated="01" + "00" * 31), *good.holders[1:]))
    with refused(RefusalCode.MALFORMED, "AlphaMSP .*low order"):
        epochs.open_epoch(terms(), consortium(), 0, ALPHA, bad)
    assert public_key(0) == good.holders[0].encapsulated
