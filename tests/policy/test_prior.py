"""What is believed before any look: a place for every optimizer that is known, by rate and by fan-in."""

import math
import tomllib
from pathlib import Path
from typing import get_args

import needs
import pytest

import gammatune
from gammatune.policy import prior
from gammatune.policy.opening import WIDE
from gammatune.records import Family, Known

FAMILIES = get_args(Family)
TOLD = {"prodigy", "schedulefree"}  # by their authors; the others are fitted
MANY = 5000  # batches


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_place(family: Family) -> None:
    """Within reach of any rate that is used with it."""
    at = prior.place(Known(family, 1.0, True, 30.0), MANY)
    assert -6 < at.mean < 2
    assert 0.1 < at.sd < 1.5


def test_the_table_holds_families_and_nothing_else() -> None:
    assert set(prior.learned()["places"]) == set(FAMILIES) - TOLD
    assert set(prior.learned()["fan_in"]["families"]) <= set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rate", [1e-7, 0.02, 300.0])
def test_a_place_is_told_from_the_own_rate(family: Family, rate: float) -> None:
    """The rate it stands for is one and the same, whatever rate the optimizer came with, and whoever chose that."""
    at, one = (
        prior.place(Known(family, rate, False, 30.0), MANY),
        prior.place(Known(family, 1.0, True, 30.0), MANY),
    )
    assert at.mean + math.log10(rate) == pytest.approx(one.mean)
    assert at.sd == one.sd


@pytest.mark.parametrize("family", FAMILIES)
def test_wider_layers_want_smaller_steps_where_steps_do_not_shrink_with_the_gradient(family: Family) -> None:
    narrow, wide = (prior.place(Known(family, 1.0, True, fan_in), MANY).mean for fan_in in (10.0, 1000.0))
    if family in ("adam", "rmsprop", "muon", "schedulefree"):
        assert -3 < wide - narrow < -0.3  # over two decades
    else:
        assert wide == narrow


@pytest.mark.parametrize("family", FAMILIES)
def test_a_very_short_training_wants_larger_steps(family: Family) -> None:
    places = [prior.place(Known(family, 1.0), total).mean for total in (0, 1, 10, 50, 100, 1000, MANY)]
    assert places == sorted(places, reverse=True)
    if family == "prodigy":  # which finds them by itself
        assert len(set(places)) == 1
        return
    assert 0 < places[2] - places[4] < 1.5  # over a decade
    assert (places[-1] < places[-2]) is (family in prior.learned()["longer"]["families"])


def test_the_longer_a_training_with_muon_the_lower_its_rate() -> None:
    """A step of it is as long at any gradient: so it is of looks, of places, of what is made longer."""
    slope = prior.learned()["longer"]["families"]["muon"]["slope"]
    assert -1 < slope < -0.3
    known = Known("muon", 1.0, True, 30.0)
    assert prior.place(known, 10 * MANY).mean - prior.place(known, MANY).mean == pytest.approx(slope)
    assert prior.drift(5.0, "muon").mean - prior.drift(50.0, "muon").mean == pytest.approx(slope)
    assert prior.longer(10, MANY, "muon").mean == pytest.approx(slope)
    for family in set(FAMILIES) - {"muon"}:
        assert prior.drift(5.0, family) == prior.drift(50.0, family) == prior.drift(5.0)
        assert prior.longer(10, MANY, family) == prior.longer(10, MANY)


@pytest.mark.parametrize("fan_in", [2.0, 40.0, 3000.0])
def test_what_their_authors_say_of_two_families(fan_in: float) -> None:
    """Prodigy's rate is 1; that of Schedule-Free's AdamW lies one to ten times above AdamW's. No scout is needed."""
    prodigy = prior.place(Known("prodigy", 1.0, False, fan_in), MANY)
    assert prodigy.mean == 0
    free, adam = (prior.place(Known(f, 0.01, False, fan_in), MANY) for f in ("schedulefree", "adam"))
    assert 0 < free.mean - adam.mean < 1
    assert prodigy.sd < adam.sd < free.sd < WIDE


@pytest.mark.parametrize("known", [Known(None, 0.1), Known("adam", 0.0), Known()])
def test_where_nothing_is_known_the_own_rate_is_the_middle(known: Known) -> None:
    at = prior.place(known, MANY)
    assert at.mean == 0
    assert at.sd > prior.place(Known("adam", 0.1), MANY).sd
    nobodys = prior.place(Known(known.family, known.rate, False), MANY)
    assert nobodys.mean == 0
    assert nobodys.sd > at.sd


def test_a_look_that_is_as_long_as_the_whole_drifts_nowhere() -> None:
    assert prior.drift(1.0).mean == prior.drift(1.0).sd == 0
    assert abs(prior.drift(8.0).mean) < 1
    assert 0 < prior.drift(8.0).sd < 1


def test_the_hill_is_a_hill() -> None:
    hill = prior.hill()
    assert 0.1 < hill.right <= hill.left < 3  # it falls off faster towards high rates
    assert 0 < hill.width_spread < 1.5


def test_the_shipped_table_is_small_and_said_to_be_made() -> None:
    path = Path(prior.__file__).with_name("prior.json")
    assert path.stat().st_size < 100_000
    assert (needs.ROOT / prior.learned()["made_by"]).is_file()


def test_whatever_is_no_source_is_shipped_too() -> None:
    """A wheel holds of other files those that pyproject.toml names."""
    package = Path(gammatune.__file__).parent
    named = tomllib.loads((needs.ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in named["gammatune"] for path in package.glob(pattern)}
    others = {p for p in package.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert others
    assert others <= shipped
