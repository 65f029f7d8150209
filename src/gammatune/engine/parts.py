"""What takes part in a training: told apart, looked over before anything is trained, and said in words."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gammatune.engine.forks.sharding import refuse_flat
from gammatune.engine.forks.streams import Stream
from gammatune.engine.forks.tensors import refuse_without_numbers
from gammatune.engine.groups import rate_of
from gammatune.engine.prepared import as_state, bare_optimizer, bare_scheduler, scaler_of
from gammatune.errors import ConflictingControl, InvalidArgument, NotRestorable


class Parts:
    """modules, optimizers, extras, streams: what was handed in as `TorchLoop` says, by what it is.

    choice: the optimizers by name, where one of them is to be chosen; else empty.
    """

    def __init__(
        self,
        model: nn.Module | Sequence[nn.Module],
        optimizer: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
        state: Sequence[Any],
        *,
        multiplier: bool,
    ) -> None:
        self.models: list[nn.Module] = listed(model, nn.Module, "model")
        self.modules = [*self.models]  # and those handed in as state
        named = optimizer if isinstance(optimizer, Mapping) else {}
        self._given: list[Optimizer] = listed(list(named.values()) or optimizer, Optimizer, "optimizer")
        self.optimizers = [bare_optimizer(one) for one in self._given]
        self.choice = dict(zip(named, self.optimizers, strict=True)) if named else {}
        self.streams: list[Stream] = []
        self.extras: list[Any] = []
        for item in state:
            self._sort_in(as_state(item), multiplier=multiplier)
        scalers = {id(scaler): scaler for one in self._given if (scaler := scaler_of(one)) is not None}
        self.extras += [s for s in scalers.values() if not any(s is extra for extra in self.extras)]
        self._refuse_schedulers(multiplier)
        self._refuse_nothing_to_train()
        refuse_flat(self.modules)

    def structure(self) -> dict[str, str]:
        """See `Storable`. Raises NotRestorable where a parameter is yet to be made."""
        others = [type(item).__qualname__ for item in (*self.extras, *self.streams)]
        said = {
            "model": "; ".join(map(_model_in_words, self.modules)),
            "optimizer": "; ".join(map(_optimizer_in_words, self.optimizers)),
        }
        return said | ({"state": ", ".join(others)} if others else {})

    def _sort_in(self, item: Any, *, multiplier: bool) -> None:
        if isinstance(bare_scheduler(item), LRScheduler) and not multiplier:
            raise ConflictingControl(
                f"a {type(item).__name__} sets the learning rate, and so does gammatune: leave it out, or pass "
                "multiplier=True so that gammatune scales what it sets"
            )
        if isinstance(item, nn.Module):
            self.modules.append(item)
        elif isinstance(item, Optimizer):
            raise InvalidArgument(
                f"a {type(item).__name__} optimizer was handed in as state: give it as optimizer=[...]"
            )
        elif isinstance(item, Stream):
            self.streams.append(item)
        elif hasattr(item, "state_dict") and hasattr(item, "load_state_dict"):
            self.extras.append(item)
        else:
            raise NotRestorable(
                f"state=[{type(item).__name__}]: the object has no state_dict and load_state_dict, so a fork "
                "cannot put it back; give it both, or leave it out if it does not change while training"
            )

    @property
    def schedulers(self) -> list[LRScheduler]:
        return [one for one in map(bare_scheduler, self.extras) if isinstance(one, LRScheduler)]

    def _refuse_schedulers(self, multiplier: bool) -> None:
        """In multiplier mode one that is attached stays, so forks must put it back, so it must be handed in."""
        scheduled = [o for o in (*self._given, *self.optimizers) if hasattr(o.step, "_wrapped_by_lr_sched")]
        if scheduled and not multiplier:
            raise ConflictingControl(
                f"a learning-rate scheduler is attached to the {type(scheduled[0]).__name__} optimizer; take it "
                "away, or pass multiplier=True so that gammatune scales what the scheduler sets"
            )
        if scheduled and not self.schedulers:
            raise NotRestorable(
                "a learning-rate scheduler is attached to the optimizer; hand it in as state=[scheduler], so that "
                "a rollout does not move it"
            )

    def _refuse_nothing_to_train(self) -> None:
        modules = any(True for module in self.modules for _ in module.parameters())
        if not modules and not any(group["params"] for o in self.optimizers for group in o.param_groups):
            raise InvalidArgument(
                f"there is nothing to train: neither the model ({type(self.modules[0]).__name__}) nor the optimizer "
                "has a parameter"
            )


def lr_of(optimizer: Optimizer | Sequence[Optimizer]) -> float:
    """The absolute learning rate a search starts around: the first group's that is above 0."""
    for one in listed(optimizer, Optimizer, "optimizer"):
        for group in one.param_groups:
            if (lr := rate_of(group, one)) > 0:
                return lr
    raise InvalidArgument("no parameter group has a learning rate above 0: set one on the optimizer")


def _model_in_words(model: nn.Module) -> str:
    """ "Net: 12 tensors, 12,345 numbers, 3fa9c1"; the last from names, shapes, dtypes and classes."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for _, tensor in tensors:
        refuse_without_numbers(tensor)
    distinct = {id(tensor): tensor.numel() for _, tensor in tensors}
    parts = [(name, type(part).__qualname__) for name, part in model.named_modules(remove_duplicate=False)]
    described = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in tensors]
    short = hashlib.sha256(repr((parts, described)).encode()).hexdigest()[:6]
    return f"{type(model).__name__}: {len(distinct)} tensors, {sum(distinct.values()):,} numbers, {short}"


def _optimizer_in_words(optimizer: Optimizer) -> str:
    groups = len(optimizer.param_groups)
    parameters = sum(len(group["params"]) for group in optimizer.param_groups)
    return (
        f"{type(optimizer).__name__}: {groups} group{'' if groups == 1 else 's'}, "
        f"{parameters} parameter{'' if parameters == 1 else 's'}"
    )


def named_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """By name, without asking the class of a module, which may make something for its answer (Keras's does)."""
    return dict(nn.Module.named_parameters(module))


def listed(given: Any, kind: type, name: str) -> list[Any]:
    """One thing or several, as a list. Raises InvalidArgument where one is of another kind, or there is none."""
    items = [given] if isinstance(given, kind) else list(given) if isinstance(given, (list, tuple)) else []
    if not items or not all(isinstance(item, kind) for item in items):
        wrong = next((item for item in items if not isinstance(item, kind)), given)
        what = wrong.__name__ if isinstance(wrong, type) else type(wrong).__name__
        raise InvalidArgument(
            f"{name}= takes a {kind.__module__}.{kind.__name__} or a list of them, not "
            + (
                f"the class {what}; make one of it"
                if isinstance(wrong, type)
                else f"{what}{_instead(wrong, name)}"
            )
        )
    return items


def _instead(given: Any, name: str) -> str:
    """Where a thing belongs that was given as the optimizer or the model."""
    if isinstance(bare_scheduler(given), LRScheduler):
        return ": a scheduler is handed in as state=[scheduler], with multiplier=True"
    if isinstance(given, (nn.Module, Optimizer)):
        return f": give it as {'model' if isinstance(given, nn.Module) else 'optimizer'}="
    if hasattr(given, "state_dict"):  # a GradScaler
        return ": what else changes while training is handed in as state=[...]"
    return ""
