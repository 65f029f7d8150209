"""Whether gammatune's Keras example network is Keras's: both are trained side by side, and their losses compared.

Keras 3 on the torch backend builds the network of its CIFAR-10 example; it gets gammatune's initial weights, the same
batches and as many steps of plain SGD. Dropout is left out of both: two libraries do not draw the same masks.
Keras keeps images as (H, W, C), so that kernels are transposed and the inputs of the first dense layer reordered.
Both compute in double precision: in single they part after five steps, by 0.001 after ten, as any two orders of
summation would.
"""

import importlib.util
import os
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from gammatune.pipeline.models import make_model

RATE = 0.05
BATCH = 32
TOLERANCE = 1e-4  # of a loss near 2.3


@dataclass(frozen=True)
class Agreement:
    """pairs: (ours, Keras's) loss of each step; none where Keras is not there."""

    pairs: tuple[tuple[float, float], ...]
    version: str | None
    parameters: tuple[int, int] = (0, 0)

    @property
    def worst(self) -> float:
        return max(abs(ours - theirs) for ours, theirs in self.pairs)

    @property
    def agrees(self) -> bool:
        return self.worst < TOLERANCE and len(set(self.parameters)) == 1

    @property
    def numbers(self) -> dict[str, Any]:
        return {"version": self.version, "losses": self.pairs, "parameters": self.parameters}

    def __str__(self) -> str:
        if self.version is None:
            return "Keras is not installed here, and was not compared with (pip install keras)."
        return (
            f"Keras {self.version} on torch, from the same weights over the same {len(self.pairs)} batches with SGD "
            f"{RATE:g}, without dropout: losses {'agree' if self.agrees else 'DO NOT agree'}, the largest difference "
            f"{self.worst:.1g}; {self.parameters[0]:,} parameters here, {self.parameters[1]:,} there."
        )


def twin(x: torch.Tensor, y: torch.Tensor, *, steps: int, seed: int = 0) -> Agreement:
    """Train both on batches of x (n, C, H, W), y (n,), in order."""
    if importlib.util.find_spec("keras") is None:
        return Agreement((), None)
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    ours = make_model("keras-cnn", tuple(x.shape[1:]), 10, seed).double()
    for layer in ours.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    usual = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # how Keras makes NumPy arrays of tensors
            theirs = keras_example(tuple(x.shape[1:]))
            hand_over(ours, theirs)
            pairs = side_by_side(ours, theirs, x.double(), y, steps)
    finally:
        keras.config.set_floatx(usual)
    count = sum(p.numel() for p in ours.parameters())
    return Agreement(pairs, keras.__version__, (count, int(theirs.count_params())))


def side_by_side(
    ours: nn.Module, theirs: Any, x: torch.Tensor, y: torch.Tensor, steps: int
) -> tuple[tuple[float, float], ...]:
    """(our loss, theirs) before each step."""
    import keras

    theirs.compile(optimizer=keras.optimizers.SGD(RATE), loss="sparse_categorical_crossentropy")
    optimizer = torch.optim.SGD(ours.parameters(), lr=RATE)
    pairs = []
    for step in range(steps):
        rows = [i % len(y) for i in range(step * BATCH, (step + 1) * BATCH)]
        optimizer.zero_grad()
        loss = functional.cross_entropy(ours(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        their_loss = theirs.train_on_batch(x[rows].permute(0, 2, 3, 1).numpy(), y[rows].numpy())
        pairs.append((float(loss.detach()), float(their_loss)))
    return tuple(pairs)


def keras_example(shape: tuple[int, ...]) -> Any:
    """cifar10_cnn.py of the Keras examples, in Keras 3, with dropout of 0 and the softmax that it ends in."""
    from keras import Input, Sequential, layers

    channels, height, width = shape
    return Sequential(
        [
            Input((height, width, channels)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.0),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.0),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.0),
            layers.Dense(10, activation="softmax"),
        ]
    )


def hand_over(ours: nn.Module, theirs: Any) -> None:
    """Give Keras's network our weights."""
    with_weights = [layer for layer in theirs.layers if layer.weights]
    from_us = [layer for layer in ours.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    after_flatten = next(layer for layer in from_us if isinstance(layer, nn.Linear))
    channels = [layer for layer in from_us if isinstance(layer, nn.Conv2d)][-1].out_channels
    for layer, target in zip(from_us, with_weights, strict=True):
        weight = layer.weight.detach()
        if isinstance(layer, nn.Conv2d):
            weight = weight.permute(2, 3, 1, 0)  # (out, in, H, W) -> (H, W, in, out)
        else:
            if layer is after_flatten:  # our inputs are (C, H, W) in a row, Keras's (H, W, C)
                weight = weight.unflatten(1, (channels, -1)).transpose(1, 2).flatten(1)
            weight = weight.T
        assert layer.bias is not None
        target.set_weights([weight.numpy(), layer.bias.detach().numpy()])
