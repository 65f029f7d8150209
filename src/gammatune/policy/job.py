"""What a policy is told of the work before it begins."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from gammatune.errors import AllDiverged, InvalidArgument
from gammatune.records import Outcome, Request
from gammatune.samplers.sampler import Sampler

Policy: TypeAlias = Callable[["Job"], Generator[Request, Outcome | None, None]]
Rank: TypeAlias = Callable[[Outcome], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Job:
    """epochs: the length of the course. budget: the ceiling on compute, in plain runs.

    sampler: a fresh one for decision k (from 0). rank: higher is better; ties fall through the tuple.
    stopping: true once the user asked to end soon. keep: "best" hands back the weights of the best commit,
    "last" those of the last. space: in words, for messages.
    """

    epochs: int
    budget: float
    sampler: Callable[[int], Sampler]
    rank: Rank
    stopping: Callable[[], bool] = lambda: False
    keep: str = "best"
    space: str = ""

    def trials(self, what: str) -> int:
        """How many trainings of `what` the budget pays for each time; at least two, or there is no search."""
        if self.budget < 2:
            raise InvalidArgument(
                f"budget={self.budget:g} cannot pay for two {what} to choose between; give 2 or more (the thesis "
                "uses 12)"
            )
        return int(self.budget)


def refuse_hopeless(outcome: Outcome, space: str) -> None:
    """A gradient that is not finite before any update is not the candidate's fault: say so at once."""
    if outcome.status == "diverged" and outcome.steps == 1:
        raise AllDiverged(
            f"the gradient is not finite at the very first step of epoch {outcome.epoch + 1}, before any "
            f"update, so no candidate in {space} can help. Look at the data (NaN, Inf, scale) and at the loss"
        )


def all_diverged(tried: list[Outcome], space: str) -> AllDiverged:
    values = "; ".join(
        ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in o.values.items())
        for o in tried
    )
    return AllDiverged(
        f"all {len(tried)} candidates of epoch {tried[0].epoch + 1} diverged ({values}) in {space}. The weights "
        "are back where the epoch began. Lower the range, and look at the data (NaN, Inf, scale) and at the loss"
    )
