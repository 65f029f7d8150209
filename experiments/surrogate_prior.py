"""Where the Gamma process's prior of theta comes from, and what the Gamma itself gives: regret on random functions.

No function here is the sine of experiments/sine.py. Three families on [0, 1], each scaled to a range of 1:

    lr       a learning-rate curve: a slow rise in log LR to a top, then a cliff to chance level
    matern   a draw of a Matern 5/2 process, lengthscale log-uniform in 0.1 .. 0.5
    smooth   a draw of a squared-exponential process, the same lengthscales

with normal noise, sd log-uniform in 0.01 .. 0.2, and 12 evaluations (2 of them space-filling). Reported is the
noise-free regret of the recommended point, averaged over evaluations 4 to 12, for each prior, as mean and
standard error of the paired difference to the prior in use; functions and noise are the same for every prior.
Beside the priors stand the two Gaussian searches: the fitted Gaussian process with EI (xi = 0.01), and the
same quadrature without the Gamma (the ablation).

Found (results/surrogate_prior.json, 180 functions): a prior median of rho of 0.03 costs 0.0115 +- 0.0033 more
regret than 0.001; on 450 functions of other seeds (--first 1000 --functions 150) 0.001 beat 0.003 by 0.0043 +-
0.0013. The fitted Gaussian process is worse by 0.033 +- 0.008. The quadrature without the Gamma is level: +0.002
+- 0.005, and 0.000 +- 0.002 on 900 functions of other seeds (--first 2000 and 3000). So it is the quadrature over
theta that gains, not the Gamma's tails. No other change is clear of two standard errors in every set; on those
900, a0 = 2 with b0 = 3 gained 0.004 +- 0.002 and with b0 = 2 nothing, and DESIGN's 2 and 1 stay.

Run:  python experiments/surrogate_prior.py --functions 60 --out experiments/results/surrogate_prior.json
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import harness
import numpy as np

from gammatune.records import Observation
from gammatune.samplers.bayes import Bayes, Surrogate, expected_improvement
from gammatune.seeds import stream
from gammatune.space import Float, Space
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess, PrecisionPrior
from gammatune.surrogate.gp import QuadratureGP, fit
from gammatune.surrogate.kernels import Matern52, SquaredExponential
from gammatune.surrogate.quadrature import ThetaPrior

SPACE = Space({"x": Float(0.0, 1.0)})
EVALUATIONS = 12
LINE = np.linspace(0.0, 1.0, 513)
FAMILIES = ("lr", "matern", "smooth")

Function = Callable[[float], float]


def draw(family: str, seed: int) -> tuple[Function, float]:
    """A function of range 1 and its noise sd."""
    rng = stream(seed, "surrogate_prior", family)
    noise = float(np.exp(rng.uniform(np.log(0.01), np.log(0.2))))
    if family == "lr":
        cliff, rise, fall = rng.uniform(0.4, 0.95), rng.uniform(0.1, 0.4), rng.uniform(0.01, 0.08)
        y = np.exp((LINE - cliff) / rise) / (1 + np.exp((LINE - cliff) / fall))
    else:
        theta = np.array([np.exp(rng.uniform(np.log(0.1), np.log(0.5)))])
        kernel = Matern52(theta) if family == "matern" else SquaredExponential(theta)
        K = kernel(LINE[:, None], LINE[:, None])
        y = np.linalg.cholesky(K + 1e-8 * np.eye(len(LINE))) @ rng.standard_normal(len(LINE))
    y = (y - y.min()) / (y.max() - y.min())
    return (lambda x: float(np.interp(x, LINE, y))), noise


def regret(family: str, seed: int, build: Callable[[Dataset], Surrogate], xi: float = 0.0) -> float:
    """Mean regret of the recommendation over evaluations 4 to 12."""
    f, sd = draw(family, seed)
    rng, noise = stream(seed, "search"), stream(seed, "noise").normal(0.0, sd, EVALUATIONS)
    sampler = Bayes(SPACE, rng, build, expected_improvement(xi))
    regrets = []
    for i in range(EVALUATIONS):
        values = sampler.ask()
        assert values is not None
        sampler.tell(Observation(values, f(float(values["x"])) + float(noise[i])))
        best = sampler.recommend()
        assert best is not None
        regrets.append(1 - f(float(best["x"])))
    return float(np.mean(regrets[3:]))


def variants() -> dict[str, tuple[ThetaPrior, PrecisionPrior]]:
    """One change at a time about the prior in use."""
    theta, prior = ThetaPrior(), PrecisionPrior()
    out = {"in use": (theta, prior)}
    for field, values in (
        ("lengthscale", (0.1, 0.15, 0.2, 0.3, 0.5)),
        ("lengthscale_spread", (0.4, 0.7, 1.0)),
        ("rho", (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)),
        ("rho_spread", (1.0, 1.5, 2.0)),
        ("v0", (1.0, 10.0, 100.0)),
    ):
        for value in values:
            if getattr(theta, field) != value:
                out[f"{field}={value}"] = (replace(theta, **{field: value}), prior)
    for a0, b0 in ((1.0, 1.0), (2.0, 2.0), (5.0, 5.0)):
        out[f"a0={a0:g}, b0={b0:g}"] = (theta, PrecisionPrior(a0, b0))
    return out


Search = tuple[dict[str, Any], Callable[[Dataset], Surrogate], float]  # settings, how it is built, xi


def searches() -> dict[str, Search]:
    found: dict[str, Search] = {}
    for name, (theta, prior) in variants().items():
        build = partial(GammaProcess, prior=prior, theta=theta)
        found[name] = ({"theta": asdict(theta), "precision": asdict(prior)}, build, 0.0)
    found["gaussian-quadrature"] = ({"theta": asdict(ThetaPrior())}, QuadratureGP, 0.0)
    found["gaussian"] = ({}, fit, 0.01)
    return found


def run(search: str, family: str, seed: int) -> harness.Row:
    _, build, xi = searches()[search]
    return {"regret": regret(family, seed, build, xi)}


def main() -> None:
    parser = harness.arguments(__doc__, jobs=1)
    parser.add_argument("--functions", type=int, default=60, help="of each family")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="only the variants whose name contains this")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "search", "family", "seed")
    seeds = range(args.first, args.first + args.functions)
    rows, base = {}, None
    for name, (settings, _, _) in searches().items():
        if args.only not in name and name != "in use":
            continue
        keys = [{"search": name, "family": family, "seed": seed} for family in FAMILIES for seed in seeds]
        harness.sweep(cells, keys, run, **harness.bounds(args))
        here = {(row["family"], row["seed"]): row["regret"] for row in cells.good(search=name)}
        table = np.array([[here[family, seed] for seed in seeds] for family in FAMILIES])
        base = table if base is None else base
        worse = (table - base).ravel()
        rows[name] = {
            **settings,
            "regret": dict(zip(FAMILIES, np.round(table.mean(axis=1), 4).tolist(), strict=True)),
            "regret_mean": round(float(table.mean()), 4),
            "regret_sd": round(float(table.std(ddof=1)), 4),
            "minus_in_use": round(float(worse.mean()), 4),
            "standard_error": round(float(worse.std(ddof=1) / np.sqrt(worse.size)), 4),
            "n": int(table.size),
        }
        row = rows[name]
        print(
            f"{name:24} {row['regret']}  {row['regret_mean']:.4f}  "
            f"{row['minus_in_use']:+.4f} +- {row['standard_error']}",
            flush=True,
        )
    if args.out:
        about = harness.about("gammatune", "numpy", "scipy")
        harness.save(args.out, {"experiment": "surrogate_prior", **about, "results": rows})


if __name__ == "__main__":
    main()
