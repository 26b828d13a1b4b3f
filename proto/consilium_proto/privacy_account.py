"""The rules of a data set's privacy account, which chaincode and the hospital's client apply to the same numbers.

An account belongs to a hospital's data set, over all studies and rounds. A round's cost is pending from the anchor that
wrote it and counts as spent. The data set's next anchor settles it:

    the round ended in OPEN or SEALED, or dropped the hospital   it never let the hospital upload: the cost goes away
    the round is decided otherwise                               the cost counts for good
    the round is undecided                                       it stays pending, and counts

Nothing is uploaded before ANCHORED and the participants never grow, so a dropped hospital's cost may go at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd

from msgspec.structs import replace

from consilium_proto.errors import AccountFullError
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

MAX_PENDING = 64
MAX_MECHANISMS = 64
MAX_STEPS = 2**40

RoundName = tuple[str, int]
"""A study and a round's number."""


@dataclass(frozen=True)
class Charge:
    """What one more round does to an account: epsilon without and with it, in millionths, and the account with it."""

    before: int
    after: int
    account: PrivacyAccount


def empty_account(data_set: str) -> PrivacyAccount:
    """Return the account of a data set that hasn't spent anything."""
    return PrivacyAccount(data_set=data_set, settled=(), pending=())


def cost_of(entry: PrivacyEntry) -> PrivacyCost:
    """Return what an entry's round costs, its sample rate in lowest terms; the clip has no influence on it."""
    common = gcd(entry.sample_rate_numerator, entry.sample_rate_denominator)
    return PrivacyCost(
        sample_rate_numerator=entry.sample_rate_numerator // common,
        sample_rate_denominator=entry.sample_rate_denominator // common,
        noise_multiplier_milli=entry.noise_multiplier_milli,
        steps=entry.steps,
    )


def may_be_uploaded(state: Round, hospital: str) -> bool:
    """Tell whether a hospital's update of this round was, is or may yet be uploaded."""
    return hospital in state.participants and state.ended_in not in (RoundPhase.OPEN, RoundPhase.SEALED)


def pending_rounds(account: PrivacyAccount) -> list[RoundName]:
    """Return the rounds whose state `settle` needs."""
    return [(pending.study, pending.round) for pending in account.pending]


def settle(account: PrivacyAccount, hospital: str, rounds: Mapping[RoundName, Round]) -> PrivacyAccount:
    """Return the account with every pending cost settled that can be.

    Args:
        account: the account.
        hospital: whose account it is.
        rounds: the state of each of `pending_rounds`.
    """
    kept: list[PendingCost] = []
    spent = list(account.settled)
    for pending in account.pending:
        state = rounds[pending.study, pending.round]
        if not may_be_uploaded(state, hospital):
            continue
        if state.phase.decided:
            spent.append(pending.cost)
        else:
            kept.append(pending)
    return replace(account, settled=_summed(spent), pending=tuple(kept))


def epsilon_of(costs: Iterable[PrivacyCost], terms: PrivacyTerms) -> int:
    """Return the epsilon of all costs together at the terms' delta, in millionths, rounded up."""
    steps = (
        GaussianSteps(cost.sample_rate_numerator, cost.sample_rate_denominator, cost.noise_multiplier_milli, cost.steps)
        for cost in costs
    )
    return epsilon_micro(steps, terms.delta_numerator, terms.delta_denominator)


def charge(account: PrivacyAccount, name: RoundName, cost: PrivacyCost, terms: PrivacyTerms) -> Charge:
    """Return what a round costs on top of a settled account.

    Raises:
        AccountFullError: too many rounds are undecided, or there are too many different mechanisms or steps.
    """
    study, number = name
    held = (*account.settled, *(pending.cost for pending in account.pending))
    _check_room(account, (*held, cost))
    return Charge(
        before=epsilon_of(held, terms),
        after=epsilon_of((*held, cost), terms),
        account=replace(account, pending=(*account.pending, PendingCost(study=study, round=number, cost=cost))),
    )


def _check_room(account: PrivacyAccount, costs: Iterable[PrivacyCost]) -> None:
    """Refuse what the account's record couldn't hold once everything pending counted for good."""
    if len(account.pending) >= MAX_PENDING:
        raise AccountFullError(
            f"{len(account.pending)} rounds of data set {account.data_set[:16]} are undecided; "
            "wait until one of them is decided"
        )
    summed = _summed(costs)
    if len(summed) > MAX_MECHANISMS:
        raise AccountFullError(
            f"{len(summed)} pairs of sample rate and noise multiplier in the account of data set "
            f"{account.data_set[:16]}; at most {MAX_MECHANISMS} are counted: train with one that it has already"
        )
    if (most := max(total.steps for total in summed)) > MAX_STEPS:
        raise AccountFullError(f"{most} steps of one mechanism; at most {MAX_STEPS} are counted: train fewer")


def _summed(costs: Iterable[PrivacyCost]) -> tuple[PrivacyCost, ...]:
    """Add up the steps of each mechanism; sorted, so that equal accounts are equal bytes."""
    steps: dict[tuple[int, int, int], int] = defaultdict(int)
    for cost in costs:
        mechanism = (cost.sample_rate_numerator, cost.sample_rate_denominator, cost.noise_multiplier_milli)
        steps[mechanism] += cost.steps
    return tuple(
        PrivacyCost(
            sample_rate_numerator=numerator,
            sample_rate_denominator=denominator,
            noise_multiplier_milli=noise,
            steps=total,
        )
        for (numerator, denominator, noise), total in sorted(steps.items())
    )
