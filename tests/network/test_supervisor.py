"""The supervisor with small processes instead of Fabric's: restarts, changes, a second supervisor, the end."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from consilium_network import supervision
from consilium_network.errors import NodeError, PortInUseError, SupervisorError
from consilium_network.layout import NetworkFolder
from consilium_network.nodes import NodeKind, NodeSpecification
from consilium_network.topology import packaged_topology_text

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


def specify(folder: NetworkFolder, name: str, code: str, *, addresses: tuple[str, ...] = ()) -> NodeSpecification:
    folder.organization("cleveland").root.mkdir(parents=True, exist_ok=True)
    specification = NodeSpecification(
        name=name,
        organization="cleveland",
        kind=NodeKind.PEER,
        command=(sys.executable, "-c", code),
        environment={"MARK": name},
        folder=str(folder.root),
        log=str(folder.organization("cleveland").log(name)),
        addresses=addresses,
    )
    specification.save(folder.supervisor)
    return specification


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> AsyncIterator[NetworkFolder]:
    made = NetworkFolder(tmp_path)
    made.supervisor.nodes.mkdir(parents=True)
    made.topology.write_text(packaged_topology_text(4))
    yield made
    await supervision.stop_supervisor(made.supervisor)


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def pid(folder: NetworkFolder, name: str) -> int | None:
    state = supervision.read_state(folder.supervisor)
    return state.processes[name].pid if state and name in state.processes else None


def lives(number: int) -> bool:
    try:
        status = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return status != "Z"


async def test_what_is_killed_is_started_again(folder: NetworkFolder) -> None:
    specify(folder, "peer.one", SLEEP)
    await supervision.start_supervisor(folder)
    await until(lambda: pid(folder, "peer.one"))
    first = pid(folder, "peer.one")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: pid(folder, "peer.one") not in (None, first))
    state = supervision.read_state(folder.supervisor)
    assert state is not None
    assert state.processes["peer.one"].restarts == 1
    assert state.processes["peer.one"].last_failure == "was ended by SIGKILL"


async def test_what_dies_at_once_is_started_ever_more_slowly_and_its_words_are_kept(folder: NetworkFolder) -> None:
    specification = specify(folder, "peer.bad", "raise SystemExit('Error: no such option')", addresses=("127.0.0.1:9",))
    await supervision.start_supervisor(folder)
    with pytest.raises(NodeError, match=r"peer\.bad does not start: it ended with code 1: Error: no such option"):
        await supervision.wait_until_listening(folder.supervisor, [specification], 20)
    state = supervision.read_state(folder.supervisor)
    assert state is not None
    assert state.processes["peer.bad"].starts < 8


async def test_a_command_that_cannot_be_run_is_reported(folder: NetworkFolder) -> None:
    specification = specify(folder, "peer.none", SLEEP)
    msgspec.structs.replace(specification, command=("/nowhere/peer",)).save(folder.supervisor)
    await supervision.start_supervisor(folder)

    def failure() -> str | None:
        state = supervision.read_state(folder.supervisor)
        return state.processes["peer.none"].last_failure if state else None

    await until(failure)
    assert "can't be started" in str(failure())


async def test_changes_are_followed(folder: NetworkFolder) -> None:
    specify(folder, "peer.kept", SLEEP)
    specify(folder, "peer.changed", SLEEP)
    specify(folder, "peer.removed", SLEEP)
    await supervision.start_supervisor(folder)
    await until(lambda: all(pid(folder, name) for name in ("peer.kept", "peer.changed", "peer.removed")))
    before = {name: pid(folder, name) for name in ("peer.kept", "peer.changed", "peer.removed")}
    (folder.supervisor.nodes / "peer.removed.json").unlink()
    specify(folder, "peer.changed", SLEEP + " # new")
    specify(folder, "peer.added", SLEEP)
    await supervision.reload_supervisor(folder.supervisor)
    await until(lambda: pid(folder, "peer.added") and pid(folder, "peer.changed") not in (None, before["peer.changed"]))
    await until(lambda: pid(folder, "peer.removed") is None and not lives(before["peer.removed"] or 0))
    assert pid(folder, "peer.kept") == before["peer.kept"]


async def test_a_second_supervisor_is_refused_by_name(folder: NetworkFolder) -> None:
    await supervision.start_supervisor(folder)
    holder = supervision.running_pid(folder.supervisor)
    with pytest.raises(SupervisorError, match=rf"a supervisor \(process {holder}\) already runs the network"):
        await supervision.start_supervisor(folder)
    assert supervision.running_pid(folder.supervisor) == holder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_its_end_is_the_end_of_everything_it_started(folder: NetworkFolder, number: signal.Signals) -> None:
    specify(folder, "peer.one", SLEEP)
    specify(folder, "peer.two", SLEEP)
    await supervision.start_supervisor(folder)
    await until(lambda: pid(folder, "peer.one") and pid(folder, "peer.two"))
    started = [pid(folder, "peer.one"), pid(folder, "peer.two")]
    os.kill(supervision.running_pid(folder.supervisor) or 0, number)
    await until(lambda: supervision.running_pid(folder.supervisor) is None)
    assert not [each for each in started if each and lives(each)]


async def test_a_process_that_ignores_the_request_is_ended_by_force(folder: NetworkFolder) -> None:
    specification = specify(folder, "peer.stubborn", STUBBORN)
    await supervision.start_supervisor(folder)
    await until(lambda: Path(specification.log).exists() and "ready" in Path(specification.log).read_text())
    number = pid(folder, "peer.stubborn")
    assert await supervision.stop_supervisor(folder.supervisor)
    assert not lives(number or 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_nothing_outlives_a_supervisor_that_is_killed(folder: NetworkFolder) -> None:
    specify(folder, "peer.one", SLEEP)
    await supervision.start_supervisor(folder)
    await until(lambda: pid(folder, "peer.one"))
    child = pid(folder, "peer.one") or 0
    os.kill(supervision.running_pid(folder.supervisor) or 0, signal.SIGKILL)
    await until(lambda: not lives(child))
    assert supervision.running_pid(folder.supervisor) is None
    await supervision.start_supervisor(folder)
    await until(lambda: pid(folder, "peer.one") not in (None, child))


async def test_stopping_what_does_not_run_says_so(folder: NetworkFolder) -> None:
    assert not await supervision.stop_supervisor(folder.supervisor)
    with pytest.raises(SupervisorError, match="no supervisor runs this network"):
        await supervision.reload_supervisor(folder.supervisor)


async def test_a_node_has_the_environment_it_was_given_and_no_more(folder: NetworkFolder) -> None:
    specify(folder, "peer.one", SLEEP)
    await supervision.start_supervisor(folder)
    await until(lambda: pid(folder, "peer.one"))
    number = pid(folder, "peer.one")
    await until(lambda: b"MARK" in Path(f"/proc/{number}/environ").read_bytes())
    assert Path(f"/proc/{number}/environ").read_bytes().strip(b"\0") == b"MARK=peer.one"


async def test_a_taken_port_is_named_with_its_node(folder: NetworkFolder) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    specification = specify(folder, "peer.one", SLEEP, addresses=(f"127.0.0.1:{port}",))
    async with server:
        with pytest.raises(
            PortInUseError, match=rf"peer\.one should listen on 127\.0\.0\.1:{port}, but another process"
        ):
            supervision.check_ports_free([specification])
    foreign = specify(folder, "peer.two", SLEEP, addresses=("192.0.2.7:9000",))
    with pytest.raises(PortInUseError, match=r"can't listen on 192\.0\.2\.7:9000"):
        supervision.check_ports_free([foreign])
