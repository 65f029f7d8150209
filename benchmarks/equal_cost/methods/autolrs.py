"""AutoLRS (Jin et al. 2021, arXiv 2105.10762), written anew from the paper and the released code, in process.

    autolrs     stages of tau steps: ten rates are tried for tau / 10 steps each, the best trains tau steps; cost 2

A stage is decided by Bayesian optimisation of log lr: a Gaussian process with a Matern 5/2 kernel of the losses that
are forecast for step tau, its lower confidence bound proposing the next probe. A forecast fits

    loss(t) = a exp(-b t) + c,   b > 0                                                              (1)

to the probe's training losses, smoothed by quadratic splines. After a probe the weights and the optimizer go back
to where the stage began; the batches go on.

As released (github.com/YuchenJin/autolrs): the first probe of a stage is random, kappa is 1e6 (so that the bound in
effect spreads the probes evenly), a probe that is not finite counts 1e6, and there is no warm-up. A probe whose loss
rose above that of the fresh net is not extrapolated: released for validation losses, ours for training losses,
since without it a rate that blows the loss up and then repairs it looks best. The authors forecast from training
losses while tau is below 8,000 steps and from validation losses after that; our whole runs have 140 to 440 steps,
so training losses it is. Their tau doubles from 1,000 to 8,000 in runs of 100,000 steps and more; here all stages
have about TAU steps. Rates: 1e-3 .. 1 for SGD; for AdamW a guess, as wide and two decades lower.
"""

import math
import warnings

import numpy as np
from course import Course, finished
from outcomes import Cell, Method, cell_of, setting_of
from scipy import interpolate, optimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from tasks import Task
from training import clock

from gammatune.seeds import stream

TAU = 100  # steps: a probe has ten losses to fit (1) to; better than 40 on every development task
PROBES = 10
RANGE = {"sgd": (1e-3, 1.0), "momentum": (1e-3, 1.0), "adamw": (1e-5, 1e-2)}
KAPPA = 1e6
NOT_FINITE = 1e6  # the forecast of a probe that diverged
OUTLIERS = 0.03  # of the losses: what each of the ten smoothings drops from the first half
GRID = np.linspace(0, 1, 501)[:, None]  # of log lr over its range


def autolrs(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    rng = stream(seed, "autolrs", task.name)
    low, high = np.log(RANGE[task.optimizer])
    began = clock()
    course = Course(setting)
    schedule: list[float] = []
    fresh = math.nan  # the first loss of all
    for tau in stages(course.total):
        start = course.state()
        tried: list[tuple[float, float]] = []  # place in the range, forecast
        for _ in range(PROBES):
            u = proposal(tried, rng)
            lr = math.exp(low + u * (high - low))
            losses = course.advance(tau // PROBES, lambda k, lr=lr: lr)
            fresh = losses[0] if math.isnan(fresh) else fresh
            tried.append((u, forecast(losses, tau, ceiling=fresh)))
            course.load(start)
        u, _ = min(tried, key=lambda probe: probe[1])
        schedule.append(math.exp(low + u * (high - low)))
        course.advance(tau, lambda k: schedule[-1])
    trace = finished(course, cost=course.cost, seconds=clock() - began)
    return cell_of(setting, "autolrs", trace, chosen={"lr": [float(f"{lr:.3g}") for lr in schedule]})


def stages(total: int) -> list[int]:
    """The steps of each stage: as many of TAU as fit, made equal."""
    return [len(part) for part in np.array_split(np.arange(total), max(1, round(total / TAU)))]


def proposal(tried: list[tuple[float, float]], rng: np.random.Generator) -> float:
    """Where the lower confidence bound is lowest on GRID, apart from places tried; the first is random."""
    if not tried:
        return float(rng.random())
    u, y = np.array(tried).T
    kernel = ConstantKernel(1.0, (0.01, 1000)) * Matern(1.0, (0.01, 100), nu=2.5) + WhiteKernel()
    process = GaussianProcessRegressor(
        kernel, normalize_y=True, n_restarts_optimizer=2, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mean, spread = process.fit(u[:, None], y).predict(GRID, return_std=True)
    bound = mean - KAPPA * spread
    bound[np.abs(GRID - u).min(axis=1) < 1e-9] = np.inf
    return float(GRID[np.argmin(bound), 0])


def forecast(losses: list[float], at: int, ceiling: float = math.inf) -> float:
    """(1) at step `at`, fitted to losses at the steps 0, 1, ...

    The mean of the second half where a loss lies above the ceiling, or where there are too few to fit.
    """
    t, y = np.arange(len(losses), dtype=float), np.array(losses)
    if not np.isfinite(y).all():
        return NOT_FINITE
    if len(losses) <= 3 or y.max() > ceiling:
        return float(y[len(y) // 2 :].mean())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the splines' word that they cannot be as smooth as asked
        smooth = _smoothed(t, y)

        def misfit(log_b: np.ndarray) -> float:
            basis = _basis(t, log_b[0])
            return float(np.square(basis @ _weights(basis, smooth) - smooth).sum())

        log_b = float(optimize.fmin(misfit, 0.0, xtol=1e-5, ftol=1e-5, disp=False)[0])
        value = (_basis(np.array([float(at)]), log_b) @ _weights(_basis(t, log_b), smooth)).item()
    return value if math.isfinite(value) else NOT_FINITE


def _smoothed(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A quadratic smoothing spline at t, after ten rounds that drop what lies farthest from one."""
    kept_t, kept_y = t, y
    for _ in range(10):
        away = np.abs(kept_y - interpolate.UnivariateSpline(kept_t, kept_y, k=2)(kept_t))
        farthest = np.argsort(away)[len(away) - round(OUTLIERS * len(away)) :]
        keep = np.ones(len(away), dtype=bool)
        keep[farthest[kept_t[farthest] < t[len(t) // 2]]] = False
        kept_t, kept_y = kept_t[keep], kept_y[keep]
    return interpolate.UnivariateSpline(kept_t, kept_y, k=2)(t)


def _basis(t: np.ndarray, log_b: float) -> np.ndarray:  # (n, 2)
    return np.column_stack([np.exp(-np.exp(log_b) * t), np.ones(len(t))])


def _weights(basis: np.ndarray, y: np.ndarray) -> np.ndarray:  # (2,): a and c of (1)
    return np.linalg.lstsq(basis, y, rcond=None)[0]


METHODS: dict[str, Method] = {"autolrs": autolrs}
