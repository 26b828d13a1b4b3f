"""What others do with a network's supervisor: start it, stop it, make it look again, read what it sees."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable

import msgspec

from consilium_network.errors import NodeError, PortInUseError, SupervisorError
from consilium_network.layout import NetworkFolder, SupervisorFolder
from consilium_network.nodes import NodeSpecification
from consilium_network.supervisor import SupervisorState, take_lock

STOP_SECONDS = 45.0
_START_SECONDS = 20.0
_POLL_SECONDS = 0.05
_HOPELESS_STARTS = 4


def running_pid(folder: SupervisorFolder) -> int | None:
    """Return the process id of the network's supervisor; None when none lives."""
    if not folder.lock.exists():
        return None
    try:
        take_lock(folder).close()
    except SupervisorError:
        text = folder.lock.read_text(encoding="utf-8").strip()
        return int(text) if text.isdigit() else None
    return None


def read_state(folder: SupervisorFolder) -> SupervisorState | None:
    """Return what the supervisor last wrote; None when it has written nothing yet."""
    try:
        return msgspec.json.decode(folder.state.read_bytes(), type=SupervisorState)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise SupervisorError(f"{folder.state} can't be read: {error}") from None


async def start_supervisor(folder: NetworkFolder) -> None:
    """Start the supervisor in the background.

    Raises:
        SupervisorError: one runs already, or it doesn't start.
    """
    folder.supervisor.state.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "consilium_network.supervisor",
        str(folder.root),
        "--detach",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, output = await asyncio.wait_for(process.communicate(), _START_SECONDS)
    if process.returncode:
        lines = output.decode(errors="replace").strip().splitlines()
        message = lines[-1].removeprefix("error: ") if lines else f"it ended with code {process.returncode}"
        raise SupervisorError(f"the supervisor did not start: {message}")
    await _wait_for_generation(folder.supervisor, 1)


async def reload_supervisor(folder: SupervisorFolder) -> None:
    """Make the supervisor start, end or restart what changed in supervisor/nodes, and wait until it has looked.

    Raises:
        SupervisorError: none runs, or it doesn't answer.
    """
    pid, state = running_pid(folder), read_state(folder)
    if pid is None or state is None:
        raise SupervisorError("no supervisor runs this network: start it with `consilium network start`")
    os.kill(pid, signal.SIGHUP)
    await _wait_for_generation(folder, state.generation + 1)


async def stop_supervisor(folder: SupervisorFolder) -> bool:
    """End the supervisor and all it started; False when none ran.

    Raises:
        SupervisorError: it doesn't end in time.
    """
    pid = running_pid(folder)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(folder) is not None:
        if time.monotonic() > deadline:
            raise SupervisorError(f"the supervisor (process {pid}) did not end within {STOP_SECONDS:.0f} seconds")
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def _wait_for_generation(folder: SupervisorFolder, generation: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        state = read_state(folder)
        if state is not None and state.generation >= generation:
            return
        if time.monotonic() > deadline or running_pid(folder) is None:
            raise SupervisorError(f"the supervisor does not answer; its log is {folder.log}")
        await asyncio.sleep(_POLL_SECONDS)


def check_ports_free(specifications: Iterable[NodeSpecification]) -> None:
    """Refuse to start nodes whose addresses are taken.

    Raises:
        PortInUseError: names node and address.
    """
    for specification in specifications:
        for address in specification.addresses:
            try:
                taken = is_listening(address)
            except OSError as error:
                raise PortInUseError(
                    f"{specification.name} can't listen on {address}: {error.strerror}; check the topology's host"
                ) from None
            if taken:
                raise PortInUseError(
                    f"{specification.name} should listen on {address}, but another process does: end that process, or "
                    "make the network on other ports (`consilium network up --first-port`)"
                )


async def wait_until_listening(
    folder: SupervisorFolder, specifications: Iterable[NodeSpecification], timeout_seconds: float = 60.0
) -> None:
    """Wait until every node listens on all its addresses.

    Raises:
        NodeError: one doesn't in time, or dies again and again. The message says what its log says.
    """
    deadline = time.monotonic() + timeout_seconds
    for specification in specifications:
        for address in specification.addresses:
            while not is_listening(address):
                _check_hope(folder, specification, deadline, timeout_seconds, address)
                await asyncio.sleep(_POLL_SECONDS)


def is_listening(address: str) -> bool:
    """Tell whether somebody listens there, without connecting: nodes log a connection without TLS as an error."""
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _check_hope(
    folder: SupervisorFolder, specification: NodeSpecification, deadline: float, timeout_seconds: float, address: str
) -> None:
    state = read_state(folder)
    process = state.processes.get(specification.name) if state else None
    failure = (process.last_failure if process else None) or "no error in its log"
    if process is not None and process.starts >= _HOPELESS_STARTS and process.pid is None:
        raise NodeError(f"{specification.name} does not start: it {failure} (log: {specification.log})")
    if time.monotonic() > deadline:
        raise NodeError(
            f"{specification.name} does not listen on {address} after {timeout_seconds:.0f} seconds: {failure} "
            f"(log: {specification.log})"
        )
