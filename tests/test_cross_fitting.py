"""Of few rows each is kept aside in turn: the parts, what is said without a row, and what is handed over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_kinds import CURVED, REPORT, STRAIGHT, T, X, a_net, split_of

from gammatune.pipeline import kept, kinds
from gammatune.pipeline.data.folds import FOLDS, folds_of
from gammatune.pipeline.data.split import Part, Split
from gammatune.pipeline.families import aside, cross_fitted, families
from gammatune.pipeline.limits import FEWER_ROUNDS, REPEATS, Limits, limits_within
from gammatune.pipeline.models.rows import Known, Rows
from gammatune.pipeline.models.trees import Bag

DEVELOPED = slice(0, 650)  # the rows that train and select


# -- the parts


@given(
    n=st.integers(2, 120),
    classes=st.integers(0, 4),
    groups=st.integers(0, 9),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 50),
)
def test_every_row_is_kept_aside_once_in_every_repetition(
    n: int, classes: int, groups: int, repeats: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n) if classes else None
    of = rng.integers(groups, size=n).astype(str) if groups else None
    folds = folds_of(labels, n, groups=of, repeats=repeats, seed=seed)
    again = folds_of(labels, n, groups=of, repeats=repeats, seed=seed)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))
    if not folds:
        few = of is not None and len(np.unique(of)) < 2
        assert few or (labels is not None and np.unique(labels, return_counts=True)[1].max() >= n - n // 2)
        return
    parts = len(folds) // repeats
    assert parts == min(FOLDS, n if of is None else len(np.unique(of)))
    for repeat in range(repeats):
        held = np.concatenate([held for _, held in folds[repeat * parts : (repeat + 1) * parts]])
        assert sorted(held) == list(range(n))
    for train, held in folds:
        assert not set(train) & set(held)
        if of is not None:
            assert not set(of[train]) & set(of[held])


def test_parts_keep_the_proportions_of_the_classes() -> None:
    labels = np.repeat([0, 1], [450, 50])
    for _, held in folds_of(labels, 500, groups=None, repeats=2, seed=0):
        assert labels[held].sum() == 10


def test_where_a_part_would_leave_one_class_or_one_group_there_are_none() -> None:
    assert folds_of(np.repeat([0, 1], [30, 1]), 31, groups=None, repeats=1, seed=0) == []
    assert folds_of(None, 31, groups=np.full(31, "a"), repeats=1, seed=0) == []


# -- what is said without a row


def test_what_is_said_of_a_row_is_the_mean_over_those_who_never_saw_it() -> None:
    folds = folds_of(None, 12, groups=None, repeats=3, seed=0)
    models = [lambda x, place=place: np.full((len(x), 1), float(place)) for place in range(len(folds))]
    found = aside(models, np.zeros((12, 2)), folds)
    for row in range(12):
        held_by = [place for place, (_, held) in enumerate(folds) if row in held]
        assert len(held_by) == 3
        assert found[row] == np.mean(held_by)


def test_rows_that_cannot_be_told_are_told_by_chance_only() -> None:
    """Twin of what a leak would give: trees that saw a row say its label."""
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(300, 4)), rng.integers(2, size=300))
    folds = folds_of(rows.y, 300, groups=None, repeats=2, seed=0)
    for family in families(60, 3):
        found = cross_fitted(family, rows, folds, Known(2))
        assert abs((found.aside.argmax(axis=1) == rows.y).mean() - 0.5) < 0.12
        assert found.whole(rows.x).shape == (300, 2)


def crossed_of(
    y: np.ndarray[Any, Any], net: kinds.Answering, metric: str = "accuracy", repeats: int = 2
) -> tuple[Split, kinds.Models]:
    split = split_of(y)
    labels = y[DEVELOPED] if y.ndim == 1 else None
    folds = folds_of(labels, 650, groups=None, repeats=repeats, seed=0)
    crossed = kinds.Crossed(folds, repeats, net(X[DEVELOPED]), 11)
    options: dict[str, Any] = {"class_weights": None, "seed": 0, "limits": Limits(), "crossed": crossed}
    return split, kinds.compare(net, split, metric=metric, **options)


def test_the_choice_goes_by_all_rows_that_do_not_report() -> None:
    split, found = crossed_of(STRAIGHT, a_net(STRAIGHT, 0.5))
    assert (found.chosen, found.examples, found.parts, found.repeats) == (kinds.LINEAR, 650, FOLDS, 2)
    said = found.in_words(split, 0)[0]
    assert said.startswith("Handed over: the linear model, ")
    assert said.endswith(
        "each of 650 examples answered by models that were fitted without it, 5 parts, 2 times over."
    )
    _, found = crossed_of(CURVED, a_net(CURVED, 0.6), "log-loss")
    assert found.chosen == kinds.TREES
    assert isinstance(found.fitted[kinds.TREES], Bag)
    noisy = np.where(np.random.default_rng(0).random(900) < 0.3, 1 - CURVED, CURVED)
    _, found = crossed_of(noisy, a_net(noisy, 0.97))
    assert found.name in ("the average of the boosted trees and 11 networks", "the average of 11 networks")


def test_a_regression_is_crossed_too(tmp_path: Path) -> None:
    _, found = crossed_of(T, lambda x: np.zeros((len(x), 1)), "rmse", repeats=1)
    assert found.chosen == kinds.TREES
    once = kinds.compare(
        lambda x: np.zeros((len(x), 1)),
        split_of(T),
        metric="rmse",
        class_weights=None,
        seed=0,
        limits=Limits(),
    )
    ways = {each.kind: each.value for each in found.kinds}, {each.kind: each.value for each in once.kinds}
    crossed, single = (way[kinds.TREES] for way in ways)
    assert crossed is not None
    assert single is not None
    assert crossed.value < 1.1 * single.value
    again = kept.kept(tmp_path, kept.keep(found.fitted, tmp_path))
    for kind, model in again.items():
        np.testing.assert_array_equal(model(X[REPORT]), found.fitted[kind](X[REPORT]))


# -- how far it is taken


def test_few_rows_are_crossed_as_far_as_the_time_goes(tmp_path: Path) -> None:
    def limits(seconds: float | None, refit: float | None, name: str, split: Split | None = None) -> Limits:
        (tmp_path / name).mkdir()
        return limits_within(seconds, split_of(CURVED) if split is None else split, tmp_path / name, 0, refit)

    assert limits(None, 1.0, "any") == Limits(FEWER_ROUNDS, repeats=REPEATS)
    assert limits(None, None, "no network") == Limits()
    assert limits(None, 1e3, "slow") == Limits()
    assert limits(1e6, 1.0, "long") == Limits(FEWER_ROUNDS, repeats=REPEATS)
    assert limits(60.0, 6.0, "enough for one").repeats == 1
    short = limits(1.0, 6.0, "short")
    assert (short.repeats, short.once_by_time) == (0, True)
    once = kinds.compare(
        a_net(CURVED, 0.6), split_of(CURVED), metric="accuracy", class_weights=None, seed=0, limits=short
    )
    assert "The time did not allow to keep every row aside in turn." in once.in_words(split_of(CURVED), 0)[0]
    assert once.in_event(None)["beside"]["once_by_time"]
    assert limits_within(1e9, split_of(CURVED), tmp_path / "short", 0, 1e-3).repeats == 0  # asked once
    assert limits(None, 1.0, "in order", replace(split_of(CURVED), in_order=True)) == Limits()
    part = split_of(CURVED).train
    many = Part(part.x.repeat(4, 1), part.y.repeat(4))
    assert limits(None, 1.0, "many", replace(split_of(CURVED), train=many)) == Limits()


def test_work_is_shared_out_among_the_parts(tmp_path: Path) -> None:
    """Of a table so wide that little could be done in each, one part is looked at better."""
    y = np.arange(900) % 100
    wide = split_of(y, np.zeros((900, 3_000), dtype=np.float32))
    found = limits_within(None, wide, tmp_path, 0, 1e-3)
    assert found.repeats == 0
    assert found.rounds > FEWER_ROUNDS / FOLDS
