"""The good trail that a real network left, and what verifies it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "chaincode" / "federation"))
sys.path.append(str(Path(__file__).parents[2] / "chaincode" / "ethereum"))
sys.path.insert(0, str(Path(__file__).parent))

from consilium_trail.roots import TrustedRoots

FORMAT_1 = Path(__file__).parent / "format-1"


@pytest.fixture(scope="session")
def good() -> Path:
    """A trail that `scripts/make_trail_fixture.py` made: two rounds, a dispute, a conflict, a changed configuration."""
    return FORMAT_1 / "cleveland.zip"


@pytest.fixture(scope="session")
def of_another_peer() -> Path:
    """The same study, exported by another hospital from its own peer."""
    return FORMAT_1 / "hungary.zip"


@pytest.fixture(scope="session")
def rewarded() -> Path:
    """A trail that `scripts/make_reward_trail_fixture.py` made: a rewarded round and transactions of the EVM."""
    return Path(__file__).parent / "format-1-rewards" / "cleveland.zip"


@pytest.fixture(scope="session")
def roots() -> TrustedRoots:
    return TrustedRoots.load(FORMAT_1 / "roots.pem")
