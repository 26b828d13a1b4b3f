"""Runs studies at four hospitals on the shared network and kills one process of every kind in the middle of a round.

Three studies run at once in the same agents: two twins without noise and with the same seed, and one with privacy.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from consilium_demo.processes import Background, run, run_each, run_json
from consilium_demo.scenario import HospitalFiles, Variation, study_document, write_hospitals
from consilium_network.network import Network
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.records import RoundView, StudyView

TWINS = ("twin-one", "twin-two")
PRIVATE = "private"
ROUNDS = {**dict.fromkeys(TWINS, 5), PRIVATE: 2}
DEADLINES = {"open": 180, "sealed": 180, "anchored": 180, "aggregated": 180}
# Who is killed, one in each round of the first twin.
VICTIMS = ("client hungary", "aggregator", "peer.cleveland", "orderer.hungary", "federation.switzerland")
FINISHED_SECONDS = 600


@dataclass
class KilledStudies:
    """What is left of the studies: files, the ledger's word, and in which phase of a round each victim was killed."""

    folder: Path
    hospitals: list[HospitalFiles]
    kills: dict[str, str] = field(default_factory=dict)
    studies: dict[str, StudyView] = field(default_factory=dict)
    rounds: dict[str, list[RoundView]] = field(default_factory=dict)

    def log_entries(self, hospital: str) -> list[dict[str, Any]]:
        """Return what a hospital's agent logged, in all its lives."""
        lines = [
            line for path in (self.folder / "logs").glob(f"{hospital}*.log") for line in path.read_text().splitlines()
        ]
        return [json.loads(line) for line in lines if line.startswith("{")]


def documents() -> dict[str, dict[str, Any]]:
    """Return the study files' contents by the studies' names."""
    common: dict[str, Any] = {"deadlines": DEADLINES, "clock_tolerance": 10}
    made = {}
    for name, rounds in ROUNDS.items():
        changes = {**common, "study": name, "rounds": rounds}
        made[name] = study_document(Variation(privacy=name == PRIVATE, changes=changes))
    return made


async def run_killed_studies(network: Network, folder: Path) -> KilledStudies:
    """Prepare, run, kill, wait until all studies are finished, and read them from the ledger."""
    result = KilledStudies(folder, await asyncio.to_thread(_prepare, network, folder))
    async with Gateway.connect(Profile.load(network.profile("longbeach"))) as gateway:
        federation = Federation(gateway.network().contract())
        with Background(folder / "logs") as background:
            starts = _Starts(network, result, background)
            starts.aggregator()
            for files in result.hospitals:
                starts.agent(files)
            await _kill_one_per_round(network, federation, result, starts)
            await _until_finished(federation, result)
        for name in ROUNDS:
            result.studies[name] = await federation.read_study(name)
            last = result.studies[name].head.round
            result.rounds[name] = [await federation.read_round(name, number) for number in range(1, last + 1)]
    return result


def _prepare(network: Network, folder: Path) -> list[HospitalFiles]:
    hospitals = write_hospitals(folder, network.folder.root, Variation())
    contents = documents()
    for files in hospitals:
        for name, content in contents.items():
            (files.folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        configuration = yaml.safe_load(files.configuration.read_text())
        configuration["studies"] = [f"{name}.yaml" for name in contents]
        files.configuration.write_text(yaml.safe_dump(configuration))
    code = run_json("study", "digest", hospitals[0].folder / f"{PRIVATE}.yaml")["code"]
    for files in hospitals:
        _write_policy(files, code, contents)
        run("client", "sign-policy", files.policy, "--profile", network.profile(files.name, "admin"))
    first = hospitals[0]
    run_each(
        [
            ("study", "propose", first.folder / f"{name}.yaml", "--profile", network.profile(first.name, "admin"))
            for name in contents
        ]
    )
    run_each(
        [
            ("study", "approve", files.folder / f"{name}.yaml", "--profile", network.profile(files.name, "admin"))
            for name in contents
            for files in hospitals[:3]
        ]
    )
    return hospitals


def _write_policy(files: HospitalFiles, code: str, contents: dict[str, dict[str, Any]]) -> None:
    rules = [
        {
            "study": name,
            "purpose": content["purpose"],
            "code": [code],
            "epsilon_budget": content["privacy"]["epsilon_budget"] if "privacy" in content else "none",
            "minimum_hospitals": 4,
            "release": ["metrics"],
        }
        for name, content in contents.items()
    ]
    files.policy.write_text(yaml.safe_dump({"hospital": files.msp_id, "studies": rules}))


@dataclass
class _Starts:
    """Starts agents and the aggregator; each life has a log of its own."""

    network: Network
    result: KilledStudies
    background: Background
    lives: int = 0

    def aggregator(self) -> str:
        profile = self.network.profile("aggregator", "aggregator")
        return self._start(
            "aggregator", "aggregator", "run", "--profile", profile, "--state", self.result.folder / "aggregator"
        )

    def agent(self, files: HospitalFiles) -> str:
        return self._start(files.name, "client", "run", "--config", files.configuration, "--until-finished")

    def _start(self, name: str, *words: str | Path) -> str:
        self.lives += 1
        life = f"{name}-{self.lives}"
        self.background.start(life, *words)
        return life


async def _kill_one_per_round(network: Network, federation: Federation, result: KilledStudies, starts: _Starts) -> None:
    names = {"aggregator": "aggregator-1", "client hungary": "hungary-3"}
    for number, victim in enumerate(VICTIMS, start=1):
        view = await _undecided_round(federation, number)
        if victim in names:
            os.kill(starts.background.pid(names[victim]), signal.SIGKILL)
            if victim == "client hungary":  # and its disk loses the privacy account
                shutil.rmtree(result.hospitals[1].folder / "state" / "privacy", ignore_errors=True)
            await asyncio.sleep(0.3)
            starts.aggregator() if victim == "aggregator" else starts.agent(result.hospitals[1])
        else:
            pid = network.pid(victim)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        result.kills[victim] = view.round.phase.value


async def _undecided_round(federation: Federation, number: int) -> RoundView:
    """Wait until the first twin is in the middle of its round of that number."""
    async with asyncio.timeout(FINISHED_SECONDS):
        while True:
            head = (await federation.read_study(TWINS[0])).head
            if head.round >= number and head.undecided:
                view = await federation.read_round(TWINS[0], head.round)
                if not view.round.phase.decided:
                    return view
            assert head.round <= number or head.undecided or head.final_rounds < ROUNDS[TWINS[0]]
            await asyncio.sleep(0.05)


async def _until_finished(federation: Federation, result: KilledStudies) -> None:
    deadline = time.monotonic() + FINISHED_SECONDS
    while True:
        heads = {name: (await federation.read_study(name)).head for name in ROUNDS}
        settled = all(
            len(list((files.folder / "state" / "released" / name).glob("round-*.json"))) >= ROUNDS[name]
            for files in result.hospitals
            for name in ROUNDS
        )
        if settled and all(head.final_rounds >= ROUNDS[name] for name, head in heads.items()):
            return
        assert time.monotonic() < deadline, f"not finished: {heads}"
        await asyncio.sleep(0.3)
