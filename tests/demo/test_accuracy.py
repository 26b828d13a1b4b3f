"""The accuracy benchmark, short: one seed's arithmetic; and that a missed target is a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consilium_demo import accuracy
from consilium_demo.accuracy import Run, main, shortfalls


def test_one_seed_reaches_the_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--simulated", "--seeds", "1", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    document = json.loads((tmp_path / "accuracy.json").read_text())
    assert [run["private"] for run in document["runs"]] == [False, True]
    for run in document["runs"]:
        assert run["federated"] > run["alone"]
        assert f"{run['federated']:.3f}" in printed
    assert printed.endswith("all targets are met\n")


@pytest.mark.parametrize(
    ("runs", "missed"),
    [
        ([Run(1, False, 0.871, 0.88, 0.8, None)], 0),
        ([Run(1, False, 0.869, 0.88, 0.8, None)], 1),
        ([Run(1, False, 0.891, 0.88, 0.8, None)], 1),
        ([Run(1, False, 0.86, 0.88, 0.8, None), Run(2, False, 0.9, 0.88, 0.8, None)], 0),
        ([Run(1, True, 0.841, 0.88, 0.8, 3.0)], 0),
        ([Run(1, True, 0.9, 0.88, 0.8, 3.0), Run(2, True, 0.77, 0.88, 0.8, 3.0)], 1),
    ],
)
def test_the_means_are_what_counts(runs: list[Run], missed: int) -> None:
    assert len(shortfalls(runs)) == missed


def test_a_missed_target_and_a_failed_run_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(accuracy, "by_simulation", lambda seed, private: Run(seed, private, 0.5, 0.9, 0.5, None))
    assert main(["--simulated", "--seeds", "2", "--out", str(tmp_path)]) == 1
    assert "with noise the mean AUC is 0.5000; at least 0.84" in capsys.readouterr().out

    def failing(seed: int, private: bool) -> Run:
        raise accuracy.BenchError(f"the demo with seed {seed} failed")

    monkeypatch.setattr(accuracy, "by_simulation", failing)
    assert main(["--simulated", "--out", str(tmp_path)]) == 1
    assert "error: the demo with seed 1 failed" in capsys.readouterr().err
