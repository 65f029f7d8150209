"""A training without a network: tuner and policies run against it in milliseconds."""

import copy
import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from gammatune.errors import DamagedCheckpoint
from gammatune.ledger import Meter
from gammatune.records import Metrics, Values


@dataclass
class FakeTraining:
    """A `Trainable`, and `Storable`, that loses to the best learning rate by a parabola in its logarithm.

    Every epoch at rate r lowers the loss by a factor that is best at `best_lr`, parts of an epoch by parts of
    it; from `cliff` on it diverges. examples: an epoch's, in `steps` batches.
    progress: the state that forks keep; a test reads it to see where the training stands.
    broken: the forks' contract is broken on purpose (restore does nothing), to see tests fail.
    """

    best_lr: float = 0.1
    cliff: float = 10.0
    examples: int = 100
    steps: int = 5
    validation: int = 30
    broken: bool = False

    def __post_init__(self) -> None:
        self.progress: list[float] = []  # the rates of the epochs this training has lived through
        self.loss = 1.0
        self.closed = False
        self.calls: list[str] = []
        self._forks: dict[str, tuple[list[float], float]] = {}
        self._pools: dict[str, float] = {}

    def capture(self, fork: str) -> None:
        self.calls.append(f"capture {fork}")
        self._forks[fork] = copy.deepcopy((self.progress, self.loss))

    def restore(self, fork: str) -> None:
        self.calls.append(f"restore {fork}")
        if not self.broken:
            self.progress, self.loss = copy.deepcopy(self._forks[fork])

    def apply(self, values: Values, meter: Meter) -> None:
        self.calls.append("apply")

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        lr = float(values["lr"])
        self.calls.append(f"advance {epoch}")
        self.progress.append(lr)
        meter.epoch_batches, meter.epoch_examples = self.steps, self.examples
        planned = meter.length.batches(self.steps)
        peak = lr * max(level for _, level in meter.shape.knots)
        if peak >= self.cliff:
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
        return {"accuracy": math.exp(-self.loss), "loss": self.loss}

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
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        os.replace(part, path)
        return hashlib.sha256(content).hexdigest()

    def load(self, path: Path, checksum: str) -> None:
        self.calls.append("load")
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DamagedCheckpoint(f"the checkpoint {path.name} is missing") from None
        if hashlib.sha256(content).hexdigest() != checksum:
            raise DamagedCheckpoint(f"the checkpoint {path.name} is not what was written")
        saved = json.loads(content)
        self.progress, self.loss = saved["progress"], saved["loss"]

    def structure(self) -> dict[str, str]:
        return {"model": f"FakeTraining: {self.examples} examples in {self.steps} batches"}

    def digest(self, fork: str) -> str:
        return hashlib.sha256(self._content(fork)).hexdigest()

    def _content(self, fork: str) -> bytes:
        progress, loss = self._forks[fork]
        return json.dumps({"progress": progress, "loss": loss}).encode()

    def close(self) -> None:
        self.closed = True
