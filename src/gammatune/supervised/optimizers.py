"""Optimizers by name: those of the thesis (section 2.5), torch's own, and three that came after it.

    muon            Muon and AdamW together (`supervised.muon`), both torch's own
    prodigy         finds the size of its steps by itself (Mishchenko and Defazio 2024, arXiv 2306.06101; prodigyopt)
    schedulefree    AdamW that averages in the place of a decay (Defazio et al. 2024, arXiv 2405.15682; schedulefree)
    PACKAGE.CLASS   one of torch-optimi, pytorch-optimizer or heavyball, where that is installed: optimi.StableAdamW

Each comes with the range its learning rate is searched in when nobody gives one. The ranges span what the
literature and torch's documentation use for the method, with a decade to spare on either side (guess).
"""

import contextlib
import difflib
import importlib.util
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument, require
from gammatune.supervised.muon import MuonAdamW, has_muon, is_matrix


@dataclass(frozen=True, slots=True)
class Recipe:
    """make(parameters, lr=..., weight_decay=...) -> optimizer; low, high: the range of its learning rate.

    is_scale: the rate scales steps whose size the optimizer finds by itself: no policy searches beyond the range.
    """

    make: Callable[..., Optimizer]
    low: float
    high: float
    is_scale: bool = False


def _prodigy(parameters: Iterable[nn.Parameter], **options: float) -> Optimizer:
    """As its README advises where there is a warm-up. Its bias correction, advised for diffusion models, stays off:
    with both, trainings of less than 200 steps and short looks learn nothing at a rate of 1 (docs/diary.md)."""
    package = require("prodigyopt", "optimizers")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which form of weight decay it uses
        made: Optimizer = package.Prodigy(parameters, safeguard_warmup=True, **options)
    return made


def _schedule_free(parameters: Iterable[nn.Parameter], **options: float) -> Optimizer:
    made: Optimizer = require("schedulefree", "optimizers").AdamWScheduleFree(parameters, **options)
    return made


OptimizerName: TypeAlias = Literal[
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "muon", "prodigy", "schedulefree"
]
OPTIMIZERS: dict[str, Recipe] = {
    "sgd": Recipe(torch.optim.SGD, 1e-3, 1.0),
    "momentum": Recipe(partial(torch.optim.SGD, momentum=0.9), 1e-4, 0.3),
    "nesterov": Recipe(partial(torch.optim.SGD, momentum=0.9, nesterov=True), 1e-4, 0.3),
    "adagrad": Recipe(torch.optim.Adagrad, 1e-4, 0.3),
    "rmsprop": Recipe(torch.optim.RMSprop, 1e-5, 3e-2),
    "adam": Recipe(torch.optim.Adam, 1e-5, 3e-2),
    "adamw": Recipe(torch.optim.AdamW, 1e-5, 3e-2),
    "muon": Recipe(MuonAdamW, 1e-5, 3e-2),  # whose steps are as large as AdamW's
    # "lr=1. for all networks", and where that is too small or too large, factors from 0.1 to 10 (README)
    "prodigy": Recipe(_prodigy, 0.1, 10.0, is_scale=True),
    "schedulefree": Recipe(_schedule_free, 1e-5, 0.3),  # AdamW's rates, or up to ten times those (README)
}
# Those of other packages: nobody knows the scale of their rate before it is tried, most are made to take AdamW's.
PACKAGES = {"optimi": "torch-optimi", "pytorch_optimizer": "pytorch-optimizer", "heavyball": "heavyball"}
ELSEWHERE = (1e-6, 3e-2)  # guess: AdamW's range, and a decade lower, where Lion's rates are
DEFAULT_OPTIMIZER: OptimizerName = "adamw"
# Of what "auto" chooses: on the population the others that were tried are behind AdamW (docs/diary.md).
AUTO: tuple[OptimizerName, ...] = ("adamw", "muon")


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    weight_decay: float | None = None,
    lr: float | None = None,
) -> Optimizer:
    """An optimizer by name.

    weight_decay: 0 or more, per step; None leaves the optimizer's default. lr: above 0; None is the (geometric)
    middle of its range. Raises InvalidArgument, MissingExtra.
    """
    recipe = recipe_of(name)
    options: dict[str, float] = {} if weight_decay is None else {"weight_decay": weight_decay}
    if weight_decay is not None and not 0 <= weight_decay < float("inf"):
        raise InvalidArgument(
            f"weight_decay={weight_decay!r}: give 0 or a small number above it, such as 0.001"
        )
    return recipe.make(parameters, lr=(recipe.low * recipe.high) ** 0.5 if lr is None else lr, **options)


def automatic(parameters: Iterable[nn.Parameter]) -> tuple[OptimizerName, ...]:
    """Those of `AUTO` that are there and differ: Muon is AdamW where nothing is a matrix."""
    has_matrices = any(map(is_matrix, parameters))
    return tuple(name for name in AUTO if name != "muon" or (has_matrices and has_muon()))


def recipe_of(name: str) -> Recipe:
    """Raises InvalidArgument."""
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    package, _, kind = name.partition(".")
    if package in PACKAGES and kind:
        return Recipe(_of(package, kind), *ELSEWHERE)
    raise InvalidArgument(
        f"optimizer {name!r} is not known; choose one of {', '.join(OPTIMIZERS)}, or the class of a package: "
        "optimi.StableAdamW, pytorch_optimizer.Lion, heavyball.SOAP"
    )


def _of(package: str, kind: str) -> Callable[..., Optimizer]:
    if importlib.util.find_spec(package) is None:
        raise InvalidArgument(
            f"optimizer '{package}.{kind}' is not there: pip install {PACKAGES[package]}, or choose another"
        )
    module = importlib.import_module(package)
    made = getattr(module, kind, None)
    if not (isinstance(made, type) and issubclass(made, Optimizer)):
        known = [
            name for name, one in vars(module).items() if isinstance(one, type) and issubclass(one, Optimizer)
        ]
        near = difflib.get_close_matches(kind, known, 3) or sorted(known)[:8]
        raise InvalidArgument(f"{package} has no optimizer {kind!r}; it has {', '.join(near)}, ...")
    return made
