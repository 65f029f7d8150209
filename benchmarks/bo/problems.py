"""Functions of known minima, cheap enough for many seeds. Each seed is an instance of its own: optima lie elsewhere.

The learning-rate curves are made up after what such curves look like (a plateau at small rates, a basin, then a cliff
at chance level, scores with noise), not fitted to any method: measured curves are for the long run to bring.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.distributions import FloatDistribution

LR = FloatDistribution(1e-6, 10.0, log=True)


@dataclass(frozen=True)
class Instance:
    """loss: of the parameters, without noise. least: its minimum (or what a fine grid finds)."""

    space: dict[str, FloatDistribution]
    loss: Callable[[dict[str, float]], float]
    least: float
    noise: float = 0.0


@dataclass(frozen=True)
class Problem:
    name: str
    make: Callable[[int], Instance]
    n: int  # trials
    at: tuple[int, ...]  # where the regret is read


def basin(x: float, best: float, left: float, right: float) -> float:
    """From 0 at `best` towards 1; widths in decades."""
    width = left if x < best else right
    return 1 - math.exp(-0.5 * ((x - best) / width) ** 2)


def lr_curve(seed: int) -> Instance:
    """One rate: 2.3 far away, 0.3 at best; noise of sd 0.02."""
    rng = np.random.default_rng([seed, 1])
    best, left, right = rng.uniform(-4.0, -0.5), rng.uniform(0.6, 1.5), rng.uniform(0.25, 0.6)
    return Instance(
        {"lr": LR}, lambda p: 0.3 + 2.0 * basin(math.log10(p["lr"]), best, left, right), 0.3, 0.02
    )


def lr_cliff(seed: int) -> Instance:
    """A slow descent that ends at a cliff: the best rate is just below the one that diverges (to a loss of 50)."""
    rng = np.random.default_rng([seed, 2])
    cliff = rng.uniform(-3.0, 0.0)

    def loss(p: dict[str, float]) -> float:
        x = math.log10(p["lr"])
        if x > cliff:
            return 50.0
        return 0.3 + 0.5 * (cliff - x) ** 2 / ((cliff - x) ** 2 + 2.0)

    return Instance({"lr": LR}, loss, 0.3, 0.005)


def lr_and_decay(seed: int) -> Instance:
    """Rate and weight decay: their product matters, and each a little on its own."""
    rng = np.random.default_rng([seed, 3])
    best, decay = rng.uniform(-3.5, -1.0), rng.uniform(-5.0, -2.5)
    space = {"lr": LR, "decay": FloatDistribution(1e-7, 0.1, log=True)}

    def loss(p: dict[str, float]) -> float:
        x, w = math.log10(p["lr"]), math.log10(p["decay"])
        a, b = basin(x, best, 1.2, 0.5), basin(x + w, best + decay, 2.0, 1.0)
        return 0.3 + 1.5 * (1 - (1 - a) * (1 - 0.5 * b))

    return Instance(space, loss, 0.3, 0.02)


def cube(d: int) -> dict[str, FloatDistribution]:
    return {f"x{j}": FloatDistribution(0.0, 1.0) for j in range(d)}


def shifted(d: int, of: Callable[[np.ndarray], float], least: float, seed: int, share: float) -> Instance:
    """`of` the point moved by up to `share` of the cube in each direction."""
    by = np.random.default_rng([seed, d, 4]).uniform(-share, share, d)
    return Instance(cube(d), lambda p: of(np.array([p[f"x{j}"] for j in range(d)]) + by), least)


def branin(u: np.ndarray) -> float:
    x, y = 15 * u[0] - 5, 15 * u[1]
    return float(
        (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
        + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x)
        + 10
    )


def hartmann3(u: np.ndarray) -> float:
    A = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
    P = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
    return float(-np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-np.sum(A * (u - P) ** 2, axis=1)))


def rosenbrock(u: np.ndarray) -> float:
    x = 4 * u - 2
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def levy(u: np.ndarray) -> float:
    w = 1 + (20 * u - 11) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + middle.sum() + last)


def problems(quick: bool) -> list[Problem]:
    short, long = (5, 8, 12), (20, 30) if quick else (20, 50)
    return [
        Problem("lr", lr_curve, 12, short),
        Problem("lr-cliff", lr_cliff, 12, short),
        Problem("lr-decay-2d", lr_and_decay, 12, short),
        # a move to where the minimum stays inside
        Problem("branin-2d", lambda seed: shifted(2, branin, 0.397887, seed, 0.1), long[-1], long),
        Problem("hartmann-3d", lambda seed: shifted(3, hartmann3, -3.86278, seed, 0.1), long[-1], long),
        Problem("rosenbrock-4d", lambda seed: shifted(4, rosenbrock, 0.0, seed, 0.1), long[-1], long),
        Problem("levy-5d", lambda seed: shifted(5, levy, 0.0, seed, 0.1), long[-1], long),
    ]
