"""95 % bootstrap intervals: of measures, and of the difference of two models on the same examples.

Intervals are percentiles of a bootstrap. It draws for labels from the confusion matrix (the same distribution as
drawing examples, and its cost does not grow with n), for the others from the examples themselves; of many only some
(`MOST`, `NUMBERS`), and the interval is then narrowed by the square root of their share (Bickel, Götze and van Zwet
1997). Examples are taken to be independent, which the pixels of an image are not; below some 30 examples any such
interval is too narrow.

    n   examples; m   of them that are resampled         b   resamples
    w   how often a resample holds each example (or each cell of the confusion matrix), (b, m), times its weight

Examples that weigh differently are drawn like others and carry their weights with them, labels too: the weights are
taken as given, so that the interval is that of who is in the sample, not of how the weights were made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from gammatune.metrics.catalogue import METRICS, MetricSpec, undefined, value
from gammatune.metrics.predictions import Answers, Counts, Floats, cells_of

RESAMPLES = 1_000
FEWER = 200  # resamples where there are more than WIDE classes or numbers a target
WIDE = 20
LEVEL = 0.95
# Examples that are resampled, and fewer where there are many columns (guess: some seconds' work).
MOST = 10_000
NUMBERS = 20_000  # examples times columns
LEAST = 1_000  # examples, however many columns there are
CHUNK = 2_000_000  # numbers held at once
NOTHING = 0.1  # of what there is to gain over a constant answer: a lead of less is as good as none (guess)


@dataclass(frozen=True, slots=True)
class Measure:
    """A value, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


Learnt: TypeAlias = Literal["something", "nothing", "untold"]


def measured(
    names: Sequence[str], answers: Answers, rng: np.random.Generator
) -> tuple[dict[str, Measure], list[str]]:
    """The measures with their intervals, in the order asked for; and a sentence for each that has no value."""
    answers = answers.weighing()
    reasons = {name: undefined(name, answers) for name in names}
    defined = [name for name in names if reasons[name] is None]
    values = {name: METRICS[name].value(answers) for name in defined}
    is_weighted = answers.counted is not None
    labels = [name for name in defined if METRICS[name].is_of_cells(answers) and not is_weighted]
    others = [name for name in defined if name not in labels]
    found = _of_labels(labels, answers, values, rng) | _of_examples(others, answers, values, rng)
    found = {name: _not_surer(measure, METRICS[name], answers.effective) for name, measure in found.items()}
    return {name: found[name] for name in defined}, [reason for reason in reasons.values() if reason]


def _not_surer(measure: Measure, spec: MetricSpec, n: float) -> Measure:
    """Where nothing is wrong every resample is perfect too, and an interval of no width promises too much.

    None wrong among n leaves an error of 3 / n possible at 95 % ("rule of three", Hanley and Lippman-Hand 1983); of
    measures other than the accuracy that is a guess.
    """
    least, most = spec.range
    if spec.higher_is_better and most == 1 and measure.low == measure.high:
        if measure.low == 1:
            return replace(measure, low=max(least, 1 - 3 / n))
        if measure.high == least:  # all wrong
            return replace(measure, high=min(1.0, least + 3 / n))
    return measure


def difference(name: str, one: Answers, other: Answers, rng: np.random.Generator) -> Measure | None:
    """one - other on the same examples, in the same order, with an interval; None where either is `undefined`.

    Every resample holds the same examples for both, so that what makes examples hard for both cancels.
    """
    if undefined(name, one) or undefined(name, other):
        return None
    found = METRICS[name].value(one) - METRICS[name].value(other)
    one, other = one.weighing(), other.weighing()
    n, m = len(one), _resampled_of(one)
    places = np.arange(n) if m == n else np.sort(rng.choice(n, m, replace=False))
    one, other = one.some(places), other.some(places)
    middle = found
    if m < n:
        here = value(name, one), value(name, other)
        middle = found if here[0] is None or here[1] is None else here[0] - here[1]
    drawn = [
        _of_resamples(name, one, w) - _of_resamples(name, other, w)
        for w in _drawn(one, rng, _resamples_of(one))
    ]
    low, high = _percentiles(np.concatenate(drawn), found, middle, m / n)
    return Measure(found, low, high)


def lead(metric: str, one: Answers, other: Answers, rng: np.random.Generator) -> Measure | None:
    """By how much `one` is better, with its 95 % interval, whichever way the measure goes; None without a value."""
    gap = difference(metric, one, other, rng)
    if gap is None or METRICS[metric].higher_is_better:
        return gap
    return Measure(-gap.value, -gap.high, -gap.low)


class Resampled:
    """A measure of the same resamples of the same examples, for many answers to them.

    base: of the answers it is made with, (b,).
    """

    def __init__(self, name: str, answers: Answers, rng: np.random.Generator, resamples: int = FEWER) -> None:
        w = answers.weights
        places = np.arange(len(answers)) if w is None else np.flatnonzero(w > 0)
        n, m = len(places), _resampled_of(answers.some(places))
        if m < n:
            places = places[np.sort(rng.choice(n, m, replace=False))]
        self._name, self._share = name, m / n
        self._places = None if m == len(answers) else places
        self._w = list(_drawn(answers.some(places), rng, resamples))
        self.base = self(answers)

    def __call__(self, answers: Answers) -> Floats:
        held = answers if self._places is None else answers.some(self._places)
        return np.concatenate([_of_resamples(self._name, held, w) for w in self._w])

    def ends(self, drawn: Floats, found: float) -> tuple[float, float]:
        """The 95 % interval of what is `found` on all examples and `drawn` on the resamples."""
        middle = found if self._share == 1 else float(np.nanmean(drawn))
        return _percentiles(drawn, found, middle, self._share)


def learnt(name: str, constant: float, lead: Measure, n: float) -> Learnt:
    """Whether a model knows more than a constant answer does, as far as n examples can tell (`Answers.effective`).

    name: of the measure. constant: its value where the answer is always the same. lead: by how much the model is
    better, positive where it is, with its interval.
    "something": ahead by more than chance. "nothing": the interval leaves it no more than a tenth of what there is to
    gain (NOTHING). "untold": neither, as on a dozen examples. Where nothing differs in any resample, three in n may
    (see `_not_surer`).
    """
    spec = METRICS[name]
    least, most = spec.range
    room = abs((most if spec.higher_is_better else least) - constant)
    low, high = lead.low, lead.high
    if low == high:
        unseen = 3 / n * (1.0 if np.isfinite(most - least) else room)
        low, high = low - unseen, high + unseen
    return "something" if low > 0 else "nothing" if high <= NOTHING * room else "untold"


# Resampled ------------------------------------------------------------------------------------------------


def _of_labels(
    names: Sequence[str], answers: Answers, values: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Measure]:
    if not names:
        return {}
    cells, counts, _ = cells_of(answers)
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for size in _chunks(RESAMPLES, max(len(counts), answers.classes)):
        w = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=size)
        for name in names:
            drawn[name].append(METRICS[name].resampled(cells, w))
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
    for w in _drawn(answers, rng, _resamples_of(answers)):
        for name in names:
            drawn[name].append(_of_resamples(name, answers, w))
    return {
        name: _interval(name, values[name], np.concatenate(drawn[name]), middle[name], m / n)
        for name in names
    }


def _resampled_of(answers: Answers) -> int:
    """How many of the examples are resampled."""
    return min(len(answers), MOST, max(LEAST, NUMBERS // answers.columns))


def _resamples_of(answers: Answers) -> int:
    return RESAMPLES if answers.columns <= WIDE else FEWER


def _drawn(answers: Answers, rng: np.random.Generator, resamples: int) -> Iterator[Counts]:
    """w, (b, m), of resamples of m examples, each of which weighs something; some at a time."""
    m, weights = len(answers), answers.counted
    for size in _chunks(resamples, m):
        places = rng.integers(m, size=(size, m)) + m * np.arange(size)[:, None]
        w = np.bincount(places.ravel(), minlength=size * m).reshape(size, m)
        yield w if weights is None else w * weights


def _of_resamples(name: str, answers: Answers, w: Counts) -> Floats:
    """The measure of resamples of examples, (b,), whatever it needs."""
    if not METRICS[name].is_of_cells(answers):
        return METRICS[name].resampled(answers, w)
    from scipy.sparse import csr_array

    cells, counts, place = cells_of(answers)
    into = csr_array((np.ones(len(place)), (place, np.arange(len(place)))), shape=(len(counts), len(place)))
    return METRICS[name].resampled(cells, np.asarray(into @ w.T).T)


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
    least, most = METRICS[name].range
    low, high = _percentiles(drawn, found, found if middle is None else middle, share)
    return Measure(found, min(max(low, least), most), min(max(high, least), most))
