"""Files that are whole or absent, whatever is killed when: written aside, then renamed."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `content` to `path` so that after this call it survives a power cut, and before it the old file stands."""
    _write(path, content, mode, synced=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write `content` so that a reader sees the old file or the new one; a power cut may lose it."""
    _write(path, content, mode, synced=False)


def _write(path: Path, content: bytes, mode: int, *, synced: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
