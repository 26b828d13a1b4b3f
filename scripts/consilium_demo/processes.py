"""Runs `consilium` commands for the demo: each step is one that a user types, shown as it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

STOP_SECONDS = 20


class StepError(Exception):
    """A command of the demo failed; the message names it and where its output is."""


def command(words: Sequence[str | Path]) -> list[str]:
    """Return the argument vector of `consilium WORDS` under the running interpreter."""
    return [sys.executable, "-m", "consilium_command", *map(str, words)]


def run(*words: str | Path, timeout: float = 300) -> str:
    """Run `consilium WORDS` to its end and return what it printed.

    Raises:
        StepError: it exited with another code than 0, or took longer than `timeout` seconds.
    """
    shown = " ".join(map(str, words))
    try:
        done = subprocess.run(command(words), capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise StepError(f"consilium {shown}: not done after {timeout:.0f} s") from None
    if done.returncode != 0:
        raise StepError(f"consilium {shown}: exit code {done.returncode}\n{(done.stderr or done.stdout).strip()}")
    return done.stdout


def run_each(commands: Sequence[Sequence[str | Path]]) -> list[str]:
    """Run several commands, two at a time, and return what each printed, in order."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda words: run(*words), commands))


def run_json(*words: str | Path, timeout: float = 60) -> Any:
    """Run a command with `--json` and return the decoded document."""
    return json.loads(run(*words, "--json", timeout=timeout))


def run_shown(*words: str | Path) -> None:
    """Run a command whose own progress the user sees.

    Raises:
        StepError: it failed.
    """
    code = subprocess.run(command(words), check=False).returncode
    if code != 0:
        raise StepError(f"consilium {' '.join(map(str, words))}: exit code {code}")


class Background:
    """Long-running `consilium` commands, each with a log of its own; all of them end with the `with` block."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *words: str | Path) -> None:
        """Start one command; its output goes to `<logs>/<name>.log`."""
        with (self._logs / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command(words), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def pid(self, name: str) -> int:
        """Return a started command's process id."""
        return self._processes[name].pid

    def check(self) -> None:
        """Raise `StepError` when a command ended with an error."""
        for name, process in self._processes.items():
            if process.poll() not in (None, 0):
                raise StepError(f"{name} ended with exit code {process.returncode}; see {self._logs / name}.log")

    def running(self, name: str) -> bool:
        """Tell whether a started command is still running."""
        return self._processes[name].poll() is None

    def wait(self, name: str, timeout: float) -> None:
        """Wait until a command has ended well."""
        try:
            self._processes[name].wait(timeout)
        except subprocess.TimeoutExpired:
            raise StepError(f"{name} is still running after {timeout:.0f} s; see {self._logs / name}.log") from None
        self.check()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
