"""The work that both EVMs do: a token is deployed, minted to many accounts, and transferred to them.

Nothing here can import more than Python's own: py-evm's environment has none of Consilium's packages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from consilium_bench.cpu_time import processor_seconds

ARTIFACT = Path(__file__).parents[1] / "contracts" / "MeasuredToken.json"
CHAIN_ID = 1337
BASE_FEE = 10**9
GAS_PRICE = 2 * BASE_FEE
BLOCK_GAS = 30_000_000
TIMESTAMP = 1_800_000_000
SENDER = bytes([0x5E]) * 20
BALANCE = 10**24
GAS = 100_000
CREATION_GAS = 2_000_000

# The first four bytes of Keccak-256 of mint(address,uint256), transfer(address,uint256) and balanceOf(address).
_MINT, _TRANSFER, _BALANCE_OF = (bytes.fromhex(selector) for selector in ("40c10f19", "a9059cbb", "70a08231"))
_AMOUNT = 10**18


class Call(NamedTuple):
    """A transaction of the one sender, whose nonces count up."""

    nonce: int
    to: bytes | None
    data: bytes
    gas: int = GAS


class Outcome(NamedTuple):
    """What became of a transaction."""

    status: int
    gas_used: int
    output: bytes
    contract: bytes | None = None


Execute = Callable[[Call], Outcome]


class Calls:
    """Calls of the token, one after the other."""

    def __init__(self, execute: Execute, token: bytes | None) -> None:
        self._execute = execute
        self._token = token
        self._nonce = 1

    def each(self, data: Iterable[bytes]) -> list[Outcome]:
        """Call it with each of these."""
        outcomes = []
        for each in data:
            outcomes.append(self._execute(Call(self._nonce, self._token, each)))
            self._nonce += 1
        return outcomes


def play(execute: Execute, count: int) -> dict[str, Any]:
    """Deploy the token, mint it to `count` accounts and transfer it as often, each by a transaction of its own.

    Args:
        execute: executes a transaction on the state that the one before has left behind.
        count: how many of each kind are timed; a tenth as many go before them, so that nothing is done a first time.

    Returns:
        processor seconds by kind, and what shows that both sides did the same: gas, and a digest of all outcomes.
    """
    token = execute(Call(0, None, creation_code(), CREATION_GAS))
    assert token.status == 1, "the token isn't deployed"
    begun = count // 10
    holders = [account(number) for number in range(begun + count)]
    minted = [_encoded(_MINT, holder, _AMOUNT) for holder in holders]
    sent = [_encoded(_TRANSFER, holder, 1) for holder in holders]
    # The sender is who transfers, so it holds enough.
    calls = Calls(execute, token.contract)
    outcomes = calls.each([_encoded(_MINT, SENDER, _AMOUNT), *minted[:begun], *sent[:begun]])
    seconds = {}
    for kind, part in (("mint", minted[begun:]), ("transfer", sent[begun:])):
        before = processor_seconds()
        outcomes += calls.each(part)
        seconds[kind] = processor_seconds() - before
    outcomes += calls.each([_BALANCE_OF + holder.rjust(32, b"\0") for holder in (SENDER, holders[0], holders[-1])])
    return {"seconds": seconds, "gas": sum(each.gas_used for each in outcomes), "outcomes": _digest(outcomes)}


def creation_code() -> bytes:
    """Return what deploys the token."""
    return bytes.fromhex(json.loads(ARTIFACT.read_text())["creationCode"][2:])


def account(number: int) -> bytes:
    """Return the address of a holder."""
    return hashlib.sha256(f"holder {number}".encode()).digest()[:20]


def _encoded(selector: bytes, address: bytes, amount: int) -> bytes:
    return selector + address.rjust(32, b"\0") + amount.to_bytes(32, "big")


def _digest(outcomes: Iterable[Outcome]) -> str:
    said = [f"{each.status} {each.gas_used} {each.output.hex()}" for each in outcomes]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
