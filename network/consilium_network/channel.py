"""The channel's configuration: who orders, who endorses, who may change what; and its first block.

All policies that decide something are explicit signature policies over the hospitals. An implicit majority would count
the regulator and the aggregator too: two hospitals could then forge, and one dead peer could block.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import yaml

from consilium_network.errors import ChannelError
from consilium_network.layout import NetworkFolder
from consilium_network.programs import Programs, program_environment
from consilium_network.topology import Listener, Organization, Topology

_PROFILE = "Consilium"
_TIMEOUT_SECONDS = 60

# Ordering is SmartBFT. RequestBatchMaxInterval, which the topology says, cuts blocks; Fabric's BatchTimeout isn't read.
# The shorter forward and complain times bring the pause after a leader's death from 22 seconds to about 3.
SMART_BFT: dict[str, Any] = {
    "RequestForwardTimeout": "2s",
    "RequestComplainTimeout": "3s",
    "RequestAutoRemoveTimeout": "3m",
    "ViewChangeResendInterval": "2s",
    "ViewChangeTimeout": "8s",
    "LeaderHeartbeatTimeout": "10s",
    "LeaderHeartbeatCount": 10,
    "CollectTimeout": "1s",
    "IncomingMessageBufferSize": 200,
    "RequestPoolSize": 100_000,
    "SyncOnStart": False,
    "SpeedUpViewChange": False,
}
# One huge transaction can wedge Byzantine ordering for good, so the largest one is bounded well below gRPC's limits.
BATCH_SIZE: dict[str, Any] = {"MaxMessageCount": 500, "AbsoluteMaxBytes": "10 MB", "PreferredMaxBytes": "2 MB"}


def endorsement_rule(topology: Topology) -> str:
    """Return the policy for every write: peers of two thirds of the hospitals, rounded up."""
    return _quorum(topology.endorsement_quorum, [f"'{each.msp_id}.peer'" for each in topology.hospitals])


def administration_rule(topology: Topology) -> str:
    """Return the policy for changes of the configuration: admins of more than half of the hospitals."""
    return _quorum(topology.administration_quorum, [f"'{each.msp_id}.admin'" for each in topology.hospitals])


def channel_profile(topology: Topology, folder: NetworkFolder) -> dict[str, Any]:
    """Return configtxgen's input: the whole configuration of the channel's first block."""
    admins = _signature(administration_rule(topology))
    interval = f"{topology.block_interval_ms}ms"
    anyone = {"Readers": _meta("ANY Readers"), "Writers": _meta("ANY Writers"), "Admins": admins}
    endorsement = _signature(endorsement_rule(topology))
    ordering = {
        "OrdererType": "BFT",
        "BatchTimeout": interval,
        "BatchSize": BATCH_SIZE,
        "Capabilities": {"V2_0": True},
        "Organizations": [_ordering_organization(each, folder) for each in topology.orderers],
        "Policies": {**anyone, "BlockValidation": _meta("ANY Writers")},
        "ConsenterMapping": [_consenter(i, each, folder) for i, each in enumerate(topology.orderers, start=1)],
        "SmartBFT": {"RequestBatchMaxInterval": interval, **SMART_BFT},
    }
    application = {
        "Organizations": [_application_organization(each, folder) for each in topology.organizations],
        "Capabilities": {"V2_5": True},
        "Policies": {**anyone, "LifecycleEndorsement": endorsement, "Endorsement": endorsement},
    }
    channel = {
        "Capabilities": {"V3_0": True},
        "Policies": anyone,
        "Orderer": ordering,
        "Application": application,
    }
    return {"Profiles": {_PROFILE: channel}}


async def make_genesis_block(topology: Topology, folder: NetworkFolder, programs: Programs) -> bytes:
    """Run configtxgen and return the channel's first block.

    Raises:
        ChannelError: configtxgen refuses the configuration or takes longer than a minute.
    """
    place = folder.channel
    place.mkdir(parents=True, exist_ok=True)
    (place / "configtx.yaml").write_text(yaml.safe_dump(channel_profile(topology, folder), sort_keys=False))
    block = place / "genesis.block"
    command = [str(programs.configtxgen), "-configPath", str(place), "-profile", _PROFILE]
    command += ["-channelID", topology.channel, "-outputBlock", str(block)]
    await _run(command, place)
    return block.read_bytes()


async def _run(command: list[str], place: Path) -> None:
    environment = program_environment({"FABRIC_CFG_PATH": str(place)})
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, output = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ChannelError(f"configtxgen did not finish within {_TIMEOUT_SECONDS} seconds") from None
    if process.returncode:
        lines = output.decode(errors="replace").strip().splitlines()
        raise ChannelError(f"configtxgen refuses the channel's configuration: {lines[-1] if lines else 'no message'}")


def _ordering_organization(each: Organization, folder: NetworkFolder) -> dict[str, Any]:
    return {
        **_membership(each, folder, writers=("orderer",)),
        "OrdererEndpoints": [each.address(Listener.ORDERER)],
    }


def _application_organization(each: Organization, folder: NetworkFolder) -> dict[str, Any]:
    # A peer asks for Writers before it answers a query too, so the regulator needs it; the contract decides who writes.
    # Whoever isn't a hospital has no Endorsement policy: it can't even approve chaincode.
    described = _membership(each, folder, writers=("admin", "client"))
    if each.is_hospital:
        described["Policies"]["Endorsement"] = _signature(f"OR('{each.msp_id}.peer')")
    if each.has_peer:
        described["AnchorPeers"] = [{"Host": each.host, "Port": each.port(Listener.PEER)}]
    return described


def _membership(each: Organization, folder: NetworkFolder, writers: tuple[str, ...]) -> dict[str, Any]:
    readers = ("admin", "peer", "orderer", "client")
    policies = {
        "Readers": _any_of(each, readers),
        "Writers": _any_of(each, writers),
        "Admins": _any_of(each, ("admin",)),
    }
    return {"Name": each.msp_id, "ID": each.msp_id, "MSPDir": str(folder.public(each.name).msp), "Policies": policies}


def _consenter(number: int, each: Organization, folder: NetworkFolder) -> dict[str, Any]:
    public = folder.public(each.name)
    return {
        "ID": number,
        "Host": each.host,
        "Port": each.port(Listener.ORDERER_CLUSTER),
        "MSPID": each.msp_id,
        "Identity": str(public.orderer_identity),
        "ClientTLSCert": str(public.orderer_tls),
        "ServerTLSCert": str(public.orderer_tls),
    }


def _quorum(count: int, principals: list[str]) -> str:
    return f"OutOf({count}, {', '.join(principals)})"


def _any_of(each: Organization, roles: tuple[str, ...]) -> dict[str, str]:
    return _signature("OR(" + ", ".join(f"'{each.msp_id}.{role}'" for role in roles) + ")")


def _signature(rule: str) -> dict[str, str]:
    return {"Type": "Signature", "Rule": rule}


def _meta(rule: str) -> dict[str, str]:
    return {"Type": "ImplicitMeta", "Rule": rule}
