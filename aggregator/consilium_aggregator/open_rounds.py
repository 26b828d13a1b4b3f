"""The rounds that an aggregator works on, opened from the ledger when somebody first speaks of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from consilium_aggregator.errors import LedgerUnavailableError, RoundOverError, TooEarlyError, UnknownVectorError
from consilium_aggregator.ledger import Ledger
from consilium_aggregator.sessions import RoundSession
from consilium_aggregator.store.folder import StoreFolder
from consilium_peers.errors import GatewayError, PeersError
from consilium_proto.records import RoundPhase, RoundView, StudyTerms
from consilium_proto.refusals import RefusalCode

# From the last anchor to the decision: a rejected sum takes the round back to where uploads matter.
IN_PROGRESS = (
    RoundPhase.ANCHORED,
    RoundPhase.AGGREGATED,
    RoundPhase.CHALLENGED,
    RoundPhase.LISTING,
    RoundPhase.PROVING,
    RoundPhase.VERIFIED,
)


class OpenRounds:
    """Sessions by study and round."""

    def __init__(self, ledger: Ledger, store: StoreFolder, channel: str, organization: str) -> None:
        self._ledger = ledger
        self._store = store
        self._channel = channel
        self._organization = organization
        self._terms: dict[str, StudyTerms] = {}
        self._sessions: dict[tuple[str, int], RoundSession] = {}
        self._opening = asyncio.Lock()

    async def session(self, study: str, round_number: int) -> RoundSession:
        """Return a round's session, opened now if need be.

        Raises:
            TooEarlyError: the ledger doesn't hold every anchor yet.
            RoundOverError: the round is decided.
            UnknownVectorError: there is no such round.
            LedgerUnavailableError: the ledger doesn't answer.
        """
        found = self._sessions.get((study, round_number))
        if found is not None:
            return found
        return await self.open(await self.view(study, round_number))

    async def open(self, view: RoundView) -> RoundSession:
        """Return the session of a round as the ledger has it; for errors see `session`."""
        state = view.round
        if state.phase.decided:
            raise RoundOverError(f"round {state.round} of {state.study} is decided ({state.phase})")
        if state.phase not in IN_PROGRESS:
            raise TooEarlyError(
                f"round {state.round} of {state.study} is {state.phase}: uploads begin when every anchor is there"
            )
        terms = await self.terms(state.study)
        key = (state.study, state.round)
        async with self._opening:
            if key not in self._sessions:
                session = RoundSession(self._store, self._channel, self._organization, terms, view)
                await asyncio.to_thread(session.load)
                self._sessions[key] = session
            return self._sessions[key]

    def close(self, study: str, round_number: int) -> None:
        """Forget a decided round's session; its sum stays in the store."""
        session = self._sessions.pop((study, round_number), None)
        if session is not None:
            session.close()

    def rounds(self, study: str) -> Iterable[int]:
        """Return the rounds of a study that have a session."""
        return [number for name, number in self._sessions if name == study]

    async def terms(self, study: str) -> StudyTerms:
        """Return a study's terms, which never change; for errors see `session`."""
        if study not in self._terms:
            try:
                self._terms[study] = (await self._ledger.read_study(study)).study.terms
            except PeersError as error:
                raise _as_request_error(error, f"study {study}") from None
        return self._terms[study]

    async def view(self, study: str, round_number: int) -> RoundView:
        """Read a round from the ledger; for errors see `session`."""
        try:
            return await self._ledger.read_round(study, round_number)
        except PeersError as error:
            raise _as_request_error(error, f"round {round_number} of study {study}") from None


def _as_request_error(error: PeersError, what: str) -> UnknownVectorError | LedgerUnavailableError:
    if isinstance(error, GatewayError) and error.refusal in (RefusalCode.NOT_FOUND, RefusalCode.MALFORMED):
        return UnknownVectorError(f"the ledger has no {what}")
    return LedgerUnavailableError(f"the ledger didn't answer about {what}; try again")
