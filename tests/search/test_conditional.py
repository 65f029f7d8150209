"""Parameters that are there only in some branches, and proposals for workers that do not know of each other."""

import numpy as np
import pytest

from gammatune.records import Observation
from gammatune.samplers.bayes import Bayes, expected_improvement
from gammatune.samplers.conditional import Conditional
from gammatune.space import Choice, Float, Int, Space
from gammatune.surrogate.gamma import GammaProcess

BRANCHES = Space(
    {"optimizer": Choice(("adam", "sgd")), "lr": Float(1e-5, 1.0, log=True), "momentum": Float(0.0, 1.0)}
)


def search(space, seed=0):
    return Conditional(space, np.random.default_rng(seed), GammaProcess, expected_improvement())


def told(space=BRANCHES):
    sampler = search(space)
    sampler.tell(Observation({"optimizer": "adam", "lr": 1e-3}, 1.0))
    sampler.tell(Observation({"optimizer": "sgd", "lr": 1e-2, "momentum": 0.9}, 2.0))
    return sampler


def test_what_a_candidate_does_not_use_is_not_seen():
    sampler = told()
    adam = [BRANCHES.to_unit({"optimizer": "adam", "lr": 0.1, "momentum": m}) for m in (0.1, 0.9)]
    sgd = [BRANCHES.to_unit({"optimizer": "sgd", "lr": 1e-3, "momentum": m}) for m in (0.1, 0.9)]
    seen = sampler.seen(np.array(adam + sgd))
    assert seen[0].tolist() == seen[1].tolist()
    assert seen[2:].tolist() == np.array(sgd).tolist()
    mean = sampler.believe().posterior(seen).mean
    assert mean[0] == mean[1]
    assert mean[2] != mean[3]


def test_branches_within_branches():
    space = Space(
        {
            "net": Choice(("cnn", "mlp")),
            "layers": Int(1, 3),
            "norm": Choice(("batch", "none", "layer")),
            "momentum": Float(0.0, 1.0),
        }
    )
    sampler = search(space)
    sampler.tell(Observation({"net": "mlp", "layers": 2}, 1.0))
    sampler.tell(Observation({"net": "cnn", "norm": "none"}, 1.0))
    sampler.tell(Observation({"net": "cnn", "norm": "batch", "momentum": 0.1}, 1.0))
    whole = {"net": "cnn", "layers": 1, "norm": "batch", "momentum": 0.8}
    kept = [space.from_unit(sampler.seen(space.to_unit(whole | change)[None])[0]) for change in (
        {}, {"norm": "none"}, {"net": "mlp"}, {"norm": "layer", "layers": 2}
    )]  # fmt: skip
    default = sampler.whole({})
    assert kept[0] == whole | {"layers": default["layers"]}
    assert kept[1] == whole | {"norm": "none", "layers": default["layers"], "momentum": default["momentum"]}
    assert kept[3]["net"] == "cnn", "an option never tried: still the branch it belongs to"
    assert (kept[3]["norm"], kept[3]["layers"]) == ("layer", default["layers"])
    assert kept[2] == {**default, "net": "mlp", "layers": 1}


def test_with_all_parameters_everywhere_it_is_the_plain_search():
    space = Space({"a": Float(0.0, 1.0), "b": Float(0.0, 1.0)})
    plain = Bayes(space, np.random.default_rng(0), GammaProcess, expected_improvement(), [])
    conditional = search(space)
    for a, b, score in ((0.1, 0.2, 1.0), (0.8, 0.3, 2.0), (0.5, 0.9, 0.5)):
        for sampler in (plain, conditional):
            sampler.tell(Observation({"a": a, "b": b}, score))
    assert plain.ask() == conditional.ask()


def test_what_is_pending_is_kept_away_from():
    sampler = told()
    first = sampler.ask()
    other = told()
    other.pend({name: first[name] for name in first})
    assert other.ask() != first


@pytest.mark.parametrize(
    "space", [Space({"x": Float(0.0, 1.0)}), Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})]
)
def test_draws_differ_and_follow_the_posterior(space):
    drawn = []
    for seed in range(20):
        sampler = search(space, seed)
        for x in (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0):
            sampler.tell(Observation(dict.fromkeys(space.names, x), -10 * (x - 0.3) ** 2))
        drawn.append(sampler.draw())
    assert len({values["x"] for values in drawn}) == 20
    assert abs(np.median([values["x"] for values in drawn]) - 0.3) < 0.15


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_draws_differ_where_all_want_the_end_of_the_range(end):
    drawn = []
    for seed in range(40):
        sampler = search(Space({"x": Float(0.0, 1.0)}), seed)
        for off in (0.02, 0.1, 0.3, 0.6, 0.9):  # from the end
            sampler.tell(Observation({"x": abs(end - off)}, -10 * off))
        drawn.append(sampler.draw()["x"])
    assert sum(abs(x - end) < 0.01 for x in drawn) > 10  # many go there
    assert len(set(drawn)) == 40


def test_an_exhausted_space_is_drawn_from_again():
    space = Space({"k": Choice(("a", "b", "c"))})
    sampler = search(space)
    for k, score in (("a", 0.0), ("b", 5.0), ("c", 0.1)):
        sampler.tell(Observation({"k": k}, score))
    assert sampler.ask() is None
    assert sampler.draw() == {"k": "b"}
    assert search(space).draw() is not None, "nothing told: as good as any"
