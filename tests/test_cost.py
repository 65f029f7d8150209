"""What a run costs: counted in examples, and measured in seconds of the processor beside it."""

from pathlib import Path
from typing import Any

import pytest

from gammatune.cost import Cost, Ledger
from gammatune.journal.history import Story, replay
from gammatune.records import Outcome
from gammatune.testing.fakes import FakeExecutor, FakeTraining
from gammatune.tuning.driver import Clock
from gammatune.tuning.tuner import Tuner


def outcome(number: int, trained: int, processor: float, evaluated: int = 30) -> Outcome:
    counts = {"steps": 1, "trained": trained, "evaluated": evaluated, "seconds": 0.0, "epoch_examples": 90}
    counts |= {"batches": trained // 9, "epoch_batches": 10}
    return Outcome(number, 0, {}, "ok", {}, 0.5, **counts, processor=processor)  # type: ignore[arg-type]


def test_a_plain_run_is_measured_by_whole_epochs() -> None:
    ledger = Ledger(10)
    assert ledger.cost(1.0).processor_runs is None
    ledger.charge(outcome(0, trained=9, processor=7.0))  # a short look
    ledger.charge(outcome(1, trained=90, processor=9.0, evaluated=0))  # without its validation pass
    assert ledger.cost(16.0).plain_processor is None
    for number, processor in enumerate((1.0, 2.0, 6.0), start=2):  # the first of a process may take long
        ledger.charge(outcome(number, trained=90, processor=processor))
    cost = ledger.cost(30.0)
    assert (cost.plain_processor, cost.processor_runs) == (20.0, 1.5)


def test_it_stands_beside_the_multiple_that_is_counted() -> None:
    cost = Cost(900, 300, 2.5, 1.4333, 14.333, processor=3.0, plain_processor=2.0)
    assert str(cost).endswith("in 2.5 s, 1.50 x in processor time")


def run(directory: Path | None = None, **options: Any) -> Tuner:
    asked = {"space": ["lr=1e-4:1:log"], "epochs": 4, "budget": 3, **options}
    with Tuner(
        training=FakeTraining(), run_dir=None if directory is None else str(directory), **asked
    ) as tuner:
        for each in tuner:
            each.advance()
            each.report(**each.evaluate())
    return tuner


@pytest.mark.parametrize("executor", [False, True])
def test_it_is_journaled_and_nothing_is_decided_by_it(tmp_path: Path, executor: bool) -> None:
    options: dict[str, Any] = {"executor": FakeExecutor(FakeTraining), "at_once": 2} if executor else {}
    tuner = run(tmp_path, **options)
    story = replay(tmp_path)
    assert 0 < sum(o.processor for o in story.rollouts) <= story.spent
    assert story.end is not None
    assert story.end["plain_processor"] == tuner.cost.plain_processor
    assert tuner.cost.processor_runs
    sum(range(10**6))  # what comes after the run is no cost of it
    assert tuner.cost.processor == story.end["spent"] == story.spent
    other = run(**options)
    assert [o.values for o in other.result.rollouts] == [o.values for o in tuner.result.rollouts]


def test_what_earlier_processes_and_workers_took_belongs_to_it() -> None:
    clock = Clock(Story(spent=100.0))
    clock.start()
    assert 100 <= clock.spent < 101
    clock.spend(20.0)
    assert 120 <= clock.spent < 121
    assert clock.times()["spent"] >= 120
