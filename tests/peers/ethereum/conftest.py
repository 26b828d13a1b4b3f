"""What the tests of Ethereum's JSON-RPC share lies beside this file; ledger and keys are those of the chaincode's."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "chaincode" / "ethereum"))
