"""Methods as programs call them, on the EVM's own chaincode over a ledger in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ethereum_world import CHAIN_ID, GAS_CAP, deploying, key_of, signed
from memory_channel import Answered, answered

from consilium_bench.evm_oracle.assembler import assemble
from consilium_peers.ethereum.rpc.errors import InvalidParametersError, LimitError, RevertError, RpcError
from consilium_peers.ethereum.rpc.filters import Filters, LogFilter
from consilium_peers.ethereum.rpc.log_queries import log_query
from consilium_proto.ethereum.scalars import as_data

# Writes the second word of the call data to the slot that the first names, and logs it under that topic.
STORE = assemble(32, "CALLDATALOAD DUP1 PUSH0 MSTORE PUSH0 CALLDATALOAD SSTORE PUSH0 CALLDATALOAD", 32, "PUSH0 LOG1")
# Returns the block's number.
NUMBER = assemble("NUMBER PUSH0 MSTORE", 32, "PUSH0 RETURN")
# Reverts with its call data.
ECHO = assemble("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY CALLDATASIZE PUSH0 REVERT")
PLACES = {"store": (b"\xc0" * 20, STORE), "number": (b"\xc1" * 20, NUMBER), "echo": (b"\xc2" * 20, ECHO)}
STORE_AT, NUMBER_AT, ECHO_AT = (as_data(address) for address, _ in PLACES.values())
ALICE = key_of(11)


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def word(number: int) -> str:
    return as_data(words(number))


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Answered]:
    async with answered(tmp_path) as running:
        for address, code in PLACES.values():
            running.channel.evm.place(address, code)
        yield running


async def stored(server: Answered, slot: int, value: int, nonce: int = 0) -> Any:
    raw = signed(ALICE, to=bytes.fromhex(STORE_AT[2:]), data=words(slot, value), nonce=nonce)
    return await server.committed(await server.sent(raw))


async def test_the_chain_introduces_itself(server: Answered) -> None:
    assert (await server.ask("web3_clientVersion")).startswith("Consilium/")
    assert await server.ask("eth_chainId") == hex(CHAIN_ID)
    assert await server.ask("net_version") == str(CHAIN_ID)
    assert await server.ask("net_listening") is True
    assert await server.ask("eth_syncing") is False
    assert await server.ask("eth_accounts") == [server.address]
    assert (await server.ask("eth_gasPrice"), await server.ask("eth_maxPriorityFeePerGas")) == ("0x0", "0x0")
    empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert await server.ask("web3_sha3", "0x") == empty


async def test_state_is_what_the_ledger_has(server: Answered) -> None:
    await stored(server, 3, 33)
    assert await server.ask("eth_getStorageAt", STORE_AT, "0x3", "latest") == word(33)
    assert await server.ask("eth_getStorageAt", STORE_AT, word(3), "latest") == word(33)
    assert await server.ask("eth_getCode", STORE_AT) == as_data(STORE)
    assert await server.ask("eth_getCode", ALICE.address) == "0x"
    assert await server.ask("eth_getBalance", ALICE.address, "safe") == "0x0"


async def test_the_past_is_refused_once_it_has_changed(server: Answered) -> None:
    """The state after a block is at hand until a later block changes anything, also under that block's name."""
    await stored(server, 1, 1)
    number = await server.ask("eth_blockNumber")
    server.channel.cut()
    assert await server.ask("eth_blockNumber") != number
    by_hash = {"blockHash": (await server.ask("eth_getBlockByNumber", number))["hash"]}
    for name in (number, by_hash, "latest", "finalized", "pending"):
        assert await server.ask("eth_getStorageAt", STORE_AT, "0x1", name) == word(1)
    await stored(server, 1, 2, nonce=1)
    for name in (number, by_hash, "earliest"):
        with pytest.raises(RpcError, match="historical state isn't kept"):
            await server.ask("eth_getStorageAt", STORE_AT, "0x1", name)
    with pytest.raises(RpcError, match="header not found"):
        await server.ask("eth_call", {"to": NUMBER_AT}, "0xffffffffffffffff")


async def test_calls_see_the_block_that_they_name(server: Answered) -> None:
    server.channel.cut()
    newest = int(await server.ask("eth_blockNumber"), 16)
    assert await server.ask("eth_call", {"to": NUMBER_AT}, "latest") == word(newest)
    assert await server.ask("eth_call", {"to": NUMBER_AT}, "pending") == word(newest + 1)
    assert await server.ask("eth_call", {"to": NUMBER_AT}, hex(newest - 1)) == word(newest - 1)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"", "execution reverted"),
        (bytes.fromhex("08c379a0") + words(32, 4) + b"why?".ljust(32, b"\0"), "execution reverted: why?"),
        (bytes.fromhex("4e487b71") + words(0x11), "execution reverted: panic: arithmetic underflow or overflow (0x11)"),
        (bytes.fromhex("01020304"), "execution reverted"),
        (bytes.fromhex("08c379a0") + words(32, 2**255), "execution reverted"),
    ],
)
@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
async def test_reverts_are_code_3_with_their_data(server: Answered, method: str, output: bytes, message: str) -> None:
    with pytest.raises(RevertError) as caught:
        await server.ask(method, {"to": ECHO_AT, "data": as_data(output)})
    assert caught.value.as_object() == {"code": 3, "message": message, "data": as_data(output)}


async def test_estimates_are_exact_and_lists_serve(server: Answered) -> None:
    call = {"from": ALICE.address, "to": STORE_AT, "data": as_data(words(5, 55))}
    gas = int(await server.ask("eth_estimateGas", call), 16)
    listed = await server.ask("eth_createAccessList", call)
    assert listed["accessList"] == [{"address": STORE_AT, "storageKeys": [word(5)]}]
    receipts = []
    for nonce, limit in enumerate((gas - 1, gas)):
        raw = signed(ALICE, to=bytes.fromhex(STORE_AT[2:]), data=words(5, 55), nonce=nonce, gas=limit)
        receipts.append(await server.committed(await server.sent(raw)))
    assert [each["status"] for each in receipts] == ["0x0", "0x1"]


async def test_estimates_count_what_delegations_cost(server: Answered) -> None:
    """EIP-7702: with the estimated limit the delegation is set and its code succeeds, with one unit less it fails."""
    statuses = []
    for nonce, less in enumerate((1, 0)):
        authority = key_of(21 + nonce)
        permission = authority.sign_authorization(
            {"chainId": CHAIN_ID, "address": bytes.fromhex(STORE_AT[2:]), "nonce": 0}
        )
        entry = {
            "chainId": hex(permission.chain_id),
            "address": STORE_AT,
            "nonce": hex(permission.nonce),
            "yParity": hex(permission.y_parity),
            "r": hex(permission.r),
            "s": hex(permission.s),
        }
        data = words(5, 55)
        call = {"from": ALICE.address, "to": authority.address, "data": as_data(data), "authorizationList": [entry]}
        gas = int(await server.ask("eth_estimateGas", call), 16)
        to = bytes.fromhex(authority.address[2:])
        raw = signed(ALICE, type=4, to=to, data=data, nonce=nonce, gas=gas - less, authorizationList=[permission])
        statuses.append((await server.committed(await server.sent(raw)))["status"])
    assert statuses == ["0x0", "0x1"]


@pytest.mark.parametrize(
    ("parameters", "words_of_error"),
    [
        (({"to": ECHO_AT}, "latest", {ECHO_AT: {"balance": "0x1"}}), "state overrides aren't supported"),
        (({"to": ECHO_AT}, "latest", None, {"number": "0x1"}), "block overrides aren't supported"),
        (({"to": ECHO_AT, "authorizationList": [{}]},), "chainId"),
        (({"to": ECHO_AT, "blobVersionedHashes": ["0x"]},), "no blobs"),
        (({"to": ECHO_AT, "gass": "0x1"},), "gass isn't a field"),
        (({"to": ECHO_AT, "data": "0x1"},), "expected bytes"),
        (({"to": "0x12"},), "expected an address"),
        (({"to": ECHO_AT, "data": "0x01", "input": "0x02"},), "data and input differ"),
        (({"to": ECHO_AT}, "newest"), "expected a block's number or one of"),
        (({"to": ECHO_AT}, "0x01"), "without leading zeros"),
        (({"to": ECHO_AT}, {"blockHash": word(1), "blockNumber": "0x1"}), "either blockHash or blockNumber"),
        ((), "is missing"),
        (({"to": ECHO_AT}, "latest", None, None, 5), "at most 4"),
    ],
)
async def test_wrong_questions_are_named(server: Answered, parameters: tuple[Any, ...], words_of_error: str) -> None:
    with pytest.raises(RpcError, match=words_of_error):
        await server.ask("eth_call", *parameters)


async def test_blocks_are_the_channels(server: Answered) -> None:
    receipt = await stored(server, 1, 1)
    block = await server.ask("eth_getBlockByNumber", receipt["blockNumber"], True)
    contents = server.channel.contents[int(receipt["blockNumber"], 16)]
    assert (block["hash"], block["parentHash"]) == (as_data(contents.hash), as_data(contents.parent_hash))
    assert (block["transactionsRoot"], block["gasLimit"]) == (as_data(contents.data_hash), hex(GAS_CAP))
    assert block["gasUsed"] == receipt["gasUsed"]
    assert block["logsBloom"] == receipt["logsBloom"] != as_data(bytes(256))
    (transaction,) = block["transactions"]
    assert transaction == await server.ask("eth_getTransactionByHash", receipt["transactionHash"])
    assert transaction == await server.ask("eth_getTransactionByBlockHashAndIndex", block["hash"], "0x0")
    assert transaction == await server.ask("eth_getTransactionByBlockNumberAndIndex", block["number"], "0x0")
    assert (transaction["chainId"], transaction["input"]) == (hex(CHAIN_ID), as_data(words(1, 1)))
    by_hash = await server.ask("eth_getBlockByHash", block["hash"])
    assert by_hash == {**block, "transactions": [receipt["transactionHash"]]}
    assert await server.ask("eth_getBlockReceipts", block["number"]) == [receipt]
    assert await server.ask("eth_getBlockTransactionCountByNumber", block["number"]) == "0x1"
    assert await server.ask("eth_getBlockTransactionCountByHash", block["hash"]) == "0x1"


async def test_times_never_go_back(server: Answered) -> None:
    """A block's time is that of its transactions, which endorsers held against their clocks, or its parent's."""
    first = await server.ask("eth_getBlockByNumber", "0x0")
    receipt = await stored(server, 1, 1)
    server.channel.cut(timestamp=5)
    changed, later = [await server.ask("eth_getBlockByNumber", name) for name in (receipt["blockNumber"], "latest")]
    assert int(first["timestamp"], 16) < int(changed["timestamp"], 16) == server.channel.evm.now // 1000
    assert (later["timestamp"], later["parentHash"]) == (changed["timestamp"], changed["hash"])


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("eth_getBlockByNumber", ("0xffffffffffffffff",)),
        ("eth_getBlockByHash", (word(1),)),
        ("eth_getTransactionByHash", (word(1),)),
        ("eth_getTransactionReceipt", (word(1),)),
        ("eth_getBlockReceipts", ("0xff",)),
        ("eth_getTransactionByBlockNumberAndIndex", ("0x0", word(1).replace("0x0", "0x1", 1))),
    ],
)
async def test_what_isnt_there_is_null(server: Answered, method: str, parameters: tuple[Any, ...]) -> None:
    assert await server.ask(method, *parameters) is None


async def test_fees_are_zero(server: Answered) -> None:
    await stored(server, 1, 1)
    history = await server.ask("eth_feeHistory", "0x400", "latest", [10, 50])
    blocks = int(await server.ask("eth_blockNumber"), 16) + 1
    assert history["oldestBlock"] == "0x0"
    assert history["baseFeePerGas"] == ["0x0"] * (blocks + 1)
    assert history["reward"] == [["0x0", "0x0"]] * blocks
    assert 0 < history["gasUsedRatio"][-1] < 1


async def test_logs_are_found_by_address_topic_and_block(server: Answered) -> None:
    receipts = [await stored(server, topic, 7, nonce) for nonce, topic in enumerate((1, 2, 1))]
    everything = await server.ask("eth_getLogs", {"fromBlock": "earliest"})
    assert everything == [log for receipt in receipts for log in receipt["logs"]]
    assert [log["topics"] for log in everything] == [[word(1)], [word(2)], [word(1)]]
    for options, expected in (
        ({"topics": [word(1)]}, [0, 2]),
        ({"topics": [[word(1), word(2)]], "address": STORE_AT}, [0, 1, 2]),
        ({"topics": [None]}, [0, 1, 2]),
        ({"topics": [word(1), None]}, []),
        ({"topics": []}, [0, 1, 2]),
        ({"address": [ECHO_AT]}, []),
        ({"fromBlock": receipts[1]["blockNumber"]}, [1, 2]),
        ({"toBlock": receipts[1]["blockNumber"]}, [0, 1]),
        ({"fromBlock": "0xffffff", "toBlock": "0xffffff"}, []),
    ):
        found = await server.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", **options})
        assert found == [everything[place] for place in expected], options
    assert await server.ask("eth_getLogs", {"blockHash": receipts[2]["blockHash"]}) == [everything[2]]
    assert await server.ask("eth_getLogs", {}) == [everything[2]]


@pytest.mark.parametrize(
    ("options", "words_of_error"),
    [
        ({"blockHash": word(1), "fromBlock": "0x1"}, "blockHash excludes"),
        ({"blockHash": word(1)}, "unknown block"),
        ({"fromBlock": "latest", "toBlock": "0x0"}, "is after toBlock"),
        ({"topics": [None] * 5}, "5 positions"),
        ({"address": [STORE_AT] * 501}, "501 alternatives"),
        ({"topic": []}, "topic isn't an option"),
    ],
)
async def test_wrong_filters_are_named(server: Answered, options: dict[str, Any], words_of_error: str) -> None:
    await stored(server, 1, 1)
    with pytest.raises(RpcError, match=words_of_error):
        await server.ask("eth_getLogs", options)


async def test_too_many_logs_are_refused_with_a_way_out(server: Answered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilium_peers.ethereum.rpc.log_queries.MOST_LOGS", 2)
    receipts = [await stored(server, 1, nonce, nonce) for nonce in range(3)]
    with pytest.raises(LimitError, match="returned more than 2 results; ask for fewer blocks") as caught:
        await server.ask("eth_getLogs", {"fromBlock": "0x0"})
    advised = int(caught.value.message.split(" to ")[1].split(",")[0])
    found = await server.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(advised)})
    assert found == [log for receipt in receipts[:2] for log in receipt["logs"]]


async def test_filters_tell_what_is_new_once(server: Answered) -> None:
    logs = await server.ask("eth_newFilter", {"topics": [word(1)]})
    blocks = await server.ask("eth_newBlockFilter")
    pending = await server.ask("eth_newPendingTransactionFilter")
    receipt = await stored(server, 1, 1)
    await stored(server, 2, 1, 1)
    assert await server.ask("eth_getFilterChanges", logs) == receipt["logs"]
    assert await server.ask("eth_getFilterChanges", logs) == []
    assert await server.ask("eth_getFilterLogs", logs) == []
    told = await server.ask("eth_getFilterChanges", blocks)
    assert told[0] == receipt["blockHash"]
    assert receipt["transactionHash"] == (await server.ask("eth_getFilterChanges", pending))[0]
    assert await server.ask("eth_getFilterChanges", pending) == []
    assert await server.ask("eth_uninstallFilter", logs) is True
    assert await server.ask("eth_uninstallFilter", logs) is False
    with pytest.raises(RpcError, match="filter not found"):
        await server.ask("eth_getFilterChanges", logs)
    with pytest.raises(RpcError, match="filter not found"):
        await server.ask("eth_getFilterLogs", blocks)


async def test_filters_expire_and_their_number_is_bounded(server: Answered, monkeypatch: pytest.MonkeyPatch) -> None:
    made = LogFilter(server.channel.blocks.index, log_query({}))  # type: ignore[union-attr]
    expired = Filters(lifetime=0.0)
    number = expired.install(made)
    with pytest.raises(RpcError, match="filter not found"):
        expired.get(number)
    monkeypatch.setattr("consilium_peers.ethereum.rpc.filters.MOST_FILTERS", 2)
    few = Filters()
    few.install(made)
    few.install(made)
    with pytest.raises(LimitError, match="2 filters are installed"):
        few.install(made)


async def test_a_creation_names_its_contract(server: Answered) -> None:
    receipt = await server.committed(await server.sent(signed(ALICE, to=b"", data=deploying(NUMBER))))
    assert (receipt["to"], await server.ask("eth_getCode", receipt["contractAddress"])) == (None, as_data(NUMBER))


async def test_nothing_malformed_passes_for_a_transaction(server: Answered) -> None:
    for raw in ("0x", "0x00", "0xc0", "0x02c0", "0x03c0", "0xf8", "0xff" + "00" * 50):
        with pytest.raises(RpcError):
            await server.ask("eth_sendRawTransaction", raw)
    with pytest.raises(InvalidParametersError):
        await server.ask("eth_sendRawTransaction", 5)


def test_the_page_names_every_method(repository: Path) -> None:
    sources = (repository / "peers" / "consilium_peers" / "ethereum" / "rpc").rglob("*.py")
    served = {name for path in sources for name in re.findall(r'@method\("(\w+)"', path.read_text())}
    page = (repository / "docs" / "json-rpc.md").read_text()
    listed = page[page.index("## Methods") : page.index("Estimates are exact")]
    assert set(re.findall(r"`((?:eth|net|web3)_\w+)`", listed)) == served
