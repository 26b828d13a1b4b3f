"""How good a model is on rows it wasn't trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from consilium_client.data import Dataset, Features
from consilium_client.training.task import Parameters, TrainingTask, load_parameters, new_model

THRESHOLD = 0.5


@dataclass(frozen=True)
class Evaluation:
    """Scores, float64[n], and labels, int64[n], of held-out rows."""

    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]

    @property
    def auc(self) -> float | None:
        """The area under the ROC curve; None when all rows are of one class."""
        if len(np.unique(self.labels)) < 2:
            return None
        from sklearn.metrics import roc_auc_score  # slow to import, and only needed here

        return float(roc_auc_score(self.labels, self.scores))

    @property
    def accuracy(self) -> float:
        """The proportion of rows classified rightly at 0.5."""
        return float(((self.scores >= THRESHOLD) == (self.labels == 1)).mean())

    def metrics(self) -> dict[str, Any]:
        """Return the figures, which say nothing of a single row."""
        return {"auc": self.auc, "accuracy": self.accuracy, "rows": len(self.labels)}

    def released_scores(self) -> dict[str, Any]:
        """Return score and class of each held-out row, for hospitals whose policy releases them."""
        return {"scores": [round(float(score), 6) for score in self.scores], "labels": self.labels.tolist()}


def predict(task: TrainingTask, parameters: Parameters, features: Features) -> npt.NDArray[np.float64]:
    """Return the probability of the positive class for each row, float64[n]."""
    model = new_model(task, features.shape[1])
    load_parameters(model, parameters)
    model.eval()
    with torch.no_grad():
        scores: npt.NDArray[np.float64] = torch.sigmoid(model(torch.from_numpy(features)).squeeze(-1)).numpy()
    return scores


def evaluate(task: TrainingTask, parameters: Parameters, rows: Dataset) -> Evaluation:
    """Judge a model on rows."""
    return Evaluation(predict(task, parameters, rows.features), rows.labels)


def evaluate_together(parts: list[Evaluation]) -> Evaluation:
    """Judge on the rows of all parts at once."""
    return Evaluation(np.concatenate([p.scores for p in parts]), np.concatenate([p.labels for p in parts]))
