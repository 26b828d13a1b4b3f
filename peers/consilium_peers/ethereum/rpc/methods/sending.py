"""Methods that send transactions."""

from __future__ import annotations

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.call_objects import call_object
from consilium_peers.ethereum.rpc.errors import RpcError
from consilium_peers.ethereum.rpc.identity_sending import IdentitySending
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import Parameters
from consilium_peers.ethereum.rpc.sending import Sending


class SendingMethods:
    """`identity` is None where the server carries others' transactions alone."""

    def __init__(self, sending: Sending, identity: IdentitySending | None) -> None:
        self._sending = sending
        self._identity = identity

    @method("eth_sendRawTransaction", 1)
    async def send_raw(self, parameters: Parameters) -> str:
        """Accept a signed transaction and return its hash."""
        return await self._sending.accept(values.data(parameters.raw(0, "a signed transaction"), "parameter 1"))

    @method("eth_sendTransaction", 1)
    async def send(self, parameters: Parameters) -> str:
        """Execute a transaction of the Fabric identity and return its hash, once it is committed."""
        if self._identity is None:
            raise RpcError("unknown account: this server acts for no account; sign and use eth_sendRawTransaction")
        return await self._identity.send(call_object(parameters.mapping(0, "a transaction")))
