"""torch.compile and CUDA graphs: another learning rate, or a fork gone back to, compiles nothing anew."""

from collections.abc import Callable, Iterator
from typing import Any

import needs
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import gammatune
from gammatune.cost import Meter
from gammatune.engine.loop import TorchLoop
from gammatune.records import Length, Shape
from gammatune.schedules import linear

STREAM = torch.Generator().manual_seed(1)
X, Y = torch.randn(64, 6, generator=STREAM), torch.randn(64, 3, generator=STREAM)
DATA = [(X[k : k + 8], Y[k : k + 8]) for k in range(0, 64, 8)]
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of the compiler's own parts


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Training:
    """A loop whose optimizer step, or whose model, is compiled; one step is behind it, so that all state exists."""

    def __init__(self, optimizer: str, lr: Any, *, compiled: str, **options: Any) -> None:
        torch.manual_seed(0)
        self.counter = CompileCounterWithBackend("eager")
        self.model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        self.optimizer = getattr(torch.optim, optimizer)(self.model.parameters(), lr=lr, **options)
        self.forward: Callable[[Tensor], Tensor] = self.model
        self.move = self.optimizer.step
        if compiled == "step":
            self.move = torch.compile(self.move, backend=self.counter)
        else:
            self.forward = torch.compile(self.model, backend=self.counter)
        self.steps = self.rollouts = 0
        self.rates: set[float] = set()
        self.step(*DATA[0])

    def step(self, x: Tensor, y: Tensor) -> None:
        self.optimizer.zero_grad()
        (self.forward(x) - y).square().mean().backward()
        self.move()
        self.steps += 1
        self.rates.add(float(self.optimizer.param_groups[0]["lr"]))

    def score(self) -> dict[str, float]:
        return {"loss": float((self.forward(X) - Y).square().mean())}

    def plain(self) -> int:
        """Graphs without gammatune."""
        for x, y in DATA * 3:
            self.step(x, y)
        self.model.eval()
        with torch.no_grad():
            self.score()
        return self.counter.frame_count

    def tuned(self, **options: Any) -> int:
        """Graphs with it: rollouts from several forks, the rate bent in every step."""
        tuner = gammatune.Tuner(
            model=self.model,
            optimizer=self.optimizer,
            epochs=4,
            budget=4,
            objective="loss",
            **({"check": False} | options),
        )
        with tuner:
            for run in tuner:
                self.rollouts += 1
                for x, y in run.batches(DATA):
                    self.step(x, y)
                run.report(**run.evaluate(self.score))
        return self.counter.frame_count


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [("SGD", {"momentum": 0.9}), ("AdamW", {})]


@pytest.mark.parametrize("compiled", ["step", "model"])
@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZERS, ids=["SGD", "AdamW"])
def test_a_rate_that_is_a_tensor_compiles_nothing_anew(
    optimizer: str, options: dict[str, Any], compiled: str
) -> None:
    plain = Training(optimizer, torch.tensor(0.01), compiled=compiled, **options).plain()
    torch._dynamo.reset()
    training = Training(optimizer, torch.tensor(0.01), compiled=compiled, **options)
    tensor = training.optimizer.param_groups[0]["lr"]
    assert training.tuned() == plain
    assert training.optimizer.param_groups[0]["lr"] is tensor
    assert training.rollouts > 5
    assert len(training.rates) > 20  # it was another one in nearly every step


def test_a_plain_rate_compiles_once_more() -> None:
    """torch finds that the number changes and treats it as one from then on."""
    plain = Training("AdamW", 0.01, compiled="step").plain()
    torch._dynamo.reset()
    training = Training("AdamW", 0.01, compiled="step")
    assert training.tuned() <= plain + 1
    assert len(training.rates) > 20


def test_a_multiplied_rate_compiles_nothing_anew() -> None:
    plain = Training("AdamW", torch.tensor(0.01), compiled="step").plain()
    torch._dynamo.reset()
    assert Training("AdamW", torch.tensor(0.01), compiled="step").tuned(multiplier=True) == plain


def test_the_compiler_does_not_look_into_the_hook() -> None:
    Training("SGD", torch.tensor(0.01), compiled="step", momentum=0.9).tuned()
    seen = [code for found in torch._dynamo.convert_frame.input_codes.seen if (code := found()) is not None]
    assert seen
    assert not [code.co_qualname for code in seen if "gammatune" in code.co_filename.split("/")]


def test_a_compiled_step_counts_and_steers_as_a_plain_one() -> None:
    """The hooks are called, though the compiler does not look into them."""
    ends = []
    for compiled in ("step", "model"):
        torch._dynamo.reset()
        training = Training("SGD", torch.tensor(0.01), compiled=compiled, momentum=0.9)
        training.tuned(space=["lr=0.001,0.01"])
        ends.append((training.steps, training.rates, [p.detach() for p in training.model.parameters()]))
    assert ends[0][:2] == ends[1][:2]
    torch.testing.assert_close(ends[0][2], ends[1][2])


@pytest.mark.parametrize("multiplier", [False, True])
@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["number", "tensor"])
@pytest.mark.parametrize("optimizer", ["Adam", "AdamW"])
def test_a_rate_bent_to_zero_leaves_weights_without_a_gradient_alone(
    optimizer: str, kind: Callable[[float], Any], multiplier: bool
) -> None:
    """Compiled, torch's Adam divides by the rate: 0 / 0 where there has been no gradient (a dead unit, a row of an
    embedding that was not looked up)."""
    weight = nn.Parameter(torch.ones(3))
    made = getattr(torch.optim, optimizer)([weight], lr=kind(0.01))
    step = torch.compile(made.step, backend="eager")
    holder = nn.Module()
    holder.register_parameter("weight", weight)
    training = TorchLoop(holder, made, ["lr"], multiplier=multiplier)
    meter = Meter(length=Length(1), shape=Shape(((0.0, 0.0), (0.5, 0.0), (1.0, 0.0))))
    training.apply({"lr": 1.0 if multiplier else 0.01}, meter)
    for _ in training.batches(DATA, 0, meter):
        weight.grad = torch.tensor([0.0, 1.0, 1e-3])
        step()
    training.close()
    assert weight.tolist() == [1.0, 1.0, 1.0]


@needs.cuda
def test_a_captured_step_is_steered_and_goes_back() -> None:
    """A graph holds on to tensors: rate, weights and optimizer state must be written in place."""
    ends = []
    for captured in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).cuda()
        rate = torch.tensor(0.01, device="cuda")
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, capturable=True)
        x, y = DATA[0][0].cuda(), DATA[0][1].cuda()

        def step(model: nn.Module = model, optimizer: Any = optimizer, x: Tensor = x, y: Tensor = y) -> None:
            (model(x) - y).square().mean().backward()
            optimizer.step()

        def warm_up(model: nn.Module = model, optimizer: Any = optimizer, step: Any = step) -> None:
            for _ in range(3):
                optimizer.zero_grad(set_to_none=True)
                step()
            optimizer.zero_grad(set_to_none=True)

        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            warm_up()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        if captured:
            with torch.cuda.graph(graph):
                step()
        training = TorchLoop(model, optimizer, ["lr"])
        training.capture("begin")
        end: list[Any] = []
        for lr in (0.1, 0.01, 0.1):
            training.restore("begin")
            meter = Meter(length=Length(1), shape=linear(0.0))
            training.apply({"lr": lr}, meter)
            for a, b in training.batches(DATA, 0, meter):
                x.copy_(a)
                y.copy_(b)
                if captured:
                    graph.replay()
                else:
                    optimizer.zero_grad(set_to_none=True)
                    step()
            end.append([p.detach().cpu() for p in model.parameters()])
        training.close()
        assert all(torch.equal(a, b) for a, b in zip(end[0], end[2], strict=True))
        assert not torch.equal(end[0][0], end[1][0])
        ends.append(end)
    torch.testing.assert_close(ends[0], ends[1])
