"""`make evm-oracle`: many random programs on the EVM and on Ethereum's executable specification."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from consilium_bench import locked_environment
from consilium_bench.child import ChildError
from consilium_bench.evm_oracle.cases import make_case
from consilium_bench.evm_oracle.comparison import compare, specification

_LOCK = Path("requirements/ethereum-execution.txt")
_FOLDER = Path("build/ethereum-execution")
_BATCH = 250
_BATCHES_A_LINE = 20


def main() -> int:
    """Compare, print what was compared, write down each case that differs; return 1 if one does."""
    parser = argparse.ArgumentParser(prog="consilium_bench.evm_oracle", description=__doc__)
    parser.add_argument("--programs", type=int, default=100_000, help="how many (default 100,000)")
    parser.add_argument(
        "--seed", type=int, default=None, help="where the random numbers begin (default: anew each time)"
    )
    parser.add_argument("--workers", type=int, default=2, help="pairs of processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("build/evm-oracle"), help="where differing cases go")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    try:
        locked_environment.prepare(_LOCK, _FOLDER, "Ethereum's executable specification (about 40 MB)")
        return _run(arguments.programs, seed, arguments.workers, arguments.out)
    except ChildError as error:
        print(error, file=sys.stderr)
        return 2


def _run(programs: int, seed: int, workers: int, out: Path) -> int:
    begun = time.monotonic()
    counted: Counter[str] = Counter()
    differing = 0
    with ProcessPoolExecutor(workers) as pool:
        starts = range(0, programs, _BATCH)
        batches = pool.map(_batch, [seed] * len(starts), starts, [min(_BATCH, programs - each) for each in starts])
        for done, (counts, differences) in enumerate(batches, start=1):
            counted += counts
            if done % _BATCHES_A_LINE == 0:
                print(f"{done * _BATCH} of {programs} programs, {differing} differences", flush=True)
            for name, document in differences:
                differing += 1
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{name.replace(', ', '-').replace(' ', '-')}.json").write_text(json.dumps(document, indent=1))
                print(f"{name} differs in {', '.join(document['differs'])}", flush=True)
    seconds = time.monotonic() - begun
    kinds = ", ".join(f"{kind} {count}" for kind, count in counted.most_common())
    print(f"seed {seed}: {programs} programs in {seconds:.0f} s ({kinds}), {differing} differences")
    return 1 if differing else 0


def _batch(seed: int, start: int, count: int) -> tuple[Counter[str], list[tuple[str, dict[str, list[str]]]]]:
    """Compare a batch of cases in a process of its own."""
    counted: Counter[str] = Counter()
    found = []
    cases = [make_case(seed, number) for number in range(start, start + count)]
    with specification(_LOCK, _FOLDER) as specified:
        for case, own, differs in compare(specified, cases):
            counted["refused" if "invalid" in own else own["error"] or "succeeded"] += 1
            if differs:
                found.append((case.name, {"differs": differs, **case.document()}))
    return counted, found


if __name__ == "__main__":
    sys.exit(main())
