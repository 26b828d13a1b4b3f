"""Rewards: the federation credits rounds, hospitals say where they are paid, epochs are closed, claims reported."""

from __future__ import annotations

from consilium_chaincode.ethereum import reward_contract as interface
from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.consortium import HOSPITAL, hospitals_of
from consilium_chaincode.ethereum.contract_parts import EthereumPart
from consilium_chaincode.ethereum.reward_ledger import RewardLedger
from consilium_chaincode.ethereum.reward_rules import (
    check_address_change,
    check_claim,
    check_closing,
    check_credit,
)
from consilium_chaincode.federation.callers import ADMIN, CLIENT
from consilium_chaincode.federation.contract_parts import answer, caller_of, check_any_reader, check_empty, takes
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.shim.contract import query, transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.rewards import (
    ClaimReport,
    ClosedEpoch,
    EpochClaims,
    HospitalReward,
    PayoutAddressChange,
    PayoutAddressRecord,
    ReportedClaim,
    RewardCheck,
    RewardEpochReference,
    RewardLedgerView,
    RoundCredit,
    RoundReward,
    StudyRewards,
)
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data
from consilium_proto.records import HospitalReference, RoundReference, StudyReference
from consilium_proto.rewards.identifiers import hospital_identifier


class RewardFunctions(EthereumPart):
    """CheckRewards, CreditRound, SetPayoutAddress, CloseEpoch, ReportClaim, ReadRewardLedger, ReadHospitalReward,
    ReadRoundReward, ReadStudyRewards, ReadEpoch, ReadClaims.
    """

    @query("CheckRewards")
    @takes(RewardCheck)
    async def check_rewards(self, stub: ChaincodeStub, check: RewardCheck) -> bytes:
        """Tell whether a study's reward can be paid; returns nothing."""
        # Who may: the federation's chaincode, for whoever proposes a study (`EthereumPart.invoke`).
        ledger = await RewardLedger.of(stub)
        # Check.
        check_credit(check, ledger.rewards)
        return b""

    @transaction("CreditRound")
    @takes(RoundCredit)
    async def credit_round(self, stub: ChaincodeStub, credit: RoundCredit) -> bytes:
        """Credit a final round; returns nothing, so that nothing of the federation's depends on the EVM."""
        # Who may: the federation's chaincode alone (`EthereumPart.invoke`); its Advance has checked caller and clock.
        # Read: the contract, whether the round was credited.
        ledger = await RewardLedger.of(stub)
        own_key = state_keys.round_reward(credit.study, credit.round)
        existing = await LedgerState(stub).read(RoundReward, own_key)
        # Check.
        require_unwritten(existing, f"the reward of round {credit.round} of {credit.study}")
        # Write: what the contract changes; what it credited.
        await LedgerState(stub).write(own_key, await ledger.credit(credit))
        return b""

    @transaction("SetPayoutAddress")
    @takes(PayoutAddressChange)
    async def set_payout_address(self, stub: ChaincodeStub, change: PayoutAddressChange) -> bytes:
        """Say where the caller's hospital is paid from now on; what waited for an address goes there at once."""
        # Who may: an admin of a hospital, for that hospital; of one that has left, if it has earned something.
        caller = caller_of(stub, ADMIN)
        hospital = hospital_identifier(caller.organization)
        # Read: the consortium, the contract and its open epoch, the hospital's address so far, what waits for one.
        hospitals = await hospitals_of(stub)
        ledger = await RewardLedger.of(stub)
        own_key = state_keys.payout_address(caller.organization)
        existing = await LedgerState(stub).read(PayoutAddressRecord, own_key)
        epoch = await ledger.ask(interface.OPEN_EPOCH)
        waiting = await ledger.ask(interface.UNASSIGNED, hospital)
        # Check.
        if existing is None and not waiting:
            caller.require_among(hospitals, HOSPITAL)
        timestamp = self.timestamp(stub, ledger.terms.clock_tolerance)
        check_address_change(change, existing, timestamp)
        # Write: what the contract changes; the hospital's own key.
        receipt = await ledger.call(interface.SET_PAYOUT_ADDRESS.call(hospital, from_data(change.account)))
        named = interface.payout_address(caller.organization, change.account, epoch, timestamp, receipt.logs)
        await LedgerState(stub).write(own_key, named)
        return encode(named)

    @transaction("CloseEpoch")
    @takes(RewardEpochReference)
    async def close_epoch(self, stub: ChaincodeStub, reference: RewardEpochReference) -> bytes:
        """Close the open epoch under the root of its payouts, and open the next."""
        # Who may: a client or admin of a hospital.
        caller = caller_of(stub, CLIENT, ADMIN)
        # Read: the consortium, the contract, its open epoch and that epoch's payouts.
        hospitals = await hospitals_of(stub)
        ledger = await RewardLedger.of(stub)
        epoch = await ledger.ask(interface.OPEN_EPOCH)
        payouts = await ledger.ask(interface.PAYOUTS_OF, epoch)
        # Check.
        caller.require_among(hospitals, HOSPITAL)
        self.timestamp(stub, ledger.terms.clock_tolerance)
        check_closing(reference, epoch, len(payouts))
        # Write: what the contract changes; the epoch, with all that proofs need.
        receipt = await ledger.call(interface.CLOSE_EPOCH.call())
        closed = interface.closed_epoch(receipt.logs, payouts, ledger.environment.timestamp * 1000)
        await LedgerState(stub).write(state_keys.reward_epoch(epoch), closed)
        return encode(closed)

    @transaction("ReportClaim")
    @takes(ClaimReport)
    async def report_claim(self, stub: ChaincodeStub, report: ClaimReport) -> bytes:
        """Record the caller's word that a payout was claimed on the public chain, which this ledger doesn't see."""
        # Who may: a client or admin of a hospital.
        caller = caller_of(stub, CLIENT, ADMIN)
        # Read: the consortium, the contract's terms, the epoch, the caller's own key.
        hospitals = await hospitals_of(stub)
        terms = (await RewardLedger.of(stub)).terms
        closed = await _closed_epoch(stub, report.epoch)
        own_key = state_keys.claim(report.epoch, report.index, caller.organization)
        existing = await LedgerState(stub).read(ReportedClaim, own_key)
        # Check.
        caller.require_among(hospitals, HOSPITAL)
        self.timestamp(stub, terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s report of payout {report.index} of epoch {report.epoch}")
        check_claim(report, closed)
        # Write: the caller's own key.
        await LedgerState(stub).write(own_key, ReportedClaim(hospital=caller.organization, report=report))
        return b""

    @query("ReadRewardLedger")
    async def read_reward_ledger(self, stub: ChaincodeStub, argument: bytes = b"") -> bytes:
        """Return where the contract lies and where it stands."""
        check_empty(argument)
        return await answer(self._reward_ledger(stub))

    @query("ReadHospitalReward")
    @takes(HospitalReference)
    async def read_hospital_reward(self, stub: ChaincodeStub, reference: HospitalReference) -> bytes:
        """Return where a hospital is paid and how much; zeros for one that never was."""
        check_any_reader(stub)
        ledger = await RewardLedger.of(stub)
        identifier = hospital_identifier(reference.hospital)
        account = interface.account_of(await ledger.ask(interface.PAYOUT_ADDRESS, identifier))
        balance = 0 if account is None else await ledger.ask(interface.BALANCE_OF, from_data(account))
        waiting = await ledger.ask(interface.UNASSIGNED, identifier)
        return encode(
            HospitalReward(
                hospital=reference.hospital,
                account=account,
                balance=as_quantity(balance),
                waiting=as_quantity(waiting),
            )
        )

    @query("ReadRoundReward")
    @takes(RoundReference)
    async def read_round_reward(self, stub: ChaincodeStub, reference: RoundReference) -> bytes:
        """Return what a round credited; refuse NOT_FOUND where it credited nothing."""
        check_any_reader(stub)
        key = state_keys.round_reward(reference.study, reference.round)
        what = f"reward of round {reference.round} of {reference.study}"
        return encode(await LedgerState(stub).require(RoundReward, key, what))

    @query("ReadStudyRewards")
    @takes(StudyReference)
    async def read_study_rewards(self, stub: ChaincodeStub, reference: StudyReference) -> bytes:
        """Return what all rounds of a study credited."""
        check_any_reader(stub)
        entries = stub.by_partial_key(state_keys.ROUND_REWARD_KIND, reference.study)
        found = [decode(RoundReward, entry.value) async for entry in entries]
        rounds = tuple(sorted(found, key=lambda reward: reward.round))
        return encode(StudyRewards(study=reference.study, rounds=rounds))

    @query("ReadEpoch")
    @takes(RewardEpochReference)
    async def read_epoch(self, stub: ChaincodeStub, reference: RewardEpochReference) -> bytes:
        """Return a closed epoch with its payouts."""
        check_any_reader(stub)
        return encode(await _closed_epoch(stub, reference.epoch))

    @query("ReadClaims")
    @takes(RewardEpochReference)
    async def read_claims(self, stub: ChaincodeStub, reference: RewardEpochReference) -> bytes:
        """Return what hospitals reported of an epoch's payouts, in the payouts' order."""
        check_any_reader(stub)
        entries = stub.by_partial_key(state_keys.CLAIM_KIND, str(reference.epoch))
        claims = [decode(ReportedClaim, entry.value) async for entry in entries]
        claims.sort(key=lambda claim: (claim.report.index, claim.hospital))
        return encode(EpochClaims(epoch=reference.epoch, claims=tuple(claims)))

    async def _reward_ledger(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        ledger = await RewardLedger.of(stub)
        return encode(
            RewardLedgerView(
                contract=as_data(ledger.address),
                token_name=ledger.rewards.token_name,
                token_symbol=ledger.rewards.token_symbol,
                round_cap=ledger.rewards.round_cap,
                epoch_cap=ledger.rewards.epoch_cap,
                open_epoch=await ledger.ask(interface.OPEN_EPOCH),
                total_supply=as_quantity(await ledger.ask(interface.TOTAL_SUPPLY)),
            )
        )


async def _closed_epoch(stub: ChaincodeStub, number: int) -> ClosedEpoch:
    key = state_keys.reward_epoch(number)
    return await LedgerState(stub).require(ClosedEpoch, key, f"closed epoch {number} of rewards")
