"""Rewards as typed calls of chaincode `evm`: one method per function, records in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from consilium_peers.gateway import Contract, SubmitResult
from consilium_proto import canonical
from consilium_proto.canonical import Record
from consilium_proto.ethereum.rewards import (
    ClaimReport,
    ClosedEpoch,
    EpochClaims,
    HospitalReward,
    PayoutAddressChange,
    PayoutAddressRecord,
    RewardEpochReference,
    RewardLedgerView,
    RoundReward,
    StudyRewards,
)
from consilium_proto.records import HospitalReference, RoundReference, StudyReference

R = TypeVar("R", bound=Record)


class Rewards:
    """Calls chaincode `evm` with one identity. A refusal arrives as a `GatewayError` whose `refusal` is the code."""

    def __init__(self, contract: Contract, readers: Sequence[str] = ()) -> None:
        """Take chaincode `evm` (`consilium_proto.ethereum.scalars.EVM_CHAINCODE`) of a channel.

        Args:
            contract: the chaincode.
            readers: the organisations (MSP ids) whose peers may answer queries; without any, whichever peer answers.
        """
        self._contract = contract
        self._readers = tuple(readers)

    async def _submit(self, function: str, record: Record) -> SubmitResult:
        return await self._contract.submit(function, canonical.encode(record))

    async def _read(self, function: str, record: Record | None, kind: type[R]) -> R:
        argument = b"" if record is None else canonical.encode(record)
        return canonical.decode(kind, await self._contract.evaluate(function, argument, organizations=self._readers))

    async def set_payout_address(self, account: str) -> PayoutAddressRecord:
        """Name the address (as `Address` writes it) that the caller's hospital is paid at, as its administrator."""
        done = await self._submit("SetPayoutAddress", PayoutAddressChange(account=account))
        return canonical.decode(PayoutAddressRecord, done.payload)

    async def close_epoch(self, epoch: int) -> ClosedEpoch:
        """Close the open epoch of rewards, which must be this one."""
        done = await self._submit("CloseEpoch", RewardEpochReference(epoch=epoch))
        return canonical.decode(ClosedEpoch, done.payload)

    async def report_claim(self, report: ClaimReport) -> SubmitResult:
        """Record that a payout was claimed on the public chain."""
        return await self._submit("ReportClaim", report)

    async def read_reward_ledger(self) -> RewardLedgerView:
        """Return where the ledger of rewards lies and where it stands."""
        return await self._read("ReadRewardLedger", None, RewardLedgerView)

    async def read_hospital_reward(self, hospital: str) -> HospitalReward:
        """Return where a hospital is paid, and how much."""
        return await self._read("ReadHospitalReward", HospitalReference(hospital=hospital), HospitalReward)

    async def read_round_reward(self, study: str, round_number: int) -> RoundReward:
        """Return what a round credited; refused with NOT_FOUND if it credited nothing."""
        return await self._read("ReadRoundReward", RoundReference(study=study, round=round_number), RoundReward)

    async def read_study_rewards(self, study: str) -> StudyRewards:
        """Return what all rounds of a study credited."""
        return await self._read("ReadStudyRewards", StudyReference(study=study), StudyRewards)

    async def read_epoch(self, epoch: int) -> ClosedEpoch:
        """Return a closed epoch; refused with NOT_FOUND for one that isn't."""
        return await self._read("ReadEpoch", RewardEpochReference(epoch=epoch), ClosedEpoch)

    async def read_claims(self, epoch: int) -> EpochClaims:
        """Return what hospitals reported of an epoch's payouts."""
        return await self._read("ReadClaims", RewardEpochReference(epoch=epoch), EpochClaims)
