"""`TablePreprocessing`: what the training rows of a table taught, to be applied to every other row and to new files.

    number     z = u / sqrt(1 + (u / 3)^2),  u = (x - median) / (q75 - q25)
    date       the days since the median day as a number; month, weekday and hour each as (sin, cos)
    category   a whole number: 0 unknown, 1 missing, 2, 3, ... the levels, the most frequent first
    targets    z = (y - mean) / std, for a regression

The map of numbers is the one of RealMLP (Holzmüller et al. 2024, 2407.04491, appendix A.1): the bulk is left as it
is, and what lies far out ends at 3 or -3. A missing number becomes the median, and a column that says so (0 or 1) is
put beside where the training rows lack some.

Columns of other tables are met by `gammatune.pipeline.data.matching`, levels and labels by
`gammatune.pipeline.data.cells.spelling`.

x is one float32 array (n, F): first the numbers, then the categories' codes, so that it goes through every part of
the library as rows of numbers do; `cardinalities` says how many codes each of the last columns has. For a network
that knows no codes they become one column a level (`one_hot`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.cells.amounts import Form, numbers_in
from gammatune.pipeline.data.cells.codes import without
from gammatune.pipeline.data.cells.dates import in_words
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.cells.spelling import otherwise, written
from gammatune.pipeline.data.columns import is_unnamed, listed
from gammatune.pipeline.data.dataset import Label, Task, encode, make_targets
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead
from gammatune.pipeline.data.files.learned import Layout, Learned
from gammatune.pipeline.data.frame_rows import FrameRows
from gammatune.pipeline.data.layout import Shape
from gammatune.pipeline.data.matching import matched
from gammatune.pipeline.data.preprocessing import OfTargets, Preprocessing
from gammatune.pipeline.data.table_encoding import Category, Date, Encoded, Number, encode_columns
from gammatune.pipeline.data.values import counts_of, dates_in

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 3  # sentences of one kind


@dataclass(frozen=True, slots=True)
class TablePreprocessing(OfTargets):
    """Plain numbers and text, so that it can be saved as JSON (`to_dict`, `from_dict`) beside the weights.

    columns: those that are read, numbers and dates first. target: the name of the column to predict. one_hot: see the
    module. identifiers: other columns of the table, in runs of earlier versions, which keep no header.
    classes, target_mean, target_std: as in `Preprocessing`.
    header: every column of the table trained on, in its order. decimal: how that writes decimals. how: what was asked
    of its reading, by which others are read. All are empty in runs of earlier versions. exact_labels: classes are met
    only as they are spelled. sample_weight: the column that says what a row counts for, no input. ordered: the
    classes are a scale, from low to high. target_form, target_missing: of a target of numbers, as in Number. layout:
    of the file trained on; None of a frame, and of files without lines.
    """

    task: Task
    columns: tuple[Encoded, ...]
    target: str
    one_hot: bool = False
    identifiers: tuple[str, ...] = ()
    classes: tuple[Label, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    header: tuple[str, ...] = ()
    decimal: Mark = ""
    how: HowToRead = AS_IT_IS
    exact_labels: bool = False
    sample_weight: str | None = None
    ordered: bool = False
    target_form: Form | None = None
    target_missing: tuple[float, ...] = ()
    layout: Layout | None = None

    @property
    def learned(self) -> Learned:
        """By which other files are read."""
        return Learned(self.decimal, self.layout)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many codes each of the last columns of x has; empty where there are no codes."""
        return () if self.one_hot else tuple(c.codes for c in self.columns if isinstance(c, Category))

    @property
    def shape(self) -> Shape:
        """(F,)"""
        return (sum(len(places) for _, places in self.spans),)

    @property
    def spans(self) -> tuple[tuple[str, range], ...]:
        """Which columns of x came of which column of the table, by name."""
        found, at = [], 0
        for column in self.columns:
            width = (column.codes if self.one_hot else 1) if isinstance(column, Category) else column.width
            found.append((column.name, range(at, at + width)))
            at += width
        return tuple(found)

    @property
    def forms(self) -> dict[str, Form | None]:
        """How the table trained on writes its columns of numbers, by name, its target among them."""
        found = {column.name: column.form for column in self.columns if isinstance(column, Number)}
        return found | ({self.target: self.target_form} if self.task == "regression" else {})

    def inputs(self, frame: "pd.DataFrame", said: list[str] | None = None) -> torch.Tensor:
        """Rows of another table as the model wants them: float32 (n, F). said: takes what was unusual in them.

        Raises InvalidData: not a table, a column that is missing, or one that holds nothing of its kind.
        """
        import pandas as pd

        if not isinstance(frame, pd.DataFrame):
            raise InvalidData(
                f"this network was trained on a table; give one with the columns "
                f"{listed(column.name for column in self.columns)}"
            )
        said = [] if said is None else said
        return self.encode(self.matched(frame, said), said)

    def encode(self, frame: "pd.DataFrame", said: list[str]) -> torch.Tensor:
        """`inputs` of a frame whose columns are called as those trained on, such as `matched` makes."""
        return self._encoded(frame, [len(frame)], said)[0]

    def encode_parts(
        self, frame: "pd.DataFrame", parts: Sequence[NDArray[np.int64]], said: list[str]
    ) -> list[torch.Tensor]:
        """`encode` of some rows and others: parts holds the places in the frame of those of each."""
        rows = FrameRows(frame, np.concatenate(parts))
        return self._encoded(rows, list(map(len, parts)), said)

    def _encoded(
        self, frame: "pd.DataFrame | FrameRows", sizes: Sequence[int], said: list[str]
    ) -> list[torch.Tensor]:
        # a few columns after the other, so that of twice the bits no more than these are held
        parts = [np.empty((size, self.shape[0]), dtype=np.float32) for size in sizes]
        lines = encode_columns(self.columns, frame.__getitem__, self.one_hot, parts)
        said += lines[:SHOWN] + [f"So do values of {len(lines) - SHOWN} other columns."] * (
            len(lines) > SHOWN
        )
        return [torch.from_numpy(x) for x in parts]

    def matched(self, frame: "pd.DataFrame", said: list[str]) -> "pd.DataFrame":
        """The columns of another table that are among those trained on, called and ordered as these: see `matched`.

        Raises InvalidData where an input is not there, or not to be told without guessing.
        """
        inputs = [column.name for column in self.columns]
        known = dict.fromkeys([*inputs, *self.identifiers, self.target])
        trained = self.header or [n for n in known if not is_unnamed(n)]
        return matched(without(frame, self.how.missing), trained, inputs, said, self.target)

    def misread(self, frame: "pd.DataFrame") -> list[str]:
        """A sentence on every column of `matched` where numbers or dates are none, and count as missing, or levels
        are spelled otherwise."""
        said = []
        for column in self.columns:
            values = frame[column.name].dropna()
            if not len(values):
                continue
            if isinstance(column, Category):
                said += otherwise(counts_of(values), column.levels).said(column.name)
                continue
            if isinstance(column, Number):
                numbers = numbers_in(values, column.form)
                strange, kind = values[np.isnan(numbers)], "numbers"
                said += _shares(column, values, numbers)
            else:
                is_none = dates_in(values, column.format).isna()
                strange, kind = values[is_none], f"dates{in_words(column.format)}"
            if len(strange):
                said.append(
                    f"{len(strange)} of {len(values)} values of {column.name} are no {kind}, such as "
                    f"{written(strange.iloc[0])!r:.40}: they count as missing."
                )
        return said

    def targets(self, y: ArrayLike) -> torch.Tensor:
        """Labels (n,) as int64 codes (n,), or targets (n,) as standardised float32 (n, 1)."""
        if self.task == "classification":
            return torch.from_numpy(encode(self.target, np.asarray(y).reshape(-1), self.classes))
        return self._standardised(make_targets(self.target, np.asarray(y)))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, text and lists, ready for `json.dumps`."""
        saved = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        saved["columns"] = [
            {"kind": type(column).__name__.lower(), **_without_empty(asdict(column), "form", "missing")}
            for column in self.columns
        ]
        return {"kind": "table", **_without_empty(saved, "target_form", "target_missing", "layout")}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "TablePreprocessing":
        """The record that `to_dict` wrote, JSON in between or not. Raises InvalidData where it is another."""
        try:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
            if fields.pop("kind") != "table":
                raise InvalidData("it is of another kind")
            fields["columns"] = tuple(_column(column) for column in saved["columns"])
            how = saved.get("how", {})
            fields["target_form"] = _form(saved.get("target_form"))
            fields["layout"] = Layout.of(saved.get("layout"))
            fields["how"] = replace(AS_IT_IS, **how | {"missing": tuple(how.get("missing", ()))})
            found = cls(**fields)
            found._check()
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            raise InvalidData(
                f"no preprocessing as TablePreprocessing.to_dict writes it: {saved!r:.60} ({error})"
            ) from error
        return found

    def _check(self) -> None:
        """Raises InvalidData, TypeError, ... where the fields have other types or do not fit each other."""
        numbers = [*self.target_mean, *self.target_std, *self.target_missing]
        for column in self.columns:
            if not isinstance(column.name, str):
                raise InvalidData("a column has a name")
            if isinstance(column, Category):
                if not all(isinstance(level, str) for level in column.levels):
                    raise InvalidData("levels are text")
            else:
                numbers += [column.centre, column.scale, *getattr(column, "missing", ())]
                if column.scale <= 0 or not isinstance(column.flagged, bool):
                    raise InvalidData("a scale is above 0")
        known = all(type(n) in (int, float) and math.isfinite(n) for n in numbers)
        if self.task == "classification":
            fit = len(self.classes) >= 2 and all(isinstance(label, (int, str)) for label in self.classes)
        else:
            fit = self.task == "regression" and len(self.target_mean) == len(self.target_std) >= 1
        if not (
            known
            and fit
            and self.columns
            and isinstance(self.target, str)
            and isinstance(self.one_hot, bool)
            and all(isinstance(name, str) for name in self.header)
            and self.decimal in ("", ",", ".")
            and isinstance(self.exact_labels, bool)
            and isinstance(self.sample_weight, str | None)
            and isinstance(self.ordered, bool)
        ):
            raise InvalidData("its fields do not fit each other")
        if min([*self.target_std, 1]) <= 0:
            raise InvalidData("a std is above 0")


def preparing_from_dict(saved: Mapping[str, Any]) -> "Preprocessing | TablePreprocessing":
    """Either kind of preprocessing, as its `to_dict` wrote it. Raises InvalidData."""
    if isinstance(saved, Mapping) and saved.get("kind") == "table":
        return TablePreprocessing.from_dict(saved)
    return Preprocessing.from_dict(saved)


def _shares(column: Number, values: "pd.Series[Any]", numbers: NDArray[np.float64]) -> list[str]:
    """A sentence where numbers trained on as 45.3 % come as 0.453: cells that a spreadsheet shows as percent."""
    are_percent = column.form is not None and column.form.unit == "%" and column.centre > 1
    if not are_percent or values.dtype.kind not in "iuf" or not ((numbers >= 0) & (numbers <= 1)).all():
        return []
    return [
        f"{column.name} holds numbers from {numbers.min():g} to {numbers.max():g}, and the table trained on has "
        f"per cent, {column.centre:g} % in the middle: {numbers.max():g} counts as {numbers.max():g} %; where these "
        "are shares of 1, write them a hundred times as large."
    ]


def _column(saved: Mapping[str, Any]) -> Encoded:
    kinds: dict[str, Any] = {"number": Number, "category": Category, "date": Date}
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in saved.items() if k != "kind"
    }
    if "form" in fields:
        fields["form"] = _form(fields["form"])
    made: Encoded = kinds[saved["kind"]](**fields)
    return made


def _form(saved: Mapping[str, Any] | None) -> Form | None:
    form = None if saved is None else Form(**saved)
    if form is not None and not (form.decimal in (",", ".") and isinstance(form.currency + form.unit, str)):
        raise InvalidData("a form of numbers is text")
    return form


def _without_empty(saved: dict[str, Any], *names: str) -> dict[str, Any]:
    """Without those of the names that hold nothing, which earlier versions do not know."""
    return {name: value for name, value in saved.items() if value or name not in names}
