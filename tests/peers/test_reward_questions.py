"""What hospitals read about rewards: tokens, checksummed addresses, and who reported which payout as claimed."""

from __future__ import annotations

import argparse
from typing import Any, cast

import pytest

from consilium_command import main
from consilium_peers.commands import reward
from consilium_peers.reward_questions import Balance, ClosedPayout, Share, balances, closed_payouts, history
from consilium_peers.rewards import Rewards
from consilium_proto.canonical import Record, decode, encode
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.ethereum.rewards import (
    ClaimReport,
    ClosedEpoch,
    EpochClaims,
    EpochPayout,
    HospitalReward,
    ReportedClaim,
    RewardEpochReference,
    RewardShare,
    RoundReward,
    StudyRewards,
)
from consilium_proto.records import HospitalReference, StudyReference

CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ACCOUNT = CHECKSUMMED.lower()
TRANSACTION = "0x" + "7f" * 32


class Answers:
    """A chaincode that gives prepared answers; `asked` keeps the questions."""

    def __init__(self, **answers: Record) -> None:
        self._answers = answers
        self.asked: list[tuple[str, bytes]] = []

    async def evaluate(self, function: str, argument: bytes, organizations: tuple[str, ...] = ()) -> bytes:
        self.asked.append((function, argument))
        return encode(self._answers[function])


def rewards(answers: Answers) -> Rewards:
    return Rewards(cast(Any, answers))


async def test_balances_are_in_tokens() -> None:
    paid = HospitalReward(hospital="AlphaMSP", account=ACCOUNT, balance=amount_of_tokens("12.5"), waiting="0x0")
    answers = Answers(ReadHospitalReward=paid)
    assert await balances(rewards(answers), ["AlphaMSP"]) == [Balance("AlphaMSP", CHECKSUMMED, "12.5", "0")]
    assert decode(HospitalReference, answers.asked[0][1]).hospital == "AlphaMSP"


async def test_the_history_has_a_row_for_every_share() -> None:
    shares = (
        RewardShare(hospital="AlphaMSP", account=ACCOUNT, amount=amount_of_tokens("1")),
        RewardShare(hospital="BetaMSP", account=None, amount=amount_of_tokens("0.5")),
    )
    pot, granted = amount_of_tokens("2"), amount_of_tokens("1.5")
    round_ = RoundReward(study="heart", round=3, epoch=2, pot=pot, granted=granted, shares=shares)
    answers = Answers(ReadStudyRewards=StudyRewards(study="heart", rounds=(round_,)))
    rows = [
        Share("heart", 3, 2, "AlphaMSP", CHECKSUMMED, "1", "1.5", "2"),
        Share("heart", 3, 2, "BetaMSP", "", "0.5", "1.5", "2"),
    ]
    assert await history(rewards(answers), ["heart"]) == rows
    assert await history(rewards(answers), ["heart"], "BetaMSP") == rows[1:]
    assert decode(StudyReference, answers.asked[0][1]).study == "heart"


async def test_a_payout_names_who_reported_its_claim() -> None:
    payouts = tuple(EpochPayout(account=ACCOUNT, amount=amount_of_tokens(tokens)) for tokens in ("1", "2"))
    closed = ClosedEpoch(epoch=4, root="0x" + "00" * 32, total=amount_of_tokens("3"), closed_at=1, payouts=payouts)
    report = ClaimReport(epoch=4, index=1, chain_id=5, transaction=TRANSACTION)
    claims = EpochClaims(epoch=4, claims=(ReportedClaim(hospital="AlphaMSP", report=report),))
    answers = Answers(ReadEpoch=closed, ReadClaims=claims)
    assert await closed_payouts(rewards(answers), [4]) == [
        ClosedPayout(4, 0, CHECKSUMMED, "1", (), (), ()),
        ClosedPayout(4, 1, CHECKSUMMED, "2", ("AlphaMSP",), (5,), (TRANSACTION,)),
    ]
    assert {decode(RewardEpochReference, argument).epoch for _, argument in answers.asked} == {4}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["address", "--set", CHECKSUMMED.replace("5aAe", "5aAE")], "is mistyped"),
        (["address", "--set", "cleveland.eth"], "isn't an address"),
        (["balance", "--hospital", "1MSP"], "isn't an MSP id"),
        (["history", "--study", "Heart Study"], "isn't a study's name"),
        (["close-epoch", "--epoch", "0"], "isn't an epoch's number"),
        (["report-claim", "1", "-1", "--chain-id", "1", "--transaction", TRANSACTION], "-1"),
        (["report-claim", "1", "0", "--chain-id", "x", "--transaction", TRANSACTION], "isn't a chain's id"),
        (["report-claim", "1", "0", "--chain-id", "1", "--transaction", "0x12"], "isn't a transaction's hash"),
    ],
)
def test_wrong_usage_is_said_before_the_ledger_is_asked(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["reward", *words, "--profile", "absent.yaml"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_address_of_a_single_case_and_one_with_its_checksum_are_taken() -> None:
    parser = argparse.ArgumentParser()
    reward.register(parser)
    for text in (ACCOUNT, CHECKSUMMED):
        assert parser.parse_args(["address", "--set", text, "--profile", "p"]).account == ACCOUNT
