"""Several nets of one run: which are kept, and what is asked of them together."""

import warnings
from collections.abc import Generator

from gammatune.cost import Meter
from gammatune.engine.trainable import Joinable, ScoresTogether
from gammatune.errors import JournalWarning
from gammatune.journal.events import net_event
from gammatune.records import Length, Outcome, Rollout, Together
from gammatune.schedules import STILL
from gammatune.tuning.run import Run
from gammatune.tuning.scores import Scores
from gammatune.tuning.states import Place, States, last_number
from gammatune.tuning.teller import Teller


class Nets:
    """training: one that can be `Joinable`; a policy is told of it by `Job.nets`. ended: where each of them did."""

    def __init__(self, training: Joinable, states: States, teller: Teller) -> None:
        self._training = training
        self._states = states
        self._teller = teller
        self.ended: dict[int, Place] = {}
        self._kept: set[int] = set()  # of them, those whose weights the training has in this process
        self._heard: set[int] = set()  # and those it has heard on the selection data

    def keep(self, net: int) -> Generator[Run, None, None]:
        """Have the training keep a net: as it stands in its fork, or as another process left it on disk."""
        if net in self._kept:
            return
        journal = self._teller.journal
        known = {} if journal is None or journal.past is None else journal.past.kept
        if net in known:
            if self._training.rejoin(net, known[net]):
                self._kept.add(net)
                return
            warnings.warn(
                f"the file of net {net + 1} is damaged or gone; it is trained again",
                JournalWarning,
                stacklevel=2,
            )
        self._teller.announce()
        yield from self._states.go_to(self.ended[net])
        self._states.depart()
        checksum = self._training.join(net)
        self._kept.add(net)
        if journal is not None and checksum is not None:
            journal.append(net_event(net, checksum))

    def say(self, request: Together, number: int, before: Outcome, scores: Scores) -> tuple[Outcome, Meter]:
        """What they say together, as rollout `number`, the time apart; and what hearing others once more took.

        before: the rollout before."""
        meter, again = self._hear(request)
        assert isinstance(self._training, ScoresTogether)
        metrics, last = self._training.together(request.nets), request.nets[-1]
        outcome = Outcome(
            *(number, request.epoch, request.values, "ok", metrics, scores.together(metrics)),
            *(0, 0, meter.evaluated, 0.0),
            shape=STILL,
            role="together",
            origin=last_number(self.ended[last]),
            leaves=before.leaves,
            left=before.left,
            net=last,
            nets=request.nets,
        )
        return outcome, again

    def _hear(self, request: Together) -> tuple[Meter, Meter]:
        """Those that were not heard yet: what that takes of the one that joins, and of the others once more."""
        training = self._training
        assert isinstance(training, ScoresTogether)
        meter, again = Meter(), Meter()
        for net in request.nets:
            if net not in self._heard:
                self._states.depart()
                is_new = request.joined is not None and net == request.nets[-1]
                training.hear(net, meter if is_new else again)
                self._heard.add(net)
        return meter, again


def question(request: Together) -> Rollout:
    """What has the loop body evaluate the model, which says what the nets say together; it trains one batch at a rate
    of 0."""
    return Rollout(
        *(request.values, request.epoch, None),
        length=Length(0.0, least=1),
        shape=STILL,
        role="together",
        net=request.nets[-1],
        nets=request.nets,
    )
