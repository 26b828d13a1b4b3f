"""Rewards as the ledger keeps them beside the contract's storage: readable, and the same numbers.

`CreditRound` is the federation's chaincode's alone; what it credits is decided by a study's terms (`RewardTerms`).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.ethereum.resolutions import ChainId
from consilium_proto.ethereum.scalars import Address, Amount, Hash
from consilium_proto.records.scalars import (
    PROTOCOL_VERSION,
    Count,
    Identifier,
    Milliseconds,
    MspId,
    ProtocolVersion,
    RoundNumber,
)

RewardEpoch = Annotated[int, Meta(ge=1, le=1_000_000)]


class RewardLedgerAddress(Record, frozen=True, kw_only=True):
    """Where the contract that keeps the rewards lies, as the ledger keeps it; written when terms create it."""

    contract: Address


class Contribution(Record, frozen=True, kw_only=True):
    """What a hospital contributed to a round that it took part in to the end: its samples."""

    hospital: MspId
    weight: Count


class RoundCredit(Record, frozen=True, kw_only=True):
    """`CreditRound`: splits a round's pot by weights, of which each counts up to `weight_cap`."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    pot: Amount
    weight_cap: Count
    contributions: Annotated[tuple[Contribution, ...], Meta(min_length=1, max_length=256)]


class RewardCheck(Record, frozen=True, kw_only=True):
    """`CheckRewards`: asks, when a study is proposed, whether such rewards can be paid."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    pot: Amount
    weight_cap: Count


class RewardShare(Record, frozen=True, kw_only=True):
    """A hospital's share. Without an account it waits until the hospital names one."""

    hospital: MspId
    account: Address | None
    amount: Amount


class RoundReward(Record, frozen=True, kw_only=True):
    """What a round credited; `granted` is below `pot` where a cap was met or shares were rounded down."""

    study: Identifier
    round: RoundNumber
    epoch: RewardEpoch
    pot: Amount
    granted: Amount
    shares: tuple[RewardShare, ...]


class PayoutAddressChange(Record, frozen=True, kw_only=True):
    """`SetPayoutAddress`: where the caller's hospital is paid from now on."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    account: Address


class PayoutAddressRecord(Record, frozen=True, kw_only=True):
    """Where a hospital is paid, and what had waited for the address when it was named."""

    hospital: MspId
    account: Address
    assigned: Amount
    epoch: RewardEpoch
    named_at: Milliseconds


class RewardEpochReference(Record, frozen=True, kw_only=True):
    """`CloseEpoch` (the number of the open one), `ReadEpoch`, `AttestEpoch`: names an epoch of rewards."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    epoch: RewardEpoch


class EpochPayout(Record, frozen=True, kw_only=True):
    """What an account gets from an epoch."""

    account: Address
    amount: Amount


class ClosedEpoch(Record, frozen=True, kw_only=True):
    """An epoch under its Merkle root, with all that proofs need, in the order of the tree's leaves."""

    epoch: RewardEpoch
    root: Hash
    total: Amount
    closed_at: Milliseconds
    payouts: Annotated[tuple[EpochPayout, ...], Meta(min_length=1)]


class ClaimReport(Record, frozen=True, kw_only=True):
    """`ReportClaim`: a hospital says that a payout was claimed on the public chain, and where to look."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    epoch: RewardEpoch
    index: Annotated[int, Meta(ge=0, le=2**32)]
    chain_id: ChainId
    transaction: Hash


class ReportedClaim(Record, frozen=True, kw_only=True):
    """A claim as a hospital reported it. The ledger doesn't see the public chain: it is that hospital's word."""

    hospital: MspId
    report: ClaimReport


class EpochClaims(Record, frozen=True, kw_only=True):
    """The answer to `ReadClaims`: what hospitals reported of an epoch's payouts."""

    epoch: RewardEpoch
    claims: tuple[ReportedClaim, ...]


class StudyRewards(Record, frozen=True, kw_only=True):
    """The answer to `ReadStudyRewards`: what a study's rounds credited, in the rounds' order."""

    study: Identifier
    rounds: tuple[RoundReward, ...]


class HospitalReward(Record, frozen=True, kw_only=True):
    """The answer to `ReadHospitalReward`: where a hospital is paid, the balance there, what waits for an address."""

    hospital: MspId
    account: Address | None
    balance: Amount
    waiting: Amount


class RewardLedgerView(Record, frozen=True, kw_only=True):
    """The answer to `ReadRewardLedger`: the contract's address and where it stands."""

    contract: Address
    token_name: str
    token_symbol: str
    round_cap: Amount
    epoch_cap: Amount
    open_epoch: RewardEpoch
    total_supply: Amount
