"""How each node is configured and started. Everything a node reads lies in its own organisation's folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta

from consilium_network.builder import write_builder
from consilium_network.errors import NetworkStateError
from consilium_network.layout import NetworkFolder, SupervisorFolder
from consilium_network.node_configuration import orderer_configuration, peer_configuration
from consilium_network.programs import Programs, program_environment
from consilium_network.topology import Listener, Organization
from consilium_peers.durable import write_atomically

# Information level wrote 170 MB in minutes; gossip and gRPC report every peer that isn't there yet as a warning.
LOG_LEVELS = "warning:gossip=error:grpc=error:comm=error"


class NodeKind(StrEnum):
    """What a supervised process is."""

    ORDERER = "orderer"
    PEER = "peer"
    CHAINCODE = "chaincode"


class Operations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node tells its metrics: `host:port`, and the root certificate that proves it is the node."""

    address: str
    tls_root: str


class NodeSpecification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one process is started. The file holds no secrets, only paths."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,120}\Z")]
    organization: str
    kind: NodeKind
    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str
    log: str
    addresses: tuple[str, ...]
    operations: Operations | None = None

    def save(self, folder: SupervisorFolder) -> None:
        """Write it to where the supervisor looks."""
        write_atomically(folder.nodes / f"{self.name}.json", msgspec.json.format(msgspec.json.encode(self)))


def load_specifications(folder: SupervisorFolder) -> dict[str, NodeSpecification]:
    """Read how every node is started, by node name, orderers first and chaincode services last.

    Raises:
        NetworkStateError: a file isn't what `save` writes.
    """
    found = []
    for path in folder.nodes.glob("*.json"):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=NodeSpecification))
        except (msgspec.DecodeError, OSError) as error:
            raise NetworkStateError(f"{path} can't be read: {error}; make the network anew") from None
    order = list(NodeKind)
    return {each.name: each for each in sorted(found, key=lambda each: (order.index(each.kind), each.name))}


def peer_name(organization: Organization) -> str:
    """Return the node name of an organisation's peer."""
    return f"peer.{organization.name}"


def orderer_name(organization: Organization) -> str:
    """Return the node name of an organisation's orderer."""
    return f"orderer.{organization.name}"


def write_peer(organization: Organization, folder: NetworkFolder, programs: Programs) -> NodeSpecification:
    """Write a peer's configuration and how it is started."""
    own = folder.organization(organization.name)
    place = own.node("peer").root
    write_builder(own.builder)
    configuration = peer_configuration(organization, own)
    write_atomically(place / "core.yaml", yaml.safe_dump(configuration, sort_keys=False).encode())
    listeners = (Listener.PEER, Listener.PEER_CHAINCODE, Listener.PEER_OPERATIONS)
    return _save(
        NodeSpecification(
            name=peer_name(organization),
            organization=organization.name,
            kind=NodeKind.PEER,
            command=(str(programs.peer), "node", "start"),
            environment=_fabric_environment(place),
            folder=str(place),
            log=str(own.log("peer")),
            addresses=tuple(organization.address(each) for each in listeners),
            operations=_operations(organization, folder, Listener.PEER_OPERATIONS),
        ),
        folder,
    )


def write_orderer(organization: Organization, folder: NetworkFolder, programs: Programs) -> NodeSpecification:
    """Write an orderer's configuration and how it is started."""
    own = folder.organization(organization.name)
    place = own.node("orderer").root
    configuration = orderer_configuration(organization, own)
    write_atomically(place / "orderer.yaml", yaml.safe_dump(configuration, sort_keys=False).encode())
    listeners = (
        Listener.ORDERER,
        Listener.ORDERER_CLUSTER,
        Listener.ORDERER_ADMINISTRATION,
        Listener.ORDERER_OPERATIONS,
    )
    return _save(
        NodeSpecification(
            name=orderer_name(organization),
            organization=organization.name,
            kind=NodeKind.ORDERER,
            command=(str(programs.orderer), "start"),
            environment=_fabric_environment(place),
            folder=str(place),
            log=str(own.log("orderer")),
            addresses=tuple(organization.address(each) for each in listeners),
            operations=_operations(organization, folder, Listener.ORDERER_OPERATIONS),
        ),
        folder,
    )


def _save(specification: NodeSpecification, folder: NetworkFolder) -> NodeSpecification:
    specification.save(folder.supervisor)
    return specification


def _fabric_environment(place: Path) -> dict[str, str]:
    settings = {"FABRIC_CFG_PATH": str(place), "FABRIC_LOGGING_SPEC": LOG_LEVELS, "FABRIC_LOGGING_FORMAT": "json"}
    return program_environment(settings)


def _operations(organization: Organization, folder: NetworkFolder, listener: Listener) -> Operations:
    return Operations(organization.address(listener), str(folder.public(organization.name).tls_root))
