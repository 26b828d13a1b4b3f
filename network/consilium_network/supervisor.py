"""The supervisor: one process per network and machine that owns all node processes and chaincode services.

It starts what supervisor/nodes describes, starts again what died, and restarts what lives but has stopped keeping up.
It is detached from the terminal. SIGTERM or Ctrl-C ends it and everything that it started; SIGHUP makes it look at
supervisor/nodes again. It signals only processes that it started itself, and the kernel ends those should it die.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

import msgspec

from consilium_network.errors import NetworkError, SupervisorError
from consilium_network.heights import HeightWatch
from consilium_network.layout import NetworkFolder, SupervisorFolder
from consilium_network.nodes import NodeKind, NodeSpecification, load_specifications
from consilium_network.operations import Metrics, read_metrics
from consilium_network.supervised_process import ProcessState, SupervisedProcess
from consilium_network.topology import load_topology
from consilium_peers.durable import write_atomically

WATCH_SECONDS = 5.0
PEER_BEHIND_SECONDS = 60.0  # a peer catches up by itself when its orderer does
_LOCK_ATTEMPTS = 10
_LOCK_PAUSE_SECONDS = 0.05

logger = logging.getLogger(__name__)


class SupervisorState(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the supervisor writes for others to read."""

    pid: int
    generation: int
    processes: dict[str, ProcessState]


class Supervisor:
    """Runs the processes of one network."""

    def __init__(self, folder: NetworkFolder) -> None:
        self._folder = folder
        self._channel = load_topology(folder.topology).channel
        self._processes: dict[str, SupervisedProcess] = {}
        self._generation = 0
        self._reload = asyncio.Event()
        self._watches = {
            NodeKind.ORDERER: HeightWatch(),
            NodeKind.PEER: HeightWatch(behind_seconds=PEER_BEHIND_SECONDS),
        }

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; then end every process."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        duties = [asyncio.create_task(self._follow_specifications()), asyncio.create_task(self._watch_heights())]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*duties, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*duties, stopping):
                task.cancel()
            outcomes = await asyncio.gather(*duties, return_exceptions=True)
            await self._end_all()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _end_all(self) -> None:
        """End chaincode services and peers before orderers, so that nobody reports a lost orderer as an error."""
        for kind in reversed(NodeKind):
            chosen = [each for each in self._processes.values() if each.specification.kind is kind]
            await asyncio.gather(*(each.end() for each in chosen))
        self._write_state()

    async def _follow_specifications(self) -> None:
        while True:
            wanted = load_specifications(self._folder.supervisor)
            await self._end_obsolete(wanted)
            for name, specification in wanted.items():
                if name not in self._processes:
                    self._processes[name] = SupervisedProcess(specification, self._write_state)
            self._generation += 1
            self._write_state()
            await self._reload.wait()
            self._reload.clear()

    async def _end_obsolete(self, wanted: dict[str, NodeSpecification]) -> None:
        obsolete = [name for name, each in self._processes.items() if wanted.get(name) != each.specification]
        await asyncio.gather(*(self._processes.pop(name).end() for name in obsolete))

    def _write_state(self) -> None:
        states = {name: each.state for name, each in self._processes.items()}
        state = SupervisorState(pid=os.getpid(), generation=self._generation, processes=states)
        write_atomically(self._folder.supervisor.state, msgspec.json.format(msgspec.json.encode(state)))

    # ---- nodes that live but don't keep up

    async def _watch_heights(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            running = [each for each in self._processes.values() if each.state.pid and each.specification.operations]
            answers = await asyncio.gather(*(self._metrics(each.specification) for each in running))
            now = time.monotonic()
            for kind, watch in self._watches.items():
                heights = {
                    each.specification.name: _height(answer)
                    for each, answer in zip(running, answers, strict=True)
                    if each.specification.kind is kind
                }
                best = max((_height(answer) or 0 for answer in answers), default=0)
                for name, reason in watch.observe(now, heights, best).items():
                    await self._processes[name].restart(reason)

    async def _metrics(self, specification: NodeSpecification) -> Metrics | None:
        if specification.operations is None:
            return None
        return await read_metrics(specification.operations, self._folder.supervisor.monitor, self._channel)


def _height(answer: Metrics | None) -> int | None:
    """Return the height; 0 when the node answers but has no block of the channel yet."""
    return None if answer is None else answer.height or 0


def take_lock(folder: SupervisorFolder) -> IO[str]:
    """Become the network's only supervisor: hold the returned file open for as long as it lives.

    Raises:
        SupervisorError: another supervisor lives. The message has its process id.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    stream = folder.lock.open("a+", encoding="utf-8")
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise SupervisorError(
            f"a supervisor (process {holder}) already runs the network in {folder.root.parent}: "
            "end it with `consilium network stop`"
        ) from None
    return stream


def _take_lock_patiently(folder: SupervisorFolder) -> IO[str]:
    """Take the lock; whoever only asks whether a supervisor lives holds it for a moment."""
    for _ in range(_LOCK_ATTEMPTS):
        try:
            return take_lock(folder)
        except SupervisorError:
            time.sleep(_LOCK_PAUSE_SECONDS)
    return take_lock(folder)


def _record_pid(lock: IO[str]) -> None:
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the fields that Fabric's programs use."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry = {"level": record.levelname.lower(), "ts": round(record.created, 3), "name": record.name}
        entry["msg"] = record.getMessage()
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _detach(log: Path, lock: IO[str]) -> None:
    """Leave the terminal and the caller's session. The caller's process ends as soon as the lock names this one."""
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os._exit(0 if os.read(ready, 1) else 1)
    os.setsid()
    _record_pid(lock)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.write(tell, b".")
    os.close(tell)


def main() -> int:
    """Run a network's supervisor; with --detach in the background, after it has become the only one."""
    parser = argparse.ArgumentParser(prog="python -m consilium_network.supervisor", description=__doc__)
    parser.add_argument("directory", type=Path, help="the network's folder")
    parser.add_argument("--detach", action="store_true", help="go on in the background")
    arguments = parser.parse_args()
    folder = NetworkFolder(arguments.directory.resolve())
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        lock = _take_lock_patiently(folder.supervisor)
        if arguments.detach:
            _detach(folder.supervisor.log, lock)
        else:
            _record_pid(lock)
        asyncio.run(_supervise(folder))
    except NetworkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _has_process_descriptors() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


async def _supervise(folder: NetworkFolder) -> None:
    if sys.version_info < (3, 12) and _has_process_descriptors():
        # Otherwise one thread per child waits for its end, and a process with threads had better not fork.
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
    await Supervisor(folder).run()


if __name__ == "__main__":
    sys.exit(main())
