"""Where each state of a training came from.

A *state* is what a training is at one moment. It can be had in three ways: from a fork that holds it, from a
checkpoint, or by training it once more from the state it came from; on a CPU all three give the same bits. So
what a run must keep is little, and what it loses costs time alone.
"""

import itertools
import warnings
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gammatune.engine.trainable import Forkable, Joinable, Storable
from gammatune.errors import JournalError, JournalWarning
from gammatune.records import Outcome, Rollout
from gammatune.tuning.checkpoints import BEGIN as BEGIN
from gammatune.tuning.checkpoints import Checkpoints
from gammatune.tuning.executor import Executor
from gammatune.tuning.held import Held
from gammatune.tuning.run import Run

AGAIN = "again"  # the fork from which the members of an average are trained once more


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """The training as it was handed over."""

    number = BEGIN


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """After a rollout from `origin`. allowance, fresh: of its `cost.Meter`."""

    origin: "Place"
    request: Rollout
    outcome: Outcome
    allowance: float
    fresh: bool = False

    @property
    def number(self) -> int:
        return self.outcome.number


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """The mean of the members in the place of the weights of `last`, whose random streams and counters stay."""

    last: "Place"
    members: tuple["Place", ...]

    @property
    def origin(self) -> "Place":
        """Where the first member came from, and as a rule all of them."""
        first = self.members[0]
        return first if isinstance(first, Beginning) else first.origin


@dataclass(frozen=True, slots=True, eq=False)
class Renewed:
    """At the start of another net: its initial weights in the place of those of `origin`."""

    origin: "Place"
    net: int

    number = BEGIN  # no rollout led there


Place: TypeAlias = Beginning | Trained | Averaged | Renewed


def last_number(place: Place) -> int:
    """The number of the rollout that led there, of an average that of its last member; BEGIN before the first."""
    return last_number(place.members[-1]) if isinstance(place, Averaged) else place.number


def ancestors(place: Place) -> Iterator[Place]:
    """The place itself, where it came from, and so on to the beginning."""
    while True:
        yield place
        if isinstance(place, Beginning):
            return
        place = place.origin


class States:
    """Where the training stands, and where the policy believes it does; the same but while nothing is trained.

    stands: None while that is not known. live: what the policy believes. home: where the course ends so far. forks:
    what those of the policy hold. at_home: where the course ends has been reached in this process. checkpoints: None
    where there are none. again: trains a rollout once more, from where it began, which is where the training stands.
    """

    def __init__(
        self,
        training: Forkable,
        *,
        seed: int,
        checkpoints: Checkpoints | None,
        executor: Executor | None,
        again: Callable[[Trained], Generator[Run, None, None]],
    ) -> None:
        self._training = training
        self._seed = seed
        self.checkpoints = checkpoints
        self._executor = executor
        self._again = again
        self._begin = begin = Beginning()
        self.stands: Place | None = begin
        self.live: Place = begin
        self.home: Place = begin
        self.forks: dict[str, Place] = {}
        self._held: Held[Place] = Held(training)  # what the forks of the training hold indeed
        self._lasting: frozenset[str] | set[str] = frozenset()  # forks that a later process will want
        self._pools: dict[str, list[Place]] = {}
        self._pooled: dict[str, list[Place]] = {}
        self.at_home = True

    def take_up(self) -> None:
        """Go on with a run that has been trained: nothing of it has been reached yet.

        Raises JournalError where neither a checkpoint nor the training handed over now leads there."""
        self.at_home = False
        assert self.checkpoints is not None
        begin = self.checkpoints.beginning
        if begin is None:
            warnings.warn(
                "the run has no checkpoint of its beginning: what it trained is trained again, from the training as "
                "it is handed over now",
                JournalWarning,
                stacklevel=6,
            )
        elif BEGIN in self.checkpoints.known and self.checkpoints.is_sound(BEGIN):
            self.stands = None
        elif not self._begins_alike(begin.digest):
            self.stands = None
            if not self.checkpoints.known:
                raise _lost()

    def renew(self, fork: str, net: int) -> None:
        self.live = self.forks[fork]
        if isinstance(self._training, Joinable):
            self.live = Renewed(self.live, net)

    def fork(self, name: str, *, lasting: bool = False) -> None:
        """From now on that name means where the training stands, which is copied once, when it is left.
        lasting: it is written then, whether or not it is time."""
        if self.stands is self.live and self._is_ahead(self.live):
            self.home = self.live
        self.forks[name] = self.live
        self._lasting = {*self._lasting, name} if lasting else self._lasting - {name}

    def forget(self, name: str) -> None:
        """Nobody comes back to that fork."""
        self.forks.pop(name, None)

    def leave(self) -> None:
        """The training is about to move: where it stands is captured, if there is a fork of it."""
        place = self.stands
        name = next((name for name, forked in self.forks.items() if forked is place), None)
        if place is not None and name is not None and self._held.fork_of(place) is None:
            held = self._held.capture(place, name, [*self.forks.values(), self.home])
            at_once = any(self.forks.get(one) is place for one in self._lasting)
            self.checkpoint(held, place, at_once=at_once)

    def depart(self) -> None:
        """From here on nobody knows where the training stands."""
        self.leave()
        self.stands = None

    def fork_of(self, place: Place) -> str | None:
        """The name of the fork of the training that holds a place."""
        return self._held.fork_of(place)

    def pool(self, name: str, count: int) -> None:
        members = self._pools.setdefault(name, [])
        if count == 1:
            members.clear()
        members.append(self.live)
        if self.stands is self.live:
            self._training.pool(name, count)
            self._pooled[name] = list(members)

    def average(self, name: str) -> None:
        members = self._pools.pop(name)
        pooled = self._pooled.pop(name, [])
        averaged = Averaged(self.live, tuple(members))
        if self.stands is self.live and pooled == members:
            self.depart()  # an interrupt may leave half of it done
            self._training.average(name)
            self.stands = averaged
        self.live = averaged

    def restore(self, fork: str) -> Generator[Run, None, None]:
        """Stand where a fork of the policy's stands."""
        place = self.forks[fork]
        self.leave()
        if (held := self._held.fork_of(place)) is not None:
            self._go_back(held, place)
            return
        yield from self.go_to(place)
        self.leave()

    def go_to(self, place: Place) -> Generator[Run, None, None]:
        """Stand at a place: from a fork, from a checkpoint, or by training again what lies between."""
        if self.stands is not place:
            self.leave()
        between: list[Place] = []
        for ancestor in ancestors(place):
            if self._stand_on(ancestor):
                break
            between.append(ancestor)
        else:
            raise _lost()
        for step in reversed(between):
            if isinstance(step, Trained):
                yield from self._again(step)
            elif isinstance(step, Averaged):
                yield from self._average_again(step)
            elif isinstance(step, Renewed):
                self.depart()
                assert isinstance(self._training, Joinable), "it has made the first of them"
                self._training.renew(self._seed, step.net)
                self.stands = step

    def fill_pools(self) -> Generator[Run, None, None]:
        """Averages that were being formed when the run was interrupted."""
        for name, members in self._pools.items():
            if members and self._pooled.get(name) != members:
                yield from self._pool_again(name, members)
                self._pooled[name] = list(members)

    @property
    def is_home(self) -> bool:
        """The training stands where the course ends."""
        return self.stands is self.home

    def go_home(self) -> None:
        """Put the training where the course ends; where that has not been reached again, as near as there is."""
        for place in ancestors(self.home):
            if self._stand_on(place) or self.at_home:
                return

    def keep(self) -> None:
        """Write where the course ends, before the process does: what has been trained need not be again."""
        if self.checkpoints is None or self.stands is not self.home or not isinstance(self.home, Trained):
            return
        if self.home.number not in self.checkpoints.known:
            # none of the others is needed any more
            name = self._held.fork_of(self.home) or self._held.capture(self.home, AGAIN, [])
            self.checkpoint(name, self.home, at_once=True)

    def end(self, *, renews: bool) -> None:
        """Nothing is left to be trained: of all states are kept where the course ends, and what a later process will
        want. renews: so may the beginning be, from which a net that is lost is trained again."""
        self.keep()
        self.forks = {name: place for name, place in self.forks.items() if name in self._lasting}
        home, wanted = self.home, [place for place in self.forks.values() if isinstance(place, Trained)]
        if (
            self.checkpoints is not None
            and isinstance(home, Trained)
            and home.number in self.checkpoints.known
        ):
            kept = {home.number, *(place.number for place in wanted)}
            self.checkpoints.retire(kept | ({BEGIN} if renews else set()))

    def keep_the_beginning(self) -> None:
        """Once the loader has been met, whose streams belong to it."""
        if self.checkpoints is None or BEGIN in self.checkpoints.known:
            return
        name = self._held.fork_of(self._begin)
        if name is not None:
            self.checkpoints.save(name, BEGIN)

    def checkpoint_of_home(self) -> None:
        """Of a fork that has just become the end of the course, where it is held."""
        if (held := self._held.fork_of(self.home)) is not None:
            self.checkpoint(held, self.home)

    def is_held(self, place: Place) -> bool:
        """By a fork of the policy's, as far as that goes."""
        return any(place is held for held in self.forks.values())

    def checkpoint(self, fork: str, place: Place, *, at_once: bool = False) -> None:
        """Write a fork, which holds that place, where the time for it has come."""
        if self.checkpoints is None or not isinstance(place, Trained):
            return
        if at_once or self.checkpoints.are_due:
            self.checkpoints.save(
                fork, place.number, self._leading_there({*self.checkpoints.known, place.number})
            )

    def _leading_there(self, written: Collection[int]) -> set[int]:
        """Of the states that are written, the nearest to each place that is still to be come back to."""
        needed: set[int] = set()
        for place in (self.home, *self.forks.values()):
            passed = (one.number for one in ancestors(place) if isinstance(one, (Trained, Beginning)))
            needed.update(itertools.islice((number for number in passed if number in written), 1))
        return needed

    def _stand_on(self, place: Place) -> bool:
        """Stand at a place that can be had without training."""
        if self.stands is place:
            return True
        if (name := self._held.fork_of(place)) is not None:
            self._go_back(name, place)
            return True
        if isinstance(place, (Averaged, Renewed)):
            return False
        if self._executor is not None and isinstance(place, Trained):
            stood, self.stands = self.stands, None
            if self._executor.stand(self._training, place.number):
                self.stands = place
                return True
            self.stands = stood  # nothing has moved
        if self.checkpoints is None or place.number not in self.checkpoints.known:
            return False
        stood, self.stands = self.stands, None
        if not self.checkpoints.load(place.number):
            self.stands = stood  # nothing has moved
            return False
        self.stands = place
        return True

    # -- inside

    def _go_back(self, fork: str, place: Place) -> None:
        self.stands = None  # an interrupt may leave half of it done
        self._training.restore(fork)
        self.stands = place

    def _average_again(self, place: Averaged) -> Generator[Run, None, None]:
        yield from self._pool_again(AGAIN, place.members)
        yield from self.go_to(place.last)
        self.depart()
        self._training.average(AGAIN)
        self.stands = place

    def _pool_again(self, name: str, members: Sequence[Place]) -> Generator[Run, None, None]:
        """Each member once more, all as a rule from one place."""
        first = members[0]
        if isinstance(first, Trained):
            self.forks[AGAIN] = first.origin
            if self._held.fork_of(first.origin) is None:
                yield from self.go_to(first.origin)
        for count, member in enumerate(members, start=1):
            yield from self.go_to(member)
            self._training.pool(name, count)
        self.forget(AGAIN)

    def _begins_alike(self, digest: str | None) -> bool:
        """Whether the training handed over now is what the run began with."""
        held = self._held.capture(self._begin, AGAIN, [])
        assert isinstance(self._training, Storable), "it has written checkpoints"
        is_alike = digest is not None and self._training.digest(held) == digest
        self._held.forget(held)
        return is_alike

    def _is_ahead(self, place: Place) -> bool:
        """Whether it is the course, gone on with since the last commit."""
        while isinstance(place, Trained) and place.request.course and place is not self.home:
            place = place.origin
        return place is self.home


def _lost() -> JournalError:
    return JournalError(
        "the state in which the run began is lost (its checkpoint is damaged or gone), and the training handed over "
        "now has other numbers. Hand over the model that the run began with, or begin a new run in another directory"
    )
