"""The folder of a server: index of blocks, journal of transactions, and a lock that keeps a second server out."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from consilium_peers.ethereum.rpc.errors import StateError
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.pool_journal import PoolJournal


@dataclass(frozen=True)
class StateFolder:
    """What a server keeps on disk."""

    index: BlockIndex
    journal: PoolJournal


@contextmanager
def open_state(folder: Path | None) -> Iterator[StateFolder]:
    """Open a folder, made if it isn't there, as long as the block lasts; None stands for one that ends with it.

    Raises:
        StateError: it can't be used, or another server uses it.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="consilium-evm-")))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = stack.enter_context((folder / "lock").open("w"))
        except OSError as error:
            raise StateError(f"the folder {folder} can't be used: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(f"another server uses {folder}; name another folder with --state") from None
        index = stack.enter_context(closing(BlockIndex(folder / "blocks.sqlite")))
        journal = stack.enter_context(closing(PoolJournal(folder / "pool.sqlite")))
        yield StateFolder(index, journal)
