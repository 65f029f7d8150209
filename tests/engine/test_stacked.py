"""K members in one pass against K trainings one after the other with torch's own optimizers."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import needs
import pytest
import torch
from torch import Tensor, nn

from gammatune.errors import InvalidArgument
from gammatune.supervised.stack import Stack, at_rates, options_of

RATES = [1e-3, 1e-2, 0.1]
STEPS = 12
SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        *(nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
    )


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.head(self.block(self.embed(x.view(-1, 3, 2))).mean(dim=1))
        return said


def frozen() -> nn.Module:
    model = mlp()
    model[0].weight.requires_grad_(False)
    return model


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 3))
    model[2].weight = model[0].weight
    return model


def batches(steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(3)
    return [
        (torch.randn(10, 6, generator=draw, dtype=torch.float64), torch.randint(3, (10,), generator=draw))
        for _ in range(steps)
    ]


def begun(
    make: Callable[[], nn.Module], kind: Any, options: dict[str, Any], *, before: int, groups: bool
) -> tuple[nn.Module, Any]:
    """A model and its optimizer after some steps of their own."""
    torch.manual_seed(0)
    model = make().double()
    parameters: Any = list(model.parameters())
    if groups:
        parameters = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.02, "weight_decay": 0.1}]
    optimizer = kind(parameters, lr=0.01, **options)
    plain(model, optimizer, batches(before), None)
    return model, optimizer


def plain(model: nn.Module, optimizer: Any, data: Any, options: Any) -> None:
    """The slow twin: one member, torch's own step. options: of its groups."""
    torch.manual_seed(1)
    for step, (x, y) in enumerate(data):
        for group, own in zip(optimizer.param_groups, options or [{}] * 9, strict=False):
            group.update(own)
            if options:
                group["lr"] *= bent(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def bent(step: int) -> float:
    return 1 - step / STEPS


def everything(model: nn.Module, optimizer: Any) -> list[Tensor]:
    state = [optimizer.state.get(p, {}) for group in optimizer.param_groups for p in group["params"]]
    return [
        *(p.detach().clone() for p in model.parameters()),
        *(b.clone() for b in model.buffers()),
        *(each[key].clone() for each in state for key in sorted(each) if each[key] is not None),
    ]


CASES: dict[str, tuple[Callable[[], nn.Module], Any, dict[str, Any]]] = {
    "sgd": (mlp, SGD, {}),
    "sgd decay": (mlp, SGD, {"weight_decay": 0.1}),
    "momentum": (cnn, SGD, {"momentum": 0.9, "weight_decay": 0.01}),
    "dampened": (mlp, SGD, {"momentum": 0.9, "dampening": 0.3}),
    "nesterov": (mlp, SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (mlp, ADAM, {}),
    "adam decay": (cnn, ADAM, {"weight_decay": 0.1, "betas": (0.8, 0.95)}),
    "adam, decoupled": (mlp, ADAM, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "adamw": (cnn, ADAMW, {"eps": 1e-4}),
    "attention": (Attention, ADAMW, {"eps": 1e-4}),  # a bias before a softmax has no gradient but rounding
    "frozen": (frozen, ADAM, {}),
    "tied": (tied, SGD, {"momentum": 0.9}),
}


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("case", CASES)
def test_as_one_after_the_other(case: str, before: int, groups: bool) -> None:
    """Weights, running statistics and optimizer state of every member, from a fork with and without a past."""
    make, kind, options = CASES[case]
    if not options.keys() <= inspect.signature(kind).parameters.keys():
        pytest.skip(f"needs {', '.join(options)} of {kind.__name__}: a newer torch")
    model, optimizer = begun(make, kind, options, before=before, groups=groups)
    members = at_rates(optimizer, RATES)
    stack = Stack(model, optimizer, nn.functional.cross_entropy, members)
    torch.manual_seed(1)
    for step, (x, y) in enumerate(batches()):
        stack.step(x, y, bent(step))
    assert stack.diverged() == [0] * len(RATES)
    x, _ = batches(1)[0]
    model.eval()
    outputs = stack.outputs(x)
    for k, member in enumerate(members):
        twin, own = begun(make, kind, options, before=before, groups=groups)
        plain(twin, own, batches(), member)
        stack.put(k)
        torch.testing.assert_close(everything(model, optimizer), everything(twin, own), rtol=1e-9, atol=1e-11)
        for name, tensor in twin.state_dict().items():
            if name in stack.state(k):  # a tied one has one name
                torch.testing.assert_close(stack.state(k)[name], tensor, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(outputs[k], twin.eval()(x), rtol=1e-9, atol=1e-11)


def test_members_may_differ_in_more_than_the_rate() -> None:
    make, kind, options = mlp, SGD, {"momentum": 0.9}
    model, optimizer = begun(make, kind, options, before=0, groups=False)
    told = [{"lr": 0.1, "momentum": 0.0}, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}, {"lr": 0.01}]
    members = [[options_of(optimizer)[0] | own] for own in told]
    stack = Stack(model, optimizer, nn.functional.cross_entropy, members)
    torch.manual_seed(1)
    for step, (x, y) in enumerate(batches()):
        stack.step(x, y, bent(step))
    for k, member in enumerate(members):
        twin, own = begun(make, kind, options, before=0, groups=False)
        plain(twin, own, batches(), member)
        torch.testing.assert_close(
            [stack.state(k)[n] for n in twin.state_dict()], [*twin.state_dict().values()]
        )


@pytest.mark.parametrize("kind", [SGD, ADAMW])
def test_one_that_diverges_harms_no_other(kind: Any) -> None:
    """Its neighbours are what they are without it, to the bit, and it is said when it happened."""
    ends = []
    for rates in ([0.01, math.inf, 0.02], [0.01, 0.015, 0.02]):
        model, optimizer = begun(cnn, kind, {}, before=0, groups=False)
        stack = Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, rates))
        for x, y in batches():
            stack.step(x, y)
        ends.append([stack.state(0), stack.state(2)])
        # the first update is infinite, the second gradient no number
        assert stack.diverged() == ([0, 2, 0] if math.inf in rates else [0, 0, 0])
    assert not stack.state(1)["1.weight"].isnan().any()
    for one, other in zip(*ends, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_members_draw_the_same_dropout_masks_as_one_alone() -> None:
    model, optimizer = begun(mlp, SGD, {}, before=0, groups=False)
    stack = Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, [0.0, 0.0]))
    x, _ = batches(1)[0]
    torch.manual_seed(5)
    outputs = stack.outputs(x)
    torch.manual_seed(5)
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], model(x))


def test_the_model_is_not_moved_before_a_member_is_put() -> None:
    model, optimizer = begun(cnn, ADAM, {}, before=2, groups=False)
    before = everything(model, optimizer)
    stack = Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, RATES))
    for x, y in batches():
        stack.step(x, y)
    assert all(torch.equal(a, b) for a, b in zip(before, everything(model, optimizer), strict=True))
    stack.put(1)
    held = everything(model, optimizer)
    stack.step(*batches(1)[0])
    assert all(torch.equal(a, b) for a, b in zip(held, everything(model, optimizer), strict=True))


class Branches(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y * 2 if y.sum() > 0 else y


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(6, 3), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.used(x)
        return said


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.head(self.lstm(x.view(-1, 3, 2))[0][:, -1])
        return said


def counting() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Branches(6, 3), "several rollouts of Branches cannot be trained in one pass"),
        (counting, "several rollouts of Sequential cannot be trained in one pass"),
        (Recurrent, "several rollouts of Recurrent cannot be trained in one pass"),
        (Unused, "does not depend on unused.weight"),
    ],
    ids=["branches", "cumulative", "recurrent", "unused"],
)
def test_what_cannot_be_batched_is_said(make: Callable[[], nn.Module], said: str) -> None:
    model = make().double()
    optimizer = SGD(model.parameters(), lr=0.1)
    stack = Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, RATES))
    with pytest.raises(InvalidArgument, match=f"(?s){said}.*train them one after the other"):
        stack.step(*batches(1)[0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda m: torch.optim.RMSprop(m.parameters(), lr=0.1), "not with RMSprop"),
        (lambda m: ADAM(m.parameters(), amsgrad=True), "amsgrad=True"),
        (lambda m: SGD(m.parameters(), lr=0.1, maximize=True), "maximize=True"),
        (lambda m: SGD([nn.Parameter(torch.ones(1))], lr=0.1), "not the model's"),
        (lambda m: SGD(m[0].half() and m.parameters(), lr=0.1), "torch.float16 on cpu, torch.float32 on cpu"),
        (lambda m: SGD(m.double()[0].parameters(), lr=0.1) if m[3].float() else None, None),
    ],
    ids=["optimizer", "amsgrad", "maximize", "foreign", "two kinds", "two kinds, one trained"],
)
def test_what_has_no_rule_is_refused(make: Callable[[nn.Module], Any], said: str | None) -> None:
    model = mlp()
    optimizer = make(model)
    if said is None:
        Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, RATES))
        return
    with pytest.raises(InvalidArgument, match=f"(?s){said}.*train them one after the other"):
        Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, RATES))


def test_the_users_own_error_goes_through() -> None:
    model = nn.Linear(5, 3).double()
    optimizer = SGD(model.parameters(), lr=0.1)
    stack = Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, RATES))
    with pytest.raises(RuntimeError, match="Expected size"):
        stack.step(*batches(1)[0])


@needs.cuda
def test_on_a_gpu_as_one_after_the_other_and_without_waiting() -> None:
    make, kind, options = CASES["adamw"]
    model, optimizer = begun(make, kind, options, before=0, groups=False)
    model.cuda()
    members = at_rates(optimizer, RATES)
    stack = Stack(model, optimizer, nn.functional.cross_entropy, members)
    data = [(x.cuda(), y.cuda()) for x, y in batches()]
    stack.step(*data[0], bent(0))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step, (x, y) in enumerate(data[1:], start=1):
            stack.step(x, y, bent(step))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for k, member in enumerate(members):
        twin, own = begun(make, kind, options, before=0, groups=False)
        plain(twin, own, batches(), member)
        stack.put(k)
        near = [tensor.cpu() for tensor in everything(model, optimizer)]
        torch.testing.assert_close(near, everything(twin, own), rtol=1e-6, atol=1e-8)
