"""What figures 16 and 17 share: the points that Gaussian and Gamma tried, on the curve that the grid saw.

One rate a run; kappa (11), cut [reading]: the figures belong to section 4.1, where kappa stands for the objective.
A search has *arrived* where the accuracy of its best so far, by kappa, is within a point of the grid's choice
[reading: the thesis counts iterations "to a similar accuracy"]; who never does counts as one more than it had.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any

from mnist_small import OF_THE_TIME, Network, Small, best, curve, per_cent, seconds
from pictures import COLOURS, MARKERS, STYLES, figure
from reproduction import Asked, Report, Sample
from verdicts import judged, no_worse, paired

SEARCHES = {"gaussian": "Gaussian", "gamma": "Gamma"}


def report(
    options: Asked, name: str, title: str, epochs: int, printed: dict[str, tuple[float, float]]
) -> Report:
    """printed: search -> its accuracy and rate in the thesis."""
    small = Small(options)
    few, seeds = small.few, small.seeds_of(epochs)
    grids = [small.grid(seed, epochs) for seed in seeds]
    goals = [best(grid, OF_THE_TIME) for grid in grids]
    found = {s: [small.once(seed, s, OF_THE_TIME, epochs, few) for seed in seeds] for s in SEARCHES}
    result = Report(
        name,
        title,
        [
            "search",
            "trainings",
            "accuracy %, its 100 images",
            "test images",
            "rate chosen",
            "arrived after",
            "CPU s",
        ],
    )
    arrivals = {}
    chosen: dict[str, list[Network]] = {"grid": goals}
    for search, runs in found.items():
        chosen[search] = [best(run, OF_THE_TIME) for run in runs]
        arrivals[search] = [_arrived(run, goal) for run, goal in zip(runs, goals, strict=True)]
    for search, label in {"grid": "Grid", **SEARCHES}.items():
        accuracy, rate = printed[search]
        rates = [network["lr"] for network in chosen[search]]
        spent = [seconds(run) for run in (grids if search == "grid" else found[search])]
        result.rows.append(
            [
                label,
                f"{small.coarse if search == 'grid' else few}",
                Sample(tuple(per_cent(n, "select") for n in chosen[search]), accuracy).text(1),
                Sample(tuple(per_cent(n, "report") for n in chosen[search])).text(1),
                f"{Sample(tuple(rates), rate).text(3)}, median {median(rates):.3f}",
                "" if search == "grid" else Sample(tuple(map(float, arrivals[search]))).text(1),
                Sample(tuple(spent)).text(1),
            ]
        )
    tested = {s: [per_cent(n, "report") for n in those] for s, those in chosen.items()}
    selected = {s: [per_cent(n, "select") for n in those] for s, those in chosen.items()}
    result.claims = [
        no_worse("Gamma is at least as accurate as Gaussian, on test images", tested["gamma"], tested["gaussian"]),
        no_worse("Gamma is at least as accurate as Gaussian, thesis's way", selected["gamma"], selected["gaussian"]),
        judged("Gamma arrives in fewer trainings than Gaussian", paired(arrivals["gamma"], arrivals["gaussian"]),
               better="less", unit="training"),
        judged("Gamma is more accurate than the grid, on test images", paired(tested["gamma"], tested["grid"]),
               better="more", unit="point"),
        judged("Gamma is more accurate than the grid, thesis's way", paired(selected["gamma"], selected["grid"]),
               better="more", unit="point"),
    ]  # fmt: skip
    draw(result, options, epochs, grids, found, goals)
    result.notes.append(
        f"Scale {options.scale}: {epochs} epoch{'s' if epochs > 1 else ''}, {len(seeds)} seeds. In brackets the "
        "thesis's one run. Both searches begin with the same two rates under one seed. Never arrived: "
        + ", ".join(
            f"{label} {sum(a > few for a in arrivals[s])} of {len(seeds)}" for s, label in SEARCHES.items()
        )
        + "."
    )
    result.numbers = {"arrived after": arrivals, "test accuracy %": tested, "select accuracy %": selected,
                      "rates chosen": {s: [n["lr"] for n in those] for s, those in chosen.items()}}  # fmt: skip
    return result


def _so_far(run: Sequence[Network]) -> list[Network]:
    return [best(run[: k + 1], OF_THE_TIME) for k in range(len(run))]


def _accuracy(network: Network) -> float:
    """In per cent, as the search saw it; of the untrained network where all have diverged."""
    if network["accuracy"] is not None:
        return 100 * network["accuracy"]
    return per_cent(network, "select") if "select" in network else 10.0


def _arrived(run: Sequence[Network], goal: Network) -> int:
    """After how many trainings."""
    reached = [_accuracy(n) >= _accuracy(goal) - 1 for n in _so_far(run)]
    return reached.index(True) + 1 if True in reached else len(run) + 1


def draw(result: Report, options: Asked, epochs: int, grids: Any, found: Any, goals: Any) -> None:
    with figure(result, options, ncols=3, figsize=(13, 4.2)) as (_, axes):
        rates = [network["lr"] for network in grids[0]]
        seen = curve(grids[0], lambda n: 100 * n["accuracy"])
        for place, (search, label) in zip(axes, SEARCHES.items(), strict=False):
            place.plot(rates, seen, color="#999999", lw=1, label=f"grid of {len(rates)}")
            place.plot(goals[0]["lr"], _accuracy(goals[0]), "*", color="black", ms=11, label="grid's choice")
            run = found[search][0]
            tried = [(i + 1, n) for i, n in enumerate(run) if n["accuracy"] is not None]
            lost = [(i + 1, n) for i, n in enumerate(run) if n["accuracy"] is None]
            place.plot(
                [n["lr"] for _, n in tried],
                [_accuracy(n) for _, n in tried],
                MARKERS[search],
                color=COLOURS[search],
                label=f"{label}, numbered in order",
            )
            place.plot(
                [n["lr"] for _, n in lost], [2] * len(lost), "x", color=COLOURS[search], label="diverged"
            )
            for i, n in tried + lost:
                height = 2 if n["accuracy"] is None else _accuracy(n)
                place.annotate(
                    f"{i}", (n["lr"], height), xytext=(3, 4), textcoords="offset points", fontsize=7
                )
            end = best(run, OF_THE_TIME)
            place.plot(
                end["lr"], _accuracy(end), "o", mfc="none", ms=13, color=COLOURS[search], label="its choice"
            )
            place.set(xlabel="learning rate", title=f"{label}, seed 0", xlim=(0, 0.5), ylim=(0, 100))
            place.legend(fontsize=7, loc="center right")
        axes[0].set_ylabel(f"accuracy after {epochs} epoch{'s' if epochs > 1 else ''}, %")
        for search, label in SEARCHES.items():
            courses = [[_accuracy(n) for n in _so_far(run)] for run in found[search]]
            means = [sum(c) / len(c) for c in zip(*courses, strict=True)]
            axes[2].plot(
                range(1, len(means) + 1),
                means,
                color=COLOURS[search],
                linestyle=STYLES[search],
                marker=MARKERS[search],
                label=label,
            )
        goal = sum(_accuracy(g) for g in goals) / len(goals)
        axes[2].axhline(goal, color="black", lw=1, ls=":", label=f"grid of {len(rates)}")
        axes[2].xaxis.get_major_locator().set_params(integer=True)
        axes[2].set(xlabel="trainings", title=f"best so far, mean of {len(grids)} seeds", ylim=(0, 100))
        axes[2].legend(fontsize=8, loc="lower right")
