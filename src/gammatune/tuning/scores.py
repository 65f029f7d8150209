"""By what a run is scored, which becomes another where a loss has no logarithm."""

import math
from dataclasses import replace
from typing import Any

from gammatune.journal.events import objective_event
from gammatune.journal.reducer import RunState
from gammatune.journal.wording import in_words
from gammatune.metrics.objectives import Objective, rank
from gammatune.records import Fact, Metrics, Outcome, Reason


class Scores:
    """objective: what is scored now."""

    def __init__(self, objective: Objective) -> None:
        self.objective = self._given = objective

    @property
    def has_changed(self) -> bool:
        return self.objective is not self._given

    def hear(self, outcome: Outcome, found: RunState) -> dict[str, Any] | None:
        """The event of another objective, by which all before was scored anew; None where it stays."""
        instead = self.objective.instead(outcome.metrics)
        if instead is None or outcome.score != instead.score_of(outcome.metrics):
            return None
        name, self.objective = self.objective.name, instead
        anew = {o.number: self.in_its_units(o).score for o in found.rollouts}
        scores = {number: score for number, score in anew.items() if score is not None}
        found.score_anew(instead.name, scores)
        told: dict[str, Fact] = {
            "loss": outcome.metrics["loss"],
            "rollout": outcome.number,
            "objective": name,
        }
        return objective_event(instead.name, scores, in_words(Reason("below zero", told)))

    def in_its_units(self, outcome: Outcome) -> Outcome:
        """Those of the objective as it is now, whichever of the two an outcome was scored by; a score of the user's
        own stays."""
        known = self._given, Objective("loss", self._given.lam)
        if outcome.score is None or all(outcome.score != one.score_of(outcome.metrics) for one in known):
            return outcome
        return replace(outcome, score=self.objective.score_of(outcome.metrics))

    def together(self, metrics: Metrics) -> float | None:
        """Of several nets; None where a metric is not finite: then the average is worth nothing."""
        score = (self.objective.instead(metrics) or self.objective)(metrics)
        return score if math.isfinite(score) else None

    # -- which of two is better; as it is scored now, each of them

    def rank(self, outcome: Outcome) -> tuple[float, ...]:
        return rank(-math.inf if outcome.score is None else outcome.score, outcome.metrics)

    def beats(self, one: Outcome, other: Outcome) -> bool:
        """In every metric that the objective weighs."""
        if one.score is None or other.score is None:
            return one.score is not None
        if self._are_measured(one, other):
            return self.objective.beats(one.metrics, other.metrics, other.evaluated)
        return one.score > other.score  # a score of the user's own

    def overfitted(self, later: Outcome, earlier: Outcome) -> bool:
        known = later.ok and self._are_measured(later, earlier)
        return known and self.objective.overfitted(later.metrics, earlier.metrics)

    def _are_measured(self, *outcomes: Outcome) -> bool:
        return all(name in outcome.metrics for outcome in outcomes for name in self.objective.needs)
