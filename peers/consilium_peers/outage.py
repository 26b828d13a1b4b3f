"""Patience with gateways that fail while a stream is read from one after the other."""

from __future__ import annotations

import asyncio
import logging

from consilium_peers.errors import GatewayError
from consilium_peers.profile import Endpoint

log = logging.getLogger("consilium.peers.outage")

# How long all gateways may fail before the reader is told.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0


class Outage:
    """Counts failures: the reader is told when none of the gateways has served it for some time."""

    def __init__(self, what: str, patience: float, gateways: int) -> None:
        """Take what is read, for the log; how many seconds all gateways may fail; and how many gateways there are."""
        self._what = what
        self._patience = patience
        self._gateways = gateways
        self._since: float | None = None
        self._failures = 0

    async def bear(self, failure: GatewayError, endpoint: Endpoint, served: bool) -> None:
        """Pause when every gateway has had its turn, or raise the failure when there is no hope or patience left."""
        now = asyncio.get_running_loop().time()
        if self._since is None or served:
            self._since, self._failures = now, 0
        if not failure.transient or now - self._since >= self._patience:
            raise failure
        if self._failures == 0:
            log.warning("%s broke off", self._what, extra={"gateway": endpoint.address, "detail": str(failure)})
        self._failures += 1
        rounds, turn = divmod(self._failures, self._gateways)
        if turn == 0:
            pause = min(PAUSE_SECONDS * 2.0 ** (rounds - 1), LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(min(pause, max(0.0, self._since + self._patience - now)))
