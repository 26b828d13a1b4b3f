"""A transaction on a real peer: every read is a question over the stream, writes are collected and sent at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

from consilium_chaincode.shim.composite_keys import check_simple_key, partial_key_range
from consilium_chaincode.shim.endorsement_policies import check_policy
from consilium_chaincode.shim.errors import ERROR_THRESHOLD, ChaincodeError, StateError, StreamLostError
from consilium_chaincode.shim.stub import Creator, Event, KeyModification, KeyValue, Page

Message = chaincode_shim_pb2.ChaincodeMessage
Write = chaincode_shim_pb2.WriteRecord

_VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
# The smallest simple key; composite keys begin with U+0000 and lie below.
_FIRST_SIMPLE_KEY = "\x01"


class PeerRequests(Protocol):
    """How a transaction asks its peer; `dispatcher.PeerStream` is one. Limits are 0 when the peer lacks the feature."""

    write_batch_limit: int
    multi_get_limit: int

    async def ask(self, transaction: Any, kind: int, payload: bytes) -> bytes:
        """Send a request of one transaction and return the peer's answer."""
        ...


class PeerStub:
    """Implements `ChaincodeStub`."""

    def __init__(self, peer: PeerRequests, message: Any) -> None:
        """Read the proposal that the peer sent along.

        Raises:
            ChaincodeError: it names no function, or its function isn't UTF-8.
        """
        self._peer = peer
        self._message = message
        # A peer drops a second outstanding request of the same transaction.
        self._one_at_a_time = asyncio.Lock()
        self._writes: dict[tuple[str, str, bool], Any] = {}
        # Whether a key that was written and sent before the end has a value now.
        self._sent: dict[tuple[str, str], bool] = {}
        self._closed = ""
        self.event: Event | None = None
        self.tx_id: str = message.txid
        self.channel: str = message.channel_id
        self.function, self.arguments = _invocation(message)
        proposal = proposal_pb2.Proposal.FromString(message.proposal.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
        stamp = channel_header.timestamp
        self.timestamp: int = stamp.seconds * 1000 + stamp.nanos // 1_000_000
        self.entry_chaincode = _entry(channel_header, self.channel)
        payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
        self.transient: Mapping[str, bytes] = dict(payload.TransientMap)
        signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
        serialized = identities_pb2.SerializedIdentity.FromString(signature_header.creator)
        self.creator = Creator.from_certificate(serialized.mspid, serialized.id_bytes)

    # ---- reads

    async def get_state(self, key: str, *, collection: str = "") -> bytes | None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        request = chaincode_shim_pb2.GetState(key=key, collection=collection)
        return await self._ask(Message.GET_STATE, request) or None

    async def get_states(self, keys: Sequence[str], *, collection: str = "") -> list[bytes | None]:
        """See `ChaincodeStub`."""
        for key in keys:
            check_simple_key(key)
        limit = self._peer.multi_get_limit
        if not limit:
            return [await self.get_state(key, collection=collection) for key in keys]
        found: list[bytes | None] = []
        for start in range(0, len(keys), limit):
            request = chaincode_shim_pb2.GetStateMultiple(keys=keys[start : start + limit], collection=collection)
            raw = await self._ask(Message.GET_STATE_MULTIPLE, request)
            found += [value or None for value in chaincode_shim_pb2.GetStateMultipleResult.FromString(raw).values]
        return found

    async def private_hash(self, collection: str, key: str) -> bytes | None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        request = chaincode_shim_pb2.GetState(key=key, collection=collection)
        return await self._ask(Message.GET_PRIVATE_DATA_HASH, request) or None

    async def get_validation_parameter(self, key: str, *, collection: str = "") -> bytes | None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        request = chaincode_shim_pb2.GetStateMetadata(key=key, collection=collection)
        raw = await self._ask(Message.GET_STATE_METADATA, request)
        entries = chaincode_shim_pb2.StateMetadataResult.FromString(raw).entries
        return next((bytes(entry.value) for entry in entries if entry.metakey == _VALIDATION_PARAMETER), None)

    async def range(self, start: str = "", end: str = "", *, collection: str = "") -> AsyncIterator[KeyValue]:
        """See `ChaincodeStub`."""
        request = chaincode_shim_pb2.GetStateByRange(
            startKey=start or _FIRST_SIMPLE_KEY, endKey=end, collection=collection
        )
        async for raw in self._results(Message.GET_STATE_BY_RANGE, request):
            yield _key_value(raw)

    async def range_page(self, start: str, end: str, size: int, bookmark: str = "") -> Page:
        """See `ChaincodeStub`."""
        if size < 1:
            raise ChaincodeError(f"a page has at least one entry, not {size}")
        metadata = chaincode_shim_pb2.QueryMetadata(pageSize=size, bookmark=bookmark).SerializeToString()
        request = chaincode_shim_pb2.GetStateByRange(startKey=start or _FIRST_SIMPLE_KEY, endKey=end, metadata=metadata)
        raw = await self._ask(Message.GET_STATE_BY_RANGE, request)
        answer = chaincode_shim_pb2.QueryResponse.FromString(raw)
        following = chaincode_shim_pb2.QueryResponseMetadata.FromString(answer.metadata)
        return Page(tuple(_key_value(result.resultBytes) for result in answer.results), following.bookmark)

    async def by_partial_key(self, kind: str, *attributes: str, collection: str = "") -> AsyncIterator[KeyValue]:
        """See `ChaincodeStub`."""
        start, end = partial_key_range(kind, *attributes)
        async for entry in self.range(start, end, collection=collection):
            yield entry

    async def history(self, key: str) -> AsyncIterator[KeyModification]:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        request = chaincode_shim_pb2.GetHistoryForKey(key=key)
        async for raw in self._results(Message.GET_HISTORY_FOR_KEY, request):
            change = kv_query_result_pb2.KeyModification.FromString(raw)
            milliseconds = change.timestamp.seconds * 1000 + change.timestamp.nanos // 1_000_000
            yield KeyModification(change.tx_id, change.value, milliseconds, change.is_delete)

    # ---- writes

    async def put_state(self, key: str, value: bytes, *, collection: str = "") -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        if not value:
            raise ChaincodeError(f"the value of {key!r} is empty; delete the key instead")
        self._collect(Write(key=key, value=value, collection=collection, type=Write.PUT_STATE))

    async def delete_state(self, key: str, *, collection: str = "") -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        self._collect(Write(key=key, collection=collection, type=Write.DEL_STATE))

    async def purge_private(self, collection: str, key: str) -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        self._collect(Write(key=key, collection=collection, type=Write.PURGE_PRIVATE_DATA))

    async def set_validation_parameter(self, key: str, policy: bytes, *, collection: str = "") -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        check_policy(policy)
        if not await self._has_value(collection, key):
            # The peer would ignore it without a word.
            raise ChaincodeError(f"{key!r} has no value; write one before giving it an endorsement policy")
        metadata = chaincode_shim_pb2.StateMetadata(metakey=_VALIDATION_PARAMETER, value=policy)
        self._collect(Write(key=key, collection=collection, type=Write.PUT_STATE_METADATA, metadata=metadata))

    async def _has_value(self, collection: str, key: str) -> bool:
        """Tell whether the key will have a value after this transaction's writes so far."""
        written = self._writes.get((collection, key, False))
        if written is not None:
            return bool(written.type == Write.PUT_STATE)
        if (collection, key) in self._sent:
            return self._sent[collection, key]
        return await self.get_state(key, collection=collection) is not None

    def set_event(self, name: str, payload: bytes) -> None:
        """See `ChaincodeStub`."""
        if not name:
            raise ChaincodeError("an event needs a name")
        self.event = Event(name, payload)

    async def invoke_chaincode(self, name: str, *arguments: bytes, channel: str = "") -> bytes:
        """See `ChaincodeStub`."""
        if not arguments:
            raise ChaincodeError(f"calling {name} needs a function")
        await self.flush()
        called = chaincode_pb2.ChaincodeID(name=f"{name}/{channel}" if channel else name)
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=called, input=chaincode_pb2.ChaincodeInput(args=list(arguments))
        )
        inner = Message.FromString(await self._ask(Message.INVOKE_CHAINCODE, spec))
        if inner.type != Message.COMPLETED:
            raise StateError(inner.payload.decode(errors="replace"))
        answer = proposal_response_pb2.Response.FromString(inner.payload)
        if answer.status >= ERROR_THRESHOLD:
            raise ChaincodeError(answer.message, answer.status)
        return bytes(answer.payload)

    async def flush(self) -> None:
        """Send the collected writes, in one message when the peer takes batches."""
        records, self._writes = list(self._writes.values()), {}
        for record in records:
            if record.type != Write.PUT_STATE_METADATA:
                self._sent[record.collection, record.key] = record.type == Write.PUT_STATE
        limit = self._peer.write_batch_limit
        if limit:
            for start in range(0, len(records), limit):
                batch = chaincode_shim_pb2.WriteBatchState(rec=records[start : start + limit])
                await self._ask(Message.WRITE_BATCH_STATE, batch)
            return
        for record in records:
            await self._ask(*_single_write(record))

    # ---- the way to the peer

    def close(self) -> None:
        """Refuse whatever is asked or written from now on: the peer has its answer."""
        self._closed = self._closed or "the transaction has been answered"

    def _collect(self, record: Any) -> None:
        if self._closed:
            raise StateError(f"{self._closed}; it can't write any more")
        self._writes[record.collection, record.key, record.type == Write.PUT_STATE_METADATA] = record

    async def _ask(self, kind: int, request: Any) -> bytes:
        async with self._one_at_a_time:
            if self._closed:
                raise StateError(f"{self._closed}; it can't ask the peer any more")
            try:
                return await self._peer.ask(self._message, kind, request.SerializeToString())
            except (asyncio.CancelledError, StreamLostError):
                # Answers carry no number: the late one would be taken for the answer to the next request.
                self._closed = "the transaction gave up a request before its answer came"
                raise

    async def _results(self, kind: int, request: Any) -> AsyncIterator[bytes]:
        """Page through a query's results, and release it at the peer when the reader stops early."""
        answer = chaincode_shim_pb2.QueryResponse.FromString(await self._ask(kind, request))
        try:
            while True:
                for result in answer.results:
                    yield bytes(result.resultBytes)
                if not answer.has_more:
                    return
                following = chaincode_shim_pb2.QueryStateNext(id=answer.id)
                raw = await self._ask(Message.QUERY_STATE_NEXT, following)
                answer = chaincode_shim_pb2.QueryResponse.FromString(raw)
        finally:
            if answer.has_more and not self._closed:
                # The peer releases it at the transaction's end at the latest.
                with contextlib.suppress(ChaincodeError):
                    await self._ask(Message.QUERY_STATE_CLOSE, chaincode_shim_pb2.QueryStateClose(id=answer.id))


def _invocation(message: Any) -> tuple[str, tuple[bytes, ...]]:
    words = [bytes(word) for word in chaincode_pb2.ChaincodeInput.FromString(message.payload).args]
    if not words:
        raise ChaincodeError("the proposal names no function")
    try:
        return words[0].decode(), tuple(words[1:])
    except UnicodeDecodeError:
        raise ChaincodeError("the proposal's function isn't UTF-8") from None


def _entry(channel_header: Any, channel: str) -> str:
    """Return the name of the proposal's chaincode, with its channel (as Fabric writes it) if that is another one."""
    extension = proposal_pb2.ChaincodeHeaderExtension.FromString(channel_header.extension)
    name = str(extension.chaincode_id.name)
    return name if channel_header.channel_id == channel else f"{name}/{channel_header.channel_id}"


def _key_value(raw: bytes) -> KeyValue:
    entry = kv_query_result_pb2.KV.FromString(raw)
    return KeyValue(entry.key, bytes(entry.value))


def _single_write(record: Any) -> tuple[int, Any]:
    """Return the older message for one write: its kind and payload."""
    where = {"key": record.key, "collection": record.collection}
    if record.type == Write.PUT_STATE:
        return Message.PUT_STATE, chaincode_shim_pb2.PutState(value=record.value, **where)
    if record.type == Write.DEL_STATE:
        return Message.DEL_STATE, chaincode_shim_pb2.DelState(**where)
    if record.type == Write.PURGE_PRIVATE_DATA:
        return Message.PURGE_PRIVATE_DATA, chaincode_shim_pb2.PurgePrivateState(**where)
    return Message.PUT_STATE_METADATA, chaincode_shim_pb2.PutStateMetadata(metadata=record.metadata, **where)
