"""Rollouts trained beside each other in the processes of a Ray cluster, on this machine or on many.

Each worker builds the training anew from what `fit` was given, once. A fork travels once for all rollouts that begin
from it: into Ray's object store, which hands it to each machine once, and there to each worker once, who then goes
back to it as a single process would. The states in which rollouts end stay where they are until one is asked for.
"""

import logging
import os
import re
import sys
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from gammatune.engine.trainable import Forkable
from gammatune.errors import InvalidArgument, WorkerLost, WorkerWarning, require
from gammatune.metrics.objectives import Objective
from gammatune.records import Outcome
from gammatune.tuning.executor import Task, train
from gammatune.tuning.signals import handler_kept

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"  # what an object store shares without copying

ATTEMPTS = 3  # of a rollout whose workers are lost one after the other (guess)
FORK = "executor"  # a worker's own name for the fork it works from, and for where a rollout ended
END = "end"


@dataclass(frozen=True, slots=True)
class State:
    """A fork outside the process. content: a reference to its bytes. checksum: as `Storable.load` asks for it."""

    content: Any
    checksum: str


class RayExecutor:
    """An `Executor` of workers on Ray.

    recipe: makes the training, a `Trainable` and `Storable`; pickled at once, before anybody else has touched what it
    is made of. device: where it trains; a GPU is a worker's own. address: of a cluster that is there, as `ray.init`
    takes it; None: the one this process is connected to, else one on this machine for as long as the executor lasts.
    workers: how many at most; None: as many as the cluster has room for, and none without work. A worker has as many
    threads as this process, since with them the last bits change.

    sent, returned: the bytes of forks that have gone to the workers, and of states that came back.

    Raises MissingExtra where Ray is not installed, InvalidArgument where the training cannot be pickled.
    """

    def __init__(
        self,
        recipe: Callable[[], Any],
        device: torch.device,
        *,
        address: str | None = None,
        workers: int | None = None,
    ) -> None:
        ray, pickle = require("ray", "ray"), require("ray.cloudpickle", "ray")
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise InvalidArgument(f"workers={workers!r}: give a whole number of 1 or more")
        self._ray = ray
        self._address = address
        self._most = workers
        self._cuda = device.type == "cuda"
        self._settings = Settings.here()
        try:
            self._recipe: Any = pickle.dumps(recipe)
        except Exception as error:
            raise InvalidArgument(
                f"parallel='ray' builds the training in other processes, and it cannot be pickled ({error}); keep "
                "open files, locks and connections out of the data sets, the model and the loss"
            ) from error
        self._started = False  # a cluster, which has to be stopped
        self._needs: dict[str, float] = {}  # of a worker, as Ray calls resources
        self._room = 0  # how many workers there can be
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}  # by the reference of what will come of it
        self._waiting: deque[Task] = deque()
        self._lost: Counter[int] = Counter()
        self._came: dict[int, Any] = {}  # what came of tasks, by number
        self._ends: dict[int, State] = {}
        self._fork: State | None = None
        self._errands: tuple[Any, bool] = (None, False)  # the objective, and whether ends are kept
        self.sent = self.returned = 0

    # -- the executor

    def begin(
        self,
        training: Forkable,
        fork: str,
        tasks: Sequence[Task],
        objective: Objective,
        *,
        keep: bool,
        anew: bool,
    ) -> None:
        self._connect()
        if anew:
            self._ends.clear()
            self._fork = self._store(training, fork)
        self._came.clear()
        self._errands = objective, keep
        self._waiting = deque(tasks)
        self._hire()

    def outcome(self, number: int) -> Outcome:
        while number not in self._came:
            (done,), _ = self._ray.wait(list(self._busy), num_returns=1)
            self._take(done, *self._busy.pop(done))
        came = self._came.pop(number)
        if isinstance(came, BaseException):
            raise came
        outcome, end = came
        if end is not None:
            self._ends[number] = end
        return outcome  # type: ignore[no-any-return]

    def stand(self, training: Forkable, number: int) -> bool:
        if number not in self._ends:
            return False
        state = self._ends[number]
        try:
            content: Bytes = self._ray.get(state.content)
        except self._ray.exceptions.RayError:  # it was lost with the worker that held it
            del self._ends[number]
            return False
        self.returned += content.nbytes
        _load(training, content, state.checksum)
        return True

    def close(self) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)
        self._idle, self._busy, self._fork = [], {}, None
        self._waiting.clear()
        self._came.clear()
        self._ends.clear()
        if self._started:
            self._ray.shutdown()
            self._started = False

    @property
    def workers(self) -> int:
        """How many have been hired."""
        return len(self._idle) + len(self._busy)

    # -- inside

    def _connect(self) -> None:
        ray = self._ray
        if not ray.is_initialized():
            # nobody who trains a network here has asked for these
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            quiet = {"include_dashboard": False} if self._address is None else {}
            with handler_kept():
                ray.init(self._address or "local", logging_level=logging.ERROR, log_to_driver=False, **quiet)
            self._started = True
        if not isinstance(self._recipe, ray.ObjectRef):
            self._recipe = ray.put(self._recipe)
            self._look_round()

    def _store(self, training: Forkable, fork: str) -> State:
        content, checksum = _saved(training, fork)
        self.sent += content.nbytes
        return State(self._ray.put(content), checksum)

    def _hire(self) -> None:
        """Give work to whoever has none, and take on more while there is room and work."""
        while self._waiting:
            if not self._idle:
                if self.workers >= self._room:
                    return
                self._idle.append(self._new_worker())
            task, worker = self._waiting.popleft(), self._idle.pop()
            assert self._fork is not None
            objective, keep = self._errands
            came = worker.train.remote(self._fork.content, self._fork.checksum, task, objective, keep)
            self._busy[came] = worker, task

    def _new_worker(self) -> Any:
        # a task that dies with its worker is begun anew here, where it is known how often that has happened
        needs = {"num_cpus": self._needs["CPU"], "num_gpus": self._needs.get("GPU", 0)}
        return self._ray.remote(Worker).options(**needs, max_restarts=0).remote(self._recipe, self._settings)

    def _look_round(self) -> None:
        """How many workers the cluster has room for, and what each of them needs."""
        nodes = self._ray.nodes()
        machines = [node["Resources"] for node in nodes if node["Alive"]]
        # one with fewer processors than a worker has threads takes one worker all the same
        most = max(machine.get("CPU", 0.0) for machine in machines)
        self._needs = {"CPU": min(float(torch.get_num_threads()), most)} | (
            {"GPU": 1.0} if self._cuda else {}
        )
        room = sum(
            int(min(machine.get(kind, 0.0) / need for kind, need in self._needs.items() if need))
            for machine in machines
        )
        if not room:
            raise InvalidArgument(
                "parallel='ray' trains on GPUs, one for each worker, and the cluster has none; give device='cpu'"
            )
        self._room = room if self._most is None else min(room, self._most)

    def _take(self, done: Any, worker: Any, task: Task) -> None:
        """Note what came of a task, and let its worker go on with another."""
        raised = self._ray.exceptions
        try:
            self._came[task.number] = self._ray.get(done)
        except raised.RayTaskError as error:
            cause = error.cause
            there = re.sub("\x1b\\[\\d+m", "", str(error))  # in colours
            cause.add_note(f"It was raised in a worker, in rollout {task.number}:\n{there}")
            self._came[task.number] = cause
        except (raised.RayActorError, raised.OutOfMemoryError, raised.WorkerCrashedError) as error:
            self._replace(task, error)
            return
        except raised.RayError as error:  # the user's, and it could not be sent as it was
            error.add_note(f"It was raised in a worker, in rollout {task.number}")
            self._came[task.number] = error
        self._idle.append(worker)
        self._hire()

    def _replace(self, task: Task, error: Exception) -> None:
        self._lost[task.number] += 1
        said = " ".join(str(error).split())
        if self._lost[task.number] == ATTEMPTS:
            self._came[task.number] = WorkerLost(
                f"rollout {task.number} was begun {ATTEMPTS} times, and each time its worker was lost "
                f"({said:.200}). Look whether there is enough memory for {self.workers + 1} trainings at a time "
                "(workers=)"
            )
            return
        warnings.warn(
            f"a worker was lost in rollout {task.number}, which begins again in another ({said:.200})",
            WorkerWarning,
            stacklevel=2,
        )
        self._waiting.appendleft(task)
        self._hire()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process has set for itself: where modules lie, and of torch what changes the numbers."""

    path: tuple[str, ...]
    threads: int
    dtype: torch.dtype
    deterministic: tuple[bool, bool]  # whether, and whether only a warning is said
    precision: str

    @classmethod
    def here(cls) -> "Settings":
        return cls(
            tuple(sys.path),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            torch.get_float32_matmul_precision(),
        )

    def apply(self) -> None:
        sys.path += [place for place in self.path if place not in sys.path]
        torch.set_num_threads(self.threads)
        torch.set_default_dtype(self.dtype)
        on, warn_only = self.deterministic
        torch.use_deterministic_algorithms(on, warn_only=warn_only)
        torch.set_float32_matmul_precision(self.precision)


class Worker:
    """One process: it has the training, and trains one rollout after the other."""

    def __init__(self, recipe: bytes, settings: Settings) -> None:
        self._recipe = recipe
        self._settings = settings
        self._training: Any = None
        self._stands_ready: str | None = None  # the checksum of the fork it holds

    def train(
        self, content: Bytes, checksum: str, task: Task, objective: Objective, keep: bool
    ) -> tuple[Outcome, State | None]:
        import ray
        import ray.cloudpickle as pickle

        if self._training is None:  # not in __init__, whose errors Ray would tell as a lost worker
            self._settings.apply()
            self._training = pickle.loads(self._recipe)()
        if self._stands_ready != checksum:
            self._stands_ready = None
            _load(self._training, content, checksum)
            self._training.capture(FORK)
            self._stands_ready = checksum
        outcome = train(self._training, task, objective, FORK)
        if not keep:
            return outcome, None
        self._training.capture(END)
        end, its_checksum = _saved(self._training, END)
        return outcome, State(ray.put(end), its_checksum)


def _saved(training: Any, fork: str) -> tuple[Bytes, str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fork"
        checksum: str = training.save(fork, path)
        return np.fromfile(path, np.uint8), checksum


def _load(training: Any, content: Bytes, checksum: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fork"
        content.tofile(path)
        training.load(path, checksum)
