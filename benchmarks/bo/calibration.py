"""How well the Gamma process and its Gaussian twins know what they do not know: the next score, given 3 to 12.

    gamma     GammaProcess: Student-t, theta integrated
    gauss     QuadratureGP: the same without the Gamma, the variance at its most likely value
    fitted    the Gaussian process of highest evidence: theta too is a single value

Each believes a distribution of a score at a point not yet tried; asked are how often its central intervals of 50, 80
and 95 % hold what was scored, and the logarithm of its density there, in units of the standard deviation of all
scores of the run, held within +-20 (equal scores leave a Gaussian without variance). Two designs:

    random    n points at random, all others of the run are the next one in turn (of the population's trainings the
              rates that were trained, nothing interpolated; elsewhere 16 random points)
    search    the points that the Gamma search asks for (margin and all), and the next that it asks for

Problems are those of problems.py. A score that failed is left out of what is known and of what is asked, and counted.
Losses of curves are taken by their logarithm. By data set (of the tables and functions: by problem); intervals are
95 %, of bootstrap samples of trainings (a task or problem under a seed).

The result file holds two seeds of rates-other and one of the benchmark's curves, surfaces and tables. b0 was chosen
on rates-fit; COCO's functions would take as long as all of these.

Run:  python benchmarks/bo/calibration.py --only rates-other
      python benchmarks/bo/calibration.py --only lr-1d,lr-2d,tables --seeds 1
      python benchmarks/bo/calibration.py --report      (a second a training; goes on where it stopped)
"""

import functools
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
from peers import quiet
from problems import Instance, Params, Problem, landscapes, own, problems
from scipy.special import logsumexp

from gammatune.integrations.optuna import MARGIN, parameter
from gammatune.records import Observation
from gammatune.samplers.bayes import Bayes, fading_margin
from gammatune.space import Space
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess, PrecisionPrior
from gammatune.surrogate.gp import QuadratureGP, fit
from gammatune.surrogate.predictive import Mixture, Predictive

COMMAND = (
    "python benchmarks/bo/calibration.py --only rates-other; the same --only lr-1d,lr-2d,tables --seeds 1"
)
OUT = Path(__file__).resolve().parents[1] / "results" / "calibration.json"
GROUPS = ("rates-fit", "rates-other", "lr-1d", "lr-2d", "tables", "bbob", "bbob-noisy")
MODELS: dict[str, Any] = {
    "gamma": GammaProcess,
    "gauss": QuadratureGP,
    "fitted": fit,
    "gamma, b0 = 3": functools.partial(GammaProcess, prior=PrecisionPrior(2.0, 3.0)),
}
AT = (3, 5, 8, 12)
LEVELS = (0.5, 0.8, 0.95)
MOST = 20.0  # nats: more or less counts as that
OTHERS = 16  # points asked of a random design
DRAWS = 4  # random designs of a training


class Asked:
    """An instance by points of our space, higher is better, None where it failed."""

    def __init__(self, made: Instance, logarithm: bool) -> None:
        found = {name: parameter(kind) for name, kind in made.space.items()}
        self.space = Space({name: p.dimension for name, p in found.items() if p is not None})
        self._outward = {name: p.outward for name, p in found.items() if p is not None}
        self._made, self._logarithm = made, logarithm

    def params(self, values: Any) -> Params:
        return {name: self._outward[name](value) for name, value in values.items()}

    def score(self, values: Any, trial: int) -> float | None:
        loss = self._made.score(self.params(values), trial)
        if self._logarithm and loss > 0:
            loss = float(np.log(loss))
        return -loss if np.isfinite(loss) else None


def judged(p: Predictive, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of the belief below each score (q,), and the logarithm of its density there (q,)."""
    parts, weights = (p.parts, p.weights) if isinstance(p, Mixture) else (p, np.ones(1))
    loc, scale = np.atleast_2d(parts.loc), np.maximum(np.atleast_2d(parts.scale), 1e-300)
    with np.errstate(over="ignore", divide="ignore"):
        z = (y - loc) / scale
        log_density = logsumexp(parts.log_pdf0(z) - np.log(scale), axis=0, b=weights[:, None])
    return weights @ parts.cdf0(z), log_density


def told(known: Dataset, Z: np.ndarray, y: np.ndarray, unit: float) -> dict[str, list[list[float]]]:
    """Of each model, for each of the scores y at Z: the share below, and the log density in that unit."""
    out = {}
    for name, build in MODELS.items():
        below, density = judged(build(known).predictive(Z), y)
        out[name] = [
            [float(b), float(np.clip(d + np.log(unit), -MOST, MOST))]
            for b, d in zip(below, density, strict=True)
        ]
    return out


def random_design(asked: Asked, points: list[Any], n: int, rng: np.random.Generator) -> dict[str, Any]:
    chosen = [points[i] for i in rng.permutation(len(points))]
    scores = [asked.score(values, i) for i, values in enumerate(chosen)]
    alive = [(asked.space.to_unit(v), s) for v, s in zip(chosen, scores, strict=True) if s is not None]
    failed = len(chosen) - len(alive)
    if len(alive) <= n:
        return {"said": {}, "failed": failed}
    X, y = np.array([x for x, _ in alive]), np.array([s for _, s in alive])
    unit = float(y.std()) or 1.0
    return {"said": told(Dataset(X[:n], y[:n]), X[n:], y[n:], unit), "failed": failed}


def searched(asked: Asked, rng: np.random.Generator) -> dict[int, dict[str, Any]]:
    """By n: what was believed of the next score of a search."""
    search = Bayes(asked.space, rng, GammaProcess, fading_margin(MARGIN))
    points: list[np.ndarray] = []
    scores: list[float | None] = []
    for i in range(max(AT) + 1):
        values = search.ask()
        if values is None:
            break
        score = asked.score(values, i)
        search.tell(Observation(values, score))
        points.append(asked.space.to_unit(values))
        scores.append(score)
    out = {}
    unit = float(np.std([s for s in scores if s is not None] or [0.0])) or 1.0
    for n in AT:
        known = [(x, s) for x, s in zip(points[:n], scores[:n], strict=True) if s is not None]
        if len(points) <= n or len(known) < 2 or scores[n] is None:
            out[n] = {"said": {}, "failed": 1}
            continue
        X, y = np.array([x for x, _ in known]), np.array([s for _, s in known])
        out[n] = {"said": told(Dataset(X, y), points[n][None, :], np.array([scores[n]]), unit), "failed": 0}
    return out


@functools.cache
def known(group: str) -> dict[str, Problem]:
    return {problem.name: problem for problem in problems([group])}


@functools.cache
def trainings() -> dict[str, Any]:
    return {one.task.name: one for one in landscapes()}


def run(group: str, problem: str, seed: int) -> harness.Row:
    """Coverage and density of each model, by design and n: sums over what was asked, and how many that was."""
    with quiet():
        asked = Asked(known(group)[problem].make(seed), problem.endswith(", loss"))
        rng = np.random.default_rng([own(problem, seed), 9])
        of_rates = group.startswith("rates")
        found: dict[str, list[dict[str, Any]]] = {}
        for n in AT:
            for _ in range(DRAWS):
                if of_rates:
                    points = [{"lr": float(10.0**u)} for u in trainings()[problem].u]
                else:
                    points = [asked.space.from_unit(u) for u in rng.random((n + OTHERS, asked.space.columns))]
                found.setdefault(f"random {n}", []).append(random_design(asked, points, n, rng))
        for n, row in searched(asked, rng).items():
            found[f"search {n}"] = [row]
    return {"data": trainings()[problem].task.source if of_rates else problem, "sums": summed(found)}


def summed(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """By design and n: failures, how many were asked; of each model the sums [within 50, 80, 95 %, log density]."""
    out: dict[str, Any] = {}
    for key, rows in found.items():
        models = {}
        for name in MODELS:
            said = np.array([each for row in rows for each in row["said"].get(name, [])]).reshape(-1, 2)
            inside = [int((np.abs(2 * said[:, 0] - 1) <= level).sum()) for level in LEVELS]
            models[name] = [*inside, harness.rounded(float(said[:, 1].sum()), 5)]
        asked = sum(len(row["said"].get("gamma", [])) for row in rows)
        out[key] = {"failed": sum(row["failed"] for row in rows), "asked": asked, "models": models}
    return out


# What the rows say ------------------------------------------------------------------------------------------


def figures(rows: list[harness.Row], design: str, at: tuple[int, ...]) -> dict[str, Any] | None:
    """Of these trainings, with bootstrap intervals over them."""
    held = []
    for row in rows:
        cells = [row["sums"][f"{design} {n}"] for n in at if f"{design} {n}" in row["sums"]]
        held.append([
            [sum(c["asked"] for c in cells), sum(c["failed"] for c in cells), 0, 0, 0],
            *([*np.sum([c["models"][name] for c in cells], axis=0), 0] for name in MODELS),
        ])  # fmt: skip
    sums = np.array([[*(x[:4] for x in each)] for each in held], dtype=float)  # (trainings, 1 + models, 4)
    if not len(sums) or sums[:, 0, 0].sum() == 0:
        return None
    sums = sums[sums[:, 0, 0] > 0]
    names = list(MODELS)

    def over(of: Any) -> list[float]:
        return harness.rounded(harness.bootstrap(sums, 1000, of=of), 3)

    def share(drawn: np.ndarray, i: int, j: int) -> np.ndarray:
        return drawn[:, :, i, j].sum(axis=1) / drawn[:, :, 0, 0].sum(axis=1)

    out: dict[str, Any] = {
        "trainings": len(sums), "asked": int(sums[:, 0, 0].sum()), "failed": int(np.array(held)[:, 0, 1].sum()),
    }  # fmt: skip
    for i, name in enumerate(names, start=1):
        out[name] = {
            f"within_{level:g}": over(functools.partial(share, i=i, j=j)) for j, level in enumerate(LEVELS)
        }
        out[name]["log_density"] = over(functools.partial(share, i=i, j=3))
        if name != "gamma":
            out[name]["gamma_less_this"] = over(lambda d, i=i: share(d, 1, 3) - share(d, i, 3))
    return out


def report(rows: list[harness.Row]) -> dict[str, Any]:
    groups: list[dict[str, Any]] = []
    sets: list[dict[str, Any]] = []
    spans = {**{str(n): (n,) for n in AT}, "3 to 12": AT}
    for group in GROUPS:
        of_group = [row for row in rows if row["group"] == group]
        for design in ("random", "search"):
            for span, at in spans.items():
                if found := figures(of_group, design, at):
                    groups.append({"group": group, "design": design, "n": span, **found})
        for data in sorted({row["data"] for row in of_group}):
            these = [row for row in of_group if row["data"] == data]
            for design in ("random", "search"):
                if found := figures(these, design, AT):
                    short = {m: found[m] for m in ("gamma", "gauss", "fitted")}
                    counts = {k: found[k] for k in ("trainings", "asked", "failed")}
                    sets.append({"group": group, "data": data, "design": design, **counts, **short})
    for line in groups:
        of_line = [s for s in sets if s["group"] == line["group"] and s["design"] == line["design"]]
        gains = np.array([s["gauss"]["gamma_less_this"] for s in of_line])
        line["data_sets"] = len(of_line)
        line["data_sets_gamma_better"] = int((gains[:, 0] > 0).sum())
    return {**harness.machine("gammatune", "numpy", "scipy", "optuna"), "groups": groups, "data_sets": sets}


def main() -> None:
    parser = harness.arguments(__doc__, OUT, seeds=2, minutes=60.0, jobs=1)
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, by commas")
    parser.add_argument("--report", action="store_true", help="from the rows there are")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "group", "problem", "seed")
    if not args.report:
        chosen = [problem for group in args.only.split(",") for problem in problems([group])]
        keys = [
            {"group": problem.group, "problem": problem.name, "seed": seed}
            for seed in range(args.seeds)
            for problem in chosen
            if not problem.group.startswith("rates") or seed < trainings()[problem.name].seeds
        ]
        harness.sweep(
            cells, keys, run, **harness.bounds(args), say=lambda row: f"{row['problem']} {row['seed']}"
        )
    failed = [row for row in cells if "failed" in row]
    made = {
        "command": COMMAND,
        "runs_failed": len(failed),
        **report(cells.good()),
    }
    harness.save(args.out, made, by_line=True)


if __name__ == "__main__":
    main()
