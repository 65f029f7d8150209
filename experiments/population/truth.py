"""Whether what is told is true: bands of rate and score, and "better than the user's rate with probability p".

    python experiments/population/truth.py [--parts choose] [--out FILE]

Every landscape is played at budgets 1 and 1.5, and with rates of a user's own at half decades about the rule of
thumb. Truths: the peak of the smoothed landscape of whole runs, the score of the whole run at the rate, and which of
two rates has the lower test error. Intervals are bootstrapped over data sets: trainings on one are no strangers.
"""

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
from landscapes import RESULTS, parts, read
from offline import Played, played

OWN = (-1.0, -0.5, 0.0, 0.5, 1.0)
EDGES = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.95, 1.0)
MASS = 0.95
DRAWS = 2000


def clustered(done: Sequence[Played], of: Callable[[Played], float]) -> list[float]:
    """Mean, and its 95 % interval over data sets."""
    sources = sorted({p.one.task.source for p in done})
    values = [[of(p) for p in done if p.one.task.source == source] for source in sources]
    sums = np.array([(sum(each), len(each)) for each in values])
    return harness.bootstrap(
        sums, DRAWS, of=lambda drawn: drawn[..., 0].sum(axis=1) / drawn[..., 1].sum(axis=1)
    )


def told(done: Sequence[Played], compared: Sequence[Played]) -> dict[str, Any]:
    tail = (1 - MASS) / 2
    looked = [p for p in done if p.looks and p.expected > 0]
    bins = []
    for low, high in itertools.pairwise(EDGES):
        inside = [p for p in compared if p.better is not None and low <= p.better < high + (high == 1)]
        if inside:
            said = float(np.mean([p.better for p in inside]))  # type: ignore[arg-type]
            bins.append(
                {"said": said, "true": clustered(inside, lambda p: float(p.is_better)), "n": len(inside)}
            )
    return {
        "rate": {"n": len(done), "covered": clustered(done, lambda p: float(p.holds)),
                 "width": float(np.median([p.band[1] - p.band[0] for p in done]))},
        "score": {"n": len(looked),
                  "covered": clustered(looked, lambda p: float(tail <= p.quantile <= 1 - tail))},
        "better": bins,
    }  # fmt: skip


SIDE, EDGE = 320, 56  # of the diagram, in pixels
FEW = 10  # comparisons: fewer make no point of it


def diagram(truth: dict[str, Any]) -> str:
    """A reliability diagram as SVG: how often it was true against the probability that was told."""

    def x(p: float) -> float:
        return EDGE + p * (SIDE - EDGE - 12)

    def y(p: float) -> float:
        return SIDE - EDGE - p * (SIDE - EDGE - 12)

    def line(x1: float, y1: float, x2: float, y2: float, more: str = "") -> str:
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" {more}/>'

    parts = [
        line(x(0), y(0), x(1), y(0)),
        line(x(0), y(0), x(0), y(1)),
        line(x(0), y(0), x(1), y(1), 'opacity=".35"'),
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<text x="{x(tick):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{x(0) - 6:.1f}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for row in truth["better"]:
        if row["n"] < FEW:
            continue
        mean, low, high = row["true"]
        parts.append(line(x(row["said"]), y(low), x(row["said"]), y(high), 'stroke-width="1.5"'))
        parts.append(f'<circle cx="{x(row["said"]):.1f}" cy="{y(mean):.1f}" r="4" fill="currentColor">'
                     f"<title>{row['n']} comparisons</title></circle>")  # fmt: skip
    parts.append(
        f'<text x="{x(0.5):.1f}" y="{SIDE - 8}" text-anchor="middle">probability that was told</text>'
    )
    turned = f'transform="rotate(-90 12 {y(0.5):.1f})"'
    parts.append(f'<text x="12" y="{y(0.5):.1f}" {turned} text-anchor="middle">how often it was true</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" font-size="12" '
    return head + 'font-family="sans-serif" fill="currentColor">\n' + "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--parts", nargs="*", default=["choose"])
    parser.add_argument("--cells", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, help="where a reliability diagram goes")
    args = parser.parse_args()
    found = [one for one in parts(read(sorted(args.cells.glob("[slt]*.jsonl"))), *args.parts)
             if one.task.length != "tiny"]  # fmt: skip
    done = [*played(found), *played(found, 1.0)]
    compared = [p for own in OWN for p in played(found, 1.5, own)]
    truth = {"parts": args.parts, **told(done, compared)}
    for what in ("rate", "score"):
        mean, low, high = truth[what]["covered"]
        print(f"95 % band of the {what}: holds {mean:.3f} [{low:.3f}, {high:.3f}] of {truth[what]['n']}")
    for row in truth["better"]:
        mean, low, high = row["true"]
        print(f"better with {row['said']:.2f}: true of {mean:.2f} [{low:.2f}, {high:.2f}], n {row['n']}")
    if args.figure:
        args.figure.write_text(diagram(truth))
    if args.out:
        harness.save(args.out, {"machine": harness.machine("gammatune"), **truth})


if __name__ == "__main__":
    main()
