"""Where the held-out examples of a run come from, beside what was said of them.

predictions.npz  has `origins` (n,) beside what `fit` wrote: the rows of the file, from 1, or the names of files
predictions.csv  the same for people, in the dialect of the file: the row and its columns, or the file, then truth,
                 prediction and probabilities
"""

import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData, JournalWarning
from gammatune.files import whole_file_of_run
from gammatune.journal.history import PREDICTIONS
from gammatune.pipeline.answer_columns import answer_columns
from gammatune.pipeline.data.files.dialect import PLAIN, without_clash, write_rows
from gammatune.pipeline.data.files.reading import as_written
from gammatune.pipeline.data.split import Split
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

TABLE = "predictions.csv"


def trace(directory: str | Path, split: Split) -> None:
    """Write both. Where nobody knows their origins, or what was said of them was not kept, nothing is written."""
    path = Path(directory) / PREDICTIONS
    if split.origins is None or not path.is_file():
        return
    with np.load(path, allow_pickle=False) as file:
        held = dict(file)
    if len(held["targets"]) != len(split.origins):
        return
    held["origins"] = split.origins
    whole_file_of_run(path, lambda stream: np.savez(stream, **held), "the predictions")
    try:
        header, rows = _origins(split, split.origins.tolist())
        _write(Path(directory) / TABLE, split, held, header, rows)
    except (InvalidArgument, InvalidData) as error:
        warnings.warn(f"{TABLE} of {directory} is not written: {error}", JournalWarning, stacklevel=2)


def _origins(split: Split, wanted: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    """The columns that say which example is meant, and of a table its others but for the target, row by row."""
    source, preparing = split.source, split.preprocessing
    if source is None or not isinstance(preparing, TablePreprocessing):
        return ["row" if isinstance(wanted[0], int) else "file"], [[str(name)] for name in wanted]
    names, rows = as_written(source)
    kept = [place for place, name in enumerate(names) if name != preparing.target]
    among = set(wanted)
    found = {
        n: [row[place] for place in kept]
        for n, row in enumerate(rows(), start=1)
        if n in among and len(row) == len(names)
    }
    if len(found) < len(among):
        raise InvalidData(f"{source.path} has been changed since it was read: rows of it are gone")
    header = [names[place] for place in kept]
    return [*without_clash(["row"], header), *header], [[str(n), *found[n]] for n in wanted]


def _write(
    path: Path, split: Split, held: dict[str, NDArray[Any]], header: list[str], rows: list[list[str]]
) -> None:
    preparing, dialect = split.preprocessing, PLAIN if split.source is None else split.source.dialect
    if preparing.task == "classification":
        truth = [str(label) for label in preparing.labels(held["targets"])]
    else:  # seven digits: they have been standardised in 32 bits
        truth = [
            f"{value:.7g}".replace(".", dialect.decimal)
            for value in preparing.original_targets(held["targets"])[:, 0].tolist()
        ]
    said = held["probabilities" if preparing.task == "classification" else "predictions"]
    columns = {"truth": truth} | answer_columns(said, held.get("spread"), preparing, dialect)
    names = [*header, *without_clash(columns, header)]

    def told() -> Iterator[list[str]]:
        return (list(chain(*both)) for both in zip(rows, zip(*columns.values(), strict=True), strict=True))

    write_rows(str(path), dialect, names, told, [])
