"""The exported model: numbers and lineage that can be checked, nothing that runs, nothing that was changed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from consilium_client.errors import ModelFileError, TableError
from consilium_client.journal import model_digest
from consilium_client.model_file import LineageStep, ModelCard, predict, read_model
from consilium_client.study_file import load_study_file
from consilium_demo import heart
from consilium_demo.scenario import Variation, study_document

HOSPITALS = ("ClevelandMSP", "HungaryMSP", "SwitzerlandMSP")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study_document(Variation())))
    return path


@pytest.fixture
def card(study: Path) -> ModelCard:
    loaded = load_study_file(study)
    digest = model_digest(loaded.initial_parameters())
    step = LineageStep(1, digest, digest, HOSPITALS, HOSPITALS)
    terms = loaded.terms
    return ModelCard(
        terms.study, terms.purpose, "c", 1, digest, terms.code, terms.schema, digest, HOSPITALS, lineage=(step,)
    )


def write(path: Path, card: ModelCard, parameters: np.ndarray[Any, Any], form: str = "consilium model 1") -> Path:
    save_file(
        {"parameters": parameters}, path, metadata={"consilium": json.dumps({"format": form, "card": card.as_dict()})}
    )
    return path


def test_it_is_read_back_with_its_lineage(tmp_path: Path, study: Path, card: ModelCard) -> None:
    parameters = load_study_file(study).initial_parameters()
    read = read_model(write(tmp_path / "m", card, parameters))
    assert read.card == card
    assert read.parameters.tobytes() == parameters.tobytes()


def test_a_changed_parameter_is_noticed(tmp_path: Path, study: Path, card: ModelCard) -> None:
    parameters = load_study_file(study).initial_parameters()
    parameters[3] = np.nextafter(parameters[3], 1)
    with pytest.raises(ModelFileError, match="was changed: its parameters have digest"):
        read_model(write(tmp_path / "m", card, parameters))


def test_files_that_are_no_models(tmp_path: Path, card: ModelCard) -> None:
    with pytest.raises(ModelFileError, match="write one: consilium model export"):
        read_model(tmp_path / "absent")
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(ModelFileError, match="isn't a Consilium model"):
        read_model(tmp_path / "text")
    save_file({"weights": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(ModelFileError, match="isn't a Consilium model"):
        read_model(tmp_path / "other")
    with pytest.raises(ModelFileError, match="has format 'consilium model 9'; this release reads 'consilium model 1'"):
        read_model(write(tmp_path / "new", card, np.zeros(3), form="consilium model 9"))


def test_it_scores_a_table_and_only_with_its_own_study(tmp_path: Path, study: Path, card: ModelCard) -> None:
    model = write(tmp_path / "m", card, load_study_file(study).initial_parameters())
    table = heart.write_tables(tmp_path / "data")["cleveland"]
    lines = predict(model, study, table)
    assert lines[0] == "row,score"
    assert len(lines) == 304
    assert all(0 <= float(line.split(",")[1]) <= 1 for line in lines[1:])
    other = write(
        tmp_path / "o", dataclasses.replace(card, code="00" * 32), load_study_file(study).initial_parameters()
    )
    with pytest.raises(ModelFileError, match=r"code .* isn't the one the model was trained with"):
        predict(other, study, table)
    broken = tmp_path / "broken.csv"
    broken.write_text("age\n1\n")
    with pytest.raises(TableError, match="lacks column"):
        predict(model, study, broken)
