"""The prior of the opening (src/gammatune/policy/prior.json), made from the landscapes of the part "fit".

    python experiments/population/fit.py [--out FILE]

What is fitted, and how it is judged (all in decades of the rate unless said otherwise):

    places   where the best rate of a family lies: the one rate whose mean clipped regret is lowest, blurred by BLUR,
             moved by a slope in log10 of the fan-in for the families whose steps do not shrink with the gradient
    spread   standard deviation of where tasks have their best about that, each task's place predicted by the data
             sets other than its own
    drift    how far above the best of the whole training that of a look lies: the mean and the standard deviation
             with which the highest expected score regrets least (`offline`); and so, drawn to it, the mean of a
             family that has a slope of its own (longer), where the whole is SHARE times as long as the look
    seen     the same as it is measured, hill of a look against `place_of` the whole; for the eye only
    tiny     by how many decades the best rate rises for each by which a training is shorter than 200 steps
    longer   of looks of one form: by how many decades their best rate rises for each by which they are longer
             (slope), and the spread of that for a length ten times another, without the noise of a place, which two
             seeds of a task tell; of families whose slope is beyond chance another than that of the rest, their own,
             and the length that their places are meant for
    hill     widths of the hill over the rates of a look: medians, and the spread of their logarithms; transfer,
             growth and peak: see `calibrated`
    clipped  of `clipped.py`, and left as it stands
"""

import itertools
import math
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import harness
import numpy as np
from landscapes import CLIPPED, DEAD, RESULTS, Landscape, parts, read

from gammatune.policy import prior

OUT = Path(__file__).parent.parent.parent / "src" / "gammatune" / "policy" / "prior.json"
GRID = np.arange(-6.0, 3.01, 1 / 24)
BLUR = 0.3  # a rate is hit no better than that
SLOPES = np.arange(-1.0, 0.51, 0.05)
BY_FAN_IN = "adam", "rmsprop", "muon"
SHRINKAGE = 4.0  # tasks: a family of fewer is drawn to where it began ...
PULL = 0.05  # ... by so much of a task's regret for each squared decade (guess)
TINY = 200  # steps
BEGINNING = {  # before any data: a decade about the usual defaults (guesses)
    "adam": -2.0, "rmsprop": -2.5, "momentum": -1.0, "sgd": -0.5, "adagrad": -1.5, "muon": -2.0, "lbfgs": 0.0,
}  # fmt: skip
FEWEST = 5  # tasks of a family that has anything of its own beside its place
BEYOND_CHANCE = 3.0  # standard errors (three, since seven families are looked at)
SHARE = 7  # of a look: a short training is so many times as long
MASS = 0.95  # of bands that hold the best rate
FLOOR = -0.25  # of the height: what lies lower counts as that low


def clipped(one: Landscape) -> np.ndarray:  # (r,)
    return np.minimum(one.truth - one.truth.min(), CLIPPED)


def place_of(one: Landscape) -> float:
    """The middle of the rates that are nearly as good as the best."""
    weight = np.exp(-clipped(one) / 0.06)
    return float((weight * one.u).sum() / weight.sum())


def fan_in(one: Landscape) -> float:
    """log10, about the population's middle."""
    return math.log10(one.first[0]["fan_in"]) - 1.6


@cache
def blurred(one: Landscape) -> np.ndarray:
    """Clipped regret over GRID, averaged over a normal of BLUR."""
    regret = np.interp(GRID, one.u, clipped(one))
    steps = np.arange(-24, 25)
    weight = np.exp(-((steps / 24 / BLUR) ** 2) / 2)
    return np.convolve(np.pad(regret, 24, "edge"), weight / weight.sum(), "valid")


def places(found: Sequence[Landscape], slope: float) -> dict[str, float]:
    out = {}
    for family, beginning in BEGINNING.items():
        drawn = SHRINKAGE * PULL * (GRID - beginning) ** 2
        for one in found:
            if one.family == family:
                moved = slope * fan_in(one) if family in BY_FAN_IN else 0.0
                drawn = drawn + np.interp(GRID + moved, GRID, blurred(one))
        out[family] = float(GRID[int(np.argmin(drawn))])
    return out


def predicted(one: Landscape, at: dict[str, float], slope: float, tiny: float = 0.0) -> float:
    by_fan_in = slope * fan_in(one) if one.family in BY_FAN_IN else 0.0
    return at[one.family] + by_fan_in + tiny * max(0.0, math.log10(TINY / one.task.steps))


def tiny_slope(found: Sequence[Landscape], at: dict[str, float], slope: float) -> float:
    """By how many decades the best rate rises for each by which a training is shorter than TINY."""
    few = [one for one in found if one.task.steps < TINY]

    def loss(tiny: float) -> float:
        return float(np.mean([np.interp(predicted(one, at, slope, tiny), GRID, blurred(one)) for one in few]))

    return float(min(np.arange(0.0, 1.01, 0.05), key=loss)) if few else 0.0


def slope_of(found: Sequence[Landscape]) -> float:
    """The slope of the lowest mean clipped regret, drawn to 0 a little."""

    def loss(slope: float) -> float:
        at = places(found, slope)
        hit = [np.interp(predicted(one, at, slope), GRID, blurred(one)) for one in found]
        return float(np.mean(hit)) + 0.01 * slope**2

    return float(min(SLOPES, key=loss))


def left_out(found: Sequence[Landscape]) -> dict[str, float]:
    """Each task's place as the tasks on other data sets predict it."""
    others = _without(tuple(found))
    return {one.task.name: predicted(one, *others[one.task.source]) for one in found}


def left_out_tables(found: Sequence[Landscape], whole: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """For each data set the table that is fitted to the others; what hardly differs, to all."""
    return {
        source: {**whole, "places": at, "fan_in": {**whole["fan_in"], "slope": slope}}
        for source, (at, slope) in _without(tuple(one for one in found if one.task.steps >= TINY)).items()
    }


@cache
def _without(found: tuple[Landscape, ...]) -> dict[str, tuple[dict[str, float], float]]:
    """Places and slope without each data set."""
    out = {}
    for source in sorted({one.task.source for one in found}):
        others = [one for one in found if one.task.source != source]
        slope = slope_of(others)
        out[source] = places(others, slope), slope
    return out


# The hill of a look -----------------------------------------------------------------------------------------

LENGTHS = 4, 8, 16, 32  # of triangles, as parts of the course
PLACES = np.arange(-5.0, 2.51, 1 / 12)
WIDTHS = np.exp(np.linspace(math.log(0.3), math.log(2.5), 12))


def hill(u: np.ndarray, y: np.ndarray, tail: float = -0.15) -> tuple[float, float, float]:
    """Place and widths of least squares; y above what doing nothing scores."""
    y = np.maximum(y, FLOOR * y.max())
    near = PLACES[abs(PLACES - u[int(np.argmax(y))]) <= 0.8]
    place, left, right = np.array(list(itertools.product(near, WIDTHS, WIDTHS))).T[:, :, None]
    t = u - place  # (nodes, rates)
    h = np.where(t < 0, np.exp(-((t / left) ** 2) / 2), tail + (1 - tail) * np.exp(-((t / right) ** 2) / 2))
    height = (h @ y) / (h**2).sum(axis=1)
    best = int(np.argmin(((y - height[:, None] * h) ** 2).sum(axis=1)))
    return float(place[best, 0]), float(left[best, 0]), float(right[best, 0])


@cache
def looks_of(one: Landscape, k: int) -> dict[int, tuple[float, float, float]]:
    """Hills of the triangles of a k-th of the course, by the seeds in which they see anything."""
    out = {}
    for seed in range(one.seeds if ("tri", k) in one.looks else 0):
        y = one.looks["tri", k][seed] - one.nothing[seed]
        if y.max() > 0.1 * max(abs(one.nothing[seed]), 1.0):
            out[seed] = hill(one.u, np.where(one.looks["tri", k][seed] <= DEAD, DEAD, y))
    return out


def longer_of(found: Sequence[Landscape]) -> dict[str, float]:
    """Slope and spread by decades of the length, over all pairs of lengths, each pair weighing alike."""
    places = {k: [{seed: h[0] for seed, h in looks_of(one, k).items()} for one in found] for k in LENGTHS}
    noise = np.mean([(of[0] - of[1]) ** 2 / 2 for k in LENGTHS for of in places[k] if {0, 1} <= of.keys()])
    slopes, spreads, count = [], [], 0
    for long, short in itertools.combinations(LENGTHS, 2):
        decades = math.log10(short / long)
        pairs = zip(places[long], places[short], strict=True)
        apart = np.array([a[seed] - b[seed] for a, b in pairs for seed in a.keys() & b.keys()])
        slopes.append(apart.mean() / decades)
        spreads.append((apart.var() - 2 * noise) / decades)
        count += len(apart)
    return {
        "slope": float(np.mean(slopes)),
        "spread": math.sqrt(max(float(np.mean(spreads)), 0.0)),
        "n": count,
    }


def slopes_of(found: Sequence[Landscape]) -> np.ndarray:
    """Of each task the decades by which the best rate of its looks rises for each by which they are longer."""
    slopes = []
    for one in found:
        seen = [(-math.log10(k), h[0]) for k in LENGTHS for h in looks_of(one, k).values()]
        if len({length for length, _ in seen}) > 2:
            slopes.append(np.polyfit(*np.array(seen).T, 1)[0])
    return np.array(slopes)


def longer_by_family(found: Sequence[Landscape]) -> dict[str, Any]:
    """`longer_of`, and what families have of their own."""
    families = {}
    for family in BEGINNING:
        of = [one for one in found if one.family == family]
        own, rest = slopes_of(of), slopes_of([one for one in found if one.family != family])
        if len(own) >= FEWEST:
            error = math.hypot(own.std() / len(own) ** 0.5, rest.std() / len(rest) ** 0.5)
            if abs(own.mean() - rest.mean()) > BEYOND_CHANCE * error:
                steps = float(np.exp(np.mean([math.log(one.task.steps) for one in of])))
                families[family] = {"slope": float(own.mean()), "batches": round(steps), "n": len(own)}
    return {**longer_of([one for one in found if one.family not in families]), "families": families}


def fitted(found: Sequence[Landscape]) -> dict[str, Any]:
    usual = [one for one in found if one.task.steps >= TINY]
    slope = slope_of(usual)
    at, held = places(usual, slope), left_out(usual)
    off = np.array([place_of(one) - held[one.task.name] for one in usual])
    seen, widths = {}, []
    for k in LENGTHS:
        above = [h[0] - place_of(one) for one in usual for h in looks_of(one, k).values()]
        if len(above) > 10:
            seen[str(k)] = {"mean": float(np.mean(above)), "sd": float(np.std(above)), "n": len(above)}
        widths += [h[1:] for one in usual for h in looks_of(one, k).values()] if k in (8, 16) else []
    logs = np.log(np.array(widths))
    return {
        "tasks": len(found),
        "runs": sum(one.seeds * len(one.u) for one in found),
        "places": at,
        "fan_in": {"families": list(BY_FAN_IN), "slope": slope, "about": 1.6},
        "tiny": {"below": TINY, "slope": tiny_slope(found, at, slope)},
        "spread": float(np.sqrt(np.mean(off**2))),
        "seen": seen,
        "longer": longer_by_family(usual),
        "hill": {
            "left": float(np.exp(np.median(logs[:, 0]))),
            "right": float(np.exp(np.median(logs[:, 1]))),
            "width_spread": float(logs.std(axis=0).mean()),
        },
    }


def with_drift(found: Sequence[Landscape], made: dict[str, Any]) -> dict[str, Any]:
    """The table with the drift of the lowest mean clipped regret on the short trainings."""
    from offline import played

    def regrets(some: Sequence[Landscape], mean: float, sd: float) -> list[float]:
        families = dict.fromkeys(made["longer"]["families"], mean)
        drift = {"mean": mean, "sd": sd, "share": SHARE, "families": families}
        done = played(some, table={**made, "drift": drift}, held=held)
        return [min(p.regret, CLIPPED) / p.one.seeds for p in done]

    held = left_out_tables(found, made)
    pairs = itertools.product((0.0, 0.1, 0.2), (0.2, 0.3, 0.45))
    mean, sd = min(pairs, key=lambda d: float(np.mean(regrets(found, *d))))

    def own(family: str) -> float:
        of = [one for one in found if one.family == family]

        def drawn(at: float) -> float:
            return sum(regrets(of, at, sd)) + SHRINKAGE * PULL * (at - mean) ** 2

        return float(min(np.arange(0.0, 1.01, 0.1), key=drawn))

    families = {family: own(family) for family in made["longer"]["families"]}
    return {**made, "drift": {"mean": mean, "sd": sd, "share": SHARE, "families": families}}


def calibrated(found: Sequence[Landscape], made: dict[str, Any]) -> dict[str, Any]:
    """The table with what makes its probabilities true: transfer by the Brier score of "better than the rule of
    thumb", growth by how much more whole trainings score than was believed of looks, peak by how often the band holds
    the best."""
    from offline import played

    def entries(**changed: float) -> dict[str, Any]:
        return {**made, "hill": {**made["hill"], **changed}}

    def brier(transfer: float) -> float:
        done = [p for p in played(found, own=0.0, table=entries(transfer=transfer)) if p.better is not None]
        return float(np.mean([(p.better - p.is_better) ** 2 for p in done]))

    best: dict[str, float] = {"transfer": min((1.0, 2.0, 4.0, 8.0), key=brier)}
    grown = np.log(
        [max(p.scored / p.expected, 0.05) for p in played(found, table=entries(**best)) if p.expected > 0]
    )
    best["growth"] = float(np.exp(np.median(grown)))
    best["growth_spread"] = float(np.quantile(abs(grown - np.median(grown)), 0.9) / 1.645)
    for peak in np.arange(0.0, 1.21, 0.1):
        best["peak"] = float(peak)
        if np.mean([p.holds for p in played(found, table=entries(**best))]) >= MASS:
            break
    return entries(**best)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {str(k): rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def main() -> None:
    parser = harness.arguments(__doc__, OUT)
    args = parser.parse_args()
    found = list(parts(read(sorted(RESULTS.glob("[slt]*.jsonl"))), "fit"))
    short = [one for one in found if one.task.length == "short"]
    made = with_drift(short, {"made_by": "experiments/population/fit.py", **fitted(found)})
    made = calibrated(short, made) | {"clipped": prior.learned()["clipped"]}
    harness.save(args.out, rounded(made))
    print(args.out.read_text())


if __name__ == "__main__":
    main()
