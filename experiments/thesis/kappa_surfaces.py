"""What figures 9 and 10 share: kappa against accuracy and loss, its surfaces, its lines, and what it weighs.

    M_a   accuracy, a fraction, here 0.1 (guessing among ten classes) to 1
    M_l   loss (cross entropy, nats), here 0.05 to 2.5 (guessing among ten classes loses 2.30)

The thesis draws lines: M_a with short dashes, M_l with long ones, kappa solid, along an axis that is lost. Here the
lines run along trainings that lie between guessing and knowing, M_l = -log M_a: a network that gives the true class
a probability of M_a each time. Marked are the four epochs of its table 7 (Gamma with kappa, CIFAR-10).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pictures import figure
from reproduction import Asked, Report

from gammatune.metrics.objectives import DEFAULT_LAM, Objective, make_objective
from gammatune.seeds import stream

ACCURACIES = np.linspace(0.1, 1.0, 61)
LOSSES = np.linspace(0.05, 2.5, 61)
TABLE7 = {
    1: (0.4474, 1.370),
    10: (0.7542, 0.742),
    20: (0.7821, 0.621),
    50: (0.8304, 0.495),
}  # epoch: M_a, M_l
LAMBDAS = (0.1, 0.5, 1.0)
PAIRS = 2000  # of random points, for convexity

Forms = Sequence[tuple[str, Objective]]


def forms(name: str, lam: float = DEFAULT_LAM) -> Forms:
    """The uncut form and the two readings of its cut, with their titles."""
    return (
        ("uncut", make_objective(name, lam=lam)),
        ("cut to 0 where negative", make_objective(f"{name}-cut", lam=lam)),
        ("cut to 0 where M_l > M_a", make_objective(f"{name}-cut", lam=lam, cut="loss-above-accuracy")),
    )


def kappa(objective: Objective, accuracy: float, loss: float) -> float:
    return objective({"accuracy": float(accuracy), "loss": float(loss)})


def surface(objective: Objective) -> np.ndarray:  # (losses, accuracies)
    return np.array([[kappa(objective, a, loss) for a in ACCURACIES] for loss in LOSSES])


# What it weighs -------------------------------------------------------------------------------------------


def share_of_loss(objective: Objective) -> float:
    """How much of kappa's variance over the surface is the loss's, per cent; the rest is the accuracy's.

    An uncut kappa is a sum of a function of each, so that the two shares make 100.
    """
    values = surface(objective)
    by_loss, by_accuracy = values.mean(axis=1).var(), values.mean(axis=0).var()
    return float(100 * by_loss / (by_loss + by_accuracy))


def share_of_loss_per_cent(name: str, lam: float) -> float:
    """The same for accuracies in per cent, which the library refuses: the thesis does not say which it takes."""
    loss = {"kappa11": lam, "kappa12": 1 / lam, "kappa12-ratio": 1.0}[name] * np.log(LOSSES)
    accuracy = (100 * ACCURACIES) ** (1 if name == "kappa11" else 2)
    return float(100 * loss.var() / (loss.var() + accuracy.var()))


def not_convex(objective: Objective, seed: int = 0) -> float:
    """Share of random pairs of points, per cent, between which kappa lies above its chord."""
    rng = stream(seed, "kappa", "pairs")
    accuracy, loss = rng.uniform(0.1, 1.0, (PAIRS, 2)), rng.uniform(0.05, 2.5, (PAIRS, 2))
    above = 0
    for a, b in zip(accuracy, loss, strict=True):
        chord = (kappa(objective, a[0], b[0]) + kappa(objective, a[1], b[1])) / 2
        above += kappa(objective, a.mean(), b.mean()) > chord + 1e-12
    return 100 * above / PAIRS


def zero(objective: Objective) -> float:
    """Share of the surface where kappa is exactly 0, per cent."""
    return float(100 * np.mean(surface(objective) == 0))


COLUMNS = [
    "κ", "λ", "share of the loss in its variance (%)", "the same, accuracy in per cent",
    "0 on (% of the surface)", "pairs that break convexity (%)",
    *(f"at epoch {epoch} of table 7" for epoch in TABLE7),
]  # fmt: skip


def rows(names: Sequence[str]) -> list[list[str]]:
    """Every form at every λ; the shares are those of the uncut form."""
    out = []
    for name in names:
        for lam in LAMBDAS:
            for title, objective in forms(name, lam):
                shares = ["", ""]
                if title == "uncut":
                    shares = [f"{share_of_loss(objective):.1f}", f"{share_of_loss_per_cent(name, lam):.2g}"]
                out.append([
                    f"{name}, {title}", f"{lam:g}", *shares,
                    f"{zero(objective):.0f}", f"{not_convex(objective):.1f}",
                    *(f"{kappa(objective, *point):.2f}" for point in TABLE7.values()),
                ])  # fmt: skip
    return out


# Pictures -------------------------------------------------------------------------------------------------


def draw_surfaces(report: Report, options: Asked, named: dict[str, str], heading: str) -> None:
    """Contours, a row for each reading: uncut, and the two cuts. named: objective -> formula."""
    with figure(
        report, options, nrows=len(named), ncols=3, figsize=(12.5, 0.6 + 4 * len(named)), squeeze=False
    ) as (
        fig,
        axes,
    ):
        fig.suptitle(heading)
        for row, (name, formula) in zip(axes, named.items(), strict=True):
            surfaces = [(title, surface(objective)) for title, objective in forms(name)]
            whole = surfaces[0][1]
            levels = np.arange(np.floor(whole.min()), np.ceil(whole.max()) + 0.5, 0.5)
            for panel, (title, values) in zip(row, surfaces, strict=True):
                filled = panel.contourf(ACCURACIES, LOSSES, values, levels=levels, cmap="viridis")
                filled.set_rasterized(True)  # in the SVG: half a megabyte of outlines otherwise
                lines = panel.contour(
                    ACCURACIES, LOSSES, values, levels=levels[::2], colors="white", linewidths=0.6
                )
                panel.clabel(lines, fontsize=8, fmt="%.2g")
                flat = (values == 0).astype(float)
                if flat.any():
                    panel.contourf(
                        ACCURACIES, LOSSES, flat, levels=[0.5, 1.5], colors=["#dddddd"], hatches=["///"]
                    )
                mark(panel)
                panel.grid(False)
                panel.set(
                    title=f"{formula}\n{title.replace('M_l > M_a', '$M_l > M_a$')}",
                    xlabel="accuracy $M_a$ (fraction)",
                )
            row[0].set_ylabel("loss $M_l$ (nats)")
            fig.colorbar(filled, ax=row, label="κ: higher is better", shrink=0.9, ticks=levels[::2])
        import matplotlib.patches as patches

        handles, labels = axes[0, 0].get_legend_handles_labels()
        handles.append(patches.Patch(facecolor="#dddddd", hatch="///", edgecolor="#555555"))
        fig.legend(
            handles, [*labels, "κ = 0, by the cut"], loc="outside lower center", ncols=2, frameon=False
        )  # fmt: skip


def mark(panel: Any) -> None:
    accuracy, loss = zip(*TABLE7.values(), strict=True)
    panel.plot(
        accuracy,
        loss,
        "o-",
        color="#D55E00",
        mec="white",
        ms=7,
        label="CIFAR-10 after the epochs in the thesis's table 7",
    )
    for epoch, point in TABLE7.items():
        panel.annotate(
            str(epoch), point, (6, 4), textcoords="offset points", color="#D55E00", fontweight="bold",
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )  # fmt: skip


def draw_lines(report: Report, options: Asked, named: dict[str, str], heading: str) -> None:
    """As the thesis draws: M_a short dashes, M_l long dashes, kappa solid; uncut thin."""
    along = np.linspace(0.1, 0.99, 200)
    colours = ("#0072B2", "#D55E00")
    with figure(report, options, f"{report.name}-lines", figsize=(8.5, 6)) as (fig, axes):
        axes.plot(along, along, color="black", ls=(0, (2, 2)), label="accuracy $M_a$")
        axes.plot(
            along, -np.log(along), color="black", ls=(0, (8, 3)), label="loss $M_l = -\\log M_a$ (nats)"
        )
        for (name, formula), colour in zip(named.items(), colours, strict=False):
            uncut, cut, _ = (objective for _, objective in forms(name))
            free = [kappa(uncut, a, -np.log(a)) for a in along]
            held = [kappa(cut, a, -np.log(a)) for a in along]
            axes.plot(along, held, color=colour, lw=2.4, label=f"κ, cut where negative: {formula}")
            axes.plot(along, free, color=colour, lw=1, ls=":", label="the same, uncut")
            start = next(a for a, value in zip(along, held, strict=True) if value > 0)
            axes.plot(
                start,
                0,
                "o",
                color=colour,
                mec="black",
                ms=7,
                label=f"κ begins at $M_a$ = {start:.2f}",
                clip_on=False,
            )
        axes.set(
            xlabel="from guessing to knowing: probability given to the true class", ylabel="$M_a$, $M_l$, κ",
            ylim=(-2, 4), xlim=(0.1, 1.0), title=heading,
        )  # fmt: skip
        fig.legend(loc="outside lower center", fontsize=9, ncols=2, frameon=False)
