"""The steps in which a network is made and started. `Network` puts them in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from consilium_network import supervision
from consilium_network.certificates import check_validity
from consilium_network.channel import make_genesis_block
from consilium_network.errors import NodeError
from consilium_network.joining import join_orderer, join_peer
from consilium_network.layout import NetworkFolder
from consilium_network.nodes import NodeKind, NodeSpecification, load_specifications, write_orderer, write_peer
from consilium_network.operations import Metrics, read_metrics
from consilium_network.organizations import (
    certificates_of,
    create_monitor,
    create_organization,
    exchange_public_parts,
)
from consilium_network.profiles import write_profiles
from consilium_network.programs import Programs, find_or_build
from consilium_network.sdk_profile import write_sdk_profiles
from consilium_network.topology import Topology
from consilium_network.trusted_roots import trusted_roots
from consilium_peers.durable import write_atomically

Progress = Callable[[str], None]
_GOSSIP_SECONDS = 60.0
_LEVEL_SECONDS = 60.0
_POLL_SECONDS = 0.1
_PROCESS_WORDS = {
    NodeKind.ORDERER: "orderers",
    NodeKind.PEER: "peers",
    NodeKind.CHAINCODE: "chaincode services",
}


async def create_files(topology: Topology, folder: NetworkFolder, programs: Programs) -> None:
    """Make all keys, certificates, configurations and profiles, and the channel's first block."""
    folder.supervisor.nodes.mkdir(parents=True)
    write_atomically(folder.topology, topology.to_yaml())
    for organization in topology.organizations:
        create_organization(organization, folder, topology.certificate_days)
    create_monitor(folder)
    exchange_public_parts(topology, folder)
    block = await make_genesis_block(topology, folder, programs)
    roots = trusted_roots(topology, folder, block)
    for organization in topology.organizations:
        own = folder.organization(organization.name)
        write_atomically(own.genesis_block, block)
        write_atomically(own.trusted_roots, roots)
    write_nodes(topology, folder, programs)
    write_profiles(topology, folder)
    write_sdk_profiles(topology, folder)


def write_nodes(topology: Topology, folder: NetworkFolder, programs: Programs) -> None:
    """Write how every peer and orderer is configured and started."""
    for organization in topology.organizations:
        if organization.has_peer:
            write_peer(organization, folder, programs)
        if organization.has_orderer:
            write_orderer(organization, folder, programs)


def check_certificates(topology: Topology, folder: NetworkFolder) -> None:
    """Refuse to start with a certificate that isn't valid now.

    Raises:
        CertificateError: names the first such certificate, its owner and date.
    """
    for organization in topology.organizations:
        for owner, paths in certificates_of(organization, folder.organization(organization.name)).items():
            for path in paths:
                check_validity(path, owner)


async def start_processes(topology: Topology, folder: NetworkFolder, progress: Progress) -> None:
    """Start the supervisor and wait until everything listens.

    Fabric's programs are looked for anew when they aren't any more where they were.

    Raises:
        NetworkError: a port is taken, a program is gone, a node doesn't start.
    """
    specifications = load_specifications(folder.supervisor)
    if any(_lost_program(each) for each in specifications.values()):
        progress("Fabric's programs are not where they were")
        write_nodes(topology, folder, await find_or_build(progress))
        specifications = load_specifications(folder.supervisor)
    supervision.check_ports_free(specifications.values())
    progress(f"starting {_summary(list(specifications.values()))}")
    await supervision.start_supervisor(folder)
    await supervision.wait_until_listening(folder.supervisor, specifications.values())


async def join_channel(topology: Topology, folder: NetworkFolder) -> None:
    """Make every orderer and then every peer join the channel.

    Raises:
        ChannelError: one refuses or doesn't answer.
    """
    places = {each: folder.organization(each.name) for each in topology.organizations}
    blocks = {each: own.genesis_block.read_bytes() for each, own in places.items()}
    await asyncio.gather(*(join_orderer(each, places[each], blocks[each]) for each in topology.orderers))
    await asyncio.gather(*(join_peer(places[each], blocks[each]) for each in topology.peers))


async def wait_for_gossip(topology: Topology, folder: NetworkFolder) -> None:
    """Wait until every peer sees every other: endorsement across organisations needs it.

    Raises:
        NodeError: not within a minute. Names the peers that don't.
    """
    deadline = time.monotonic() + _GOSSIP_SECONDS
    waiting = [each for each in load_specifications(folder.supervisor).values() if each.kind is NodeKind.PEER]
    others = len(waiting) - 1
    while waiting:
        known = await asyncio.gather(*(_peers_known(each, topology, folder) for each in waiting))
        waiting = [each for each, count in zip(waiting, known, strict=True) if count < others]
        if waiting and time.monotonic() > deadline:
            names = ", ".join(each.name for each in waiting)
            raise NodeError(f"{names}: not all other peers seen after {_GOSSIP_SECONDS:.0f} seconds")
        if waiting:
            await asyncio.sleep(_POLL_SECONDS)


async def wait_until_level(topology: Topology, folder: NetworkFolder) -> None:
    """Wait until every peer has the blocks that any peer has now, so that the next write finds them of one mind.

    Raises:
        NodeError: not within a minute. Names the peers that are behind.
    """
    deadline = time.monotonic() + _LEVEL_SECONDS
    peers = [each for each in load_specifications(folder.supervisor).values() if each.kind is NodeKind.PEER]
    target = max(await _heights(peers, topology, folder))
    behind = peers
    while behind:
        heights = await _heights(behind, topology, folder)
        behind = [each for each, height in zip(behind, heights, strict=True) if height < target]
        if behind and time.monotonic() > deadline:
            names = ", ".join(each.name for each in behind)
            raise NodeError(f"{names}: without block {target - 1} after {_LEVEL_SECONDS:.0f} seconds")
        if behind:
            await asyncio.sleep(_POLL_SECONDS)


async def _heights(peers: list[NodeSpecification], topology: Topology, folder: NetworkFolder) -> list[int]:
    found = await asyncio.gather(*(_metrics(each, topology, folder) for each in peers))
    return [(each.height or 0) if each else 0 for each in found]


async def _peers_known(specification: NodeSpecification, topology: Topology, folder: NetworkFolder) -> int:
    metrics = await _metrics(specification, topology, folder)
    return (metrics.peers_known or 0) if metrics else 0


async def _metrics(specification: NodeSpecification, topology: Topology, folder: NetworkFolder) -> Metrics | None:
    if specification.operations is None:
        return None
    return await read_metrics(specification.operations, folder.supervisor.monitor, topology.channel)


def _lost_program(specification: NodeSpecification) -> bool:
    return specification.kind is not NodeKind.CHAINCODE and not Path(specification.command[0]).exists()


def _summary(specifications: list[NodeSpecification]) -> str:
    counts = {kind: sum(each.kind is kind for each in specifications) for kind in NodeKind}
    return ", ".join(f"{count} {_PROCESS_WORDS[kind]}" for kind, count in counts.items() if count)
