"""Training tasks: plain classes, also a hospital's own, that say which model is trained and how.

    class Mine(TrainingTask):
        def build_model(self, features: int) -> nn.Module:
            return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, 1))

A study names the class and its parameters. Its digest covers the source file and the parameters, so hospitals approve
code, not a name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from consilium_client.errors import TaskError

Parameters = npt.NDArray[np.float64]


class TrainingTask(ABC):
    """What is trained, and how. A model takes features, float64[batch, d], and returns one logit per row, [batch, 1].

    Args:
        learning_rate: of stochastic gradient descent.
        momentum: of stochastic gradient descent.
        epochs: passes over the hospital's rows per round.
        steps_per_epoch: batches per pass; with privacy noise each step samples a row with probability 1/steps.
        weight_decay: L2 penalty.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.5,
        momentum: float = 0.0,
        epochs: int = 1,
        steps_per_epoch: int = 4,
        weight_decay: float = 0.0,
    ) -> None:
        if epochs < 1 or steps_per_epoch < 1 or learning_rate <= 0:
            raise TaskError(
                f"epochs {epochs} and steps_per_epoch {steps_per_epoch} must be at least 1, "
                f"learning_rate {learning_rate} above 0"
            )
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.weight_decay = weight_decay

    @abstractmethod
    def build_model(self, features: int) -> nn.Module:
        """Return a fresh model for `features` inputs and one output, the logit of the positive class."""

    def loss(self) -> nn.Module:
        """Return the loss, averaged over rows; it must be a sum over rows, or privacy can't be accounted."""
        return nn.BCEWithLogitsLoss()

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of one round."""
        return torch.optim.SGD(
            model.parameters(), lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay
        )


def new_model(task: TrainingTask, features: int) -> nn.Module:
    """Return the task's model in double precision, on the CPU.

    Raises:
        TaskError: the task can't build one for so many features.
    """
    try:
        return task.build_model(features).double()
    except Exception as error:  # whatever a hospital's own class raises
        raise TaskError(
            f"{type(task).__name__} can't build a model for {features} features: {type(error).__name__}: {error}"
        ) from None


def flatten(model: nn.Module) -> Parameters:
    """Return a model's parameters as one vector, float64[P], in the order in which the model registers them."""
    return np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()]).astype(np.float64)


def load_parameters(model: nn.Module, parameters: Parameters) -> None:
    """Write a vector, float64[P], into a model.

    Raises:
        TaskError: its length isn't the model's, or a value isn't finite.
    """
    expected = sum(p.numel() for p in model.parameters())
    if parameters.shape != (expected,):
        raise TaskError(f"the model has {expected} parameters, the vector has shape {parameters.shape}")
    if not np.isfinite(parameters).all():
        raise TaskError(f"parameter {int(np.argmin(np.isfinite(parameters)))} isn't finite")
    start = 0
    with torch.no_grad():
        for parameter in model.parameters():
            part = parameters[start : start + parameter.numel()]
            parameter.copy_(torch.from_numpy(part.copy()).reshape(parameter.shape))
            start += parameter.numel()


def initial_parameters(task: TrainingTask, features: int, seed: int) -> Parameters:
    """Return the first model of a study, float64[P]: the same for everybody with the same seed.

    Raises:
        TaskError: the task's model can't be built, has no parameters, or doesn't give one logit per row.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = new_model(task, features)
    _check_outputs(task, model, features)
    return flatten(model)


def _check_outputs(task: TrainingTask, model: nn.Module, features: int) -> None:
    name = type(task).__name__
    if not any(parameter.numel() for parameter in model.parameters()):
        raise TaskError(f"the model of {name} has no parameters to train")
    model.eval()
    try:
        with torch.no_grad():
            shape = tuple(model(torch.zeros(2, features, dtype=torch.float64)).shape)
    except Exception as error:  # whatever a hospital's own model raises
        raise TaskError(
            f"the model of {name} fails on rows of {features} features: {type(error).__name__}: {error}"
        ) from None
    if shape != (2, 1):
        raise TaskError(f"the model of {name} gives shape {shape} for 2 rows; expected one logit per row, (2, 1)")


# ---- finding a task


def load_task(name: str, parameters: dict[str, Any], folder: Path) -> tuple[TrainingTask, str]:
    """Load `module:Class` or `file.py:Class` (relative to `folder`) and return the task and its code digest.

    Raises:
        TaskError: there is no such class, it isn't a TrainingTask, or it doesn't take the parameters.
    """
    place, _, class_name = name.rpartition(":")
    if not place:
        raise TaskError(f"task {name!r}: expected module:Class or file.py:Class")
    module = _load_file(folder / place) if place.endswith(".py") else _load_module(place)
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, TrainingTask)):
        raise TaskError(f"task {name!r}: {place} has no class {class_name} derived from TrainingTask")
    try:
        task = found(**parameters)
    except TypeError as error:
        raise TaskError(f"task {name!r} doesn't take parameters {parameters}: {error}") from None
    return task, code_digest(Path(inspect.getfile(found)), class_name, parameters)


def code_digest(source: Path, class_name: str, parameters: dict[str, Any]) -> str:
    """Return the SHA-256 over a task's source file, its class and its parameters."""
    described = json.dumps({"class": class_name, "parameters": parameters}, sort_keys=True).encode()
    content = source.read_bytes()
    return hashlib.sha256(b"consilium task v1\0" + len(content).to_bytes(8, "big") + content + described).hexdigest()


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TaskError(f"task module {name!r} can't be imported: {error}") from None


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TaskError(f"no task file at {path}")
    name = f"consilium_task_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise TaskError(f"the task file {path} fails: {type(error).__name__}: {error}") from None
    return module
