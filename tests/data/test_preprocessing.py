"""Layouts, statistics and the record that is saved with the weights."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidData
from gammatune.pipeline.data.layout import to_torch_layout, torch_shape
from gammatune.pipeline.data.preprocessing import Preprocessing, learn

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 5, 6, 3), dtype=np.uint8)
NO_TARGETS = np.zeros(9, dtype=np.int64)


@pytest.mark.parametrize(
    ("example", "shape"),
    [
        ((64,), (64,)),
        ((8, 6), (1, 8, 6)),
        ((8, 6, 3), (3, 8, 6)),
        ((8, 6, 1), (1, 8, 6)),
        ((3, 8, 6), (3, 8, 6)),
        ((4, 8, 6), (4, 8, 6)),
        ((3, 8, 3), (3, 3, 8)),  # both ends could be channels: the last wins
    ],
)
def test_layouts(example: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = np.arange(2 * np.prod(example)).reshape(2, *example)
    assert torch_shape(example) == shape
    assert to_torch_layout(x).shape == (2, *shape)
    if len(example) == 3 and shape != example:
        assert to_torch_layout(x)[1, 0, 2, 1] == x[1, 2, 1, 0]  # channel 0, row 2, column 1


def test_image_statistics_against_plain_numpy() -> None:
    p = learn("classification", RGB, NO_TARGETS, (0, 1))
    unit = RGB / 255
    assert p.shape == (3, 5, 6)
    assert p.mean == pytest.approx(unit.mean((0, 1, 2)))
    assert p.std == pytest.approx(unit.std((0, 1, 2)))
    z = p.inputs(RGB)
    assert z.dtype == torch.float32
    assert z.is_contiguous()
    plain = ((unit - unit.mean((0, 1, 2))) / unit.std((0, 1, 2))).transpose(0, 3, 1, 2)
    assert np.allclose(z.numpy(), plain, atol=1e-5)


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_vector_statistics_do_not_depend_on_the_pieces(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(3, 7, (n, 2))
    p = learn("regression", x, x[:, :1] * 10, ())
    assert p.mean == pytest.approx(x.mean(0))
    assert p.std == pytest.approx(x.std(0) if n > 1 else np.ones(2))
    assert p.target_mean == pytest.approx(10 * x[:, :1].mean(0))


def test_what_does_not_vary_is_only_centred() -> None:
    x = np.column_stack([np.full(9, 7.0), np.arange(9.0), np.full(9, 0.1)])
    p = learn("regression", x, np.full((9, 1), 5.0), ())
    assert (p.std[0], p.std[2], p.target_std) == (1.0, 1.0, (1.0,))
    assert not p.inputs(x)[:, [0, 2]].abs().gt(1e-6).any()
    assert not p.targets(np.full(9, 5.0)).any()
    black = learn("classification", np.zeros((9, 4, 4), np.uint8), NO_TARGETS, (0, 1))
    assert not black.inputs(np.zeros((2, 4, 4), np.uint8)).any()


def test_targets_come_back_in_their_unit() -> None:
    y = RNG.normal([100, -3], [20, 0.1], (50, 2))
    p = learn("regression", np.ones((50, 1)), y, ())
    z = p.targets(y)
    assert z.dtype == torch.float32
    assert z.mean(0).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert np.allclose(p.original_targets(z.numpy()), y, rtol=1e-5)
    with pytest.raises(InvalidData, match="y holds 1 targets, trained on 2"):
        p.targets(y[:, 0])


def test_labels_there_and_back() -> None:
    p = learn("classification", np.ones((3, 1)), np.array([0, 1, 2]), ("ant", "bee", "cow"))
    codes = p.targets(np.array(["cow", "ant"]))
    assert codes.dtype == torch.int64
    assert p.labels(codes) == ["cow", "ant"]
    with pytest.raises(InvalidData, match=r"y holds the label 'dog', .* known labels: 'ant', 'bee', 'cow'"):
        p.targets(np.array(["dog"]))


@pytest.mark.parametrize(
    "p",
    [
        learn("classification", RGB, NO_TARGETS, ("a", "b")),
        learn("classification", RGB, NO_TARGETS, (-1, 1)),
        learn("regression", RNG.normal(size=(9, 4)), RNG.normal(size=(9, 2)), ()),
    ],
)
def test_survives_json_to_the_last_bit(p: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(p.to_dict()))) == p


def test_new_pixels_may_be_bytes_or_fractions_but_nothing_else() -> None:
    p = learn("classification", RGB, NO_TARGETS, (0, 1))
    assert torch.allclose(p.inputs(RGB), p.inputs(RGB / 255), atol=1e-6)
    for wrong in (RGB.astype(np.float32), RGB.astype(np.int64), RGB / 255 - 1):
        with pytest.raises(InvalidData, match="trained on uint8 pixels; give uint8"):
            p.inputs(wrong)


def test_bytes_are_taken_as_they_are_where_training_saw_other_numbers() -> None:
    """Digits go from 0 to 16 as floats; the same digits saved as bytes must not be divided by 255."""
    x = RNG.integers(0, 17, (9, 8, 8))
    p = learn("classification", x.astype(np.float32), NO_TARGETS, (0, 1))
    assert torch.equal(p.inputs(x.astype(np.uint8)), p.inputs(x.astype(np.float32)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (RGB[:, :4], r"shape \(4, 6, 3\), trained on \(3, 5, 6\)$"),
        (RGB[0], r"trained on \(3, 5, 6\)"),
        (np.moveaxis(RGB[0], -1, 0), r"for a single example write x\[None\]"),
        (RGB[:0], "x is empty"),
        (np.full((1, 5, 6, 3), np.nan), "NaN or infinite"),
        (np.zeros((1, 5, 6, 3), dtype=object), "Python objects"),
    ],
)
def test_new_examples_must_fit(x: Any, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        learn("classification", RGB, NO_TARGETS, (0, 1)).inputs(x)


def test_standardising_makes_no_second_copy() -> None:
    x = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    known = learn("classification", x[:50], np.arange(50) % 2, ("a", "b"))
    tracemalloc.start()
    inputs = known.inputs(x)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.5 * inputs.numel() * 4
    mean, std = (np.array(part, np.float32).reshape(3, 1, 1) for part in (known.mean, known.std))
    wanted = (np.moveaxis(x, 3, 1).astype(np.float32) / np.float32(255) - mean) / std
    assert torch.equal(inputs, torch.from_numpy(np.ascontiguousarray(wanted)))
