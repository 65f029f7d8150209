"""The shipped contract over every registered name, and what the registry itself promises."""

import subprocess
import sys

import needs
import numpy as np
import pytest

from gammatune.errors import InvalidArgument, MissingExtra
from gammatune.records import Observation
from gammatune.samplers import SAMPLERS, Sampler, make_sampler
from gammatune.space import Float, Int, Space
from gammatune.testing.samplers import SPACES, SamplerContract, proposals, score

LR = SPACES["lr"]


@pytest.mark.parametrize("sampler", SAMPLERS)
class TestRegistered(SamplerContract):
    @pytest.fixture(autouse=True)
    def _choose(self, sampler: str) -> None:
        self.name = sampler
        if sampler == "tpe":
            needs.package("optuna")

    def make(self, space: Space, rng: np.random.Generator) -> Sampler:
        return make_sampler(self.name, space, rng)


def test_unknown_names_and_options_are_answered_with_the_known_ones() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidArgument, match=r"'gama'.*gamma, gaussian.*tpe"):
        make_sampler("gama", LR, rng)
    with pytest.raises(InvalidArgument, match="no option 'xi'; it takes points"):
        make_sampler("grid", LR, rng, xi=1)
    with pytest.raises(InvalidArgument, match="acquisition is one of ei, pi, got 'ucb'"):
        make_sampler("gamma", LR, rng, acquisition="ucb")
    with pytest.raises(InvalidArgument, match="variance is one of mean, variance"):
        make_sampler("gamma-plugin-a", LR, rng, variance="median")
    with pytest.raises(InvalidArgument, match="1 or more"):
        make_sampler("gamma", LR, rng, initial=0)
    with pytest.raises(InvalidArgument, match="1 or more points"):
        make_sampler("grid", LR, rng, points=0)


def test_the_registry_imports_neither_scipy_nor_optuna() -> None:
    code = (
        "import sys, gammatune.samplers\n"
        "print([m for m in ('scipy', 'optuna', 'torch', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", ["gamma", "gaussian", "gaussian-quadrature", "gamma-plugin-a", "gamma-plugin-b"]
)
def test_the_model_based_samplers_need_neither_scipy_stats_nor_torch(name: str) -> None:
    code = (
        "import sys, numpy as np; from gammatune.samplers import make_sampler; from gammatune.space import parse\n"
        f"make_sampler({name!r}, parse('lr=0:1'), np.random.default_rng(0)).ask()\n"
        "print([m for m in ('scipy.stats', 'optuna', 'torch', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_without_optuna_tpe_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"gammatune\[optuna\]"):
        make_sampler("tpe", LR, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["gamma", "gaussian", "gamma-plugin-a"])
def test_given_initial_candidates_come_first_in_their_order(name: str) -> None:
    first = [{"lr": 1e-3}, {"lr": 1.0}, {"lr": 1e-5}]
    sampler = make_sampler(name, LR, np.random.default_rng(0), initial=first)
    assert proposals(sampler, LR, 3) == first


def test_grid_takes_the_number_of_points() -> None:
    space = Space({"x": Float(0.0, 1.0), "layers": Int(1, 3)})
    out = proposals(make_sampler("grid", space, np.random.default_rng(0), points=5), space, 100)
    assert sorted((v["x"], v["layers"]) for v in out) == [(i / 4, j) for i in range(5) for j in (1, 2, 3)]


@pytest.mark.parametrize("name", ["gamma", "gaussian", "gaussian-quadrature"])
def test_model_based_search_beats_random_on_a_parabola(name: str) -> None:
    def regret(kind: str) -> float:
        out = []
        for seed in range(4):
            sampler = make_sampler(kind, LR, np.random.default_rng(seed))
            proposals(sampler, LR, 9)
            best = sampler.recommend()
            assert best is not None
            out.append(-score(LR, best))
        return float(np.mean(out))

    assert regret(name) < 0.2 * regret("random")


@pytest.mark.parametrize("name", ["gamma", "gaussian", "gaussian-quadrature"])
def test_probability_of_improvement_stays_closer_to_what_is_known_than_expected_improvement(
    name: str,
) -> None:
    known = (0.1, 0.5, 0.9)

    def reach(acquisition: str) -> float:
        first = [LR.from_unit([u]) for u in known]
        sampler = make_sampler(name, LR, np.random.default_rng(0), acquisition=acquisition, initial=first)
        proposals(sampler, LR, 3)
        asked = sampler.ask()
        assert asked is not None
        return float(min(abs(LR.to_unit(asked)[0] - u) for u in known))

    assert reach("pi") < 0.5 * reach("ei")


def test_gamma_recommends_the_believed_best_not_the_luckiest() -> None:
    sampler = make_sampler("gamma", LR, np.random.default_rng(0))
    space = LR
    for u in np.linspace(0.0, 1.0, 21):  # a clear parabola with one lucky outlier far down its side
        lucky = abs(u - 0.1) < 1e-9
        values = space.from_unit([u])
        sampler.tell(
            Observation(values, 0.01 if lucky else -float((u - 0.7) ** 2), noise=100.0 if lucky else 1.0)
        )
    best = sampler.recommend()
    assert best is not None
    assert abs(space.to_unit(best)[0] - 0.7) < 0.06


def test_pending_candidates_move_the_next_proposal() -> None:
    def told() -> Sampler:
        sampler = make_sampler("gamma", LR, np.random.default_rng(5))
        proposals(sampler, LR, 4)
        return sampler

    sampler = told()
    first, second = sampler.ask(), sampler.ask()
    assert first is not None
    assert second is not None
    assert first == told().ask()
    # without the belief about `first` the second would be its neighbour on the candidate grid
    assert abs(LR.to_unit(first)[0] - LR.to_unit(second)[0]) > 0.01
