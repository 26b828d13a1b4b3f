"""Adds up one round as its chunks arrive and publishes the root of the sum.

Sums are deterministic: the same chunks give the same bytes in whatever order they came, so a process that was killed
anywhere in here is continued by doing again whatever isn't in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor

from consilium_aggregator.errors import CorruptContentError, MissingContentError, StoreError, SummationError
from consilium_aggregator.ledger import Ledger
from consilium_aggregator.sessions import RoundSession
from consilium_aggregator.summation import add_chunks
from consilium_peers.errors import GatewayError, PeersError
from consilium_proto.chunk_tree import tree_root
from consilium_proto.records import Publication, RoundPhase, RoundView
from consilium_proto.refusals import RefusalCode

log = logging.getLogger("consilium.aggregator.sum")

# Positions summed between two writes of the manifest: bounds memory to so many sums, and what a kill makes anew.
BATCH_POSITIONS = 16
STORE_RETRY_SECONDS = 1.0
FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 5.0

Lost = list[tuple[str, int]]


class RoundSum:
    """The sum of one round."""

    def __init__(self, session: RoundSession, ledger: Ledger, organization: str, executor: Executor) -> None:
        self._session = session
        self._ledger = ledger
        self._organization = organization
        self._executor = executor
        self._woken = asyncio.Event()
        state = session.state
        self._place = {"study": state.study, "round": state.round, "attempt": state.attempt}

    async def run(self) -> None:
        """Sum until every chunk is there, then publish; returns early when the round is decided.

        Raises:
            SummationError: ciphertexts that can't be added. They were checked when they came, so it is a defect.
        """
        session = self._session
        while positions := await session.next_positions(BATCH_POSITIONS):
            await self._add(positions)
        if session.closed:
            return
        log.info("sum complete", extra={**self._place, "chunks": session.chunks})
        await self._publish()

    def wake(self) -> None:
        """Look at the ledger again: something there may let the sum be published."""
        self._woken.set()

    async def _add(self, positions: list[int]) -> None:
        session = self._session
        loop = asyncio.get_running_loop()
        try:
            digests, lost = await loop.run_in_executor(self._executor, self._add_in_thread, positions)
        except StoreError as error:
            log.warning("the store doesn't take the sum; trying again", extra={**self._place, "detail": str(error)})
            await asyncio.sleep(STORE_RETRY_SECONDS)
            session.retry(positions)
            return
        session.add_sums(digests)
        for hospital, position in lost:
            log.warning(
                "chunk lost; waiting for it again", extra={**self._place, "hospital": hospital, "chunk": position}
            )
            session.lost(hospital, position)

    def _add_in_thread(self, positions: Sequence[int]) -> tuple[dict[int, bytes], Lost]:
        session, content = self._session, self._session.store.content
        sums: dict[int, bytes] = {}
        lost: Lost = []
        for position in positions:
            gone: Lost = []
            try:
                total = self._add_chunks(position, self._read(position, gone))
            except SummationError as error:
                if not gone:
                    place = f"position {position}, hospitals in the order of participants"
                    raise SummationError(f"{place}: {error}") from None
            else:
                if not gone:
                    sums[position] = total
            lost += gone
        digests = dict(zip(sums, content.put(session.sums, list(sums.values())), strict=True))
        session.store.manifests.record(session.sum_name, digests)
        return digests, lost

    def _add_chunks(self, position: int, chunks: Iterable[bytes]) -> bytes:  # noqa: ARG002 - part of what is added
        session = self._session
        return add_chunks(session.parameter_set, session.state.epoch, chunks)

    def _read(self, position: int, gone: Lost) -> Iterator[bytes]:
        """Read the hospitals' chunks one by one, so that memory doesn't grow with their number; note what is gone."""
        session = self._session
        for hospital, digest in session.digests_at(position):
            try:
                yield session.store.content.get(session.updates, digest)
            except (CorruptContentError, MissingContentError):
                gone.append((hospital, position))

    async def _publish(self) -> None:
        session, state = self._session, self._session.state
        digests = session.sum_digests
        context = session.context(self._organization, "sum")
        root = await asyncio.to_thread(tree_root, context, [digests[n] for n in range(session.chunks)])
        publication = Publication(
            study=state.study, round=state.round, attempt=state.attempt, root=root, chunks=session.chunks
        )
        wait = FIRST_RETRY_SECONDS
        while not session.closed:
            self._woken.clear()
            try:
                if await self._published(publication):
                    return
            except PeersError as error:
                refused = isinstance(error, GatewayError) and error.refusal is RefusalCode.FORBIDDEN
                (log.error if refused else log.warning)("not published", extra={**self._place, "detail": str(error)})
                await asyncio.sleep(wait)
                wait = min(2 * wait, LAST_RETRY_SECONDS)
            else:
                await self._until_woken()

    async def _until_woken(self) -> None:
        try:
            async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _published(self, publication: Publication) -> bool:
        """Publish if the ledger is ready for it; tells whether nothing is left to do."""
        view = await self._ledger.read_round(publication.study, publication.round)
        state = view.round
        earlier = own_publication(view, self._organization)
        if earlier is not None:
            if earlier != publication:
                log.error("the ledger holds another root of ours", extra={**self._place, "root": earlier.root})
            return True
        if state.phase.decided:
            return True
        if not self._wanted(view):
            return False
        await self._ledger.publish(publication)
        log.info("sum published", extra={**self._place, "root": publication.root})
        return True

    def _wanted(self, view: RoundView) -> bool:
        """Tell whether every vector is held by its witnesses, and no other aggregator's sum waits to be checked."""
        state = view.round
        waiting = {entry.aggregator for entry in view.publications} - set(state.rejected)
        vectors = len(state.participants) * self._session.max_colluding
        return state.phase is RoundPhase.ANCHORED and not waiting and len(view.held) == vectors


def own_publication(view: RoundView, organization: str) -> Publication | None:
    """Return what an aggregator published in a round."""
    for entry in view.publications:
        if entry.aggregator == organization:
            return entry.publication
    return None
