"""A chaincode that anybody may deploy under another name: it has the attesting function and answers what it is told."""

from __future__ import annotations

from consilium_chaincode.shim.contract import Contract, query
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.rewards.attestation import EPOCH_FUNCTION


class LyingAttester(Contract):
    """Answers its argument."""

    name = "liar"

    @query(EPOCH_FUNCTION)
    async def attest_epoch(self, stub: ChaincodeStub, argument: bytes) -> bytes:
        return argument
