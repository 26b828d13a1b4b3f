"""What an aggregator asks of the ledger; `consilium_peers.federation.Federation` answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from consilium_peers.events import ChaincodeEvent
from consilium_proto.records import Publication, RoundView, StudyList, StudyView


class Ledger(Protocol):
    """The contract's functions that an aggregator calls. Each raises `PeersError` when the ledger doesn't answer."""

    async def read_study(self, study: str) -> StudyView:
        """Return a study."""
        ...

    async def read_round(self, study: str, round_number: int) -> RoundView:
        """Return a round with everything its parties wrote."""
        ...

    async def list_studies(self) -> StudyList:
        """Return the identifiers of all studies."""
        ...

    async def publish(self, publication: Publication) -> Any:
        """Write the root of a sum and wait until it is committed."""
        ...


# Each call opens the stream of the contract's events anew, right behind the last recorded one.
EventStream = Callable[[], AsyncIterator[ChaincodeEvent]]
