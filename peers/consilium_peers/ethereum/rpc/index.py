"""The index of the channel's blocks, in one SQLite file: whatever the server's methods look up.

It holds nothing that the blocks don't, so a power cut may cost it its newest blocks: they are read again. A block goes
in with all that belongs to it, or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from consilium_peers.ethereum.rpc.block_contents import BlockContents
from consilium_peers.ethereum.rpc.errors import LimitError, StateError
from consilium_peers.ethereum.rpc.log_criteria import LogCriteria
from consilium_peers.ethereum.rpc.stored import StoredBlock, StoredLog, StoredTransaction
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.scalars import from_data, from_quantity
from consilium_proto.ethereum.transactions import LogRecord, ReceiptRecord

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (
    number INTEGER PRIMARY KEY, hash BLOB UNIQUE, parent_hash BLOB, data_hash BLOB, size INTEGER, timestamp INTEGER,
    gas_limit INTEGER, gas_used INTEGER, bloom BLOB, transactions INTEGER);
CREATE TABLE IF NOT EXISTS transactions (
    hash TEXT PRIMARY KEY, block INTEGER, position INTEGER, first_log INTEGER, cumulative_gas INTEGER, record BLOB,
    UNIQUE (block, position));
CREATE TABLE IF NOT EXISTS logs (
    block INTEGER, number INTEGER, tx TEXT, position INTEGER, address TEXT,
    topic0 TEXT, topic1 TEXT, topic2 TEXT, topic3 TEXT, data TEXT, PRIMARY KEY (block, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS logs_by_address ON logs (address, block);
CREATE INDEX IF NOT EXISTS logs_by_topic ON logs (topic0, block);
"""
_BLOCK = (
    "SELECT number, hash, parent_hash, data_hash, size, timestamp, gas_limit, gas_used, bloom, transactions FROM blocks"
)
_TRANSACTION = (
    "SELECT t.record, t.block, b.hash, t.position, t.first_log, t.cumulative_gas"
    " FROM transactions t JOIN blocks b ON b.number = t.block"
)
_LOG = (
    "SELECT l.address, l.topic0, l.topic1, l.topic2, l.topic3, l.data, l.number, l.block, b.hash, b.timestamp, l.tx,"
    " l.position FROM logs l JOIN blocks b ON b.number = l.block"
)


class BlockIndex:
    """Takes blocks in their order. `head` is the newest one, None before the first."""

    def __init__(self, path: Path) -> None:
        """Open the index, or begin one.

        Raises:
            StateError: the file isn't an index.
        """
        self.path = path
        try:
            self._store = sqlite3.connect(path, isolation_level=None)
            self._store.execute("PRAGMA journal_mode = WAL")
            self._store.execute("PRAGMA synchronous = NORMAL")
            (found,) = self._store.execute("PRAGMA user_version").fetchone()
            if found not in (0, _FORMAT):
                raise StateError(f"{path} has format {found}, this server writes {_FORMAT}; remove it to begin anew")
            self._store.executescript(_SCHEMA)
            self._store.execute(f"PRAGMA user_version = {_FORMAT}")
        except sqlite3.DatabaseError as error:
            raise StateError(f"{path} isn't an index of blocks ({error}); remove it to begin anew") from None
        self.head = self._one_block(f"{_BLOCK} ORDER BY number DESC LIMIT 1", ())
        (self._newest_change,) = self._store.execute("SELECT coalesce(max(block), 0) FROM transactions").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    @property
    def height(self) -> int:
        """How many blocks there are: the next one's number."""
        return 0 if self.head is None else self.head.number + 1

    @property
    def newest_change(self) -> int:
        """The newest block that changed the EVM's state: what it was right after that block, it still is."""
        return int(self._newest_change)

    def add(self, blocks: Iterable[BlockContents]) -> None:
        """Take the next blocks.

        Raises:
            StateError: one doesn't follow the block before it: the index is another channel's.
        """
        before = (self.head, self._newest_change)
        self._store.execute("BEGIN")
        try:
            for block in blocks:
                self._add(block)
        except BaseException:
            self._store.execute("ROLLBACK")
            self.head, self._newest_change = before
            raise
        self._store.execute("COMMIT")

    def block(self, number: int) -> StoredBlock | None:
        """Return a block by its number."""
        return self._one_block(f"{_BLOCK} WHERE number = ?", (number,))

    def block_by_hash(self, block_hash: str) -> StoredBlock | None:
        """Return a block by its hash."""
        return self._one_block(f"{_BLOCK} WHERE hash = ?", (from_data(block_hash),))

    def blocks(self, first: int, last: int) -> list[StoredBlock]:
        """Return the blocks of a range, both ends included."""
        rows = self._store.execute(f"{_BLOCK} WHERE number BETWEEN ? AND ? ORDER BY number", (first, last))
        return [StoredBlock(*row) for row in rows]

    def transaction(self, transaction_hash: str) -> StoredTransaction | None:
        """Return a transaction by its hash."""
        return self._one_transaction(f"{_TRANSACTION} WHERE t.hash = ?", (transaction_hash,))

    def transaction_at(self, block: int, position: int) -> StoredTransaction | None:
        """Return a transaction by its place."""
        return self._one_transaction(f"{_TRANSACTION} WHERE t.block = ? AND t.position = ?", (block, position))

    def transactions(self, block: int) -> list[StoredTransaction]:
        """Return a block's transactions."""
        rows = self._store.execute(f"{_TRANSACTION} WHERE t.block = ? ORDER BY t.position", (block,))
        return [_transaction(row) for row in rows]

    def logs(self, first: int, last: int, criteria: LogCriteria, most: int | None = None) -> list[StoredLog]:
        """Return the logs of a range of blocks, both ends included, in their order.

        Raises:
            LimitError: more than `most`, in more than one block.
        """
        conditions: list[str] = ["l.block BETWEEN ? AND ?"]
        bound: list[object] = [first, last]
        wanted = [("address", criteria.addresses)]
        wanted += [(f"topic{place}", topics) for place, topics in enumerate(criteria.topics)]
        for column, alternatives in wanted:
            if alternatives:
                conditions.append(f"l.{column} IN ({', '.join('?' * len(alternatives))})")
                bound += alternatives
            elif column != "address":
                conditions.append(f"l.{column} IS NOT NULL")
        limit = -1 if most is None or first == last else most + 1
        # The columns' names are from above; whatever was sent is bound.
        question = f"{_LOG} WHERE {' AND '.join(conditions)} ORDER BY l.block, l.number LIMIT {limit}"
        found = [_log(row) for row in self._store.execute(question, bound)]
        if 0 < limit <= len(found):
            raise LimitError(
                f"query returned more than {most} results; ask for fewer blocks at once, such as {first} to "
                f"{max(first, found[-1].block - 1)}, or for fewer addresses and topics"
            )
        return found

    def _add(self, block: BlockContents) -> None:
        head = self.head
        if block.number != self.height or (head is not None and block.parent_hash != head.hash):
            raise StateError(
                f"{self.path} is of another ledger: block {block.number} of the channel doesn't follow its block "
                f"{self.height - 1}; remove the folder, or name another one with --state"
            )
        gas = logs = bloom = 0
        for position, record in enumerate(block.receipts):
            gas += from_quantity(record.gas_used)
            bloom |= from_quantity(record.bloom)
            self._add_transaction(block.number, position, logs, gas, record)
            logs += len(record.logs)
        limit = block.gas_cap if block.gas_cap is not None else (0 if head is None else head.gas_limit)
        stored = StoredBlock(
            number=block.number,
            hash=block.hash,
            parent_hash=block.parent_hash,
            data_hash=block.data_hash,
            size=block.size,
            timestamp=max(block.timestamp or 0, 0 if head is None else head.timestamp),
            gas_limit=limit,
            gas_used=gas,
            bloom=bloom.to_bytes(256, "big"),
            transactions=len(block.receipts),
        )
        row = tuple(getattr(stored, name) for name in StoredBlock.__slots__)
        self._store.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.head = stored
        if block.receipts:
            self._newest_change = block.number

    def _add_transaction(self, block: int, position: int, first_log: int, gas: int, record: ReceiptRecord) -> None:
        values = (record.hash, block, position, first_log, gas, encode(record))
        self._store.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)", values)
        self._store.executemany(
            "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (block, number, record.hash, position, log.address, *_padded(log.topics), log.data)
                for number, log in enumerate(record.logs, first_log)
            ],
        )

    def _one_block(self, question: str, bound: tuple[object, ...]) -> StoredBlock | None:
        row = self._store.execute(question, bound).fetchone()
        return None if row is None else StoredBlock(*row)

    def _one_transaction(self, question: str, bound: tuple[object, ...]) -> StoredTransaction | None:
        row = self._store.execute(question, bound).fetchone()
        return None if row is None else _transaction(row)


def _transaction(row: tuple[bytes, int, bytes, int, int, int]) -> StoredTransaction:
    return StoredTransaction(decode(ReceiptRecord, row[0]), *row[1:])


def _log(row: tuple[object, ...]) -> StoredLog:
    address, *topics = row[:5]
    log = LogRecord(
        address=address,  # type: ignore[arg-type]
        topics=tuple(str(topic) for topic in topics if topic is not None),
        data=row[5],  # type: ignore[arg-type]
    )
    return StoredLog(log, *row[6:])  # type: ignore[arg-type]


def _padded(topics: tuple[str, ...]) -> tuple[str | None, ...]:
    return (*topics, *(None for _ in range(4 - len(topics))))
