"""What a transaction read and wrote, per chaincode (namespace): public keys, and hashes of private ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

from consilium_trail.blocks.wire import parse
from consilium_trail.errors import MalformedTransactionError

_HASH_OF_NOTHING = hashlib.sha256().digest()


class Version(NamedTuple):
    """Which transaction wrote a value last: block number and position in it."""

    block: int
    transaction: int


class Read(NamedTuple):
    """A key that was read, and its version; None when it had no value."""

    key: str
    version: Version | None


class Write(NamedTuple):
    """A key and its new value; None deletes it, as an empty value does (Fabric's FAB-18386)."""

    key: str
    value: bytes | None


class MetadataWrite(NamedTuple):
    """A key and all its new metadata; an endorsement policy of its own stands under VALIDATION_PARAMETER."""

    key: str
    entries: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class RangeRead:
    """A range that was read: from `start` (included) to `end` (excluded; empty: no bound).

    Attributes:
        exhausted: whether the range was read to its end; otherwise the last key found is its end, included.
        found: the keys and versions that were found; None when the endorser wrote only a Merkle summary of them.
    """

    start: str
    end: str
    exhausted: bool
    found: tuple[Read, ...] | None


class HashedWrite(NamedTuple):
    """A private key's and value's hashes (SHA-256); None deletes it."""

    key_hash: bytes
    value_hash: bytes | None


@dataclass(frozen=True, slots=True)
class CollectionSet:
    """What a transaction read and wrote in a private collection: hashes only; the data isn't in the blocks.

    Reads and metadata writes have hex of the key's hash as their key.
    """

    name: str
    reads: tuple[Read, ...]
    writes: tuple[HashedWrite, ...]
    metadata_writes: tuple[MetadataWrite, ...]

    @property
    def changes(self) -> bool:
        """True when anything is written."""
        return bool(self.writes or self.metadata_writes)


@dataclass(frozen=True, slots=True)
class NamespaceSet:
    """What a transaction read and wrote in one chaincode's state."""

    namespace: str
    reads: tuple[Read, ...] = ()
    ranges: tuple[RangeRead, ...] = ()
    writes: tuple[Write, ...] = ()
    metadata_writes: tuple[MetadataWrite, ...] = ()
    collections: tuple[CollectionSet, ...] = field(default=())

    @property
    def changes(self) -> bool:
        """True when anything is written."""
        private = any(each.changes for each in self.collections)
        return bool(self.writes or self.metadata_writes or private)


def decode_read_write_set(raw: bytes) -> tuple[NamespaceSet, ...]:
    """Decode a serialized `rwset.TxReadWriteSet`.

    Raises:
        MalformedBlockError: it isn't one.
        MalformedTransactionError: it holds a namespace or a collection twice.
    """
    message = parse(rwset_pb2.TxReadWriteSet, raw, "the read and write set")
    found = tuple(_namespace(each) for each in message.ns_rwset)
    _refuse_twice((each.namespace for each in found), "namespace")
    return found


def _namespace(message: Any) -> NamespaceSet:
    name = str(message.namespace)
    public = parse(kv_rwset_pb2.KVRWSet, message.rwset, f"the set of namespace {name}")
    collections = tuple(_collection(name, each) for each in message.collection_hashed_rwset)
    _refuse_twice((each.name for each in collections), f"collection of {name}")
    return NamespaceSet(
        namespace=name,
        reads=tuple(Read(str(each.key), _version(each)) for each in public.reads),
        ranges=tuple(_range(each) for each in public.range_queries_info),
        writes=tuple(_write(each) for each in public.writes),
        metadata_writes=tuple(MetadataWrite(str(each.key), _entries(each)) for each in public.metadata_writes),
        collections=collections,
    )


def _collection(namespace: str, message: Any) -> CollectionSet:
    name = str(message.collection_name)
    hashed = parse(kv_rwset_pb2.HashedRWSet, message.hashed_rwset, f"the set of collection {namespace}/{name}")
    return CollectionSet(
        name=name,
        reads=tuple(Read(bytes(each.key_hash).hex(), _version(each)) for each in hashed.hashed_reads),
        writes=tuple(HashedWrite(bytes(each.key_hash), _hash_or_none(each)) for each in hashed.hashed_writes),
        metadata_writes=tuple(
            MetadataWrite(bytes(each.key_hash).hex(), _entries(each)) for each in hashed.metadata_writes
        ),
    )


def _write(message: Any) -> Write:
    return Write(str(message.key), None if message.is_delete else bytes(message.value) or None)


def _hash_or_none(message: Any) -> bytes | None:
    """Return a private value's hash; None for a deletion, which an empty value is too (Fabric's FAB-18386)."""
    found = bytes(message.value_hash)
    return None if message.is_delete or found in (b"", _HASH_OF_NOTHING) else found


def _range(message: Any) -> RangeRead:
    kind = message.WhichOneof("reads_info")
    if kind == "reads_merkle_hashes":
        found = None
    else:
        found = tuple(Read(str(each.key), _version(each)) for each in message.raw_reads.kv_reads)
    return RangeRead(str(message.start_key), str(message.end_key), bool(message.itr_exhausted), found)


def _version(message: Any) -> Version | None:
    if not message.HasField("version"):
        return None
    return Version(int(message.version.block_num), int(message.version.tx_num))


def _entries(message: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((str(entry.name), bytes(entry.value)) for entry in message.entries)


def _refuse_twice(names: Iterator[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MalformedTransactionError("ILLEGAL_WRITESET", f"the {what} {name} is in the read and write set twice")
        seen.add(name)
