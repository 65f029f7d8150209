"""Models that are not what most are: each trains, or is refused in a sentence before any training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty import Training, X, Y
from torch import Tensor, nn

import gammatune
from gammatune.errors import AllDiverged, GammatuneError, InvalidArgument, NotRestorable

OPTIONS: dict[str, Any] = {"epochs": 2, "budget": 2, "policy": "greedy", "sampler": "random"}


def fit(model: nn.Module, **options: Any) -> gammatune.FitResult:
    return gammatune.fit(model, (X, Y), (X, Y), **(OPTIONS | options))


def body(model: nn.Module, optimizer: Any, **options: Any) -> gammatune.Tuner:
    batches = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)]
    tuner = gammatune.Tuner(model=model, optimizer=optimizer, **(OPTIONS | options))
    with tuner:
        for run in tuner:
            for x, y in run.batches(batches):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x).float(), y).backward()
                optimizer.step()
            run.report(accuracy=0.5, loss=1.0 / (1 + run.number))
    return tuner


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_without_parameters() -> None:
    with pytest.raises(InvalidArgument, match="no parameter to train"):
        fit(nn.Softmax(1))
    dummy = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    dummy.param_groups[0]["params"].clear()
    with pytest.raises(InvalidArgument, match="nothing to train: neither the model"):
        body(nn.Softmax(1), dummy)


def test_all_frozen() -> None:
    model = nn.Linear(4, 2).requires_grad_(False)
    with pytest.raises(InvalidArgument, match="all are frozen"):
        fit(model)
    before = model.weight.clone()
    with pytest.raises(
        RuntimeError, match="does not require grad"
    ) as caught:  # torch's own, of the user's line
        body(model, sgd(model))
    assert caught.traceback[-1].path.name != "tuner.py"
    assert torch.equal(model.weight, before)


def test_some_frozen() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    last = model[2].weight.clone()
    fit(model)
    body(model, sgd(model))
    assert torch.equal(model[0].weight, before)
    assert not model[0].weight.requires_grad
    assert not torch.equal(model[2].weight, last)


def test_lazy_parameters_are_refused_in_a_loop_and_made_by_fit() -> None:
    model = nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(2))
    optimizer = sgd(model)
    with pytest.raises(NotRestorable, match="has no shape yet; run one batch through the model"):
        body(model, optimizer)
    assert not optimizer._optimizer_step_pre_hooks
    assert len(fit(model).course) == 2  # the rehearsal has passed a batch through it


class Late(nn.Module):
    """Makes a parameter in its first forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "scale"):
            self.scale = nn.Parameter(torch.ones(2))
        out: Tensor = self.inner(x) * self.scale
        return out


def test_parameters_made_in_the_first_forward(tmp_path: Path) -> None:
    """Rollouts take them back with them; a checkpoint that has one that the model has not is refused by name."""
    model = Late()
    tuner = body(model, sgd(model), keep="last")
    assert len(tuner.result.course) == 2
    assert "scale" in dict(model.named_parameters())
    late = Late()
    fit(late)
    assert "scale" in dict(late.named_parameters())
    one = Late()
    with pytest.raises(KeyboardInterrupt):
        interrupted(one, tmp_path)
    with pytest.raises(InvalidArgument, match="has a parameter scale, and this model has not"):
        resumed(Late(), tmp_path)


def interrupted(model: nn.Module, directory: Path) -> None:
    optimizer = sgd(model)
    with gammatune.Tuner(model=model, optimizer=optimizer, run_dir=str(directory), **OPTIONS) as tuner:
        for run in tuner:
            if run.epoch == 1:
                raise KeyboardInterrupt
            step(model, optimizer, run)


def resumed(model: nn.Module, directory: Path) -> None:
    optimizer = sgd(model)
    with gammatune.Tuner(model=model, optimizer=optimizer, run_dir=str(directory), **OPTIONS) as tuner:
        for run in tuner:
            step(model, optimizer, run)


def step(model: nn.Module, optimizer: Any, run: Any) -> None:
    for x, y in run.batches([(X, Y)]):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    run.report(accuracy=0.5, loss=1.0 / (1 + run.number))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
def test_other_precisions(dtype: torch.dtype, policy: str, tmp_path: Path) -> None:
    model = nn.Linear(4, 2).to(dtype)
    result = fit(model, policy=policy, optimizer="momentum", run_dir=str(tmp_path), epochs=3)
    assert model.weight.dtype == dtype
    again = nn.Linear(4, 2).to(dtype)
    fit(again, policy=policy, optimizer="momentum", run_dir=str(tmp_path), epochs=3)
    assert torch.equal(again.weight, model.weight)
    assert result.course


def test_meta_tensors_are_refused() -> None:
    model = nn.Linear(4, 2, device="meta")
    said = "on the meta device, which keeps no numbers; materialise"
    with pytest.raises(NotRestorable, match=said):
        fit(model)
    optimizer = sgd(model)
    with pytest.raises(NotRestorable, match=said):
        body(model, optimizer)
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own, of its Adagrad
@pytest.mark.parametrize("optimizer", [torch.optim.SparseAdam, torch.optim.SGD, torch.optim.Adagrad])
def test_sparse_gradients(optimizer: Any, tmp_path: Path) -> None:
    model = nn.EmbeddingBag(8, 2, sparse=True)
    words = [((X[i : i + 8].abs() * 2).long().clamp(max=7), Y[i : i + 8]) for i in range(0, 48, 8)]
    before = model.weight.detach().clone()
    stepper = optimizer(model.parameters(), lr=0.1)
    with gammatune.Tuner(model=model, optimizer=stepper, run_dir=str(tmp_path), **OPTIONS) as tuner:
        for run in tuner:
            for x, y in run.batches(words):
                stepper.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                stepper.step()
            run.report(accuracy=0.5, loss=1.0 / (1 + run.number))
    assert not torch.equal(model.weight, before)
    assert all(o.ok for o in tuner.result.rollouts)


@pytest.mark.parametrize("change", ["parameter", "layer", "in the optimizer"])
def test_what_is_replaced_while_training_goes_back_with_the_fork(change: str) -> None:
    """In the rollouts of the second epoch; the first commit is what it was, object for object."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = sgd(model)
    objects = [*model.parameters()]
    numbers: list[Tensor] = []
    with pytest.raises(KeyboardInterrupt), gammatune.Tuner(
        model=model, optimizer=optimizer, listeners=[lambda e: remember(e, numbers, model)], **OPTIONS
    ) as tuner:  # fmt: skip
        for run in tuner:
            if run.epoch == 1:
                if change == "parameter":
                    model[0].weight = nn.Parameter(torch.zeros(4, 4))
                elif change == "layer":
                    model[0] = nn.Linear(4, 4)
                else:
                    optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.zeros(4, 4))
                if run.number == 3:
                    raise KeyboardInterrupt
            step(model, optimizer, run)
    assert all(a is b for a, b in zip(objects, model.parameters(), strict=True))
    assert all(a is b for a, b in zip(objects, optimizer.param_groups[0]["params"], strict=True))
    assert all(map(torch.equal, numbers, model.parameters()))


def remember(event: Any, numbers: list[Tensor], model: nn.Module) -> None:
    if event["event"] == "commit":
        numbers[:] = [p.detach().clone() for p in model.parameters()]


class Spectral(nn.Module):
    """A complex parameter, as in networks over spectra."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 2, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(torch.complex64) @ self.weight).abs()


def test_complex_parameters_train_and_go_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Spectral()
    resumable: Callable[[nn.Module], None] = lambda m: resumed(m, tmp_path)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        interrupted(model, tmp_path)
    torch.manual_seed(0)
    again = Spectral()
    resumable(again)
    torch.manual_seed(0)
    whole = Spectral()
    optimizer = sgd(whole)
    with gammatune.Tuner(model=whole, optimizer=optimizer, **OPTIONS) as tuner:
        for run in tuner:
            step(whole, optimizer, run)
    assert torch.equal(again.weight, whole.weight)


@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
def test_nan_in_the_initial_weights(policy: str) -> None:
    model = nn.Linear(4, 2)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    before = model.weight.detach().clone()
    with pytest.raises(AllDiverged, match=r"before any update.*initial weights"):
        fit(model, policy=policy)
    assert torch.equal(model.weight.nan_to_num(7.0), before.nan_to_num(7.0))


@pytest.mark.parametrize("policy", ["greedy", "lookahead"])
def test_nan_in_one_example(policy: str) -> None:
    """Every candidate meets it; what was tried is told, and the weights are those before."""
    spoiled = X.clone()
    spoiled[30] = float("nan")
    torch.manual_seed(1)
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    batches = [(spoiled[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)]
    with pytest.raises(AllDiverged, match=r"diverged|not finite"):
        gammatune.fit(model, batches, (X, Y), epochs=2, policy=policy)
    assert torch.equal(model.weight, before)


def test_errors_are_of_one_family() -> None:
    assert issubclass(NotRestorable, GammatuneError)
    assert Training().left_behind() == []
