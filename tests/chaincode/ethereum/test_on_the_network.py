"""The EVM on real peers: what the ledger in memory shows holds there too, and so does what only peers have."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ethereum_world import deploying, entry, key_of, question, signed

from consilium_bench.evm_oracle.assembler import assemble
from consilium_network.bring_up import wait_until_level
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.profile import Profile
from consilium_proto.canonical import Record, decode, encode
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data
from consilium_proto.ethereum.transactions import (
    AccountReference,
    AccountView,
    IdentityAddress,
    IdentityTransaction,
    Inspection,
    Outcome,
    RawTransaction,
    ReceiptRecord,
    ReceiptReference,
    SignedTransaction,
)

pytestmark = pytest.mark.network

# Writes the second word of the call data to the slot that the first names, and logs it.
STORE = assemble(32, "CALLDATALOAD DUP1 PUSH0 MSTORE PUSH0 CALLDATALOAD SSTORE", 32, "PUSH0 LOG0")
# Adds one to twenty slots.
TWENTY = assemble(*(part for slot in range(20) for part in (slot, "SLOAD", 1, "ADD", slot, "SSTORE")))


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


@dataclass
class Caller:
    """An identity's way to the chaincode; before it does anything all peers have the newest block."""

    network: Network
    gateway: Gateway
    evm: Contract

    async def level(self) -> None:
        await wait_until_level(self.network.topology, self.network.folder)

    async def submit(self, function: str, argument: Record) -> ReceiptRecord:
        await self.level()
        return decode(ReceiptRecord, (await self.evm.submit(function, encode(argument))).payload)

    async def height(self) -> int:
        return await self.gateway.network().height()

    async def transaction(self, to: bytes | None, data: bytes = b"", **fields: Any) -> IdentityTransaction:
        settings: dict[str, Any] = {"block_number": await self.height(), "gas": as_quantity(1_000_000), **fields}
        where = None if to is None else as_data(to)
        return IdentityTransaction(to=where, data=as_data(data), value="0x0", **settings)

    async def execute(self, to: bytes | None, data: bytes = b"", **fields: Any) -> ReceiptRecord:
        return await self.submit("Execute", await self.transaction(to, data, **fields))

    async def create(self, code: bytes) -> bytes:
        receipt = await self.execute(None, deploying(code))
        assert (receipt.status, receipt.contract is not None) == (1, True)
        return from_data(receipt.contract or "")

    async def ask(self, function: str, argument: Record | None) -> bytes:
        await self.level()
        return await self.evm.evaluate(function, b"" if argument is None else encode(argument))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def callers(network: Network) -> AsyncIterator[tuple[Caller, Caller]]:
    """Clients of Cleveland and of Hungary."""
    async with AsyncExitStack() as stack:
        found = []
        for name in ("cleveland", "hungary"):
            gateway = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name))))
            found.append(Caller(network, gateway, gateway.network().contract("evm")))
        yield found[0], found[1]


async def together(*calls: tuple[Caller, IdentityTransaction]) -> list[str]:
    """Have all endorsed on the same state, commit them, and return their validation codes."""
    await calls[0][0].level()
    proposals = [caller.evm.propose("Execute", encode(argument)) for caller, argument in calls]
    endorsed = [await each.endorse() for each in proposals]
    return [(await (await each.submit()).status()).code for each in endorsed]


async def test_identities_and_keys_act_on_one_state(callers: tuple[Caller, Caller]) -> None:
    cleveland, hungary = callers
    store = await cleveland.create(STORE)
    own = decode(IdentityAddress, await hungary.ask("ReadOwnAddress", None))
    receipt = await hungary.execute(store, words(1, 11))
    assert (receipt.status, receipt.sender) == (1, own.address)
    kept = decode(ReceiptRecord, await cleveland.ask("ReadReceipt", ReceiptReference(hash=receipt.hash)))
    assert kept == receipt

    terms = decode(EvmTerms, await cleveland.ask("ReadTerms", None))
    key = key_of(time.time_ns())
    raw = signed(key, to=store, data=words(2, 22), chainId=terms.chain_id)
    looked = await cleveland.ask("Inspect", RawTransaction(raw=as_data(raw), block_number=await cleveland.height()))
    found = decode(Inspection, looked)
    assert (found.problem, found.sender) == ("", key.address.lower())
    argument = SignedTransaction(raw=as_data(raw), block_number=await cleveland.height(), prefetch=found.prefetch)
    sent = await cleveland.submit("SendRawTransaction", argument)
    assert (sent.status, sent.logs[0].data) == (1, as_data(words(22)))
    account = decode(AccountView, await hungary.ask("ReadAccount", AccountReference(address=found.sender)))
    assert account.nonce == "0x1"
    with pytest.raises(GatewayError, match="WrongNonce: nonce 0; the sender's next one is 1"):
        await hungary.submit("SendRawTransaction", argument)


async def test_a_failure_is_recorded(callers: tuple[Caller, Caller]) -> None:
    cleveland, _ = callers
    receipt = await cleveland.execute(None, assemble(5, "PUSH0 MSTORE", 32, "PUSH0 REVERT"))
    assert (receipt.status, receipt.error, receipt.output) == (0, "execution reverted", as_data(words(5)))
    assert decode(ReceiptRecord, await cleveland.ask("ReadReceipt", ReceiptReference(hash=receipt.hash))) == receipt


async def test_endorsers_hold_the_claimed_block_against_their_own_height(callers: tuple[Caller, Caller]) -> None:
    cleveland, _ = callers
    terms = decode(EvmTerms, await cleveland.ask("ReadTerms", None))
    height = await cleveland.height()
    argument = await cleveland.transaction(bytes(20), block_number=height + 2 * terms.block_tolerance)
    with pytest.raises(GatewayError, match="BLOCK_SKEW: the transaction claims block"):
        await cleveland.submit("Execute", argument)
    assert (await cleveland.execute(bytes(20), block_number=height + terms.block_tolerance // 2)).status == 1


async def test_different_slots_dont_conflict_and_one_slot_does(callers: tuple[Caller, Caller]) -> None:
    store = await callers[0].create(STORE)
    different = [
        (caller, await caller.transaction(store, words(slot, 7))) for slot, caller in enumerate(callers, start=1)
    ]
    assert await together(*different) == ["VALID", "VALID"]
    same = [(caller, await caller.transaction(store, words(3, number))) for number, caller in enumerate(callers, 1)]
    assert await together(*same) == ["VALID", "MVCC_READ_CONFLICT"]


async def test_another_chaincode_cant_act_in_a_callers_name(network: Network, callers: tuple[Caller, Caller]) -> None:
    cleveland, _ = callers
    await network.deploy_chaincode("relay", "relay:Relay", python_path=[Path(__file__).parent])
    relay = cleveland.gateway.network().contract("relay")
    argument = encode(await cleveland.transaction(bytes(20)))
    with pytest.raises(GatewayError, match="FORBIDDEN: Execute takes calls of evm alone, this one is of 'relay'"):
        await relay.submit("Relay", b"Execute", argument)
    with pytest.raises(GatewayError, match="FORBIDDEN: CreditRound takes calls of federation alone"):
        await relay.submit("Relay", b"CreditRound", b"{}")
    with pytest.raises(GatewayError, match="FORBIDDEN: CreditRound takes calls of federation alone"):
        await cleveland.evm.submit("CreditRound", b"{}")


async def test_answers_begin_as_no_attestation_does(callers: tuple[Caller, Caller]) -> None:
    cleveland, _ = callers
    echo = await cleveland.create(assemble("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY CALLDATASIZE PUSH0 RETURN"))
    asked = question(echo, b"\x89" + bytes(99), block_number=await cleveland.height())
    answer = await cleveland.ask("Call", asked)
    assert decode(Outcome, answer).output.startswith("0x89")
    assert answer.startswith(b"{")


async def test_a_transaction_of_twenty_slots_costs_little_more_than_a_plain_one(
    network: Network, probe: str, callers: tuple[Caller, Caller]
) -> None:
    cleveland, _ = callers
    twenty = await cleveland.create(TWENTY)
    listed = (entry(twenty, *range(20)),)
    plain = cleveland.gateway.network().contract(probe)

    async def timed_plain(number: int) -> float:
        await cleveland.level()
        began = time.monotonic()
        await plain.submit("Put", f"timing{number}".encode(), b"value")
        return time.monotonic() - began

    async def timed_evm() -> float:
        argument = encode(await cleveland.transaction(twenty, prefetch=listed))
        await cleveland.level()
        began = time.monotonic()
        await cleveland.evm.submit("Execute", argument)
        return time.monotonic() - began

    times = [(await timed_plain(number), await timed_evm()) for number in range(7)]
    usual = statistics.median(first for first, _ in times)
    evm = statistics.median(second for _, second in times)
    print(f"plain {usual * 1000:.0f} ms, EVM with twenty slots {evm * 1000:.0f} ms")
    assert evm < 2 * usual
