"""What the aggregator reads from the ledger, kept for a moment: uploads ask the same again and again."""

from __future__ import annotations

import time
from typing import Protocol

from consilium_aggregator.errors import RefusedError
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import SubmitResult
from consilium_proto.records import Publication, RoundView, StudyList, StudyView
from consilium_proto.refusals import RefusalCode

# Long enough to spare the peer, short enough for a phase that has just begun.
_FRESH_SECONDS = 0.5


class FederationCalls(Protocol):
    """The part of `consilium_peers.federation.Federation` that an aggregator uses."""

    async def read_study(self, study: str) -> StudyView:
        """Return a study."""
        ...

    async def read_round(self, study: str, round_number: int) -> RoundView:
        """Return a round."""
        ...

    async def list_studies(self) -> StudyList:
        """Return all studies."""
        ...

    async def publish(self, publication: Publication) -> SubmitResult:
        """Publish a sum's root."""
        ...


class LedgerReader:
    """Reads studies and rounds, each at most twice a second."""

    def __init__(self, federation: FederationCalls) -> None:
        self._federation = federation
        self._studies: dict[str, tuple[float, StudyView]] = {}
        self._rounds: dict[tuple[str, int], tuple[float, RoundView]] = {}

    async def study(self, name: str) -> StudyView:
        """Return a study.

        Raises:
            RefusedError: there is none of that name.
        """
        held = self._studies.get(name)
        if held is None or time.monotonic() - held[0] > _FRESH_SECONDS:
            try:
                held = time.monotonic(), await self._federation.read_study(name)
            except GatewayError as error:
                raise _refused(error, f"study {name!r}") from None
            self._studies[name] = held
        return held[1]

    async def round(self, study: str, number: int) -> RoundView:
        """Return a round.

        Raises:
            RefusedError: there is none of that number.
        """
        held = self._rounds.get((study, number))
        if held is None or time.monotonic() - held[0] > _FRESH_SECONDS:
            try:
                held = time.monotonic(), await self._federation.read_round(study, number)
            except GatewayError as error:
                raise _refused(error, f"round {number} of study {study!r}") from None
            self._rounds[study, number] = held
        return held[1]


def _refused(error: GatewayError, what: str) -> Exception:
    if error.refusal in (RefusalCode.NOT_FOUND, RefusalCode.MALFORMED):
        return RefusedError(f"the ledger knows no {what}")
    return error
