"""ethers, the library behind most JavaScript programs and Hardhat's plugin, against the real network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from served import CONTRACTS, ServedRpc

pytestmark = pytest.mark.network

FOLDER = Path(__file__).parent / "ethers"


def test_ethers_deploys_calls_listens_and_knows_the_errors(served: ServedRpc) -> None:
    def run(*program: str) -> str:
        done = subprocess.run(program, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("npm", "ci", "--no-audit", "--no-fund")
    answer = json.loads(run("node", "coin.mjs", served.url, str(CONTRACTS / "Coin.json")))
    assert answer == {
        "status": [1, 1],
        "balances": [600, 400],
        "event": "Transfer",
        "transfers": 2,
        "heard": 7,
        "inBlock": True,
        "tooMuch": "ERC20InsufficientBalance",
        "notMinter": "AccessControlUnauthorizedAccount",
        "estimated": "CALL_EXCEPTION",
        "oldNonce": "NONCE_EXPIRED",
        "identity": "accepted",
    }
