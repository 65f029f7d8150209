"""A model that comes with weights worth something: which of them stay as they are, and whether to go back to them."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from gammatune.engine.batches import Loader, streams_of, to_its_end
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.modes import evaluating, stay_in_eval
from gammatune.errors import InvalidArgument
from gammatune.metrics.objectives import rank
from gammatune.records import Fact, Metrics, Reason
from gammatune.supervised.training import Supervised
from gammatune.tuning.tuner import Tuner

CLOSE, MANY = 3, 8  # names that are proposed where a pattern matches nothing: near ones, or any


def freeze(model: nn.Module, *patterns: str) -> list[str]:
    """Keep the parameters that `patterns` name as they are; the names of all that are frozen now.

    patterns: as in a shell ("features.*", "layer[12].*"), each for parameters' names; a module's name stands for all
    parameters in it. A module all of whose parameters are frozen is put into eval mode with everything in it, so that
    BatchNorm keeps its running statistics and Dropout drops nothing; `gammatune.fit` leaves it there. In a loop of
    your own `model.train()` undoes that: call this again after it.

    Raises InvalidArgument: no pattern, one that names nothing, or nothing left to train; nothing is frozen then.
    """
    parameters = dict(model.named_parameters())
    if not patterns:
        raise InvalidArgument("freeze needs the names of what is to stay, such as 'features.*'")
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in parameters if _names(pattern, name)}
        if not found:
            raise InvalidArgument(_advice(model, pattern))
        chosen |= found
    if all(name in chosen or not parameter.requires_grad for name, parameter in parameters.items()):
        last = list(parameters)[-1].rpartition(".")[0] or list(parameters)[-1]
        raise InvalidArgument(
            f"freezing {' and '.join(map(repr, patterns))} leaves nothing of the model to train; leave out its last "
            f"layer, {last}"
        )
    for name in chosen:
        parameters[name].requires_grad_(False)
    for module in model.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            stay_in_eval(module)
    return [name for name, parameter in parameters.items() if not parameter.requires_grad]


def has_frozen(model: nn.Module) -> bool:
    return any(not parameter.requires_grad for parameter in model.parameters())


def trained_in_words(model: nn.Module) -> str:
    """'2,005 of 12,345 parameters are trained', counted in numbers."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    trained = sum(size for size, wanted in sizes if wanted)
    return f"{trained:,} of {sum(size for size, _ in sizes):,} parameters are trained"


@dataclass(frozen=True, slots=True)
class Start:
    """A pretrained model as it came. weights: its state_dict, on the CPU. metrics: on the data to select by."""

    weights: Mapping[str, Any]
    metrics: Metrics

    @classmethod
    def of(cls, model: nn.Module, training: Supervised, select: Loader) -> "Start":
        weights = {
            name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
            for name, value in model.state_dict().items()
        }
        before = StreamStates(streams_of(select), cuda=True)
        try:
            with evaluating(model):
                return cls(weights, dict(training.score(to_its_end(select))))
        finally:
            before.restore()

    def held_against(self, tuner: Tuner, keep: str) -> Reason | None:
        """What to say where these weights are better than those that the training ended with. keep: as of `fit`."""
        ended = tuner.result.metrics
        if not ended:
            return None
        objective = tuner.objective.instead(self.metrics) or tuner.objective
        own, other = objective(self.metrics), objective(ended)
        if rank(own, self.metrics) <= rank(other, ended):
            return None
        told: dict[str, Fact] = {"objective": objective.name, "own": own, "other": other}
        return Reason("start handed back" if keep == "best" else "start left", told)


def _names(pattern: str, parameter: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (parameter, *_holders(parameter)))


def _holders(parameter: str) -> Iterator[str]:
    """Of "a.b.weight": "a.b" and "a"."""
    while parameter := parameter.rpartition(".")[0]:
        yield parameter


def _advice(model: nn.Module, pattern: str) -> str:
    names = [name for name, _ in model.named_parameters()]
    known = dict.fromkeys(part for name in names for part in (*_holders(name), name))
    plain = pattern.rstrip("*").rstrip(".")
    near = difflib.get_close_matches(plain, known, n=CLOSE, cutoff=0.5)
    near = near or list(dict.fromkeys(name.partition(".")[0] for name in names))
    more = ", ..." if len(near) > MANY else ""
    return f"{pattern!r} names none of the model's {len(names)} parameters; it has {', '.join(near[:MANY])}{more}"
