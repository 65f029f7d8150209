"""What the rows of a table may be besides rows, said and not acted upon: weighted, of the same people, in time.

Only the user knows; so a hint needs a name that says so and values that bear it out, and where either is doubtful
nothing is said. A column whose kind the user gave is left in peace.
"""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.columns import Column, listed
from gammatune.pipeline.data.dataset import Task
from gammatune.pipeline.data.noticing import r2
from gammatune.pipeline.data.values import dates_in, days_of, texts_in

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 60  # rows below which nothing is told [guess]
ROWS = 2_000  # a quick look is taken at, of few groups some of each [guess: a second or two]
COLUMNS = 50  # it is taken with
IDS = 3  # columns it is taken at
TREES, FOLDS = 30, 3
EACH = 5  # rows that a class needs so that a fifth is one row

# Names of weights, without blanks and case: those that are nothing else, and those that a body has too.
WEIGHTS = {
    "fnlwgt", "finalwt", "finalwgt", "finalweight", "wtfinl", "perwt", "perweight", "personwt", "personweight",
    "hhwt", "hhweight", "householdweight", "pweight", "pwt", "fweight", "aweight", "iweight", "pwgtp", "wgtp",
    "wtss", "wtssall", "pspwght", "pspweight", "dweight", "anweight", "samplewt", "sampwt", "sampleweight",
    "samplingweight", "sampweight", "surveyweight", "surveywt", "svywt", "svyweight", "caseweight",
    "caseweights", "casewt", "designweight", "popweight", "popwt", "respweight", "respondentweight",
    "instanceweight", "expansionfactor",
}  # fmt: skip
MAYBE_WEIGHTS = {"weight", "weights", "wt", "wts", "wgt", "wght"}
# What measures a body hardly varies so much, and goes with its other measures; 660 tables of R's packages parted so.
VARYING, RELATED = 0.3, 0.45

PEOPLE = (
    "household|hh|family|fam|patient|pat|pt|subject|subj|usubj|respondent|resp|person|pers|participant|individual|indiv|"
    "student|stud|pupil|child|user|customer|client|animal|litter|player|worker|employee|couple|dyad|pair|twin|donor"
)
PLACES = (
    "school|sch|schl|classroom|teacher|hospital|hosp|clinic|centre|center|firm|company|plant|farm|village|store|"
    "site"
)
_ID = r"[\W_]*(ids?|no|nr|number|code|key)"  # but no num, as in childNum, the second child
_NAMED = re.compile(rf"({PEOPLE}|{PLACES})({_ID})?|(class|unit|county|dist|district){_ID}", re.I)
_ANY_ID = re.compile(r"ids?|.*[\W_]ids?|.*[a-z]ID", re.A)  # with the case as it is
# Of rows in repeated values, at least; of all rows in the largest, at most: more is a category [guess].
REPEATED, LARGEST, GROUPS = 0.25, 0.25, 10
MANY_EACH = 50  # rows a value beyond which an id of anything is a category [guess]
# Of accuracy or R2 that a split by chance shows too much, at least, to be worth a word; and this over the root of the
# rows, which is about two standard errors of such a difference [guess].
FLATTERED, NOISE = 0.03, 2.0

# of a class's share between the first half and the second; of numbers a third of a deviation [guess]
DRIFT = 0.1


def hints(
    frame: "pd.DataFrame",
    y: NDArray[Any],
    columns: Sequence[Column],
    *,
    target: str,
    task: Task,
    given: Collection[str],
    parted_by: str | None,
) -> list[str]:
    """Sentences on columns that look like weights, ids that repeat, or time.

    columns: what each input, or column left out, is. given: those whose kind or use the user said. parted_by: the
    column by which the parts are made, where one was named.
    """
    if len(y) < FEWEST:
        return []
    classify = task == "classification"
    told = [column for column in columns if column.name not in given]
    said = _weights(frame, told)
    if parted_by is None:
        repeated = _repeated(frame, y, columns, told, target=target, classify=classify)
        said += repeated or _in_time(frame, y, told, target=target, classify=classify)
    return said


def rare_classes(y: NDArray[Any], classes: Sequence[Any]) -> list[str]:
    """A sentence that names the classes with too few rows for every part to have one. y: codes of classes, if any."""
    if not classes:
        return []
    counts = np.bincount(y, minlength=len(classes))
    rare = [f"{label} ({count})" for label, count in zip(classes, counts, strict=True) if 0 < count < EACH]
    if not rare:
        return []
    one = len(rare) == 1
    return [
        f"Too rare for every part to have {'it' if one else 'them'}: {listed(rare)}. {EACH} rows of a class are the "
        "least; join such a class with another, or leave its rows out: what is said of it is chance."
    ]


def _weights(frame: "pd.DataFrame", columns: Sequence[Column]) -> list[str]:
    numbers = [column.name for column in columns if column.kind == "number"]
    found = [name for name in numbers if _looks_like_weights(name, frame, numbers)]
    return [
        f"{name} looks like a weight, which says for how many a row stands, and is used as an input. If it is one, "
        f"say --sample-weight {name}; --column {name}=number says that it is not."
        for name in found
    ]


def _looks_like_weights(name: str, frame: "pd.DataFrame", numbers: Sequence[str]) -> bool:
    plain = re.sub(r"[\W_\d]", "", name).lower()
    if plain not in WEIGHTS | MAYBE_WEIGHTS:
        return False
    w = numbers_in(frame[name])
    w = w[np.isfinite(w)]
    if not len(w) or w.min() < 0 or w.min() == w.max():
        return False
    if plain in WEIGHTS:
        return True
    is_normed = abs(w.mean() - 1) < 0.01 and bool((w != w.round()).any())
    if is_normed or w.min() == 0 or w.std() < VARYING * w.mean():
        return is_normed
    related = _largest_correlation(name, frame, numbers)
    return related is not None and related < RELATED


def _largest_correlation(name: str, frame: "pd.DataFrame", numbers: Sequence[str]) -> float | None:
    """Spearman's, with any other number that varies; None where there is none to tell by."""
    import pandas as pd

    taken = np.sort(np.random.default_rng(0).permutation(len(frame))[:ROWS])
    frame = frame.iloc[taken]
    others = pd.DataFrame({other: numbers_in(frame[other]) for other in numbers if other != name})
    others = others.loc[:, others.nunique() > GROUPS]
    ranks = others.rank().corrwith(pd.Series(numbers_in(frame[name]), others.index).rank()).abs()
    return None if ranks.isna().all() else float(ranks.max())


def _repeated(
    frame: "pd.DataFrame",
    y: NDArray[Any],
    columns: Sequence[Column],
    told: Sequence[Column],
    *,
    target: str,
    classify: bool,
) -> list[str]:
    """Of an id by which rows repeat: of several the one that flatters most."""
    ids = {column.name: groups for column in told if (groups := _groups(column, frame)) is not None}
    looked = []
    for name, groups in list(ids.items())[:IDS]:
        by_chance, by_group = _two_splits(frame, y, columns, name, groups, classify=classify)
        gained = max(0.0, by_chance) - max(0.0, by_group)  # below 0 an R2 tells of noise alone
        looked.append((gained, name, len(np.unique(groups)), by_chance, by_group))
    if not looked or max(looked)[0] < max(FLATTERED, NOISE / min(len(y), ROWS) ** 0.5):
        return []
    _, name, count, by_chance, by_group = max(looked)
    measure = "accuracy" if classify else "R2"
    return [
        f"{name} repeats: {count:,} different ones in {len(y):,} rows, as people, households or schools have. Rows "
        f"of one may come into several parts, and then a quick look ({TREES} trees) says {target} with {measure} "
        f"{by_chance:.2f}, but {by_group:.2f} in rows of others. To know how well others are told, say --group "
        f"{name}; --column {name}=category says that it is meant as an input."
    ]


def _groups(column: Column, frame: "pd.DataFrame") -> NDArray[np.int64] | None:
    """The group of each row, where the column is an id that repeats; a row without is one of its own."""
    named = _NAMED.fullmatch(column.name) is not None
    if column.kind == "date" or not (named or _ANY_ID.fullmatch(column.name)):
        return None
    values = frame[column.name]
    if column.kind == "number" and not _are_whole(values):
        return None
    places, distinct = texts_in(values)
    counts = np.bincount(places[places >= 0], minlength=len(distinct))
    n = int(counts.sum())
    if len(counts) < GROUPS or counts[counts > 1].sum() < REPEATED * n or counts.max() > LARGEST * n:
        return None
    if not named and n > MANY_EACH * len(counts):
        return None
    if re.match(PEOPLE, column.name, re.I) and not any(re.search(r"\d", text) for text in distinct[:100]):
        return None  # a subject that is taught, a pair of words
    alone = places < 0
    places[alone] = len(distinct) + np.arange(int(alone.sum()))
    return places


def _are_whole(values: "pd.Series[Any]") -> bool:
    numbers = numbers_in(values)
    numbers = numbers[np.isfinite(numbers)]
    return bool((numbers == numbers.round()).all())


def _two_splits(
    frame: "pd.DataFrame",
    y: NDArray[Any],
    columns: Sequence[Column],
    name: str,
    groups: NDArray[np.int64],
    *,
    classify: bool,
) -> tuple[float, float]:
    """What a forest reaches on rows kept aside by chance, with the id as an input, and on groups kept aside; nothing
    on either where that cannot be told."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.model_selection import GroupKFold, KFold

    rng = np.random.default_rng(0)
    taken = _some_of_each(groups, rng)
    y, groups = y[taken].reshape(-1), groups[taken]
    kinds = len(np.unique(y))
    if kinds < 2 or (classify and 3 * kinds > len(y)):
        return 0.0, 0.0  # too few of each, of which scikit-learn warns
    inputs = [column for column in columns if column.kind != "drop" and column.name != name]
    inputs = [inputs[place] for place in sorted(rng.permutation(len(inputs))[:COLUMNS])]
    rows = frame.iloc[taken]
    others = np.stack([as_numbers(column, rows) for column in inputs] or [np.zeros(len(y))], axis=1)
    by_chance, by_group = KFold(FOLDS, shuffle=True, random_state=0), GroupKFold(FOLDS)
    ways = (
        (by_chance.split(others), np.column_stack([others, groups])),
        (by_group.split(others, groups=groups), others),
    )
    reached = []
    for folds, x in ways:
        said = np.zeros(len(y))
        for train, held in folds:
            kind: Any = ExtraTreesClassifier if classify else ExtraTreesRegressor
            said[held] = kind(TREES, random_state=0).fit(x[train], y[train]).predict(x[held])
        reached.append(float(np.mean(said == y)) if classify else r2(y, said))
    return reached[0], reached[1]


def _some_of_each(groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
    """ROWS rows at most: whole groups where they are small, and of `GROUPS` of them or more where they are large."""
    rows = rng.permutation(len(groups))
    order = rng.permutation(int(groups.max()) + 1)[groups[rows]]  # groups in another order
    rows, order = rows[places := np.argsort(order, kind="stable")], order[places]
    place = np.arange(len(order)) - np.searchsorted(order, order)  # of a row within its group
    return rows[place < ROWS // GROUPS][:ROWS]


def as_numbers(column: Column, frame: "pd.DataFrame") -> NDArray[np.float64]:
    """Good enough for trees: missing as -1e9, categories by their place."""
    values = frame[column.name]
    if column.kind == "number":
        numbers = numbers_in(values)
    elif column.kind == "date":
        numbers = days_of(dates_in(values, column.format))
    else:
        numbers = texts_in(values)[0].astype(np.float64)
    return np.nan_to_num(numbers, nan=-1e9).clip(-1e30, 1e30)


def _in_time(
    frame: "pd.DataFrame", y: NDArray[Any], columns: Sequence[Column], *, target: str, classify: bool
) -> list[str]:
    for column in columns:
        if column.kind == "date":
            when = days_of(dates_in(frame[column.name], column.format))
        elif re.fullmatch(r"year|jahr|ann[ée]e", column.name, re.I):
            when = numbers_in(frame[column.name])
        else:
            continue
        steps = np.diff(when)
        follow = np.isfinite(when).all() and ((steps >= 0).all() or (steps <= 0).all())
        if follow and len(np.unique(when)) > GROUPS and (drift := _drift(y, when, classify=classify)):
            return [
                f"The rows follow {column.name}, and {target} drifts along it ({drift}). If later rows are to be "
                f"told from earlier ones, say --time-column {column.name}: the latest report then."
            ]
    return []


def _drift(y: NDArray[Any], when: NDArray[np.float64], *, classify: bool) -> str:
    """Between the earlier and the later half, in words; empty where there is none to speak of."""
    from scipy.stats import chi2_contingency, mannwhitneyu

    late = when > np.median(when)
    y = y.reshape(-1)
    if late.sum() < FEWEST / 4 or (~late).sum() < FEWEST / 4:
        return ""
    if classify:
        table = np.stack([np.bincount(y[part], minlength=int(y.max()) + 1) for part in (~late, late)])
        table = table[:, table.sum(axis=0) > 0]
        shares = table / table.sum(axis=1, keepdims=True)
        most = int(np.abs(shares[1] - shares[0]).argmax())
        if abs(shares[1, most] - shares[0, most]) < DRIFT or chi2_contingency(table).pvalue > 1e-3:
            return ""
        return (
            f"the share of one class goes from {100 * shares[0, most]:.0f} to {100 * shares[1, most]:.0f} %"
        )
    first, second = y[~late], y[late]
    if abs(second.mean() - first.mean()) < y.std() / 3 or mannwhitneyu(first, second).pvalue > 1e-3:
        return ""
    return f"its mean goes from {first.mean():.3g} to {second.mean():.3g}"
