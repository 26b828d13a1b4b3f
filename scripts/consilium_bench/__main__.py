"""`make bench`: what encryption, verification, the ledger and the EVM cost, against their targets and others' ways."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from consilium_bench import ledger_round, locked_environment, report, reward_credit, rows, shapes
from consilium_bench.child import ChildError, run
from consilium_bench.cipher_paths import PATHS
from consilium_network.errors import NetworkError
from consilium_peers.errors import PeersError

REPOSITORY = Path(__file__).resolve().parents[2]
CLIENTS = 10
MEMORY_CLIENTS = (3, 10, 100)
BITS = (8, 20)
# Runs of each EVM, in turn, and transactions of each kind in a run.
EVM_RUNS, EVM_COUNT = 5, 2000
EXAMPLES = """examples:
  python -m consilium_bench --small                  every measurement on few parameters, in seconds
  python -m consilium_bench --with-nvflare           beside NVIDIA FLARE, in an environment that is made for it
  python -m consilium_bench --with-py-evm            the EVM too, beside py-evm in an environment that is made for it
  python -m consilium_bench --bits 8 --strict        8 bits alone; exit code 1 when a target is missed
"""


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m consilium_bench",
        description=str(__doc__).splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--small", action="store_true", help="about 150,000 parameters instead of 11.2 million")
    parser.add_argument("--bits", type=_bits, default=BITS, help="sizes of a quantised value (default: 8,20)")
    parser.add_argument("--with-nvflare", action="store_true", help="measure NVIDIA FLARE on the same arrays")
    parser.add_argument("--with-py-evm", action="store_true", help="measure the EVM and py-evm on the same token")
    parser.add_argument("--with-ledger", action="store_true", help="bring up a network, measure a round and a reward")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a target is missed")
    parser.add_argument("--nvflare-lock", type=Path, default=REPOSITORY / "requirements" / "nvflare.txt")
    parser.add_argument("--nvflare-environment", type=Path, default=REPOSITORY / "build" / "nvflare")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of the figures")
    return parser.parse_args(words)


class Bench:
    """One run: the measurements in order, and the rows that come out of them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._size = "small" if arguments.small else "full"
        self._parameters = shapes.parameters(shapes.layers_of(self._size))
        self._started = time.monotonic()
        self.answers: dict[str, Any] = {}
        self.rows: list[rows.Row] = []

    @property
    def settings(self) -> dict[str, Any]:
        """How the run was called."""
        return {"parameters": self._parameters, "clients": CLIENTS, "bits": list(self._arguments.bits)}

    def run(self) -> None:
        """Measure everything.

        Raises:
            ChildError: a measurement failed.
        """
        kinds = [(bits, path) for bits in self._arguments.bits for path in PATHS]
        nvflare = self._nvflare() if self._arguments.with_nvflare else None
        for bits, path in kinds:
            self._play(bits, path, nvflare)
        for bits in self._arguments.bits:
            self._verification(bits)
        self._memory()
        found = self._ask("dispute", repetitions=5 if self._arguments.small else 50)
        self.rows += rows.dispute_rows(found)
        self.rows.append(rows.trail_row(self._ask("trail", repetitions=3 if self._arguments.small else 20)))
        if self._arguments.with_py_evm:
            self._evm()
        if self._arguments.with_ledger:
            self._ledger()

    def _nvflare(self) -> dict[str, Any]:
        python = locked_environment.prepare(
            self._arguments.nvflare_lock, self._arguments.nvflare_environment, "NVIDIA FLARE (about 200 MB)"
        )
        found = self._ask("nvflare_side", python=python, clients=CLIENTS)
        self.rows += rows.upload_rows(found, self._parameters, "NVIDIA FLARE", None)
        return found

    def _play(self, bits: int, path: str, nvflare: dict[str, Any] | None) -> None:
        found = self._ask("our_side", clients=CLIENTS, bits=bits, path=path)
        if nvflare is not None:
            if found["digests"] != nvflare["digests"]:
                raise ChildError("the two sides drew different updates")
            self.rows += rows.speed_rows(found, nvflare, CLIENTS)
        if path == PATHS[0]:
            self.rows += rows.upload_rows(found, self._parameters, f"{bits} bits", rows.UPLOAD.get(bits))

    def _verification(self, bits: int) -> None:
        # Beside the fastest encryption, the strictest measure.
        found = self._ask("verification", clients=CLIENTS, bits=bits, path=PATHS[-1])
        self.rows += rows.verification_rows(found, CLIENTS)

    def _memory(self) -> None:
        positions = 32 if self._arguments.small else 256
        found = [self._ask("aggregator_memory", clients=count, positions=positions) for count in MEMORY_CLIENTS]
        self.rows += rows.memory_rows(found)

    def _evm(self) -> None:
        lock, folder = REPOSITORY / "requirements" / "py-evm.txt", REPOSITORY / "build" / "py-evm"
        python = locked_environment.prepare(lock, folder, "py-evm (about 60 MB)")
        runs, count = (1, 100) if self._arguments.small else (EVM_RUNS, EVM_COUNT)
        ours, theirs = [], []
        for number in range(1, runs + 1):
            ours.append(self._ask("evm_rate.our_side", count=count, run=number))
            theirs.append(self._ask("evm_rate.py_evm_side", python=python, count=count, run=number))
        if len({(each["gas"], each["outcomes"]) for each in [*ours, *theirs]}) > 1:
            raise ChildError("the two EVMs differ in gas, status or output; see the measurements in result.json")
        self.rows += rows.evm_rows(ours, theirs)

    def _ledger(self) -> None:
        self._say("ledger_round: a network of four hospitals")
        try:
            found, reward = asyncio.run(self._on_a_network())
        except (NetworkError, PeersError, RuntimeError, TimeoutError) as error:
            raise ChildError(f"ledger_round: {error or 'a write was refused for too long'}") from error
        ledger_round.write(self._arguments.out / "ledger.json", found)
        self.answers["ledger_round"] = found
        self.answers["reward_credit"] = reward
        self.rows += [rows.ledger_row(found), *rows.reward_rows(reward)]

    async def _on_a_network(self) -> tuple[dict[str, Any], dict[str, Any]]:
        async with ledger_round.network_of_four(self._arguments.out / "network", self._say) as network:
            return await ledger_round.measure(network, self._say), await reward_credit.measure(network, self._say)

    def _ask(self, module: str, *, python: Path | str = sys.executable, **given: Any) -> dict[str, Any]:
        shown = ", ".join(f"{name} {value}" for name, value in given.items())
        self._say(f"{module}: {shown}")
        found = {**given, **run(module, python=python, size=self._size, **given)}
        self.answers[f"{module}: {shown}"] = found
        return found

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s  {text}", flush=True)


def main(words: list[str] | None = None) -> int:
    """Run the benchmark; exit code 1 when a measurement failed, or a target is missed under --strict."""
    arguments = parse(words)
    bench, failure = Bench(arguments), None
    try:
        bench.run()
    except ChildError as error:
        failure = error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if bench.rows:
        _show(bench, arguments)
    if failure is not None:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return 1 if report.missed(bench.rows) and arguments.strict else 0


def _show(bench: Bench, arguments: argparse.Namespace) -> None:
    """Write the figures, those before a failure too, and print them."""
    report.write(arguments.out, bench.rows, bench.settings, bench.answers)
    print("\n" + report.as_text(bench.rows) + "\n")
    if not arguments.with_nvflare:
        print("without NVIDIA FLARE; --with-nvflare measures it too")
    if not arguments.with_py_evm:
        print("without the EVM and py-evm; --with-py-evm measures them too")
    short = report.missed(bench.rows)
    print(f"{len(short)} targets missed" if short else "all targets are met")
    print(f"figures: {arguments.out / 'result.json'}, plot: {arguments.out / 'result.png'}")


def _bits(text: str) -> tuple[int, ...]:
    try:
        chosen = tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a list of numbers such as 8,20") from None
    if unknown := set(chosen) - set(BITS):
        raise argparse.ArgumentTypeError(f"{min(unknown)} bits aren't measured; {BITS} are")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
