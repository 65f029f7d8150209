"""Table 11: the learning rates that the searches of table 10 chose.

The thesis, five rows: Grid .085 .070 .156 .096 .078; Gaussian .307 .075 .117 .138 .186; Gamma .265 .113 .178 .077
.230. "Gamma's rates lie nearer to the grid's than Gaussian's." By its own numbers they do not: the mean distance is
0.0832 for both.

Here the rows are seeds, the grid has 100 rates and the searches 2 + 20 samples; 50 epochs, kappa (11), cut
[readings].
How it was made smaller: mnist_small.py.
"""

from collections.abc import Sequence

from mnist_small import OF_THE_TIME, Small, best
from reproduction import Asked, Report, Sample
from verdicts import Claim, judged, paired

NAME = "table11"
TITLE = "the learning rates chosen in table 10"

THESIS = {
    "grid": (0.085, 0.070, 0.156, 0.096, 0.078),
    "gaussian": (0.307, 0.075, 0.117, 0.138, 0.186),
    "gamma": (0.265, 0.113, 0.178, 0.077, 0.230),
}


def run(options: Asked) -> Report:
    small = Small(options)
    rates = {
        "grid": [best(small.grid(seed, small.long), OF_THE_TIME)["lr"] for seed in small.long_seeds],
        **{
            sampler: [
                best(small.once(seed, sampler, OF_THE_TIME, small.long, small.more), OF_THE_TIME)["lr"]
                for seed in small.long_seeds
            ]
            for sampler in ("gaussian", "gamma")
        },
    }
    rows = []
    for i, seed in enumerate(small.long_seeds):
        printed = {name: f" ({those[i]:.3f})" if i < len(those) else "" for name, those in THESIS.items()}
        rows.append([f"seed {seed}", *(f"{rates[name][i]:.3f}{printed[name]}" for name in THESIS)])
    means = {name: sum(those) / len(those) for name, those in THESIS.items()}
    rows.append(["mean", *(Sample(tuple(rates[name]), means[name]).text(3) for name in THESIS)])
    away = {name: _distance(rates[name], rates["grid"]) for name in ("gaussian", "gamma")}
    printed = {
        name: sum(_distance(THESIS[name], THESIS["grid"])) / len(THESIS["grid"])
        for name in ("gaussian", "gamma")
    }
    rows.append(
        [
            "mean distance to the grid's",
            "",
            *(Sample(tuple(away[name]), printed[name]).text(3) for name in away),
        ]
    )
    claims: list[Claim] = [
        judged(
            "Gamma's rates lie nearer to the grid's than Gaussian's",
            paired(away["gamma"], away["gaussian"]),
            better="less",
        )
    ]
    notes = [
        f"Scale {options.scale}: {small.long} epochs, {len(small.long_seeds)} seeds, a grid of {small.coarse}, "
        f"{small.more} trainings a search. The thesis's five numbers stand in brackets in its order: other runs.",
        f"The thesis's own rates lie {printed['gaussian']:.4f} (Gaussian) and {printed['gamma']:.4f} (Gamma) from "
        "the grid's in the mean: its table does not show what its text says.",
    ]
    numbers = {"rates": rates, "distance to the grid's": away}
    return Report(NAME, TITLE, ["", "Grid", "Gaussian", "Gamma"], rows, claims, [], notes, numbers)


def _distance(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [abs(a - b) for a, b in zip(one, other, strict=True)]
