"""The committed artifacts are what the sources compile to, and the sources are as the linter wants them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from anvil_chain import FOLDER, NODE_MISSING, NODE_REASON

from consilium_proto.contracts import REWARD_BRIDGE, REWARD_LEDGER, load_artifact

node = pytest.mark.skipif(NODE_MISSING, reason=NODE_REASON)
ARTIFACTS = FOLDER.parents[1] / "proto" / "consilium_proto" / "contracts"
# What a chain takes as a contract's code (EIP-170) and as creation code (EIP-3860).
CODE_LIMIT, CREATION_LIMIT = 24_576, 49_152


@node
def test_artifacts_are_rebuilt_byte_for_byte(node_packages: None, tmp_path: Path) -> None:
    done = subprocess.run(
        ["node", "compile.mjs", str(tmp_path)], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rebuilt = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert rebuilt == {path.name: path.read_bytes() for path in ARTIFACTS.glob("*.json")}
    assert set(rebuilt) == {f"{REWARD_LEDGER}.json", f"{REWARD_BRIDGE}.json"}


@node
def test_sources_pass_the_linter(node_packages: None) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", "lint"], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
