"""Predictions of a trained run for new examples."""

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gammatune.data.npz import load_new
from gammatune.data.preprocessing import Preprocessing
from gammatune.errors import InvalidArgument, InvalidData, JournalError
from gammatune.journal import WEIGHTS, replay
from gammatune.metrics import classification, regression
from gammatune.models import make_model

BATCH = 256  # examples at a time; bounds memory, changes nothing else


def predict_file(run: str, file: str, out: str) -> str:
    """Write a CSV of predictions for the examples in `file` (.npz); returns what was done, in words.

    Classification: a column `prediction` with the original labels and one column of probability a class.
    Regression: a column a target, in its original unit. Where the file has targets too, the sentence says how
    well they were met.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: not a run of
    the command line, or `out` cannot be written. InvalidData: a file that does not fit. Nothing is written then.
    """
    facts = replay(run).begin["facts"]
    if "preprocessing" not in facts:
        raise InvalidArgument(
            f"{run} was not made by `gammatune train`, so how its data was prepared is not known; load "
            f"{WEIGHTS} into your own model instead"
        )
    preprocessing = _preprocessing(run, facts)
    x, y = load_new(file)
    inputs = preprocessing.inputs(x)  # looked at before a net is made for what the journal says of them
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise InvalidData(f"{file} holds {len(x)} examples and {y.size} targets; give one target for each")
    model = make_model(facts["model"], preprocessing.shape, preprocessing.outputs, seed=0)
    _load_weights(model, Path(run) / WEIGHTS)
    outputs = _forward(model, inputs)
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


def _preprocessing(run: str, facts: Mapping[str, Any]) -> Preprocessing:
    try:
        preprocessing = Preprocessing.from_dict(facts["preprocessing"])
        if not isinstance(facts["model"], str) or tuple(facts["shape"]) != preprocessing.shape:
            raise InvalidData(f"a net {facts['model']!r:.40} for {facts['shape']!r:.40}")
    except (InvalidData, KeyError, TypeError) as error:
        raise JournalError(
            f"the journal of {run} does not say how its data was prepared ({error}); it is damaged, train again"
        ) from error
    return preprocessing


def _load_weights(model: torch.nn.Module, path: Path) -> None:
    try:
        _check_sums(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise JournalError(
            f"{path.parent} holds no weights yet ({WEIGHTS}): the run has not ended, or committed nothing"
        ) from None
    except Exception as error:  # zip, pickle and torch each have their own kinds for a damaged file
        raise JournalError(
            f"{path} cannot be read ({_line(error)}); the file is damaged, train again"
        ) from error
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise JournalError(
            f"{path} does not fit the run's model ({_line(error)}); the file or the model was changed"
        ) from error


def _check_sums(path: Path) -> None:
    """torch does not look at the checksums it writes, and a flipped bit is a number like any other to it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if (wrong := archive.testzip()) is not None:
                raise ValueError(f"{wrong!r:.60} is not what was written")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(":")[:200] if str(error) else type(error).__name__


def _forward(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(BATCH)])
