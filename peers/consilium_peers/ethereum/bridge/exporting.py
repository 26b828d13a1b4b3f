"""Exports what the ledger attests: asks for the record, has its attestation endorsed, checks one against the other."""

from __future__ import annotations

from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.bridge.gathering import gather_endorsements
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.federation import Federation
from consilium_peers.gateway import Network
from consilium_peers.rewards import Rewards
from consilium_proto.canonical import encode
from consilium_proto.ethereum.resolutions import BridgeDecision, BridgeDecisionReference
from consilium_proto.ethereum.rewards import ClosedEpoch, RewardEpochReference
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_proto.rewards.attestation import DECISION_FUNCTION, EPOCH_FUNCTION


async def export_epoch(network: Network, number: int, wanted: int | None = None) -> Carried:
    """Return a closed epoch with endorsements of as many hospitals as answer.

    Args:
        network: the channel.
        number: the epoch.
        wanted: how many hospitals must endorse at least; by default more than half, which no bridge does without.

    Raises:
        GatewayError: the epoch isn't closed, there is no bridge, or nobody can be asked.
        BridgeProofError: too few endorse, or they endorse something else than this ledger's peer shows.
    """
    epoch = await Rewards(network.contract(EVM_CHAINCODE)).read_epoch(number)
    return await _export(network, epoch, EPOCH_FUNCTION, encode(RewardEpochReference(epoch=number)), wanted)


async def export_decision(network: Network, number: int, wanted: int | None = None) -> Carried:
    """Return an enacted decision about the bridge in force with endorsements; as `export_epoch` otherwise."""
    decisions = (await Resolutions(network.contract(EVM_CHAINCODE)).read()).decisions
    found = next((each for each in decisions if each.number == number), None)
    if found is None:
        raise BridgeProofError(
            f"decision {number} about the bridge isn't enacted; `consilium evm terms show` lists decisions"
        )
    return await _export(network, found, DECISION_FUNCTION, encode(BridgeDecisionReference(number=number)), wanted)


async def _export(
    network: Network, what: ClosedEpoch | BridgeDecision, function: str, argument: bytes, wanted: int | None
) -> Carried:
    contract = network.contract(EVM_CHAINCODE)
    terms = await Resolutions(contract).bridge()
    hospitals = (await Federation(network.contract()).read_consortium()).hospitals
    least = len(hospitals) // 2 + 1 if wanted is None else wanted
    endorsed = await gather_endorsements(contract, function, argument, hospitals, least)
    carried = Carried(network.channel, terms, what, endorsed)
    carried.check()
    return carried
