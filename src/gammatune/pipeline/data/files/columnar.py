"""Tables from files that keep columns with their kinds, read by pyarrow; and a frame's columns as all are read."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from gammatune.errors import InvalidData, first_line, require
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import without_marks

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    import pandas as pd

    require("pyarrow", "tables", "Parquet files are read by")
    return _read(file, "Parquet file", pd.read_parquet)


def read_arrow(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """Feather of either version, and Arrow's own files and streams."""
    require("pyarrow", "tables", "Arrow files are read by")
    from pyarrow import feather, ipc

    def frame_in(stream: BinaryIO) -> Any:
        is_file = file.head().startswith((b"ARROW1", b"FEA1"))
        return (feather.read_table(stream) if is_file else ipc.open_stream(stream).read_all()).to_pandas()

    return _read(file, "Arrow file", frame_in)


def _read(file: TableFile, what: str, frame_in: Callable[[BinaryIO], Any]) -> Read:
    try:
        with file.stream() as stream:
            return Read(as_columns(frame_in(stream)), "")
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # pyarrow has its own kinds for a damaged file
        raise InvalidData(
            f"{file.path} is no {what} that can be read ({first_line(error)}); it may be cut: write it anew"
        ) from error


def as_columns(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With an index that has a name among the columns, decimals as floats, bytes as text, and nothing in the place of
    text that stands for it."""
    named = [name for name in frame.index.names if name is not None]
    if named and not set(named) & set(frame.columns):  # else the columns are what is meant
        frame = frame.reset_index()
    frame = frame.copy(deep=False)
    kinds = {name: _kind(frame[name]) for name, kind in frame.dtypes.items() if kind == "object"}
    for name, kind in kinds.items():
        if kind == "decimal":
            frame[name] = frame[name].where(frame[name].notna(), float("nan")).astype("float64")
        elif kind == "bytes":
            frame[name] = frame[name].map(lambda text: text.decode(errors="replace"), na_action="ignore")
    return without_marks(frame)


def _kind(values: Any) -> str:
    import pandas as pd

    # of two columns of one name, which are refused, there is a table here
    return pd.api.types.infer_dtype(values, skipna=True) if values.ndim == 1 else ""
