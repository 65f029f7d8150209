"""What a training tells of itself before it begins, seen from the space that is searched."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gammatune.engine.trainable import Advises, Forkable, HasAlternatives, HasOwn, Knows, Reachable, Storable
from gammatune.policy.opening import rates_of
from gammatune.records import Alternative, Known, Values
from gammatune.schedules import STILL
from gammatune.space import OPTIMIZER, Space
from gammatune.tuning.check import Comparing
from gammatune.tuning.run import Own


@dataclass(frozen=True, slots=True)
class Before:
    training: Forkable
    space: Space

    @property
    def came_with(self) -> Values:
        """What the optimizer came with, as far as the training tells."""
        return self.training.own(self.space.names) if isinstance(self.training, HasOwn) else {}

    @property
    def own_values(self) -> Values:
        """What the optimizer came with, where that lies in the space; the middle of the space else."""
        return self._inside(self.came_with)

    @property
    def known(self) -> Known:
        """What the training tells of itself, its rate that of `own_values`, from which policies measure. Where those
        are not what the optimizer came with nobody chose them."""
        if not isinstance(self.training, Knows):
            return Known()
        return self._measured_from(self.training.known(), self.came_with)

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """The optimizers of the space that the training has, in the order of the space."""
        if OPTIMIZER not in self.space.names or not isinstance(self.training, HasAlternatives):
            return ()
        found = {each.name: each for each in self.training.alternatives(self.space.names)}
        taken = [found[str(name)] for name in self.space[OPTIMIZER].grid(1)]
        return tuple(
            Alternative(self._inside(each.own), self._measured_from(each.known, each.own)) for each in taken
        )

    @property
    def structure(self) -> Mapping[str, Any]:
        """For the begin event, which refuses to go on with another."""
        return {"structure": self.training.structure()} if isinstance(self.training, Storable) else {}

    @property
    def in_event(self) -> Mapping[str, Any]:
        """For the begin event: what a policy goes by."""
        others = [asdict(each) for each in self.alternatives]
        return {"known": asdict(self.known)} | ({"alternatives": others} if others else {})

    @property
    def comparing(self) -> Comparing | None:
        """How one batch, trained twice, is compared, where the training can be looked into."""
        training = self.training
        if not isinstance(training, Reachable):
            return None
        from gammatune.engine.doctor.twice import Twice

        return partial(Twice, training)

    @property
    def own(self) -> Own:
        """What a rollout that raised is trained again under."""
        is_users = not isinstance(self.training, Advises) or self.training.rate_is_own
        # where that lies outside of the space, too: there it is nobody's candidate
        return Own({**self.own_values, **self.came_with}, None if is_users else STILL)

    def _inside(self, known: Values) -> Values:
        middle = self.space.from_unit(np.full(self.space.columns, 0.5))
        return {
            n: known[n] if n in known and self.space[n].contains(known[n]) else middle[n]
            for n in self.space.names
        }

    def _measured_from(self, known: Known, came: Values) -> Known:
        own, rates = self._inside(came), rates_of(self.space)
        if all(own[name] == came.get(name) for name in rates):
            return known
        before = float(came.get(rates[0], 0.0))  # of several rates the first is measured (`policy.looks`)
        moved = float(own[rates[0]]) / before if before > 0 else 1.0
        return replace(known, rate=known.rate * moved, is_own=False)
