"""Which column of a new table is which of those that a network was trained on.

By its name: as it was, or without regard to blanks and case where only one is that. A column without a name is told
by its place among the named ones, and only where nothing has to be guessed: the new table must have as many without a
name, between the same named columns, in the same order. Columns that only one of the two tables has, the target among
them, do not count. So columns that have names may come in any order, with others beside them; and where none has a
name, all must be there. A name such as "Unnamed: 2", which a program once gave a column by its place, is no name
where the column still stands there, and one where it does not.

Where one of the two tables has no line of names at all, columns are told by their places, and there must be as many,
or as many beside the target.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidData
from gammatune.pipeline.data.cells.spelling import plain
from gammatune.pipeline.data.columns import is_unnamed, keep_their_names, listed
from gammatune.pipeline.data.files.names import are_by_place

if TYPE_CHECKING:
    import pandas as pd


def matched(
    frame: "pd.DataFrame", trained: Sequence[str], needed: Collection[str], said: list[str], target: str = ""
) -> "pd.DataFrame":
    """The columns of `frame` that are among those trained on, called and ordered as these.

    trained: every column of the table trained on, in its order; of a run that does not keep them, some, without those
    that have no name. needed: those that must be there. said: takes what was called otherwise. target: may lack.
    Raises InvalidData: one of these is not there, there twice, or not to be told without guessing.
    """
    new = list(frame.columns)
    if (called := _all_by_place(new, trained, target)) is not None:
        said.append("The columns are told by their places, since one of the two tables has no line of names.")
        return frame.set_axis(called, axis=1)
    kept = keep_their_names(new)

    def nameless(name: Any) -> bool:
        return not kept and is_unnamed(name)

    found = _by_name(new, trained, said, nameless)
    lacking = [name for name in needed if name not in found and not nameless(name)]
    if lacking:
        raise InvalidData(
            f"the table lacks the column{'s' if len(lacking) > 1 else ''} {listed(lacking)}, which the network was "
            f"trained with; it has {listed(new)}"
        )
    twice = [name for name in needed if name in found and new.count(new[found[name]]) > 1]
    if twice:
        raise InvalidData(
            f"the table has the column {twice[0]!r} more than once; give every column a name of its own"
        )
    if not kept:
        found |= _by_place(new, trained, found, needed)
    places = {name: found[name] for name in trained if name in found}
    return frame.iloc[:, list(places.values())].set_axis(list(places), axis=1)


def _all_by_place(new: Sequence[Any], trained: Sequence[str], target: str) -> list[str] | None:
    """What the columns of `new` are called in the table trained on, where one of the two has no line of names."""
    if new == list(trained) or not (are_by_place(new) or are_by_place(trained)):
        return None
    others = [name for name in trained if name != target]
    return next((names for names in (list(trained), others) if len(names) == len(new)), None)


def _by_name(
    new: Sequence[Any], trained: Sequence[str], said: list[str], nameless: Callable[[Any], bool]
) -> dict[str, int]:
    """Where in `new` each column of a name is."""
    named = {name: place for place, name in enumerate(new) if not nameless(name)}
    found = {name: named[name] for name in trained if name in named}
    here, there = Counter(map(_form, named)), Counter(_form(name) for name in trained)
    by_form = {_form(name): (name, place) for name, place in named.items()}
    for name in trained:
        if name not in found and not nameless(name) and here[_form(name)] == there[_form(name)] == 1:
            other, found[name] = by_form[_form(name)]
            said.append(f"The column {other!r} is taken for {name!r}.")
    return found


def _form(name: Any) -> Any:
    return plain(name).lower() if isinstance(name, str) else name


def _by_place(
    new: Sequence[Any], trained: Sequence[str], found: dict[str, int], needed: Collection[str]
) -> dict[str, int]:
    """Where in `new` each column without a name is; empty where that would be a guess and none is needed."""
    names = {place: name for name, place in found.items()}
    came = [
        (names.get(place), place) for place in range(len(new)) if place in names or is_unnamed(new[place])
    ]
    asked = [
        (None if is_unnamed(name) else name, name) for name in trained if name in found or is_unnamed(name)
    ]
    if [name for name, _ in came] == [name for name, _ in asked]:
        return {name: place for (_, name), (_, place) in zip(asked, came, strict=True)}
    if not any(is_unnamed(name) for name in needed):
        return {}
    if not any(is_unnamed(name) for name in trained):
        raise InvalidData(
            "the network was trained on columns without a name by an earlier version, which did not keep where "
            "they stood; give every column a name, and train again"
        )
    before, here = (_in_words(name for name, _ in columns) for columns in (asked, came))
    raise InvalidData(
        f"columns without a name are told by those around them, and these differ: trained on {before}, and here "
        f"{here}; give the columns as they were, or give every column a name and train again"
    )


def _in_words(names: Any) -> str:
    """'age, 3 without a name, income'"""
    shown = []
    for name, group in groupby(names):
        shown += [f"{len(list(group))} without a name"] if name is None else [name]
    return listed(shown) or "nothing"
