"""What all attacks share: the hospitals' connections, the two aggregators, and a new study for each attack."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from attack_stage import Party, SetUp, Stage, attack_terms, hospitals, set_up
from dishonest_aggregators import TRICKS, Trick, aggregators

from consilium_network.network import Network
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.records import StudyTerms

PLAYED_AT_ONCE = 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parties(network: Network, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Party]]:
    """Every hospital's connections and secrets, beside both aggregators at work.

    For one file's attacks at a time: other rooms' tests run aggregators at the same addresses.
    """
    folder = tmp_path_factory.mktemp("attacks")
    async with aggregators(network, folder / "aggregators"), hospitals(network, folder) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def liar(network: Network) -> AsyncIterator[Federation]:
    """The dishonest aggregator's way to the ledger."""
    async with Gateway.connect(Profile.load(network.profile("aggregator", "aggregator"))) as gateway:
        yield Federation(gateway.network().contract())


@pytest.fixture(scope="module")
def new_stage(parties: dict[str, Party], liar: Federation, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """Return a function that sets up a study, with terms of its own or the usual ones, and the liar's trick in it."""

    async def make(terms: StudyTerms | None = None, trick: Trick | None = None) -> Stage:
        terms = terms or attack_terms()
        if trick is not None:
            TRICKS[terms.study] = trick
        return await set_up(parties, liar, terms, tmp_path_factory.mktemp("stage"))

    return make


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plays(request: pytest.FixtureRequest, new_stage: SetUp) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """A file's PLAYS by name, a few at a time beside its other tests: they mostly wait for blocks and deadlines."""
    places = asyncio.Semaphore(PLAYED_AT_ONCE)

    async def played(play: Callable[[SetUp], Awaitable[None]]) -> None:
        async with places:
            await play(new_stage)

    tasks = {name: asyncio.create_task(played(play)) for name, play in request.module.PLAYS.items()}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
