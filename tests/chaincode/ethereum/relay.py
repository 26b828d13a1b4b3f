"""Somebody's chaincode, which calls `evm` in the name of whoever calls it."""

from __future__ import annotations

from consilium_chaincode.shim.contract import Contract, transaction
from consilium_chaincode.shim.stub import ChaincodeStub


class Relay(Contract):
    """One function: `Relay`."""

    name = "relay"

    @transaction("Relay")
    async def relay(self, stub: ChaincodeStub, function: bytes, argument: bytes) -> bytes:
        """Pass a call on."""
        return await stub.invoke_chaincode("evm", function, argument)
