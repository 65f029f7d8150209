"""What the network said of new examples, as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.report.html.svg import LEFT, RIGHT, Axis, Picture

BINS = 10  # of a reliability diagram
MOST_POINTS = 1000  # of a scatter


@dataclass(frozen=True, slots=True)
class Bin:
    """Examples whose answer has a probability in [low, high): how many, its mean, and the share of right ones."""

    low: float
    high: float
    count: int
    said: float
    right: float


def reliability(confidence: NDArray[Any], right: NDArray[np.bool_]) -> tuple[list[Bin], float]:
    """The bins that hold any example, and the expected calibration error (Guo et al. 2017, arXiv 1706.04599).

    confidence: the probability given to each answer, (n,). right: whether it was right.
    """
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for i in range(BINS):
        among = place == i
        if among.any():
            said, met = float(confidence[among].mean()), float(right[among].mean())
            bins.append(Bin(i / BINS, (i + 1) / BINS, int(among.sum()), said, met))
            error += float(among.mean()) * abs(said - met)
    return bins, error


def reliability_picture(bins: Sequence[Bin], error: float) -> str:
    words = "; ".join(f"{b.count} examples said {b.said:.0%}, {b.right:.0%} right" for b in bins)
    picture = Picture(
        "How far its probabilities can be trusted",
        f"{words}. Calibration error {error:.1%}.",
        330,
        name="calibration",
    )
    x, y = Axis(0.0, 1.0, LEFT, RIGHT), Axis(0.0, 1.0, 216.0, 26.0)
    picture.up(y, LEFT, "share that was right", right=RIGHT, count=5)
    picture.across(x, 216.0, "", top=26.0)
    picture.line([(x(0), y(0)), (x(1), y(1))], "ideal")
    picture.line([(x(b.said), y(b.right)) for b in bins], "c1 thin")
    for b in bins:
        tip = f"{b.count} examples: said {b.said:.0%}, right {b.right:.0%}"
        picture.mark((x(b.said), y(b.right)), "dot", "c1", tip, 3 + 3 * min(1.0, b.count / 100))
    picture.text(x(0.5), 247, "probability it gave to its answer", "name", "middle")
    most = max(b.count for b in bins)
    z = Axis(0.0, float(most), 310.0, 268.0)
    for b in bins:
        left = x(b.low) + 2
        picture.bar(
            left, z(b.count), x(b.high) - x(b.low) - 4, 310 - z(b.count), "gain", f"{b.count} examples"
        )
        picture.text((x(b.low) + x(b.high)) / 2, z(b.count) - 3, str(b.count), "tick small", "middle")
    picture.line([(LEFT, 310), (RIGHT, 310)], "axis")
    picture.text(x(0.5), 324, "how many examples", "name", "middle")
    return picture.svg()


def scatter_picture(true: NDArray[Any], said: NDArray[Any], name: str, place: int) -> str:
    """Predicted against true, one target. true, said: (n,)."""
    keep = np.linspace(0, len(true) - 1, min(len(true), MOST_POINTS)).round().astype(int)
    a, b = true[keep], said[keep]
    good = np.isfinite(a) & np.isfinite(b)
    a, b = a[good], b[good]
    picture = Picture(
        f"Predicted against true: {name}",
        f"{len(a)} examples; on the diagonal a prediction is exact.",
        300,
        name=f"scatter{place}",
    )
    both = [*a.tolist(), *b.tolist()]
    x, y = Axis.over(both, LEFT + 8, RIGHT), Axis.over(both, 256.0, 26.0)
    picture.up(y, LEFT + 8, "predicted", right=RIGHT)
    picture.across(x, 256.0, "true", top=26.0)
    picture.line([(x(x.low), y(x.low)), (x(x.high), y(x.high))], "ideal")
    for p, q in zip(a.tolist(), b.tolist(), strict=True):
        picture.parts.append(f'<circle class="ring c1 point" cx="{x(p):.1f}" cy="{y(q):.1f}" r="2.5"/>')
    return picture.svg()


def heat_picture(confusion: Sequence[Sequence[int]]) -> str:
    """A confusion matrix of too many classes for a table."""
    k = len(confusion)
    side = (RIGHT - 30) / k
    picture = Picture(
        "Confusion matrix",
        f"{k} classes; a square is the darker the larger the share of its row. What lies off the diagonal is wrong.",
        30 + side * k + 30,
        name="heat",
    )
    picture.text((30 + RIGHT) / 2, 16, "said", "name", "middle")
    picture.text(4, 30 + side * k / 2, "true", "name")
    for i, row in enumerate(confusion):
        whole = sum(row) or 1
        for j, count in enumerate(row):
            if count:
                share = count / whole
                kind = "heat right" if i == j else "heat wrong"
                picture.parts.append(
                    f'<rect class="{kind}" x="{30 + side * j:.1f}" y="{24 + side * i:.1f}" width="{side:.1f}" '
                    f'height="{side:.1f}" fill-opacity="{max(0.08, share):.2f}"/>'
                )
    picture.line([(30, 24), (RIGHT, 24), (RIGHT, 24 + side * k), (30, 24 + side * k), (30, 24)], "axis")
    return picture.svg()
