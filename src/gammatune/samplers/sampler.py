"""What a policy needs of a search: two verbs and a last word."""

from typing import Protocol

from gammatune.records import Observation, Values


class Sampler(Protocol):
    """Proposes candidates one at a time and learns from what became of them.

    A sampler holds no training and no clock; everything it knows came through its constructor (a `Space` and
    a NumPy `Generator`) and through `tell`. Told observations need not have been asked for.
    """

    def ask(self) -> Values | None:
        """The next candidate, never one asked or told before; None when the space is exhausted."""

    def tell(self, observation: Observation) -> None:
        """Learn the outcome of a candidate; `score=None` says that it failed."""

    def recommend(self) -> Values | None:
        """The told candidate the sampler believes best (None before any finite score).

        Model-based samplers answer with the best posterior mean at an observed point, the others with the
        best observed score.
        """
