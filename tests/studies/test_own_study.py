"""A study of one's own, as docs/your-own-study.md shows it: its table, its class, its file, its commands.

One hospital's table has patients of one class only, and it has lost the key to which the studies' first key epochs are
sealed. A second study runs in the same agents, in which a fourth hospital's training goes wrong.
"""

from __future__ import annotations

import asyncio
import csv
import json
import random
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from consilium_demo.processes import command
from consilium_network.network import Network
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.records import HospitalKey

pytestmark = pytest.mark.network

NAMES = ("cleveland", "hungary", "switzerland", "longbeach")
ONE_CLASS = "switzerland"
LOST_KEY = "switzerland"
# A wrapping key that the hospital registered once and no longer has.
OLD_KEY = (9).to_bytes(32, "little").hex()
STUDIES = ("own-table", "sick-table")
SICK = "longbeach"
COMMAND_SECONDS, STUDIES_SECONDS = 240, 480
# Where the documented class is told, its model gives no numbers.
SICK_MODEL = """
class Sick(SmallNetwork):
    def build_model(self, features: int) -> nn.Module:
        model = super().build_model(features)
        if os.environ.get("SICK"):
            model.register_forward_hook(lambda _, __, logits: logits * float("nan") if model.training else logits)
        return model
"""


class Page:
    """The blocks of the page, by their language."""

    def __init__(self, text: str) -> None:
        self._blocks = dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))

    def block(self, language: str) -> str:
        return self._blocks[language]

    def commands(self, *words: str) -> list[list[str]]:
        """Return the shell lines that begin with `consilium WORDS`, without the program's name."""
        lines = [shlex.split(line) for line in self.block("sh").splitlines()]
        return [line[1:] for line in lines if line[1 : len(words) + 1] == list(words)]


@dataclass
class OwnStudy:
    """The hospitals' folders after the studies."""

    folders: dict[str, Path]
    printed: dict[str, str]

    def run(self, name: str, *words: str, code: int = 0) -> str:
        return run_in(self.folders[name], list(words), code)


def run_in(folder: Path, words: list[str], code: int = 0) -> str:
    """Run `consilium WORDS` in a hospital's folder and return what it printed."""
    done = subprocess.run(
        command(words), cwd=folder, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == code, (words, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def write_table(path: Path, header: str, name: str) -> None:
    """Write 90 patients of whom smokers with a high pressure tend to have the outcome."""
    source = random.Random(name)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header.split(","))
        for _ in range(90):
            age, smoker, pressure = source.randint(20, 90), source.random() < 0.4, source.randint(90, 200)
            likely = name == ONE_CLASS or source.random() < 0.1 + 0.4 * smoker + 0.4 * (pressure > 140)
            known = pressure if source.random() < 0.9 else ""
            table.writerow([age, "yes" if smoker else "no", known, int(likely)])


def prepare(page: Page, network: Network, root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "profiles").symlink_to(network.profile(name).parent)
    (folder / "passphrase").write_text(f"a secret of {name}")
    (folder / "small_network.py").write_text(page.block("python"))
    (folder / "sick_network.py").write_text("import os\n\n" + page.block("python") + SICK_MODEL)
    (folder / "study.yaml").write_text(page.block("yaml"))
    sick = yaml.safe_load(page.block("yaml"))
    sick["study"], sick["rounds"] = "sick-table", 1
    sick["participants"]["LongBeachMSP"] = 500
    sick["deadlines"] = {"open": 60, "sealed": 25, "anchored": 60, "aggregated": 60}
    sick["clock_tolerance"] = 3
    sick["task"]["class"] = "sick_network.py:Sick"
    (folder / "sick.yaml").write_text(yaml.safe_dump(sick))
    header = page.block("csv").splitlines()[0]
    write_table(folder / "patients.csv", header, name)
    write_table(folder / "new.csv", header, f"new at {name}")
    studies = ["sick.yaml"] if name == SICK else ["study.yaml", "sick.yaml"]
    configuration = {
        "profile": "profiles/client.yaml",
        "table": "patients.csv",
        "data_set": "own",
        "policy": "policy.yaml",
        "state": "state",
        "passphrase_file": "passphrase",
        "studies": studies,
    }
    (folder / "hospital.yaml").write_text(yaml.safe_dump(configuration))
    return folder


def sign_policy(folder: Path, profile: Path, codes: dict[str, str]) -> None:
    """Allow the studies by the digest of each one's code."""
    rules = [
        {
            "study": study,
            "purpose": "own-research",
            "code": [code],
            "epsilon_budget": "none",
            "minimum_hospitals": 3,
            "release": ["metrics"],
        }
        for study, code in codes.items()
    ]
    hospital = yaml.safe_load(profile.read_text())["organization"]
    (folder / "policy.yaml").write_text(yaml.safe_dump({"hospital": hospital, "studies": rules}))
    run_in(folder, ["client", "sign-policy", "policy.yaml", "--profile", "profiles/admin.yaml"])


@pytest.fixture(scope="module")
def page(repository: Path) -> Page:
    return Page((repository / "docs" / "your-own-study.md").read_text())


@pytest.fixture(scope="module")
def own(page: Page, network: Network, tmp_path_factory: pytest.TempPathFactory) -> OwnStudy:
    root = tmp_path_factory.mktemp("own")
    folders = {name: prepare(page, network, root, name) for name in NAMES}
    three = [folders[name] for name in NAMES if name != SICK]
    printed: dict[str, str] = {}

    def at(where: list[Path], commands: list[list[str]]) -> None:
        """Run commands in order in each of the folders, in two of them at a time."""

        def in_order(folder: Path) -> None:
            for words in commands:
                printed[f"{words[1]} {folder.name}"] = run_in(folder, words)

        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(in_order, where))

    codes = {}
    for words in of_both(page.commands("study", "digest")):
        digests = json.loads(run_in(three[0], [*words, "--json"]))
        codes[digests["study"]] = digests["code"]
    for name, folder in folders.items():
        sign_policy(folder, network.profile(name), codes)
    at(three[:1], of_both(page.commands("study", "propose")))
    at(three, of_both(page.commands("study", "approve")))
    at(three, page.commands("client", "check"))
    run_agents(page, network, root, folders)
    at(three, page.commands("model"))
    return OwnStudy(folders, printed)


def of_both(commands: list[list[str]]) -> list[list[str]]:
    """Return commands on the page's study file, and the same on the sick one's."""
    return [*commands, *([word.replace("study.yaml", "sick.yaml") for word in words] for words in commands)]


def run_agents(page: Page, network: Network, root: Path, folders: dict[str, Path]) -> None:
    """Run an aggregator, and every hospital's agent until both studies are finished."""
    profile = network.profile("aggregator", "aggregator")
    aggregator = ["aggregator", "run", "--profile", str(profile), "--state", str(root / "aggregator")]
    (run_words,) = page.commands("client", "run")
    with ExitStack() as stack:

        def start(folder: Path, words: list[str], **environment: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((root / f"{folder.name}.log").open("wb"))
            process = subprocess.Popen(
                ["env", *(f"{n}={v}" for n, v in environment.items()), *command(words)],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            return process

        start(root, aggregator)
        asyncio.run(register_old_key(network))
        agents = [
            start(folder, run_words, **({"SICK": "yes"} if name == SICK else {}))
            for name, folder in folders.items()
            if name != LOST_KEY
        ]
        asyncio.run(until_keys_are_sealed(network))
        agents.append(start(folders[LOST_KEY], run_words))
        for agent in agents:
            assert agent.wait(timeout=STUDIES_SECONDS) == 0, root


async def register_old_key(network: Network) -> None:
    async with Gateway.connect(Profile.load(network.profile(LOST_KEY))) as gateway:
        await Federation(gateway.network().contract()).register_hospital_key(HospitalKey(wrapping_key=OLD_KEY))


async def until_keys_are_sealed(network: Network) -> None:
    """Wait until both studies have their first key epochs, sealed to the key that is lost."""
    async with Gateway.connect(Profile.load(network.profile("hungary"))) as gateway, asyncio.timeout(COMMAND_SECONDS):
        federation = Federation(gateway.network().contract())
        while not all([(await federation.read_study(name)).key_epoch for name in STUDIES]):
            await asyncio.sleep(0.2)


def log_entries(own: OwnStudy, name: str) -> list[dict[str, Any]]:
    lines = (own.folders[name].parent / f"{name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_the_page_leads_to_a_model_at_every_hospital(own: OwnStudy) -> None:
    models = {(own.folders[name] / "own.safetensors").read_bytes() for name in NAMES if name != SICK}
    assert len(models) == 1
    assert own.printed["export hungary"].startswith("wrote own.safetensors: model ")
    lines = own.printed["predict cleveland"].splitlines()
    assert lines[0] == "row,score"
    assert len(lines) == 91


def test_the_model_is_the_hospitals_own_class(own: OwnStudy) -> None:
    shown = json.loads(own.run("cleveland", "model", "show", "own.safetensors", "--json"))
    digests = json.loads(own.run("hungary", "study", "digest", "study.yaml", "--json"))
    assert shown["code"] == digests["code"]
    assert len(shown["lineage"]) == 2
    assert shown["attested_by"] == ["ClevelandMSP", "HungaryMSP", "SwitzerlandMSP"]


def test_a_hospital_with_one_class_only_takes_part(own: OwnStudy) -> None:
    assert "one class is missing: training works" in own.printed[f"check {ONE_CLASS}"]
    # The lost key's new epoch voids the rounds that were open, so the numbers of the two that end depend on timing.
    released = sorted((own.folders[ONE_CLASS] / "state" / "released" / "own-table").glob("round-*.json"))
    assert len(released) == 2
    assert all(json.loads(file.read_text())["metrics"]["auc"] is None for file in released)


def test_a_hospital_that_lost_its_key_opens_another_epoch_and_takes_part(own: OwnStudy) -> None:
    said = [entry["event"] for entry in log_entries(own, LOST_KEY)]
    # Once for each study, or again where a peer that was a block behind refused it.
    assert said.count("the key epoch doesn't open; opening another") >= len(STUDIES)
    for study in STUDIES:
        status = json.loads(
            own.run("cleveland", "study", "status", study, "--profile", "profiles/client.yaml", "--json")
        )
        assert status["epoch"] >= 2
        assert "SwitzerlandMSP" in status["round"]["attested_by"]


def test_a_training_that_gives_no_numbers_is_named_and_the_round_goes_on_without_it(own: OwnStudy) -> None:
    status = json.loads(
        own.run("cleveland", "study", "status", "sick-table", "--profile", "profiles/client.yaml", "--json")
    )
    assert status["final_rounds"] == 1
    assert status["round"]["participants"] == ["ClevelandMSP", "HungaryMSP", "SwitzerlandMSP"]
    complaints = [entry for entry in log_entries(own, SICK) if "not a finite number" in json.dumps(entry)]
    assert complaints
    assert all("Traceback" not in json.dumps(entry) for entry in complaints)


# ---- what a hospital can get wrong


def test_changed_code_is_refused_until_the_policy_names_it(own: OwnStudy, tmp_path: Path) -> None:
    folder = own.folders["hungary"]
    source = folder / "small_network.py"
    before = source.read_text()
    source.write_text(before + "\n# changed\n")
    try:
        said = run_in(folder, ["study", "approve", "study.yaml", "--profile", "profiles/admin.yaml"], code=1)
        assert "isn't the one in the file: code is" in said
        checked = subprocess.run(
            command(["client", "check", "--config", "hospital.yaml"]),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert checked.returncode == 1
        assert re.search(r"FAIL  policy and code .*code", checked.stdout)
    finally:
        source.write_text(before)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study", "status", "no-such-study", "--profile", "profiles/client.yaml"], "no-such-study"),
        (["study", "close", "no-such-study", "--profile", "profiles/admin.yaml"], "no-such-study"),
        (["study", "close", "own-table", "--profile", "profiles/client.yaml"], "dmin"),
        (["study", "propose", "study.yaml", "--profile", "profiles/admin.yaml"], "own-table"),
        (["model", "export", "no-such-study", "--config", "hospital.yaml", "--out", "x"], "no-such-study"),
        (["model", "predict", "own.safetensors", "--study", "sick.yaml", "--table", "new.csv"], "code"),
        (["model", "predict", "own.safetensors", "--study", "study.yaml", "--table", "absent.csv"], "absent.csv"),
    ],
)
def test_a_mistake_at_the_command_line_is_one_line(own: OwnStudy, words: list[str], message: str) -> None:
    said = own.run("hungary", *words, code=1)
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


def test_an_agent_with_a_table_out_of_range_does_not_start(own: OwnStudy) -> None:
    folder = own.folders["hungary"]
    lines = (folder / "patients.csv").read_text().splitlines()
    (folder / "broken.csv").write_text("\n".join([lines[0], "61,yes,14.2,1", *lines[2:]]) + "\n")
    configuration = yaml.safe_load((folder / "hospital.yaml").read_text())
    (folder / "broken.yaml").write_text(yaml.safe_dump({**configuration, "table": "broken.csv", "state": "fresh"}))
    said = run_in(folder, ["client", "run", "--config", "broken.yaml"], code=1)
    assert re.search(r"broken.csv line 2: pressure is 14.2; expected a number of mmHg from 50 to 260", said)
