"""Making an organisation: its keys and certificates in its own folder, and what it hands to the others."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from consilium_network.certificates import Authority, Issued, OrganizationalUnit
from consilium_network.layout import (
    CERTIFICATE,
    SIGNING_ROOT,
    TLS_ROOT,
    KeyPair,
    Member,
    NetworkFolder,
    OrganizationFolder,
)
from consilium_network.topology import Organization, OrganizationRole, Topology
from consilium_peers.durable import write_atomically
from consilium_proto.access_roles import AccessRole

# Fabric reads the roles from the certificates' organisational units (NodeOUs).
_NODE_UNITS = "NodeOUs:\n  Enable: true\n" + "".join(
    f"  {unit.value.capitalize()}OUIdentifier:\n    Certificate: cacerts/{SIGNING_ROOT}\n"
    f"    OrganizationalUnitIdentifier: {unit.value}\n"
    for unit in OrganizationalUnit
)


@dataclass(frozen=True)
class User:
    """What a user's certificate says: the organisational unit and, for who reads the ledger, the attribute."""

    unit: OrganizationalUnit
    access: AccessRole | None = None


_ADMIN, _CLIENT = User(OrganizationalUnit.ADMIN), User(OrganizationalUnit.CLIENT)
_READERS = {
    "auditor": User(OrganizationalUnit.CLIENT, AccessRole.AUDITOR),
    "compliance": User(OrganizationalUnit.CLIENT, AccessRole.COMPLIANCE),
}
_USERS = {
    OrganizationRole.HOSPITAL: {"admin": _ADMIN, "client": _CLIENT, **_READERS},
    OrganizationRole.REGULATOR: {"admin": User(OrganizationalUnit.ADMIN, AccessRole.ADMIN), **_READERS},
    OrganizationRole.AGGREGATOR: {"admin": _ADMIN, "client": _CLIENT},
}


def users_of(organization: Organization) -> dict[str, User]:
    """Return an organisation's users by name. A regulator runs no program that writes, so it has no plain client."""
    return _USERS[organization.role]


def create_organization(organization: Organization, folder: NetworkFolder, certificate_days: float) -> None:
    """Make all keys of one organisation, and write what is public of them to its public folder."""
    own = folder.organization(organization.name)
    own.root.mkdir(parents=True, exist_ok=True)
    own.root.chmod(0o700)
    authority = Authority.create(f"{organization.name} identities", organization.msp_id)
    tls_authority = Authority.create(f"{organization.name} TLS", organization.msp_id)
    authority.save(own.authority)
    tls_authority.save(own.tls_authority)
    _Issuer(organization, own, authority, tls_authority, certificate_days).issue_all()
    _publish(organization, folder, authority, tls_authority)


def create_monitor(folder: NetworkFolder) -> None:
    """Make the pair with which the supervisor reads metrics. It opens nothing else: only metrics trust its root."""
    root = Authority.create("monitor root", "supervisor")
    issued = root.tls("monitor", (), days=3650)
    monitor = folder.supervisor.monitor
    issued.save(monitor)
    write_atomically(monitor.certificate.with_name(TLS_ROOT), root.issued.certificate_pem())


def exchange_public_parts(topology: Topology, folder: NetworkFolder) -> None:
    """Copy what is public into every organisation's own folder, so that nobody reads anybody else's."""
    monitor_root = folder.supervisor.monitor.certificate.with_name(TLS_ROOT).read_bytes()
    for organization in topology.organizations:
        own = folder.organization(organization.name)
        write_atomically(own.monitor_root, monitor_root)
        for other in topology.organizations:
            copy = own.partner_tls_root(other.name)
            write_atomically(copy, folder.public(other.name).tls_root.read_bytes())


class _Issuer:
    """Issues everything that one organisation's nodes, users and servers need."""

    def __init__(
        self, organization: Organization, own: OrganizationFolder, authority: Authority, tls: Authority, days: float
    ) -> None:
        self.organization = organization
        self.own = own
        self.authority = authority
        self.tls = tls
        self.days = days

    def issue_all(self) -> None:
        """Issue for every node, user and server that the topology gives the organisation."""
        host = self.organization.host
        if self.organization.has_peer:
            self._member(self.own.node("peer"), "peer", OrganizationalUnit.PEER, (host, "localhost"))
        if self.organization.has_orderer:
            self._member(self.own.node("orderer"), "orderer", OrganizationalUnit.ORDERER, (host, "localhost"))
        for name, user in users_of(self.organization).items():
            self._member(self.own.user(name), name, user.unit, (), user.access)
        if self.organization.has_aggregator:
            self._tls("aggregator", (host, "localhost")).save(self.own.aggregator_tls)

    def _member(
        self,
        member: Member,
        name: str,
        unit: OrganizationalUnit,
        hosts: tuple[str, ...],
        access: AccessRole | None = None,
    ) -> None:
        common_name = f"{name}.{self.organization.name}"
        write_msp(member.msp, self.authority, self.tls)
        self.authority.identity(common_name, unit, self.days, access).save(member.identity)
        self._tls(name, hosts).save(member.tls)

    def _tls(self, name: str, hosts: tuple[str, ...]) -> Issued:
        return self.tls.tls(f"{name}.{self.organization.name}", hosts, self.days)


def issue_service_pairs(own: OrganizationFolder, organization: Organization, place: Path, days: float) -> None:
    """Issue a chaincode service's TLS pair (`server`) and the pair with which the peer calls it (`peer`).

    The peer's pair is one of its own because it travels inside the chaincode package.
    """
    tls = Authority.load(own.tls_authority)
    name = f"{place.name}.{organization.name}"
    tls.tls(f"chaincode.{name}", (organization.host, "localhost"), days).save(KeyPair.within(place / "server"))
    tls.tls(f"caller-of-chaincode.{name}", (), days).save(KeyPair.within(place / "peer"))


def write_msp(place: Path, authority: Authority, tls: Authority) -> None:
    """Write the public part of an MSP folder: both roots, and where roles are read from."""
    write_atomically(place / "cacerts" / SIGNING_ROOT, authority.issued.certificate_pem())
    write_atomically(place / "tlscacerts" / TLS_ROOT, tls.issued.certificate_pem())
    write_atomically(place / "config.yaml", _NODE_UNITS.encode())


def _publish(organization: Organization, folder: NetworkFolder, authority: Authority, tls: Authority) -> None:
    public = folder.public(organization.name)
    write_msp(public.msp, authority, tls)
    if organization.has_orderer:
        orderer = folder.organization(organization.name).node("orderer")
        public.orderer_tls.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(orderer.identity.certificate, public.orderer_identity)
        shutil.copyfile(orderer.tls.certificate, public.orderer_tls)


def certificates_of(organization: Organization, own: OrganizationFolder) -> dict[str, list[Path]]:
    """Return which certificates each node or user of an organisation depends on, by its name."""
    found: dict[str, list[Path]] = {}
    kinds = [kind for kind, there in (("peer", organization.has_peer), ("orderer", organization.has_orderer)) if there]
    members = {kind: own.node(kind) for kind in kinds} | {user: own.user(user) for user in users_of(organization)}
    for name, member in members.items():
        found[f"{name}.{organization.name}"] = [member.identity.certificate, member.tls.certificate]
    if organization.has_aggregator:
        found[f"aggregator.{organization.name}"] = [own.aggregator_tls.certificate]
    for place in sorted(own.chaincodes.glob("*/server")):
        name = f"{place.parent.name}.{organization.name}"
        found[name] = [place / CERTIFICATE, place.with_name("peer") / CERTIFICATE]
    return found
