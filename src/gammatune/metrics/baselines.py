"""What else could be had: a network held against gradient-boosted trees, and against knowing nothing.

scikit-learn's HistGradientBoosting is trained on the same examples for a few seconds, the number of its trees chosen
on the examples the network was selected by, and both are measured on the examples that are reported on. The
difference is paired: every resample holds the same examples for both. How far the trees get in their time depends on
the machine.
"""

import time as clock
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammatune.errors import InvalidArgument
from gammatune.metrics.bootstrap import Measure, difference, learnt, measured
from gammatune.metrics.catalogue import METRICS, recipe, undefined, value
from gammatune.metrics.predictions import Answers
from gammatune.seeds import stream

Part: TypeAlias = tuple[ArrayLike, ArrayLike]  # inputs (n, d), NaN where missing; targets

SECONDS = 5.0
RANKS = 0.7  # of the auc, from which on a network has plainly learnt something [guess]
TREES = 1_000  # rounds of boosting at most
ROWS = 200_000  # training examples the trees are given at most (guess: some seconds for 50 columns)
FEW_COLUMNS = 32  # by which the time of the first trees is told where there are more (guess)
CATEGORIES = 255  # what HistGradientBoosting can tell apart in a column
TREES_NAME = "HistGradientBoosting"


@dataclass(frozen=True, slots=True)
class Rival:
    """value: of the metric on the report part. ahead, low, high: by how much it is better than the network, with
    a 95 % interval; negative where the network is. seconds: of training. rounds: of boosting; 0 for a baseline.
    hurried: the time was up before the trees were done. examples: that both were measured on; 0 in journals older
    than that."""

    name: str
    value: float
    ahead: float
    low: float
    high: float
    seconds: float
    rounds: int = 0
    hurried: bool = False
    examples: int = 0

    @property
    def lead(self) -> Measure:
        """Of the network, by how much it is better."""
        return Measure(-self.ahead, -self.high, -self.low)

    @property
    def is_better(self) -> bool:
        return self.low > 0

    @property
    def is_worse(self) -> bool:
        return self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """network: its value of the metric. said: what follows, in sentences. rivals: trees, then the baseline."""

    metric: str
    network: float | None
    rivals: tuple[Rival, ...]
    said: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    network: Answers,
    train: Part,
    select: Part,
    report: Part,
    *,
    categorical: Sequence[int] = (),
    metric: str | None = None,
    class_weights: str | Sequence[float] | None = None,
    target_scale: tuple[ArrayLike, ArrayLike] | None = None,
    seconds: float = SECONDS,
    seed: int = 0,
    subject: str = "network",
) -> Comparison:
    """Train the rivals and hold what the network said of the report part against what they say.

    network: what it said of the report part, in that order; `fit(extra=...)` is handed it. train, select, report:
    a table each and its targets, codes or numbers, as the network's. categorical: columns whose numbers are codes.
    metric: of `gammatune.metrics.catalogue`; accuracy or rmse where none is given. class_weights, target_scale: as in
    `fit`. seconds: for the training of the trees; where not even the first would be done by then, none is. subject:
    what the sentences call the network.
    Raises InvalidArgument where the parts do not fit together.
    """
    classes = network.classes
    parts = [_part(*one, name) for one, name in zip((train, select, report), PARTS, strict=True)]
    if len(parts[2][1]) != len(network):
        raise InvalidArgument(
            f"the network answered {len(network)} examples and the report part has {len(parts[2][1])}"
        )
    found = recipe(
        metric or ("accuracy" if classes else "rmse"), "classification" if classes else "regression"
    )
    scaled = network if target_scale is None else network.scaled(*target_scale)
    mine = value(found.name, scaled)
    if mine is None:
        why = f"The {subject} was not compared with other models: {undefined(found.name, scaled)}."
        return Comparison(found.name, None, (), (why,))
    rivals: list[Rival] = []
    said: list[str] = []
    for made in _made(parts, classes, categorical, class_weights, seconds, seed):
        if isinstance(made, str):
            said.append(made)
            continue
        name, answer, spent, rounds, hurried = made
        answers = _answers(answer, network)
        answers = answers if target_scale is None else answers.scaled(*target_scale)
        gap = difference(found.name, answers, scaled, stream(seed, "rivals", name))
        its = value(found.name, answers)
        if gap is None or its is None:
            said.append(f"{name} was not compared: {undefined(found.name, answers)}.")
            continue
        low, high = (gap.low, gap.high) if METRICS[found.name].higher_is_better else (-gap.high, -gap.low)
        ahead = gap.value if METRICS[found.name].higher_is_better else -gap.value
        rival = Rival(name, its, ahead, low, high, spent, rounds, hurried, len(network))
        rivals.append(rival)
        if sentence := _sentence(found.name, mine, rival, subject):
            said.append(sentence + _but_it_ranks(found.name, rival, scaled, stream(seed, "rivals", "auc")))
    return Comparison(found.name, mine, tuple(rivals), tuple(said))


PARTS = ("train", "select", "report")
Made: TypeAlias = tuple[str, NDArray[Any], float, int, bool]  # name, answers, seconds, rounds, hurried
Arrays: TypeAlias = tuple[NDArray[np.float64], NDArray[Any]]


def _part(x: ArrayLike, y: ArrayLike, name: str) -> Arrays:
    inputs, targets = np.asarray(x, dtype=np.float64), np.asarray(y)
    if inputs.ndim != 2 or len(inputs) != len(targets) or not len(inputs):
        raise InvalidArgument(
            f"the {name} part has inputs {inputs.shape} and targets {targets.shape}; give a table (n, d), and a "
            "target for each row"
        )
    return np.where(np.isfinite(inputs), inputs, np.nan), targets


def _made(
    parts: Sequence[Arrays],
    classes: int,
    categorical: Sequence[int],
    weights: Any,
    seconds: float,
    seed: int,
) -> Iterator[Made | str]:
    """What each rival says of the report part; or why there is none."""
    (x, y), (_, y_select), (x_report, _) = parts
    if classes and len(np.unique(y)) < 2:
        yield f"{TREES_NAME} was not tried: all training examples belong to one class."
    elif classes and not np.isin(y_select, y).any():
        yield f"{TREES_NAME} was not tried: no example to select by is of a class that it would know."
    elif (first := _first_trees(parts[0], classes)) > seconds:
        yield (
            f"{TREES_NAME} was not tried: its first trees alone take about {first:.2g} s, and {seconds:.2g} s "
            "were left for it."
        )
    else:
        told_apart = [c for c in categorical if len(np.unique(x[:, c])) <= CATEGORIES]
        yield _trees(parts, classes, told_apart, weights, seconds, seed)
    from sklearn.dummy import DummyClassifier, DummyRegressor

    started = clock.perf_counter()
    if classes:
        dummy = DummyClassifier(strategy="prior").fit(x[:, :1], y)
        answer = _every_class(dummy, dummy.predict_proba(x_report[:, :1]), classes)
        yield "the most frequent class", answer, clock.perf_counter() - started, 0, False
    else:
        dummy = DummyRegressor().fit(x[:, :1], y.reshape(len(y), -1))
        answer = dummy.predict(x_report[:, :1]).reshape(len(x_report), -1)
        yield "the mean", answer, clock.perf_counter() - started, 0, False


def _trees(
    parts: Sequence[Arrays], classes: int, categorical: Sequence[int], weights: Any, seconds: float, seed: int
) -> Made:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    (x, y), (x_select, y_select), (x_report, _) = parts
    started = clock.perf_counter()
    random = stream(seed, "rivals", "rows")
    if len(x) > ROWS:
        places = random.choice(len(x), ROWS, replace=False)
        x, y = x[places], y[places]

    def booster(kind: Any, **options: Any) -> Any:
        growing = {
            "categorical_features": list(categorical) or None,
            "warm_start": True,
            "early_stopping": True,
        }
        return kind(random_state=int(random.integers(2**31)), **growing, **options)

    if classes:
        weighed = weights if weights is None or isinstance(weights, str) else dict(enumerate(weights))
        model = booster(HistGradientBoostingClassifier, class_weight=weighed)
        known = np.isin(y_select, y)
        select = x_select[known], y_select[known].astype(np.int64)
        rounds, hurried = _grown(model, x, y.astype(np.int64), select, started + seconds)
        answer = _every_class(model, _at(model.staged_predict_proba(x_report), rounds), classes)
        return TREES_NAME, answer, clock.perf_counter() - started, rounds, hurried
    columns, most, late = [], 0, False
    targets = y.reshape(len(y), -1)
    chosen = np.asarray(y_select).reshape(len(y_select), -1)
    for place in range(targets.shape[1]):
        model, until = booster(HistGradientBoostingRegressor), seconds * (place + 1) / targets.shape[1]
        rounds, hurried = _grown(model, x, targets[:, place], (x_select, chosen[:, place]), started + until)
        columns.append(_at(model.staged_predict(x_report), rounds))
        most, late = max(most, rounds), late or hurried
    return TREES_NAME, np.stack(columns, axis=1), clock.perf_counter() - started, most, late


def _first_trees(train: Arrays, classes: int) -> float:
    """The seconds of one round of boosting, from one on a few of the columns; 0 where there are no more."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, y = train[0][:ROWS], train[1][:ROWS].reshape(len(train[1][:ROWS]), -1)
    if x.shape[1] <= FEW_COLUMNS:
        return 0.0
    started = clock.perf_counter()
    few = x[:, :FEW_COLUMNS]
    HistGradientBoostingRegressor(max_iter=1, early_stopping=False).fit(few, y[:, 0].astype(float))
    trees = classes if classes > 2 else y.shape[1]  # in a round
    return float((clock.perf_counter() - started) * trees * x.shape[1] / FEW_COLUMNS)


def _grown(model: Any, x: NDArray[Any], y: NDArray[Any], select: Arrays, until: float) -> tuple[int, bool]:
    """Twice as many trees each time, until scikit-learn finds that more of them only make it worse on `select`, or
    the time is up: the number of rounds that did best there, and whether it was."""
    rounds, pace, hurried = 0, 0.0, False
    while rounds < TREES:
        before = clock.perf_counter()
        affordable = int((until - before) / pace) if pace else TREES
        if hurried := affordable < 1:
            break
        more = min(max(1, rounds), affordable, TREES - rounds)
        model.set_params(max_iter=rounds + more).fit(x, y, X_val=select[0], y_val=select[1])
        pace = (clock.perf_counter() - before) / more
        rounds += more
        if model.n_iter_ < rounds:
            break
    return max(1, int(np.argmax(model.validation_score_))), hurried  # the first of which is without a tree


def _at(stages: Iterable[NDArray[Any]], rounds: int) -> NDArray[Any]:
    return next(said for done, said in enumerate(stages, start=1) if done == rounds)


def _every_class(model: Any, probabilities: NDArray[Any], classes: int) -> NDArray[Any]:
    """(n, classes): 0 for those it never met."""
    every = np.zeros((len(probabilities), classes))
    every[:, np.asarray(model.classes_, dtype=np.int64)] = probabilities
    return every


def _answers(said: NDArray[Any], network: Answers) -> Answers:
    if network.classes:
        return Answers(network.targets, said.argmax(axis=1), network.classes, said)
    return Answers(network.targets, said)


def _sentence(metric: str, mine: float, rival: Rival, subject: str) -> str | None:
    by = f"{abs(rival.ahead):.3g} [{_ends(rival)}]"
    if rival.name != TREES_NAME:
        return _beside_a_constant(metric, mine, rival, subject)
    # every draw of the bootstrap the same: one example, or so few that all of them tell alike
    alike = rival.low == rival.high != 0
    cut_off = ", cut off by the clock" if rival.hurried else ""
    reached = f"{metric} {rival.value:.3g} in {rival.seconds:.1f} s{cut_off}"
    if alike:
        return f"{TREES_NAME} reaches {reached}, the {subject} {mine:.3g}: too few examples to say which is better."
    if rival.is_better:
        return f"{TREES_NAME} reaches {reached}, {by} better than the {subject}: for this table prefer it."
    if rival.is_worse:
        return f"The {subject} is better than {TREES_NAME} ({reached}) by {by}."
    return f"{TREES_NAME} reaches {reached}: level with the {subject} ({mine:.3g}), within what chance may bring."


def _beside_a_constant(metric: str, mine: float, rival: Rival, subject: str) -> str | None:
    match learnt(metric, rival.value, rival.lead, rival.examples):
        case "something":
            return None
        case "nothing":
            return (
                f"The {subject} is no better than always saying {rival.name} ({metric} {rival.value:.3g}, its own "
                f"{mine:.3g}, on {rival.examples} examples): by this measure it has learnt nothing."
            )
        case _:
            many = f"{rival.examples} example{'' if rival.examples == 1 else 's'}"
            return (
                f"Whether the {subject} has learnt anything cannot be told from {many} ({metric} {mine:.3g}, always "
                f"saying {rival.name} {rival.value:.3g}; 95 % interval of the lead {rival.lead.low:z.3g} to "
                f"{rival.lead.high:z.3g})."
            )


def _but_it_ranks(metric: str, rival: Rival, network: Answers, rng: np.random.Generator) -> str:
    """Where the network always says the common class, and yet knows which examples are likelier of the other: by
    more than chance."""
    if rival.name == TREES_NAME or not network.classes or metric == "auc" or undefined("auc", network):
        return ""
    auc = measured(["auc"], network, rng)[0]["auc"]
    if auc.value < RANKS or auc.low <= 0.5:
        return ""
    return (
        f" But it tells the likelier examples from others (auc {auc.value:.3g}): --metric balanced-accuracy or "
        "--class-weights balanced make use of that."
    )


def _ends(rival: Rival) -> str:
    ends = sorted((abs(rival.low), abs(rival.high)))
    return ", ".join(f"{end:.3g}" for end in ends)
