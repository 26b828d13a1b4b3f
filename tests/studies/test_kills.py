"""kill -9 of a client, the aggregator, a peer, an orderer and a chaincode service, each in the middle of a round."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from killed_studies import PRIVATE, ROUNDS, TWINS, VICTIMS, KilledStudies

from consilium_client.data import data_set_digest
from consilium_client.training_site import account_path
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import RoundPhase

pytestmark = pytest.mark.network


def test_every_victim_was_killed_in_the_middle_of_a_round(killed: KilledStudies) -> None:
    assert set(killed.kills) == set(VICTIMS)
    assert not {phase for phase in killed.kills.values() if RoundPhase(phase).decided}


@pytest.mark.parametrize("study", ROUNDS)
def test_every_round_ends_final_with_all_hospitals(killed: KilledStudies, study: str) -> None:
    assert killed.studies[study].head.final_rounds == ROUNDS[study]
    for view in killed.rounds[study]:
        assert view.round.phase is RoundPhase.FINAL, view.round
        assert view.round.attempt == 0
        assert len(view.round.participants) == 4


@pytest.mark.parametrize("study", ROUNDS)
def test_no_transaction_is_lost(killed: KilledStudies, study: str) -> None:
    for view in killed.rounds[study]:
        hospitals = set(view.round.participants)
        assert {entry.hospital for entry in view.joins} == hospitals
        assert {entry.hospital for entry in view.anchors} == hospitals
        assert {entry.hospital for entry in view.attestations} == hospitals


@pytest.mark.parametrize("study", ROUNDS)
def test_every_hospital_attests_the_same_model_in_every_round(killed: KilledStudies, study: str) -> None:
    for view in killed.rounds[study]:
        assert {entry.attestation.model for entry in view.attestations} == {view.round.model}
        assert set(view.round.attested_by) == set(view.round.participants)


def test_the_same_study_twice_gives_the_same_models(killed: KilledStudies) -> None:
    first, second = ([view.round.model for view in killed.rounds[name]] for name in TWINS)
    assert first == second
    assert len(set(first)) == len(first), "each round moved the model"


def test_nobody_trains_or_encrypts_a_round_twice(killed: KilledStudies) -> None:
    for files in killed.hospitals:
        entries = killed.log_entries(files.name)
        for event in ("trained", "encrypted"):
            done = Counter((entry["study"], entry["round"]) for entry in entries if entry["event"] == event)
            assert len(done) == sum(ROUNDS.values()), files.name
            assert set(done.values()) == {1}, files.name


def test_nobody_counts_privacy_twice(killed: KilledStudies) -> None:
    for files in killed.hospitals:
        data_set = data_set_digest(files.msp_id, "heart-registry")
        account = json.loads(account_path(files.folder / "state", data_set).read_text())
        assert set(account["rounds"]) == {f"{PRIVATE}/{number}" for number in range(1, ROUNDS[PRIVATE] + 1)}
        entries = [
            entry.anchor.privacy
            for view in killed.rounds[PRIVATE]
            for entry in view.anchors
            if entry.hospital == files.msp_id
        ]
        spent = []
        for number, entry in enumerate(entries, start=1):
            assert entry is not None
            assert entry.data_set == data_set
            assert entry.epsilon_before_micro == epsilon_micro(spent, 1, 1000)
            spent.append(
                GaussianSteps(
                    entry.sample_rate_numerator,
                    entry.sample_rate_denominator,
                    entry.noise_multiplier_milli,
                    entry.steps,
                )
            )
            assert entry.epsilon_after_micro == epsilon_micro(spent, 1, 1000)
            held = account["rounds"][f"{PRIVATE}/{number}"]
            assert (held["steps"], held["noise_multiplier_milli"]) == (entry.steps, entry.noise_multiplier_milli)


def test_a_hospital_releases_no_more_than_its_policy_says(killed: KilledStudies) -> None:
    released = [path for files in killed.hospitals for path in (files.folder / "state" / "released").rglob("*.json")]
    assert len(released) == 4 * sum(ROUNDS.values())
    assert all("held_out" not in json.loads(path.read_text()) for path in released)
    assert all("auc" in json.loads(path.read_text())["metrics"] for path in released)
