"""Whether the drift of the best rate with the length holds on trainings that took no part in its fit.

    python experiments/population/longer.py [--out FILE]

`rate_for` says by how much the best rate moves where a training is longer: a slope by decades of the length, and a
spread that grows like a random walk, both fitted to the part "fit" (`fit.longer_of`). Here the looks of several
lengths of the parts "choose" and "once" are held against that, on data sets of which "fit" has none. A pair is two
lengths of one training and seed; its places are those of hills (`fit.hill`), with an error that two seeds tell.

    slope, spread   fitted to these parts alone, families with a slope of their own left out; intervals are
                    bootstrapped over data sets
    slopes of a family   of those, with their standard errors over tasks
    holds           how often the shift lies in the band that is told, widened by the error of two places; meant: .95
    as told         the same without that: the error of two hills counts against the band
"""

import itertools
import math
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
from fit import LENGTHS, TINY, longer_of, looks_of, slopes_of
from landscapes import RESULTS, Landscape, parts, read

from gammatune.policy import prior

OUT = Path(__file__).parent.parent / "results" / "longer.json"
BAND = 1.96
DRAWS = 200


def error_of(found: list[Landscape]) -> float:
    """Variance of a place."""
    apart = []
    for one, k in itertools.product(found, LENGTHS):
        held = looks_of(one, k)
        if {0, 1} <= held.keys():
            apart.append((held[0][0] - held[1][0]) ** 2 / 2)
    return float(np.mean(apart))


def shifts_of(one: Landscape) -> list[tuple[float, float]]:
    """(decades of the length, shift of the place) of every pair."""
    out = []
    for long, short in itertools.combinations(LENGTHS, 2):
        a, b = looks_of(one, long), looks_of(one, short)
        out += [(math.log10(short / long), a[seed][0] - b[seed][0]) for seed in a.keys() & b.keys()]
    return out


def believed(one: Landscape, decades: float) -> float:
    """The shift of the place that is told for a length so many decades longer."""
    told = prior.learned()["longer"]
    return float(told["families"].get(one.family, told)["slope"]) * decades


def _mean(slopes: np.ndarray) -> list[float]:
    """And its standard error."""
    return [float(slopes.mean()), float(slopes.std() / len(slopes) ** 0.5)]


def held(found: list[Landscape]) -> dict[str, Any]:
    table, error = prior.learned()["longer"], error_of(found)
    spread, families = table["spread"], table["families"]
    sources = sorted({one.task.source for one in found})
    by_source = {source: [one for one in found if one.task.source == source] for source in sources}

    def fitted(drawn: list[str]) -> tuple[float, float]:
        some = (one for source in drawn for one in by_source[source])
        made = longer_of([one for one in some if one.family not in families])
        return made["slope"], made["spread"]

    def share(widened: float) -> list[float]:
        inside = {
            source: [
                float(abs(shift - believed(one, d)) <= BAND * math.sqrt(spread**2 * d + widened))
                for one in ones
                for d, shift in shifts_of(one)
            ]
            for source, ones in by_source.items()
        }
        sums = np.array([(sum(each), len(each)) for each in inside.values() if each])
        return harness.bootstrap(sums, of=lambda drawn: drawn[..., 0].sum(axis=1) / drawn[..., 1].sum(axis=1))

    rng = np.random.default_rng(0)
    drawn = np.array(
        [fitted([sources[i] for i in rng.integers(len(sources), size=len(sources))]) for _ in range(DRAWS)]
    )
    slope, own = fitted(sources)
    by_family = {name: slopes_of([one for one in found if one.family == name]) for name in families}
    return {
        "trainings": len(found), "data sets": len(sources), "pairs": sum(len(shifts_of(one)) for one in found),
        "slope": [slope, *np.quantile(drawn[:, 0], (0.025, 0.975))],
        "spread": [own, *np.quantile(drawn[:, 1], (0.025, 0.975))],
        "slopes of a family": {name: _mean(slopes) for name, slopes in by_family.items()},
        "error of a place": math.sqrt(error), "holds": share(2 * error), "as told": share(0.0),
    }  # fmt: skip


def main() -> None:
    args = harness.arguments(__doc__, OUT).parse_args()
    found = [one for one in read(sorted(RESULTS.glob("[slt]*.jsonl"))) if one.task.steps >= TINY]
    made = {
        name: held(list(parts(found, *which)))
        for name, which in (("fit", ["fit"]), ("choose, once", ["choose", "once"]))
    }
    harness.save(args.out, {**harness.about("gammatune"), **harness.rounded(made)})
    print(args.out.read_text())


if __name__ == "__main__":
    main()
