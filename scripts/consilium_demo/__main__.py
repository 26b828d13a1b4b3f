"""`make demo`: four hospitals train one model on a real Fabric network; a thin caller of the documented commands."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from consilium_demo import audit, rewards
from consilium_demo.processes import Background, StepError, run, run_each, run_json, run_shown
from consilium_demo.scenario import HospitalFiles, Variation, study_document, write_hospitals, write_policy

ROUND_SECONDS = 120


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the demo's options."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="Four hospitals train one model on a real Fabric network."
    )
    parser.add_argument("--without-privacy", action="store_true", help="train without privacy noise")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: the study file's 10)")
    parser.add_argument("--hospitals", type=int, choices=(3, 4), default=4, help="how many hospitals (default: 4)")
    parser.add_argument("--seed", type=int, help="seed of first model, batches and split (default: the study file's 1)")
    parser.add_argument("--first-port", type=int, help="put the network on ports from this one on")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder of everything (default: build/demo)"
    )
    return parser.parse_args(words)


class RunningNetwork(AbstractContextManager[Path]):
    """The network of one demo: made anew, and stopped at the end whatever happens."""

    def __init__(self, directory: Path, hospitals: int, first_port: int | None) -> None:
        self._directory = directory
        ports = [] if first_port is None else ["--first-port", str(first_port)]
        self._options = ["--directory", str(directory), "--hospitals", str(hospitals), *ports]

    def __enter__(self) -> Path:
        if self._directory.exists():
            run("network", "down", "--yes", "--directory", self._directory)
        try:
            run_shown("network", "up", "--evm", *self._options)
        except BaseException:
            self._stop()
            raise
        return self._directory

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._directory.exists():
            run("network", "stop", "--directory", self._directory)


def say(text: str) -> None:
    """Print a step's headline at once."""
    print(f"\n== {text}", flush=True)


def prepare(folder: Path, network: Path, variation: Variation) -> list[HospitalFiles]:
    """Write each hospital's files and let it sign its policy."""
    hospitals = write_hospitals(folder, network, variation)
    code = run_json("study", "digest", hospitals[0].study)["code"]
    for files in hospitals:
        write_policy(files, code, study_document(variation))
        run("client", "sign-policy", files.policy, "--profile", profile(network, files.name, "admin"))
    return hospitals


def profile(network: Path, organization: str, user: str) -> Path:
    """Return the profile of a user."""
    return network / "organizations" / organization / "profiles" / f"{user}.yaml"


def agree(network: Path, hospitals: list[HospitalFiles]) -> None:
    """Propose and approve the study."""
    first = hospitals[0]
    print(run("study", "propose", first.study, "--profile", profile(network, first.name, "admin")), end="")
    approvals = [("study", "approve", h.study, "--profile", profile(network, h.name, "admin")) for h in hospitals]
    for files, answer in zip(hospitals, run_each(approvals), strict=True):
        print(f"{files.name}: {answer}", end="")


def train(network: Path, hospitals: list[HospitalFiles], background: Background, folder: Path, rounds: int) -> None:
    """Run aggregator and agents until the study has all its rounds, showing each as it is decided."""
    state = folder / "aggregator"
    background.start(
        "aggregator", "aggregator", "run", "--profile", profile(network, "aggregator", "aggregator"), "--state", state
    )
    checks = run_each([("client", "check", "--config", files.configuration) for files in hospitals])
    for files, answer in zip(hospitals, checks, strict=True):
        print(f"{files.name}:\n{answer}", end="", flush=True)
    for files in hospitals:
        background.start(files.name, "client", "run", "--config", files.configuration, "--until-finished")
    deadline = time.monotonic() + ROUND_SECONDS * rounds
    shown = 0
    while any(background.running(files.name) for files in hospitals):
        background.check()
        if time.monotonic() > deadline:
            raise StepError(f"the study isn't finished after {ROUND_SECONDS * rounds} s; see {folder / 'logs'}")
        decided = min(len(list(files.released.glob("round-*.json"))) for files in hospitals)
        if decided > shown:
            print(f"rounds final: {decided} of {rounds}", flush=True)
            shown = decided
        time.sleep(0.5)
    for files in hospitals:
        background.wait(files.name, 30)


def finish(hospitals: list[HospitalFiles], folder: Path) -> dict[str, Any]:
    """Export the model at every hospital, apply it once, and put the result together."""
    from consilium_client.study_file import load_study_file
    from consilium_demo.report import as_text
    from consilium_demo.results import put_together

    cards = []
    for files in hospitals:
        model = files.folder / "model.safetensors"
        run("model", "export", files.study_name, "--config", files.configuration, "--out", model)
        cards.append(run_json("model", "show", model))
    if len({card["model"] for card in cards}) != 1:
        raise StepError(f"the hospitals hold different models: {[card['model'] for card in cards]}")
    first = hospitals[0]
    rows, scores = folder / "data" / f"{first.name}.csv", folder / "scores.csv"
    model = first.folder / "model.safetensors"
    print(run("model", "predict", model, "--study", first.study, "--table", rows, "--out", scores), end="")
    fabric = run("network", "programs").split()[1]
    result = put_together(load_study_file(first.study), hospitals, folder / "data", cards[0], fabric)
    print("\n" + as_text(result))
    return result


def write(result: dict[str, Any], folder: Path) -> None:
    """Write the result and its report."""
    from consilium_demo.report import as_html

    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "report.html").write_text(as_html(result))


def demonstrate(arguments: argparse.Namespace) -> None:
    """Run the whole demo."""
    folder = arguments.out.resolve()
    variation = Variation(not arguments.without_privacy, arguments.rounds, arguments.hospitals, arguments.seed)
    started = time.monotonic()
    for stale in ("hospitals", "aggregator", "data", "logs"):
        shutil.rmtree(folder / stale, ignore_errors=True)
    no_chain = rewards.public_chain()
    say("the network")
    with RunningNetwork(folder / "network", variation.hospitals, arguments.first_port) as network:
        say("each hospital writes its files and signs its policy")
        hospitals = prepare(folder, network, variation)
        say("the hospitals agree on the study")
        agree(network, hospitals)
        rewards.name_addresses(network, hospitals)
        say("training")
        with Background(folder / "logs") as background:
            train(network, hospitals, background, folder, study_document(variation)["rounds"])
            say("the result")
            result = finish(hospitals, folder)
        write(result, folder)
        say("the rewards")
        if no_chain:
            print(f"earned on the ledger, and not paid on a public chain: {no_chain}")
        else:
            result["bridge"] = rewards.pay(network, hospitals, folder)
        say("the audit")
        audit.export(network, hospitals[0].study_name, folder)
    result["audit"] = audit.verify(folder)
    write(result, folder)
    left = "report.html, result.json, trail.zip, trail-report.pdf"
    print(f"\n{time.monotonic() - started:.0f} s; in {folder}: {left}")


def main() -> int:
    """Run the demo; a failed step is one message."""
    try:
        demonstrate(parse())
    except StepError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything was stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
