"""How far a reader of events has got: the block and the last transaction of it that was handled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from consilium_peers.durable import write_durably
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
        try:
            document = json.loads(self._path.read_text())
            block, tx_id = document["block"], document["tx_id"]
            if not isinstance(block, int) or block < 0 or not isinstance(tx_id, str):
                raise ValueError
            return Position(block, tx_id)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise CheckpointError(f"{self._path} isn't a checkpoint; remove it to read all events again") from None

    def record(self, block: int, tx_id: str) -> None:
        """Note durably that everything up to this transaction was handled."""
        write_durably(self._path, json.dumps({"block": block, "tx_id": tx_id}).encode())
