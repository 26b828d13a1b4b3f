"""Logistic regression for tables."""

from __future__ import annotations

from torch import nn

from consilium_client.training.task import TrainingTask


class LogisticRegression(TrainingTask):
    """One weight per feature and a bias; starts at zero."""

    def build_model(self, features: int) -> nn.Module:
        """Return the model."""
        model = nn.Linear(features, 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        return model
