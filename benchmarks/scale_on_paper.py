"""What the method costs from 10^3 to 10^6 steps and from 10^6 to 10^11 weights: on paper, and by simulation.

    python benchmarks/scale_on_paper.py --out benchmarks/results/scale_on_paper.json     (a minute)
    python benchmarks/scale_on_paper.py --draw docs/site/_static/scale.svg               (from the file alone)

**Simulated** is how often, and for how long, the policy looks: the real one, "lookahead" at its default budget,
drives a training that takes no time (`gammatune.testing.fakes`), of any number of steps. Its best rate lies in turn
at each of PLACES spreads from where the prior has it.

**Computed** is what that comes to in bytes and seconds: from what was measured on small nets and one machine
(overhead.json, ranks.json, equal_cost_ratios.json), under the assumptions below, which nobody has tried at these
sizes. Nothing here is a measurement of a large training.

Assumptions: a course has EPOCHS stretches, each with a validation pass of VALIDATION of its examples. A weight is
4 bytes, and AdamW keeps 8 more, so that a fork has 12 a weight; activations are in none. Among two ranks a step takes
as much longer as was measured on two cores that had nothing to spare; each doubling of their number adds the small
sum over the ranks before every batch once more (a tree). A fork is sent to a worker over NETWORK, and moved to the
memory of the host over HOST: nominal figures, neither measured. Steps take as long in a look as in the course.
"""

import json
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness

from gammatune.cost import Meter
from gammatune.policy.opening import look_batches
from gammatune.policy.prior import learned, place
from gammatune.records import Known, Values
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

RESULTS = Path(__file__).resolve().parent / "results"
STEPS = tuple(round(10 ** (3 + i / 2)) for i in range(7))  # of a course, 10^3 to 10^6
WEIGHTS = tuple(10**i for i in range(6, 12))
STEP_SECONDS = 1e-3, 1e-2, 1e-1, 1.0, 10.0
RANKS = 1, 8, 64, 1024
EPOCHS, VALIDATION, BUDGET = 20, 0.1, 1.5
PLACES = -2.0, -1.0, 0.0, 1.0, 2.0  # spreads of the prior
WARM = 20  # batches after which the loss has fallen by a third (guess)
OWN = 1e-3  # the rate that the optimizer came with, which nobody chose
BYTES = 12  # of a fork, a weight
HOST, NETWORK = 25e9, 1.25e9  # bytes a second: PCIe 4.0 x16 as a rule of thumb, a line of 10 Gbit/s


@dataclass
class Counted(FakeTraining):
    """Learns for as long as it is trained, counts its forks, and tells what is known of it: AdamW at a rate that
    nobody chose."""

    captures: int = 0
    restores: int = 0
    held: int = 0
    known_of_it: Known = field(default_factory=lambda: Known("adam", OWN, is_own=False, fan_in=512))

    def known(self) -> Known:
        return self.known_of_it

    def own(self, names: Any) -> Values:
        return dict.fromkeys(names, OWN)

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """The loss falls with the root of the batches, as far as the rate is good, also within a short look."""
        before, batches = self.loss, meter.batches
        super().advance(epoch, values, meter)
        rate = float(values["lr"]) * max(level for _, level in meter.shape.knots)
        good = math.exp(-(math.log10(rate / self.best_lr) ** 2)) if rate > 0 else 0.0
        lived = WARM * (before**-2 - 1) + (meter.batches - batches) * good
        self.loss = (1 + lived / WARM) ** -0.5

    def capture(self, fork: str) -> None:
        super().capture(fork)
        self.captures += 1
        self.held = max(self.held, len(self._forks))

    def restore(self, fork: str) -> None:
        super().restore(fork)
        self.restores += 1


def simulated(steps: int, spreads: float) -> dict[str, float]:
    """One course of so many steps under the real policy; the best rate so many spreads from where it is believed."""
    epoch = steps // EPOCHS
    believed = place(Counted().known(), steps)
    training = Counted(
        best_lr=OWN * 10 ** (believed.mean + spreads * learned()["spread"]),
        cliff=math.inf,
        examples=epoch,  # an example a batch: costs are ratios
        steps=epoch,
        validation=round(VALIDATION * epoch),
    )
    tuner = Tuner(
        training=training, epochs=EPOCHS, budget=BUDGET, space=["lr=1e-9:1e3:log"], objective="loss", seed=0
    )
    with tuner:
        for run in tuner:
            run.advance()
            run.report(**run.evaluate())
    rollouts = tuner.result.rollouts
    looks = [each for each in rollouts if each.role == "miniature"]
    plain = steps + EPOCHS * training.validation / 3
    return {
        "looks": len(looks),
        "look_batches": look_batches(steps),
        "looks_plain_runs": sum(each.trained + each.evaluated / 3 for each in looks) / plain,
        "cost": tuner.cost.plain_runs or math.nan,
        "rollouts": len(rollouts),
        "batches": sum(each.batches for each in rollouts),
        "captures": training.captures,
        "restores": training.restores,
        "forks_held": training.held,
    }


def by_steps(steps: int, places: tuple[float, ...] = PLACES) -> dict[str, Any]:
    """Means over the places of the best rate, and the largest number of looks and of forks."""
    runs = [simulated(steps, spreads) for spreads in places]
    row: dict[str, Any] = {"steps": steps}
    for name in runs[0]:
        row[name] = statistics.fmean(run[name] for run in runs)
    most = {f"{name}_most": max(run[name] for run in runs) for name in ("looks", "forks_held", "cost")}
    return row | most | {"look_batches": look_batches(steps)}


@dataclass(frozen=True)
class Constants:
    """Measured, all on a CPU. Seconds, and bytes a second.

    step: on top of every step, of two ranks step_in_ranks. decision: of a rollout, among processes in_ranks.
    exchange: the sum over two processes before every batch, by itself. fork: bytes a second of a fork and its restore
    together. grid: plain runs of a grid of twelve.
    """

    step: float
    step_in_ranks: float
    decision: float
    in_ranks: float
    exchange: float
    fork: float
    grid: float

    @classmethod
    def measured(cls) -> "Constants":
        overhead, ranks, ratios = (
            json.loads((RESULTS / name).read_text())
            for name in ("overhead.json", "ranks.json", "equal_cost_ratios.json")
        )
        largest = max(overhead["forks"], key=lambda fork: float(fork["megabytes"]))
        return cls(
            overhead["step"]["extra_us"] / 1e6,
            ranks["20 ms a step"]["extra_us"]["median"] / 1e6,
            overhead["decision"]["median_ms"] / 1e3,
            ranks["20 ms a step"]["decision_ms"]["median"] / 1e3,
            ranks["exchange_us"]["median"] / 1e6,
            largest["megabytes"] * 1e6 / (largest["ours_ms"] / 1e3),
            ratios["frozen"]["linear-grid"]["cost"],
        )


def on_top(constants: Constants, row: dict[str, Any], step: float, ranks: int) -> float:
    """Seconds of the library's own beside the training, as a share of a plain run of steps of so many seconds."""
    more = constants.exchange * (math.log2(ranks) - 1)
    each = constants.step_in_ranks + more if ranks > 1 else constants.step
    decision = constants.in_ranks if ranks > 1 else constants.decision
    return float((row["batches"] * each + row["rollouts"] * decision) / (row["steps"] * step))


def with_workers(row: dict[str, Any], workers: int) -> float:
    """Plain runs on the clock where the first three looks go out together (later ones wait for what they say)."""
    first = min(3, row["looks"])
    rounds = math.ceil(first / workers)
    return float(row["cost"] - row["looks_plain_runs"] / row["looks"] * (first - rounds))


def by_weights(constants: Constants, weights: int, held: float) -> dict[str, Any]:
    """held: how many forks there are at a time."""
    fork = BYTES * weights
    return {
        "weights": weights,
        "fork_gb": fork / 1e9,
        "held_gb": fork * held / 1e9,
        "held_mb_of_1024": fork * held / 1e6 / 1024,
        "fork_seconds": fork / constants.fork,
        "host_seconds": 2 * fork / HOST,
        "network_seconds": fork / NETWORK,
    }


def result(steps: tuple[int, ...] = STEPS, places: tuple[float, ...] = PLACES) -> dict[str, Any]:
    constants = Constants.measured()
    rows = [by_steps(each, places) for each in steps]
    for row in rows:
        row["on_the_clock_3_workers"] = with_workers(row, 3)
        row["saved"] = constants.grid - row["cost"]
    held = max(row["forks_held_most"] for row in rows)
    return harness.about("gammatune", "torch", "numpy", "scipy") | {
        "constants": vars(constants),
        "assumed": {
            "bytes": BYTES,
            "host": HOST,
            "network": NETWORK,
            "epochs": EPOCHS,
            "validation": VALIDATION,
        },
        "steps": rows,
        "on top": [
            {"step_seconds": step, "ranks": ranks, "share": on_top(constants, rows[-1], step, ranks)}
            for step in STEP_SECONDS
            for ranks in RANKS
        ],
        "weights": [by_weights(constants, weights, held) for weights in WEIGHTS],
    }


def draw(content: dict[str, Any], path: Path) -> None:
    """Three panels: plain runs by steps; the library's own time by the time of a step; a fork's bytes by weights."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "scale", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, (costs, tops, forks) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    rows = content["steps"]
    steps = [row["steps"] for row in rows]
    costs.axhline(
        content["constants"]["grid"], color="grey", linestyle=":", label="a grid of twelve (measured)"
    )
    costs.plot(steps, [row["cost"] for row in rows], "o-", label="all together")
    costs.plot(
        steps, [row["on_the_clock_3_workers"] for row in rows], "--", label="on the clock, three workers"
    )
    costs.plot(steps, [row["looks_plain_runs"] for row in rows], "s-", label="looks alone")
    costs.set(
        xscale="log", yscale="log", xlabel="steps of the course", ylabel="plain runs", title="simulated"
    )
    for ranks in RANKS:
        of = [row for row in content["on top"] if row["ranks"] == ranks]
        tops.plot(
            [row["step_seconds"] for row in of],
            [100 * row["share"] for row in of],
            "o-",
            label=f"{ranks} rank{'s' if ranks > 1 else ''}",
        )
    tops.set(
        xscale="log",
        yscale="log",
        xlabel="seconds of a step",
        ylabel="on top, % of a plain run",
        title="computed",
    )
    of = content["weights"]
    weights = [row["weights"] for row in of]
    forks.plot(weights, [row["held_gb"] for row in of], "o-", label="forks held, one device")
    forks.plot(weights, [row["held_mb_of_1024"] / 1000 for row in of], "--", label="a rank's part, of 1,024")
    forks.set(xscale="log", yscale="log", xlabel="weights", ylabel="GB", title="computed")
    for axes in (costs, tops, forks):
        axes.grid(alpha=0.3)
        axes.minorticks_off()
        axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def main() -> None:
    parser = harness.arguments(__doc__, out=RESULTS / "scale_on_paper.json", quick="two lengths of a course")
    parser.add_argument("--draw", type=Path, help="only draw the result file there (.svg or .png)")
    args = parser.parse_args()
    if args.draw is None:
        harness.save(args.out, result(STEPS[:3:2], (0.0,)) if args.quick else result())
    content = json.loads(args.out.read_text())
    for row in content["steps"]:
        print(
            f"{row['steps']:>9,} steps: {row['looks']:.1f} looks of {row['look_batches']:,}, "
            f"{row['looks_plain_runs']:.3f} of {row['cost']:.3f} plain runs; {row['forks_held']:.0f} forks held"
        )
    if args.draw is not None:
        draw(content, args.draw)


if __name__ == "__main__":
    main()
