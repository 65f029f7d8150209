"""What a model has learnt: its answers held against those of whoever knows nothing, and of another model.

Differences are paired: every resample holds the same examples for both.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.metrics.bootstrap import Learnt, lead, learnt, measured
from gammatune.metrics.catalogue import METRICS, undefined, value
from gammatune.metrics.predictions import Answers, decided

RANKS = 0.7  # of the auc, from which on a model has plainly learnt something [guess]


def knowing_nothing(
    train: NDArray[Any], answers: Answers, weights: NDArray[Any] | None = None, *, median: bool = False
) -> Answers:
    """The same examples, answered by the frequencies of the classes among the training targets (n,), or their mean
    (n, t), in the unit of the answers. weights: of the training targets, (n,). median: of ordered classes that is the
    answer, in the place of the most frequent one."""
    n = len(answers)
    if not answers.classes:
        numbers = np.asarray(train, dtype=np.float64).reshape(len(train), -1)
        mean = np.average(numbers, axis=0, weights=weights)
        return replace(answers, said=np.tile(mean, (n, 1)), spread=None)
    counts = np.bincount(train, weights, minlength=answers.classes)
    share = counts / counts.sum()
    probabilities = np.tile(share, (n, 1))
    said = decided(probabilities, ordered=median)
    return replace(answers, said=said, probabilities=probabilities, spread=None)


@dataclass(frozen=True, slots=True)
class Knowing:
    """whether: a model has learnt anything, by a measure, as far as the examples can tell. sentence: where it has
    not, or that is not plain; else empty."""

    whether: Learnt
    sentence: str = ""


def whether_learnt(
    metric: str,
    train: NDArray[Any],
    answers: Answers,
    rng: np.random.Generator,
    subject: str,
    weights: NDArray[Any] | None = None,
) -> Knowing | None:
    """Whether a model knows more than nothing; None where the measure has no value. subject: what it is called.
    weights: see `knowing_nothing`."""
    in_steps = METRICS[metric].of_order
    constant = knowing_nothing(train, answers, weights, median=in_steps)
    mine, its = value(metric, answers), value(metric, constant)
    ahead = lead(metric, answers, constant, rng)
    if mine is None or its is None or ahead is None:
        return None
    constantly = "the median class" if in_steps else "the most frequent class"
    name, n = (constantly if answers.classes else "the mean"), len(answers)
    # the boosted trees; the average of 12 networks
    are_several = subject.endswith("s") and " of " not in subject
    has, it_is = ("have", "are") if are_several else ("has", "is")
    whether = learnt(metric, its, ahead, answers.effective)
    match whether:
        case "something":
            return Knowing(whether)
        case "nothing":
            said = (
                f"{subject[0].upper()}{subject[1:]} {it_is} no better than always saying {name} "
                f"({metric} {its:.3g}, its own {mine:.3g}, on {n} examples): by this measure nothing was learnt."
            )
        case _:
            many = f"{n} example{'' if n == 1 else 's'}"
            said = (
                f"Whether {subject} {has} learnt anything cannot be told from {many} ({metric} {mine:.3g}, always "
                f"saying {name} {its:.3g}; 95 % interval of the lead {ahead.low:z.3g} to {ahead.high:z.3g})."
            )
    return Knowing(whether, said + _but_it_ranks(metric, answers, rng))


def _but_it_ranks(metric: str, answers: Answers, rng: np.random.Generator) -> str:
    """Where a model always says the common class, and yet knows which examples are likelier of the other: by more
    than chance."""
    if not answers.classes or metric == "auc" or undefined("auc", answers):
        return ""
    auc = measured(["auc"], answers, rng)[0]["auc"]
    if auc.value < RANKS or auc.low <= 0.5:
        return ""
    return (
        f" But it tells the likelier examples from others (auc {auc.value:.3g}): --metric balanced-accuracy or "
        "--class-weights balanced make use of that."
    )
