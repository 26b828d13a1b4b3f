"""The consortium's first record: who may act. Every hospital approves it, then one of them puts it into force."""

from __future__ import annotations

import asyncio
from pathlib import Path

from consilium_network.errors import ConsortiumError
from consilium_network.layout import NetworkFolder
from consilium_network.topology import Topology
from consilium_peers.errors import EndorseError, GatewayError, PeersError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.records import Consortium
from consilium_proto.refusals import RefusalCode

_ENACT_SECONDS = 20.0
_PAUSE_SECONDS = 0.2


def first_consortium(topology: Topology) -> Consortium:
    """Return the record: the topology's hospitals and aggregators, sorted by MSP id."""
    return Consortium(
        hospitals=tuple(sorted(each.msp_id for each in topology.hospitals)),
        aggregators=tuple(sorted(each.msp_id for each in topology.aggregators)),
        revision=1,
    )


async def found_consortium(topology: Topology, folder: NetworkFolder) -> None:
    """Approve the first consortium as every hospital's admin and enact it.

    Raises:
        ConsortiumError: the contract refuses. The message has its words.
    """
    consortium = first_consortium(topology)
    admins = [folder.organization(each.name).profile("admin") for each in topology.hospitals]
    try:
        if await _enacted(admins[0]):
            return
        await asyncio.gather(*(_approve(admin, consortium) for admin in admins))
        await _enact(admins[0], consortium)
    except PeersError as error:
        raise ConsortiumError(f"the consortium can't be founded: {error}") from None


async def _enact(admin: Path, consortium: Consortium) -> None:
    """Enact; again while some endorsers haven't the last approval's block yet and so answer differently."""
    deadline = asyncio.get_running_loop().time() + _ENACT_SECONDS
    async with Gateway.connect(Profile.load(admin)) as gateway:
        while True:
            try:
                await Federation(gateway.network().contract()).enact_consortium(consortium)
            except EndorseError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return


async def _enacted(admin: Path) -> bool:
    async with Gateway.connect(Profile.load(admin)) as gateway:
        try:
            await Federation(gateway.network().contract()).read_consortium()
        except GatewayError as error:
            if error.refusal is RefusalCode.NOT_FOUND:
                return False
            raise
    return True


async def _approve(admin: Path, consortium: Consortium) -> None:
    async with Gateway.connect(Profile.load(admin)) as gateway:
        try:
            await Federation(gateway.network().contract()).approve_consortium(consortium)
        except GatewayError as error:
            if error.refusal is not RefusalCode.ALREADY_WRITTEN:
                raise
