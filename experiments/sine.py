"""Thesis figures 12 and 13: how many noisy evaluations until the top of a sine on a parabola is known?

    f(x) = -sin(3x) - x^2 + 0.7 x  on [-1, 2],  observed with normal noise of sd 0.2,
    first evaluations at x = -0.9 and 1.1, then 10 iterations (12 evaluations; followed here to 14).

The thesis claims 8 to 9 evaluations for its Gaussian search and 5 to 6 for its Gamma search, from one run
each. Here every method runs on many seeds; evaluation i of a seed gets the same noise draw under every method.
Scored is the noise-free regret f(x*) - f(x) of the *recommended* point after each evaluation: what a user
would go on with. Bayesian methods recommend the best posterior mean among evaluated points. Random and grid
recommend the best observed value, and, in a second line for fairness, the best posterior mean of the Gamma
process over the same points ("+ gamma mean").

A grid lives by where its points happen to fall: the points within 0.02 of the top make up 4 % of the range. Of
10 points from end to end one lies among them, of 12 none, on every seed alike. "grid 10 shifted" has 10 points at
equal distances from a random start, a new one for each seed: what a grid is worth before one knows the answer.

    evaluations   the first evaluation after which the regret is at most 0.02; "never" counts as the cap + 1
                  in the mean, and the number of such runs is reported beside it

Found (results/sine.json, 100 seeds, cap 14): gamma 10.3 evaluations (19 never), random 13.0 (70), a shifted grid
12.0 (61), the fitted Gaussian process 12.3 (43). The quadrature without the Gamma needs fewest of the searches,
9.6 (15): 0.8 fewer than gamma, 95 % interval 0.0 to 1.6; on other functions the two are level
(experiments/surrogate_prior.py). The plug-in readings never get there (mean regret 0.70 and 0.75 at the end).
The thesis's 5 to 6 evaluations are not reproduced.
The prior of rho was moved twice between runs of this example, on the evidence of other functions: gamma needed
13.3 at a median of 0.03 and 10.7 at 0.003 before the 10.3 at 0.001.

The function and the searches are those of figures 12 and 13: experiments/thesis/sine_example.py.

Run:  python experiments/sine.py --seeds 100 --out experiments/results/sine.json
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "thesis"))

import harness
import numpy as np
import sine_example as example

from gammatune.records import Observation
from gammatune.samplers.bayes import dataset
from gammatune.surrogate.gamma import GammaProcess

CAPS = (12, 14)


def gamma_mean(told: list[Observation]) -> float:
    """The evaluated point of the best posterior mean under the Gamma process."""
    data = dataset(example.SPACE, told)
    return float(told[int(np.argmax(GammaProcess(data).posterior(data.X).mean))].values["x"])


def run(search: str, seed: int) -> harness.Row:
    """Regret of the recommendation after each evaluation: the method's own, and the Gamma process's mean."""
    steps = example.play(search, seed, max(CAPS))
    if search in example.BAYES:
        return {"own": example.regret(steps)}
    means = (gamma_mean(example.told(steps[: i + 1])) for i in range(len(steps)))
    return {"own": example.regret(steps), "smooth": [example.TOP - example.f(x) for x in means]}


def interval(values: np.ndarray, rng: np.random.Generator) -> list[float]:
    return [round(end, 3) for end in harness.bootstrap(values, rng=rng)[1:]]


def summary(regret: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """regret, reference: (seeds, evaluations) of a method and of `gamma` on the same seeds."""
    rng = np.random.default_rng(0)
    out: dict[str, Any] = {
        "n": len(regret),
        "regret_mean": [round(float(r), 4) for r in regret.mean(axis=0)],
        "regret_sd": [round(float(r), 4) for r in regret.std(axis=0, ddof=1)],
        "regret_median": [round(float(r), 4) for r in np.median(regret, axis=0)],
    }
    for cap in CAPS:
        times, base = hits(regret, cap), hits(reference, cap)
        out[f"cap {cap}"] = {
            "evaluations_mean": round(float(times.mean()), 2),
            "evaluations_sd": round(float(times.std(ddof=1)), 2),
            "censored": int((times > cap).sum()),
            "minus_gamma_mean": round(float((times - base).mean()), 2),
            "minus_gamma_95": interval(times - base, rng),
            "final_regret_minus_gamma_95": interval(regret[:, cap - 1] - reference[:, cap - 1], rng),
        }
    return out


def hits(regret: np.ndarray, cap: int) -> np.ndarray:
    """The first evaluation (from 1) with a regret of at most 0.02, cap + 1 where there is none."""
    close = regret[:, :cap] <= example.CLOSE
    return np.where(close.any(axis=1), close.argmax(axis=1) + 1, cap + 1).astype(np.float64)


def main() -> None:
    args = harness.arguments(__doc__, seeds=100, jobs=1).parse_args()
    began, regrets = time.perf_counter(), {}
    cells = harness.Cells.beside(args.out, "search", "seed")
    for name in ("random", "grid 10", "grid 12", "grid 10 shifted", *example.BAYES):
        keys = [{"search": name, "seed": seed} for seed in range(args.seeds)]
        harness.sweep(
            cells, keys, run, **harness.bounds(args), say=lambda row: f"{row['search']} {row['seed']}"
        )
        here = cells.good(search=name)
        regrets[name] = np.array([row["own"] for row in here])
        if name not in example.BAYES:
            regrets[f"{name} + gamma mean"] = np.array([row["smooth"] for row in here])
    results = {name: summary(regret, regrets["gamma"]) for name, regret in regrets.items()}

    print(
        f"{args.seeds} seeds; evaluations to a regret of {example.CLOSE}, mean (never); difference to gamma, 95 %"
    )
    for name, row in results.items():
        cells = [
            f"cap {cap}: {row[f'cap {cap}']['evaluations_mean']:5.2f} ({row[f'cap {cap}']['censored']:3d}) "
            f"{row[f'cap {cap}']['minus_gamma_95']!s:16}"
            for cap in CAPS
        ]
        print(
            f"{name:28} {'  '.join(cells)}  regret at 6, 12: {row['regret_mean'][5]:.3f} {row['regret_mean'][11]:.3f}"
        )
    if args.out:
        report = {
            "experiment": "sine",
            "settings": {
                "noise_sd": example.NOISE,
                "close": example.CLOSE,
                "caps": CAPS,
                "seeds": args.seeds,
                "first": example.FIRST,
            },
            **harness.about("gammatune", "numpy", "scipy"),
            "seconds": round(time.perf_counter() - began, 1),
            "results": results,
            "source": Path(__file__).read_text() + Path(example.__file__).read_text(),
        }
        harness.save(args.out, report)


if __name__ == "__main__":
    main()
