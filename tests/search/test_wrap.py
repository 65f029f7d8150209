"""Samplers made of samplers, with stand-ins whose proposals are known."""

import numpy as np
import pytest

from gammatune.records import Observation, Values
from gammatune.samplers.bayes import dataset
from gammatune.samplers.combinators import Distinct, Fallback
from gammatune.space import Choice, Float, Int, Space

LINE = Space({"x": Float(0.0, 1.0)})


class Scripted:
    """Proposes a list and remembers what it was told; an exception in the list is raised."""

    def __init__(self, *xs: float | Exception | None) -> None:
        self.xs, self.told = list(xs), list[Observation]()

    def ask(self) -> Values | None:
        x = self.xs.pop(0) if len(self.xs) > 1 else self.xs[0]
        if isinstance(x, Exception):
            raise x
        return None if x is None else {"x": x}

    def tell(self, observation: Observation) -> None:
        self.told.append(observation)

    def recommend(self) -> Values | None:
        return self.ask()


def test_distinct_skips_repeats_and_then_looks_itself() -> None:
    sampler = Distinct(Scripted(0.1, 0.1 + 1e-15, 0.2, 0.2), LINE, np.random.default_rng(0))
    first, second, third = sampler.ask(), sampler.ask(), sampler.ask()
    assert [first, second] == [{"x": 0.1}, {"x": 0.2}]
    assert third is not None
    assert third["x"] not in (0.1, 0.2)


def test_distinct_finds_the_last_points_of_a_finite_space() -> None:
    space = Space({"x": Choice(tuple(range(30)))})
    sampler = Distinct(Scripted(7), space, np.random.default_rng(0))
    out = [sampler.ask() for _ in range(30)]
    assert sorted(values["x"] for values in out if values) == list(range(30))
    assert sampler.ask() is None


def test_distinct_in_a_finite_space_too_large_to_list() -> None:
    space = Space({"x": Int(1, 10**6)})
    sampler = Distinct(Scripted(7), space, np.random.default_rng(0))
    assert len({space.key(values) for values in (sampler.ask() for _ in range(20)) if values}) == 20


def test_distinct_ends_where_the_inner_sampler_ends() -> None:
    sampler = Distinct(Scripted(0.1, None), LINE, np.random.default_rng(0))
    assert sampler.ask() == {"x": 0.1}
    assert sampler.ask() is None


def test_fallback_takes_over_for_one_turn_and_says_so() -> None:
    sampler = Fallback(Scripted(np.linalg.LinAlgError("singular"), 0.2), Scripted(0.9))
    assert [sampler.ask(), sampler.ask()] == [{"x": 0.9}, {"x": 0.2}]
    assert [event.reason for event in sampler.events] == [
        "the surrogate could not be solved (singular); proposed by the fallback"
    ]
    sampler = Fallback(Scripted(np.linalg.LinAlgError("singular")), Scripted(0.9))
    assert sampler.recommend() == {"x": 0.9}
    assert "recommended" in sampler.events[0].reason


def test_fallback_lets_other_exceptions_pass() -> None:
    with pytest.raises(ValueError, match="a bug"):
        Fallback(Scripted(ValueError("a bug")), Scripted(0.9)).ask()


def test_failed_candidates_rank_one_deviation_below_the_worst() -> None:
    told = [Observation({"x": x}, y) for x, y in ((0.1, 1.0), (0.2, 3.0), (0.3, None), (0.4, 5.0))]
    data = dataset(LINE, told)
    assert data.y == pytest.approx([1.0, 3.0, 1.0 - np.std([1, 3, 5]), 5.0])
    assert data.X[:, 0] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    equal = dataset(LINE, [Observation({"x": 0.1}, 0.5), Observation({"x": 0.2}, None, noise=9.0)])
    assert equal.y == pytest.approx([0.5, -0.5])
    assert equal.noise == pytest.approx([1.0, 1.0])
