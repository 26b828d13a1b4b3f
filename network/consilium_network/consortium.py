"""The consortium's first record: who may act. Every hospital approves it, then one of them puts it into force."""

from __future__ import annotations

from consilium_network.decisions import decide
from consilium_network.errors import ConsortiumError
from consilium_network.layout import NetworkFolder
from consilium_network.profiles import FEDERATION_CHAINCODE
from consilium_network.topology import Topology
from consilium_peers.errors import PeersError
from consilium_peers.federation import Federation
from consilium_proto.records import Consortium


def first_consortium(topology: Topology) -> Consortium:
    """Return the record: the topology's hospitals and aggregators, sorted by MSP id."""
    return Consortium(
        hospitals=tuple(sorted(each.msp_id for each in topology.hospitals)),
        aggregators=tuple(sorted(each.msp_id for each in topology.aggregators)),
        revision=1,
    )


async def found_consortium(topology: Topology, folder: NetworkFolder) -> None:
    """Approve the first consortium as every hospital's admin and enact it.

    Raises:
        ConsortiumError: the contract refuses. The message has its words.
    """
    consortium = first_consortium(topology)
    try:
        await decide(
            [folder.organization(each.name).profile("admin") for each in topology.hospitals],
            FEDERATION_CHAINCODE,
            read=lambda contract: Federation(contract).read_consortium(),
            approve=lambda contract: Federation(contract).approve_consortium(consortium),
            enact=lambda contract: Federation(contract).enact_consortium(consortium),
        )
    except PeersError as error:
        raise ConsortiumError(f"the consortium can't be founded: {error}") from None
