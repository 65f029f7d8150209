"""The searches that are compared, all behind one pair of verbs: `ask` for parameters, `tell` a loss.

Spaces are Optuna's distributions without steps: floats (linear or log), whole numbers from 0 on (the places in an
ordered list), and options without order. A loss is minimised; inf is a trial that failed.

    gamma, gauss      GammaSampler as it comes; the same with a Gaussian in the Gamma's place (the ablation)
    gamma-1           as it was until its opening was changed: two trials, the first anywhere in the ranges
    gamma-0           that without the margin of its expected improvement: as it was when it was first compared
    random, tpe, gp   Optuna's RandomSampler, TPESampler, GPSampler as they come (ten random trials first for the two)
    gamma-told        GammaSampler, told the standard error of each trial where the problem knows it
    cma               Optuna's CmaEsSampler as it comes (the package cmaes; its first trial is random)
    tpe-2, gp-2       two random trials first, as GammaSampler has
    logei, logei-2    BoTorch: SingleTaskGP, its defaults, LogExpectedImprovement over the best posterior mean at a
                      point tried, optimize_acqf with 10 restarts of 256 raw samples; 2 (d + 1) Sobol points first
                      (as in its tutorials), or 2. In spaces of lists options are one-hot (MixedSingleTaskGP took 11 s
                      to fit 20 rows of HPOLib, this 1.3 s), and the best is taken of 2,048 random points not tried,
                      the neighbours of the best five tried and of the best five found: points that exist
    sklearn           GaussianProcessRegressor, constant x Matern 5/2 (a width a column) + white noise, targets
                      normalised, 2 restarts of its own optimiser; EI over 2,048 Sobol points and 512 near the best,
                      the best two polished by L-BFGS; options one-hot; 2 Sobol points first
    smac              SMAC's HyperparameterOptimizationFacade (random forest, log EI), deterministic, as it comes
                      but for its first design: n / 4 Sobol points, its own bound

A failed trial counts for BoTorch, scikit-learn and SMAC as the worst loss that is finite, which is what Optuna's
GPSampler does by itself. HEBO is not here: it requires numpy below 1.25, this library 1.26 or newer.
"""

import atexit
import contextlib
import functools
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from problems import Instance, Params
from scipy import optimize, special, stats

from gammatune.integrations.optuna import GammaSampler
from gammatune.integrations.optuna_scores import NOISE
from gammatune.surrogate.gp import QuadratureGP

Distributions: TypeAlias = Mapping[str, BaseDistribution]


class Method(Protocol):
    def ask(self) -> Params: ...

    def tell(self, params: Params, loss: float) -> None: ...


class GaussSampler(GammaSampler):
    _surrogate = QuadratureGP  # type: ignore[assignment]


class FormerOpening(GammaSampler):
    _first = None


class NoMargin(FormerOpening):
    _margin = 0.0


class Study:
    """A sampler of Optuna."""

    def __init__(
        self,
        space: Distributions,
        sampler: optuna.samplers.BaseSampler,
        error: Callable[[int], float] | None = None,
    ) -> None:
        """error: the standard error of a trial's value, by its number; GammaSampler is told."""
        self._space, self._study, self._error = dict(space), optuna.create_study(sampler=sampler), error

    def ask(self) -> Params:
        self._trial = self._study.ask(self._space)
        return self._trial.params

    def tell(self, params: Params, loss: float) -> None:
        if self._error is not None:
            self._trial.set_user_attr(NOISE, self._error(self._trial.number))
        self._study.tell(self._trial, loss)


class Encoded:
    """Parameters as points of the unit cube, for searches that know nothing else.

    Options without order fill a column each.
    """

    def __init__(self, space: Distributions, seed: int, startup: int) -> None:
        self.space, self.startup = space, startup
        self.rng = np.random.default_rng([seed, 6])
        self.lists = not any(isinstance(kind, FloatDistribution) for kind in space.values())
        self.X: list[np.ndarray] = []
        self.losses: list[float] = []
        self.told: list[Params] = []
        self._sobol = stats.qmc.Sobol(len(space), rng=self.rng)

    def tell(self, params: Params, loss: float) -> None:
        self.X.append(self.encode(params))
        self.losses.append(loss)
        self.told.append(params)

    @property
    def y(self) -> np.ndarray:
        """The scores (n,), higher is better; failures count as the worst."""
        losses = np.array(self.losses)
        finite = losses[np.isfinite(losses)]
        return -np.where(np.isfinite(losses), losses, finite.max() if len(finite) else 0.0)

    def sobol(self) -> Params:
        return self.decode(self._sobol.random()[0])

    def random(self, count: int) -> list[Params]:
        return [self.decode(u) for u in self.rng.random((count, len(self.space)))]

    def decode(self, u: np.ndarray) -> Params:
        """From a point with one column a parameter."""
        out: Params = {}
        for x, (name, kind) in zip(u.tolist(), self.space.items(), strict=True):
            if isinstance(kind, FloatDistribution):
                x = min(max(x, 0.0), 1.0)
                value = (
                    kind.low * (kind.high / kind.low) ** x
                    if kind.log
                    else kind.low + x * (kind.high - kind.low)
                )
                out[name] = min(max(value, kind.low), kind.high)
            elif isinstance(kind, IntDistribution):
                out[name] = min(int(x * (kind.high + 1)), kind.high)
            else:
                assert isinstance(kind, CategoricalDistribution)
                out[name] = kind.choices[min(int(x * len(kind.choices)), len(kind.choices) - 1)]
        return out

    def encode(self, params: Params) -> np.ndarray:
        out: list[float] = []
        for name, kind in self.space.items():
            value = params[name]
            if isinstance(kind, FloatDistribution):
                low, high = kind.low, kind.high
                share = np.log(value / low) / np.log(high / low) if kind.log else (value - low) / (high - low)
                out.append(float(share))
            elif isinstance(kind, IntDistribution):
                out.append(value / kind.high)
            elif isinstance(kind, CategoricalDistribution):
                out += [float(value == c) for c in kind.choices]
        return np.array(out, dtype=np.float64)

    def neighbours(self, params: Params) -> list[Params]:
        """All points of a space of lists that differ in one place; of ordered lists the next ones only."""
        out = []
        for name, kind in self.space.items():
            if isinstance(kind, CategoricalDistribution):
                others = [c for c in kind.choices if c != params[name]]
            else:
                assert isinstance(kind, IntDistribution)
                others = [v for v in (params[name] - 1, params[name] + 1) if kind.low <= v <= kind.high]
            out += [{**params, name: other} for other in others]
        return out

    def listed(self, value: Callable[[np.ndarray], np.ndarray]) -> Params:
        """In a space of lists the most valuable point not yet tried: random ones, the neighbours of the best ones
        tried and of the most valuable ones. value: of points (q, columns) -> (q,)."""
        points, tried = self.random(2048), {tuple(params.values()) for params in self.told}
        for i in np.argsort(-self.y)[:5]:
            points += self.neighbours(self.told[i])
        for turn in range(2):
            points = [p for p in points if tuple(p.values()) not in tried] or self.random(64)
            values = value(np.array([self.encode(p) for p in points]))
            if turn == 0:
                points = [
                    q for i in np.argsort(-values)[:5] for q in [points[i], *self.neighbours(points[i])]
                ]
        return points[int(np.argmax(values))]


class BoTorch(Encoded):
    def __init__(self, space: Distributions, seed: int, startup: int) -> None:
        import torch

        super().__init__(space, seed, startup)
        torch.manual_seed(seed)

    def ask(self) -> Params:
        if len(self.X) < self.startup or np.isinf(self.losses).all():
            return self.sobol()
        import torch
        from botorch.acquisition import LogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf
        from gpytorch.mlls import ExactMarginalLogLikelihood

        points, scores = torch.tensor(np.array(self.X)), torch.tensor(self.y)[:, None]
        model = SingleTaskGP(points, scores)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            best = model.posterior(points).mean.max()
        value = LogExpectedImprovement(model, best_f=best)
        if self.lists:

            def of(Z: np.ndarray) -> np.ndarray:
                with torch.no_grad():
                    return np.asarray(value(torch.tensor(Z)[:, None, :]))

            return self.listed(of)
        bounds = torch.stack([torch.zeros(points.shape[1]), torch.ones(points.shape[1])]).double()
        found, _ = optimize_acqf(value, bounds=bounds, q=1, num_restarts=10, raw_samples=256)
        return self.decode(found[0].numpy())


class Sklearn(Encoded):
    def __init__(self, space: Distributions, seed: int) -> None:
        super().__init__(space, seed, startup=2)
        self._seed = seed

    def ask(self) -> Params:
        if len(self.X) < self.startup or np.isinf(self.losses).all():
            return self.sobol()
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        X, y = np.array(self.X), self.y
        kernel = ConstantKernel(1.0) * Matern(np.full(X.shape[1], 0.3), (0.03, 10.0), nu=2.5)
        gp = GaussianProcessRegressor(
            kernel + WhiteKernel(1e-3, (1e-6, 1.0)), n_restarts_optimizer=2, normalize_y=True,
            random_state=self._seed,
        ).fit(X, y)  # fmt: skip
        best = gp.predict(X).max()

        def log_ei(Z: np.ndarray) -> np.ndarray:
            mean, sd = gp.predict(Z, return_std=True)
            sd = np.maximum(sd, 1e-12)
            z = (mean - best) / sd
            density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
            return np.log(sd) + np.log(np.maximum(z * special.ndtr(z) + density, 1e-300))

        if self.lists:
            return self.listed(log_ei)
        d = X.shape[1]
        cloud = stats.qmc.Sobol(d, rng=self.rng).random(2048)
        near = X[np.argmax(y)] + 0.05 * self.rng.standard_normal((512, d))
        Z = np.clip(np.concatenate([cloud, near]), 0.0, 1.0)
        value = log_ei(Z)
        tops = [
            optimize.minimize(
                lambda u: -log_ei(u[None, :])[0], Z[i], method="L-BFGS-B", bounds=[(0.0, 1.0)] * d,
                options={"maxiter": 20},
            )
            for i in np.argsort(-value)[:2]
        ]  # fmt: skip
        return self.decode(min(tops, key=lambda top: float(top.fun)).x)


@functools.cache
def _place() -> Path:
    """Where SMAC writes, for this process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


class SMAC:
    def __init__(self, space: Distributions, seed: int, n: int) -> None:
        from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
        from smac import HyperparameterOptimizationFacade, Scenario

        dimensions: dict[str, Any] = {}
        for name, kind in space.items():
            if isinstance(kind, FloatDistribution):
                dimensions[name] = Float(name, (kind.low, kind.high), log=kind.log)
            elif isinstance(kind, IntDistribution):
                dimensions[name] = Integer(name, (kind.low, kind.high))
            elif isinstance(kind, CategoricalDistribution):
                dimensions[name] = Categorical(name, list(kind.choices))
        scenario = Scenario(
            ConfigurationSpace(space=dimensions, seed=seed), output_directory=_place(),
            deterministic=True, n_trials=n, seed=seed,
        )  # fmt: skip
        self._smac = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False
        )
        self._worst, self._held = -np.inf, []  # failures before anything has a loss

    def ask(self) -> Params:
        self._info = self._smac.ask()
        return dict(self._info.config)

    def tell(self, params: Params, loss: float) -> None:
        from smac.runhistory import TrialValue

        self._held.append((self._info, loss))
        if np.isfinite(loss):
            self._worst = max(self._worst, loss)
        if np.isfinite(self._worst):
            for info, held in self._held:
                cost = held if np.isfinite(held) else self._worst
                self._smac.tell(info, TrialValue(cost=cost, time=0.0), save=False)
            self._held = []


Maker: TypeAlias = Callable[[Distributions, int, int], Method]  # space, seed, trials


def maker(method: str, made: Instance) -> Maker:
    """METHODS, and what asks the instance for more than its space."""
    if method == "gamma-told":
        return lambda space, seed, n: Study(space, GammaSampler(seed=seed), made.error)
    return METHODS[method]


METHODS: dict[str, Maker] = {
    "gamma": lambda space, seed, n: Study(space, GammaSampler(seed=seed)),
    "gauss": lambda space, seed, n: Study(space, GaussSampler(seed=seed)),
    "gamma-1": lambda space, seed, n: Study(space, FormerOpening(seed=seed, n_startup_trials=2)),
    "gamma-0": lambda space, seed, n: Study(space, NoMargin(seed=seed, n_startup_trials=2)),
    "random": lambda space, seed, n: Study(space, optuna.samplers.RandomSampler(seed=seed)),
    "tpe": lambda space, seed, n: Study(space, optuna.samplers.TPESampler(seed=seed)),
    "tpe-2": lambda space, seed, n: Study(space, optuna.samplers.TPESampler(seed=seed, n_startup_trials=2)),
    "gp": lambda space, seed, n: Study(space, optuna.samplers.GPSampler(seed=seed)),
    "gp-2": lambda space, seed, n: Study(space, optuna.samplers.GPSampler(seed=seed, n_startup_trials=2)),
    "logei": lambda space, seed, n: BoTorch(space, seed, 2 * (len(space) + 1)),
    "logei-2": lambda space, seed, n: BoTorch(space, seed, 2),
    "sklearn": lambda space, seed, n: Sklearn(space, seed),
    "smac": lambda space, seed, n: SMAC(space, seed, n),
    "cma": lambda space, seed, n: Study(space, optuna.samplers.CmaEsSampler(seed=seed)),
    "gamma-told": lambda space, seed, n: Study(space, GammaSampler(seed=seed)),
}


def followed(made: Instance, method: Method, trials: int) -> tuple[list[float], np.ndarray]:
    """The regret of the best score seen after each trial; (trials, 2) wall and processor seconds of each suggestion.

    What a search does when it is told belongs to its next suggestion.
    """
    best, held, regret, seconds = np.inf, 1.0, [], []
    for i in range(trials):
        with harness.timed() as asking:
            params = method.ask()
        score = made.score(params, i)
        with harness.timed() as telling:
            method.tell(params, score)
        seconds.append((asking.wall + telling.wall, asking.processor + telling.processor))
        if score < best:
            best, held = score, made.regret(params)
        regret.append(held)
    return regret, np.array(seconds)


@contextlib.contextmanager
def quiet() -> Any:
    """Without the peers' warnings about experimental features and input scaling."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
