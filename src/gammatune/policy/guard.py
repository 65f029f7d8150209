"""When an epoch has blown up, and what of a score is luck."""

import math
from collections.abc import Sequence

from gammatune.policy.job import Job
from gammatune.records import Outcome

# Of the progress made so far: an epoch that loses more than this has blown up. In 24 runs at good rates the
# largest loss was 0.15, in those that ended badly 0.35 or more, but for a task that was learned to the last
# example (experiments/landscape.py).
LOST = 0.35
LEAST_PROGRESS = 0.1  # of the score of doing nothing, or of 1: below that nothing can be lost (guess)
NORMAL_MEDIAN = 0.6745  # of the absolute value of a standard normal number
FEWEST_SCORES = 4  # of a walk, from which their noise can be told


def blew_up(
    job: Job, outcome: Outcome, best: Outcome | None, survey: Outcome, earlier: Sequence[Outcome]
) -> bool:
    """Not finite, or back near where the training began, by more than noise, and worse in every respect: where nearly
    every example is met a few of them move the logarithm of the loss by much, and the accuracy by less than its
    standard error. earlier: the epochs of this walk before it."""
    if not outcome.ok or outcome.score is None:
        return True
    if best is None or best.score is None:
        return False
    floor = -math.inf if survey.score is None else survey.score
    progress = best.score - floor
    lost = progress > LEAST_PROGRESS * max(1.0, abs(floor)) and outcome.score < best.score - LOST * progress
    scores = [seen.score for seen in earlier if seen.score is not None]
    return lost and job.beats(best, outcome) and best.score - outcome.score > luck(scores)


def fell(outcome: Outcome, survey: Outcome) -> bool:
    """Far below where the training began, before there was any progress to lose."""
    if outcome.score is None or survey.score is None:
        return False
    return outcome.score < survey.score - LOST * max(1.0, abs(survey.score))


def luck(scores: Sequence[float]) -> float:
    """How far the best of these scores, one an epoch, may lie above another by noise alone; 0 where nobody can tell.

    A smooth course hardly enters second differences, whose variance is six times that of independent noise; their
    median is not moved by the one epoch that blew up. The best of n is sqrt(2 log n) standard deviations lucky.
    """
    if len(scores) < FEWEST_SCORES:
        return 0.0
    bent = sorted(abs(a - 2 * b + c) for a, b, c in zip(scores, scores[1:], scores[2:], strict=False))
    noise = (bent[(len(bent) - 1) // 2] + bent[len(bent) // 2]) / 2 / (NORMAL_MEDIAN * math.sqrt(6))
    return noise * (1 + math.sqrt(2 * math.log(len(scores))))
