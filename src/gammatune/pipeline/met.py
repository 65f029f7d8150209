"""How well the targets of new examples are met, where they are known, and whether that says anything of new ones."""

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.journal.history import replay
from gammatune.metrics.catalogue import value
from gammatune.metrics.predictions import Answers, decided
from gammatune.metrics.thesis import classification, regression
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.load import Plan
from gammatune.pipeline.seen import digest_of, seen


def met(
    y: NDArray[Any],
    said: NDArray[Any],
    preparing: Preprocessing | TablePreprocessing,
    weights: NDArray[np.float64] | None,
) -> Mapping[str, float]:
    """By the names of measures. y: the targets as they came. said: what the model answered. weights: of each."""
    if preparing.task == "classification":
        codes = preparing.targets(y).numpy()
        given = decided(said, ordered=preparing.ordered)
        measured = classification(codes, given, preparing.outputs, weights)
        steps = (
            value("steps", Answers.of_classes(codes, said, weights, ordered=True))
            if preparing.ordered
            else None
        )
        found = {"accuracy": measured.accuracy, "mcc": measured.mcc}
        return found if steps is None else found | {"steps": steps}
    preparing.targets(y)  # refuses what is no target
    true = np.asarray(y, dtype=np.float64).reshape(len(said), -1)
    return {"r2": regression(true, preparing.original_targets(said), weights).r2}


def in_words(measures: Mapping[str, float]) -> str:
    if "r2" in measures:
        return f"R2 {measures['r2']:.4f}"
    steps = f"{measures['steps']:.3g} steps off on average, " if "steps" in measures else ""
    return f"{steps}accuracy {100 * measures['accuracy']:.2f} %, MCC {100 * measures['mcc']:.2f} %"


def flattered(plan: Plan, file: str, x: torch.Tensor, y: NDArray[Any], *, single: bool) -> list[str]:
    """A sentence where the model was trained on examples that it is judged by."""
    its = plan.facts.get("data_sha256")
    is_its_file = its is not None and digest_of(file) == its
    known = seen(plan.run, x, plan.preprocessing.targets(y), is_its_file=is_its_file)
    if not known:
        return []
    what = "rows" if isinstance(plan.preprocessing, TablePreprocessing) else "examples"
    report = replay(plan.run).report or {}
    names = ["r2"] if plan.preprocessing.task == "regression" else ["accuracy", "mcc", "steps"]
    held = {name: held[0] for name, held in report.get("measures", {}).items() if name in names}
    honest = "" if single or not held else f": {in_words(held)}"
    return [
        f"{known} of these {len(x)} {what} were used in training, so the figures below flatter the model. Go by "
        f"those on {what} held out{honest} (gammatune report {shlex.quote(plan.run)})."
    ]
