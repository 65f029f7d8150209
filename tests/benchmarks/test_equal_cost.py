"""The comparison at equal cost: fair settings, honest costs, a table that counts right. Seconds, not hours."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import needs
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "equal_cost"))

import data
import outcomes
import table
import tasks
from methods import controls, ours, plain, tuned
from training import SHAPES, constant, linear, train

TINY = replace(tasks.TASKS["breast-cancer"], epochs=2)


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(outcomes, "STORE", tmp_path / "store")
    monkeypatch.setitem(tasks.TASKS, TINY.name, TINY)
    outcomes.setting_of.cache_clear()
    return tmp_path


def batches(setting, epochs=2):
    loader = setting.loader()
    return [x for _ in range(epochs) for x, _ in loader]


def test_a_seed_fixes_weights_and_order_and_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    setting = TINY.setting(3)
    first, second = batches(setting), batches(setting)
    models = [setting.model().state_dict(), TINY.setting(3).model().state_dict()]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[len(first) // 2]), "every epoch has an order of its own"
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert not torch.equal(TINY.setting(4).model()[1].weight, models[0]["1.weight"])


def test_the_parts_share_no_example():
    parts = TINY.setting(0).parts
    rows = torch.cat([x for x, _ in parts.values()])
    assert len(rows.unique(dim=0)) == len(rows)
    both = sum(len(x) for x, _ in TINY.setting(0).loader(both=True))
    assert both == sum(len(parts[name][0]) for name in ("train", "select", "second"))


def test_a_plain_run_costs_one_and_is_repeatable():
    setting = TINY.setting(0)
    trace = train(setting, 1e-2, linear)
    assert trace.cost == pytest.approx(1)
    assert len(trace.course) == TINY.epochs
    assert trace.course[-1] == trace.metrics["select"]
    assert train(setting, 1e-2, linear).metrics == trace.metrics


def test_a_diverged_run_ends_early_and_ranks_last():
    trace = train(replace(TINY, optimizer="sgd").setting(0), 1e38, constant)
    assert trace.diverged
    assert trace.score == -math.inf
    assert trace.cost < 1


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_stay_between_0_and_1_and_reach_1(shape):
    values = [SHAPES[shape]((k + 0.5) / 1000) for k in range(1000)]
    assert min(values) >= 0
    assert max(values) == pytest.approx(1, abs=0.02)


def test_recalibration_gives_the_statistics_of_the_whole_training_part():
    images = np.random.default_rng(0).random((100, 1, 8, 8)).astype(np.float32)
    pool = data.Pool(images, np.arange(100) % 10)
    setting = replace(
        tasks.TASKS["digits-cnn"],
        parts=lambda rng: tasks.split(rng, lambda: pool, 40, 20, 20),
        net=lambda: torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)),
    ).setting(0)
    model = setting.model()
    setting.recalibrate(model)
    x = setting.parts["train"][0]
    assert model[0].running_mean.item() == pytest.approx(x.mean().item(), abs=1e-6)
    assert model[0].running_var.item() == pytest.approx(x.var().item(), rel=1e-5)
    assert model[0].momentum == 0.1


def test_another_order_is_another_order_and_nothing_else():
    setting = TINY.setting(3)
    other = setting.reordered(1)
    assert setting.reordered(0) is setting
    assert other.parts is setting.parts
    assert not torch.equal(batches(setting)[0], batches(other)[0])
    assert torch.equal(batches(other)[0], batches(TINY.setting(3).reordered(1))[0])
    models = [s.model().state_dict() for s in (setting, other)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert setting.noise == 3 != other.noise


def test_images_are_flipped_and_shifted_as_a_slow_twin_does_it():
    x = torch.rand(20, 3, 6, 6)
    torch.manual_seed(1)
    fast = tasks.flipped_and_shifted(x)
    torch.manual_seed(1)
    top, left = torch.randint(0, 3, (2, 20, 1))
    flip = torch.rand(20, 1) < 0.5
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    for i in range(20):
        moved = padded[i, :, top[i] : top[i] + 6, left[i] : left[i] + 6]
        assert torch.equal(fast[i], moved.flip(2) if flip[i] else moved)


@pytest.mark.parametrize(
    "name", ["defaults", "rule-of-thumb", "longer-4-ema", "longer-4-swa", "range-test", "range-test-valley"]
)
def test_methods_without_a_search(name):
    cell = plain.METHODS[name](TINY, 0)
    times = 4 if "longer" in name else 1
    assert (cell.task, cell.method, cell.seed) == (TINY.name, name, 0)
    assert cell.cost >= times - 1e-9
    assert 0 <= cell.test <= 1


@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 1e-3), ("momentum", 0.05), ("sgd", 0.1)])
def test_the_rule_of_thumb_goes_by_the_optimizer_and_takes_half_as_many_steps_again(optimizer, lr):
    task = replace(TINY, optimizer=optimizer)
    cell = plain.METHODS["rule-of-thumb-1.5"](task, 0)
    setting = task.setting(0)
    assert cell.chosen == {"lr": lr}
    assert cell.cost == pytest.approx(1.5)
    assert cell.test == setting.error(train(setting, lr, linear, 3).metrics["test"])


def test_both_costs_what_twelve_runs_do_and_selects_nothing():
    cell = plain.METHODS["longer-12-both"](TINY, 0)
    assert cell.cost == pytest.approx(12, rel=0.05)
    assert cell.select is cell.second is None


@pytest.mark.parametrize("name", ["linear-tpe", "linear-grid", "linear-gamma"])
def test_a_search_pays_for_its_twelve_trials_and_takes_the_best_by_the_objective(name):
    needs.package("optuna")
    cell = tuned.METHODS[name](TINY, 0)
    assert cell.cost == pytest.approx(12)
    setting = outcomes.setting_of(TINY, 0)
    chosen = outcomes.trained(setting, "linear", outcomes.snapped(cell.chosen["lr"]))
    assert cell.test == setting.error(chosen.metrics["test"])
    if name == "linear-grid":
        assert chosen.score == max(outcomes.trained(setting, "linear", place).score for place in tuned.GRID)


@pytest.mark.parametrize("name", controls.METHODS)
def test_controls_take_the_grids_rate_and_cost_what_they_promise(name):
    cell = controls.METHODS[name](TINY, 0)
    factor = 2 if "x2" in name else 1
    assert cell.chosen["lr"] == pytest.approx(factor * tuned.METHODS["linear-grid"](TINY, 0).chosen["lr"])
    least, most = (11, 12) if any(k in name for k in ("average", "local", "batch")) else (1, 1.2)
    if name.endswith("-12"):
        least, most = 12, 12.2
    assert least <= cell.cost <= most
    assert 0 <= cell.test < 0.5
    assert not cell.diverged


def test_members_of_one_state_and_one_order_average_to_themselves():
    setting = TINY.setting(0)
    course = controls.Course(setting)
    course.advance(5, lambda k: 0.01)
    state = course.state()
    joined = controls.mean([state, course.state(), course.state()])
    assert joined.step == 5
    for name, tensor in state.model.items():
        torch.testing.assert_close(joined.model[name], tensor)
    for key, moments in state.optimizer["state"].items():
        torch.testing.assert_close(joined.optimizer["state"][key], moments)


def test_the_mean_is_that_of_every_number_of_the_states():
    states = [
        controls.State(
            {"w": torch.tensor([a]), "n": torch.tensor(7)}, {"state": {0: {"m": torch.tensor(b)}}}, 3
        )
        for a, b in ((1.0, 4.0), (3.0, 8.0))
    ]
    joined = controls.mean(states)
    assert joined.model["w"].item() == 2
    assert joined.model["n"].item() == 7
    assert joined.optimizer["state"][0]["m"].item() == 6


def test_a_joined_batch_is_one_of_every_order():
    setting = TINY.setting(0)
    x, y = next(controls.joined_batches(setting, 3))
    first = [next(iter(setting.reordered(order).loader()))[0] for order in range(3)]
    assert torch.equal(x, torch.cat(first))
    assert len(x) == len(y) == 3 * TINY.batch_size


def test_ours_hands_over_the_average_of_nets_and_tells_its_metrics() -> None:
    cell = ours.run(replace(TINY, epochs=4), 0, "several", budget=4, ensemble=True)
    assert cell.chosen["nets"] > 1
    assert 2 < cell.cost <= 4
    assert 1 - cell.measured["accuracy"] == pytest.approx(cell.test)


def test_runs_in_other_orders_are_told_one_by_one(monkeypatch):
    monkeypatch.setattr(ours, "ORDERS", 2)
    cell = ours.METHODS["lookahead-1.5-orders"](TINY, 0)
    assert len(cell.chosen["lr"]) == 2
    assert 0.9 < cell.cost <= 1.5, "the mean of the runs, not their sum"


def test_no_grid_point_is_better_on_test_than_the_oracles():
    oracle, grid = (tuned.METHODS[name](TINY, 0) for name in ("oracle-linear", "linear-grid"))
    assert oracle.test <= grid.test


def test_rates_are_snapped_to_the_nearest():
    assert [outcomes.snapped(lr) for lr in outcomes.LRS] == list(range(49))
    assert outcomes.snapped(1.1e-3) == outcomes.snapped(1e-3)
    assert (len(tuned.ORACLE), len(tuned.GRID)) == (25, 12)


def test_a_cell_is_computed_once_and_a_method_that_raises_is_a_failed_cell(store, monkeypatch, capsys):
    def broken(task, seed):
        raise ValueError("no such thing")

    monkeypatch.setattr(outcomes, "all_methods", lambda: plain.METHODS | {"broken": broken})
    first, fresh = outcomes.compute(TINY.name, "defaults", 0)
    again, stale = outcomes.compute(TINY.name, "defaults", 0)
    assert (fresh, stale) == (True, False)
    assert first == again
    failed, _ = outcomes.compute(TINY.name, "broken", 0)
    assert failed.diverged
    assert failed.test == 0.5, "what guessing one of two classes gives"
    assert "no such thing" in failed.note
    assert "no such thing" in capsys.readouterr().err


def cells(errors):
    """{(method, task): errors by seed} as a result file has them."""
    return {
        (task, method, seed): {
            "task": task, "method": method, "seed": seed, "test": error, "second": error, "select": error - 0.01,
            "cost": 12.0, "seconds": 1.0, "diverged": False,
        }
        for (method, task), row in errors.items()
        for seed, error in enumerate(row)
    }  # fmt: skip


def facts(*names):
    return {name: {"test": 1000, "development": False} for name in names}


def test_the_table_has_the_geometric_mean_of_ratios_and_clips_it():
    made = cells(
        {
            ("mine", "easy"): [0.01, 0.01, 0.01],
            ("other", "easy"): [0.08, 0.08, 0.08],
            ("mine", "hard"): [0.5, 0.5, 0.5],
            ("other", "hard"): [0.4, 0.4, 0.4],
        }
    )
    row = table.row(made, facts("easy", "hard"), "mine", "other", 1.2)
    assert row is not None
    assert row.ratio.value == pytest.approx(math.sqrt(1.25 / 8))
    assert row.clipped.value == pytest.approx(math.sqrt(1.25 / 2))
    assert row.words == (1, 0, 0, 1)
    assert row.worst_task[0] == "hard"
    assert row.worst_task[1].value == pytest.approx(1.25)
    assert (row.tasks, row.pairs) == (2, 6)
    assert row.optimism == pytest.approx(0.01)
    half = 12.706 * math.log(1.25 / (1 / 8)) / 2  # t with one degree of freedom
    assert math.log(row.ratio.high / row.ratio.value) == pytest.approx(half, rel=1e-4)
    assert row.ratio.value / row.ratio.low == pytest.approx(row.ratio.high / row.ratio.value)


def test_a_mean_without_an_error_counts_as_half_an_example():
    made = cells({("mine", "task"): [0.0, 0.0], ("other", "task"): [0.001, 0.003]})
    row = table.row(made, facts("task"), "mine", "other", 1.05)
    assert row is not None
    assert row.ratio.value == pytest.approx(0.0005 / 0.002)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.8, 0.99, "below"),
        (0.8, 1.0, "level"),
        (1.0, 3.0, "level"),
        (1.01, 1.09, "above"),
        (1.01, 2.0, "above"),
        (1.11, 1.2, "worse"),
        (math.nan, math.nan, ""),
    ],
)
def test_a_word_is_the_intervals(low, high, word):
    assert table.word(table.Ratio(math.sqrt(low * high), low, high), 1.1) == word


def test_a_single_seed_or_task_has_no_interval():
    alone = table.paired(cells({("m", "task"): [0.3], ("r", "task"): [0.1]}), facts("task"), "m", "r")[0]
    assert alone.ratio.value == pytest.approx(3)
    assert math.isnan(alone.ratio.low)
    row = table.row(cells({("m", "task"): [0.3], ("r", "task"): [0.1]}), facts("task"), "m", "r", 1.05)
    assert row is not None
    assert row.words == (0, 0, 0, 0)
    assert table.with_interval(row.ratio, 1.05) == "3.000"


def test_the_spread_of_rates_is_told_in_decades_over_seeds_and_over_orders():
    made = cells({("lookahead-1.5", "task"): [0.1] * 3, ("lookahead-1.5-orders", "task"): [0.1] * 2})
    for (_, method, seed), cell in made.items():
        apart = {"lr": [0.01, 0.1]} if seed else {"lr": [0.1, 0.1]}
        cell["chosen"] = apart if "orders" in method else {"lr": 10.0**-seed}
    text = "\n".join(table.spreads(made, facts("task")))
    assert "1.00 (x100.0)" in text, "0.1, 0.01 and 0.001: a decade"
    assert "0.50 (x10.0)" in text, "the mean of the variances 0 and 1/2"
    assert table.spreads(cells({("lookahead-4", "task"): []}), facts("task")) == []


def test_controls_stand_apart_and_pairs_head_to_head(monkeypatch):
    monkeypatch.setattr(table, "HEAD_TO_HEAD", (("mine", "other"), ("mine", "never run")))
    errors = {("control-x", "task"): [0.1, 0.2], ("linear-grid", "task"): [0.2, 0.4]}
    made = cells(errors | {("mine", "task"): [0.1, 0.1], ("other", "task"): [0.2, 0.2]})
    for cell in made.values():
        cell["chosen"] = {"lr": 0.1}
    results = {
        "cells": list(made.values()),
        "tasks": facts("task"),
        "machine": {"processor": "one", "python": "3", "versions": {}},
        "threads": 1,
        "commits": [],
    }
    text, rows = table.report(results, "other", 1.05)
    assert sorted(r.method for r in rows) == ["linear-grid", "mine", "other"]
    assert text.count("control-x") == 2, "its row and its errors by task"
    pair = next(line for line in text.splitlines() if line.startswith("| mine ") and "| other " in line)
    assert "task 0.500 [0.500, 0.500] below" in pair
    assert "never run" not in text


def test_a_line_joins_the_lengths_of_a_method():
    ours = {table.family(f"lookahead-{budget}") for budget in ("1.25", "1.5", "2", "4", "12")}
    assert ours == {"lookahead"}
    assert table.family("lookahead-1.5-blind") == "lookahead-blind"
    assert table.label(["lookahead-1.5", "lookahead-12"]) == "lookahead 1.5, 12"
    assert table.label(["range-test", "range-test-11"]) == "range-test / range-test-11"


def test_the_interval_of_a_task_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        reference = 0.2 + 0.02 * rng.standard_normal(5)
        mine = 0.95 * reference + 0.01 * rng.standard_normal(5)
        made = cells({("m", "task"): mine, ("r", "task"): reference})
        ratio = table.paired(made, facts("task"), "m", "r")[0].ratio
        held += ratio.low < 0.95 < ratio.high
    assert 0.92 < held / 400 < 0.98


def test_the_interval_over_tasks_holds_the_truth_about_as_often_as_it_says():
    """Of another task of the kind: the tasks' own ratios lie apart by 10 %, the seeds' noise on top."""
    rng = np.random.default_rng(0)
    names = [f"task {i}" for i in range(8)]
    held = 0
    for _ in range(200):
        made = {}
        for name in names:
            reference = 0.2 + 0.02 * rng.standard_normal(3)
            made["r", name] = reference
            made["m", name] = 0.95 * np.exp(
                0.1 * rng.standard_normal()
            ) * reference + 0.01 * rng.standard_normal(3)
        row = table.row(cells(made), facts(*names), "m", "r", 1.05)
        assert row is not None
        held += row.ratio.low < 0.95 < row.ratio.high
    assert 0.9 < held / 200 < 0.99


def test_results_are_merged_and_drawn(store, monkeypatch):
    needs.package("matplotlib")
    monkeypatch.setattr(outcomes, "all_methods", lambda: plain.METHODS)
    monkeypatch.setattr(outcomes, "TASKS", {TINY.name: TINY})
    for seed in (0, 1):
        for method in ("defaults", "range-test"):
            outcomes.compute(TINY.name, method, seed)
    out = store / "results.json"
    assert outcomes.collect(out) == outcomes.collect(out) == 4
    text, rows = table.report(json.loads(out.read_text()), "defaults", 1.05)
    assert "range-test" in text
    table.plot(rows, "defaults", store / "picture.png")
    assert (store / "picture.png").stat().st_size > 1000


def test_every_task_of_files_trains(monkeypatch, tmp_path):
    if absent := data.missing():
        pytest.skip(f"needs {', '.join(absent)} in {data.folder().name}; see benchmarks/equal_cost/data.py")
    setting = replace(tasks.TASKS["mnist-mlp"], epochs=1).setting(0)
    trace = train(setting, 1e-2, linear)
    assert setting.error(trace.metrics["test"]) < 0.6
