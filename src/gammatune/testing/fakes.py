"""A training without a network: tuner and policies run against it in milliseconds."""

import copy
import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gammatune.cost import Meter
from gammatune.errors import DamagedCheckpoint
from gammatune.files import net_file, whole_file
from gammatune.metrics.objectives import Objective
from gammatune.records import Metrics, Outcome, Values
from gammatune.tuning.executor import Task, train


@dataclass
class FakeTraining:
    """A `Trainable`, `Storable` and `Joinable` that loses to the best learning rate by a parabola in its logarithm.

    Every epoch at rate r lowers the loss by a factor that is best at `best_lr`, parts of an epoch by parts of
    it; from `cliff` on it diverges. examples: an epoch's, in `steps` batches.
    progress: the state that forks keep; a test reads it to see where the training stands.
    net: of several, which it is. luck: of a net, by number, what its loss is multiplied by where it is scored; NaN:
    it diverges. common: of the loss, what is left of it where many nets are averaged. directory: where they are kept;
    None: in memory.
    broken: the forks' contract is broken on purpose (restore does nothing), to see tests fail.
    """

    best_lr: float = 0.1
    cliff: float = 10.0
    examples: int = 100
    steps: int = 5
    validation: int = 30
    broken: bool = False
    luck: Mapping[int, float] = field(default_factory=dict)
    common: float = 0.5
    directory: Path | None = None

    def __post_init__(self) -> None:
        self.progress: list[float] = []  # the rates of the epochs this training has lived through
        self.loss = 1.0
        self.net = 0
        self.closed = False
        self.calls: list[str] = []
        self._forks: dict[str, tuple[list[float], float, int]] = {}
        self._pools: dict[str, float] = {}
        self._nets: dict[int, bytes] = {}
        self._heard: dict[int, float] = {}

    def capture(self, fork: str) -> None:
        self.calls.append(f"capture {fork}")
        self._forks[fork] = copy.deepcopy((self.progress, self.loss, self.net))

    def restore(self, fork: str) -> None:
        self.calls.append(f"restore {fork}")
        if not self.broken:
            self.progress, self.loss, self.net = copy.deepcopy(self._forks[fork])

    def apply(self, values: Values, meter: Meter) -> None:
        self.calls.append("apply")

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        lr = float(values["lr"])
        self.calls.append(f"advance {epoch}")
        self.progress.append(lr)
        meter.epoch_batches, meter.epoch_examples = self.steps, self.examples
        planned = meter.length.batches(self.steps)
        peak = lr * max(level for _, level in meter.shape.knots)
        if peak >= self.cliff or math.isnan(self.luck.get(self.net, 1.0)):
            meter.steps += min(planned, 2)  # blows up at the second step
            meter.batches += min(planned, 2)
            meter.trained += self.examples // self.steps
            meter.diverged = True
            self.loss = math.nan
            return
        affordable = (
            math.floor((meter.allowance - meter.units) / (self.examples / self.steps) + 1e-9)
            if (math.isfinite(meter.allowance))
            else planned
        )
        taken = min(planned, affordable)
        meter.cut = taken < planned
        meter.batches += taken
        meter.steps += taken
        meter.trained += taken * self.examples // self.steps
        distance = math.log10(lr / self.best_lr) if peak > 0 else 9.0
        self.loss *= (0.5 + 0.5 * (1 - math.exp(-(distance**2)))) ** (taken / self.steps)

    def evaluate(self, meter: Meter) -> Metrics:
        meter.evaluated += self.validation
        return self._metrics(self.loss * self.luck.get(self.net, 1.0))

    def _metrics(self, loss: float) -> Metrics:
        return {"accuracy": math.exp(-loss), "loss": loss}

    def reorder(self, seed: int, *names: int) -> None:
        self.calls.append("reorder")

    def pool(self, name: str, count: int) -> None:
        mean = self._pools.get(name, 0.0) if count > 1 else 0.0
        self._pools[name] = mean + (self.loss - mean) / count

    def average(self, name: str) -> None:
        self.loss = self._pools.pop(name)

    def save(self, fork: str, path: Path) -> str:
        self.calls.append(f"save {fork}")
        content = self._content(fork)
        whole_file(path, lambda file: file.write(content))
        return hashlib.sha256(content).hexdigest()

    def load(self, path: Path, checksum: str) -> None:
        self.calls.append("load")
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DamagedCheckpoint(f"the checkpoint {path.name} is missing") from None
        if hashlib.sha256(content).hexdigest() != checksum:
            raise DamagedCheckpoint(f"the checkpoint {path.name} is not what was written")
        self._put(content)

    def structure(self) -> dict[str, str]:
        return {"model": f"FakeTraining: {self.examples} examples in {self.steps} batches"}

    def digest(self, fork: str) -> str:
        return hashlib.sha256(self._content(fork)).hexdigest()

    def _content(self, fork: str) -> bytes:
        return json.dumps(self._forks[fork]).encode()

    def _put(self, content: bytes) -> None:
        self.progress, self.loss, self.net = json.loads(content)

    def renew(self, seed: int, net: int) -> None:
        self.calls.append(f"renew {net}")
        self.progress, self.loss, self.net = [], 1.0, net

    def join(self, net: int) -> str | None:
        self.calls.append(f"join {net}")
        content = json.dumps([self.progress, self.loss, self.net]).encode()
        self._nets[net] = content
        if self.directory is not None:
            (self.directory / net_file(net)).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def rejoin(self, net: int, checksum: str) -> bool:
        self.calls.append(f"rejoin {net}")
        try:
            content = b"" if self.directory is None else (self.directory / net_file(net)).read_bytes()
        except FileNotFoundError:
            return False
        if hashlib.sha256(content).hexdigest() != checksum:
            return False
        self._nets[net] = content
        return True

    def hear(self, net: int, meter: Meter) -> None:
        self.calls.append(f"hear {net}")
        self._put(self._nets[net])
        self._heard[net] = self.evaluate(meter)["loss"]

    def together(self, nets: Sequence[int]) -> Metrics:
        """Errors that have nothing in common but `common` of their squares."""
        mean = sum(self._heard[net] for net in nets) / len(nets)
        return self._metrics(mean * (self.common + (1 - self.common) / len(nets)))

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeExecutor:
    """An `Executor` of one worker, a second training made by `make`, that takes tasks up in the order of `turn`.

    forgets: rollouts whose ends cannot be had any more, by number. begun: the forks that were sent.
    """

    make: Callable[[], Any]
    turn: Callable[[Sequence[Task]], Sequence[Task]] = tuple
    forgets: frozenset[int] = frozenset()
    begun: list[str] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._worker: Any = None
        self._came: dict[int, Outcome | Exception] = {}
        self._ends: dict[int, tuple[Path, str]] = {}

    def begin(
        self,
        training: Any,
        fork: str,
        tasks: Sequence[Task],
        objective: Objective,
        *,
        keep: bool,
        anew: bool,
    ) -> None:
        if anew:
            self.begun.append(fork)
            self._ends.clear()
            self._worker = self.make()
            sent = self._path("fork")
            self._worker.load(sent, training.save(fork, sent))
            self._worker.capture("fork")
        self._came.clear()
        for task in self.turn(tasks):
            try:
                self._came[task.number] = train(self._worker, task, objective, "fork")
            except Exception as error:  # raised where it is asked for, as from another process
                self._came[task.number] = error
            self.trained.append(task.number)
            if keep and task.number not in self.forgets:
                self._worker.capture("end")
                end = self._path(f"end {task.number}")
                self._ends[task.number] = end, self._worker.save("end", end)

    def outcome(self, number: int) -> Outcome:
        came = self._came.pop(number)
        if isinstance(came, Exception):
            raise came
        return came

    def stand(self, training: Any, number: int) -> bool:
        if number not in self._ends:
            return False
        training.load(*self._ends[number])
        return True

    def close(self) -> None:
        self.closed = True
        if self._directory is not None:
            self._directory.cleanup()

    def _path(self, name: str) -> Path:
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory()
        return Path(self._directory.name) / name


FakeCrew = FakeExecutor  # as earlier versions called it
