"""Hints of weights, of ids that repeat, of time and of rare classes; and none on ordinary tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets as sets

from gammatune.pipeline.data.dataset import make_data
from gammatune.pipeline.data.split import split_data
from gammatune.pipeline.data.table import make_table

HINTS = ("looks like a weight", " repeats: ", "The rows follow", "Too rare")


def hints(frame: pd.DataFrame, target: str = "y", **options: Any) -> list[str]:
    return [line for line in make_table("t", frame, target, **options).said if any(h in line for h in HINTS)]


def survey(n: int = 400, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": r.integers(18, 80, n), "income": r.lognormal(8, 1, n).round()})
    frame["y"] = np.where(frame.age + r.normal(0, 20, n) > 50, "yes", "no")
    return frame


def visits(n: int = 100, each: int = 5, seed: int = 0) -> pd.DataFrame:
    """Several rows a patient, who always answers the same, for no reason that a column tells."""
    r = np.random.default_rng(seed)
    who = np.repeat(r.permutation(n) + 1000, each)
    answer = np.repeat(r.choice(["yes", "no"], n), each)
    height = np.repeat(r.normal(170, 10, n).round(1), each)
    return pd.DataFrame(
        {"patient_id": who, "height": height, "mood": r.normal(size=n * each).round(2), "y": answer}
    )


# -- weights


@pytest.mark.parametrize("name", ["pweight", "fnlwgt", "WTFINL", "survey_weight", "weight", "wt"])
def test_a_column_that_looks_like_weights_is_pointed_out(name: str) -> None:
    frame = survey()
    frame[name] = np.random.default_rng(1).lognormal(9, 0.6, len(frame)).round()
    (line,) = hints(frame)
    assert f"--sample-weight {name}" in line
    assert hints(frame, kinds={name: "number"}) == []
    assert hints(frame, kinds={name: "drop"}) == []
    assert hints(frame, sample_weight=name) == []


def test_normed_weights_are_known_by_their_mean() -> None:
    frame = survey()
    weight = np.random.default_rng(1).uniform(0.8, 1.2, len(frame))  # varies little
    assert len(hints(frame.assign(weight=weight / weight.mean()))) == 1
    assert hints(frame.assign(weight=100 * weight)) == []


def test_what_a_body_weighs_is_no_weight() -> None:
    r = np.random.default_rng(0)
    height = r.normal(170, 15, 400)
    frame = survey().assign(height=height.round(), weight=(height - 100 + r.normal(0, 10, 400)).round(1))
    assert hints(frame) == []
    rats = survey().assign(weight=r.normal(300, 30, 400).round())  # goes with nothing, and varies little
    assert hints(rats) == []
    assert hints(survey().assign(weight=r.normal(size=400))) == []  # below 0
    assert hints(survey().assign(fnlwgt="much")) == []


# -- the same people


def test_an_id_that_repeats_is_pointed_out_with_what_it_flatters() -> None:
    frame = visits()
    (line,) = hints(frame)
    assert line.startswith("patient_id repeats: 100 different ones in 500 rows")
    by_chance, by_group = (
        float(part) for part in line.split("accuracy ")[1].split(" in rows")[0].split(", but ")
    )
    assert by_chance > 0.8
    assert 0.3 < by_group < 0.7  # a coin
    assert "--group patient_id" in line
    assert hints(frame, group="patient_id") == []
    assert hints(frame, kinds={"patient_id": "category"}) == []
    numbers = frame.assign(y=np.where(frame.y == "yes", 100.0, 50.5) + frame.height)
    (line,) = hints(numbers)
    assert "R2 " in line


def test_what_changes_nothing_is_not_worth_a_word() -> None:
    frame = visits()
    frame["y"] = np.where(frame.mood > 0, "yes", "no")
    assert hints(frame) == []


@pytest.mark.parametrize(("rows", "groups"), [(100_000, 20), (12_000, 12)])
def test_of_large_groups_some_rows_each_are_looked_at(rows: int, groups: int) -> None:
    r = np.random.default_rng(0)
    store = r.permutation(np.arange(rows) % groups)
    known = r.permutation(groups)[store]
    frame = pd.DataFrame({"store": store + 100, "x": r.normal(size=rows), "size": known})
    assert hints(frame.assign(y=r.choice(["no", "yes"], rows))) == []
    (line,) = hints(frame.assign(y=np.where(r.permutation(groups)[store] % 2 == 0, "no", "yes")))
    assert line.startswith(f"store repeats: {groups} different ones in {rows:,} rows")


def test_a_target_that_does_not_vary_where_it_is_looked_at_is_no_hint() -> None:
    y = np.ones(12_000)
    y[0] = 2
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"store": np.arange(12_000) % 12 + 100, "x": r.normal(size=12_000), "y": y})
    assert hints(frame, task="regression") == []


def test_two_models_of_noise_are_not_told_apart() -> None:
    """Each is worse than the mean, and by how much says nothing."""
    found = []
    for seed in range(6):
        r = np.random.default_rng(seed)
        who = r.permutation(np.repeat(np.arange(60) + 100, 10))
        noise = pd.DataFrame({"patient_id": who, "x": r.normal(size=600), "y": r.normal(size=600)})
        found += hints(noise)
    assert found == []


def test_a_quick_look_at_what_goes_with_weights_is_at_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    ranked = pd.DataFrame.rank
    monkeypatch.setattr(pd.DataFrame, "rank", lambda self: [seen.append(len(self)), ranked(self)][1])
    frame = survey(5_000)
    frame["weight"] = np.random.default_rng(1).lognormal(9, 0.6, len(frame)).round()
    assert len(hints(frame)) == 1
    assert seen == [2_000]


@pytest.mark.parametrize(
    "values",
    [
        np.repeat(np.arange(8), 50),  # few
        np.arange(400) // 1,  # each its own
        np.where(np.arange(400) < 150, 0, np.arange(400)),  # one of them in most
        np.repeat(["spring", "summer", "autumn", "winter", "a", "b", "c", "d", "e", "f", "g"], 40)[
            :400
        ],  # words
        np.random.default_rng(0).normal(size=400),
    ],
)
def test_what_is_no_id_of_people_is_left_in_peace(values: Any) -> None:
    assert hints(survey().assign(subject=values)) == []


# -- time


def test_rows_in_order_of_time_whose_target_drifts_are_pointed_out() -> None:
    n = 400
    r = np.random.default_rng(0)
    frame = survey(n).assign(sold=pd.date_range("2020-01-01", periods=n).strftime("%Y-%m-%d"))
    assert hints(frame) == []  # no drift
    frame["y"] = np.where(r.random(n) < np.linspace(0.1, 0.9, n), "yes", "no")
    (line,) = hints(frame)
    assert "--time-column sold" in line
    assert hints(frame, time="sold") == []
    assert hints(frame.sample(frac=1, random_state=0)) == []  # the rows do not follow it
    priced = frame.assign(y=np.linspace(100, 200, n) + r.normal(0, 20, n)).drop(columns="sold")
    (line,) = hints(priced.assign(year=1600 + np.arange(n)))
    assert "its mean goes from 12" in line
    assert hints(priced.assign(height=1600 + np.arange(n))) == []


# -- rare classes


def test_classes_too_rare_for_every_part_are_named() -> None:
    frame = survey()
    frame.loc[:5, "y"] = ["once", "twice", "twice", "four", "four", "four"]
    frame.loc[6, "y"] = "four"
    (line,) = hints(frame)
    assert line.startswith("Too rare for every part to have them: four (4), once (1), twice (2).")
    data = make_data("a", np.random.default_rng(0).normal(size=(60, 2)), [0] * 30 + [1] * 28 + [2] * 2)
    assert any("have it: 2 (2)." in line for line in split_data(data, seed=0).said)


# -- ordinary tables


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "linnerud"])
def test_ordinary_tables_raise_no_hint(name: str) -> None:
    frame = getattr(sets, f"load_{name}")(as_frame=True).frame
    assert hints(frame, frame.columns[-1]) == []
