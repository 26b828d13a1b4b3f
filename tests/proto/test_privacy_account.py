"""The rules of a privacy account, as chaincode and client both apply them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from consilium_proto.canonical import decode, encode
from consilium_proto.errors import AccountFullError
from consilium_proto.privacy_account import (
    MAX_MECHANISMS,
    MAX_PENDING,
    MAX_STEPS,
    charge,
    cost_of,
    empty_account,
    pending_rounds,
    settle,
)
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import (
    PendingCost,
    PrivacyAccount,
    PrivacyCost,
    PrivacyEntry,
    PrivacyTerms,
    Round,
    RoundPhase,
)

DATA_SET = "ab" * 32
HOSPITAL, OTHERS = "AlphaMSP", ("BetaMSP", "DeltaMSP", "GammaMSP")
TERMS = PrivacyTerms(
    noise_multiplier_milli=1100,
    clip_milli=1000,
    delta_numerator=1,
    delta_denominator=1000,
    epsilon_budget_micro=3_000_000,
)


def cost(steps: int = 10, noise: int = 1100, denominator: int = 10) -> PrivacyCost:
    return PrivacyCost(
        sample_rate_numerator=1, sample_rate_denominator=denominator, noise_multiplier_milli=noise, steps=steps
    )


def account(*pending: PendingCost, settled: tuple[PrivacyCost, ...] = ()) -> PrivacyAccount:
    return PrivacyAccount(data_set=DATA_SET, settled=settled, pending=pending)


def owed(number: int, of: PrivacyCost | None = None) -> PendingCost:
    return PendingCost(study="heart", round=number, cost=of or cost())


def state(phase: RoundPhase, **changes: Any) -> Round:
    values: dict[str, Any] = {
        "study": "heart",
        "round": 1,
        "phase": phase,
        "base": DATA_SET,
        "epoch": 1,
        "attempt": 0,
        "participants": (HOSPITAL, *OTHERS),
        "missing": (),
        "publisher": None,
        "model": None,
        "attested_by": (),
        "entered": 0,
        "deadline": 0,
    }
    return Round(**{**values, **changes})


@pytest.mark.parametrize("phase", [phase for phase in RoundPhase if not phase.decided])
def test_an_undecided_round_stays_pending_and_counts(phase: RoundPhase) -> None:
    held = account(owed(1))
    assert settle(held, HOSPITAL, {("heart", 1): state(phase)}) == held
    assert charge(held, ("heart", 2), cost(), TERMS).before == epsilon_micro([GaussianSteps(1, 10, 1100, 10)], 1, 1000)


@pytest.mark.parametrize("phase", [phase for phase in RoundPhase if phase.decided])
@pytest.mark.parametrize("ended_in", [phase for phase in RoundPhase if not phase.decided])
def test_a_decided_round_counts_for_good_unless_nothing_could_be_uploaded(
    phase: RoundPhase, ended_in: RoundPhase
) -> None:
    spent = () if ended_in in (RoundPhase.OPEN, RoundPhase.SEALED) else (cost(),)
    settled = settle(account(owed(1)), HOSPITAL, {("heart", 1): state(phase, ended_in=ended_in)})
    assert settled == account(settled=spent)


@pytest.mark.parametrize("phase", [RoundPhase.SEALED, RoundPhase.ANCHORED, RoundPhase.FINAL])
def test_a_dropped_hospitals_cost_goes_away_at_once(phase: RoundPhase) -> None:
    assert settle(account(owed(1)), HOSPITAL, {("heart", 1): state(phase, participants=OTHERS)}) == account()


def test_settled_costs_are_summed_by_mechanism_and_sorted() -> None:
    held = account(owed(1, cost(3, 900)), owed(2), settled=(cost(5), cost(7, 1200)))
    final = state(RoundPhase.FINAL, ended_in=RoundPhase.VERIFIED)
    assert pending_rounds(held) == [("heart", 1), ("heart", 2)]
    settled = settle(held, HOSPITAL, dict.fromkeys(pending_rounds(held), final))
    assert settled == account(settled=(cost(3, 900), cost(15), cost(7, 1200)))


def test_a_charge_is_pending_after_those_before_it() -> None:
    charged = charge(empty_account(DATA_SET), ("heart", 1), cost(), TERMS)
    again = charge(charged.account, ("lung", 4), cost(5), TERMS)
    assert charged.account == account(owed(1))
    assert [pending.study for pending in again.account.pending] == ["heart", "lung"]
    assert (charged.before, charged.after, again.before) == (0, charged.after, charged.after)
    assert again.after == epsilon_micro([GaussianSteps(1, 10, 1100, 15)], 1, 1000)


def test_an_account_at_its_bounds_can_be_stored_and_no_charge_leads_beyond_them() -> None:
    """Else the ledger would hold an account that nobody can read, and the data set could never anchor again."""
    full = account(*(owed(number) for number in range(1, MAX_PENDING + 1)))
    assert decode(PrivacyAccount, encode(full)) == full
    with pytest.raises(AccountFullError, match="wait until one of them is decided"):
        charge(full, ("heart", 65), cost(), TERMS)
    # 63 mechanisms and one that is pending.
    many = account(owed(1), settled=tuple(cost(1, 2000 + number) for number in range(MAX_MECHANISMS - 1)))
    assert charge(many, ("heart", 2), cost(), TERMS).account.pending[1] == owed(2)
    with pytest.raises(AccountFullError, match="65 pairs of sample rate and noise multiplier"):
        charge(many, ("heart", 2), cost(1, 1999), TERMS)
    long = account(settled=(cost(MAX_STEPS - 10),))
    assert charge(long, ("heart", 1), cost(10), TERMS).after > TERMS.epsilon_budget_micro
    with pytest.raises(AccountFullError, match=f"{MAX_STEPS + 1} steps"):
        charge(long, ("heart", 1), cost(11), TERMS)


def test_an_entry_costs_what_its_mechanism_costs_in_lowest_terms() -> None:
    entry = PrivacyEntry(
        data_set=DATA_SET,
        sample_rate_numerator=6,
        sample_rate_denominator=60,
        noise_multiplier_milli=1100,
        clip_milli=1000,
        steps=10,
        delta_numerator=1,
        delta_denominator=1000,
        epsilon_before_micro=0,
        epsilon_after_micro=0,
    )
    assert cost_of(entry) == cost()
    assert cost_of(replace(entry, clip_milli=5)) == cost()
