"""Contracts' tests: one chain, one consortium and one bridge for refusals; each test that changes state has its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from anvil_chain import NODE_MISSING, AnvilChain
from bridge_stage import BridgeStage
from eth_account import Account
from fabric_consortium import Consortium

from consilium_demo.anvil import install_node_packages
from consilium_peers.ethereum.bridge.sending import Payer

# `test_node.py` says in one line why these are left out.
_NEED_NODE = [
    "test_bridge.py",
    "test_bridge_attacks.py",
    "test_bridge_decisions.py",
    "test_bridge_on_network.py",
    "test_bridge_parser.py",
    "test_carried_file.py",
    "test_carrying.py",
    "test_compilation.py",
    "test_deployed_bridge.py",
    "test_reward_ledger.py",
]
collect_ignore = _NEED_NODE if NODE_MISSING else []


@pytest.fixture(scope="session")
def node_packages() -> None:
    install_node_packages()


@pytest.fixture(scope="session")
def chain(node_packages: None) -> Iterator[AnvilChain]:
    running = AnvilChain("osaka")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def consortium() -> Consortium:
    return Consortium(7)


@pytest.fixture
def stage(chain: AnvilChain, consortium: Consortium) -> BridgeStage:
    """A bridge of its own, of which 3 of 4 organisations decide."""
    return BridgeStage.set_up(chain, consortium)


@pytest.fixture(scope="session")
def untouched(chain: AnvilChain, consortium: Consortium) -> BridgeStage:
    """A bridge that nothing is ever carried over to: tests ask it what it would refuse."""
    return BridgeStage.set_up(chain, consortium)


@pytest.fixture
def payer(chain: AnvilChain) -> Payer:
    account = Account.create()
    chain.request("anvil_setBalance", account.address, hex(10**18))
    return Payer(chain.node, account)
