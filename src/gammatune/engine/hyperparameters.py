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

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.cost import Meter
from gammatune.engine.clipping import Clipping
from gammatune.engine.divergence import DivergenceCheck
from gammatune.engine.groups import above_zero, base_of, equals, get, has, number_of, put, rate_of, set_
from gammatune.engine.own_schedule import OwnSchedule
from gammatune.engine.prepared import refuse_unhooked
from gammatune.engine.rate_ratios import RateRatios, split
from gammatune.engine.spent_gradients import FIRST, SpentGradients
from gammatune.errors import ConflictingControl, InvalidArgument
from gammatune.records import Values
from gammatune.schedules import STILL, along
from gammatune.space import BATCH_SIZE, OPTIMIZER

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
        self._bases = [[base_of(group) for group in o.param_groups] for o in self.optimizers]
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
            self._hooks.append(optimizer.register_step_pre_hook(self._before(index)))
            if multiplier:
                after = torch.compiler.disable(self._after(index))
                self._hooks.append(optimizer.register_step_post_hook(after))

    def apply(self, values: Values, meter: Meter) -> None:
        """Set the values now, read them back, and count the steps that follow into `meter`."""
        self._meter = meter
        self._values = {name: value for name, value in values.items() if name not in NOT_HERE}
        for check in self._checks:
            check.reset()
        self._steps[:] = [0] * len(self.optimizers)
        self._begins = True
        self.bent = 1.0
        if self._clipping is not None:
            self._clipping.close()
        self._clipping = Clipping(self.optimizers) if meter.shape == STILL else None
        self._set_all()

    def own(self, names: Sequence[str]) -> Values:
        """What the optimizers came with: the value a search would set, or 1 for a multiplier."""
        own: dict[str, float] = {}
        for name in names:
            key, _ = split(name)
            if self._is_multiplied(name) or name in self._relative.part_of:
                own[name] = 1.0
            elif name not in NOT_HERE:
                bases = [number_of(self._bases[o][g], key, name) for o, g, _ in self._ratios(name)]
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

    def look_ahead(self, *, is_last: bool) -> None:
        """What comes is the last batch of a run, or is not."""
        self.gradients.is_last = is_last
        for check in self._checks:
            check.due = 0

    def levels(self, done: int, horizon: int) -> list[float]:
        """What `go_along` bends by in the batches that follow `done` of `horizon`, as far as that is known now, the
        next one last."""
        if self._own is not None and self._meter.small:
            return []
        until = max(min(done + AHEAD, horizon), done + 1)
        return along(self._meter.shape, [(k + 0.5) / horizon for k in range(done, until)])[::-1]

    def bend(self, multiplier: float) -> None:
        """Multiply every learning rate, as `apply` left it, by this; what other keys were set to stays."""
        if multiplier == self.bent:
            return
        self.bent = multiplier
        if self._multiplier:
            return
        for group, lr, wanted in self._straight:  # in every step of a course
            if type(stands := group["lr"]) is not float or stands is not wanted[2]:
                self._bend_any(multiplier)
                return
            group["lr"] = wanted[2] = lr * (multiplier or above_zero(multiplier, group))

    def _bend_any(self, multiplier: float) -> None:
        """Where a rate is a tensor, which groups may share, or has been changed."""
        for group, _, wanted in self._straight:
            if group["lr"] is not wanted[2] and not equals(get(group, "lr"), wanted[2]):
                self.refuse_changed()
        for group, lr, wanted in self._straight:
            bent = lr * (multiplier or above_zero(multiplier, group))
            if isinstance(group["lr"], Tensor):
                set_(group, "lr", bent)
                wanted[2] = get(group, "lr")
            else:
                group["lr"] = wanted[2] = bent

    def _set_all(self) -> None:
        for bases, optimizer in zip(self._bases, self.optimizers, strict=True):
            # a group added on the way: its base is what it was added with
            bases += [base_of(group) for group in optimizer.param_groups[len(bases) :]]
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
                        scaled = number_of(self._bases[index][number], key, name)
                    else:
                        scaled = float(value) * ratio
                    set_(groups[number], key, scaled)
        if not self._multiplier:
            for index, optimizer in enumerate(self.optimizers):
                for number, group in enumerate(optimizer.param_groups):
                    if (ratio := self._relative.of(index, number)) != 1.0:
                        set_(group, "lr", float(group["lr"]) * ratio)
        straight = [float(g["lr"]) for o in self.optimizers for g in o.param_groups]
        if not self._multiplier and self.bent != 1.0:
            bent = (g for o in self.optimizers for g in o.param_groups)
            for group, lr in zip(bent, straight, strict=True):
                set_(group, "lr", lr * above_zero(self.bent, group))
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
        for expected, o in zip(self._wanted, self.optimizers, strict=True):
            expected[:] = [
                [g, key, get(g, key)] for g in o.param_groups for key in sorted(steered) if has(g, key)
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
        from torch._dynamo.decorators import skip  # late, as an optimizer loads torch's compiler

        # What every step reaches is bound here once: between two steps nothing of it is left in the caches. A
        # compiled step calls the hook, and what that calls in few steps, and looks into neither, or they would be
        # compiled for every rollout; `torch.compiler.disable` around the hook itself costs 1.5 us a step.
        check, counts = self._checks[index], self._steps
        bases, expected = self._bases[index], self._wanted[index]
        lends = self._multiplier
        set_all, refuse_changed, lend, look = map(
            torch.compiler.disable, (self._set_all, self._refuse_changed, self._lend, self._look)
        )

        def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            # A fused optimizer is called even where GradScaler found an overflow, and skips by itself. On an
            # accelerator nobody waits to hear of it, so that such a step is counted there.
            overflow: Tensor | None = optimizer.__dict__.get("found_inf")
            if overflow is not None and overflow.is_cpu and overflow.item() > 0:
                return
            self._meter.steps += 1
            steps = counts[index] = counts[index] + 1
            if len(optimizer.param_groups) > len(bases):
                set_all()
            for group, key, wanted in expected:
                if group.get(key) is not wanted:
                    refuse_changed(index)
                    break
            if lends:
                lend(index)
            if (
                steps >= check.due
                or (gradient := check.short.grad) is None  # type: ignore[union-attr]
                or not abs(sum(gradient.tolist())) < check.limit
            ):
                look(index, steps, overflow)

        return skip(before_step)

    def _look(self, index: int, steps: int, overflow: Tensor | None) -> None:
        """What most steps go without."""
        meter, check, gradients = self._meter, self._checks[index], self.gradients
        if steps <= FIRST or gradients.is_last:
            gradients.before_step(index, steps)
        if self._clipping is not None:
            meter.clipped = self._clipping.relative()
            self._clipping.close()
            self._clipping = None
        if not meter.diverged and check.diverged(steps, overflow):
            meter.diverged = True
            meter.note = f"the gradient was not finite at step {meter.steps}"
        if steps >= FIRST and not gradients.is_last:
            check.rest(steps)

    def _refuse_changed(self, index: int) -> None:
        for group, key, wanted in self._wanted[index]:
            if group.get(key) is not wanted and not equals(get(group, key), wanted):
                raise ConflictingControl(
                    f"{key} was {float(get(group, key)):g} where gammatune had set {float(wanted):g}: a "
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
            put(group, "lr", lr * above_zero(factor * self._relative.of(index, number), group))
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
        bases = [number_of(self._bases[o][g], key, name) for o, g in where]
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
