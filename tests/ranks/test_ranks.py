"""A training in several processes: they agree, none waits for one that has ended, and forks change nothing."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_cases import EPOCHS
from ranks_world import SECONDS, finish, run, said, start
from sklearn.metrics import r2_score, roc_auc_score

Found = list[dict[str, Any]]

COMMON = (
    "whole",
    "alone",
    "apart",
    "uneven",
    "cut_short",
    "reported",
    "orders",
    "spread",
    "fitted",
    "refused_early",
)
OF_TWO = (
    *("plain", "controlled", "accumulated", "refused", "ended", "lived_on", "clocked"),
    *("without_memory", "overshooting", "reference", "extended"),
)
OF_FOUR = ("plain_of_four", "controlled_of_four", "reference_of_four")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run(tmp_path_factory.mktemp("two"), [*COMMON, *OF_TWO], 2)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run(tmp_path_factory.mktemp("four"), [*COMMON, *OF_FOUR], 4)


@pytest.fixture(params=["two", "four"])
def both(request: pytest.FixtureRequest) -> Found:
    found: Found = request.getfixturevalue(request.param)
    return found


def same(one: Any, other: Any) -> bool:
    """To the bit, through containers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def told(result: Any) -> list[Any]:
    """What a run has found, without the seconds."""
    return [
        (o.values, o.status, o.score, o.metrics, o.trained, o.evaluated, o.steps) for o in result.rollouts
    ]


# Forks --------------------------------------------------------------------------------------------------------


def test_control_rollouts_change_nothing_on_any_of_two_ranks(two: Found) -> None:
    for found in two:
        assert same(found["plain"], found["controlled"]["state"])
    assert not same(two[0]["plain"]["torch"], two[1]["plain"]["torch"])  # each rank has streams of its own
    buffers = [found["plain"]["model"]["module.1.running_mean"] for found in two]
    assert not same(*buffers)  # and statistics


def test_control_rollouts_change_nothing_on_any_of_four_ranks(four: Found) -> None:
    for found in four:
        assert same(found["plain_of_four"], found["controlled_of_four"]["state"])


def test_control_rollouts_change_nothing_under_fsdp(both: Found) -> None:
    for found in both:
        assert same(found["spread"]["plain"], found["spread"]["tuned"])
        assert {outcome.trained for outcome in found["spread"]["rollouts"]} == {96}
        (heard,) = found["spread"]["heard"]
        assert "no checkpoints are written" in heard  # and that is said


def test_accumulated_gradients_are_exchanged_and_counted_as_in_a_plain_loop(two: Found) -> None:
    for found in two:
        case = found["accumulated"]
        assert same(case["plain"], case["tuned"])
        assert {(o.steps, o.batches, o.trained) for o in case["rollouts"]} == {(3, 6, 96)}


def test_the_order_of_a_sampler_belongs_to_the_epoch(both: Found) -> None:
    for found in both:
        case = found["orders"]
        for name in ("plain", "tape"):
            first, other, course, *later = case[name]
            assert [course, later[-1]] == case[f"{name} by hand"]
            assert first == course
            assert other != course  # a member of an average sees the data in another order
    rollouts = zip(*(found["orders"]["plain"] for found in both), strict=True)
    for shares in rollouts:  # which is one of all ranks together
        assert sorted(number for share in shares for number in share) == list(map(float, range(24)))


# Decisions and counts -----------------------------------------------------------------------------------------


def test_all_ranks_end_with_one_result(both: Found) -> None:
    for case in ("whole", "clocked", "reference"):
        for found in both:
            if case in found:
                assert found[case]["result"].rollouts == both[0][case]["result"].rollouts
                assert found[case]["result"].course == both[0][case]["result"].course
                weights = [
                    (name, value)
                    for name, value in found[case]["left"]["model"].items()
                    if "running" not in name
                ]
                assert all(same(value, both[0][case]["left"]["model"][name]) for name, value in weights)


def test_a_course_goes_on_at_once_or_later_and_alike_on_all_ranks(two: Found) -> None:
    for found in (each["extended"] for each in two):
        assert len(found["at once"].course) == 5
        assert told(found["later"]) == told(found["at once"]) == told(two[0]["extended"]["at once"])
        assert same(found["left later"], found["left"])
        assert same(found["left"]["optimizer"], two[0]["extended"]["left"]["optimizer"])


def test_many_processes_decide_as_one_with_their_batches_together(both: Found) -> None:
    many, one = both[0]["alone"]["many"], both[0]["alone"]["one"]
    assert len(many.rollouts) == len(one.rollouts) > 15
    for there, here in zip(many.rollouts, one.rollouts, strict=True):
        assert math.isclose(there.values["lr"], here.values["lr"], rel_tol=1e-3)
        assert math.isclose(there.score or 0.0, here.score or 0.0, rel_tol=1e-3)
        assert (there.trained, there.evaluated) == (here.trained, here.evaluated)
    assert many.cost.units == one.cost.units
    assert many.cost.plain_runs == one.cost.plain_runs


def test_an_epoch_counts_the_examples_of_all_ranks(both: Found) -> None:
    course = both[0]["whole"]["result"].course
    assert [outcome.epoch_examples for outcome in course] == [96] * EPOCHS
    assert [outcome.trained for outcome in course] == [96] * EPOCHS
    assert [outcome.evaluated for outcome in course] == [40] * EPOCHS


def test_where_one_diverges_all_stop_within_a_step(both: Found) -> None:
    for found in both:
        outcomes = found["apart"]["result"].rollouts
        assert [o.status for o in outcomes] == ["diverged", "ok", "ok"] * 2
        assert found["apart"]["steps"] == [2, 3, 3] * 2
        assert outcomes[0].evaluated == 0  # on no rank
        (heard,) = found["apart"]["heard"]  # once: nobody exchanges gradients there
        assert "each trains a model of its own" in heard
    assert "not finite" in both[0]["apart"]["result"].rollouts[0].note


def test_an_epoch_ends_with_the_shortest_and_that_is_said_once(both: Found) -> None:
    for found in both:
        assert {o.batches for o in found["uneven"]["result"].course} == {3}
        (heard,) = found["uneven"]["heard"]
        assert "DistributedSampler" in heard
    assert both[0]["uneven"]["result"].course[0].epoch_examples == 3 * 8 * len(both)


def test_the_budget_ends_a_rollout_at_one_batch_on_all(both: Found) -> None:
    for found in both:
        outcomes = found["cut_short"]["rollouts"]
        assert outcomes == both[0]["cut_short"]["rollouts"]
        assert [o.cut for o in outcomes] == [False, False, False, True]
        assert outcomes[0].trained == 6 * sum(8 - 2 * rank for rank in range(len(both)))


def test_reports_are_made_one(both: Found) -> None:
    world = len(both)
    first, second, third = both[-1]["reported"]["rollouts"]
    examples = [1 + rank for rank in range(world)]
    mean = sum(rank * count for rank, count in enumerate(examples)) / sum(examples)
    assert math.isclose(first.metrics["loss"], mean)
    assert first.evaluated == sum(examples)
    assert (second.metrics, second.evaluated) == ({"loss": 3.25}, 7)
    assert third.metrics == {"loss": 0.1, "other": sum(range(world)) / world}
    assert both[0]["reported"]["seen"] == [96] * 3


def test_a_size_that_fits_on_no_rank_is_a_candidate_that_does_not_fit(two: Found) -> None:
    outcomes = two[1]["without_memory"]["rollouts"]
    assert {o.values["batch_size"] for o in outcomes if o.status == "infeasible"} == {16}
    assert {o.values["batch_size"] for o in outcomes if o.ok} <= {4, 8}


def test_fit_shares_out_its_sets_and_speaks_of_all(both: Found) -> None:
    for found in both:
        case = found["fitted"]
        for name in ("labels", "numbers"):
            held = case[name]
            assert set(held["counted"]) == {(96, 40, 96)}
            assert held["again"] == (True, True)  # the same call goes on with what is complete
            assert same(held["weights"], both[0]["fitted"][name]["kept"])  # buffers and all, on every rank
            assert f"{len(both)} processes train the model together" in " ".join(held["said"])
            assert {"weights.pt", "predictions.npz", "journal.jsonl"} <= set(held["files"])
        told, output, targets = (case["labels"][key] for key in ("told", "output", "targets"))
        assert math.isclose(
            told["loss"], torch.nn.functional.cross_entropy(output, targets).item(), rel_tol=1e-5
        )
        assert math.isclose(told["accuracy"], (output.argmax(1) == targets).double().mean().item())
        assert math.isclose(told["auc"], roc_auc_score(targets, output.softmax(1)[:, 1]), rel_tol=1e-5)
        assert case["labels"]["report"].accuracy == told["accuracy"]
        told, output, targets = (case["numbers"][key] for key in ("told", "output", "targets"))
        assert math.isclose(told["r2"], r2_score(targets, output), rel_tol=1e-4)


# Ends ---------------------------------------------------------------------------------------------------------


def test_ranks_that_do_not_ask_alike_are_refused_on_all(two: Found) -> None:
    for found in two:
        heard = found["refused"]
        assert "rank 1 was called with epochs=3, rank 0 with epochs=2" in heard["epochs"]
        assert "seed=1" in heard["seed"]
        assert "lr=0.001:2.0:log" in heard["space"]
        assert "DistributedDataParallel" in heard["weights"]
        assert "ranks='of'" in heard["ranks"]
        assert "fine" not in heard


def test_a_rank_that_is_refused_before_the_run_says_why_and_so_do_the_others(both: Found) -> None:
    whose = [found["refused_early"]["alone"] for found in both]
    expected = {
        "lr": "InvalidArgument: lr=-1: give a finite number above 0",
        "seed": "InvalidArgument: seed=-1: give a whole number",
        "data": "InvalidData: ",
        "model": "InvalidArgument: fit wraps the model itself",
        "keep": "InvalidArgument: keep='?': write 'best' or 'last'",
    }
    for name, reason in expected.items():
        assert whose[1][name].startswith(reason)
        for heard in (*whose[:1], *whose[2:]):
            assert heard[name].startswith(f"RankFailed: rank 1 of {len(both)} has ended with {reason}")
    for found in both:  # no rank waits for those that have heard of it, and live on
        assert found["refused_early"]["seconds"] < SECONDS


def test_where_all_ranks_are_refused_each_says_why(both: Found) -> None:
    for found in both:
        (heard,) = found["refused_early"]["all"]
        assert heard.startswith("InvalidArgument: fit wraps the model itself")
        assert "as it was before" in heard


def test_ends_that_all_take_together(two: Found) -> None:
    for found in two:
        assert found["ended"]["diverged"] == "AllDiverged"
        assert found["ended"]["silent"] == "MissingReport"
        assert found["ended"]["stopped"] < 20
        assert found["ended"]["broken"][0]
    assert two[0]["ended"] == two[1]["ended"]


def test_nobody_waits_for_a_rank_whose_error_is_caught(two: Found) -> None:
    assert two[0]["lived_on"] == "ValueError: caught"
    assert two[1]["lived_on"] == "RankFailed: rank 0 of 2 has ended with ValueError: caught"


def test_a_rank_that_raises_and_one_that_is_killed_end_the_run_and_it_goes_on_to_the_bit(
    two: Found, tmp_path: Path
) -> None:
    assert finish(start(tmp_path, ["raising"], 2)) == [1, 1]
    other, own = said(tmp_path, 2)
    assert (
        "RankFailed: rank 1 of 2 has ended with ValueError: there is a flaw in the data of this rank" in other
    )
    assert "goes on with it" in other
    assert "RankFailed" not in own  # it raises what was raised
    assert last(tmp_path / "run")["how"] == "failed: RankFailed"

    assert finish(start(tmp_path, ["killed"], 2)) == [1, -9]
    assert "RankFailed: rank 1 of 2 has ended, or does not answer" in said(tmp_path, 2)[0]

    again = run(tmp_path, ["kept"], 2)
    for found, undisturbed in zip(again, two, strict=True):
        assert same(found["kept"]["left"], undisturbed["reference"]["left"])
        assert told(found["kept"]["result"]) == told(undisturbed["reference"]["result"])
        assert len(found["kept"]["fresh"]) < len(undisturbed["reference"]["fresh"])
    assert last(tmp_path / "run")["how"] == "complete"


def test_where_one_of_four_ranks_raises_three_say_which_and_the_run_goes_on(
    four: Found, tmp_path: Path
) -> None:
    assert finish(start(tmp_path, ["raising_of_four"], 4)) == [1] * 4
    for rank, heard in enumerate(said(tmp_path, 4)):
        assert ("RankFailed: rank 1 of 4 has ended with ValueError" in heard) == (rank != 1)
    for found, undisturbed in zip(run(tmp_path, ["kept_of_four"], 4), four, strict=True):
        assert same(found["kept_of_four"]["left"], undisturbed["reference_of_four"]["left"])
        assert told(found["kept_of_four"]["result"]) == told(undisturbed["reference_of_four"]["result"])
        assert len(found["kept_of_four"]["fresh"]) < len(undisturbed["reference_of_four"]["fresh"])


def test_a_rank_that_leaves_the_loop_alone_is_named(tmp_path: Path) -> None:
    assert finish(start(tmp_path, ["breaking"], 2)) == [1, 1]
    for heard in said(tmp_path, 2):
        assert "not in step: rank 0 begins to pass over a loader, rank 1 leaves the loop" in heard


def test_a_candidate_that_raises_has_diverged_on_all_ranks(two: Found) -> None:
    first, second = (found["overshooting"]["rollouts"] for found in two)
    assert [replace(o, seconds=0.0) for o in first] == [replace(o, seconds=0.0) for o in second]
    assert {o.values["lr"]: o.note for o in first if not o.ok} == {
        0.3: "ArithmeticError: in scoring",
        3: "ValueError: everywhere",
    }
    assert two[0]["overshooting"]["starts"] == two[1]["overshooting"]["starts"]


def test_a_rank_that_raises_alone_in_a_step_ends_the_run(tmp_path: Path) -> None:
    assert finish(start(tmp_path, ["raising_alone"], 2)) == [1, 1]
    other, own = said(tmp_path, 2)
    assert "RankFailed: rank 1 of 2 has ended with ValueError: alone" in other
    assert "It was raised on this rank alone" in own


def test_a_size_that_does_not_fit_on_one_rank_ends_the_run_and_is_not_tried_again(tmp_path: Path) -> None:
    assert finish(start(tmp_path, ["crowded"], 2)) == [1, 1]
    other, own = said(tmp_path, 2)
    assert "RankFailed: rank 1 of 2 has ended with OutOfMemoryError" in other
    assert "the same call goes on without it" in own
    *_, outcome, end = events(tmp_path / "crowded")
    assert (outcome["status"], end["how"]) == ("infeasible", "failed: RankFailed")
    outcomes = run(tmp_path, ["crowded"], 2)[0]["crowded"]["rollouts"]
    assert [o.values["batch_size"] for o in outcomes if o.status == "infeasible"] == [16]


def events(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]


def last(directory: Path) -> dict[str, Any]:
    return events(directory)[-1]
