"""The cells of the population as landscapes, and what choosing a rate on them costs.

A landscape is one task; its truth is the mean over seeds of the logarithm of the test error, lightly smoothed over
neighbouring rates. `Landscape.regret` is how far above its lowest a rate ends, in the same logarithm.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
from trainings import TASKS, Task

from gammatune.metrics.objectives import make_objective

RESULTS = Path(__file__).parent.parent / "results" / "population"
FAMILIES = {  # what shares a prior: rates of these optimizers mean about the same
    "adam": "adam", "adamw": "adam", "nadam": "adam", "rmsprop": "rmsprop", "sgd": "sgd", "momentum": "momentum",
    "nesterov": "momentum", "adagrad": "adagrad", "muon": "muon", "lbfgs": "lbfgs",
}  # fmt: skip
CLIPPED = math.log(harness.CLIP)  # of a ratio of errors
LEAST_ERROR = 3 / 3000  # of one that counts mistakes: fewer of 3,000 tell nothing
DEAD = -1e3  # score of what is not finite
kappa, log_loss = make_objective("kappa"), make_objective("log-loss")


def log_error(figures: list[float]) -> float:
    """Of the last error of [..., error, loss]; where the two are one, it is no share of mistakes."""
    error, loss = figures[-2:]
    return math.log(max(error, LEAST_ERROR if error != loss else 1e-9))


def score(seen: list[float] | None, classes: bool) -> float:
    """What gammatune would score by [error, loss]: kappa of classes, else the logarithm of the loss."""
    if seen is None or not math.isfinite(seen[1]) or seen[1] >= 1e3:
        return DEAD
    return kappa({"accuracy": 1 - seen[0], "loss": seen[1]}) if classes else log_loss({"loss": seen[1]})


@dataclass(eq=False)
class Landscape:
    """u: (r,) log10 of the rates. test: (s, r) log test error of the seeds. select: (s, r) score at the end.

    nothing: (s,) score of doing nothing. looks: by (form, k) scores (s, r), DEAD where it died. thumb: log test error
    (s,) of the rule of thumb at 1 and 1.5 times the steps. first: of the seeds, what is known before the first look.
    """

    task: Task
    u: np.ndarray
    test: np.ndarray
    select: np.ndarray
    nothing: np.ndarray
    looks: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    thumb: dict[str, np.ndarray] = field(default_factory=dict)
    first: list[dict[str, float]] = field(default_factory=list)

    @property
    def family(self) -> str:
        return FAMILIES[self.task.optimizer]

    @property
    def seeds(self) -> int:
        return len(self.nothing)

    @cached_property
    def truth(self) -> np.ndarray:
        """(r,) mean over seeds, smoothed where neighbours are no cliff apart."""
        mean = self.test.mean(axis=0)
        out = mean.copy()
        for i in range(1, len(mean) - 1):
            if np.ptp(mean[i - 1 : i + 2]) < 0.5:
                out[i] = mean[i] / 2 + (mean[i - 1] + mean[i + 1]) / 4
        return out

    @property
    def best(self) -> float:
        """log10 of the best rate."""
        return float(self.u[int(np.argmin(self.truth))])

    def regret(self, u: float) -> float:
        return float(np.interp(u, self.u, self.truth) - self.truth.min())

    def grid(self, seed: int) -> float:
        """Regret of the best by selection of whole runs at every rate, a third of a decade apart."""
        return self.regret(float(self.u[int(np.argmax(self.select[seed]))]))


def read(paths: Iterable[Path]) -> list[Landscape]:
    """Landscapes of the tasks of which every rate is there, as many seeds as are whole."""
    rows: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for path in paths:
        for cell in harness.read(path):
            if "failed" in cell:
                continue
            rows.setdefault(cell["task"], {}).setdefault(cell["seed"], []).append(cell)
    return [
        made for name, seeds in rows.items() if name in TASKS and (made := _landscape(TASKS[name], seeds))
    ]


def parts(found: Iterable[Landscape], *names: str) -> Iterator[Landscape]:
    return (one for one in found if one.task.part in names)


def _landscape(task: Task, seeds: dict[int, list[dict[str, Any]]]) -> Landscape | None:
    from loops import rates_of

    u = np.array(rates_of(task.optimizer, task.clip))
    whole: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for _, cells in sorted(seeds.items()):
        at = {round(cell["u"], 3) if "u" in cell else None: cell for cell in cells}
        if all(float(rate) in at for rate in u) and None in at:
            whole.append((at[None], [at[float(rate)] for rate in u]))
    if not whole:
        return None
    first = whole[0][0]
    classes = first["nothing"][0] != first["nothing"][1]

    def error(seen: list[float] | None, nothing: list[float]) -> float:
        worst = max(nothing[-2], 1e-9)  # what is not finite is worth no less than doing nothing
        return math.log(max(min(seen[-2], 4 * worst) if seen else worst, LEAST_ERROR if classes else 1e-9))

    looks: dict[tuple[str, int], np.ndarray] = {}
    for form in ("raw", "avg", "tri"):
        for k in sorted({int(k) for _, cells in whole for cell in cells for k in cell[form]}):
            looks[form, k] = np.array(
                [[score(c[form].get(str(k)), classes) for c in cells] for _, cells in whole]
            )
    return Landscape(
        task,
        u,
        np.array([[error(c["whole"], told["nothing"]) for c in cells] for told, cells in whole]),
        np.array(
            [[score(c["whole"][:2] if c["whole"] else None, classes) for c in cells] for _, cells in whole]
        ),
        np.array([score(told["nothing"][:2], classes) for told, _ in whole]),
        looks,
        {
            name: np.array([error(told[name], told["nothing"]) for told, _ in whole])
            for name in ("thumb", "thumb1.5")
        },
        [told["first"] for told, _ in whole],
    )
