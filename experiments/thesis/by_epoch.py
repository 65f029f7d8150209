"""Tables 6 and 7: one learning rate for each epoch, and what the network can do after some of the epochs.

The thesis selects and reports on the same images: `select` here. `report` are images that nothing was chosen by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from reproduction import Asked, Cells, Sample, cells_of
from searches import BUDGET, MEASURES, RANGE, Setup
from torch import nn
from torch.nn import functional
from verdicts import Claim, judged, paired

import gammatune
from gammatune.metrics.thesis import classification
from gammatune.pipeline.data.split import Part

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Searched:
    """One row of every epoch. colour: a key of `pictures.COLOURS`. lookahead is gammatune's default policy."""

    name: str
    sampler: str
    objective: str
    colour: str
    policy: str = "greedy"
    budget: float = BUDGET


GRID = Searched("Grid", "grid", "kappa11", "grid")
RANDOM = Searched("Random", "random", "kappa11", "random")
GAUSSIAN = Searched("Gaussian", "gaussian", "kappa11", "gaussian")
GAMMA = Searched("Gamma", "gamma", "kappa11", "gamma")
GAMMA_12 = Searched("Gamma, kappa (12)", "gamma", "kappa12", "gamma-plugin-a")
ASKED = {GAMMA.name, GAUSSIAN.name}, {GAMMA_12.name, GAMMA.name}  # pairs that have a claim of their own
DEFAULT = Searched("default (lookahead)", "gamma", "kappa", "lookahead", "lookahead", 1.5)


def cell(cells: Cells, setup: Setup, searched: Searched, epochs: Sequence[int]) -> dict[str, Any]:
    """What `run_search` finds, computed once."""
    key = {
        "setup": setup.name,
        "train": [len(setup.train[1]), len(setup.select[1]), len(setup.report[1])],
        "shape": list(setup.train[0].shape[1:]),
        "seed": setup.seed,
        "search": [searched.sampler, searched.objective, searched.policy, searched.budget],
        "epochs": list(epochs),
    }
    return cells.get(key, lambda: run_search(setup, searched, epochs))


def run_search(setup: Setup, searched: Searched, epochs: Sequence[int]) -> dict[str, Any]:
    """One search over max(epochs) epochs.

    after: for each of `epochs`, as text, what `judge` says on `select` and `report`; lookahead only has the last,
    since its weights on the way are not meant to be used. course: the learning rate of each epoch. seconds: of all
    trainings. plain_runs: the cost, in plain runs over that many epochs.
    """
    model = setup.net()
    after: dict[str, Any] = {}

    def listen(event: Mapping[str, Any]) -> None:
        greedy = searched.policy == "greedy"
        if event["event"] == "commit" and greedy and event["epochs"] in epochs:
            after[str(event["epochs"])] = _judged(model, setup)

    thesis = {"space": [RANGE], "keep": "last"} if searched.policy == "greedy" else {}
    result = gammatune.fit(
        model,
        setup.train.pair,
        setup.select.pair,
        epochs=max(epochs),
        budget=searched.budget,
        policy=searched.policy,
        sampler=searched.sampler,
        objective=searched.objective,
        seed=setup.seed,
        device=DEVICE,
        listeners=[listen],
        **thesis,
        **setup.arguments,
    )
    after[str(max(epochs))] = _judged(model, setup)
    return {
        "after": after,
        "course": [outcome.values["lr"] for outcome in result.course],
        "seconds": result.cost.seconds,
        "plain_runs": result.cost.plain_runs,
    }


def _judged(model: nn.Module, setup: Setup) -> dict[str, Any]:
    return {part: judge(model, getattr(setup, part), setup.classes) for part in ("select", "report")}


def judge(model: nn.Module, part: Part, classes: int) -> dict[str, Any]:
    """The thesis's measures of a network on some images (formulas 16 to 19), its loss and confusion."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(x.to(device)).cpu() for x in part[0].split(1000)])
    model.train(was_training)
    found = classification(part[1].numpy(), outputs.argmax(1).numpy(), classes)
    numbers = {name: 100 * getattr(found, name) for name in (*MEASURES, "mcc_macro")}
    loss = float(functional.cross_entropy(outputs, part[1]))
    return numbers | {"loss": loss, "confusion": [list(row) for row in found.confusion]}


# What comes of them ---------------------------------------------------------------------------------------

Found = Mapping[str, Sequence[Mapping[str, Any]]]  # by the name of the search: a cell for each seed


def find(
    options: Asked, name: str, setup_of: Any, searches: Sequence[Searched], epochs: Sequence[int]
) -> Found:
    """Every search under every seed. In a smoke run the thesis's have 3 candidates an epoch."""
    cells = cells_of(options, name)
    if options.scale == "smoke":
        searches = [replace(s, budget=3) if s.policy == "greedy" else s for s in searches]
    found: dict[str, list[Mapping[str, Any]]] = {searched.name: [] for searched in searches}
    for seed in range(options.seeds):
        setup = setup_of(options, seed)
        for searched in searches:
            found[searched.name].append(cell(cells, setup, searched, epochs))
    return found


def values(found: Found, name: str, epoch: int, part: str, measure: str) -> tuple[float, ...]:
    """One number a seed; part: "select" or "report"."""
    return tuple(one["after"][str(epoch)][part][measure] for one in found[name])


def has(found: Found, name: str, epoch: int) -> bool:
    return all(str(epoch) in one["after"] for one in found[name])


def row(
    found: Found, name: str, epoch: int, columns: Sequence[str], printed: Mapping[str, float]
) -> list[str]:
    """The measures on the images selected by, the thesis's in brackets; accuracy and the last one on others; cost.

    The cost of the first epochs of a longer search is their share of it, as each has as many trainings.
    """

    def told(part: str, measure: str, thesis: float | None = None) -> str:
        digits = 3 if measure == "loss" else 2
        return Sample(values(found, name, epoch, part, measure), thesis).text(digits)

    flattered = [told("select", measure, printed.get(measure)) for measure in columns]
    honest = [told("report", measure) for measure in ("accuracy", columns[-1])]
    share = [epoch / len(one["course"]) for one in found[name]]
    cost = Sample(tuple(one["plain_runs"] for one in found[name])).mean
    seconds = Sample(tuple(one["seconds"] * s for one, s in zip(found[name], share, strict=True))).text(1)
    return [*flattered, *honest, f"{cost:.1f}", seconds]


def claims_at(found: Found, epoch: int, printed: Mapping[str, float]) -> list[Claim]:
    """The thesis's claims after so many epochs. printed: its accuracies, by the name of the search."""
    at = f"epoch {epoch}"
    return [
        compare(f"{at}: Gamma is more accurate than Gaussian", found, GAMMA.name, GAUSSIAN.name, epoch),
        compare(f"{at}: kappa (12) is more accurate than (11)", found, GAMMA_12.name, GAMMA.name, epoch),
        *ordering(f"{at}: the order printed", found, printed, epoch),
    ]


def compare(text: str, found: Found, one: str, other: str, epoch: int) -> Claim:
    """Whether `one` is more accurate than `other`, judged on the images that nothing was chosen by."""
    honest = paired(*(values(found, name, epoch, "report", "accuracy") for name in (one, other)))
    flattered = paired(*(values(found, name, epoch, "select", "accuracy") for name in (one, other)))
    claim = judged(text, honest, better="more", unit="point")
    words = f"other images: {honest}; the thesis's way, on the images selected by: {flattered}"
    return replace(claim, words=words)


def ordering(text: str, found: Found, printed: Mapping[str, float], epoch: int) -> list[Claim]:
    """Whether neighbours stand in the order that the thesis's accuracies give them, on images nothing was chosen by.

    The pairs that `claims_at` asks for at every epoch are left out.
    """
    names = sorted(printed, key=printed.__getitem__, reverse=True)
    pairs = [pair for pair in pairwise(names) if set(pair) not in ASKED]
    return [compare(f"{text}, {one} above {other}", found, one, other, epoch) for one, other in pairs]


def accuracies(found: Found, epochs: Sequence[int], part: str = "report") -> dict[str, dict[int, Sample]]:
    """By search and epoch, in per cent."""
    return {
        name: {e: Sample(values(found, name, e, part, "accuracy")) for e in epochs if has(found, name, e)}
        for name in found
    }


def kept(found: Found, epochs: Sequence[int]) -> dict[str, Any]:
    """What the JSON keeps: every seed's accuracies on other images, and the rates chosen."""
    return {
        "accuracy": {
            name: {epoch: sample.values for epoch, sample in by_epoch.items()}
            for name, by_epoch in accuracies(found, epochs).items()
        },
        "learning rates": {name: [one["course"] for one in found[name]] for name in found},
    }
