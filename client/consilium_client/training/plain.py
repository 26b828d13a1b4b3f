"""Training without privacy noise: the same seed gives the same bits."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from consilium_client.data import Dataset
from consilium_client.training.task import Parameters, TrainingTask, flatten, load_parameters, new_model


def train_plain(task: TrainingTask, dataset: Dataset, base: Parameters, *, seed: str) -> Parameters:
    """Train from `base`, float64[P], on the rows and return the new parameters, float64[P].

    Batches follow from `seed` alone. One thread: sums of floating-point numbers depend on the order.
    """
    torch.set_num_threads(1)
    model = new_model(task, dataset.features.shape[1])
    load_parameters(model, base)
    model.train()
    optimizer, loss = task.optimizer(model), task.loss()
    features, labels = torch.from_numpy(dataset.features), torch.from_numpy(dataset.labels.astype(np.float64))
    source = np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")))
    for _ in range(task.epochs):
        order = torch.from_numpy(source.permutation(len(dataset)))
        for batch in torch.tensor_split(order, min(task.steps_per_epoch, len(dataset))):
            optimizer.zero_grad()
            loss(model(features[batch]).squeeze(-1), labels[batch]).backward()
            optimizer.step()
    return flatten(model)
