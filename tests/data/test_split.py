"""Three parts that never share an example, in the classes' proportions, with the training part's statistics."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data import Data, load, make_data
from gammatune.pipeline.data.split import Part, Split, split_data


def numbered(n: int, classes: int, *, test: int = 0) -> Data:
    """Example i is the vector (i,), so that it can be told wherever it ends up; test examples follow."""
    labels = np.arange(n + test) % classes
    x = np.arange(float(n + test))[:, None]
    if not test:
        return make_data("numbered", x, labels)
    return make_data("numbered", x[:n], labels[:n], x[n:], labels[n:])


def in_order(split: Split, part: Part) -> list[int]:
    p = split.preprocessing
    return [round(v) for v in (part.x[:, 0].double() * p.std[0] + p.mean[0]).tolist()]


def numbers(split: Split, part: Part) -> set[int]:
    return set(in_order(split, part))


@settings(max_examples=40)
@given(
    n=st.integers(4, 120),
    classes=st.integers(2, 4),
    test=st.sampled_from([0, 1, 30]),
    limit=st.none() | st.integers(2, 150),
    validation=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_no_example_is_in_two_parts(
    n: int, classes: int, test: int, limit: int | None, validation: float, seed: int
) -> None:
    data = numbered(n, classes, test=test)
    split = split_data(data, seed=seed, limit=limit, validation=validation)
    train, select, report = (numbers(split, part) for part in (split.train, split.select, split.report))
    assert len(train | select | report) == len(train) + len(select) + len(report)
    assert min(len(train), len(select), len(report)) >= 1
    assert [len(part.x) for part in (split.train, split.select, split.report)] == [
        len(train),
        len(select),
        len(report),
    ]
    if test:
        assert report == set(range(n, n + test))
    available = n if test else n - len(report)
    assert len(train) + len(select) == min(limit or available, available)
    for part in (split.train, split.select, split.report):
        assert [i % classes for i in in_order(split, part)] == part.y.tolist()


def test_the_seed_decides_and_nothing_else() -> None:
    data = numbered(100, 4)
    np.random.seed(1)  # noqa: NPY002
    first = split_data(data, seed=3)
    np.random.seed(2)  # noqa: NPY002
    again, other = split_data(data, seed=3), split_data(data, seed=4)
    for part in ("train", "select", "report"):
        assert torch.equal(getattr(first, part).x, getattr(again, part).x)
        assert numbers(first, getattr(first, part)) != numbers(other, getattr(other, part))


def test_the_report_part_does_not_depend_on_limit_or_validation() -> None:
    data = numbered(100, 4)
    reports = [
        numbers(s, s.report)
        for s in (
            split_data(data, seed=3),
            split_data(data, seed=3, limit=20),
            split_data(data, seed=3, validation=0.5),
        )
    ]
    assert reports[0] == reports[1] == reports[2]


def test_parts_keep_the_proportions_of_the_classes() -> None:
    split = split_data(numbered(1000, 4), seed=0, limit=400)
    assert torch.bincount(split.report.y).tolist() == [50] * 4
    assert torch.bincount(split.train.y).tolist() == [80] * 4
    assert torch.bincount(split.select.y).tolist() == [20] * 4


def test_the_thesis_set_up() -> None:
    """500 images, 20 % of them validation, a test part of its own."""
    split = split_data(numbered(3000, 10, test=500), seed=0, limit=500)
    assert (len(split.train.x), len(split.select.x), len(split.report.x)) == (400, 100, 500)
    assert split.said == (
        "Only 500 of 3000 training examples are used.",
        "400 examples train, 100 select the learning rate, 500 report the result.",
    )


def test_digits_hold_out_a_report_part_and_say_so() -> None:
    split = split_data(load("digits"), seed=0)
    assert (len(split.train.x), len(split.select.x), len(split.report.x)) == (1150, 288, 359)
    assert split.said[0] == "digits has no test part: 359 examples were held out to report on."
    assert (split.shape, split.outputs, split.task, split.name) == ((1, 8, 8), 10, "classification", "digits")
    assert split.train.x.dtype == torch.float32
    assert split.train.y.dtype == torch.int64


def test_statistics_come_from_the_training_part_alone() -> None:
    data = numbered(100, 2, test=10)
    split = split_data(data, seed=0)
    train = sorted(numbers(split, split.train))
    assert split.preprocessing.mean == pytest.approx([np.mean(train)])
    assert split.train.x.mean().item() == pytest.approx(0, abs=1e-6)
    assert split.train.x.std(correction=0).item() == pytest.approx(1, rel=1e-6)
    assert split.report.x.min() > 1  # examples 100 to 109 lie above what was seen


@pytest.mark.parametrize(
    ("labels", "kwargs", "sentence"),
    [
        ([0] * 20 + [1], {}, "a class has 1 member only"),
        (list(range(15)) * 4, {}, "12 examples cannot show each of 15 classes"),
        (list(range(10)) * 9, {"limit": 5}, "5 examples cannot show each of 10 classes"),
    ],
)
def test_says_where_proportions_cannot_be_kept(
    labels: list[int], kwargs: dict[str, Any], sentence: str
) -> None:
    x = np.arange(float(len(labels)))[:, None]
    split = split_data(make_data("mine", x, labels), seed=0, **kwargs)
    assert any(f"without regard to the classes: {sentence}." in said for said in split.said)


def test_a_limit_above_what_there_is_is_said() -> None:
    split = split_data(numbered(100, 2), seed=0, limit=1000)
    assert "There are only 80 training examples, fewer than the limit of 1000." in split.said


def test_regression_parts() -> None:
    x = np.arange(50.0)[:, None]
    split = split_data(make_data("line", x, 3 * x[:, 0] + 100), seed=0)
    assert (split.task, split.outputs, split.select.y.shape) == ("regression", 1, (8, 1))
    assert torch.allclose(split.report.x, split.report.y, atol=1e-5)  # a line, standardised, is the diagonal
    assert not any("classes" in said for said in split.said)


@pytest.mark.parametrize("limit", [1, 0, -5])
def test_refuses_a_limit_that_leaves_nothing(limit: int) -> None:
    with pytest.raises(InvalidArgument, match=f"limit must leave 2 examples or more, .* got {limit}"):
        split_data(numbered(10, 2), seed=0, limit=limit)


@pytest.mark.parametrize("validation", [0.0, 1.0, 20, -0.1, float("nan")])
def test_refuses_a_validation_that_is_no_share(validation: float) -> None:
    with pytest.raises(InvalidArgument, match="validation must be a share in"):
        split_data(numbered(10, 2), seed=0, validation=validation)


def test_too_few_to_split() -> None:
    with pytest.raises(InvalidData, match="1 example cannot be split"):
        split_data(make_data("two", [[0.0], [1.0]], [0, 1]), seed=0)
