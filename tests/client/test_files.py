"""A hospital's files: every field that is missing, unknown or out of range is one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import UNSET

from consilium_client.configuration import load_configuration
from consilium_client.errors import ConfigurationError, TaskError
from consilium_client.study_file import load_study_file
from consilium_demo.scenario import Variation, study_document
from consilium_proto.ethereum.scalars import as_quantity
from consilium_proto.records import PrivacyTerms, RewardTerms

CONFIGURATION: dict[str, Any] = {
    "profile": "profiles/client.yaml",
    "table": "rows.csv",
    "data_set": "registry",
    "policy": "policy.yaml",
    "state": "state",
    "studies": ["heart.yaml"],
}
REMOVED = object()


def written(folder: Path, document: dict[str, Any], **changes: Any) -> Path:
    path = folder / "file.yaml"
    content = {name: value for name, value in {**document, **changes}.items() if value is not REMOVED}
    path.write_text(yaml.safe_dump(content))
    return path


# ---- the hospital's configuration


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    configuration = load_configuration(written(tmp_path, CONFIGURATION, passphrase_file="secret"))
    assert configuration.table == tmp_path / "rows.csv"
    assert configuration.studies == (tmp_path / "heart.yaml",)
    assert configuration.passphrase_file == tmp_path / "secret"
    assert load_configuration(written(tmp_path, CONFIGURATION)).passphrase_file is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tabel": "rows.csv"}, "unknown field 'tabel'; known are data_set, encryption"),
        ({"table": REMOVED}, "table is None; expected a text"),
        ({"state": 3}, "state is 3; expected a text"),
        ({"studies": []}, r"studies is \[\]; expected a list of study files"),
        ({"studies": "heart.yaml"}, "studies is 'heart.yaml'; expected a list"),
    ],
)
def test_a_bad_configuration_names_the_field(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_configuration(written(tmp_path, CONFIGURATION, **changes))


@pytest.mark.parametrize("load", [load_configuration, load_study_file])
def test_files_that_are_missing_or_something_else(tmp_path: Path, load: Any) -> None:
    path = tmp_path / "file.yaml"
    with pytest.raises(ConfigurationError, match=r"at .*file.yaml; docs/.* shows one"):
        load(path)
    path.write_text("[1, 2]")
    with pytest.raises(ConfigurationError, match="list"):
        load(path)
    path.write_text("a: [")
    with pytest.raises(ConfigurationError, match="isn't YAML"):
        load(path)


# ---- the study


def test_the_terms_follow_from_the_file(tmp_path: Path) -> None:
    study = load_study_file(written(tmp_path, study_document(Variation())))
    assert study.terms.privacy == PrivacyTerms(
        noise_multiplier_milli=2100,
        clip_milli=1000,
        delta_numerator=1,
        delta_denominator=1000,
        epsilon_budget_micro=3_000_000,
    )
    assert study.terms.parameters == study.table.width + 1 == len(study.initial_parameters())
    assert study.terms == load_study_file(written(tmp_path, study_document(Variation()))).terms


def test_without_the_privacy_part_there_is_none(tmp_path: Path) -> None:
    assert load_study_file(written(tmp_path, study_document(Variation(privacy=False)))).terms.privacy is None


def test_a_reward_is_written_in_tokens_and_may_be_left_out(tmp_path: Path) -> None:
    document = study_document(Variation())
    assert load_study_file(written(tmp_path, document, reward=REMOVED)).terms.reward is UNSET
    offered = {"per_round": 0.5, "weight_cap": 300}
    found = load_study_file(written(tmp_path, document, reward=offered)).terms.reward
    assert found == RewardTerms(pot=as_quantity(5 * 10**17), weight_cap=300)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"round": 3}, "unknown field 'round'"),
        ({"rounds": REMOVED}, "'rounds' is missing"),
        ({"rounds": 0}, "rounds"),
        ({"rounds": "ten"}, "rounds"),
        ({"study": "Heart Study"}, "study"),
        ({"coordinator": ""}, "coordinator"),
        ({"participants": ["ClevelandMSP"]}, "expected 'MSP id: largest sample count'"),
        ({"participants": {"AMSP": 0, "BMSP": 1, "CMSP": 1}}, "sample_cap"),
        ({"deadlines": {"open": 60}}, "deadlines"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
        ({"held_out": 1}, "held_out is 1; expected a proportion"),
        ({"held_out": "some"}, "held_out is 'some'; expected a number"),
        ({"update_bound": 0}, "update_bound is 0; expected a number above 0"),
        ({"update_bound": "nan"}, "update_bound is 'nan'; expected a number above 0"),
        ({"update_bound": 0.00000001}, "at most 6 decimals are kept"),
        ({"task": "mlp"}, "task is 'mlp'; expected 'class'"),
        ({"task": {"class": "a:B", "code": "x"}}, "expected 'class' and, if you like, 'parameters'"),
        ({"reward": {"per_round": 1}}, "reward needs exactly per_round, weight_cap"),
        ({"reward": {"per_round": 0, "weight_cap": 1}}, "reward.per_round is 0; expected a number above 0"),
        ({"reward": {"per_round": "1e-19", "weight_cap": 1}}, "reward.per_round: '1e-19' is no number of tokens"),
        ({"reward": {"per_round": 1, "weight_cap": 0}}, r"reward.weight_cap"),
        ({"privacy": {"clip": 1}}, "privacy needs exactly noise_multiplier, clip, delta, epsilon_budget"),
        ({"privacy": dict.fromkeys(("noise_multiplier", "clip", "delta", "epsilon_budget"), -1)}, "above 0"),
    ],
)
def test_a_bad_study_names_the_field(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_study_file(written(tmp_path, study_document(Variation()), **changes))


@pytest.mark.parametrize("hidden", ["wide", [4], 0, -1])
def test_task_parameters_that_fit_no_model(tmp_path: Path, hidden: object) -> None:
    task = {"class": "consilium_client.training.mlp:MultilayerPerceptron", "parameters": {"hidden": hidden}}
    with pytest.raises(TaskError, match="hidden"):
        load_study_file(written(tmp_path, study_document(Variation()), task=task))
