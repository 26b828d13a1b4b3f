"""Rewards that nobody earned: each attack is refused, or changes nothing that counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ethereum_world import identity
from federation_ledger import CONFLICT, VALID, Refusal, run
from federation_world import AGGREGATORS, ALPHA, BETA, GAMMA, HOSPITALS, STUDY, attestation
from reward_world import POT, RewardsLedger, account, credit, rewarded_terms

from consilium_chaincode.ethereum import reward_contract, state_keys
from consilium_chaincode.ethereum.addresses import FEDERATION_ADDRESS
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.contract import Contract, transaction
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_chaincode.shim.stub import ChaincodeStub, Creator
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.rewards import (
    PayoutAddressChange,
    RewardEpochReference,
    RewardLedgerView,
)
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data
from consilium_proto.ethereum.transactions import IdentityTransaction, ReceiptRecord
from consilium_proto.records import RoundPhase, RoundReference
from consilium_proto.refusals import RefusalCode

ADVANCE = RoundReference(study=STUDY, round=1)


class Between(Contract):
    """Somebody's chaincode on the channel: it calls on, and the caller stays who signed."""

    name = "between"

    @transaction("Relay")
    async def relay(self, stub: ChaincodeStub, name: bytes, function: bytes, argument: bytes) -> bytes:
        return await stub.invoke_chaincode(name.decode(), function, argument)


class CreditingFederation(FederationContract):
    """What a federation that credits at will would do: for the rules behind it."""

    @transaction("Credit")
    async def credit(self, stub: ChaincodeStub, argument: bytes) -> bytes:
        return await stub.invoke_chaincode("evm", b"CreditRound", argument)


@pytest.fixture
def rewards() -> RewardsLedger:
    """A channel with a ledger of rewards and a study that has a reward; Alpha has named an address."""
    ledger = RewardsLedger()
    ledger.ledger.chaincodes["between"] = Between()
    ledger.found()
    ledger.enact_rewards()
    ledger.start_study(rewarded_terms())
    ledger.name_address(ALPHA, account(0))
    return ledger


def supply(rewards: RewardsLedger) -> int:
    return int(rewards.view(reward_contract.TOTAL_SUPPLY))


def relay(rewards: RewardsLedger, organization: str, role: str, name: str, function: str, argument: bytes) -> str:
    """Call through the chaincode between; return why it is refused."""
    creator = Creator(msp_id=organization, certificate=b"", role=role)
    between = rewards.ledger.chaincodes["between"]
    arguments = (name.encode(), function.encode(), argument)
    with pytest.raises(ChaincodeError) as refused:
        run(rewards.ledger.simulate(between, "Relay", *arguments, creator=creator, timestamp=rewards.now))
    return str(refused.value)


@pytest.mark.parametrize("role", ["client", "admin", "peer"])
def test_nobody_calls_the_credit_itself(rewards: RewardsLedger, role: str) -> None:
    for organization in (*HOSPITALS, *AGGREGATORS):
        rewards.refuse_evm(RefusalCode.FORBIDDEN, "CreditRound", credit(), organization, role, match="federation")
    assert supply(rewards) == 0


def test_no_other_chaincode_credits(rewards: RewardsLedger) -> None:
    said = relay(rewards, ALPHA, "admin", "evm", "CreditRound", encode(credit()))
    assert said.startswith("FORBIDDEN: CreditRound takes calls of federation alone, this one is of 'between'")


def test_nobody_gets_a_credit_by_calling_the_federation_from_elsewhere(rewards: RewardsLedger) -> None:
    """A chaincode that calls `federation`, which calls `evm`, isn't the federation's own transaction."""
    rewards.play_to_verified()
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(), hospital)
    assert "FORBIDDEN" in relay(rewards, ALPHA, "client", "federation", "Advance", encode(ADVANCE))
    assert rewards.round().round.phase is RoundPhase.VERIFIED


def test_no_chaincode_names_an_address_for_who_calls_it(rewards: RewardsLedger) -> None:
    """An administrator who calls somebody's chaincode doesn't lend it the hospital's reward."""
    change = encode(PayoutAddressChange(account=account(6)))
    assert "FORBIDDEN" in relay(rewards, BETA, "admin", "evm", "SetPayoutAddress", change)
    assert rewards.reward(BETA).account is None


def test_nobody_names_anothers_address(rewards: RewardsLedger) -> None:
    change = PayoutAddressChange(account=account(6))
    for organization, role in ((BETA, "client"), (BETA, "peer"), (AGGREGATORS[0], "admin"), ("MalloryMSP", "admin")):
        rewards.refuse_evm(RefusalCode.FORBIDDEN, "SetPayoutAddress", change, organization, role)
    named = rewards.name_address(BETA, account(6))
    assert named.hospital == BETA
    assert [rewards.reward(name).account for name in (ALPHA, BETA, GAMMA)] == [account(0), account(6), None]
    claimed = encode(change).replace(b'"protocol"', f'"hospital":"{ALPHA}","protocol"'.encode())
    rewards.refuse_evm(RefusalCode.MALFORMED, "SetPayoutAddress", claimed, BETA, "admin")


def test_a_round_is_credited_once(rewards: RewardsLedger) -> None:
    rewards.play_to_verified()
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(), hospital)
    twice = [rewards.propose("Advance", ADVANCE, organization) for organization in (ALPHA, BETA)]
    assert all(isinstance(each, Simulation) for each in twice)
    assert rewards.commit(*(each for each in twice if isinstance(each, Simulation))) == [VALID, CONFLICT]
    rewards.refuse(RefusalCode.NOT_YET, "Advance", ADVANCE, ALPHA)
    assert supply(rewards) == POT // 4


def test_a_round_is_credited_once_even_if_the_federation_asked_again(rewards: RewardsLedger) -> None:
    """The record refuses it, and so does the contract, should the record be gone."""
    crediting = CreditingFederation(clock=lambda: rewards.now)
    rewards.ledger.chaincodes["federation"] = crediting
    first = rewards.ask(crediting, "Credit", encode(credit()))
    assert isinstance(first, Simulation)
    assert rewards.commit(first) == [VALID]
    again = rewards.ask(crediting, "Credit", encode(credit(pot=POT // 2)))
    assert isinstance(again, Refusal)
    assert again.code is RefusalCode.ALREADY_WRITTEN
    del rewards.ledger.state["evm/", state_keys.round_reward(STUDY, 1)]
    revert = keccak256(b"RoundAlreadyCredited(bytes32)")[:4].hex()
    with pytest.raises(AssertionError, match=revert):
        rewards.ask(crediting, "Credit", encode(credit()))
    assert supply(rewards) == POT // 4


def test_an_epoch_is_closed_once(rewards: RewardsLedger) -> None:
    rewards.play_round()
    reference = RewardEpochReference(epoch=1)
    both = [rewards.ask_evm("CloseEpoch", reference, organization) for organization in (ALPHA, BETA)]
    assert rewards.commit(*(each for each in both if isinstance(each, Simulation))) == [VALID, CONFLICT]
    rewards.refuse_evm(RefusalCode.ALREADY_WRITTEN, "CloseEpoch", reference, match="2 is open")
    assert rewards.read_evm(RewardLedgerView, "ReadRewardLedger").open_epoch == 2


def test_nobody_but_hospitals_closes_epochs_and_reports_claims(rewards: RewardsLedger) -> None:
    rewards.play_round()
    reference = RewardEpochReference(epoch=1)
    for organization, role in ((AGGREGATORS[0], "client"), ("RegulatorMSP", "admin"), (ALPHA, "peer")):
        rewards.refuse_evm(RefusalCode.FORBIDDEN, "CloseEpoch", reference, organization, role)
    assert "FORBIDDEN" in relay(rewards, ALPHA, "client", "evm", "CloseEpoch", encode(reference))


def execute(rewards: RewardsLedger, to: str, data: bytes = b"") -> tuple[Simulation, ReceiptRecord]:
    """Execute a transaction of an identity of Beta's."""
    asked = IdentityTransaction(to=to, data=as_data(data), value="0x0", gas=as_quantity(1_000_000), block_number=0)
    creator = identity(BETA)
    simulation = asyncio.run(
        rewards.ledger.simulate(rewards.evm, "Execute", encode(asked), creator=creator, timestamp=rewards.now)
    )
    return simulation, decode(ReceiptRecord, simulation.result)


def test_no_transaction_of_the_evm_credits(rewards: RewardsLedger) -> None:
    contract = rewards.read_evm(RewardLedgerView, "ReadRewardLedger").contract
    refusal = keccak256(b"NotFederation(address)")[:4]
    calls = (
        reward_contract.credit_round_call(credit()),
        reward_contract.SET_PAYOUT_ADDRESS.call(bytes(32), from_data(account(6))),
        reward_contract.CLOSE_EPOCH.call(),
    )
    for data in calls:
        _, receipt = execute(rewards, contract, data)
        assert receipt.status == 0
        assert from_data(receipt.output)[:4] == refusal


def test_no_transaction_of_the_evm_keeps_a_round_from_its_end(rewards: RewardsLedger) -> None:
    """What strangers' transactions write is nothing that the end of a rewarded round reads."""
    rewards.play_to_verified()
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(), hospital)
    ended = rewards.propose("Advance", ADVANCE, ALPHA)
    assert isinstance(ended, Simulation)
    contract = rewards.read_evm(RewardLedgerView, "ReadRewardLedger").contract
    transfer = reward_contract.Function("transfer", ("address", "uint256"))
    written = [
        execute(rewards, contract, reward_contract.CLOSE_EPOCH.call())[0],
        execute(rewards, contract, transfer.call(from_data(account(6)), 0))[0],
        execute(rewards, contract)[0],
        execute(rewards, as_data(FEDERATION_ADDRESS))[0],
        execute(rewards, account(0))[0],
    ]
    for each in written:
        assert not each.writes.keys() & ended.reads.keys()
    assert rewards.commit(written[0], ended) == [VALID, VALID]
    assert rewards.round().round.phase is RoundPhase.FINAL


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b"{}",
        encode(credit()).replace(b'"pot":"0x', b'"pot":"0x0'),
        encode(credit()).replace(b'"contributions":[{', b'"contributions":[{"weight":1},{'),
        b'{"contributions":[],"pot":"0x1","protocol":1,"round":1,"study":"heart","weight_cap":1}',
    ],
)
def test_malformed_credits(rewards: RewardsLedger, argument: bytes) -> None:
    crediting = CreditingFederation(clock=lambda: rewards.now)
    rewards.ledger.chaincodes["federation"] = crediting
    outcome: Any = rewards.ask(crediting, "Credit", argument)
    assert isinstance(outcome, Refusal)
    assert outcome.code is RefusalCode.MALFORMED
