"""Several nets whose predictions are averaged: what a budget that pays for more than one training buys.

Each is trained like the first, at the rate that was found, from initial weights of its own and over the data in an
order of its own. An average of K predictions has the loss of one less a share (1 - 1/K) of what their errors do not
have in common: exactly so for the squared error, nearly for the logarithmic one (Krogh and Vedelsby 1994). So the
first two tell what a third will bring.
"""

import math
from collections.abc import Generator, Sequence

from gammatune.policy.alternatives import why_a_rival
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job
from gammatune.policy.opening import Opening
from gammatune.policy.tour import Tour
from gammatune.policy.trial import Trial
from gammatune.records import Commit, Outcome, Reason, Request, Together, Verdict

# Of the loss: a net that promises less is not trained. It costs a whole training, and a pass more at every prediction
# for as long as the model is used (guess).
WORTH = 0.0005
# Of the progress that was made: an average that loses more by a net goes without it. On the population an average was
# better with the second net even where its score on the selection data was not (.943 of the error of one, .945 where
# only those are taken that raise it; experiments/population/together.py), so that only a wreck is left out (guess).
HARM = 0.35
# With another optimizer a net may be no wreck and yet much the worse, which is no bad luck of its initial weights: it
# has to earn its place (guess).
HARM_BY_RIVAL = 0.0

# Of the time that the first net took: with less left no other is begun; with a little less it brings its rate to zero
# early (guess).
IN_TIME = 0.8


def asking(job: Job, budget: Budget, count: int) -> float:
    """The units that it takes to score the averaged predictions of so many nets, one of which has just joined."""
    return count * budget.pass_ + budget.price(1, scored=False) if job.asks_anew else budget.pass_


def asking_all(job: Job, budget: Budget, count: int) -> float:
    """The same, as often as so many are asked as they join; one alone is not."""
    return sum(asking(job, budget, joined) for joined in range(1, count + 1)) if count > 1 else 0.0


class Nets:
    """The nets of a run. chosen: whose predictions are averaged, said: the outcome of that. is_told: the course has
    been put back, and it has been said whose predictions go with it, after the last net that was trained."""

    def __init__(self, tour: Tour) -> None:
        self.tour, self.job = tour, tour.job
        self.chosen: tuple[int, ...] = ()
        self.said: Outcome | None = None
        self.losses: list[float] = []  # of each net of the average, alone
        self.is_told = False

    def train(self, count: int, rivals: Sequence[Opening] = ()) -> Generator[Request, Outcome | None, None]:
        """The course as the first of them, and up to `count` more, each like the best so far; up to half of these
        with rivals of its optimizer, one each."""
        tour, job, budget = self.tour, self.job, self.tour.budget
        rivals = rivals[: (count + 1) // 2]
        seconds = sum(outcome.seconds for outcome in tour.first.outcomes)
        for net in range(1, count + 1):
            alone = asking(job, budget, 1)
            first = 0.0 if self.chosen else alone  # it is not asked where it stays alone
            asked = asking(job, budget, max(1, len(self.chosen)) + 1)
            asked += alone if job.asks_anew else 0.0  # once more where it is much better than with the others
            price = job.epochs * budget.epoch + first + asked
            hurried = job.is_ending() or job.seconds_left() < IN_TIME * seconds
            if budget.left < price or hurried or not self.is_worth_more:
                return
            if not self.chosen:
                yield from self._join(0, tour.best)
            rival = rivals[net - 1] if net <= len(rivals) else None
            values = tour.best.values if rival is None else rival.values
            like = Reason("like the first" if tour.best is tour.first else "like the best")
            how = like if rival is None else why_a_rival(rival)
            verdict = Verdict.of("walk", Reason("net", {"net": net + 1}, (how,)), net=float(net))
            budget.aside = asked  # whatever the guard has to pay
            trial = yield from tour.renew(net, values, verdict)
            budget.aside = 0.0
            if trial.best is not None:
                yield from self._join(net, trial, harm=HARM if rival is None else HARM_BY_RIVAL)
            yield from self._tell(net)

    @property
    def is_worth_more(self) -> bool:
        """Whether one more net promises enough, as far as the average tells."""
        count = len(self.chosen)
        if count < 2 or self.said is None or len(self.losses) < count:
            return True
        single, together = sum(self.losses) / count, self.said.metrics["loss"]
        apart = max(0.0, single - together) * count / (count - 1)  # what their errors do not have in common
        return apart / (count * (count + 1)) > WORTH * abs(together)

    def _join(self, net: int, trial: Trial, harm: float = HARM) -> Generator[Request, Outcome | None, None]:
        """Take a net into the average, unless that would be much the worse for it; where it is much better alone, it
        is the others that are wrecks. harm: of the progress, what is much."""
        ended = trial.best
        assert ended is not None
        together = yield Together((*self.chosen, net), ended.values, ended.epoch, trial.peak)
        assert together is not None
        self.tour.budget.pay(together)
        loss = [ended.metrics["loss"]] if "loss" in ended.metrics else []
        before = self.said
        is_better = before is None or self._score(ended) > self._score(before)
        if before is None or not self._is_harmed(ended if is_better else before, together, harm):
            self.chosen, self.said, self.losses = (*self.chosen, net), together, self.losses + loss
        elif is_better:
            alone = yield Together((net,), ended.values, ended.epoch)
            assert alone is not None
            self.chosen, self.said, self.losses = (net,), alone, loss

    def _is_harmed(self, alone: Outcome, together: Outcome, harm: float) -> bool:
        """By much, and by more than chance: worse in every respect, or much surer of what it gets wrong."""
        floor, was = self._score(self.tour.survey), self._score(alone)
        is_less = was - self._score(together) > harm * max(was - floor, 0.0)
        return is_less and (self.job.beats(alone, together) or self.job.overfitted(together, alone))

    def _score(self, outcome: Outcome) -> float:
        score = self.job.now(outcome).score
        return -math.inf if score is None else score

    def _tell(self, net: int) -> Generator[Request, Outcome | None, None]:
        """Put the best of the walks back, and say which nets go with it, now that one more was trained."""
        best, count = self.tour.best, len(self.chosen)
        if count < 2 and not self.is_told:  # as long as there was no average, there is none to speak of
            return
        self.is_told = True
        assert self.said is not None
        score = self._score(self.said)
        why = Reason("averaged", {"nets": count, "score": score})
        if count < 2:
            why = Reason("alone", {"net": net + 1, "score": score})
        elif net not in self.chosen:
            why = Reason("left out", {"net": net + 1}, (why,))
        verdict = Verdict.of("ensemble", why, nets=float(count), score=score)
        nets = self.chosen if count > 1 else ()
        yield Commit((), len(best.upto_best), best.peak, verdict, nets=nets)
