"""How each node is configured and started. Everything a node reads lies in its own organisation's folder."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from consilium_network.builder import write_builder
from consilium_network.errors import NetworkStateError
from consilium_network.layout import NetworkFolder, OrganizationFolder, SupervisorFolder, write_atomically
from consilium_network.programs import Programs, program_environment
from consilium_network.topology import Listener, Organization

# Information level wrote 170 MB in minutes; gossip and gRPC report every peer that isn't there yet as a warning.
LOG_LEVELS = "warning:gossip=error:grpc=error:comm=error"
_LARGEST_MESSAGE = 100 * 1024 * 1024


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
    configuration = _peer_configuration(organization, own)
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
    configuration = _orderer_configuration(organization, own)
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


def _peer_configuration(organization: Organization, own: OrganizationFolder) -> dict[str, Any]:
    """Return core.yaml. Only what differs from Fabric's own defaults, or has none, is here."""
    member = own.node("peer")
    data = member.root / "data"
    return {
        "peer": {
            "id": peer_name(organization),
            "networkId": "consilium",
            "listenAddress": organization.address(Listener.PEER),
            "address": organization.address(Listener.PEER),
            "chaincodeListenAddress": organization.address(Listener.PEER_CHAINCODE),
            "chaincodeAddress": organization.address(Listener.PEER_CHAINCODE),
            "mspConfigPath": str(member.msp),
            "localMspId": organization.msp_id,
            "localMspType": "bccsp",
            "BCCSP": _software_keys(),
            "fileSystemPath": str(data),
            "gossip": _gossip(organization.address(Listener.PEER)),
            "tls": _peer_tls(own),
            # The gateway pings remote peers every 10 s; the default minimum of 60 s answers with GOAWAY.
            "keepalive": {"minInterval": "5s", "interval": "7200s", "timeout": "20s"},
            "gateway": {"enabled": True, "endorsementTimeout": "30s", "broadcastTimeout": "30s", "dialTimeout": "5s"},
            # How long a peer waits for a silent orderer while others already show newer blocks; 30 s by default.
            "deliveryclient": {
                "blockCensorshipTimeoutKey": "5s",
                "blockGossipEnabled": False,
                "reConnectBackoffThreshold": "5s",
                "reconnectTotalTimeThreshold": "87600h",
            },
            "authentication": {"timewindow": "15m"},
            "discovery": {
                "enabled": True,
                "authCacheEnabled": True,
                "authCacheMaxSize": 1000,
                "authCachePurgeRetentionRatio": 0.75,
            },
            "handlers": _handlers(),
            "limits": {"concurrency": {"endorserService": 2500, "deliverService": 2500, "gatewayService": 500}},
            "maxRecvMsgSize": _LARGEST_MESSAGE,
            "maxSendMsgSize": _LARGEST_MESSAGE,
        },
        "vm": {"endpoint": ""},  # without Docker it must be empty, or every health check asks for Docker
        "chaincode": _chaincode_settings(own),
        "ledger": {
            "state": {"stateDatabase": "goleveldb", "totalQueryLimit": 100_000},
            "history": {"enableHistoryDatabase": True},
            "snapshots": {"rootDir": str(data / "snapshots")},
        },
        "operations": {
            "listenAddress": organization.address(Listener.PEER_OPERATIONS),
            "tls": {
                "enabled": True,
                "cert": {"file": str(member.tls.certificate)},
                "key": {"file": str(member.tls.private_key)},
                "clientAuthRequired": True,
                "clientRootCAs": {"files": [str(own.monitor_root)]},
            },
        },
        "metrics": {"provider": "prometheus"},
    }


def _peer_tls(own: OrganizationFolder) -> dict[str, Any]:
    pair = own.node("peer").tls
    return {
        "enabled": True,
        "clientAuthRequired": True,
        "cert": {"file": str(pair.certificate)},
        "key": {"file": str(pair.private_key)},
        "rootcert": {"file": str(own.tls_root)},
        # The roots of the other organisations come from the channel's configuration.
        "clientRootCAs": {"files": [str(own.tls_root)]},
        "clientCert": {"file": str(pair.certificate)},
        "clientKey": {"file": str(pair.private_key)},
    }


def _gossip(address: str) -> dict[str, Any]:
    return {
        "bootstrap": address,
        "endpoint": address,
        "externalEndpoint": address,
        "useLeaderElection": False,
        "orgLeader": True,
        # Peers of other organisations are strangers until the channel is joined; with the default of 25 s the first
        # endorsement across organisations would wait 6 to 11 s.
        "reconnectInterval": "1s",
        "membershipTrackerInterval": "1s",
        "requestStateInfoInterval": "1s",
        "publishStateInfoInterval": "1s",
        "maxBlockCountToStore": 10,
        "state": {"enabled": False},
        "pvtData": {
            "pullRetryThreshold": "60s",
            "transientstoreMaxBlockRetention": 20_000,
            "pushAckTimeout": "3s",
            "btlPullMargin": 10,
            "reconcileBatchSize": 10,
            "reconcileSleepInterval": "1m",
            "reconciliationEnabled": True,
            "implicitCollectionDisseminationPolicy": {"requiredPeerCount": 0, "maxPeerCount": 1},
        },
    }


def _handlers() -> dict[str, Any]:
    return {
        "authFilters": [{"name": "DefaultAuth"}, {"name": "ExpirationCheck"}, {"name": "TimeWindowCheck"}],
        "decorators": [{"name": "DefaultDecorator"}],
        "endorsers": {"escc": {"name": "DefaultEndorsement"}},
        "validators": {"vscc": {"name": "DefaultValidation"}},
    }


def _chaincode_settings(own: OrganizationFolder) -> dict[str, Any]:
    return {
        "externalBuilders": [{"name": "service", "path": str(own.builder), "propagateEnvironment": []}],
        "installTimeout": "60s",
        "startuptimeout": "60s",
        "executetimeout": "30s",
        "mode": "net",
        "keepalive": 0,
        "system": {"_lifecycle": "enable", "cscc": "enable", "lscc": "enable", "qscc": "enable"},
        "logging": {"level": "warning", "shim": "warning"},
        "runtimeParams": {
            "useWriteBatch": True,
            "maxSizeWriteBatch": 1000,
            "useGetMultipleKeys": True,
            "maxSizeGetMultipleKeys": 1000,
        },
    }


def _orderer_configuration(organization: Organization, own: OrganizationFolder) -> dict[str, Any]:
    """Return orderer.yaml."""
    member = own.node("orderer")
    server = {"Certificate": str(member.tls.certificate), "PrivateKey": str(member.tls.private_key)}
    return {
        "General": {
            "ListenAddress": organization.host,
            "ListenPort": organization.port(Listener.ORDERER),
            "BootstrapMethod": "none",
            "LocalMSPDir": str(member.msp),
            "LocalMSPID": organization.msp_id,
            "BCCSP": _software_keys(),
            "Keepalive": {"ServerMinInterval": "5s", "ServerInterval": "7200s", "ServerTimeout": "20s"},
            "Backoff": {"BaseDelay": "1s", "Multiplier": 1.6, "MaxDelay": "5s"},
            "MaxRecvMsgSize": _LARGEST_MESSAGE,
            "MaxSendMsgSize": _LARGEST_MESSAGE,
            # No client certificates on this listener: an orderer that fell behind fetches blocks through it and sends
            # none, so requiring one would keep it behind for good. Requests are signed anyway, and the orderers'
            # own listener below does authenticate both sides.
            "TLS": {"Enabled": True, **server, "RootCAs": [str(own.tls_root)], "ClientAuthRequired": False},
            "Cluster": {
                "ListenAddress": organization.host,
                "ListenPort": organization.port(Listener.ORDERER_CLUSTER),
                "ServerCertificate": server["Certificate"],
                "ServerPrivateKey": server["PrivateKey"],
                "ClientCertificate": server["Certificate"],
                "ClientPrivateKey": server["PrivateKey"],
                "SendBufferSize": 100,
            },
            "Authentication": {"TimeWindow": "15m"},
        },
        "FileLedger": {"Location": str(member.root / "data" / "ledger")},
        "Consensus": {"WALDir": str(member.root / "data" / "wal"), "SnapDir": str(member.root / "data" / "snapshots")},
        "ChannelParticipation": {"Enabled": True, "MaxRequestBodySize": "4 MB"},
        "Admin": _guarded(organization.address(Listener.ORDERER_ADMINISTRATION), server, own.tls_root),
        "Operations": _guarded(organization.address(Listener.ORDERER_OPERATIONS), server, own.monitor_root),
        "Metrics": {"Provider": "prometheus"},
    }


def _guarded(address: str, server: Mapping[str, str], client_root: Path) -> dict[str, Any]:
    """Return an HTTP listener that asks for client certificates."""
    tls = {"Enabled": True, **server, "ClientAuthRequired": True, "ClientRootCAs": [str(client_root)]}
    return {"ListenAddress": address, "TLS": tls}


def _software_keys() -> dict[str, Any]:
    return {"Default": "SW", "SW": {"Hash": "SHA2", "Security": 256}}
