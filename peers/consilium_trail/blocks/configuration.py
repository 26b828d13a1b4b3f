"""A channel's configuration: organisations with their roots and revocation lists, orderers, policies, capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_configuration_pb2

from consilium_trail.blocks.policies import Policy, decode_policy
from consilium_trail.blocks.transactions import Signer
from consilium_trail.blocks.wire import parse, parse_identity
from consilium_trail.errors import MalformedBlockError, MalformedConfigurationError

ROOT = "/Channel"
APPLICATION = f"{ROOT}/Application"
ORDERER = f"{ROOT}/Orderer"
_FABRIC_MSP = 0
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class NodeUnit:
    """An organisational unit that stands for a role, and the certificate (PEM) that it must come from; empty: any."""

    unit: str
    certifier: bytes


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation's membership: what makes a certificate one of its.

    Attributes:
        name: of its group in the configuration.
        msp_id: as identities name it.
        roots, intermediates, admins, tls_roots: certificates (PEM).
        revocation_lists: certificate revocation lists (PEM).
        node_units: by role (CLIENT, PEER, ADMIN, ORDERER); empty when certificates tell no roles.
    """

    name: str
    msp_id: str
    roots: tuple[bytes, ...]
    intermediates: tuple[bytes, ...]
    admins: tuple[bytes, ...]
    tls_roots: tuple[bytes, ...]
    revocation_lists: tuple[bytes, ...]
    node_units: Mapping[str, NodeUnit]


@dataclass(frozen=True, slots=True)
class Consenter:
    """An orderer that takes part in Byzantine ordering; `identity` is the certificate (PEM) it signs blocks with."""

    number: int
    msp_id: str
    host: str
    port: int
    identity: bytes


@dataclass(frozen=True, slots=True)
class ConfigurationSignature:
    """A signature over its own header ‖ the update."""

    signer: Signer
    header: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class ConfigurationUpdate:
    """The update that led to a configuration: who signed it and which elements it names (`configtx.ConfigUpdate`)."""

    channel: str
    signatures: tuple[ConfigurationSignature, ...]
    raw: bytes
    update: Any


@dataclass(frozen=True, slots=True)
class ChannelConfiguration:
    """A channel's configuration.

    Attributes:
        sequence: how many updates it has seen.
        organizations: by MSP id; those of the application and of the orderers.
        consenters: by number; empty when ordering isn't Byzantine.
        consensus: the kind of ordering, such as BFT.
        policies: by path, such as /Channel/Application/Endorsement.
        capabilities: by path of the group.
        groups: paths of all groups, each with its direct subgroups' names.
        tree: the `configtx.ConfigGroup` itself.
        update: what led to it; None in a channel's first block.
    """

    sequence: int
    organizations: Mapping[str, Organization]
    consenters: Mapping[int, Consenter]
    consensus: str
    policies: Mapping[str, Policy]
    capabilities: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    tree: Any
    update: ConfigurationUpdate | None

    @property
    def quorum(self) -> int:
        """How many consenters must sign a block: ⌈(n+f+1)/2⌉ with f = ⌊(n−1)/3⌋."""
        count = len(self.consenters)
        return (count + (count - 1) // 3 + 2) // 2

    def application_name(self, msp_id: str) -> str | None:
        """Return the name of an organisation's group among the application's; None when it isn't there."""
        organization = self.organizations.get(msp_id)
        if organization is None or organization.name not in self.groups.get(APPLICATION, ()):
            return None
        return organization.name


def decode_configuration(data: bytes) -> ChannelConfiguration:
    """Decode the data of a CONFIG transaction.

    Raises:
        MalformedConfigurationError: it isn't a configuration, or lacks organisations.
    """
    try:
        envelope = parse(configtx_pb2.ConfigEnvelope, data, "the configuration")
        tree = envelope.config.channel_group
        organizations = _organizations(tree)
        if not organizations:
            raise MalformedConfigurationError("the configuration has no organisation")
        groups: dict[str, tuple[str, ...]] = {}
        policies: dict[str, Policy] = {}
        capabilities: dict[str, tuple[str, ...]] = {}
        _walk(tree, ROOT, groups, policies, capabilities)
        orderer = tree.groups["Orderer"] if "Orderer" in tree.groups else configtx_pb2.ConfigGroup()
        update = _update(envelope.last_update) if envelope.HasField("last_update") else None
        return ChannelConfiguration(
            sequence=int(envelope.config.sequence),
            organizations=organizations,
            consenters=_consenters(orderer),
            consensus=_consensus(orderer),
            policies=policies,
            capabilities=capabilities,
            groups=groups,
            tree=tree,
            update=update,
        )
    except MalformedBlockError as error:
        raise MalformedConfigurationError(str(error)) from None


def _walk(
    group: Any,
    path: str,
    groups: dict[str, tuple[str, ...]],
    policies: dict[str, Policy],
    capabilities: dict[str, tuple[str, ...]],
) -> None:
    if path.count("/") > _DEEPEST:
        raise MalformedConfigurationError(f"the configuration is nested too deeply at {path}")
    groups[path] = tuple(sorted(group.groups))
    for name in group.policies:
        policies[f"{path}/{name}"] = decode_policy(group.policies[name].policy)
    if "Capabilities" in group.values:
        raw = group.values["Capabilities"].value
        capabilities[path] = tuple(sorted(parse(configuration_pb2.Capabilities, raw, "capabilities").capabilities))
    for name in group.groups:
        _walk(group.groups[name], f"{path}/{name}", groups, policies, capabilities)


def _organizations(tree: Any) -> dict[str, Organization]:
    """Return the organisations of both groups; one that is in both is the same one twice, or refused."""
    found: dict[str, Organization] = {}
    for kind in ("Orderer", "Application"):
        members = tree.groups[kind].groups if kind in tree.groups else {}
        for name in sorted(members):
            organization = _organization(name, members[name])
            known = found.setdefault(organization.msp_id, organization)
            if replace(known, name=name) != organization:
                raise MalformedConfigurationError(f"{organization.msp_id} is another organisation in another place")
            found[organization.msp_id] = organization
    return found


def _organization(name: str, group: Any) -> Organization:
    if "MSP" not in group.values:
        raise MalformedConfigurationError(f"organisation {name} has no MSP")
    outer = parse(msp_config_pb2.MSPConfig, group.values["MSP"].value, f"the MSP of {name}")
    if outer.type != _FABRIC_MSP:
        raise MalformedConfigurationError(f"the MSP of {name} is of type {outer.type}, not of X.509 certificates")
    msp = parse(msp_config_pb2.FabricMSPConfig, outer.config, f"the MSP of {name}")
    if not msp.name or not msp.root_certs:
        raise MalformedConfigurationError(f"the MSP of {name} has no id or no root")
    return Organization(
        name=name,
        msp_id=str(msp.name),
        roots=_certificates(msp.root_certs),
        intermediates=_certificates(msp.intermediate_certs),
        admins=_certificates(msp.admins),
        tls_roots=_certificates(msp.tls_root_certs),
        revocation_lists=_certificates(msp.revocation_list),
        node_units=_node_units(msp.fabric_node_ous) if msp.fabric_node_ous.enable else {},
    )


def _certificates(raw: Any) -> tuple[bytes, ...]:
    return tuple(bytes(each) for each in raw)


def _node_units(message: Any) -> dict[str, NodeUnit]:
    named = {
        "CLIENT": message.client_ou_identifier,
        "PEER": message.peer_ou_identifier,
        "ADMIN": message.admin_ou_identifier,
        "ORDERER": message.orderer_ou_identifier,
    }
    return {
        role: NodeUnit(str(each.organizational_unit_identifier), bytes(each.certificate))
        for role, each in named.items()
        if each.organizational_unit_identifier
    }


def _consenters(group: Any) -> dict[int, Consenter]:
    if "Orderers" not in group.values:
        return {}
    mapping = parse(configuration_pb2.Orderers, group.values["Orderers"].value, "the orderers").consenter_mapping
    found = {
        int(each.id): Consenter(int(each.id), str(each.msp_id), str(each.host), int(each.port), bytes(each.identity))
        for each in mapping
    }
    if len(found) != len(mapping):
        raise MalformedConfigurationError("two consenters have the same number")
    if len({each.identity for each in found.values()}) != len(found):
        raise MalformedConfigurationError("two consenters have the same certificate: one orderer would count twice")
    return found


def _consensus(group: Any) -> str:
    if "ConsensusType" not in group.values:
        return ""
    raw = group.values["ConsensusType"].value
    return str(parse(orderer_configuration_pb2.ConsensusType, raw, "the kind of ordering").type)


def _update(envelope: Any) -> ConfigurationUpdate:
    payload = parse(common_pb2.Payload, envelope.payload, "the configuration update")
    inner = parse(configtx_pb2.ConfigUpdateEnvelope, payload.data, "the configuration update")
    update = parse(configtx_pb2.ConfigUpdate, inner.config_update, "the configuration update")
    signatures = tuple(_configuration_signature(each) for each in inner.signatures)
    return ConfigurationUpdate(str(update.channel_id), signatures, bytes(inner.config_update), update)


def _configuration_signature(message: Any) -> ConfigurationSignature:
    header = bytes(message.signature_header)
    creator = bytes(parse(common_pb2.SignatureHeader, header, "a signature of the update").creator)
    signer = Signer(creator, *parse_identity(creator, "a signer of the update"))
    return ConfigurationSignature(signer, header, bytes(message.signature))
