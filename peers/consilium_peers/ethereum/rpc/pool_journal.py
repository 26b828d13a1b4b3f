"""The transactions that wait, on disk: what was accepted is sent, whatever is killed in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from consilium_peers.ethereum.rpc.errors import StateError

_SCHEMA = "CREATE TABLE IF NOT EXISTS pending (hash TEXT PRIMARY KEY, raw TEXT, accepted_at REAL)"


class Accepted(NamedTuple):
    """A signed transaction as it was accepted: its hash and bytes, and when (seconds since 1970)."""

    hash: str
    raw: str
    accepted_at: float


class PoolJournal:
    """Each change is synced to disk before it returns."""

    def __init__(self, path: Path) -> None:
        """Open the journal, or begin one.

        Raises:
            StateError: the file isn't one.
        """
        try:
            self._store = sqlite3.connect(path, isolation_level=None)
            self._store.execute("PRAGMA journal_mode = WAL")
            self._store.execute("PRAGMA synchronous = FULL")
            self._store.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise StateError(f"{path} isn't a journal of transactions ({error}); remove it to begin anew") from None

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def record(self, accepted: Accepted) -> None:
        """Keep a transaction."""
        self._store.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", accepted)

    def forget(self, hashes: Iterable[str]) -> None:
        """Forget transactions that are committed, or that can't be any more."""
        listed = [(each,) for each in hashes]
        if listed:
            self._store.execute("BEGIN")
            self._store.executemany("DELETE FROM pending WHERE hash = ?", listed)
            self._store.execute("COMMIT")

    def accepted(self) -> list[Accepted]:
        """Return what is kept, in the order in which it came."""
        rows = self._store.execute("SELECT hash, raw, accepted_at FROM pending ORDER BY rowid")
        return [Accepted(*row) for row in rows]
