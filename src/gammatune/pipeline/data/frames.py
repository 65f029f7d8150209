"""Tables in memory: a frame of pandas, polars or Arrow, as the pipeline reads it, and how a journal calls it.

What a frame holds is read as a Parquet file is: text stays text but where it stands for nothing, and an index
that has a name is a column.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

from gammatune.errors import InvalidArgument, InvalidData, require
from gammatune.pipeline.data.cells.replaced import replaced
from gammatune.pipeline.data.files.columnar import as_columns
from gammatune.pipeline.data.files.names import called_by_text

if TYPE_CHECKING:
    import pandas as pd

NAME = "frame"  # of the data set, and so of its run


class Frame(Protocol):
    """A table of pandas, polars, Arrow or whatever else narwhals knows: `columns` is what all of them have."""

    @property
    def columns(self) -> Any: ...


def is_frame(data: object) -> bool:
    """Whether it is meant as one; `as_pandas` says where it is none."""
    return hasattr(type(data), "columns")  # of the object itself polars would compute them, with a warning


def as_pandas(data: Any, target: str | None = None) -> "pd.DataFrame":
    """The frame as pandas has it, another object than `data`, rows counted from 0.

    target: a categorical of whole numbers or truth values becomes these there, as which predictions are given.
    Raises MissingExtra, InvalidArgument: no frame, or a lazy one. InvalidData: no rows, columns of one name.
    """
    narwhals = require("narwhals", "tables", "frames are read by")
    require("pandas", "tables", "tables are read by")
    try:
        if narwhals.dependencies.is_pandas_dataframe(data):
            frame = _usual(data.copy(deep=False))
        else:
            frame = _of_arrow(narwhals.from_native(data, eager_only=True).to_arrow())
    except narwhals.exceptions.NarwhalsError as error:  # of names that are there twice
        raise InvalidData(f"the frame cannot be read: {' '.join(str(error).split())}") from error
    except TypeError as error:
        hint = "compute it first, with its collect()" if hasattr(data, "collect") else "give a frame"
        raise InvalidArgument(
            f"a {type(data).__name__} is no frame of pandas, polars or Arrow; {hint}"
        ) from error
    frame = as_columns(frame)
    called_by_text(frame, "the frame")
    return _with_plain_labels(frame, target).reset_index(drop=True)


def _with_plain_labels(frame: "pd.DataFrame", target: str | None) -> "pd.DataFrame":
    import pandas as pd

    kind = frame[target].dtype if target in frame.columns else None
    if not isinstance(kind, pd.CategoricalDtype) or kind.categories.dtype.kind not in "iub":
        return frame
    return replaced(frame, {str(target): frame[target].astype(object).infer_objects()})


def _usual(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With Arrow's columns as those of another frame of Arrow, sparse ones dense, periods as the dates they begin."""
    import pandas as pd

    frame.columns = [str(name) for name in frame.columns]
    if not frame.columns.is_unique:
        return frame  # which is refused
    of_arrow = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.ArrowDtype)]
    found = {}
    if of_arrow:
        arrow = require("pyarrow", "tables", "Arrow's columns are read by")
        table = arrow.Table.from_pandas(frame[of_arrow], preserve_index=False).replace_schema_metadata()
        found = {str(name): values.set_axis(frame.index) for name, values in _of_arrow(table).items()}
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.SparseDtype):
            found[str(name)] = frame[name].sparse.to_dense()
        elif isinstance(kind, pd.PeriodDtype):
            found[str(name)] = frame[name].dt.to_timestamp()
    return replaced(frame, found)


def _of_arrow(table: Any) -> "pd.DataFrame":
    import pandas as pd

    arrow = require("pyarrow", "tables", "frames other than those of pandas are read by")
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    # whole numbers beside which one is missing would become decimals, and large ones others
    whole = [
        field.name
        for field, column in zip(table.schema, table.columns, strict=True)
        if arrow.types.is_integer(field.type) and column.null_count
    ]
    exact = table.select(whole).to_pandas(
        types_mapper=lambda kind: pd.UInt64Dtype() if kind == arrow.uint64() else pd.Int64Dtype()
    )
    return replaced(frame, {name: exact[name] for name in whole})


def called(frame: "pd.DataFrame") -> str:
    """How a journal calls it: its size, and the first digits of a checksum of names and values."""
    import pandas as pd

    rows, columns = frame.shape
    digest = hashlib.sha256("\n".join(frame.columns).encode())
    for name in frame.columns:
        values = frame[name]
        try:
            hashes = pd.util.hash_pandas_object(values, index=False)
        except TypeError:  # lists, mappings
            hashes = pd.util.hash_pandas_object(values.astype(str), index=False)
        digest.update(hashes.to_numpy().tobytes())
    return f"a frame of {rows} rows and {columns} columns (sha256 {digest.hexdigest()[:12]})"
