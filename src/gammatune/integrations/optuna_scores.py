"""What the finished trials of an Optuna study count for GammaSampler: scores, and how sure they are.

How a trial counts (s the score, higher is better; worst, median and spread those of the feasible finished trials):

    finished, feasible      s; one far out on the bad side (below the lower quartile by more than three times the
                            distance of the quartiles: Tukey 1977) at that fence; +inf as the best, -inf as failed
    pruned                  the last value it reported, between worst and median; as failed where it reported none
    infeasible              worst - spread (1 + v), v from 0 to 1 the mean violation of the constraints, each relative
                            to the largest seen; -v where nothing is feasible yet (Deb 2000: least violation leads)
    failed                  below all of these by another spread, unless the same parameters have a score by now

A trial may know its value's standard error, in its unit: `trial.set_user_attr("gammatune_noise", 0.02)`, of a
mean over k folds or seeds say their standard deviation / sqrt(k). As soon as one finished trial has it, the noise is
not learned but taken from there (`surrogate.known_noise`): what is unsure bends the beliefs less. A trial without it
counts as one with the median of theirs (of those above 0).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from gammatune.errors import InvalidArgument
from gammatune.space import Array
from gammatune.surrogate.dataset import Dataset

FENCE = 3.0  # distances of the quartiles (Tukey: "far out")
NOISE = "gammatune_noise"  # a user attribute


def fenced(scores: Array) -> Array:
    """The finite scores, none below the fence; with all of one value, or two of them, as they are."""
    low, high = np.quantile(scores, [0.25, 0.75], method="higher")
    if not high > low:
        return scores
    return np.asarray(np.maximum(scores, low - FENCE * (high - low)))


def scored(trials: Sequence[FrozenTrial], sign: float) -> list[float | None]:
    """A score for each finished trial, higher is better, None for what failed; see the table above.

    sign: -1 where the study minimises.
    """
    out: list[float | None] = [None] * len(trials)
    feasible = {i for i, trial in enumerate(trials) if all(v <= 0 for v in trial.constraints.values())}
    complete = [i for i in sorted(feasible) if trials[i].state == TrialState.COMPLETE]
    finite = [i for i in complete if math.isfinite(trials[i].values[0])]
    if finite:
        scores = fenced(np.array([sign * trials[i].values[0] for i in finite]))
        for i, score in zip(finite, scores.tolist(), strict=True):
            out[i] = score
        for i in complete:
            if sign * trials[i].values[0] == math.inf:
                out[i] = float(scores.max())
    for i in feasible:
        trial = trials[i]
        if trial.state == TrialState.PRUNED and trial.last_step is not None:
            last = sign * trial.intermediate_values[trial.last_step]
            if math.isfinite(last):
                out[i] = min(max(last, float(scores.min())), float(np.median(scores))) if finite else last
    broken = [
        i
        for i, t in enumerate(trials)
        if i not in feasible and t.state in (TrialState.COMPLETE, TrialState.PRUNED)
    ]
    if broken:
        violation = _violations([trials[i].constraints for i in broken])
        known = np.array([score for score in out if score is not None])
        spread = Dataset(np.zeros((len(known), 1)), known).spread if len(known) else 1.0
        for i, v in zip(broken, violation, strict=True):
            out[i] = float(known.min()) - spread * (1 + v) if len(known) else -v
    return out


def known_errors(trials: Sequence[FrozenTrial]) -> tuple[float | None, list[float]]:
    """The typical standard error of those that say one, None where none does; the squares of all relative to it.

    Raises InvalidArgument for what is no finite number of 0 or more.
    """
    errors: list[float | None] = []
    for trial in trials:
        error = trial.user_attrs.get(NOISE)
        legal = isinstance(error, int | float) and not isinstance(error, bool) and 0 <= error < math.inf
        if error is not None and not legal:
            raise InvalidArgument(
                f"{NOISE} of trial {trial.number} is {error!r}; set the standard error of the trial's value, a "
                "finite number of 0 or more in its unit"
            )
        errors.append(None if error is None else float(error))
    typical = (
        float(np.median([e for e in errors if e] or [0.0])) if any(e is not None for e in errors) else None
    )
    # exact ones would make two trials at one point unsolvable, and a huge one overflow
    relative = [1.0 if e is None or not typical else min(max(e / typical, 1e-3), 1e6) ** 2 for e in errors]
    return typical, relative


def _violations(constraints: Sequence[Mapping[str, float]]) -> list[float]:
    """The mean violation of each, relative to the largest seen of its constraint; from 0 to 1."""
    names = sorted({name for each in constraints for name in each})
    excess = np.array([[max(each.get(name, 0.0), 0.0) for name in names] for each in constraints])
    largest = excess.max(axis=0)
    with np.errstate(invalid="ignore"):  # inf / inf
        shares = np.where(largest > 0, excess / np.where(largest > 0, largest, 1.0), 0.0)
    return np.nan_to_num(shares, nan=1.0).mean(axis=1).tolist()  # type: ignore[no-any-return]
