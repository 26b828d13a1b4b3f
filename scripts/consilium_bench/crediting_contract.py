"""Both chaincodes as the bench deploys them on a network of its own: twenty hospitals are credited, who aren't there.

A network of four hospitals can't end a round of twenty, so a federation is deployed that credits whatever it is asked,
and an EVM that names any hospital's address. The product's can neither (`test_nobody_calls_the_credit_itself`,
`test_nobody_names_anothers_address`); what they share with it is all that is timed.
"""

from __future__ import annotations

from consilium_chaincode.ethereum import reward_contract as interface
from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_chaincode.ethereum.reward_ledger import RewardLedger
from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.federation.contract_parts import takes
from consilium_chaincode.federation.reward_calls import credit_round
from consilium_chaincode.shim.contract import transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.ethereum.rewards import PayoutAddressRecord, RoundCredit
from consilium_proto.ethereum.scalars import from_data
from consilium_proto.rewards.identifiers import hospital_identifier


class CreditingFederation(FederationContract):
    """Credits what it is asked to, by the call with which `Advance` does."""

    @transaction("Credit")
    @takes(RoundCredit)
    async def credit(self, stub: ChaincodeStub, credit: RoundCredit) -> bytes:
        """Credit a round."""
        await credit_round(stub, credit)
        return b""

    @transaction("WritePlainly")
    async def write_plainly(self, stub: ChaincodeStub, key: bytes, value: bytes) -> bytes:
        """Write one value: a plain transaction, to compare with."""
        await stub.put_state(key.decode(), value)
        return b""


class NamingEthereum(EthereumContract):
    """Names any hospital's address."""

    @transaction("NameAddress")
    @takes(PayoutAddressRecord)
    async def name_address(self, stub: ChaincodeStub, named: PayoutAddressRecord) -> bytes:
        """Name a hospital's address, whoever asks."""
        call_data = interface.SET_PAYOUT_ADDRESS.call(hospital_identifier(named.hospital), from_data(named.account))
        await (await RewardLedger.of(stub)).call(call_data)
        return b""
