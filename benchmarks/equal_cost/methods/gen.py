"""GeN (Bu and Xu 2025, arXiv 2407.02772; package gen-optim): the generalised Newton's method for the rate.

    gen     every LAZY steps the rate goes a tenth of the way to the lowest point of a parabola along the step that
            the optimizer is about to make, through the losses of three forward passes on another batch

As released: the rate moves to no more than twice and no less than half of itself before the tenth, the lowest point
is scaled by what is left of the epochs, and the optimizer's moments see the gradient of such a step twice. It begins
at the rule of thumb: a rate that moves by a tenth an update goes no further than a decade or two in 140 to 440 steps
(on the development tasks 1.05 times linear-grid's error; 1.15 from the optimizer's default; five seeds).
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from course import Course, endless, finished
from GeN import lr_parabola
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Task
from torch import Tensor
from torch.optim import Optimizer
from training import clock

from methods.plain import RULE_OF_THUMB

LAZY = 4  # steps: the README's least, and its examples' default
LOOKS = 3  # forward passes of an update


def gen(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    began = clock()
    course = Course(setting)
    rates: list[float] = []
    inside = False

    def batches() -> Iterator[Sequence[Tensor]]:
        """In an order of their own, and paid for."""
        for x, y in endless(setting.reordered(1)):
            course.evaluated += LOOKS * len(y)
            yield x, y

    probes = batches()

    def newton(optimizer: Optimizer, *_: Any) -> None:
        nonlocal inside
        if inside or (course.step + 1) % LAZY:  # lr_parabola makes a step of its own, to see where it leads
            return
        inside = True
        epoch = course.step * task.epochs // course.total
        # it prints what went wrong, and halves the rate; a warning made an error would do so too
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lr_parabola(
                course.model,
                optimizer,
                setting.loss,
                tr_iter=probes,
                device="cpu",
                task="image_cls",  # two tensors a batch
                scale=1 - epoch / task.epochs,
            )
        rates.append(optimizer.param_groups[0]["lr"])
        inside = False

    first = RULE_OF_THUMB[task.optimizer]
    course.optimizer.register_step_pre_hook(newton)
    course.advance(course.total, lambda k: rates[-1] if rates else first)
    trace = finished(course, cost=course.cost, seconds=clock() - began)
    return cell_of(setting, "gen", trace, chosen={"lr": max(rates, default=first)})


METHODS: dict[str, Method] = {"gen": gen}
