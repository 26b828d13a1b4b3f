"""What tests on the real network share: one network per run, on free ports, below build/tests."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))

from soft_token import SoftToken

from consilium_network.network import Network
from consilium_network.topology import (
    PORTS_PER_ORGANIZATION,
    Organization,
    OrganizationRole,
    Topology,
    packaged_topology,
)

ROOT = Path(__file__).parent.parent
# What several rooms' tests share lies beside this file.
sys.path.insert(0, str(Path(__file__).parent))
BUILD = ROOT / "build" / "tests"
# Below the ports that the kernel hands out to clients (32768 and up on Linux).
PORT_RANGE = range(20_000, 32_000, 300)


def on_free_ports(topology: Topology) -> Topology:
    """Move a topology to ports of which none is taken."""
    wanted = len(topology.organizations) * PORTS_PER_ORGANIZATION
    # Runs beside each other begin to look at different places.
    first = os.getpid() % len(PORT_RANGE)
    for base in (*PORT_RANGE[first:], *PORT_RANGE[:first]):
        if all(_is_free(port) for port in range(base, base + wanted)):
            return topology.with_ports_from(base)
    raise RuntimeError(f"no {wanted} free ports in a row between {PORT_RANGE.start} and {PORT_RANGE.stop}")


def with_standby(topology: Topology) -> Topology:
    """Add a second aggregator, which takes over when the first one's sum is rejected."""
    last = max(each.first_port for each in topology.organizations)
    standby = Organization(
        name="standby",
        msp_id="StandbyMSP",
        role=OrganizationRole.AGGREGATOR,
        first_port=last + PORTS_PER_ORGANIZATION,
    )
    return replace(topology, organizations=(*topology.organizations, standby))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def fresh_network(name: str, topology: Topology) -> Network:
    """Return a network that isn't up yet, in a folder below build/tests that no other run uses."""
    await clear_remains()
    return Network(BUILD / f"{name}-{os.getpid()}", on_free_ports(topology))


async def clear_remains() -> None:
    """Stop and delete the networks of runs that are over. Logs stay until the next run, to be looked at."""
    for directory in BUILD.glob("*-*"):
        process = directory.name.rpartition("-")[2]
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            await Network(directory).stop()
            shutil.rmtree(directory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def network() -> AsyncIterator[Network]:
    """Four hospitals, the regulator and two aggregators, with both contracts; brought up once per run."""
    made = await fresh_network("network", with_standby(packaged_topology(4)))
    await made.up(evm=True)
    yield made
    await made.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def probe(network: Network) -> str:
    """Name the chaincode on the network that has the probe contract, which uses every feature of the shim."""
    await network.deploy_chaincode("probe", "probe:Probe", python_path=[ROOT / "tests" / "chaincode" / "shim"])
    return "probe"


@pytest.fixture(scope="session")
def make_network() -> Callable[[str, Topology], Awaitable[Network]]:
    """Return a function (name, topology) that prepares another network, for tests that stop or break it."""
    return fresh_network


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture
def soft_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    """A fresh token of SoftHSM below this test's folder."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    return SoftToken.initialise(tmp_path)
