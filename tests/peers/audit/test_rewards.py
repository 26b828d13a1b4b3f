"""Rewards as auditors see them: facts, questions and reports of a played channel whose whole course is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from federation_world import ALPHA, BETA, HOSPITALS, STUDY
from played_chain import CHANNEL
from reward_world import POT, TOKEN, account
from rewarded_chain import RewardedChain

from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.history import History
from consilium_peers.audit.report.making import HTML, reports_of
from consilium_peers.audit.rewards import CLAIMS_ARE_REPORTS, payouts, rewards
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.fact_collector import FactCollector
from consilium_trail.facts import RewardFacts, StudyFacts
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

SHARE = POT // TOKEN // len(HOSPITALS)


@pytest.fixture(scope="module")
def chain(attested: RewardedChain) -> RewardedChain:
    """A rewarded round. Alpha had an address before it, Beta names one after it; one claim of the epoch is reported."""
    made = attested.copied()
    made.commit(made.finalising())
    made.name_address(BETA, 2)
    made.close_epoch()
    made.report_claim()
    return made


def blocks_of(chain: RewardedChain) -> list[Block]:
    return [decode_block(raw) for raw in chain.raw]


def history_of(blocks: Sequence[Block]) -> History:
    made = History("federation")
    for block in blocks:
        made.add_block(block)
    return made


def collected(blocks: Sequence[Block], rounds: Sequence[int] = ()) -> FactCollector:
    made = FactCollector(CHANNEL, STUDY, rounds)
    for block in blocks:
        made.add(block)
    return made


def test_facts_say_what_became_of_a_study_s_rewards(chain: RewardedChain) -> None:
    collector = collected(blocks_of(chain))
    facts = collector.facts()
    assert isinstance(facts.rewards, RewardFacts)
    assert collector.last_needed == len(chain.raw) - 1
    assert [(each.address.hospital, each.address.account) for each in facts.rewards.addresses] == [
        (ALPHA, account(1)),
        (BETA, account(2)),
    ]
    (epoch,) = facts.rewards.epochs
    assert [payout.account for payout in epoch.epoch.payouts] == [account(1), account(2)]
    assert epoch.transaction.function == "CloseEpoch"
    (claim,) = facts.rewards.claims
    assert (claim.claim.hospital, claim.transaction.creator) == (ALPHA, ALPHA)
    assert decode(StudyFacts, encode(facts)) == facts


def test_a_trail_goes_to_the_end_of_what_its_rewards_went_through(chain: RewardedChain) -> None:
    """Not further: the next epoch has nothing of this study."""
    longer = chain.copied()
    longer.now += 3_600_000
    longer.name_address(ALPHA, 3)
    assert collected(blocks_of(longer)).last_needed == len(chain.raw) - 1
    assert collected(blocks_of(longer), rounds=(1,)).last_needed == len(chain.raw) - 1


def test_facts_of_a_study_without_rewards_have_no_word_of_them(attested: RewardedChain) -> None:
    """So that they have the bytes that they had before there were rewards; kept trails hold us to that as a whole."""
    facts = collected(blocks_of(attested)).facts()
    assert b'"rewards"' not in encode(facts)
    assert len(facts.rounds) == 1
    assert b'"reward"' not in encode(facts.rounds[0])


def test_auditors_see_what_each_round_credited(chain: RewardedChain, attested: RewardedChain) -> None:
    found = {each.hospital: each for each in rewards(history_of(blocks_of(chain)), STUDY)}
    assert list(found) == list(HOSPITALS)
    assert {each.amount for each in found.values()} == {str(SHARE)}
    assert {each.pot for each in found.values()} == {tokens_of_amount(hex(POT))}
    named = {name: (each.account, each.epoch, each.closed) for name, each in found.items()}
    assert named[ALPHA] == (account(1), 1, True)
    assert named[BETA] == (account(2), 1, True)
    assert set(named.values()) - {named[ALPHA], named[BETA]} == {("", 0, False)}
    assert rewards(history_of(blocks_of(attested)), STUDY) == ()
    with pytest.raises(NotOnLedgerError, match="no study 'liver'"):
        rewards(history_of(blocks_of(chain)), "liver")


def test_auditors_see_which_payouts_were_reported_as_claimed(chain: RewardedChain) -> None:
    history = history_of(blocks_of(chain))
    first, second = payouts(history)
    assert (first.account, first.amount, first.reported_by, first.chain_id) == (account(1), str(SHARE), ALPHA, 31_337)
    assert first.transaction == "0x" + "07" * 32
    assert (second.account, second.reported_by, second.transaction) == (account(2), "", "")
    assert payouts(history, 1) == (first, second)
    with pytest.raises(NotOnLedgerError, match="no epoch 2 of rewards is closed"):
        payouts(history, 2)


def test_a_report_shows_rewards_and_says_what_claims_are(chain: RewardedChain, attested: RewardedChain) -> None:
    blocks = blocks_of(chain)
    page = reports_of(collected(blocks).facts(), history_of(blocks))[HTML].decode()
    assert "<h2>Rewards</h2>" in page
    assert "<h2>Payouts</h2>" in page
    assert account(2) in page
    assert CLAIMS_ARE_REPORTS.replace("'", "&#x27;") in page
    blocks = blocks_of(attested)
    assert "<h2>Rewards</h2>" not in reports_of(collected(blocks).facts(), history_of(blocks))[HTML].decode()


def test_the_verifier_agrees_with_the_exporter_about_rewards(chain: RewardedChain, tmp_path: Path) -> None:
    found = verify_trail(chain.write(tmp_path / "trail.zip"), chain.roots())
    assert found.verdict is Verdict.SOUND, found.finding
    assert found.counts.blocks == len(chain.raw)
