"""Asynchronous successive halving over the peak of a cosine with warm-up (Li et al. 2020, arXiv 1810.05934).

    asha-cosine     rates drawn from 1e-5 .. 10; rungs after 1/9, 1/3 and all of the steps; 12 plain runs in all

One worker: the asynchronous rule (algorithm 2) as it is, a job at a time. A job promotes a configuration of the top
third of the highest rung that has one, and otherwise draws a new one. A promoted training goes on from where it
paused, on the cosine of the full length. It ends at the first job that the budget does not pay for.
"""

import math
from dataclasses import dataclass

from course import Course, finished
from outcomes import LRS, Cell, Method, cell_of, setting_of
from tasks import Task
from training import SHAPES, clock, cost

from gammatune.seeds import stream

BUDGET = 12.0  # plain runs
ETA = 3  # the reduction factor; the paper uses 4, here a third leaves three rungs in eight epochs
RUNGS = 3


@dataclass
class Trial:
    """lr: the peak. scores: on "select" at the rungs reached so far, higher is better."""

    lr: float
    course: Course
    scores: list[float]


def asha(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    rng = stream(seed, "asha", task.name)
    began = clock()
    trials: list[Trial] = []
    total = Course(setting).total
    ends = [max(1, round(total / ETA ** (RUNGS - 1 - rung))) for rung in range(RUNGS)]  # steps
    while True:
        trial = promotable(trials)
        if trial is None:
            lr = math.exp(rng.uniform(math.log(LRS[0]), math.log(LRS[-1])))
            trial = Trial(lr, Course(setting), [])
        steps = ends[len(trial.scores)] - trial.course.step
        spent = sum(t.course.cost for t in trials)
        if spent + cost(setting, steps * task.batch_size, setting.validation) > BUDGET:
            break
        if not trial.scores:
            trials.append(trial)
        trial.course.advance(steps, lambda k, peak=trial.lr: peak * SHAPES["cosine"]((k + 0.5) / total))
        trial.scores.append(trial.course.score())
    best = max(trials, key=lambda t: (len(t.scores), t.scores[-1]))
    trace = finished(best.course, cost=sum(t.course.cost for t in trials), seconds=clock() - began)
    reached = [sum(len(t.scores) > rung for t in trials) for rung in range(RUNGS)]
    return cell_of(setting, "asha-cosine", trace, chosen={"lr": best.lr, "rungs": reached})


def promotable(trials: list[Trial]) -> Trial | None:
    """The best not yet promoted of the top third of a rung, looked for from the highest rung down."""
    for rung in reversed(range(RUNGS - 1)):
        there = sorted((t for t in trials if len(t.scores) > rung), key=lambda t: -t.scores[rung])
        top = there[: len(there) // ETA]
        waiting = [t for t in top if len(t.scores) == rung + 1 and t.scores[rung] > -math.inf]
        if waiting:
            return waiting[0]
    return None


METHODS: dict[str, Method] = {"asha-cosine": asha}
