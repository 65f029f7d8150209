"""Predictions of a trained run for new examples."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.engine.ensemble import Ensemble
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.metrics.thesis import classification, regression
from gammatune.pipeline.data.folder import ENDINGS, image_files, read_images
from gammatune.pipeline.data.frames import as_pandas, is_frame
from gammatune.pipeline.data.npz import load_new
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.reading import is_table, read_table
from gammatune.pipeline.data.row_weights import weights_in
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.values import codes_of
from gammatune.pipeline.families import Answering
from gammatune.pipeline.load import fitted, network, plan_of
from gammatune.report.models import NET

if TYPE_CHECKING:
    import pandas as pd

BATCH = 256  # examples at a time; bounds memory, changes nothing else


@dataclass(frozen=True, slots=True, eq=False)
class New:
    """New examples. x: as the network takes them. y: their targets as they came, where they are known; weights: what
    each counts for in how well these are met, (n,); None: all the same.

    names: columns that say which example a row is about. said: what was unusual, in sentences.
    """

    x: torch.Tensor
    y: NDArray[Any] | None = None
    names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    said: Sequence[str] = ()
    weights: NDArray[np.float64] | None = None


def predict_file(run: str, file: str, out: str, *, single: bool = False) -> str:
    """Write a CSV of predictions for the examples in `file`; returns what was done, in words.

    file: what the run was trained on: an .npz, a table, or an image or a folder of them.
    Classification: a column `prediction` with the original labels and one column of probability a class.
    Regression: a column a target, in its original unit. In front of them, what tells the examples apart: the columns
    of a table that were left out as identifiers, the names of images. Where the run averages several nets, a last
    column `spread` says how far they are apart (`Ensemble.spread`), of a regression one a target, in its original
    unit. single: ask the best of them alone. Where the file has targets too, it says how well they are met.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: not a run of
    the command line, or `out` cannot be written. InvalidData: a file that does not fit. Nothing is written then.
    """
    plan = plan_of(run)
    preparing = plan.preprocessing
    new = new_examples(file, preparing)
    is_net = single or plan.kind == NET
    net = network(plan, single=single) if is_net else None
    said, spread = answers(fitted(plan) if net is None else net, new.x, preparing.task)
    quality = "" if is_net else f" by {plan.name}"
    if preparing.task == "classification":
        probabilities = said
        labels = preparing.labels(probabilities.argmax(axis=1))
        header = ["prediction", *(f"p({label})" for label in preparing.classes)]
        rows = [[label, *map(repr, row.tolist())] for label, row in zip(labels, probabilities, strict=True)]
        apart = spread
        if new.y is not None:
            codes = preparing.targets(new.y).numpy()
            measured = classification(codes, said.argmax(axis=1), preparing.outputs, new.weights)
            quality += f"; accuracy {100 * measured.accuracy:.2f} %, MCC {100 * measured.mcc:.2f} %"
    else:
        values = preparing.original_targets(said)
        table = isinstance(preparing, TablePreprocessing)
        header = ["prediction"] if table else [f"target {i + 1}" for i in range(values.shape[1])]
        rows = [list(map(repr, row.tolist())) for row in values]
        apart = None if spread is None else spread.astype(np.float64) * preparing.target_std
        if new.y is not None:
            preparing.targets(new.y)  # refuses what is no target
            true = np.asarray(new.y, dtype=np.float64).reshape(len(values), -1)
            quality += f"; R2 {regression(true, values, new.weights).r2:.4f}"
    if apart is not None:
        apart = apart.reshape(len(rows), -1)
        names = ["spread"] if apart.shape[1] == 1 else [f"spread {i + 1}" for i in range(apart.shape[1])]
        header += names
        rows = [[*row, *map(repr, far.tolist())] for row, far in zip(rows, apart, strict=True)]
        assert isinstance(net, Ensemble)
        quality += f"; each the average of {len(net.members)} nets, how far these are apart in {names[0]!r}"
        quality += f" to {names[-1]!r}" if len(names) > 1 else ""
    named = [[str(column[i]) for column in new.names.values()] for i in range(len(rows))]
    _write(out, [*new.names, *header], [[*name, *row] for name, row in zip(named, rows, strict=True)])
    count = f"{len(rows)} prediction{'s' if len(rows) != 1 else ''}"
    return "\n".join([*new.said, f"{count} written to {out}{quality}"])


def default_out(file: str) -> str:
    """Where predictions for `file` go: beside it, with the ending .predictions.csv."""
    path = Path(file).resolve() if Path(file).is_dir() else Path(file)
    name = path.name.removesuffix(".gz")
    return str(path.with_name(f"{name if path.is_dir() else Path(name).stem}.predictions.csv"))


# What is to be predicted ----------------------------------------------------------------------------------


def new_examples(given: Any, preparing: Preprocessing | TablePreprocessing, *, targets: bool = True) -> New:
    """New examples as the network takes them.

    given: the path of what the run was trained on, a table, an .npz, an image or a folder of them; or, in memory, a
    frame, or examples (n, ...). targets: of a table, whether those that are known are looked at too.
    Raises InvalidData where it does not fit.
    """
    if isinstance(preparing, TablePreprocessing):
        return _rows(given, preparing, targets)
    is_path = isinstance(given, (str, os.PathLike))
    if is_frame(given) or (is_path and is_table(given)):
        what = given if is_path else f"a {type(given).__name__}"
        raise InvalidData(
            f"{what} is a table, and the network was trained on examples of shape {preparing.shape}"
        )
    if not is_path:
        return New(preparing.inputs(given))
    path = Path(given)
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        return _images(path, preparing)
    x, y = load_new(path)
    inputs = preparing.inputs(x)  # looked at before a net is made for what the journal says of them
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise InvalidData(f"{path} holds {len(x)} examples and {y.size} targets; give one target for each")
    return New(inputs, y)


def _rows(given: Any, preparing: TablePreprocessing, targets: bool) -> New:
    said: list[str] = []
    name = "the frame"
    path = Path(given) if isinstance(given, (str, os.PathLike)) else None
    if is_frame(given):
        frame = as_pandas(given)
    elif path is not None and is_table(path):
        frame, name = read_table(path, said, preparing.decimal).frame, path.name
    else:
        what = f"a {type(given).__name__}" if path is None else path
        raise InvalidData(
            f"{what} is no table, and the network was trained on one; give a .csv or .parquet, in Python a frame too"
        )
    frame = preparing.matched(frame, said)
    x = preparing.encode(frame, said)
    said += preparing.misread(frame)
    names = {name: frame[name].tolist() for name in preparing.identifiers if name in frame.columns}
    y = _targets(name, frame, preparing, said) if targets else None
    return New(x, y, names, said, None if y is None else _weights(frame, preparing, said))


def _weights(
    frame: "pd.DataFrame", preparing: TablePreprocessing, said: list[str]
) -> NDArray[np.float64] | None:
    """What each row counts for, where the file says it as the one trained on did; a row without weight counts for
    nothing."""
    name = preparing.sample_weight
    if name is None or name not in frame.columns:
        return None
    weights = np.nan_to_num(weights_in(frame[name], name))
    if not weights.any():
        said.append(f"{name} is missing or 0 in every row, so that all rows count alike.")
        return None
    said.append(f"How well the targets are met is told with each row counting for its {name}.")
    return weights


def _targets(
    name: str, frame: "pd.DataFrame", preparing: TablePreprocessing, said: list[str]
) -> NDArray[Any] | None:
    """The targets of rows, as labels are kept; None where they are not known for every row."""
    if preparing.target not in frame.columns or frame[preparing.target].isna().all():
        return None
    values = frame[preparing.target]
    if values.isna().any():
        said.append(f"{preparing.target} is missing in some rows, so how well they are met is not said.")
        return None
    if preparing.task == "regression":
        numbers: NDArray[Any] = values.to_numpy(dtype=None if values.dtype == object else np.float64)
        return numbers
    codes = codes_of(name, preparing.target, values, preparing.classes, said, exact=preparing.exact_labels)
    return np.asarray(preparing.labels(codes))


def _images(path: Path, preparing: Preprocessing) -> New:
    if len(preparing.shape) != 3:
        raise InvalidData(
            f"{path} holds images, and the network was trained on rows of {preparing.shape[0]} numbers"
        )
    files = image_files(path) if path.is_dir() else [path]
    if not files:
        raise InvalidData(f"{path} holds no image ({', '.join(ENDINGS[:4])}, ...)")
    channels, height, width = preparing.shape
    pixels = read_images(files, (height, width), "L" if channels == 1 else "RGB")
    root = path if path.is_dir() else path.parent
    names = [os.fspath(file.relative_to(root)) for file in files]
    # in folders called after the classes the truth is known
    folders = [file.parent.name for file in files]
    labels = {str(label): label for label in preparing.classes}
    known = path.is_dir() and set(folders) <= set(labels)
    y = np.asarray([labels[folder] for folder in folders]) if known else None
    return New(preparing.inputs(pixels), y, {"file": names})


# Forward, and out -----------------------------------------------------------------------------------------


def answers(
    model: torch.nn.Module | Answering, x: torch.Tensor, task: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Probabilities or standardised targets, and of an ensemble how far its nets are apart."""
    if not isinstance(model, torch.nn.Module):
        return model(x.numpy()), None
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with evaluating(model):
        if not isinstance(model, Ensemble):
            said, spread = torch.cat([model(part.to(device)) for part in x.split(BATCH)]), None
        else:
            parts, spreads = zip(
                *(model.with_spread(part.to(device)) for part in x.split(BATCH)), strict=True
            )
            said, spread = torch.cat(parts), torch.cat(spreads).cpu().numpy()
    return (said.softmax(dim=1) if task == "classification" else said).cpu().numpy(), spread


def _write(out: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    try:
        with open(out, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {out or 'to an empty name'} ({error.strerror or error}); choose another place with --out"
        ) from error
