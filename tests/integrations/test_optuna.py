"""GammaSampler: Optuna's own battery, and what a study promises its user."""

import importlib
import math
import runpy
import sys
import threading
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState, create_trial

from gammatune.errors import InvalidArgument, MissingExtra
from gammatune.integrations import optuna as ours
from gammatune.integrations.optuna import MOST, GammaSampler, parameter
from gammatune.integrations.optuna_scores import NOISE, fenced, known_errors, scored
from gammatune.records import Observation

EXAMPLE = Path(__file__).parents[2] / "examples" / "optuna_study.py"
LR = FloatDistribution(1e-6, 10.0, log=True)


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class TestBattery(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: GammaSampler(seed=0)


class TestBatteryWithoutStartup(RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: GammaSampler(seed=0, n_startup_trials=0)


def curve(trial):
    """Lowest, 0, at a rate of 1e-2."""
    return (math.log10(trial.suggest_float("lr", 1e-6, 10.0, log=True)) + 2) ** 2


def study_of(objective, n, *, seed=0, **options):
    study = optuna.create_study(sampler=GammaSampler(seed=seed), **options)
    study.optimize(objective, n_trials=n, catch=(RuntimeError,))
    return study


def params(study):
    return [trial.params for trial in study.trials]


# What it finds --------------------------------------------------------------------------------------------


def test_it_finds_the_rate_in_ten_trials():
    assert study_of(curve, 10).best_value < 0.05


def test_the_first_trial_lies_in_the_middle_half_of_every_range_and_differs_by_seed():
    first = []
    for seed in range(12):
        study = optuna.create_study(sampler=GammaSampler(seed=seed))
        trial = study.ask()
        lr, k = trial.suggest_float("lr", 1e-6, 10.0, log=True), trial.suggest_int("k", 0, 1000)
        trial.suggest_categorical("c", ["a", "b"])
        first.append((math.log10(lr), k))
    rates, ks = np.array(first).T
    assert -4.25 <= rates.min() < -3.5
    assert -1.5 < rates.max() <= -0.75
    assert 249 <= ks.min() < 400
    assert 600 < ks.max() <= 751


def test_maximising_the_negative_is_minimising():
    up = optuna.create_study(direction="maximize", sampler=GammaSampler(seed=3))
    up.optimize(lambda trial: -curve(trial), n_trials=8)
    assert params(up) == params(study_of(curve, 8, seed=3))


def test_a_seed_fixes_the_study_and_another_does_not():
    once = params(study_of(curve, 6))
    assert params(study_of(curve, 6)) == once
    assert params(study_of(curve, 6, seed=1))[0] != once[0]
    reseeded = GammaSampler(seed=0)
    reseeded.reseed_rng()
    other = optuna.create_study(sampler=reseeded)
    other.optimize(curve, n_trials=1)
    assert params(other) != once[:1]


def test_a_study_that_is_gone_on_with_is_the_study_in_one_go(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    for _ in range(2):
        study = optuna.create_study(
            study_name="s", storage=url, load_if_exists=True, sampler=GammaSampler(seed=5)
        )
        study.optimize(curve, n_trials=4)
    assert params(study) == params(study_of(curve, 8, seed=5))


def test_a_finite_space_is_seen_without_repeats_and_then_measured_again_where_it_pays():
    def objective(trial):
        return (
            trial.suggest_int("k", 0, 4) ** 2
            + {"a": 0.0, "b": 5.0}[trial.suggest_categorical("c", ["a", "b"])]
        )

    study = study_of(objective, 16)
    seen = [(t.params["k"], t.params["c"]) for t in study.trials]
    assert len(set(seen[:10])) == 10
    assert {point[1] for point in seen[10:]} == {"a"}


def test_a_plateau_with_worse_scores_beside_it_does_not_draw_all_trials():
    def objective(trial):
        x = math.log10(trial.suggest_float("lr", 1e-6, 10.0, log=True))
        return 0.48 if x < -1.5 else 0.52 if x > -0.2 else 0.05  # all wrong, good, worse than all wrong

    found = [study_of(objective, 20, seed=seed).best_value == 0.05 for seed in range(7)]
    assert sum(found) >= 5  # three without the margin of expected improvement


def test_a_branch_with_a_parameter_of_its_own_is_searched_too():
    def objective(trial):
        if trial.suggest_categorical("optimizer", ["adam", "sgd"]) == "adam":
            return 1 + (trial.suggest_float("adam_lr", 0.0, 1.0) - 0.5) ** 2
        return (trial.suggest_float("momentum", 0.0, 1.0) - 0.8) ** 2 + abs(
            trial.suggest_int("layers", 1, 8) - 3
        )

    study = study_of(objective, 30)
    assert study.best_params["optimizer"] == "sgd"
    assert study.best_value < 0.05
    asked = set().union(*params(study))
    assert asked == {"optimizer", "adam_lr", "momentum", "layers"}


def test_several_objectives_are_refused_in_words():
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=GammaSampler())
    with pytest.raises(InvalidArgument, match="one objective, the study has 2"):
        study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 0.0), n_trials=1)


@pytest.mark.parametrize(
    "bad", [{"seed": -1}, {"seed": 0.5}, {"n_startup_trials": -1}, {"n_startup_trials": True}]
)
def test_options_that_mean_nothing_are_refused(bad):
    with pytest.raises(InvalidArgument, match="give a whole number of 0 or more"):
        GammaSampler(**bad)


def test_startup_trials_fill_the_space_from_the_first():
    study = optuna.create_study(sampler=GammaSampler(seed=0, n_startup_trials=8))
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=8)
    x = np.sort([trial.params["x"] for trial in study.trials])
    assert np.diff([x[-1] - 1, *x]).max() < 0.3, "no gap on the circle as eight random points have"


def test_a_large_study_is_thinned_and_keeps_its_best():
    seen = [Observation({"x": i}, None if i % 7 == 0 else float(i % 100)) for i in range(4 * MOST)]
    kept = ours._kept(seen)
    assert len(kept) == MOST
    assert sum(each.score is not None and each.score >= 90 for each in kept) >= MOST // 3
    assert {each.values["x"] // 100 for each in kept} == set(range(4 * MOST // 100))
    assert ours._kept(seen[:MOST]) == seen[:MOST]


def test_a_large_study_is_searched_too():
    rng = np.random.default_rng(0)
    study = optuna.create_study(sampler=GammaSampler(seed=0))
    for _ in range(2 * MOST):
        x = float(rng.random())
        study.add_trial(
            create_trial(params={"x": x}, distributions={"x": FloatDistribution(0, 1)}, value=x**2)
        )
    assert 0 <= study.ask({"x": FloatDistribution(0, 1)}).params["x"] < 0.1


# Several workers ------------------------------------------------------------------------------------------


def test_what_is_running_is_not_proposed_again():
    study = study_of(curve, 5)
    out = [math.log10(study.ask({"lr": LR}).params["lr"]) for _ in range(5)]
    assert np.diff(np.sort(out)).min() > 1e-3


def test_a_proposal_is_known_before_its_parameters_are_asked_for():
    study = study_of(curve, 5)
    first, second = study.ask(), study.ask()
    assert first.relative_params["lr"] != second.relative_params["lr"]
    assert first.suggest_float("lr", 1e-6, 10.0, log=True) == first.relative_params["lr"]


def test_workers_at_the_same_moment_and_of_the_same_seed_differ(monkeypatch):
    """Neither sees what the other proposes: the claims are written only after both have."""
    study = study_of(curve, 5)
    trials = [study.ask() for _ in range(4)]
    monkeypatch.setattr(InMemoryStorage, "set_trial_system_attr", lambda *_: None)
    out = [trial.relative_params["lr"] for trial in trials]
    assert len(set(out)) == 4


def test_an_enqueued_trial_counts_as_what_it_is():
    """Not as what was proposed for it, even before it asks for its parameters."""
    study = study_of(curve, 5)
    _ = study.ask().relative_params
    sixth = study.ask({"lr": LR}).params["lr"]
    study = study_of(curve, 5)
    study.enqueue_trial({"lr": sixth})
    _ = study.ask().relative_params
    assert abs(math.log10(study.ask({"lr": LR}).params["lr"] / sixth)) > 1e-3


def storages(kind, directory):
    if kind == "sqlite":
        return RDBStorage(f"sqlite:///{directory}/study.db", engine_kwargs={"connect_args": {"timeout": 60}})
    return JournalStorage(JournalFileBackend(str(directory / "study.log")))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_workers_on_one_storage(kind, tmp_path):
    def work(seed):
        study = optuna.create_study(
            study_name="s",
            storage=storages(kind, tmp_path),
            load_if_exists=True,
            sampler=GammaSampler(seed=seed),
        )
        study.optimize(curve, n_trials=6)

    optuna.create_study(study_name="s", storage=storages(kind, tmp_path))
    workers = [threading.Thread(target=work, args=(0,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    study = optuna.load_study(study_name="s", storage=storages(kind, tmp_path))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    assert len({trial.params["lr"] for trial in study.trials}) == 12
    assert study.best_value < 0.5


def test_jobs():
    study = optuna.create_study(sampler=GammaSampler(seed=0))
    study.optimize(curve, n_trials=12, n_jobs=2)
    assert len({trial.params["lr"] for trial in study.trials}) == 12


# Constraints, failures, pruning ---------------------------------------------------------------------------


def trial_of(value, *, constraint=None, state=TrialState.COMPLETE, reported=()):
    return create_trial(
        state=state,
        value=value,
        constraints=None if constraint is None else {"c": constraint},
        intermediate_values=dict(enumerate(reported)),
    )


finite = st.floats(-1e6, 1e6)


@given(
    st.lists(finite, min_size=1, max_size=8),
    st.lists(st.tuples(finite, st.floats(1e-6, 1e6)), max_size=5),
    st.sampled_from([-1.0, 1.0]),
)
@settings(deadline=None)
def test_what_breaks_a_constraint_ranks_below_all_else_and_near(values, broken, sign):
    trials = [trial_of(v) for v in values] + [trial_of(v, constraint=c) for v, c in broken]
    scores = scored([*trials, trial_of(None, state=TrialState.FAIL)], sign)
    assert scores.pop() is None
    kept, below = scores[: len(values)], scores[len(values) :]
    assert max(kept) == max(sign * v for v in values)
    for score, (_, c) in zip(below, broken, strict=True):
        assert min(kept) - 2 * max(np.std(kept), 1.0) - 1e-9 <= score < min(kept)
        assert all(score <= other for other, (_, d) in zip(below, broken, strict=True) if d < c)


def test_where_nothing_is_feasible_the_least_violation_leads():
    assert scored([trial_of(1.0, constraint=4.0), trial_of(9.0, constraint=1.0)], -1.0) == [-1.0, -0.25]


def test_pruned_trials_count_between_the_worst_and_the_median():
    done = [trial_of(v) for v in (1.0, 2.0, 3.0)]
    for last, score in ((99.0, -3.0), (2.5, -2.5), (0.1, -2.0)):
        pruned = trial_of(None, state=TrialState.PRUNED, reported=(5.0, last))
        assert scored([*done, pruned], -1.0)[-1] == score
    assert scored([*done, trial_of(None, state=TrialState.PRUNED)], -1.0)[-1] is None


def test_a_catastrophe_is_held_at_the_fence():
    scores = np.array([-0.3, -0.31, -0.35, -0.5, -1e30])
    assert fenced(scores)[:4].tolist() == scores[:4].tolist()
    assert -2 < fenced(scores)[4] < -0.5
    assert scored([trial_of(v) for v in (0.3, math.inf, -math.inf)], -1.0) == [-0.3, None, -0.3]


def test_failures_are_avoided_and_never_repeated():
    def objective(trial):
        lr = trial.suggest_float("lr", 1e-6, 10.0, log=True)
        if lr > 1e-2:
            raise RuntimeError("out of memory")
        return -math.log10(lr)

    study = study_of(objective, 16)
    failed = [trial.params["lr"] for trial in study.trials if trial.state == TrialState.FAIL]
    assert len({values["lr"] for values in params(study)}) == 16
    assert 0 < len(failed) < 9
    assert study.best_params["lr"] > 2e-3


def test_a_failure_whose_parameters_have_a_score_by_now_is_forgotten():
    space = {"lr": LR}
    trials = [
        create_trial(state=TrialState.FAIL, params={"lr": 0.1}, distributions=space),
        create_trial(value=1.0, params={"lr": 0.1}, distributions=space),
        create_trial(state=TrialState.FAIL, params={"lr": 0.2}, distributions=space),
    ]
    told, _ = ours._told(trials, scored(trials, -1.0), [1.0] * len(trials), {"lr": parameter(LR)})
    assert [(seen.values["lr"], seen.score) for seen in told] == [(0.1, -1.0), (0.2, None)]


@pytest.mark.parametrize("by", ["trial", "function"])
def test_constraints_are_kept(by):
    def objective(trial):
        lr = trial.suggest_float("lr", 1e-6, 10.0, log=True)
        if by == "trial":
            trial.set_constraint("rate", math.log10(lr) + 4)
        return curve(trial)

    function = (lambda trial: [math.log10(trial.params["lr"]) + 4]) if by == "function" else None
    study = optuna.create_study(sampler=GammaSampler(seed=1, constraints_func=function))
    study.optimize(objective, n_trials=15)
    assert all(len(trial.constraints) == 1 for trial in study.trials)
    assert -4.5 < math.log10(study.best_params["lr"]) <= -4
    late = [trial for trial in study.trials[8:] if next(iter(trial.constraints.values())) <= 0]
    assert len(late) >= 3


def test_what_the_constraints_function_raises_goes_through():
    study = optuna.create_study(sampler=GammaSampler(constraints_func=lambda trial: [1 / 0]))
    with pytest.raises(ZeroDivisionError):
        study.optimize(curve, n_trials=1)
    study = optuna.create_study(sampler=GammaSampler(constraints_func=lambda trial: [math.nan]))
    with pytest.raises(InvalidArgument, match="constraint 0 of trial 0 is NaN"):
        study.optimize(curve, n_trials=1)


@pytest.mark.parametrize("pruner", [optuna.pruners.MedianPruner(1), optuna.pruners.HyperbandPruner(1, 9)])
def test_pruners(pruner):
    def objective(trial):
        value = curve(trial)
        for step in range(9):
            trial.report(value + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = study_of(objective, 20, pruner=pruner)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.best_value < 0.3


# Parameters -----------------------------------------------------------------------------------------------

distributions = st.one_of(
    st.builds(FloatDistribution, st.floats(-5, 0), st.floats(1, 5)),
    st.builds(FloatDistribution, st.floats(1e-8, 1e-3), st.floats(1, 5), st.just(True)),
    st.builds(
        # rounded: Optuna warns of a range that is no multiple of the step in its last digit
        lambda k, step: FloatDistribution(-1.5, round(-1.5 + k * step, 1), step=step),
        st.integers(1, 9),
        st.just(0.3),
    ),
    st.builds(IntDistribution, st.integers(-9, 0), st.integers(1, 9)),
    st.builds(IntDistribution, st.integers(1, 9), st.integers(10, 1000), st.just(True)),
    st.builds(
        lambda k, step: IntDistribution(-3, -3 + k * step, step=step), st.integers(1, 9), st.integers(1, 5)
    ),
    st.just(CategoricalDistribution([None, True, 1.5, "a", 3])),
    st.just(CategoricalDistribution([64, 16, 0.5, 32])),
    st.just(CategoricalDistribution([False, True])),
)


@given(distributions, st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_there_and_back(distribution, u):
    found = parameter(distribution)
    value = found.dimension.from_unit(u[: found.dimension.columns])
    outside = found.outward(value)
    assert distribution._contains(distribution.to_internal_repr(outside))
    assert found.dimension.key(found.inward(outside)) == found.dimension.key(value)


def test_numbers_are_taken_in_their_order_and_other_options_in_none():
    found = parameter(CategoricalDistribution([64, 16, 32]))
    assert [found.outward(found.dimension.from_unit([u])) for u in (0.1, 0.5, 0.9)] == [16, 32, 64]
    assert parameter(CategoricalDistribution([True, False])).dimension.columns == 2


def test_what_the_space_cannot_hold_is_drawn_at_random():
    def objective(trial):
        big = trial.suggest_int("seed", 0, 2**60)
        return curve(trial) + 0 * (big + trial.suggest_float("narrow", 1.0, 1.0 + 1e-9))

    study = study_of(objective, 6)
    assert all(trial.params.keys() == {"seed", "narrow", "lr"} for trial in study.trials)
    assert len({trial.params["seed"] for trial in study.trials}) == 6


def test_ranges_that_move_and_options_of_other_types():
    study = optuna.create_study(sampler=GammaSampler(seed=0))
    for high in (0.1, 1.0, 10.0, 0.5):
        study.optimize(lambda trial, high=high: trial.suggest_float("lr", 1e-3, high, log=True), n_trials=4)
        assert all(trial.params["lr"] <= high for trial in study.trials[-4:])


# Around it ------------------------------------------------------------------------------------------------


def test_what_dashboards_and_reports_read():
    def objective(trial):
        return curve(trial) + 0.01 * trial.suggest_int("layers", 1, 4)

    study = study_of(objective, 15)
    importances = optuna.importance.get_param_importances(study)
    assert next(iter(importances)) == "lr"
    from optuna.visualization._optimization_history import _get_optimization_history_info_list
    from optuna.visualization._parallel_coordinate import _get_parallel_coordinate_info
    from optuna.visualization._slice import _get_slice_plot_info
    from optuna.visualization._timeline import _get_timeline_info

    (history,) = _get_optimization_history_info_list(study, None, "value", False)
    assert len(history.trial_numbers) == 15
    assert len(_get_slice_plot_info(study, None, None, "value").subplots) == 2
    assert len(_get_parallel_coordinate_info(study).dims_params) == 2
    assert len(_get_timeline_info(study).bars) == 15


def test_enqueue_and_tell():
    study = optuna.create_study(sampler=GammaSampler(seed=0))
    study.enqueue_trial({"lr": 0.5})
    for _ in range(5):
        trial = study.ask({"lr": LR})
        study.tell(trial, abs(math.log10(trial.params["lr"])))
    assert study.trials[0].params == {"lr": 0.5}
    study.add_trial(create_trial(params={"lr": 1.0}, distributions={"lr": LR}, value=0.0))
    assert study.best_value == 0.0
    study.ask({"lr": LR})


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "gammatune.integrations.optuna")
    with pytest.raises(MissingExtra, match=r"gammatune\[optuna\]"):
        importlib.import_module("gammatune.integrations.optuna")


def test_a_surrogate_that_cannot_be_solved_falls_back_to_chance(monkeypatch):
    study = study_of(curve, 3)

    def broken(*_):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr(GammaSampler, "_surrogate", staticmethod(broken))
    assert 1e-6 <= study.ask({"lr": LR}).params["lr"] <= 10


def test_the_example(capsys):
    study = runpy.run_path(str(EXAMPLE))["study"]
    assert len(study.trials) == len(capsys.readouterr().out.splitlines()) - 1
    assert study.best_value < 0.6


# Known noise ----------------------------------------------------------------------------------------------


def noisy_trials(errors):
    """A trial a decade, of which the one at 1e-4 was lucky; with these standard errors, None: not said."""
    losses = (1.0, 1.0, 0.0, 0.95, 0.5, 0.3, 0.6, 1.0)
    return [
        create_trial(
            value=loss,
            params={"lr": 10.0**k},
            distributions={"lr": LR},
            user_attrs={} if error is None else {NOISE: error},
        )
        for k, (loss, error) in enumerate(zip(losses, errors, strict=False), start=-6)
    ]


def proposed(errors):
    study = optuna.create_study(sampler=GammaSampler(seed=0))
    study.add_trials(noisy_trials(errors))
    return math.log10(study.ask({"lr": LR}).params["lr"])


def test_the_errors_that_trials_say_are_relative_to_the_median_and_none_where_none_is_said():
    assert known_errors(noisy_trials([None] * 5)) == (None, [1.0] * 5)
    assert known_errors(noisy_trials([0.1, None, 0.2, 0.4, None])) == (0.2, [0.25, 1.0, 1.0, 4.0, 1.0])
    assert known_errors(noisy_trials([0, 0.0, None, 0, 0])) == (0.0, [1.0] * 5)
    typical, relative = known_errors(noisy_trials([0.0, 1e-200, 1e200, 1e200, None]))
    assert typical == 1e200
    assert relative == [1e-6, 1e-6, 1.0, 1.0, 1.0]


def test_a_lucky_trial_that_says_it_is_unsure_is_followed_less():
    assert abs(proposed([None] * 8) + 4) < 0.5  # beside the lucky one
    assert abs(proposed([0.01] * 8) + 4) < 0.5
    assert abs(proposed([0.01, 0.01, 1.0, *[0.01] * 5]) + 1) < 0.5  # beside the best of the others


@pytest.mark.parametrize("error", [-0.1, math.nan, math.inf, "0.1", True, [0.1]])
def test_an_error_that_means_nothing_is_refused_with_the_trial(error):
    study = optuna.create_study(sampler=GammaSampler(seed=0))
    study.add_trials(noisy_trials([0.1, 0.1, error, 0.1]))
    with pytest.raises(InvalidArgument, match=r"gammatune_noise of trial 2 is .*set the standard error"):
        study.ask({"lr": LR})


def test_noise_that_is_known_passes_through_a_storage_and_a_study_gone_on_with(tmp_path):
    def objective(trial):
        trial.set_user_attr(NOISE, 0.05)
        return curve(trial)

    url, found = f"sqlite:///{tmp_path}/noise.db", []
    for n in (5, 5, 10):
        study = optuna.create_study(
            study_name="s" if n == 5 else "t", storage=url, load_if_exists=True, sampler=GammaSampler(seed=2)
        )
        study.optimize(objective, n_trials=n)
        found.append(params(study))
    assert found[1] == found[2]
    assert study.best_value < 0.2
