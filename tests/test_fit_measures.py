"""`fit` with a measure that is asked for, weighed classes, intervals on the report, and what it leaves on disk."""

import errno
import json
import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn import metrics as sk
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import gammatune
from gammatune import files
from gammatune.errors import InvalidArgument, InvalidData, JournalError, JournalWarning
from gammatune.journal.history import PREDICTIONS, replay
from gammatune.metrics.predictions import Answers
from gammatune.pipeline.artifacts import MEASURES, leave
from gammatune.report.terminal import show
from gammatune.supervised import heard
from gammatune.supervised.loaders import class_counts
from gammatune.supervised.losses import WeightedCrossEntropy

GENERATOR = torch.Generator().manual_seed(3)
X = torch.randn(300, 4, generator=GENERATOR)
RARE = (X[:, 0] + X[:, 1] > 1.9).long()  # some 9 %
HAZY = (X[:, 0] + X[:, 1] + torch.randn(300, generator=GENERATOR) > 2).long()  # and not sure of
THREE = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
T = X @ torch.tensor([1.0, -2.0, 0.5, 0.0]) * 10 + 100


def net(outputs: int = 2) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs))


def fit(model: nn.Module, y: torch.Tensor, **options: Any) -> gammatune.FitResult:
    given: dict[str, Any] = {"epochs": 3, "batch_size": 16, "test_set": (X[220:], y[220:])}
    return gammatune.fit(model, (X[:140], y[:140]), (X[140:220], y[140:220]), **(given | options))


def outputs(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(x)


# -- a measure that is asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auc", "f1", "balanced-accuracy", "mcc", "average-precision", "log-loss"])
def test_what_is_asked_for_is_scored_and_selects(name: str) -> None:
    model = net()
    result = fit(model, RARE, metric=name)
    said = outputs(model, X[140:220])
    p, y = said.softmax(1)[:, 1].numpy(), RARE[140:220].numpy()
    expected = {
        "auc": lambda: sk.roc_auc_score(y, p),
        "f1": lambda: sk.f1_score(y, said.argmax(1)),
        "balanced-accuracy": lambda: sk.balanced_accuracy_score(y, said.argmax(1)),
        "mcc": lambda: sk.matthews_corrcoef(y, said.argmax(1)),
        "average-precision": lambda: sk.average_precision_score(y, p),
        "log-loss": lambda: nn.functional.cross_entropy(said, RARE[140:220]).item(),
    }[name]()
    assert result.metrics[name] == pytest.approx(expected, rel=1e-5)
    held, loss, score = result.metrics[name], result.metrics["loss"], result.course[-1].score
    assert score is not None
    in_kappa = -math.log(held) if name == "log-loss" else held * abs(held) - 2 * math.log(loss)
    assert score == pytest.approx(in_kappa)
    assert all(name in outcome.metrics for outcome in result.rollouts)
    assert result.metric == name
    assert next(iter(result.measures)) == name
    assert any(f"Weights are selected by the {name}" in line for line in result.said)


def test_several_classes_and_a_metric_by_another_name() -> None:
    model = net(3)
    result = fit(model, THREE, metric="roc_auc")
    p = outputs(model, X[140:220]).double().softmax(1).numpy()
    assert result.metrics["auc"] == pytest.approx(sk.roc_auc_score(THREE[140:220], p, multi_class="ovr"))


def test_a_regression_is_told_in_the_unit_it_came_in() -> None:
    mean, std = T[:140].mean().item(), T[:140].std().item()
    scaled, model = ((T - mean) / std)[:, None], net(1)
    result = fit(model, scaled, metric="mae", target_scale=([mean], [std]))
    errors = (outputs(model, X)[:, 0] * std + mean - T).abs().numpy()
    assert result.metrics["mae"] == pytest.approx(errors[140:220].mean(), rel=1e-5)
    assert result.measures["mae"].value == pytest.approx(errors[220:].mean(), rel=1e-5)
    assert result.measures["rmse"].value == pytest.approx((errors[220:] ** 2).mean() ** 0.5, rel=1e-5)
    assert result.measures["mape"].value == pytest.approx((errors[220:] / T[220:].numpy()).mean(), rel=1e-4)
    assert result.course[-1].score == pytest.approx(-math.log(result.metrics["mae"]))
    assert result.metrics["mse"] < 2  # that of the loss, as the net sees its targets


def test_an_objective_that_is_given_selects_instead() -> None:
    result = fit(net(), RARE, metric="auc", objective="log-loss")
    assert result.course[-1].score == pytest.approx(-math.log(result.metrics["loss"]))
    assert "auc" in result.metrics


def test_an_objective_without_its_metric_is_explained() -> None:
    with pytest.raises(InvalidArgument, match="metric='auc' is asked for"):
        fit(net(), RARE, objective="kappa-auc")


@pytest.mark.parametrize(
    ("y", "options", "error", "words"),
    [
        (RARE, {"metric": "aucc"}, InvalidArgument, "did you mean 'auc'"),
        (RARE, {"metric": "mae"}, InvalidArgument, "measures a regression, and this is a classification"),
        (T[:, None], {"metric": "f1"}, InvalidArgument, "this is a regression"),
        (torch.zeros(300).long(), {"metric": "auc"}, InvalidData, "all 80 examples belong to class 0"),
        (T[:, None] * 0, {"metric": "mape"}, InvalidData, "some targets are 0"),
        (T[:, None], {"class_weights": "balanced"}, InvalidArgument, "not whole numbers"),
        (RARE, {"class_weights": "even"}, InvalidArgument, "write 'balanced'"),
        (RARE, {"class_weights": [1.0]}, InvalidArgument, "give 2 positive numbers"),
        (RARE, {"class_weights": [1.0, 0.0]}, InvalidArgument, "give 2 positive numbers"),
        (RARE, {"class_weights": [1, 2], "loss_fn": nn.CrossEntropyLoss()}, InvalidArgument, "your own loss"),
        (RARE, {"target_scale": (1.0, 2.0)}, InvalidArgument, "regression"),
        (T[:, None], {"target_scale": ([0.0], [0.0])}, InvalidArgument, "positive standard deviations"),
    ],
)
def test_mistakes_are_refused_before_any_training(
    y: torch.Tensor, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    model = net(1 if y.is_floating_point() else 2)
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(error, match=words):
        fit(model, y, **options)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_what_a_loader_hides_is_said_by_the_first_evaluation() -> None:
    nobody = DataLoader(TensorDataset(X[140:220], torch.zeros(80).long()), batch_size=20)
    with pytest.raises(InvalidData, match=r"all 80 examples belong to class 0.*to select by"):
        gammatune.fit(net(), (X[:140], RARE[:140]), nobody, epochs=2, metric="auc")


def test_a_loss_that_cannot_be_compared_has_no_metric() -> None:
    loss = nn.GaussianNLLLoss()
    with pytest.raises(InvalidArgument, match="leave metric= out"):
        fit(net(2), T[:, None], metric="mae", loss_fn=lambda o, t: loss(o[:, :1], t, o[:, 1:].exp()))


def test_more_probabilities_than_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(heard, "MOST", 100)
    result = fit(net(), RARE, run_dir=str(tmp_path))
    assert "auc" not in result.measures
    assert "f1" in result.measures
    assert any("too many to be kept" in line for line in result.said)
    assert not (tmp_path / PREDICTIONS).exists()


def test_a_model_that_gives_probabilities_is_believed() -> None:
    model = nn.Sequential(net(), nn.Softmax(1))
    result = fit(model, RARE, loss_fn=lambda p, y: nn.functional.nll_loss(p.clamp_min(1e-9).log(), y))
    p = outputs(model, X[220:]).numpy()
    assert result.measures["log-loss"].value == pytest.approx(sk.log_loss(RARE[220:], p), rel=1e-5)


# -- weighed classes -------------------------------------------------------------------------------------------


def test_the_weighed_loss_is_the_mean_of_the_weighed_losses() -> None:
    output, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 0, 1])
    weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    each = nn.functional.cross_entropy(output, target, reduction="none")
    expected = (each * weights[target]).mean()
    assert WeightedCrossEntropy(weights)(output, target).item() == pytest.approx(expected.item())
    pixels = WeightedCrossEntropy(weights)(torch.randn(2, 3, 4, 4), torch.zeros(2, 4, 4).long())
    assert pixels.ndim == 0


def test_balanced_weights_find_more_of_a_rare_class() -> None:
    options: dict[str, Any] = {"epochs": 10, "space": ["lr=0.01,0.02"]}
    plain = fit(net(), HAZY, **options)
    weighed = fit(net(), HAZY, class_weights="balanced", **options)
    assert weighed.measures["recall"].value > plain.measures["recall"].value + 0.2
    count = int(HAZY[:140].sum())
    words = f"class 0 {140 / 2 / (140 - count):.3g}, class 1 {140 / 2 / count:.3g}"
    assert any(words in line and "selection and report are unweighted" in line for line in weighed.said)


@pytest.mark.parametrize("metric", [None, "f1"])
def test_the_loss_that_selects_is_weighed_where_a_metric_is_asked_for(metric: str | None) -> None:
    model = net()
    result = fit(model, RARE, class_weights=[1.0, 9.0], metric=metric)
    said, y = outputs(model, X[140:220]), RARE[140:220]
    each = nn.functional.cross_entropy(said, y, reduction="none")
    expected = each.mean() if metric is None else (each * torch.tensor([1.0, 9.0])[y]).mean()
    assert result.metrics["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_classes_are_counted_where_that_costs_nothing() -> None:
    tensors = TensorDataset(X, THREE)
    expected = np.bincount(THREE, minlength=3).tolist()

    class Pictures(Dataset[Any]):
        targets = THREE.tolist()

        def __len__(self) -> int:
            return 300

        def __getitem__(self, index: int) -> Any:
            raise AssertionError("read")

    class Hidden(Pictures):
        targets: Any = None

    for data in (tensors, Pictures(), DataLoader(tensors, 7), Subset(tensors, range(300))):
        counts = class_counts(data, 3, weighted=False)
        assert counts is not None
        assert counts.tolist() == expected
    twice = class_counts(Subset(Subset(tensors, list(range(0, 300, 2))), [0, 5]), 3, weighted=False)
    assert twice is not None
    assert twice.tolist() == np.bincount(THREE[[0, 10]], minlength=3).tolist()
    assert class_counts(Hidden(), 3, weighted=False) is None
    assert class_counts([(X, THREE)], 3, weighted=False) is None
    hidden = [(X[:100], RARE[:100])]
    with pytest.raises(InvalidArgument, match="cannot be had at once; give 2 positive numbers"):
        gammatune.fit(net(), hidden, (X[140:], RARE[140:]), epochs=2, class_weights="balanced")


def test_unequal_classes_are_said_by_their_names() -> None:
    facts = {"preprocessing": {"classes": ["benign", "malign"]}}
    said = fit(net(), RARE, facts=facts).said
    assert any("of class benign" in line and "of class malign" in line for line in said)
    assert not any("unequal" in line for line in fit(net(3), THREE).said)


# -- patience --------------------------------------------------------------------------------------------------


def test_an_impatient_run_that_is_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 30, "patience": 2, "metric": "f1", "space": ["lr=0.1:1:log"]}
    straight, model = net(), net()
    whole = fit(straight, HAZY, **options)
    assert len(whole.course) < 30
    assert any("no better score for 2 epochs" in verdict.reason for verdict in whole.verdicts)
    assert len(whole.rollouts) > 7
    # among the looks, along the course, and before the last epoch, in which patience takes the rate to zero
    for count in (3, 3, len(whole.rollouts) - 7):

        def interrupt(event: Any, left: list[int] = [count]) -> None:  # noqa: B006
            left[0] -= event["event"] == "rollout" and not event.get("past")
            if not left[0]:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(model, HAZY, run_dir=str(tmp_path), listeners=[interrupt], **options)
        model = net()
    again = fit(model, HAZY, run_dir=str(tmp_path), **options)
    assert [o.score for o in again.rollouts] == [o.score for o in whole.rollouts]
    assert again.schedule == whole.schedule
    assert again.measures == whole.measures
    pairs = zip(model.parameters(), straight.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


# -- the report ------------------------------------------------------------------------------------------------


def test_the_report_has_measures_with_intervals_and_leaves_what_was_said(tmp_path: Path) -> None:
    model = net(3)
    heard: list[Any] = []

    def extra(answers: Answers, said_by: nn.Module) -> dict[str, Any]:
        heard.append(answers)
        return {"mine": 1}

    result = fit(model, THREE, run_dir=str(tmp_path), extra=extra, metric="f1")
    story = replay(tmp_path)
    assert story.report is not None
    assert story.report["metric"] == "f1"
    assert story.report["extra"]["mine"] == 1
    for name, measure in result.measures.items():
        assert story.report["measures"][name] == [measure.value, measure.low, measure.high]
        assert measure.low <= measure.value <= measure.high
    assert story.report["measures"]["accuracy"][0] == story.report["accuracy"]
    assert story.report["measures"]["balanced-accuracy"][0] == pytest.approx(story.report["sensitivity"])
    assert story.report["measures"]["mcc"][0] == pytest.approx(story.report["mcc"])
    with np.load(tmp_path / PREDICTIONS) as held:
        p, y = held["probabilities"], held["targets"]
    assert (p.shape, p.dtype, y.shape, y.dtype) == ((80, 3), np.float32, (80,), np.int64)
    assert np.allclose(p, outputs(model, X[220:]).softmax(1), atol=1e-6)
    assert (y == THREE[220:].numpy()).all()
    assert np.array_equal(heard[0].probabilities, p)
    console = Console(width=80, record=True)
    with console.capture() as shown:
        show(console, story, str(tmp_path), rollouts=False)
    assert "95 % interval" in shown.get()
    assert all(len(line) <= 80 for line in shown.get().splitlines())
    again = fit(net(3), THREE, run_dir=str(tmp_path), extra=extra, metric="f1")
    assert again.measures == result.measures
    with pytest.raises(JournalError, match="metric='f1'"):
        fit(net(3), THREE, run_dir=str(tmp_path), metric="auc", objective="kappa-f1")


def test_another_metric_or_weights_are_another_run(tmp_path: Path) -> None:
    fit(net(), RARE, run_dir=str(tmp_path), metric="f1")
    with pytest.raises(JournalError, match="objective='kappa-f1'"):
        fit(net(), RARE, run_dir=str(tmp_path), metric="auc")
    with pytest.raises(JournalError, match="class_weights=None"):
        fit(net(), RARE, run_dir=str(tmp_path), metric="f1", class_weights=[1, 2])


def test_predictions_of_a_regression(tmp_path: Path) -> None:
    model = net(1)
    y = (T[:, None] - 100) / 20
    fit(model, y, run_dir=str(tmp_path), target_scale=(100, 20))
    with np.load(tmp_path / PREDICTIONS) as held:
        said, targets = held["predictions"], held["targets"]
    assert (said.shape, said.dtype, targets.dtype) == ((80, 1), np.float64, np.float64)
    assert np.allclose(targets, y[220:])
    assert np.allclose(said, outputs(model, X[220:]), atol=1e-6)


def test_a_report_on_one_class_says_what_has_no_value() -> None:
    result = fit(net(), RARE, test_set=(X[:10], torch.zeros(10).long()))
    assert "auc" not in result.measures
    assert any("auc has no value: all 10 examples belong to class 0" in line for line in result.said)
    assert all(math.isfinite(m.low) and math.isfinite(m.high) for m in result.measures.values())


def test_a_full_disk_keeps_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_file = files.whole_file

    def full(path: Path, save: Any) -> None:
        def writing(file: BinaryIO) -> None:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        whole_file(path, writing if path.name == PREDICTIONS else save)

    monkeypatch.setattr(files, "whole_file", full)
    with pytest.warns(JournalWarning, match=r"predictions.*No space left"):
        result = fit(net(), RARE, run_dir=str(tmp_path))
    assert result.measures
    assert not list(tmp_path.glob("predictions*"))
    assert replay(tmp_path).report is not None


def test_what_a_run_leaves_beside_its_journal_is_left_out_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(net(), RARE, run_dir=str(tmp_path))

    def full(path: Path, save: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, "whole_file", full)
        with pytest.warns(JournalWarning, match=r"cannot write measures.*No space left"):
            leave(str(tmp_path))
    assert not (tmp_path / MEASURES).exists()
    leave(str(tmp_path))
    assert (tmp_path / MEASURES).exists()


def test_measures_in_the_journal_are_looked_at(tmp_path: Path) -> None:
    fit(net(), RARE, run_dir=str(tmp_path))
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines()
    good = json.loads(lines[-1])
    for wrong in (
        {"measures": {"auc": [0.5, 0.4]}},
        {"measures": {"auc": ["x", 0, 1]}},
        {"extra": 3},
        {"metric": 1},
    ):
        path.write_text("\n".join([*lines[:-1], json.dumps(good | wrong)]) + "\n")
        with pytest.raises(JournalError, match=f"{next(iter(wrong))} is"):
            replay(tmp_path)
    older = {name: held for name, held in good.items() if name not in ("measures", "metric", "extra")}
    path.write_text("\n".join([*lines[:-1], json.dumps(older)]) + "\n")
    assert replay(tmp_path).report is not None
