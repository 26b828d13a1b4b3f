"""One supervised process: started, watched, started again when it dies, ended when asked."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from consilium_network.node_logs import last_error
from consilium_network.nodes import NodeSpecification

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 30.0  # who ran this long starts from the first delay again
GRACE_SECONDS = 8.0
_LARGEST_LOG_BYTES = 16 * 1024 * 1024
_PR_SET_PDEATHSIG = 1

logger = logging.getLogger(__name__)


class ProcessState(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the supervisor knows of one process. `since` is when it was last started (seconds since 1970)."""

    name: str
    pid: int | None = None
    starts: int = 0
    since: float = 0.0
    last_failure: str | None = None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)


class SupervisedProcess:
    """Keeps one process running until `end` is called."""

    def __init__(self, specification: NodeSpecification, changed: Callable[[], None]) -> None:
        self.specification = specification
        self.state = ProcessState(name=specification.name)
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False
        self._task = asyncio.create_task(self._keep_running(), name=specification.name)

    async def end(self) -> None:
        """End the process: politely at first, by force after eight seconds."""
        self._ending = True
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._terminate()

    async def restart(self, reason: str) -> None:
        """End the process so that it is started again at once; `reason` is remembered as its last failure."""
        self.state.last_failure = reason
        logger.warning("%s %s: restarting it", self.specification.name, reason)
        await self._terminate(remember=False)

    async def _keep_running(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while True:
            started = time.monotonic()
            await self._run_once()
            if time.monotonic() - started > STEADY_SECONDS:
                delay = FIRST_DELAY_SECONDS
            logger.warning("%s: %s; starting it again in %.1f s", self.state.name, self.state.last_failure, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _run_once(self) -> None:
        wanted = self.specification
        try:
            with _open_log(Path(wanted.log)) as log:
                process = await asyncio.create_subprocess_exec(
                    *wanted.command,
                    env=wanted.environment,
                    cwd=wanted.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                )
        except OSError as error:
            self.state.last_failure = f"can't be started: {error}"
            self._changed()
            return
        self._process = process
        self.state.pid, self.state.since = process.pid, time.time()
        self.state.starts += 1
        self._changed()
        code = await process.wait()
        self.state.pid, self._process = None, None
        self.state.last_failure = _failure(code, wanted)
        self._changed()

    async def _terminate(self, *, remember: bool = True) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if remember:
            self.state.pid = None
            self._changed()


def _open_log(path: Path) -> IO[bytes]:
    """Open a node's log to append to. One that has grown large is kept as `.1` and begun anew."""
    path.parent.mkdir(exist_ok=True)  # without parents: where the organisation isn't, nothing of it is made up
    if path.exists() and path.stat().st_size > _LARGEST_LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def _failure(code: int, specification: NodeSpecification) -> str:
    how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
    said = last_error(Path(specification.log)) if code > 0 else None
    return f"{how}: {said}" if said else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the supervisor dies, so that none outlives it unwatched."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
