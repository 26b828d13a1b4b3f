"""The server at its socket: JSON-RPC 2.0 to the letter, who may ask, and what is too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from ethereum_world import CHAIN_ID, key_of, signed
from memory_channel import Answered, answered
from test_methods import STORE, STORE_AT, word, words

from consilium_peers.ethereum.rpc import dispatch, http_server
from consilium_peers.ethereum.rpc.callers import Callers, is_loopback, listening_address
from consilium_peers.ethereum.rpc.errors import ServingError
from consilium_peers.ethereum.rpc.http_server import MOST_BODY_BYTES
from consilium_peers.ethereum.rpc.serving import ServingOptions

ALICE = key_of(11)
PAGE = "https://wallet.example"


@dataclass
class Reached:
    """A listening server and a client's session."""

    server: Answered
    session: aiohttp.ClientSession
    url: str

    async def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        async with self.session.post(self.url, data=data, headers=sent) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" and text else text

    async def error(self, body: Any) -> tuple[int, Any]:
        status, answer = await self.post(body)
        assert status == 200
        assert (answer["jsonrpc"], "result" in answer) == ("2.0", False)
        return answer["error"]["code"], answer["id"]


@asynccontextmanager
async def reached(folder: Path, **options: Any) -> AsyncIterator[Reached]:
    async with answered(folder, **options) as server, server.node.server.listening("127.0.0.1", 0) as port:
        server.channel.evm.place(bytes.fromhex(STORE_AT[2:]), STORE)
        async with aiohttp.ClientSession() as session:
            yield Reached(server, session, f"http://127.0.0.1:{port}/")


@pytest_asyncio.fixture
async def reach(tmp_path: Path) -> AsyncIterator[Reached]:
    async with reached(tmp_path) as opened:
        yield opened


def request(method: str, *parameters: Any, number: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}


async def test_an_answer_carries_the_requests_id(reach: Reached) -> None:
    for number in (1, "one", None, 2.5):
        status, answer = await reach.post(request("eth_chainId", number=number))
        assert (status, answer) == (200, {"jsonrpc": "2.0", "id": number, "result": hex(CHAIN_ID)})


@pytest.mark.parametrize(
    ("body", "code", "number"),
    [
        (b"{", -32700, None),
        (b"", -32700, None),
        (b"\xff", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": [' + b"[" * 50_000, -32700, None),
        (b'{"jsonrpc": "2.0", "id": 1e999, "method": "x"}', -32600, None),
        (b'{"jsonrpc": "2.0", "id": true, "method": "x"}', -32600, None),
        (rb'{"jsonrpc": "2.0", "id": "\ud800", "method": "\udfff"}', -32601, "\ud800"),
        (b"[]", -32600, None),
        (b"5", -32600, None),
        ({"id": 7, "method": "eth_chainId"}, -32600, 7),
        ({"jsonrpc": "1.0", "id": 7, "method": "eth_chainId"}, -32600, 7),
        ({"jsonrpc": "2.0", "id": 7, "method": 5}, -32600, 7),
        ({"jsonrpc": "2.0", "id": 7, "method": "eth_chainId", "params": {}}, -32600, 7),
        ({"jsonrpc": "2.0", "id": {}, "method": "eth_chainId"}, -32600, None),
        (request("eth_coffee"), -32601, 1),
        (request("eth_subscribe", "newHeads"), -32601, 1),
        (request("eth_getBalance"), -32602, 1),
        (request("eth_getBalance", "0x12"), -32602, 1),
        (request("eth_chainId", 5), -32602, 1),
        (request("eth_getFilterChanges", "0x1"), -32000, 1),
        ([request("eth_chainId")] * 101, -32005, None),
    ],
)
async def test_what_is_wrong_has_its_code(reach: Reached, body: Any, code: int, number: Any) -> None:
    assert await reach.error(body) == (code, number)


async def test_a_batch_is_answered_in_order_without_its_notifications(reach: Reached) -> None:
    quiet = {"jsonrpc": "2.0", "method": "eth_chainId"}
    status, answers = await reach.post([request("eth_chainId"), quiet, 5, request("eth_coffee", number=3)])
    assert status == 200
    assert [each["id"] for each in answers] == [1, None, 3]
    assert [each.get("error", {}).get("code") for each in answers] == [None, -32600, -32601]
    assert await reach.post([quiet]) == (200, "")
    assert await reach.post(quiet) == (200, "")


async def test_a_batchs_answers_are_bounded(reach: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MOST_ANSWER_BYTES", 200)
    _, answer = await reach.post([request("eth_chainId")] * 10)
    assert "ask for less at once" in answer["error"]["message"]


async def test_a_defect_is_an_error_without_its_inside(reach: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setitem(reach.server.node.methods, "eth_chainId", broken)
    _, answer = await reach.post(request("eth_chainId"))
    assert answer["error"] == {"code": -32603, "message": "internal error in eth_chainId"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8545", "127.0.0.1.evil.example", "localhost.evil", ""])
async def test_a_rebound_name_is_refused(reach: Reached, host: str) -> None:
    """A web page's own name that was made to point here is in the Host header."""
    status, _ = await reach.post(request("eth_chainId"), Host=host)
    assert status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await reach.session.ws_connect(reach.url, headers={"Host": host})
    assert caught.value.status == 403


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8545", "127.0.0.1:1", "[::1]:8545", "10.1.2.3", "evm.hospital"]
)
async def test_addresses_and_named_names_are_known(tmp_path: Path, host: str) -> None:
    async with reached(tmp_path, callers=Callers(hosts=frozenset({"evm.hospital"}))) as opened:
        assert (await opened.post(request("eth_chainId"), Host=host))[0] == 200


async def test_web_pages_may_not_ask_by_default(reach: Reached) -> None:
    """Neither a request nor a WebSocket, which browsers open to anywhere, nor what a form can send."""
    for origin in (PAGE, "null"):
        assert (await reach.post(request("eth_chainId"), Origin=origin))[0] == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await reach.session.ws_connect(reach.url, headers={"Origin": origin})
        assert caught.value.status == 403
        async with reach.session.options(reach.url, headers={"Origin": origin}) as response:
            assert (response.status, response.headers.get("Access-Control-Allow-Origin")) == (403, None)
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        assert (await reach.post(request("eth_chainId"), **{"Content-Type": kind}))[0] == 415


async def test_an_allowed_page_may_ask(tmp_path: Path) -> None:
    async with reached(tmp_path, callers=Callers(origins=frozenset({PAGE}))) as opened:
        asked = {"Origin": PAGE, "Access-Control-Request-Private-Network": "true"}
        async with opened.session.options(opened.url, headers=asked) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == PAGE
            assert response.headers["Access-Control-Allow-Private-Network"] == "true"
        sent = {"Origin": PAGE, "Content-Type": "application/json"}
        async with opened.session.post(opened.url, json=request("eth_chainId"), headers=sent) as response:
            assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
        assert (await opened.post(request("eth_chainId"), Origin="https://other.example"))[0] == 403


def test_the_identity_is_for_this_machine_and_no_web_page() -> None:
    assert ServingOptions().acts
    assert ServingOptions(host="::1").acts
    assert not ServingOptions(host="0.0.0.0").acts
    assert not ServingOptions(host="10.1.2.3").acts
    everyone = Callers(origins=frozenset({"*"}))
    with pytest.raises(ServingError, match="any web page could act as this identity"):
        ServingOptions(callers=everyone).check()
    ServingOptions(callers=everyone, identity=False).check()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:8545", ("127.0.0.1", 8545)), ("[::1]:0", ("::1", 0)), ("localhost:1", ("localhost", 1))],
)
def test_addresses_to_listen_at(text: str, expected: tuple[str, int]) -> None:
    assert listening_address(text) == expected
    assert is_loopback(expected[0])


@pytest.mark.parametrize("text", ["8545", ":8545", "host:", "host:http", "host:65536"])
def test_what_isnt_an_address_to_listen_at(text: str) -> None:
    with pytest.raises(ServingError, match="expected HOST:PORT"):
        listening_address(text)


async def test_a_taken_port_is_one_sentence(reach: Reached) -> None:
    port = int(reach.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ServingError, match=r"can't listen at 127\.0\.0\.1"):
        async with reach.server.node.server.listening("127.0.0.1", port):
            pass


async def test_a_body_is_bounded(reach: Reached) -> None:
    assert (await reach.post(b" " * (MOST_BODY_BYTES + 1)))[0] == 413
    status, answer = await reach.post(b" " * (MOST_BODY_BYTES - 200) + json.dumps(request("eth_chainId")).encode())
    assert (status, answer["result"]) == (200, hex(CHAIN_ID))


async def test_other_ways_are_told_how(reach: Reached) -> None:
    async with reach.session.get(reach.url) as response:
        assert (response.status, "POST" in await response.text()) == (405, True)


async def test_subscriptions_tell_heads_logs_and_arrivals(reach: Reached) -> None:
    async with reach.session.ws_connect(reach.url) as socket:

        async def ask(method: str, *parameters: Any) -> Any:
            await socket.send_json(request(method, *parameters, number=method))
            while True:
                answer = await socket.receive_json(timeout=5)
                if answer.get("id") == method:
                    return answer.get("result", answer.get("error"))
                told.append(answer)

        told: list[Any] = []
        numbers = {
            await ask("eth_subscribe", "newHeads"): "heads",
            await ask("eth_subscribe", "logs", {"topics": [word(1)]}): "logs",
            await ask("eth_subscribe", "newPendingTransactions"): "pending",
            await ask("eth_subscribe", "newPendingTransactions", True): "whole",
        }
        assert (await ask("eth_subscribe", "tea"))["code"] == -32602
        for nonce, topic in enumerate((1, 2)):
            raw = signed(ALICE, to=bytes.fromhex(STORE_AT[2:]), data=words(topic, 5), nonce=nonce)
            sent = await ask("eth_sendRawTransaction", "0x" + raw.hex())
            receipt = await reach.server.committed(sent)
            if topic == 1:
                first = receipt
        while len(told) < 7:
            told.append(await socket.receive_json(timeout=5))
        results: dict[str, list[Any]] = {name: [] for name in numbers.values()}
        for each in told:
            assert each["method"] == "eth_subscription"
            results[numbers[each["params"]["subscription"]]].append(each["params"]["result"])
        assert [head["hash"] for head in results["heads"]] == [first["blockHash"], receipt["blockHash"]]
        assert results["logs"] == first["logs"]
        assert results["pending"] == [first["transactionHash"], receipt["transactionHash"]]
        assert [each["hash"] for each in results["whole"]] == results["pending"]
        (heads, *_) = numbers
        assert await ask("eth_unsubscribe", heads) is True
        assert await ask("eth_unsubscribe", heads) is False
        assert await ask("eth_blockNumber") == receipt["blockNumber"]


async def test_a_closed_connection_leaves_nothing_behind(reach: Reached) -> None:
    blocks = reach.server.channel.blocks
    assert blocks is not None
    before = len(blocks.listeners)
    async with reach.session.ws_connect(reach.url) as socket:
        await socket.send_json(request("eth_subscribe", "newHeads"))
        await socket.receive_json(timeout=5)
        assert len(blocks.listeners) == before + 1
    async with asyncio.timeout(5):
        while len(blocks.listeners) > before:
            await asyncio.sleep(0.01)
    reach.server.channel.cut()


@pytest.mark.parametrize(("bound", "most"), [("_MOST_UNSENT", 3), ("_MOST_UNSENT_BYTES", 3_000)])
async def test_who_doesnt_read_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(http_server, bound, most)
    async with reached(tmp_path) as opened, opened.session.ws_connect(opened.url) as socket:
        await socket.send_json(request("eth_subscribe", "newHeads"))
        await socket.receive_json(timeout=5)
        for _ in range(10):
            opened.server.channel.cut()
        async with asyncio.timeout(5):
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert (await opened.post(request("eth_chainId")))[0] == 200
