"""What tests of the chaincode that runs the EVM share lies beside this file; the federation's rounds serve them too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "federation"))
# The peer that a test plays is the shim's.
sys.path.insert(0, str(Path(__file__).parent.parent / "shim"))
