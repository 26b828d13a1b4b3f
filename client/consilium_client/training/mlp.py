"""A small neural network for tables."""

from __future__ import annotations

from typing import Any

from torch import nn

from consilium_client.errors import TaskError
from consilium_client.training.task import TrainingTask


class MultilayerPerceptron(TrainingTask):
    """One hidden layer of `hidden` units with tanh."""

    def __init__(self, *, hidden: int = 16, **parameters: Any) -> None:
        super().__init__(**parameters)
        if not isinstance(hidden, int) or hidden < 1:
            raise TaskError(f"hidden is {hidden!r}; expected a number of units from 1")
        self.hidden = hidden

    def build_model(self, features: int) -> nn.Module:
        """Return the model."""
        return nn.Sequential(nn.Linear(features, self.hidden), nn.Tanh(), nn.Linear(self.hidden, 1))
