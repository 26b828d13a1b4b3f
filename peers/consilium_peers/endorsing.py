"""Gathering endorsements while peers come and go: nothing is ordered yet, so it may be tried anew."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from consilium_peers.connection import CHAINCODE_AWAY
from consilium_peers.errors import EndorseError

T = TypeVar("T")

PAUSE_SECONDS = 0.25
# How long peers may differ after a commit, and a gateway may not have discovered them after a start.
SETTLING_SECONDS = 5.0

# Fabric's words when the first endorser agreed and others didn't: endorsers a block apart read different states. When
# the first one refuses it says "failed to endorse transaction", and that is final.
_DISAGREEMENT = "failed to collect enough transaction endorsements"
_PEER_AWAY = "code = Unavailable"


async def endorse_patiently(endorse: Callable[[float], Awaitable[T]], deadline: float) -> T:
    """Endorse before `deadline` (the loop's time); propose anew as long as what prevents it may pass by itself.

    Raises:
        EndorseError: refused, or nobody was there to endorse until the deadline.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        try:
            return await endorse(max(0.1, deadline - clock()))
        except EndorseError as error:
            if clock() + PAUSE_SECONDS >= min(deadline, began + patience_with(error)):
                raise
        await asyncio.sleep(PAUSE_SECONDS)


def patience_with(error: EndorseError) -> float:
    """Return how many seconds it may take until the obstacle has passed by itself; 0 when it won't."""
    if error.of_contract:
        return SETTLING_SECONDS if error.says(_DISAGREEMENT) else 0.0
    if error.transient or error.says(*CHAINCODE_AWAY, _PEER_AWAY):
        return math.inf
    if error.status == "FAILED_PRECONDITION" or error.says(_DISAGREEMENT):
        return SETTLING_SECONDS
    return 0.0
