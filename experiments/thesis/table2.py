"""Table 2: the thesis's set-up for MNIST, read off ours as it is built, and beside it.

Evidence: results/table2.json, made by `gammatune reproduce table2`. Nothing is trained.
"""

from collections.abc import Mapping
from typing import Any

from reproduction import Asked, Report
from searches import BUDGET, RANGE, mnist_small
from torch import nn

NAME = "table2"
TITLE = "the set-up for MNIST, ours beside the thesis's"

PRINTED = {
    "data set": "500 images (28 x 28)",
    "verification data": "20 % of the whole",
    "hidden layers": "6",
    "loss function": "cross entropy error",
    "optimizer": "SGD",
    "activation": "ReLU",
    "initial weights": "Kaiming He",
    "inputs / outputs": "784 / 10",
    "mini-batch": "50",
    "weight decay": "0.001",
    "dropout": "0.5",
}


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE, ["", "thesis", "here"])
    here = found(options)
    for name, printed in PRINTED.items():
        report.rows.append([name, printed, here[name]])
    for name in ("units a layer", "learning rate", "trainings of a search", "reported on"):
        report.rows.append([name, "not in the table", here[name]])
    report.notes = [
        "Dropout stands behind the last hidden layer only [reading]: behind all six the network does not learn this "
        "set-up (experiments/thesis_dropout.py). Units a layer [reading]. The table calls the network a CNN; its "
        "inputs are 784 numbers, and nothing in it says convolution.",
        "Table 2 is one table for all of MNIST; tables 6 and 7 have their own networks (table6.py, table7.py).",
    ]
    report.numbers = here
    return report


def found(options: Asked) -> Mapping[str, str]:
    """What the set-up under seed 0 is, from its data, network and options."""
    setup = mnist_small(options, 0)
    net = setup.net()
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    images = len(setup.train.y) + len(setup.select.y)
    first: Any = linear[0]
    spread = float(first.weight.detach().std() * (first.in_features / 2) ** 0.5)
    activations = {
        type(layer).__name__ for layer in net.modules() if type(layer) in (nn.ReLU, nn.Tanh, nn.Sigmoid)
    }
    dropouts = [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)]
    height, width = setup.train.x.shape[-2:]
    return {
        "data set": f"{images} images ({height} x {width})",
        "verification data": f"{100 * len(setup.select.y) / images:.0f} % of the whole",
        "hidden layers": str(len(linear) - 1),
        "loss function": "cross entropy",
        "optimizer": setup.arguments["optimizer"].upper(),
        "activation": ", ".join(sorted(activations)),
        "initial weights": f"He: first layer's spread is {spread:.3f} times sqrt(2 / inputs)",
        "inputs / outputs": f"{linear[0].in_features} / {linear[-1].out_features}",
        "mini-batch": str(setup.arguments["batch_size"]),
        "weight decay": str(setup.arguments["weight_decay"]),
        "dropout": ", ".join(map(str, dropouts)),
        "units a layer": ", ".join(sorted({str(layer.out_features) for layer in linear[:-1]})),
        "learning rate": RANGE.removeprefix("lr=").replace(":", " to "),
        "trainings of a search": str(BUDGET),
        "reported on": f"{len(setup.report.y):,} test images that nothing is chosen by, beside the 100",
    }
