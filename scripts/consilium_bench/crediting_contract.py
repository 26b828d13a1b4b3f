"""Chaincode `evm` as the bench deploys it on a network of its own: whoever asks credits rounds and names addresses.

A network of four hospitals can't end a round of twenty, so what the federation would ask is asked directly. This class
isn't the product's: there, `EthereumPart.invoke` refuses such calls (`test_nobody_calls_the_credit_itself`).
"""

from __future__ import annotations

from consilium_chaincode.ethereum import reward_contract as interface
from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_chaincode.ethereum.contract_parts import FROM_FEDERATION
from consilium_chaincode.ethereum.reward_ledger import RewardLedger
from consilium_chaincode.federation.contract_parts import takes
from consilium_chaincode.shim.contract import Contract, transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.ethereum.rewards import RewardShare
from consilium_proto.ethereum.scalars import from_data
from consilium_proto.rewards.identifiers import hospital_identifier


class CreditingEthereum(EthereumContract):
    """Takes the federation's calls from anybody."""

    async def invoke(self, stub: ChaincodeStub) -> bytes:
        """Run the function that the proposal names."""
        if stub.function in FROM_FEDERATION:
            return await Contract.invoke(self, stub)
        return await super().invoke(stub)

    @transaction("NameAddress")
    @takes(RewardShare)
    async def name_address(self, stub: ChaincodeStub, share: RewardShare) -> bytes:
        """Name a hospital's address, whoever asks."""
        ledger = await RewardLedger.of(stub)
        assert share.account is not None
        hospital = hospital_identifier(share.hospital)
        await ledger.call(interface.SET_PAYOUT_ADDRESS.call(hospital, from_data(share.account)))
        return b""

    @transaction("WritePlainly")
    async def write_plainly(self, stub: ChaincodeStub, key: bytes, value: bytes) -> bytes:
        """Write one value: a plain transaction, to compare with."""
        await stub.put_state(key.decode(), value)
        return b""
