"""Where the held-out examples of a run come from, beside what was said of them.

predictions.npz  has `origins` (n,) beside what `fit` wrote: the rows of the file, from 1, or the names of files
predictions.csv  the same for people, in the dialect of the file: the row and its columns, or the file, then truth,
                 prediction and probabilities
"""

import warnings
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gammatune.errors import InvalidArgument, InvalidData, JournalWarning
from gammatune.files import whole_file_of_run
from gammatune.journal.history import PREDICTIONS
from gammatune.pipeline.answer_columns import answer_columns
from gammatune.pipeline.data.dialect import PLAIN, Dialect, without_clash, write_rows
from gammatune.pipeline.data.reading import as_written, is_table, read_table
from gammatune.pipeline.data.split import Split
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing

TABLE = "predictions.csv"


def trace(directory: str | Path, split: Split, source: str) -> None:
    """Write both. source: the table that the held-out rows are of, or the folder of images.

    Where nobody knows their origins, or what was said of them was not kept, nothing is written.
    """
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
        header, rows, dialect = _origins(split, source)
        _write(Path(directory) / TABLE, split, held, header, rows, dialect)
    except (InvalidArgument, InvalidData) as error:
        warnings.warn(f"{TABLE} of {directory} is not written: {error}", JournalWarning, stacklevel=2)


def _origins(split: Split, source: str) -> tuple[list[str], Iterable[Sequence[str]], Dialect]:
    """The columns that say which example is meant, and of a table its others but for the target, row by row."""
    assert split.origins is not None
    preparing = split.preprocessing
    if not isinstance(preparing, TablePreprocessing) or not is_table(source):
        return ["file"], ([str(name)] for name in split.origins), PLAIN
    read = read_table(source, [], preparing.decimal)
    names, rows = as_written(source, read)
    kept = [place for place, name in enumerate(names) if name != preparing.target]
    wanted = dict.fromkeys(split.origins.tolist())
    found = {n: [row[place] for place in kept] for n, row in enumerate(rows, start=1) if n in wanted}
    header = [names[place] for place in kept]
    return (
        [*without_clash(["row"], header), *header],
        ([str(n), *found[n]] for n in split.origins.tolist()),
        read.dialect,
    )


def _write(
    path: Path,
    split: Split,
    held: dict[str, NDArray[np.generic]],
    header: list[str],
    rows: Iterable[Sequence[str]],
    dialect: Dialect,
) -> None:
    preparing = split.preprocessing
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
    told = zip(*columns.values(), strict=True)
    write_rows(str(path), dialect, names, (list(chain(*both)) for both in zip(rows, told, strict=True)), [])
