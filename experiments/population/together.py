"""What several nets come to: averaged predictions by how long each was trained, one net taught by them, and other
optimizers in the place of the given one.

    python experiments/population/together.py [--parts fit choose] [--what nets taught optimizers] [--jobs 2]
    python experiments/population/together.py --summary

Appends a line a training, or a group of them, to experiments/results/population/nets.jsonl and leaves out what is
there. The rate is the one that the opening chooses at a budget of 1.5 (played offline; of the part "fit" by a prior
that has not seen the data set). All figures are [error, loss]. Fields of a line:

    task, seed, what
    length          of each net, in units of the task's own
    rate            log10
    each            of every net, on the selection part and on the test part
    mean            of the averaged predictions of the first 1, 2, ... of them, likewise

what: "nets"; "reordered" (nets that differ by the order of their data alone); "taught soft 3", ... (one net whose
loss is against the mean of so many others, wholly or half); the name of an optimizer in the place of the task's own,
at the rate that is believed of it before any look.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
import torch
from fit import left_out_tables
from landscapes import CLIPPED, FAMILIES, RESULTS, log_error, parts, read
from loops import FORWARD, TRIANGLE, WARM_UP, Part, Problem, _measured, problem, train
from offline import played, using
from torch import Tensor, nn
from torch.nn import functional
from trainings import TASKS, Task

from gammatune.policy import prior
from gammatune.policy.prior import place
from gammatune.records import Known

OUT = RESULTS / "nets.jsonl"
NETS = {1.0: 6, 0.6: 4, 0.4: 4, 0.25: 4, 1.5: 3, 2.4: 1}  # how many of each length
TEACHERS = {
    "soft 3": (3, 1.0),
    "half 3": (3, 0.5),
    "half 6": (6, 0.5),
}  # how many teach, and their part of the loss
LOOK = 0.125  # of the task's own length
INSTEAD = "adamw", "momentum", "muon"


def another(made: Problem, net: int) -> Problem:
    """The same data; initial weights and order of another net."""
    return replace(made, seed=made.seed + 1000 * net) if net else made


@dataclass(frozen=True)
class Reordered(Problem):
    """Initial weights are those of the first net, whatever the order."""

    def model(self) -> nn.Module:
        torch.manual_seed(self.seed % 1000)
        return self.task.net(self.data)


@dataclass(frozen=True)
class Taught(Problem):
    """soft: part of the loss that is against what the teachers say. Targets hold both, side by side."""

    soft: float = 0.5
    said: Tensor | None = None

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)
        hard = _measured(out, self.train[1][y], self.data, self.task.goal)[1]
        assert self.said is not None
        told = self.said[y]
        if self.is_classes:
            near = functional.cross_entropy(out.flatten(0, -2), told.flatten(0, -2))
        else:
            near = functional.mse_loss(out, told)
        return self.soft * near + (1 - self.soft) * hard

    @property
    def is_classes(self) -> bool:
        return is_classes(self)


def is_classes(made: Problem) -> bool:
    return made.data.kind != "numbers" and made.task.goal != "copy"


@torch.no_grad()
def said(made: Problem, model: nn.Module, part: Part) -> Tensor:
    """Probabilities, or numbers."""
    model.eval()
    out = torch.cat([model(part[0][k : k + FORWARD]) for k in range(0, len(part[0]), FORWARD)])
    model.train()
    return out.softmax(-1) if is_classes(made) else out


def measured(made: Problem, answer: Tensor, part: Part) -> list[float]:
    out = answer.clamp_min(1e-30).log() if is_classes(made) else answer
    error, loss = (float(v) for v in _measured(out, part[1], made.data, made.task.goal))
    return [error, loss] if math.isfinite(loss) else [1.0, 1e3]


class Pooled:
    """The averaged predictions of the nets so far."""

    def __init__(self, made: Problem) -> None:
        self.made, self.count = made, 0
        self.total: list[Tensor] = []
        self.each: list[list[float]] = []
        self.mean: list[list[float]] = []

    def add(self, model: nn.Module | None) -> None:
        if model is None:  # it died
            self.each.append([])
            self.mean.append(self.mean[-1] if self.mean else [])
            return
        sets = self.made.select, self.made.test
        answers = [said(self.made, model, part) for part in sets]
        self.each.append([v for a, p in zip(answers, sets, strict=True) for v in measured(self.made, a, p)])
        self.total = [a + b for a, b in zip(self.total, answers, strict=True)] if self.count else answers
        self.count += 1
        self.mean.append(
            [v for a, p in zip(self.total, sets, strict=True) for v in measured(self.made, a / self.count, p)]
        )


def nets(made: Problem, u: float, length: float, count: int) -> dict[str, Any]:
    pool = Pooled(made)
    for net in range(count):
        one = another(made, net)
        pool.add(train(one, 10**u, max(8, round(length * made.task.steps))).model)
    return {"what": "nets", "length": length, "rate": u, "each": pool.each, "mean": pool.mean}


def reordered(made: Problem, u: float) -> dict[str, Any]:
    """Three nets that differ by order alone."""
    pool = Pooled(made)
    for net in range(3):
        values = {name: getattr(made, name) for name in ("task", "data", "train", "select", "test")}
        pool.add(train(Reordered(seed=made.seed + 1000 * net, **values), 10**u, made.task.steps).model)
    return {"what": "reordered", "length": 1.0, "rate": u, "each": pool.each, "mean": pool.mean}


def taught(made: Problem, u: float) -> list[dict[str, Any]]:
    """One net, taught by several."""
    models = [
        train(another(made, n), 10**u, made.task.steps).model
        for n in range(max(n for n, _ in TEACHERS.values()))
    ]
    answers = [said(made, model, made.train) for model in models if model is not None]
    found = []
    for name, (count, soft) in TEACHERS.items():
        if not answers:
            continue
        mean = torch.stack(answers[:count]).mean(0)
        values = {n: getattr(made, n) for n in ("task", "data", "train", "select", "test")}
        pupil = Taught(seed=made.seed + 1000 * 7, soft=soft, said=mean, **values)
        index = torch.arange(len(made.train[0]))
        learning = _Indexed(pupil, index)
        pool = Pooled(made)
        pool.add(train(learning, 10**u, made.task.steps).model)  # type: ignore[arg-type]
        found.append(
            {"what": f"taught {name}", "length": 1.0, "rate": u, "each": pool.each, "mean": pool.mean}
        )
    return found


class _Indexed:
    """A problem whose targets are the numbers of its examples, by which `Taught` finds both kinds."""

    def __init__(self, of: Taught, index: Tensor) -> None:
        self.task, self.seed, self.select = of.task, of.seed, of.select
        self.train = of.train[0], index
        self.model, self.loss = of.model, of.loss


def instead(
    made: Problem, name: str, first: dict[str, float], table: dict[str, Any], length: float = 1.0
) -> dict[str, Any]:
    """Another optimizer, at the rate that is believed of it before any look; Prodigy as its README advises. A length
    of LOOK is that of a look, with its warm-up."""
    pool = Pooled(made)
    steps, warm_up = max(4, int(length * made.task.steps)), TRIANGLE if length == LOOK else WARM_UP
    if name == "prodigy":
        from prodigyopt import Prodigy

        make = partial(_prodigy, Prodigy)
        pool.add(train(made, 1.0, steps, optimizer=make, warm_up=warm_up).model)
        return {"what": name, "length": length, "rate": 0.0, "each": pool.each, "mean": pool.mean}
    known = Known(FAMILIES[name], 1.0, False, first["fan_in"])  # type: ignore[arg-type]
    with using(table):
        u = place(known, made.task.steps).mean
    other = replace(made, task=replace(made.task, optimizer=name))
    pool.add(train(other, 10**u, steps, warm_up=warm_up).model)
    return {"what": name, "length": length, "rate": u, "each": pool.each, "mean": pool.mean}


def _prodigy(kind: Any, model: nn.Module) -> Any:
    return kind(
        model.parameters(), lr=1.0, weight_decay=0.01, use_bias_correction=True, safeguard_warmup=True
    )


@dataclass(frozen=True)
class Start:
    """What a training is begun with. u: log10 of the rate. first: what is known of it. table: the prior."""

    u: float
    first: Mapping[str, float]
    table: Mapping[str, Any]


def compute(
    starts: Mapping[tuple[str, int], Start], task: str, seed: int, what: str, length: float
) -> list[harness.Row]:
    """The rows of a key; those of all that are taught together, since the teachers are the same."""
    made, start = problem(TASKS[task], seed), starts[task, seed]
    if what == "nets":
        rows = [nets(made, start.u, length, NETS[length])]
    elif what == "reordered":
        rows = [reordered(made, start.u)]
    elif what.startswith("taught"):
        rows = taught(made, start.u)
    else:
        rows = [instead(made, what, start.first, start.table, length)]
    return [harness.rounded(row) for row in rows]


def due(task: Task, what: str) -> list[tuple[str, float]]:
    """(what, length) of the rows."""
    if what == "nets":
        return [("nets", length) for length in NETS]
    if what == "optimizers":
        return [(other, length) for other in (*INSTEAD, "prodigy") for length in (1.0, LOOK)]
    found = [("reordered", 1.0)] if task.start is None else []
    teaches = task.goal != "reinforce" and task.optimizer != "lbfgs"
    return [*found, (f"taught {list(TEACHERS)[-1]}", 1.0)] if teaches else found


def summary(path: Path, part: str) -> list[str]:
    """Test errors to that of one net as long as the task, the mean of several: geometric means over trainings."""
    rows: dict[str, dict[tuple[str, float], dict[str, Any]]] = {}
    for row in harness.read(path):
        if TASKS[row["task"]].part == part and row["seed"] == 0 and "failed" not in row:
            rows.setdefault(row["task"], {})[row["what"], row["length"]] = row
    ones = {
        task: float(np.mean([log_error(each) for each in held["nets", 1.0]["each"] if each]))
        for task, held in rows.items()
        if ("nets", 1.0) in held and any(held["nets", 1.0]["each"])
    }
    said = [f"{part}: {len(ones)} trainings"]

    def tell(name: str, logs: dict[str, float]) -> None:
        found = np.array([log - ones[task] for task, log in logs.items() if task in ones])
        if len(found):
            clipped = math.exp(np.clip(found, -CLIPPED, CLIPPED).mean())
            said.append(
                f"   {name:28} {math.exp(found.mean()):.3f} ({clipped:.3f}), below {np.mean(found < 0):.2f}, "
                f"largest {math.exp(found.max()):.2f}, n {len(found)}"
            )

    for length, count in sorted(NETS.items()):
        for k in range(1, count + 1):
            of = {t: h["nets", length]["mean"][k - 1] for t, h in rows.items() if ("nets", length) in h}
            tell(f"{k} of {length:g}", {t: log_error(mean) for t, mean in of.items() if mean})
    for k in (2, 3, 6):
        of = {t: [e for e in h["nets", 1.0]["each"][:k] if e] for t, h in rows.items() if ("nets", 1.0) in h}
        tell(f"best of {k} by selection", {t: log_error(min(each)) for t, each in of.items() if each})
    for k in (2, 3):
        of = {t: h["reordered", 1.0]["mean"][k - 1] for t, h in rows.items() if ("reordered", 1.0) in h}
        tell(f"{k} that differ by order", {t: log_error(mean) for t, mean in of.items() if mean})
    for what in (*(f"taught {name}" for name in TEACHERS), *INSTEAD, "prodigy"):
        of = {t: h[what, 1.0]["mean"][0] for t, h in rows.items() if (what, 1.0) in h}
        tell(what, {t: log_error(mean) for t, mean in of.items() if mean})
    return said


def main() -> None:
    parser = harness.arguments(__doc__, OUT, minutes=120, jobs=2)
    parser.add_argument("--parts", nargs="*", default=["fit", "choose"], choices=["fit", "choose", "once"])
    parser.add_argument("--what", nargs="*", default=["nets", "optimizers", "taught"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--lengths", nargs="*", default=["short"])
    parser.add_argument("--summary", action="store_true", help="only what has been run")
    args = parser.parse_args()
    if args.summary:
        print("\n".join(line for part in args.parts for line in summary(args.out, part)))
        return
    landscapes = read(sorted(RESULTS.glob("[slt]*.jsonl")))
    found = [one for one in parts(landscapes, *args.parts) if one.task.length in args.lengths]
    whole = prior.learned()
    tables = left_out_tables([one for one in landscapes if one.task.part == "fit"], whole)
    starts = {
        (p.one.task.name, p.seed): Start(
            float(p.u), p.one.first[p.seed], tables.get(p.one.task.source, whole)
        )
        for p in played(found)
    }
    keys = [
        {"task": one.task.name, "seed": seed, "what": what, "length": length}
        for seed in args.seeds
        for kind in args.what
        for part in args.parts
        for one in found
        if one.task.part == part and seed < one.seeds
        for what, length in due(one.task, kind)
    ]
    cells = harness.Cells(args.out, "task", "seed", "what", "length")
    harness.sweep(cells, keys, partial(compute, starts), **harness.bounds(args))


if __name__ == "__main__":
    main()
