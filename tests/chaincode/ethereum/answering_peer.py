"""A played peer that answers chaincode `evm` from a state in memory, and counts what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ethereum_world import HEIGHT, EvmLedger
from fabric_protos.peer import chaincode_shim_pb2, proposal_response_pb2
from played_peer import Message, PlayedPeer, connected

from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_chaincode.shim.dispatcher import Deadlines
from consilium_proto.canonical import Record, encode


def tx_id_of(name: str) -> str:
    """Return the Fabric transaction's id for a test's name of it."""
    return hashlib.sha256(name.encode()).hexdigest()


SECONDS = 30.0


class AnsweringPeer:
    """A peer with a state. `answers` holds each transaction's response, `asked` how often it was asked what."""

    def __init__(self, peer: PlayedPeer, state: Mapping[str, bytes]) -> None:
        self._peer = peer
        self.state = dict(state)
        self.answers: dict[str, asyncio.Future[Any]] = {}
        self.asked: dict[str, Counter[str]] = {}
        self.written: dict[str, int] = {}

    async def send(self, name: str, function: str, argument: Record, entry: str = "evm") -> Any:
        """Run a transaction, whose client called chaincode `entry`, to its end; return its response."""
        tx_id = tx_id_of(name)
        self.asked[tx_id] = Counter()
        self.answers[tx_id] = asyncio.get_running_loop().create_future()
        await self._peer.begin(tx_id, function, encode(argument), chaincode=entry)
        return await asyncio.wait_for(self.answers[tx_id], SECONDS)

    def requests(self, name: str) -> Counter[str]:
        """Return how often the peer was asked what for a transaction."""
        return self.asked[tx_id_of(name)]

    async def serve(self) -> None:
        """Answer until cancelled."""
        while True:
            message = await self._peer.stream.read()
            kind = Message.Type.Name(message.type)
            self.asked[message.txid][kind] += 1
            if message.type == Message.COMPLETED:
                response = proposal_response_pb2.Response.FromString(message.payload)
                self.answers[message.txid].set_result(response)
                continue
            await self._peer.answer(message, self._answer(message))

    def _answer(self, message: Any) -> bytes:
        if message.type == Message.GET_STATE:
            return self.state.get(chaincode_shim_pb2.GetState.FromString(message.payload).key, b"")
        if message.type == Message.GET_STATE_MULTIPLE:
            keys = chaincode_shim_pb2.GetStateMultiple.FromString(message.payload).keys
            values = [self.state.get(key, b"") for key in keys]
            return chaincode_shim_pb2.GetStateMultipleResult(values=values).SerializeToString()  # type: ignore[no-any-return]
        assert message.type == Message.WRITE_BATCH_STATE
        batch = chaincode_shim_pb2.WriteBatchState.FromString(message.payload)
        self.written[message.txid] = self.written.get(message.txid, 0) + len(batch.rec)
        return b""


async def _height(_: str) -> int:
    return HEIGHT


@contextlib.asynccontextmanager
async def answering(ledger: EvmLedger, deadlines: Deadlines | None = None) -> AsyncIterator[AnsweringPeer]:
    """Serve the chaincode to a peer that has a ledger's state."""
    state = {name: cell.value for (where, name), cell in ledger.ledger.state.items() if where == "evm/"}
    async with connected(EthereumContract(heights=_height), deadlines) as (played, _):
        await played.register(batches=1000, multiple=1000)
        peer = AnsweringPeer(played, state)
        serving = asyncio.create_task(peer.serve())
        try:
            yield peer
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
