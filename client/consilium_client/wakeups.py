"""What wakes a hospital's agent: its study's events. Missing one costs a second, since the agent looks by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consilium_peers.errors import PeersError
from consilium_peers.events import ChaincodeEvent
from consilium_peers.gateway import Network
from consilium_proto import canonical
from consilium_proto.errors import WireError
from consilium_proto.records import EventName, FederationEvent

log = logging.getLogger("consilium.agent")

# Before listening again, when events stopped.
RETRY_SECONDS = 1.0


class Wakeups:
    """Events of one study.

    Attributes:
        of_single_writes: whether a single party's write wakes up too. It concerns only the hospital whose turn it is to
            advance the round; if it doesn't, the others notice by their own clocks.
    """

    def __init__(self, network: Network, study: str) -> None:
        self._network = network
        self._study = study
        self._event = asyncio.Event()
        self.of_single_writes = True

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for the length of the block."""
        listener = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def sleep(self, seconds: float) -> None:
        """Sleep until an event comes, or `seconds` have passed."""
        # Not wait_for, which in Python 3.11 can swallow a cancellation that comes together with the event.
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()

    async def _listen(self) -> None:
        while True:
            try:
                async for event in self._network.chaincode_events():
                    if self._concerns(event):
                        self._event.set()
            except PeersError as error:
                log.warning("events stopped; listening again", extra={"detail": str(error)})
            await asyncio.sleep(RETRY_SECONDS)

    def _concerns(self, event: ChaincodeEvent) -> bool:
        """Tell whether an event gives this hospital something to do; other studies have agents of their own."""
        try:
            about = canonical.decode(FederationEvent, event.payload)
        except WireError:
            return False
        return about.study == self._study and (self.of_single_writes or event.name not in _SINGLE_WRITES)


_SINGLE_WRITES = {
    EventName.HOSPITAL_JOINED.value,
    EventName.UPDATE_ANCHORED.value,
    EventName.UPDATE_HELD.value,
    EventName.SUM_PUBLISHED.value,
    EventName.VALUE_REVEALED.value,
    EventName.FINGERPRINT_WRITTEN.value,
    EventName.LISTING_WRITTEN.value,
    EventName.LISTING_DISPROVED.value,
    EventName.CHUNK_MALFORMED.value,
    EventName.MODEL_ATTESTED.value,
}
