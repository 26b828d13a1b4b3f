"""What hospitals ask about rewards, as rows of plain values; amounts in tokens, addresses with their checksum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilium_peers.rewards import Rewards
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.ethereum.rewards import ClosedEpoch, PayoutAddressRecord, ReportedClaim, RoundReward
from consilium_proto.rewards.addresses import with_checksum


@dataclass(frozen=True)
class Balance:
    """Where a hospital is paid, what was credited there so far, and what waits until it names an address."""

    hospital: str
    account: str
    balance: str
    waiting: str


@dataclass(frozen=True)
class Share:
    """What one hospital got for one round, of the `granted` part of the pot; without an account it waits."""

    study: str
    round: int
    epoch: int
    hospital: str
    account: str
    amount: str
    granted: str
    pot: str


@dataclass(frozen=True)
class NamedAddress:
    """An address that a hospital has named: what had waited went to it, in the open epoch."""

    hospital: str
    account: str
    assigned: str
    epoch: int


@dataclass(frozen=True)
class ClosedPayout:
    """A payout of a closed epoch, and which hospitals reported it as claimed, in which transactions."""

    epoch: int
    index: int
    account: str
    amount: str
    reported_by: tuple[str, ...]
    chain_ids: tuple[int, ...]
    transactions: tuple[str, ...]


async def balances(rewards: Rewards, hospitals: Sequence[str]) -> list[Balance]:
    """Return what hospitals have, in their order."""
    found = [await rewards.read_hospital_reward(hospital) for hospital in hospitals]
    return [
        Balance(
            hospital=each.hospital,
            account=_account(each.account),
            balance=tokens_of_amount(each.balance),
            waiting=tokens_of_amount(each.waiting),
        )
        for each in found
    ]


async def history(rewards: Rewards, studies: Sequence[str], hospital: str | None = None) -> list[Share]:
    """Return what the rounds of some studies credited, to one hospital alone if one is named."""
    rounds = [reward for study in studies for reward in (await rewards.read_study_rewards(study)).rounds]
    return [share for reward in rounds for share in _shares(reward) if hospital in (None, share.hospital)]


async def closed_payouts(rewards: Rewards, epochs: Sequence[int]) -> list[ClosedPayout]:
    """Return the payouts of closed epochs with what hospitals reported of them."""
    rows = []
    for number in epochs:
        closed = await rewards.read_epoch(number)
        rows += payouts_of(closed, (await rewards.read_claims(number)).claims)
    return rows


def payouts_of(closed: ClosedEpoch, claims: Sequence[ReportedClaim] = ()) -> list[ClosedPayout]:
    """Return the payouts of one epoch."""
    rows = []
    for index, payout in enumerate(closed.payouts):
        reported = [claim for claim in claims if claim.report.index == index]
        rows.append(
            ClosedPayout(
                epoch=closed.epoch,
                index=index,
                account=_account(payout.account),
                amount=tokens_of_amount(payout.amount),
                reported_by=tuple(claim.hospital for claim in reported),
                chain_ids=tuple(claim.report.chain_id for claim in reported),
                transactions=tuple(claim.report.transaction for claim in reported),
            )
        )
    return rows


def named_address(record: PayoutAddressRecord) -> NamedAddress:
    """Return an address as it was named."""
    return NamedAddress(
        hospital=record.hospital,
        account=_account(record.account),
        assigned=tokens_of_amount(record.assigned),
        epoch=record.epoch,
    )


def _shares(reward: RoundReward) -> list[Share]:
    return [
        Share(
            study=reward.study,
            round=reward.round,
            epoch=reward.epoch,
            hospital=share.hospital,
            account=_account(share.account),
            amount=tokens_of_amount(share.amount),
            granted=tokens_of_amount(reward.granted),
            pot=tokens_of_amount(reward.pot),
        )
        for share in reward.shares
    ]


def _account(address: str | None) -> str:
    return "" if address is None else with_checksum(address)
