"""AdaLRS (Dong et al. 2025, arXiv 2506.13274), whose code is not released: written from what its abstract and its
public reviews say of the algorithm.

    adalrs      where the loss falls more slowly than it did, a higher rate is tried, and kept if it falls faster

The schedule is linear's at a peak that is searched in the first half of the steps, a window at a time. The velocity
of a window is the slope, by least squares, of its training losses. Where a window is slower than the one before, the
next is trained at a higher rate: kept if it is faster again; otherwise weights and optimizer go back to where it
began, and the rate is lowered. Each trial moves the rate by a little less than the last. The batches go on.

The paper's trainings have tens of thousands of steps, ours 140 to 440, so the numbers below are ours: the best of
nine settings on the development tasks, where linear-grid's error was multiplied by 1.01 with these and by 1.05 to
1.40 with the others (five seeds). It begins at the rule of thumb: from the optimizer's default the same settings
had 1.08. What goes back is trained anew, and paid for.
"""

import numpy as np
from course import Course, finished
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Task
from training import WARM_UP, clock, linear

from methods.plain import RULE_OF_THUMB

UP, DOWN = 3.0, 2.0  # what a trial multiplies the rate by, and what a failed one divides it by (guess)
SHRINK = 0.95  # of the logarithms of both, after each trial; also tried: 0.7, 0.85
WINDOW = 0.03  # of the steps; also tried: 0.04, 0.06, 0.1
SEARCHED = 0.5  # of the steps: when the search ends; also tried: 0.35, 0.7
LEAST = 3  # steps of a window, or there is no slope


def adalrs(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    began = clock()
    course = Course(setting)
    total, rate = course.total, RULE_OF_THUMB[task.optimizer]

    def train(steps: int, rate: float) -> list[float]:
        return course.advance(steps, lambda k: rate * linear((k + 0.5) / total))

    window, share = max(LEAST, round(WINDOW * total)), 1.0
    rates = [rate]
    train(round(WARM_UP * total), rate)
    before = velocity(train(window, rate))
    while course.step + 2 * window <= SEARCHED * total and not course.diverged:
        now = velocity(train(window, rate))
        if -np.inf < now < before:
            start = course.state()
            tried = rate * UP**share
            faster = velocity(train(window, tried))
            if faster > now:
                rate, now = tried, faster
            else:
                course.load(start)
                rate /= DOWN**share
            share *= SHRINK
            rates.append(rate)
        before = now
    train(total - course.step, rate)
    trace = finished(course, cost=course.cost, seconds=clock() - began)
    return cell_of(setting, "adalrs", trace, chosen={"lr": [float(f"{lr:.3g}") for lr in rates]})


def velocity(losses: list[float]) -> float:
    """How much the loss falls in a step; -inf where it is not finite, or nothing was trained any more."""
    if not losses or not np.isfinite(losses).all():
        return -np.inf
    return -float(np.polyfit(np.arange(len(losses)), losses, 1)[0])


METHODS: dict[str, Method] = {"adalrs": adalrs}
