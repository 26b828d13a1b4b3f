"""Checkpoints: whole or absent whatever is killed when, and never misread."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consilium_peers.checkpoint import FileCheckpoint, Position
from consilium_peers.durable import write_durably
from consilium_peers.errors import CheckpointError

WRITER = """
import sys
from pathlib import Path
from consilium_peers.checkpoint import FileCheckpoint
checkpoint = FileCheckpoint(Path(sys.argv[1]))
for block in range(10**9):
    checkpoint.record(block, "%064x" % block)
    print(block, flush=True)
"""


def test_a_position_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "new" / "folder" / "checkpoint")
    assert checkpoint.position() is None
    checkpoint.record(7, "ab")
    checkpoint.record(8, "cd")
    assert FileCheckpoint(tmp_path / "new" / "folder" / "checkpoint").position() == Position(8, "cd")
    assert [each.name for each in (tmp_path / "new" / "folder").iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe"),
        *(b'{"block": 1}', b'{"block": "x", "tx_id": ""}', b'{"block": -1, "tx_id": ""}'),
        *(b'{"block": 1.5, "tx_id": ""}', b'{"block": 1, "tx_id": 2}'),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="remove it to read all events again"):
        FileCheckpoint(path).position()


def test_a_killed_writer_leaves_the_last_position_that_it_confirmed_or_the_next(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for _ in range(3):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        writer.wait(5)
        position = FileCheckpoint(path).position()
        assert position is not None
        assert position.tx_id == f"{position.block:064x}"
        if confirmed:
            assert position.block in (int(confirmed[-1]), int(confirmed[-1]) + 1)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = FileCheckpoint(tmp_path / "checkpoint")
    checkpoint.record(1, "a")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with contextlib.suppress(OSError):
        checkpoint.record(2, "b")
    assert checkpoint.position() == Position(1, "a")
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


def test_durable_files_are_their_owners_alone(tmp_path: Path) -> None:
    write_durably(tmp_path / "secret", b"content")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
