"""`fit` with weights of its examples: in the loss, in what is selected by, in the report, and in what is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import gammatune
from gammatune.engine.batches import streams_of
from gammatune.errors import InvalidArgument, InvalidData, ModelMismatch
from gammatune.journal.history import PREDICTIONS, replay
from gammatune.metrics.catalogue import value
from gammatune.metrics.predictions import Answers
from gammatune.supervised.loaders import class_counts
from gammatune.supervised.losses import WeightedCrossEntropy, default_loss
from gammatune.supervised.sample_weights import Weighted, attached

GENERATOR = torch.Generator().manual_seed(5)
X = torch.randn(240, 3, generator=GENERATOR)
Y = (X[:, 0] > 0).long()
OTHER = (X[:, 1] > 0).long()  # what half of the examples say instead
MIXED = torch.where(torch.arange(240) % 2 == 0, Y, OTHER)
T = X[:, 0] * 3 + 10
W = np.where(np.arange(240) % 2 == 0, 9.0, 0.5)
SETS = {"train_set": W[:120], "val_set": W[120:180], "test_set": W[180:]}


def net(outputs: int = 2) -> nn.Module:
    torch.manual_seed(1)
    return nn.Linear(3, outputs)


def fit(y: Tensor = MIXED, model: nn.Module | None = None, **options: Any) -> gammatune.FitResult:
    known: dict[str, Any] = {"test_set": (X[180:], y[180:]), "epochs": 3, "batch_size": 16, "progress": False}
    model = net() if model is None else model
    return gammatune.fit(model, (X[:120], y[:120]), (X[120:180], y[120:180]), **(known | options))


def said_of(model: nn.Module, x: Tensor, y: Tensor, w: Any) -> Answers:
    with torch.no_grad():
        p = model.eval()(x).softmax(dim=1).numpy()
    return Answers(
        y.numpy(), p.argmax(axis=1), 2, p, weights=None if w is None else np.asarray(w, dtype=float)
    )


# -- losses


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12).filter(any),
    st.sampled_from(["classes", "numbers", "balanced", "pixels"]),
    st.integers(0, 1000),
)
def test_the_loss_of_whole_weights_is_that_of_repeated_examples(
    counts: list[int], kind: str, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    n, each = len(counts), torch.tensor(counts, dtype=torch.float64)
    shape = (n, 3, 2) if kind == "pixels" else (n, 3)
    output = torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(3, (n, 2) if kind == "pixels" else (n,), generator=generator)
    loss: Any = default_loss(classify=kind != "numbers")
    if kind == "balanced":
        loss = WeightedCrossEntropy(torch.tensor([0.5, 1.0, 3.0]))
    if kind == "numbers":
        target = torch.randn(shape, generator=generator, dtype=torch.float64)  # type: ignore[assignment]
    repeated = torch.arange(n).repeat_interleave(torch.tensor(counts))
    mine = loss(output, target, each / each.mean())
    torch.testing.assert_close(mine, loss(output[repeated], target[repeated]))
    torch.testing.assert_close(loss(output, target, torch.ones(n)), loss(output, target))


# -- what comes of them


def test_the_model_goes_by_those_who_count() -> None:
    """Half of the examples contradict the others, and weigh little."""
    models = net(), net()
    fit(model=models[0], epochs=8)
    fit(model=models[1], epochs=8, sample_weight=SETS)
    right = [(m(X).argmax(1) == Y).float().mean().item() for m in models]
    assert right[1] > 0.95
    assert right[1] > right[0] + 0.05


def test_selection_and_report_are_weighted(tmp_path: Path) -> None:
    model = net()
    result = fit(model=model, sample_weight=SETS, metric="auc", run_dir=str(tmp_path / "run"), ensemble=False)
    select = said_of(model, X[120:180], MIXED[120:180], SETS["val_set"])
    for name in ("auc", "accuracy"):
        assert result.metrics[name] == pytest.approx(value(name, select), rel=1e-6)
    assert result.metrics["loss"] == pytest.approx(value("log-loss", select), rel=1e-5)
    report = said_of(model, X[180:], MIXED[180:], SETS["test_set"])
    for name, measure in result.measures.items():
        assert measure.value == pytest.approx(value(name, report), rel=1e-5), name
        assert measure.low <= measure.value <= measure.high
    assert result.report is not None
    assert result.report.accuracy == pytest.approx(value("accuracy", report), rel=1e-6)  # type: ignore[union-attr]
    assert "these 60 tell about as much as 33 that weigh the same" in " ".join(result.said)
    story = replay(tmp_path / "run")
    assert story.report is not None
    assert story.report["extra"]["weighted"] is True
    kept = np.load(tmp_path / "run" / PREDICTIONS)
    assert kept["weights"].tolist() == SETS["test_set"].tolist()


def test_of_a_regression_too() -> None:
    model = net(1)
    y = torch.where(torch.arange(240) % 2 == 0, T, T + 4)
    result = fit(y, model, sample_weight=SETS, epochs=20, loss_fn=None, ensemble=False)
    with torch.no_grad():
        said = model(X[180:]).double().numpy()
    held = Answers(y[180:, None].double().numpy(), said, weights=SETS["test_set"])
    for name in ("r2", "mse", "medae", "mae"):
        assert result.measures[name].value == pytest.approx(value(name, held), rel=1e-5), name
    assert result.report is not None
    assert result.report.mse == pytest.approx(value("mse", held), rel=1e-5)  # type: ignore[union-attr]
    assert result.metrics["r2"] > 0.4


def test_several_nets_are_asked_with_weights() -> None:
    result = fit(sample_weight=SETS, budget=4.0, ensemble=True)
    assert result.ensemble is not None
    held = said_of(result.ensemble, X[180:], MIXED[180:], SETS["test_set"])
    assert result.measures["accuracy"].value == pytest.approx(value("accuracy", held), rel=1e-6)


def test_equal_weights_change_nothing_to_the_bit() -> None:
    plain = fit()
    same = fit(sample_weight={name: np.full(len(w), 0.7) for name, w in SETS.items()})
    assert plain.metrics == same.metrics
    assert plain.measures == same.measures
    assert "All sample weights are the same, and change nothing." in same.said


def test_the_unit_of_the_weights_is_of_no_account() -> None:
    one, other = (fit(sample_weight={n: w * unit for n, w in SETS.items()}) for unit in (1.0, 1024.0))
    assert one.metrics["accuracy"] == other.metrics["accuracy"]
    assert one.measures["log-loss"].value == other.measures["log-loss"].value


def test_weights_of_the_training_set_go_with_what_is_kept_aside() -> None:
    result = gammatune.fit(
        net(), (X, MIXED), epochs=3, batch_size=16, sample_weight=W, progress=False, seed=3
    )
    assert any("kept aside" in line for line in result.said)
    assert any("counts for its weight" in line for line in result.said)
    only_train = fit(sample_weight=W[:120])
    assert "The examples of val_set and test_set come without weights, and count alike." in only_train.said
    assert not any("counts for its weight" in line for line in only_train.said)


class Three(Dataset[Any]):
    def __len__(self) -> int:
        return 120

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor, float]:
        return X[place], MIXED[place], float(W[place])


@pytest.mark.parametrize("kind", ["set", "tensors", "loader", "wrapped"])
def test_weights_come_in_every_form(kind: str) -> None:
    """To the same figures on the validation set, but for the scale, and the order of batches."""
    select = TensorDataset(X[120:180], MIXED[120:180], torch.from_numpy(W[120:180]).float())
    train: Any = Three()
    weights: Any = True
    if kind == "tensors":
        train = TensorDataset(X[:120], MIXED[:120], torch.from_numpy(W[:120]))
    elif kind == "loader":
        train = DataLoader(Three(), batch_size=16, shuffle=True)
    elif kind == "wrapped":

        class Two(Three):
            def __getitem__(self, place: int) -> Any:
                return X[place], MIXED[place]

        train, select, weights = (
            Two(),
            TensorDataset(*select.tensors[:2]),
            {n: SETS[n] for n in list(SETS)[:2]},
        )
    model = net()
    options = {"epochs": 6, "progress": False, "sample_weight": weights, "ensemble": False}
    result = gammatune.fit(model, train, select, **options)  # type: ignore[arg-type]
    held = said_of(model, X[120:180], MIXED[120:180], W[120:180])
    assert result.measures["accuracy"].value == pytest.approx(value("accuracy", held), rel=1e-6)
    assert result.measures["accuracy"].value > 0.85


def test_balanced_classes_are_balanced_by_weight() -> None:
    data = TensorDataset(X[:6], torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([1.0, 1, 1, 4, 4, 4]))
    counts = class_counts(data, 2, weighted=True)
    weighed = class_counts(Subset(data, [0, 3, 4]), 2, weighted=True, weighed=True)
    assert counts is not None
    assert weighed is not None
    assert (counts.tolist(), weighed.tolist()) == ([3, 3], [1.0, 8.0])
    of_two = TensorDataset(
        X[:6], torch.ones(6, dtype=torch.long), *data.tensors[1:]
    )  # the second input is none
    assert class_counts(of_two, 2, weighted=True, weighed=True).tolist() == [3.0, 12.0]  # type: ignore[union-attr]
    apart = Weighted(TensorDataset(*of_two.tensors[:3]), data.tensors[2])
    assert class_counts(apart, 2, weighted=True, weighed=True).tolist() == [3.0, 12.0]  # type: ignore[union-attr]
    wrapped = Weighted(TensorDataset(*data.tensors[:2]), data.tensors[2])
    assert class_counts(Subset(wrapped, [5]), 2, weighted=True, weighed=True).tolist() == [0.0, 4.0]  # type: ignore[union-attr]
    result = fit(sample_weight=SETS, class_weights="balanced")
    assert any("The loss weighs" in line for line in result.said)


def test_weights_trained_on_have_a_mean_of_one() -> None:
    held = attached(TensorDataset(X[:120], Y[:120]), W[:120], "train_set", torch.float32)
    assert held.tensors[2].mean().item() == pytest.approx(1, rel=1e-6)
    other = attached(TensorDataset(X[:120], Y[:120]), W[:120], "val_set", torch.float32)
    assert other.tensors[2].tolist() == W[:120].tolist()


def test_a_loss_of_ones_own_is_handed_the_weights() -> None:
    seen: list[Tensor | None] = []

    def loss(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        seen.append(weight)
        each = nn.functional.cross_entropy(output, target, reduction="none")
        return each.mean() if weight is None else (each * weight).mean()

    fit(loss_fn=loss, sample_weight={"train_set": W[:120]})
    assert {None if weight is None else weight.ndim for weight in seen} == {None, 1}


def test_a_run_with_other_weights_is_another_run(tmp_path: Path) -> None:
    fit(sample_weight=SETS, run_dir=str(tmp_path / "run"))
    fit(sample_weight=SETS, run_dir=str(tmp_path / "run"))  # is gone on with
    with pytest.raises(gammatune.errors.JournalError, match="checksum"):
        fit(sample_weight=SETS | {"train_set": W[:120][::-1]}, run_dir=str(tmp_path / "run"))


# -- what is refused


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (W[:100], "holds 100 weights for train_set, which has 120 examples"),
        (np.where(np.arange(120) == 3, -1.0, W[:120]), "holds -1; give numbers of 0 or more"),
        (np.where(np.arange(120) == 3, np.nan, W[:120]), "holds nan; give numbers of 0 or more"),
        (np.zeros(120), "is 0 for every example"),
        (W[:120, None], r"of shape \(120, 1\); give one number"),
        (["a"] * 120, "give one number for each example"),
        ({"training": W}, "names 'training', and the sets given are train_set, val_set, test_set"),
        (True, "train_set is 2 arrays, and"),
        ({"val_set": np.where(np.arange(60) == 1, 1.0, 0.0), "train_set": W[:120]}, None),
    ],
)
def test_what_is_no_weight_is_refused(weights: Any, message: str | None) -> None:
    if message is None:
        assert fit(sample_weight=weights).metrics["accuracy"] in (0, 1)  # by the one that counts
        return
    with pytest.raises((InvalidArgument, InvalidData), match=message):
        fit(sample_weight=weights)


def test_loaders_hold_their_own_weights() -> None:
    loader = DataLoader(TensorDataset(X, MIXED), batch_size=16)
    with pytest.raises(InvalidArgument, match="sample_weight=True and batches of"):
        gammatune.fit(net(), loader, (X, Y), epochs=1, sample_weight=W)

    def batches() -> Iterator[Any]:
        yield X[:16], MIXED[:16], torch.full((16,), -1.0)

    for batch, message in [
        ((X, Y, torch.full((240,), -1.0)), "negative, NaN or infinite"),
        ((X, Y, torch.ones(3)), r"of shape \(3,\); give one number for each of its 240"),
    ]:
        with pytest.raises(InvalidArgument, match=message):
            gammatune.fit(net(), [batch], (X, Y), epochs=1, sample_weight=True)
    for arrays in ((X, Y, W), ((X, X), Y), (X, Y)):
        with pytest.raises(
            InvalidArgument, match=r"train_set is \d arrays, and sample_weight=True is for weights in"
        ):
            gammatune.fit(net(), arrays, (X, Y), epochs=1, sample_weight=True)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"batches of train_set, list of \(.*\), hold no weights"):
        gammatune.fit(net(), [[X, Y]], (X, Y), epochs=1, sample_weight=True)
    with pytest.raises(ModelMismatch, match=r"2 things .* are taken with sample_weight=True"):
        gammatune.fit(net(), [(X, Y, torch.ones(240))], (X, Y), epochs=1)
    with pytest.raises(InvalidArgument, match=r"takes \(output, target, weight=None\)"):
        fit(loss_fn=lambda output, target: nn.functional.cross_entropy(output, target), sample_weight=SETS)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = net()

    def forward(self, a: Tensor, b: Tensor) -> Any:
        return self.layer(torch.cat([a, b], dim=1))


class Named(Dataset[Any]):
    """Mappings."""

    def __len__(self) -> int:
        return 120

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {"a": X[place, :1], "b": X[place, 1:], "labels": MIXED[place]}


def test_weights_lie_behind_the_targets_of_several_inputs() -> None:
    """In whatever form they come, the training is the same to the bit; and they count."""
    a, b, y, w = X[:120, :1], X[:120, 1:], MIXED[:120], torch.tensor(W[:120], dtype=torch.float32)
    places = [slice(i, i + 20) for i in range(0, 120, 20)]
    forms: dict[str, Any] = {
        "one by one": [(a[at], b[at], y[at], w[at]) for at in places],
        "a pair of them": [((a[at], b[at]), y[at], w[at]) for at in places],
        "mappings": [{"a": a[at], "b": b[at], "labels": y[at], "sample_weight": w[at]} for at in places],
        "a set of tensors": DataLoader(TensorDataset(a, b, y, w), batch_size=20),
    }
    ends = [
        gammatune.fit(Two(), form, form, epochs=3, progress=False, sample_weight=True).metrics
        for form in forms.values()
    ]
    assert all(end == ends[0] for end in ends)
    unweighted = [batch[:3] for batch in forms["one by one"]]
    assert gammatune.fit(Two(), unweighted, unweighted, epochs=3, progress=False).metrics != ends[0]
    held = TensorDataset(a, b, y, w)  # a set, where all targets are looked at
    result = gammatune.fit(Two(), held, ((a, b), y), epochs=3, metric="auc", sample_weight=True)
    assert result.metrics["accuracy"] > 0.5


def test_sets_of_mappings_take_weights() -> None:
    sets = {"sample_weight": {"train_set": W[:120], "val_set": W[:120]}}
    arrays = (X[:120, :1], X[:120, 1:], MIXED[:120])
    options: dict[str, Any] = {"epochs": 3, "batch_size": 20, "progress": False, **sets}
    named = gammatune.fit(Two(), Named(), Named(), **options).metrics
    assert named == pytest.approx(gammatune.fit(Two(), arrays, arrays, **options).metrics)


def test_weights_in_a_mapping_are_not_passed_over() -> None:
    batch = {"x": X, "labels": Y, "sample_weight": torch.ones(240)}
    with pytest.raises(
        InvalidArgument, match=r"val_set: a batch holds 'sample_weight', .*; say sample_weight=True"
    ):
        gammatune.fit(net(), (X, Y), [batch], epochs=1)


def test_a_batch_of_three_is_said_to_end_with_its_weights() -> None:
    with pytest.raises(
        ModelMismatch, match=r"one thing .*With sample_weight=True the last of three parts or more"
    ):
        gammatune.fit(Two(), [(X[:, :1], X[:, 1:], Y.float())], (X, Y), epochs=1, sample_weight=True)


def test_batches_with_weights_and_without_are_not_mixed() -> None:
    half = [Three(), Three()]
    mixed = [batch for loader in half for batch in DataLoader(loader, batch_size=120)]
    mixed[1] = mixed[1][:2]
    for batches in (mixed, mixed[::-1]):
        with pytest.raises(
            InvalidArgument, match=r"a batch to evaluate holds .*weights, and those before it"
        ):
            gammatune.fit(net(), mixed[:1], batches, epochs=2, progress=False, sample_weight=True)


class Noise:
    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)


class Compose:
    def __init__(self, parts: list[Any]) -> None:
        self.transforms = parts


class Folder(Dataset[Any]):
    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 2


def test_generators_of_weighted_sets_are_found() -> None:
    """Forks take up where each of them stood."""
    noise = Noise()
    weighted = Weighted(Folder(Compose([noise])), torch.ones(2))
    assert any(found is noise.generator for found in streams_of(DataLoader(Subset(weighted, [0, 1]))))
