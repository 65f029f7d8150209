"""`fit` counts in steps where a set has no end, or its end means nothing, as `Tuner` does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset

import gammatune
from gammatune.errors import AnotherRun, InvalidArgument, NotRestorable

X = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        source = torch.Generator().manual_seed(1)
        while True:
            x = torch.randn(6, generator=source)
            yield x, (x[0] > 0).long()


def fitted(train: Any = (X, Y), **options: Any) -> tuple[nn.Module, gammatune.FitResult]:
    torch.manual_seed(0)
    model = nn.Linear(6, 2)
    options = {"batch_size": None if isinstance(train, DataLoader) else 10, "check": False, **options}
    return model, gammatune.fit(model, train, (X, Y), **options)


@pytest.mark.parametrize("train", [DataLoader(Endless(), batch_size=10), Endless()], ids=["loader", "set"])
def test_a_set_without_an_end(train: Any) -> None:
    _, result = fitted(train, steps=60, every=20)
    assert [outcome.steps for outcome in result.rollouts if outcome.role == "course"] == [20, 20, 20]
    assert result.metrics["accuracy"] > 0.8


def test_a_set_without_an_end_and_epochs_is_told_of_steps() -> None:
    with pytest.raises(NotRestorable, match=r"count in steps \(steps=3000, every=250\)"):
        fitted(DataLoader(Endless(), batch_size=10), epochs=2, tape_bytes=2**18)


def test_a_run_in_steps_is_handed_back_and_no_other(tmp_path: Path) -> None:
    model, first = fitted(steps=60, every=25, run_dir=str(tmp_path / "run"))
    again, second = fitted(steps=60, every=25, run_dir=str(tmp_path / "run"))
    assert [outcome.steps for outcome in first.rollouts if outcome.role == "course"] == [25, 25, 10]
    assert [outcome.number for outcome in first.rollouts] == [outcome.number for outcome in second.rollouts]
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(AnotherRun, match="steps=60"):
        fitted(epochs=4, run_dir=str(tmp_path / "run"))


def test_several_nets_in_steps() -> None:
    _, result = fitted(steps=60, every=20, budget=4.0, ensemble=True)
    assert len(result.nets) > 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 60, "epochs": 3}, "both say how long"),
        ({"every": 20}, "goes with steps="),
        ({"steps": 0}, "steps=0"),
        ({"steps": 60, "parallel": "vmap"}, "parallel='vmap' trains epochs"),
    ],
)
def test_what_contradicts_steps_is_refused_before_training(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        fitted(**options)


class Over:
    """Batches over and over, which do not say how many they are."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            self.taken += 1
            yield X[:10], Y[:10]


@pytest.mark.parametrize("part", ["val_set", "test_set"])
@pytest.mark.parametrize(
    "options", [{"steps": 20, "every": 10}, {"epochs": 2}, {"epochs": 2, "pretrained": True}]
)
def test_what_is_scored_on_must_end(
    part: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gammatune.engine.batches.SCORED", 1000)
    endless = Over()
    sets = {"val_set": (X, Y), "test_set": (X, Y), part: endless}
    said = r"\(Over\) do not end within 100 batches, .* such as list\(itertools.islice\(loader, 100\)\)"
    with pytest.raises(InvalidArgument, match=said):
        gammatune.fit(nn.Linear(6, 2), (X, Y), check=False, **sets, **options)
    assert endless.taken < 120


def test_a_sampler_without_an_end_is_told_before_it_is_drawn_from() -> None:
    sampler = RandomSampler(range(120), replacement=True, num_samples=10**10)
    with pytest.raises(InvalidArgument, match=r"of TensorDataset, 120 in batches of 10.* 10,000,000 batches"):
        gammatune.fit(
            *(nn.Linear(6, 2), (X, Y), DataLoader(TensorDataset(X, Y), batch_size=10, sampler=sampler)),
            epochs=1,
            check=False,
        )


def test_batches_that_do_not_say_how_many_they_are_are_scored_to_their_end() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            return iter(zip(X, Y, strict=True))

    ends = [
        gammatune.fit(nn.Linear(6, 2), (X, Y), val, epochs=2, check=False).cost.evaluated
        for val in ((X, Y), DataLoader(Stream(), batch_size=7), Stream())
    ]
    assert ends[0] == ends[1] == ends[2] > 0


def test_without_a_length_neither_of_the_training_nor_of_its_data_one_is_asked_for() -> None:
    with pytest.raises(InvalidArgument, match="epochs= is missing"):
        fitted(DataLoader(Endless(), batch_size=10))
