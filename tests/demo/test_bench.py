"""The benchmark, short: on few parameters, without NVIDIA FLARE and the network; sizes are judged, times aren't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilium_bench import child, locked_environment, our_side, report, rows, shapes
from consilium_bench.__main__ import Bench, main
from consilium_bench.cipher_paths import FAST, INTERFACE, PATHS
from consilium_bench.cpu_time import REPETITIONS, Stages, medians
from consilium_bench.evm_rate import our_side as evm_side
from consilium_bench.evm_rate import token_work
from consilium_bench.evm_rate.token_work import Call, Outcome
from consilium_bench.rows import Row, Sense
from consilium_proto import seal_buffers

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench")
    assert main(["--small", "--bits", "8", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def test_every_measurement_has_its_row(result: dict[str, Any]) -> None:
    names = " | ".join(row["name"] for row in result["rows"])
    for part in (
        "upload",
        "masks of 10 hospitals",
        "inner products",
        "own + witnessed + sum",
        "peak",
        "a dispute",
        "a trail",
    ):
        assert part in names
    assert all(row["measured"] > 0 for row in result["rows"])
    assert result["machine"]["cores"]
    assert {"our_side", "verification", "aggregator_memory", "dispute", "trail"} == {
        name.partition(":")[0] for name in result["measurements"]
    }


def test_an_upload_is_as_small_as_promised(result: dict[str, Any]) -> None:
    uploads = [row for row in result["rows"] if row["name"].startswith("upload")]
    assert [row["met"] for row in uploads] == [True]


def test_every_path_adds_up_to_the_same_error(result: dict[str, Any]) -> None:
    played = [answer for name, answer in result["measurements"].items() if name.startswith("our_side")]
    assert [answer["path"] for answer in played] == list(PATHS)
    # What quantisation alone explains; equal on all paths, since they encrypt the same integers.
    assert len({answer["largest_error"] for answer in played}) == 1
    assert played[0]["largest_error"] <= 10 * shapes.BOUND / 254 * (1 + 1e-6)


def test_the_interface_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def followed(*_: object) -> None:
        raise AssertionError("a pointer was followed")

    monkeypatch.setattr(seal_buffers, "_array", followed)
    seal_buffers.check.cache_clear()
    assert our_side.play(shapes.small(), 3, 8, INTERFACE)["seconds"]["add"] > 0
    with pytest.raises(AssertionError, match="followed"):
        our_side.play(shapes.small(), 3, 8, FAST)


def test_the_plot_is_a_picture(folder: Path) -> None:
    assert (folder / "result.png").read_bytes().startswith(PNG)


def test_a_resnet_18_has_11_2_million_parameters_and_always_the_same() -> None:
    assert shapes.parameters(shapes.resnet18()) == 11_181_642
    update = shapes.draw(shapes.small(), 3)
    assert shapes.digest(update) == shapes.digest(shapes.draw(shapes.small(), 3))
    assert shapes.digest(update) != shapes.digest(shapes.draw(shapes.small(), 4))
    assert shapes.flat(update).dtype == np.float32


def test_a_round_counts_what_each_client_does() -> None:
    ours = {
        "bits": 8,
        "path": PATHS[0],
        "seconds": {"quantise": 1, "mask": 2, "add": 1, "decrypt": 0.1, "unpack": 0.1, "dequantise": 0.1},
    }
    theirs = {"seconds": {"encrypt": 40, "load sum": 1, "decrypt": 1}}
    bare, masked = rows.speed_rows(ours, theirs, 10)
    assert bare.measured == pytest.approx(60 / 5)
    assert masked.measured == pytest.approx(60 / 7)
    assert (bare.met, bare.target, masked.met) == (bare.measured >= 12, 12, None)


def test_both_evms_do_the_same(repository: Path) -> None:
    """And not nothing: 110 mints and as many transfers, each of which writes storage."""
    lock, folder = repository / "requirements" / "py-evm.txt", repository / "build" / "py-evm"
    python = locked_environment.prepare(lock, folder, "py-evm (about 60 MB)")
    ours = child.run("evm_rate.our_side", count=100)
    theirs = child.run("evm_rate.py_evm_side", python=python, count=100)
    assert (ours["gas"], ours["outcomes"]) == (theirs["gas"], theirs["outcomes"])
    assert ours["gas"] > 220 * (21_000 + 5_000)
    assert all(seconds > 0 for side in (ours, theirs) for seconds in side["seconds"].values())


def test_another_outcome_of_one_transaction_is_seen() -> None:
    honest = evm_side.Ledger().execute

    def cheaper(call: Call) -> Outcome:
        outcome = honest(call)
        return outcome._replace(gas_used=outcome.gas_used - 1) if call.nonce == 9 else outcome

    assert token_work.play(cheaper, 10)["outcomes"] != token_work.play(evm_side.Ledger().execute, 10)["outcomes"]


def test_the_evms_are_compared_by_the_medians_of_their_runs() -> None:
    ours = [{"count": 100, "seconds": {"mint": seconds, "transfer": 0.5}} for seconds in (0.1, 9.0, 0.2)]
    theirs = [{"seconds": {"mint": seconds, "transfer": 1.5}} for seconds in (1.0, 0.9, 1.1)]
    mints, ours_a_second, theirs_a_second, transfers, *_ = rows.evm_rows(ours, theirs)
    assert (mints.measured, mints.met) == (pytest.approx(5), True)
    assert (ours_a_second.measured, theirs_a_second.measured) == (pytest.approx(500), pytest.approx(100))
    assert (transfers.measured, transfers.met) == (pytest.approx(3), False)


def test_one_odd_time_of_three_isnt_multiplied_by_the_clients() -> None:
    repeated = [Stages() for _ in range(REPETITIONS)]
    for each, seconds in zip(repeated, (0.2, 9.0, 0.3), strict=True):
        each.seconds |= {"decrypt": seconds, "unpack": 0.1}
    assert medians(repeated) == {"decrypt": 0.3, "unpack": 0.1}


@pytest.mark.parametrize(
    ("sense", "measured", "met", "margin"),
    [
        (Sense.AT_LEAST, 6.0, True, 1.5),
        (Sense.AT_LEAST, 3.0, False, 0.75),
        (Sense.AT_MOST, 4.0, True, 1.0),
        (Sense.AT_MOST, 8.0, False, 0.5),
    ],
)
def test_a_target_is_met_on_its_side(sense: Sense, measured: float, met: bool, margin: float) -> None:
    row = Row("", measured, "×", sense, 4.0)
    assert (row.met, row.margin) == (met, margin)
    assert ("MISSED" in report.as_text([row])) is not met


def test_a_missed_target_is_a_failure_when_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "consilium_bench.__main__.Bench.run", lambda bench: bench.rows.append(Row("x", 2, "s", target=1))
    )
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--strict", "--out", str(tmp_path)]) == 1
    assert "1 targets missed" in capsys.readouterr().out


def test_a_failed_measurement_is_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(child.ChildError, match="our_side ended with exit code 1"):
        child.run("our_side", size="small", clients=10, bits=8, path="none")
    assert main(["--with-nvflare", "--nvflare-lock", str(tmp_path / "none.txt"), "--out", str(tmp_path)]) == 1
    assert "can't read the lock of NVIDIA FLARE" in capsys.readouterr().err


def test_what_was_measured_before_a_failure_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(bench: Bench) -> None:
        bench.rows.append(Row("x", 1, "s", target=2))
        raise child.ChildError("the network doesn't come up")

    monkeypatch.setattr(Bench, "run", failing)
    assert main(["--out", str(tmp_path)]) == 1
    assert "error: the network doesn't come up" in capsys.readouterr().err
    assert [row["name"] for row in json.loads((tmp_path / "result.json").read_text())["rows"]] == ["x"]


def test_children_run_with_one_thread_and_their_own_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    found = child.environment()
    assert {name: value for name, value in found.items() if name.startswith("OPENBLAS")} == {
        "OPENBLAS_NUM_THREADS": "1"
    }
