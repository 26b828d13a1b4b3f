"""Where things lie in a network's folder.

`organizations/NAME` belongs to one organisation alone (mode 0700): its keys, its nodes' data, its logs, and copies of
what others made public. It could be on a machine of its own, so nothing in it refers to another organisation's folder.
`public/NAME` is what an organisation hands to everybody. `supervisor` is this machine's record of what it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CERTIFICATE = "cert.pem"
PRIVATE_KEY = "key.pem"
TLS_ROOT = "tlsca.pem"
SIGNING_ROOT = "ca.pem"


@dataclass(frozen=True)
class KeyPair:
    """The paths of a certificate and its private key (both PEM)."""

    certificate: Path
    private_key: Path

    @classmethod
    def within(cls, folder: Path) -> KeyPair:
        """Return the pair that lies in `folder` under the usual names."""
        return cls(folder / CERTIFICATE, folder / PRIVATE_KEY)


@dataclass(frozen=True)
class Member:
    """A node or user of an organisation: its Fabric identity (an MSP folder) and its TLS pair."""

    root: Path

    @property
    def msp(self) -> Path:
        """The MSP folder, as Fabric's programs read it."""
        return self.root / "msp"

    @property
    def identity(self) -> KeyPair:
        """The signing pair inside the MSP folder."""
        return KeyPair(self.msp / "signcerts" / CERTIFICATE, self.msp / "keystore" / "priv_sk")

    @property
    def tls(self) -> KeyPair:
        """The TLS pair."""
        return KeyPair.within(self.root / "tls")


@dataclass(frozen=True)
class OrganizationFolder:
    """The folder of one organisation."""

    root: Path

    @property
    def authority(self) -> Path:
        """The folder of the certificate authority that signs identities."""
        return self.root / "authority"

    @property
    def tls_authority(self) -> Path:
        """The folder of the certificate authority that signs TLS certificates."""
        return self.root / "tls-authority"

    @property
    def tls_root(self) -> Path:
        """The organisation's own TLS root certificate."""
        return self.tls_authority / CERTIFICATE

    def user(self, name: str) -> Member:
        """Return a user, such as admin, client or auditor."""
        return Member(self.root / "users" / name)

    def node(self, kind: str) -> Member:
        """Return a node's identity: peer or orderer. Its configuration and data lie beside."""
        return Member(self.root / "nodes" / kind)

    @property
    def aggregator_tls(self) -> KeyPair:
        """The TLS pair with which the aggregator's interface is served."""
        return KeyPair.within(self.root / "servers" / "aggregator")

    @property
    def chaincodes(self) -> Path:
        """The folder that holds one folder per chaincode service."""
        return self.root / "chaincode"

    def chaincode(self, name: str) -> Path:
        """Return the folder of a chaincode service."""
        return self.chaincodes / name

    @property
    def builder(self) -> Path:
        """The external builder through which the peer accepts chaincode services."""
        return self.root / "builder"

    def partner_tls_root(self, name: str) -> Path:
        """Return this organisation's own copy of an organisation's TLS root certificate."""
        return self.root / "partners" / name / TLS_ROOT

    @property
    def monitor_root(self) -> Path:
        """Who may read the metrics of the organisation's nodes: a copy of the supervisor's root certificate."""
        return self.root / "partners" / "monitor.pem"

    @property
    def genesis_block(self) -> Path:
        """This organisation's own copy of the channel's first block."""
        return self.root / "channel" / "genesis.block"

    @property
    def trusted_roots(self) -> Path:
        """What a verifier of trails trusts: all organisations' roots, and the hash of the channel's first block."""
        return self.root / "channel" / "roots.pem"

    def profile(self, user: str) -> Path:
        """Return the profile of a user."""
        return self.root / "profiles" / f"{user}.yaml"

    @property
    def sdk_profile(self) -> Path:
        """The organisation's connection profile for programs on fabric-sdk-py."""
        return self.root / "profiles" / "fabric-sdk-py.json"

    def log(self, node: str) -> Path:
        """Return the log file of a node."""
        return self.root / "logs" / f"{node}.log"


@dataclass(frozen=True)
class PublicFolder:
    """What one organisation hands to every other: certificates only."""

    root: Path

    @property
    def msp(self) -> Path:
        """The organisation's MSP without keys, as the channel's configuration holds it."""
        return self.root / "msp"

    @property
    def tls_root(self) -> Path:
        """The organisation's TLS root certificate."""
        return self.msp / "tlscacerts" / TLS_ROOT

    @property
    def orderer_identity(self) -> Path:
        """The certificate with which the organisation's orderer signs blocks."""
        return self.root / "orderer" / "identity.pem"

    @property
    def orderer_tls(self) -> Path:
        """The TLS certificate of the organisation's orderer."""
        return self.root / "orderer" / "tls.pem"


@dataclass(frozen=True)
class NetworkFolder:
    """The folder of a whole network."""

    root: Path

    @property
    def topology(self) -> Path:
        """The topology that the network was made from."""
        return self.root / "topology.yaml"

    @property
    def progress(self) -> Path:
        """How far the network has been set up."""
        return self.root / "progress.json"

    @property
    def channel(self) -> Path:
        """Where the channel's first block is made."""
        return self.root / "public" / "channel"

    @property
    def supervisor(self) -> SupervisorFolder:
        """What this machine runs."""
        return SupervisorFolder(self.root / "supervisor")

    def organization(self, name: str) -> OrganizationFolder:
        """Return the folder of one organisation."""
        return OrganizationFolder(self.root / "organizations" / name)

    def public(self, name: str) -> PublicFolder:
        """Return what one organisation made public."""
        return PublicFolder(self.root / "public" / name)


@dataclass(frozen=True)
class SupervisorFolder:
    """What this machine runs: how each node is started, and what the supervisor last saw of it."""

    root: Path

    @property
    def nodes(self) -> Path:
        """One file per node: how it is started. No secrets."""
        return self.root / "nodes"

    @property
    def state(self) -> Path:
        """What the supervisor last saw of every node."""
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.root / "lock"

    @property
    def log(self) -> Path:
        """The supervisor's own log."""
        return self.root / "supervisor.log"

    @property
    def monitor(self) -> KeyPair:
        """The pair with which the supervisor reads the nodes' metrics."""
        return KeyPair.within(self.root / "monitor")
