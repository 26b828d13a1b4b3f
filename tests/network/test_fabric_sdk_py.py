"""A program on fabric-sdk-py (imports as `hfc`) works with a network of ours: it reads, writes, and follows events."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from consilium_bench import locked_environment
from consilium_network.network import Network

# From 3.12 on the SDK fails when it is imported; it has had no release since 2020.
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="fabric-sdk-py needs Python 3.11 or older"),
]

HOSPITAL = "cleveland"
DEADLINE_SECONDS = 300


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def said(network: Network, probe: str, repository: Path) -> dict[str, Any]:
    """What the program saw, run once in the SDK's own environment."""
    lock = repository / "requirements" / "fabric-sdk-py.txt"
    folder = repository / "build" / "fabric-sdk-py"
    python = await asyncio.to_thread(locked_environment.prepare, lock, folder, "fabric-sdk-py (about 60 MB)")
    organization = network.topology.organization(HOSPITAL)
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(repository / "tests" / "network" / "fabric_sdk_py_program.py"),
        str(network.folder.organization(HOSPITAL).sdk_profile),
        network.topology.channel,
        organization.msp_id,
        probe,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-3000:]
    document: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return document


async def test_it_writes_through_every_hospitals_peer_and_reads_what_it_wrote(said: dict[str, Any]) -> None:
    assert (said["written"], said["read"]) == ("written", "sdk value")


async def test_the_profile_names_every_peer(network: Network, said: dict[str, Any]) -> None:
    assert said["peers"] == sorted(f"peer.{each.name}" for each in network.topology.peers)


async def test_it_reads_blocks_and_transactions(network: Network, said: dict[str, Any]) -> None:
    blocks = said["blocks"]
    assert blocks["newest"] == blocks["height"] - 1
    assert (blocks["channel"], blocks["code"]) == (network.topology.channel, 0)


async def test_it_follows_events(said: dict[str, Any]) -> None:
    (event,) = said["events"]
    assert (event["name"], event["payload"]) == ("sdk-event", "sdk payload")
    assert event["block"] >= said["blocks"]["height"]
