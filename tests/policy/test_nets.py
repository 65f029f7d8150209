"""Several nets, by a training whose luck with each of them is known."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_lookahead import SPACE, Own

from gammatune.errors import AllDiverged
from gammatune.policy.nets import WORTH
from gammatune.records import Outcome
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner

DEAD = math.nan


def training(**options: Any) -> Own:
    return Own(1e-3, **options)


def run(one: FakeTraining | None = None, *, stop_at: int | None = None, **options: Any) -> tuple[Tuner, Any]:
    """stop_at: the role of the rollout after which it is to end soon."""
    one = training() if one is None else one
    given_: dict[str, Any] = {"epochs": 6, "budget": 4.0, "space": SPACE, "objective": "log-loss"}
    with Tuner(training=one, **({"ensemble": True} | given_ | options)) as tuner:
        for each in tuner:
            each.advance()
            each.report(**each.evaluate())
            if each.role == stop_at:
                tuner.stop()
    return tuner, one


def trained(tuner: Tuner) -> set[int]:
    """The nets that were, by number."""
    return {o.net for o in tuner.result.rollouts if not o.nets}


def asked(tuner: Tuner) -> list[Outcome]:
    return [o for o in tuner.result.rollouts if o.nets]


def assert_consistent(tuner: Tuner, one: Any) -> None:
    """What is spoken of is what is there."""
    result = tuner.result
    last = result.course[-1]
    assert one.net == last.net
    assert one.loss * one.luck.get(one.net, 1.0) == last.metrics["loss"], (
        "not the weights of the course's end"
    )
    assert len(result.nets) != 1
    assert set(result.nets) <= trained(tuner)
    assert all(one.luck.get(net, 1.0) == one.luck.get(net, 1.0) for net in result.nets), "a dead net"
    if result.nets:
        said = [o for o in asked(tuner) if o.nets == result.nets]
        expected = [one._heard[net] for net in result.nets]
        mean = sum(expected) / len(expected) * (one.common + (1 - one.common) / len(expected))
        assert said[-1].metrics["loss"] == pytest.approx(mean)


# How many ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "count"), [(1.0, 1), (1.5, 1), (2.4, 1), (2.6, 2), (3.4, 2), (3.7, 3), (4.8, 4), (7.0, 6)]
)
def test_a_budget_that_pays_for_more_trains_more(budget: float, count: int) -> None:
    """Where no look costs more than it should: nearly a half of a training, then a training and a pass each."""
    tuner, one = run(training(validation=10), budget=budget)
    assert trained(tuner) == set(range(count))
    assert tuner.result.nets == (tuple(range(count)) if count > 1 else ())
    assert_consistent(tuner, one)


def test_each_is_trained_like_the_first_in_an_order_of_its_own() -> None:
    tuner, _ = run()
    first = [o for o in tuner.result.rollouts if o.role == "course"]
    for net in (1, 2):
        other = [o for o in tuner.result.rollouts if o.net == net and not o.nets]
        assert [(o.epoch, o.values, o.shape) for o in other] == [(o.epoch, o.values, o.shape) for o in first]
        assert {o.order for o in other} == {net}
        assert {o.role for o in other} == {f"net {net + 1}"}
        assert other[0].origin == -1  # the initial weights


@settings(max_examples=60)
@given(
    budget=st.floats(1.0, 9.0),
    epochs=st.integers(1, 8),
    steps=st.integers(4, 60),
    validation=st.integers(1, 900),
    luck=st.dictionaries(st.integers(0, 6), st.sampled_from([0.2, 0.9, 1.1, 30.0, DEAD]), max_size=4),
    cliff=st.sampled_from([300.0, 3.0]),
    common=st.sampled_from([0.5, 0.999, 1.0]),
    patience=st.sampled_from([None, 1, 3]),
    guide=st.sampled_from([None, 0.5, 2.0, 20.0]),
    length_is_open=st.booleans(),
)
def test_whatever_comes_the_budget_is_a_ceiling_and_what_is_spoken_of_is_there(
    budget: float,
    epochs: int,
    steps: int,
    validation: int,
    luck: dict[int, float],
    cliff: float,
    common: float,
    patience: int | None,
    guide: float | None,
    length_is_open: bool,
) -> None:
    luck = {net: held for net, held in luck.items() if net or not math.isnan(held)}
    one = training(
        best_lr=0.1, cliff=0.1 * cliff, steps=steps, examples=10 * steps, validation=validation, luck=luck,
        common=common,
    )  # fmt: skip
    options: dict[str, Any] = {"budget": budget, "epochs": epochs}
    if length_is_open:
        options = {"budget": None, "epochs": None, "total_epochs": budget * epochs, "guide": guide}
    tuner, _ = run(one, patience=patience, **options)
    plain = epochs * (10 * steps + validation / 3)
    least = 10 + validation / 3  # what finding out the size of an epoch costs
    assert tuner.cost.units <= max(budget * plain, least + plain / epochs) * (1 + 1e-9)
    assert_consistent(tuner, one)
    assert all(o.trained == 0 for o in asked(tuner))
    heard = [o.evaluated for o in asked(tuner)]
    assert sorted(set(heard)) in ([], [validation], [0, validation])  # nobody is asked twice


class Single:
    """A training of which there is one net: all but `Joinable`."""

    lacks: tuple[str, ...] = ("renew", "join", "rejoin", "hear", "together")

    def __init__(self, of: FakeTraining) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        if name in self.lacks:
            raise AttributeError(name)
        return getattr(self._of, name)


class Asking(Single):
    """As in a loop of one's own, where nobody but its body knows how to score: all nets are asked each time."""

    lacks = ("hear", "together")
    asked: tuple[int, ...] = ()

    def ask(self, nets: Any) -> None:
        self.asked = tuple(nets)

    def evaluate(self, meter: Any) -> Any:
        if not self.asked:
            return self._of.evaluate(meter)
        of = self._of
        of._heard = {net: json.loads(of._nets[net])[1] * of.luck.get(net, 1.0) for net in self.asked}
        meter.evaluated += len(self.asked) * of.validation
        return of.together(self.asked)


class Fragile(Own):
    """Of a net, by number, the highest rate that it bears in its second epoch, which it goes through to its end."""

    bears: dict[int, float] = {}  # noqa: RUF012

    def advance(self, epoch: int, values: Any, meter: Any) -> None:
        self.is_lost = epoch == 1 and float(values["lr"]) > self.bears.get(self.net, 1.0)
        super().advance(epoch, values, meter)

    def evaluate(self, meter: Any) -> Any:
        told = super().evaluate(meter)
        return dict.fromkeys(told, math.nan) if self.is_lost else told

    def hear(self, net: int, meter: Any) -> None:
        self.is_lost = False
        super().hear(net, meter)


@settings(max_examples=60)
@given(
    budget=st.floats(2.4, 6.0),
    validation=st.integers(100, 2000),
    bears=st.dictionaries(st.integers(0, 3), st.sampled_from([0.03, 0.01]), min_size=1, max_size=3),
    luck=st.dictionaries(st.integers(0, 3), st.just(0.01), max_size=1),
    epochs=st.integers(2, 6),
    is_loop=st.booleans(),
)
# what pays for the second net, but not to ask both
@example(budget=2.65, validation=150, bears={0: 0.03}, luck={}, epochs=2, is_loop=False)
# nor to ask the second once more, alone
@example(budget=4.91, validation=2000, bears={0: 0.01}, luck={1: 0.01}, epochs=4, is_loop=True)
def test_what_a_guard_pays_is_not_paid_twice(
    budget: float,
    validation: int,
    bears: dict[int, float],
    luck: dict[int, float],
    epochs: int,
    is_loop: bool,
) -> None:
    """An epoch of the first that is taken back is paid by what the others would have taken, and of one of them not by
    the pass in which it is to be asked."""
    one = Fragile(1e-3, validation=validation, luck=luck)
    one.bears = bears
    tuner, _ = run(
        Asking(one) if is_loop else one,  # type: ignore[arg-type]
        budget=budget,
        epochs=epochs,
        space=["lr=0.05:0.051:log"],
    )
    assert tuner.cost.units <= budget * epochs * (400 + validation / 3) * (1 + 1e-9)
    assert not any(o.cut for o in tuner.result.rollouts)  # none is begun that cannot be paid
    assert_paid(tuner, validation, is_loop)


def assert_paid(tuner: Tuner, validation: int, is_loop: bool) -> None:
    for outcome in asked(tuner):
        if is_loop:
            assert (outcome.trained, outcome.evaluated) == (10, len(outcome.nets) * validation)
        elif len(outcome.nets) > 1:
            assert (outcome.trained, outcome.evaluated) == (0, validation)


@pytest.mark.parametrize("luck", [{}, {0: 3.0}, {1: 3.0, 2: 0.9}, {0: 3.0, 1: 2.0}, {1: DEAD}])
def test_several_need_no_more_forks_than_one(luck: dict[int, float]) -> None:
    """Each is a copy of weights and optimizer state; whichever of the nets is the course."""
    _, alone = run(budget=1.5)
    tuner, one = run(training(luck=luck), budget=6.0)
    assert len(trained(tuner)) >= 4
    assert len(one._forks) == len(alone._forks)
    assert_consistent(tuner, one)


def test_a_budget_for_one_is_spent_as_if_there_were_no_others() -> None:
    for budget in (1.0, 1.5, 2.3):
        with_nets, without = (run(budget=budget, ensemble=wanted)[0] for wanted in (True, False))
        assert timeless(with_nets) == timeless(without)
        assert asked(with_nets) == []


def timeless(tuner: Tuner) -> list[Outcome]:
    return [replace(o, seconds=0.0) for o in tuner.result.rollouts]


@pytest.mark.parametrize("nets", [2, 3, 5])
def test_the_first_net_is_that_of_a_budget_for_one_where_the_looks_are_alike(nets: int) -> None:
    """Where the same lies beside the trainings, each of several with a pass in which it is asked."""
    pass_ = 10 / 3 / (6 * (400 + 10 / 3))  # of a plain run
    one, _ = run(training(validation=10), budget=1.48)
    more, _ = run(training(validation=10), budget=1.48 + nets - 1 + nets * pass_)
    assert trained(more) == set(range(nets))
    assert timeless(one) == timeless(more)[: len(one.result.rollouts)]


# Which of them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("luck", [{1: 30.0}, {1: DEAD}])
def test_a_wreck_is_left_out(luck: dict[int, float]) -> None:
    tuner, one = run(training(luck=luck))
    assert trained(tuner) == {0, 1, 2}
    assert tuner.result.nets == (0, 2)
    assert_consistent(tuner, one)


@pytest.mark.parametrize("luck", [{2: 30.0}, {2: DEAD}])
def test_a_wreck_at_the_end_is_left_out_and_the_training_put_back(luck: dict[int, float]) -> None:
    tuner, one = run(training(luck=luck))
    assert trained(tuner) == {0, 1, 2}
    assert tuner.result.nets == (0, 1)
    assert "net 3 is left out" in tuner.result.verdicts[-1].reason
    assert_consistent(tuner, one)


def test_where_the_first_is_the_wreck_the_others_make_the_average() -> None:
    tuner, one = run(training(luck={0: 80.0}))
    assert tuner.result.nets == (1, 2)
    assert one.net == 1
    assert_consistent(tuner, one)


def test_where_all_but_one_are_wrecks_that_one_goes_alone() -> None:
    for net in range(3):
        luck = {other: 50.0 for other in range(3) if other != net}
        tuner, one = run(training(luck=luck))
        assert one.net == net
        assert net in tuner.result.nets or tuner.result.nets == ()
        assert_consistent(tuner, one)


def test_an_average_that_was_committed_is_taken_back_where_one_alone_is_much_better() -> None:
    tuner, one = run(training(luck={0: 80.0, 1: 80.0}))
    ensembles = [v for v in tuner.result.verdicts if v.kind == "ensemble"]
    assert [v.numbers["nets"] for v in ensembles] == [2.0, 1.0]
    assert "net 3 is much better alone" in ensembles[-1].reason
    assert tuner.result.nets == ()
    assert_consistent(tuner, one)


def test_all_others_dead() -> None:
    tuner, one = run(training(luck={1: DEAD, 2: DEAD}))
    assert tuner.result.nets == ()
    assert [v.kind for v in tuner.result.verdicts[-1:]] == ["handed back"]
    assert_consistent(tuner, one)


def test_where_the_first_dies_there_is_nothing_to_go_on_with() -> None:
    one = training(luck={0: DEAD})
    with pytest.raises(AllDiverged):
        run(one)
    assert one.progress == []


class Told(Own):
    """What nets score, alone and together, in the end; before, accuracy 0.5 at a loss of 0.69."""

    ends: dict[tuple[int, ...], tuple[float, float]] = {}  # noqa: RUF012

    def evaluate(self, meter: Any) -> Any:
        super().evaluate(meter)
        return self._of(self.ends[self.net,] if self.loss < 1 else (0.5, 0.69))

    def together(self, nets: Any) -> Any:
        return self._of(self.ends[tuple(nets)])

    def _of(self, told: tuple[float, float]) -> Any:
        return {"accuracy": told[0], "loss": told[1]}


@pytest.mark.parametrize(
    ("alone", "both", "examples", "nets"),
    [
        ((0.80, 0.52), (0.76, 0.55), 50, (0, 1)),  # two more of fifty wrong
        ((0.80, 0.52), (0.70, 0.75), 400, ()),  # the other alone
        ((0.80, 0.52), (0.80, 0.60), 400, (0, 1)),  # less sure, as averages are
        ((0.80, 0.20), (0.80, 0.45), 50, ()),  # as many right, and much less sure
    ],
)
def test_what_chance_can_do_leaves_no_net_out(
    alone: tuple[float, float], both: tuple[float, float], examples: int, nets: tuple[int, ...]
) -> None:
    """Of a few examples the score says little, and averages are better than they look there."""
    one = Told(1e-3, validation=examples)
    one.ends = {(0,): (0.74, 0.57), (1,): alone, (0, 1): both}
    tuner, _ = run(one, objective="kappa", budget=2.6, space=["lr=0.05"])
    assert trained(tuner) == {0, 1}
    assert tuner.result.nets == nets
    assert one.net == 1


class Blowing(Own):
    """A net's average with any other is worth nothing, though each alone is."""

    def together(self, nets: Any) -> Any:
        told = super().together(nets)
        return told if len(nets) == 1 else dict.fromkeys(told, math.inf)


def test_an_average_that_is_not_finite_is_none() -> None:
    tuner, one = run(Blowing(1e-3))
    assert tuner.result.nets == ()
    assert [o.score is None for o in asked(tuner)] == [len(o.nets) > 1 for o in asked(tuner)]
    assert_consistent(tuner, one)


class Density(Own):
    """Alone each net's loss is above 0, and below it together."""

    def together(self, nets: Any) -> Any:
        told = super().together(nets)
        return told if len(nets) == 1 else {**told, "loss": -told["loss"]}


def test_a_loss_that_falls_below_zero_together_changes_the_scale() -> None:
    tuner, _ = run(Density(1e-3))
    assert tuner.objective.name == "loss"
    scored = [o for o in tuner.result.rollouts if o.score is not None]
    assert all(o.score == -o.metrics["loss"] for o in scored)
    assert len(tuner.result.nets) > 1


# When no more is worth it -----------------------------------------------------------------------------------


def test_nets_that_err_alike_are_two_and_no_more() -> None:
    """The first two tell what a third would bring: nothing."""
    tuner, one = run(training(common=1.0), budget=9.0)
    assert trained(tuner) == {0, 1}
    assert tuner.result.nets == (0, 1)
    assert_consistent(tuner, one)


@settings(max_examples=15)
@given(common=st.floats(0.0, 1.0), budget=st.floats(4.0, 12.0))
def test_one_more_is_trained_while_it_promises_enough(common: float, budget: float) -> None:
    """Of the loss of K nets, c + (1 - c) / K of one's, the next takes (1 - c) / (K (K + 1)) away."""
    tuner, _ = run(training(common=common, validation=10), budget=budget)
    made = len(trained(tuner))
    promised = [
        (1 - common) / (k * (k + 1)) / (common + (1 - common) / k) for k in range(2, 20)
    ]  # by the K-th, as a share
    paid = int((budget - 0.46) / 1.01)
    wanted = 2 + next((i for i, gain in enumerate(promised) if gain <= WORTH), 99)
    if not any(math.isclose(gain, WORTH, rel_tol=0.05) for gain in promised):
        assert made in (min(wanted, paid), min(wanted, paid + 1))


@pytest.mark.parametrize("patience", [1, 2])
def test_patience_ends_each_of_them_early(patience: int) -> None:
    tuner, one = run(training(best_lr=1e-3, luck={}), patience=patience, epochs=8)
    assert_consistent(tuner, one)
    plain, _ = run(training(best_lr=1e-3), epochs=8)
    assert len(tuner.result.course) <= len(plain.result.course)


# Short courses, and little time -----------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1.0, 2.6, 4.0, 8.0])
def test_a_course_too_short_to_be_looked_at_shares_its_walks(budget: float) -> None:
    """Half of what is paid for, three at most, are trainings at other rates; the nets are trained at the best."""
    tuner, one = run(training(steps=10, examples=100, validation=10), epochs=4, budget=budget)
    rollouts = tuner.result.rollouts
    assert not any(o.role == "miniature" for o in rollouts)
    walks = {o.role for o in rollouts if o.role.startswith("walk")}
    trainings = max(1, int(budget - 0.46))
    assert len(walks) == min(trainings // 2, 3)
    rates = {o.values["lr"] for o in rollouts if o.net and not o.nets}
    assert len(rates) <= 1
    chosen = next((v for v in rollouts if v.nets == (0,)), None)
    if chosen is not None:
        assert rates == {chosen.values["lr"]}
    assert_consistent(tuner, one)


def test_what_no_other_rate_needs_is_for_nets() -> None:
    """The range is so narrow that no walk at another rate in it promises anything."""
    one = training(steps=10, examples=100, validation=10)
    tuner, _ = run(one, epochs=4, budget=4.0, space=["lr=0.05:0.051:log"])
    assert trained(tuner) == {0, 1, 2}
    assert not any(o.role.startswith("walk") for o in tuner.result.rollouts)


class Clock:
    """Of the machine: a second an epoch."""

    now = 0.0

    def perf_counter(self) -> float:
        return Clock.now


class Slow(Own):
    def advance(self, epoch: int, values: Any, meter: Any) -> None:
        before = meter.trained
        super().advance(epoch, values, meter)
        Clock.now += (meter.trained - before) / self.examples


@pytest.mark.parametrize("seconds", [3.0, 7.0, 9.0, 12.0, 14.5, 21.0, 30.0, 60.0])
@pytest.mark.parametrize("epochs", [6, None])
def test_no_net_is_begun_that_the_time_does_not_allow(
    seconds: float, epochs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "now", 0.0)
    for module in ("tuning.run", "tuning.driver"):
        monkeypatch.setattr(f"gammatune.{module}.clock.perf_counter", Clock().perf_counter)
    options: dict[str, Any] = {"budget": 40.0} if epochs else {"budget": None, "guide": 5.0}
    tuner, one = run(Slow(1e-3, common=0.1), time=seconds, epochs=epochs, **options)
    assert Clock.now <= seconds + 1.0 or seconds < 6  # a step may be under way
    assert_consistent(tuner, one)
    if epochs and seconds >= 21:
        assert len(tuner.result.nets) >= 2
    if epochs and seconds <= 9:
        assert tuner.result.nets == ()


class Slower(Slow):
    """Its first rollouts take longer than the time there is, as on a machine that others use."""

    def advance(self, epoch: int, values: Any, meter: Any) -> None:
        super().advance(epoch, values, meter)
        Clock.now += 15.0


@pytest.mark.parametrize("seconds", [10.0, 20.0, 40.0])
def test_time_that_is_over_before_the_first_look_leaves_one_net(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "now", 0.0)
    for module in ("tuning.run", "tuning.driver"):
        monkeypatch.setattr(f"gammatune.{module}.clock.perf_counter", Clock().perf_counter)
    tuner, one = run(Slower(1e-3), time=seconds, epochs=None, budget=None, guide=5.0)
    assert tuner.result.nets == ()
    assert tuner.result.course
    assert_consistent(tuner, one)


@pytest.mark.parametrize(
    "role", ["survey", "scout", "miniature", "course", "net 2", "net 3"], ids=lambda role: f"after {role}"
)
def test_it_ends_soon_when_asked_to(role: str) -> None:
    whole, _ = run()
    tuner, one = run(stop_at=role)
    assert len(tuner.result.rollouts) < len(whole.result.rollouts)
    assert_consistent(tuner, one)
    assert trained(tuner) == {"net 2": {0, 1}, "net 3": {0, 1, 2}}.get(role, {0})
    if role == "net 3":
        assert set(tuner.result.nets) >= {0, 1}


# Others -----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    budget=st.floats(1.5, 8.0),
    validation=st.integers(10, 3000),
    luck=st.dictionaries(st.integers(0, 4), st.sampled_from([0.2, 1.1, 30.0]), max_size=3),
    length_is_open=st.booleans(),
)
def test_in_a_loop_of_ones_own_every_pass_of_every_net_is_paid(
    budget: float, validation: int, luck: dict[int, float], length_is_open: bool
) -> None:
    one = training(validation=validation, luck=luck)
    options: dict[str, Any] = {"budget": budget}
    if length_is_open:
        options = {"budget": None, "epochs": None, "total_epochs": 6 * budget, "guide": 3.0}
    tuner, _ = run(Asking(one), **options)  # type: ignore[arg-type]
    assert tuner.cost.units <= budget * 6 * (400 + validation / 3) * (1 + 1e-9)
    assert_paid(tuner, validation, is_loop=True)
    assert not any(o.cut for o in tuner.result.rollouts)
    assert set(tuner.result.nets) <= trained(tuner)
    assert one.net == tuner.result.course[-1].net


def test_where_no_net_can_be_kept_the_walks_are_as_without() -> None:
    single, _ = run(Single(training()))  # type: ignore[arg-type]
    without, _ = run(ensemble=False)
    assert timeless(single) == timeless(without)


@pytest.mark.parametrize("policy", ["greedy", "once"])
def test_other_policies_train_one(policy: str) -> None:
    tuner, one = run(policy=policy, space=["lr=1e-4:1:log"])
    assert trained(tuner) == {0}
    assert tuner.result.nets == ()
    assert one.net == 0


def test_nets_come_after_other_values_than_rates_too() -> None:
    class Two(Own):
        def own(self, names: Any) -> Any:
            return {"lr": 1e-3, "weight_decay": 1e-4}

    tuner, one = run(Two(1e-3), space=[*SPACE, "weight_decay=1e-6:1e-1:log"])
    assert len(tuner.result.nets) > 1
    assert_consistent(tuner, one)
