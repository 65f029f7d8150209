"""Trainings whose gradients are cut to a norm: where their best rate lies, and what the opening makes of knowing it.

    python experiments/population/cells.py --lengths clipped
    python experiments/population/clipped.py [--fit] [--out FILE]

A step of SGD is then as long as rate times norm. What is fitted, to the part "fit", is where the best rate lies in
units of |w| / c, the length of the weights that a step moves over the norm (`gammatune.engine.clipping`, on the first
batch); --fit writes it into prior.json. The figures are those of the parts "choose" and "once": the opening on each
landscape (`offline`), with what the survey saw and without, the rule of thumb, and the best of the landscape.

    spread   standard deviation of where trainings have their best about what those on other data sets say, in decades
    usual    the same about the place of the optimizer, whatever is cut
"""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

sys.path.append(str(__file__).rpartition("experiments")[0] + "benchmarks")

import harness
import numpy as np
import torch
from fit import GRID, OUT, SHRINKAGE, blurred, place_of, rounded
from landscapes import CLIPPED, RESULTS, Landscape, parts, read
from loops import OPTIMIZERS, problem
from offline import Played, played
from torch import nn

from gammatune.engine.clipping import Clipping
from gammatune.policy import prior

FAMILIES = "sgd", "momentum"  # one place for both: trainings with momentum part no more than the others
BEGINNING = -1.5  # before any data: steps of three hundredths of the weights (guess)


def relative(one: Landscape, seed: int) -> float:
    """What the engine sees in the first step; 0 where nothing is cut there."""
    made = problem(one.task, seed)
    model, (x, y) = made.model(), made.train
    first = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed + 7))[: one.task.batch]
    torch.manual_seed(seed + 11)
    seen = Clipping([OPTIMIZERS[one.task.optimizer](model, 0.0)])
    made.loss(model, x[first], y[first]).backward()  # type: ignore[no-untyped-call]
    if one.task.clip:
        nn.utils.clip_grad_norm_(model.parameters(), one.task.clip)
    found = seen.relative()
    seen.close()
    return found


def saw(one: Landscape) -> float:
    """log10 of it."""
    return math.log10(one.first[0]["clipped"])


def place(found: Sequence[Landscape]) -> float:
    """As `fit.places`, in units of what is seen."""
    drawn = SHRINKAGE * 0.05 * (GRID - BEGINNING) ** 2
    for one in found:
        drawn = drawn + np.interp(GRID + saw(one), GRID, blurred(one))
    return float(GRID[int(np.argmin(drawn))])


def off(found: Sequence[Landscape]) -> list[float]:
    """By how much trainings have their best above what those on other data sets say."""
    out = []
    for one in found:
        at = place([other for other in found if other.task.source != one.task.source])
        out.append(place_of(one) - saw(one) - at)
    return out


def fitted(found: Sequence[Landscape]) -> dict[str, Any]:
    spread = float(np.sqrt(np.mean(np.square(off(found)))))
    return {"families": list(FAMILIES), "place": place(found), "spread": spread, "n": len(found)}


def regrets(done: Sequence[Played]) -> dict[str, Any]:
    r = np.minimum([p.regret for p in done], CLIPPED)
    return {
        "ratio": [math.exp(v) for v in harness.bootstrap(r)],
        "worst": math.exp(max(p.regret for p in done)),
        "looks": float(np.mean([len(p.looks) for p in done])),
        "cost": float(np.mean([p.cost for p in done])),
    }


def confirmed(found: Sequence[Landscape]) -> dict[str, Any]:
    told, usual = prior.learned()["clipped"], prior.learned()["places"]
    seen = [one for one in found if one.first[0]["clipped"]]
    out: dict[str, Any] = {"trainings": len(found), "seen to be cut": len(seen)}
    out["spread"] = float(np.sqrt(np.mean([(place_of(o) - saw(o) - told["place"]) ** 2 for o in seen])))
    out["usual"] = float(np.sqrt(np.mean([(place_of(o) - usual[o.family]) ** 2 for o in seen])))
    out["with what is seen"] = regrets(played(found))
    kept = [one.first for one in found]
    for one in found:
        one.first = [{**first, "clipped": 0.0} for first in one.first]
    out["without"] = regrets(played(found))
    for one, first in zip(found, kept, strict=True):
        one.first = first
    thumb = np.array([min(one.thumb["thumb"].mean() - one.truth.min(), CLIPPED) for one in found])
    out["rule of thumb"] = {"ratio": [math.exp(v) for v in harness.bootstrap(thumb)]}
    return out


def main() -> None:
    parser = harness.arguments(__doc__, RESULTS.parent / "clipped.json")
    parser.add_argument("--fit", action="store_true", help="into prior.json, before the figures")
    parser.add_argument("--parts", nargs="*", default=["choose", "once"])
    args = parser.parse_args()
    landscapes = read([RESULTS / "clipped.jsonl"])
    for one in landscapes:
        one.first = [{**first, "clipped": relative(one, seed)} for seed, first in enumerate(one.first)]
    if args.fit:
        table = json.loads(OUT.read_text())
        fit = [one for one in parts(landscapes, "fit") if one.first[0]["clipped"]]
        harness.save(OUT, table | {"clipped": rounded(fitted(fit))})
        prior.learned.cache_clear()
    found = list(parts(landscapes, *args.parts))
    made = {"parts": args.parts, "fit": prior.learned()["clipped"], **confirmed(found)}
    harness.save(args.out, {**harness.about("gammatune", "torch"), **harness.rounded(made)})
    print(args.out.read_text())


if __name__ == "__main__":
    main()
