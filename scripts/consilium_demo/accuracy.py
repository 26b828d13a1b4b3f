"""`make accuracy`: how good the demo's study is over several seeds, with and without noise, against its targets.

Every figure comes from whole demos on a real network; `--simulated` does the same arithmetic without network and
encryption, in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from consilium_demo.report import percent, table
from consilium_demo.scenario import Variation, study_document

# Without noise the federated model comes this close to the pooled one; with noise it is at least this good.
LARGEST_GAP = 0.01
LEAST_PRIVATE_AUC = 0.84
RUN_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """One seed's figures: areas under the ROC curve on the held-out rows of all hospitals."""

    seed: int
    private: bool
    federated: float
    pooled: float
    alone: float
    largest_epsilon: float | None


Measure = Callable[[int, bool], Run]


class BenchError(Exception):
    """A run of the benchmark failed; the message says which and why."""


def by_demo(folder: Path) -> Measure:
    """Return a measure that runs the whole demo for each seed, below `folder`."""

    def measure(seed: int, private: bool) -> Run:
        out = folder / f"seed-{seed}-{'private' if private else 'plain'}"
        words = ["--seed", str(seed), "--out", str(out), *([] if private else ["--without-privacy"])]
        done = subprocess.run(
            [sys.executable, "-m", "consilium_demo", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
        if done.returncode != 0:
            raise BenchError(f"the demo with seed {seed} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        result: dict[str, Any] = json.loads((out / "result.json").read_text())
        auc, epsilon = result["auc"], [value for value in result["epsilon"].values() if value is not None]
        return Run(
            seed, private, auc["federated"], auc["pooled"], auc["local_overall_mean"], max(epsilon) if epsilon else None
        )

    return measure


def by_simulation(seed: int, private: bool) -> Run:
    """Do one seed's arithmetic without network and encryption."""
    from consilium_client.study_file import load_study_file
    from consilium_demo import heart, simulate

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "study.yaml"
        path.write_text(yaml.safe_dump(study_document(Variation(privacy=private, seed=seed))))
        study = load_study_file(path)
        heart.write_tables(Path(scratch))
        splits = simulate.splits_of(study, Path(scratch))
    federated = simulate.judge(study, simulate.train_federated(study, splits), splits).auc
    compared = simulate.baselines(study, splits)
    alone = [evaluation.auc for evaluation in compared.local_overall.values() if evaluation.auc is not None]
    assert federated is not None
    assert compared.pooled.auc is not None
    return Run(seed, private, federated, compared.pooled.auc, statistics.fmean(alone), None)


def shortfalls(runs: list[Run]) -> list[str]:
    """Return which targets the means over the seeds miss, each in one sentence."""
    missed = []
    plain = [run for run in runs if not run.private]
    noisy = [run for run in runs if run.private]
    if plain:
        gap = abs(statistics.fmean(r.federated for r in plain) - statistics.fmean(r.pooled for r in plain))
        if gap > LARGEST_GAP:
            missed.append(f"without noise the mean AUC is {gap:.4f} from pooled training's; at most {LARGEST_GAP}")
    if noisy and (mean := statistics.fmean(r.federated for r in noisy)) < LEAST_PRIVATE_AUC:
        missed.append(f"with noise the mean AUC is {mean:.4f}; at least {LEAST_PRIVATE_AUC}")
    return missed


def as_text(runs: list[Run]) -> str:
    """Lay the runs out, one row each and a mean per kind."""
    rows = []
    for private in (False, True):
        of_kind = [run for run in runs if run.private is private]
        name = "with noise" if private else "without noise"
        for run in of_kind:
            epsilon = "-" if run.largest_epsilon is None else f"{run.largest_epsilon:.3f}"
            rows.append([f"{name}, seed {run.seed}", *map(percent, (run.federated, run.pooled, run.alone)), epsilon])
        if of_kind:
            means = (statistics.fmean(getattr(r, field) for r in of_kind) for field in ("federated", "pooled", "alone"))
            rows.append([f"{name}, mean of {len(of_kind)}", *map(percent, means), ""])
    return table(["AUC", "federated", "pooled", "alone", "epsilon"], rows)


def main(words: list[str] | None = None) -> int:
    """Run the benchmark; exit code 1 when a target is missed or a run failed."""
    parser = argparse.ArgumentParser(prog="make accuracy", description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default: 5)")
    parser.add_argument("--simulated", action="store_true", help="without network and encryption")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of the figures")
    arguments = parser.parse_args(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    measure = by_simulation if arguments.simulated else by_demo(arguments.out)
    started, runs = time.monotonic(), []
    try:
        for private in (False, True):
            for seed in range(1, arguments.seeds + 1):
                runs.append(measure(seed, private))
                kind = "with noise" if private else "without noise"
                print(
                    f"{time.monotonic() - started:6.0f} s  seed {seed} {kind}: AUC {runs[-1].federated:.3f}", flush=True
                )
    except (BenchError, subprocess.TimeoutExpired) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    missed = shortfalls(runs)
    document = {"simulated": arguments.simulated, "runs": [asdict(run) for run in runs], "missed": missed}
    (arguments.out / "accuracy.json").write_text(json.dumps(document, indent=2) + "\n")
    print("\n" + as_text(runs) + "\n\n" + ("\n".join(missed) or "all targets are met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
