"""Environments of their own for programs that need other versions than Consilium's, from hashed locks."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from consilium_bench.child import ChildError

_READY = ".ready"


def prepare(lock: Path, folder: Path, what: str) -> Path:
    """Install the hashed lock of `what` into a virtual environment, unless it is there; return its interpreter.

    Raises:
        ChildError: the lock can't be read or installed.
    """
    python, ready = folder / "bin" / "python", folder / _READY
    try:
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    except OSError as error:
        raise ChildError(f"can't read the lock of {what}, {lock}: {error.strerror}; run from the repository") from None
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"installing {what} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    _run(sys.executable, "-m", "uv", "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(lock))
    ready.write_text(wanted)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChildError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.strip()[-1000:]}")
