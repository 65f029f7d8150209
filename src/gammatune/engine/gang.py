"""`Ranks` made of torch.distributed.

Control messages travel over a group of their own, on the CPU (gloo), so that they never mix with the gradients'. A
rank that fails leaves a note in the store, by which the others say what has happened when their connection breaks.
"""

import contextlib
import json
import pickle
import time as clock
import weakref
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, get_args

import torch
import torch.distributed as dist

from gammatune.errors import InvalidArgument, RankFailed
from gammatune.ranks import MOST, SINGLE, Ranks, Single, Step

T = TypeVar("T")

STEPS: tuple[Step, ...] = get_args(Step)
LOOK = 0.02  # seconds between two looks at whether others have come (guess)
SILENCE = 3.0  # seconds in which a rank that still runs notices that another has ended (guess)


def ranks_of(given: Any) -> Ranks:
    """None: those of the default process group where one is initialised, else this process alone; "off": this
    process alone; or a process group."""
    if isinstance(given, (Gang, Single)):
        return given
    if given is not None and given != "off" and not isinstance(given, dist.ProcessGroup):
        raise InvalidArgument(
            f"ranks={given!r:.60}: give a process group of torch.distributed, 'off' where each process trains a "
            "model of its own, or leave it out"
        )
    if given == "off" or not (dist.is_available() and dist.is_initialized()):
        return SINGLE
    return Gang(given) if dist.get_world_size(given) > 1 else SINGLE


class Gang:
    """The ranks of a process group (None: the default one), whose every member makes one at the same time.

    group: that one, over which gradients travel.
    """

    def __init__(self, group: "dist.ProcessGroup | None" = None) -> None:
        if not dist.is_gloo_available():
            raise InvalidArgument(
                "this torch has no gloo, over which the ranks agree; install one that has, or pass ranks='off'"
            )
        self.group = group
        members = tuple(dist.get_process_group_ranks(group))
        self._first = members[0]
        self._group, number = _control_group(members, _timeout(group))
        self.rank = dist.get_rank(self._group)
        self.world = len(members)
        store = dist.distributed_c10d._get_default_store()
        self._store = dist.distributed_c10d.PrefixStore(f"gammatune/{self._group.group_name}/{number}", store)
        self._vector = torch.zeros(len(STEPS) + MOST, dtype=torch.float64)

    # -- Ranks

    def agree(self, step: Step, decide: Callable[[], T]) -> T:
        own = _Answer(decide) if self.rank == 0 else None
        answer = [None if own is None else own.data]
        self.sum(step)
        with self._line():
            dist.broadcast_object_list(answer, src=self._first, group=self._group)
        found: T = (own or _Answer.of(answer[0], 0)).get()
        return found

    def each(self, step: Step, act: Callable[[], T]) -> list[T]:
        own = _Answer(act)
        self.sum(step)
        data: list[Any] = [None] * self.world
        with self._line():
            dist.all_gather_object(data, own.data, group=self._group)
        answers = [own if rank == self.rank else _Answer.of(said, rank) for rank, said in enumerate(data)]
        own.get()  # of several errors each rank raises its own
        return [answer.get() for answer in answers]

    def sum(self, step: Step, *numbers: float, patience: float | None = None) -> Sequence[float]:
        vector = self._vector
        vector.zero_()
        vector[STEPS.index(step)] = 1
        for index, number in enumerate(numbers, start=len(STEPS)):
            vector[index] = number
        if patience is None:
            with self._line():
                dist.all_reduce(vector, group=self._group)
        else:
            self._sum_soon(vector, patience)
        summed: list[float] = vector.tolist()
        if summed[STEPS.index(step)] != self.world:
            self._out_of_step(step)
        return summed[len(STEPS) : len(STEPS) + len(numbers)]

    # -- where one fails

    def fault(self, error: BaseException, *, infeasible: bool = False) -> RankFailed | None:
        """Of the error with which this rank ends: what it comes from, where another rank has ended. Else the others
        are told of it. infeasible: memory ran out."""
        if isinstance(error, RankFailed):
            return None
        if _is_of_the_line(error):
            return self._lost()
        said = (str(error).splitlines() or [""])[0]
        note = {"what": f"{type(error).__name__}: {said}".rstrip(": "), "infeasible": infeasible}
        self._post(f"failed/{self.rank}", json.dumps(note))
        return None

    # -- inside

    def _sum_soon(self, vector: torch.Tensor, patience: float) -> None:
        options = dist.distributed_c10d.AllreduceOptions()
        options.timeout = timedelta(seconds=patience)
        try:
            self._group.allreduce([vector], options).wait()
        except RuntimeError as error:
            if "Timed out" in str(error):
                raise TimeoutError from error
            raise self._lost() from error

    def _out_of_step(self, step: Step) -> None:
        steps: list[Any] = [None] * self.world
        with self._line():
            dist.all_gather_object(steps, step, group=self._group)
        said = ", ".join(f"rank {rank} {other}" for rank, other in enumerate(steps))
        raise RankFailed(
            f"the ranks are not in step: {said}. Every rank must run the same loop: the same calls of run.batches, "
            "run.evaluate and run.report, and break at the same place"
        )

    @contextlib.contextmanager
    def _line(self) -> Any:
        try:
            yield
        except RuntimeError as error:
            raise self._lost() from error

    def _lost(self) -> RankFailed:
        """What has become of the others, by their notes; a rank that has left none is named when all that still run
        had the time to notice."""
        self._post(f"lost/{self.rank}", "")
        until = clock.monotonic() + SILENCE
        others = [rank for rank in range(self.world) if rank != self.rank]
        try:
            while True:
                for rank in others:
                    if self._store.check([f"failed/{rank}"]):
                        note = json.loads(self._store.get(f"failed/{rank}"))
                        return RankFailed(
                            f"rank {rank} of {self.world} has ended with {note['what']}",
                            infeasible=bool(note["infeasible"]),
                        )
                silent = [rank for rank in others if not self._store.check([f"lost/{rank}"])]
                if clock.monotonic() > until:
                    break
                clock.sleep(LOOK)
        except Exception:  # the store has gone with the process that held it
            silent = []
        whose = f"rank {' and '.join(map(str, silent))} of {self.world}" if silent else "another rank"
        return RankFailed(
            f"{whose} has ended, or does not answer, and has said nothing: look at its output, and whether it was "
            "killed"
        )

    def _post(self, key: str, text: str) -> None:
        with contextlib.suppress(Exception):
            self._store.set(key, text)


# Groups for control messages that torch still has, and how many gangs each has served. They are kept: gloo finds the
# others by the name of the group, and a second group of a name finds where the first one was.
_control_groups: "weakref.WeakKeyDictionary[dist.ProcessGroup, tuple[tuple[int, ...], int]]" = (
    weakref.WeakKeyDictionary()
)


def _control_group(members: tuple[int, ...], waits: timedelta | None) -> "tuple[dist.ProcessGroup, int]":
    """A group of these members on the CPU, and the number of the gang that it serves, the same on every rank."""
    alive = dist.distributed_c10d._world.pg_map
    for group, (known, number) in list(_control_groups.items()):
        if known == members and group in alive:
            _control_groups[group] = known, number + 1
            return group, number + 1
    made = dist.new_group(list(members), timeout=waits, backend="gloo", use_local_synchronization=True)
    _control_groups[made] = members, 0
    return made, 0


def _is_of_the_line(error: BaseException) -> bool:
    """Whether it comes from a connection: torch has names for some of these only."""
    if isinstance(error, dist.DistError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("gloo" in said or "Connection closed by peer" in said)


def _timeout(group: "dist.ProcessGroup | None") -> timedelta | None:
    """As long as the group itself waits; None where it does not say."""
    found = dist.distributed_c10d._get_default_group() if group is None else group
    for device in ("cpu", "cuda"):
        with contextlib.suppress(RuntimeError, AttributeError):
            waits = found._get_backend(torch.device(device)).options._timeout
            return waits if isinstance(waits, timedelta) else None
    return None


class _Answer:
    """What a function answers or raises, and the same to be sent."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._value: Any = None
        self._error: Exception | None = None
        try:
            self._value = act()
        except Exception as error:
            self._error = error
        if self._error is None:
            self.data = pickle.dumps((self._value, None))
            return
        try:
            self.data = pickle.dumps((None, self._error))
            pickle.loads(self.data)  # some exceptions cannot be made again
        except Exception:
            self.data = pickle.dumps((None, f"{type(self._error).__name__}: {self._error}"))

    @classmethod
    def of(cls, data: Any, rank: int) -> "_Answer":
        found = cls.__new__(cls)
        value, error = pickle.loads(data)
        if isinstance(error, str):
            error = RankFailed(f"rank {rank} has ended with {error}")
        found.data, found._value, found._error = data, value, error
        return found

    def get(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value
