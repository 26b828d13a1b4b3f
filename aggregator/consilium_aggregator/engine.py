"""What turns events into sums: looks at the ledger, sums what has arrived, publishes the root.

Events only wake it up. What there is to do follows from ledger and store, so it may be killed anywhere, started again,
or replaced by another aggregator with an empty store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from consilium_aggregator.admission import sum_context
from consilium_aggregator.ledger import FederationCalls
from consilium_aggregator.store import ContentStore
from consilium_aggregator.summing import RoundSum
from consilium_aggregator.vectors import Manifests, VectorName
from consilium_peers.errors import GatewayError, PeersError
from consilium_peers.events import ChaincodeEvent
from consilium_proto.chunk_tree import tree_root
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import Publication, RoundPhase, RoundView, StudyPhase, StudyView
from consilium_proto.refusals import RefusalCode

log = logging.getLogger("consilium.aggregator")

TICK_SECONDS = 1.0
RETRY_SECONDS = 1.0

EventSource = Callable[[], AsyncIterator[ChaincodeEvent]]
# The round went on without this publication, or it is there already.
_SETTLED = (RefusalCode.ALREADY_WRITTEN, RefusalCode.WRONG_PHASE, RefusalCode.DEADLINE_PASSED)


class Engine:
    """Follows all active studies."""

    def __init__(
        self, organization: str, channel: str, federation: FederationCalls, store: ContentStore, manifests: Manifests
    ) -> None:
        self._organization = organization
        self._channel = channel
        self._federation = federation
        self._store = store
        self._manifests = manifests
        self._sums: dict[tuple[str, int, int], RoundSum] = {}
        self._dropped: set[tuple[str, int]] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look again soon: something has arrived."""
        self._wake.set()

    async def run(self, events: EventSource, handled: Callable[[ChaincodeEvent], None]) -> None:
        """Work until cancelled. `handled` is called for each event once it has been acted on."""
        listener = asyncio.create_task(self._listen(events, handled))
        try:
            while True:
                await self._look()
                try:
                    await asyncio.wait_for(self._wake.wait(), TICK_SECONDS)
                except TimeoutError:
                    continue
                self._wake.clear()
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, events: EventSource, handled: Callable[[ChaincodeEvent], None]) -> None:
        while True:
            try:
                async for event in events():
                    self._wake.set()
                    handled(event)
            except PeersError as error:
                log.warning("events stopped; listening again", extra={"detail": str(error)})
            await asyncio.sleep(RETRY_SECONDS)

    async def _look(self) -> None:
        try:
            studies = (await self._federation.list_studies()).studies
            for name in studies:
                study = await self._federation.read_study(name)
                if study.study.phase is StudyPhase.ACTIVE and study.head.round:
                    await self._look_at(study)
        except PeersError as error:
            log.warning("the ledger didn't answer; trying again", extra={"detail": str(error)})
            await asyncio.sleep(RETRY_SECONDS)

    async def _look_at(self, study: StudyView) -> None:
        name = study.study.terms.study
        view = await self._federation.read_round(name, study.head.round)
        for number in range(max(1, study.head.round - 1), study.head.round):
            self._drop_updates(name, number)
        if view.round.phase is RoundPhase.ANCHORED:
            await self._sum(study, view)
        elif view.round.phase.decided:
            self._drop_updates(name, view.round.round)

    async def _sum(self, study: StudyView, view: RoundView) -> None:
        """Add what has arrived in an anchored round; publish when all is added."""
        if any(entry.aggregator == self._organization for entry in view.publications):
            return
        state, terms = view.round, study.study.terms
        parameters = parameter_set(terms.parameter_set)
        key = (terms.study, state.round, state.attempt)
        if key not in self._sums:
            chunks = parameters.chunk_count(terms.parameters)
            self._sums[key] = RoundSum(self._store, parameters, state.epoch, state.participants, chunks)
            log.info("summing", extra={"study": terms.study, "round": state.round, "chunks": chunks})
        for hospital in state.participants:
            digests = self._manifests.find(VectorName(terms.study, state.round, state.attempt, hospital))
            if digests is not None:
                self._sums[key].announce(hospital, digests)
        finished = await self._sums[key].add_what_is_there()
        if finished is not None:
            await self._publish(study, view, finished)
            del self._sums[key]

    async def _publish(self, study: StudyView, view: RoundView, digests: tuple[bytes, ...]) -> None:
        """Store the sum's manifest, then publish its root: whoever reads the root can have the chunks."""
        state = view.round
        self._manifests.save(VectorName(state.study, state.round, state.attempt, self._organization), digests)
        root = tree_root(sum_context(self._channel, study, view, self._organization), digests)
        message = Publication(
            study=state.study, round=state.round, attempt=state.attempt, root=root, chunks=len(digests)
        )
        try:
            await self._federation.publish(message)
        except GatewayError as error:
            if error.refusal not in _SETTLED:
                raise
        log.info("published", extra={"study": state.study, "round": state.round, "root": root})

    def _drop_updates(self, study: str, number: int) -> None:
        """Forget the hospitals' ciphertexts of a decided round; sums stay, for hospitals that catch up."""
        if (study, number) in self._dropped:
            return
        for name in self._manifests.of_round(study, number):
            if name.owner == self._organization:
                continue
            for digest in self._manifests.find(name) or ():
                self._store.remove(digest)
            self._manifests.forget(name)
        self._sums = {key: kept for key, kept in self._sums.items() if key[:2] != (study, number)}
        self._dropped.add((study, number))
