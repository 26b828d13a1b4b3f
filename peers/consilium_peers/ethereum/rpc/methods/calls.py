"""Methods that ask what would happen: the chaincode runs the EVM and writes nothing."""

from __future__ import annotations

from consilium_peers.ethereum.rpc.block_choice import height_for
from consilium_peers.ethereum.rpc.call_objects import call_object
from consilium_peers.ethereum.rpc.errors import RpcError
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.ledger import EvmLedger
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import BlockName, Parameters, Tag
from consilium_peers.ethereum.rpc.refusals import REVERTED, failure_of, known_words
from consilium_proto.ethereum.transactions import Question


class CallMethods:
    """Calls see the block that they name, estimates and access lists the next one, in which a transaction would be."""

    def __init__(self, ledger: EvmLedger, index: BlockIndex) -> None:
        self._ledger = ledger
        self._index = index

    @method("eth_call", 4)
    async def call(self, parameters: Parameters) -> str:
        """Return what a call returns."""
        block = parameters.block(1)
        outcome = await self._ledger.call(self._question(parameters, height_for(self._index, block)))
        if not outcome.status:
            raise failure_of(outcome)
        return outcome.output

    @method("eth_estimateGas", 4)
    async def estimate_gas(self, parameters: Parameters) -> str:
        """Return the least gas limit with which a transaction succeeds."""
        estimate = await self._ledger.estimate_gas(self._question(parameters, self._next(parameters.block(1))))
        if estimate.gas is None:
            raise failure_of(estimate.outcome)
        return estimate.gas

    @method("eth_createAccessList", 4)
    async def create_access_list(self, parameters: Parameters) -> dict[str, object]:
        """Return the access list that serves a transaction, and the gas that it uses with it."""
        answer = await self._ledger.create_access_list(self._question(parameters, self._next(parameters.block(1))))
        written: dict[str, object] = {
            "accessList": [{"address": each.address, "storageKeys": list(each.slots)} for each in answer.access_list],
            "gasUsed": answer.outcome.gas_used,
        }
        error = answer.outcome.error
        return {**written, "error": error if error == REVERTED else known_words(error)} if error else written

    def _question(self, parameters: Parameters, block_number: int) -> Question:
        for place, what in ((2, "state overrides"), (3, "block overrides")):
            if parameters.optional(place):
                raise RpcError(f"{what} aren't supported: the ledger's own peers answer, from the ledger's state alone")
        return call_object(parameters.mapping(0, "a transaction")).question(block_number)

    def _next(self, block: BlockName) -> int:
        """Return the next block's number, once the named block's state is at hand."""
        height_for(self._index, block)
        return height_for(self._index, Tag.PENDING)
