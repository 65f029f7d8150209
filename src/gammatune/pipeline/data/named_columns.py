"""The columns that options name: each is there, and none is the target too."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gammatune.errors import InvalidArgument
from gammatune.pipeline.data.columns import listed

if TYPE_CHECKING:
    import pandas as pd

USUAL_TARGETS = ("target", "label", "class", "y", "outcome", "answer")


def target_among(
    frame: "pd.DataFrame", target: str | None, group: str | None, time: str | None, sample_weight: str | None
) -> str:
    """The target, where all that is named is there. Raises InvalidArgument."""
    require_column(frame, target, "--target", guess=True)
    for option, column in (("--group", group), ("--time-column", time), ("--sample-weight", sample_weight)):
        if column is not None:
            require_column(frame, column, option)
            if column == target:
                raise InvalidArgument(f"{option} {column}: that is the target; name another column")
    if group is not None and time is not None:
        raise InvalidArgument(
            "--group and --time-column each say how the parts are made; give one of them, or the latest rows as a "
            "file of their own with --test"
        )
    assert target is not None
    return target


def require_column(frame: "pd.DataFrame", name: str | None, option: str, *, guess: bool = False) -> None:
    if name in frame.columns:
        return
    usual = [column for column in frame.columns if guess and column.lower() in USUAL_TARGETS]
    hint = f"; perhaps {option} {usual[0]}" if usual else ""
    if name is None:
        raise InvalidArgument(
            f"which column is to be predicted? Say {option} COLUMN{hint}; the table has {listed(frame.columns)}"
        )
    near = _nearest(name, frame.columns)
    hint = f"; perhaps {near}" if near else ""
    raise InvalidArgument(
        f"{option} {name}: there is no such column{hint}; the table has {listed(frame.columns)}"
    )


def _nearest(name: str, columns: Iterable[str]) -> str | None:
    """The column that was perhaps meant: written in other cases, shortened or misspelt, in this order."""
    lower = {str(column).lower(): str(column) for column in columns}
    meant = name.lower()
    if meant in lower:
        return lower[meant]
    begins = [known for known in lower if meant and known.startswith(meant)]
    found = begins or get_close_matches(meant, lower, n=1)
    return lower[found[0]] if found else None
