"""Methods of the field on shortened tasks: they run, cost what they promise, and do what their papers say."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import pytest
import torch

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "equal_cost"
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from course import Course  # noqa: E402
from methods import adalrs, asha, autolrs, greedy, nadamw, plain, population  # noqa: E402
from tasks import TASKS, Task  # noqa: E402
from training import SHAPES, train  # noqa: E402

SHORT = replace(TASKS["breast-cancer"], epochs=2)  # 16 steps
CEILINGS = {
    "asha-cosine": 12,
    "autolrs": 2,
    "pbt": 12,
    "pb2": 12,
    "greedy": 12,
    "grid-100": 100,
    "grid-100-log": 100,
    "grid-100-once": 100,
    "schedule-free": 1,
    "schedule-free-1.5": 1.5,
    "prodigy": 1,
    "prodigy-1.5": 1.5,
    "nadamw": 1,
    "gen": 1.25,
    "adalrs": 1.25,
}
OURS = adalrs.METHODS | asha.METHODS | autolrs.METHODS | greedy.METHODS | nadamw.METHODS | population.METHODS


def method(name: str):
    if name in OURS:
        return OURS[name]
    if name == "gen":
        needs.package("GeN")
        from methods import gen

        return gen.METHODS[name]
    needs.package("schedulefree")
    needs.package("prodigyopt")
    from methods import free

    return free.METHODS[name]


@pytest.mark.parametrize("name", CEILINGS)
def test_a_method_runs_within_its_promise_and_again_the_same(name: str) -> None:
    cell = method(name)(SHORT, 0)
    assert (cell.task, cell.method, cell.seed, cell.note) == ("breast-cancer", name, 0, "")
    assert not cell.diverged
    assert 0.7 * CEILINGS[name] < cell.cost <= CEILINGS[name] + 1e-9
    assert 0 <= cell.test < 0.5  # the rarer class is a third: better than a guess
    again = method(name)(SHORT, 0)
    assert (again.test, again.select, again.cost, again.chosen) == (
        cell.test,
        cell.select,
        cell.cost,
        cell.chosen,
    )


@pytest.mark.parametrize(
    "name",
    ["asha-cosine", "autolrs", "pbt", "pb2", "schedule-free", "prodigy", "nadamw", "gen", "adalrs"],
)
def test_a_regression_and_the_global_stream_left_alone(name: str) -> None:
    before = torch.get_rng_state()
    cell = method(name)(replace(TASKS["diabetes"], epochs=2), 0)
    assert 0 < cell.test <= 1
    assert torch.equal(torch.get_rng_state(), before)


def test_a_course_in_stretches_is_the_plain_training_to_the_last_bit() -> None:
    setting = SHORT.setting(0)
    course, model = Course(setting), setting.model()
    for steps in (1, 7, 8):
        course.advance(steps, lambda k: 0.01 * SHAPES["cosine"]((k + 0.5) / course.total))
    train(setting, 0.01, SHAPES["cosine"], model=model)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), course.model.parameters(), strict=True))


def test_a_state_is_apart_from_its_course_and_can_be_loaded_twice() -> None:
    course = Course(SHORT.setting(0))
    course.advance(3, lambda k: 0.01)
    start = course.state()
    ends = []
    for _ in range(2):
        course.load(start)
        course._batches = iter(Course(SHORT.setting(0))._batches)  # the same batches again
        course.advance(4, lambda k: 0.01)
        ends.append([p.detach().clone() for p in course.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    assert course.trained == 32 * 11


def test_a_course_that_blew_up_costs_nothing_more_until_a_state_is_loaded() -> None:
    course = Course(replace(TASKS["diabetes"], epochs=2).setting(0))
    start = course.state()
    course.advance(course.total, lambda k: 1e6)
    assert course.diverged
    assert course.score() == -math.inf
    trained = course.trained
    assert course.advance(5, lambda k: 1e-3) == []
    course.load(start)
    assert len(course.advance(2, lambda k: 1e-3)) == 2
    assert course.trained == trained + 64
    assert course.evaluated == 0


# ASHA -----------------------------------------------------------------------------------------------------


def test_asha_promotes_the_best_of_the_top_third_and_never_the_diverged() -> None:
    def trials(*scores: list[float]) -> list[asha.Trial]:
        return [asha.Trial(1.0, None, list(s)) for s in scores]  # type: ignore[arg-type]

    assert asha.promotable(trials([3.0], [1.0])) is None  # a third of two is none
    chosen = asha.promotable(there := trials([1.0], [3.0], [2.0]))
    assert chosen is there[1]
    assert asha.promotable(trials([3.0, 1.0], [2.0], [1.0])) is None  # promoted already
    assert asha.promotable(trials(*[[-math.inf]] * 3)) is None
    top = asha.promotable(there := trials([9.0, 4.0], [8.0, 5.0], [7.0, 3.0], *[[1.0]] * 6))
    assert top is there[1]  # the higher rung first


# AutoLRS --------------------------------------------------------------------------------------------------


def test_the_forecast_finds_the_exponential_it_was_given() -> None:
    t = np.arange(30)
    losses = list(2 * np.exp(-0.1 * t) + 0.5)
    assert autolrs.forecast(losses, 300) == pytest.approx(
        0.5, abs=0.2
    )  # the splines smooth a part of it away
    assert autolrs.forecast(losses, 300) < autolrs.forecast(list(2 * np.exp(-0.05 * t) + 1.0), 300)
    assert autolrs.forecast(losses, 300, ceiling=2.0) == pytest.approx(np.mean(losses[15:]))
    assert autolrs.forecast([1.0, math.nan], 100) == autolrs.NOT_FINITE
    assert autolrs.forecast([3.0, 2.0], 100) == 2.0


def test_the_probes_of_a_stage_spread_over_the_range_and_never_repeat() -> None:
    rng = np.random.default_rng(0)
    tried: list[tuple[float, float]] = []
    for _ in range(autolrs.PROBES):
        u = autolrs.proposal(tried, rng)
        tried.append((u, (u - 0.7) ** 2))
    places = sorted(u for u, _ in tried)
    assert min(np.diff(places)) > 0
    assert max(np.diff(places)) < 0.35
    assert sum(autolrs.stages(438)) == 438


# AdaLRS ---------------------------------------------------------------------------------------------------


def test_a_velocity_is_what_the_loss_falls_by_in_a_step() -> None:
    assert adalrs.velocity([2.0, 1.75, 1.5, 1.25]) == pytest.approx(0.25)
    assert adalrs.velocity([1.0, 1.5, 2.0]) == pytest.approx(-0.5)
    assert adalrs.velocity([1.0, math.nan, 2.0]) == -math.inf
    assert adalrs.velocity([]) == -math.inf


def test_adalrs_raises_a_rate_that_is_far_too_low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plain.RULE_OF_THUMB, "adamw", 1e-5)
    cell = adalrs.METHODS["adalrs"](TASKS["breast-cancer"], 0)
    first, *_, last = cell.chosen["lr"]
    assert first == 1e-5
    assert last > 2 * first


def test_adalrs_goes_back_from_a_rate_that_blows_up_and_pays_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adalrs, "UP", 1e9)
    task = TASKS["diabetes"]  # momentum: at that rate no loss is finite
    cell = adalrs.METHODS["adalrs"](task, 0)
    lrs = cell.chosen["lr"]
    assert len(lrs) > 1
    assert lrs == sorted(lrs, reverse=True), "no trial was kept"
    assert not cell.diverged
    assert cell.cost > task.epochs * 200 / (task.epochs * (200 + 70 / 3))  # examples trained, and looked at


# NadamW ---------------------------------------------------------------------------------------------------


def test_nadamw_without_momentum_is_adamw() -> None:
    weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    setting = {"lr": 0.1, "betas": (0.0, 0.9), "weight_decay": 0.3}
    both = nadamw.NadamW(weights[:1], **setting), torch.optim.AdamW(weights[1:], **setting)
    for k in range(5):
        for weight, optimizer in zip(weights, both, strict=True):
            weight.grad = torch.tensor([0.5 + k, -0.1])
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1])


def test_nadamw_looks_a_step_ahead() -> None:
    """Two steps on gradients 1 and 2 by hand, betas 1/2 and 3/4, rate 1."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = nadamw.NadamW([weight], lr=1.0, betas=(0.5, 0.75), weight_decay=0.0)
    moved = []
    for gradient in (1.0, 2.0):
        before = weight.item()
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        moved.append(before - weight.item())
    # means 1/2 and 5/4, ahead 3/4 and 13/8; squares 1/4 and 19/16, corrected 1 and 19/7
    assert moved == pytest.approx([0.75 / 0.5, 1.625 / 0.75 / math.sqrt(19 / 7)])


# GeN ------------------------------------------------------------------------------------------------------


def test_gen_pays_for_three_looks_in_four_steps_and_moves_the_rate_by_a_tenth_at_most() -> None:
    cell = method("gen")(SHORT, 0)
    updates = 4  # of 16 steps
    plain_run = 2 * (240 + 80 / 3)
    sizes = [32] * 4  # the first four batches of the order that is looked at
    assert cell.cost == pytest.approx((2 * 240 + sum(sizes)) / plain_run)
    assert plain.RULE_OF_THUMB["adamw"] * 0.95 <= cell.chosen["lr"]
    assert cell.chosen["lr"] <= plain.RULE_OF_THUMB["adamw"] * 1.1**updates * (1 + 1e-9)


# PBT and PB2 ----------------------------------------------------------------------------------------------


def member(score: float, lr: float = 0.1, task: Task = SHORT) -> population.Member:
    return population.Member(Course(task.setting(0)), lr, score)


def test_the_worst_quarter_copies_the_best_quarter() -> None:
    scores = [-math.inf, 1.0, 2.0, *range(3, 12)]
    members = [member(float(s), lr=10.0**-i) for i, s in enumerate(scores)]
    members[-1].course.advance(4, lambda k: 0.01)
    for other in members[-3:-1]:
        other.course.load(members[-1].course.state())
    population.exchange(members, lambda winner, given: winner.lr * 2, np.random.default_rng(0))
    for loser in members[:3]:
        assert loser.score in (9.0, 10.0, 11.0)
        assert loser.lr == pytest.approx(2 * 10.0 ** -scores.index(loser.score))
        assert loser.course.step == 4
        assert loser.course.model is not members[-1].course.model
        for a, b in zip(loser.course.model.parameters(), members[-1].course.model.parameters(), strict=True):
            assert torch.equal(a, b)
    assert [m.score for m in members[3:]] == [float(s) for s in scores[3:]]


def test_nobody_copies_where_all_have_diverged() -> None:
    members = [member(-math.inf) for _ in range(12)]
    population.exchange(members, lambda winner, given: 5.0, np.random.default_rng(0))
    assert all(m.lr == 0.1 for m in members)


def test_pbt_perturbs_three_times_in_four() -> None:
    rng = np.random.default_rng(0)
    drawn = [population.perturb(member(0.0), 1, [], [], rng) for _ in range(400)]
    near = [lr for lr in drawn if lr == pytest.approx(0.12) or lr == pytest.approx(0.08)]
    assert 0.7 < len(near) / len(drawn) < 0.8


def test_the_bandit_goes_where_scores_were_gained() -> None:
    rng = np.random.default_rng(0)
    rates = np.exp(rng.uniform(*population.LOGS, 36))
    gains = [
        population.Gain(i // 12, i % 3 / 4, float(lr), -math.inf if lr > 3 else 1 - abs(math.log10(lr) + 2))
        for i, lr in enumerate(rates)
    ]
    assert -3 < math.log10(population.bandit(member(0.5), 3, gains, [], rng)) < -1


def test_the_bandit_keeps_apart_from_what_it_gave_where_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(population, "most_likely", lambda X, time, y: np.array([0.0, -4.0, 0.0, -2.0]))
    rng = np.random.default_rng(0)
    gains = [population.Gain(0, 0.5, lr, 0.5) for lr in (1e-4, 1e-3, 1e-2, 0.1)]
    given: list[float] = []
    for _ in range(3):
        given.append(population.bandit(member(0.5), 1, gains, given, rng))
    assert np.diff(np.sort(np.log10(given))).min() > 0.3


def test_the_bandits_process_agrees_with_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    rng = np.random.default_rng(0)
    X, Z, y = rng.random((8, 2)), rng.random((5, 2)), rng.standard_normal(8)
    logs = (0.3, -1.0, 0.0, -2.0)  # e = 0: time has no say
    mean, sd = population.posterior(logs, X, np.arange(8.0), y, Z, 9.0)
    kernel = ConstantKernel(math.exp(0.3), "fixed") * RBF(math.sqrt(math.exp(-1.0) / 2), "fixed")
    theirs = GaussianProcessRegressor(kernel, alpha=math.exp(-2.0) + 1e-6, optimizer=None).fit(X, y)
    expected, spread = theirs.predict(Z, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    np.testing.assert_allclose(sd, spread, rtol=1e-5)
