"""Every rollout of a run as one row of plain values, for whoever asks a question of their own.

    table = result.table()            or gammatune.rollouts("runs/digits-1"), from the journal
    table[0]["lr"], table.columns     a list of dicts, each with the same keys in the same order
    table.to_pandas()                 a DataFrame
    table.save("rollouts.csv")        .csv, .parquet or .jsonl

The columns, in this order:

    number      counts the rollouts from 0
    epoch       of the course, from 0, in which it begins
    role        what it was for: survey, scout, miniature, course, walk 2, candidate, ...
    decision    which verdict followed it, from 0; none where none did
    origin      the number of the rollout after which it began; -1: the beginning; none in an older journal
    kept        it is an epoch of the course that was handed back
    member_of   the number of the rollout that scored the average it went into; known of averages that were committed
    order       0: it saw the data in the order of the course; k > 0: in another that belongs to k
    lr, ...     one column for each value that was searched
    status      ok, diverged or infeasible
    score       the objective, higher is better; none where it failed, or nobody asked
    loss, ...   one column for each metric
    note        why it failed, in words
    steps       of the optimizer
    batches     it trained with, planned: it was to train with; epoch_batches: an epoch has (0: not counted)
    epochs      batches / epoch_batches
    cut         the ceiling of the budget ended it early
    shape       what the learning rate was multiplied by: JSON, a list of [progress, multiplier]
    trained     examples passed forward and backward; evaluated: forward only; epoch_examples: an epoch has
    seconds     wall time, its evaluation included

A value or a metric that has the name of another column gets "value." or "metric." before it.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gammatune.errors import InvalidArgument, require
from gammatune.journal.history import replay
from gammatune.records import Outcome

HEAD = ("number", "epoch", "role", "decision", "origin", "kept", "member_of", "order")
MIDDLE = ("status", "score")
TAIL = (
    "note", "steps", "batches", "planned", "epoch_batches", "epochs", "cut", "shape", "trained", "evaluated",
    "epoch_examples", "seconds",
)  # fmt: skip

WHOLE = ("decision", "origin", "member_of", "planned")  # where some, or all, may be missing
REAL = ("score", "epochs")

Row = dict[str, Any]


class Table(list[Row]):
    """Rows with the same keys in the same order; a list of dicts in every other way.

    columns: the keys, which a table without rows has too.
    """

    def __init__(self, rows: Sequence[Row], columns: Sequence[str]) -> None:
        super().__init__(rows)
        self.columns = tuple(columns)

    def to_csv(self) -> str:
        """As text: floats to the last digit, nothing for none, nan, inf and -inf as they are."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([row[name] for name in self.columns] for row in self)
        return text.getvalue()

    def to_jsonl(self) -> str:
        """One JSON object a line; what JSON has not is the text "nan", "inf" or "-inf", as in a journal."""
        return "".join(json.dumps({k: _for_json(v) for k, v in row.items()}) + "\n" for row in self)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame; whole numbers that may be missing are of the type Int64.

        Raises MissingExtra where pandas is not installed.
        """
        pandas = require("pandas", "tables")
        frame = pandas.DataFrame(list(self), columns=list(self.columns))
        return frame.astype(dict.fromkeys(WHOLE, "Int64") | dict.fromkeys(REAL, "float64"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, as its ending says: .csv, .jsonl or .parquet (which needs the extra `tables`).

        Raises InvalidArgument at another ending, MissingExtra without pyarrow.
        """
        writers: dict[str, Callable[[Path], object]] = {
            ".csv": lambda file: file.write_text(self.to_csv(), encoding="utf-8", newline=""),
            ".jsonl": lambda file: file.write_text(self.to_jsonl(), encoding="utf-8", newline=""),
            ".parquet": self._write_parquet,
        }
        file = Path(path)
        if file.suffix.lower() not in writers:
            raise InvalidArgument(f"path={os.fspath(path)!r}: end it in .csv, .jsonl or .parquet")
        writers[file.suffix.lower()](file)

    def _write_parquet(self, file: Path) -> None:
        pyarrow, parquet = require("pyarrow", "tables"), require("pyarrow.parquet", "tables")
        kinds = dict.fromkeys(WHOLE, pyarrow.int64()) | dict.fromkeys(REAL, pyarrow.float64())
        columns = {
            name: pyarrow.array(_of_one_kind([row[name] for row in self]), kinds.get(name))
            for name in self.columns
        }
        parquet.write_table(pyarrow.table(columns), file)


def rollouts(run: str | os.PathLike[str]) -> Table:
    """Every rollout of a run as one flat table, from its directory or its journal file.

    The columns are explained in `gammatune.journal.table`. Raises JournalError where there is no journal, or a
    damaged one.
    """
    story = replay(run)
    return flatten(story.rollouts, story.course, story.members, story.decided)


def flatten(
    rollouts: Sequence[Outcome],
    course: Sequence[Outcome],
    members: Mapping[int, Sequence[Outcome]],
    decided: Sequence[int],
) -> Table:
    """members: of the outcomes that scored an average, by number. decided: of each verdict, how many rollouts there
    had been."""
    kept = {outcome.number for outcome in course}
    joined = {member.number: number for number, those in members.items() for member in those}
    decisions = {
        number: place
        for place in range(len(decided))
        for number in range(decided[place - 1] if place else 0, decided[place])
    }
    values = _free(dict.fromkeys(n for o in rollouts for n in o.values), "value.", {*HEAD, *MIDDLE, *TAIL})
    metrics = _free(
        dict.fromkeys(n for o in rollouts for n in o.metrics),
        "metric.",
        {*HEAD, *MIDDLE, *TAIL, *values.values()},
    )
    columns = (*HEAD, *values.values(), *MIDDLE, *metrics.values(), *TAIL)
    rows = []
    for outcome in rollouts:
        in_epoch = outcome.epoch_batches
        told = {
            "decision": decisions.get(outcome.number),
            "kept": outcome.number in kept,
            "member_of": joined.get(outcome.number),
            "planned": outcome.length.batches(in_epoch) if in_epoch else None,
            "epochs": outcome.batches / in_epoch if in_epoch else None,
            "shape": json.dumps(outcome.shape.knots),
            **{column: outcome.values.get(name) for name, column in values.items()},
            **{column: outcome.metrics.get(name) for name, column in metrics.items()},
        }
        rows.append({name: told[name] if name in told else getattr(outcome, name) for name in columns})
    return Table(rows, columns)


def _free(names: Mapping[str, Any], prefix: str, taken: set[str]) -> dict[str, str]:
    """A column for each name, none of them taken."""
    columns: dict[str, str] = {}
    for name in names:
        column = name
        while column in taken or (column != name and column in names):
            column = prefix + column
        columns[name] = column
        taken.add(column)
    return columns


def _for_json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _of_one_kind(column: list[Any]) -> list[Any]:
    """A column of a Parquet file has one type: numbers beside text become text."""
    kinds = {type(value) for value in column if value is not None}
    if str in kinds and len(kinds) > 1:
        return [None if value is None else str(value) for value in column]
    return (
        [float(value) if value is not None else None for value in column] if kinds == {int, float} else column
    )
