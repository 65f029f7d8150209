"""The opening of a lookahead run, on landscapes whose best rate is known: what is looked at, what follows, why."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammatune.cost import units
from gammatune.journal.history import replay
from gammatune.journal.wording import worded
from gammatune.policy.budget import Budget
from gammatune.policy.job import Job
from gammatune.policy.lookahead import VERSION
from gammatune.policy.opening import MOST, Opening, look_batches, open_course
from gammatune.policy.prior import place
from gammatune.records import Ahead, Known, Metrics, Outcome, Rollout, Values
from gammatune.space import parse
from gammatune.testing.fakes import FakeTraining
from gammatune.testing.policies import PolicyContract
from gammatune.tuning.tuner import Tuner

Landscape = Callable[[float], float | None]
# The best rate of an Adam by the prior, at this fan-in; u are decades from it.
USUAL = 10 ** place(Known("adam", 1.0), 1000).mean
FLOOR = -2.0  # what doing nothing scores


def adam(decades: float = 0.0, *, is_own: bool = True) -> Known:
    """Of an optimizer that came with a rate so far above the prior's."""
    return Known("adam", USUAL * 10**decades, is_own)


STRANGE = Known(None, USUAL, False)


def hill(best: float, *, cliff: float = math.inf, height: float = 3.0) -> Landscape:
    """Over decades from USUAL; from `cliff` on it diverges."""

    def score(u: float) -> float | None:
        if u >= cliff:
            return None
        return FLOOR + height * math.exp(-(((u - best) / (0.9 if u < best else 0.5)) ** 2) / 2)

    return score


@dataclass
class Opened:
    """An opening as it went. asked: the looks, in decades from USUAL, with what they scored."""

    opening: Opening
    outcomes: list[Outcome]
    spend: float
    epoch: float
    price: float
    ahead: list[Ahead] = field(default_factory=list)

    @staticmethod
    def of(outcome: Outcome) -> float:
        return math.log10(float(outcome.values["lr"]) / USUAL)

    @property
    def asked(self) -> list[tuple[float, float | None]]:
        return [(self.of(o), o.score) for o in self.outcomes if o.role == "miniature"]

    @property
    def chosen(self) -> float:
        return math.log10(float(self.opening.values["lr"]) / USUAL)

    @property
    def left(self) -> float:
        return self.spend - sum(units(o.trained, o.evaluated) for o in self.outcomes)


def opened(
    score: Landscape,
    known: Known | None = None,
    *,
    spend: float = 0.5,
    total: int = 1000,
    space: str = "",
    at_once: int = 1,
    floor: float = FLOOR,
) -> Opened:
    """spend: plain runs. total: batches of the course, of ten examples, in ten epochs of which each is validated."""
    known = adam() if known is None else known
    epochs, batches = 10, total // 10
    job = Job(
        epochs,
        1 + spend,
        lambda decision, part: pytest.fail("nothing but the rate is searched here"),  # type: ignore[arg-type]
        lambda outcome: (-math.inf if outcome.score is None else outcome.score,),
        parse(space or f"lr={known.rate / 1e6}:{known.rate * 1e6}:log"),
        own={"lr": known.rate},
        known=known,
        at_once=at_once,
    )

    def outcome(number: int, request: Rollout | None, seen: float | None, taken: int) -> Outcome:
        return Outcome(
            number,
            0,
            job.own if request is None else request.values,
            "diverged" if seen is None else "ok",
            {},
            seen,
            taken,
            taken * 10,
            0 if seen is None else 30,
            0.0,
            batches=taken,
            epoch_batches=batches,
            epoch_examples=10 * batches,
            role="" if request is None else request.role,
        )

    survey = outcome(0, None, floor, 1)
    purse = Budget(1 + spend, epochs, survey)
    made = Opened(Opening({}, None, job.space), [], spend * purse.plain, purse.epoch, 0.0)  # type: ignore[arg-type]
    asking = open_course(job, purse, made.spend, survey)
    reply: Outcome | None = None
    while True:
        try:
            request = asking.send(reply)
        except StopIteration as end:
            made.opening = end.value
            return made
        if isinstance(request, Ahead):
            made.ahead.append(request)
            reply = None
            continue
        assert isinstance(request, Rollout)
        seen = score(math.log10(float(request.values["lr"]) / USUAL))
        taken = request.length.batches(batches)
        reply = outcome(1 + len(made.outcomes), request, seen, taken if seen is not None else 2)
        made.outcomes.append(reply)
        made.price = purse.price(taken)


# What is looked at ------------------------------------------------------------------------------------------


def test_looks_cost_a_falling_share_of_the_course() -> None:
    """Three of them: half a plain run at most, and next to nothing of a long one."""
    lengths = [look_batches(total) for total in (120, 400, 1000, 3000, 20_000, 100_000)]
    assert lengths == sorted(lengths)
    shares = [3 * look_batches(total) / total for total in (400, 1000, 3000, 20_000)]
    assert shares == sorted(shares, reverse=True)
    for total, most in ((400, 0.5), (3000, 0.15), (20_000, 0.05)):
        assert 3 * look_batches(total) / total <= most


@pytest.mark.parametrize(("total", "most"), [(400, 0.45), (3000, 0.3), (20_000, 0.1)])
def test_an_opening_spends_no_more_than_it_needs(total: int, most: float) -> None:
    """With the best where the prior is, whatever it may spend."""
    found = opened(hill(0.0), total=total, spend=2.0)
    assert found.spend - found.left <= max(most, 6 * look_batches(total) / total) * 10 * found.epoch
    assert len(found.asked) <= 4
    assert abs(found.chosen) < 0.4


@settings(max_examples=12)
@given(
    best=st.floats(-4, 4),
    cliff=st.floats(0.3, 8),
    own=st.floats(-3, 3),
    is_own=st.booleans(),
    spend=st.floats(0.0, 1.5),
    total=st.sampled_from([120, 400, 3000]),
    known=st.sampled_from(["adam", None]),
)
def test_what_holds_of_any_opening(
    best: float, cliff: float, own: float, is_own: bool, spend: float, total: int, known: Any
) -> None:
    """It keeps within its money; it ends with the best inside unless money, looks or rates have ended; and it never
    chooses a rate above one that diverged."""
    score = hill(best, cliff=best + cliff)
    found = opened(score, Known(known, USUAL * 10**own, is_own), spend=spend, total=total)
    assert found.left >= -1e-9
    assert len(found.asked) <= MOST
    at = [u for u, _ in found.asked]
    fallen = [o for o in found.outcomes if not o.ok]
    if fallen and found.opening.tried != fallen:
        lowest = min(map(found.of, fallen))
        assert found.chosen < lowest or found.opening.values == {"lr": USUAL * 10**own}
    scored = [(s, u) for u, s in found.asked if s is not None]
    if scored and len(at) < MOST and found.left > found.price:
        top = max(scored)
        if top[0] > FLOOR + 0.1:
            assert min(at) < top[1] < max(at) or abs(top[1] - own) == pytest.approx(6, abs=0.05)
    numbers = found.opening.verdict.numbers
    assert numbers.get("candidates", len(found.outcomes)) == len(found.outcomes)
    assert numbers.get("failed", len(fallen)) == len(fallen)
    assert len(found.opening.tried) == len(found.outcomes)
    if "lr low" in numbers:
        assert numbers["lr low"] < numbers["lr high"]
        assert "95 %" in worded(found.opening.verdict).reason


def test_the_best_at_an_edge_of_the_space_is_taken_as_it_is() -> None:
    found = opened(hill(2.0), space=f"lr={USUAL / 30}:{USUAL * 3}:log", spend=2.0)
    assert max(u for u, _ in found.asked) == pytest.approx(math.log10(3))
    assert len(found.asked) < MOST
    assert found.chosen > 0.2


def test_own_rate_outside_of_what_may_be_chosen() -> None:
    """The space ends a decade below the rate that the optimizer came with."""
    found = opened(hill(0.0), adam(2.0), space=f"lr={USUAL / 1e3}:{USUAL * 10}:log", spend=1.0)
    assert abs(found.chosen) < 0.5
    assert "better" not in found.opening.verdict.numbers


@pytest.mark.parametrize("best", [-3.0, -1.5, -0.5, 0.0, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("is_own", [True, False])
def test_the_best_is_found_where_the_prior_is_wrong(best: float, is_own: bool) -> None:
    """By three decades, where that is paid for; not to the last tenth, since the prior pulls."""
    found = opened(hill(best, cliff=best + 1.2), adam(1.0, is_own=is_own), total=3000, spend=1.0)
    assert abs(found.chosen - best) < 0.8


@pytest.mark.parametrize("best", [-3.0, -1.0, 0.0, 2.0, 4.0])
def test_scouts_find_the_region_where_nothing_is_known(best: float) -> None:
    found = opened(hill(best, cliff=best + 1.2), STRANGE, total=3000, spend=0.5)
    scouts = [o for o in found.outcomes if o.role == "scout"]
    assert scouts
    looks = [o for o in found.outcomes if o.role == "miniature"]
    assert max(o.batches for o in scouts) < max(o.batches for o in looks)
    assert found.outcomes == scouts + looks
    assert abs(found.chosen - best) < 0.6


def test_scouts_that_all_diverge_are_counted_once_and_left_below() -> None:
    found = opened(hill(-3.0, cliff=-2.0), Known(None, USUAL * 10, False), total=3000, spend=0.5)
    assert any(o.role == "scout" and not o.ok for o in found.outcomes)
    assert found.opening.verdict.numbers["candidates"] == len(found.outcomes)
    assert abs(found.chosen + 3) < 0.8


@pytest.mark.parametrize("total", [8, 20, 60, 100])
@pytest.mark.parametrize("known", [adam(), STRANGE])
def test_very_short_courses_are_not_looked_at(total: int, known: Known) -> None:
    assert opened(hill(0.0), known, total=10 * (total // 10 or 1), spend=3.0).outcomes == []


# What follows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [adam(-0.5), adam(-0.2), adam(0.0)])
def test_the_own_rate_stays_where_it_is_as_good(known: Known) -> None:
    own = math.log10(known.rate / USUAL)
    found = opened(hill(own), known)
    assert found.opening.values == {"lr": known.rate}
    assert "is the optimizer's own" in worded(found.opening.verdict).reason
    assert 0 <= found.opening.verdict.numbers["better"] <= 1


@pytest.mark.parametrize("own", [0.3, 0.6])
def test_an_own_rate_that_is_best_above_the_prior_is_hardly_left(own: float) -> None:
    """The whole training's best is believed to lie a little below that of the looks."""
    assert 0 <= own - opened(hill(own), adam(own)).chosen < 0.4


@pytest.mark.parametrize("own", [-2.0, 2.0])
def test_the_own_rate_is_left_where_it_is_far_from_the_best(own: float) -> None:
    found = opened(hill(0.2), adam(own))
    assert abs(found.chosen - 0.2) < 0.5
    assert "leads furthest over the whole course" in worded(found.opening.verdict).reason
    assert found.opening.verdict.numbers["better"] > 0.75


@pytest.mark.parametrize("own", [-2.5, 2.5])
def test_an_own_rate_far_from_the_prior_is_looked_at_second_and_around_where_it_is_better(own: float) -> None:
    """As of PyTorch's word model, whose author's rate of 20 lies two decades above SGD's usual ones."""
    found = opened(hill(own), adam(own))
    first, second, *further = [u for u, _ in found.asked]
    assert (first, second) == pytest.approx((0, own), abs=0.01)
    assert further
    assert all(abs(u - own) < 1 for u in further)
    assert abs(found.chosen - own) < 0.4
    assert abs(opened(hill(own), adam(own, is_own=False)).asked[1][0] - own) > 1  # nobody's


def test_an_own_rate_near_the_prior_costs_no_look() -> None:
    assert all(abs(u - 0.8) > 0.05 for u, _ in opened(hill(0.0), adam(0.8)).asked[:3])


@pytest.mark.parametrize("own", [-1.0, 0.0, 1.0])
def test_where_all_scores_are_one_number_the_own_rate_stays(own: float) -> None:
    found = opened(lambda u: FLOOR, adam(own))
    assert found.chosen == pytest.approx(own)
    assert not any(name.endswith((" low", " high")) for name in found.opening.verdict.numbers)
    nobodys = opened(lambda u: FLOOR, adam(own, is_own=False))
    assert nobodys.chosen == pytest.approx(0, abs=0.01)


def test_looks_that_say_nothing_leave_the_prior_and_say_so() -> None:
    found = opened(lambda u: FLOOR + 1e-4 * math.sin(9 * u), adam(1.5, is_own=False), spend=2.0)
    assert found.chosen == pytest.approx(0, abs=0.01)
    reason = worded(found.opening.verdict).reason
    assert "none scores otherwise than doing nothing does" in reason
    assert "did best in other trainings of this kind" in reason
    assert max(u for u, _ in found.asked) > 2  # where nothing has learnt anything, far above


@pytest.mark.parametrize("cliff", [-0.1, -1.0])
def test_where_looks_say_nothing_but_that_they_diverged_the_choice_lies_below(cliff: float) -> None:
    def score(u: float) -> float | None:
        return None if u >= cliff else FLOOR + 1e-4 * math.sin(9 * u)

    found = opened(score, adam(1.5, is_own=False), total=3000, spend=1.0)
    assert any(seen is None for _, seen in found.asked)
    assert found.chosen < min(u for u, seen in found.asked if seen is None)


def test_the_prior_is_no_better_than_what_diverged() -> None:
    """Whoever trains in the narrow gap below a cliff."""
    found = opened(hill(-1.5, cliff=-0.5), adam(), spend=1.0, total=3000)
    assert found.chosen < -0.5
    assert abs(found.chosen + 1.5) < 0.6


def test_where_all_diverge_it_is_said() -> None:
    found = opened(lambda u: None)
    assert worded(found.opening.verdict).reason == "every candidate diverged"
    assert found.opening.verdict.numbers["failed"] == len(found.outcomes) == len(found.opening.tried) > 1
    assert found.asked[-1][0] < found.asked[0][0] - 1  # it had gone down


@pytest.mark.parametrize("own", [-2.0, 0.2])
@pytest.mark.parametrize("is_own", [True, False])
def test_without_money_the_prior_decides(own: float, is_own: bool) -> None:
    found = opened(hill(0.0), adam(own, is_own=is_own), spend=0.0)
    assert found.outcomes == []
    assert "no look at rates" in worded(found.opening.verdict).reason
    near = own if is_own and abs(own) < 0.3 else 0.0
    assert found.chosen == pytest.approx(near, abs=0.01)


# Who decides the same ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [adam(0.7), STRANGE])
@pytest.mark.parametrize("best", [-1.4, 0.1, 2.2])
def test_the_same_outcomes_are_asked_for_again_whoever_is_asked_at_once(known: Known, best: float) -> None:
    one, two, three = (opened(hill(best), known, spend=1.0, at_once=n) for n in (1, 1, 3))
    assert one.asked == two.asked
    assert one.opening == two.opening
    assert three.asked == one.asked
    assert three.opening == one.opening
    assert not one.ahead
    first = next(a for a in three.ahead if len(a.rollouts) == 3)
    looked = [o.values for o in three.outcomes if o.role == "miniature"]
    assert [r.values for r in first.rollouts] == looked[:3]


# In a run ---------------------------------------------------------------------------------------------------


class Knowing(FakeTraining):
    """A training of an optimizer that is known. u: decades from USUAL to the rate that it came with."""

    def __init__(self, known: Known, **options: Any) -> None:
        super().__init__(**({"steps": 40, "examples": 400, "validation": 60} | options))
        self._known = known

    def own(self, names: Any) -> Values:
        return {name: self._known.rate * 10 ** -float(name.partition(".")[2] or 0) for name in names}

    def known(self) -> Known:
        return self._known


class Twofold(Knowing):
    """Of two rates, which both have to be right: the second a tenth of the first."""

    def advance(self, epoch: int, values: Values, meter: Any) -> None:
        both = math.sqrt(float(values["lr.0"]) * 10 * float(values["lr.1"]))
        super().advance(epoch, {"lr": both}, meter)


class Still(Knowing):
    """Nothing that is done to it is seen."""

    def evaluate(self, meter: Any) -> Metrics:
        super().evaluate(meter)
        return {"loss": 2.0}


def run(training: FakeTraining, **options: Any) -> Tuner:
    plain: dict[str, Any] = {"epochs": 10, "budget": 1.5, "space": ["lr=1e-8:1e3:log"]}
    with Tuner(training=training, objective="log-loss", **(plain | options)) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner


def rates(tuner: Tuner, role: str, name: str = "lr") -> list[float]:
    return [float(o.values[name]) for o in tuner.result.rollouts if o.role == role]


@pytest.mark.parametrize("decades", [-1.0, 0.0, 1.0])
def test_a_run_trains_at_the_rate_that_was_found(decades: float) -> None:
    tuner = run(Knowing(adam(2.0), best_lr=USUAL * 10**decades))
    assert abs(math.log10(rates(tuner, "course")[0] / USUAL) - decades) < 0.6
    assert not rates(tuner, "scout")
    assert tuner.cost.plain_runs is not None
    assert tuner.cost.plain_runs <= 1.5 * (1 + 1e-9)
    numbers = tuner.result.verdicts[0].numbers
    assert numbers["lr low"] < USUAL * 10**decades < numbers["lr high"]


@pytest.mark.parametrize(("is_own", "own"), [(True, 0.1), (False, 1.0), (True, 3.0)])
def test_a_budget_of_one_buys_no_looks(is_own: bool, own: float) -> None:
    tuner = run(Knowing(adam(own, is_own=is_own)), budget=1)
    assert not rates(tuner, "miniature")
    assert not rates(tuner, "scout")
    near = own if is_own and own < 0.3 else 0.0
    assert math.log10(rates(tuner, "course")[0] / USUAL) == pytest.approx(near, abs=0.01)


def test_a_run_that_measures_nothing_keeps_its_own_rate() -> None:
    assert set(rates(run(Still(adam(0.8))), "course")) == {adam(0.8).rate}


def test_several_rates_keep_their_ratio() -> None:
    space = ["lr.0=1e-8:1e3:log", "lr.1=1e-9:1e2:log"]
    tuner = run(Twofold(adam(2.0), best_lr=USUAL), space=space)
    pairs = list(zip(rates(tuner, "miniature", "lr.0"), rates(tuner, "miniature", "lr.1"), strict=True))
    pairs += list(zip(rates(tuner, "course", "lr.0"), rates(tuner, "course", "lr.1"), strict=True))
    assert len({round(first, 12) for first, _ in pairs}) >= 3
    assert all(first / second == pytest.approx(10) for first, second in pairs)
    assert abs(math.log10(rates(tuner, "course", "lr.0")[0] / USUAL)) < 0.6
    numbers = tuner.result.verdicts[0].numbers
    assert numbers["lr.0 low"] / numbers["lr.1 low"] == pytest.approx(10)
    assert numbers["lr.0 low"] < USUAL < numbers["lr.0 high"]


def test_what_was_known_stands_in_the_journal(tmp_path: Path) -> None:
    known = Known("adam", USUAL * 3, False, 17.0)
    run(Knowing(known), run_dir=str(tmp_path))
    begin = replay(tmp_path).begin
    assert Known(**begin["known"]) == known
    assert begin["policy_version"] == VERSION >= 2


def test_a_run_of_a_training_that_tells_nothing_stands_there_too(tmp_path: Path) -> None:
    tuner = run(FakeTraining(steps=40, examples=400), run_dir=str(tmp_path))
    assert Known(**replay(tmp_path).begin["known"]) == Known()
    assert rates(tuner, "scout")


class TestTheContractWithAPrior(PolicyContract):
    """Interrupted in the looks and after; stopped; in an executor."""

    def make(self) -> str:
        return "lookahead"

    def training(self, **options: Any) -> FakeTraining:
        known = Known("adam", 0.02, True)
        return Knowing(known, **({"examples": 1000, "steps": 100, "validation": 30} | options))


def test_interrupted_anywhere_in_the_looks_it_goes_on(tmp_path: Path) -> None:
    """The same rates are looked at, and the same is chosen, as if nothing had happened."""

    class Left(Exception):
        pass

    whole = run(Knowing(adam(1.0), best_lr=USUAL))
    looks = rates(whole, "miniature")
    for place_ in range(1, 1 + len(looks)):
        directory = str(tmp_path / str(place_))
        with (
            pytest.raises(Left),
            Tuner(
                training=Knowing(adam(1.0), best_lr=USUAL),
                objective="log-loss",
                epochs=10,
                budget=1.5,
                space=["lr=1e-8:1e3:log"],
                run_dir=directory,
            ) as tuner,
        ):
            for one in tuner:
                one.advance()
                if one.number == place_:
                    raise Left
                one.report(**one.evaluate())
        again = run(Knowing(adam(1.0), best_lr=USUAL), run_dir=directory)
        assert rates(again, "miniature") == looks
        assert again.result.verdicts == whole.result.verdicts
        assert rates(again, "course") == rates(whole, "course")


def test_looks_are_apart() -> None:
    """No rate is looked at twice; neighbours are at most a stride and a half of decades apart, inside the space."""
    for best in (-2.0, 0.0, 2.0):
        at = sorted(u for u, _ in opened(hill(best), spend=1.5, total=3000).asked)
        assert all(0.1 < b - a < 2.5 for a, b in itertools.pairwise(at))


@pytest.mark.parametrize("decades", [-6.0, 6.0])
def test_an_own_rate_outside_of_the_space_moves_nothing(decades: float) -> None:
    """What is known before holds of rates, whatever the middle of the space is that stands for the own one; and that
    nobody chose."""
    space = [f"lr={USUAL / 10**1.5}:{USUAL * 10**2.5}:log"]
    tuner = run(Knowing(adam(decades), best_lr=USUAL), space=space)
    middle = run(Knowing(adam(0.5, is_own=False), best_lr=USUAL), space=space)
    assert rates(tuner, "miniature")[0] == pytest.approx(USUAL, rel=0.01)
    assert rates(tuner, "miniature") == pytest.approx(rates(middle, "miniature"))
    assert rates(tuner, "course") == pytest.approx(rates(middle, "course"))
    assert "own" not in tuner.result.verdicts[0].reason
