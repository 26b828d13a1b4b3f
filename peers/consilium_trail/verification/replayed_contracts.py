"""The contracts that a replay runs: the federation's, and the EVM's where the channel calls it.

Running the EVM takes packages that nothing else here needs, so they are loaded with the first call of chaincode `evm`.
Who follows the federation alone has a stand-in there: the federation uses nothing of what the EVM answers
(`test_an_agent_follows_the_federation_without_the_evm`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_trail.definitions import FEDERATION
from consilium_trail.errors import MissingPackagesError

Clock: TypeAlias = Callable[[], int]
"""Returns milliseconds since 1970."""
Contracts: TypeAlias = Callable[[Clock], dict[str, Contract]]
"""Makes the contracts of a channel by the names of their chaincodes, all with one clock."""


class EvmWhenCalled(Contract):
    """Chaincode `evm`, loaded when it is called for the first time."""

    name = EVM_CHAINCODE

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loaded: Contract | None = None

    async def invoke(self, stub: ChaincodeStub) -> bytes:
        """Run the function that the transaction names.

        Raises:
            MissingPackagesError: what the EVM needs isn't installed.
            ChaincodeError: as the contract.
        """
        try:
            if self._loaded is None:
                self._loaded = _load(self._clock)
            return await self._loaded.invoke(stub)
        except ImportError as error:
            raise MissingPackagesError(
                f"the channel calls chaincode {EVM_CHAINCODE}, and running it again needs {error.name or error}, which "
                "isn't installed: pip install 'consilium[trail]'"
            ) from None


class TakenAsCommitted(Contract):
    """Stands in for a chaincode that isn't run again: it reads, writes and answers nothing."""

    name = EVM_CHAINCODE

    async def invoke(self, _: ChaincodeStub) -> bytes:
        """Do nothing."""
        return b""


def all_contracts(clock: Clock) -> dict[str, Contract]:
    """Return the contracts of a replay that runs everything again."""
    return {FEDERATION: FederationContract(clock), EVM_CHAINCODE: EvmWhenCalled(clock)}


def federation_alone(clock: Clock) -> dict[str, Contract]:
    """Return the contracts of a replay that takes the EVM's word for what it did."""
    return {FEDERATION: FederationContract(clock), EVM_CHAINCODE: TakenAsCommitted()}


def _load(clock: Clock) -> Contract:
    from consilium_chaincode.ethereum.contract import EthereumContract

    # How high the endorsers' ledgers were, no block says: that a claimed block was near it, they vouch.
    return EthereumContract(clock, heights=None)
