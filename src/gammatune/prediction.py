"""Predictions of a trained run for new examples."""

import csv

import numpy as np
import torch

from gammatune.data.npz import load_new
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.loading import network, plan_of
from gammatune.metrics import classification, regression

BATCH = 256  # examples at a time; bounds memory, changes nothing else


def predict_file(run: str, file: str, out: str) -> str:
    """Write a CSV of predictions for the examples in `file` (.npz); returns what was done, in words.

    Classification: a column `prediction` with the original labels and one column of probability a class.
    Regression: a column a target, in its original unit. Where the file has targets too, the sentence says how
    well they were met.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: not a run of
    the command line, or `out` cannot be written. InvalidData: a file that does not fit. Nothing is written then.
    """
    plan = plan_of(run)
    preprocessing = plan.preprocessing
    x, y = load_new(file)
    inputs = preprocessing.inputs(x)  # looked at before a net is made for what the journal says of them
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise InvalidData(f"{file} holds {len(x)} examples and {y.size} targets; give one target for each")
    outputs = _forward(network(plan), inputs)
    quality = ""
    if preprocessing.task == "classification":
        probabilities = outputs.softmax(dim=1).numpy()
        labels = preprocessing.labels(probabilities.argmax(axis=1))
        header = ["prediction", *(f"p({label})" for label in preprocessing.classes)]
        rows = [[label, *map(repr, row.tolist())] for label, row in zip(labels, probabilities, strict=True)]
        if y is not None:
            codes = preprocessing.targets(y).numpy()
            measured = classification(codes, outputs.argmax(dim=1).numpy(), preprocessing.outputs)
            quality = f"; accuracy {100 * measured.accuracy:.2f} %, MCC {100 * measured.mcc:.2f} %"
    else:
        values = preprocessing.original_targets(outputs.numpy())
        header = [f"target {i + 1}" for i in range(values.shape[1])]
        rows = [list(map(repr, row.tolist())) for row in values]
        if y is not None:
            preprocessing.targets(y)  # refuses what is no target
            true = np.asarray(y, dtype=np.float64).reshape(len(values), -1)
            quality = f"; R2 {regression(true, values).r2:.4f}"
    try:
        with open(out, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {out or 'to an empty name'} ({error.strerror or error}); choose another place with --out"
        ) from error
    return f"{len(rows)} predictions written to {out}{quality}"


def _forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(BATCH)])
