"""What a policy may still spend, in the units of the ledger."""

from gammatune.ledger import plain_epoch, units
from gammatune.records import Outcome


class Purse:
    """The budget of a run, once a first outcome has told how large an epoch and a validation pass are.

    Legend: a *unit* is an example trained; `epoch` the units of a plain epoch, `pass_` those of one validation
    pass; `batches` how many batches an epoch has.
    """

    def __init__(self, budget: float, epochs: int, survey: Outcome) -> None:
        self.epochs = epochs
        self.batches = max(1, survey.epoch_batches)
        self.epoch = plain_epoch(survey)
        self.pass_ = units(0, survey.evaluated)
        self.left = budget * self.plain
        self.pay(survey)

    @property
    def plain(self) -> float:
        """The units of a plain run."""
        return self.epochs * self.epoch

    def pay(self, outcome: Outcome) -> None:
        self.left -= units(outcome.trained, outcome.evaluated)

    def price(self, batches: float, *, scored: bool = True) -> float:
        """The units of training so many batches, with a validation pass at the end."""
        return batches * (self.epoch - self.pass_) / self.batches + (self.pass_ if scored else 0.0)

    def affordable(self, units_: float) -> float:
        """The longest rollout, in batches, that so many units pay for; below 0 where they do not pay for one."""
        return (units_ - self.pass_) * self.batches / (self.epoch - self.pass_)

    def members(self, walks: int) -> int:
        """How many trainings of every epoch each of so many whole walks can have, beside scoring their average."""
        units_ = self.left / walks / self.epochs
        return max(0, int((units_ - self.price(1)) / (self.epoch - self.pass_) + 1e-9))

    @property
    def total_batches(self) -> int:
        """The batches of the whole course."""
        return self.epochs * self.batches
