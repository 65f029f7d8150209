"""Sets hyperparameters on the user's optimizers, and sees to it that they stay.

Legend: a *group* is an optimizer's parameter group; its *base* is the value it had when the tuner met it. A
searched value belongs to the first group whose base is above 0; the other groups keep their ratio to it, so
that layer-wise rates stay layer-wise and a 0 stays 0.

    names      lr, weight_decay, momentum (the first beta for the Adam family), or any number all groups have
    name.k     the same for optimizer k alone (from 0)
    lr_ratio   what the rates of one part are multiplied by beside those of the others (engine/rate_ratios.py)
    multiplier the searched lr multiplies whatever the user's own scheduler has set, for the time of the step
    shape      what every learning rate is multiplied by at some point of a rollout (`bend`)

`batch_size` is not an optimizer's: the loader factory has it (engine/batches.py). Nor is `optimizer`, by which a
training that has several for the same parameters takes one (`TorchLoop.apply`).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.cost import Meter
from gammatune.engine.clipping import Clipping
from gammatune.engine.divergence import TURN, DivergenceCheck
from gammatune.engine.own_schedule import OwnSchedule, put
from gammatune.engine.prepared import refuse_unhooked
from gammatune.engine.rate_ratios import RateRatios, split
from gammatune.engine.spent_gradients import FIRST, SpentGradients
from gammatune.errors import ConflictingControl, InvalidArgument
from gammatune.records import Values
from gammatune.schedules import STILL as AT_REST
from gammatune.space import BATCH_SIZE, OPTIMIZER

# What a rate of Adam's is multiplied by in the place of 0. Compiled or capturable, torch's Adam divides by the rate,
# so that 0 makes NaN of a weight that has had no gradient yet. Of all float32 only 0 is moved by it, to no effect.
STILL = 1e-30
AHEAD = 64  # batches whose rates are worked out together, which takes less than each in its step; guess
NOT_HERE = BATCH_SIZE, OPTIMIZER


class Hyperparameters:
    """Holds the optimizers' hooks from birth until `close`."""

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        names: Sequence[str],
        *,
        multiplier: bool,
        own: OwnSchedule | None = None,
    ) -> None:
        self.optimizers = list(optimizers)
        self._own = own
        for optimizer in self.optimizers:
            refuse_unhooked(optimizer)
            for group in optimizer.param_groups:
                rate_of(group, optimizer)
        self._multiplier = multiplier
        self._factor: dict[int, float] = {}  # optimizer -> factor, in multiplier mode
        self.bent = 1.0  # what the learning rates are multiplied by at present
        # groups, their lr before it is bent, and what stands in `_wanted` of it
        self._straight: list[tuple[dict[str, Any], float, list[Any]]] = []
        self._bases = [[_base_of(group) for group in o.param_groups] for o in self.optimizers]
        self._values: Values = {}
        # per optimizer: each value set, as [group, key, value], to be found unchanged in every step
        self._wanted: list[list[list[Any]]] = [[] for _ in self.optimizers]
        self._lent: list[list[Any]] = [[] for _ in self.optimizers]  # the user's lr during a step
        self._meter = Meter()
        self._steps = [0] * len(optimizers)
        self._begins = True
        self._checks = [DivergenceCheck(o) for o in self.optimizers]
        self._clipping: Clipping | None = None  # during a survey, until its first step
        self.gradients = SpentGradients(self.optimizers)
        self._names = [name for name in names if name not in NOT_HERE]
        self._refuse_overlap()
        self._relative = RateRatios(self.optimizers, self._names)
        for name in self._names:
            if name not in self._relative.part_of and not self._is_multiplied(name):
                self._ratios(name)  # raises where the name cannot be set
        self._hooks = []
        for index, optimizer in enumerate(self.optimizers):
            # A compiled step calls them and does not look into them, or it would be compiled for every rollout.
            before = torch.compiler.disable(self._before(index))
            self._hooks.append(optimizer.register_step_pre_hook(before))
            if multiplier:
                after = torch.compiler.disable(self._after(index))
                self._hooks.append(optimizer.register_step_post_hook(after))

    def apply(self, values: Values, meter: Meter) -> None:
        """Set the values now, read them back, and count the steps that follow into `meter`."""
        self._meter = meter
        self._values = {name: value for name, value in values.items() if name not in NOT_HERE}
        for check in self._checks:
            check.reset()
        self._steps = [0] * len(self.optimizers)
        self._begins = True
        self.bent = 1.0
        if self._clipping is not None:
            self._clipping.close()
        self._clipping = Clipping(self.optimizers) if meter.shape == AT_REST else None
        self._set_all()

    def own(self, names: Sequence[str]) -> Values:
        """What the optimizers came with: the value a search would set, or 1 for a multiplier."""
        own: dict[str, float] = {}
        for name in names:
            key, _ = split(name)
            if self._is_multiplied(name) or name in self._relative.part_of:
                own[name] = 1.0
            elif name not in NOT_HERE:
                bases = [_base(self._bases[o][g], key, name) for o, g, _ in self._ratios(name)]
                own[name] = next((base for base in bases if base > 0), 0.0)
        return own

    def go_along(self, progress: float, epoch_batches: int) -> None:
        """Bend the learning rates for a batch so far along the run, in [0, 1]. epoch_batches: that an epoch has."""
        if self._own is None or not self._meter.small:
            self.bend(self._meter.shape(progress))
            return
        if self._begins:
            self._own.begin()
            self._begins = False
        self._own.show(progress, self.steps, epoch_batches)
        self.bend(1.0)  # it has a shape of its own

    def levels(self, done: int, horizon: int) -> list[float]:
        """What `go_along` bends by in the batches that follow `done` of `horizon`, as far as that is known now."""
        ahead = range(0 if self._own is not None and self._meter.small else AHEAD)
        return [self._meter.shape((done + k + 0.5) / horizon) for k in ahead]

    def bend(self, multiplier: float) -> None:
        """Multiply every learning rate, as `apply` left it, by this; what other keys were set to stays."""
        if multiplier == self.bent:
            return
        self.bent = multiplier
        if self._multiplier:
            return
        for group, _, wanted in self._straight:  # in every step of a course; groups may share one tensor
            if group["lr"] is not wanted[2] and not _equals(_get(group, "lr"), wanted[2]):
                self.refuse_changed()
        for group, lr, wanted in self._straight:
            bent = lr * (multiplier or _above_zero(multiplier, group))
            if isinstance(group["lr"], Tensor):
                _set(group, "lr", bent)
                wanted[2] = _get(group, "lr")
            else:
                group["lr"] = wanted[2] = bent

    def _set_all(self) -> None:
        for bases, optimizer in zip(self._bases, self.optimizers, strict=True):
            # a group added on the way: its base is what it was added with
            bases += [_base_of(group) for group in optimizer.param_groups[len(bases) :]]
            if not self._multiplier:  # a fork may have been captured while its rate was bent
                for base, group in zip(bases, optimizer.param_groups, strict=False):
                    put(group, "lr", base["lr"])
        self._factor = {}
        self._relative.apply(self._values)
        for name, value in self._values.items():
            if name in self._relative.part_of:
                continue
            key, _ = split(name)
            if self._is_multiplied(name):
                self._factor |= {index: float(value) for index in self._whose(name)}
                continue
            is_own = value == self.own([name])[name]
            for index, number, ratio in self._ratios(name):
                groups = self.optimizers[index].param_groups
                if number < len(groups):  # a fork may lie before a group was added
                    if ratio == 1.0:
                        scaled = value
                    elif is_own:  # to the bit: 0.3 * (0.7 / 0.3) is not 0.7
                        scaled = _base(self._bases[index][number], key, name)
                    else:
                        scaled = float(value) * ratio
                    _set(groups[number], key, scaled)
        if not self._multiplier:
            for index, optimizer in enumerate(self.optimizers):
                for number, group in enumerate(optimizer.param_groups):
                    if (ratio := self._relative.of(index, number)) != 1.0:
                        _set(group, "lr", float(group["lr"]) * ratio)
        straight = [float(g["lr"]) for o in self.optimizers for g in o.param_groups]
        if not self._multiplier and self.bent != 1.0:
            bent = (g for o in self.optimizers for g in o.param_groups)
            for group, lr in zip(bent, straight, strict=True):
                _set(group, "lr", lr * _above_zero(self.bent, group))
        self._expect()
        if not self._multiplier:
            rates = (wanted for each in self._wanted for wanted in each if wanted[1] == "lr")
            self._straight = [(wanted[0], lr, wanted) for wanted, lr in zip(rates, straight, strict=True)]

    def _expect(self) -> None:
        """Note what every step must find."""
        steered = {split(name)[0] for name in self._values if not self._is_multiplied(name)}
        if not self._multiplier:
            steered.add("lr")
        # The very objects for plain numbers, so that an unchanged value is recognised without comparing.
        self._wanted = [
            [[g, key, _get(g, key)] for g in o.param_groups for key in sorted(steered) if _has(g, key)]
            for o in self.optimizers
        ]

    @property
    def steps(self) -> int:
        """Steps since `apply`, of the optimizer that made most."""
        return max(self._steps)

    def diverged_at_last(self) -> bool:
        return any(check.finally_diverged() for check in self._checks)

    def refuse_changed(self) -> None:
        """Raises ConflictingControl where a value is not what was set, of whichever optimizer."""
        for index in range(len(self.optimizers)):
            self._refuse_changed(index)

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self._clipping is not None:
            self._clipping.close()

    def _before(self, index: int) -> Any:
        check, gradients = self._checks[index], self.gradients

        def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            meter = self._meter
            # A fused optimizer is called even where GradScaler found an overflow, and skips by itself. On an
            # accelerator nobody waits to hear of it, so that such a step is counted there.
            overflow: Tensor | None = optimizer.__dict__.get("found_inf")
            if overflow is not None and overflow.is_cpu and overflow.item() > 0:
                return
            meter.steps += 1
            steps = self._steps[index] = self._steps[index] + 1
            if len(optimizer.param_groups) > len(self._bases[index]):
                self._set_all()
            for group, key, wanted in self._wanted[index]:
                if group.get(key) is not wanted:
                    self._refuse_changed(index)
                    break
            if steps <= FIRST or gradients.is_last:
                gradients.before_step(index, steps)
            if self._clipping is not None:
                meter.clipped = self._clipping.relative()
                self._clipping.close()
                self._clipping = None
            if self._multiplier:
                self._lend(index)
            if meter.diverged:
                return
            watched = check.short  # and, nearly always, in this step too
            if watched is not None and steps % TURN and (gradient := watched.grad) is not None:
                diverged = not abs(sum(gradient.tolist())) < check.limit
            else:
                diverged = check.diverged(steps, overflow)
            if diverged:
                meter.diverged = True
                meter.note = f"the gradient was not finite at step {meter.steps}"

        return before_step

    def _refuse_changed(self, index: int) -> None:
        for group, key, wanted in self._wanted[index]:
            if group.get(key) is not wanted and not _equals(_get(group, key), wanted):
                raise ConflictingControl(
                    f"{key} was {float(_get(group, key)):g} where gammatune had set {float(wanted):g}: a "
                    "scheduler or the loop changes it too, and one of the two would be lost. Take that away, a decay "
                    "by hand included; a learning-rate scheduler may stay with multiplier=True, and gammatune scales "
                    "what it sets"
                )

    def _after(self, index: int) -> Any:
        def after_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            for group, lr in zip(optimizer.param_groups, self._lent[index], strict=False):
                put(group, "lr", lr)
            self._lent[index] = []

        return after_step

    def _lend(self, index: int) -> None:
        factor = self._factor.get(index, 1.0) * self.bent
        groups = self.optimizers[index].param_groups
        for group, lr in zip(groups, self._lent[index], strict=False):
            put(group, "lr", lr)  # of a step that raised, and whose end the loop did not let be heard
        lent = [lr.clone() if isinstance(lr := g["lr"], Tensor) else lr for g in groups]
        # of the copies, as tensors are shared
        for number, (group, lr) in enumerate(zip(groups, lent, strict=True)):
            put(group, "lr", lr * _above_zero(factor * self._relative.of(index, number), group))
        self._lent[index] = lent

    # -- which groups a name means

    def _whose(self, name: str) -> list[int]:
        _, index = split(name)
        if index is None:
            return list(range(len(self.optimizers)))
        if not 0 <= index < len(self.optimizers):
            raise InvalidArgument(
                f"{name!r} names optimizer {index}, and there are {len(self.optimizers)}, counted from 0"
            )
        return [index]

    def _ratios(self, name: str) -> list[tuple[int, int, float]]:
        """(optimizer, group, ratio to the searched value) for every group that `name` steers."""
        key, _ = split(name)
        where = [(o, g) for o in self._whose(name) for g in range(len(self._bases[o]))]
        bases = [_base(self._bases[o][g], key, name) for o, g in where]
        reference = next((base for base in bases if base > 0), None)
        if reference is None:
            if key == "lr":
                raise InvalidArgument(
                    "the learning rate of every parameter group is 0: give at least one group a rate above "
                    "0, the others keep their ratio to it"
                )
            return [(o, g, 1.0) for o, g in where]  # all 0: the user asks for it to be searched everywhere
        return [
            (o, g, 1.0 if base == reference else base / reference)
            for (o, g), base in zip(where, bases, strict=True)
        ]

    def _is_multiplied(self, name: str) -> bool:
        return self._multiplier and split(name)[0] == "lr"

    def _refuse_overlap(self) -> None:
        for name in self._names:
            key, index = split(name)
            if index is not None and key in self._names:
                raise InvalidArgument(
                    f"{key!r} and {name!r} are both searched and set the same number; keep one"
                )


def rate_of(group: dict[str, Any], optimizer: Optimizer) -> float:
    """The learning rate of a group. Raises InvalidArgument where that is no number."""
    lr = group.get("lr")
    if isinstance(lr, (int, float, Tensor)) and not isinstance(lr, bool):
        return float(lr)
    kind = type(optimizer).__name__
    finds = " (it finds its steps by itself)" if lr is None else ""
    advice = ", relative_step=False" if "relative_step" in group else ""
    raise InvalidArgument(
        f"the {kind} optimizer has no learning rate to set: lr={lr!r}{finds}; make it with one, "
        f"{kind}(parameters, lr=0.01{advice})"
    )


def _base_of(group: dict[str, Any]) -> dict[str, Any]:
    """A group's numbers as they are now; a rate that is a tensor is read, since it is written into later."""
    return {
        k: float(v) if k == "lr" and isinstance(v, Tensor) else v for k, v in group.items() if k != "params"
    }


def _above_zero(multiplier: float, group: dict[str, Any]) -> float:
    """What to multiply a group's rate by; never 0 for Adam and AdamW."""
    return multiplier or (STILL if "amsgrad" in group else 0.0)


def _base(group: dict[str, Any], key: str, name: str) -> float:
    if key in group and isinstance(group[key], (int, float, Tensor)) and not isinstance(group[key], bool):
        return float(group[key])
    if key == "momentum" and "betas" in group:
        return float(group["betas"][0])
    known = sorted(k for k, v in group.items() if isinstance(v, (int, float)) and not isinstance(v, bool))
    raise InvalidArgument(
        f"{name!r} cannot be searched: the optimizer has no such number. It has {', '.join(known)}; "
        f"{BATCH_SIZE!r} is searched with a loader factory"
    )


def _has(group: dict[str, Any], key: str) -> bool:
    return key in group or (key == "momentum" and "betas" in group)


def _get(group: dict[str, Any], key: str) -> Any:
    """What stands in a group; a tensor's number as it is now."""
    value = group[key] if key in group else group["betas"][0]
    return float(value) if isinstance(value, Tensor) and value.is_cpu else value


def _set(group: dict[str, Any], key: str, value: Any) -> None:
    """Set one hyperparameter and read it back."""
    if key == "momentum" and key not in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        put(group, key, value)
    if not _equals(_get(group, key), value):
        raise ConflictingControl(
            f"{key} was set to {value!r} and read back as {_get(group, key)!r}; the optimizer does not take it"
        )


def _equals(stored: Any, value: Any) -> bool:
    if isinstance(stored, Tensor) or isinstance(value, Tensor):
        return True  # on an accelerator a look would wait for it
    # a tensor rate may be float32
    return bool(stored == value) or math.isclose(stored, value, rel_tol=1e-6, abs_tol=1e-30)
