"""From an endorsed transaction to its commit: ordered once, whatever dies in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.peer import transaction_pb2

from consilium_peers.connection import Connections
from consilium_peers.endorsing import endorse_patiently
from consilium_peers.error_details import peer_details
from consilium_peers.errors import CommitError, CommitStatusError, GatewayError, SubmitError
from consilium_peers.identity import Identity
from consilium_peers.proposal import PreparedResult, read_prepared

# An accepted transaction can be lost with the orderer that accepted it, so the same envelope is sent again this often
# until its commit status is known. A transaction id commits once, so sending it again is harmless.
RESEND_SECONDS = 5.0
STATUS_SECONDS = 60.0
BROADCAST_SECONDS = 10.0
PAUSE_SECONDS = 0.25

# Another transaction changed what this one had read. It has no effect and may be proposed anew.
_CONFLICTS = ("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT")
# Under BFT ordering a late copy of an envelope is answered with an error although it has been ordered.
_ALREADY_ORDERED = ("already processed", "already exists")


@dataclass(frozen=True)
class CommitStatus:
    """How a transaction ended: VALID, or why it is invalid, and in which block."""

    tx_id: str
    code: str
    block: int

    @property
    def valid(self) -> bool:
        """True when the transaction's writes were applied."""
        return self.code == "VALID"


@dataclass(frozen=True)
class SubmitResult:
    """A committed transaction: the chaincode's answer, where it is, who endorsed it, how long it took in seconds."""

    payload: bytes
    tx_id: str
    block: int
    endorsers: tuple[str, ...]
    latency: float


@dataclass(frozen=True)
class Commit:
    """A transaction that was handed to the orderers."""

    transaction: Transaction

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self.transaction.tx_id

    async def status(self, timeout: float = STATUS_SECONDS) -> CommitStatus:
        """Wait until the transaction is in a block and return how it ended there.

        Raises:
            CommitStatusError: not known after `timeout` seconds.
        """
        return await self.transaction.commit_status(timeout)


@dataclass(frozen=True)
class Transaction:
    """An endorsed and signed transaction. The envelope never changes, so it can be sent again."""

    connections: Connections
    identity: Identity
    channel: str
    tx_id: str
    envelope: Any = field(repr=False)

    @property
    def result(self) -> PreparedResult:
        """The chaincode's answer and its endorsers."""
        return read_prepared(self.envelope)

    async def submit(self, timeout: float = BROADCAST_SECONDS) -> Commit:
        """Hand the transaction to the orderers.

        Raises:
            SubmitError: they didn't take it; it may be sent again.
        """
        request = gateway_pb2.SubmitRequest(
            transaction_id=self.tx_id, channel_id=self.channel, prepared_transaction=self.envelope
        )

        async def invoke(channel: grpc.aio.Channel, seconds: float) -> Any:
            try:
                return await gateway_pb2_grpc.GatewayStub(channel).Submit(request, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                said = [error.details() or "", *(detail.message for detail in peer_details(error))]
                if not any(mark in text for mark in _ALREADY_ORDERED for text in said):
                    raise
                return None

        await self.connections.call(SubmitError, self.tx_id, invoke, timeout)
        return Commit(self)

    async def commit_status(self, timeout: float) -> CommitStatus:
        """Wait for the commit status; see `Commit.status`.

        One gateway gets all the time, since waiting is what is asked of it. When it stays silent the next call goes to
        another one: it may be the gateway that hangs.
        """
        request = gateway_pb2.CommitStatusRequest(
            transaction_id=self.tx_id, channel_id=self.channel, identity=self.identity.serialized
        ).SerializeToString()
        signed = gateway_pb2.SignedCommitStatusRequest(request=request, signature=self.identity.sign(request))

        async def invoke(channel: grpc.aio.Channel, seconds: float) -> Any:
            return await gateway_pb2_grpc.GatewayStub(channel).CommitStatus(signed, timeout=seconds)

        answer = await self.connections.call(CommitStatusError, self.tx_id, invoke, timeout, shared=False)
        code = transaction_pb2.TxValidationCode.Name(answer.result)
        return CommitStatus(self.tx_id, code, answer.block_number)

    async def settle(self, timeout: float) -> CommitStatus:
        """Send the one envelope again and again until its outcome is known; may be called again after a cancellation.

        Raises:
            SubmitError: the orderers refused it at once.
            CommitStatusError: the outcome isn't known after `timeout` seconds.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        sent = False
        while True:
            failure: GatewayError | None = None
            try:
                await self.submit(max(0.1, min(deadline - clock(), BROADCAST_SECONDS)))
            except SubmitError as error:
                # Only the first answer is final: if an orderer took it before, it may be in a block, whatever is said
                # now.
                if not error.transient and not sent:
                    raise
                failure = error
            sent = True
            try:
                return await self.commit_status(max(0.1, min(RESEND_SECONDS, deadline - clock())))
            except CommitStatusError as error:
                if not error.transient:
                    raise
                failure = failure or error
            if clock() >= deadline:
                said = f"the outcome isn't known; last: {failure.reason}"
                raise CommitStatusError(self.tx_id, "DEADLINE_EXCEEDED", said, failure.details)
            await asyncio.sleep(PAUSE_SECONDS)


async def submit_until_committed(endorse: Callable[[float], Awaitable[Transaction]], timeout: float) -> SubmitResult:
    """Endorse and commit within `timeout` seconds; see `Contract.submit`."""
    clock = asyncio.get_running_loop().time
    started = clock()
    deadline = started + timeout
    while True:
        transaction = await endorse_patiently(endorse, deadline)
        status = await transaction.settle(max(0.1, deadline - clock()))
        if status.valid:
            result = transaction.result
            return SubmitResult(result.payload, status.tx_id, status.block, result.endorsers, clock() - started)
        if status.code not in _CONFLICTS or clock() >= deadline:
            raise CommitError(status.tx_id, status.code, f"invalid in block {status.block}; nothing was written")
        # Those who conflicted would otherwise meet again in the next block.
        await asyncio.sleep(PAUSE_SECONDS * random.random())  # noqa: S311 - spreads retries, protects nothing
