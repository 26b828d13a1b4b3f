"""Connection profiles for programs on fabric-sdk-py (imports as `hfc`): one per organisation, in that SDK's JSON.

What works with it, and what doesn't, is in docs/fabric-sdk-py.md. Paths are absolute: the SDK would take others as
relative to wherever its program is started.
"""

from __future__ import annotations

import json
from typing import Any

from consilium_network.layout import KeyPair, NetworkFolder, OrganizationFolder
from consilium_network.organizations import users_of
from consilium_network.topology import Listener, Organization, Topology
from consilium_peers.durable import write_atomically


def write_sdk_profiles(topology: Topology, folder: NetworkFolder) -> None:
    """Write the profile of every organisation that has users of its own."""
    for organization in topology.organizations:
        own = folder.organization(organization.name)
        content = json.dumps(_profile(topology, organization, own), indent=2) + "\n"
        write_atomically(own.sdk_profile, content.encode())


def _profile(topology: Topology, organization: Organization, own: OrganizationFolder) -> dict[str, Any]:
    # A program's users share its connections; each signs with a key of its own.
    tls = own.user("client" if "client" in users_of(organization) else "auditor").tls
    store = str((own.root / "fabric-sdk-py").absolute())
    return {
        "name": topology.channel,
        "description": f"{organization.name} on channel {topology.channel}",
        "version": "1.0",
        "client": {
            "organization": organization.msp_id,
            "credentialStore": {"path": store, "cryptoStore": {"path": store}},
        },
        "organizations": {
            each.msp_id: {
                "mspid": each.msp_id,
                "peers": [_peer(each)] if each.has_peer else [],
                "orderers": [_orderer(each)] if each.has_orderer else [],
                "certificateAuthorities": [],
                "users": _users(organization, own) if each is organization else {},
            }
            for each in topology.organizations
        },
        "orderers": {_orderer(each): _server(each, Listener.ORDERER, own, tls) for each in topology.orderers},
        "peers": {_peer(each): _server(each, Listener.PEER, own, tls) for each in topology.peers},
        "certificateAuthorities": {},
    }


def _peer(each: Organization) -> str:
    return f"peer.{each.name}"


def _orderer(each: Organization) -> str:
    return f"orderer.{each.name}"


def _users(organization: Organization, own: OrganizationFolder) -> dict[str, dict[str, str]]:
    pairs = {name: own.user(name).identity for name in users_of(organization)}
    return {
        name: {"cert": str(pair.certificate.absolute()), "private_key": str(pair.private_key.absolute())}
        for name, pair in pairs.items()
    }


def _server(each: Organization, listener: Listener, own: OrganizationFolder, tls: KeyPair) -> dict[str, Any]:
    return {
        "url": each.address(listener),
        "grpcOptions": {"grpc.ssl_target_name_override": each.host, "grpc.enable_http_proxy": 0},
        "tlsCACerts": {"path": str(own.partner_tls_root(each.name).absolute())},
        "clientKey": {"path": str(tls.private_key.absolute())},
        "clientCert": {"path": str(tls.certificate.absolute())},
    }
