"""A contract that uses every feature of the stub: the tests run it on the ledger in memory and on real peers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from consilium_chaincode.shim.contract import Contract, query, transaction
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.stub import ChaincodeStub, KeyValue, composite_key, split_composite_key


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


async def _listed(entries: AsyncIterator[KeyValue]) -> bytes:
    return _json([[key, value.decode(errors="replace")] async for key, value in entries])


def _hex(values: list[bytes | None]) -> list[str | None]:
    return [None if value is None else value.hex() for value in values]


class Probe(Contract):
    """Arguments are UTF-8 texts unless they are values; answers are JSON unless they are one value."""

    name = "probe"

    # ---- what the transaction knows

    @query("Echo")
    async def echo(self, stub: ChaincodeStub, *arguments: bytes) -> bytes:
        return b"".join(arguments)

    @query("WhoAmI")
    async def who_am_i(self, stub: ChaincodeStub) -> bytes:
        creator = stub.creator
        return _json([creator.msp_id, creator.role, creator.certificate.decode(), stub.tx_id, stub.timestamp])

    @query("Transient")
    async def transient(self, stub: ChaincodeStub, name: bytes) -> bytes:
        return stub.transient.get(name.decode(), b"")

    # ---- public state

    @transaction("Put")
    async def put(self, stub: ChaincodeStub, *words: bytes) -> bytes:
        for key, value in zip(words[::2], words[1::2], strict=True):
            await stub.put_state(key.decode(), value)
        return b"written"

    @query("Get")
    async def get(self, stub: ChaincodeStub, key: bytes) -> bytes:
        return await stub.get_state(key.decode()) or b""

    @query("GetMany")
    async def get_many(self, stub: ChaincodeStub, *keys: bytes) -> bytes:
        return _json(_hex(await stub.get_states([key.decode() for key in keys])))

    @query("GetAtOnce")
    async def get_at_once(self, stub: ChaincodeStub, *keys: bytes) -> bytes:
        return _json(_hex(await asyncio.gather(*(stub.get_state(key.decode()) for key in keys))))

    @transaction("Delete")
    async def delete(self, stub: ChaincodeStub, key: bytes) -> bytes:
        await stub.delete_state(key.decode())
        return b""

    @transaction("ReadOwnWrite")
    async def read_own_write(self, stub: ChaincodeStub, key: bytes, value: bytes) -> bytes:
        await stub.put_state(key.decode(), value)
        return await stub.get_state(key.decode()) or b"nothing"

    @transaction("Increment")
    async def increment(self, stub: ChaincodeStub, key: bytes) -> bytes:
        value = str(int(await stub.get_state(key.decode()) or b"0") + 1).encode()
        await stub.put_state(key.decode(), value)
        return value

    @transaction("PutMany")
    async def put_many(self, stub: ChaincodeStub, prefix: bytes, count: bytes) -> bytes:
        for number in range(int(count)):
            await stub.put_state(f"{prefix.decode()}{number:05d}", str(number).encode())
        return b""

    @transaction("PutLarge")
    async def put_large(self, stub: ChaincodeStub, key: bytes, size: bytes) -> bytes:
        await stub.put_state(key.decode(), bytes(range(256)) * (int(size) // 256))
        return b""

    # ---- ranges, composite keys, history

    @query("Range")
    async def range(self, stub: ChaincodeStub, start: bytes, end: bytes) -> bytes:
        return await _listed(stub.range(start.decode(), end.decode()))

    @query("First")
    async def first(self, stub: ChaincodeStub, start: bytes, end: bytes, key: bytes) -> bytes:
        """Leave a range after its first entry, and ask for something else."""
        found = ""
        async for entry in stub.range(start.decode(), end.decode()):
            found = entry.key
            break
        return _json([found, _hex([await stub.get_state(key.decode())])])

    @query("Page")
    async def page(self, stub: ChaincodeStub, start: bytes, end: bytes, size: bytes, bookmark: bytes) -> bytes:
        page = await stub.range_page(start.decode(), end.decode(), int(size), bookmark.decode())
        return _json([[entry.key for entry in page.entries], page.bookmark])

    @transaction("PageAndPut")
    async def page_and_put(self, stub: ChaincodeStub, start: bytes, end: bytes, key: bytes) -> bytes:
        await stub.range_page(start.decode(), end.decode(), 1)
        await stub.put_state(key.decode(), b"1")
        return b""

    @transaction("CountInto")
    async def count_into(self, stub: ChaincodeStub, start: bytes, end: bytes, key: bytes) -> bytes:
        count = len([entry async for entry in stub.range(start.decode(), end.decode())])
        await stub.put_state(key.decode(), str(count).encode())
        return b""

    @transaction("PutComposite")
    async def put_composite(self, stub: ChaincodeStub, value: bytes, kind: bytes, *attributes: bytes) -> bytes:
        await stub.put_state(composite_key(kind.decode(), *(each.decode() for each in attributes)), value)
        return b""

    @query("ByPartialKey")
    async def by_partial_key(self, stub: ChaincodeStub, kind: bytes, *attributes: bytes) -> bytes:
        found = stub.by_partial_key(kind.decode(), *(each.decode() for each in attributes))
        return _json([[*split_composite_key(key)[1], value.decode()] async for key, value in found])

    @query("History")
    async def history(self, stub: ChaincodeStub, key: bytes) -> bytes:
        changes = [change async for change in stub.history(key.decode())]
        return _json([[each.tx_id, each.value.hex(), each.timestamp, each.is_delete] for each in changes])

    # ---- private data

    @transaction("PutPrivate")
    async def put_private(self, stub: ChaincodeStub, collection: bytes, key: bytes) -> bytes:
        await stub.put_state(key.decode(), stub.transient["value"], collection=collection.decode())
        return b""

    @query("GetPrivate")
    async def get_private(self, stub: ChaincodeStub, collection: bytes, key: bytes) -> bytes:
        return await stub.get_state(key.decode(), collection=collection.decode()) or b""

    @query("PrivateHash")
    async def private_hash(self, stub: ChaincodeStub, collection: bytes, key: bytes) -> bytes:
        return await stub.private_hash(collection.decode(), key.decode()) or b""

    @query("PrivateRange")
    async def private_range(self, stub: ChaincodeStub, collection: bytes, start: bytes, end: bytes) -> bytes:
        return await _listed(stub.range(start.decode(), end.decode(), collection=collection.decode()))

    @transaction("Purge")
    async def purge(self, stub: ChaincodeStub, collection: bytes, key: bytes) -> bytes:
        await stub.purge_private(collection.decode(), key.decode())
        return b""

    # ---- endorsement policies of keys

    @transaction("SetPolicy")
    async def set_policy(self, stub: ChaincodeStub, key: bytes, policy: bytes) -> bytes:
        await stub.set_validation_parameter(key.decode(), policy)
        return b""

    @transaction("PutWithPolicy")
    async def put_with_policy(self, stub: ChaincodeStub, key: bytes, value: bytes, policy: bytes) -> bytes:
        await stub.put_state(key.decode(), value)
        await stub.set_validation_parameter(key.decode(), policy)
        return b""

    @query("GetPolicy")
    async def get_policy(self, stub: ChaincodeStub, key: bytes) -> bytes:
        return await stub.get_validation_parameter(key.decode()) or b""

    # ---- other chaincodes, events

    @transaction("Call")
    async def call(self, stub: ChaincodeStub, name: bytes, *words: bytes) -> bytes:
        return await stub.invoke_chaincode(name.decode(), *words)

    @query("Entry")
    async def entry(self, stub: ChaincodeStub) -> bytes:
        return stub.entry_chaincode.encode()

    @transaction("PutThenCall")
    async def put_then_call(self, stub: ChaincodeStub, key: bytes, policy: bytes, name: bytes, *words: bytes) -> bytes:
        """Call between a write and its policy: the shim sends the write before the call."""
        await stub.put_state(key.decode(), b"1")
        answer = await stub.invoke_chaincode(name.decode(), *words)
        await stub.set_validation_parameter(key.decode(), policy)
        return answer

    @transaction("Emit")
    async def emit(self, stub: ChaincodeStub, name: bytes, payload: bytes) -> bytes:
        stub.set_event("Overwritten", b"the last call wins")
        stub.set_event(name.decode(), payload)
        await stub.put_state(f"event/{stub.tx_id}", b"1")
        return b""

    # ---- failures

    @transaction("Reject")
    async def reject(self, stub: ChaincodeStub, message: bytes) -> bytes:
        await stub.put_state("rejected", b"1")
        stub.set_event("Rejected", b"")
        raise ChaincodeError(message.decode())

    @query("Raise")
    async def crash(self, stub: ChaincodeStub) -> bytes:
        raise KeyError("a secret of the patient", stub.transient)

    @query("WriteInQuery")
    async def write_in_query(self, stub: ChaincodeStub) -> bytes:
        await stub.put_state("written by a query", b"1")
        return b""

    @query("Sleep")
    async def sleep(self, stub: ChaincodeStub, seconds: bytes) -> bytes:
        await asyncio.sleep(float(seconds))
        return b"awake"

    @query("GiveUp")
    async def give_up(self, stub: ChaincodeStub, first: bytes, second: bytes) -> bytes:
        """Give up a request before it is answered, and make another."""
        reading = asyncio.create_task(stub.get_state(first.decode()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reading.cancel()
        return await stub.get_state(second.decode()) or b""

    @query("NotBytes")
    async def not_bytes(self, stub: ChaincodeStub) -> bytes:
        return "text"  # type: ignore[return-value]


class Callee(Probe):
    """The same contract as a chaincode of its own, for others to call."""

    name = "callee"
