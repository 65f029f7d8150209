"""Which of several optimizers: looks with each, and whole trainings with those that the looks do not rule out."""

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_lookahead import Own

from gammatune.cost import Meter
from gammatune.errors import AllDiverged
from gammatune.policy import prior
from gammatune.policy.alternatives import BEHIND, FAILED, UNKNOWN, Expected, ahead
from gammatune.records import Alternative, Family, Known, Metrics, Outcome, Values
from gammatune.space import OPTIMIZER, parse
from gammatune.tuning.tuner import Tuner

RATES = {"adamw": 1e-3, "muon": 1e-3, "momentum": 1e-2}
# Here looks have their best rate where the whole has it: Muon's would be believed to lie far lower.
FAMILIES: dict[str, Family] = {"adamw": "adam", "muon": "rmsprop", "momentum": "momentum"}


def known_with(name: str) -> Known:
    return Known(FAMILIES[name], RATES[name], is_own=False)


# Where trainings of 400 steps with each are believed to do best, so that all looks begin at the best.
BEST = {name: RATES[name] * 10 ** prior.place(known_with(name), 400).mean for name in RATES}
TWO = {name: BEST[name] for name in ("adamw", "muon")}


class Between(Own):
    """best: the rate at which each optimizer learns most; it diverges where that is NaN. slower: the share of its
    progress that another of the same rate makes."""

    def __init__(
        self, best: dict[str, float], slower: dict[str, float] | None = None, **options: Any
    ) -> None:
        super().__init__(1e-3, cliff=1e3, **options)
        self.best, self.slower = best, slower or {}
        self.taken = ""

    def own(self, names: Any) -> Values:
        return self.alternatives(names)[0].own

    def alternatives(self, names: Any) -> tuple[Alternative, ...]:
        return tuple(
            Alternative({"lr": RATES[name], OPTIMIZER: name}, known_with(name)) for name in self.best
        )

    def known(self) -> Known:
        return self.alternatives([])[0].known

    def apply(self, values: Values, meter: Meter) -> None:
        super().apply(values, meter)
        self.taken = str(values[OPTIMIZER])

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        before, self.best_lr = self.loss, self.best[self.taken]
        if math.isnan(self.best_lr):
            values = {**values, "lr": 2 * self.cliff}
            self.best_lr = 1.0
        super().advance(epoch, values, meter)
        share = self.slower.get(self.taken, 1.0)
        self.loss = before ** (1 - share) * self.loss**share


def run(training: Between, **options: Any) -> Tuner:
    names = ",".join(training.best)
    given_: dict[str, Any] = {
        "epochs": 10, "budget": 2.0, "objective": "log-loss", "space": ["lr=1e-6:10:log", f"{OPTIMIZER}={names}"],
    }  # fmt: skip
    with Tuner(training=training, **(given_ | options)) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


def with_each(tuner: Tuner, role: str) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in tuner.result.rollouts:
        if outcome.role == role:
            found.setdefault(str(outcome.values[OPTIMIZER]), []).append(outcome)
    return found


@pytest.mark.parametrize("better", ["adamw", "muon"])
def test_the_one_that_leads_by_far_trains_the_course(better: str) -> None:
    slower = {name: 0.2 for name in ("adamw", "muon") if name != better}
    tuner = run(Between(TWO, slower))
    assert {o.values[OPTIMIZER] for o in tuner.result.course} == {better}
    assert set(with_each(tuner, "miniature")) == {"adamw", "muon"}
    verdict = tuner.result.verdicts[0]
    worse = next(iter(slower))
    assert verdict.reason.startswith(f"{better} ({worse} is better with probability ")
    assert verdict.numbers[f"{worse} better"] < 0.5
    assert verdict.numbers["candidates"] == sum(map(len, with_each(tuner, "miniature").values()))


def test_looks_at_each_begin_where_its_own_kind_did_best() -> None:
    """Not where the first one's did."""
    looks = with_each(run(Between({"momentum": 0.1, "adamw": 0.001})), "miniature")
    for name, some in looks.items():
        first = math.log10(float(some[0].values["lr"]) / RATES[name])
        assert first == pytest.approx(prior.place(known_with(name), 400).mean)


def test_one_that_is_behind_beyond_noise_is_looked_at_no_further_and_trained_no_more() -> None:
    far = {"adamw": TWO["adamw"], "muon": TWO["muon"] * 100}  # whose looks would go on upward
    behind = run(Between(far, {"muon": 0.02}), budget=5.0)
    alone = run(Between({"muon": far["muon"]}, {"muon": 0.02}), budget=5.0)
    level = run(Between(TWO, {"muon": 0.95}), budget=5.0)
    assert len(with_each(behind, "miniature")["muon"]) == 3 < len(with_each(alone, "miniature")["muon"])
    assert "muon" not in with_each(behind, "walk 2")
    assert set(with_each(level, "walk 2")) == {"muon"}


def test_the_first_is_taken_where_there_is_room_for_no_more() -> None:
    tuner = run(Between(TWO), budget=1.05)
    assert {o.values[OPTIMIZER] for o in tuner.result.rollouts} == {"adamw"}


def test_a_whole_training_tells_what_looks_do_not() -> None:
    """Both look alike until they have had more than a look: the second becomes the course, and what follows is with
    it."""

    class Later(Between):
        def evaluate(self, meter: Meter) -> Metrics:
            metrics = dict(super().evaluate(meter))
            if self.taken == "muon" and len(self.progress) > 2:
                metrics = dict(self._metrics(metrics["loss"] / 10))
            return metrics

    tuner = run(Later(TWO, {"muon": 0.95}), budget=4.0)
    walks = {o.role: o.values[OPTIMIZER] for o in tuner.result.rollouts if "walk" in o.role}
    assert {o.values[OPTIMIZER] for o in tuner.result.course} == {"muon"}
    assert walks["walk 2"] == walks["walk 3"] == "muon"
    nets = run(Later(TWO, {"muon": 0.95}), budget=4.0, ensemble=True)
    by_net = {o.net: o.values[OPTIMIZER] for o in nets.result.rollouts if not o.nets}
    assert by_net == {0: "adamw", 1: "muon", 2: "muon"}


def test_a_net_of_a_rival_has_to_earn_its_place() -> None:
    slower = Between(TWO, {"muon": 0.9}, common=1.0)
    tuner = run(slower, budget=4.0, ensemble=True)
    trained = {o.net: o.values[OPTIMIZER] for o in tuner.result.rollouts if not o.nets}
    assert trained[1] == "muon"
    assert 1 not in tuner.result.nets
    assert {o.values[OPTIMIZER] for o in tuner.result.course} == {"adamw"}


def test_where_the_course_is_too_short_for_looks_whole_trainings_are_the_looks() -> None:
    training = Between(TWO, {"adamw": 0.3}, steps=5, examples=50, validation=5)
    tuner = run(training, budget=5.0)
    assert not with_each(tuner, "miniature")
    assert {o.values[OPTIMIZER] for o in tuner.result.course} == {"muon"}


@settings(max_examples=40)
@given(
    best=st.dictionaries(
        st.sampled_from(["adamw", "muon", "momentum"]), st.sampled_from([0.001, 0.1, math.nan]), min_size=1
    ),
    budget=st.floats(1.0, 6.0),
    epochs=st.integers(1, 12),
    steps=st.integers(4, 60),
    validation=st.integers(1, 900),
    ensemble=st.booleans(),
    sizes=st.booleans(),
)
@example(
    best={"adamw": math.nan, "muon": 0.1}, budget=1.5, epochs=10, steps=40, validation=10, ensemble=True,
    sizes=False,
)  # fmt: skip
def test_whatever_comes_the_budget_is_a_ceiling_and_no_look_is_left_out_of_the_count(
    best: dict[str, float],
    budget: float,
    epochs: int,
    steps: int,
    validation: int,
    ensemble: bool,
    sizes: bool,
) -> None:
    if all(map(math.isnan, best.values())):
        best = {**best, "adamw": 0.1}
    training = Between(best, steps=steps, examples=10 * steps, validation=validation)
    space = ["lr=1e-6:10:log", f"{OPTIMIZER}={','.join(best)}", *(["weight_decay=0,0.1"] if sizes else [])]
    try:
        tuner = run(training, budget=budget, epochs=epochs, ensemble=ensemble, space=space)
    except AllDiverged:  # the first was the one that blows up, and nobody could afford to look
        assert any(map(math.isnan, best.values()))
        return
    plain = epochs * (10 * steps + validation / 3)
    assert tuner.cost.units <= budget * plain * (1 + 1e-9) + 10 * steps
    names = set(parse(*space).names)
    assert all(set(o.values) == names for o in tuner.result.rollouts)
    small = [o for o in tuner.result.rollouts if o.role in ("miniature", "scout")]
    told = tuner.result.verdicts[0].numbers.get("candidates")
    assert told is None or told == len(small)


@settings(max_examples=60)
@given(
    one=st.tuples(st.floats(-9, 9), st.floats(0, 9)) | st.sampled_from([UNKNOWN, FAILED]),
    other=st.tuples(st.floats(-9, 9), st.floats(0, 9)) | st.sampled_from([UNKNOWN, FAILED]),
)
def test_how_likely_one_is_ahead_and_the_other_go_together(one: Expected, other: Expected) -> None:
    assert 0 <= ahead(one, other) <= 1
    assert ahead(one, other) + ahead(other, one) == pytest.approx(1)
    assert ahead(one, one) == 0.5
    if other == FAILED != one:
        assert ahead(one, other) == 1
    if UNKNOWN in (one, other) and FAILED not in (one, other):
        assert ahead(one, other) == 0.5 > BEHIND


def test_an_optimizer_of_the_space_comes_as_the_space_has_it() -> None:
    """In the order in which they are named, and those alone."""
    tuner = run(Between(TWO), space=["lr=1e-6:10:log", f"{OPTIMIZER}=muon"])
    assert {o.values[OPTIMIZER] for o in tuner.result.rollouts} == {"muon"}
    assert tuner._before.own_values[OPTIMIZER] == "muon"
