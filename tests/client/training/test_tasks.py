"""Training tasks: found by name or in a hospital's own file, named by a digest over source and parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilium_client.errors import TaskError
from consilium_client.training.task import flatten, initial_parameters, load_parameters, load_task, new_model

LOGISTIC = "consilium_client.training.logistic:LogisticRegression"
OWN = """
from torch import nn
from consilium_client.training.task import TrainingTask

class Mine(TrainingTask):
    def __init__(self, *, hidden: int = 3, **parameters):
        super().__init__(**parameters)
        self.hidden = hidden

    def build_model(self, features):
        return nn.Sequential(nn.Linear(features, self.hidden), nn.Tanh(), nn.Linear(self.hidden, 1))
"""


def own_file(folder: Path, source: str = OWN) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(source)
    return folder


def test_a_class_in_ones_own_file_is_a_task(tmp_path: Path) -> None:
    task, _ = load_task("mine.py:Mine", {"hidden": 5, "epochs": 2}, own_file(tmp_path))
    assert task.epochs == 2
    assert initial_parameters(task, 4, seed=1).shape == (4 * 5 + 5 + 5 + 1,)


def test_the_digest_covers_source_class_and_parameters(tmp_path: Path) -> None:
    first = load_task("mine.py:Mine", {"hidden": 5}, own_file(tmp_path / "a"))[1]
    same = load_task("mine.py:Mine", {"hidden": 5}, own_file(tmp_path / "b"))[1]
    parameter = load_task("mine.py:Mine", {"hidden": 6}, tmp_path / "a")[1]
    source = load_task("mine.py:Mine", {"hidden": 5}, own_file(tmp_path / "c", OWN + "# changed\n"))[1]
    assert first == same
    assert len({first, parameter, source}) == 3


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("Mine", {}, "expected module:Class or file.py:Class"),
        ("absent.py:Mine", {}, "no task file at"),
        ("no.such.module:Mine", {}, "can't be imported"),
        ("mine.py:Other", {}, "has no class Other derived from TrainingTask"),
        ("pathlib:Path", {}, "has no class Path derived from TrainingTask"),
        ("mine.py:Mine", {"depth": 3}, "doesn't take parameters"),
        ("mine.py:Mine", {"epochs": 0}, "epochs 0 .* must be at least 1"),
        (LOGISTIC, {"learning_rate": -1}, "learning_rate -1 above 0"),
    ],
)
def test_a_task_that_cannot_be_loaded_says_why(
    tmp_path: Path, name: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        load_task(name, parameters, own_file(tmp_path))


def test_a_task_file_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"mine.py fails: ZeroDivisionError"):
        load_task("mine.py:Mine", {}, own_file(tmp_path, "1 / 0\n"))


MODEL = "return nn.Sequential(nn.Linear(features, self.hidden), nn.Tanh(), nn.Linear(self.hidden, 1))"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return nn.Linear(features, 2)", r"gives shape \(2, 2\) for 2 rows; expected one logit per row, \(2, 1\)"),
        ("return nn.Linear(features + 1, 1)", r"fails on rows of 6 features: RuntimeError"),
        ("return nn.Identity()", "has no parameters to train"),
        ("raise ValueError('too narrow')", "can't build a model for 6 features: ValueError: too narrow"),
        ("return None", "can't build a model for 6 features: AttributeError"),
    ],
)
def test_a_model_of_a_wrong_shape_is_refused_before_any_round(tmp_path: Path, body: str, message: str) -> None:
    task, _ = load_task("mine.py:Mine", {}, own_file(tmp_path, OWN.replace(MODEL, body)))
    with pytest.raises(TaskError, match=message):
        initial_parameters(task, 6, seed=1)


def test_the_first_model_follows_from_the_seed(tmp_path: Path) -> None:
    task, _ = load_task("mine.py:Mine", {}, own_file(tmp_path))
    one, again, other = (initial_parameters(task, 6, seed) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_parameters_come_back_as_they_were_written() -> None:
    task, _ = load_task(LOGISTIC, {}, Path())
    model = new_model(task, 3)
    values = np.array([0.25, -1e-300, 3.0, 1 / 3])
    load_parameters(model, values)
    assert flatten(model).tobytes() == values.tobytes()
    with pytest.raises(TaskError, match="4 parameters, the vector has shape"):
        load_parameters(model, values[:3])
    with pytest.raises(TaskError, match="parameter 2 isn't finite"):
        load_parameters(model, np.array([0.0, 1.0, np.nan, 0.0]))
