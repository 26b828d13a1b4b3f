"""The block that a transaction of the EVM sees on the ledger: terms of the channel, time and number."""

from __future__ import annotations

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.refusals import RefusalCode

SYSTEM_GAS = 100_000_000
"""Gas limit of what the ledger itself does in the EVM: the channel's cap is for what others ask for."""
SYSTEM_NUMBER = 0
"""NUMBER where no argument claims a block."""


async def terms_in_force(stub: ChaincodeStub) -> EvmTerms:
    """Return the terms of the EVM; refuse NOT_FOUND before the hospitals enacted any."""
    what = "EVM on this channel yet; a majority of the hospitals approves its terms, then one of them enacts them"
    return await LedgerState(stub).require(EvmTerms, state_keys.evm_terms(), what)


def environment_of(stub: ChaincodeStub, terms: EvmTerms, number: int) -> Environment:
    """Return what a transaction of somebody's sees; `number` is the block that it claims to stand in."""
    return _environment(stub, terms.chain_id, number, terms.gas_cap)


def system_environment(stub: ChaincodeStub, terms: EvmTerms) -> Environment:
    """Return what the ledger's own calls see."""
    return _environment(stub, terms.chain_id, SYSTEM_NUMBER, SYSTEM_GAS)


def check_block(claimed: int, height: int, tolerance: int) -> None:
    """Refuse a transaction that claims a block further than `tolerance` from this endorser's height."""
    if abs(claimed - height) > tolerance:
        raise Refused(
            RefusalCode.BLOCK_SKEW,
            f"the transaction claims block {claimed}, this peer's ledger has {height} blocks, and a distance of "
            f"{tolerance} is tolerated; send it again with the channel's present height",
        )


def _environment(stub: ChaincodeStub, chain_id: int, number: int, gas: int) -> Environment:
    return Environment(
        chain_id=chain_id, number=number, timestamp=stub.timestamp // 1000, gas_limit=gas, transaction_gas_cap=gas
    )
