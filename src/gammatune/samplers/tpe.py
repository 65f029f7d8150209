"""The tree-structured Parzen estimator (Bergstra et al. 2011), as Optuna implements it."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from gammatune.errors import require
from gammatune.records import Observation, Values
from gammatune.samplers.history import History
from gammatune.space import Choice, Int, Space

if TYPE_CHECKING:
    from optuna.trial import Trial


class TPE:
    """An Optuna study behind ask and tell; may propose a point twice, so wrap it in `Distinct`.

    initial: random candidates before the estimator starts (Optuna's own default is 10).
    Failed candidates are told as pruned, which Optuna ranks below every finished one.
    Raises MissingExtra where Optuna is not installed.
    """

    def __init__(self, space: Space, rng: np.random.Generator, initial: int = 10) -> None:
        optuna = require("optuna", "optuna", "the sampler tpe needs")
        self._optuna = optuna
        self.history = History(space)
        self._trials: dict[Hashable, Trial] = {}
        seed = int(rng.integers(2**31))
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # a study announces its birth otherwise
        try:
            self._study = optuna.create_study(
                direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=initial)
            )
        finally:
            optuna.logging.set_verbosity(verbosity)

    def _distribution(self, name: str) -> Any:
        dimension, kinds = self.history.space[name], self._optuna.distributions
        if isinstance(dimension, Choice):
            return kinds.CategoricalDistribution(dimension.options)
        if isinstance(dimension, Int):
            return kinds.IntDistribution(dimension.low, dimension.high, log=dimension.log)
        return kinds.FloatDistribution(dimension.low, dimension.high, log=dimension.log)

    @property
    def _distributions(self) -> dict[str, Any]:
        return {name: self._distribution(name) for name in self.history.space.names}

    def ask(self) -> Values | None:
        space, state = self.history.space, self._optuna.trial.TrialState
        trial = self._study.ask(self._distributions)
        values = space.from_unit(space.to_unit(trial.params))
        key = space.key(values)
        if self.history.is_new(values):
            self._trials[key] = trial
        else:
            self._study.tell(trial, state=state.FAIL)  # a repeat: closed, and no evidence of anything
        return self.history.ask(values)

    def tell(self, observation: Observation) -> None:
        self.history.tell(observation)
        state = self._optuna.trial.TrialState
        trial = self._trials.pop(self.history.space.key(observation.values), None)
        if trial is not None and observation.score is not None:
            self._study.tell(trial, observation.score)
        elif trial is not None:
            self._study.tell(trial, state=state.PRUNED)
        else:
            self._study.add_trial(
                self._optuna.trial.create_trial(
                    params=dict(observation.values),
                    distributions=self._distributions,
                    value=observation.score,
                    state=state.PRUNED if observation.score is None else state.COMPLETE,
                )
            )

    def recommend(self) -> Values | None:
        return self.history.best()
