"""Makes what these tests share importable, and runs the studies that they look at: once, through every kind of kill."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from killed_studies import KilledStudies, run_killed_studies

from consilium_network.network import Network


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def killed(network: Network, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KilledStudies]:
    """Three studies that ran side by side to their end while every kind of process was killed."""
    yield await run_killed_studies(network, tmp_path_factory.mktemp("studies"))
