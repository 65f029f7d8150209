"""Ordered classes: their loss, their measures, and a `fit` that is told of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from torch import Tensor, nn

import gammatune
from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import value
from gammatune.metrics.predictions import Answers, decided
from gammatune.supervised.heard import said_by
from gammatune.supervised.losses import WeightedCrossEntropy, default_loss, ranked_probability_score

GENERATOR = torch.Generator().manual_seed(2)
X = torch.randn(300, 3, generator=GENERATOR)
LEVELS = torch.bucketize(
    X[:, 0] + 0.4 * torch.randn(300, generator=GENERATOR), torch.tensor([-1.0, 0.0, 1.0])
)


def naive(output: Tensor, target: Tensor) -> Tensor:
    """One example and one step after the other."""
    p = output.double().softmax(dim=1)
    each = []
    for row, y in zip(p, target.tolist(), strict=True):
        wrong = [row[j + 1 :].sum() if y <= j else row[: j + 1].sum() for j in range(len(row) - 1)]
        each.append((torch.stack(wrong) ** 2).sum())
    return torch.stack(each)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 7), st.integers(1, 6), st.integers(0, 10**6))
def test_the_loss_is_that_of_every_step(k: int, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    output = 3 * torch.randn((n, k), generator=generator)
    target = torch.randint(k, (n,), generator=generator)
    found = ranked_probability_score(output, target)
    torch.testing.assert_close(found.double(), naive(output, target), rtol=1e-4, atol=1e-5)


def test_it_is_least_at_the_true_distribution_and_finite_far_out() -> None:
    p = torch.tensor([0.1, 0.2, 0.4, 0.3])
    targets = torch.arange(4)

    def expected(q: Tensor) -> float:
        return float((p * ranked_probability_score(q.log().expand(4, 4), targets)).sum())

    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        q = torch.rand(4, generator=generator) + 1e-3
        assert expected(q / q.sum()) >= expected(p) - 1e-6
    far = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    loss = ranked_probability_score(far, torch.tensor([1])).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(far.grad).all()  # type: ignore[arg-type]


def test_a_miss_costs_by_its_steps() -> None:
    sure = torch.full((1, 5), -6.0)
    sure[0, 0] = 6.0
    losses = [ranked_probability_score(sure, torch.tensor([y])).item() for y in range(5)]
    assert losses == sorted(losses)
    assert losses[4] > 3 * losses[1]


def test_pixels_and_weights() -> None:
    output, target = (
        torch.randn(4, 3, 2, 2, generator=GENERATOR),
        torch.randint(3, (4, 2, 2), generator=GENERATOR),
    )
    each = ranked_probability_score(output, target)
    assert each.shape == (4, 2, 2)
    flat = ranked_probability_score(output.movedim(1, -1).reshape(-1, 3), target.flatten())
    torch.testing.assert_close(each.flatten(), flat)
    one = WeightedCrossEntropy(torch.ones(3), in_order=True)
    torch.testing.assert_close(one(output, target), default_loss(True, in_order=True)(output, target))
    two = WeightedCrossEntropy(torch.tensor([1.0, 2.0, 2.0]), in_order=True)
    weighted = two(output, target, torch.tensor([1.0, 0.0, 0.0, 0.0]))
    expected = (each[0] * torch.tensor([1.0, 2.0, 2.0])[target[0]]).mean() / 4
    torch.testing.assert_close(weighted, expected)


def test_measures_of_order() -> None:
    r = np.random.default_rng(0)
    true, said = r.integers(5, size=(2, 80))
    answers = Answers(true, said, 5, ordered=True)
    assert value("steps", answers) == pytest.approx(np.abs(true - said).mean())
    assert value("weighted-kappa", answers) == pytest.approx(
        cohen_kappa_score(true, said, weights="quadratic")
    )
    assert value("weighted-kappa", replace(answers, said=true)) == 1
    one = np.zeros(3, dtype=int)
    assert value("weighted-kappa", Answers(one, one, 5)) == 0  # nothing varies
    assert value("weighted-kappa", Answers(one, one + 2, 5)) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(1, 9), st.integers(0, 10**6))
def test_an_answer_in_order_is_the_median_and_off_by_the_fewest_steps(k: int, n: int, seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.5), n)
    said = decided(p, ordered=True)
    levels = np.arange(k)
    expected = (p[:, None, :] * np.abs(levels[:, None] - levels)).sum(axis=2)  # steps, of each answer
    rows = np.arange(n)
    assert (expected[rows, said] <= expected.min(axis=1) + 1e-4).all()
    assert (decided(p) == p.argmax(axis=1)).all()
    # the same of 32 bits, and on a device
    assert (decided(torch.as_tensor(p), ordered=True).numpy() == said).all()
    even = np.array([[0.5, 0.5], [0.25, 0.75]], dtype=np.float32)
    assert decided(even, ordered=True).tolist() == [0, 1]


def test_scores_probabilities_and_pixels_are_decided_alike() -> None:
    scores = torch.randn((3, 5, 2), generator=GENERATOR)
    said = said_by(scores, ordered=True)
    assert said.shape == (3, 2)
    assert torch.equal(said, said_by(scores.softmax(dim=1), ordered=True))
    assert torch.equal(said_by(scores, ordered=False), scores.argmax(dim=1))


def net(outputs: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, outputs)


def fit(**options: Any) -> gammatune.FitResult:
    sets = ((X[a:b], LEVELS[a:b]) for a, b in ((0, 180), (180, 240), (240, 300)))
    train, select, test = sets
    return gammatune.fit(net(), train, select, test_set=test, epochs=8, progress=False, **options)


def test_fit_is_told_that_classes_are_ordered() -> None:
    result = fit(ordinal=True, metric="steps")
    assert "The loss is the ranked probability score of classes in order, by the targets." in result.said
    assert result.measures["steps"].value < 0.5
    assert result.measures["weighted-kappa"].value > 0.6
    assert "steps" not in fit().measures
    balanced = fit(ordinal=True, class_weights="balanced")
    assert any("The loss weighs class 0" in line for line in balanced.said)
    assert balanced.measures["steps"].value < 1
    with pytest.raises(InvalidArgument, match="metric='steps' needs classes in order"):
        fit(metric="steps")


def test_several_at_a_time_too() -> None:
    result = fit(ordinal=True, parallel="vmap", at_once=3)
    assert result.measures["steps"].value < 0.5


def test_two_classes_and_numbers_are_not_ordered() -> None:
    with pytest.raises(InvalidArgument, match="ordinal=True orders classes, three at least"):
        gammatune.fit(net(2), (X, (X[:, 0] > 0).long()), epochs=1, ordinal=True)
    with pytest.raises(InvalidArgument, match="ordinal=True orders classes"):
        gammatune.fit(net(1), (X, X[:, 0]), epochs=1, ordinal=True)
