"""A full quorum endorses what the contract would not write: honest agents and the verifier find it and name it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from attack_stage import Stage, attack_terms, hospitals, set_up
from lying_contract import DECEIVED

from consilium_client.agent import Agent
from consilium_client.errors import FalseLedgerError
from consilium_client.replayed_ledger import ReplayedLedger
from consilium_network.network import Network
from consilium_network.topology import Topology, packaged_topology
from consilium_peers.audit.export import export_trail
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.findings import Step
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

pytestmark = pytest.mark.network

ENDS_SECONDS = 180


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lying(make_network: Callable[[str, Topology], Awaitable[Network]]) -> AsyncIterator[Network]:
    """A network of its own, on which every hospital's peer runs the lying contract."""
    made = await make_network("false-quorum", packaged_topology(4))
    await made.up()
    await made.deploy_chaincode("federation", "lying_contract:LyingFederation", python_path=[Path(__file__).parent])
    yield made
    await made.stop()


async def ends(stage: Stage, organization: str, ledger: ReplayedLedger) -> BaseException | None:
    """Run an honest agent that acts on the replayed ledger until it ends; return what ended it."""
    party = stage.parties[organization]
    stage.ledgers[organization] = Federation(party.contract, replayed=ledger)
    async with asyncio.timeout(ENDS_SECONDS):
        try:
            await Agent(stage.site(organization), party.gateway.network()).run()
        except FalseLedgerError as error:
            return error
    return None


async def test_a_false_write_of_a_full_quorum_stops_every_honest_agent(lying: Network, tmp_path: Path) -> None:
    """The deceived hospital's mask key is the liars' on the ledger: whoever masked against it would mask for them."""
    async with AsyncExitStack() as stack:
        parties = await stack.enter_async_context(hospitals(lying, tmp_path))
        liar = await stack.enter_async_context(Gateway.connect(Profile.load(lying.profile("aggregator", "aggregator"))))
        stage = await set_up(parties, Federation(liar.network().contract()), attack_terms(), tmp_path)
        ledgers = {
            name: await stack.enter_async_context(ReplayedLedger.following(party.gateway.network()))
            for name, party in parties.items()
        }
        found = await asyncio.gather(*(ends(stage, name, ledger) for name, ledger in ledgers.items()))
        for error in found:
            assert isinstance(error, FalseLedgerError)
            assert "Join writes" in str(error)
            named = str(error).partition("; endorsed by ")[2]
            assert sum(name in named for name in parties) >= lying.topology.endorsement_quorum
        # Nobody has masked anything.
        assert not [name for name in parties if stage.site(name).journal.round(1).chunk_paths(0)]
        await _check_trail(lying, stage.name, tmp_path)


async def _check_trail(lying: Network, study: str, folder: Path) -> None:
    trail = folder / "trail.zip"
    async with Gateway.connect(Profile.load(lying.profile("cleveland", "compliance"))) as gateway:
        await export_trail(gateway.network(), trail, study)
    verified = verify_trail(trail, TrustedRoots.load(lying.folder.organization("cleveland").trusted_roots))
    assert verified.verdict is Verdict.UNSOUND
    assert verified.finding is not None
    assert verified.finding.step is Step.REPLAY
    assert "Join writes" in verified.finding.reason
    assert DECEIVED in verified.finding.reason
