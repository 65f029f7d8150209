"""Several nets whose predictions are averaged: what a budget that pays for more than one training buys.

Each is trained like the first, at the rate that was found, from initial weights of its own and over the data in an
order of its own. An average of K predictions has the loss of one less a share (1 - 1/K) of what their errors do not
have in common: exactly so for the squared error, nearly for the logarithmic one (Krogh and Vedelsby 1994). So the
first two tell what a third will bring.
"""

from collections.abc import Generator

from gammatune.policy.course import Walk
from gammatune.policy.tour import Tour
from gammatune.records import Commit, Outcome, Request, Together, Verdict

# Of the loss: a net that promises less is not trained. It costs a whole training, and a pass more at every prediction
# for as long as the model is used (guess).
WORTH = 0.0005
# Of the progress that was made: an average that loses more by a net goes without it. On the population an average was
# better with the second net even where its score on the selection data was not (.943 of the error of one, .945 where
# only those are taken that raise it; experiments/population/nets.py), so that only a wreck is left out (guess).
HARM = 0.35

# Of the time that the first net took: with less left no other is begun; with a little less it brings its rate to zero
# early (guess).
IN_TIME = 0.8


class Nets:
    """The nets of a run. chosen: whose predictions are averaged, said: the outcome of that."""

    def __init__(self, tour: Tour) -> None:
        self.tour, self.job = tour, tour.job
        self.chosen: tuple[int, ...] = ()
        self.said: Outcome | None = None
        self.losses: list[float] = []  # of each net of the average, alone

    def train(self, count: int) -> Generator[Request, Outcome | None, None]:
        """The course as the first of them, and up to `count` more."""
        tour, job, purse = self.tour, self.job, self.tour.purse
        values = tour.best.values
        yield from self._join(0, tour.best)
        seconds = sum(outcome.seconds for outcome in tour.first.outcomes)
        for net in range(1, count + 1):
            price = job.epochs * purse.epoch + purse.pass_
            hurried = job.is_ending() or job.seconds_left() < IN_TIME * seconds
            if purse.left < price or hurried or not self.is_worth_more:
                return
            verdict = Verdict(f"net {net + 1}, trained like the first", {"net": float(net)}, "walk")
            walk = yield from tour.renew(net, values, verdict)
            if walk.best is None:
                continue
            yield from self._join(net, walk)
            yield from self._tell()

    @property
    def is_worth_more(self) -> bool:
        """Whether one more net promises enough, as far as the average tells."""
        count = len(self.chosen)
        if count < 2 or self.said is None or len(self.losses) < count:
            return True
        single, together = sum(self.losses) / count, self.said.metrics["loss"]
        apart = max(0.0, single - together) * count / (count - 1)  # what their errors do not have in common
        return apart / (count * (count + 1)) > WORTH * abs(together)

    def _join(self, net: int, walk: Walk) -> Generator[Request, Outcome | None, None]:
        """Take a net into the average, unless that would be much the worse for it."""
        ended = walk.best
        assert ended is not None
        together = yield Together((*self.chosen, net), ended.values, ended.epoch, walk.peak)
        assert together is not None
        self.tour.purse.pay(together)
        if self.said is None or not self._is_harmed(self.said, together):
            self.chosen, self.said = (*self.chosen, net), together
            self.losses += [ended.metrics["loss"]] if "loss" in ended.metrics else []
        elif self._is_harmed(together, ended):  # it is the others that are wrecks
            alone = yield Together((net,), ended.values, ended.epoch)
            assert alone is not None
            self.chosen, self.said = (net,), alone
            self.losses = [ended.metrics["loss"]] if "loss" in ended.metrics else []

    def _is_harmed(self, before: Outcome, after: Outcome) -> bool:
        floor = self.job.now(self.tour.survey).score
        was, now = self.job.now(before).score, self.job.now(after).score
        if was is None or now is None or floor is None:
            return now is None
        return was - now > HARM * max(was - floor, 0.0)

    def _tell(self) -> Generator[Request, Outcome | None, None]:
        if len(self.chosen) < 2 or self.said is None:
            return
        best, score = self.tour.best, self.job.now(self.said).score
        assert score is not None
        reason = f"the predictions of {len(self.chosen)} nets are averaged, at a score of {score:.4g}"
        numbers = {"nets": float(len(self.chosen)), "score": score}
        yield Commit(
            (), len(best.upto_best), best.peak, Verdict(reason, numbers, "ensemble"), nets=self.chosen
        )
