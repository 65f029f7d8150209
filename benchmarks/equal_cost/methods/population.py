"""Populations of twelve trainings that copy each other: PBT and PB2. Cost 12 where every epoch is evaluated.

    pbt     Jaderberg et al. 2017 (arXiv 1711.09846): the worst quarter takes weights and rate of one of the best
            quarter, and perturbs the rate by 1.2 or 0.8, or draws it anew with probability 0.25
    pb2     Parker-Holder et al. 2020 (arXiv 2002.02518): the same, the new rate from a time-varying bandit

The members begin with the same weights at rates drawn from 1e-5 .. 10 (log-uniform), constant between exchanges,
which come every epoch or tenth of the run, whichever is longer; all see the same batches. The best by its score on
"select" at the end is handed over. Quarter and probability are those of Ray Tune's PopulationBasedTraining; the
paper's fifth is three of twelve as well. check_pbt.py compares pbt with Ray's.

PB2 models the score gained in an interval, y, standardised and cut at +-2 (a divergence counts -2), by

    x = (R, u): the score before the interval and log lr, both scaled to [0, 1]; i the interval's number
    k((x, i), (x', j)) = v exp(-|x - x'|^2 / l) (1 - e)^(|i - j| / 2)                               (1)

with noise; v, l, the noise and e in [0, 1/2] of highest evidence. A new rate maximises mean + sqrt(beta) sd at the
copied score in the next interval, beta = 0.2 + max(0, log(0.4 n)); sd knows of the rates just given to others. So
in Ray's implementation, by PB2's authors, but for log lr in place of lr, sd in place of the variance (the paper's),
and the score at the start, for which that of a guess is taken.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from course import Course, finished
from outcomes import LRS, Cell, Method, cell_of, setting_of
from scipy import linalg, optimize
from tasks import Setting, Task
from training import clock, objective

from gammatune.seeds import stream

MEMBERS = 12
QUARTER = MEMBERS // 4
INTERVALS = 10  # at most
RESAMPLE = 0.25
PERTURB = (1.2, 0.8)
LOGS = np.log((LRS[0], LRS[-1]))


@dataclass
class Member:
    """score: on "select" after its last interval, higher is better; -inf where it diverged.

    schedule: the rate of every interval that its weights went through.
    """

    course: Course
    lr: float
    score: float
    schedule: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Gain:
    """What an interval at a rate brought: the score before and after it, -inf where it diverged."""

    interval: int
    before: float
    lr: float
    after: float


# The rate that goes with a copy of this member: (winner, interval to come, gains, rates given out now, rng) -> lr
Explore = Callable[[Member, int, Sequence[Gain], Sequence[float], np.random.Generator], float]


def population(name: str, explore: Explore, task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    rng = stream(seed, name, task.name)
    began = clock()
    rates = np.exp(rng.uniform(*LOGS, MEMBERS))
    members = [Member(Course(setting), float(lr), guess(setting)) for lr in rates]
    each = max(1, round(task.epochs / INTERVALS))  # epochs
    ends = [*range(each, task.epochs, each), task.epochs]
    gains: list[Gain] = []
    for i, end in enumerate(ends):
        for member in members:
            before, alive = member.score, not member.course.diverged
            member.course.advance(steps(member, end), lambda k, lr=member.lr: lr)
            member.score = member.course.score()
            member.schedule.append(member.lr)
            if alive:
                gains.append(Gain(i, before, member.lr, member.score))
        if end < task.epochs:
            exchange(members, lambda winner, given, i=i: explore(winner, i + 1, gains, given, rng), rng)
    best = max(members, key=lambda m: m.score)
    trace = finished(best.course, cost=sum(m.course.cost for m in members), seconds=clock() - began)
    return cell_of(setting, name, trace, chosen={"lr": [float(f"{lr:.3g}") for lr in best.schedule]})


def steps(member: Member, end: int) -> int:
    """How many are left to the end of this epoch."""
    course = member.course
    return end * course.total // course.setting.task.epochs - course.step


def exchange(
    members: Sequence[Member], rate: Callable[[Member, Sequence[float]], float], rng: np.random.Generator
) -> None:
    """Every member of the worst quarter becomes a copy of one of the best quarter, at another rate."""
    ranked = sorted(members, key=lambda m: m.score)
    winners = [m for m in ranked[-QUARTER:] if m.score > -math.inf]
    given: list[float] = []
    for loser in ranked[:QUARTER] if winners else []:
        winner = winners[rng.integers(len(winners))]
        loser.lr = rate(winner, given)
        loser.course.load(winner.course.state())
        loser.score, loser.schedule = winner.score, [*winner.schedule]
        given.append(loser.lr)


def guess(setting: Setting) -> float:
    """The score of equal odds for every class, or of the mean: about that of fresh weights, at no cost."""
    classes = setting.task.classes
    metrics = {"accuracy": 1 / classes, "loss": math.log(classes)} if classes else {"loss": 1.0, "r2": 0.0}
    return objective(setting)(metrics)


# PBT ------------------------------------------------------------------------------------------------------


def perturb(
    winner: Member, interval: int, gains: Sequence[Gain], given: Sequence[float], rng: np.random.Generator
) -> float:
    if rng.random() < RESAMPLE:
        return math.exp(rng.uniform(*LOGS))
    return winner.lr * PERTURB[rng.integers(2)]


# PB2 ------------------------------------------------------------------------------------------------------

CUT = 2.0
GRID = np.linspace(0, 1, 401)  # of log lr
BOX = ((-7.0, 4.0), (-7.0, 4.0), (0.0, 0.5), (-9.0, 2.0))  # log v, log l, e, log noise (guess, but for e's)
START = (0.0, 0.0, 0.1, -2.0)  # Ray's but for the noise


def bandit(
    winner: Member, interval: int, gains: Sequence[Gain], given: Sequence[float], rng: np.random.Generator
) -> float:
    before = np.array([g.before for g in gains])
    known = np.append(before, [g.after for g in gains if g.after > -math.inf])
    floor, width = known.min(), np.ptp(known) + 1e-8
    time = np.array([g.interval for g in gains], dtype=float)
    X = np.column_stack([(before - floor) / width, scaled([g.lr for g in gains])])  # (n, 2)
    y = standardised(np.array([g.after - g.before for g in gains]))
    logs = most_likely(X, time, y)

    at = (winner.score - floor) / width
    Z = np.column_stack([np.full(len(GRID), at), GRID])  # (q, 2)
    now = float(interval)
    mean, _ = posterior(logs, X, time, y, Z, now)
    X = np.vstack(
        [X, *[[[at, u]] for u in scaled(given)]]
    )  # what is under way takes away uncertainty, no more
    time = np.append(time, [now] * len(given))
    _, sd = posterior(logs, X, time, np.zeros(len(X)), Z, now)
    beta = 0.2 + max(0.0, math.log(0.4 * len(gains)))
    bound = mean + math.sqrt(beta) * sd
    u = GRID[rng.choice(np.flatnonzero(bound > bound.max() - 1e-6))]  # far from all data it is flat
    return math.exp(LOGS[0] + u * (LOGS[1] - LOGS[0]))


def scaled(lrs: Sequence[float]) -> np.ndarray:
    return (np.log(np.array(lrs, dtype=float)) - LOGS[0]) / (LOGS[1] - LOGS[0])


def standardised(gained: np.ndarray) -> np.ndarray:
    finite = gained[np.isfinite(gained)]
    if not len(finite):
        return np.full(len(gained), -CUT)
    return np.clip((gained - finite.mean()) / (finite.std() + 1e-8), -CUT, CUT)


def covariance(
    logs: Sequence[float], X: np.ndarray, i: np.ndarray, Z: np.ndarray, j: np.ndarray
) -> np.ndarray:
    """(1) for every pair, (n, q)."""
    log_v, log_l, e, _ = logs
    square = np.square(X[:, None] - Z[None]).sum(axis=2)
    return np.exp(log_v - square / math.exp(log_l)) * (1 - e) ** (np.abs(i[:, None] - j[None]) / 2)


def most_likely(X: np.ndarray, time: np.ndarray, y: np.ndarray) -> np.ndarray:
    def loss(logs: np.ndarray) -> float:
        L, alpha = _solved(logs, X, time, y)
        return float(y @ alpha / 2 + np.log(np.diag(L)).sum())

    return optimize.minimize(loss, START, bounds=BOX, method="L-BFGS-B").x


def posterior(
    logs: Sequence[float], X: np.ndarray, time: np.ndarray, y: np.ndarray, Z: np.ndarray, now: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the gain (without its noise) at Z in the interval `now`."""
    L, alpha = _solved(logs, X, time, y)
    k = covariance(logs, X, time, Z, np.full(len(Z), now))  # (n, q)
    left = math.exp(logs[0]) - np.square(linalg.solve_triangular(L, k, lower=True)).sum(axis=0)
    return k.T @ alpha, np.sqrt(np.maximum(left, 0.0))


def _solved(
    logs: Sequence[float], X: np.ndarray, time: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The Cholesky factor of covariance and noise, and their inverse times y."""
    noise = (math.exp(logs[3]) + 1e-6) * np.eye(len(X))
    L = np.linalg.cholesky(covariance(logs, X, time, X, time) + noise)
    return L, linalg.cho_solve((L, True), y)


METHODS: dict[str, Method] = {
    "pbt": partial(population, "pbt", perturb),
    "pb2": partial(population, "pb2", bandit),
}
