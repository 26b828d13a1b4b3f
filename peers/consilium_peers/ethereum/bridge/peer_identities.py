"""Who endorses for each hospital: read from what their peers sign, held against the channel's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from consilium_peers.ethereum.bridge.gathering import gather_endorsements
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_peers.gateway import Network
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.transactions import Signer, decode_transaction
from consilium_trail.errors import TrailError
from consilium_trail.membership import Membership
from consilium_trail.roots import TrustedRoots

_PEER = "PEER"


async def endorsing_peers(network: Network, hospitals: Sequence[str], roots: TrustedRoots | None) -> list[EndorserKey]:
    """Return the peer of each hospital (MSP ids) that endorses now, in the hospitals' order.

    With roots, which one has from the consortium, each certificate must be a peer's that one of them vouches for:
    whoever deploys a bridge doesn't take the own peer's word for who the others are.

    Raises:
        BridgeProofError: a hospital's peer doesn't answer, or isn't one by the channel's configuration.
        GatewayError: nobody answers.
    """
    answer = await gather_endorsements(
        network.contract(EVM_CHAINCODE), "ReadTerms", b"", hospitals, wanted=len(hospitals)
    )
    by_hospital = {each.endorser.msp_id: each.endorser for each in answer.endorsements}
    found = [by_hospital[hospital] for hospital in hospitals]
    if roots is not None:
        membership = Membership(await _configuration(network), roots)
        for key in found:
            _check_peer(key, membership)
    return found


def _check_peer(key: EndorserKey, membership: Membership) -> None:
    try:
        identity = membership.identity(Signer(key.identity, key.msp_id, key.certificate))
    except TrailError as error:
        raise BridgeProofError(f"who endorses for {key.msp_id} isn't its peer: {error}") from None
    if _PEER not in identity.roles or not identity.trusted:
        raise BridgeProofError(
            f"who endorses for {key.msp_id} isn't its peer: "
            + ("no trusted root vouches for it" if not identity.trusted else "its certificate isn't a peer's")
        )


async def _configuration(network: Network) -> ChannelConfiguration:
    """Return the channel's configuration in force."""
    last = await _block(network, await network.height() - 1)
    block = last if last.number == 0 else await _block(network, last.signatures.last_configuration())
    return decode_configuration(decode_transaction(block.envelopes[0]).envelope.data)


async def _block(network: Network, number: int) -> Block:
    async with aclosing(network.blocks(number, number + 1)) as blocks:
        async for found in blocks:
            return decode_block(found.content)
    raise BridgeProofError(f"block {number} isn't there")
