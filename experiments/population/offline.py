"""The opening itself, judged on the landscapes in seconds: what it asks for is answered from the cells.

    python experiments/population/offline.py [--parts fit] [--budget 1.5] [--own none]

Of the part "fit" every task is judged by a prior that has not seen its data set; of others by the one that ships. A
look is interpolated between cells, in the logarithm of its length and in that of the rate; one that died stays dead.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
from fit import left_out_tables
from landscapes import CLIPPED, DEAD, RESULTS, Landscape, parts, read
from loops import RULE_OF_THUMB

from gammatune.policy import prior
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job
from gammatune.policy.lookahead import OPENING, RESERVE
from gammatune.policy.looks import SAME
from gammatune.policy.opening import Opening, open_course
from gammatune.records import Known, Outcome, Rollout
from gammatune.schedules import STILL
from gammatune.space import parse
from gammatune.surrogate.acquisition import log_pi

HELD = "places", "fan_in"  # of a table: what is fitted without a data set


def look(one: Landscape, seed: int, batches: int, u: float) -> float:
    """The score of a triangle of so many steps; DEAD where it diverged."""
    held = sorted(k for form, k in one.looks if form == "tri")
    share = one.task.steps / batches
    below = max((k for k in held if k <= share), default=held[0])
    above = min((k for k in held if k >= share), default=held[-1])

    def at(k: int) -> float:
        scores = one.looks["tri", k][seed]
        nearest = int(np.argmin(abs(one.u - u)))
        if scores[nearest] <= DEAD or u > one.u[-1] + 0.5:
            return DEAD
        fine = scores > DEAD
        return float(np.interp(u, one.u[fine], scores[fine]))

    if below == above:
        return at(below)
    weight = (math.log(share) - math.log(below)) / (math.log(above) - math.log(below))
    low, high = at(below), at(above)
    return DEAD if DEAD in (low, high) else (1 - weight) * low + weight * high


@dataclass(frozen=True)
class Played:
    """u: log10 of the rate that was chosen, own: of the user's. looks: (batches, u, score). cost: of the looks, in
    plain runs. better: the probability that was told of being better than the user's. band: of log10 of the best
    rate. expected: what the whole training was believed to score at u above doing nothing, scored: what it did,
    quantile: where that lies in what was believed. promised: log10 of the rate of the highest expected score."""

    one: Landscape
    seed: int
    u: float
    opening: Opening
    looks: Sequence[tuple[int, float, float]]
    cost: float
    own: float
    better: float | None
    band: tuple[float, float]
    expected: float
    quantile: float
    scored: float
    promised: float

    @property
    def regret(self) -> float:
        return self.one.regret(self.u)

    @property
    def is_better(self) -> bool:
        """Whether what promised most is better than the user's, whatever was kept in the end."""
        return self.one.regret(self.promised) < self.one.regret(self.own)

    @property
    def holds(self) -> bool:
        return self.band[0] <= self.one.best <= self.band[1]


def play(one: Landscape, seed: int, plain_runs: float = 1.5, own: float | None = None) -> Played:
    """The opening on a landscape. own: the rate its user chose, in decades from the rule of thumb; None: nobody."""
    task = one.task
    lr = RULE_OF_THUMB.get(task.optimizer, 1e-3) * 10 ** (own or 0.0)
    known = Known(one.family, lr, own is not None, one.first[seed]["fan_in"])  # type: ignore[arg-type]
    in_epoch = max(1, task.rows // task.batch)
    epochs = max(1, round(task.steps / in_epoch))
    job = Job(
        epochs, plain_runs, _none, _rank, parse(f"lr={lr / 1e6}:{lr * 1e6}:log"), own={"lr": lr}, known=known
    )

    def outcome(number: int, request: Rollout | None, score: float, batches: int) -> Outcome:
        dead = score <= DEAD
        values = {"lr": lr} if request is None else request.values
        return Outcome(
            number, 0, values, "diverged" if dead else "ok", {}, None if dead else score, batches,
            batches * task.batch // (4 if dead else 1), 0 if dead else task.select, 0.0, batches=batches,
            epoch_batches=in_epoch, epoch_examples=in_epoch * task.batch, shape=STILL,
        )  # fmt: skip

    survey = outcome(0, None, float(one.nothing[seed]), 1)
    survey = replace(survey, clipped=one.first[seed].get("clipped", 0.0))
    budget = Budget(plain_runs, epochs, survey)
    trainings = max(1, int(budget.left / budget.plain - OPENING))
    spare = budget.left - trainings * budget.plain
    before = budget.left
    requests = open_course(job, budget, spare - min(RESERVE * spare, budget.epoch), survey)
    looks: list[tuple[int, float, float]] = []
    reply: Outcome | None = None
    while True:
        try:
            request = requests.send(reply) if reply is not None else next(requests)
        except StopIteration as end:
            opening: Opening = end.value
            break
        if not isinstance(request, Rollout):
            reply = None
            continue
        u, batches = math.log10(float(request.values["lr"])), request.length.batches(in_epoch)
        score = look(one, seed, batches, u)
        looks.append((batches, u, score))
        reply = outcome(len(looks), request, score, batches)
    at = math.log10(lr)
    looked = opening.looked
    assert looked is not None
    u = looked.choice + at  # before the own rate is kept
    better = looked.better(u - at)
    low, high = looked.band() or (-math.inf, math.inf)
    believed = looked.process.whole(np.array([u - at]))
    whole = np.where(one.select[seed] <= DEAD, one.nothing[seed], one.select[seed])
    scored = float(np.interp(u, one.u, whole)) - float(one.nothing[seed])
    above = float(np.exp(log_pi(believed, scored))[0])
    return Played(
        one, seed, math.log10(float(opening.values["lr"])), opening, looks, (before - budget.left) / budget.plain, at,
        None if better is None or abs(u - at) < SAME else better, (low + at, high + at), float(believed.mean[0]),
        1 - above, scored, u,
    )  # fmt: skip


def _none(*_: Any) -> Any:
    raise AssertionError("nothing but the rate is searched here")


def _rank(outcome: Outcome) -> tuple[float, ...]:
    return (-math.inf if outcome.score is None else outcome.score,)


@contextmanager
def using(found: dict[str, Any]) -> Iterator[None]:
    """That prior in the place of the one that ships."""
    shipped: Callable[[], dict[str, Any]] = prior.learned
    prior.learned = lambda: found  # type: ignore[assignment]
    try:
        yield
    finally:
        prior.learned = shipped  # type: ignore[assignment]


def played(
    found: Sequence[Landscape],
    budget: float = 1.5,
    own: float | None = None,
    *,
    table: dict[str, Any] | None = None,
    held: Mapping[str, dict[str, Any]] | None = None,
) -> list[Played]:
    """On every landscape and seed, by the given table of the prior (None: the one that ships). held: places and slope
    for each data set, of more landscapes than are played; None takes those of the part "fit"."""
    whole = prior.learned() if table is None else table
    if held is None:
        held = left_out_tables([one for one in found if one.task.part == "fit"], whole)
    out = []
    for one in found:
        others = {name: held[one.task.source][name] for name in HELD} if one.task.source in held else {}
        with using({**whole, **others}):
            out += [play(one, seed, budget, own) for seed in range(one.seeds)]
    return out


def summary(regrets: Sequence[float]) -> str:
    r = np.array(regrets)
    return (
        f"clipped {math.exp(np.minimum(r, CLIPPED).mean()):.3f}  ratio {math.exp(r.mean()):.3f}  worst "
        f"{math.exp(r.max()):.2f}  above 1.1: {(r > math.log(1.1)).mean():.2f}  n {len(r)}"
    )


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS)
    parser.add_argument("--parts", nargs="*", default=["fit"])
    parser.add_argument("--lengths", nargs="*", default=["short"])
    parser.add_argument("--budget", type=float, default=1.5)
    parser.add_argument("--own", type=float, help="the user's rate, in decades from the rule of thumb")
    args = parser.parse_args()
    found = [one for one in parts(read(sorted(args.out.glob("[slt]*.jsonl"))), *args.parts)
             if one.task.length in args.lengths]  # fmt: skip
    done = played(found, args.budget, args.own)
    print(
        f"{'opening':24}{summary([p.regret for p in done])}  cost of looks {np.mean([p.cost for p in done]):.2f}"
    )
    print(
        f"{'best of the landscape':24}{summary([p.one.grid(p.seed) for p in done])} by selection, every rate whole"
    )
    for name in ("thumb", "thumb1.5"):
        regrets = [p.one.thumb[name].mean() - p.one.truth.min() for p in done]
        print(f"{name:24}{summary(regrets)}")
    for p in sorted(done, key=lambda p: p.regret)[-12:]:
        print(f"   {p.regret:.2f} {p.one.task.name} seed {p.seed}: {p.u:.2f}, best {p.one.best:.2f}; "
              + " ".join(f"{n}:{u:.2f}:{s:.2f}" for n, u, s in p.looks))  # fmt: skip


if __name__ == "__main__":
    main()
