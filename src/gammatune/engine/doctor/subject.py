"""The training that is examined: what the user gave, checked, and all of it by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gammatune.engine.batches import LossFunction, to_device
from gammatune.engine.doctor.object_graph import digest_of
from gammatune.engine.forks.streams import Stream, StreamStates, kind_of
from gammatune.engine.loop import TorchLoop
from gammatune.engine.modes import has_mode
from gammatune.engine.parts import listed, named_parameters
from gammatune.engine.prepared import as_state
from gammatune.errors import InvalidArgument

Step = Callable[[Any], Any]


class Subject:
    """See `gammatune.doctor`. roots: all that was given, by name. schedulers: attached, and not handed in."""

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loader: Any,
        step: Step | None,
        state: Sequence[Any],
        loss_fn: LossFunction | None,
        evaluate: Callable[[], Any] | None,
    ) -> None:
        if not isinstance(state, (list, tuple)):
            raise InvalidArgument(f"state= takes a list, not {type(state).__name__}; write state=[...]")
        if not hasattr(loader, "__iter__") or isinstance(loader, Iterator):
            raise InvalidArgument(
                f"loader= takes an iterable that can be passed over again, such as a DataLoader, not "
                f"{type(loader).__name__}"
            )
        self.models = listed(model, nn.Module, "model")
        self.optimizers = listed(optimizer, Optimizer, "optimizer")
        self.loader = loader
        self.state = [as_state(item) for item in state]
        if isinstance(loss_fn, nn.Module) and not any(loss_fn is item for item in state):
            self.state.append(loss_fn)
        self.step = _step_of(self.models, self.optimizers, step, loss_fn)
        self.evaluate = evaluate
        self.schedulers: list[LRScheduler] = []
        self.roots = {
            **numbered("model", self.models),
            **numbered("optimizer", self.optimizers),
            **{f"state[{n}]": item for n, item in enumerate(self.state)},
            "loader": loader,
            "step": step if step is not None else loss_fn,
            **({"evaluate": evaluate} if evaluate is not None else {}),
        }

    @contextmanager
    def looped(self) -> Iterator[TorchLoop]:
        """What a tuner would make of these objects, gone again at the end."""
        attached = any(hasattr(o.step, "_wrapped_by_lr_sched") for o in self.optimizers)
        multiplier = attached or any(isinstance(item, LRScheduler) for item in self.state)
        state = [*self.state, *self.schedulers]
        loop = TorchLoop(self.models, self.optimizers, ["lr"], state=state, multiplier=multiplier)
        try:
            yield loop
        finally:
            loop.close()

    def handed(self) -> frozenset[int]:
        """The ids of what forks put back."""
        items = [*self.models, *self.optimizers, *self.state, *self.schedulers]
        parts = [part for item in items if isinstance(item, nn.Module) for part in item.modules()]
        return frozenset(map(id, [*items, *parts]))

    def weights(self) -> bytes:
        """The digest of all parameters with their gradients, and of all buffers."""
        tensors = [tensor for model in self.models for tensor in (*model.parameters(), *model.buffers())]
        gradients = [tensor.grad for tensor in tensors if tensor.is_leaf]
        return digest_of([[tensor.detach() for tensor in tensors], gradients])

    def by_name(self) -> Mapping[str, Any]:
        return by_name(self.models, self.optimizers, self.state)


def by_name(
    models: Sequence[nn.Module], optimizers: Sequence[Optimizer], extras: Sequence[Any]
) -> Mapping[str, Any]:
    """All that a training is to end with alike, what is in the objects and the random streams."""
    state: dict[str, Any] = {}
    names: dict[int, str] = {}
    for prefix, model in numbered("model", models).items():
        for name, parameter in named_parameters(model).items():
            names[id(parameter)] = f"{prefix}.{name}"
            state[f"parameter {prefix}.{name}"] = parameter.detach()
            if parameter.grad is not None:
                state[f"gradient of {prefix}.{name}"] = parameter.grad
        state |= {f"buffer {prefix}.{name}": buffer for name, buffer in model.named_buffers()}
    for which, optimizer in numbered("optimizer", optimizers).items():
        for number, (key, entry) in enumerate(optimizer.state.items()):
            owner = names.get(id(key), f"entry {number}")
            parts = entry if isinstance(entry, dict) else {"state": entry}
            state |= {f"{part} in {which} of {owner}": held for part, held in parts.items()}
        for number, group in enumerate(optimizer.param_groups):
            options = {key: value for key, value in group.items() if key != "params"}
            state[f"options in {which} of group {number}"] = options
    for number, extra in enumerate(extras):
        if isinstance(extra, Stream):
            state[f"state[{number}], a {kind_of(extra)}"] = extra
        elif not isinstance(extra, nn.Module):
            state[f"state_dict of state[{number}]"] = extra.state_dict()
    for kind, kept in StreamStates([], cuda=True).export().items():
        state[f"stream of {kind}"] = kept
    return state


def _step_of(
    models: list[nn.Module], optimizers: list[Optimizer], step: Step | None, loss_fn: LossFunction | None
) -> Step:
    if (step is None) == (loss_fn is None):
        raise InvalidArgument(
            f"{'both' if step is not None else 'neither'} step= and loss_fn= given: give step=, which trains on one "
            "batch, or loss_fn=, the loss of (outputs, targets)"
        )
    if step is not None:
        return step
    if len(models) > 1 or len(optimizers) > 1:
        raise InvalidArgument(
            f"{len(models)} models and {len(optimizers)} optimizers: how they are trained only step= can say"
        )
    (model,), (optimizer,), loss = models, optimizers, loss_fn
    assert loss is not None

    def train(batch: Any) -> Tensor:
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise InvalidArgument(
                f"a batch must be a pair (inputs, targets), not {type(batch).__name__}; give step= for others"
            )
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        inputs, targets = to_device(batch[0], device), to_device(batch[1], device)
        if not model.training:
            model.train()
        if has_mode(optimizer):
            optimizer.train()  # type: ignore[attr-defined]
        optimizer.zero_grad()
        total = loss(model(inputs), targets)
        total.backward()
        optimizer.step()
        return total.detach()

    return train


def numbered(name: str, items: Sequence[Any]) -> dict[str, Any]:
    return {name: items[0]} if len(items) == 1 else {f"{name}[{n}]": item for n, item in enumerate(items)}
