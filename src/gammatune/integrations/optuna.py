"""Whole-run search with Optuna by the Gamma process: `optuna.create_study(sampler=GammaSampler(seed=0))`.

A thin layer: what an Optuna study knows is translated into what `samplers.conditional` is told. Nothing is kept
between trials but the seed; every suggestion reads the study again, so that any number of workers on one storage,
threads among them, may use samplers of their own. How a trial counts stands in `optuna_scores`. Of running trials:

    what they try is known      they count as if they had scored their posterior mean ("believer", Ginsbourger et al.
                                2010)
    several propose at once     all but the first take a Thompson draw

Parameters that the library's space cannot hold (integers beyond 2^53) are drawn at random, by Optuna's own sampler.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gammatune.errors import InvalidArgument, InvalidSpace, require, whole
from gammatune.records import Observation, Value
from gammatune.samplers.bayes import fading_margin
from gammatune.samplers.conditional import Conditional
from gammatune.seeds import stream
from gammatune.space import Choice, Dimension, Float, Int, Space
from gammatune.surrogate.gamma import GammaProcess
from gammatune.surrogate.known_noise import KnownNoiseProcess
from gammatune.surrogate.quadrature import kronecker

try:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState

    from gammatune.integrations.optuna_scores import known_errors, scored
except ImportError:
    require("optuna", "optuna", "GammaSampler needs")
    raise

_logger = optuna.logging.get_logger(__name__)

MOST = 150  # trials the surrogate sees: 0.1 to 0.3 s a suggestion on one core, 2 s at twice as many
# Chosen on landscapes of trainings over rates, held against those of other data sets: half the regret after
# three trials, a quarter less after five (benchmarks/results/bo_opening.json, bo_opening_told.json)
OPENING = 3
FIRST = 0.25, 0.75  # where in its range each number of the first trial lies
# of EI, over n; held against problems that are no benchmark's (benchmarks/results/bo_tuning.json)
MARGIN = 0.5
UNKNOWN = 60.0  # seconds for which a running trial without parameters counts as just proposing (guess)
CLAIM, CHUNK = "gammatune:claim", 2045  # a system attribute holds no more characters in a relational storage


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of Optuna as a dimension of ours, and the way there and back."""

    dimension: Dimension
    inward: Callable[[Any], Value]
    outward: Callable[[Any], Any]


def parameter(distribution: BaseDistribution) -> Parameter | None:
    """The distribution as a dimension; None where it has a single value or the library's space cannot hold it.

    Options that are all numbers are taken in their order, as everywhere in the library; others have none.
    """
    if distribution.single():
        return None
    try:
        match distribution:
            case FloatDistribution(low=low, high=high, step=None, log=log):
                return Parameter(Float(low, high, log), float, float)
            case FloatDistribution(low=low, high=high, step=float(step)):
                return Parameter(
                    Int(0, round((high - low) / step)),
                    lambda x: round((x - low) / step),
                    lambda i: min(low + i * step, high),
                )
            case IntDistribution(low=low, high=high, log=True):
                return Parameter(Int(low, high, log=True), int, int)
            case IntDistribution(low=low, high=high, step=step):
                return Parameter(
                    Int(0, (high - low) // step), lambda x: (x - low) // step, lambda i: low + i * step
                )
            case CategoricalDistribution(choices=choices):
                numbers = [x for x in choices if type(x) in (int, float) and math.isfinite(x)]  # type: ignore[arg-type]
                if len(numbers) == len(choices):
                    order = np.argsort(np.array(numbers, dtype=np.float64), kind="stable").tolist()
                    names: tuple[Value, ...] = tuple(range(len(choices)))
                else:
                    order, names = list(range(len(choices))), tuple(map(str, range(len(choices))))
                return Parameter(
                    Choice(names),
                    lambda x: names[order.index(int(distribution.to_internal_repr(x)))],
                    lambda name: choices[order[int(name)]],
                )
    except InvalidSpace:
        pass
    return None


def _inward(parameters: Mapping[str, Parameter], params: Mapping[str, Any]) -> dict[str, Value]:
    """What of `params` lies in the space now, as our values; ranges may have changed since."""
    inside = {}
    for name, value in params.items():
        if name in parameters:
            try:
                ours = parameters[name].inward(value)
            except ValueError:  # an option that is none any more
                continue
            if parameters[name].dimension.contains(ours):
                inside[name] = ours
    return inside


def _kept(told: list[Observation]) -> list[Observation]:
    """At most MOST of the observations: the best half of them, and of the others evenly many from all times."""
    if len(told) <= MOST:
        return told
    scores = [-math.inf if seen.score is None else seen.score for seen in told]
    ranked = np.argsort(scores, kind="stable")[::-1].tolist()
    best, rest = ranked[: MOST // 2], sorted(ranked[MOST // 2 :])
    even = np.linspace(0, len(rest) - 1, MOST - len(best)).round().astype(int)
    return [told[i] for i in sorted({*best, *(rest[j] for j in even)})]


class GammaSampler(BaseSampler):
    """Expected improvement under the Gamma process, for studies of one objective.

    seed: whatever is drawn at random belongs to the seed, the trial's number and what the study knew when it began,
        so that workers with one seed differ, and a study that is gone on with does not repeat itself. None: any.
    n_startup_trials: finished or running trials before the surrogate proposes. Few, since it integrates its
        hyperparameters out and needs no fit. The first is drawn at random, each number from the middle half of its
        range (on its scale), since a define-by-run study tells its parameters only then; the others fill the space
        from there (a Kronecker sequence).
    constraints_func: constraints by a function of the trial (above 0: violated), for studies that do not use
        `trial.set_constraint`. What it raises goes through.

    A trial may say how sure its value is: `trial.set_user_attr("gammatune_noise", se)`, the value's standard error in
    the value's unit, makes the likelihood that of scores of known, different noise (`optuna_scores`).
    Parameters that only some trials have are searched together with the others (`samplers.conditional`), those never
    seen before are drawn at random. Raises InvalidArgument, a ValueError, for studies of several objectives and for a
    standard error that is none.
    """

    # the ablations of benchmarks/bo take others; a first trial of None lies anywhere
    _surrogate, _margin = GammaProcess, MARGIN
    _first: tuple[float, float] | None = FIRST

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int = OPENING,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        self._seed = _fresh_seed() if seed is None else whole(seed, "seed", least=0)
        self._n_startup_trials = whole(n_startup_trials, "n_startup_trials", least=0)
        self._constraints_func = constraints_func

    def reseed_rng(self) -> None:
        """Other random numbers from now on. Optuna calls it before every trial of `n_jobs` above 1, which need
        it not: which trial draws what follows from its number already."""
        self._seed = _fresh_seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters that finished trials had, as they were last."""
        _check(study)
        latest: dict[str, BaseDistribution] = {}
        for seen in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            latest.update(seen.distributions)
        return {name: latest[name] for name in sorted(latest) if parameter(latest[name]) is not None}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        _check(study)
        parameters = {
            name: found for name, kind in search_space.items() if (found := parameter(kind)) is not None
        }
        if not parameters:
            return {}
        try:
            values = self._propose(study, trial, parameters)
        except np.linalg.LinAlgError as error:
            _logger.warning(
                f"the surrogate could not be solved ({error}); trial {trial.number} is drawn at random"
            )
            return {}
        if values is None:
            return {}
        params = {name: parameters[name].outward(value) for name, value in values.items()}
        # options of other types than Optuna's: known to this worker only
        claim = json.dumps(params, default=repr)
        for i in range(0, len(claim), CHUNK):
            study._storage.set_trial_system_attr(
                trial._trial_id, f"{CLAIM}:{i // CHUNK}", claim[i : i + CHUNK]
            )
        return params

    def _propose(
        self, study: Study, trial: FrozenTrial, parameters: Mapping[str, Parameter]
    ) -> Mapping[str, Value] | None:
        space = Space({name: found.dimension for name, found in parameters.items()})
        trials = study.get_trials(deepcopy=False)
        finished = [seen for seen in trials if seen.state.is_finished()]
        sign = -1.0 if study.direction == StudyDirection.MINIMIZE else 1.0
        typical, noises = known_errors(finished)
        told, used = _told(finished, scored(finished, sign), noises, parameters)
        if not told:
            return None
        surrogate = self._surrogate if typical is None else partial(KnownNoiseProcess, error=typical)
        running = [
            seen for seen in trials if seen.state == TrialState.RUNNING and seen.number != trial.number
        ]
        claims = [_inward(parameters, _claimed(seen)) for seen in running]

        search = Conditional(
            space, stream(self._seed, "optuna", trial.number), surrogate, fading_margin(self._margin)
        )
        for observation in _kept(told):
            search.tell(observation)
        pending = [claim for claim in claims if frozenset(claim) in used or len(claim) == len(space.names)]
        for values in pending:
            search.pend(values)

        if len(told) + len(pending) < self._n_startup_trials:
            # counted by number, so that no two workers are given the same point
            steps = kronecker(max(trial.number, 1), space.columns)[-1] - 0.5
            opening = space.from_unit((space.to_unit(search.whole(told[0].values)) + steps) % 1.0)
            if search.history.is_new(opening):
                return opening
        unknown = any(
            not claim and seen.number < trial.number and _age(seen) < UNKNOWN
            for claim, seen in zip(claims, running, strict=True)
        )
        return search.draw() if unknown or search.history.exhausted else search.ask()

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        _check(study)
        rng = stream(self._seed, "optuna independent", trial.number, param_name)
        found = parameter(param_distribution)
        if self._first and trial.number == 0 and found is not None and found.dimension.columns == 1:
            low, high = self._first
            u = np.full(1, low + (high - low) * rng.random())
            return found.outward(Space({param_name: found.dimension}).from_unit(u)[param_name])
        chance = RandomSampler(seed=int(rng.integers(2**31)))
        return chance.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        if self._constraints_func is None or state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return
        for i, value in enumerate(self._constraints_func(trial)):
            if math.isnan(value):
                raise InvalidArgument(
                    f"constraint {i} of trial {trial.number} is NaN; return a number, above 0 if violated"
                )
            # as Trial.set_constraint writes it, which a trial at its end has no more
            study._storage.set_trial_system_attr(trial._trial_id, f"constraints:{i}", float(value))


def _told(
    finished: Sequence[FrozenTrial],
    scores: Sequence[float | None],
    noises: Sequence[float],
    parameters: Mapping[str, Parameter],
) -> tuple[list[Observation], set[frozenset[str]]]:
    """What the trials say of the space as it is now, and the sets of parameters that they used.

    Left out: trials with a value outside; failed ones that ended before all parameters were asked for, or whose
    parameters have a score from another trial (a worker died, say, and the trial was repeated).
    """
    told: list[Observation] = []
    used: set[frozenset[str]] = set()
    known: set[Any] = set()
    for fallen in (False, True):
        for trial, score, noise in zip(finished, scores, noises, strict=True):
            values = _inward(parameters, trial.params)
            names = frozenset(values)
            if (
                trial.state == TrialState.FAIL
            ) is not fallen or names != parameters.keys() & trial.params.keys():
                continue
            identity = tuple(
                sorted((name, parameters[name].dimension.key(value)) for name, value in values.items())
            )
            if not names or (fallen and (names not in used or identity in known)):
                continue
            told.append(Observation(values, score, noise))
            used.add(names)
            known.add(identity)
    return told, used


def _claimed(trial: FrozenTrial) -> dict[str, Any]:
    """What a running trial tries, as far as it is known: what was proposed for it or is fixed, and what it asked."""
    parts: list[str] = []
    while (part := trial.system_attrs.get(f"{CLAIM}:{len(parts)}")) is not None:
        parts.append(part)
    proposed: dict[str, Any] = json.loads("".join(parts)) if parts else {}
    fixed: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    return proposed | fixed | trial.params


def _age(trial: FrozenTrial) -> float:
    began = trial.datetime_start
    return math.inf if began is None else time.time() - began.timestamp()


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _check(study: Study) -> None:
    if len(study.directions) > 1:
        raise InvalidArgument(
            f"GammaSampler searches for one objective, the study has {len(study.directions)}; make one number "
            "of them, turn some into constraints, or use NSGAIISampler or TPESampler"
        )
