"""`fit` on small real data, and every mistake it must catch before any training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import gammatune
from gammatune.errors import AllDiverged, InvalidArgument, InvalidData, JournalError, ModelMismatch
from gammatune.journal import WEIGHTS, replay
from gammatune.metrics import Classification, Regression

GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(200, 5, generator=GENERATOR)
Y = (X[:, 0] + X[:, 1] > 0).long()
T = X @ torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0])


def net(outputs: int = 2) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, outputs))


def fit(model: nn.Module, *sets: Any, **options: Any) -> gammatune.FitResult:
    given: dict[str, Any] = {"epochs": 3, "budget": 3, "sampler": "random"}
    return gammatune.fit(model, *sets, **(given | options))


TRAIN, VAL, TEST = (X[:120], Y[:120]), (X[120:160], Y[120:160]), (X[160:], Y[160:])


def test_a_classification() -> None:
    model = net()
    result = fit(model, TRAIN, VAL, test_set=TEST, epochs=6, budget=6, sampler="gamma")
    assert isinstance(result.report, Classification)
    assert result.report.accuracy > 0.8
    assert result.reported_on == "test"
    assert len(result.rollouts) == 36
    assert result.cost.plain_runs == pytest.approx(6)
    # the model holds the weights the result speaks of
    model.eval()
    with torch.no_grad():
        accuracy = (model(VAL[0]).argmax(1) == VAL[1]).float().mean().item()
    assert accuracy == pytest.approx(result.metrics["accuracy"])


def test_a_regression() -> None:
    result = fit(net(1), (X[:160], T[:160]), (X[160:], T[160:]), epochs=10, budget=6, optimizer="momentum")
    assert isinstance(result.report, Regression)
    assert result.report.r2 > 0.5
    assert result.reported_on == "selection"
    assert any("mean squared error" in sentence for sentence in result.said)
    assert result.course[-1].metrics.keys() == {"loss", "mse", "r2"}


def test_r2_of_a_rollout_is_scikit_learns() -> None:
    from sklearn.metrics import r2_score

    model = net(1)
    target = T + 1e4  # a large mean must not cost digits
    result = fit(model, (X[:150], target[:150]), (X[150:], target[150:]), epochs=1, budget=2)
    with torch.no_grad():
        expected = r2_score(target[150:], model.eval()(X[150:]))
    assert result.metrics["r2"] == pytest.approx(expected, rel=1e-4)


class Pairs(Dataset[Any]):
    def __len__(self) -> int:
        return 120

    def __getitem__(self, index: int) -> Any:
        return X[index], int(Y[index])


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(X[i], Y[i]) for i in range(64)])


@pytest.mark.parametrize(
    "train",
    [
        pytest.param((X[:120].numpy(), Y[:120].numpy()), id="arrays"),
        pytest.param((X[:120].double().numpy(), Y[:120].numpy().astype(np.int32)), id="float64 and int32"),
        pytest.param((X[:120].tolist(), Y[:120].tolist()), id="lists"),
        pytest.param(Pairs(), id="dataset"),
        pytest.param(TensorDataset(X[:120], Y[:120]), id="tensor dataset"),
        pytest.param(DataLoader(Pairs(), batch_size=16, shuffle=True), id="loader"),
        pytest.param(Endless(), id="iterable dataset"),
        pytest.param([(X[:60], Y[:60]), (X[60:120], Y[60:120])], id="list of batches"),
    ],
)
def test_data_in_every_form(train: Any) -> None:
    result = fit(net(), train, VAL, epochs=1, budget=2)
    assert len(result.course) == 1


def test_a_fifth_is_kept_aside_where_no_validation_set_is_given() -> None:
    result = fit(net(), (X, Y), epochs=1, budget=2)
    assert result.rollouts[0].trained == 160
    assert result.rollouts[0].evaluated == 40
    assert any("40 of the 200" in sentence for sentence in result.said)
    assert fit(net(), Pairs(), epochs=1, budget=2).rollouts[0].trained == 96


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
def test_the_thesis_optimizers(optimizer: str) -> None:
    result = fit(net(), TRAIN, VAL, epochs=2, budget=3, optimizer=optimizer, weight_decay=1e-4)
    assert len(result.course) >= 1


def test_the_users_own_optimizer_is_searched_three_decades_around_its_rate() -> None:
    model = net()
    result = fit(model, TRAIN, VAL, optimizer=torch.optim.SGD(model.parameters(), lr=0.05), budget=8)
    rates = [float(o.values["lr"]) for o in result.rollouts]
    assert 0.05 / 32 < min(rates) < max(rates) < 0.05 * 32
    factory = fit(net(), TRAIN, VAL, optimizer=lambda p: torch.optim.SGD(p, lr=0.05), budget=8)
    assert [o.values for o in factory.rollouts] == [o.values for o in result.rollouts]


def test_batch_size_is_searched_at_equal_samples() -> None:
    result = fit(net(), TRAIN, VAL, space=["lr=0.01:0.1:log", "batch_size=8,24,60"], budget=6)
    assert {o.trained for o in result.rollouts} == {120}
    steps = {o.values["batch_size"]: o.steps for o in result.rollouts}
    assert steps == {size: 120 // int(size) for size in steps}
    assert len(steps) > 1


def test_same_seed_same_run_to_the_last_bit(tmp_path: Path) -> None:
    def run(seed: int, name: str) -> tuple[list[Any], list[torch.Tensor]]:
        torch.manual_seed(int.from_bytes(name.encode(), "big") % 1000)  # whatever went on before
        model = net()
        result = fit(model, TRAIN, VAL, seed=seed, sampler="gamma", run_dir=str(tmp_path / name))
        assert replay(tmp_path / name).begin["seed"] == seed
        return [(o.values, o.metrics, o.score) for o in result.rollouts], [
            p.detach() for p in model.parameters()
        ]

    first, again, other = run(3, "a"), run(3, "b"), run(4, "c")
    assert first[0] == again[0]
    assert all(torch.equal(p, q) for p, q in zip(first[1], again[1], strict=True))
    assert first[0] != other[0]


def test_the_callers_random_streams_are_left_alone() -> None:
    torch.manual_seed(9)
    np.random.seed(9)  # noqa: NPY002
    expected = torch.rand(1).item(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(9)
    np.random.seed(9)  # noqa: NPY002
    model = nn.Linear(5, 2)
    torch.manual_seed(9)
    fit(model, TRAIN, VAL, epochs=1, budget=2)
    assert (torch.rand(1).item(), np.random.rand()) == expected  # noqa: NPY002


def test_the_run_directory_holds_weights_that_load_safely(tmp_path: Path) -> None:
    model = net()
    result = fit(model, TRAIN, VAL, run_dir=str(tmp_path))
    saved = torch.load(tmp_path / WEIGHTS, weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())
    story = replay(tmp_path)
    assert tuple(story.course) == result.course
    assert story.report is not None
    assert isinstance(result.report, Classification)
    assert story.report["accuracy"] == result.report.accuracy
    with pytest.raises(JournalError, match="already holds a run"):
        fit(model, TRAIN, VAL, run_dir=str(tmp_path))


def test_an_error_of_the_users_loss_keeps_its_traceback_and_the_last_commit(tmp_path: Path) -> None:
    model = net()
    calls = 0

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 60:
            raise ZeroDivisionError("mine")
        return nn.functional.cross_entropy(output, target)

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        fit(model, TRAIN, VAL, loss_fn=loss, epochs=50, run_dir=str(tmp_path))
    assert caught.traceback[-1].name == "loss"
    story = replay(tmp_path)
    assert story.course
    model.eval()
    with torch.no_grad():
        now = nn.functional.cross_entropy(model(VAL[0]), VAL[1]).item()
    assert now == pytest.approx(story.course[-1].metrics["loss"])
    saved = torch.load(tmp_path / WEIGHTS, weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())


def test_out_of_memory_makes_a_candidate_infeasible() -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training and len(x) > 30:
                raise torch.OutOfMemoryError("out of memory\nmore lines")
            return self.inner(x)

    result = fit(Greedy(), TRAIN, VAL, space=["batch_size=10,20,40,60"], sampler="grid", budget=4, epochs=1)
    assert {o.values["batch_size"]: o.status for o in result.rollouts} == {
        10: "ok",
        20: "ok",
        40: "infeasible",
        60: "infeasible",
    }
    assert "out of memory" in next(o.note for o in result.rollouts if o.status == "infeasible")


# -- mistakes, each caught before any training ------------------------------------------------------------


def test_too_few_outputs() -> None:
    with pytest.raises(ModelMismatch, match="2 outputs and a target is 4"):
        fit(net(2), (X, torch.arange(200) % 5), (X, torch.arange(200) % 5))


def test_one_output_for_whole_number_targets() -> None:
    with pytest.raises(ModelMismatch, match="one column a class"):
        fit(nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)), TRAIN, VAL)


def test_outputs_that_do_not_fit_a_regression() -> None:
    with pytest.raises(ModelMismatch, match="whole numbers"):
        fit(net(3), (X, T))


def test_a_model_that_gives_no_tensor() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(x), x

    with pytest.raises(ModelMismatch, match="gives a tuple"):
        fit(Pair(), TRAIN, VAL)


def test_negative_labels() -> None:
    with pytest.raises(InvalidData, match="counted from 0"):
        fit(net(), TRAIN, (VAL[0], VAL[1] - 1))


def test_nan_loss_at_the_first_step() -> None:
    model = net()
    before = [p.detach().clone() for p in model.parameters()]
    spoiled = X[:120].clone()
    spoiled[:, 0] = float("nan")
    with pytest.raises(AllDiverged, match="very first step"):
        fit(model, (spoiled, Y[:120]), VAL)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ((X[:0], Y[:0]), VAL, "train_set is empty"),
        (TRAIN, (X[:0], Y[:0]), "val_set is empty"),
        ([], VAL, "no batch"),
        (TRAIN, [], "no batch"),
        ((X[:10], Y[:9]), VAL, "10 inputs and 9 targets"),
        ((X[:1], Y[:1]), None, "cannot be split"),
    ],
)
def test_empty_and_uneven_data(train: Any, val: Any, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        fit(net(), train, val)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "speedy"}, "'speedy' is not known"),
        ({"optimizer": lambda p: None}, "gave a NoneType"),
        ({"weight_decay": -1.0}, "weight_decay=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"device": "toaster"}, "device='toaster'"),
        ({"objective": "r2"}, "r2"),
        ({"epochs": "ten"}, "epochs='ten'"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fit(net(), TRAIN, VAL, **options)


def test_kappa_is_refused_for_a_regression() -> None:
    with pytest.raises(InvalidArgument, match="regression has no accuracy"):
        fit(net(1), (X, T), objective="kappa")


def test_a_frozen_model() -> None:
    model = net().requires_grad_(False)
    with pytest.raises(InvalidArgument, match="no parameter to train"):
        fit(model, TRAIN, VAL)


def test_an_iterator_cannot_be_selected_by() -> None:
    with pytest.raises(InvalidArgument, match="only once"):
        fit(net(), TRAIN, iter([VAL]))


def test_batches_that_are_no_pairs() -> None:
    with pytest.raises(InvalidArgument, match="pair"):
        fit(net(), TRAIN, [{"x": X, "y": Y}])
