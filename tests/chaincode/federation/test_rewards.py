"""Whom a final round rewards, by what weight, and that studies without a reward stay what they were."""

from __future__ import annotations

from typing import Any

import pytest
from federation_ledger import FederationLedger
from federation_world import (
    AGGREGATORS,
    ALPHA,
    BETA,
    DELTA,
    GAMMA,
    HOSPITALS,
    MODEL_1,
    MODEL_2,
    NOW,
    SAMPLE_CAP,
    join,
    privacy_terms,
    refused,
    round_,
    terms,
)
from hypothesis import given
from hypothesis import strategies as st

from consilium_chaincode.federation.rewards import reward_check, rewarded, round_credit
from consilium_chaincode.federation.round import Written, advance
from consilium_chaincode.federation.round_writes import check_join
from consilium_proto.canonical import decode, digest, encode
from consilium_proto.errors import MalformedMessageError
from consilium_proto.ethereum.rewards import Contribution, RewardCheck, RoundCredit
from consilium_proto.ethereum.scalars import as_quantity
from consilium_proto.records import RewardTerms, Round, RoundPhase, StudyTerms
from consilium_proto.refusals import RefusalCode

REWARD = RewardTerms(pot=as_quantity(10**20), weight_cap=1_000)
SAMPLES = dict.fromkeys(HOSPITALS, 100)


def final(**changes: Any) -> Round:
    return round_(**{"phase": RoundPhase.FINAL, "model": MODEL_1, "attested_by": HOSPITALS, **changes})


def test_terms_without_a_reward_have_the_bytes_they_had_before_there_were_rewards() -> None:
    """Digests of both, computed by the release before."""
    assert digest(terms()) == "45ec4ae40cef91663b8570646081fdd1534c38dcc5e6e419731bf23b2e570771"
    with_privacy = terms(privacy=privacy_terms())
    assert digest(with_privacy) == "ea2ed1cd68532175ac6c24bcb64090ffb8cbb8fb4d9037b94eb691ec09bbeedd"
    assert decode(StudyTerms, encode(with_privacy)) == with_privacy


def test_no_reward_is_written_in_one_way() -> None:
    """Otherwise the same study would have two digests."""
    nothing = encode(terms()).replace(b'"rounds":', b'"reward":null,"rounds":')
    with pytest.raises(MalformedMessageError):
        decode(StudyTerms, nothing)


def test_a_study_without_a_reward_asks_and_credits_nothing(channel: FederationLedger) -> None:
    """The channel has no chaincode that could."""
    channel.open_round()
    channel.reach_sealed()
    channel.reach_anchored()
    channel.reach_aggregated()
    channel.reach_verified()
    channel.reach_final(MODEL_1)
    assert channel.round().round.phase is RoundPhase.FINAL
    assert reward_check(terms()) is None
    assert rewarded(terms(), final(), dict.fromkeys(HOSPITALS, MODEL_1)) == ()
    assert round_credit(terms(), final(), SAMPLES) is None


def test_a_reward_takes_a_chaincode_that_keeps_rewards(channel: FederationLedger) -> None:
    channel.refuse(
        RefusalCode.NOT_FOUND, "ProposeStudy", terms(study="other", reward=REWARD), ALPHA, "admin", match="evm"
    )


def test_terms_are_asked_about_as_they_are() -> None:
    assert reward_check(terms(reward=REWARD)) == RewardCheck(pot=REWARD.pot, weight_cap=REWARD.weight_cap)


def test_everybody_who_took_part_to_the_end_is_rewarded_by_its_samples() -> None:
    chosen = terms(reward=REWARD)
    assert rewarded(chosen, final(), dict.fromkeys(HOSPITALS, MODEL_1)) == HOSPITALS
    credit = round_credit(chosen, final(), {ALPHA: 1, DELTA: 500})
    assert credit == RoundCredit(
        study=chosen.study,
        round=1,
        pot=REWARD.pot,
        weight_cap=REWARD.weight_cap,
        contributions=(Contribution(hospital=ALPHA, weight=1), Contribution(hospital=DELTA, weight=500)),
    )


def test_a_slow_attester_keeps_its_reward() -> None:
    """The round was final as soon as three had attested."""
    chosen = terms(reward=REWARD)
    attested = dict.fromkeys(HOSPITALS[:3], MODEL_1)
    verified = round_(RoundPhase.VERIFIED)
    ended = advance(chosen, verified, Written(attested=attested), verified.deadline + 10_000)
    assert ended is not None
    assert (ended.phase, ended.missing) == (RoundPhase.FINAL, (GAMMA,))
    assert rewarded(chosen, ended, attested) == HOSPITALS


def test_who_attested_another_model_isnt_rewarded() -> None:
    attested = {**dict.fromkeys(HOSPITALS, MODEL_1), BETA: MODEL_2}
    assert rewarded(terms(reward=REWARD), final(), attested) == (ALPHA, DELTA, GAMMA)


def test_a_proved_liar_isnt_rewarded_and_takes_nobodys_reward_along() -> None:
    barred = (BETA, AGGREGATORS[0])
    attested = dict.fromkeys(HOSPITALS, MODEL_1)
    assert rewarded(terms(reward=REWARD), final(barred=barred), attested) == (ALPHA, DELTA, GAMMA)


@pytest.mark.parametrize("phase", [phase for phase in RoundPhase if phase is not RoundPhase.FINAL])
def test_no_other_phase_rewards(phase: RoundPhase) -> None:
    chosen = terms(reward=REWARD)
    assert rewarded(chosen, round_(phase), dict.fromkeys(HOSPITALS, MODEL_1)) == ()
    assert rewarded(chosen, round_(phase, model=MODEL_1), {}) == ()


def test_a_weight_cant_be_inflated_beyond_what_was_approved() -> None:
    chosen = terms(reward=REWARD)
    check_join(chosen, round_(), ALPHA, join(samples=SAMPLE_CAP), NOW)
    with refused(RefusalCode.CONFLICTING, "allow it 500"):
        check_join(chosen, round_(), ALPHA, join(samples=SAMPLE_CAP + 1), NOW)


MODELS = st.sampled_from([MODEL_1, MODEL_2])
PARTIES = st.sets(st.sampled_from(HOSPITALS))


@given(
    participants=st.sets(st.sampled_from(HOSPITALS), min_size=1),
    barred=PARTIES,
    attested=st.dictionaries(st.sampled_from(HOSPITALS), MODELS),
    samples=st.dictionaries(st.sampled_from(HOSPITALS), st.integers(1, SAMPLE_CAP), min_size=4),
)
def test_a_reward_follows_from_the_records_alone(
    participants: set[str], barred: set[str], attested: dict[str, str], samples: dict[str, int]
) -> None:
    chosen = terms(reward=REWARD)
    state = final(participants=tuple(sorted(participants)), barred=tuple(sorted(barred)))
    found = rewarded(chosen, state, attested)
    assert list(found) == sorted(set(found))
    for hospital in HOSPITALS:
        honest = hospital not in barred and attested.get(hospital) != MODEL_2
        assert (hospital in found) == (hospital in participants and honest)
    credit = round_credit(chosen, state, {name: samples[name] for name in found})
    assert (credit is None) == (not found)
    if credit is not None:
        assert {each.hospital: each.weight for each in credit.contributions} == {n: samples[n] for n in found}
        assert (credit.pot, credit.weight_cap) == (REWARD.pot, REWARD.weight_cap)
        assert decode(RoundCredit, encode(credit)) == credit
