"""Drives aggregation by the ledger's events.

An event only says that a study is worth looking at. What to do follows from the ledger and the store alone
(level-triggered), so an event that is seen twice, late or never changes nothing, and a process that was killed
anywhere goes on by looking at every study once. Events are read from a checkpoint all the same, so that none is missed
for longer than it takes to connect; the checkpoint may lag behind, since repeats are harmless.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor

from consilium_aggregator.errors import AggregatorError
from consilium_aggregator.ledger import EventStream, Ledger
from consilium_aggregator.open_rounds import IN_PROGRESS, OpenRounds
from consilium_aggregator.retention import Retention
from consilium_aggregator.round_sum import RoundSum
from consilium_peers.checkpoint import FileCheckpoint
from consilium_peers.errors import PeersError
from consilium_peers.events import ChaincodeEvent
from consilium_proto import canonical
from consilium_proto.errors import WireError
from consilium_proto.records import EventName, FederationEvent, Round, RoundView

log = logging.getLogger("consilium.aggregator.engine")

# Looks at rounds in progress this often even when no event comes.
TICK_SECONDS = 5.0
RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 10.0
# The checkpoint is written at most this often.
CHECKPOINT_SECONDS = 1.0

_MOVES = {
    EventName.UPDATES_ANCHORED.value,
    EventName.UPDATE_HELD.value,
    EventName.SUM_AGGREGATED.value,
    EventName.SUM_REJECTED.value,
    EventName.ROUND_FINAL.value,
    EventName.ROUND_EXPIRED.value,
    EventName.ROUND_VOID.value,
}


class Engine:
    """Keeps one sum going for every round that waits for one."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        events: EventStream,
        checkpoint: FileCheckpoint,
        rounds: OpenRounds,
        retention: Retention,
        organization: str,
        executor: Executor,
    ) -> None:
        self._ledger = ledger
        self._events = events
        self._checkpoint = checkpoint
        self._rounds = rounds
        self._retention = retention
        self._organization = organization
        self._executor = executor
        self._due: set[str] = set()
        self._wake = asyncio.Event()
        self._sums: dict[tuple[str, int], tuple[RoundSum, asyncio.Task[None]]] = {}
        self._settled: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        listener = asyncio.create_task(self._listen())
        try:
            await self._look_at_all()
            while True:
                await self._look_at_due()
                await self._wait()
        finally:
            tasks = [listener, *(task for _, task in self._sums.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        wait = RETRY_SECONDS
        while True:
            recorded = 0.0
            try:
                async for event in self._events():
                    wait = RETRY_SECONDS
                    self._note(event)
                    now = asyncio.get_running_loop().time()
                    if now - recorded >= CHECKPOINT_SECONDS:
                        await asyncio.to_thread(self._checkpoint.record, event.block, event.tx_id)
                        recorded = now
            except (PeersError, OSError) as error:
                log.warning("events stopped; listening again", extra={"detail": str(error)})
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    def _note(self, event: ChaincodeEvent) -> None:
        if event.name not in _MOVES:
            return
        try:
            about = canonical.decode(FederationEvent, event.payload)
        except WireError as error:
            log.warning("event not understood", extra={"tx_id": event.tx_id, "detail": str(error)})
            return
        self._due.add(about.study)
        self._wake.set()

    async def _look_at_all(self) -> None:
        wait = RETRY_SECONDS
        while True:
            try:
                self._due.update((await self._ledger.list_studies()).studies)
            except PeersError as error:
                log.warning("the ledger doesn't answer yet", extra={"detail": str(error)})
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)
            else:
                return

    async def _look_at_due(self) -> None:
        due, self._due = self._due, set()
        for study in sorted(due):
            try:
                await self._look_at(study)
            except (PeersError, AggregatorError) as error:
                # Looked at again by the next tick.
                self._due.add(study)
                log.warning("not looked at", extra={"study": study, "detail": str(error)})

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            self._due.update(study for study, _ in self._sums)
        self._wake.clear()

    async def _look_at(self, study: str) -> None:
        newest = (await self._ledger.read_study(study)).head.round
        stored = await asyncio.to_thread(self._retention.rounds, study)
        for number in sorted({newest, *stored, *self._rounds.rounds(study)} - {0}):
            if (study, number) not in self._settled and number <= newest:
                await self._look_at_round(await self._ledger.read_round(study, number))

    async def _look_at_round(self, view: RoundView) -> None:
        state = view.round
        if state.phase.decided:
            await self._settle(state)
        elif (running := self._sums.get((state.study, state.round))) is not None:
            running[0].wake()
        elif state.phase in IN_PROGRESS and self._organization not in state.rejected:
            await self._start(view)

    async def _start(self, view: RoundView) -> None:
        key = (view.round.study, view.round.round)
        session = await self._rounds.open(view)
        log.info(
            "round open",
            extra={
                "study": key[0],
                "round": key[1],
                "participants": len(session.participants),
                "held": session.progress(),
            },
        )
        sum_ = RoundSum(session, self._ledger, self._organization, self._executor)
        task = asyncio.create_task(sum_.run())
        self._sums[key] = (sum_, task)
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: tuple[str, int], task: asyncio.Task[None]) -> None:
        """A sum that is done stays listed until its round is decided, so that it isn't begun again."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(
                "sum failed", extra={"study": key[0], "round": key[1], "detail": f"{type(error).__name__}: {error}"}
            )

    async def _settle(self, decided: Round) -> None:
        key = (decided.study, decided.round)
        self._rounds.close(*key)
        running = self._sums.pop(key, None)
        if running is not None:
            running[0].wake()
            await asyncio.wait([running[1]], timeout=RETRY_SECONDS)
            running[1].cancel()
        await asyncio.to_thread(self._retention.settle, decided)
        self._settled.add(key)
        log.info("round decided", extra={"study": key[0], "round": key[1], "phase": decided.phase.value})
