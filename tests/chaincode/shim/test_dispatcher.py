"""The service against a peer that the test plays: order, concurrency, failures, deadlines, the end of the stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from fabric_protos.peer import chaincode_shim_pb2, chaincode_shim_pb2_grpc
from played_peer import Message, PlayedPeer, connected, proposal
from probe import Probe

from consilium_chaincode.shim.dispatcher import Deadlines
from consilium_chaincode.shim.peer_stub import PeerStub
from consilium_chaincode.shim.server import start_server
from consilium_chaincode.shim.stub import ChaincodeStub

SECRET = b"a patient's row"


@contextlib.asynccontextmanager
async def playing(
    deadlines: Deadlines | None = None, *, batches: int = 1000, multiple: int = 1000
) -> AsyncIterator[PlayedPeer]:
    async with connected(Probe(), deadlines) as (peer, _):
        assert await peer.register(batches=batches, multiple=multiple) == "package:1"
        yield peer


async def test_answers_find_their_transactions_in_any_order() -> None:
    async with playing() as peer:
        names = [f"tx{n}" for n in range(20)]
        for name in names:
            await peer.begin(name, "Get", name)
        requests = [await peer.request(Message.GET_STATE) for _ in names]
        for request in reversed(requests):
            key = chaincode_shim_pb2.GetState.FromString(request.payload).key
            assert key == request.txid
            await peer.answer(request, f"value of {key}".encode())
        answers = [await peer.completed() for _ in names]
        assert {message.txid: response.payload for message, response in answers} == {
            name: f"value of {name}".encode() for name in names
        }


async def test_a_transaction_has_one_request_outstanding() -> None:
    async with playing() as peer:
        await peer.begin("tx", "GetAtOnce", "a", "b")
        first = await peer.request(Message.GET_STATE)
        second = asyncio.create_task(peer.request(Message.GET_STATE))
        done, _ = await asyncio.wait({second}, timeout=0.1)
        assert not done  # it only comes when the first is answered
        await peer.answer(first, b"1")
        await peer.answer(await second, b"2")
        assert (await peer.completed())[1].payload == b'["31", "32"]'


async def test_a_slow_transaction_does_not_hold_up_others() -> None:
    async with playing() as peer:
        await peer.begin("slow", "Sleep", "0.5")
        await peer.begin("fast", "Echo", "x")
        assert (await peer.completed())[0].txid == "fast"
        assert (await peer.completed())[0].txid == "slow"


async def test_writes_go_out_at_the_end_in_one_batch() -> None:
    async with playing() as peer:
        await peer.begin("tx", "Put", "a", "1", "b", "2", "a", "3")
        request = await peer.request(Message.WRITE_BATCH_STATE)
        written = chaincode_shim_pb2.WriteBatchState.FromString(request.payload).rec
        assert [(record.key, record.value) for record in written] == [("a", b"3"), ("b", b"2")]
        await peer.answer(request)
        assert (await peer.completed())[1].payload == b"written"


async def test_writes_go_out_one_by_one_to_a_peer_without_batches() -> None:
    async with playing(batches=0, multiple=0) as peer:
        await peer.begin("tx", "Put", "a", "1", "b", "2")
        for key in ("a", "b"):
            request = await peer.request(Message.PUT_STATE)
            assert chaincode_shim_pb2.PutState.FromString(request.payload).key == key
            await peer.answer(request)
        await peer.completed()
        await peer.begin("many", "GetMany", "a", "b")
        for _ in range(2):
            await peer.answer(await peer.request(Message.GET_STATE), b"1")
        assert (await peer.completed())[1].status == 200


async def test_batches_are_as_small_as_the_peer_wants() -> None:
    async with playing(batches=150) as peer:
        await peer.begin("tx", "PutMany", "k", "310")
        sizes = []
        for _ in range(3):
            request = await peer.request(Message.WRITE_BATCH_STATE)
            sizes.append(len(chaincode_shim_pb2.WriteBatchState.FromString(request.payload).rec))
            await peer.answer(request)
        await peer.completed()
        assert sizes == [150, 150, 10]


async def test_an_error_of_the_peer_ends_the_transaction_with_its_words() -> None:
    async with playing() as peer:
        await peer.begin("tx", "Get", "a")
        await peer.answer(await peer.request(Message.GET_STATE), b"the disk is full", Message.ERROR)
        _, response = await peer.completed()
        assert (response.status, response.message) == (500, "the disk is full")


async def test_a_refused_write_is_no_success() -> None:
    async with playing() as peer:
        await peer.begin("tx", "Put", "a", "1")
        await peer.answer(await peer.request(Message.WRITE_BATCH_STATE), b"no such collection", Message.ERROR)
        assert (await peer.completed())[1].status == 500


async def test_an_exception_is_answered_and_its_content_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with playing() as peer:
        await peer.begin("tx", "Raise", transient={"row": SECRET})
        _, response = await peer.completed()
        assert (response.status, response.message) == (500, "unexpected KeyError")
        await peer.begin("next", "Echo", "still here")
        assert (await peer.completed())[1].payload == b"still here"
    assert "KeyError" in caplog.text
    assert "probe.py" in caplog.text
    assert SECRET.decode() not in caplog.text
    assert "secret" not in caplog.text


async def test_a_rejected_transaction_writes_and_emits_nothing() -> None:
    async with playing() as peer:
        await peer.begin("tx", "Reject", "closed")
        message, response = await peer.completed()
        assert (response.status, response.message) == (400, "closed")
        assert not message.HasField("chaincode_event")


async def test_the_last_event_is_the_transactions() -> None:
    async with playing() as peer:
        await peer.begin("tx", "Emit", "Happened", b"\x00payload")
        await peer.answer(await peer.request(Message.WRITE_BATCH_STATE))
        message, _ = await peer.completed()
        assert (message.chaincode_event.event_name, message.chaincode_event.payload) == ("Happened", b"\x00payload")


async def test_a_peer_that_does_not_answer_costs_one_transaction_its_deadline() -> None:
    async with playing(Deadlines(answer=0.1)) as peer:
        await peer.begin("tx", "Get", "a")
        late = await peer.request(Message.GET_STATE)
        _, response = await peer.completed()
        assert (response.status, response.message) == (503, "the peer didn't answer within 0.1 s")
        await peer.answer(late, b"too late")
        await peer.begin("next", "Get", "a")
        await peer.answer(await peer.request(Message.GET_STATE), b"in time")
        assert (await peer.completed())[1].payload == b"in time"


async def test_a_transaction_ends_at_its_deadline() -> None:
    async with playing(Deadlines(transaction=0.1)) as peer:
        await peer.begin("tx", "Sleep", "60")
        _, response = await peer.completed()
        assert (response.status, response.message) == (503, "not done within 0.1 s")


async def test_a_late_answer_is_never_taken_for_the_next_requests() -> None:
    async with playing() as peer:
        await peer.begin("tx", "GiveUp", "a", "b")
        request = await peer.request(Message.GET_STATE)
        await peer.answer(request, b"the value of a")
        _, response = await peer.completed()
        assert response.status == 500
        assert "gave up a request" in response.message


@pytest.mark.parametrize("words", [(), (b"\xff\xfe",)])
async def test_a_proposal_without_a_readable_function_is_refused(words: tuple[bytes, ...]) -> None:
    async with playing() as peer:
        await peer.begin("tx", *words)
        assert (await peer.completed())[1].status == 400


async def test_a_proposal_that_cannot_be_read_is_answered() -> None:
    async with playing() as peer:
        await peer.stream.write(Message(type=Message.TRANSACTION, txid="tx", channel_id="channel", payload=b"\xff"))
        assert (await peer.completed())[1].status == 500


async def test_keepalives_are_returned_and_unknown_answers_ignored() -> None:
    async with playing() as peer:
        await peer.stream.write(Message(type=Message.RESPONSE, txid="nobody", channel_id="channel", payload=b"x"))
        await peer.stream.write(Message(type=Message.KEEPALIVE))
        await peer.request(Message.KEEPALIVE)


async def test_a_lost_stream_ends_what_runs_on_it_and_the_next_is_served() -> None:
    ended = asyncio.Event()

    class Watched(Probe):
        async def invoke(self, stub: ChaincodeStub) -> bytes:
            try:
                return await super().invoke(stub)
            finally:
                ended.set()

    async with connected(Watched()) as (peer, server):
        await peer.register()
        await peer.begin("tx", "Get", "a")
        await peer.request(Message.GET_STATE)
        peer.stream.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            again = PlayedPeer(chaincode_shim_pb2_grpc.ChaincodeStub(channel).Connect())
            assert await again.register() == "package:1"
            await again.begin("next", "Echo", "back")
            assert (await again.completed())[1].payload == b"back"


async def test_a_stopping_service_finishes_what_runs_and_refuses_what_comes(caplog: pytest.LogCaptureFixture) -> None:
    async with connected(Probe()) as (peer, server):
        await peer.register()
        await peer.begin("running", "Sleep", "0.2")
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0.05)
        await peer.begin("late", "Echo", "x")
        message, response = await peer.completed()
        assert (message.txid, response.status) == ("late", 503)
        assert (await peer.completed())[1].payload == b"awake"
        began = time.monotonic()
        await asyncio.wait_for(stopping, 5)
        assert time.monotonic() - began < 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_service_stops_though_a_transaction_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async with connected(Probe()) as (peer, server):
        await peer.register()
        await peer.begin("hanging", "Sleep", "60")
        await asyncio.sleep(0.05)
        await asyncio.wait_for(server.stop(0.1), 3)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_taken_address_is_an_error() -> None:
    async with connected(Probe()) as (_, server):
        with pytest.raises(OSError, match="can't listen on"):
            await start_server(Probe(), "package:1", f"127.0.0.1:{server.port}", None)


class Silent:
    """A peer that isn't asked."""

    write_batch_limit = 0
    multi_get_limit = 0

    async def ask(self, transaction: object, kind: int, payload: bytes) -> bytes:
        raise AssertionError("nothing asks it")


def test_a_chaincode_of_another_channel_is_named_with_it() -> None:
    payload, signed = proposal("Entry", chaincode="federation")
    for channel, name in (("channel", "federation"), ("another", "federation/channel")):
        message = Message(type=Message.TRANSACTION, txid="tx", channel_id=channel, payload=payload, proposal=signed)
        assert PeerStub(Silent(), message).entry_chaincode == name
