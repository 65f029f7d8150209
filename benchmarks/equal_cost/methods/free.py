"""Optimizers that need no schedule, or no rate, as their READMEs advise; nothing is chosen by validation.

    schedule-free   SGDScheduleFree or AdamWScheduleFree (Defazio et al. 2024, arXiv 2405.15682; package schedulefree)
    schedule-free-1.5   the same with 1.5 times the epochs
    prodigy         Prodigy (Mishchenko and Defazio 2024, arXiv 2306.06101; package prodigyopt)
    prodigy-1.5     the same with 1.5 times the epochs

Each keeps the task's weight decay, in the form the task's optimizer has it where there is a choice.
"""

import contextlib
import io
import math
from functools import partial

from course import Course, finished
from outcomes import Cell, Method, cell_of, setting_of
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree, SGDScheduleFree
from tasks import Task
from torch import nn
from torch.optim import Optimizer
from training import WARM_UP, clock

# Ten times the classical 0.1 and 1e-3: the README advises 10 to 50 times for SGD, 1 to 10 times for AdamW. The
# package's default for AdamW is 0.0025: error 0.076 on digits-cnn where this has 0.047, and 0.034 on breast-cancer
# where this has 0.039 (seeds 100 to 107).
LR = {"sgd": 1.0, "adamw": 0.01}
BETA = 0.9  # the README's; in SGDScheduleFree it takes the place of momentum


def schedule_free(name: str, times: float, task: Task, seed: int) -> Cell:
    """Warm-up over the same 5 % of the steps as elsewhere; BatchNorm's statistics are taken anew at the average."""
    setting = setting_of(task, seed)
    lr = LR["adamw" if task.optimizer == "adamw" else "sgd"]
    steps = round(times * task.epochs) * len(setting.loader())

    def make(model: nn.Module) -> Optimizer:
        warmup = round(WARM_UP * steps)
        common = {"lr": lr, "weight_decay": task.weight_decay, "warmup_steps": warmup}
        if task.optimizer == "adamw":
            return AdamWScheduleFree(model.parameters(), betas=(BETA, 0.999), **common)
        return SGDScheduleFree(model.parameters(), momentum=BETA, **common)

    began = clock()
    course = Course(setting, make)
    course.optimizer.train()
    course.advance(steps, lambda k: lr)
    course.optimizer.eval()
    if any(isinstance(module, nn.BatchNorm2d) for module in course.model.modules()):
        setting.recalibrate(course.model)
        course.evaluated += setting.examples
    trace = finished(course, cost=course.cost, seconds=clock() - began)
    return cell_of(setting, name, trace, chosen={"lr": lr})


def prodigy(name: str, times: float, task: Task, seed: int) -> Cell:
    """lr = 1 along a cosine without warm-up, as in the README (so that safeguard_warmup is not needed)."""
    setting = setting_of(task, seed)

    def make(model: nn.Module) -> Optimizer:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints which weight decay it uses
            decoupled = task.optimizer == "adamw"
            return Prodigy(model.parameters(), lr=1.0, weight_decay=task.weight_decay, decouple=decoupled)

    began = clock()
    course = Course(setting, make)
    steps = round(times * task.epochs) * course.total // task.epochs
    course.advance(steps, lambda k: (1 + math.cos(math.pi * k / steps)) / 2)
    trace = finished(course, cost=course.cost, seconds=clock() - began)
    return cell_of(setting, name, trace, chosen={"lr": course.optimizer.param_groups[0]["d"]})


METHODS: dict[str, Method] = {
    "schedule-free": partial(schedule_free, "schedule-free", 1.0),
    "schedule-free-1.5": partial(schedule_free, "schedule-free-1.5", 1.5),
    "prodigy": partial(prodigy, "prodigy", 1.0),
    "prodigy-1.5": partial(prodigy, "prodigy-1.5", 1.5),
}
