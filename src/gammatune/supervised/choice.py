"""The optimizer, or those that are chosen from, and the space that is searched."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn
from torch.optim import Optimizer

from gammatune.engine.loop import lr_of
from gammatune.errors import InvalidArgument
from gammatune.policy.registry import chosen_by_name, record_of
from gammatune.policy.replay import Replay
from gammatune.space import OPTIMIZER, Choice, Float, Space
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.optimizers import DEFAULT_OPTIMIZER, automatic, make_optimizer, recipe_of
from gammatune.supervised.pretrained import has_frozen, trained_in_words
from gammatune.tuning.arguments import FEW_DECADES, around

# Where nobody has said anything of the learning rate: from what moves nothing to what blows everything up.
WIDE = Float(1e-6, 10.0, log=True)


@dataclass(frozen=True, slots=True)
class Searched:
    """optimizer: one, or by name those to choose from. space: what is searched. is_near: no more than a few decades
    around the optimizer's own rate, which somebody chose or a pretrained model needs."""

    optimizer: Optimizer | Mapping[str, Optimizer]
    space: Space
    is_near: bool

    @classmethod
    def of(cls, given: Arguments, said: list[str]) -> "Searched":
        names = _to_choose_from(given)
        if has_frozen(given.model):
            said.append(f"Of the model, {trained_in_words(given.model)}.")
        near = given.training.lr is not None or bool(given.training.pretrained)
        optimizer: Optimizer | Mapping[str, Optimizer]
        if names:
            optimizer, rates = _optimizers(given, names, near=near)
            said.append(f"The optimizer is chosen from {', '.join(names)}.")
        else:
            optimizer, rates = _optimizer(given, given.optimizer, near=near)
        found = cls(optimizer, _space(given.space, rates, names), near)
        said += found._in_words(given, rates)
        return found

    @property
    def optimizers(self) -> list[Optimizer]:
        return [self.optimizer] if isinstance(self.optimizer, Optimizer) else list(self.optimizer.values())

    def _in_words(self, given: Arguments, rates: Float) -> list[str]:
        rate = f"{lr_of(self.optimizers):.3g}"
        if given.space is None:
            why = f", {FEW_DECADES:g} decades around {rate}" if self.is_near else ""
            why += " since the model is pretrained" if given.training.pretrained else ""
            return [f"The learning rate is searched from {rates.low:g} to {rates.high:g}{why}."]
        repeated = isinstance(given.search.policy, Replay)
        said = [
            f"Nothing is searched: {given.search.policy}."
            if repeated
            else f"Searched: {', '.join(self.space.lines)}."
        ]
        if not any(name.partition(".")[0] == "lr" for name in self.space.names):
            said.append(f"The learning rate stays at {rate}; search lr too to have it chosen.")
        return said


def _to_choose_from(given: Arguments) -> tuple[str, ...]:
    """The names of the optimizers to choose from; none where one was given."""
    space, named = given.space, given.optimizer
    spaced = space is not None and OPTIMIZER in space.names
    if not spaced and not (isinstance(named, str) and named == "auto"):
        return ()
    names: tuple[str, ...] = automatic(given.model.parameters())
    if space is not None and spaced:
        dimension = space[OPTIMIZER]
        options = dimension.options if isinstance(dimension, Choice) else ()
        if not options or not all(isinstance(name, str) for name in options):
            raise InvalidArgument(
                f"{'; '.join(space.lines)}: optimizers go by name; write optimizer=adamw,muon"
            )
        names = tuple(str(name) for name in options)
        if named not in ("auto", DEFAULT_OPTIMIZER, *names):
            what = repr(named) if isinstance(named, str) else f"a {type(named).__name__}"
            raise InvalidArgument(
                f"optimizer={what} beside {'; '.join(space.lines)}, which chooses between others: leave one of the "
                "two out"
            )
    if isinstance(given.search.policy, str) and not record_of(given.search.policy).chooses_optimizer:
        raise InvalidArgument(
            f"policy={given.search.policy!r} trains with one optimizer: name it, or take policy='lookahead', which "
            f"can choose between {', '.join(names)}"
        )
    return names


def _optimizers(given: Arguments, names: Sequence[str], *, near: bool) -> tuple[dict[str, Optimizer], Float]:
    """Those to choose from, and a range for the learning rates of all."""
    if given.training.lr is not None and len(names) > 1:
        raise InvalidArgument(
            f"lr={given.training.lr!r} is the rate of one optimizer, and {', '.join(names)} are chosen from: leave "
            "it out, or give the range that is searched, space=['lr=1e-4:1e-1:log']"
        )
    made = {name: _optimizer(given, name, near=near) for name in names}
    ranges = [found for _, found in made.values()]
    whole = Float(min(each.low for each in ranges), max(each.high for each in ranges), log=True)
    return {name: optimizer for name, (optimizer, _) in made.items()}, whole


def _space(given: Space | None, rates: Float, names: Sequence[str]) -> Space:
    """What is searched. rates: where nothing else was said of the learning rate, with one optimizer or more."""
    if given is None:
        return Space({"lr": rates} | ({OPTIMIZER: Choice(tuple(names))} if names else {}))
    if not names:
        return given
    dimensions = {name: given[name] for name in given.names}
    if not any(name.partition(".")[0] == "lr" for name in dimensions):
        # each at a rate of its own, or none could be told from another
        dimensions = {"lr": rates, **dimensions}
    return Space({OPTIMIZER: Choice(tuple(names))} | dimensions)


def _optimizer(given: Arguments, wanted: Any, *, near: bool) -> tuple[Optimizer, Float]:
    """The optimizer, and the range its learning rate is searched in by default. near: see `around`."""
    parameters = [p for p in given.model.parameters() if p.requires_grad]
    if not parameters:
        raise InvalidArgument("the model has no parameter to train (all are frozen, or there are none)")
    lr, weight_decay, policy = given.training.lr, given.training.weight_decay, given.search.policy
    if not isinstance(wanted, str):
        optimizer = _users_own(given, wanted, parameters)
        return optimizer, around(lr_of([optimizer]), policy, near=near)
    recipe = recipe_of(wanted)
    if lr is not None and not (isinstance(lr, (int, float, np.number)) and 0 < lr < float("inf")):
        raise InvalidArgument(f"lr={lr!r}: give a finite number above 0, such as 1e-4")
    made = make_optimizer(wanted, parameters, weight_decay, lr)
    if near:
        return made, around(lr_of(made), near=True)
    wide = chosen_by_name(policy).goes_by_prior and not recipe.is_scale
    return made, WIDE if wide else Float(recipe.low, recipe.high, log=True)


def _users_own(given: Arguments, wanted: Any, parameters: list[nn.Parameter]) -> Optimizer:
    """The optimizer that was given, or that the function makes which was given."""
    for name, value in (("lr", given.training.lr), ("weight_decay", given.training.weight_decay)):
        if value is not None:
            raise InvalidArgument(
                f"{name}= goes with an optimizer given by name; set it on your own optimizer"
            )
    optimizer = wanted if isinstance(wanted, Optimizer) else wanted(parameters)
    if not isinstance(optimizer, Optimizer):
        raise InvalidArgument(
            f"optimizer= gave a {type(optimizer).__name__}; give a name, a torch optimizer, or a function of the "
            "parameters that makes one"
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InvalidArgument(
            f"optimizer={type(optimizer).__name__}: its step needs a closure, which `fit` does not give; write the "
            "loop yourself with gammatune.Tuner"
        )
    return optimizer
