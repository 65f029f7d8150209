"""The other processes of a training in several, as a tuner meets them: alike at the beginning, left at the end."""

import json
import warnings
from collections.abc import Mapping
from typing import Any

from gammatune.engine.ranks import PATIENCE, Ranks
from gammatune.engine.trainable import Forkable, HasDigest
from gammatune.errors import InvalidArgument, RankFailed
from gammatune.journal.events import Event, rollout_event, text_of
from gammatune.tuning.driver import Driver
from gammatune.tuning.resume import COMPARED, refuse_unlike
from gammatune.tuning.run import Run


class OtherRanks:
    """ranks: all of them, this one among them; of one alone nothing is asked."""

    def __init__(self, ranks: Ranks, training: Forkable) -> None:
        self._ranks = ranks
        self._training = training
        self._compared = ranks.world == 1

    def compare(self, begin: Event) -> Mapping[str, Any]:
        """What the begin event says of them, once each was found to begin alike. Raises InvalidArgument."""
        if self._ranks.world == 1:
            return {}

        def beginning() -> dict[str, Any]:
            weights = self._training.weights_digest() if isinstance(self._training, HasDigest) else None
            wanted: dict[str, Any] = json.loads(text_of(begin))
            return {**{name: wanted.get(name) for name in (*COMPARED, "structure")}, "weights": weights}

        refuse_unlike(self._ranks.each("begins the run", beginning))
        return {"ranks": self._ranks.world}

    def ask_whether_to_stop(self, is_stopping: bool) -> bool:
        """Whether any rank has been asked to end soon; all of them take part."""
        if self._ranks.world == 1:
            return is_stopping
        return any(self._ranks.each("reports", lambda: is_stopping))

    def look_whether_parted(self, run: Run) -> None:
        """Once, after the first stretch of the course: whether gradients are exchanged."""
        if self._compared or not run.is_course or not isinstance(self._training, HasDigest):
            return
        self._compared = True
        if len(set(self._ranks.each("reports", self._training.weights_digest))) > 1:
            warnings.warn(
                "the ranks began with the same weights and have others now: each trains a model of its own, and that "
                "of rank 0 is scored and kept. Wrap the model in DistributedDataParallel, or pass ranks='off'",
                stacklevel=3,
            )

    def leave(self, driver: Driver, run: Run | None, error: BaseException | None) -> RankFailed | None:
        """Part from them before the course is complete; what ended the run, where one of them did."""
        if self._ranks.world == 1:
            return None
        fault: RankFailed | None = None
        if error is not None:
            fault = self._ranks.fault(error, infeasible=run is not None and run.meter.infeasible)
            if run is not None and (run.meter.infeasible or getattr(fault or error, "infeasible", False)):
                _write_off(driver, run, str(fault or error))
        else:
            try:
                self._ranks.sum("leaves the loop", patience=PATIENCE)
                return None
            except RankFailed as failed:
                fault = failed
            except TimeoutError:
                fault = RankFailed(
                    "this rank has left the loop, and the others go on: break at the same place in all"
                )
                self._ranks.fault(InvalidArgument("it has left the loop before the others"))
        driver.states.checkpoints = None  # nothing is read or written any more that takes all of them
        return fault


def _write_off(driver: Driver, run: Run, note: str) -> None:
    """A run that does not fit into memory, and with which this process ends: it is not to be tried again."""
    run.meter.infeasible, run.meter.note = True, run.meter.note or note
    with run.attempt():
        pass
    driver.teller.write(rollout_event(run.outcome(driver.objective), driver.clock.times(answers=False)))
