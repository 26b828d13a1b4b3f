"""Both sides execute a case, and what they say is compared."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from consilium_bench import locked_environment
from consilium_bench.child import ChildError
from consilium_bench.evm_oracle.cases import Case, dump_state
from consilium_chaincode.evm.errors import InvalidTransaction
from consilium_chaincode.evm.execution import execute_raw

_PROGRAM = Path(__file__).parent / "specification_program.py"
_AT_ONCE = 8
"""Cases that are under way to the specification: it works while this side does."""
_DEADLINE_SECONDS = 600
_ENDED = "the executable specification's process ended; what it wrote stands above"


class Specification:
    """The executable specification, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        # Reads all the time, so that neither side ever waits for the other with a full pipe.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    @contextmanager
    def started(cls, command: Sequence[str]) -> Iterator[Specification]:
        """Run a program that answers cases until the block ends; then it is ended."""
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            running = cls(process)
            try:
                yield running
            finally:
                running._end()

    def begin(self, case: Case) -> None:
        """Hand a case over; answers come in the same order.

        Raises:
            ChildError: the process ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(case.document()) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildError(_ENDED) from None

    def answer(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            ChildError: the process ended, or takes longer than any case can.
        """
        try:
            line = self._answers.get(timeout=_DEADLINE_SECONDS)
        except queue.Empty:
            raise ChildError(f"the executable specification gave no answer in {_DEADLINE_SECONDS} s") from None
        if not line:
            raise ChildError(_ENDED)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> None:
        self._process.kill()
        # The pipe ends with the process; closing it before the reader has seen that would be an error in its thread.
        self._reader.join()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # a case that nobody reads any more
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")


@contextmanager
def specification(lock: Path, folder: Path) -> Iterator[Specification]:
    """Run the specification from its lock in an environment in `folder`, until the block ends.

    Raises:
        ChildError: it can't be installed.
    """
    python = locked_environment.prepare(lock, folder, "Ethereum's executable specification (about 40 MB)")
    with Specification.started([str(python), str(_PROGRAM)]) as running:
        yield running


def own_answer(case: Case) -> dict[str, Any]:
    """Return what our EVM says of a case, in the specification's words."""
    try:
        result = execute_raw(case.state, case.environment, case.raw)
    except InvalidTransaction as error:
        return {"invalid": type(error).__name__}
    return {
        "status": result.status,
        "error": type(result.error).__name__ if result.error else "",
        "gas_used": result.gas_used,
        "output": result.output.hex(),
        "logs": [[log.address.hex(), [topic.hex() for topic in log.topics], log.data.hex()] for log in result.logs],
        "state": dump_state(result.state),
    }


def differences(own: dict[str, Any], specified: dict[str, Any]) -> list[str]:
    """Return in what two answers differ: status, gas, output, logs, state; or whether the transaction is valid at all.

    Errors' names aren't compared: they are this project's.
    """
    if "invalid" in own or "invalid" in specified:
        return [] if ("invalid" in own) == ("invalid" in specified) else ["validity"]
    return [name for name in ("status", "gas_used", "output", "logs", "state") if own[name] != specified[name]]


def compare(specification: Specification, cases: Sequence[Case]) -> Iterator[tuple[Case, dict[str, Any], list[str]]]:
    """Yield each case with our answer and in what the specification's differs."""
    for case in cases[:_AT_ONCE]:
        specification.begin(case)
    for place, case in enumerate(cases):
        own = own_answer(case)
        specified = specification.answer()
        if place + _AT_ONCE < len(cases):
            specification.begin(cases[place + _AT_ONCE])
        yield case, own, differences(own, specified)
