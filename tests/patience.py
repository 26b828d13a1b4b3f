"""Patience with slow machines: peers that are a block behind the one that was asked before, writes that are late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from consilium_peers.errors import GatewayError
from consilium_proto.refusals import RefusalCode

SETTLING_SECONDS = 90
BEHIND = (RefusalCode.NOT_FOUND, RefusalCode.WRONG_PHASE, RefusalCode.NOT_YET, RefusalCode.STALE_EPOCH)
# What took too long on its way; sent anew it has a new timestamp.
_LATE = (RefusalCode.CLOCK_SKEW, RefusalCode.DEADLINE_PASSED)
# Endorsers that aren't at the same block answer differently.
_NOT_LEVEL = "do not match"


def is_behind(error: GatewayError) -> bool:
    """Tell whether the same may be taken a moment later: a peer hasn't seen the last block yet, or was slow."""
    return error.refusal in (*BEHIND, RefusalCode.CLOCK_SKEW) or _NOT_LEVEL in str(error)


def is_untimely(error: GatewayError) -> bool:
    """Tell whether a refusal may only mean that something came at the wrong moment, whatever it says."""
    return is_behind(error) or error.refusal in _LATE or error.transient


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


async def refused_with(action: Callable[[], Awaitable[object]], *expected: RefusalCode) -> None:
    """Repeat what is refused until it is for one of the expected reasons.

    Before that, a peer that is a block behind or slow may name a reason of its own; any other one is a failure.
    """
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            with pytest.raises(GatewayError) as caught:
                await action()
            if caught.value.refusal in expected:
                return
            assert is_untimely(caught.value), caught.value
            await asyncio.sleep(0.1)
