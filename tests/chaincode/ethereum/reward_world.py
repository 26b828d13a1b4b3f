"""A channel with both chaincodes, a ledger of rewards, and a study that has a reward: in memory, block by block."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from federation_ledger import VALID, FederationLedger, R, Refusal, run
from federation_world import ALPHA, HOSPITALS, MODEL_1, STUDY, chain, join, terms

from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_chaincode.ethereum.reward_contract import Function
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation
from consilium_chaincode.shim.stub import Creator
from consilium_proto.canonical import Record, decode, encode
from consilium_proto.ethereum.resolutions import EvmTerms, ResolutionArgument, RewardLedgerTerms
from consilium_proto.ethereum.rewards import (
    ClosedEpoch,
    Contribution,
    HospitalReward,
    PayoutAddressChange,
    PayoutAddressRecord,
    RewardEpochReference,
    RewardLedgerView,
    RoundCredit,
    RoundReward,
)
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data
from consilium_proto.ethereum.transactions import Outcome, Question
from consilium_proto.records import HospitalReference, RewardTerms, RoundReference, StudyTerms
from consilium_proto.refusals import RefusalCode, refusal_code

TOKEN = 10**18
POT = 100 * TOKEN
ROUND_CAP, EPOCH_CAP = 200 * TOKEN, 300 * TOKEN
WEIGHT_CAP = 1_000
TOLERANCE = 5
"""Of the EVM's clock, in seconds."""


def account(number: int) -> str:
    """A payout address."""
    return as_data(bytes([0xA0 + number]) * 20)


def evm_terms(**changes: Any) -> EvmTerms:
    rewards = RewardLedgerTerms(
        token_name="Consilium Reward",
        token_symbol="CSR",
        round_cap=as_quantity(ROUND_CAP),
        epoch_cap=as_quantity(EPOCH_CAP),
    )
    values: dict[str, Any] = {
        "revision": 1,
        "chain_id": 1_234_567,
        "gas_cap": 16_000_000,
        "clock_tolerance": TOLERANCE,
        "block_tolerance": 100,
        "rewards": rewards,
    }
    return EvmTerms(**{**values, **changes})


def reward_terms(pot: int = POT, weight_cap: int = WEIGHT_CAP) -> RewardTerms:
    return RewardTerms(pot=as_quantity(pot), weight_cap=weight_cap)


def credit(number: int = 1, study: str = STUDY, pot: int = POT, **weights: int) -> RoundCredit:
    chosen = weights or dict.fromkeys(HOSPITALS, 100)
    contributions = tuple(Contribution(hospital=name, weight=weight) for name, weight in sorted(chosen.items()))
    return RoundCredit(
        study=study, round=number, pot=as_quantity(pot), weight_cap=WEIGHT_CAP, contributions=contributions
    )


class RewardsLedger(FederationLedger):
    """A channel with chaincodes `federation` and `evm`."""

    def __init__(self) -> None:
        super().__init__()
        self.evm = EthereumContract(clock=lambda: self.now, heights=None)
        self.ledger = MemoryLedger(chaincodes={"federation": self.contract, "evm": self.evm})

    def ask_evm(
        self, function: str, record: Record | bytes, organization: str = ALPHA, role: str = "client", skew: int = 0
    ) -> Simulation | Refusal:
        """Simulate a transaction of chaincode `evm`."""
        return self.ask(self.evm, function, record, organization, role, skew)

    def ask(
        self,
        contract: Contract,
        function: str,
        record: Record | bytes,
        organization: str = ALPHA,
        role: str = "client",
        skew: int = 0,
    ) -> Simulation | Refusal:
        """Simulate a transaction of any chaincode; a refusal must have a code."""
        argument = record if isinstance(record, bytes) else encode(record)
        creator = Creator(msp_id=organization, certificate=b"", role=role, attributes={})
        try:
            return run(self.ledger.simulate(contract, function, argument, creator=creator, timestamp=self.now + skew))
        except ChaincodeError as error:
            message = str(error)
        code = refusal_code(message)
        assert code is not None, message
        return Refusal(code, message)

    def submit_evm(self, function: str, record: Record, organization: str = ALPHA, role: str = "client") -> bytes:
        """Commit one transaction of chaincode `evm`; it must be endorsed and valid."""
        simulation = self.ask_evm(function, record, organization, role)
        assert isinstance(simulation, Simulation), simulation
        assert self.commit(simulation) == [VALID]
        return simulation.result

    def refuse_evm(
        self,
        code: RefusalCode,
        function: str,
        record: Record | bytes,
        organization: str = ALPHA,
        role: str = "client",
        skew: int = 0,
        match: str = "",
    ) -> None:
        """Chaincode `evm` must refuse this transaction with the code."""
        outcome = self.ask_evm(function, record, organization, role, skew)
        assert isinstance(outcome, Refusal), f"{function} by {organization} was endorsed"
        assert (outcome.code, match in outcome.message) == (code, True), outcome.message

    def read_evm(self, kind: type[R], function: str, record: Record | bytes = b"") -> R:
        """Ask chaincode `evm`."""
        outcome = self.ask_evm(function, record)
        assert isinstance(outcome, Simulation), outcome
        assert not outcome.writes
        return decode(kind, outcome.result)

    def view(self, function: Function, *values: Any) -> Any:
        """Ask the contract itself, past every record."""
        contract = self.read_evm(RewardLedgerView, "ReadRewardLedger").contract
        asked = Question(
            sender=account(9), to=contract, data=as_data(function.call(*values)), value="0x0", block_number=0
        )
        # Questions keep a deadline, so they need an event loop; some tests have one already.
        creator = Creator(msp_id=ALPHA, certificate=b"", role="client")
        asking = self.ledger.simulate(self.evm, "Call", encode(asked), creator=creator, timestamp=self.now)
        with ThreadPoolExecutor(1) as thread:
            outcome = decode(Outcome, thread.submit(asyncio.run, asking).result().result)
        assert outcome.status == 1, outcome.error
        return function.answer(from_data(outcome.output))

    # ---- the usual course of things

    def enact_rewards(self, chosen: EvmTerms | None = None) -> None:
        """Put the EVM's terms into force, with a ledger of rewards."""
        argument = ResolutionArgument(resolution=chosen or evm_terms())
        for hospital in HOSPITALS[:3]:
            self.submit_evm("Approve", argument, hospital, "admin")
        self.submit_evm("Enact", argument)

    def name_address(self, hospital: str, chosen: str) -> PayoutAddressRecord:
        change = PayoutAddressChange(account=chosen)
        return decode(PayoutAddressRecord, self.submit_evm("SetPayoutAddress", change, hospital, "admin"))

    def close_epoch(self, number: int = 1, hospital: str = ALPHA) -> ClosedEpoch:
        return decode(ClosedEpoch, self.submit_evm("CloseEpoch", RewardEpochReference(epoch=number), hospital))

    def reward(self, hospital: str) -> HospitalReward:
        return self.read_evm(HospitalReward, "ReadHospitalReward", HospitalReference(hospital=hospital))

    def round_reward(self, number: int = 1) -> RoundReward:
        return self.read_evm(RoundReward, "ReadRoundReward", RoundReference(study=STUDY, round=number))

    def play_to_verified(self, number: int = 1, samples: Sequence[int] = (100, 100, 100, 100)) -> None:
        """Play a round until only the attestations are missing."""
        self.open_round()
        for index, hospital in enumerate(HOSPITALS):
            end = chain(hospital, 0, number)
            self.submit("Join", join(index, round=number, chain_end=end, samples=samples[index]), hospital)
        self.advance(number)
        self.reach_anchored(number=number)
        self.reach_aggregated(number)
        self.reach_verified(number)

    def play_round(self, number: int = 1, samples: Sequence[int] = (100, 100, 100, 100)) -> None:
        self.play_to_verified(number, samples)
        self.reach_final(MODEL_1, number=number)


def rewarded_terms(**changes: Any) -> StudyTerms:
    return terms(**{"reward": reward_terms(), **changes})
