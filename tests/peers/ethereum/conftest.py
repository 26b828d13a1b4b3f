"""What the tests of Ethereum's JSON-RPC share lies beside this file; ledger and keys are those of the chaincode's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "chaincode" / "ethereum"))
# Blocks that a real network left are the trail's.
sys.path.append(str(Path(__file__).parents[1] / "trail"))

from served import ServedRpc

from consilium_demo.anvil import install_node_packages, missing_node
from consilium_network.bring_up import wait_until_level
from consilium_network.network import Network
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.ethereum.scalars import EVM_CHAINCODE

# `tests/contracts/test_node.py` says in one line why these are left out.
collect_ignore = ["test_contracts.py", "test_ethers.py"] if missing_node() else []

ROOMY_GAS_CAP = 6_000_000
"""Creating OpenZeppelin's governor takes more than the packaged terms allow."""


@pytest.fixture(scope="session")
def node_packages() -> None:
    install_node_packages()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def roomy_network(network: Network) -> Network:
    """The shared network with a higher cap on gas, as hospitals would resolve it."""
    people = [(each.name, "admin") for each in network.topology.hospitals]
    async with Gateway.connect(Profile.load(network.profile("cleveland", "client"))) as gateway:
        resolutions = Resolutions(gateway.network().contract(EVM_CHAINCODE))
        terms = await resolutions.terms()
        roomy = msgspec.structs.replace(terms, revision=terms.revision + 1, gas_cap=ROOMY_GAS_CAP)
        for name, user in people:
            async with Gateway.connect(Profile.load(network.profile(name, user))) as admin:
                await Resolutions(admin.network().contract(EVM_CHAINCODE)).approve(roomy)
            # Peers that are a block apart endorse differently.
            await wait_until_level(network.topology, network.folder)
        await resolutions.enact(roomy)
    await wait_until_level(network.topology, network.folder)
    return network


@pytest.fixture(scope="module")
def served(roomy_network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRpc]:
    running = ServedRpc(
        roomy_network.profile("cleveland", "client"), "--state", str(tmp_path_factory.mktemp("evm-rpc"))
    )
    yield running
    assert running.stop() == 0
