"""What a report says about rewards; nothing where no round of the study credited any."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from consilium_peers.audit.report.sections import Section, Table
from consilium_peers.audit.rewards import CLAIMS_ARE_REPORTS
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.records import RewardTerms
from consilium_trail.facts import EpochFact, RewardFacts, RoundFact, StudyFacts

_CREDITED = (
    "What each final round credited, in tokens. The transaction that made the round final credited it, so the same "
    "endorsers vouch for both. A share without an account waits until its hospital names one."
)
_PAID = (
    "Payouts of the closed epochs that these rewards were credited in, of all studies together. "
    f"{CLAIMS_ARE_REPORTS} Where nobody reported a claim, it may have been made all the same."
)


def offered(terms: RewardTerms) -> str:
    """Return a study's reward as people read it."""
    return (
        f"{tokens_of_amount(terms.pot)} tokens for each final round, split by samples, of which a hospital's count up "
        f"to {terms.weight_cap}"
    )


def reward_sections(facts: StudyFacts) -> tuple[Section, ...]:
    """Return the sections about rewards; none where nothing was credited."""
    if facts.rewards is UNSET:
        return ()
    credited = tuple(row for each in facts.rounds for row in _shares(each))
    header = ("round", "hospital", "credited", "granted", "offered", "epoch", "account then")
    sections = [Section("Rewards", (_CREDITED,), table=Table(header, credited))]
    if facts.rewards.epochs:
        paid = tuple(row for each in facts.rewards.epochs for row in _payouts(each, facts.rewards))
        header = ("epoch", "payout", "account", "tokens", "reported as claimed by", "chain", "transaction")
        sections.append(Section("Payouts", (_PAID,), table=Table(header, paid)))
    return tuple(sections)


def _shares(fact: RoundFact) -> Iterator[tuple[str, ...]]:
    if fact.reward is UNSET:
        return
    reward = fact.reward
    for share in reward.shares:
        yield (
            str(reward.round),
            share.hospital,
            tokens_of_amount(share.amount),
            tokens_of_amount(reward.granted),
            tokens_of_amount(reward.pot),
            str(reward.epoch),
            share.account or "none yet: it waits",
        )


def _payouts(closed: EpochFact, rewards: RewardFacts) -> Iterator[tuple[str, ...]]:
    epoch = closed.epoch
    claims = [each.claim for each in rewards.claims if each.claim.report.epoch == epoch.epoch]
    for index, payout in enumerate(epoch.payouts):
        paid = (str(epoch.epoch), str(index), payout.account, tokens_of_amount(payout.amount))
        reports = [each for each in claims if each.report.index == index]
        for each in reports:
            yield (*paid, each.hospital, str(each.report.chain_id), each.report.transaction)
        if not reports:
            yield (*paid, "-", "-", "-")
