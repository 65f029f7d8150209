"""What is said of a network for a table beside its figures: what else could be had, and which columns it needs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from gammatune.data.split import Split
from gammatune.data.table_preprocessing import TablePreprocessing
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidData
from gammatune.measures import Answers
from gammatune.permuting import Importance, importance
from gammatune.rivals import compare

SHOWN = 5  # columns named
BATCH = 4096  # rows at a time


def judge(
    split: Split, net: nn.Module, *, metric: str | None, class_weights: str | None, seed: int
) -> Callable[[Answers], Mapping[str, Any]]:
    """For `fit(extra=...)`: what the report event keeps of both, and the sentences under "said".

    Some seconds of scikit-learn's HistGradientBoosting on the same rows, and permutations of every column of the
    report part.
    """
    preparing = split.preprocessing
    assert isinstance(preparing, TablePreprocessing)
    options: dict[str, Any] = {"metric": metric, "seed": seed}
    if preparing.task == "regression":
        options["target_scale"] = (preparing.target_mean, preparing.target_std)

    def look(answers: Answers) -> Mapping[str, Any]:
        first = preparing.shape[0] - len(preparing.cardinalities)
        train, select, report = (
            (part.x.numpy(), part.y.numpy()) for part in (split.train, split.select, split.report)
        )
        beside = compare(
            answers,
            train,
            select,
            report,
            categorical=range(first, preparing.shape[0]),
            class_weights=class_weights,
            **options,
        )
        told = {"rivals": beside.to_dict(), "said": [*beside.said]}
        try:
            needed = importance(
                lambda x: _predict(net, x, preparing.task), *report, groups=dict(preparing.spans), **options
            )
        except InvalidData:  # of the measure, which has no value there; `compare` has said so
            return told
        return told | {"importance": needed.to_dict(), "said": [*beside.said, *_in_words(needed)]}

    return look


def _predict(net: nn.Module, x: Any, task: str) -> Any:
    """Probabilities or standardised targets of rows (n, F)."""
    device = next(net.parameters()).device
    rows = torch.as_tensor(np.ascontiguousarray(x, dtype=np.float32)).to(device)
    with evaluating(net):
        said = torch.cat([net(part) for part in rows.split(BATCH)])
    return (said.softmax(dim=1) if task == "classification" else said).cpu().numpy()


def _in_words(found: Importance) -> list[str]:
    needed = [feature for feature in found.features if feature.mean > 2 * feature.std and feature.mean > 0]
    if not needed:
        return ["No single column is needed by the network: shuffling any of them changes little."]
    listed = ", ".join(f"{feature.name} {feature.mean:.2g}" for feature in needed[:SHOWN])
    return [f"Needed most ({found.metric} lost when the column is shuffled): {listed}."]
