"""Patience with peers that are a block behind the one that was asked before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from consilium_peers.errors import GatewayError
from consilium_proto.refusals import RefusalCode

SETTLING_SECONDS = 30
BEHIND = (RefusalCode.NOT_FOUND, RefusalCode.WRONG_PHASE, RefusalCode.NOT_YET, RefusalCode.STALE_EPOCH)
# Endorsers that aren't at the same block answer differently.
_NOT_LEVEL = "do not match"


def is_behind(error: GatewayError) -> bool:
    """Tell whether a refusal may only mean that a peer hasn't seen the last block yet."""
    return error.refusal in BEHIND or _NOT_LEVEL in str(error)


async def persistently(action: Callable[[], Awaitable[object]]) -> None:
    """Repeat what a peer that is a block behind still refuses."""
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            try:
                await action()
            except GatewayError as error:
                if not is_behind(error):
                    raise
                await asyncio.sleep(0.1)
            else:
                return
