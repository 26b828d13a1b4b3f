"""Makes what these tests share importable, and plays the study that they look at: once per run."""

import sys
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
# The contract's own tests have the ledgers on which every course of a study can be played.
sys.path.append(str(Path(__file__).parents[2] / "chaincode" / "federation"))
# The trail's tests have the channels whose every key is theirs.
sys.path.append(str(Path(__file__).parents[1] / "trail"))
sys.path.append(str(Path(__file__).parents[2] / "chaincode" / "ethereum"))

from audited_study import AuditedStudy, play_study

from consilium_network.network import Network


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def audited(network: Network) -> AuditedStudy:
    """A study of two final rounds."""
    return await play_study(network)
