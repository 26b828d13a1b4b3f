"""A channel in memory that orders what is endorsed into blocks, behind the interface of the Gateway client."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethereum_world import CLEVELAND, TERMS, VALID, EvmLedger

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_peers.commit import CommitStatus, SubmitResult
from consilium_peers.errors import CommitError, EndorseError, EvaluateError, GatewayError
from consilium_peers.ethereum.rpc.block_contents import BlockContents
from consilium_peers.ethereum.rpc.channel_blocks import ChannelBlocks
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.ledger import EvmLedger as LedgerCalls
from consilium_peers.ethereum.rpc.pool_journal import PoolJournal
from consilium_peers.ethereum.rpc.serving import Node, ServingOptions, assembled
from consilium_proto.canonical import decode
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data
from consilium_proto.ethereum.transactions import ReceiptRecord

BLOCK_SECONDS = 0.02
_RECEIPT_PLACE = (f"{EVM_CHAINCODE}/", "\0receipt\0")
Disturbance = Callable[[str], GatewayError | None]


@dataclass
class MemoryChannel:
    """Cuts a block of all that waits every `BLOCK_SECONDS`. `disturbance` may make a call fail before it runs."""

    evm: EvmLedger
    world: EvmTerms = TERMS
    disturbance: Disturbance = lambda _: None
    contents: list[BlockContents] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    blocks: ChannelBlocks | None = None
    _waiting: list[tuple[Simulation, asyncio.Future[CommitStatus]]] = field(default_factory=list)

    @property
    def height(self) -> int:
        return len(self.contents)

    async def simulated(self, function: str, argument: bytes, kind: type[GatewayError]) -> Simulation:
        self.calls.append(function)
        disturbed = self.disturbance(function)
        if disturbed is not None:
            raise disturbed
        self.evm.height = self.height
        try:
            return await self.evm.ledger.simulate(
                self.evm.contract, function, argument, creator=CLEVELAND, timestamp=self.evm.now
            )
        except ChaincodeError as error:
            raise kind("", "ABORTED", f"chaincode response 400, {error}") from None

    async def order(self, simulation: Simulation) -> CommitStatus:
        future: asyncio.Future[CommitStatus] = asyncio.get_running_loop().create_future()
        self._waiting.append((simulation, future))
        return await future

    def cut(self, timestamp: int | None = None) -> None:
        """Commit what waits, as one block; an empty one too."""
        taken, self._waiting = self._waiting, []
        codes = self.evm.ledger.commit([simulation for simulation, _ in taken])
        self.codes += codes
        receipts = [
            decode(ReceiptRecord, value)
            for (simulation, _), code in zip(taken, codes, strict=True)
            if code == VALID
            for (where, key), value in simulation.writes.items()
            if (where, key[: len(_RECEIPT_PLACE[1])]) == _RECEIPT_PLACE and value is not None
        ]
        number = self.height
        block = BlockContents(
            number=number,
            hash=hashlib.sha256(number.to_bytes(8, "big")).digest(),
            parent_hash=self.contents[-1].hash if self.contents else bytes(32),
            data_hash=hashlib.sha256(b"data").digest(),
            size=1000,
            timestamp=timestamp if timestamp is not None else (self.evm.now // 1000 if receipts else None),
            receipts=tuple(receipts),
            gas_cap=self.world.gas_cap if number == 0 else None,
        )
        self.contents.append(block)
        for (simulation, future), code in zip(taken, codes, strict=True):
            if not future.done():
                future.set_result(CommitStatus(simulation.tx_id, code, number))
        if self.blocks is not None:
            self.blocks.take(block)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BLOCK_SECONDS)
            if self._waiting:
                self.cut()


@dataclass
class MemoryTransaction:
    channel: MemoryChannel
    simulation: Simulation

    async def settle(self, timeout: float) -> CommitStatus:
        disturbed = self.channel.disturbance("settle")
        if disturbed is not None:
            raise disturbed
        status = await self.channel.order(self.simulation)
        lost = self.channel.disturbance("status")
        if lost is not None:
            raise lost
        return status


@dataclass
class MemoryProposal:
    channel: MemoryChannel
    function: str
    argument: bytes

    async def endorse(self, timeout: float) -> MemoryTransaction:
        return MemoryTransaction(self.channel, await self.channel.simulated(self.function, self.argument, EndorseError))


@dataclass
class MemoryContract:
    """What the server calls of `Contract`."""

    channel: MemoryChannel

    def propose(self, function: str, argument: bytes) -> MemoryProposal:
        return MemoryProposal(self.channel, function, argument)

    async def evaluate(self, function: str, argument: bytes, timeout: float) -> bytes:
        return (await self.channel.simulated(function, argument, EvaluateError)).result

    async def submit(self, function: str, argument: bytes, timeout: float) -> SubmitResult:
        while True:
            simulation = await self.channel.simulated(function, argument, EndorseError)
            status = await self.channel.order(simulation)
            if status.valid:
                return SubmitResult(simulation.result, simulation.tx_id, status.block, (), 0.0)
            if status.code != "MVCC_READ_CONFLICT":
                raise CommitError(status.tx_id, status.code, "invalid")


class Answered:
    """A server's methods, called as a program would, and what belongs to them."""

    def __init__(self, node: Node, channel: MemoryChannel, address: str) -> None:
        self.node = node
        self.channel = channel
        self.address = address
        self.pool = node.sending.pool

    async def ask(self, method: str, *parameters: object) -> Any:
        from consilium_peers.ethereum.rpc.parameters import Parameters

        return await self.node.methods[method](Parameters(list(parameters)))

    async def committed(self, transaction_hash: str, seconds: float = 10.0) -> Any:
        """Wait for a receipt."""
        deadline = time.monotonic() + seconds
        while (receipt := await self.ask("eth_getTransactionReceipt", transaction_hash)) is None:
            assert time.monotonic() < deadline, "the transaction isn't committed"
            await asyncio.sleep(0.005)
        return receipt

    async def sent(self, raw: bytes) -> str:
        return str(await self.ask("eth_sendRawTransaction", as_data(raw)))


@contextlib.asynccontextmanager
async def answered(folder: Path, channel: MemoryChannel | None = None, **options: Any) -> AsyncIterator[Answered]:
    """Run a server without sockets on a channel in memory; block 0 is there."""
    channel = channel or MemoryChannel(EvmLedger())
    if not channel.contents:
        channel.cut(timestamp=channel.evm.now // 1000 - 100)
    with (
        contextlib.closing(BlockIndex(folder / "blocks.sqlite")) as index,
        contextlib.closing(PoolJournal(folder / "pool.sqlite")) as journal,
    ):
        blocks = ChannelBlocks(None, index)  # type: ignore[arg-type]
        index.add(channel.contents[index.height :])
        channel.blocks = blocks
        contract: Any = MemoryContract(channel)
        ledger = LedgerCalls(contract, contract)
        address = await ledger.own_address()
        node = assembled(ledger, blocks, journal, ServingOptions(**options), channel.world.chain_id, address)
        ordering = asyncio.create_task(channel.run())
        try:
            node.sending.resume()
            yield Answered(node, channel, address)
        finally:
            await node.sending.drain(0.0)
            ordering.cancel()
            channel.blocks = None
