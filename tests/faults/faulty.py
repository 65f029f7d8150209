"""A small training that can be made to fail at any place, and what it must come to all the same.

reference   the run that nothing happens to: its end, and the weights at each of its commits
broken      the same run with a fault: what was raised, and the weights and things it left
the law     weights at the last commit to the bit, nothing left behind, and the same call without the fault ends
            as the reference does, to the bit
"""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune
from gammatune.tuning.run import Run

X = torch.randn(48, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] + X[:, 1] > 0).long()
PHASES = ("start", "batch", "loss", "step", "evaluate", "report", "between")

Fault = Callable[[str, Run | None], None]  # (phase, run): raises where the fault is


class Mine(Exception):
    """An exception of the user's own."""


def nothing(phase: str, run: Run | None) -> None:
    """No fault."""


@dataclass
class Once:
    """Raises at the `count`-th (from 0) call in a phase, at every one from there on where `always`."""

    phase: str
    count: int
    error: BaseException
    where: Callable[[Run | None], bool] = lambda run: True
    always: bool = False
    seen: int = 0
    raised: int = 0

    def __call__(self, phase: str, run: Run | None) -> None:
        if phase != self.phase or not self.where(run):
            return
        self.seen += 1
        if self.seen == self.count + 1 or (self.always and self.seen > self.count):
            self.raised += 1
            raise self.error


@dataclass
class Training:
    """Everything one process builds: dropout and batch normalisation, so that streams and buffers take part."""

    loader: Any = None
    fault: Fault = nothing
    options: dict[str, Any] = field(default_factory=dict)
    commits: list[list[Tensor]] = field(
        default_factory=list
    )  # weights: before any, after the first commit, ...
    ended: bool = False

    def __post_init__(self) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.ReLU(), nn.Linear(6, 2)
        )
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        if self.loader is None:
            self.loader = DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)
        self.commits.append(self.weights())
        self.handler = signal.getsignal(signal.SIGTERM)
        self.modes = [module.training for module in self.model.modules()]

    def weights(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self.model.state_dict().values()]

    def listen(self, event: Any) -> None:
        if event["event"] == "commit":
            self.commits.append(self.weights())
        if event["event"] == "end":
            self.ended = True

    def run(self, directory: Path | None = None) -> "gammatune.Tuner":
        """Train to the end, or as far as the fault lets it."""
        # a survey, miniatures, two walks; faults count their calls, which the check would say
        given: dict[str, Any] = {"epochs": 4, "budget": 3, "check": False}
        listeners = [self.listen, *self.options.pop("listeners", ())]
        self.tuner = gammatune.Tuner(
            model=self.model,
            optimizer=self.optimizer,
            run_dir=None if directory is None else str(directory),
            listeners=listeners,
            **(given | self.options),
        )
        with self.tuner:
            for run in self.tuner:
                self.fault("start", run)
                for x, y in run.batches(self.loader):
                    self.fault("batch", run)
                    self.optimizer.zero_grad()
                    loss = nn.functional.cross_entropy(self.model(x), y)
                    self.fault("loss", run)
                    loss.backward()
                    self.fault("step", run)
                    self.optimizer.step()
                metrics = run.evaluate(lambda run=run: self.validate(run))  # type: ignore[misc]
                self.fault("report", run)
                run.report(**metrics)
                self.fault("between", run)
        return self.tuner

    def validate(self, run: Run | None = None) -> dict[str, Any]:
        output = self.model(X)
        self.fault("evaluate", run)
        return {
            "loss": nn.functional.cross_entropy(output, Y),
            "accuracy": (output.argmax(1) == Y).float().mean(),
        }

    def left_behind(self, directory: Path | None = None) -> list[str]:
        """What a run that is over should have taken with it."""
        optimizer, left = self.optimizer, []
        if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
            left.append("hooks on the optimizer")
        if any(m._forward_pre_hooks or m._forward_hooks for m in self.model.modules()):
            left.append("hooks on the model")
        if signal.getsignal(signal.SIGTERM) is not self.handler:
            left.append("a signal handler")
        if [module.training for module in self.model.modules()] != self.modes:
            left.append("modules in another mode")
        if directory is not None:
            left += [path.name for path in directory.glob("*.part")] + [
                p.name for p in directory.glob("owner*")
            ]
        return left


def at_last_commit(one: Training, reference: Training) -> bool:
    """Whether the weights are those of the commit that the result ends with."""
    expected = reference.commits[len(one.tuner.result.verdicts)]
    return all(map(torch.equal, one.weights(), expected))


def end_of(one: Training) -> list[Any]:
    """What must be equal, to the bit, in a run that was interrupted and one that was not."""
    result = one.tuner.result
    return [
        [(o.number, dict(o.values), o.status, dict(o.metrics), o.score, o.steps) for o in result.rollouts],
        [o.number for o in result.course],
        [dict(values) for values in result.schedule],
        (result.cost.trained, result.cost.evaluated),
        one.model.state_dict(),
        one.optimizer.state_dict(),
        torch.rand(3),
    ]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


class Interrupt:
    """Raises KeyboardInterrupt at the `line`-th line that gammatune's own code executes, as Ctrl-C may.

    files: the ends of the paths whose lines count. lines: how many were executed, where none was to raise.
    """

    def __init__(self, line: int | None, files: tuple[str, ...]) -> None:
        self.line = line
        self.files = files
        self.lines = 0
        self.place = ""

    def __enter__(self) -> "Interrupt":
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *args: Any) -> None:
        sys.settrace(self._before)

    def _call(self, frame: Any, event: str, arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.endswith(self.files) else None

    def _line(self, frame: Any, event: str, arg: Any) -> Any:
        if event == "line":
            self.lines += 1
            if self.lines == self.line:
                self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._line
