"""Tables from R: .rds, .RData and .rda, read by pyreadr. Factors are categories, names of rows a column."""

import warnings
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData, first_line, require
from gammatune.pipeline.data.files.columnar import as_columns
from gammatune.pipeline.data.files.dialect import HowToRead, Read
from gammatune.pipeline.data.files.learned import Learned
from gammatune.pipeline.data.files.opening import TableFile
from gammatune.pipeline.data.files.settling import settled
from gammatune.pipeline.data.files.sheets import choose

if TYPE_CHECKING:
    import pandas as pd

_ROWS = "rownames"  # pyreadr's name of the index that holds them


def read_r(file: TableFile, how: HowToRead, said: list[str], learned: Learned) -> Read:
    """Raises InvalidData: it cannot be read, or holds no table. InvalidArgument: a table that is not there.
    MissingExtra: pyreadr is not installed."""
    pyreadr = require("pyreadr", "files", "files of R are read by")
    try:
        with file.on_disk() as path, warnings.catch_warnings(action="ignore"):
            # of what is no table, said below
            held = pyreadr.read_r(str(path))
    except (pyreadr.PyreadrError, pyreadr.LibrdataError, UnicodeError) as error:
        raise InvalidData(
            f"{file.path} cannot be read ({first_line(error)}); it may be cut, or hold what is no data.frame: save "
            "that anew, with saveRDS"
        ) from error
    tables = {str(name): frame for name, frame in held.items() if frame.size}
    if not tables:
        raise InvalidData(f"{file.path} holds no data.frame; save one with saveRDS, and name that file")
    name = choose(file.name, {name: frame.size for name, frame in tables.items()}, how.sheet, said, "tables")
    return Read(settled(as_columns(_with_names(tables[name])), file.name), "")


def _with_names(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Names of rows as a column, where they are more than their numbers."""
    import pandas as pd

    counted = [str(row) for row in range(1, len(frame) + 1)]
    if frame.index.name == _ROWS and frame.index.astype(str).tolist() == counted:
        return frame.reset_index(drop=True)
    named: Any = frame.rename_axis(
        "row" if frame.index.name == _ROWS and "row" not in frame.columns else frame.index.name
    )
    assert isinstance(named, pd.DataFrame)
    return named
