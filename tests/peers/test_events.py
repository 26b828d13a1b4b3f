"""Events against gateways that the test plays: none is missed or repeated, whatever fails, hangs or restarts."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from client_credentials import Credentials
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import ledger_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_response_pb2
from played_gateway import BLOCK, Events, Hangs, Height, PlayedGateway, Refuses

from consilium_peers import connection, events, outage
from consilium_peers.checkpoint import FileCheckpoint
from consilium_peers.errors import CheckpointError, ClosedError, EventsError
from consilium_peers.events import ChaincodeEvent
from consilium_peers.gateway import Gateway

Both = tuple[PlayedGateway, PlayedGateway]
UNAVAILABLE = Refuses(grpc.StatusCode.UNAVAILABLE)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(outage, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(events, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(connection, "REST_SECONDS", 0.3)


async def take(found: AsyncGenerator[ChaincodeEvent, None], count: int) -> list[tuple[int, str]]:
    """Return the next events as (block, tx id) and stop reading."""
    taken: list[tuple[int, str]] = []
    async with asyncio.timeout(10), aclosing(found):
        async for event in found:
            taken.append((event.block, event.tx_id))
            if len(taken) == count:
                break
    return taken


def started_at(gateway: PlayedGateway) -> list[int]:
    requests = (gateway_pb2.ChaincodeEventsRequest.FromString(call.request) for call in gateway.calls["events"])
    return [request.start_position.specified.number for request in requests]


def checkpoint_at(tmp_path: Path, block: int, tx_id: str) -> FileCheckpoint:
    checkpoint = FileCheckpoint(tmp_path / "checkpoint")
    checkpoint.record(block, tx_id)
    return checkpoint


# ---- where reading starts and goes on


async def test_the_request_is_signed_and_names_the_chaincode(gateway: Gateway, gateways: Both) -> None:
    gateways[0].will("events", Events([(3, "a")], Hangs()))
    await take(gateway.network().chaincode_events("other", start_block=3), 1)
    call = gateways[0].calls["events"][0]
    key = gateway.identity.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(call.signature, call.request, ec.ECDSA(hashes.SHA256()))
    request = gateway_pb2.ChaincodeEventsRequest.FromString(call.request)
    assert (request.channel_id, request.chaincode_id) == ("consilium", "other")


async def test_another_gateway_goes_on_behind_the_last_event(gateway: Gateway, gateways: Both) -> None:
    gateways[0].will("events", Events([(3, "a"), (4, "b"), (4, "c")], UNAVAILABLE))
    gateways[1].will("events", Events([(4, "b"), (4, "c"), (4, "d"), (5, "e")], Hangs()))
    found = await take(gateway.network().chaincode_events(start_block=3), 5)
    assert found == [(3, "a"), (4, "b"), (4, "c"), (4, "d"), (5, "e")]
    assert (started_at(gateways[0]), started_at(gateways[1])) == ([3], [4])


async def test_reading_starts_behind_the_checkpoint(gateway: Gateway, gateways: Both, tmp_path: Path) -> None:
    checkpoint = checkpoint_at(tmp_path, 5, "x")
    gateways[0].will("events", Events([(5, "w"), (5, "x"), (5, "y")], Hangs()))
    assert await take(gateway.network().chaincode_events(checkpoint=checkpoint, start_block=0), 1) == [(5, "y")]
    assert started_at(gateways[0]) == [5]


async def test_the_next_block_stays_the_same_block_after_a_failover(gateway: Gateway, gateways: Both) -> None:
    gateways[0].will("height", Height(8))
    gateways[0].will("events", Events((), UNAVAILABLE))
    gateways[1].will("height", Height(11))  # blocks 8, 9, 10 came meanwhile
    gateways[1].will("events", Events([(8, "a")], Hangs()))
    assert await take(gateway.network().chaincode_events(), 1) == [(8, "a")]
    assert started_at(gateways[1]) == [8]


@pytest.mark.parametrize("first", [[(5, "other")], [(6, "x")]])
async def test_a_checkpoint_of_another_ledger_is_an_error_and_not_silence(
    gateway: Gateway, gateways: Both, tmp_path: Path, first: list[tuple[int, str]]
) -> None:
    gateways[0].will("events", Events(first, Hangs()))
    with pytest.raises(CheckpointError, match="remove it to read all events again"):
        await take(gateway.network().chaincode_events(checkpoint=checkpoint_at(tmp_path, 5, "x")), 1)


async def test_a_peer_that_is_behind_the_checkpoint_is_passed_over(
    gateway: Gateway, gateways: Both, tmp_path: Path
) -> None:
    gateways[0].will("height", Height(5))
    gateways[1].will("height", Height(6))
    gateways[1].will("events", Events([(5, "x"), (7, "y")], Hangs()))
    assert await take(gateway.network().chaincode_events(checkpoint=checkpoint_at(tmp_path, 5, "x")), 1) == [(7, "y")]
    assert not gateways[0].calls["events"]


async def test_all_peers_behind_the_checkpoint_are_named(gateway: Gateway, gateways: Both, tmp_path: Path) -> None:
    checkpoint = checkpoint_at(tmp_path, 500, "x")
    with pytest.raises(EventsError, match=f"has {BLOCK + 1} blocks of consilium and the last event was in block 500"):
        await take(gateway.network().chaincode_events(checkpoint=checkpoint, patience=0.3), 1)


# ---- gateways that fail


async def test_a_gateway_that_ends_the_stream_is_left(gateway: Gateway, gateways: Both) -> None:
    gateways[0].will("events", Events([(1, "a")]), Events([(2, "b"), (3, "c")], Hangs()))
    gateways[1].will("events", Events([(1, "a"), (2, "b")]))
    assert await take(gateway.network().chaincode_events(start_block=1), 3) == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize("code", [grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL])
async def test_a_peer_that_stops_or_starts_is_left(gateway: Gateway, gateways: Both, code: grpc.StatusCode) -> None:
    gateways[0].will("events", Events((), Refuses(code, "ledger is closed")))
    gateways[1].will("events", Events([(1, "a")], Hangs()))
    assert await take(gateway.network().chaincode_events(start_block=1), 1) == [(1, "a")]


async def test_the_stream_outlives_a_restart_of_every_gateway(
    gateway: Gateway, gateways: Both, credentials: Credentials
) -> None:
    gateways[0].will("events", Events([(1, "a")], UNAVAILABLE))
    for each in gateways:
        each.will("events", *([Events([(1, "a"), (2, "b")], Hangs())] * 2))
    reading = gateway.network().chaincode_events(start_block=1)
    assert (await anext(reading)).tx_id == "a"
    for each in gateways:
        await each.stop()
    going_on = asyncio.create_task(take(reading, 1))
    await asyncio.sleep(0.7)
    assert not going_on.done()
    for each in gateways:
        await credentials.start(each)
    assert await going_on == [(2, "b")]


async def test_the_reader_is_told_when_no_gateway_comes_back(gateway: Gateway, gateways: Both) -> None:
    for each in gateways:
        await each.stop()
    began = time.monotonic()
    with pytest.raises(EventsError) as caught:
        await take(gateway.network().chaincode_events(patience=0.5), 1)
    assert 0.4 < time.monotonic() - began < 2
    assert caught.value.status == "UNAVAILABLE"


@pytest.mark.parametrize(
    "refusal",
    [
        Refuses(grpc.StatusCode.PERMISSION_DENIED, "not of this channel"),
        Refuses(grpc.StatusCode.FAILED_PRECONDITION, "access denied: not of this channel"),
    ],
)
async def test_a_refused_stream_is_an_error_at_once(gateway: Gateway, gateways: Both, refusal: Refuses) -> None:
    gateways[0].will("events", Events((), refusal))
    with pytest.raises(EventsError, match="not of this channel"):
        await take(gateway.network().chaincode_events(), 1)
    assert not gateways[1].calls["events"]


async def test_a_stranger_is_refused_before_the_stream(gateway: Gateway, gateways: Both) -> None:
    gateways[0].will("height", Refuses(grpc.StatusCode.FAILED_PRECONDITION, "error validating proposal: access denied"))
    with pytest.raises(EventsError, match="access denied"):
        await take(gateway.network().chaincode_events(), 1)


# ---- silence


async def test_a_frozen_gateway_is_noticed_and_left(
    gateway: Gateway, gateways: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "IDLE_SECONDS", 0.2)
    gateways[0].will("events", Events([(1, "a")], Hangs()))
    gateways[0].will("height", Hangs())
    gateways[1].will("events", Events([(1, "a"), (2, "b")], Hangs()))
    began = time.monotonic()
    assert await take(gateway.network().chaincode_events(start_block=1), 2) == [(1, "a"), (2, "b")]
    assert time.monotonic() - began < 2


async def test_a_quiet_gateway_keeps_its_stream(
    gateway: Gateway, gateways: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "IDLE_SECONDS", 0.1)
    gateways[0].will("events", Events([(1, "a")], Hangs(), pause=0.8))
    assert await take(gateway.network().chaincode_events(start_block=1), 1) == [(1, "a")]
    assert len(gateways[0].calls["events"]) == 1
    assert len(gateways[0].calls["height"]) >= 3
    assert not gateways[1].calls["events"]


async def test_a_quiet_stream_returns_to_the_own_gateway(
    gateway: Gateway, gateways: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "IDLE_SECONDS", 0.2)
    gateways[0].will("events", Events([(1, "a")], UNAVAILABLE), Events([(2, "b"), (3, "c")], Hangs()))
    gateways[1].will("events", Events([(1, "a"), (2, "b")], Hangs()))
    assert await take(gateway.network().chaincode_events(start_block=1), 3) == [(1, "a"), (2, "b"), (3, "c")]
    assert started_at(gateways[0]) == [1, 2]


# ---- readers that stop


async def test_closing_the_gateway_ends_reading_with_an_error(gateway: Gateway, gateways: Both) -> None:
    reading = asyncio.create_task(take(gateway.network().chaincode_events(start_block=1), 1))
    async with asyncio.timeout(5):
        while not gateways[0].calls["events"]:
            await asyncio.sleep(0.01)
    await gateway.connections.close()
    with pytest.raises(ClosedError):
        await asyncio.wait_for(reading, 2)


async def test_a_cancelled_reader_leaves_nothing_behind(gateway: Gateway, gateways: Both) -> None:
    before = asyncio.all_tasks()
    reading = asyncio.create_task(take(gateway.network().chaincode_events(start_block=1), 1))
    async with asyncio.timeout(5):
        while not gateways[0].calls["events"]:
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.sleep(0.05)
    assert not [task for task in asyncio.all_tasks() - before if "stream" in repr(task) and "client" in repr(task)]


# ---- any history


class LedgerGateway(PlayedGateway):
    """Serves one ledger's events as a peer does, from the block asked for; each stream breaks off somewhere."""

    def __init__(self, ledger: list[tuple[int, list[str]]], chance: random.Random) -> None:
        super().__init__()
        self._ledger = ledger
        self._chance = chance

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802 - Fabric's name
        payload = ledger_pb2.BlockchainInfo(height=self._ledger[-1][0] + 1).SerializeToString()
        return gateway_pb2.EvaluateResponse(result=proposal_response_pb2.Response(status=200, payload=payload))

    async def ChaincodeEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        start = gateway_pb2.ChaincodeEventsRequest.FromString(request.request).start_position.specified.number
        blocks = [(number, tx_ids) for number, tx_ids in self._ledger if number >= start and tx_ids]
        for number, tx_ids in blocks[: self._chance.randint(0, 6)]:
            sent = [chaincode_event_pb2.ChaincodeEvent(chaincode_id="probe", tx_id=tx_id) for tx_id in tx_ids]
            yield gateway_pb2.ChaincodeEventsResponse(events=sent, block_number=number)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "killed")


@pytest.mark.parametrize("seed", range(8))
async def test_any_history_of_kills_gives_every_event_once(
    credentials: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Gateways break off anywhere; the reader is killed anywhere and starts again with what its file says."""
    monkeypatch.setattr(connection, "REST_SECONDS", 0.01)
    chance = random.Random(seed)
    ledger = [(number, [f"{number}.{n}" for n in range(chance.randint(0, 4))]) for number in range(1, 30)]
    ledger.append((30, ["last"]))
    expected = [tx_id for _, tx_ids in ledger for tx_id in tx_ids]
    gateways = [LedgerGateway(ledger, chance) for _ in range(3)]
    for each in gateways:
        await credentials.start(each)
    profile = credentials.profile(*(f"127.0.0.1:{each.port}" for each in gateways))
    handled: list[str] = []
    checkpoint = FileCheckpoint(tmp_path / "checkpoint")
    async with asyncio.timeout(30):
        while len(handled) < len(expected):
            count = min(chance.randint(1, 9), len(expected) - len(handled))
            async with Gateway.connect(profile) as gateway:
                part = await take(gateway.network().chaincode_events(checkpoint=checkpoint, start_block=0), count)
            handled += [tx_id for _, tx_id in part]
            checkpoint.record(*part[-1])
    for each in gateways:
        await each.stop()
    assert handled == expected
