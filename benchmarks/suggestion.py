"""How long one suggestion takes: tell n observations, then time `ask` (and the fit it needs) alone.

Ours is the sampler `gamma`; the peers are Optuna's GPSampler and BoTorch's SingleTaskGP with
LogExpectedImprovement (fit_gpytorch_mll, then optimize_acqf with 10 restarts of 256 raw samples), all in one
process on one core. Every repetition has other data (the sine of experiments/sine.py with noise of sd 0.2 at
uniform points), so nothing can be remembered. Peers that are not installed are skipped, and said.

The methods take turns, one suggestion each, so that whatever else the machine does slows all of them alike; beside
the wall time stands the processor time of the process, which other programs do not lengthen by waiting. Optuna
is at its fastest only with the package `greenlet` (it says so itself): the report states whether it was there.

Targets (README): gamma at n = 20 in one dimension below 10 ms, 3 times faster than GPSampler, 20 times faster
than BoTorch.

Run:  python benchmarks/suggestion.py --repeats 30 --out benchmarks/results/suggestion.json
"""

import os
import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
from harness.machine import version

from gammatune.records import Observation
from gammatune.samplers import make_sampler
from gammatune.space import Float, Space

Suggestion = Callable[
    [np.ndarray, np.ndarray, int], tuple[float, float]
]  # X (n, d), y (n,), seed -> wall, processor seconds


def data(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n uniform points of the unit cube, scored by the sine along every axis, with noise."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.random((n, d))
    x = 3 * X - 1
    return X, (-np.sin(3 * x) - x**2 + 0.7 * x).mean(axis=1) + 0.2 * rng.standard_normal(n)


def ours(name: str) -> Suggestion:
    def suggest(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
        space = Space({f"x{j}": Float(0.0, 1.0) for j in range(X.shape[1])})
        points = [space.from_unit(u) for u in X]
        sampler = make_sampler(name, space, np.random.default_rng(seed), initial=points)
        for (
            score
        ) in y:  # the data are the opening, asked and told: nothing is pending, the next is the surrogate's
            values = sampler.ask()
            assert values is not None
            sampler.tell(Observation(values, float(score)))
        with harness.timed() as took:
            sampler.ask()
        return took.wall, took.processor

    return suggest


def optuna_gp(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, deterministic_objective=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    kinds = {f"x{j}": optuna.distributions.FloatDistribution(0.0, 1.0) for j in range(X.shape[1])}
    for u, score in zip(X, y, strict=True):
        params = {f"x{j}": float(u[j]) for j in range(len(u))}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=float(score)))
    with harness.timed() as took:
        study.ask(kinds)
    return took.wall, took.processor


def botorch_logei(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(seed)
    points, scores = torch.tensor(X), torch.tensor(y)[:, None]
    bounds = torch.stack([torch.zeros(X.shape[1]), torch.ones(X.shape[1])]).double()
    with harness.timed() as took:
        model = SingleTaskGP(points, scores)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        best = model.posterior(points).mean.max()
        optimize_acqf(
            LogExpectedImprovement(model, best_f=best), bounds=bounds, q=1, num_restarts=10, raw_samples=256
        )
    return took.wall, took.processor


Case = tuple[str, Suggestion, int, int]  # method, how, n, d


def measure(cases: list[Case], repeats: int) -> list[dict[str, Any]]:
    """Milliseconds over `repeats` data sets, after two that warm up; the cases take turns."""
    times = np.empty((repeats + 2, len(cases), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers: experimental features, input scaling
        for seed in range(repeats + 2):
            for i, (_, suggest, n, d) in enumerate(cases):
                times[seed, i] = suggest(*data(n, d, seed), seed)
    rows = []
    for (name, _, n, d), (wall, processor) in zip(cases, times[2:].transpose(1, 2, 0) * 1e3, strict=True):
        low, median, high = (round(float(q), 2) for q in np.quantile(wall, [0.25, 0.5, 0.75]))
        rows.append(
            {
                "method": name, "n": n, "d": d, "median_ms": median, "quartiles_ms": [low, high],
                "processor_median_ms": round(float(np.median(processor)), 2), "repeats": repeats,
            }
        )  # fmt: skip
    return rows


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()

    sizes = [(5, 1), (12, 1), (20, 1), (50, 1), (20, 2), (20, 4)]
    cases: list[Case] = [("gamma", ours("gamma"), *size) for size in sizes]
    cases += [("gaussian", ours("gaussian"), 20, 1)]
    if version("optuna") and version("torch"):
        cases += [("optuna GPSampler", optuna_gp, *size) for size in sizes]
    else:
        print("optuna GPSampler skipped: optuna or torch is not installed")
    if version("botorch"):
        cases += [("botorch LogEI", botorch_logei, *size) for size in sizes]
    else:
        print("botorch LogEI skipped: botorch is not installed")

    from threadpoolctl import threadpool_limits

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with threadpool_limits(1):
        rows = measure(cases, args.repeats)
    for row in rows:
        print(
            f"{row['method']:18} n={row['n']:<3} d={row['d']}  {row['median_ms']:8.2f} ms  {row['quartiles_ms']}  "
            f"processor {row['processor_median_ms']:.2f} ms"
        )
    ratios = {}
    for clock in ("median_ms", "processor_median_ms"):
        at_20 = {row["method"]: row[clock] for row in rows if (row["n"], row["d"]) == (20, 1)}
        ratios[clock] = {name: round(ms / at_20["gamma"], 1) for name, ms in at_20.items()}
    print("times gamma's, n=20, d=1:", ratios)
    if args.out:
        report = {
            "benchmark": "suggestion",
            **harness.about("gammatune", "numpy", "scipy", "optuna", "torch", "botorch"),
            "load_before": load,
            "greenlet": version("greenlet"),
            "rows": rows,
            "times_gamma": ratios,
        }
        harness.save(args.out, report)


if __name__ == "__main__":
    main()
