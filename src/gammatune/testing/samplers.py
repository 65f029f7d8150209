"""The contract of a sampler as a battery of tests: inherit `SamplerContract`, say how to make yours, run pytest.

class TestMine(SamplerContract):
    def make(self, space, rng):
        return MySampler(space, rng)
"""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest

from gammatune.errors import InvalidArgument
from gammatune.records import Observation, Values
from gammatune.samplers.sampler import Sampler
from gammatune.space import Choice, Float, Int, Space

SPACES = {
    "lr": Space({"lr": Float(1e-6, 10.0, log=True)}),
    "linear": Space({"x": Float(-1.0, 2.0)}),
    "plane": Space({"lr": Float(1e-4, 1.0, log=True), "momentum": Float(0.0, 0.99)}),
    "mixed": Space(
        {
            "lr": Float(1e-5, 1.0, log=True),
            "optimizer": Choice(("sgd", "adam", "rmsprop")),
            "batch_size": Choice((16, 32, 64)),
            "width": Int(8, 512, log=True),
        }
    ),
}
FINITE = Space({"layers": Int(1, 3), "optimizer": Choice(("sgd", "adam"))})
SINGLE = Space({"lr": Choice((0.1,))})

TARGET = 0.7  # where `score` has its top, in every column


def score(space: Space, values: Values) -> float:
    """A noise-free parabola in the unit cube, 0 at best."""
    return -float(np.mean((space.to_unit(values) - TARGET) ** 2))


def proposals(sampler: Sampler, space: Space, count: int, failing: int = 0) -> list[Values]:
    """Up to `count` rounds of ask and tell; every `failing`-th candidate fails (0: none)."""
    out: list[Values] = []
    for i in range(count):
        values = sampler.ask()
        if values is None:
            break
        out.append(values)
        failed = failing > 0 and i % failing == 0
        sampler.tell(Observation(values, None if failed else score(space, values)))
    return out


def keys(space: Space, candidates: list[Values]) -> list[Hashable]:
    return [space.key(values) for values in candidates]


class SamplerContract:
    """Ask, tell and recommend, over continuous, mixed, finite and one-point spaces."""

    rounds = 12  # of ask and tell where nothing else is said

    def make(self, space: Space, rng: np.random.Generator) -> Sampler:
        """A fresh sampler of the kind under test."""
        raise NotImplementedError

    def start(self, space: Space, seed: int = 0) -> Sampler:
        return self.make(space, np.random.default_rng(seed))

    @pytest.mark.parametrize("name", SPACES)
    def test_proposals_are_plain_legal_and_never_repeated(self, name: str) -> None:
        space = SPACES[name]
        out = proposals(self.start(space), space, self.rounds)
        assert len(out) >= 10
        assert all(space.contains(values) for values in out)
        assert all(type(value) in (float, int, str) for values in out for value in values.values())
        assert len(set(keys(space, out))) == len(out)

    def test_a_finite_space_is_exhausted_point_by_point(self) -> None:
        sampler = self.start(FINITE)
        out = proposals(sampler, FINITE, 10)
        assert len(set(keys(FINITE, out))) == len(out) == FINITE.size
        assert sampler.ask() is None
        assert sampler.ask() is None
        best = max(out, key=lambda values: score(FINITE, values))
        recommended = sampler.recommend()
        assert recommended is not None
        assert score(FINITE, recommended) == score(FINITE, best)

    def test_a_space_of_one_point(self) -> None:
        sampler = self.start(SINGLE)
        assert proposals(sampler, SINGLE, 3) == [{"lr": 0.1}]
        assert sampler.recommend() == {"lr": 0.1}

    @pytest.mark.parametrize("name", ["lr", "mixed"])
    def test_the_same_seed_gives_the_same_proposals(self, name: str) -> None:
        space = SPACES[name]
        one, two, other = (proposals(self.start(space, seed), space, self.rounds) for seed in (3, 3, 4))
        assert one == two
        assert one != other

    def test_what_was_told_unproposed_is_learned_and_never_proposed(self) -> None:
        sampler = self.start(FINITE)
        told = list(FINITE.grid(6))[1:5]
        for values in told:
            sampler.tell(Observation(values, score(FINITE, values)))
        assert sampler.recommend() in told
        out = proposals(sampler, FINITE, 10)
        assert sorted(map(str, keys(FINITE, out + told))) == sorted(
            map(str, keys(FINITE, list(FINITE.grid(6))))
        )

    def test_several_candidates_can_be_out_at_once(self) -> None:
        space = SPACES["lr"]
        sampler = self.start(space)
        for _ in range(3):
            out = [values for values in (sampler.ask() for _ in range(3)) if values is not None]
            assert len(set(keys(space, out))) == len(out) == 3
            for values in reversed(out):
                sampler.tell(Observation(values, score(space, values)))

    @pytest.mark.parametrize("name", ["lr", "mixed"])
    def test_failed_candidates_are_survived_and_not_recommended(self, name: str) -> None:
        space = SPACES[name]
        sampler = self.start(space)
        out = proposals(sampler, space, 9, failing=3)
        assert len(out) == 9
        recommended = sampler.recommend()
        assert recommended is not None
        assert space.key(recommended) not in keys(space, out[::3])

    def test_when_everything_fails_the_search_goes_on(self) -> None:
        space = SPACES["lr"]
        sampler = self.start(space)
        assert len(proposals(sampler, space, 8, failing=1)) == 8
        assert sampler.recommend() is None

    def test_nothing_is_recommended_before_a_score(self) -> None:
        sampler = self.start(SPACES["lr"])
        assert sampler.recommend() is None
        sampler.ask()
        assert sampler.recommend() is None

    @pytest.mark.parametrize("scores", [(0.5,) * 6, (1e300, -1e300, 0.0) * 2, (1e-300, 0.0, 2e-300) * 2])
    def test_scores_of_any_size(self, scores: tuple[float, ...]) -> None:
        space = SPACES["lr"]
        sampler = self.start(space)
        seen = []
        for value in scores:
            values = sampler.ask()
            assert values is not None
            seen.append(values)
            sampler.tell(Observation(values, value))
        assert space.key(sampler.ask() or {"lr": 1.0}) not in keys(space, seen)
        assert sampler.recommend() in seen

    @pytest.mark.parametrize(
        ("values", "value"),
        [({"lr": 11.0}, 0.0), ({"lr": "x"}, 0.0), ({"rate": 1.0}, 0.0), ({"lr": 1.0}, float("nan"))],
    )
    def test_what_cannot_be_learned_is_refused(self, values: dict[str, Any], value: float) -> None:
        with pytest.raises(InvalidArgument):
            self.start(SPACES["lr"]).tell(Observation(values, value))

    def test_a_recommendation_near_the_top_of_a_parabola(self) -> None:
        space = SPACES["lr"]
        regrets = []
        for seed in range(3):
            sampler = self.start(space, seed)
            proposals(sampler, space, 24)
            recommended = sampler.recommend()
            assert recommended is not None
            regrets.append(-score(space, recommended))
        assert np.mean(regrets) < 0.1**2
