"""Loops that make gradients, weights or passes by hand, as people write them: trials change nothing, to the bit."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy, kl_div, normalize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from gammatune.errors import InvalidArgument
from gammatune.records import Length, Rollout
from gammatune.schedules import STILL, linear
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

EPOCHS = 2
X = torch.randn(80, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] * X[:, 1] > 0).long()
DISTURBED: list[Any] = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, length=Length(0.0, least=1), shape=STILL),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear(), order=1),
    Rollout({"lr": 0.03}, 0, None, length=Length(1.4)),
]


@dataclass
class Loop:
    """step: of one batch and its number. told: tensors that two equal trainings agree on. measure: the loss."""

    model: Any
    optimizer: Any
    step: Callable[[Tensor, Tensor, int], Any]
    told: Callable[[], Sequence[Tensor]]
    measure: Callable[[], Any]
    state: Sequence[Any] = ()
    hears: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> list[nn.Module]:
        return self.model if isinstance(self.model, list) else [self.model]


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2)
    )  # draws random numbers


def held(*modules: nn.Module) -> Callable[[], Sequence[Tensor]]:
    return lambda: [t for module in modules for t in (*module.parameters(), *module.buffers())]


def sgd(parameters: Any, lr: float = 0.03) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


class Counter:
    count = 0

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, told: dict[str, int]) -> None:
        self.count = told["count"]


def of_checkpoints() -> Loop:
    model = net()
    optimizer = sgd(model.parameters())

    def step(x: Tensor, y: Tensor, number: int) -> None:
        optimizer.zero_grad()
        inner: Tensor = checkpoint(model[:4], x, use_reentrant=False)
        cross_entropy(model[4](inner), y).backward()
        optimizer.step()

    return Loop(model, optimizer, step, held(model), lambda: cross_entropy(model(X), Y))


def of_tensors_beside_the_model() -> Loop:
    model = nn.Linear(6, 2)
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(weights.values(), lr=0.03)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(functional_call(model, weights, (x,)), y)

    def step(x: Tensor, y: Tensor, number: int) -> None:
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()

    return Loop(model, optimizer, step, lambda: list(weights.values()), lambda: loss(X, Y))


def of_gradients_of_each_example() -> Loop:
    """Which are cut and summed, with noise: no backward pass is seen, and nothing is taken for a cut."""
    model = nn.Linear(6, 2)
    optimizer = sgd(model.parameters())

    def loss(weights: Any, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(functional_call(model, weights, (x[None],)), y[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))

    def step(x: Tensor, y: Tensor, number: int) -> None:
        found = each({name: p.detach() for name, p in model.named_parameters()}, x, y)
        for name, p in model.named_parameters():
            p.grad = found[name].clamp(-0.1, 0.1).mean(0) + 0.01 * torch.randn_like(p)
        optimizer.step()

    return Loop(model, optimizer, step, held(model), lambda: cross_entropy(model(X), Y))


def of_a_temperature() -> Loop:
    """Contrastive, its temperature learnt by an optimizer of its own, and kept in bounds by hand."""
    model, temperature = nn.Linear(6, 4), nn.Parameter(torch.tensor(math.log(10.0)))
    optimizers = [sgd(model.parameters()), torch.optim.AdamW([temperature], lr=0.01)]

    def loss(x: Tensor) -> Tensor:
        one, other = normalize(model(x), dim=1), normalize(model(x + 0.1 * torch.randn_like(x)), dim=1)
        return cross_entropy(one @ other.T * temperature.exp(), torch.arange(len(x)))

    def step(x: Tensor, y: Tensor, number: int) -> None:
        for one in optimizers:
            one.zero_grad()
        loss(x).backward()
        for one in optimizers:
            one.step()
        with torch.no_grad():
            temperature.clamp_(max=math.log(12.0))

    return Loop(model, optimizers, step, lambda: [*model.parameters(), temperature], lambda: loss(X))


def of_a_teacher() -> Loop:
    model, teacher = net(), net().eval().requires_grad_(False)
    optimizer = sgd(model.parameters())

    def step(x: Tensor, y: Tensor, number: int) -> None:
        assert not teacher.training
        optimizer.zero_grad()
        said = model(x)
        taught = kl_div(said.log_softmax(1), teacher(x).softmax(1), reduction="batchmean")
        (cross_entropy(said, y) + taught).backward()
        optimizer.step()

    return Loop(model, optimizer, step, held(model, teacher), lambda: cross_entropy(model(X), Y))


def of_an_average_now_and_then() -> Loop:
    """Of the weights, every third step, which is counted outside of the model; it is what is measured."""
    model, steps = net(), Counter()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)

    def step(x: Tensor, y: Tensor, number: int) -> None:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
        steps.count += 1
        if steps.count % 3 == 0:
            average.update_parameters(model)

    told = held(model, average)
    return Loop(model, optimizer, step, told, lambda: cross_entropy(average(X), Y), [average, steps])


def of_two_passes_a_step() -> Loop:
    """Sharpness-aware: up the gradient, and back after the second pass."""
    model = net()
    optimizer = sgd(model.parameters())

    def step(x: Tensor, y: Tensor, number: int) -> None:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        with torch.no_grad():
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            length = torch.stack([g.norm() for g in gradients]).norm()
            up = [0.05 * g / length for g in gradients]
            torch._foreach_add_(list(model.parameters()), up)
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        with torch.no_grad():
            torch._foreach_sub_(list(model.parameters()), up)
        optimizer.step()

    return Loop(model, optimizer, step, held(model), lambda: cross_entropy(model(X), Y))


def of_steps_in_the_backward_pass() -> Loop:
    model = net()
    each = {p: sgd([p]) for p in model.parameters()}

    def take(p: Tensor) -> None:
        each[p].step()  # type: ignore[index]
        each[p].zero_grad()  # type: ignore[index]

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(take)

    def step(x: Tensor, y: Tensor, number: int) -> None:
        cross_entropy(model(x), y).backward()

    return Loop(model, list(each.values()), step, held(model), lambda: cross_entropy(model(X), Y))


def of_a_queue() -> Loop:
    """A momentum encoder, and what it said of earlier batches, which lie in a module of their own."""
    model = nn.Linear(6, 4)
    slow = copy.deepcopy(model).requires_grad_(False)
    slow.register_buffer("said", normalize(torch.randn(32, 4), dim=1))
    optimizer = sgd(model.parameters())

    def step(x: Tensor, y: Tensor, number: int) -> None:
        with torch.no_grad():
            for p, q in zip(slow.parameters(), model.parameters(), strict=True):
                p.lerp_(q, 0.1)
            new = normalize(slow(x + 0.1 * torch.randn_like(x)), dim=1)
        one = normalize(model(x), dim=1)
        alike = torch.cat([(one * new).sum(1, keepdim=True), one @ slow.said.T], dim=1)  # type: ignore[operator]
        optimizer.zero_grad()
        cross_entropy(5 * alike, torch.zeros(len(x), dtype=torch.long)).backward()
        optimizer.step()
        slow.said = torch.cat([slow.said[len(x) :], new])  # type: ignore[index]

    return Loop(
        model, optimizer, step, held(model, slow), lambda: model(X).square().mean(), [slow], {"examples": 80}
    )


def of_weights_in_half_precision() -> Loop:
    """What is trained is their copy in full precision."""
    model = nn.Linear(6, 2)
    half = copy.deepcopy(model).bfloat16()
    optimizer = sgd(model.parameters())

    def step(x: Tensor, y: Tensor, number: int) -> None:
        half.zero_grad()
        cross_entropy(half(x.bfloat16()).float(), y).backward()
        for p, q in zip(model.parameters(), half.parameters(), strict=True):
            assert q.grad is not None
            p.grad = q.grad.float()
        optimizer.step()
        half.load_state_dict(model.state_dict())

    return Loop(model, optimizer, step, held(model, half), lambda: cross_entropy(model(X), Y), [half])


LOOPS = [
    *(of_checkpoints, of_tensors_beside_the_model, of_gradients_of_each_example, of_a_temperature, of_a_teacher),
    *(of_an_average_now_and_then, of_two_passes_a_step, of_steps_in_the_backward_pass, of_a_queue),
    of_weights_in_half_precision,
]  # fmt: skip


def made(make: Callable[[], Loop]) -> tuple[Loop, Any]:
    torch.manual_seed(3)
    loop = make()
    torch.manual_seed(4)
    return loop, DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)


def evidence(loop: Loop) -> list[Tensor]:
    return [*(t.detach().clone() for t in loop.told()), torch.get_rng_state()]


def plain(make: Callable[[], Loop]) -> list[Tensor]:
    loop, loader = made(make)
    for _ in range(EPOCHS):
        for model in loop.models:
            model.train()
        for number, (x, y) in enumerate(loader):
            loop.step(x, y, number)
        for model in (*loop.models, *(one for one in loop.state if isinstance(one, nn.Module))):
            model.eval()
        with torch.no_grad():
            loop.measure()
    return evidence(loop)


def tuned(make: Callable[[], Loop], **options: Any) -> tuple[list[Tensor], Tuner, Loop]:
    loop, loader = made(make)
    with Tuner(
        model=loop.model,
        optimizer=loop.optimizer,
        epochs=EPOCHS,
        state=loop.state,
        objective="loss",
        **options,
    ) as tuner:
        for run in tuner:
            for model in loop.models:
                model.train()
            for number, (x, y) in enumerate(run.batches(loader)):
                loop.step(x, y, number)
            run.report(**run.evaluate(lambda: {"loss": loop.measure()}, **loop.hears))
    return evidence(loop), tuner, loop


@pytest.mark.parametrize("make", LOOPS, ids=lambda make: make.__name__)
def test_trials_change_nothing(make: Callable[[], Loop]) -> None:
    """Nor is anything missed: the check before the first look warns of nothing, and warnings are errors."""
    options: dict[str, Any] = {"space": ["lr=1e-5:1:log"], "budget": 50}
    found, tuner, _ = tuned(make, policy=control_rollouts({"lr": 0.03}, DISTURBED), **options)
    assert len(tuner.result.rollouts) == (1 + len(DISTURBED)) * EPOCHS
    assert all(outcome.clipped == 0 for outcome in tuner.result.rollouts)
    assert all(torch.equal(a, b) for a, b in zip(plain(make), found, strict=True))


@pytest.mark.parametrize("make", LOOPS, ids=lambda make: make.__name__)
def test_what_is_handed_back_scores_what_is_said(make: Callable[[], Loop]) -> None:
    torch.manual_seed(5)
    _, tuner, loop = tuned(make, budget=5)
    for model in (*loop.models, *(one for one in loop.state if isinstance(one, nn.Module))):
        model.eval()
    with torch.no_grad():
        said = loop.measure().item()
    noisy = make is of_a_temperature
    assert tuner.result.metrics["loss"] == pytest.approx(said, rel=0.2 if noisy else 1e-5)


def test_several_nets_need_what_is_trained_in_the_model() -> None:
    with pytest.raises(InvalidArgument, match=r"the optimizer trains none of these .*leave ensemble= out"):
        tuned(of_tensors_beside_the_model, budget=4, ensemble=True)
