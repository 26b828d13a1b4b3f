"""Deploying contracts: every hospital runs each as a service of its own and its peer calls it over mutual TLS."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from consilium_network import lifecycle, supervision
from consilium_network.chaincode_package import ChaincodeSource, Package, make_package
from consilium_network.errors import LifecycleError
from consilium_network.layout import KeyPair, NetworkFolder, OrganizationFolder
from consilium_network.nodes import NodeKind, NodeSpecification, load_specifications
from consilium_network.organizations import issue_service_pairs
from consilium_network.programs import program_environment
from consilium_network.topology import CHAINCODE_PORTS, Listener, Organization, Topology
from consilium_peers.durable import write_atomically

Progress = Callable[[str], None]
Packages = Mapping[Organization, Package]
_ID = "CHAINCODE_ID"


def service_name(chaincode: str, organization: Organization) -> str:
    """Return the node name of a hospital's chaincode service."""
    return f"{chaincode}.{organization.name}"


def is_deployed(topology: Topology, folder: NetworkFolder, source: ChaincodeSource) -> bool:
    """Tell whether every hospital's service is set up to run this very code."""
    specifications = load_specifications(folder.supervisor)
    label = source.label()
    services = [specifications.get(service_name(source.name, each)) for each in topology.hospitals]
    return all(each is not None and each.environment[_ID].startswith(f"{label}:") for each in services)


async def start_services(
    topology: Topology, folder: NetworkFolder, sources: Sequence[ChaincodeSource]
) -> dict[ChaincodeSource, Packages]:
    """Set contracts up as services at every hospital and have them started, without waiting until they listen.

    Returns what peers are to install. Services need no channel, so they can start while peers join one.

    Raises:
        LifecycleError: a module can't be found.
    """
    packages = {source: _prepare_all(topology, folder, source) for source in sources}
    await supervision.reload_supervisor(folder.supervisor)
    return packages


async def deploy(
    topology: Topology, folder: NetworkFolder, sources: Sequence[ChaincodeSource], progress: Progress
) -> None:
    """Run contracts at every hospital and put them on the channel, side by side; again: replace their code.

    Every hospital's admin installs and approves; then one commits. Replaced code keeps the definition on the channel,
    so it needs approvals (each names the hospital's new package) but no commit.

    Raises:
        LifecycleError: a module can't be found, or a peer or the channel refuses.
        NodeError: a service doesn't start.
    """
    names = " and ".join(each.name for each in sources)
    progress(f"deploying the chaincode {names} at {len(topology.hospitals)} hospitals")
    packages = await start_services(topology, folder, sources)
    await asyncio.gather(*(_put_on_channel(topology, folder, each, found) for each, found in packages.items()))


async def _put_on_channel(
    topology: Topology, folder: NetworkFolder, source: ChaincodeSource, packages: Packages
) -> None:
    names = {service_name(source.name, each) for each in topology.hospitals}
    services = [each for each in load_specifications(folder.supervisor).values() if each.name in names]
    admins = {each: folder.organization(each.name).profile("admin") for each in topology.hospitals}
    first = next(iter(admins.values()))
    sequence = await lifecycle.committed_sequence(first, source.name)
    await asyncio.gather(
        supervision.wait_until_listening(folder.supervisor, services),
        *(lifecycle.install(admins[each], package) for each, package in packages.items()),
    )
    wanted = max(sequence, 1)
    await asyncio.gather(
        *(
            lifecycle.approve(admins[each], source.name, wanted, package.package_id)
            for each, package in packages.items()
        )
    )
    if sequence == 0:
        hospitals = [each.msp_id for each in topology.hospitals]
        await asyncio.gather(
            *(lifecycle.wait_until_approved(admin, source.name, wanted, hospitals) for admin in admins.values())
        )
        await lifecycle.commit(first, source.name, wanted, hospitals)
    await asyncio.gather(*(lifecycle.wait_until_usable(admin, source.name, wanted) for admin in admins.values()))


def _prepare_all(topology: Topology, folder: NetworkFolder, source: ChaincodeSource) -> Packages:
    label = source.label()
    return {each: _prepare(each, topology, folder, source, label) for each in topology.hospitals}


def _prepare(
    organization: Organization, topology: Topology, folder: NetworkFolder, source: ChaincodeSource, label: str
) -> Package:
    """Make one hospital's keys, package and service for a contract."""
    own = folder.organization(organization.name)
    place = own.chaincode(source.name)
    if not (place / "server").is_dir():
        issue_service_pairs(own, organization, place, topology.certificate_days)
    address = f"{organization.host}:{_port(organization, own, source.name)}"
    package = make_package(label, address, own.tls_root, KeyPair.within(place / "peer"))
    write_atomically(place / "package.tar.gz", package.content, mode=0o600)  # it carries the peer's key
    _specification(organization, own, source, address, package).save(folder.supervisor)
    return package


def _specification(
    organization: Organization, own: OrganizationFolder, source: ChaincodeSource, address: str, package: Package
) -> NodeSpecification:
    place = own.chaincode(source.name)
    server = KeyPair.within(place / "server")
    settings = {
        _ID: package.package_id,
        "CHAINCODE_SERVER_ADDRESS": address,
        "CHAINCODE_TLS_CERT": str(server.certificate),
        "CHAINCODE_TLS_KEY": str(server.private_key),
        "CHAINCODE_TLS_CLIENT_CA": str(own.tls_root),
        "CHAINCODE_PEER_METRICS": organization.address(Listener.PEER_OPERATIONS),
        "PYTHONUNBUFFERED": "1",
    }
    inherited = os.environ.get("PYTHONPATH")
    search = [str(path.resolve()) for path in source.python_path] + ([inherited] if inherited else [])
    if search:
        settings["PYTHONPATH"] = os.pathsep.join(search)
    return NodeSpecification(
        name=service_name(source.name, organization),
        organization=organization.name,
        kind=NodeKind.CHAINCODE,
        command=(sys.executable, "-m", "consilium_chaincode.serve", source.target),
        environment=program_environment(settings),
        folder=str(place),
        log=str(own.log(source.name)),
        addresses=(address,),
    )


class _Ports(msgspec.Struct):
    """Which chaincode of an organisation listens on which port."""

    ports: dict[str, int]


def _port(organization: Organization, own: OrganizationFolder, chaincode: str) -> int:
    """Return the port of a chaincode's service: the one it had, else the next free one of the organisation's."""
    path = own.chaincodes / "ports.json"
    known = msgspec.json.decode(path.read_bytes(), type=_Ports) if path.exists() else _Ports({})
    if chaincode not in known.ports:
        offsets = [each for each in CHAINCODE_PORTS if organization.first_port + each not in known.ports.values()]
        if not offsets:
            raise LifecycleError(
                f"{organization.name} already runs {len(CHAINCODE_PORTS)} chaincodes; it has no more ports"
            )
        known.ports[chaincode] = organization.first_port + offsets[0]
        write_atomically(path, msgspec.json.encode(known))
    return known.ports[chaincode]
