"""The updates that are measured: layers of a ResNet-18, drawn with a fixed seed. Needs numpy alone.

Both sides of a comparison run in environments of their own, so each draws the arrays; `digest` shows that they are the
same.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Layers = dict[str, tuple[int, ...]]
Update = dict[str, NDArray[np.float32]]

CLASSES = 10
SEED = 20_261
# Updates are clipped here; hardly any coordinate of the drawn ones lies beyond.
BOUND = 0.06
_SPREAD = 0.01


def resnet18() -> Layers:
    """Return the trainable layers of a ResNet-18 (He et al. 2015) for ten classes: 11,181,642 parameters."""
    layers: Layers = {"conv1.weight": (64, 3, 7, 7), **_norm("bn1", 64)}
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            layers[f"{name}.conv1.weight"] = (width, before, 3, 3)
            layers |= _norm(f"{name}.bn1", width)
            layers[f"{name}.conv2.weight"] = (width, width, 3, 3)
            layers |= _norm(f"{name}.bn2", width)
            if before != width:
                layers[f"{name}.downsample.0.weight"] = (width, before, 1, 1)
                layers |= _norm(f"{name}.downsample.1", width)
            before = width
    return layers | {"fc.weight": (CLASSES, before), "fc.bias": (CLASSES,)}


def small() -> Layers:
    """Return the first layers of the ResNet-18 alone, about 150,000 parameters: enough to see that all of it works."""
    return {name: shape for name, shape in resnet18().items() if name.startswith(("conv1", "bn1", "layer1"))}


def layers_of(size: str) -> Layers:
    """Return the layers of a size, "full" or "small"."""
    return {"full": resnet18, "small": small}[size]()


def parameters(layers: Layers) -> int:
    """Return how many parameters layers have together."""
    return sum(math.prod(shape) for shape in layers.values())


def draw(layers: Layers, client: int) -> Update:
    """Return one client's update, float32 arrays by layer; always the same one."""
    generator = np.random.Generator(np.random.PCG64([SEED, client]))
    return {
        name: generator.standard_normal(shape, dtype=np.float32) * np.float32(_SPREAD) for name, shape in layers.items()
    }


def flat(update: Update) -> NDArray[np.float32]:
    """Return an update as one vector, float32[P]."""
    return np.concatenate([values.ravel() for values in update.values()])


def digest(update: Update) -> str:
    """Return the SHA-256 (hex) of an update's bytes."""
    return hashlib.sha256(flat(update).astype("<f4").tobytes()).hexdigest()


def _norm(name: str, width: int) -> Layers:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
