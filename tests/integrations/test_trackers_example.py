"""The trackers of the example, against stand-ins for MLflow and Weights & Biases that hold them to their rules."""

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import needs
import pytest

from gammatune.journal.history import replay

EXAMPLE = Path(__file__).parents[2] / "examples" / "trackers.py"


class FakeMLflow(ModuleType):
    """As mlflow 2: one active run, a metric may be given once a step."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.runs: dict[str, Any] = {}
        self.active: str | None = None

    def start_run(self, run_id: str | None = None) -> Any:
        assert self.active is None
        self.active = run_id or f"run-{len(self.runs)}"
        assert run_id is None or run_id in self.runs
        self.runs.setdefault(self.active, SimpleNamespace(params={}, metrics={}, status="RUNNING"))
        return SimpleNamespace(info=SimpleNamespace(run_id=self.active))

    def log_params(self, params: dict[str, Any]) -> None:
        assert self.active is not None
        held = self.runs[self.active].params
        assert not set(params) & set(held), "mlflow refuses to change a parameter"
        held.update(params)

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        assert self.active is not None
        for name, value in metrics.items():
            assert isinstance(value, (int, float))
            self.runs[self.active].metrics.setdefault(name, []).append((step, value))

    def end_run(self, status: str) -> None:
        assert self.active is not None
        self.runs[self.active].status, self.active = status, None


class FakeWandB(ModuleType):
    """As wandb: `log` makes a step of its own, `define_metric` gives another axis, nothing after `finish`."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.logged: list[dict[str, Any]] = []
        self.axes: dict[str, str] = {}
        self.summary: dict[str, Any] = {}
        self.finished = False
        self.id = "abc"

    def init(self, *, project: str, id: str | None, resume: str, config: dict[str, Any]) -> "FakeWandB":
        assert id in (None, self.id)
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        self.axes[name] = step_metric

    def log(self, told: dict[str, Any]) -> None:
        assert not self.finished
        self.logged.append(told)

    def finish(self, exit_code: int = 0) -> None:
        self.finished = True


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(name: str, fake: ModuleType | None = None) -> Any:
        if fake is not None:
            monkeypatch.setitem(sys.modules, name, fake)
        monkeypatch.setattr(sys, "argv", ["trackers.py", name])
        return runpy.run_path(str(EXAMPLE))["result"]

    return run


def test_mlflow(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMLflow()
    result = example("mlflow", fake)
    (run,) = fake.runs.values()
    assert run.status == "FINISHED"
    assert run.params["policy"] == "lookahead"
    assert run.metrics["loss"] == [(n + 1, o.metrics["loss"]) for n, o in enumerate(result.course)]
    assert [step for step, _ in run.metrics["rollout.lr"]] == list(range(len(result.rollouts)))
    example("mlflow", fake)  # complete: nothing more is told
    assert len(fake.runs) == 1
    assert len(run.metrics["loss"]) == len(result.course)


def test_mlflow_goes_on_with_the_same_run(example: Any) -> None:
    fake = FakeMLflow()
    log, left = fake.log_metrics, [3]

    def failing(metrics: dict[str, float], step: int = 0) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise ConnectionError("the server is away")
        log(metrics, step)

    fake.log_metrics = failing  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        example("mlflow", fake)
    assert fake.active is None, "it was ended"
    fake.log_metrics = log  # type: ignore[method-assign]
    result = example("mlflow", fake)
    (run,) = fake.runs.values()
    assert run.status == "FINISHED"
    assert [step for step, _ in run.metrics["loss"]] == list(range(1, len(result.course) + 1))
    steps = [step for step, _ in run.metrics["rollout.lr"]]
    assert steps == sorted(set(steps)), "nothing twice"


def test_wandb(example: Any) -> None:
    fake = FakeWandB()
    result = example("wandb", fake)
    epochs = [told["epoch"] for told in fake.logged if "epoch" in told]
    assert epochs == list(range(1, len(result.course) + 1))
    assert fake.axes["course/*"] == "epoch"
    numbers = [told["rollout/number"] for told in fake.logged if "rollout/number" in told]
    assert numbers == list(range(len(result.rollouts)))
    for told in fake.logged:
        assert len({name.partition("/")[0] if "/" in name else "course" for name in told}) == 1
    assert fake.summary["report/on"] == "selection"
    assert fake.finished


def test_tensorboard(example: Any) -> None:
    needs.package("tensorboard")
    example("tensorboard")
    assert list(Path("runs/tracked/tensorboard/course").glob("events*"))
    assert replay("runs/tracked").end is not None
