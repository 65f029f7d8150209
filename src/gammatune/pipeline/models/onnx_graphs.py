"""Boosted trees and linear models as ONNX graphs, written by hand: x (n, F) float32 -> y (n, k) or (n, t) float32.

    trees    a TreeEnsembleRegressor, then the sigmoid or softmax of its sums
    linear   numbers times coefficients, and for each column of codes a row of a table; then likewise
    joined   the mean of several graphs of the same x

skl2onnx writes no splits by categories of HistGradientBoosting, and rounds thresholds so that a number in 32 bits may
fall on the other side. Here every row goes through each tree as it does in scikit-learn.

A split by categories is a chain of BRANCH_EQ whose true branches meet in one node, as in what is written for
LightGBM: the first version of the operator knows no sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.pipeline.models.linear import Linear
from gammatune.pipeline.models.trees import Bag, Trees

X, Y = "x", "y"
OPSET, ML_OPSET = 18, 3  # of the operators' sets, where no other graph is joined (2022: any runtime in use)
IR_VERSION = 8  # of 2022, as OPSET
FLOAT, INT64, DOUBLE = 1, 7, 11  # ONNX's numbers of types
SMALLEST = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Shape:
    """width: F. outputs: k or t. cardinalities: of the last columns of x, which are codes. opset: of ONNX itself."""

    width: int
    outputs: int
    cardinalities: Sequence[int] = ()
    opset: int = OPSET

    def cardinality(self, column: int) -> int:
        """0 of a number."""
        place = column - (self.width - len(self.cardinalities))
        return self.cardinalities[place] if place >= 0 else 0


@dataclass(slots=True)
class _Graph:
    """Nodes and constants, as they are written one after the other."""

    shape: Shape
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(
        self, operator: str, *given: Any, out: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """The name of the result. given: names of results, or arrays."""
        from onnx import helper

        names = [each if isinstance(each, str) else self._constant(each) for each in given]
        name = out or f"r{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [name], domain=domain, **attributes))
        return name

    def _constant(self, value: Any) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def model(self) -> Any:
        from onnx import TensorProto, helper

        sides = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
            for name, size in ((X, self.shape.width), (Y, self.shape.outputs))
        ]
        graph = helper.make_graph(self.nodes, "gammatune", sides[:1], sides[1:], self.constants)
        sets = [helper.make_opsetid("", self.shape.opset), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION)


def graph_of(model: Any, shape: Shape) -> Any:
    """An onnx.ModelProto of a `Linear`, `Trees` or `Bag`: probabilities, or standardised targets."""
    if isinstance(model, Bag):
        return joined([_of_trees(member, shape) for member in model.members], shape)
    return _of_linear(model, shape) if isinstance(model, Linear) else _of_trees(model, shape)


def joined(models: Sequence[Any], shape: Shape) -> Any:
    """The mean of what several graphs say of the same rows."""
    from onnx import compose, helper

    if len(models) == 1:
        return models[0]
    graph = _Graph(shape)
    functions, versions = [], {"": shape.opset, "ai.onnx.ml": ML_OPSET}
    for place, model in enumerate(models):
        part = compose.add_prefix(model, f"m{place}/")
        graph.add("Identity", X, out=part.graph.input[0].name)
        graph.nodes += part.graph.node
        graph.constants += part.graph.initializer
        functions += part.functions
        versions |= {each.domain: each.version for each in model.opset_import if each.domain not in versions}
    graph.add(
        "Mean", *(f"m{place}/{model.graph.output[0].name}" for place, model in enumerate(models)), out=Y
    )
    whole = graph.model()
    whole.functions.extend(functions)
    del whole.opset_import[:]
    whole.opset_import.extend(helper.make_opsetid(*each) for each in versions.items())
    whole.ir_version = max(IR_VERSION, *(model.ir_version for model in models))
    return whole


def in_unit(model: Any, mean: Sequence[float], std: Sequence[float], shape: Shape) -> Any:
    """Of a regression, with its standardised targets (n, t) as they were."""
    graph = _Graph(shape)
    for node in model.graph.node:
        graph.nodes.append(node)
        node.output[:] = ["standardised" if name == Y else name for name in node.output]
    graph.constants += model.graph.initializer
    scaled = graph.add("Mul", "standardised", np.asarray(std, dtype=np.float32), out="scaled")
    graph.add("Add", scaled, np.asarray(mean, dtype=np.float32), out=Y)
    return graph.model()


def _of_every_class(graph: _Graph, scores: str, count: int, met: NDArray[Any], type_: Any) -> None:
    """Probabilities of all classes from scores of those that were met: (n, 1) of two, else (n, count)."""
    if count == 1:
        said = graph.add(
            "Concat", graph.add("Sigmoid", graph.add("Neg", scores)), graph.add("Sigmoid", scores), axis=1
        )
    else:
        said = graph.add("Softmax", scores, axis=1)
    places = np.zeros((len(met), graph.shape.outputs), dtype=type_)
    places[np.arange(len(met)), np.asarray(met, dtype=np.int64)] = 1
    graph.add("Cast", graph.add("MatMul", said, places), out=Y, to=FLOAT)


def _of_linear(linear: Linear, shape: Shape) -> Any:
    """In double precision, as scikit-learn has it."""
    columns, model = linear.model[0], linear.model[-1]
    taken = {name: list(places) for name, _, places in columns.transformers_}
    numbers, codes = taken.get("numbers", []), taken.get("levels", [])
    coefficients = np.atleast_2d(model.coef_).T.astype(np.float64)  # (columns, scores)
    bias = np.atleast_1d(model.intercept_).astype(np.float64)
    graph = _Graph(shape)
    terms = []
    if numbers:
        known = columns.named_transformers_["numbers"]
        weights = coefficients[: len(numbers)] / known.scale_[:, None]
        bias = bias - known.mean_ @ weights
        x = graph.add("Cast", graph.add("Gather", X, np.array(numbers, dtype=np.int64), axis=1), to=DOUBLE)
        terms.append(graph.add("MatMul", x, weights))
    if codes:
        tables, start = _tables(
            columns.named_transformers_["levels"], codes, coefficients[len(numbers) :], shape
        )
        bias = bias + start
        for column, table in zip(codes, tables, strict=True):
            code = graph.add("Gather", X, np.array(column, dtype=np.int64), axis=1)  # (n,)
            terms.append(graph.add("Gather", table, graph.add("Cast", code, to=INT64), axis=0))
    scores = graph.add("Add", graph.add("Sum", *terms), bias)
    if linear.classes:
        _of_every_class(graph, scores, len(bias), model.classes_, np.float64)
    else:
        graph.add("Cast", scores, out=Y, to=FLOAT)
    return graph.model()


def _tables(
    levels: Any, codes: Sequence[int], coefficients: NDArray[Any], shape: Shape
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """For each column what every code adds to the scores, (codes, scores), beyond its first level; and what the first
    levels of all come to. Asked of the encoder, which knows which levels are rare and which unknown."""
    first = np.array([[categories[0] for categories in levels.categories_]], dtype=np.float64)
    start = np.asarray(levels.transform(first) @ coefficients)
    tables = []
    for place, column in enumerate(codes):
        rows = np.repeat(first, shape.cardinality(column), axis=0)
        rows[:, place] = np.arange(len(rows))
        tables.append(np.asarray(levels.transform(rows) @ coefficients) - start)
    return tables, start[0]


def _of_trees(trees: Trees, shape: Shape) -> Any:
    graph = _Graph(shape)
    written, base = _Nodes(), list[float]()
    for booster in trees.boosters:  # one of a classification
        places, levels = _columns(booster, shape)
        for rounds in booster._predictors:
            for place, predictor in enumerate(rounds):
                written.tree(predictor, places, levels, len(base) + place)
        base += np.ravel(booster._baseline_prediction).tolist()
    scores = graph.add(
        "TreeEnsembleRegressor",
        X,
        domain="ai.onnx.ml",
        out=None if trees.classes else Y,
        n_targets=len(base),
        base_values=base,
        **written.attributes,
    )
    if trees.classes:
        (booster,) = trees.boosters
        _of_every_class(graph, scores, len(base), booster.classes_, np.float32)
    return graph.model()


def _columns(booster: Any, shape: Shape) -> tuple[list[int], Mapping[int, tuple[NDArray[Any], int]]]:
    """Where in x each column of the trees lies, and by that place the levels of those that are categories, in the
    order of the booster's own codes, with how many codes x may hold there. Its encoder puts categories first."""
    if booster._preprocessor is None:
        return list(range(shape.width)), {}
    told_apart = np.asarray(booster._preprocessor.transformers_[0][2], dtype=bool)
    places = [*np.flatnonzero(told_apart).tolist(), *np.flatnonzero(~told_apart).tolist()]
    categories = booster._preprocessor.named_transformers_["encoder"].categories_
    return places, {
        place: (levels, shape.cardinality(place)) for place, levels in zip(places, categories, strict=False)
    }


@dataclass(slots=True)
class _Nodes:
    """The attributes of a TreeEnsembleRegressor, node after node."""

    nodes: dict[str, list[Any]] = field(
        default_factory=lambda: {
            f"nodes_{name}": []
            for name in (
                *("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids"),
                "missing_value_tracks_true",
            )
        }
    )
    leaves: dict[str, list[Any]] = field(
        default_factory=lambda: {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    )
    trees: int = 0

    @property
    def attributes(self) -> dict[str, list[Any]]:
        return self.nodes | self.leaves

    def tree(self, predictor: Any, places: Sequence[int], levels: Mapping[int, Any], target: int) -> None:
        """predictor: scikit-learn's. places, levels: see `_columns`. target: of the ensemble, what leaves add to."""
        free = len(predictor.nodes)  # ids of nodes that only ONNX has follow on its own
        for at, node in enumerate(predictor.nodes):
            if node["is_leaf"]:
                self._node(at, 0, "LEAF", 0.0, 0, 0, missing=0)
                for name, value in zip(
                    self.leaves, (self.trees, at, target, float(node["value"])), strict=True
                ):
                    self.leaves[name].append(value)
                continue
            column, missing = places[node["feature_idx"]], int(node["missing_go_to_left"])
            left, right = int(node["left"]), int(node["right"])
            if not node["is_categorical"]:
                self._node(at, column, "BRANCH_LEQ", at_most(node["num_threshold"]), left, right, missing)
                continue
            codes, others = _sides(node, predictor, *levels[column])
            if len(codes) > len(others):
                codes, left, right, missing = others, right, left, 1 - missing
            chain = [at, *range(free, free + max(0, len(codes) - 1))]
            free += len(chain) - 1
            for id_, after, code in zip(chain, [*chain[1:], right], codes or [-1], strict=True):
                self._node(id_, column, "BRANCH_EQ", float(code), left, after, missing)
        self.trees += 1

    def _node(
        self, id_: int, column: int, mode: str, value: float, true: int, false: int, missing: int
    ) -> None:
        told = (self.trees, id_, column, mode, value, true, false, missing)
        for name, each in zip(self.nodes, told, strict=True):
            self.nodes[name].append(each)


def _sides(node: Any, predictor: Any, levels: NDArray[Any], codes: int) -> tuple[list[int], list[int]]:
    """The codes of x that go left, and those that go right. A level that was not met in training goes where what is
    missing goes."""
    bits = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
    goes_left = [bool(bits[code // 32] >> np.uint32(code % 32) & np.uint32(1)) for code in range(len(levels))]
    known = dict(zip(levels.astype(int).tolist(), goes_left, strict=True))
    sides: tuple[list[int], list[int]] = [], []
    for code in range(codes):
        sides[0 if known.get(code, bool(node["missing_go_to_left"])) else 1].append(code)
    return sides


def at_most(threshold: float) -> float:
    """The largest number of 32 bits that is not above it: what is at most the one is at most the other."""
    rounded = np.float32(threshold)
    return float(rounded if float(rounded) <= threshold else np.nextafter(rounded, SMALLEST))
