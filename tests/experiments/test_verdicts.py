"""What the thesis's claims are judged by, the rounds of scale power, and the page that is written of them."""

import importlib
import json
import math
import sys
import types
from dataclasses import replace

import needs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammatune.cli.reproduce import folder

sys.path.insert(0, str(folder()))

import page
import reproduction
from reproduction import COSTS, POWER_SEEDS, SHARED, Asked, Report, hours, left, rounds, seeds_of
from verdicts import Claim, Effect, Paired, in_most, is_same, judged, no_worse, ordered, paired

EQUAL, UNTOLD = "no difference beyond 1 point", "cannot be told"

tests = st.builds(
    Paired,
    st.floats(-5, 5),
    st.floats(0, 1),
    st.floats(-1, 1),
    st.integers(6, 40),
    st.floats(0, 10),
    st.just(6),
)


# The fourth verdict ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "n", "same"),
    [
        (-0.9, 0.9, 6, True),
        (-1.0, 1.0, 6, True),  # on the margin is within it
        (-1.01, 0.5, 30, False),
        (0.2, 1.01, 30, False),
        (2.0, 3.0, 30, False),  # told apart, and not by less than the margin
        (-0.1, 0.1, 5, False),  # five seeds that differ tell nothing
        (None, None, 1, False),
    ],
)
def test_no_difference_is_a_whole_interval_within_the_margin(low, high, n, same):
    assert is_same(Effect(0.0, low, high, n, None, "point", n)) is same


@given(tests)
def test_a_verdict_is_told_where_its_interval_or_its_test_tells(test):
    claim = judged("", test, better="more", unit="point")
    effect = claim.effect
    assert effect.low <= effect.value <= effect.high
    if test.p < 0.05 and test.difference != 0:
        assert claim.verdict == ("holds" if test.difference > 0 else "does not hold")
    else:
        inside = effect.low >= -1 and effect.high <= 1
        assert claim.verdict == (EQUAL if inside else UNTOLD)


@given(tests)
def test_a_verdict_turns_with_its_sides(test):
    turned = replace(test, difference=-test.difference, effect=-test.effect)
    there, back = (
        judged("", test, better="more", unit="point"),
        judged("", turned, better="less", unit="point"),
    )
    assert there.verdict == back.verdict
    assert (there.effect.low, there.effect.high) == pytest.approx((-back.effect.high, -back.effect.low))


@given(tests, st.floats(1, 3))
def test_more_seeds_of_the_same_spread_never_untell_that_there_is_no_difference(test, times):
    more = replace(test, n=round(test.n * times))
    if is_same(test.told("point")):
        assert is_same(more.told("point"))
    assert more.told().seen <= test.told().seen * (1 + 1e-9)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([-0.2, 0.3, -0.4, 0.1, -0.15, 0.25, 0.35], "holds"),  # one point better it would be better
        ([-2.2, -2.3, -1.4, -1.1, -2.15, -1.25], "does not hold"),
        ([-0.2, -0.3, -0.4, -0.1, -0.15, -0.25], "holds"),  # worse, and by less than a point
        ([-6.0, 7.0, -8.0, 9.0, -4.0, 5.0], UNTOLD),
    ],
)
def test_no_worse(values, verdict):
    assert no_worse("", values, [0.0] * len(values)).verdict == verdict


def test_without_a_unit_there_is_no_margin():
    # 0.1 is all the difference between two distances that there can be: within one of what?
    test = Paired(0.01, 0.5, 0.1, 30, 0.02, 30)
    assert judged("", test, better="more").verdict == UNTOLD
    assert judged("", test, better="more", unit="evaluation").verdict == "no difference beyond 1 evaluation"


def test_the_interval_by_hand():
    effect = Paired(0.5, 0.3, 0.2, 9, 3.0, 9).told("point")
    # t of 8 degrees of freedom: .95 1.8595, .975 2.3060, .8 0.8889; the standard error is 1
    assert (effect.low, effect.high) == pytest.approx((0.5 - 1.8595, 0.5 + 1.8595), abs=1e-4)
    assert effect.seen == pytest.approx(2.3060 + 0.8889, abs=1e-4)


def test_what_could_have_been_seen_is_seen_in_four_of_five_cases():
    import numpy as np
    from scipy.stats import ttest_1samp

    seen = Paired(0.0, 1.0, 0.0, 20, 2.0, 20).told().seen
    drawn = np.random.default_rng(0).normal(seen, 2.0, (4000, 20))
    assert np.mean(ttest_1samp(drawn, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("n", [6, 12])
def test_the_share_that_could_have_been_seen_is_seen_in_four_of_five_cases(n):
    from scipy.stats import binom

    claim = in_most("", [True, False] * (n // 2), "")
    assert claim.verdict == UNTOLD
    told = [k for k in range(n + 1) if in_most("", [True] * k + [False] * (n - k), "").verdict == "holds"]
    chance = sum(binom.pmf(k, n, claim.effect.seen) for k in told)
    assert 0.8 <= chance < 0.81
    assert claim.effect.value == 0.5


def test_too_few_seeds_could_have_seen_nothing():
    assert in_most("", [True, False], "").effect.seen is None
    assert paired([1.0], [2.0]).told().low is None


# Printed orders -------------------------------------------------------------------------------------------


def test_an_order_is_judged_by_its_neighbours_each_for_itself():
    base = [50.0, 51.0, 52.0, 53.0, 54.0, 55.0]
    samples = {
        "a": [x + 9 for x in base],
        "b": base,
        "c": [x + 0.1 * (-1) ** i for i, x in enumerate(base)],
        "d": [x + 5 for x in base],
    }
    claims = ordered("printed", samples, ["a", "b", "c", "d"])
    assert [claim.text for claim in claims] == [
        "printed, a above b", "printed, b above c", "printed, c above d",
    ]  # fmt: skip
    assert [claim.verdict for claim in claims] == ["holds", EQUAL, "does not hold"]


def test_the_orders_of_a_table_leave_out_what_is_asked_anyway():
    from by_epoch import GAMMA, GAMMA_12, GAUSSIAN, GRID, claims_at

    names = [GRID.name, GAUSSIAN.name, GAMMA.name, GAMMA_12.name]
    one = {"after": {"1": {part: {"accuracy": 90.0} for part in ("select", "report")}}}
    claims = claims_at({name: [one] * 6 for name in names}, 1, dict(zip(names, (1, 2, 3, 4), strict=True)))
    texts = [claim.text.removeprefix("epoch 1: ") for claim in claims]
    assert texts == [
        "Gamma is more accurate than Gaussian",
        "kappa (12) is more accurate than (11)",
        "the order printed, Gaussian above Grid",
    ]
    assert {claim.verdict for claim in claims} == {UNTOLD}  # no seed differs


def test_mostly_equal_seeds_do_not_make_an_interval_narrow():
    test = paired([0.2, 0, 0, 0, 0, 0, 0], [0] * 7)
    assert judged("", test, better="more", unit="point").verdict == UNTOLD
    assert test.told("point").high < 1


# Scale power ----------------------------------------------------------------------------------------------


def test_seeds_by_scale():
    assert seeds_of(["table4"], "power", None) == seeds_of(["fig12"], "power", None) == 30
    assert seeds_of(["fig20"], "power", None) == seeds_of(["table7"], "power", None) == 6
    assert seeds_of(["table4"], "small", None) == 6
    assert seeds_of(["fig20"], "power", 9) == 9


def test_hours_are_those_of_the_seeds_asked_for_and_a_line_is_counted_once():
    lines = [["table4", "fig16"], ["table6"], ["fig9"]]
    found = hours(lines, None)
    assert found == {
        "table4, fig16": pytest.approx(COSTS["table4"] * 30 / 3600),
        "table6": pytest.approx(COSTS["table6"] * POWER_SEEDS["table6"] / 3600),
    }
    assert sum(hours(lines, 60).values()) > sum(found.values())
    assert set(COSTS) == {line[0] for line in SHARED}


def test_rounds_end_at_the_seeds_asked_for_and_the_short_runs_come_first(tmp_path):
    options = Asked("power", 14, out=tmp_path)
    planned = rounds(["table4", "table9", "fig16"], options)
    assert [(at.seeds, at.long_seeds, names) for names, at in planned] == [
        (6, 0, ["table4", "fig16"]), (12, 0, ["table4", "fig16"]), (14, 0, ["table4", "fig16"]),
        (14, 6, ["table4", "table9", "fig16"]), (14, 12, ["table4", "table9", "fig16"]),
        (14, 14, ["table4", "table9", "fig16"]),
    ]  # fmt: skip
    assert {at.asked for _, at in planned} == {14}
    assert [at.seeds for _, at in rounds(["table1"], options)] == [6, 12, 14]
    assert rounds(["fig12", "fig13"], options) == [(["fig12", "fig13"], options)]  # of formulas: all at once
    small = Asked("small", 14)
    assert rounds(["table4"], small) == [(["table4"], small)]


def test_a_round_that_is_done_is_not_done_again(tmp_path, monkeypatch):
    command = importlib.import_module("command")
    computed, ran = [], []

    def run(options):
        ran.append(options.seeds)
        cells = reproduction.cells_of(options, "fake")
        for seed in range(options.seeds):
            cells.get({"seed": seed}, lambda seed=seed: computed.append(seed) or seed)
        if options.seeds >= 12 and stop:
            raise KeyboardInterrupt
        claim = judged("a", Paired(0.1, 0.5, 0.1, options.seeds, 9.0, 6), better="more", unit="point")
        return Report("table1", "A title", claims=[claim])

    monkeypatch.setitem(sys.modules, "table1", types.SimpleNamespace(run=run))
    options = Asked("power", 14, out=tmp_path, cache=tmp_path / ".cache")
    stop = True
    with pytest.raises(KeyboardInterrupt):
        command._run_line(["table1"], options)
    written = json.loads((tmp_path / "table1.json").read_text())
    assert written["seeds"] == {"asked": 14, "done": 6, "long": None}
    assert written["command"] == "gammatune reproduce table1 --scale power --seeds 14"
    assert [page.n(claim) for claim in page.merged([written])] == ["6 of 14"]
    stop, ran[:] = False, []
    command._run_line(["table1"], options)
    assert ran == [12, 14]  # not from 6 on
    assert sorted(computed) == list(range(14))  # and no seed twice
    assert left(rounds(["table1"], options), tmp_path)[0][1].seeds == 14
    assert left(rounds(["table1"], Asked("power", 20, out=tmp_path)), tmp_path)[0][1].seeds == 6


def test_the_hours_are_said_before_anything_runs(tmp_path, capsys, monkeypatch):
    needs.package("matplotlib")
    command = importlib.import_module("command")
    monkeypatch.setattr(command, "_run_line", lambda names, options, shown: print("runs") or [])
    with pytest.raises(KeyError):  # nothing came of it
        command.reproduce(["table6", "table4"], ["table4", "table6"], "power", None, None, str(tmp_path))
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[-1] for line in said[:2]] == ["table4", "table6"]  # the cheaper one first
    total = sum(hours([["table4"], ["table6"]], None).values())
    assert said[2].split()[0] == f"{total:.2f}"
    assert said[3] == "runs"


def test_the_large_sets_are_larger_at_power_and_the_small_one_is_not():
    options = Asked("power")
    assert options.pick(smoke=1, small=2, full=3) == 2
    assert options.pick(smoke=1, small=2, full=3, power=4) == 4


def test_what_a_run_cost_of_which_everything_diverged_is_not_known():
    import mnist_small

    assert mnist_small.spent([{"plain_runs": 1.5}, {"plain_runs": None}, {"plain_runs": 2.5}]).mean == 2.0


# The page -------------------------------------------------------------------------------------------------


def claim_of(n, value, unit="point", verdict=UNTOLD):
    effect = Effect(value, value - 1.5, value + 1.5, n, 2.25, unit, n)
    return Claim("Gamma is better", verdict, "words", effect)


def test_a_claim_has_the_result_with_the_most_seeds():
    def result(n, command):
        return {"claims": [json.loads(json.dumps(claim_of(n, n / 10), default=vars))], "command": command}

    small, power = result(6, "small"), {**result(17, "power"), "seeds": {"asked": 30}}
    for results in ([small, power], [power, small]):
        (claim,) = page.merged(results)
        assert claim["command"] == "power"
        assert page.n(claim) == "17 of 30"
        assert page.effect(claim) == "+1.7 [+0.2, +3.2] points"
        assert page.seen(claim) == "2.25 points"
    assert page.n(page.merged([small])[0]) == "6"


def test_the_page_is_written_between_its_marks(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    assert page.main(["--check"], path) == 1
    page.main([], path)
    assert page.main(["--check"], path) == 0
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "\nold\n" not in text
    for name in page.names():  # every figure and table, each with its command
        assert f"### {name}: " in text
        assert f"`gammatune reproduce {name} --scale " in text


def test_the_committed_page_is_what_the_result_files_say():
    assert page.main(["--check"]) == 0


def test_no_number_of_a_result_is_without_a_meaning():
    for name in page.names():
        for claim in page.merged(page.results_of(name, folder() / "results")):
            told = claim.get("effect")
            assert told is None or not math.isnan(told["value"])
