"""Whether the contracts' tests can run. Where they can't, this is the one line that says so."""

from __future__ import annotations

import subprocess

import pytest
from anvil_chain import NODE_MISSING, NODE_REASON

from consilium_demo.anvil import OLDEST_NODE, anvil_program


@pytest.mark.skipif(NODE_MISSING, reason=NODE_REASON)
def test_node_brings_the_compiler_and_a_chain(node_packages: None) -> None:
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    assert int(version.removeprefix("v").split(".")[0]) >= OLDEST_NODE
    assert anvil_program().is_file()
