"""The thesis's set-ups (its section 3.2, tables 2 and 3), and its searches over gammatune's public API.

    small   MNIST, 500 images, 100 of them to select by; six hidden layers of 100; SGD, batch 50, weight decay 0.001
    full    MNIST, 60,000 images to train, 10,000 to select by; a small convolutional network; SGD
    cifar   CIFAR-10; the Keras example network; SGD

The learning rate lies in [0, 0.5]. A Bayesian search takes 2 first samples and 10 iterations: 12 trainings. The
thesis selects and reports on the same images; here `select` are those, and `report` are others that nothing was
chosen by.
One learning rate for the whole run is policy "once", one for each epoch policy "greedy".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from reproduction import Asked
from torch import nn
from torch.nn import functional

import gammatune
from gammatune.metrics.thesis import classification
from gammatune.pipeline.data import load
from gammatune.pipeline.data.jpeg import load_jpegs
from gammatune.pipeline.data.split import Part, split_data
from gammatune.pipeline.models import make_model

RANGE = "lr=0:0.5"
BUDGET = 12  # 2 first samples and 10 iterations
SEARCHES = ("grid", "random", "gaussian", "gamma", "gamma-plugin-a", "gamma-plugin-b")
MEASURES = ("sensitivity", "specificity", "accuracy", "mcc")

torch.set_num_threads(1)


@dataclass(frozen=True, eq=False)
class Setup:
    """One of the set-ups under one seed: data in three parts, and how it is trained.

    model: a name of `gammatune.pipeline.models`. arguments: of `gammatune.fit`.
    """

    name: str
    seed: int
    train: Part
    select: Part
    report: Part
    model: str
    arguments: Mapping[str, Any]

    @property
    def classes(self) -> int:
        return 10

    def net(self) -> nn.Module:
        return make_model(self.model, tuple(self.train[0].shape[1:]), self.classes, self.seed)


@cache
def _mnist(data: Path | None) -> Any:
    return load("mnist" if data is None else str(data / "mnist.npz"))


def mnist_small(options: Asked, seed: int) -> Setup:
    """500 images of the training part; reported on 10,000 test images (1,000 in a smoke run)."""
    split = split_data(_mnist(options.data), seed=seed, limit=500, validation=0.2)
    tested = options.pick(smoke=1000, small=10_000, full=10_000)
    report = Part(split.report[0][:tested], split.report[1][:tested])
    arguments = {"optimizer": "sgd", "batch_size": 50, "weight_decay": 0.001}
    return Setup("small", seed, split.train, split.select, report, "thesis", arguments)


def mnist_full(options: Asked, seed: int) -> Setup:
    """The thesis selects and reports on the 10,000 test images; here they report, and others select.

    small: images halved to 14 x 14 (means of 2 x 2 pixels), which costs a quarter; 2,000 to train, 500 to select by,
    reported on 5,000.
    power, full: 50,000, 10,000 and the 10,000 test images, at 14 x 14 and at 28 x 28.
    """
    limit, validation = options.pick(
        smoke=(250, 1 / 5), small=(2500, 1 / 5), power=(60_000, 1 / 6), full=(60_000, 1 / 6)
    )
    split = split_data(_mnist(options.data), seed=seed, limit=limit, validation=validation)
    tested = options.pick(smoke=250, small=5000, power=10_000, full=10_000)
    parts = _halved(
        options, split.train, split.select, Part(split.report[0][:tested], split.report[1][:tested])
    )
    arguments = {"optimizer": "sgd", "batch_size": 50}
    return Setup("full", seed, *parts, "cnn", arguments)


def cifar(options: Asked, seed: int) -> Setup:
    """CIFAR-10 and the Keras example network, SGD, batch 32 as in that example (the thesis gives none).

    small: images halved to 16 x 16 (means of 2 x 2 pixels), which costs a quarter; 1,000 to train, 250 to select by,
    reported on 1,000. power: the same pixels; 8,000, 2,000 and 10,000.
    full: 45,000, 5,000 and the 10,000 test images, at 32 x 32.
    """
    limit, validation = options.pick(
        smoke=(200, 1 / 4), small=(1250, 1 / 5), power=(10_000, 1 / 5), full=(50_000, 1 / 10)
    )
    tested = options.pick(smoke=200, small=1000, power=10_000, full=10_000)
    first = options.pick(smoke=1000, small=5000, power=10_000, full=None)
    split = split_data(_cifar(options.data, first), seed=seed, limit=limit, validation=validation)
    parts = _halved(
        options, split.train, split.select, Part(split.report[0][:tested], split.report[1][:tested])
    )
    arguments = {"optimizer": "sgd", "batch_size": 32}
    return Setup("cifar", seed, *parts, "keras-cnn", arguments)


@cache
def _cifar(data: Path | None, first: int | None) -> Any:
    """cifar10.npz, as `gammatune data` writes it; else the files of JPEGs, of each the first so many images."""
    if data is not None and not (data / "cifar10.npz").is_file():
        return load_jpegs([data / "cifar10_train_jpeg.npz", data / "cifar10_test_jpeg.npz"], limit=first)
    whole = load("cifar10" if data is None else str(data / "cifar10.npz"))
    keys = ("x_train", "y_train", "x_test", "y_test")
    return replace(whole, **{key: getattr(whole, key)[:first] for key in keys})


def _halved(options: Asked, *parts: Part) -> tuple[Part, ...]:
    """Images of half the side, but at full scale as they are."""
    if options.scale == "full":
        return parts
    return tuple(Part(functional.avg_pool2d(part.x, 2), part.y) for part in parts)


# One search -----------------------------------------------------------------------------------------------


def search(
    setup: Setup,
    *,
    sampler: str,
    policy: str,
    objective: str,
    epochs: int,
    budget: float = BUDGET,
    space: Sequence[str] = (RANGE,),
    keep: str = "last",
    **arguments: Any,
) -> dict[str, Any]:
    """One search, as plain values.

    course: for each epoch {lr, accuracy, loss} on the images to select by. rollouts: the same for every rollout,
    with its epoch and status, in order. select, report: sensitivity, specificity, accuracy, mcc, mcc_macro
    (fractions) and the confusion of the final network on the two parts. seconds: of all its trainings.
    plain_runs: the cost.
    """
    model = setup.net()
    result = gammatune.fit(
        model,
        setup.train.pair,
        setup.select.pair,
        epochs=epochs,
        budget=budget,
        policy=policy,
        sampler=sampler,
        objective=objective,
        space=list(space),
        keep=keep,
        seed=setup.seed,
        device="cpu",
        **{**setup.arguments, **arguments},
    )
    return {
        "course": [_told(outcome) for outcome in result.course],
        "rollouts": [
            {**_told(outcome), "epoch": outcome.epoch, "status": outcome.status}
            for outcome in result.rollouts
        ],
        "select": measured(model, setup.select, setup.classes),
        "report": measured(model, setup.report, setup.classes),
        "seconds": result.cost.seconds,
        "plain_runs": result.cost.plain_runs,
    }


def _told(outcome: Any) -> dict[str, Any]:
    metrics = outcome.metrics
    return {"lr": outcome.values["lr"], "accuracy": metrics.get("accuracy"), "loss": metrics.get("loss")}


def measured(model: nn.Module, part: Part, classes: int) -> dict[str, Any]:
    """The thesis's measures of a network on some images (formulas 16 to 19), and its confusion."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(x).argmax(1) for x in part[0].split(1000)])
    model.train(was_training)
    found = classification(part[1].numpy(), predicted.numpy(), classes)
    numbers = {name: getattr(found, name) for name in (*MEASURES, "mcc_macro")}
    return numbers | {"confusion": [list(row) for row in found.confusion]}


def per_cent(cells: Sequence[Mapping[str, Any]], part: str, measure: str) -> tuple[float, ...]:
    """One measure of each cell's final network, in per cent; part: "select" or "report"."""
    return tuple(100 * cell[part][measure] for cell in cells)
