"""The organisations of a played channel, their certificates, and the channel's configurations."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import federation_world as world
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2, msp_principal_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import policy_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2

from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_peers.identity import Identity

CHANNEL = "played"
ORGANIZATIONS = (*world.HOSPITALS, *world.AGGREGATORS)
ROLES = {unit.value: unit for unit in OrganizationalUnit}
ROLE = msp_principal_pb2.MSPRole

ChainMember = Identity


class PlayedConsortium:
    """Organisations with authorities and members, and the channel that they have."""

    def __init__(self, days: float = 30) -> None:
        self.now = time.time_ns() // 1_000_000
        self.days = days
        self.authorities = {name: Authority.create(f"{name} identities", name) for name in ORGANIZATIONS}
        self.members: dict[tuple[str, str], ChainMember] = {}
        for name in ORGANIZATIONS:
            for role in ROLES:
                self.members[name, role] = self.issue(name, role)
        self.configuration = PlayedConfiguration(self)

    def issue(self, name: str, role: str, days: float | None = None, authority: Authority | None = None) -> ChainMember:
        """Issue a certificate of an organisation; another authority may sign it."""
        issuer = authority or self.authorities[name]
        issued = issuer.identity(f"{role}.{name}", ROLES[role], self.days if days is None else days)
        return Identity(name, issued.certificate_pem(), issued.private_key_pem())

    @property
    def orderers(self) -> tuple[ChainMember, ...]:
        """The consenters in the order of their numbers, from 1."""
        return tuple(self.members[name, "orderer"] for name in world.HOSPITALS)

    @property
    def endorsers(self) -> tuple[ChainMember, ...]:
        """Three of the four hospitals' peers: as many as must endorse."""
        return tuple(self.members[name, "peer"] for name in world.HOSPITALS[:3])

    def root_certificates(self, names: Iterable[str] = ORGANIZATIONS) -> frozenset[bytes]:
        """Return organisations' roots, DER."""
        return frozenset(self.authorities[name].issued.certificate.public_bytes(Encoding.DER) for name in names)

    def revocations(self, name: str, *members: ChainMember) -> bytes:
        """Return an organisation's list of revoked certificates (PEM)."""
        now = datetime.datetime.now(datetime.UTC)
        issuer = self.authorities[name].issued
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
        builder = builder.last_update(now).next_update(now + datetime.timedelta(days=1))
        for member in members:
            serial = member.certificate.serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(issuer.private_key, hashes.SHA256()).public_bytes(Encoding.PEM)


class PlayedConfiguration:
    """Builds configurations; `tree` is the one in force, and what was set before `genesis` is in the first one."""

    def __init__(self, consortium: PlayedConsortium) -> None:
        self._consortium = consortium
        self.consensus = "BFT"
        self.revoked: dict[str, tuple[ChainMember, ...]] = {}
        self.consenters = [(name, consortium.members[name, "orderer"]) for name in world.HOSPITALS]
        self.sequence = 0
        self.tree: Any = None

    def genesis(self) -> bytes:
        """Return the first block's envelope."""
        self.tree = self._tree()
        return self._envelope(configtx_pb2.ConfigEnvelope(config=self._config()), None)

    def update(
        self,
        change: Callable[[Any], None],
        signers: Sequence[ChainMember],
        also: Callable[[Any], None] | None = None,
    ) -> bytes:
        """Return a configuration's envelope: `change` is what is signed, of copies with raised versions by itself.

        `also` changes the result besides, as no honest orderer would.
        """
        update = configtx_pb2.ConfigUpdate(channel_id=CHANNEL)
        update.read_set.version = update.write_set.version = self.tree.version
        change(update.write_set)
        _read_versions(self.tree, update.write_set, update.read_set)
        self.tree = _merged(self.tree, update.write_set)
        if also is not None:
            also(self.tree)
        self.sequence += 1
        raw = update.SerializeToString()
        signatures = []
        for signer in signers:
            header = _signature_header(signer)
            signatures.append(
                configtx_pb2.ConfigSignature(signature_header=header, signature=signer.sign(header + raw))
            )
        signed = configtx_pb2.ConfigUpdateEnvelope(config_update=raw, signatures=signatures).SerializeToString()
        last = common_pb2.Envelope(payload=common_pb2.Payload(data=signed).SerializeToString())
        orderer = self._consortium.orderers[0]
        return self._envelope(configtx_pb2.ConfigEnvelope(config=self._config(), last_update=last), orderer)

    def change_of_membership(self, name: str, *revoked: ChainMember) -> Callable[[Any], None]:
        """Return the change that revokes certificates of an organisation."""

        msp = self._msp(name, revoked)

        def change(write_set: Any) -> None:
            for kind in ("Application", "Orderer"):
                if name not in self.tree.groups[kind].groups:
                    continue
                group = self.tree.groups[kind].groups[name]
                write_set.groups[kind].version = self.tree.groups[kind].version
                write_set.groups[kind].groups[name].version = group.version
                value = write_set.groups[kind].groups[name].values["MSP"]
                value.CopyFrom(group.values["MSP"])
                value.version += 1
                value.value = msp

        return change

    def definition(self, chaincode: str, policy: Any = None) -> dict[str, bytes | None]:
        """Return the lifecycle's keys and values of a committed definition, under the channel's Endorsement policy."""
        channel_s = policy_pb2.ApplicationPolicy(channel_config_policy_reference="/Channel/Application/Endorsement")
        policy = policy or channel_s
        info = chaincode_definition_pb2.ChaincodeValidationInfo(
            validation_plugin="vscc", validation_parameter=policy.SerializeToString()
        )
        fields = f"namespaces/fields/{chaincode}"
        return {
            f"{fields}/Sequence": db_pb2.StateData(Int64=1).SerializeToString(),
            f"{fields}/ValidationInfo": db_pb2.StateData(Bytes=info.SerializeToString()).SerializeToString(),
        }

    def _config(self) -> Any:
        return configtx_pb2.Config(sequence=self.sequence, channel_group=self.tree)

    def _envelope(self, data: Any, creator: ChainMember | None) -> bytes:
        header = common_pb2.ChannelHeader(type=common_pb2.CONFIG, channel_id=CHANNEL)
        header.timestamp.FromMilliseconds(self._consortium.now)
        signed = common_pb2.SignatureHeader(nonce=os.urandom(24)).SerializeToString()
        payload = common_pb2.Payload(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(),
                signature_header=signed if creator is None else _signature_header(creator),
            ),
            data=data.SerializeToString(),
        ).SerializeToString()
        signature = b"" if creator is None else creator.sign(payload)
        return bytes(common_pb2.Envelope(payload=payload, signature=signature).SerializeToString())

    def _tree(self) -> Any:
        channel = configtx_pb2.ConfigGroup(mod_policy="Admins")
        admins = _quorum(3, [(name, ROLE.ADMIN) for name in world.HOSPITALS])
        endorsement = _quorum(3, [(name, ROLE.PEER) for name in world.HOSPITALS])
        for kind, members in (("Application", ORGANIZATIONS), ("Orderer", world.HOSPITALS)):
            group = channel.groups[kind]
            group.mod_policy = "Admins"
            _set_policy(group, "Admins", admins)
            for name in members:
                self._add_organization(group.groups[name], name)
        _set_policy(channel, "Admins", admins)
        _set_policy(channel.groups["Application"], "Endorsement", endorsement)
        _set_policy(channel.groups["Application"], "LifecycleEndorsement", endorsement)
        orderer = channel.groups["Orderer"]
        _set_value(orderer, "ConsensusType", orderer_pb2.ConsensusType(type=self.consensus))
        _set_value(orderer, "Orderers", configuration_pb2.Orderers(consenter_mapping=self._consenters()))
        return channel

    def _consenters(self) -> list[Any]:
        return [
            configuration_pb2.Consenter(id=number, msp_id=name, identity=member.certificate_pem)
            for number, (name, member) in enumerate(self.consenters, start=1)
        ]

    def _add_organization(self, group: Any, name: str) -> None:
        group.mod_policy = "Admins"
        group.values["MSP"].value = self._msp(name, self.revoked.get(name, ()))
        group.values["MSP"].mod_policy = "Admins"
        _set_policy(group, "Admins", _quorum(1, [(name, ROLE.ADMIN)]))

    def _msp(self, name: str, revoked: Sequence[ChainMember]) -> bytes:
        root = self._consortium.authorities[name].issued.certificate_pem()
        units = {
            f"{role}_ou_identifier": msp_config_pb2.FabricOUIdentifier(
                certificate=root, organizational_unit_identifier=role
            )
            for role in ROLES
        }
        inner = msp_config_pb2.FabricMSPConfig(
            name=name, root_certs=[root], fabric_node_ous=msp_config_pb2.FabricNodeOUs(enable=True, **units)
        )
        if revoked:
            inner.revocation_list.append(self._consortium.revocations(name, *revoked))
        return bytes(msp_config_pb2.MSPConfig(config=inner.SerializeToString()).SerializeToString())


def _signature_header(signer: ChainMember) -> bytes:
    header = common_pb2.SignatureHeader(creator=signer.serialized, nonce=os.urandom(24))
    return bytes(header.SerializeToString())


def _quorum(count: int, principals: Sequence[tuple[str, int]]) -> Any:
    rules = [policies_pb2.SignaturePolicy(signed_by=number) for number in range(len(principals))]
    identities = [
        msp_principal_pb2.MSPPrincipal(principal=ROLE(msp_identifier=name, role=role).SerializeToString())
        for name, role in principals
    ]
    rule = policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=count, rules=rules))
    value = policies_pb2.SignaturePolicyEnvelope(rule=rule, identities=identities).SerializeToString()
    return policies_pb2.Policy(type=policies_pb2.Policy.SIGNATURE, value=value)


def _set_policy(group: Any, name: str, policy: Any) -> None:
    group.policies[name].policy.CopyFrom(policy)
    group.policies[name].mod_policy = "Admins"


def _set_value(group: Any, name: str, value: Any) -> None:
    group.values[name].value = value.SerializeToString()
    group.values[name].mod_policy = "Admins"


def _read_versions(now: Any, written: Any, read: Any) -> None:
    """Fill the read set with the groups that the write set names, at their present versions."""
    read.version = now.version
    for name in written.groups:
        if name in now.groups:
            _read_versions(now.groups[name], written.groups[name], read.groups[name])


def _merged(now: Any, written: Any) -> Any:
    """Return a tree with what the write set has in it; groups that it leaves at their versions keep their members."""
    merged = configtx_pb2.ConfigGroup()
    merged.CopyFrom(now)
    for name in written.values:
        merged.values[name].CopyFrom(written.values[name])
    for name in written.policies:
        merged.policies[name].CopyFrom(written.policies[name])
    for name in written.groups:
        inner = now.groups[name] if name in now.groups else configtx_pb2.ConfigGroup()
        merged.groups[name].CopyFrom(_merged(inner, written.groups[name]))
    return merged
