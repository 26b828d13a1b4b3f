"""A client of Fabric's Gateway service for asyncio, in the shape of the official clients.

    async with Gateway.connect(profile) as gateway:
        contract = gateway.network().contract()
        answer = await contract.evaluate("ReadRound", argument)
        result = await contract.submit("Join", argument)

or step by step: propose, endorse, submit, wait for the commit status. See "Fabric Gateway" in Fabric's documentation.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc

from consilium_peers.blocks.reader import BlockReader, RawBlock
from consilium_peers.blocks.seeking import tls_certificate_hash
from consilium_peers.chain_info import ledger_height
from consilium_peers.commit import Commit, CommitStatus, SubmitResult, Transaction, submit_until_committed
from consilium_peers.connection import Connections
from consilium_peers.errors import BlocksError, EndorseError, EvaluateError
from consilium_peers.events import ChaincodeEvent, Checkpointer, EventReader
from consilium_peers.identity import Identity
from consilium_peers.outage import PATIENCE_SECONDS
from consilium_peers.profile import Profile
from consilium_peers.proposal import SignedProposal, sign_proposal

__all__ = ["Commit", "CommitStatus", "Contract", "Gateway", "Network", "Proposal", "SubmitResult", "Transaction"]

EVALUATE_SECONDS = 15.0
ENDORSE_SECONDS = 30.0
SUBMIT_SECONDS = 90.0
HEIGHT_SECONDS = 10.0


class Gateway:
    """One identity's way to the ledger, through its own organisation's peer or, when that is down, another's."""

    def __init__(self, profile: Profile, identity: Identity) -> None:
        self.profile = profile
        self.identity = identity
        self.connections = Connections(profile.gateways, profile.tls)

    @classmethod
    @asynccontextmanager
    async def connect(cls, profile: Profile) -> AsyncIterator[Gateway]:
        """Open a gateway for a profile's identity; it is closed at the end of the `async with` block."""
        gateway = cls(profile, profile.load_identity())
        try:
            yield gateway
        finally:
            await gateway.connections.close()

    def network(self, channel: str | None = None) -> Network:
        """Return a channel; the profile's by default."""
        return Network(self, channel or self.profile.channel)


class Network:
    """A channel."""

    def __init__(self, gateway: Gateway, channel: str) -> None:
        self.gateway = gateway
        self.channel = channel

    def contract(self, chaincode: str | None = None) -> Contract:
        """Return a chaincode of the channel; the profile's by default."""
        return Contract(self, chaincode or self.gateway.profile.chaincode)

    def chaincode_events(
        self,
        chaincode: str | None = None,
        *,
        checkpoint: Checkpointer | None = None,
        start_block: int | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> AsyncGenerator[ChaincodeEvent, None]:
        """Iterate over a chaincode's events, for ever.

        With a checkpoint the stream goes on right behind the last event that was recorded there; otherwise it starts
        at `start_block`, or with the next block. When a gateway fails or is frozen, another one goes on where it left
        off: no event is missed or repeated.

        Raises:
            EventsError: no gateway has served the stream for `patience` seconds, or one refuses it for good.
            CheckpointError: the checkpoint isn't one, or is another ledger's.
        """
        reader = EventReader(
            self.gateway.connections,
            self.gateway.identity,
            self.channel,
            chaincode or self.gateway.profile.chaincode,
            checkpoint.position() if checkpoint is not None else None,
            start_block,
        )
        return reader.events(patience)

    async def height(self, timeout: float = HEIGHT_SECONDS) -> int:
        """Return how many blocks the first gateway that answers has: the next block's number.

        Raises:
            BlocksError: none answered within `timeout` seconds each.
        """
        connections, failure = self.gateway.connections, None
        for endpoint in connections.in_order():
            try:
                return await ledger_height(
                    connections, self.gateway.identity, self.channel, endpoint, BlocksError, timeout
                )
            except BlocksError as error:
                connections.rest(endpoint)
                failure = failure or error
        raise failure or BlocksError("", "UNAVAILABLE", "the profile names no gateway")

    def blocks(
        self, start: int = 0, end: int | None = None, *, patience: float = PATIENCE_SECONDS
    ) -> AsyncGenerator[RawBlock, None]:
        """Iterate over whole blocks from `start` up to, but without, `end`; None goes on for ever as blocks come.

        When a peer fails or falls silent, another one goes on where it left off: no block is missed or repeated.

        Raises:
            BlocksError: no peer has sent a block for `patience` seconds, or one refuses for good.
        """
        connections = self.gateway.connections
        tls_hash = tls_certificate_hash(self.gateway.profile.tls.certificate)
        return BlockReader(connections, self.gateway.identity, self.channel, tls_hash, start, end).blocks(patience)


@dataclass(frozen=True)
class Proposal:
    """A signed proposal."""

    network: Network
    signed: SignedProposal
    endorsing_organizations: tuple[str, ...]

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self.signed.tx_id

    async def evaluate(self, timeout: float = EVALUATE_SECONDS) -> bytes:
        """Run the chaincode on one peer and return its answer; nothing is written.

        Raises:
            EvaluateError: the chaincode refused, or no gateway answered in time.
        """
        request = gateway_pb2.EvaluateRequest(
            transaction_id=self.tx_id,
            channel_id=self.network.channel,
            proposed_transaction=self.signed.message,
            target_organizations=self.endorsing_organizations,
        )

        async def invoke(channel: grpc.aio.Channel, seconds: float) -> Any:
            return await gateway_pb2_grpc.GatewayStub(channel).Evaluate(request, timeout=seconds)

        connections = self.network.gateway.connections
        answer = await connections.call(EvaluateError, self.tx_id, invoke, timeout)
        return bytes(answer.result.payload)

    async def endorse(self, timeout: float = ENDORSE_SECONDS) -> Transaction:
        """Gather the endorsements that the policy asks for, and sign the transaction.

        Raises:
            EndorseError: the chaincode refused, or too few peers endorsed; nothing was ordered.
        """
        request = gateway_pb2.EndorseRequest(
            transaction_id=self.tx_id,
            channel_id=self.network.channel,
            proposed_transaction=self.signed.message,
            endorsing_organizations=self.endorsing_organizations,
        )

        async def invoke(channel: grpc.aio.Channel, seconds: float) -> Any:
            return await gateway_pb2_grpc.GatewayStub(channel).Endorse(request, timeout=seconds)

        gateway = self.network.gateway
        answer = await gateway.connections.call(EndorseError, self.tx_id, invoke, timeout)
        envelope = answer.prepared_transaction
        envelope.signature = gateway.identity.sign(envelope.payload)
        return Transaction(gateway.connections, gateway.identity, self.network.channel, self.tx_id, envelope)


class Contract:
    """A chaincode of a channel."""

    def __init__(self, network: Network, chaincode: str) -> None:
        self._network = network
        self.chaincode = chaincode

    def propose(
        self,
        function: str,
        *arguments: bytes,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
    ) -> Proposal:
        """Build and sign a proposal. `endorsing_organizations` (MSP ids) overrides whom the gateway would ask."""
        words = (function.encode(), *arguments)
        identity = self._network.gateway.identity
        signed = sign_proposal(identity, self._network.channel, self.chaincode, words, transient)
        return Proposal(self._network, signed, tuple(endorsing_organizations))

    async def evaluate(
        self,
        function: str,
        *arguments: bytes,
        transient: Mapping[str, bytes] | None = None,
        organizations: Sequence[str] = (),
        timeout: float = EVALUATE_SECONDS,
    ) -> bytes:
        """Run a query on one peer and return its answer; see `Proposal.evaluate` for errors.

        The gateway prefers its own organisation's peers, but asks another organisation's when they don't answer, and
        nobody vouches for what one peer says. Who must not be lied to names in `organizations` (MSP ids) whose peers
        it trusts.
        """
        proposal = self.propose(function, *arguments, transient=transient, endorsing_organizations=organizations)
        return await proposal.evaluate(timeout)

    async def submit(
        self,
        function: str,
        *arguments: bytes,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
        timeout: float = SUBMIT_SECONDS,
    ) -> SubmitResult:
        """Endorse, order and wait until the transaction is committed; it commits at most once.

        A transaction that turned out invalid because another one changed what it read is proposed anew: its own
        effects are nil by then. As long as the outcome isn't known, the same signed envelope is sent again, never
        another.

        Raises:
            EndorseError: the chaincode refused, or too few peers endorsed.
            SubmitError: the orderers refused it at once.
            CommitError: the transaction is invalid for another reason.
            CommitStatusError: the outcome isn't known after `timeout` seconds; the error names the transaction.

        Cancelling stops at once and sends nothing more; a transaction that was on its way may still commit. Who has to
        know keeps the `Transaction` (`propose`, `endorse`) and calls `settle` again.
        """

        async def endorse(seconds: float) -> Transaction:
            proposal = self.propose(
                function, *arguments, transient=transient, endorsing_organizations=endorsing_organizations
            )
            return await proposal.endorse(min(seconds, ENDORSE_SECONDS))

        return await submit_until_committed(endorse, timeout)
