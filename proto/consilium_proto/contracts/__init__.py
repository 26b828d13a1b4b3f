"""The compiled Solidity contracts, as every room that deploys or calls one reads them.

Sources, compiler settings and the program that makes these files lie in `chaincode/contracts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

REWARD_LEDGER = "RewardLedger"
REWARD_BRIDGE = "FabricRewardBridge"


@dataclass(frozen=True)
class Artifact:
    """A compiled contract.

    Attributes:
        abi: its interface, as Ethereum's clients take it.
        creation_code: what deploys it; the constructor's arguments follow it.
        runtime_code: what lies on the chain afterwards, with zeros where immutable values go.
        compiler: the compiler's version.
    """

    abi: tuple[dict[str, Any], ...]
    creation_code: bytes
    runtime_code: bytes
    compiler: str


def load_artifact(contract: str) -> Artifact:
    """Read the artifact of `REWARD_LEDGER` or `REWARD_BRIDGE`."""
    content = msgspec.json.decode((files(__name__) / f"{contract}.json").read_bytes())
    return Artifact(
        abi=tuple(content["abi"]),
        creation_code=bytes.fromhex(content["creationCode"][2:]),
        runtime_code=bytes.fromhex(content["runtimeCode"][2:]),
        compiler=content["compiler"],
    )
