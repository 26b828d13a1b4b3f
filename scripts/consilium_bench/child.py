"""Runs each measurement in a process of its own: clean memory, and the same settings for both sides.

A child is a module of this package that is given one JSON object and the file that its answer, another one, goes to.
Its progress goes to standard error; standard output isn't kept, for some of the measured libraries write there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class ChildError(Exception):
    """A measurement failed; the message says which."""


def run(module: str, *, python: Path | str = sys.executable, timeout: float = 1800, **arguments: Any) -> dict[str, Any]:
    """Run `consilium_bench.<module>` and return its answer. Its progress is shown as it comes.

    Args:
        module: a module of this package.
        python: the interpreter of the environment it runs in.
        timeout: seconds.
        arguments: what it is given.

    Raises:
        ChildError: it ended with an error, or took longer than `timeout`.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as place:
        command = [str(python), "-m", f"consilium_bench.{module}", json.dumps(arguments), place.name]
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=timeout, env=environment())
        except subprocess.TimeoutExpired:
            raise ChildError(f"{module} isn't done after {timeout:.0f} s") from None
        if done.returncode != 0:
            raise ChildError(f"{module} ended with exit code {done.returncode}; it says why above")
        found: dict[str, Any] = json.loads(Path(place.name).read_text())
    return found


def environment() -> dict[str, str]:
    """Return the children's environment: numpy on one thread with the kernels it picks itself, this package found."""
    chosen = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    path = os.pathsep.join([str(ROOT), *filter(None, [chosen.get("PYTHONPATH")])])
    return {**chosen, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}


def arguments_of() -> dict[str, Any]:
    """Return what this child was given."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def say(text: str) -> None:
    """Show progress from within a child."""
    print(f"    {text}", file=sys.stderr, flush=True)


def answer(found: dict[str, Any]) -> None:
    """Give the child's answer."""
    Path(sys.argv[2]).write_text(json.dumps(found))
