"""A scheduler of the user's own, shown in small: a look goes through the whole of what it sets along the course."""

import copy
import warnings
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from gammatune.engine.groups import put
from gammatune.records import StepCount


class OwnSchedule:
    """How often the loop body steps its schedulers is heard while a look is trained; what they set along a course is
    found by stepping them through it once, and putting them back.

    course: how long it is, in epochs or steps; None: nobody knows, and looks see what the schedulers set themselves,
    as they do where one goes by a metric.
    """

    def __init__(
        self,
        schedulers: Sequence[LRScheduler],
        optimizers: Sequence[Optimizer],
        course: int | StepCount | None,
    ) -> None:
        goes_by_a_metric = any(isinstance(one, ReduceLROnPlateau) for one in schedulers)
        self._schedulers = [] if goes_by_a_metric else list(schedulers)
        self._groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        self._course = course
        self._before = self._batches = 0  # calls when the look began, and batches since
        self._calls = 0  # along the course, as this look has heard
        self._along: dict[int, list[list[float]]] = {}  # calls -> after so many the rate of each group

    def begin(self) -> None:
        """A look takes its first batch."""
        self._before, self._batches, self._calls = self._count(), 0, 0

    def show(self, progress: float, steps: int, epoch_batches: int) -> None:
        """Set what stands there along the course, progress in [0, 1], where that is known.

        A batch is about to be trained. steps: of the optimizer, since the look began, which is at the beginning of
        the course. epoch_batches: that an epoch has.
        """
        self._batches += 1
        if not self._schedulers or self._course is None:
            return
        if not self._calls and steps:
            self._calls = self._of_course(self._course, self._count() - self._before, steps, epoch_batches)
        if not self._calls:
            return  # before the first step it stands where it began
        if self._calls not in self._along:
            self._along[self._calls] = self._step_through(self._calls)
        rates = self._along[self._calls]
        for group, rate in zip(
            self._groups, rates[min(int(progress * self._calls), len(rates) - 1)], strict=True
        ):
            put(group, "lr", rate)

    # -- inside

    def _count(self) -> int:
        return max((int(one.last_epoch) for one in self._schedulers), default=0)

    def _of_course(self, course: int | StepCount, calls: int, steps: int, epoch_batches: int) -> int:
        """A scheduler that has not been stepped with the optimizer is stepped once an epoch."""
        if isinstance(course, StepCount):
            return round(calls / steps * course.total) or course.epochs
        return round(calls / (self._batches - 1) * epoch_batches * course) or course

    def _step_through(self, calls: int) -> list[list[float]]:
        kept = [copy.deepcopy(one.state_dict()) for one in self._schedulers]
        held = [_numbers(group) for group in self._groups]
        along: list[list[float]] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the optimizer has not been stepped
                for _ in range(calls - self._count() + self._before):
                    along.append([float(group["lr"]) for group in self._groups])
                    for one in self._schedulers:
                        one.step()
        except ValueError:
            pass  # one that is shorter than the course says so: where it ends the rate stays
        finally:
            for one, state in zip(self._schedulers, kept, strict=True):
                one.load_state_dict(state)
            for group, numbers in zip(self._groups, held, strict=True):
                for name, value in numbers.items():
                    put(group, name, value)
        return along


def _numbers(group: dict[str, Any]) -> dict[str, Any]:
    """All that a scheduler may set."""
    return {n: v.clone() if isinstance(v, Tensor) else v for n, v in group.items() if n != "params"}
