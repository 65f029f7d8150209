"""How a batch is taken apart: what the model is called with, the targets, and what each example counts for.

(x, y)             model(x), or model(*x) where x is a tuple and forward takes its parts one by one
(a, b, ..., y)     model(a, b, ...)
{"a": ..., "labels": ...}      model(a=...), with its labels where it gives its own loss
(x, y, w), (a, b, ..., y, w), {..., "sample_weight": w}    with the weights of the examples
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from gammatune.errors import InvalidArgument

TARGETS = ("labels", "label", "targets", "target", "y")  # keys of a batch, the first of which is taken
WEIGHTS = "sample_weight"


class Inputs(NamedTuple):
    """What a model is called with, where that is not one thing."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def answer(model: Callable[..., Any], inputs: Any) -> Any:
    """What a model says of the inputs of a batch."""
    return model(*inputs.args, **inputs.kwargs) if type(inputs) is Inputs else model(inputs)


@dataclass(frozen=True, slots=True)
class Form:
    """Of the batches of a loader. weighted: they may hold weights. spread: the parts of the inputs are given to the
    model one by one, by their keys where they have some. with_targets: it is given those too."""

    weighted: bool = False
    spread: bool = False
    with_targets: bool = False

    @classmethod
    def of(cls, model: nn.Module, batch: Any, *, weighted: bool, gives_loss: bool) -> "Form":
        """Told by a batch, and by what the forward of the model takes. gives_loss: it may have a loss of its own."""
        plain = cls(weighted)
        signature = _signature(model)
        inputs = plain.parts(batch)[0]
        if type(inputs) is Inputs or signature is None:
            return plain
        if isinstance(batch, Mapping):
            if WEIGHTS in batch and not weighted:
                raise InvalidArgument(
                    f"a batch holds {WEIGHTS!r}, by which nothing is weighed unless it is asked for; say "
                    f"{WEIGHTS}=True, or leave it out"
                )
            named = {name: held for name, held in batch.items() if name not in (_key_of(batch), WEIGHTS)}
            is_spread = _takes_keys(signature, named)
            return cls(
                weighted, is_spread, is_spread and gives_loss and _key_of(batch) in signature.parameters
            )
        is_spread = _takes_keys(signature, inputs) if isinstance(inputs, Mapping) else False
        if isinstance(inputs, (list, tuple)):
            is_spread = not _binds(signature, inputs) and _binds(signature, *inputs)
        return cls(weighted, is_spread)

    def parts(self, batch: Any) -> list[Any]:
        """Inputs and targets, and weights where there are some. Raises InvalidArgument at a batch of another form."""
        if isinstance(batch, Mapping):
            key = _key_of(batch)
            left_out = (WEIGHTS,) if self.with_targets else (key, WEIGHTS)
            inputs: Any = {name: held for name, held in batch.items() if name not in left_out}
            if self.spread:
                inputs = Inputs((), inputs)
            elif len(inputs) == 1:
                (inputs,) = inputs.values()
            weights = [batch[WEIGHTS]] if self.weighted and WEIGHTS in batch else []
            return [inputs, batch[key], *weights]
        if not isinstance(batch, (list, tuple)) or len(batch) < 2:
            raise InvalidArgument(_refusal(batch, weighted=self.weighted))
        behind = 2 if self.weighted and len(batch) > 2 else 1  # targets, and weights where there are some
        told = batch[-behind:]
        if len(batch) - behind > 1:
            return [Inputs(tuple(batch[:-behind]), {}), *told]
        inputs = batch[0]
        if self.spread and isinstance(inputs, Mapping):
            inputs = Inputs((), inputs)
        elif self.spread and isinstance(inputs, (list, tuple)):
            inputs = Inputs(tuple(inputs), {})
        return [inputs, *told]


PAIRS = Form()


def _refusal(batch: Any, *, weighted: bool) -> str:
    what = (
        f"a {type(batch).__name__} of {len(batch)}"
        if isinstance(batch, (list, tuple))
        else type(batch).__name__
    )
    weights = ", weights) or (a, b, targets, weights" if weighted else ") or (a, b, targets"
    return (
        f"a batch must be a pair (inputs, targets{weights}) of tensors, or a mapping that holds its targets as "
        f"'labels', not {what}; give collate=, or use gammatune.Tuner with a loop of your own"
    )


def _key_of(batch: Mapping[str, Any]) -> str:
    key = next((name for name in TARGETS if name in batch), None)
    if key is None:
        raise InvalidArgument(
            f"a batch is a mapping of {', '.join(map(str, batch))}, and none of these is the targets; call them "
            f"{' or '.join(map(repr, TARGETS[:2]))}"
        )
    return key


def _signature(model: nn.Module) -> inspect.Signature | None:
    try:
        return inspect.signature(model.forward)
    except (TypeError, ValueError):  # compiled, or written in C
        return None


def _binds(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _takes_keys(signature: inspect.Signature, inputs: Mapping[str, Any]) -> bool:
    named = all(name in signature.parameters for name in inputs)
    return (named or not _binds(signature, inputs)) and _binds(signature, **inputs)


def declared(model: nn.Module) -> str:
    """The forward of a model, as its class says it."""
    signature = _signature(model)
    taken = "..." if signature is None else ", ".join(map(str, signature.parameters.values()))
    return f"the forward of {type(model).__name__} is forward({taken})"


def refusal_of_forward(
    model: nn.Module, inputs: Any, words: Callable[[Any], str], *, weighted: bool
) -> str | None:
    """Why the forward of a model cannot be called with these; None where it can, or nobody can tell. weighted: the
    batches may hold weights."""
    signature = _signature(model)
    if signature is None:
        return None
    args, kwargs = inputs if type(inputs) is Inputs else ((inputs,), {})
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = [words(each) for each in args] + [f"{name}: {words(each)}" for name, each in kwargs.items()]
        count = "one thing" if len(given) == 1 else f"{len(given)} things"
        with_weights = (
            "With sample_weight=True the last of three parts or more are the weights: (a, b, targets, weights), or "
            "((a, b), targets, weights), go to forward(a, b), and so do those of a mapping whose names it takes; "
            "collate= can make them"
            if weighted
            else "Batches of (a, b, targets), or ((a, b), targets), go to forward(a, b), and so do those of a "
            "mapping whose names it takes; collate= can make them; (inputs, targets, weights) are taken with "
            "sample_weight=True"
        )
        return (
            f"fit calls the model with the inputs of a batch, {count} ({', '.join(given)}), and {declared(model)} "
            f"({error}). {with_weights}. Or write the loop yourself with gammatune.Tuner"
        )
    return None
