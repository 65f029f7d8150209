"""The options of `Tuner` and `fit`: in records, or by name; each of them declared and explained once."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gammatune import Running, Search, Training, Tuner, fit
from gammatune.errors import InvalidArgument
from gammatune.journal.history import replay
from gammatune.supervised.arguments import FitOptions
from gammatune.testing.fakes import FakeExecutor, FakeTraining
from gammatune.tuning.options import Options, with_options

OTHERS: dict[str, Any] = {
    "policy": "greedy", "schedule": "constant", "sampler": "random", "sampler_options": {}, "objective": "loss",
    "space": ["lr=1e-3:1e-1:log"], "keep": "last", "patience": 3, "at_once": 2, "ensemble": True, "guide": 4.0,
    "facts": {"who": "I"},
}  # fmt: skip


def begun(directory: Path, **options: Any) -> dict[str, Any]:
    """What the first line of the journal says of a run with these options."""
    options = {"space": ["lr=1e-4:1:log"]} | options
    search = options.get("search")
    if search is not None and search.space is not None:
        del options["space"]
    with Tuner(training=FakeTraining(), epochs=2, budget=4.0, run_dir=str(directory), **options) as tuner:
        for run in tuner:
            run.drive()
            break
    return {name: value for name, value in replay(directory).begin.items() if name != "time"}


@pytest.mark.parametrize("name", OTHERS)
def test_an_option_is_the_same_by_name_and_in_its_record(tmp_path: Path, name: str) -> None:
    given = {name: OTHERS[name]} | ({"policy": "greedy"} if name in ("sampler", "sampler_options") else {})
    record = {"search": Search(**given)} if name != "facts" else {"running": Running(**given)}
    by_name, plain = begun(tmp_path / "1", **given), begun(tmp_path / "2")
    assert begun(tmp_path / "3", **record) == by_name
    assert by_name != plain or name == "sampler_options"


def test_an_option_by_name_goes_before_that_of_the_record(tmp_path: Path) -> None:
    both = begun(tmp_path, search=Search(keep="last", patience=7), keep="best")
    assert (both["keep"], both["patience"]) == ("best", 7)


@pytest.mark.parametrize("call", [Tuner, fit])
def test_an_option_that_is_none_is_refused_and_the_nearest_named(call: Any) -> None:
    given = {"training": FakeTraining()} if call is Tuner else {"model": nn.Linear(1, 1), "train_set": None}
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'patiense'; did you mean 'patience'\?"):
        call(**given, patiense=3)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'zzz'$"):
        call(**given, zzz=3)


def test_what_was_called_otherwise_is_still_taken() -> None:
    executor = FakeExecutor(FakeTraining)
    tuner = Tuner(training=FakeTraining(), epochs=1, budget=3.0, space=["lr=1e-4:1:log"], crew=executor)
    with tuner:
        for run in tuner:
            run.drive()
    assert executor.closed


@pytest.mark.parametrize("record", [Search, Running, Training])
def test_every_field_is_explained_where_it_stands(record: type) -> None:
    explained = (record.__doc__ or "").replace(",", ":").replace(" workers:", " workers:")
    words = {word.rstrip(":") for word in explained.split() if word.endswith(":")}
    assert {each.name for each in fields(record)} <= words


def test_what_type_checkers_know_of_is_what_the_records_have() -> None:
    def known(kind: Any) -> dict[str, Any]:
        return {name: getattr(hint, "__forward_arg__", hint) for name, hint in kind.__annotations__.items()}

    assert known(Options) == known(Search) | known(Running)
    assert known(FitOptions) == known(Options) | known(Training)


def test_a_record_is_completed_and_not_changed() -> None:
    search = Search(keep="last")
    (completed,) = with_options("f", {"patience": 2}, search)
    assert completed == replace(search, patience=2)
    assert search.patience is None


def test_what_fit_is_told_in_its_records_reaches_the_training() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(64, 3), torch.randint(2, (64,))
    batches: list[int] = []

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        batches.append(len(target))
        return nn.functional.cross_entropy(output, target)

    events: list[Any] = []
    result = fit(
        nn.Linear(3, 2), (x, y), (x, y), epochs=2, loss_fn=loss,
        training=Training(batch_size=16, lr=1e-2, device="cpu", progress=False),
        search=Search(keep="last", ensemble=False), running=Running(listeners=[events.append]),
    )  # fmt: skip
    assert 16 in batches
    begin = events[0]
    assert (begin["event"], begin["keep"]) == ("begin", "last")
    low, high = (float(part) for part in begin["space"][0].removeprefix("lr=").split(":")[:2])
    assert high / low == pytest.approx(1e3, rel=0.05)  # three decades around the rate that was given
    assert result.course


def test_fit_takes_an_executor_and_an_open_journal(tmp_path: Path) -> None:
    from gammatune.journal.writer import Journal

    x, y = torch.randn(40, 3), torch.randint(2, (40,))
    journal = Journal(tmp_path / "run")
    fit(nn.Linear(3, 2), (x, y), (x, y), epochs=1, lr=1e-2, progress=False, journal=journal)
    journal.close()
    assert replay(tmp_path / "run").end is not None


@pytest.mark.parametrize(
    ("name", "value"), [("keep", "first"), ("patience", 0), ("guide", -1.0), ("at_once", 0)]
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"{name}="):
        Search(**{name: value}).checked()
