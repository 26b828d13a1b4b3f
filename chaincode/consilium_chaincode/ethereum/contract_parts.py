"""What every function of chaincode `evm` shares: who may come this way, its time, its block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from consilium_chaincode.ethereum.environment import check_block, environment_of, terms_in_force
from consilium_chaincode.ethereum.heights import Heights
from consilium_chaincode.ethereum.pace import COMPUTATIONS
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.federation.contract_parts import ContractPart
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_proto.refusals import RefusalCode, refusal_message

FEDERATION_CHAINCODE = ContractPart.name
FROM_FEDERATION = frozenset({"CreditRound", "CheckRewards"})
"""The functions that the federation's chaincode calls, and nobody else."""


class EthereumPart(ContractPart):
    """A group of functions of chaincode `evm`.

    `clock` returns this endorser's time in milliseconds since 1970, `heights` its ledger's heights. Without heights, as
    where a ledger is replayed, the block that a transaction claims is taken as it is.
    """

    name = EVM_CHAINCODE

    def __init__(self, clock: Callable[[], int], heights: Heights | None) -> None:
        super().__init__(clock)
        self._heights = heights
        self.computing = asyncio.Semaphore(COMPUTATIONS)

    async def invoke(self, stub: ChaincodeStub) -> bytes:
        """Run the function that the proposal names, if the client called this chaincode itself.

        Behind another chaincode the caller is still the client who signed, so any chaincode that it calls could act in
        its name. The federation alone may stand between, for the functions that are there for it.
        """
        expected = FEDERATION_CHAINCODE if stub.function in FROM_FEDERATION else EVM_CHAINCODE
        if stub.entry_chaincode != expected:
            explanation = f"{stub.function} takes calls of {expected} alone, this one is of {stub.entry_chaincode!r}"
            raise ChaincodeError(refusal_message(RefusalCode.FORBIDDEN, explanation))
        return await super().invoke(stub)

    async def block_of(self, stub: ChaincodeStub, number: int) -> tuple[EvmTerms, Environment]:
        """Return the terms and the block of a transaction, once its time and number are what this endorser sees."""
        terms = await terms_in_force(stub)
        self.timestamp(stub, terms.clock_tolerance)
        if self._heights is not None:
            check_block(number, await self._heights(stub.channel), terms.block_tolerance)
        return terms, environment_of(stub, terms, number)
