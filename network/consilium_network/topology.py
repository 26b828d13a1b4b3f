"""The topology: which organisations there are, what each runs, and where it listens. Read from one YAML file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from consilium_network.errors import TopologyError

PORTS_PER_ORGANIZATION = 30
CHAINCODE_PORTS = range(10, PORTS_PER_ORGANIZATION)
MINIMUM_HOSPITALS = 3
MINIMUM_ORDERERS = 4  # Byzantine fault tolerance bears f of 3f+1
HIGHEST_PORT = 65_535

_PACKAGED = {3: "three_hospitals.yaml", 4: "four_hospitals.yaml"}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")

OrganizationName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,30}\Z")]
MspId = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9.-]{0,62}\Z")]
# Fabric's own rule for channel names: configtx.go, `channelAllowedChars`.
ChannelName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9.-]{0,248}\Z")]


class OrganizationRole(StrEnum):
    """What an organisation is in the consortium."""

    HOSPITAL = "hospital"
    REGULATOR = "regulator"
    AGGREGATOR = "aggregator"


class Listener(IntEnum):
    """What listens at an organisation: the offset from its first port."""

    PEER = 0
    PEER_CHAINCODE = 1
    PEER_OPERATIONS = 2
    ORDERER = 3
    ORDERER_CLUSTER = 4
    ORDERER_ADMINISTRATION = 5
    ORDERER_OPERATIONS = 6
    AGGREGATOR = 7


class Organization(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One organisation, as the topology file describes it."""

    name: OrganizationName
    msp_id: MspId
    role: OrganizationRole
    first_port: Annotated[int, Meta(ge=1024, le=HIGHEST_PORT - PORTS_PER_ORGANIZATION)]
    host: str = "127.0.0.1"
    orderer: bool | None = None

    @property
    def is_hospital(self) -> bool:
        """True when it endorses and decides."""
        return self.role is OrganizationRole.HOSPITAL

    @property
    def has_peer(self) -> bool:
        """True when it runs a peer."""
        return self.role is not OrganizationRole.AGGREGATOR

    @property
    def has_orderer(self) -> bool:
        """True when it runs an orderer: hospitals do unless the topology says otherwise."""
        return self.is_hospital if self.orderer is None else self.orderer

    @property
    def has_aggregator(self) -> bool:
        """True when it serves the aggregator's interface."""
        return self.role is OrganizationRole.AGGREGATOR

    def port(self, listener: Listener) -> int:
        """Return the port of one of its listeners."""
        return self.first_port + listener

    def address(self, listener: Listener) -> str:
        """Return `host:port` of one of its listeners."""
        return f"{self.host}:{self.port(listener)}"

    def listeners(self) -> Iterator[Listener]:
        """Yield what listens at this organisation, chaincode services apart."""
        if self.has_peer:
            yield from (Listener.PEER, Listener.PEER_CHAINCODE, Listener.PEER_OPERATIONS)
        if self.has_orderer:
            yield from (Listener.ORDERER, Listener.ORDERER_CLUSTER)
            yield from (Listener.ORDERER_ADMINISTRATION, Listener.ORDERER_OPERATIONS)


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole network."""

    channel: ChannelName
    organizations: tuple[Organization, ...]
    certificate_days: Annotated[int, Meta(ge=1, le=3650)] = 825
    # Below 50 ms Byzantine ordering gets slower, not faster, and stalls at times.
    block_interval_ms: Annotated[int, Meta(ge=50, le=10_000)] = 200

    @property
    def hospitals(self) -> tuple[Organization, ...]:
        """The organisations that endorse and decide."""
        return tuple(each for each in self.organizations if each.is_hospital)

    @property
    def peers(self) -> tuple[Organization, ...]:
        """The organisations that run a peer."""
        return tuple(each for each in self.organizations if each.has_peer)

    @property
    def orderers(self) -> tuple[Organization, ...]:
        """The organisations that run an orderer."""
        return tuple(each for each in self.organizations if each.has_orderer)

    @property
    def aggregators(self) -> tuple[Organization, ...]:
        """The organisations that serve the aggregator's interface."""
        return tuple(each for each in self.organizations if each.has_aggregator)

    @property
    def endorsement_quorum(self) -> int:
        """How many hospitals must endorse every write: two thirds of them, rounded up."""
        return math.ceil(2 * len(self.hospitals) / 3)

    @property
    def administration_quorum(self) -> int:
        """How many hospitals' admins must sign a change of the channel's configuration: more than half."""
        return len(self.hospitals) // 2 + 1

    def organization(self, name: str) -> Organization:
        """Find an organisation by its name or MSP id.

        Raises:
            TopologyError: no organisation of that name.
        """
        for each in self.organizations:
            if name in (each.name, each.msp_id):
                return each
        known = ", ".join(each.name for each in self.organizations)
        raise TopologyError(f"no organisation {name!r} in the topology; there are {known}")

    def with_ports_from(self, first_port: int) -> Topology:
        """Return the same network on other ports: organisation i starts at first_port + 30·i."""
        moved = tuple(
            msgspec.structs.replace(each, first_port=first_port + index * PORTS_PER_ORGANIZATION)
            for index, each in enumerate(self.organizations)
        )
        return _checked(msgspec.structs.replace(self, organizations=moved), "the topology")

    def to_yaml(self) -> bytes:
        """Return the text of a topology file."""
        return msgspec.yaml.encode(self)


def packaged_topology_text(hospitals: int) -> str:
    """Return the commented topology that comes with the package for 3 or 4 hospitals.

    Raises:
        TopologyError: there is none for that number.
    """
    if hospitals not in _PACKAGED:
        raise TopologyError(
            f"no topology for {hospitals} hospitals comes along; name a file of your own with --topology"
        )
    return (files("consilium_network") / "topologies" / _PACKAGED[hospitals]).read_text(encoding="utf-8")


def packaged_topology(hospitals: int = 4) -> Topology:
    """Return the topology that comes with the package for 3 or 4 hospitals."""
    return parse_topology(packaged_topology_text(hospitals).encode(), _PACKAGED[hospitals])


def load_topology(path: Path) -> Topology:
    """Read and check a topology file.

    Raises:
        TopologyError: the file can't be read, has a field that is missing, unknown or out of range, or describes no
            network that could work. The message names the file and the field.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise TopologyError(f"can't read the topology {path}: {error.strerror}") from None
    return parse_topology(text, str(path))


def parse_topology(text: bytes, source: str) -> Topology:
    """Read and check the text of a topology file; `source` names it in errors."""
    try:
        topology = msgspec.yaml.decode(text, type=Topology)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise TopologyError(f"{source}: {' '.join(str(error).split())}") from None
    return _checked(topology, source)


def _checked(topology: Topology, source: str) -> Topology:
    for problem in _problems(topology):
        raise TopologyError(f"{source}: {problem}")
    return topology


def _problems(topology: Topology) -> Iterator[str]:
    for first, second in combinations(topology.organizations, 2):
        yield from _clashes(first, second)
    for each in topology.organizations:
        if not _HOST.match(each.host):
            yield f"host {each.host!r} of {each.name} is neither a host name nor an IPv4 address"
        if each.first_port + PORTS_PER_ORGANIZATION > HIGHEST_PORT:
            yield f"first_port {each.first_port} of {each.name} leaves no room for its ports below {HIGHEST_PORT}"
        if each.has_aggregator and each.has_orderer:
            yield f"{each.name} is an aggregator and can't run an orderer: it must not see more than its clients send"
    if len(topology.hospitals) < MINIMUM_HOSPITALS:
        yield f"{len(topology.hospitals)} hospitals, but a federation needs at least {MINIMUM_HOSPITALS}"
    if len(topology.orderers) < MINIMUM_ORDERERS:
        yield (
            f"{len(topology.orderers)} orderers, but ordering needs at least {MINIMUM_ORDERERS} to bear a faulty one: "
            "set `orderer: true` at another organisation, for example the regulator"
        )
    if not topology.aggregators:
        yield "no organisation has the role aggregator"


def _clashes(first: Organization, second: Organization) -> Iterator[str]:
    if first.name == second.name:
        yield f"two organisations are named {first.name!r}"
    if first.msp_id == second.msp_id:
        yield f"{first.name} and {second.name} have the same msp_id {first.msp_id!r}"
    if first.host == second.host and abs(first.first_port - second.first_port) < PORTS_PER_ORGANIZATION:
        yield (
            f"the ports of {first.name} ({first.first_port}) and {second.name} ({second.first_port}) overlap: "
            f"each needs {PORTS_PER_ORGANIZATION} from its first_port on"
        )
