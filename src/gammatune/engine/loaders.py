"""The loaders that a training has met: which one a run passes over, and what of them goes back, or into a file.

A loader is met when a run first asks for its batches. Its own generators are from then on part of every fork, those
captured before included; one whose order cannot be restored is recorded (engine/recorded_loader.py). Another process
meets the same loaders later than it reads the file: what that says of them waits here until then.
"""

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gammatune.cost import Meter
from gammatune.engine.batches import (
    Epoch,
    Loader,
    LoaderFactory,
    Passes,
    described,
    epoch_of,
    in_order,
    is_shuffled,
    named,
    refuse_no_loader,
    restorable,
    streams_of,
)
from gammatune.engine.forks.snapshot import Snapshot
from gammatune.engine.forks.streams import Stream, kind_of, set_state, start_anew
from gammatune.engine.prepared_loaders import prepared_loader
from gammatune.engine.recorded_loader import Tape
from gammatune.engine.recorded_stream import Reel
from gammatune.errors import InvalidArgument, NotRestorable

Saved: TypeAlias = Mapping[str, Any]  # what a file says of a loader
MANY = 32  # loaders, or generators in loaders; guess: nobody has so many on purpose


class Loaders:
    """streams, forks: the training's own, which a loader that is met adds to. trusted: see `batches.restorable`.

    in_steps: a run takes so many batches from where the last one ended, not those of an epoch.
    order: what starts the streams of a run with an order of its own; None in any other.
    """

    def __init__(
        self,
        streams: list[Stream],
        forks: dict[str, Snapshot],
        trusted: Sequence[Any],
        tape_bytes: int,
        *,
        in_steps: bool = False,
    ) -> None:
        self.order: np.random.Generator | None = None
        self._streams, self._forks, self._trusted = streams, forks, trusted
        self._tape_bytes, self._in_steps = tape_bytes, in_steps
        self._made: dict[tuple[int, int], Loader] = {}  # (factory, batch size) -> loader
        self._factories: dict[int, int] = {}  # in the order they were met
        self._functions: list[Passes] = []  # that give the batches of a pass
        self._prepared: dict[
            int, tuple[Any, Loader]
        ] = {}  # as another library has made them, and as they are here
        self._met: dict[int, _Met] = {}  # the loaders that have random streams of their own, or a tape
        # what a file said of loaders that this process has not met: of the training as it stands, and of the forks
        self._pending: tuple[Saved, ...] = ()
        self._unmet: dict[str, tuple[Saved, ...]] = {}
        self._tapes: dict[int, Tape] = {}
        self._reels: dict[int, Reel] = {}  # in the place of tapes where steps are counted
        self._positions: dict[str, dict[int, int]] = {}  # fork -> of each reel
        self.exhausted: set[int] = set()  # loaders passed over to the end
        self._passes: dict[int, int] = {}  # loader -> passes over it in this run

    @property
    def met(self) -> list[Loader]:
        """The loaders that have random streams of their own, or a tape."""
        return [one.loader for one in self._met.values()]

    # -- with the training

    def begin_run(self, meter: Meter) -> None:
        self._passes = {}
        if not meter.order:
            self.order = None

    def captured(self, fork: str) -> None:
        self._unmet[fork] = self._pending
        self._positions[fork] = {key: reel.position for key, reel in self._reels.items()}

    def restored(self, fork: str) -> None:
        self._pending = self._unmet[fork]
        for key, reel in self._reels.items():
            reel.position = self._positions[fork].get(key, 0)

    def forget(self, fork: str) -> None:
        del self._unmet[fork], self._positions[fork]

    def export(self, fork: str) -> list[Saved]:
        """What a file is to say of the loaders, as they stood at a fork."""
        met = [one.export(self._forks[fork], self._recipe(key, one, fork)) for key, one in self._met.items()]
        return [*met, *self._unmet[fork]]

    def _recipe(self, key: int, met: "_Met", fork: str) -> Saved | None:
        if key in self._reels:
            return self._reels[key].export(self._positions[fork].get(key, 0))
        return self._tapes[key].export() if key in self._tapes else met.recipe

    def adopt(self, saved: Sequence[Saved]) -> None:
        """Go on from what a file said; of loaders not met yet, when they are met."""
        self.order = None
        self._pending = tuple(sorted(saved, key=lambda loader: loader["number"]))
        for met in self._met.values():
            found, self._pending = _claimed(met, self._pending)
            if found is not None:
                for stream_, state in zip(met.streams, found["streams"], strict=True):
                    set_state(stream_, state)

    def forget_before(self, epoch: int) -> None:
        for tape in self._tapes.values():
            tape.forget_before(epoch)
        for reel in self._reels.values():
            reel.forget_before()

    def close(self) -> None:
        self._unmet.clear()
        self._tapes.clear()
        self._reels.clear()

    # -- in a run

    def is_restorable(self, loader: Loader) -> bool:
        return restorable(loader, trusted=self._trusted)

    def epoch_of(self, loader: Loader, epoch: int, examples: Callable[[Any], int]) -> Epoch:
        """What an epoch of it has; one that is recorded is drawn to its end for that."""
        if self.is_restorable(loader):
            return epoch_of(loader, examples)
        return self._tape_for(loader).measure(epoch, examples)

    def play(self, loader: Loader, epoch: int, nth: int, meter: Meter) -> Iterable[Any]:
        """The nth pass over it of an epoch."""
        if self.is_restorable(loader):
            return in_order(loader, meter.order, epoch, nth)
        return self._tape_for(loader).play(epoch, nth, meter.order, fresh=meter.fresh)

    def next_pass(self, loader: Loader) -> int:
        """The number of a pass over it that begins now, from 0 in every run."""
        self._passes[id(loader)] = self._passes.get(id(loader), -1) + 1
        return self._passes[id(loader)]

    def _tape_for(self, loader: Loader) -> Tape:
        if id(loader) not in self._tapes:
            self._tapes[id(loader)] = Tape(loader, self._tape_bytes, self._met[id(loader)].recipe)
            _refuse_too_many(len(self._tapes))
        return self._tapes[id(loader)]

    def reel_of(self, loader: Loader) -> Reel:
        """It as one stream of batches."""
        if id(loader) not in self._reels:
            self._reels[id(loader)] = Reel(
                *(loader, self._tape_bytes, self._met[id(loader)].recipe),
                is_shuffled=self.is_restorable(loader) and is_shuffled(loader),
                begins_anew=self.is_restorable(loader) or isinstance(loader, Passes),
            )
            _refuse_too_many(len(self._reels))
        return self._reels[id(loader)]

    # -- meeting

    def loader_for(self, given: Loader | LoaderFactory, size: int | None) -> Loader:
        """What a run passes over, given this in its loop body. size: of the batches, where that is searched."""
        is_function = callable(given) and not hasattr(given, "__iter__")
        if size is not None:
            if not is_function or not _takes(given, 1):
                raise InvalidArgument(
                    "batch_size is searched, so run.batches needs a function of the batch size that makes a loader, "
                    f"not {named(given)}{'()' if is_function else ''}"
                )
            return self._loader_of(given, size)
        if is_function:
            given = self._passes_of(given)
        found = self._as_passed_over(given, "what run.batches was given")
        self._meet(found, None, None)
        return found

    def _as_passed_over(self, given: Any, what: str) -> Loader:
        """It, or in the place of one that another library has prepared what knows its terms, always the same."""
        if id(given) not in self._prepared:
            refuse_no_loader(given, what)
            found = prepared_loader(given, self._trusted)
            if found is None:
                return given  # type: ignore[no-any-return]
            self._prepared[id(given)] = given, found
            _refuse_too_many(len(self._prepared))
        return self._prepared[id(given)][1]

    def _passes_of(self, function: Any) -> Loader:
        """The loader that a generator function is; the same one for the same function."""
        if not _takes(function, 0):
            raise InvalidArgument(
                f"run.batches was given a function with parameters, {named(function)}{inspect.signature(function)}: "
                "one of the batch size is for searching that (add batch_size to the space), one without parameters "
                "gives the batches of an epoch; or give the loader itself"
            )
        # found by equality: a method is a new object each time it is looked up
        for known in self._functions:
            if known.function == function:
                return known
        self._functions.append(Passes(function))
        _refuse_too_many(len(self._functions))
        return self._functions[-1]

    def _loader_of(self, factory: Any, size: int) -> Loader:
        """A factory's loader of one batch size; at the first call also those that another process had made of it,
        since they may share a generator."""
        number = self._factories.setdefault(id(factory), len(self._factories))
        sizes = [saved["size"] for saved in self._pending if saved["factory"] == number]
        for each in (*sizes, size):
            if (id(factory), each) not in self._made:
                what = f"{named(factory)}({each}), given to run.batches,"
                self._made[id(factory), each] = self._as_passed_over(factory(each), what)
            self._meet(self._made[id(factory), each], number, each)
        return self._made[id(factory), size]

    def _meet(self, loader: Loader, factory: int | None, size: int | None) -> None:
        """A loader's own generators belong to every fork, those captured before it was met included."""
        new = [found for found in streams_of(loader) if not any(found is known for known in self._streams)]
        met = self._met.get(id(loader))
        here: Saved | None = None
        there: dict[str, Saved | None] = {}
        if met is None:
            if not new and self.is_restorable(loader) and not self._in_steps:
                return  # nothing of its own to keep
            met = self._met[id(loader)] = _Met(loader, factory, size)
            here, self._pending = _claimed(met, self._pending)
            for fork, unmet in self._unmet.items():
                there[fork], self._unmet[fork] = _claimed(met, unmet)
                if (saved := there[fork]) is not None and self._in_steps:
                    self._positions[fork][id(loader)] = saved["tape"]["position"]
            self._number(met, here)
        for found in new:
            self._streams.append(found)
            _refuse_too_many(len(self._streams))
            for fork, snapshot in self._forks.items():
                snapshot.streams.add(found, met.state_in(there.get(fork), found))
            if (state := met.state_in(here, found)) is not None:
                set_state(found, state)
            if self.order is not None:  # the run began before its loader was met
                start_anew(found, self.order)

    def _number(self, met: "_Met", saved: Saved | None) -> None:
        """The place of a loader that was just met: the one it had in another process, or the next."""
        if saved is not None:
            met.number, met.recipe = saved["number"], saved["tape"]
            return
        numbers = [one["number"] for one in self._pending] + [one.number for one in self._met.values()]
        met.number = 1 + max(numbers)
        if any((one["factory"], one["size"]) == (met.factory, met.size) for one in self._pending):
            known = "; ".join(one["what"] for one in self._pending)
            warnings.warn(
                f"a loader ({met.what}) is none of those that the checkpoint knows and this process has not met yet "
                f"({known}), so its random order begins anew",
                stacklevel=6,
            )


class _Met:
    """A loader that was met, and what of it goes into a file.

    number: in the order of meeting, over all processes of a run. factory, size: where a factory made it.
    recipe: what another process had drawn from it (`Tape.export`).
    """

    def __init__(self, loader: Loader, factory: int | None, size: int | None) -> None:
        self.loader = loader  # kept alive, since it is known by its identity
        self.factory, self.size = factory, size
        self.what = described(loader)
        self.number = -1
        self.recipe: Saved | None = None

    @property
    def streams(self) -> list[Stream]:
        """The generators in it, in an order that is the same in every process."""
        return streams_of(self.loader)

    def state_in(self, saved: Saved | None, found: Stream) -> Any:
        """What a file says of one of its streams."""
        if saved is None:
            return None
        return next(s for own, s in zip(self.streams, saved["streams"], strict=True) if own is found)

    def export(self, fork: Snapshot, recipe: Saved | None) -> dict[str, Any]:
        # not those made since it was met
        streams = [found for found in self.streams if fork.streams.knows(found)]
        return {
            "number": self.number,
            "factory": self.factory,
            "size": self.size,
            "what": self.what,
            "kinds": [kind_of(stream_) for stream_ in streams],
            "streams": [fork.streams.kept(stream_) for stream_ in streams],
            "tape": recipe,
        }


def _claimed(met: _Met, unmet: tuple[Saved, ...]) -> tuple[Saved | None, tuple[Saved, ...]]:
    """What is said of a loader among those not met, and the others. Raises InvalidArgument where it has changed."""
    for index, saved in enumerate(unmet):
        if (saved["factory"], saved["size"], saved["what"]) == (met.factory, met.size, met.what):
            kinds = [kind_of(stream_) for stream_ in met.streams]
            if saved["kinds"] != kinds:
                raise InvalidArgument(
                    f"a loader ({met.what}) has {len(kinds)} random generators of its own here and had "
                    f"{len(saved['kinds'])}, or others, when the checkpoint was written; make them together with it"
                )
            return saved, unmet[:index] + unmet[index + 1 :]
    return None, unmet


def _refuse_too_many(count: int) -> None:
    if count > MANY:
        raise NotRestorable(
            f"run.batches has been given {count} different loaders: one seems to be made anew in every run, so "
            "that runs cannot be given the same batches; make it once, before the loop"
        )


def _takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many things; where that cannot be told it is believed."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C
        return True
    return True
