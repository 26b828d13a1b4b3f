"""The committed artifacts of the tests' contracts are what OpenZeppelin's sources and theirs compile to."""

from __future__ import annotations

import subprocess
from pathlib import Path

from served import CONTRACTS


def test_the_tests_contracts_are_rebuilt_byte_for_byte(node_packages: None, tmp_path: Path) -> None:
    program = ["node", str(CONTRACTS / "compile.mjs"), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    rebuilt = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert rebuilt == {path.name: path.read_bytes() for path in CONTRACTS.glob("*.json")}
