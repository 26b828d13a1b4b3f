"""How far a reader of events has got: the block and the last transaction of it that was handled."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from consilium_peers.errors import CheckpointError


@dataclass(frozen=True)
class Position:
    """A place in the stream of events: right behind transaction `tx_id` of block `block`."""

    block: int
    tx_id: str


class FileCheckpoint:
    """A position in a file, replaced as a whole and synced, so that a killed reader resumes without gap or repeat."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def position(self) -> Position | None:
        """Return the last recorded position, None before the first.

        Raises:
            CheckpointError: the file isn't a checkpoint.
        """
        if not self._path.exists():
            return None
        try:
            document = json.loads(self._path.read_text())
            return Position(int(document["block"]), str(document["tx_id"]))
        except (ValueError, KeyError, TypeError):
            raise CheckpointError(f"{self._path} isn't a checkpoint; remove it to read all events again") from None

    def record(self, block: int, tx_id: str) -> None:
        """Note durably that everything up to this transaction was handled."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        with aside.open("w") as file:
            json.dump({"block": block, "tx_id": tx_id}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
