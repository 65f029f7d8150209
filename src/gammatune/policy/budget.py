"""What a policy may still spend, in the units of the ledger."""

import math

from gammatune.cost import PlainEpoch, units
from gammatune.records import Outcome


class Budget:
    """The budget of a run, once a first outcome has told how large an epoch and a validation pass are.

    Legend: a *unit* is an example trained; `epoch` the units of a plain epoch, `pass_` those of one validation
    pass; `batches` how many batches an epoch has; `longest` how many a rollout can have: no end, but where the loop
    body leaves its epochs early. That is heard with a later outcome, and changes what the budget comes to. `aside` is
    kept for what is sure to follow.
    """

    def __init__(self, budget: float, epochs: float, survey: Outcome) -> None:
        self.epochs = epochs
        self.paid = self.aside = 0.0
        self._measured = PlainEpoch()
        self._measured.hear(survey)
        self._worth = budget * epochs  # epochs
        self._left = budget * self.plain
        self._in_time = math.inf  # units left that the time allows
        self.pay(survey)

    @property
    def epoch(self) -> float:
        return self._measured.units

    @property
    def pass_(self) -> float:
        return self._measured.pass_

    @property
    def batches(self) -> int:
        return self._measured.batches

    @property
    def longest(self) -> float:
        return self._measured.longest

    @property
    def plain(self) -> float:
        """The units of a plain run."""
        return self.epochs * self.epoch

    @property
    def left(self) -> float:
        """Units, of the budget and of what the time allows."""
        return min(self._left, self._in_time) - self.aside

    def limit(self, units_: float) -> None:
        """From now on no more than that, as far as the time goes."""
        self._in_time = min(self._in_time, units_)

    def pay(self, outcome: Outcome) -> None:
        spent, before = units(outcome.trained, outcome.evaluated), self.epoch
        self.paid, self._left, self._in_time = self.paid + spent, self._left - spent, self._in_time - spent
        self._measured.hear(outcome)
        if self.epoch != before:
            self._left += self._worth * (self.epoch - before)

    def share(self, units_: float) -> "Share":
        """A part of it."""
        return Share(self, units_)

    def price(self, batches: float, *, scored: bool = True) -> float:
        """The units of training so many batches, with a validation pass at the end."""
        batches = min(batches, self.longest)
        return batches * (self.epoch - self.pass_) / self.batches + (self.pass_ if scored else 0.0)

    def affordable(self, units_: float) -> float:
        """The longest rollout, in batches, that so many units pay for; below 0 where they do not pay for one."""
        return (units_ - self.pass_) * self.batches / (self.epoch - self.pass_)

    def members(self, trials: int) -> int:
        """How many trainings of every epoch each of so many whole walks can have, beside scoring their average."""
        units_ = self.left / trials / self.epochs
        return max(0, int((units_ - self.price(1)) / (self.epoch - self.pass_) + 1e-9))

    @property
    def total_batches(self) -> int:
        """The batches of the whole course."""
        return round(self.epochs * self.batches)


class Share:
    """A part of a budget, for one purpose; it is worth as many epochs whatever an epoch turns out to cost."""

    def __init__(self, budget: Budget, units_: float) -> None:
        self._purse, self._epochs, self._before = budget, units_ / budget.epoch, budget.paid

    @property
    def whole(self) -> float:
        return self._epochs * self._purse.epoch

    @property
    def left(self) -> float:
        return self.whole - (self._purse.paid - self._before)
