"""`fit` on small real data, and every mistake it must catch before any training."""

import random
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import gammatune
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import (
    AllDiverged,
    GammatuneError,
    InvalidArgument,
    InvalidData,
    JournalError,
    JournalWarning,
    ModelMismatch,
)
from gammatune.journal.history import WEIGHTS, replay
from gammatune.metrics.thesis import Classification, Regression
from gammatune.report.terminal import runs_table, show
from gammatune.supervised.dry_run import rehearse

GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(200, 5, generator=GENERATOR)
Y = (X[:, 0] + X[:, 1] > 0).long()
T = X @ torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0])


def net(outputs: int = 2) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, outputs))


def fit(model: nn.Module, *sets: Any, **options: Any) -> gammatune.FitResult:
    """In small, with a rollout an epoch for each candidate, so that the tests can count."""
    given: dict[str, Any] = {"epochs": 3, "budget": 3, "policy": "greedy", "sampler": "random"}
    return gammatune.fit(model, *sets, **(given | options))


TRAIN, VAL, TEST = (X[:120], Y[:120]), (X[120:160], Y[120:160]), (X[160:], Y[160:])


@pytest.mark.parametrize("budget", [None, 6])
def test_a_classification(budget: float | None) -> None:
    model = net()
    result = gammatune.fit(model, TRAIN, VAL, test_set=TEST, epochs=12, batch_size=4, budget=budget)
    assert isinstance(result.report, Classification)
    assert result.report.accuracy > 0.8
    assert result.reported_on == "test"
    assert result.cost.plain_runs is not None
    assert 1 < result.cost.plain_runs < (budget or 1.5) + 1e-9
    assert result.verdicts[0].numbers["candidates"] > 2
    # the model holds the weights the result speaks of
    model.eval()
    with torch.no_grad():
        accuracy = (model(VAL[0]).argmax(1) == VAL[1]).float().mean().item()
    assert accuracy == pytest.approx(result.metrics["accuracy"])


@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
def test_a_regression(policy: str) -> None:
    sets = (X[:160], T[:160]), (X[160:], T[160:])
    result = gammatune.fit(
        net(1), *sets, epochs=20, batch_size=8, budget=2, optimizer="momentum", policy=policy
    )
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


def test_r2_at_a_mean_that_eats_the_digits_of_its_square() -> None:
    target = T.double() + 1e9
    model = nn.Sequential(net(1), nn.Flatten(0)).double()
    with torch.no_grad():
        model[0][2].bias += 1e9
    result = fit(model, (X[:150], target[:150]), (X[150:], target[150:]), epochs=1, budget=2)
    assert isinstance(result.report, Regression)
    assert result.metrics["r2"] == pytest.approx(result.report.r2, rel=1e-5)


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
    assert gammatune.fit(net(), train, VAL, epochs=2).course


def test_a_fifth_is_kept_aside_where_no_validation_set_is_given() -> None:
    result = fit(net(), (X, Y), epochs=1, budget=2)
    assert result.rollouts[0].trained == 160
    assert result.rollouts[0].evaluated == 40
    assert any("40 of the 200" in sentence for sentence in result.said)
    assert fit(net(), Pairs(), epochs=1, budget=2).rollouts[0].trained == 96
    assert gammatune.fit(net(), (X, Y), epochs=1).course[0].trained == 160


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
def test_the_thesis_optimizers(optimizer: str, policy: str) -> None:
    options: dict[str, Any] = {"optimizer": optimizer, "weight_decay": 1e-4, "batch_size": 8}
    result = fit(net(), TRAIN, VAL, epochs=6, budget=2, policy=policy, sampler="gamma", **options)
    assert result.course[-1].metrics["loss"] < 0.6


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


@pytest.mark.parametrize(("policy", "budget"), [("greedy", 3), ("lookahead", None), ("lookahead", 7)])
def test_same_seed_same_run_to_the_last_bit(tmp_path: Path, policy: str, budget: float | None) -> None:
    def run(seed: int, name: str) -> tuple[list[Any], list[torch.Tensor]]:
        model = nn.Sequential(net(), nn.Dropout(0.2))  # draws in every step, as shuffling does in every epoch
        torch.manual_seed(int.from_bytes(name.encode(), "big") % 1000)  # whatever went on before
        options: dict[str, Any] = {"policy": policy, "budget": budget, "sampler": "gamma", "batch_size": 8}
        result = fit(model, TRAIN, VAL, seed=seed, run_dir=str(tmp_path / name), **options)
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
    with torch.no_grad():
        next(model.parameters()).zero_()
    again = fit(
        model, TRAIN, VAL, run_dir=str(tmp_path)
    )  # complete: nothing is trained, the weights come back
    assert again.course == result.course
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())
    with pytest.raises(JournalError, match="begun with train="):
        fit(model, (TRAIN[0][::2], TRAIN[1][::2]), VAL, run_dir=str(tmp_path))
    with pytest.raises(JournalError, match="data whose checksum is"):
        fit(model, (TRAIN[0] + 1, TRAIN[1]), VAL, run_dir=str(tmp_path))
    with pytest.raises(JournalError, match="begun with model"):
        fit(nn.Sequential(net(), nn.ReLU()), TRAIN, VAL, run_dir=str(tmp_path))


@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
def test_an_error_of_the_users_loss_keeps_its_traceback_and_the_last_commit(
    tmp_path: Path, policy: str
) -> None:
    model = net()
    calls = 0

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 240:
            raise ZeroDivisionError("mine")
        return nn.functional.cross_entropy(output, target)

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        fit(
            *(model, TRAIN, VAL),
            loss_fn=loss,
            epochs=50,
            policy=policy,
            budget=None,
            run_dir=str(tmp_path),
            check=False,
        )
    assert caught.traceback[-1].name == "loss"
    story = replay(tmp_path)
    assert story.course
    model.eval()
    with torch.no_grad():
        now = nn.functional.cross_entropy(model(VAL[0]), VAL[1]).item()
    assert now == pytest.approx(story.course[-1].metrics["loss"])
    saved = torch.load(tmp_path / WEIGHTS, weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())


# -- data in odd forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(X[:120], Y[:120].reshape(-1, 1), id="a column of labels"),
        pytest.param(X[:120].numpy(), Y[:120].numpy().astype(np.uint16), id="uint16"),
        pytest.param(X[:120].numpy(), Y[:120].numpy().astype(np.uint32), id="uint32"),
        pytest.param(X[:120].numpy()[::-1], Y[:120].numpy()[::-1], id="negative strides"),
        pytest.param(X[:120].numpy().astype(">f4"), Y[:120].numpy().astype(">i4"), id="another byte order"),
        pytest.param(X[:120].numpy(), Y[:120].bool(), id="bool"),
    ],
)
def test_labels_and_arrays_as_they_come(x: Any, y: Any) -> None:
    result = fit(net(), (x, y), VAL, epochs=1, budget=2)
    plain = torch.tensor(np.asarray(x).tolist()), torch.tensor(np.asarray(y).ravel().tolist()).long()
    as_usual = fit(net(), plain, VAL, epochs=1, budget=2)
    assert result.metrics == as_usual.metrics


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_floats_become_the_models_own(dtype: torch.dtype) -> None:
    assert fit(net().to(dtype), (X[:120].numpy(), Y[:120]), VAL, epochs=1, budget=2).course
    result = fit(
        net(1).to(dtype), TensorDataset(X[:120].double(), T[:120]), (X[120:], T[120:]), epochs=1, budget=2
    )
    assert result.course


def test_labels_in_words_are_told_how_to_be_numbers() -> None:
    with pytest.raises(InvalidData, match=r"train_set are text.*np.unique\(y, return_inverse=True\)"):
        fit(net(), (X[:3], ["ant", "bee", "cat"]), VAL)
    with pytest.raises(InvalidData, match=r"train_set are object.*return_inverse"):
        fit(net(), (X[:3], np.array(["ant", None, "cat"], dtype=object)), VAL)
    with pytest.raises(InvalidData, match="inputs of val_set do not make an array"):
        fit(net(), TRAIN, ([[1.0], [1.0, 2.0]], [0, 1]))


class Sized(IterableDataset[Any]):
    def __len__(self) -> int:
        return 64

    def __iter__(self) -> Any:
        return iter([(X[i], Y[i]) for i in range(64)])


def test_an_iterable_dataset_with_a_length_is_read_in_its_own_order() -> None:
    assert fit(net(), Sized(), VAL, epochs=1, budget=2).rollouts[0].trained == 64
    with pytest.raises(InvalidArgument, match="Sized cannot be split"):
        fit(net(), Sized())


class Named(NamedTuple):
    inputs: Any
    target: Any


class Twice(nn.Module):
    """Takes a named tuple of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = net()

    def forward(self, inputs: Any) -> torch.Tensor:
        out: torch.Tensor = self.inner(inputs.inputs) + self.inner(inputs.target)
        return out


def test_named_tuples_of_tensors() -> None:
    batches = [Named(Named(X[i : i + 40], X[i : i + 40]), Y[i : i + 40]) for i in (0, 40, 80)]
    assert len(fit(Twice(), batches, batches, epochs=1, budget=2).course) == 1


@pytest.mark.parametrize("train", [TensorDataset(X[:97], Y[:97]), Subset(Pairs(), range(97))])
def test_a_last_batch_of_one_is_left_out(train: Any) -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    result = fit(model, train, VAL, epochs=1, budget=2, batch_size=np.int64(32))
    assert result.rollouts[0].trained == 96
    assert any("one example, and is left out" in sentence for sentence in result.said)
    assert fit(net(), (X[:96], Y[:96]), VAL, epochs=1, budget=2, batch_size=32).rollouts[0].trained == 96
    assert fit(net(), (X[:98], Y[:98]), VAL, epochs=1, budget=2, batch_size=32).rollouts[0].trained == 98


@pytest.mark.parametrize(("train", "size"), [(TRAIN, 32), ([(X[:60], Y[:60])], None)])
def test_the_journal_tells_the_batch_size_where_it_is_ours(tmp_path: Path, train: Any, size: Any) -> None:
    fit(net(), train, VAL, epochs=1, budget=2, run_dir=str(tmp_path / "run"))
    assert replay(tmp_path / "run").begin["facts"]["batch_size"] == size


def test_a_generator_to_train_on_loses_no_batch() -> None:
    batches = ((X[i : i + 20], Y[i : i + 20]) for i in range(0, 120, 20))
    assert fit(net(), batches, VAL, epochs=1, budget=2).rollouts[0].trained == 120


# -- tasks -----------------------------------------------------------------------------------------------------


def test_a_segmentation() -> None:
    images = torch.randn(60, 1, 6, 5, generator=GENERATOR)
    masks = (images[:, 0] > 0).long()  # (n, H, W)
    train, val, test = ((images[i], masks[i]) for i in (slice(40), slice(40, 50), slice(50, 60)))
    model = nn.Conv2d(1, 2, 1)
    result = fit(model, train, val, test_set=test, optimizer="momentum")
    assert isinstance(result.report, Classification)
    with torch.no_grad():
        right = [(model(x).argmax(1) == y).double().mean().item() for x, y in (val, test)]
    assert result.metrics["accuracy"] == pytest.approx(right[0])
    assert result.report.accuracy == pytest.approx(right[1])
    assert sum(map(sum, result.report.confusion)) == 10 * 30


@pytest.mark.parametrize("shape", [(5,), (1, 6, 5)])
def test_an_autoencoder_and_its_r2(shape: tuple[int, ...]) -> None:
    from sklearn.metrics import r2_score

    x = torch.randn(90, *shape, generator=GENERATOR)
    x = x * torch.arange(1, shape[-1] + 1) + 1e4 * torch.arange(shape[-1])  # columns of unlike scale and mean
    x[..., -1] = 3.0  # and one that does not vary
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), x[0].numel()), nn.Unflatten(1, shape))
    result = fit(model, (x[:60], x[:60]), (x[60:], x[60:]), epochs=1, budget=2, batch_size=7)
    with torch.no_grad():
        output = model(x[60:])
    expected = r2_score(x[60:].flatten(1).double(), output.flatten(1).double())
    assert isinstance(result.report, Regression)
    assert result.report.r2 == pytest.approx(expected, rel=1e-5)
    assert result.metrics["r2"] == pytest.approx(expected, rel=1e-5)
    assert result.metrics["mse"] == pytest.approx(result.report.mse, rel=1e-6)


def likelihood(output: Any, target: torch.Tensor) -> torch.Tensor:
    mean, log_variance = output if isinstance(output, tuple) else (output[:, 0], output[:, 1])
    return nn.functional.gaussian_nll_loss(mean, target, log_variance.exp()) + 5


class MeanAndVariance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = net(2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x).unbind(1)


@pytest.mark.parametrize("model", [lambda: net(2), MeanAndVariance], ids=["columns", "tuple"])
def test_outputs_that_only_the_users_loss_understands(model: Any, tmp_path: Path) -> None:
    events: list[Any] = []
    run_dir = str(tmp_path / "run")
    sets: Any = [(X[i], T[i]) for i in (slice(120), slice(120, 160), slice(160, 200))]
    result = fit(
        *(model(), *sets[:2]),
        test_set=sets[2],
        loss_fn=likelihood,
        run_dir=run_dir,
        listeners=[events.append],
    )
    assert (result.report, result.reported_on) == (None, None)
    assert result.metrics.keys() == {"loss"}
    assert any("only the loss is scored" in sentence for sentence in result.said)
    assert not any(event["event"] == "report" for event in events)
    console = Console(file=StringIO(), width=160)
    show(console, replay(run_dir), run_dir, rollouts=True)
    console.print(runs_table(tmp_path))
    assert "learning time" in console.file.getvalue()  # type: ignore[attr-defined]
    below = fit(model(), *sets[:2], loss_fn=lambda o, t: likelihood(o, t) - 50)  # a likelihood may be
    assert all(o.score == -o.metrics["loss"] > 0 for o in below.rollouts)


# -- what is the user's own -------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "budget"), [("greedy", 3), ("lookahead", 1.8)])
def test_state_goes_back_with_every_fork(policy: str, budget: float) -> None:
    class Average:
        """A running average of the weights, kept by the loss."""

        def __init__(self) -> None:
            self.steps = 0

        def state_dict(self) -> dict[str, int]:
            return {"steps": self.steps}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.steps = state["steps"]

    average = Average()

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        average.steps += output.requires_grad
        return nn.functional.cross_entropy(output, target)

    result = fit(
        *(net(), TRAIN, VAL),
        loss_fn=loss,
        state=[average],
        keep="last",
        epochs=4,
        batch_size=4,
        policy=policy,
        budget=budget,
    )
    assert len(result.rollouts) > 5
    assert average.steps == 4 * 30  # steps of the course, not of all the rollouts


@pytest.mark.parametrize(
    "options", [{"budget": 1.5}, {"epochs": 0}, {"keep": "all"}, {"sampler": "magic"}, {"run_dir": "."}]
)
def test_a_refused_run_leaves_no_hook_and_no_file(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "journal.jsonl").write_text("no journal\n")
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(GammatuneError):
        fit(model, TRAIN, VAL, optimizer=optimizer, **({"run_dir": "new"} | options))
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not (tmp_path / "new").exists()


def test_a_loss_with_weights_goes_where_the_model_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Any] = []

    class Weighted(nn.CrossEntropyLoss):
        def to(self, *args: Any, **kwargs: Any) -> Any:
            places.append(args[0])
            return super().to(*args, **kwargs)

    fit(net(), TRAIN, VAL, loss_fn=Weighted(weight=torch.ones(2)), epochs=1, budget=2, device="cpu")
    assert places == [torch.device("cpu")]


def test_what_was_frozen_stays_frozen() -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    model[1].eval()
    before = model[1].running_mean.clone()
    fit(model, TRAIN, VAL, epochs=2, budget=2)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert torch.equal(model[1].running_mean, before)
    model.eval()  # all of it: then it is to be trained all the same
    fit(model, TRAIN, VAL, epochs=1, budget=2)
    assert not torch.equal(model[1].running_mean, before)


def test_weights_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"older")
    save = torch.save

    def cut_off(state: Any, file: Any) -> None:
        if "format" in state:  # a checkpoint
            save(state, file)
            return
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.warns(JournalWarning, match=r"cannot write the weights .*disk is full.* in memory"):
        result = fit(net(), TRAIN, VAL, run_dir=str(tmp_path))
    assert result.report is not None
    assert (tmp_path / WEIGHTS).read_bytes() == b"older"
    assert not list(tmp_path.glob("*.part"))


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


class Untouched(nn.Module):
    """Fails the test if it is ever trained."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.inner = net(outputs)

    def forward(self, x: torch.Tensor) -> Any:
        assert not self.training
        return self.inner(x)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("last_only", [False, True])
def test_a_wrong_label_in_any_part_is_found_before_training(part: int, last_only: bool) -> None:
    sets = [TRAIN, VAL, TEST]
    wrong = sets[part][1].clone()
    wrong[-1 if last_only else slice(None)] = 7
    sets[part] = (sets[part][0], wrong)
    name = ("train_set", "val_set", "test_set")[part]
    with pytest.raises(ModelMismatch, match=f"{name}: the model has 2 outputs and a target is 7"):
        fit(Untouched(), sets[0], sets[1], test_set=sets[2])
    if not last_only:
        loaders = [[pair] for pair in sets]
        with pytest.raises(ModelMismatch, match=f"{name}: the model has 2 outputs and a target is 7"):
            fit(Untouched(), loaders[0], loaders[1], test_set=loaders[2])


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_wrong_width_in_any_part_is_found_before_training(part: int) -> None:
    sets = [TRAIN, VAL, TEST]
    sets[part] = (sets[part][0][:, :4], sets[part][1])
    name = ("train_set", "val_set", "test_set")[part]
    with pytest.raises(ModelMismatch, match=f"cannot take the inputs of {name}.* 4"):
        fit(Untouched(), sets[0], sets[1], test_set=sets[2])


def test_targets_that_are_not_finite_in_the_test_set() -> None:
    spoiled = T[160:].clone()
    spoiled[-1] = float("nan")
    with pytest.raises(InvalidData, match="test_set: 1 targets are NaN"):
        fit(Untouched(1), (X[:120], T[:120]), (X[120:160], T[120:160]), test_set=(X[160:], spoiled))


def test_targets_of_two_kinds() -> None:
    with pytest.raises(
        InvalidData, match="targets of train_set are whole numbers and those of val_set are not"
    ):
        fit(Untouched(), TRAIN, (X[:20], T[:20].reshape(10, 2).repeat(2, 1)))


def test_a_loss_that_does_not_fit() -> None:
    with pytest.raises(ModelMismatch, match="loss cannot take the outputs float32 of shape"):
        fit(Untouched(), TRAIN, VAL, loss_fn=nn.CrossEntropyLoss(weight=torch.ones(3)))
    with pytest.raises(InvalidArgument, match="mean loss of a batch"):
        fit(Untouched(), TRAIN, VAL, loss_fn=nn.CrossEntropyLoss(reduction="none"))


def test_the_rehearsal_leaves_modes_and_streams_alone() -> None:
    class Drawing(Dataset[Any]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> Any:
            return X[index] + torch.rand(1) + random.random() + np.random.rand(), Y[index]  # noqa: NPY002

    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.rand(1)

    model = nn.Sequential(Noisy(), net(), nn.BatchNorm1d(2), nn.Dropout(0.5))
    model[2].eval()
    modes = [module.training for module in model.modules()]
    generator = torch.Generator().manual_seed(4)
    loader = DataLoader(Drawing(), batch_size=8, shuffle=True, generator=generator)
    before = StreamStates([generator])
    loss = nn.CrossEntropyLoss()
    rehearse(model, {"train_set": loader, "val_set": loader}, loss, torch.device("cpu"))
    assert StreamStates([generator]) == before
    assert [module.training for module in model.modules()] == modes
    assert loss.training
    with pytest.raises(ModelMismatch):
        rehearse(model, {"train_set": [(X[:4, :3], Y[:4])]}, loss, torch.device("cpu"))
    assert StreamStates([generator]) == before
    assert [module.training for module in model.modules()] == modes


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
        ({"batch_size": "32"}, "batch_size='32'"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"batch_size": True}, "batch_size=True"),
        ({"seed": -1}, "seed=-1"),
        ({"optimizer": lambda p: torch.optim.LBFGS(p, lr=0.1)}, "LBFGS.*gammatune.Tuner"),
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
        fit(net(), TRAIN, [X])  # type: ignore[list-item]
    with pytest.raises(
        InvalidArgument, match="mapping of x, z, and none of these is the targets; call them 'labels'"
    ):
        fit(net(), TRAIN, [{"x": X, "z": Y}])


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> Any:
        return self.layer(a) + self.layer(b)


class Own(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise TypeError("an error of the model's own")


def test_a_forward_of_two_arguments_is_told_what_it_is_called_with() -> None:
    x, y = torch.randn(20, 4), torch.randint(2, (20,))
    with pytest.raises(
        ModelMismatch, match=r"one thing \(float32 of shape \(20, 4\)\).*forward of Two is forward\(a: "
    ):
        gammatune.fit(Two(), (x, y), (x, y), epochs=1)
    with pytest.raises(TypeError, match="of the model's own"):
        gammatune.fit(Own(4, 2), (x, y), (x, y), epochs=1)
