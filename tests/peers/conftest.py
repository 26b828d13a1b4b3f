"""Two played gateways and the profile of a client that may use them; a played channel whose study is rewarded."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from client_credentials import Credentials
from played_gateway import PlayedGateway

from consilium_peers.gateway import Contract, Gateway

if TYPE_CHECKING:
    from rewarded_chain import RewardedChain


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return Credentials.create(tmp_path_factory.mktemp("credentials"))


@pytest_asyncio.fixture
async def gateways(credentials: Credentials) -> AsyncIterator[tuple[PlayedGateway, PlayedGateway]]:
    """The organisation's own gateway and another one."""
    both = PlayedGateway(), PlayedGateway()
    for gateway in both:
        await credentials.start(gateway)
    yield both
    for gateway in both:
        await gateway.stop()


@pytest_asyncio.fixture
async def gateway(credentials: Credentials, gateways: tuple[PlayedGateway, PlayedGateway]) -> AsyncIterator[Gateway]:
    profile = credentials.profile(*(f"127.0.0.1:{each.port}" for each in gateways))
    async with Gateway.connect(profile) as connected:
        yield connected


@pytest.fixture
def contract(gateway: Gateway) -> Contract:
    return gateway.network().contract()


@pytest.fixture(scope="session")
def attested() -> RewardedChain:
    """A rewarded chain whose first round waits for its last step; Alpha has named its payout address."""
    from federation_world import ALPHA
    from rewarded_chain import RewardedChain

    made = RewardedChain()
    made.begin_rewarded_study()
    made.name_address(ALPHA)
    made.play_to_attested()
    return made
