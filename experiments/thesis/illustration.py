"""What figures 3, 4 and 11 illustrate on: a Gaussian process of a few observations without noise, in one dimension.

The thesis takes these pictures from others and their data are lost. Here the objective is the sine example without
its noise, its two first samples, and then, one by one, the points of highest EI (9). The hyperparameters are held
(width 0.6 in x, standard deviation 1, guesses), because two points do not tell them.
"""

from collections.abc import Sequence

import numpy as np
import sine_example as sine

from gammatune.surrogate.acquisition import ei
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gp import GP

FIRST = (-0.9, 1.1)
WIDTH = 0.6  # in x; 0.2 of the range
DEVIATION = 1.0  # of f before anything is seen
RHO = 1e-8  # no noise, but a matrix that can be factorised
LINE = np.linspace(sine.LOW, sine.HIGH, 121)


def process(xs: Sequence[float]) -> GP:
    """The Gaussian process given f at these points."""
    width = np.array([WIDTH / (sine.HIGH - sine.LOW)])
    data = Dataset(sine.unit(xs), [sine.f(x) for x in xs])
    return GP(data, width, (DEVIATION / data.spread) ** 2, RHO)


def grown(first: Sequence[float], count: int) -> list[float]:
    """The first points, and those of highest EI after them, until there are so many."""
    xs = list(first)
    while len(xs) < count:
        gp = process(xs)
        xs.append(float(LINE[int(np.argmax(ei(gp.posterior(sine.unit(LINE)), gp.data.y.max())))]))
    return xs


def belief(xs: Sequence[float], at: Sequence[float] | np.ndarray = LINE) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of f at some points."""
    believed = process(xs).posterior(sine.unit(at))
    return believed.mean, np.sqrt(believed.variance)
