"""Trees and linear models as ONNX: every row is answered as scikit-learn answers it, unknown levels and all."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gammatune.pipeline.models import onnx_graphs
from gammatune.pipeline.models.linear import fit_linear
from gammatune.pipeline.models.onnx_graphs import Shape, at_most, graph_of, in_unit, joined
from gammatune.pipeline.models.rows import Known, Rows
from gammatune.pipeline.models.trees import Bag, grow

CODES = (9, 300, 6)  # of the last three columns


def table(n: int, seed: int, *, levels: tuple[int, ...] = CODES) -> NDArray[np.float32]:
    r = np.random.default_rng(seed)
    numbers = r.normal(size=(n, 3)).round(1)  # so that some lie on a threshold
    return np.column_stack([numbers, *(r.integers(0, k, n) for k in levels)]).astype(np.float32)


X = table(500, 0, levels=(7, 200, 4))
NEW = table(800, 1)  # with levels that were never met
Z = X[:, 0] + np.isin(X[:, 3], [1, 4, 6]) + (X[:, 4] % 7) / 3 - (X[:, 5] == 3)


def targets(classes: int) -> NDArray[Any]:
    if not classes:
        return np.column_stack([Z, Z**2])
    return np.digitize(Z, np.quantile(Z, np.linspace(0, 1, classes + 1)[1:-1]))


def answers(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    said = np.asarray(session.run(None, {"x": x})[0])
    assert said.dtype == np.float32
    return said


def rounds(classes: int, count: int) -> tuple[int, ...]:
    return (count,) if classes else (count, count // 2)


@pytest.mark.parametrize("codes", [(), (3, 4, 5)])
@pytest.mark.parametrize("classes", [0, 2, 4])
def test_every_kind_says_the_same(classes: int, codes: tuple[int, ...]) -> None:
    known, rows = Known(classes, codes, seed=1), Rows(X, targets(classes))
    shape = Shape(6, classes or 2, CODES if codes else ())
    trees = grow(rows, rounds(classes, 40), known)
    others = grow(rows.some(np.arange(300)), rounds(classes, 20), known)
    linear = fit_linear(rows, (0.1,), known)
    for model in (trees, Bag((trees, others)), linear):
        assert np.abs(answers(graph_of(model, shape), NEW) - model(NEW)).max() < 1e-5
    both = joined([graph_of(trees, shape), graph_of(linear, shape)], shape)
    assert np.abs(answers(both, NEW) - (trees(NEW) + linear(NEW)) / 2).max() < 1e-5
    if not classes:
        scaled = in_unit(graph_of(linear, shape), (5.0, 1.0), (10.0, 2.0), shape)
        assert np.allclose(answers(scaled, NEW), linear(NEW) * [10, 2] + [5, 1], rtol=1e-5, atol=1e-4)


def test_a_class_that_was_not_met_has_no_probability() -> None:
    y = targets(3) + (targets(3) == 2)  # 0, 1 and 3 of five
    known, shape = Known(5, (3, 4, 5)), Shape(6, 5, CODES)
    for model in (grow(Rows(X, y), (5,), known), fit_linear(Rows(X, y), (1.0,), known)):
        said = answers(graph_of(model, shape), NEW)
        assert said.shape == (800, 5)
        assert not said[:, [2, 4]].any()
        assert np.abs(said - model(NEW)).max() < 1e-5


def test_only_numbers_and_only_codes() -> None:
    y = targets(2)
    for x, codes, cardinalities in ((X[:, :3], (), ()), (X[:, 3:], (0, 1, 2), CODES)):
        known, shape = Known(2, codes), Shape(3, 2, cardinalities)
        new = NEW[:, :3] if not codes else NEW[:, 3:]
        for model in (grow(Rows(x, y), (10,), known), fit_linear(Rows(x, y), (1.0,), known)):
            assert np.abs(answers(graph_of(model, shape), new) - model(new)).max() < 1e-5


@given(st.floats(-1e30, 1e30), st.floats(-(2.0**99), 2.0**99, width=32))
def test_numbers_of_32_bits_stay_on_their_side(threshold: float, x: float) -> None:
    assert (x <= at_most(threshold)) == (x <= threshold)
    near = float(np.float32(threshold))
    assert (near <= at_most(threshold)) == (near <= threshold)
    assert at_most(float("inf")) == float("inf")


def test_what_is_written_asks_for_no_new_runtime() -> None:
    model = graph_of(grow(Rows(X, targets(2)), (3,), Known(2)), Shape(6, 2))
    assert {each.domain: each.version for each in model.opset_import} == {"": 18, "ai.onnx.ml": 3}
    assert model.ir_version == onnx_graphs.IR_VERSION
