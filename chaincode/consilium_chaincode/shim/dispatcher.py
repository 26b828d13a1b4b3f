"""One connected peer: registers, routes answers to the transactions that wait for them, runs transactions side by side.

The peer's rules: one outstanding write per stream, one outstanding request per transaction, an answer to everything. So
every exception becomes an answer, every wait has a deadline, and a lost stream ends what runs on it.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2, proposal_response_pb2

from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.errors import ChaincodeError, StateError, StreamLostError
from consilium_chaincode.shim.peer_stub import PeerStub

log = logging.getLogger("consilium.chaincode")

Message = chaincode_shim_pb2.ChaincodeMessage

# What Fabric 3 peers announce when they announce no number of their own.
_LEAST_BATCH = 100
_OK = 200
_UNAVAILABLE = 503


@dataclass(frozen=True)
class Deadlines:
    """How long to wait, in seconds, for the peer's answer to one request and for a whole transaction.

    A peer gives a transaction 30 s (chaincode.executetimeout). Ours end earlier, so that the caller learns the reason.
    """

    answer: float = 20.0
    transaction: float = 27.0


class MessageWriter(Protocol):
    """The sending half of the stream."""

    async def write(self, message: Any) -> None:
        """Send one message; one call at a time."""
        ...


class PeerStream:
    """The conversation with one peer; implements `PeerRequests`."""

    def __init__(
        self, contract: Contract, package_id: str, writer: MessageWriter, deadlines: Deadlines | None = None
    ) -> None:
        self._contract = contract
        self._package_id = package_id
        self._writer = writer
        self._deadlines = deadlines or Deadlines()
        self._stopping = False
        self._ended = False
        self._closing = asyncio.Event()
        self._writing = asyncio.Lock()
        self._waiting: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self.write_batch_limit = 0
        self.multi_get_limit = 0

    async def run(self, messages: AsyncIterator[Any]) -> None:
        """Register, then serve until the peer ends the stream, it breaks, or `close` was called."""
        name = chaincode_pb2.ChaincodeID(name=self._package_id).SerializeToString()
        await self._send(Message(type=Message.REGISTER, payload=name))
        reading = asyncio.create_task(self._read(messages))
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # gRPC may cancel this a second time at any await, so everything is told to end before the first one.
            reading.cancel()
            closing.cancel()
            tasks = [reading, closing, *self._end()]
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self, grace: float) -> None:
        """Take no new transaction, let those that run end within `grace` seconds, then end the stream."""
        self._stopping = True
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        self._closing.set()

    async def _read(self, messages: AsyncIterator[Any]) -> None:
        try:
            async for message in messages:
                await self._receive(message)
        except Exception as error:
            log.warning("the stream of the peer broke: %s", type(error).__name__)

    async def _receive(self, message: Any) -> None:
        if message.type in (Message.RESPONSE, Message.ERROR):
            waiting = self._waiting.get((message.channel_id, message.txid))
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif message.type in (Message.TRANSACTION, Message.INIT):
            task = asyncio.create_task(self._transaction(message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        elif message.type == Message.READY:
            self._negotiate(message.payload)
        elif message.type == Message.KEEPALIVE:
            await self._send(message)

    def _negotiate(self, payload: bytes) -> None:
        offered = chaincode_pb2.ChaincodeAdditionalParams.FromString(payload)
        if offered.use_write_batch:
            self.write_batch_limit = max(_LEAST_BATCH, offered.max_size_write_batch)
        if offered.use_get_multiple_keys:
            self.multi_get_limit = max(_LEAST_BATCH, offered.max_size_get_multiple_keys)

    async def ask(self, transaction: Any, kind: int, payload: bytes) -> bytes:
        """Send a request of a transaction and wait for the peer's answer.

        Raises:
            StateError: the peer refused.
            StreamLostError: no answer in time.
        """
        key = (transaction.channel_id, transaction.txid)
        waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        request = Message(type=kind, payload=payload, txid=transaction.txid, channel_id=transaction.channel_id)
        try:
            await self._send(request)
            answer = await asyncio.wait_for(waiting, self._deadlines.answer)
        except TimeoutError:
            raise StreamLostError(f"the peer didn't answer within {self._deadlines.answer:g} s") from None
        finally:
            self._waiting.pop(key, None)
        if answer.type == Message.ERROR:
            raise StateError(answer.payload.decode(errors="replace"))
        return bytes(answer.payload)

    async def _transaction(self, message: Any) -> None:
        answer = Message(type=Message.COMPLETED, txid=message.txid, channel_id=message.channel_id)
        response = await self._respond(message, answer)
        if self._ended:
            return
        answer.payload = response.SerializeToString()
        try:
            await self._send(answer)
        except Exception:
            log.warning("the answer to a transaction couldn't be sent", extra={"tx_id": message.txid})

    async def _respond(self, message: Any, answer: Any) -> Any:
        """Run one transaction; whatever happens in it, return a response."""
        if self._stopping:
            return proposal_response_pb2.Response(status=_UNAVAILABLE, message="this chaincode service is stopping")
        deadline = asyncio.timeout(self._deadlines.transaction)
        stub: PeerStub | None = None
        try:
            async with deadline:
                stub = PeerStub(self, message)
                payload = await self._contract.invoke(stub)
                await stub.flush()
        except ChaincodeError as error:
            return proposal_response_pb2.Response(status=error.status, message=str(error))
        except Exception as error:
            if deadline.expired():
                said = f"not done within {self._deadlines.transaction:g} s"
                return proposal_response_pb2.Response(status=_UNAVAILABLE, message=said)
            # The type and place alone: a message could hold what was in the transaction.
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.filename}:{place.lineno}"
            log.error("a transaction failed: %s at %s", type(error).__name__, where)
            return proposal_response_pb2.Response(status=500, message=f"unexpected {type(error).__name__}")
        finally:
            if stub is not None:
                stub.close()
        if stub.event is not None:
            event = chaincode_event_pb2.ChaincodeEvent(event_name=stub.event.name, payload=stub.event.payload)
            answer.chaincode_event.CopyFrom(event)
        return proposal_response_pb2.Response(status=_OK, payload=payload)

    async def _send(self, message: Any) -> None:
        # Who waits may be cancelled, the write may not: it would still be under way when the next one begins.
        write = asyncio.create_task(self._write(message))
        self._writes.add(write)
        write.add_done_callback(self._written)
        await asyncio.shield(write)

    async def _write(self, message: Any) -> None:
        async with self._writing:
            await self._writer.write(message)

    def _written(self, write: asyncio.Task[None]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # whoever waited has it too

    def _end(self) -> list[asyncio.Task[None]]:
        """Tell everything that runs on this stream to end, and return it."""
        self._ended = True
        for waiting in self._waiting.values():
            waiting.cancel()
        tasks = [*self._running, *self._writes]
        for task in tasks:
            task.cancel()
        return tasks
