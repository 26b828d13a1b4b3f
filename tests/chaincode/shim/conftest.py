"""The ledgers on which the tests of the shim run: one in memory and one of real peers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from ledgers import Ledger, MemoryProbe, PeerProbe

from consilium_network.network import Network
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def peers(network: Network, probe: str) -> AsyncIterator[PeerProbe]:
    """The probe contract on the real network, called by a client of Cleveland."""
    await network.deploy_chaincode("callee", "probe:Callee", python_path=[Path(__file__).parent])
    async with Gateway.connect(Profile.load(network.profile("cleveland"))) as gateway:
        yield PeerProbe(gateway.network().contract(probe), gateway.identity.certificate_pem)


@pytest.fixture(params=["memory", pytest.param("peers", marks=pytest.mark.network)])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Each test runs on both."""
    return MemoryProbe() if request.param == "memory" else request.getfixturevalue("peers")
