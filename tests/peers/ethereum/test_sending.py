"""From an accepted transaction to its block: the order of nonces, conflicts, outages, and a server that is killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from ethereum_world import CHAIN_ID, EvmLedger, deploying, key_of, signed, signed_argument
from memory_channel import Answered, MemoryChannel, answered

from consilium_bench.evm_oracle.assembler import assemble
from consilium_peers.errors import CommitStatusError, EndorseError, EvaluateError, GatewayError
from consilium_peers.ethereum.rpc.errors import RpcError, UnavailableError
from consilium_peers.ethereum.rpc.pool import MOST_PER_SENDER
from consilium_proto.canonical import encode

# Adds one to slot 0: two of these can't stand in one block.
COUNTER = assemble(0, "SLOAD", 1, "ADD PUSH0 SSTORE")
ADDRESS = b"\xc0" * 20
ALICE, BOB = key_of(11), key_of(12)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Answered]:
    async with answered(tmp_path) as running:
        running.channel.evm.place(ADDRESS, COUNTER)
        yield running


async def count(server: Answered) -> int:
    return int(await server.ask("eth_getStorageAt", "0x" + ADDRESS.hex(), "0x0", "latest"), 16)


async def test_a_transaction_is_known_from_its_acceptance_on(server: Answered) -> None:
    sent = await server.sent(signed(ALICE, to=ADDRESS))
    waiting = await server.ask("eth_getTransactionByHash", sent)
    assert (waiting["hash"], waiting["from"], waiting["blockNumber"]) == (sent, ALICE.address.lower(), None)
    assert await server.ask("eth_getTransactionCount", ALICE.address, "pending") == "0x1"
    assert await server.ask("eth_getTransactionCount", ALICE.address, "latest") == "0x0"
    receipt = await server.committed(sent)
    assert (receipt["status"], receipt["transactionHash"]) == ("0x1", sent)
    assert len(server.pool) == 0
    assert (await server.ask("eth_getTransactionByHash", sent))["blockNumber"] == receipt["blockNumber"]
    assert await server.ask("eth_getTransactionCount", ALICE.address, "latest") == "0x1"


async def test_transactions_of_one_sender_are_carried_in_the_order_of_nonces(server: Answered) -> None:
    raws = [signed(ALICE, to=ADDRESS, nonce=nonce) for nonce in range(10)]
    shuffled = random.Random(7).sample(raws, len(raws))
    hashes = {raw: await server.sent(raw) for raw in shuffled}
    places = [int((await server.committed(hashes[raw]))["blockNumber"], 16) for raw in raws]
    assert places == sorted(places)
    assert await count(server) == 10


async def test_conflicts_cost_no_transaction(server: Answered) -> None:
    """Twelve senders change one slot at once: all arrive, though most were invalid in some block first."""
    keys = [key_of(100 + number) for number in range(12)]
    hashes = await asyncio.gather(*(server.sent(signed(key, to=ADDRESS)) for key in keys))
    for sent in hashes:
        assert (await server.committed(sent))["status"] == "0x1"
    assert server.channel.codes.count("MVCC_READ_CONFLICT") >= 1
    assert await count(server) == 12


async def test_a_failed_execution_is_a_receipt_not_a_lost_transaction(server: Answered) -> None:
    server.channel.evm.place(b"\xfa" * 20, assemble("POP"))
    receipt = await server.committed(await server.sent(signed(ALICE, to=b"\xfa" * 20)))
    assert receipt["status"] == "0x0"


@pytest.mark.parametrize(
    ("nonce", "words"),
    [(0, "nonce too low"), (MOST_PER_SENDER + 2, "nonce too high")],
)
async def test_nonces_are_refused_in_the_words_that_clients_know(server: Answered, nonce: int, words: str) -> None:
    await server.committed(await server.sent(signed(ALICE, to=ADDRESS)))
    with pytest.raises(RpcError, match=words):
        await server.sent(signed(ALICE, to=ADDRESS, nonce=nonce, gas=60_000))


async def test_what_is_known_or_would_replace_another_is_refused(server: Answered) -> None:
    raw = signed(ALICE, to=ADDRESS, nonce=1)
    sent = await server.sent(raw)
    with pytest.raises(RpcError, match="already known"):
        await server.sent(raw)
    with pytest.raises(RpcError, match="replacement transaction underpriced"):
        await server.sent(signed(ALICE, to=ADDRESS, nonce=1, gas=60_000))
    await server.sent(signed(ALICE, to=ADDRESS, nonce=0))
    await server.committed(sent)
    with pytest.raises(RpcError, match="already known"):
        await server.sent(raw)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gas": 20_000}, "intrinsic gas too low"),
        ({"gas": 10_000_000}, "exceeds block gas limit"),
        ({"value": 1}, "insufficient funds"),
        ({"chainId": CHAIN_ID + 1}, "invalid sender"),
    ],
)
async def test_what_can_never_be_executed_is_refused_at_once(
    server: Answered, fields: dict[str, int], words: str
) -> None:
    with pytest.raises(RpcError, match=words):
        await server.sent(signed(ALICE, to=ADDRESS, **fields))
    assert len(server.pool) == 0


async def test_a_gap_waits_for_its_predecessor(server: Answered) -> None:
    later = await server.sent(signed(ALICE, to=ADDRESS, nonce=1))
    await server.committed(await server.sent(signed(BOB, to=ADDRESS)))
    assert await server.ask("eth_getTransactionReceipt", later) is None
    assert await server.ask("eth_getTransactionCount", ALICE.address, "pending") == "0x0"
    await server.sent(signed(ALICE, to=ADDRESS, nonce=0))
    assert (await server.committed(later))["status"] == "0x1"


@pytest.mark.parametrize("stage", ["SendRawTransaction", "settle", "status"])
async def test_outages_at_any_stage_cost_no_transaction_and_execute_none_twice(server: Answered, stage: str) -> None:
    """At `status` the transaction is committed and nobody says so: the nonce tells it."""
    failures = [EndorseError("", "UNAVAILABLE", "no peers"), CommitStatusError("", "DEADLINE_EXCEEDED", "not known")]

    def disturbance(function: str) -> GatewayError | None:
        return failures.pop() if function == stage and failures else None

    server.channel.disturbance = disturbance
    assert (await server.committed(await server.sent(signed(ALICE, to=ADDRESS))))["status"] == "0x1"
    assert not failures or stage == "status"
    await asyncio.sleep(0.1)
    assert (await count(server), len(server.pool)) == (1, 0)


async def test_neither_a_lying_endorser_nor_a_busy_peer_costs_a_transaction(server: Answered) -> None:
    """Another organisation's peer refuses what is good; then the own one has too much to do to look at it again."""
    sent = asyncio.Event()
    failures = {
        "SendRawTransaction": EndorseError("", "ABORTED", "chaincode response 400, FORBIDDEN: not you"),
        "Inspect": EvaluateError("", "ABORTED", "chaincode response 400, DEADLINE_PASSED: the answer takes long"),
    }

    def disturbance(function: str) -> GatewayError | None:
        return failures.pop(function, None) if sent.is_set() or function == "SendRawTransaction" else None

    server.channel.disturbance = disturbance
    accepted = await server.sent(signed(ALICE, to=ADDRESS))
    sent.set()
    assert (await server.committed(accepted))["status"] == "0x1"
    assert not failures


async def test_a_peer_that_is_away_is_said_and_nothing_is_accepted(server: Answered) -> None:
    server.channel.disturbance = lambda _: EvaluateError("", "UNAVAILABLE", "connection refused")
    with pytest.raises(UnavailableError, match="peer doesn't answer"):
        await server.sent(signed(ALICE, to=ADDRESS))
    assert len(server.pool) == 0


async def test_another_transaction_with_the_nonce_may_be_first_elsewhere(server: Answered) -> None:
    """Someone carried another one of this sender past this server: the one here can't be any more."""
    first, second = signed(ALICE, to=ADDRESS), signed(ALICE, to=ADDRESS, gas=60_000)
    server.channel.disturbance = lambda function: (
        EndorseError("", "UNAVAILABLE", "no peers") if function == "SendRawTransaction" else None
    )
    sent = await server.sent(first)
    server.channel.disturbance = lambda _: None
    argument = encode(signed_argument(second, server.channel.height))
    await server.channel.order(await server.channel.simulated("SendRawTransaction", argument, EndorseError))
    assert len(server.pool) == 0
    assert await server.ask("eth_getTransactionByHash", sent) is None


async def test_what_was_accepted_is_sent_by_the_next_server(tmp_path: Path) -> None:
    channel = MemoryChannel(EvmLedger())
    channel.evm.place(ADDRESS, COUNTER)
    channel.disturbance = lambda function: (
        EndorseError("", "UNAVAILABLE", "no peers") if function == "SendRawTransaction" else None
    )
    async with answered(tmp_path, channel) as first:
        hashes = [await first.sent(signed(ALICE, to=ADDRESS, nonce=nonce)) for nonce in (1, 0, 2)]
    channel.disturbance = lambda _: None
    async with answered(tmp_path, channel) as second:
        for sent in hashes:
            assert (await second.committed(sent))["status"] == "0x1"
    async with answered(tmp_path, channel) as third:
        assert (len(third.pool), await count(third)) == (0, 3)


async def test_a_transaction_is_given_up_after_the_stated_time(tmp_path: Path) -> None:
    async with answered(tmp_path, patience=0.2) as server:
        server.channel.disturbance = lambda function: (
            EndorseError("", "UNAVAILABLE", "no peers") if function == "SendRawTransaction" else None
        )
        sent = await server.sent(signed(ALICE, to=ADDRESS))
        async with asyncio.timeout(5):
            while len(server.pool):
                await asyncio.sleep(0.02)
        assert await server.ask("eth_getTransactionByHash", sent) is None
    async with answered(tmp_path, server.channel) as after:
        assert len(after.pool) == 0


async def test_the_identity_acts_once_per_call(server: Answered) -> None:
    call = {"from": server.address, "to": "0x" + ADDRESS.hex(), "data": "0x"}
    first, second = await asyncio.gather(
        server.ask("eth_sendTransaction", call), server.ask("eth_sendTransaction", call)
    )
    receipts = [await server.ask("eth_getTransactionReceipt", each) for each in (first, second)]
    assert [each["status"] for each in receipts] == ["0x1", "0x1"]
    assert await count(server) == 2
    made = await server.ask("eth_getTransactionByHash", first)
    assert (made["from"], made["v"], made["r"]) == (server.address, "0x0", "0x0")
    created = await server.ask("eth_sendTransaction", {"data": "0x" + deploying(COUNTER).hex()})
    assert (await server.ask("eth_getTransactionReceipt", created))["contractAddress"] is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"from": "0x" + "11" * 20}, "unknown account"),
        ({"nonce": "0x5"}, "nonce too high: next nonce 0"),
        ({"chainId": "0x1"}, "this is chain"),
        ({"value": "0x1"}, "insufficient funds"),
    ],
)
async def test_the_identity_refuses_what_isnt_its_own(server: Answered, fields: dict[str, str], words: str) -> None:
    with pytest.raises(RpcError, match=words):
        await server.ask("eth_sendTransaction", {"to": "0x" + ADDRESS.hex(), **fields})


async def test_without_identity_only_signed_transactions_are_taken(tmp_path: Path) -> None:
    async with answered(tmp_path, identity=False) as server:
        assert await server.ask("eth_accounts") == []
        with pytest.raises(RpcError, match="acts for no account"):
            await server.ask("eth_sendTransaction", {"to": "0x" + ADDRESS.hex()})
