"""Training with differential privacy: DP-SGD (Abadi et al. 2016) through Opacus.

Sampling and noise come from torch's generator, seeded anew from the operating system for every run: torch starts every
process with the same fixed seed, and noise that can be repeated hides nothing. The generator isn't cryptographic
(Opacus' secure mode needs a package that no longer exists).
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from opacus import PrivacyEngine
from opacus.validators import ModuleValidator
from opacus.validators.errors import UnsupportedModuleError
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from consilium_client.data import Dataset
from consilium_client.errors import PrivacyError
from consilium_client.training.accountant import sampled_steps
from consilium_client.training.task import Parameters, TrainingTask, flatten, load_parameters, new_model


def train_private(
    task: TrainingTask, dataset: Dataset, base: Parameters, *, noise_multiplier: float, clip: float
) -> Parameters:
    """Train from `base`, float64[P], with per-row gradients clipped to L2 norm `clip` and Gaussian noise on their sum.

    Args:
        noise_multiplier: standard deviation of the noise over `clip`.
        clip: the largest L2 norm of one row's gradient.

    Raises:
        PrivacyError: the model or loss can't be trained privately; the message says what to change.
    """
    torch.seed()
    torch.set_num_threads(1)
    model = new_model(task, dataset.features.shape[1])
    _check(model, task.loss())
    load_parameters(model, base)
    model.train()
    steps = sampled_steps(task, len(dataset))
    tensors = TensorDataset(torch.from_numpy(dataset.features), torch.from_numpy(dataset.labels.astype(np.float64)))
    with warnings.catch_warnings():
        # Opacus warns of its insecure generator (said above) and of hooks that torch renamed.
        warnings.simplefilter("ignore")
        private, optimizer, loader = PrivacyEngine(accountant="rdp").make_private(
            module=model,
            optimizer=task.optimizer(model),
            data_loader=DataLoader(tensors, batch_size=-(-len(dataset) // steps)),
            noise_multiplier=noise_multiplier,
            max_grad_norm=clip,
            poisson_sampling=True,
        )
        loss = task.loss()
        for _ in range(task.epochs):
            taken = 0
            for features, labels in loader:
                optimizer.zero_grad()
                # A sampled batch can be empty. It is a step all the same: its noise is part of the mechanism.
                outputs = private(features).squeeze(-1)
                (loss(outputs, labels) if len(labels) else outputs.sum()).backward()
                optimizer.step()
                taken += 1
            if taken != steps:
                raise PrivacyError(f"{taken} steps were taken where {steps} are accounted")
    return flatten(model)


def _check(model: nn.Module, loss: nn.Module) -> None:
    try:
        problems = ModuleValidator.validate(model, strict=False)
    except UnsupportedModuleError as error:
        problems = [error]
    if problems:
        raise PrivacyError(
            f"the model can't be trained privately: {problems[0]}; "
            "use layers that treat rows one by one (GroupNorm instead of BatchNorm, opacus.layers for recurrent ones)"
        )
    if getattr(loss, "reduction", None) != "mean":
        raise PrivacyError(f"{type(loss).__name__} isn't a mean over rows, so one row's share can't be bounded")
