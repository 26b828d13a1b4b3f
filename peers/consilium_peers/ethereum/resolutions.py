"""What hospitals resolve about the EVM and the bridge, as typed calls of chaincode `evm`."""

from __future__ import annotations

from consilium_peers.gateway import Contract, SubmitResult
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.resolutions import BridgeTerms, EvmTerms, Resolution, ResolutionArgument, ResolutionsView


class Resolutions:
    """Calls the contract with one identity. A refusal arrives as a `GatewayError` whose `refusal` is the code."""

    def __init__(self, contract: Contract) -> None:
        """Take chaincode `evm` of a channel."""
        self._contract = contract

    async def approve(self, resolution: Resolution) -> SubmitResult:
        """Approve a resolution, as an administrator of a hospital."""
        return await self._contract.submit("Approve", encode(ResolutionArgument(resolution=resolution)))

    async def enact(self, resolution: Resolution) -> SubmitResult:
        """Put a resolution in force that a majority of the hospitals approved."""
        return await self._contract.submit("Enact", encode(ResolutionArgument(resolution=resolution)))

    async def terms(self) -> EvmTerms:
        """Return the EVM's terms in force; refused with NOT_FOUND before there are any."""
        return decode(EvmTerms, await self._contract.evaluate("ReadTerms", b""))

    async def bridge(self) -> BridgeTerms:
        """Return the bridge's terms in force; refused with NOT_FOUND before there are any."""
        return decode(BridgeTerms, await self._contract.evaluate("ReadBridge", b""))

    async def read(self) -> ResolutionsView:
        """Return what is in force, and what could come next with who approved it."""
        answer = await self._contract.evaluate("ReadResolutions", b"")
        return decode(ResolutionsView, answer)
