"""Out of memory, simulated by a layer that holds no more than so many numbers; once, that of the CPU itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty import Once, Training, X, Y, at_last_commit, end_of, same
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune
from gammatune.engine.device_memory import out_of_memory
from gammatune.journal.history import replay


class Allocator(torch.autograd.Function):
    """Refuses to hold more than `room` numbers, going forward or, where `late`, only on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, room: int, late: bool) -> Tensor:
        ctx.room, ctx.late = room, late
        if not late and x.numel() > room:
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {x.numel() * 4} bytes.\nMore lines"
            )
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,) = gradients
        if ctx.late and gradient.numel() > ctx.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")
        return gradient, None, None


class Tight(nn.Module):
    def __init__(self, room: int, *, late: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2)
        self.room, self.late = room, late

    def forward(self, x: Tensor) -> Any:
        out = self.inner(x)
        return Allocator.apply(out, self.room, self.late) if self.training else out


SPACE = ["lr=0.01:0.1:log", "batch_size=4,8,16,24"]


def loop(one: Training, *, attempt: bool, directory: Path | None = None, **options: Any) -> gammatune.Tuner:
    """The user's own loop, with batch sizes searched."""
    torch.manual_seed(3)

    def make_loader(size: int) -> Any:
        return DataLoader(TensorDataset(X, Y), batch_size=size, shuffle=True)

    given = {"epochs": 2, "budget": 4, "space": SPACE, "policy": "greedy", "sampler": "grid"} | options
    one.tuner = gammatune.Tuner(
        model=one.model,
        optimizer=one.optimizer,
        run_dir=None if directory is None else str(directory),
        listeners=[one.listen],
        **given,
    )

    def body(run: Any) -> None:
        for x, y in run.batches(make_loader):
            one.optimizer.zero_grad()
            nn.functional.cross_entropy(one.model(x), y).backward()
            one.optimizer.step()
        run.report(**run.evaluate(one.validate))

    with one.tuner:
        for run in one.tuner:
            if attempt:
                with run.attempt():
                    body(run)
            else:
                body(run)
    return one.tuner


def tight(room: int, *, late: bool = False) -> Training:
    one = Training()
    torch.manual_seed(4)
    one.model = Tight(room, late=late)  # type: ignore[assignment]
    one.optimizer = torch.optim.SGD(one.model.parameters(), lr=0.05, momentum=0.9)
    one.commits, one.modes = [one.weights()], [module.training for module in one.model.modules()]
    return one


@pytest.mark.parametrize("late", [False, True])
def test_attempt_makes_it_an_outcome(late: bool, tmp_path: Path) -> None:
    tuner = loop(
        tight(2 * 10, late=late),
        attempt=True,
        directory=tmp_path,
        epochs=1,
        budget=8,
        sampler_options={"points": 1},
    )
    sizes = {o.values["batch_size"]: (o.status, o.metrics, o.note) for o in tuner.result.rollouts}
    assert {size: status for size, (status, _, _) in sizes.items()} == {
        4: "ok", 8: "ok", 16: "infeasible", 24: "infeasible"
    }  # fmt: skip
    assert sizes[16][1] == {}
    assert sizes[16][2].startswith("CUDA out of memory. Tried")
    assert "\n" not in sizes[16][2]
    assert [o.status for o in replay(tmp_path).rollouts] == [o.status for o in tuner.result.rollouts]


def test_a_batch_size_that_did_not_fit_is_not_tried_again() -> None:
    one = tight(2 * 10)
    tuner = loop(one, attempt=True, epochs=4, budget=4, policy="lookahead", sampler="gamma")
    failed = [int(o.values["batch_size"]) for o in tuner.result.rollouts if o.status == "infeasible"]
    assert failed
    assert len(failed) == len(set(failed))
    assert all(o.values["batch_size"] in (4, 8) for o in tuner.result.course)
    assert len(tuner.result.course) == 4


def test_without_attempt_it_goes_through(tmp_path: Path) -> None:
    one = tight(2 * 10)
    with pytest.raises(torch.OutOfMemoryError):
        loop(one, attempt=False, directory=tmp_path)
    assert one.left_behind(tmp_path) == []
    assert same(one.weights(), one.commits[-1])


@pytest.mark.parametrize("attempt", [False, True])
def test_where_no_batch_size_is_searched_the_run_can_be_gone_on_with(attempt: bool, tmp_path: Path) -> None:
    """Nothing that is searched would need less: somebody else has the memory, and may give it back."""
    reference = Training()
    reference.run()
    end = end_of(reference)
    error = torch.OutOfMemoryError("CUDA out of memory")
    one = Training(fault=Once("loss", 5, error, lambda run: run is not None and run.is_course))
    with pytest.raises(torch.OutOfMemoryError) as caught:
        one.run(tmp_path)
    assert caught.value is error
    assert at_last_commit(one, reference)
    again = Training()
    again.run(tmp_path)
    assert same(end_of(again), end)


def test_fit_without_a_batch_size_to_search_says_what_to_do(tmp_path: Path) -> None:
    def fit(room: int) -> tuple[nn.Module, gammatune.FitResult]:
        torch.manual_seed(4)
        model = Tight(room)
        return model, gammatune.fit(model, (X, Y), (X, Y), epochs=2, batch_size=8, run_dir=str(tmp_path))

    with pytest.raises(torch.OutOfMemoryError) as caught:
        fit(1)
    assert caught.traceback[-1].name == "forward"
    assert "Lower the batch size, or have it searched: batch_size=8,16,32" in caught.value.__notes__
    _, result = fit(10**6)
    assert len(result.course) == 2


@pytest.mark.parametrize("late", [False, True])
def test_fit_searches_what_fits(late: bool) -> None:
    result = gammatune.fit(Tight(2 * 10, late=late), (X, Y), (X, Y), epochs=4, budget=4, space=SPACE)
    assert {o.values["batch_size"] for o in result.course} <= {4, 8}
    assert any(o.status == "infeasible" for o in result.rollouts)


def test_what_the_failed_step_held_is_freed() -> None:
    """The frames of the error hold activations; they go before the next candidate is tried."""
    import weakref

    held: list[Any] = []
    one = tight(2 * 10)
    inner = one.model.forward

    def forward(x: Tensor) -> Any:
        activation = x.clone()
        held.append(weakref.ref(activation))
        return inner(activation)

    one.model.forward = forward  # type: ignore[method-assign]
    alive: list[int] = []

    def make_loader(size: int) -> Any:
        return DataLoader(TensorDataset(X, Y), batch_size=size)

    with gammatune.Tuner(
        model=one.model,
        optimizer=one.optimizer,
        epochs=1,
        budget=4,
        space=SPACE,
        policy="greedy",
        sampler="grid",
    ) as tuner:
        for run in tuner:
            with run.attempt():
                for x, y in run.batches(make_loader):
                    one.optimizer.zero_grad()
                    nn.functional.cross_entropy(one.model(x), y).backward()
                    one.optimizer.step()
                run.report(accuracy=0.5, loss=1.0)
            alive.append(sum(ref() is not None for ref in held))
            assert all(p.grad is None for p in one.model.parameters()) or not run.meter.infeasible
    assert any(o.status == "infeasible" for o in tuner.result.rollouts)
    assert max(alive) <= 0


@pytest.mark.parametrize(
    ("make", "yes"),
    [
        (lambda: torch.OutOfMemoryError("CUDA out of memory"), True),
        (lambda: MemoryError(), True),
        (lambda: RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (lambda: RuntimeError("shape mismatch"), False),
        (lambda: ValueError("out of memory"), False),
    ],
)
def test_what_is_out_of_memory(make: Callable[[], Exception], yes: bool) -> None:
    assert out_of_memory(make()) is yes


def test_the_allocator_of_the_cpu_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
