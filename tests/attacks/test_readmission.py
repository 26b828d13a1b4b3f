"""What becomes of a proved liar and of a removed holder in the rounds that follow, through the command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from attack_stage import CHEAT, COORDINATOR, HOSPITALS, SetUp, Stage, know_wrapping_keys
from dishonest_hospitals import DishonestLedger, deceive, withheld
from expectations import assert_final
from patience import SETTLING_SECONDS, persistently
from test_dishonest_hospitals import false_own, lists, with_first_off, writes

from consilium_client import holders
from consilium_demo.processes import command
from consilium_network.network import Network
from consilium_proto.records import Opening, RoundPhase

pytestmark = pytest.mark.network

COORDINATORS_NAME = "cleveland"
COMMAND_SECONDS = 120


async def study_command(network: Network, name: str, user: str, *words: str) -> dict[str, Any]:
    """Run `consilium study WORDS --json` with a hospital's profile and return what it prints."""
    profile = str(network.profile(name, user))
    process = await asyncio.create_subprocess_exec(
        *command(["study", *words, "--profile", profile, "--json"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_SECONDS):
        printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    document: dict[str, Any] = json.loads(printed)
    return document


async def stage_of_one_round(new_stage: SetUp) -> Stage:
    """Set up a study whose coordinator opens no round by itself, in which the cheat will be barred."""
    stage = await new_stage()
    deceive(stage, fingerprint=writes(false_own), list_values=lists(with_first_off))
    stage.ledgers[COORDINATOR] = DishonestLedger(stage, {"open_round": withheld}, COORDINATOR)
    return stage


async def open_second_round(stage: Stage) -> tuple[str, ...]:
    """Open round 2 on the model of round 1 and return who may take part."""
    client = stage.parties["ClevelandMSP"].client
    model = (await stage.view()).round.model
    assert model is not None
    await persistently(lambda: client.open_round(Opening(study=stage.name, round=2, base=model, epoch=1)))
    return (await stage.until(lambda view: view.round.phase is RoundPhase.OPEN, number=2)).round.participants


async def test_a_barred_party_is_readmitted_by_a_majority(network: Network, new_stage: SetUp) -> None:
    """Its own word doesn't count; until then it neither joins nor publishes."""
    stage = await stage_of_one_round(new_stage)
    assert_final(stage, await stage.play(), barred=[CHEAT])
    shown = await study_command(network, COORDINATORS_NAME, "client", "status", stage.name)
    assert shown["barred"] == [{"party": CHEAT, "round": 1}]
    others = [name for name, organization in HOSPITALS.items() if organization != CHEAT]
    for place, name in enumerate(others):
        said = await study_command(network, name, "admin", "readmit", stage.name, CHEAT)
        assert said["readmitted"] == (place == 2)
    async with asyncio.timeout(SETTLING_SECONDS):
        while (await stage.study()).bars:  # it may be a block behind
            await asyncio.sleep(0.1)
    assert CHEAT in await open_second_round(stage)


async def test_who_is_barred_isnt_among_the_next_rounds_hospitals(new_stage: SetUp) -> None:
    stage = await stage_of_one_round(new_stage)
    assert_final(stage, await stage.play(), barred=[CHEAT])
    assert set(await open_second_round(stage)) == set(stage.parties) - {CHEAT}


async def test_a_removed_holder_starts_a_new_epoch(
    network: Network, new_stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open round is void, who could decrypt which round is a question to the ledger, and the next is without it."""
    stage = await new_stage()
    know_wrapping_keys(stage.parties, monkeypatch)
    client = stage.parties["ClevelandMSP"].client
    assert await holders.open_epoch(client, await client.read_study(stage.name), without=[CHEAT])
    async with stage.running(CHEAT):
        view = await stage.until(lambda seen: seen.round.phase.decided)
        second = await stage.first_under(2)
    assert view.round.phase is RoundPhase.VOID
    assert CHEAT not in second.round.participants
    first = await study_command(network, COORDINATORS_NAME, "client", "holders", stage.name, "--round", "1")
    newest = await study_command(network, COORDINATORS_NAME, "client", "holders", stage.name)
    assert (first["epoch"], newest["epoch"]) == (1, 2)
    assert set(first["holders"]) - set(newest["holders"]) == {CHEAT}
