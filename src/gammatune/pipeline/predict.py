"""Predictions of a trained run for new examples."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.engine.ensemble import Ensemble
from gammatune.errors import InvalidData
from gammatune.metrics.thesis import classification, regression
from gammatune.pipeline.answer_columns import answer_columns
from gammatune.pipeline.data.dialect import PLAIN, Dialect, without_clash, write_rows
from gammatune.pipeline.data.folder import ENDINGS, image_files, read_images
from gammatune.pipeline.data.npz import load_new
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.reading import as_written, is_table, read_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.values import codes_of
from gammatune.pipeline.load import fitted, network, plan_of
from gammatune.report.models import NET, name_of

if TYPE_CHECKING:
    import pandas as pd

BATCH = 256  # examples at a time; bounds memory, changes nothing else


@dataclass(frozen=True, slots=True, eq=False)
class New:
    """New examples. x: as the network takes them. y: their targets as they came, where they are known.

    header: of the columns that say which example is meant, of a table all of them; rows: gives these. dialect: of the
    table. said: what was unusual, in sentences.
    """

    x: torch.Tensor
    y: NDArray[Any] | None = None
    header: Sequence[str] = ()
    rows: Callable[[], Iterable[Sequence[str]]] = lambda: repeat(())
    dialect: Dialect = PLAIN
    said: Sequence[str] = ()


def predict_file(run: str, file: str, out: str, *, single: bool = False) -> str:
    """Write a CSV of predictions for the examples in `file`; returns what was done, in words.

    file: what the run was trained on: an .npz, a table, or an image or a folder of them.
    What tells the examples apart comes first: all columns of a table, as its file has them, or the names of images.
    Behind them stands what `answer_columns` makes of the answers; a name that the table has already gets a number.
    A table is answered in its own dialect (`Dialect`), a Parquet file as CSV with commas.
    single: ask the best of several nets alone. Where the file has targets too, it says how well they are met.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: not a run of
    the command line, or `out` cannot be written. InvalidData: a file that does not fit. Nothing is written then.
    """
    plan = plan_of(run)
    preparing = plan.preprocessing
    new = _new(file, preparing)
    is_net = single or plan.kind == NET
    net = network(plan, single=single) if is_net else None
    answers, spread = (
        _forward(net, new.x, preparing.task) if net is not None else (fitted(plan)(new.x.numpy()), None)
    )
    columns = answer_columns(answers, spread, preparing, new.dialect)
    names = without_clash(columns, new.header)
    quality = "" if is_net else f" by {name_of(plan.kind, plan.report.get('members', ()))}"
    if new.y is not None:
        quality += f"; {_met(new.y, answers, preparing)}"
    if isinstance(net, Ensemble):
        apart = [name for name, column in zip(names, columns, strict=True) if column.startswith("spread")]
        quality += f"; each the average of {len(net.members)} nets, how far these are apart in {apart[0]!r}"
        quality += f" to {apart[-1]!r}" if len(apart) > 1 else ""
    said = list(new.said)

    def rows() -> Iterator[list[str]]:
        told = zip(*columns.values(), strict=True)
        return (list(chain(*both)) for both in zip(new.rows(), told, strict=False))

    write_rows(out, new.dialect, [*new.header, *names], rows, said)
    count = f"{len(answers)} prediction{'s' if len(answers) != 1 else ''}"
    return "\n".join([*said, f"{count} written to {out}{quality}"])


def _met(y: NDArray[Any], answers: NDArray[Any], preparing: Preprocessing | TablePreprocessing) -> str:
    """How well the targets y are met, as they came."""
    if preparing.task == "classification":
        codes = preparing.targets(y).numpy()
        measured = classification(codes, answers.argmax(axis=1), preparing.outputs)
        return f"accuracy {100 * measured.accuracy:.2f} %, MCC {100 * measured.mcc:.2f} %"
    preparing.targets(y)  # refuses what is no target
    true = np.asarray(y, dtype=np.float64).reshape(len(answers), -1)
    return f"R2 {regression(true, preparing.original_targets(answers)).r2:.4f}"


def default_out(file: str) -> str:
    """Where predictions for `file` go: beside it, with the ending .predictions.csv, or .tsv as it has."""
    path = Path(file).resolve() if Path(file).is_dir() else Path(file)
    name = path.name.removesuffix(".gz")
    ending = ".tsv" if name.lower().endswith(".tsv") else ".csv"
    return str(path.with_name(f"{name if path.is_dir() else Path(name).stem}.predictions{ending}"))


# What is to be predicted ----------------------------------------------------------------------------------


def _new(file: str, preparing: Preprocessing | TablePreprocessing) -> New:
    if isinstance(preparing, TablePreprocessing):
        return _rows(file, preparing)
    if is_table(file):
        raise InvalidData(
            f"{file} is a table, and the network was trained on examples of shape {preparing.shape}"
        )
    path = Path(file)
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        return _images(path, preparing)
    x, y = load_new(file)
    inputs = preparing.inputs(x)  # looked at before a net is made for what the journal says of them
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise InvalidData(f"{file} holds {len(x)} examples and {y.size} targets; give one target for each")
    return New(inputs, y)


def _rows(file: str, preparing: TablePreprocessing) -> New:
    if not is_table(file):
        raise InvalidData(f"{file} is no table, and the network was trained on one; give a .csv or .parquet")
    said: list[str] = []
    read = read_table(file, said, preparing.decimal)
    assert read.source is not None
    header, rows = as_written(read.source, read.frame)
    frame = preparing.matched(read.frame, said)
    x = preparing.encode(frame, said)
    said += preparing.misread(frame)
    y = _targets(Path(file).name, frame, preparing, said)
    return New(x, y, header, rows, read.dialect, said)


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
        numbers: NDArray[Any] = values.to_numpy()
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
    names = [[os.fspath(file.relative_to(root))] for file in files]
    # in folders called after the classes the truth is known
    folders = [file.parent.name for file in files]
    labels = {str(label): label for label in preparing.classes}
    known = path.is_dir() and set(folders) <= set(labels)
    y = np.asarray([labels[folder] for folder in folders]) if known else None
    return New(preparing.inputs(pixels), y, ["file"], lambda: names)


# Forward ---------------------------------------------------------------------------------------------


def _forward(net: torch.nn.Module, x: torch.Tensor, task: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Probabilities or standardised targets, and of an ensemble how far its nets are apart."""
    with torch.no_grad():
        if not isinstance(net, Ensemble):
            said, spread = torch.cat([net(part) for part in x.split(BATCH)]), None
        else:
            parts, spreads = zip(*(net.with_spread(part) for part in x.split(BATCH)), strict=True)
            said, spread = torch.cat(parts), torch.cat(spreads).numpy()
    return (said.softmax(dim=1) if task == "classification" else said).numpy(), spread
