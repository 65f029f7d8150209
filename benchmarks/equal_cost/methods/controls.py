"""What stands behind averaging: each mechanism alone, at one rate and one compute, without a search.

    control-one-x2          one training, as a plain run
    control-average-x1, -x2 every epoch K members from one state, each over the data in its own order; on with the
                            mean of their weights, buffers and optimizer states: lookahead's averages, no more
    control-local-x1, -x2   local SGD (Stich 2019, arXiv 1805.09767): the same, but each member keeps its
                            optimizer state
    control-batch-x1, -x2   a batch of K batches in every step, the steps of a plain run
    control-swa-x1, -x2     SWA (Izmailov et al. 2018, arXiv 1803.05407): a constant rate after the warm-up, the mean
                            of the weights after each epoch of the second half
    control-lawa-x1, -x2    LAWA (Kaddour 2022, arXiv 2209.14981): the mean of the weights after each of the last
                            five epochs
    control-swa-x1-12 ...   the last four with 12 times the epochs

The rate is that of the same seed's `linear-grid`, the best of twelve whole runs by "select", taken as it is (x1) or
doubled (x2); a shape other than that of SWA is linear's. K is what twelve plain runs pay for. Neither cost nor
seconds hold what finding the rate took: these are no methods to choose, they tell where the gain comes from. Their
like without any of it is `linear-grid` itself, one training at x1.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from course import Course, State, endless, finished
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Setting, Task
from torch import Tensor
from training import WARM_UP, clock, linear, plain_cost, train

from methods.plain import Average
from methods.tuned import grid, tuned

BUDGET = 12  # plain runs
LATEST = 5  # epochs that LAWA averages over (its paper: 6 and more, of longer trainings)
HALF = 0.5  # of the epochs: what SWA averages over; more than plain.py's, for the noise of a doubled rate


def reference(task: Task, seed: int) -> float:
    """The rate of linear-grid under this seed; its trainings are in the store."""
    return float(tuned("linear-grid", grid, "linear", task, seed).chosen["lr"])


def members(setting: Setting) -> int:
    """Trainings of a plain run's length, validation left out, that the budget pays for."""
    return int(BUDGET * plain_cost(setting) / (setting.task.epochs * setting.examples))


def one(name: str, factor: float, task: Task, seed: int) -> Cell:
    setting, lr = setting_of(task, seed), factor * reference(task, seed)
    return cell_of(setting, name, train(setting, lr, linear), chosen={"lr": lr})


# Members --------------------------------------------------------------------------------------------------


def averaged(name: str, factor: float, whole: bool, task: Task, seed: int) -> Cell:
    """whole: the optimizer states are averaged too. A member that diverges is left out of that epoch's mean."""
    setting, lr = setting_of(task, seed), factor * reference(task, seed)
    began = clock()
    courses = [Course(setting.reordered(order)) for order in range(members(setting))]
    total = courses[0].total
    for _ in range(task.epochs):
        for course in courses:
            course.advance(total // task.epochs, lambda k: lr * linear((k + 0.5) / total))
        for course in courses:
            course.diverged |= not all(p.isfinite().all() for p in course.model.parameters())
        living = [course.state() for course in courses if not course.diverged]
        if not living:
            break
        joined = mean(living)
        for course in courses:
            if whole or course.diverged:
                course.load(joined)
            else:
                course.model.load_state_dict(joined.model)
    first = courses[0]
    first.evaluated += setting.validation  # of the one pass in `finished`
    spent = sum(course.cost for course in courses)
    trace = finished(first, cost=spent, seconds=clock() - began)
    return cell_of(setting, name, trace, chosen={"lr": lr, "members": len(courses)})


def mean(states: Sequence[State]) -> State:
    """Of every tensor of real numbers; whole numbers, and the step, as the first has them."""
    return State(_mean([s.model for s in states]), _mean([s.optimizer for s in states]), states[0].step)


def _mean(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor) and first.is_floating_point():
        return torch.stack(list(values)).mean(dim=0)
    if isinstance(first, Mapping):
        return {key: _mean([value[key] for value in values]) for key in first}
    return first


def large_batch(name: str, factor: float, task: Task, seed: int) -> Cell:
    setting, lr = setting_of(task, seed), factor * reference(task, seed)
    began = clock()
    course = Course(setting, batches=joined_batches(setting, k := members(setting)))
    course.advance(course.total, lambda step: lr * linear((step + 0.5) / course.total))
    course.evaluated += setting.validation
    trace = finished(course, cost=course.cost, seconds=clock() - began)
    return cell_of(setting, name, trace, chosen={"lr": lr, "batches": k})


def joined_batches(setting: Setting, k: int) -> Iterator[Sequence[Tensor]]:
    """k batches made one, taken from k orders of the data: what k members see in one step."""
    for batches in zip(*(endless(setting.reordered(order)) for order in range(k)), strict=True):
        yield [torch.cat(tensors) for tensors in zip(*batches, strict=True)]


# Averages along one training ------------------------------------------------------------------------------


def along(name: str, factor: float, times: int, kind: str, task: Task, seed: int) -> Cell:
    """kind: "swa" or "lawa". times: the epochs, as a multiple of the task's."""
    setting, lr = setting_of(task, seed), factor * reference(task, seed)
    epochs, per_epoch = times * task.epochs, len(setting.loader())
    last = math.ceil(HALF * epochs) if kind == "swa" else min(LATEST, epochs)
    model = setting.model()
    average = Average(
        model, lambda step, steps: (step + 1) % per_epoch == 0 and step + 1 > steps - last * per_epoch
    )
    shape = warmed_up if kind == "swa" else linear
    trace = average.finished(setting, train(setting, lr, shape, epochs, model=model, callbacks=[average]))
    return cell_of(setting, name, trace, chosen={"lr": lr, "epochs": epochs, "averaged": last})


def warmed_up(progress: float) -> float:
    return min(progress / WARM_UP, 1.0)


METHODS: dict[str, Method] = {
    "control-one-x2": partial(one, "control-one-x2", 2.0),
    **{
        f"control-{kind}-x{factor}": partial(method, f"control-{kind}-x{factor}", float(factor), *options)
        for factor, (kind, method, options) in itertools.product(
            (1, 2),
            (("average", averaged, (True,)), ("local", averaged, (False,)), ("batch", large_batch, ())),
        )
    },
    **{
        name: partial(along, name, float(factor), times, kind)
        for factor, kind, times in itertools.product((1, 2), ("swa", "lawa"), (1, 12))
        for name in (f"control-{kind}-x{factor}" + ("" if times == 1 else f"-{times}"),)
    },
}
