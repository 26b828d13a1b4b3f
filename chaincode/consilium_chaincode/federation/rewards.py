"""Whom a final round rewards, and by what weight: a function of records.

Who took part to the end is rewarded: the round's participants, whose updates are in the sum, but for those proved to
have lied in it and those who attested another model. Attesting is no condition. A round becomes final as soon as enough
attested, so whoever is slow, or was cut off, would lose its reward by the others' speed
(`test_a_slow_attester_keeps_its_reward`); all else that a round asks of a hospital it has done by then, or the round
wouldn't be final.

A weight is the sample count that the hospital joined with. It can't be inflated beyond what the hospitals approved:
joins above the terms' `sample_cap` are refused, and neither can be changed afterwards. How much of a weight counts is
the terms' `weight_cap`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from consilium_proto.ethereum.rewards import Contribution, RewardCheck, RoundCredit
from consilium_proto.records import Round, RoundPhase, StudyTerms


def reward_check(terms: StudyTerms) -> RewardCheck | None:
    """Return what to ask the ledger of rewards when a study is proposed; None for a study without a reward."""
    if terms.reward is UNSET:
        return None
    return RewardCheck(pot=terms.reward.pot, weight_cap=terms.reward.weight_cap)


def rewarded(terms: StudyTerms, state: Round, attested: Mapping[str, str]) -> tuple[str, ...]:
    """Return the hospitals that a round rewards, sorted; none unless it is final and its study has a reward.

    Args:
        terms: the study's.
        state: the round.
        attested: the model that each hospital attested, of those that did.
    """
    if terms.reward is UNSET or state.phase is not RoundPhase.FINAL:
        return ()
    return tuple(
        hospital
        for hospital in state.participants
        if hospital not in state.barred and attested.get(hospital, state.model) == state.model
    )


def round_credit(terms: StudyTerms, state: Round, samples: Mapping[str, int]) -> RoundCredit | None:
    """Return what to credit for a round; None where nobody is rewarded.

    Args:
        terms: the study's.
        state: the round.
        samples: what each rewarded hospital joined with.
    """
    if terms.reward is UNSET or not samples:
        return None
    return RoundCredit(
        study=state.study,
        round=state.round,
        pot=terms.reward.pot,
        weight_cap=terms.reward.weight_cap,
        contributions=tuple(Contribution(hospital=name, weight=samples[name]) for name in sorted(samples)),
    )
