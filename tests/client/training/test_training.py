"""Training: the same bits from the same seed without noise, never the same noise twice with it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from consilium_client.data import Dataset
from consilium_client.errors import PrivacyError
from consilium_client.training.accountant import sampled_steps
from consilium_client.training.evaluation import Evaluation, evaluate, evaluate_together
from consilium_client.training.logistic import LogisticRegression
from consilium_client.training.mlp import MultilayerPerceptron
from consilium_client.training.plain import train_plain
from consilium_client.training.private import train_private
from consilium_client.training.task import TrainingTask, initial_parameters

TASK = LogisticRegression(learning_rate=0.5, epochs=3, steps_per_epoch=4)


def rows(count: int, seed: int = 1, positives: float = 0.5) -> Dataset:
    source = np.random.default_rng(seed)
    labels = (source.random(count) < positives).astype(np.int64)
    return Dataset(np.clip(source.normal(0, 0.3, (count, 3)) + 0.5 * (2 * labels[:, None] - 1), -1, 1), labels)


# ---- without noise


@pytest.mark.parametrize("task", [TASK, MultilayerPerceptron(hidden=4)])
def test_the_same_seed_gives_the_same_bits(task: TrainingTask) -> None:
    base = initial_parameters(task, 3, seed=1)
    torch.set_num_threads(2)
    first = train_plain(task, rows(50), base, seed="a")
    torch.rand(7)  # whatever else uses torch's generator
    assert train_plain(task, rows(50), base, seed="a").tobytes() == first.tobytes()
    assert train_plain(task, rows(50), base, seed="b").tobytes() != first.tobytes()


def test_training_learns_and_one_class_alone_is_enough_to_train_on() -> None:
    base = initial_parameters(TASK, 3, seed=1)
    assert evaluate(TASK, train_plain(TASK, rows(200), base, seed="a"), rows(200, seed=2)).accuracy > 0.8
    single = train_plain(TASK, rows(50, positives=1.0), base, seed="a")
    assert np.isfinite(single).all()
    judged = evaluate(TASK, single, rows(20, positives=1.0))
    assert judged.auc is None
    assert judged.metrics() == {"auc": None, "accuracy": 1.0, "rows": 20}


def test_parts_are_judged_together() -> None:
    one, two = (Evaluation(np.array(s), np.array(y)) for s, y in (([0.9, 0.1], [1, 1]), ([0.2, 0.05], [0, 0])))
    assert one.auc is None
    assert evaluate_together([one, two]).auc == 0.75
    assert evaluate_together([one, two]).accuracy == 0.75


# ---- with noise

NOISY = "import sys; sys.path[:0] = {path!r}\n" + (
    "import numpy as np\n"
    "from consilium_client.data import Dataset\n"
    "from consilium_client.training.logistic import LogisticRegression\n"
    "from consilium_client.training.private import train_private\n"
    "rows = Dataset(np.zeros((40, 3)), np.zeros(40, dtype=np.int64))\n"
    "task = LogisticRegression(learning_rate=1.0, epochs=1, steps_per_epoch=4)\n"
    "print(train_private(task, rows, np.zeros(4), noise_multiplier=2.0, clip=1.0).tobytes().hex())\n"
)


def test_noise_is_drawn_anew_in_every_process() -> None:
    """torch starts every process with the same seed; noise that can be repeated hides nothing."""
    script = NOISY.format(path=sys.path)
    drawn = {subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(drawn) == 2


def test_the_noise_has_the_promised_size() -> None:
    """Rows without any signal: what moves the parameters is the noise alone, of standard deviation noise · clip."""
    task = LogisticRegression(learning_rate=1.0, epochs=1, steps_per_epoch=1)
    empty = Dataset(np.zeros((10, 400)), np.zeros(10, dtype=np.int64))
    moved = train_private(task, empty, np.zeros(401), noise_multiplier=3.0, clip=2.0)[:400]
    assert 0.85 < float(np.std(moved)) / (3.0 * 2.0 / 10) < 1.15


def test_one_row_moves_the_model_by_at_most_the_clip() -> None:
    task = LogisticRegression(learning_rate=1.0, epochs=1, steps_per_epoch=1)
    loud = Dataset(np.full((1, 3), 1000.0), np.ones(1, dtype=np.int64))
    moved = train_private(task, loud, np.zeros(4), noise_multiplier=1e-9, clip=0.5)
    assert float(np.linalg.norm(moved)) == pytest.approx(0.5, rel=1e-3)


def test_empty_batches_are_steps_like_any_other() -> None:
    task = LogisticRegression(learning_rate=0.1, epochs=40, steps_per_epoch=2)
    trained = train_private(task, rows(2), np.zeros(4), noise_multiplier=1.0, clip=1.0)
    assert np.isfinite(trained).all()


class BatchNormalised(TrainingTask):
    def build_model(self, features: int) -> nn.Module:
        return nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, 1))


class Summed(LogisticRegression):
    def loss(self) -> nn.Module:
        return nn.BCEWithLogitsLoss(reduction="sum")


@pytest.mark.parametrize(
    ("task", "message"),
    [(BatchNormalised(), "use layers that treat rows one by one"), (Summed(), "isn't a mean over rows")],
)
def test_what_cannot_be_private_is_refused_before_training(task: TrainingTask, message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        train_private(task, rows(40), initial_parameters(task, 3, 1), noise_multiplier=1.0, clip=1.0)


def test_rows_that_cannot_be_sampled_evenly_are_refused() -> None:
    assert sampled_steps(TASK, 212) == 4
    with pytest.raises(PrivacyError, match="5 rows can't be sampled in 4 steps per epoch; it would be 3"):
        sampled_steps(TASK, 5)
