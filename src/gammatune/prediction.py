"""Predictions of a trained run for new examples."""

import csv
from pathlib import Path

import numpy as np
import torch

from gammatune.data.npz import load_new
from gammatune.data.preprocessing import Preprocessing
from gammatune.errors import InvalidArgument, JournalError
from gammatune.journal import WEIGHTS, replay
from gammatune.metrics import classification, regression
from gammatune.models import make_model

BATCH = 256  # examples at a time; bounds memory, changes nothing else


def predict_file(run: str, file: str, out: str) -> str:
    """Write a CSV of predictions for the examples in `file` (.npz); returns what was done, in words.

    Classification: a column `prediction` with the original labels and one column of probability a class.
    Regression: a column a target, in its original unit. Where the file has targets too, the sentence says how
    well they were met.
    Raises JournalError: no finished command-line run there. InvalidData: a file that does not fit.
    """
    facts = replay(run).begin["facts"]
    if "preprocessing" not in facts:
        raise InvalidArgument(
            f"{run} was not made by `gammatune train`, so how its data was prepared is not known; load "
            f"{WEIGHTS} into your own model instead"
        )
    preprocessing = Preprocessing.from_dict(facts["preprocessing"])
    model = make_model(facts["model"], tuple(facts["shape"]), preprocessing.outputs, seed=0)
    weights = Path(run) / WEIGHTS
    try:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise JournalError(
            f"{run} holds no weights yet ({WEIGHTS}): the run has not committed anything"
        ) from None
    x, y = load_new(file)
    outputs = _forward(model, preprocessing.inputs(x))
    if preprocessing.task == "classification":
        probabilities = outputs.softmax(dim=1).numpy()
        labels = preprocessing.labels(probabilities.argmax(axis=1))
        header = ["prediction", *(f"p({label})" for label in preprocessing.classes)]
        rows = [[label, *map(repr, row.tolist())] for label, row in zip(labels, probabilities, strict=True)]
    else:
        values = preprocessing.original_targets(outputs.numpy())
        header = [f"target {i + 1}" for i in range(values.shape[1])]
        rows = [list(map(repr, row.tolist())) for row in values]
    with open(out, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    said = f"{len(rows)} predictions written to {out}"
    if y is None:
        return said
    if preprocessing.task == "classification":
        codes = preprocessing.targets(y).numpy()
        measured = classification(codes, outputs.argmax(dim=1).numpy(), preprocessing.outputs)
        return f"{said}; accuracy {100 * measured.accuracy:.2f} %, MCC {100 * measured.mcc:.2f} %"
    true = np.asarray(y, dtype=np.float64).reshape(len(values), -1)
    return f"{said}; R2 {regression(true, values).r2:.4f}"


def _forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(BATCH)])
