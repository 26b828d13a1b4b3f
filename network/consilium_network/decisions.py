"""What all hospitals of a new network decide alike: every admin approves it, then one of them puts it in force."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from consilium_peers.errors import EndorseError, GatewayError
from consilium_peers.gateway import Contract, Gateway, SubmitResult
from consilium_peers.profile import Profile
from consilium_proto.refusals import RefusalCode

_ENACT_SECONDS = 20.0
_PAUSE_SECONDS = 0.2

Submit = Callable[[Contract], Awaitable[SubmitResult]]
Read = Callable[[Contract], Awaitable[object]]


async def decide(admins: Sequence[Path], chaincode: str, read: Read, approve: Submit, enact: Submit) -> None:
    """Approve as every admin (by profile) and enact as the first; nothing is done if `read` finds it in force.

    Raises:
        PeersError: the contract refuses, or can't be asked.
    """
    async with Gateway.connect(Profile.load(admins[0])) as gateway:
        first = gateway.network().contract(chaincode)
        if await _is_there(read(first)):
            return
        await asyncio.gather(*(_approve(admin, chaincode, approve) for admin in admins))
        await _enact(first, enact)


async def _is_there(reading: Awaitable[object]) -> bool:
    try:
        await reading
    except GatewayError as error:
        if error.refusal is RefusalCode.NOT_FOUND:
            return False
        raise
    return True


async def _approve(admin: Path, chaincode: str, approve: Submit) -> None:
    async with Gateway.connect(Profile.load(admin)) as gateway:
        try:
            await approve(gateway.network().contract(chaincode))
        except GatewayError as error:
            if error.refusal is not RefusalCode.ALREADY_WRITTEN:
                raise


async def _enact(contract: Contract, enact: Submit) -> None:
    """Enact; again while some endorsers haven't the last approval's block yet and so answer differently."""
    deadline = asyncio.get_running_loop().time() + _ENACT_SECONDS
    while True:
        try:
            await enact(contract)
        except EndorseError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
