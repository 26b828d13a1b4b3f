"""Profiles: all that a user of an organisation needs to take part. Paths stay inside the organisation's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from consilium_network.layout import SIGNING_ROOT, KeyPair, NetworkFolder, OrganizationFolder
from consilium_network.organizations import users_of
from consilium_network.topology import Listener, Organization, Topology
from consilium_peers.durable import write_atomically

FEDERATION_CHAINCODE = "federation"


def write_profiles(topology: Topology, folder: NetworkFolder) -> None:
    """Write one profile per user of every organisation, and one for each aggregator's server."""
    for organization in topology.organizations:
        own = folder.organization(organization.name)
        for user in users_of(organization):
            _write(own.profile(user), _profile(topology, organization, own, user))
        if organization.has_aggregator:
            profile = _profile(topology, organization, own, "client")
            place = own.profile("aggregator")
            profile["server"] = {"address": organization.address(Listener.AGGREGATOR)}
            profile["server"]["tls"] = _pair(own.aggregator_tls, place)
            _write(place, profile)


def _profile(topology: Topology, organization: Organization, own: OrganizationFolder, user: str) -> dict[str, Any]:
    place = own.profile(user)
    member = own.user(user)
    peers = sorted(topology.peers, key=lambda each: each is not organization)  # the own one first
    return {
        "organization": organization.msp_id,
        "role": organization.role.value,
        "channel": topology.channel,
        "chaincode": FEDERATION_CHAINCODE,
        "identity": {
            **_pair(member.identity, place),
            "roots": _relative(member.msp / "cacerts" / SIGNING_ROOT, place),
        },
        "tls": _pair(member.tls, place),
        "gateways": [
            _endpoint(each, own, place, Listener.PEER) for each in peers if each.is_hospital or each is organization
        ],
        "aggregators": [_endpoint(each, own, place, Listener.AGGREGATOR) for each in topology.aggregators],
        "organizations": [
            {"organization": each.msp_id, "tls_roots": _relative(own.partner_tls_root(each.name), place)}
            for each in topology.organizations
        ],
    }


def _endpoint(each: Organization, own: OrganizationFolder, place: Path, listener: Listener) -> dict[str, str]:
    return {
        "address": each.address(listener),
        "tls_roots": _relative(own.partner_tls_root(each.name), place),
        "organization": each.msp_id,
    }


def _pair(pair: KeyPair, place: Path) -> dict[str, str]:
    return {"certificate": _relative(pair.certificate, place), "private_key": _relative(pair.private_key, place)}


def _relative(path: Path, place: Path) -> str:
    return os.path.relpath(path, place.parent)


def _write(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, yaml.safe_dump(content, sort_keys=False).encode())
