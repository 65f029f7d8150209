"""How often the host waits for an accelerator: never for a step, but for the divergence flag now and then."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import needs
import pytest
import torch
from far import READS, Far, taken_away
from torch import Tensor, nn

import gammatune
from gammatune.cost import Meter
from gammatune.engine.divergence import READ_EVERY
from gammatune.engine.loop import TorchLoop
from gammatune.records import Length, Shape
from gammatune.schedules import linear
from gammatune.supervised.reading import CLASSES, NUMBERS
from gammatune.supervised.training import Supervised

STREAM = torch.Generator().manual_seed(1)
X, Y = torch.randn(60, 6, generator=STREAM), torch.randn(60, 3, generator=STREAM)
LABELS = torch.randint(3, (60,), generator=STREAM)
N = 3 * READ_EVERY  # steps


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    READS.clear()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: READS.append("synchronize"))


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def batches(targets: Tensor, far: bool, steps: int = N) -> list[tuple[Tensor, Tensor]]:
    place: Callable[[Tensor], Tensor] = Far if far else Tensor.clone
    rows = [torch.arange(k, k + 20) for k in range(0, 60, 20)]
    return [(place(X[rows[k % 3]]), place(targets[rows[k % 3]])) for k in range(steps)]


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "sgd foreach": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, foreach=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "adamw foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
}


def trained(optimizer: str, far: bool, *, multiplier: bool = False) -> tuple[list[list[str]], list[float]]:
    """Three rollouts of N steps from one fork, bent in every step: the reads of each, and where the last led."""
    READS.clear()
    model = taken_away(net()) if far else net()
    made = OPTIMIZERS[optimizer](model.parameters())
    training = TorchLoop(model, made, ["lr"], multiplier=multiplier)
    data = batches(Y, far)
    training.capture("begin")
    reads = []
    for rate in (1.0, 0.5, 2.0):
        training.restore("begin")
        assert not READS, "going back"
        meter = Meter(length=Length(1), shape=Shape(((0.0, 1.0), (1.0, 0.5))))
        training.apply({"lr": rate if multiplier else rate * 0.01}, meter)
        for x, y in training.batches(data, 0, meter):
            made.zero_grad()
            (model(x) - y).square().mean().backward()
            made.step()
        assert (meter.steps, meter.diverged) == (N, False)
        reads.append(READS.copy())
        READS.clear()
    training.capture("end")
    training.pool("mean", 1)
    training.pool("mean", 2)
    training.average("mean")
    assert not READS, "copying out and averaging"
    training.close()
    return reads, [number for p in model.parameters() for number in p.cpu().flatten().tolist()]


@pytest.mark.parametrize("multiplier", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_waits_for_nothing_but_the_flag(optimizer: str, multiplier: bool) -> None:
    """A read at the first step, one in `READ_EVERY`, one at the end of a rollout."""
    reads, far = trained(optimizer, True, multiplier=multiplier)
    assert reads == [["_local_scalar_dense"] * (N // READ_EVERY + 2)] * 3
    _, near = trained(optimizer, False, multiplier=multiplier)
    assert far == near  # the device that is not there computes as the CPU does


def test_a_fork_on_the_host_is_waited_for_once() -> None:
    """Whatever the number of tensors; going back waits for nothing."""
    model = taken_away(net())
    training = TorchLoop(model, OPTIMIZERS["sgd"](model.parameters()), ["lr"], forks="host")
    training.capture("begin")
    assert READS == ["synchronize"]
    training.restore("begin")
    assert READS == ["synchronize"]
    training.close()


def supervised(far: bool, targets: Tensor, metric: str | None, select: int) -> Supervised:
    model = taken_away(net()) if far else net()
    classify = not targets.is_floating_point()
    return Supervised(
        model,
        OPTIMIZERS["adamw"](model.parameters()),
        ["lr"],
        train=batches(targets, far),
        select=batches(targets, far, steps=select),
        loss=nn.functional.cross_entropy if classify else nn.functional.mse_loss,
        reading=CLASSES if classify else NUMBERS,
        device=torch.device("meta" if far else "cpu"),
        metric=metric,
    )


# reads of an evaluation: the losses and the right answers in one piece each; mse and r2; a metric waits once
EVALUATIONS = [
    ("labels", None, 2),
    ("labels", "f1", 3),
    ("labels", "log-loss", 3),
    ("numbers", None, 3),
    ("numbers", "mae", 4),
]


@pytest.mark.parametrize(("kind", "metric", "most"), EVALUATIONS)
def test_an_evaluation_waits_as_often_for_fifty_batches_as_for_three(
    kind: str, metric: str | None, most: int
) -> None:
    targets = LABELS if kind == "labels" else Y
    for select in (3, 50):
        told = []
        for far in (True, False):
            training = supervised(far, targets, metric, select)
            READS.clear()
            told.append(training.evaluate(Meter()))
            assert len(READS) == (most if far else 0)
            training.close()
        assert told[0] == told[1]


def test_an_epoch_of_the_course_waits_for_nothing_but_the_flag() -> None:
    training = supervised(True, LABELS, None, 3)
    meter = Meter(shape=linear(0.0))
    training.apply({"lr": 0.01}, meter)
    READS.clear()
    training.advance(0, {"lr": 0.01}, meter)
    assert READS == ["_local_scalar_dense"] * (N // READ_EVERY + 2)
    training.close()


def test_a_metric_read_in_every_step_is_seen_here() -> None:
    """The device that is not there notices who waits for it."""
    x = Far(X)
    for wait in (
        lambda: float(x.sum()),
        lambda: bool((x > 0).all()),
        lambda: x.cpu(),
        lambda: X.clone().copy_(x),
        lambda: x[x > 0],
        lambda: torch.equal(x, x),
        lambda: x.nonzero(),
    ):
        READS.clear()
        wait()
        assert len(READS) == 1
    READS.clear()
    x.to("cpu", non_blocking=True)
    x.clone().fill_(1.0)
    assert not READS
    with pytest.raises(AssertionError, match="two devices"):
        x + X


class Idle(torch.optim.Optimizer):
    def step(self, closure: Any = None) -> None:
        """Skips every step, as a fused optimizer does where there was an overflow."""


def test_an_overflow_that_a_fused_optimizer_skips_is_not_asked_for() -> None:
    """GradScaler tells a fused optimizer on the device, where a look at it would wait in every step."""
    model = taken_away(net())
    optimizer = Idle(model.parameters(), {"lr": 0.1})
    training = TorchLoop(model, optimizer, ["lr"])
    for overflow, diverged in ((1.0, False), (0.0, True)):
        meter = Meter()
        training.apply({"lr": 0.0}, meter)
        optimizer.found_inf = Far(torch.tensor(overflow))  # type: ignore[attr-defined]
        READS.clear()
        for x, y in training.batches(batches(Y, True), 0, meter):
            optimizer.zero_grad()
            ((model(x) - y).square().mean() * float("inf")).backward()
            optimizer.step()
        assert meter.diverged == diverged
        assert len(READS) == (1 if diverged else N // READ_EVERY + 2)
    training.close()


# -- where there is a GPU


@contextmanager
def forbidden() -> Any:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs.cuda
def test_on_a_gpu_no_step_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second step to the one at which the flag is due."""
    monkeypatch.undo()
    model = net().cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    data = [(x.cuda(), y.cuda()) for x, y in batches(Y, False, READ_EVERY)]
    with gammatune.Tuner(model=model, optimizer=optimizer, epochs=2, budget=3) as tuner:
        for run in tuner:
            for k, (x, y) in enumerate(run.batches(data)):
                if 1 <= k < READ_EVERY - 1:
                    with forbidden():
                        step(model, optimizer, x, y)
                else:
                    step(model, optimizer, x, y)
            run.report(score=0.0)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    (model(x) - y).square().mean().backward()
    optimizer.step()
