"""Objectives: one number from the metrics of a rollout, higher is better.

    M_a     accuracy, a fraction in [0, 1]       (metrics["accuracy"])
    M_l     loss, 0 or more                      (metrics["loss"])
    lambda  in (0, 1], here `lam`

The kappa of the thesis weighs both together; its formulas (11) and (12) are lost in the extracted text, so
each is a reading (docs/method.md):

    kappa11        M_a   - lambda log(M_l)           (11) [reading]
    kappa12        M_a^2 - log(M_l) / lambda         (12) scaled [reading, default]: M_l weighs more
    kappa12_ratio  M_a^2 - log(M_l / lambda)         (12) ratio [reading]: lambda moves the cut only

A measure that is asked for (`gammatune.metrics.catalogue`) takes the accuracy's place, or the loss's (`for_metric`):

    kappa-f1, kappa-auc, ...    M |M| - log(M_l) / lambda    M in [0, 1], or [-1, 1] for the mcc
    log-mae, log-brier, ...     -log(M)                      M an error, 0 or more
    r2                          M

so that short rollouts, in which the f1 of all is 0, are still told apart by their loss.

A loss of one's own may be negative, as that of a density is. Where an objective that takes its logarithm meets one,
the run goes on by minus the loss (`Objective.instead`), and what was scored before is scored anew.

The thesis cuts kappa to 0 where it would be negative. A cut kappa is 0 all over the first epochs, so the
uncut form searches and the cut form reproduces.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import METRICS
from gammatune.records import Metrics

# Where kappa is cut to 0: "negative", where kappa is not above 0 [reading]; "loss-above-accuracy", where
# M_l > M_a, the other way to read the thesis's condition [reading].
Cut: TypeAlias = Literal["negative", "loss-above-accuracy"]

# Neither the value of lambda nor the unit of M_a is given in the thesis [guess].
DEFAULT_LAM = 0.5

# Below this, log(M_l) / lambda could overflow.
_SMALLEST_LAM = 1e-300

# log(0) is minus infinity; the loss is floored at the smallest normal double, whose log is -708.4, so that a
# perfect net has a finite kappa that is still the highest of all.
LOSS_FLOOR = 2.0**-1022


def kappa11(accuracy: float, loss: float, lam: float) -> float:
    """(11) uncut: M_a - lambda log(M_l)."""
    return accuracy - lam * _log(loss)


def kappa12(accuracy: float, loss: float, lam: float) -> float:
    """(12) scaled, uncut: M_a^2 - log(M_l) / lambda."""
    return accuracy**2 - _log(loss) / lam


def kappa12_ratio(accuracy: float, loss: float, lam: float) -> float:
    """(12) ratio, uncut: M_a^2 - log(M_l / lambda)."""
    return accuracy**2 - (_log(loss) - math.log(lam))


_KAPPAS: Mapping[str, Callable[[float, float, float], float]] = {
    "kappa": kappa12,
    "kappa11": kappa11,
    "kappa12": kappa12,
    "kappa12-ratio": kappa12_ratio,
}

_PLAIN: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "accuracy": ("accuracy", lambda accuracy: accuracy),
    "loss": ("loss", lambda loss: -loss),
    "r2": ("r2", lambda r2: r2),
    "mse": ("mse", lambda mse: -mse),
    "log-loss": ("loss", lambda loss: -_log(loss)),
}

# Of a measure by name: what is scored, by the objective's name.
_SQUARED: Mapping[str, str] = {
    f"kappa-{name}": name
    for name, held in METRICS.items()
    if held.task != "regression" and held.higher_is_better
}
_ERRORS: Mapping[str, tuple[str, Callable[[float], float]]] = {
    f"log-{name}": (name, lambda error: -_log(error))
    for name, held in METRICS.items()
    if not held.higher_is_better
}
FOR_METRICS: tuple[str, ...] = (*_SQUARED, *_ERRORS)
_SINGLE = {**_PLAIN, **_ERRORS}

OBJECTIVES: tuple[str, ...] = (*_PLAIN, *_KAPPAS, *(f"{name}-cut" for name in _KAPPAS))
# Those of FOR_METRICS too.
ObjectiveName: TypeAlias = Literal[
    "accuracy", "loss", "r2", "mse", "log-loss",
    "kappa", "kappa11", "kappa12", "kappa12-ratio", "kappa-cut", "kappa11-cut", "kappa12-cut", "kappa12-ratio-cut",
    "kappa-accuracy", "kappa-balanced-accuracy", "kappa-f1", "kappa-precision", "kappa-recall", "kappa-mcc",
    "kappa-weighted-kappa", "kappa-auc", "kappa-average-precision",
    "kappa-subset-accuracy", "kappa-f1-micro", "log-steps", "log-log-loss", "log-brier",
    "log-mae", "log-rmse", "log-mse", "log-medae", "log-mape",
]  # fmt: skip
OVERFITTED = 1.5  # times the loss [guess]
DEFAULT_CLASSIFICATION: ObjectiveName = "kappa"
DEFAULT_REGRESSION: ObjectiveName = "log-loss"
# Where nothing but a loss of the user's own is known: it may be negative.
DEFAULT_OWN_LOSS: ObjectiveName = "loss"


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective by name; `make_objective` checks the arguments.

    name: one of OBJECTIVES. lam, cut: see the module docstring; the plain objectives do not use them.
    """

    name: str
    lam: float = DEFAULT_LAM
    cut: Cut = "negative"

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the metrics without which there is no score."""
        return (_SINGLE[self.name][0],) if self.name in _SINGLE else (self.weighed, "loss")

    @property
    def takes_logarithm(self) -> bool:
        """Whether there is no score where the loss is negative."""
        return self.name == "log-loss" or self.name not in _SINGLE

    def instead(self, metrics: Metrics) -> "Objective | None":
        """What to go on with where the loss is negative and has no logarithm: minus the loss."""
        below = -math.inf < metrics.get("loss", 0.0) < 0
        return Objective("loss", self.lam) if below and self.takes_logarithm else None

    def score_of(self, metrics: Metrics) -> float | None:
        """The score; None where these metrics have none."""
        try:
            return self(metrics)
        except InvalidArgument:
            return None

    @property
    def weighed(self) -> str:
        """The metric that a kappa weighs beside the loss."""
        return _SQUARED.get(self.name, "accuracy")

    def __call__(self, metrics: Metrics) -> float:
        """The score, higher is better; -inf where a needed metric or the loss is not finite (diverged).

        Raises InvalidArgument: a needed metric is missing, the accuracy lies outside [0, 1], or the loss
        is negative where its logarithm is needed.
        """
        self._check(metrics)
        if any(not math.isfinite(metrics[m]) for m in (*self.needs, "loss") if m in metrics):
            return -math.inf
        if self.name in _SINGLE:
            metric, score = _SINGLE[self.name]
            return score(float(metrics[metric]))
        if self.name in _SQUARED:
            asked = float(metrics[self.weighed])
            return asked * abs(asked) - _log(float(metrics["loss"])) / self.lam
        accuracy, loss = float(metrics["accuracy"]), float(metrics["loss"])
        kappa = _KAPPAS[self.name.removesuffix("-cut")](accuracy, loss, self.lam)
        if not self.name.endswith("-cut"):
            return kappa
        keep = kappa > 0 if self.cut == "negative" else loss <= accuracy
        return kappa if keep else 0.0

    def rank(self, metrics: Metrics) -> tuple[float, float, float]:
        """(score, accuracy, -loss), to compare as tuples; see `rank`."""
        return rank(self(metrics), metrics)

    def beats(self, one: Metrics, other: Metrics, examples: int) -> bool:
        """Whether `one` is better than `other` in every metric that is weighed: kappa's loss, and its accuracy by
        more than a standard error over so many examples."""
        if self.name in _SINGLE:
            return self(one) > self(other)
        share = other[self.weighed]  # of a measure other than the accuracy its error is a guess
        error = math.sqrt(max(0.0, share * (1 - share)) / max(examples, 1))
        return one[self.weighed] > share + error and one["loss"] < other["loss"]

    def overfitted(self, later: Metrics, earlier: Metrics) -> bool:
        """Whether more training only made the errors more certain: `later` is no better in the accuracy, or what
        stands in its place, and much worse in the loss."""
        if self.name in _SINGLE:
            return False
        return later[self.weighed] <= earlier[self.weighed] and later["loss"] > OVERFITTED * earlier["loss"]

    def _check(self, metrics: Metrics) -> None:
        missing = [m for m in self.needs if m not in metrics]
        if missing:
            raise InvalidArgument(self._advice_on_missing(missing, metrics))
        accuracy = metrics.get("accuracy", 0.0)
        if math.isfinite(accuracy) and not 0 <= accuracy <= 1:
            raise InvalidArgument(
                f"accuracy must be a fraction in [0, 1], not per cent, got {accuracy:g}; divide by 100"
            )
        if self.takes_logarithm and -math.inf < metrics["loss"] < 0:
            raise InvalidArgument(
                f"objective {self.name!r} takes the logarithm of the loss, which must not be negative, "
                f"got {metrics['loss']:g}; use 'loss' or 'accuracy'"
            )

    def _advice_on_missing(self, missing: list[str], metrics: Metrics) -> str:
        got = ", ".join(sorted(metrics)) or "none"
        if self.name in FOR_METRICS and "loss" not in missing:
            return (
                f"objective {self.name!r} needs the metric {missing[0]!r}, and received {got}; fit computes it where "
                f"metric={missing[0]!r} is asked for, a loop of your own reports it"
            )
        if self.name not in _SINGLE and missing == ["accuracy"]:
            return (
                f"objective {self.name!r} weighs accuracy and loss together, and a regression has no "
                f"accuracy (metrics received: {got}); use 'log-loss', 'r2', 'mse' or 'loss'"
            )
        return f"objective {self.name!r} needs the metrics {', '.join(self.needs)}; received: {got}"


def rank(score: float, metrics: Metrics) -> tuple[float, float, float]:
    """(score, accuracy, -loss), to compare as tuples: equal scores fall back to accuracy, then to loss.

    A metric that is missing counts 0 and so decides nothing; one that is not finite counts -inf.
    """
    return (
        score,
        _finite_or_worst(metrics.get("accuracy", 0.0)),
        _finite_or_worst(-metrics.get("loss", 0.0)),
    )


def described(name: str, lam: float) -> str:
    """What an objective is, for people who do not know its name: 'the squared accuracy minus 2 times the logarithm of
    the loss'. One that is not ours is told by its name."""
    of = _SQUARED.get(name, "accuracy" if name in (DEFAULT_CLASSIFICATION, "kappa12") else "")
    if of:
        return f"the squared {of} minus {1 / lam:g} times the logarithm of the loss"
    error = name.removeprefix("log-")
    return "the loss" if error == "loss" else error


def plain_number(name: str, value: Any) -> float:
    """A metric as a float: a number, or an array or tensor that holds one, with its graph or without.

    Raises InvalidArgument at anything else, text and missing values among it; NaN and infinities are numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach()  # a loss may still carry its graph
    shape = getattr(value, "shape", None)
    if shape is not None and math.prod(shape) != 1:
        raise InvalidArgument(
            f"the metric {name!r} has shape {tuple(shape)}; report one number, such as the mean"
        )
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value if shape is None else value.item())
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"the metric {name!r} is {value!r:.60}, a {type(value).__name__}; report a number"
        ) from error


def make_objective(
    name: str = DEFAULT_CLASSIFICATION, *, lam: float = DEFAULT_LAM, cut: Cut = "negative"
) -> Objective:
    """The objective called `name`, one of OBJECTIVES; "kappa" is kappa12, and "-cut" adds the thesis's cut.
    Those of FOR_METRICS are known too.

    lam: in (0, 1], and not below 1e-300. cut: where a "-cut" objective is 0 (see `Cut`).
    Raises InvalidArgument: a name that is not known, lam outside (0, 1], a cut that is not known.
    """
    if name not in OBJECTIVES and name not in FOR_METRICS:
        raise InvalidArgument(f"there is no objective {name!r}; choose from {', '.join(OBJECTIVES)}")
    if not _SMALLEST_LAM <= lam <= 1:
        raise InvalidArgument(f"lam must lie in (0, 1] (1e-300 at least), got {lam!r}")
    if cut not in ("negative", "loss-above-accuracy"):
        raise InvalidArgument(f"cut must be 'negative' or 'loss-above-accuracy', got {cut!r}")
    return Objective(name, float(lam), cut)


def for_metric(metric: str, *, lam: float = DEFAULT_LAM) -> Objective:
    """The objective that selects by a measure of `gammatune.metrics.catalogue` (module docstring)."""
    if metric == "accuracy":
        return make_objective("kappa", lam=lam)
    if metric == "r2":
        return make_objective("r2", lam=lam)
    return make_objective(f"{'kappa' if METRICS[metric].higher_is_better else 'log'}-{metric}", lam=lam)


def _log(loss: float) -> float:
    return math.log(max(loss, LOSS_FLOOR))


def _finite_or_worst(value: float) -> float:
    return float(value) if math.isfinite(value) else -math.inf
