"""What the ledger counts of each data set's privacy, and what it refuses: each rule with the attack that it stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from federation_ledger import CONFLICT, VALID, FederationLedger, Refusal
from federation_world import (
    ALPHA,
    BETA,
    GAMMA,
    HOSPITALS,
    LENGTH,
    NOW,
    REGULATOR,
    STUDY,
    TOLERANCE,
    anchor,
    consortium,
    hash_,
    join,
    key_epoch,
    opening,
    participants,
    privacy_entry,
    privacy_terms,
    refused,
    round_,
    seconds,
    terms,
)
from msgspec.structs import replace

from consilium_chaincode.federation import round_writes
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_proto.canonical import decode
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import (
    Anchor,
    PendingCost,
    PrivacyAccount,
    PrivacyAccountReference,
    PrivacyCost,
    PrivacyEntry,
    Round,
    RoundPhase,
    RoundReference,
    StudyTerms,
)
from consilium_proto.refusals import RefusalCode

OTHER = "lung"
FIVE = ("AlphaMSP", "BetaMSP", "DeltaMSP", "EtaMSP", "GammaMSP")
DATA_SET = hash_(7)
LATE = seconds(TOLERANCE + LENGTH + 2 * TOLERANCE)
COST = PrivacyCost(sample_rate_numerator=1, sample_rate_denominator=10, noise_multiplier_milli=1100, steps=10)
SPENT = [epsilon_micro([GaussianSteps(1, 10, 1100, 10 * rounds)], 1, 1000) for rounds in range(8)]
"""Epsilon after so many rounds like `COST`, in millionths; the budget of 3 bears three of them."""


@pytest.fixture
def channel() -> FederationLedger:
    return channel_with(private())


def private(budget: int = 3_000_000, **changes: Any) -> StudyTerms:
    return terms(**{"rounds": 10, "privacy": privacy_terms(epsilon_budget_micro=budget), **changes})


def entry(rounds_before: int = 0, **changes: Any) -> PrivacyEntry:
    """An entry whose numbers are right when that many equal rounds count before it."""
    numbers = {"epsilon_before_micro": SPENT[rounds_before], "epsilon_after_micro": SPENT[rounds_before + 1]}
    return privacy_entry(**{**numbers, **changes})


def seal(channel: FederationLedger, number: int, study: str = STUDY, hospitals: Sequence[str] = HOSPITALS) -> None:
    channel.submit("OpenRound", opening(study=study, round=number), ALPHA)
    for index, hospital in enumerate(hospitals):
        channel.submit("Join", join(index, study=study, round=number), hospital)
    advance(channel, number, study)


def anchors(number: int, entry_: PrivacyEntry | None = None, study: str = STUDY, attempt: int = 0) -> Anchor:
    return anchor(study=study, round=number, attempt=attempt, privacy=entry_ or entry())


def advance(channel: FederationLedger, number: int, study: str = STUDY) -> Round:
    return decode(Round, channel.submit("Advance", RoundReference(study=study, round=number), ALPHA))


def let_pass(channel: FederationLedger, number: int, study: str = STUDY) -> Round:
    """Let the current phase's deadline pass; in ANCHORED that decides the round, and its updates may be out."""
    channel.wait(LATE)
    return advance(channel, number, study)


def spend(channel: FederationLedger, number: int, before: int) -> None:
    """A whole round, decided after ANCHORED, that costs every hospital what `COST` says."""
    seal(channel, number)
    for hospital in HOSPITALS:
        channel.submit("Anchor", anchors(number, entry(before)), hospital)
    assert advance(channel, number).phase is RoundPhase.ANCHORED
    assert let_pass(channel, number).ended_in is RoundPhase.ANCHORED


def account(channel: FederationLedger, hospital: str = ALPHA, data_set: str = DATA_SET) -> PrivacyAccount:
    reference = PrivacyAccountReference(hospital=hospital, data_set=data_set)
    return channel.evaluate(PrivacyAccount, "ReadPrivacyAccount", reference, REGULATOR, "auditor")


def pending(number: int, study: str = STUDY) -> PendingCost:
    return PendingCost(study=study, round=number, cost=COST)


def times(rounds: int) -> tuple[PrivacyCost, ...]:
    return (replace(COST, steps=10 * rounds),)


# ---- what counts


def test_a_data_set_that_never_anchored_has_an_empty_account(channel: FederationLedger) -> None:
    assert account(channel) == PrivacyAccount(data_set=DATA_SET, settled=(), pending=())


def test_rounds_add_up_and_settle_when_the_data_set_anchors_next(channel: FederationLedger) -> None:
    spend(channel, 1, 0)
    assert account(channel) == PrivacyAccount(data_set=DATA_SET, settled=(), pending=(pending(1),))
    spend(channel, 2, 1)
    assert account(channel) == PrivacyAccount(data_set=DATA_SET, settled=times(1), pending=(pending(2),))
    spend(channel, 3, 2)
    assert account(channel) == PrivacyAccount(data_set=DATA_SET, settled=times(2), pending=(pending(3),))
    assert account(channel) == account(channel, GAMMA)


def test_a_round_that_ended_before_anyone_could_upload_is_not_counted(channel: FederationLedger) -> None:
    seal(channel, 1)
    for hospital in (ALPHA, BETA):
        channel.submit("Anchor", anchors(1), hospital)
    assert let_pass(channel, 1).ended_in is RoundPhase.SEALED
    assert account(channel).pending == (pending(1),)
    spend(channel, 2, 0)
    assert account(channel) == PrivacyAccount(data_set=DATA_SET, settled=(), pending=(pending(2),))


def test_a_round_voided_by_a_new_key_epoch_is_not_counted(channel: FederationLedger) -> None:
    seal(channel, 1)
    channel.submit("Anchor", anchors(1), ALPHA)
    channel.submit("OpenKeyEpoch", key_epoch(2), BETA)
    voided = advance(channel, 1)
    assert (voided.phase, voided.ended_in) == (RoundPhase.VOID, RoundPhase.SEALED)
    channel.submit("OpenRound", opening(round=2, epoch=2), ALPHA)
    for index, hospital in enumerate(HOSPITALS):
        channel.submit("Join", join(index, round=2), hospital)
    advance(channel, 2)
    channel.submit("Anchor", anchors(2, entry(0)), ALPHA)


def channel_with(chosen: StudyTerms) -> FederationLedger:
    ledger = FederationLedger()
    ledger.found()
    ledger.start_study(chosen)
    return ledger


def test_a_retry_costs_nothing_more(channel: FederationLedger) -> None:
    seal(channel, 1)
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchors(1), hospital)
    assert let_pass(channel, 1).attempt == 1
    before = account(channel)
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchors(1, attempt=1), hospital)
    assert account(channel) == before
    assert advance(channel, 1).phase is RoundPhase.ANCHORED


def test_a_hospital_that_was_dropped_pays_nothing_while_the_others_pay() -> None:
    """Four of five anchor; one of them is late for the retry, which is followed by another without it."""
    ledger = FederationLedger()
    ledger.found(consortium(hospitals=FIVE))
    ledger.start_study(private(attempts=3, participants=participants(FIVE)))
    seal(ledger, 1, hospitals=FIVE)
    for attempt, anchoring in enumerate((FIVE[:4], FIVE[:3])):
        for hospital in anchoring:
            ledger.submit("Anchor", anchors(1, attempt=attempt), hospital)
        assert let_pass(ledger, 1).participants == anchoring
    for hospital in FIVE[:3]:
        ledger.submit("Anchor", anchors(1, attempt=2), hospital)
    advance(ledger, 1)
    assert let_pass(ledger, 1).ended_in is RoundPhase.ANCHORED
    assert account(ledger, FIVE[3]).pending == (pending(1),)
    seal(ledger, 2, hospitals=FIVE)
    ledger.submit("Anchor", anchors(2, entry(1)), FIVE[0])
    ledger.submit("Anchor", anchors(2, entry(0)), FIVE[3])
    assert account(ledger, FIVE[3]).pending == (pending(2),)


def test_studies_on_one_data_set_share_its_account(channel: FederationLedger) -> None:
    channel.start_study(private(study=OTHER, budget=8_000_000))
    spend(channel, 1, 0)
    seal(channel, 1, OTHER)
    alone = anchors(1, entry(0), OTHER)
    channel.refuse(RefusalCode.CONFLICTING, "Anchor", alone, ALPHA, match=f"from {SPENT[1]} to {SPENT[2]}")
    channel.submit("Anchor", anchors(1, entry(1), OTHER), ALPHA)
    assert account(channel) == PrivacyAccount(data_set=DATA_SET, settled=times(1), pending=(pending(1, OTHER),))
    # The other study's round is undecided, and counts here.
    seal(channel, 2)
    channel.submit("Anchor", anchors(2, entry(2)), ALPHA)
    assert account(channel).pending == (pending(1, OTHER), pending(2))
    # Another hospital's data set of the same name is another account.
    channel.submit("Anchor", anchors(1, entry(1), OTHER), BETA)


def test_different_mechanisms_are_composed_exactly(channel: FederationLedger) -> None:
    spend(channel, 1, 0)
    seal(channel, 2)
    both = [GaussianSteps(1, 10, 1100, 10), GaussianSteps(1, 20, 1500, 40)]
    after = epsilon_micro(both, 1, 1000)
    other = {"sample_rate_numerator": 2, "sample_rate_denominator": 40, "noise_multiplier_milli": 1500, "steps": 40}
    channel.submit("Anchor", anchors(2, entry(1, epsilon_after_micro=after, **other)), ALPHA)
    [newest] = account(channel).pending
    # In lowest terms, so that one mechanism can't be written as many.
    assert (newest.cost.sample_rate_numerator, newest.cost.sample_rate_denominator) == (1, 20)


# ---- what is refused


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon_before_micro": SPENT[1] - 1},
        {"epsilon_after_micro": SPENT[2] - 1},
        {"epsilon_after_micro": SPENT[2] + 1},
        {"epsilon_before_micro": 0, "epsilon_after_micro": SPENT[1]},
        {"steps": 9},
        {"noise_multiplier_milli": 1200},
        {"sample_rate_denominator": 11},
    ],
)
def test_false_arithmetic_is_refused_with_the_right_numbers(channel: FederationLedger, changes: dict[str, int]) -> None:
    spend(channel, 1, 0)
    seal(channel, 2)
    channel.refuse(
        RefusalCode.CONFLICTING, "Anchor", anchors(2, entry(1, **changes)), ALPHA, match=f"it goes from {SPENT[1]} to "
    )
    assert account(channel).pending == (pending(1),)


def test_an_anchor_beyond_the_budget_is_refused_whatever_it_claims(channel: FederationLedger) -> None:
    spend(channel, 1, 0)
    channel.start_study(private(study=OTHER, budget=SPENT[2] - 1))
    seal(channel, 1, OTHER)
    named = f"to {SPENT[2] / 1e6:.6f}; the study's budget is {(SPENT[2] - 1) / 1e6:.6f}"
    for claimed in (entry(1), entry(0)):
        channel.refuse(RefusalCode.BUDGET_EXCEEDED, "Anchor", anchors(1, claimed, OTHER), ALPHA, match=named)


def test_a_budget_may_be_spent_to_the_last_millionth() -> None:
    ledger = channel_with(private(budget=SPENT[2]))
    spend(ledger, 1, 0)
    spend(ledger, 2, 1)


def test_a_data_set_cannot_get_a_new_name_within_a_study(channel: FederationLedger) -> None:
    spend(channel, 1, 0)
    seal(channel, 2)
    renamed = anchors(2, entry(0, data_set=hash_(8)))
    channel.refuse(RefusalCode.CONFLICTING, "Anchor", renamed, ALPHA, match="can only go on with that one")


def test_a_retry_must_carry_the_identical_entry(channel: FederationLedger) -> None:
    seal(channel, 1)
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchors(1), hospital)
    let_pass(channel, 1)
    for changed in (entry(1), entry(0, steps=9), entry(0, data_set=hash_(8))):
        channel.refuse(RefusalCode.CONFLICTING, "Anchor", anchors(1, changed, attempt=1), ALPHA, match="attempt 0")
    channel.submit("Anchor", anchors(1, attempt=1), ALPHA)


def test_two_anchors_of_one_data_set_in_one_block_are_not_both_valid(channel: FederationLedger) -> None:
    channel.start_study(private(study=OTHER))
    seal(channel, 1)
    seal(channel, 1, OTHER)
    first, second = (channel.propose("Anchor", anchors(1, entry(0), study), ALPHA) for study in (STUDY, OTHER))
    assert isinstance(first, Simulation)
    assert isinstance(second, Simulation)
    assert channel.commit(first, second) == [VALID, CONFLICT]
    again = channel.propose("Anchor", anchors(1, entry(0), OTHER), ALPHA)
    assert isinstance(again, Refusal)
    assert again.code is RefusalCode.CONFLICTING
    assert f"it goes from {SPENT[1]} to {SPENT[2]}" in again.message
    channel.submit("Anchor", anchors(1, entry(1), OTHER), ALPHA)


def test_hospitals_do_not_conflict_in_their_accounts(channel: FederationLedger) -> None:
    seal(channel, 1)
    simulations = [channel.propose("Anchor", anchors(1), hospital) for hospital in HOSPITALS]
    assert channel.commit(*[s for s in simulations if isinstance(s, Simulation)]) == [VALID] * 4


def test_without_noise_nothing_is_counted() -> None:
    ledger = FederationLedger()
    ledger.found()
    ledger.start_study()
    ledger.open_round()
    ledger.reach_sealed()
    ledger.reach_anchored()
    assert account(ledger).pending == ()


def test_noise_that_cannot_be_accounted_is_refused_also_in_an_entry() -> None:
    lax = terms(privacy=privacy_terms(noise_multiplier_milli=1))
    thin = anchor(privacy=privacy_entry(noise_multiplier_milli=299))
    with refused(RefusalCode.CONFLICTING, "can't be accounted"):
        round_writes.check_anchor(lax, round_(RoundPhase.SEALED), thin, None, NOW)


# ---- rounds that nobody can afford


def test_a_round_that_nobody_could_afford_is_not_opened(channel: FederationLedger) -> None:
    for number in (1, 2, 3):
        spend(channel, number, number - 1)
    channel.refuse(RefusalCode.BUDGET_EXCEEDED, "OpenRound", opening(round=4), ALPHA, match="0 participants of study")


def test_what_a_round_that_came_to_nothing_cost_keeps_no_study_from_going_on() -> None:
    """Its cost is pending until the next anchor, which there could never be if the opening counted it."""
    ledger = channel_with(private(budget=SPENT[1]))
    seal(ledger, 1)
    for hospital in HOSPITALS[:2]:
        ledger.submit("Anchor", anchors(1), hospital)
    assert let_pass(ledger, 1).ended_in is RoundPhase.SEALED
    spend(ledger, 2, 0)
    ledger.refuse(RefusalCode.BUDGET_EXCEEDED, "OpenRound", opening(round=3), ALPHA, match="0 participants of study")


def test_a_hospital_whose_data_set_is_unknown_yet_counts_as_able() -> None:
    ledger = channel_with(private(budget=SPENT[1]))
    seal(ledger, 1)
    for hospital in HOSPITALS[:3]:
        ledger.submit("Anchor", anchors(1), hospital)
    assert let_pass(ledger, 1).attempt == 1
    for hospital in HOSPITALS[:3]:
        ledger.submit("Anchor", anchors(1, attempt=1), hospital)
    advance(ledger, 1)
    assert let_pass(ledger, 1).ended_in is RoundPhase.ANCHORED
    # Three have spent all and GAMMA is unknown: one of the three that are needed.
    ledger.refuse(RefusalCode.BUDGET_EXCEEDED, "OpenRound", opening(round=2), ALPHA, match="1 participants of study")
