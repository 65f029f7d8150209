"""Where policies end on a noisy quadratic, against schedules whose rate an oracle tuned.

The problem (Wu et al. 2018, arXiv 1803.02021; `gammatune.testing.quadratic`) has the short-horizon bias in its
purest form: expected excess losses, no evaluation noise, so that a policy that is off has no excuse. The oracle
tries every rate on a fine grid over the whole course, once for linear decay with the usual warm-up (what
"lookahead" follows), once without, once for cosine decay; a policy's *ratio* is its final excess loss over the
least of the three. *At rate* is what the chosen rate alone would lead to, without guard and averaging: with a
budget to average with, a policy may end below every single training.

Every policy searches the same eight decades, about a rate that is 0.001, 0.01 and 0.1, one for each seed.

    greedy 12       policy "greedy": each epoch the best of twelve
    lookahead B     policy "lookahead" with a budget of B plain runs

Run:  python benchmarks/noisy_quadratic.py --out benchmarks/results/noisy_quadratic.json   (a minute)
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import harness
import numpy as np
from harness import geometric_mean

from gammatune.schedules import linear
from gammatune.testing.quadratic import NoisyQuadratic, log_spaced, power_law
from gammatune.tuning.tuner import Tuner

EPOCHS = 10
STEPS = (20, 100, 1000)  # an epoch
POLICIES = (("greedy", 12.0), ("lookahead", 1.5), ("lookahead", 4.0), ("lookahead", 12.0))
CENTRES = (1e-3, 1e-2, 1e-1)  # of the range, one a seed
# name -> curvatures, momentum
PROBLEMS: dict[str, tuple[np.ndarray, float]] = {
    "1/i": (power_law(1000, 1.0), 0.0),
    "1/i^2": (power_law(1000, 2.0), 0.0),
    "log-spaced, 1e4": (log_spaced(1000, 1e4), 0.0),
    "1/i, momentum 0.9": (power_law(100, 1.0), 0.9),
}
SCHEDULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # progress -> multiplier
    "linear with warm-up": lambda p: np.array([linear()(x) for x in p]),
    "linear": lambda p: 1 - p,
    "cosine": lambda p: (1 + np.cos(np.pi * p)) / 2,
}
COARSE, FINE = 6, 60  # rates a decade


@dataclass
class Tuned:
    """A schedule at its best rate, and the loss it leads to."""

    schedule: str
    lr: float
    loss: float


@dataclass
class Ran:
    """What one policy came to under one seed. cost: plain runs. lr: of the first epoch of the course, for
    "lookahead" that of its first trial. at_rate: see above; only of "lookahead", which keeps its rate."""

    problem: str
    steps: int
    policy: str
    budget: float
    seed: int
    loss: float
    ratio: float
    lr: float
    oracle_lr: float
    at_rate: float | None
    cost: float


def final_loss(h: np.ndarray, mu: float, rates: np.ndarray, multipliers: np.ndarray) -> np.ndarray:  # (q,)
    """The expected excess loss at the end for each rate: the second moments followed again, all rates at once."""
    A = np.ones((len(rates), len(h)))  # E theta^2; below E theta v and E v^2
    B, C = np.zeros_like(A), np.zeros_like(A)
    with np.errstate(over="ignore", invalid="ignore"):
        for multiplier in multipliers:
            lr = (rates * multiplier)[:, None]
            if mu == 0:
                A *= (1 - lr * h) ** 2
                A += lr**2 * h
                continue
            # v <- mu v + g, then theta <- theta - lr v
            C, B = h**2 * A + 2 * mu * h * B + mu**2 * C + h, h * A + mu * B
            A = A - 2 * lr * B + lr**2 * C
            B = B - lr * C
    return 0.5 * A @ h


def oracle(h: np.ndarray, mu: float, steps: int, schedule: str) -> Tuned:
    """The best rate of a schedule over the course: a coarse grid, then a fine one about its best."""
    multipliers = SCHEDULES[schedule]((np.arange(steps) + 0.5) / steps)
    top = math.log10(4 * (1 + mu) / h.max())  # twice the limit of stability
    grid = np.arange(top - 4, top, 1 / COARSE)
    for width in (1 / COARSE, None):
        losses = final_loss(h, mu, 10**grid, multipliers)
        best = int(np.nanargmin(losses))
        if width is not None:
            grid = np.arange(grid[best] - width, grid[best] + width, 1 / FINE)
    return Tuned(schedule, float(10 ** grid[best]), float(losses[best]))


def follow(problem: str, steps: int, policy: str, budget: float, seed: int, best: Tuned) -> Ran:
    h, mu = PROBLEMS[problem]
    centre = CENTRES[seed % len(CENTRES)]
    training = NoisyQuadratic(h, momentum=mu, steps=steps)
    tuner = Tuner(
        training=training, epochs=EPOCHS, budget=budget, policy=policy, objective="log-loss", seed=seed,
        space=[f"lr={centre / 1e4:g}:{centre * 1e4:g}:log"],
    )  # fmt: skip
    with tuner:
        for run in tuner:
            run.advance()
            run.report(**run.evaluate())
    result, alone = tuner.result, None
    lr = float(result.course[0].values["lr"])
    if policy == "lookahead":  # where it trained twice, the averaged course is faster from the same choice on
        lr = next(float(o.values["lr"]) for o in result.rollouts if o.batches == steps and o.shape(1.0) > 0)
        progress = (np.arange(EPOCHS * steps) + 0.5) / (EPOCHS * steps)
        alone = float(final_loss(h, mu, np.array([lr]), SCHEDULES["linear with warm-up"](progress))[0])
    return Ran(
        problem, steps, policy, budget, seed, training.loss, training.loss / best.loss, lr, best.lr,
        None if alone is None else alone / best.loss, tuner.cost.plain_runs or math.nan,
    )  # fmt: skip


def table(tuned: dict[str, list[Tuned]], ran: list[Ran]) -> None:
    """Means over the seeds are geometric; in brackets the worst seed."""
    print(f"{'':21}{'loss':>10}{'ratio':>8}{'':9}{'at rate':>8}{'':9}{'lr':>9}  lr/oracle's")
    for key, schedules in tuned.items():
        print(key)
        best = min(schedules, key=lambda t: t.loss)
        for t in schedules:
            print(f"  {t.schedule:19}{t.loss:10.4g}{t.loss / best.loss:8.2f}{'':26}{t.lr:9.3g}")
        for policy, budget in POLICIES:
            of = [r for r in ran if (course(r.problem, r.steps), r.policy, r.budget) == (key, policy, budget)]
            line = f"  {f'{policy} {budget:g}':19}{geometric_mean([r.loss for r in of]):10.4g}"
            for numbers in ([r.ratio for r in of], [r.at_rate for r in of if r.at_rate is not None]):
                worst = f" ({max(numbers):.2f})" if numbers else ""
                line += f"{geometric_mean(numbers):8.2f}{worst:9}" if numbers else f"{'':17}"
            off = geometric_mean([r.lr / r.oracle_lr for r in of])
            print(f"{line}{geometric_mean([r.lr for r in of]):9.3g}  {off:.2g}")
    print("\nover all courses, every seed:  ratio   within 1.1   worst")
    for policy, budget in POLICIES:
        ratios = [r.ratio for r in ran if (r.policy, r.budget) == (policy, budget)]
        within = sum(r <= 1.1 for r in ratios) / len(ratios)
        print(
            f"  {f'{policy} {budget:g}':27} {geometric_mean(ratios):7.2f}  {within:11.0%}  {max(ratios):6.2f}"
        )


def course(problem: str, steps: int) -> str:
    return f"{problem}, {EPOCHS} epochs of {steps} steps"


def main() -> None:
    parser = harness.arguments(__doc__, seeds=len(CENTRES))
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--steps", nargs="*", type=int, default=list(STEPS))
    args = parser.parse_args()
    began = time.perf_counter()
    tuned: dict[str, list[Tuned]] = {}
    ran: list[Ran] = []
    for problem in args.problems:
        for steps in args.steps:
            h, mu = PROBLEMS[problem]
            schedules = [oracle(h, mu, EPOCHS * steps, schedule) for schedule in SCHEDULES]
            tuned[course(problem, steps)] = schedules
            best = min(schedules, key=lambda t: t.loss)
            ran += [follow(problem, steps, *p, seed, best) for p in POLICIES for seed in range(args.seeds)]
    table(tuned, ran)
    if args.out:
        report = {
            "benchmark": "noisy_quadratic",
            **harness.about("gammatune", "numpy", "scipy"),
            "epochs": EPOCHS,
            "seeds": args.seeds,
            "seconds": round(time.perf_counter() - began, 1),
            "oracle": {key: [asdict(t) for t in schedules] for key, schedules in tuned.items()},
            "runs": [asdict(r) for r in ran],
        }
        harness.save(args.out, report)


if __name__ == "__main__":
    main()
