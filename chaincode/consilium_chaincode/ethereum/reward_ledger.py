"""The contract that keeps the rewards, as the ledger calls it and asks it."""

from __future__ import annotations

from typing import Any

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.environment import system_environment, terms_in_force
from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.ethereum.reward_contract import Function, credit_round_call, round_reward
from consilium_chaincode.ethereum.reward_storage import prefetch_credit
from consilium_chaincode.ethereum.system_calls import call_as_federation, view_as_federation
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.transactions.processing import Receipt
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.ethereum.resolutions import EvmTerms, RewardLedgerTerms
from consilium_proto.ethereum.rewards import RewardLedgerAddress, RoundCredit, RoundReward
from consilium_proto.ethereum.scalars import from_data
from consilium_proto.refusals import RefusalCode


class RewardLedger:
    """The contract in one Fabric transaction: it is asked any number of times, and called once."""

    def __init__(self, stub: ChaincodeStub, terms: EvmTerms, rewards: RewardLedgerTerms, address: bytes) -> None:
        self._stub = stub
        self.terms = terms
        self.rewards = rewards
        self.address = address
        self.environment: Environment = system_environment(stub, terms)
        # All of it runs on the state before the transaction, so what was read once serves every call.
        self._reads = LedgerReads(stub)

    @classmethod
    async def of(cls, stub: ChaincodeStub) -> RewardLedger:
        """Return the channel's ledger of rewards; refuse NOT_FOUND where there is none."""
        terms = await terms_in_force(stub)
        what = "ledger of rewards on this channel; a majority of the hospitals approves EVM terms with rewards first"
        place = await LedgerState(stub).require(RewardLedgerAddress, state_keys.reward_ledger(), what)
        if terms.rewards is None:
            raise Refused(RefusalCode.NOT_FOUND, f"there is no {what}")
        return cls(stub, terms, terms.rewards, from_data(place.contract))

    async def ask(self, function: Function, *values: Any) -> Any:
        """Return what a function of the contract answers on the committed state."""
        call_data = function.call(*values)
        return function.answer(await view_as_federation(self._reads, self.address, call_data, self.environment))

    async def call(self, call_data: bytes) -> Receipt:
        """Call the contract as the federation and write what that changes.

        Raises:
            ChaincodeError: the contract refuses; the Fabric transaction fails with it.
        """
        return await call_as_federation(self._stub, self.address, call_data, self.environment, self._reads)

    async def credit(self, credit: RoundCredit) -> RoundReward:
        """Credit a round and return what was credited.

        Raises:
            ChaincodeError: the contract refuses; the Fabric transaction fails with it.
        """
        await prefetch_credit(self._reads, self.address, credit)
        return round_reward(credit, (await self.call(credit_round_call(credit))).logs)
