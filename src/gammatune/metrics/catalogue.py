"""Measures by name, as a data scientist asks for them: `metric="auc"`; each with a 95 % interval for the report.

    n   examples                    k   classes             t   numbers a target
    w   how often a resample holds each example (or each cell of the confusion matrix), (b, n)

Classifications (positive class = code 1 where there are two; else the mean over the classes):

    accuracy, balanced-accuracy, f1, precision, recall, mcc        of the labels said
    auc, average-precision                                         of the order of the probabilities
    log-loss, brier                                                of the probabilities themselves; lower is better

Regressions, the mean over a target's numbers: r2; and, lower is better, mae, rmse, mse, medae, mape (a fraction).

Values come from scikit-learn. What is not defined on some examples (`undefined` says why) has the value None,
never NaN. A class nobody belongs to and nobody is said to belong to is left out of a mean.

Intervals are percentiles of a bootstrap. It draws for labels from the confusion matrix (the same distribution as
drawing examples, and its cost does not grow with n), for the others from the examples themselves; of many only some
(`MOST`, `NUMBERS`), and the interval is then narrowed by the square root of their share (Bickel, Götze and van Zwet
1997). Examples are taken to be independent, which the pixels of an image are not; below some 30 examples any such
interval is too narrow.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammatune.errors import InvalidArgument

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]

RESAMPLES = 1_000
FEWER = 200  # resamples where there are more than WIDE classes or numbers a target
WIDE = 20
LEVEL = 0.95
MOST = (
    10_000  # examples that are resampled, and fewer where there are many columns (guess: some seconds' work)
)
NUMBERS = 20_000  # examples times columns
LEAST = 1_000  # examples, however many columns there are
MANY = 100  # columns; beyond it what needs a pass for each of them is measured only where it is asked for
CHUNK = 2_000_000  # numbers held at once
ROUNDING = 1e-12  # relative: of a sum of squares that is a difference
NOTHING = 0.1  # of what there is to gain over a constant answer: a lead of less is as good as none (guess)
IMBALANCED = 5.0  # the largest class over the smallest, from which it is said (guess)


@dataclass(frozen=True, slots=True)
class Measure:
    """A value, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


Learnt: TypeAlias = Literal["something", "nothing", "untold"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of n examples.

    targets: (n,) codes from 0, or (n, t) numbers. said: labels (n,), or numbers (n, t). classes: k; 0 for a
    regression. probabilities: (n, k), rows that sum to 1; None where nobody kept them. spread: how far the nets of
    an ensemble are apart, (n,) of classes, (n, t) of numbers (`engine.ensemble.Ensemble.spread`); None of one net.
    """

    targets: NDArray[Any]
    said: NDArray[Any]
    classes: int = 0
    probabilities: NDArray[Any] | None = None
    spread: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def is_finite(self) -> bool:
        held = self.said if self.probabilities is None else self.probabilities
        return bool(np.isfinite(held).all())

    def scaled(self, mean: ArrayLike, std: ArrayLike) -> "Answers":
        """A regression in another unit: x std + mean, each of (t,) or one number."""
        mean, std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
        spread = None if self.spread is None else self.spread * std
        return replace(self, targets=self.targets * std + mean, said=self.said * std + mean, spread=spread)

    def some(self, places: NDArray[np.intp]) -> "Answers":
        probabilities = None if self.probabilities is None else self.probabilities[places]
        spread = None if self.spread is None else self.spread[places]
        return replace(
            self,
            targets=self.targets[places],
            said=self.said[places],
            probabilities=probabilities,
            spread=spread,
        )


MetricName: TypeAlias = Literal[
    "accuracy", "balanced-accuracy", "f1", "precision", "recall", "mcc", "auc", "average-precision", "log-loss",
    "brier", "r2", "mae", "rmse", "mse", "medae", "mape",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a measure is taken.

    needs: "labels", "probabilities" or "numbers". higher: whether more is better. low, high: what it can be.
    value: of `Answers` on which it is defined. resampled: (Answers, w) -> (b,), NaN where a resample leaves it
    undefined; of labels (cells, w) -> (b,), where `cells` are the (true, said) of w's columns.
    """

    name: MetricName
    needs: str
    higher: bool
    low: float
    high: float
    value: Callable[[Answers], float]
    resampled: Callable[[Any, Counts], Floats]

    @property
    def task(self) -> str:
        return "regression" if self.needs == "numbers" else "classification"


# Asked for ------------------------------------------------------------------------------------------------


def recipe(name: str, task: str | None = None) -> Recipe:
    """The measure called `name` ("roc_auc" and the like are understood).

    task: "classification" or "regression", which it must then be for. Raises InvalidArgument.
    """
    asked = str(name).lower().replace("_", "-").replace(" ", "-")
    asked = ALIASES.get(asked, asked)
    choice = [known for known, held in RECIPES.items() if task in (None, held.task)]
    if asked not in RECIPES:
        close = difflib.get_close_matches(asked, choice, 1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise InvalidArgument(f"metric={name!r} is not known{meant}; choose one of {', '.join(choice)}")
    found = RECIPES[asked]
    if task is not None and found.task != task:
        raise InvalidArgument(
            f"metric={name!r} measures a {found.task}, and this is a {task}; choose one of {', '.join(choice)}"
        )
    return found


def undefined(name: str, answers: Answers) -> str | None:
    """Why the measure has no value on these examples, in a sentence; None where it has one."""
    found = RECIPES[name]
    if not len(answers):
        return f"{name} has no value: there is no example"
    if found.needs == "probabilities" and answers.probabilities is None:
        return f"{name} has no value: the probabilities were too many to be kept"
    if not answers.is_finite:
        return f"{name} has no value: the outputs are not all finite"
    if name in ("auc", "average-precision"):
        present = np.unique(answers.targets)
        if len(present) == 1 and (name == "auc" or present[0] != 1 or answers.classes != 2):
            return f"{name} has no value: all {len(answers)} examples belong to class {present[0]}"
    if name == "mape" and bool((answers.targets == 0).any()):
        return "mape has no value: it divides by the target, and some targets are 0"
    return None


def value(name: str, answers: Answers) -> float | None:
    """The measure on these examples; None where it is `undefined`."""
    return None if undefined(name, answers) else float(RECIPES[name].value(answers))


def relevant(answers: Answers) -> list[str]:
    """The measures that a report on these examples holds."""
    task = "classification" if answers.classes else "regression"
    names = [name for name, held in RECIPES.items() if held.task == task]
    columns = _columns(answers)
    return [name for name in names if columns <= MANY or name not in ("auc", "average-precision", "medae")]


def measured(
    names: Sequence[str], answers: Answers, rng: np.random.Generator
) -> tuple[dict[str, Measure], list[str]]:
    """The measures with their intervals, in the order asked for; and a sentence for each that has no value."""
    reasons = {name: undefined(name, answers) for name in names}
    defined = [name for name in names if reasons[name] is None]
    values = {name: float(RECIPES[name].value(answers)) for name in defined}
    labels = [name for name in defined if RECIPES[name].needs == "labels"]
    others = [name for name in defined if name not in labels]
    found = _of_labels(labels, answers, values, rng) | _of_examples(others, answers, values, rng)
    found = {name: _not_surer(measure, RECIPES[name], len(answers)) for name, measure in found.items()}
    return {name: found[name] for name in defined}, [reason for reason in reasons.values() if reason]


def _not_surer(measure: Measure, found: Recipe, n: int) -> Measure:
    """Where nothing is wrong every resample is perfect too, and an interval of no width promises too much.

    None wrong among n leaves an error of 3 / n possible at 95 % ("rule of three", Hanley and Lippman-Hand 1983); of
    measures other than the accuracy that is a guess.
    """
    if found.higher and found.high == 1 and measure.low == measure.high:
        if measure.low == 1:
            return replace(measure, low=max(found.low, 1 - 3 / n))
        if measure.high == found.low:  # all wrong
            return replace(measure, high=min(1.0, found.low + 3 / n))
    return measure


def difference(name: str, one: Answers, other: Answers, rng: np.random.Generator) -> Measure | None:
    """one - other on the same examples, in the same order, with an interval; None where either is `undefined`.

    Every resample holds the same examples for both, so that what makes examples hard for both cancels.
    """
    if undefined(name, one) or undefined(name, other):
        return None
    found = float(RECIPES[name].value(one)) - float(RECIPES[name].value(other))
    n, m = len(one), _resampled_of(one)
    places = np.arange(n) if m == n else np.sort(rng.choice(n, m, replace=False))
    one, other = one.some(places), other.some(places)
    middle = found
    if m < n:
        here = value(name, one), value(name, other)
        middle = found if here[0] is None or here[1] is None else here[0] - here[1]
    drawn = [
        _of_resamples(name, one, w) - _of_resamples(name, other, w)
        for w in _drawn(m, rng, _resamples_of(one))
    ]
    low, high = _percentiles(np.concatenate(drawn), found, middle, m / n)
    return Measure(found, low, high)


class Resampled:
    """A measure of the same resamples of the same examples, for many answers to them.

    base: of the answers it is made with, (b,).
    """

    def __init__(self, name: str, answers: Answers, rng: np.random.Generator, resamples: int = FEWER) -> None:
        self._name, self._n, m = name, len(answers), _resampled_of(answers)
        self._places = None if m == self._n else np.sort(rng.choice(self._n, m, replace=False))
        self._w = list(_drawn(m, rng, resamples))
        self._share = m / self._n
        self.base = self(answers)

    def __call__(self, answers: Answers) -> Floats:
        held = answers if self._places is None else answers.some(self._places)
        return np.concatenate([_of_resamples(self._name, held, w) for w in self._w])

    def ends(self, drawn: Floats, found: float) -> tuple[float, float]:
        """The 95 % interval of what is `found` on all examples and `drawn` on the resamples."""
        middle = found if self._share == 1 else float(np.nanmean(drawn))
        return _percentiles(drawn, found, middle, self._share)


def learnt(name: str, constant: float, lead: Measure, n: int) -> Learnt:
    """Whether a model knows more than a constant answer does, as far as n examples can tell.

    name: of the measure. constant: its value where the answer is always the same. lead: by how much the model is
    better, positive where it is, with its interval.
    "something": ahead by more than chance. "nothing": the interval leaves it no more than a tenth of what there is to
    gain (NOTHING). "untold": neither, as on a dozen examples. Where nothing differs in any resample, three in n may
    (see `_not_surer`).
    """
    held = RECIPES[name]
    room = abs((held.high if held.higher else held.low) - constant)
    low, high = lead.low, lead.high
    if low == high:
        unseen = 3 / n * (1.0 if np.isfinite(held.high - held.low) else room)
        low, high = low - unseen, high + unseen
    return "something" if low > 0 else "nothing" if high <= NOTHING * room else "untold"


def imbalance(counts: Sequence[int], names: Sequence[Any] | None = None) -> str | None:
    """A sentence where the largest class has more than five times the examples of the smallest; else None.

    counts: of the training examples, class 0 first; a class without any is left out. names: of the classes.
    """
    said = [str(name) for name in (range(len(counts)) if names is None else names)]
    held = sorted(((int(count), said[code]) for code, count in enumerate(counts) if count), reverse=True)
    if len(held) < 2 or held[0][0] <= IMBALANCED * held[-1][0]:
        return None
    shown = [held[0], held[-1]] if len(held) > 4 else held
    listed = ", ".join(f"{count} of class {name}" for count, name in shown)
    return (
        f"The classes are unequal: {listed}{' (the smallest)' if len(held) > 4 else ''}. Accuracy says little of the "
        "small ones; ask for another measure (--metric balanced-accuracy, f1 or average-precision; metric= in "
        "Python) or weigh the classes (--class-weights balanced; class_weights=)."
    )


# Values ---------------------------------------------------------------------------------------------------


def _labels(function: Callable[..., Any]) -> Callable[[Answers], float]:
    """A function of scikit-learn's over the cells of the confusion matrix, each weighed by its examples."""

    def of(answers: Answers) -> float:
        (true, said), counts = cells_of(answers)
        return float(function(true, said, counts, answers.classes))

    return of


def cells_of(answers: Answers) -> tuple[tuple[Counts, Counts], Counts]:
    """The cells of the confusion matrix that are not empty: (true, said), and their counts."""
    pairs = answers.targets.astype(np.int64) * answers.classes + answers.said.astype(np.int64)
    codes, counts = np.unique(pairs, return_counts=True)
    return (codes // answers.classes, codes % answers.classes), counts.astype(np.int64)


def _accuracy(true: Counts, said: Counts, weight: Counts, k: int) -> Any:
    from sklearn.metrics import accuracy_score

    return accuracy_score(true, said, sample_weight=weight)


def _balanced(true: Counts, said: Counts, weight: Counts, k: int) -> Any:
    from sklearn.metrics import recall_score

    # `balanced_accuracy_score` warns of a class that is said and never true
    return recall_score(
        true, said, labels=np.unique(true), average="macro", sample_weight=weight, zero_division=0
    )


def _precision_recall(which: str) -> Callable[[Counts, Counts, Counts, int], Any]:
    def score(true: Counts, said: Counts, weight: Counts, k: int) -> Any:
        from sklearn import metrics

        function = getattr(metrics, f"{which}_score")
        if k == 2:
            return function(true, said, labels=[1], average="macro", sample_weight=weight, zero_division=0)
        return function(true, said, average="macro", sample_weight=weight, zero_division=0)

    return score


def _mcc(true: Counts, said: Counts, weight: Counts, k: int) -> Any:
    from sklearn.metrics import matthews_corrcoef

    if np.unique(np.concatenate([true, said])).size == 1:
        return 0.0  # scikit-learn says so too, and warns
    return matthews_corrcoef(true, said, sample_weight=weight)


def _against_the_rest(which: str) -> Callable[[Answers], float]:
    """The mean over the classes present of one against the rest; of two classes that of class 1."""

    def of(answers: Answers) -> float:
        from sklearn import metrics

        assert answers.probabilities is not None
        function = getattr(metrics, f"{which}_score")
        return float(
            np.mean([function(answers.targets == c, answers.probabilities[:, c]) for c in _sides(answers)])
        )

    return of


def _sides(answers: Answers) -> list[int]:
    """The classes that are held against the rest."""
    if answers.classes == 2:
        return [1]
    return [int(c) for c in np.unique(answers.targets)]


def _log_loss(answers: Answers) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(answers.targets, _sound(answers), labels=np.arange(answers.classes)))


def _sound(answers: Answers) -> Floats:
    """Probabilities in double precision, whose rows sum to 1."""
    assert answers.probabilities is not None
    p = answers.probabilities.astype(np.float64)
    total = p.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(p, total, out=np.full_like(p, 1 / p.shape[1]), where=total > 0))


def _brier(answers: Answers) -> float:
    return float(np.mean(_brier_of_each(answers)))


def _brier_of_each(answers: Answers) -> Floats:
    """(p(1) - y)^2 of two classes, in [0, 1]; of more the sum over all of them, in [0, 2] (Brier 1950)."""
    p = _sound(answers)
    if answers.classes == 2:
        return np.asarray((p[:, 1] - answers.targets) ** 2)
    true = p[np.arange(len(p)), answers.targets]
    return np.asarray((p**2).sum(axis=1) - true**2 + (1 - true) ** 2)


def _log_loss_of_each(answers: Answers) -> Floats:
    p = _sound(answers)[np.arange(len(answers)), answers.targets]
    return np.asarray(-np.log(np.clip(p, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)))


def _numbers(function: str) -> Callable[[Answers], float]:
    def of(answers: Answers) -> float:
        from sklearn import metrics

        with np.errstate(over="ignore"):
            return float(getattr(metrics, function)(answers.targets, answers.said))

    return of


def _r2(answers: Answers) -> float:
    from sklearn.metrics import r2_score

    if len(answers) == 1:  # scikit-learn leaves it undefined, with a warning; as in `metrics.regression`
        return float(np.mean(answers.targets == answers.said))
    return float(r2_score(answers.targets, answers.said))


# Resampled ------------------------------------------------------------------------------------------------


def _of_labels(
    names: Sequence[str], answers: Answers, values: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Measure]:
    if not names:
        return {}
    (true, said), counts = cells_of(answers)
    cells = _Cells(true, said, answers.classes)
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for size in _chunks(RESAMPLES, max(len(counts), answers.classes)):
        w = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=size)
        for name in names:
            drawn[name].append(RECIPES[name].resampled(cells, w))
    return {name: _interval(name, values[name], np.concatenate(drawn[name])) for name in names}


def _of_examples(
    names: Sequence[str], answers: Answers, values: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Measure]:
    if not names:
        return {}
    n, m = len(answers), _resampled_of(answers)
    middle = values
    if m < n:
        answers = answers.some(np.sort(rng.choice(n, m, replace=False)))
        known = {name: value(name, answers) for name in names}
        # a class that is rare enough may be left out altogether; the interval is then that of the rest
        middle = {name: values[name] if (v := known[name]) is None else v for name in names}
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for w in _drawn(m, rng, _resamples_of(answers)):
        for name in names:
            drawn[name].append(RECIPES[name].resampled(answers, w))
    return {
        name: _interval(name, values[name], np.concatenate(drawn[name]), middle[name], m / n)
        for name in names
    }


def _columns(answers: Answers) -> int:
    return answers.classes or int(np.prod(answers.targets.shape[1:]))


def _resampled_of(answers: Answers) -> int:
    """How many of the examples are resampled."""
    return min(len(answers), MOST, max(LEAST, NUMBERS // _columns(answers)))


def _resamples_of(answers: Answers) -> int:
    return RESAMPLES if _columns(answers) <= WIDE else FEWER


def _drawn(m: int, rng: np.random.Generator, resamples: int) -> Iterator[Counts]:
    """w, (b, m), of resamples of m examples; some at a time."""
    for size in _chunks(resamples, m):
        places = rng.integers(m, size=(size, m)) + m * np.arange(size)[:, None]
        yield np.bincount(places.ravel(), minlength=size * m).reshape(size, m)


def _of_resamples(name: str, answers: Answers, w: Counts) -> Floats:
    """The measure of resamples of examples, (b,), whatever it needs."""
    if RECIPES[name].needs != "labels":
        return RECIPES[name].resampled(answers, w)
    from scipy.sparse import csr_array

    pairs = answers.targets.astype(np.int64) * answers.classes + answers.said.astype(np.int64)
    codes, place = np.unique(pairs, return_inverse=True)
    into = csr_array((np.ones(len(place)), (place, np.arange(len(place)))), shape=(len(codes), len(place)))
    cells = _Cells(codes // answers.classes, codes % answers.classes, answers.classes)
    return RECIPES[name].resampled(cells, np.asarray(into @ w.T).T)


def _chunks(resamples: int, width: int) -> list[int]:
    most = max(1, CHUNK // width)
    return [min(most, resamples - done) for done in range(0, resamples, most)]


def _percentiles(drawn: Floats, found: float, middle: float, share: float) -> tuple[float, float]:
    """middle: the value on the `share` of the examples that was resampled."""
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size:
        return found, found
    tail = 50 * (1 - LEVEL)
    low, high = (float(q) for q in np.percentile(drawn, [tail, 100 - tail]))
    if share == 1:
        return low, high
    return found + (low - middle) * share**0.5, found + (high - middle) * share**0.5


def _interval(
    name: str, found: float, drawn: Floats, middle: float | None = None, share: float = 1.0
) -> Measure:
    held = RECIPES[name]
    low, high = _percentiles(drawn, found, found if middle is None else middle, share)
    return Measure(found, min(max(low, held.low), held.high), min(max(high, held.low), held.high))


class _Cells:
    """The cells of a confusion matrix, and sums of their counts over it."""

    def __init__(self, true: Counts, said: Counts, k: int) -> None:
        from scipy.sparse import csr_array

        every, one = np.arange(len(true)), np.ones(len(true))
        self.k = k
        self._right = true == said
        self._rows = csr_array((one, (true, every)), shape=(k, len(true)))
        self._columns = csr_array((one, (said, every)), shape=(k, len(true)))
        self._diagonal = csr_array((self._right.astype(float), (true, every)), shape=(k, len(true)))

    def sums(self, w: Counts) -> tuple[Floats, Floats, Floats]:
        """Of each class: right answers, examples, answers; each (b, k)."""
        counts = w.T.astype(float)
        return tuple(np.asarray(matrix @ counts).T for matrix in (self._diagonal, self._rows, self._columns))  # type: ignore[return-value]

    def right(self, w: Counts) -> Floats:
        return np.asarray(w[:, self._right].sum(axis=1), dtype=np.float64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """0 where nothing is divided by nothing."""
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def _mean_where(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Over the classes; NaN where there is none."""
    count = where.sum(axis=1)
    total = np.where(where, values, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0))


def _some_accuracy(cells: _Cells, w: Counts) -> Floats:
    return np.asarray(cells.right(w) / w.sum(axis=1))


def _some_balanced(cells: _Cells, w: Counts) -> Floats:
    right, true, _ = cells.sums(w)
    return _mean_where(_ratio(right, true), true > 0)


def _some_precision_recall(true_part: float, said_part: float) -> Callable[[_Cells, Counts], Floats]:
    """Right answers over a weighted mean of examples and answers: recall (1, 0), precision (0, 1), f1 (1/2, 1/2)."""

    def of(cells: _Cells, w: Counts) -> Floats:
        right, true, said = cells.sums(w)
        scores = _ratio(right, true_part * true + said_part * said)
        return scores[:, 1] if cells.k == 2 else _mean_where(scores, (true > 0) | (said > 0))

    return of


def _some_mcc(cells: _Cells, w: Counts) -> Floats:
    """R_K of Gorodkin (2004)."""
    right, true, said = cells.sums(w)
    n = w.sum(axis=1).astype(float)
    over = right.sum(axis=1) * n - (true * said).sum(axis=1)
    under = (n**2 - (true**2).sum(axis=1)) * (n**2 - (said**2).sum(axis=1))
    return _ratio(over, np.sqrt(under))


def _some_auc(answers: Answers, w: Counts) -> Floats:
    def of(positive: Floats, negative: Floats) -> Floats:
        below = negative.cumsum(axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        won = (positive * below).sum(axis=1)
        return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0))

    return _each_side(answers, w, of)


def _some_average_precision(answers: Answers, w: Counts) -> Floats:
    def of(positive: Floats, negative: Floats) -> Floats:
        found = positive[:, ::-1].cumsum(axis=1)
        called = found + negative[:, ::-1].cumsum(axis=1)
        precision = _ratio(found, called)
        all_ = positive.sum(axis=1)
        total = (precision * positive[:, ::-1]).sum(axis=1)
        return np.asarray(np.divide(total, all_, out=np.full(len(total), np.nan), where=all_ > 0))

    return _each_side(answers, w, of)


def _each_side(answers: Answers, w: Counts, of: Callable[[Floats, Floats], Floats]) -> Floats:
    """The mean over one class against the rest. of: what (positive, negative) counts at rising probabilities give."""
    assert answers.probabilities is not None
    columns, weights = [], w.astype(np.float64)
    for c in _sides(answers):
        scores = answers.probabilities[:, c]
        order = np.argsort(scores, kind="stable")
        steps = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
        drawn = np.take(weights, order, axis=1)
        positive = drawn * (answers.targets == c)[order]
        if len(steps) < len(order):  # some are tied
            drawn, positive = (np.add.reduceat(part, steps, axis=1) for part in (drawn, positive))
        columns.append(of(positive, drawn - positive))
    found = np.stack(columns, axis=1)
    return _mean_where(found, np.isfinite(found))


def _mean_of(each: Callable[[Answers], Floats]) -> Callable[[Answers, Counts], Floats]:
    """The mean of a number that each example has."""

    def of(answers: Answers, w: Counts) -> Floats:
        return np.asarray(w @ each(answers) / w.sum(axis=1))

    return of


def _errors(answers: Answers) -> Floats:
    """(n, t)"""
    return np.asarray(answers.said - answers.targets).reshape(len(answers), -1)


def _some_rmse(answers: Answers, w: Counts) -> Floats:
    return np.asarray(np.sqrt(w @ _errors(answers) ** 2 / w.sum(axis=1, keepdims=True)).mean(axis=1))


def _some_medae(answers: Answers, w: Counts) -> Floats:
    total = w.sum(axis=1)
    columns = []
    for errors in np.abs(_errors(answers)).T:
        order = np.argsort(errors)
        along = w[:, order].cumsum(axis=1)
        middle = [
            errors[order][(along > place[:, None]).argmax(axis=1)] for place in ((total - 1) // 2, total // 2)
        ]
        columns.append((middle[0] + middle[1]) / 2)
    return np.asarray(np.mean(columns, axis=0))


def _some_r2(answers: Answers, w: Counts) -> Floats:
    centred = (answers.targets - answers.targets.mean(axis=0)).reshape(len(answers), -1)
    n = w.sum(axis=1, keepdims=True)
    residual = w @ _errors(answers) ** 2
    squares = w @ centred**2
    total = squares - (w @ centred) ** 2 / n
    total[total < ROUNDING * squares] = 0  # one example drawn again and again
    constant = (residual == 0).astype(float)  # as scikit-learn has it
    return np.asarray(
        np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), constant).mean(axis=1)
    )


# All of them ----------------------------------------------------------------------------------------------

_INF = float("inf")
RECIPES: Mapping[str, Recipe] = {
    held.name: held
    for held in (
        Recipe("accuracy", "labels", True, 0, 1, _labels(_accuracy), _some_accuracy),
        Recipe("balanced-accuracy", "labels", True, 0, 1, _labels(_balanced), _some_balanced),
        Recipe(
            "f1", "labels", True, 0, 1, _labels(_precision_recall("f1")), _some_precision_recall(0.5, 0.5)
        ),
        Recipe(
            "precision",
            *("labels", True, 0, 1),
            _labels(_precision_recall("precision")),
            _some_precision_recall(0, 1),
        ),
        Recipe(
            "recall", "labels", True, 0, 1, _labels(_precision_recall("recall")), _some_precision_recall(1, 0)
        ),
        Recipe("mcc", "labels", True, -1, 1, _labels(_mcc), _some_mcc),
        Recipe("auc", "probabilities", True, 0, 1, _against_the_rest("roc_auc"), _some_auc),
        Recipe(
            "average-precision",
            *("probabilities", True, 0, 1),
            _against_the_rest("average_precision"),
            _some_average_precision,
        ),
        Recipe("log-loss", "probabilities", False, 0, _INF, _log_loss, _mean_of(_log_loss_of_each)),
        Recipe("brier", "probabilities", False, 0, 2, _brier, _mean_of(_brier_of_each)),
        Recipe("r2", "numbers", True, -_INF, 1, _r2, _some_r2),
        Recipe(
            "mae",
            *("numbers", False, 0, _INF),
            _numbers("mean_absolute_error"),
            _mean_of(lambda a: np.abs(_errors(a)).mean(axis=1)),
        ),
        Recipe("rmse", "numbers", False, 0, _INF, _numbers("root_mean_squared_error"), _some_rmse),
        Recipe(
            "mse",
            *("numbers", False, 0, _INF),
            _numbers("mean_squared_error"),
            _mean_of(lambda a: (_errors(a) ** 2).mean(axis=1)),
        ),
        Recipe("medae", "numbers", False, 0, _INF, _numbers("median_absolute_error"), _some_medae),
        Recipe(
            "mape",
            *("numbers", False, 0, _INF),
            _numbers("mean_absolute_percentage_error"),
            _mean_of(lambda a: (np.abs(_errors(a)) / np.abs(a.targets).reshape(len(a), -1)).mean(axis=1)),
        ),
    )
}

ALIASES = {
    "roc-auc": "auc", "auroc": "auc", "ap": "average-precision", "pr-auc": "average-precision", "acc": "accuracy",
    "balanced": "balanced-accuracy", "bacc": "balanced-accuracy", "f1-macro": "f1", "f1-score": "f1",
    "logloss": "log-loss", "cross-entropy": "log-loss", "brier-score": "brier", "sensitivity": "recall",
    "mean-absolute-error": "mae", "mean-squared-error": "mse", "root-mean-squared-error": "rmse",
    "median-absolute-error": "medae", "mean-absolute-percentage-error": "mape", "r-squared": "r2", "r²": "r2",
}  # fmt: skip
