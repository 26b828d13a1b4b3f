"""Rewards: what a study's rounds credited to whom, where that is paid, and which payouts hospitals reported as claimed.

Rewards are paid on a public chain, which this ledger doesn't see. A claim here is a hospital's word: the transaction
that it names is to be looked up there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.history import History
from consilium_peers.audit.moments import shown_moment
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.ethereum.rewards import ClosedEpoch, PayoutAddressRecord, ReportedClaim, RewardShare, RoundReward
from consilium_proto.ethereum.scalars import from_quantity

CLAIMS_ARE_REPORTS = (
    "Claims are what hospitals reported: this ledger doesn't see the public chain. Look the transactions up there."
)
WAITING = 0
"""In an epoch's place: the hospital has named no address yet."""


@dataclass(frozen=True, slots=True)
class Reward:
    """What one round credited to one hospital.

    Attributes:
        amount, granted, pot: in tokens: the hospital's share, all shares, what the study offered for the round.
        account: where it is paid; "" while the hospital has named no address.
        epoch: the epoch that it is paid in; 0 while it waits for an address.
        closed: True when that epoch is closed, so that it can be claimed.
    """

    round: int
    hospital: str
    amount: str
    account: str
    epoch: int
    closed: bool
    granted: str
    pot: str
    proposed: str
    block: int
    tx_id: str


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout of a closed epoch, and a hospital's report that it was claimed; a row for each report.

    Attributes:
        amount: in tokens, of all studies that credited the account in the epoch.
        root: the epoch's Merkle root, under which it is paid.
        reported_by: the hospital that says so; "" when none does, which doesn't mean that nobody claimed.
        chain_id, transaction: where to look it up; 0 and "" without a report.
        proposed, block, tx_id: of the report, or of the epoch's end without one.
    """

    epoch: int
    index: int
    account: str
    amount: str
    reported_by: str
    chain_id: int
    transaction: str
    root: str
    proposed: str
    block: int
    tx_id: str


def rewards(history: History, study: str) -> tuple[Reward, ...]:
    """Return what a study's rounds credited, in the ledger's order; nothing when it isn't rewarded.

    Raises:
        NotOnLedgerError: no such study.
    """
    history.of_study(study)
    closed = {epoch.epoch for _, epoch in _closed(history)}
    return tuple(
        _reward(history, entry, reward, share, closed)
        for entry in history.valid_of_evm()
        for _, reward in entry.written(RoundReward, "round-reward", study)
        for share in reward.shares
    )


def payouts(history: History, epoch: int | None = None) -> tuple[Payout, ...]:
    """Return the payouts of one closed epoch, or of all, with what hospitals reported of them.

    Raises:
        NotOnLedgerError: the epoch isn't closed.
    """
    closed = [(entry, found) for entry, found in _closed(history) if epoch in (None, found.epoch)]
    if epoch is not None and not closed:
        raise NotOnLedgerError(f"no epoch {epoch} of rewards is closed in blocks 0 to {history.height - 1}")
    reports: dict[tuple[int, int], list[tuple[Entry, ReportedClaim]]] = {}
    for entry in history.valid_of_evm():
        for _, claim in entry.written(ReportedClaim, "claim"):
            reports.setdefault((claim.report.epoch, claim.report.index), []).append((entry, claim))
    return tuple(
        _payout(entry, found, index, claim)
        for closing, found in closed
        for index in range(len(found.payouts))
        for entry, claim in reports.get((found.epoch, index), [(closing, None)])
    )


def _closed(history: History) -> Iterator[tuple[Entry, ClosedEpoch]]:
    for entry in history.valid_of_evm():
        for _, epoch in entry.written(ClosedEpoch, "reward-epoch"):
            yield entry, epoch


def _reward(history: History, entry: Entry, reward: RoundReward, share: RewardShare, closed: set[int]) -> Reward:
    account, epoch = share.account, reward.epoch
    if account is None:
        account, epoch = _named_after(history, entry, share.hospital)
    return Reward(
        round=reward.round,
        hospital=share.hospital,
        amount=tokens_of_amount(share.amount),
        account=account,
        epoch=epoch,
        closed=epoch in closed,
        granted=tokens_of_amount(reward.granted),
        pot=tokens_of_amount(reward.pot),
        proposed=shown_moment(entry.proposed),
        block=entry.block,
        tx_id=entry.tx_id,
    )


def _named_after(history: History, credited: Entry, hospital: str) -> tuple[str, int]:
    """Return the account and the epoch that what waited went to, when the hospital next named an address."""
    for entry in history.valid_of_evm():
        if (entry.block, entry.position) > (credited.block, credited.position):
            for _, record in entry.written(PayoutAddressRecord, "payout-address", hospital):
                if from_quantity(record.assigned):
                    return record.account, record.epoch
    return "", WAITING


def _payout(entry: Entry, closed: ClosedEpoch, index: int, claim: ReportedClaim | None) -> Payout:
    paid = closed.payouts[index]
    return Payout(
        epoch=closed.epoch,
        index=index,
        account=paid.account,
        amount=tokens_of_amount(paid.amount),
        reported_by="" if claim is None else claim.hospital,
        chain_id=0 if claim is None else claim.report.chain_id,
        transaction="" if claim is None else claim.report.transaction,
        root=closed.root,
        proposed=shown_moment(entry.proposed),
        block=entry.block,
        tx_id=entry.tx_id,
    )
