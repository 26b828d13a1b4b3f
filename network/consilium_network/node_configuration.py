"""What Fabric's peer and orderer are told: core.yaml and orderer.yaml.

Only what differs from Fabric's own defaults, or has none, is here. Every path lies in the organisation's own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consilium_network.layout import OrganizationFolder
from consilium_network.topology import Listener, Organization

_LARGEST_MESSAGE = 100 * 1024 * 1024


def peer_configuration(organization: Organization, own: OrganizationFolder) -> dict[str, Any]:
    """Return core.yaml."""
    member = own.node("peer")
    data = member.root / "data"
    return {
        "peer": {
            "id": f"peer.{organization.name}",
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
                # The supervisor, and what the hospital itself runs: its chaincode services ask for the ledger's height.
                "clientRootCAs": {"files": [str(own.monitor_root), str(own.tls_root)]},
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


def orderer_configuration(organization: Organization, own: OrganizationFolder) -> dict[str, Any]:
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
