"""The committed artifacts fit on a chain, and the lock of the packages that make them is sound."""

from __future__ import annotations

import json

import pytest

from consilium_demo.anvil import FOLDER
from consilium_proto.contracts import REWARD_BRIDGE, REWARD_LEDGER, load_artifact

# What a chain takes as a contract's code (EIP-170) and as creation code (EIP-3860).
CODE_LIMIT, CREATION_LIMIT = 24_576, 49_152


@pytest.mark.parametrize("name", [REWARD_LEDGER, REWARD_BRIDGE])
def test_a_chain_takes_the_code(name: str) -> None:
    artifact = load_artifact(name)
    assert artifact.compiler.startswith("0.8.37+")
    assert 0 < len(artifact.runtime_code) <= CODE_LIMIT
    assert len(artifact.creation_code) <= CREATION_LIMIT // 2, "constructor arguments must fit behind it"


def test_the_lock_pins_every_package_by_hash_and_names_no_host() -> None:
    packages = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    fetched = {name: package for name, package in packages.items() if name}
    assert len(fetched) > 50
    assert not [name for name, package in fetched.items() if not package.get("integrity", "").startswith("sha512-")]
    assert not [name for name, package in fetched.items() if "resolved" in package]
