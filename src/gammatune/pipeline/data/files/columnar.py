"""Tables from files that keep columns with their kinds: Parquet; and a frame's columns as all of them are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, first_line, require

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        require("pyarrow", "tables", "Parquet files are read by")
        raise
    except MemoryError:  # no fault of the file
        raise
    except PermissionError as error:
        raise InvalidData(
            f"{path} cannot be read ({error.strerror}); allow it, or name another file"
        ) from error
    except Exception as error:  # pyarrow has its own kinds for a damaged file
        raise InvalidData(
            f"{path} is no Parquet file that can be read ({first_line(error)}); write it anew"
        ) from error
    return as_columns(frame)


def as_columns(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With an index that has a name among the columns, and decimals as floats."""
    named = [name for name in frame.index.names if name is not None]
    if named and not set(named) & set(frame.columns):  # else the columns are what is meant
        frame = frame.reset_index()
    objects = [name for name, kind in frame.dtypes.items() if kind == "object"]
    decimals = [name for name in objects if _holds_decimals(frame[name])]
    there = {name: frame[name].where(frame[name].notna(), float("nan")) for name in decimals}
    return frame.assign(**{name: values.astype("float64") for name, values in there.items()})


def _holds_decimals(values: Any) -> bool:
    import pandas as pd

    # of two columns of one name, which are refused, there is a table here
    return bool(values.ndim == 1 and pd.api.types.infer_dtype(values, skipna=True) == "decimal")
