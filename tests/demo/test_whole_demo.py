"""The demo as a user runs it, shortened: three hospitals, two rounds, no noise."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consilium_demo.anvil import missing_node

pytestmark = pytest.mark.network

PARTS = {"training", "encryption", "upload", "aggregation", "ledger"}


def processes_below(folder: Path) -> list[str]:
    """Return the command lines of processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue  # gone, or somebody else's
        if entry.name != str(os.getpid()) and (str(folder) in words or str(folder) in environment):
            found.append(words)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    words = ["--without-privacy", "--hospitals", "3", "--rounds", "2", "--seed", "5", "--first-port", "19000"]
    done = subprocess.run(
        [sys.executable, "-m", "consilium_demo", *words, "--out", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder, done.stdout


@pytest.fixture(scope="module")
def result(demo: tuple[Path, str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((demo[0] / "result.json").read_text())
    return document


def test_it_leaves_a_result_a_report_and_nothing_running(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    assert processes_below(folder) == []
    report = (folder / "report.html").read_text()
    assert report.count("<svg") >= 3
    result = json.loads((folder / "result.json").read_text())
    for shown in (result["model_hash"], *result["attested_by"]):
        assert shown in printed
        assert shown in report


def test_the_readme_shows_what_it_prints(demo: tuple[Path, str], repository: Path) -> None:
    (shown,) = re.findall(r"```text\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    shape = re.compile(r"[0-9a-f]{64}|\b0\.\d{3}\b|, LongBeachMSP")
    printed = {shape.sub("", line) for line in demo[1].splitlines()}
    assert {shape.sub("", line) for line in shown.splitlines()} <= printed


def test_every_figure_that_is_promised_is_in_the_result(result: dict[str, Any]) -> None:
    assert set(result["attested_by"]) == {"ClevelandMSP", "HungaryMSP", "SwitzerlandMSP"}
    hospitals = {"cleveland", "hungary", "switzerland"}
    assert set(result["auc"]["local"]) == set(result["epsilon"]) == hospitals
    assert result["epsilon"] == dict.fromkeys(hospitals)
    for figure in (result["auc"]["federated"], result["auc"]["pooled"], result["accuracy"]["federated"]):
        assert 0.5 < figure <= 1
    assert [entry["round"] for entry in result["rounds"]] == [1, 2]
    for entry in result["rounds"]:
        assert set(entry["parts"]) == PARTS
        assert math.isfinite(entry["seconds"])
        assert all(size > 0 for size in (*entry["bytes_up"].values(), *entry["bytes_down"].values()))
        assert entry["transactions"] >= 3 * 3
        assert entry["commit_latency_ms"]["median"] > 0
    assert result["rounds"][-1]["model"] == result["model_hash"]


def test_the_studys_trail_verifies_without_a_network(demo: tuple[Path, str], result: dict[str, Any]) -> None:
    folder, printed = demo
    audit = result["audit"]
    assert audit["verified"]
    # Two rounds with a dozen writes of three hospitals each, every one endorsed by two hospitals or more.
    assert audit["endorsements"] > 2 * 2 * 12
    assert audit["endorsements_per_second"] > 0
    isolated = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    assert audit["without_network"] or not isolated
    assert "trail sound, verified" in printed
    assert (folder / "trail-report.pdf").read_bytes().startswith(b"%PDF")
    assert result["model_hash"] in (folder / "trail-report.html").read_text()


@pytest.mark.skipif(bool(missing_node()), reason=missing_node())
def test_every_hospital_is_paid_on_a_public_chain(demo: tuple[Path, str], result: dict[str, Any]) -> None:
    """Real peers' endorsements convince the bridge, both ledgers agree, and the trail has the claims."""
    folder, printed = demo
    bridge = result["bridge"]
    assert bridge["balances_agree"]
    assert set(bridge["balances"]) == {"cleveland", "hungary", "switzerland"}
    paid = {name: Decimal(each["chain"]) for name, each in bridge["balances"].items()}
    # Two rounds of 100 tokens, shared by rows; what rounding down leaves over isn't credited.
    assert Decimal("199.99") < sum(paid.values()) <= 200
    assert min(paid.values()) > 0
    assert bridge["epoch_gas"] <= 160_000
    assert bridge["claim_gas"] <= 90_000
    assert f"carried over for {bridge['epoch_gas']} gas" in printed
    assert "paid on a public chain" in (folder / "report.html").read_text()
    with zipfile.ZipFile(folder / "trail.zip") as trail:
        rewards = json.loads(trail.read("report/facts.json"))["rewards"]
    assert {each["claim"]["hospital"] for each in rewards["claims"]} == set(result["attested_by"])
    assert all(each["claim"]["report"]["chain_id"] == 31_337 for each in rewards["claims"])


def test_the_federated_model_is_about_as_good_as_a_pooled_one(result: dict[str, Any]) -> None:
    assert abs(result["auc"]["federated"] - result["auc"]["pooled"]) < 0.05


def test_each_hospital_exported_the_same_model_and_it_scores_every_row(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    exported = {path.read_bytes() for path in (folder / "hospitals").glob("*/model.safetensors")}
    assert len(exported) == 1
    scores = (folder / "scores.csv").read_text().splitlines()
    rows = (folder / "data" / "cleveland.csv").read_text().splitlines()
    assert len(scores) == len(rows)
    assert all(0 <= float(line.split(",")[1]) <= 1 for line in scores[1:])
