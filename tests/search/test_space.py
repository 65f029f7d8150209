"""The space: what it refuses, what it rounds, and that its maps are inverses."""

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidSpace
from gammatune.space import Choice, Dimension, Float, Int, Space, parse


@st.composite
def floats(draw: st.DrawFn) -> Float:
    if draw(st.booleans()):
        exponent = draw(st.floats(-300, 300))
        return Float(10.0**exponent, 10.0 ** min(exponent + draw(st.floats(0.01, 600)), 308.0), log=True)
    low = draw(st.floats(-1e6, 1e6))
    return Float(low, low + draw(st.floats(2.0, 1e6)))


@st.composite
def ints(draw: st.DrawFn) -> Int:
    low = draw(st.integers(1, 10**6))
    high = low + draw(st.integers(1, 10**6))
    return Int(low, high, log=True) if draw(st.booleans()) else Int(low - 10**6, high)


choices = st.one_of(
    st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True),
    st.lists(st.one_of(st.text(max_size=3), st.integers(0, 9)), min_size=1, max_size=5, unique=True),
).map(lambda options: Choice(tuple(options)))

spaces = st.lists(st.one_of(floats(), ints(), choices), min_size=1, max_size=4).map(
    lambda dims: Space({f"d{i}": dim for i, dim in enumerate(dims)})
)


@settings(deadline=None, max_examples=200)
@given(spaces, st.integers(0, 2**32))
def test_values_survive_the_way_to_the_cube_and_back(space: Space, seed: int) -> None:
    values = space.sample(np.random.default_rng(seed))
    assert space.contains(values)
    u = space.to_unit(values)
    assert u.shape == (space.columns,)
    assert ((u >= 0) & (u <= 1)).all()
    again = space.from_unit(u)
    assert space.key(again) == space.key(values)
    for name, value in values.items():
        assert again[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-9))


@settings(deadline=None, max_examples=200)
@given(spaces, st.integers(0, 2**32))
def test_snap_is_what_the_round_trip_does(space: Space, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-0.2, 1.2, (6, space.columns))
    snapped = space.snap(points)
    for u, s in zip(points, snapped, strict=True):
        # 12 digits of a large number can be 1e-5 of a narrow range about it
        assert space.to_unit(space.from_unit(u)) == pytest.approx(s, abs=2e-5)
        assert space.key(space.from_unit(s)) == space.key(space.from_unit(u))


@given(floats(), st.floats(0, 1), st.floats(0, 1))
def test_the_map_of_a_float_grows(dimension: Float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert dimension.low <= dimension.from_unit([low]) <= dimension.from_unit([high]) <= dimension.high


@given(ints())
def test_every_integer_owns_an_equal_share(dimension: Int) -> None:
    assert dimension.from_unit([0.0]) == dimension.low
    assert dimension.from_unit([1.0]) == dimension.high
    mid = (dimension.low + dimension.high) // 2
    for value in (dimension.low, mid, dimension.high):
        assert dimension.from_unit(dimension.to_unit(value)) == value


def test_uniform_points_give_uniform_integers_and_options() -> None:
    space = Space({"n": Int(1, 4), "b": Choice((64, 16, 32)), "o": Choice(("x", "y"))})
    rng = np.random.default_rng(0)
    draws = [space.sample(rng) for _ in range(6000)]
    for name, share in (("n", 1 / 4), ("b", 1 / 3), ("o", 1 / 2)):
        counts = np.unique([str(values[name]) for values in draws], return_counts=True)[1] / 6000
        assert counts == pytest.approx(np.full(round(1 / share), share), abs=0.03)


def test_log_spreads_over_orders_of_magnitude() -> None:
    lr = Float(1e-6, 1.0, log=True)
    assert lr.from_unit([0.5]) == pytest.approx(1e-3)
    assert lr.to_unit(1e-2) == pytest.approx([2 / 3])
    assert Int(1, 1024, log=True).from_unit([0.5]) == pytest.approx(27, abs=5)
    assert lr.from_unit([0.0]) == 1e-6
    assert lr.from_unit([1.0]) == 1.0


def test_columns_and_blocks() -> None:
    space = Space(
        {"lr": Float(0, 1), "batch": Choice((64, 16)), "opt": Choice(("a", "b", "c")), "n": Int(1, 2)}
    )
    assert space.columns == 6
    assert [(block.start, block.stop) for _, block in space.blocks] == [(0, 1), (1, 2), (2, 5), (5, 6)]
    u = space.to_unit({"lr": 0.25, "batch": 64, "opt": "b", "n": 1})
    assert u.tolist() == [0.25, 0.75, 0.0, 1.0, 0.0, 0.25]
    assert space.from_unit(u) == {"lr": 0.25, "batch": 64, "opt": "b", "n": 1}
    assert space.names == ("lr", "batch", "opt", "n")
    assert space["n"] == Int(1, 2)


def test_size_and_grid() -> None:
    finite = Space({"n": Int(1, 3), "o": Choice(("a", "b"))})
    assert finite.size == 6
    assert len({finite.key(values) for values in finite.grid(6)}) == 6
    assert Space({"x": Float(0, 1), "n": Int(1, 3)}).size == math.inf
    line = Space({"x": Float(1e-4, 1.0, log=True)})
    assert [values["x"] for values in line.grid(5)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert [values["x"] for values in line.grid(1)] == pytest.approx([1e-2])
    assert [values["n"] for values in Space({"n": Int(0, 100)}).grid(3)] == [0, 50, 100]
    with pytest.raises(InvalidArgument, match="1 or more"):
        line.axes(0)


def test_keys_join_what_rounding_noise_parted() -> None:
    space = Space({"lr": Float(1e-6, 10.0, log=True)})
    assert space.key({"lr": 0.1 + 0.2}) == space.key({"lr": 0.3})
    assert space.key({"lr": 0.3}) != space.key({"lr": 0.3 * (1 + 1e-10)})
    assert space.key({"lr": 10.0 * (1 + 1e-13)}) == space.key({"lr": 10.0})
    assert space.key({"lr": np.float64(1)}) == space.key({"lr": 1})
    around = Space({"x": Float(-1.0, 1.0)})
    assert around.key({"x": 1e-13}) == around.key({"x": 0.0}) == around.key({"x": -0.0})


def test_contains() -> None:
    space = Space({"x": Float(0.0, 1.0), "n": Int(1, 3), "o": Choice(("a", 1))})
    assert space.contains({"x": 0, "n": np.int64(3), "o": 1})
    for wrong in (
        {"x": 1.1}, {"x": "0"}, {"x": True}, {"x": math.nan},
        {"n": 2.0}, {"n": 4}, {"n": True}, {"o": "b"}, {"o": True},
    ):  # fmt: skip
        assert not space.contains({"x": 0.5, "n": 1, "o": "a", **wrong}), wrong
    assert not space.contains({"x": 0.5, "n": 1})
    assert not space.contains({"x": 0.5, "n": 1, "o": "a", "more": 1})


def test_a_space_is_a_value() -> None:
    space = Space({"x": Float(0, 1), "o": Choice(["a", "b"])})  # type: ignore[arg-type]
    assert (
        space == pickle.loads(pickle.dumps(space)) == Space({"x": Float(0.0, 1.0), "o": Choice(("a", "b"))})
    )
    assert hash(space) == hash(Space({"x": Float(0, 1), "o": Choice(("a", "b"))}))
    with pytest.raises(AttributeError):
        space.items = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Float(1, 0), r"reversed bounds, low=1 > high=0; write Float\(0, 1\)"),
        (lambda: Float(1, 1), r"equal bounds, low=high=1; write Choice\(\(1,\)\)"),
        (lambda: Float(1.0, 1.0 + 1e-12), "too close"),
        (lambda: Float(math.nan, 1), "finite bounds, got nan"),
        (lambda: Float(0, math.inf), "finite bounds, got inf"),
        (lambda: Float(-1e308, 1.7e308), "overflows"),
        (lambda: Float(0, 1, log=True), "got low=0.0; write a positive low"),
        (lambda: Float(-1, 1, log=True), "got low=-1.0"),
        (lambda: Float("0", 1), r"takes numbers as bounds, got '0' \(str\)"),
        (lambda: Float(False, 1), r"got False \(bool\)"),
        (lambda: Float(0, 1, log="yes"), "log is True or False, got 'yes'"),
        (lambda: Int(1.0, 3), r"whole numbers as bounds, got 1.0 \(float\)"),
        (lambda: Int(True, 3), "got True"),
        (lambda: Int(3, 1), "reversed"),
        (lambda: Int(3, 3), "equal"),
        (lambda: Int(0, 3, log=True), "got low=0; write low=1 or more"),
        (lambda: Int(0, 2**60), r"beyond 2\^53"),
        (lambda: Choice(()), "at least one option"),
        (lambda: Choice((1, 2, 1)), r"the option 1 appears twice"),
        (lambda: Choice((1, 1.0)), "appears twice"),
        (lambda: Choice("sgd"), "takes a list of options, got 'sgd'"),
        (lambda: Choice(5), "takes a list"),
        (lambda: Choice((True, False)), r"got True \(bool\)"),
        (lambda: Choice((None,)), r"got None \(NoneType\)"),
        (lambda: Choice((1.0, math.nan)), "must be finite, got nan"),
        (lambda: Space({}), "needs a dimension"),
        (lambda: Space([("x", Float(0, 1))]), "takes a mapping"),
        (lambda: Space({"x": (0, 1)}), r"x is \(0, 1\); write Float"),
        (lambda: Space({"": Float(0, 1)}), "non-empty str"),
        (lambda: Space({1: Float(0, 1)}), "non-empty str, got 1"),
    ],
)
def test_what_a_space_refuses(make: Any, match: str) -> None:
    with pytest.raises(InvalidSpace, match=match) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("u", [[0.5], [0.5, math.nan], [[0.5, 0.5]]])
def test_points_that_do_not_fit_are_refused(u: Any) -> None:
    with pytest.raises(InvalidArgument, match="2 coordinates, none of them NaN"):
        Space({"x": Float(0, 1), "y": Float(0, 1)}).from_unit(u)


def test_values_that_do_not_fit_are_refused() -> None:
    space = Space({"x": Float(0, 1)})
    with pytest.raises(InvalidArgument, match=r"x=2 does not lie in Float\(low=0.0, high=1.0"):
        space.to_unit({"x": 2})
    with pytest.raises(InvalidArgument, match=r"has the names \('x',\), got \('y',\)"):
        space.key({"y": 0.5})


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("lr=1e-4:1:log", Float(1e-4, 1.0, log=True)),
        ("lr=0:0.5", Float(0.0, 0.5)),
        (" lr = 0 : 0.5 ", Float(0.0, 0.5)),
        ("lr=-1:2", Float(-1.0, 2.0)),
        ("lr=1:8:int", Int(1, 8)),
        ("lr=8:512:int,log", Int(8, 512, log=True)),
        ("lr=8:512:log:int", Int(8, 512, log=True)),
        ("lr=16,32,64", Choice((16, 32, 64))),
        ("lr=0.1,1e-2", Choice((0.1, 0.01))),
        ("lr=sgd,adam", Choice(("sgd", "adam"))),
        ("lr=0.1", Choice((0.1,))),
    ],
)
def test_parse(text: str, dimension: Dimension) -> None:
    assert parse(text) == Space({"lr": dimension})
    assert parse(text, "other=1,2")["other"] == Choice((1, 2))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("lr", "cannot read 'lr'; write name=low:high"),
        ("=1:2", "cannot read"),
        ("lr=", "cannot read"),
        ("lr=1:2:lag", "'lag' in 'lr=1:2:lag' is unknown"),
        ("lr=a:b", "bounds in 'lr=a:b' are not numbers"),
        ("n=1.5:3:int", "are not whole numbers"),
        ("lr=1:0.1", "'lr=1:0.1': Float got reversed bounds"),
        ("lr=0:1:log", "logarithmic range"),
        ("b=16,,32", "empty"),
        ("b=16,16", "appears twice"),
    ],
)
def test_parse_refuses_in_one_line(text: str, match: str) -> None:
    with pytest.raises(InvalidSpace, match=match) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_parse_refuses_a_name_given_twice() -> None:
    with pytest.raises(InvalidSpace, match="lr is given twice"):
        parse("lr=0:1", "lr=0:2")


@given(
    st.sampled_from(
        [
            Float(1e-300, 1e300, log=True),
            Float(-0.1, 1 / 3),
            Int(1, 8),
            Int(8, 512, log=True),
            Choice((16, 32, 64)),
            Choice(("adam", "sgd")),
            Choice((0.5, "auto")),
        ]
    )
)
def test_a_space_is_read_back_from_its_lines(dimension: Dimension) -> None:
    space = Space({"lr": dimension, "other": Float(0.0, 1.0)})
    assert parse(*space.lines) == space
