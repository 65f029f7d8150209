"""Measures where an example has several labels, or a share of each class: scikit-learn's, on every resample."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gammatune.errors import InvalidArgument
from gammatune.metrics.bootstrap import measured
from gammatune.metrics.catalogue import METRICS, recipe, relevant, undefined, value
from gammatune.metrics.predictions import Answers

TWINS: dict[str, Any] = {
    "accuracy": lambda a: 1 - sk.hamming_loss(a.targets, a.said),
    "subset-accuracy": lambda a: sk.accuracy_score(a.targets, a.said),
    "f1": lambda a: sk.f1_score(a.targets, a.said, average="macro"),
    "f1-micro": lambda a: sk.f1_score(a.targets, a.said, average="micro"),
    "precision": lambda a: sk.precision_score(a.targets, a.said, average="macro", zero_division=0),
    "recall": lambda a: sk.recall_score(a.targets, a.said, average="macro"),
    "auc": lambda a: sk.roc_auc_score(a.targets, a.probabilities, average="macro"),
    "average-precision": lambda a: sk.average_precision_score(a.targets, a.probabilities, average="macro"),
    "log-loss": lambda a: np.mean([sk.log_loss(t, p, labels=[0, 1]) for t, p in _columns(a)]),
    "brier": lambda a: np.mean([sk.brier_score_loss(t, p) for t, p in _columns(a)]),
}


def _columns(answers: Answers) -> list[Any]:
    assert answers.probabilities is not None
    return list(zip(answers.targets.T, answers.probabilities.T.astype(np.float64), strict=True))


def labelled(n: int, k: int, seed: int = 0) -> Answers:
    """Every label is there in some examples and not in others."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, size=(n, k)).round(1).astype(np.float32)
    targets = (rng.random((n, k)) < p).astype(np.int64)
    targets[0], targets[1] = 1, 0
    return Answers(targets, (p > 0.5).astype(np.int64), 2, p)


def test_these_are_all_measures_of_several_labels() -> None:
    assert relevant(labelled(40, 3)) == [name for name in METRICS if name in TWINS]


@pytest.mark.parametrize("name", TWINS)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(8, 40), k=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_several_labels_are_measured_as_scikit_learn_does(name: str, n: int, k: int, seed: int) -> None:
    if k == 1 and name == "f1-micro":
        k = 2  # of one label scikit-learn counts its absence too
    answers = labelled(n, k, seed)
    found = value(name, answers)
    if name in ("f1", "precision", "recall"):
        # a label that is nowhere is left out here, and 0 there
        there = (answers.targets.any(axis=0) | answers.said.any(axis=0)).all()
        assert there
    if k == 1 and name in ("f1", "precision", "recall"):
        function = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}[name]
        assert found == pytest.approx(function(answers.targets[:, 0], answers.said[:, 0], zero_division=0))
    else:
        assert found == pytest.approx(TWINS[name](answers), rel=1e-6)


@pytest.mark.parametrize("name", TWINS)
def test_a_resample_is_that_of_its_examples_written_out(name: str) -> None:
    answers = labelled(30, 3, 4)
    w = np.random.default_rng(1).multinomial(30, [1 / 30] * 30, size=5)
    for one, counts in zip(METRICS[name].resampled(answers, w), w, strict=True):
        assert one == pytest.approx(value(name, answers.some(np.repeat(np.arange(30), counts))))


@pytest.mark.parametrize("name", TWINS)
def test_whole_weights_are_repeated_examples(name: str) -> None:
    answers = labelled(25, 3, 7)
    w = np.random.default_rng(2).integers(0, 4, 25)
    weighted = Answers(answers.targets, answers.said, 2, answers.probabilities, weights=w.astype(float))
    assert value(name, weighted) == pytest.approx(value(name, answers.some(np.repeat(np.arange(25), w))))


def test_an_interval_is_that_of_examples_drawn_with_all_their_labels() -> None:
    """Ten copies of one label tell no more than one of them."""
    one = labelled(200, 1, 3)
    ten = Answers(*(np.repeat(part, 10, axis=1) for part in (one.targets, one.said)), 2)
    narrow, wide = (
        measured(["accuracy"], answers, np.random.default_rng(0))[0]["accuracy"] for answers in (one, ten)
    )
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, rel=0.1)


def test_what_has_no_value_is_said() -> None:
    targets = np.zeros((5, 2), dtype=np.int64)
    answers = Answers(targets, targets, 2, np.full((5, 2), 0.5, dtype=np.float32))
    assert "each label is the same" in str(undefined("auc", answers))
    assert "no example has any label" in str(undefined("average-precision", answers))
    assert value("accuracy", answers) == 1
    assert "does not measure a multi-label" in str(undefined("mcc", answers))
    one = Answers(targets[:, 0], targets[:, 0], 2)
    assert "does not measure a classification" in str(undefined("f1-micro", one))


def test_measures_go_by_the_task() -> None:
    assert recipe("exact match", "multilabel").name == "subset-accuracy"
    assert recipe("f1-macro", "multilabel").name == "f1"
    with pytest.raises(
        InvalidArgument, match="measures a multi-label classification, and this is a classification"
    ):
        recipe("f1-micro", "classification")
    with pytest.raises(InvalidArgument, match="measures a classification, and this is a multi-label"):
        recipe("mcc", "multilabel")


@pytest.mark.parametrize("k", [2, 4])
def test_shares_of_classes_enter_log_loss_and_brier_score(k: int) -> None:
    rng = np.random.default_rng(k)
    p, shares = (rng.dirichlet(np.ones(k), 20) for _ in range(2))
    answers = Answers(shares.argmax(1), p.argmax(1), k, p, shares=shares)
    assert value("log-loss", answers) == pytest.approx(-(shares * np.log(p)).sum(axis=1).mean())
    expected = ((p - shares) ** 2).sum(axis=1).mean() / (2 if k == 2 else 1)
    assert value("brier", answers) == pytest.approx(expected)
    some = answers.some(np.array([3, 3, 5]))
    assert value("log-loss", some) == pytest.approx(
        -(shares[[3, 3, 5]] * np.log(p[[3, 3, 5]])).sum(axis=1).mean()
    )
    sure = np.eye(k)[answers.targets]
    certain = Answers(answers.targets, answers.said, k, p, shares=sure)
    for name in ("log-loss", "brier"):
        assert value(name, certain) == pytest.approx(
            value(name, Answers(answers.targets, answers.said, k, p))
        )
