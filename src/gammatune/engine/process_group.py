"""`Ranks` made of torch.distributed.

Control messages travel over a group of their own, on the CPU (gloo), so that they never mix with the gradients'. A
rank that fails leaves a note in the store, by which the others say what has happened when their connection breaks.
"""

import atexit
import contextlib
import json
import os
import pickle
import time as clock
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
import torch.distributed as dist

from gammatune.engine.ranks import MOST, SINGLE, Ranks, Single, Step
from gammatune.errors import InvalidArgument, RankFailed

T = TypeVar("T")

STEPS: tuple[Step, ...] = get_args(Step)
LOOK = 0.02  # seconds between two looks at whether others have come (guess)
SILENCE = 3.0  # seconds in which a rank that still runs notices that another has ended (guess)
SETTLING = 2.0  # seconds at most that a process which ends waits for gloo's threads (guess)


def ranks_of(given: Any) -> Ranks:
    """None: those of the default process group where one is initialised, else this process alone; "off": this
    process alone; or a process group."""
    if isinstance(given, (ProcessGroup, Single)):
        return given
    if given is not None and given != "off" and not isinstance(given, dist.ProcessGroup):
        raise InvalidArgument(
            f"ranks={given!r:.60}: give a process group of torch.distributed, 'off' where each process trains a "
            "model of its own, or leave it out"
        )
    if given == "off" or not (dist.is_available() and dist.is_initialized()):
        return SINGLE
    return ProcessGroup(given) if dist.get_world_size(given) > 1 else SINGLE


@contextlib.contextmanager
def telling(ranks: Ranks) -> Iterator[None]:
    """What is raised within, whatever it is, is told to the other ranks."""
    try:
        yield
    except BaseException as error:
        fault = ranks.fault(error)
        if fault is not None:
            raise fault from error
        raise


class ProcessGroup:
    """The ranks of a process group (None: the default one), whose every member makes one at the same time.

    group: that one, over which gradients travel. Raises RankFailed where the others do not come.
    """

    def __init__(self, group: "dist.ProcessGroup | None" = None) -> None:
        if not dist.is_gloo_available():
            raise InvalidArgument(
                "this torch has no gloo, over which the ranks agree; install one that has, or pass ranks='off'"
            )
        self.group = group
        _settle_at_exit()
        members = tuple(dist.get_process_group_ranks(group))
        self.rank, self.world = members.index(dist.get_rank()), len(members)
        self._store = _store_for(members)
        try:
            self._line: Any = dist.ProcessGroupGloo(self._store, self.rank, self.world, _timeout(group))
        except RuntimeError as error:
            raise RankFailed(
                f"of {self.world} ranks not all have begun a tuner: every rank must, or pass ranks='off' where this "
                "process trains a model of its own"
            ) from error
        self._vector = torch.zeros(len(STEPS) + MOST, dtype=torch.float64)
        # Not all are connected when the first is: refused at once it would hang up on those that are not yet, which
        # would say that it never came.
        self.sum("begins the run")

    # -- Ranks

    def agree(self, step: Step, decide: Callable[[], T]) -> T:
        own = _Answer(decide) if self.rank == 0 else None
        self.sum(step)
        data = self._from_the_first(b"" if own is None else own.data)
        found: T = (own or _Answer.of(data, 0)).get()
        return found

    def each(self, step: Step, act: Callable[[], T]) -> list[T]:
        own = _Answer(act)
        self.sum(step)
        told = self._from_all(own.data)
        answers = [own if rank == self.rank else _Answer.of(data, rank) for rank, data in enumerate(told)]
        own.get()  # of several errors each rank raises its own
        return [answer.get() for answer in answers]

    def sum(self, step: Step, *numbers: float, patience: float | None = None) -> Sequence[float]:
        vector = self._vector
        vector.zero_()
        vector[STEPS.index(step)] = 1
        for index, number in enumerate(numbers, start=len(STEPS)):
            vector[index] = number
        options = dist.AllreduceOptions()
        if patience is not None:
            options.timeout = timedelta(seconds=patience)
        try:
            self._line.allreduce([vector], options).wait()
        except RuntimeError as error:
            if patience is not None and "Timed out" in str(error):
                raise TimeoutError from error
            raise self._lost() from error
        summed: list[float] = vector.tolist()
        if summed[STEPS.index(step)] != self.world:
            self._out_of_step(step)
        return summed[len(STEPS) : len(STEPS) + len(numbers)]

    # -- where one fails

    def fault(self, error: BaseException, *, infeasible: bool = False) -> RankFailed | None:
        """Of the error with which this rank ends: what it comes from, where another rank has ended. Else the others
        are told of it, once. infeasible: memory ran out."""
        if self._line is None:
            return None
        fault: RankFailed | None = None
        if isinstance(error, RankFailed):
            pass  # its own words say whose it is
        elif _is_of_the_line(error):
            fault = self._lost()
        else:
            said = (str(error).splitlines() or [""])[0]
            note = {"what": f"{type(error).__name__}: {said}".rstrip(": "), "infeasible": infeasible}
            self._post(f"failed/{self.rank}", json.dumps(note))
        # hung up, so that nobody waits for a process that goes on without its tuner; nor does one that is no
        # neighbour of the rank which has failed wait for this one, which has heard of it
        self._line = None
        return fault

    # -- inside

    def _from_the_first(self, data: bytes) -> bytes:
        """What rank 0 sends."""
        length = torch.tensor([len(data)])
        with self._listening():
            self._line.broadcast(length, 0).wait()
            content = _content(data, int(length))
            self._line.broadcast(content, 0).wait()
        return content.numpy().tobytes()

    def _from_all(self, data: bytes) -> list[bytes]:
        """What every rank sends, by rank."""
        lengths = torch.zeros(self.world, dtype=torch.int64)
        with self._listening():
            self._line.allgather([list(lengths.split(1))], [torch.tensor([len(data)])]).wait()
            own = _content(data, int(lengths.max()))
            contents = [torch.empty_like(own) for _ in range(self.world)]
            self._line.allgather([contents], [own]).wait()
        return [
            content[:length].numpy().tobytes()
            for content, length in zip(contents, lengths.tolist(), strict=True)
        ]

    def _out_of_step(self, step: Step) -> None:
        said = ", ".join(
            f"rank {rank} {other.decode()}" for rank, other in enumerate(self._from_all(step.encode()))
        )
        raise RankFailed(
            f"the ranks are not in step: {said}. Every rank must run the same loop: the same calls of run.batches, "
            "run.evaluate and run.report, and break at the same place"
        )

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
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


_served: Counter[tuple[int, ...]] = Counter()  # groups that members have made, the same number on all of them


def _store_for(members: tuple[int, ...]) -> Any:
    """A part of the store of torch.distributed that no other group uses, nor has used before torchrun restarted the
    processes: gloo would look for them where their predecessors were."""
    _served[members] += 1
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    name = f"gammatune/{restarts}/{'-'.join(map(str, members))}/{_served[members]}"
    return dist.distributed_c10d.PrefixStore(name, dist.distributed_c10d._get_default_store())


def _content(data: bytes, length: int) -> torch.Tensor:
    """(length,) bytes, the first of which are these."""
    content = torch.zeros(length, dtype=torch.uint8)
    if data:
        content[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return content


def _is_of_the_line(error: BaseException) -> bool:
    """Whether it comes from a connection: torch has names for some of these only."""
    if isinstance(error, dist.DistError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("gloo" in said or "Connection closed by peer" in said)


def _timeout(group: "dist.ProcessGroup | None") -> timedelta:
    """As long as the group itself waits; torch's default where it does not say."""
    found = dist.distributed_c10d._get_default_group() if group is None else group
    for device in ("cpu", "cuda"):
        with contextlib.suppress(RuntimeError, AttributeError):
            waits = found._get_backend(torch.device(device)).options._timeout
            if isinstance(waits, timedelta):
                return waits
    return dist.default_pg_timeout


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
        elif error is not None:
            error.add_note(f"This was raised on rank {rank}.")
        found.data, found._value, found._error = data, value, error
        return found

    def get(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


# -- the end of the process


@cache  # once a process, and after whatever else has been registered by then: the last to come is called first
def _settle_at_exit() -> None:
    atexit.register(settle)


def settle() -> None:
    """Wait until the threads of every gloo group of this process, the user's own among them, have let go of the
    collectives they did.

    A thread drops what a collective held (tensors, thread-local objects) after whoever waited for it has gone on, and
    takes Python's interpreter for that. While the interpreter shuts down, Python ends such a thread within a C++
    destructor, which ends the process: "terminate called without an active exception", SIGABRT (torch 2.13, Python
    3.11). `destroy_process_group` ends the threads of a group only where nothing holds it, and a
    DistributedDataParallel does.

    The interpreter is free while this function sleeps. So a thread that was asleep before and after, and has not run
    between, does not wait for the interpreter, but for work.
    """
    until = clock.monotonic() + SETTLING
    before, now = None, _asleep()
    while (now is None or now != before) and clock.monotonic() < until:
        clock.sleep(LOOK / 10)
        before, now = now, _asleep()


def _asleep() -> dict[str, str] | None:
    """How often each of gloo's threads has gone to sleep, by number; None where one is awake, and on systems other
    than Linux, which do not say."""
    threads = Path("/proc/self/task")
    if not threads.is_dir():
        return None
    found = {}
    for thread in threads.iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if not (thread / "comm").read_text().startswith("pt_gloo"):  # torch names them so
                continue
            lines = (thread / "status").read_text().splitlines()
            told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            if not told["State"].startswith("S"):
                return None
            found[thread.name] = told["voluntary_ctxt_switches"]
    return found
