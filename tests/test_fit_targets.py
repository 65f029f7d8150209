"""What `fit` learns, told by loss and targets together or set: what is measured then, and what is refused before."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor, nn
from torch.nn import functional

import gammatune
from gammatune.errors import GammatuneError, InvalidArgument, InvalidData, ModelMismatch
from gammatune.journal.history import replay
from gammatune.metrics.thesis import Classification, Regression
from gammatune.supervised.loss_kinds import kind_of

X = torch.randn(160, 6, generator=torch.Generator().manual_seed(3))
NOISE = torch.randn(160, generator=torch.Generator().manual_seed(4))
Y = (X[:, 0] - X[:, 1] + NOISE / 3 > 0).long()  # two classes
LABELS = torch.stack([X[:, 0] > 0, X[:, 1] > 1, X[:, 2] + NOISE > -1], dim=1).long()
SHARES = torch.stack([2 * X[:, 0], X[:, 1], NOISE], dim=1).softmax(dim=1)
CODES = SHARES.argmax(dim=1)
TRAIN, VAL, TEST = slice(0, 100), slice(100, 130), slice(130, 160)
LOGITS = nn.BCEWithLogitsLoss()


def linear(outputs: int) -> nn.Module:
    torch.manual_seed(5)
    return nn.Linear(6, outputs)


def fit(model: nn.Module, y: Tensor, x: Any = X, **options: Any) -> gammatune.FitResult:
    """On three parts of some examples. x: several, where the model takes so many inputs."""
    inputs = x if isinstance(x, tuple) else (x,)
    train, val, test = (tuple(part[rows] for part in (*inputs, y)) for rows in (TRAIN, VAL, TEST))
    return gammatune.fit(model, train, val, test_set=test, **({"epochs": 4, "progress": False} | options))


def said_of(model: nn.Module, rows: slice = TEST) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(X[rows])
    return found


# -- two classes from one output -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(160,), (160, 1)], ids=["n", "n x 1"])
@pytest.mark.parametrize("kind", [torch.float32, torch.int64, torch.bool])
def test_one_logit_and_targets_of_0_and_1_are_a_binary_classification(
    shape: tuple[int, ...], kind: torch.dtype
) -> None:
    model = linear(1)
    result = fit(model, Y.reshape(shape).to(kind), loss_fn=LOGITS, metric="auc")
    assert isinstance(result.report, Classification)
    scores, true = said_of(model)[:, 0].numpy(), Y[TEST].numpy()
    assert result.measures["auc"].value == pytest.approx(sk.roc_auc_score(true, scores))
    assert result.measures["f1"].value == pytest.approx(sk.f1_score(true, scores > 0))
    assert result.report.accuracy == pytest.approx(((scores > 0) == true).mean())
    assert result.measures["log-loss"].value == pytest.approx(
        functional.binary_cross_entropy_with_logits(torch.tensor(scores), torch.tensor(true).float()).item(),
        rel=1e-5,
    )
    assert result.metrics.keys() == {"loss", "accuracy", "auc"}
    assert (
        "This is a binary classification, told by the loss (BCEWithLogitsLoss) and the targets; task= sets it."
        in result.said
    )


def test_a_sigmoid_at_the_end_is_a_probability_and_no_logit() -> None:
    model = nn.Sequential(linear(1), nn.Sigmoid())
    result = fit(model, Y.float(), loss_fn=nn.BCELoss(), budget=4)
    scores = said_of(model)[:, 0].numpy()
    assert result.report is not None
    assert result.report.accuracy == pytest.approx(((scores > 0.5) == Y[TEST].numpy()).mean())  # type: ignore[union-attr]
    assert result.measures["brier"].value == pytest.approx(sk.brier_score_loss(Y[TEST], scores), rel=1e-5)
    assert result.ensemble is None


def test_several_nets_of_one_logit_average_probabilities() -> None:
    model = linear(1)
    result = fit(model, Y.float(), loss_fn=LOGITS, budget=8, epochs=2, total_epochs=None)
    assert result.ensemble is not None
    with torch.no_grad():
        each = [member(X[TEST]).sigmoid() for member in result.ensemble.members]
        together = result.ensemble(X[TEST]).sigmoid()
    assert torch.allclose(together, torch.stack(each).mean(dim=0), atol=1e-6)
    assert result.report is not None
    assert result.report.accuracy == pytest.approx(  # type: ignore[union-attr]
        ((together[:, 0] > 0.5).long() == Y[TEST]).float().mean().item()
    )


@pytest.mark.parametrize("weigh", [None, "balanced"])
def test_a_task_that_is_set_chooses_loss_and_measures(weigh: Any) -> None:
    result = fit(linear(1), Y, task="binary", class_weights=weigh)
    assert isinstance(result.report, Classification)
    assert "This is a binary classification, as task= says." in result.said
    assert any("binary cross entropy of logits" in line for line in result.said)
    assert any("The loss weighs class 0" in line for line in result.said) == (weigh is not None)


def test_a_loss_of_ones_own_is_of_the_task_that_is_set() -> None:
    def focal(output: Tensor, target: Tensor) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(output[:, 0], target, reduction="none")
        return ((1 - (-each).exp()) ** 2 * each).mean()

    plain, told = (
        fit(linear(1), Y.float(), loss_fn=focal),
        fit(linear(1), Y.float(), loss_fn=focal, task="binary"),
    )
    assert isinstance(plain.report, Regression)
    assert isinstance(told.report, Classification)


def test_targets_of_0_and_1_that_are_learnt_as_numbers_are_pointed_out() -> None:
    result = fit(linear(1), Y.float())
    assert isinstance(result.report, Regression)
    assert any("task='binary' learns them as two classes" in line for line in result.said)
    assert not any("task='binary'" in line for line in fit(linear(1), X[:, 0]).said)


# -- several labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"loss_fn": LOGITS}, {"task": "multilabel"}], ids=["loss", "task"])
def test_several_labels_an_example(options: dict[str, Any], tmp_path: Path) -> None:
    model = linear(3)
    result = fit(model, LABELS.float(), metric="f1", run_dir=str(tmp_path), **options)
    scores, true = said_of(model).numpy(), LABELS[TEST].numpy()
    expected = {
        "f1": sk.f1_score(true, scores > 0, average="macro"),
        "f1-micro": sk.f1_score(true, scores > 0, average="micro"),
        "auc": sk.roc_auc_score(true, scores),
        "accuracy": ((scores > 0) == true).mean(),
        "subset-accuracy": sk.accuracy_score(true, scores > 0),
    }
    for name, wanted in expected.items():
        assert result.measures[name].value == pytest.approx(wanted)
    assert isinstance(result.report, Classification)
    assert result.report.accuracy == pytest.approx(expected["accuracy"])
    assert sum(map(sum, result.report.confusion)) == true.size
    with np.load(tmp_path / "predictions.npz") as held:
        assert held["probabilities"].shape == held["targets"].shape == true.shape
    assert replay(tmp_path).begin["facts"]["task"] == "multilabel"
    assert any("f1 (the mean over the labels)" in line for line in result.said)
    result.write_report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Subset accuracy" in page
    assert "labels of examples that played no part" in page
    assert "does not hold what it should" not in page
    again = fit(linear(3), LABELS.float(), metric="f1", run_dir=str(tmp_path), **options)
    assert again.measures == result.measures


def test_labels_are_weighed_by_example_and_counted_one_by_one() -> None:
    weights = torch.arange(1.0, 161.0)
    sets = {
        name: weights[rows] for name, rows in (("train_set", TRAIN), ("val_set", VAL), ("test_set", TEST))
    }
    model = linear(3)
    result = fit(model, LABELS.float(), loss_fn=LOGITS, sample_weight=sets)
    right = ((said_of(model, VAL) > 0).long() == LABELS[VAL]).float().mean(dim=1)
    assert result.metrics["accuracy"] == pytest.approx(
        ((right * weights[VAL]).sum() / weights[VAL].sum()).item()
    )


# -- shares, and targets that do not count ---------------------------------------------------------------------


def test_distributions_over_the_classes() -> None:
    model = linear(3)
    result = fit(model, SHARES, loss_fn=nn.CrossEntropyLoss(), metric="log-loss")
    assert isinstance(result.report, Classification)
    scores = said_of(model)
    assert result.report.accuracy == pytest.approx((scores.argmax(1) == CODES[TEST]).float().mean().item())
    assert result.measures["log-loss"].value == pytest.approx(
        functional.cross_entropy(scores, SHARES[TEST]).item(), rel=1e-5
    )
    assert result.metrics["log-loss"] == pytest.approx(result.metrics["loss"], rel=1e-5)
    assert any("Targets are shares" in line for line in result.said)


def test_shares_may_be_trained_on_and_classes_selected_by() -> None:
    train, val = (X[TRAIN], SHARES[TRAIN]), (X[VAL], CODES[VAL])
    result = gammatune.fit(linear(3), train, val, loss_fn=nn.CrossEntropyLoss(), epochs=2)
    assert isinstance(result.report, Classification)


IGNORING = [
    nn.CrossEntropyLoss(),
    nn.CrossEntropyLoss(ignore_index=7),
    partial(functional.cross_entropy, ignore_index=7),
]


@pytest.mark.parametrize("loss", IGNORING, ids=["-100", "7", "function"])
@pytest.mark.parametrize("weighted", [False, True])
def test_targets_that_the_loss_passes_over_are_in_no_measure(loss: Any, weighted: bool) -> None:
    kind = kind_of(loss)
    assert kind is not None
    passed = torch.arange(160) % 3 == 0
    targets = torch.where(passed, torch.tensor(kind.ignored), CODES)
    weights = {"train_set": torch.rand(100), "val_set": torch.arange(1.0, 31.0)} if weighted else None
    model = linear(3)
    result = fit(model, targets, loss_fn=loss, metric="f1", sample_weight=weights)
    kept = ~passed
    scores, true = said_of(model)[kept[TEST]], CODES[TEST][kept[TEST]]
    assert result.report is not None
    assert result.report.accuracy == pytest.approx((scores.argmax(1) == true).float().mean().item())  # type: ignore[union-attr]
    scores, true = said_of(model, VAL)[kept[VAL]], CODES[VAL][kept[VAL]]
    w = torch.arange(1.0, 31.0)[kept[VAL]] if weighted else torch.ones(len(true))
    right, lost = scores.argmax(1) == true, functional.cross_entropy(scores, true, reduction="none")
    assert result.metrics["accuracy"] == pytest.approx(((right * w).sum() / w.sum()).item())
    assert result.metrics["loss"] == pytest.approx(((lost * w).sum() / w.sum()).item(), rel=1e-5)
    assert f"Targets of {kind.ignored} are passed over, in the measures too." in result.said


def test_a_batch_that_is_passed_over_as_a_whole_costs_nothing() -> None:
    batches = [(X[:20], CODES[:20]), (X[20:40], torch.full((20,), -100)), (X[40:60], CODES[40:60])]
    model = linear(3)
    result = gammatune.fit(model, batches, batches, loss_fn=nn.CrossEntropyLoss(), epochs=3)
    assert result.metrics["loss"] == pytest.approx(
        functional.cross_entropy(
            torch.cat([model(X[:20]), model(X[40:60])]), torch.cat([CODES[:20], CODES[40:60]])
        ).item(),
        rel=1e-5,
    )


@pytest.mark.parametrize("inner", [(5,), (4, 3)], ids=["tokens", "pixels"])
def test_a_class_each_token_or_pixel(inner: tuple[int, ...]) -> None:
    x = torch.randn(160, 2, *inner, generator=torch.Generator().manual_seed(1))
    targets = (x[:, 0] > x[:, 1]).long()
    targets[:, 0] = -100
    model = nn.Conv1d(2, 2, 1) if len(inner) == 1 else nn.Conv2d(2, 2, 1)
    result = fit(model, targets, x, loss_fn=nn.CrossEntropyLoss())
    kept = targets[TEST] != -100
    with torch.no_grad():
        right = (model(x[TEST]).argmax(dim=1) == targets[TEST])[kept]
    assert result.report is not None
    assert result.report.accuracy == pytest.approx(right.float().mean().item())  # type: ignore[union-attr]


def test_weights_of_classes_in_the_loss_are_said_and_change_no_measure() -> None:
    model = linear(3)
    result = fit(model, CODES, loss_fn=nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])))
    assert result.report is not None
    right = (said_of(model).argmax(1) == CODES[TEST]).float().mean().item()
    assert result.report.accuracy == pytest.approx(right)  # type: ignore[union-attr]
    assert "CrossEntropyLoss weighs classes; the measures count every target alike." in result.said


# -- numbers ---------------------------------------------------------------------------------------------------


class MeanAndVariance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = linear(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        said = self.layer(x)
        return said[:, :1], said[:, 1:].exp()


def test_a_mean_and_a_variance_whose_loss_falls_below_0(tmp_path: Path) -> None:
    model = MeanAndVariance()
    options: dict[str, Any] = {"loss_fn": nn.GaussianNLLLoss(), "epochs": 8, "run_dir": str(tmp_path)}
    result = fit(model, X[:, 0] / 20, optimizer="adam", **options)
    assert result.metrics["loss"] < 0
    assert isinstance(result.report, Regression)
    with torch.no_grad():
        mean, _ = model(X[TEST])
    assert result.report.r2 == pytest.approx(sk.r2_score(X[TEST, 0] / 20, mean), rel=1e-4)
    story = replay(tmp_path)
    assert (story.begin["objective"], story.notes) == ("loss", [])
    with pytest.raises(ModelMismatch, match=r"takes a mean and a variance, .* \(mean, variance\)"):
        fit(linear(2), X[:, 0], loss_fn=nn.GaussianNLLLoss())


def test_counts_are_measured_as_counts() -> None:
    counts = torch.poisson((X[:, 0] + 1).exp(), generator=torch.Generator().manual_seed(2))
    model = linear(1)
    result = fit(model, counts.long(), loss_fn=nn.PoissonNLLLoss(), epochs=8)
    assert isinstance(result.report, Regression)
    assert result.report.mse == pytest.approx(
        sk.mean_squared_error(counts[TEST], said_of(model).exp()), rel=1e-4
    )
    assert any("logarithms of counts" in line for line in result.said)
    rates = nn.Sequential(linear(1), nn.Softplus())
    result = fit(rates, counts, loss_fn=nn.PoissonNLLLoss(log_input=False))
    assert isinstance(result.report, Regression)
    assert result.report.mse == pytest.approx(sk.mean_squared_error(counts[TEST], said_of(rates)), rel=1e-4)


@pytest.mark.parametrize("loss", [nn.MSELoss(), functional.l1_loss, nn.SmoothL1Loss(), nn.HuberLoss()])
def test_a_column_and_a_row_are_held_one_to_one(loss: Any) -> None:
    """torch would hold each of (n, 1) against all of (n,), with a warning only."""
    result = fit(linear(1), (3 * X[:, 0]).round().long(), loss_fn=loss, epochs=10, optimizer="adam", lr=0.1)
    assert isinstance(result.report, Regression)
    assert result.report.r2 > 0.5
    assert any("is given them one to one, as floats" in line for line in result.said)


# -- several inputs --------------------------------------------------------------------------------------------


class Two(nn.Module):
    """gives: what forward makes of what it says and of the labels."""

    def __init__(self, gives: Callable[[Tensor, Tensor | None], Any] | None = None) -> None:
        super().__init__()
        self.layer, self.gives = linear(2), gives

    def forward(self, a: Tensor, b: Tensor, labels: Tensor | None = None) -> Any:
        said = self.layer(torch.cat([a, b], dim=1))
        return said if self.gives is None else self.gives(said, labels)


A, B = X[:, :2], X[:, 2:]


def whole(x: Tensor) -> Tensor:
    return x


def with_loss(said: Tensor, labels: Tensor | None) -> Any:
    return {"logits": said, "loss": None if labels is None else functional.cross_entropy(said, labels)}


def batches(rows: slice, size: int = 20) -> list[Any]:
    places = [slice(i, min(i + size, rows.stop)) for i in range(rows.start, rows.stop, size)]
    return [{"a": A[some], "b": B[some], "labels": Y[some]} for some in places]


FORMS: dict[str, Callable[[slice], Any]] = {
    "arrays": lambda rows: (A[rows], B[rows], Y[rows]),
    "a pair of arrays, and targets": lambda rows: ((A[rows].numpy(), B[rows].numpy()), Y[rows].numpy()),
    "batches": lambda rows: [tuple(batch.values()) for batch in batches(rows)],
    "batches of pairs": lambda rows: [([b["a"], b["b"]], b["labels"]) for b in batches(rows)],
    "mappings, and targets": lambda rows: [({"b": m["b"], "a": m["a"]}, m["labels"]) for m in batches(rows)],
    "mappings": batches,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"parallel": "vmap"}, {"budget": 6}], ids=["plain", "vmap", "nets"])
def test_a_model_of_two_inputs(form: str, options: dict[str, Any]) -> None:
    model = Two()
    result = gammatune.fit(model, FORMS[form](TRAIN), FORMS[form](VAL), epochs=4, metric="auc", **options)
    net = model if result.ensemble is None else result.ensemble
    with torch.no_grad():
        right = (net(A[VAL], B[VAL]).argmax(1) == Y[VAL]).float().mean().item()
    assert result.report is not None
    assert result.report.accuracy == pytest.approx(right)  # type: ignore[union-attr]
    assert "The model is called with the 2 inputs of a batch, one by one." in result.said


def test_two_inputs_in_two_forms() -> None:
    train, val = FORMS["batches of pairs"](TRAIN), FORMS["arrays"](VAL)
    assert isinstance(gammatune.fit(Two(), train, val, epochs=1).report, Classification)


def test_weights_of_two_inputs() -> None:
    result = fit(Two(), Y, (A, B), sample_weight=torch.rand(100))
    assert isinstance(result.report, Classification)


def test_one_input_by_another_name_than_the_models() -> None:
    pairs = [{"image": X[:80], "label": Y[:80]}, {"image": X[80:], "label": Y[80:]}]
    assert isinstance(gammatune.fit(linear(2), pairs, pairs, epochs=2).report, Classification)


def test_a_model_that_takes_a_tuple_is_given_a_tuple() -> None:
    class Of(Two):
        def forward(self, both: Any, mask: Any = None) -> Any:  # type: ignore[override]
            return super().forward(*both)

    held = FORMS["batches of pairs"]
    assert isinstance(gammatune.fit(Of(), held(TRAIN), held(VAL), epochs=2).report, Classification)


@pytest.mark.parametrize("given", [None, nn.CrossEntropyLoss()], ids=["its own loss", "another"])
def test_a_model_that_gives_its_loss(given: Any) -> None:
    model = Two(with_loss)
    result = gammatune.fit(model, batches(TRAIN), batches(VAL), loss_fn=given, epochs=4, metric="auc")
    with torch.no_grad():
        said = model(A[VAL], B[VAL])["logits"]
    assert result.metrics["loss"] == pytest.approx(functional.cross_entropy(said, Y[VAL]).item(), rel=1e-5)
    assert isinstance(result.report, Classification)
    assert ("The loss is the one that the model gives." in result.said) == (given is None)


# -- refused before any training -------------------------------------------------------------------------------


class Untouched(nn.Module):
    """Fails the test if it is ever trained."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.inner = linear(outputs)

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        said: Tensor = self.inner(x)
        return said


REFUSED: dict[str, tuple[int, Tensor, dict[str, Any], type[GammatuneError], str]] = {
    "task and loss": (
        1, Y.float(), {"loss_fn": LOGITS, "task": "regression"}, InvalidArgument,
        r"task='regression', and loss_fn=BCEWithLogitsLoss is a loss of labels that are 0 or 1; leave task= out",
    ),
    "task and loss of classes": (
        2, Y, {"loss_fn": nn.CrossEntropyLoss(), "task": "multilabel"}, InvalidArgument, "loss of classes, of which",
    ),
    "no task": (2, Y, {"task": "clasification"}, InvalidArgument, "write one of classification, binary, multilabel"),
    "binary of several": (3, LABELS.float(), {"task": "binary"}, InvalidArgument, "write task='multilabel'"),
    "binary of three": (3, CODES, {"task": "binary"}, ModelMismatch, "has 3 outputs; give it one or two"),
    "labels of -1": (1, 2 * Y.float() - 1, {"loss_fn": LOGITS}, InvalidData, "is -1, and the loss is of labels"),
    "a label too many": (2, LABELS.float(), {"task": "multilabel"}, ModelMismatch, "give one output for each label"),
    "one output for classes": (1, Y, {}, ModelMismatch, "of two classes write task='binary'"),
    "a code that is none": (2, Y - 5, {"loss_fn": nn.CrossEntropyLoss()}, InvalidData, "those of its ignore_index"),
    "nothing counts": (
        2, torch.full((160,), -100), {"loss_fn": nn.CrossEntropyLoss()}, InvalidData, "every target is -100",
    ),
    "a loss of more": (
        2, Y, {"loss_fn": nn.CTCLoss()}, InvalidArgument, r"CTCLoss takes \(log_probs, targets, input_lengths",
    ),
    "weights of labels": (
        3, LABELS.float(), {"task": "multilabel", "class_weights": "balanced"}, InvalidArgument, "pos_weight",
    ),
    "a measure of classes": (
        3, LABELS.float(), {"task": "multilabel", "metric": "mcc"}, InvalidArgument, "subset-accuracy",
    ),
    "a measure without a value": (
        3, torch.ones(160, 3), {"task": "multilabel", "metric": "auc"}, InvalidData, "each label is the same",
    ),
    "labels in order": (3, LABELS.float(), {"task": "multilabel", "ordinal": True}, InvalidArgument, "ordinal=True"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_any_training(case: str) -> None:
    outputs, y, options, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        fit(Untouched(outputs), y, **options)


def test_batches_of_another_form_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"mapping of a, b, and none of these is the targets"):
        gammatune.fit(Two(), [{"a": A, "b": B}], [{"a": A, "b": B}], epochs=1)
    with pytest.raises(InvalidArgument, match="give a loader of such batches"):
        gammatune.fit(Two(), {"a": A, "labels": Y}, (A, Y), epochs=1)  # type: ignore[arg-type]
    with pytest.raises(ModelMismatch, match=r"3 things .*too many positional arguments"):
        gammatune.fit(linear(2), (A, B, X, Y), epochs=1)  # type: ignore[arg-type]
    with pytest.raises(
        ModelMismatch, match=r"dict of a, weight, as one thing: .*forward\(input: torch.Tensor\)"
    ):
        gammatune.fit(linear(2), [{"a": A, "weight": Y, "labels": Y}], (A, Y), epochs=1)
    with pytest.raises(ModelMismatch, match=r"list of \(float32 of shape \(160, 2\), .*, as one thing"):
        gammatune.fit(linear(2), [([A, B], Y)], (A, Y), epochs=1)
    with pytest.raises(
        InvalidArgument, match=r"targets of this one, tuple of \(.*, dict of y\), are dict of y"
    ):
        gammatune.fit(linear(2), [(X, {"y": Y})], (X, Y), epochs=1)
    with pytest.raises(ModelMismatch, match="val_set: the model gives a dict without a loss; give loss_fn="):
        gammatune.fit(Two(with_loss), batches(TRAIN), FORMS["batches"](VAL), epochs=1)
    either = Two(lambda said, labels: said if labels is None else with_loss(said, labels))
    with pytest.raises(InvalidData, match="its own loss for one of train_set and val_set alone"):
        gammatune.fit(either, batches(TRAIN), FORMS["batches"](VAL), epochs=1)
    with pytest.raises(InvalidArgument, match="more than a tensor"):
        gammatune.fit(Two(with_loss), batches(TRAIN), batches(VAL), epochs=1, ensemble=True)


LENGTHS = torch.full((160,), 3), torch.full((160,), 2)


class Spoken(nn.Module):
    """Three moments of five scores each, for targets of two letters."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = linear(15)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.layer(x).reshape(-1, 3, 5).log_softmax(2)
        return said


def test_a_loss_of_lengths_is_told_the_loop_that_calls_it() -> None:
    """As it is given, whatever the batches hold; its lengths packed behind the letters make it one of two."""
    letters = torch.stack([1 + Y, 2 + Y], dim=1)
    four = [(X, letters, *LENGTHS)]
    for loss in (nn.CTCLoss(), functional.ctc_loss):
        with pytest.raises(
            InvalidArgument, match=r"loss_fn\(log_probs, targets, input_lengths, target_lengths\).back"
        ):
            gammatune.fit(Spoken(), four, four, epochs=1, loss_fn=loss)

    def packed(output: Tensor, target: Tensor) -> Tensor:
        return functional.ctc_loss(output.transpose(0, 1), target[:, :2], target[:, 2], target[:, 3])

    model, held = Spoken(), [(X, torch.cat([letters, torch.stack(LENGTHS, dim=1)], dim=1))]
    before = packed(model(X), held[0][1]).item()
    result = gammatune.fit(model, held * 8, held, epochs=6, loss_fn=packed)
    assert result.metrics["loss"] == pytest.approx(packed(model(X), held[0][1]).item(), rel=1e-5)
    assert result.metrics["loss"] < 0.8 * before


@pytest.mark.parametrize("option", [{"batch_size": 8}, {"collate": list}])
def test_what_makes_batches_is_refused_beside_a_loader(option: dict[str, Any]) -> None:
    held = [(X, Y)]
    with pytest.raises(InvalidArgument, match="for sets and arrays, and train_set is a list"):
        gammatune.fit(Untouched(2), held, held, epochs=1, **option)


def test_another_task_is_another_run(tmp_path: Path) -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(output.reshape(target.shape), target)

    given: dict[str, Any] = {"loss_fn": loss, "objective": "loss", "run_dir": str(tmp_path)}
    fit(linear(1), Y.float(), **given)
    with pytest.raises(gammatune.errors.AnotherRun, match=r"task='regression'.* task='binary' is asked for"):
        fit(linear(1), Y.float(), task="binary", **given)
