"""The transactions that were accepted and aren't in a block yet, by sender and nonce."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from consilium_peers.ethereum.rpc.errors import RpcError, UnavailableError
from consilium_proto.ethereum.scalars import from_quantity
from consilium_proto.ethereum.transactions import AccessEntry, Inspection

MOST_WAITING = 4_096
MOST_PER_SENDER = 64
"""How far a nonce may be ahead of its sender's next one."""

Listener = Callable[["Waiting"], None]


@dataclass(slots=True)
class Waiting:
    """A transaction in the pool.

    Attributes:
        hash, sender, nonce, raw: what it is.
        accepted_at: seconds since 1970.
        sequence: the how manieth this pool took.
        prefetch: what it would read, as far as it is known.
    """

    hash: str
    sender: str
    nonce: int
    raw: str
    accepted_at: float
    sequence: int
    prefetch: tuple[AccessEntry, ...] = field(repr=False)


class Pool:
    """Says no in the words that ethers and web3.py look for. `on_added` are told of every transaction that comes."""

    def __init__(self) -> None:
        self._by_hash: dict[str, Waiting] = {}
        self._by_sender: dict[str, dict[int, Waiting]] = {}
        self._next_nonces: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self.on_added: list[Listener] = []

    def __len__(self) -> int:
        return len(self._by_hash)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(list(self._by_hash.values()))

    def get(self, transaction_hash: str) -> Waiting | None:
        """Return a transaction by its hash."""
        return self._by_hash.get(transaction_hash)

    def with_nonce(self, sender: str, nonce: int) -> Waiting | None:
        """Return a sender's transaction with a nonce."""
        return self._by_sender.get(sender, {}).get(nonce)

    def first_of(self, sender: str) -> Waiting | None:
        """Return a sender's transaction with the lowest nonce."""
        waiting = self._by_sender.get(sender)
        return waiting[min(waiting)] if waiting else None

    def note_next(self, sender: str, nonce: int) -> None:
        """Note a sender's next nonce, as the ledger has it; it never goes back."""
        if sender in self._by_sender:
            self._next_nonces[sender] = max(nonce, self._next_nonces.get(sender, 0))

    def is_due(self, waiting: Waiting) -> bool:
        """Tell whether nothing stands before a transaction."""
        return waiting.nonce <= self._next_nonces[waiting.sender]

    def next_nonce(self, sender: str, committed: int) -> int:
        """Return the nonce behind all that waits without a gap; `committed` is the ledger's next one."""
        waiting = self._by_sender.get(sender, {})
        while committed in waiting:
            committed += 1
        return committed

    def check(self, inspection: Inspection) -> None:
        """Refuse a transaction that can't wait here.

        Raises:
            RpcError: it is known, its nonce is used, taken or too far ahead, or the pool is full.
        """
        nonce, next_nonce = from_quantity(inspection.nonce), from_quantity(inspection.next_nonce)
        if inspection.hash in self._by_hash:
            raise RpcError("already known")
        if nonce < next_nonce:
            raise RpcError(f"nonce too low: next nonce {next_nonce}, tx nonce {nonce}")
        if nonce in self._by_sender.get(inspection.sender, {}):
            raise RpcError(
                "replacement transaction underpriced: another transaction with this nonce waits, and without prices "
                "none is worth more than another; use the next nonce"
            )
        if nonce >= next_nonce + MOST_PER_SENDER:
            raise RpcError(
                f"nonce too high: next nonce {next_nonce}, tx nonce {nonce}; at most {MOST_PER_SENDER} may wait"
            )
        if len(self._by_hash) >= MOST_WAITING:
            raise UnavailableError(f"txpool is full: {MOST_WAITING} transactions wait; try again later")

    def add(self, inspection: Inspection, raw: str, accepted_at: float) -> Waiting:
        """Take a transaction that `check` lets pass."""
        self.check(inspection)
        waiting = Waiting(
            hash=inspection.hash,
            sender=inspection.sender,
            nonce=from_quantity(inspection.nonce),
            raw=raw,
            accepted_at=accepted_at,
            sequence=next(self._numbers),
            prefetch=inspection.prefetch,
        )
        self._by_hash[waiting.hash] = waiting
        self._by_sender.setdefault(waiting.sender, {})[waiting.nonce] = waiting
        self.note_next(waiting.sender, from_quantity(inspection.next_nonce))
        for listener in list(self.on_added):
            listener(waiting)
        return waiting

    def remove(self, transaction_hash: str) -> Waiting | None:
        """Take a transaction out; return it if it was here."""
        waiting = self._by_hash.pop(transaction_hash, None)
        if waiting is not None:
            of_sender = self._by_sender[waiting.sender]
            del of_sender[waiting.nonce]
            if not of_sender:
                del self._by_sender[waiting.sender]
                del self._next_nonces[waiting.sender]
        return waiting
