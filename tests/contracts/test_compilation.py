"""The committed artifacts are what the sources compile to, and the sources are as the linter wants them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from consilium_demo.anvil import FOLDER
from consilium_proto.contracts import REWARD_BRIDGE, REWARD_LEDGER

ROOT = FOLDER.parents[1]
ARTIFACTS = [
    *(ROOT / "proto" / "consilium_proto" / "contracts").glob("*.json"),
    *(ROOT / "scripts" / "consilium_bench" / "contracts").glob("*.json"),
]


def test_artifacts_are_rebuilt_byte_for_byte(node_packages: None, tmp_path: Path) -> None:
    done = subprocess.run(
        ["node", "compile.mjs", str(tmp_path)], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rebuilt = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert rebuilt == {path.name: path.read_bytes() for path in ARTIFACTS}
    assert set(rebuilt) == {f"{REWARD_LEDGER}.json", f"{REWARD_BRIDGE}.json", "MeasuredToken.json"}


def test_sources_pass_the_linter(node_packages: None) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", "lint"], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
