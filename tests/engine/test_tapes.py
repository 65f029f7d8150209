"""What is kept of loaders that cannot be started again: bounded, as given, and refused where it is too much."""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset

import gammatune
from gammatune.engine.recorded_loader import Tape
from gammatune.engine.weight import bytes_of
from gammatune.errors import InvalidArgument, NotRestorable

MIB = 2**20
X = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


class Source:
    """So many things that a function makes, anew in each pass."""

    def __init__(self, count: int | None, make: Callable[[], Any]) -> None:
        self.count, self.make, self.drawn = count, make, 0

    def __iter__(self) -> Iterator[Any]:
        for _ in itertools.count() if self.count is None else range(self.count):
            self.drawn += 1
            yield self.make()


class Sized(Source):
    def __len__(self) -> int:
        assert self.count is not None
        return self.count


def resident() -> int:
    """Bytes of memory that this process holds."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip(needs.UNIX)
    return int(statm.read_text().split()[1]) * 4096


def drawn(tape: Tape) -> list[Any]:
    return list(tape.play(0))


def test_the_limit_counts_the_states_of_random_streams() -> None:
    """A batch of 640 bytes whose drawing moves torch's and Python's streams: 30 KiB of states beside it."""

    def batch() -> torch.Tensor:
        random.random()
        return torch.randn(16, 10)

    source = Source(20_000, batch)
    before = resident()
    with pytest.raises(NotRestorable, match=r"batches of it, which has not come to an end, fill 8\.0 MiB"):
        drawn(Tape(source, limit=8 * MIB))
    assert resident() - before < 32 * MIB
    assert 100 < source.drawn < 400


def test_a_stream_that_does_not_move_is_held_once() -> None:
    """Torch's state is 5 KiB; Python's and NumPy's, 27 KiB more, stand still."""
    tape = Tape(Source(500, lambda: torch.randn(16, 10)))
    drawn(tape)
    (one,) = tape._passes.values()
    assert one.bytes / 500 < 9000
    held = [draw.moved for draw in one.draws]
    assert all(states is not None for states in held)
    assert bytes_of(held) < one.bytes
    assert bytes_of(held) / 500 < 7000


def test_what_is_no_tensor_counts_too() -> None:
    with pytest.raises(NotRestorable, match=r"fill 4\.\d MiB"):
        drawn(Tape(Source(100_000, lambda: ["a line of text " * 10] * 1 + [b"bytes" * 200]), limit=4 * MIB))


def test_a_view_is_kept_without_what_it_looks_at() -> None:
    tape = Tape(
        Source(20, lambda: torch.zeros(2**18)[:16]), limit=MIB
    )  # 1 MiB each, of which 64 bytes are given
    assert [batch.shape for batch in drawn(tape)] == [(16,)] * 20
    assert tape._passes[0, 0].bytes < 0.2 * MIB


def test_a_source_may_fill_the_same_buffer_again() -> None:
    buffer = torch.zeros(3)
    numbers = itertools.count()

    def filled() -> torch.Tensor:
        return buffer.fill_(next(numbers))

    tape = Tape(Source(4, filled))
    first = [float(batch[0]) for batch in tape.play(0)]
    assert first == [float(batch[0]) for batch in tape.play(0)] == [0, 1, 2, 3]


def test_an_endless_source_is_drawn_as_far_as_the_limit_and_that_is_said() -> None:
    source = Source(None, lambda: torch.zeros(1))
    with pytest.raises(NotRestorable, match="has not come to an end") as caught:
        drawn(Tape(source, limit=2 * MIB))
    assert "islice" in str(caught.value)
    assert source.drawn < 2000  # a batch of one number takes more than its four bytes


def test_an_epoch_that_does_not_end_is_told_long_before_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gammatune.engine.recorded_loader.LONG", 20)
    source = Source(None, lambda: torch.zeros(1))
    with (
        pytest.warns(
            UserWarning, match=r"\(Source\) has not ended after 20 batches; where it has no end, count in"
        ),
        pytest.raises(NotRestorable),
    ):
        Tape(source, limit=MIB).measure(0, len)
    Tape(Source(19, lambda: X)).measure(0, len)


def test_an_enormous_source_is_refused_at_its_first_batches() -> None:
    source = Sized(10**6, lambda: torch.zeros(1000))
    with pytest.raises(
        NotRestorable, match=r"first 8 batches say that all 1,000,000 of them would fill 6,\d"
    ):
        drawn(Tape(source))
    assert source.drawn == 8


class Short(IterableDataset[Any]):
    """Has more than it says."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[Any]:
        return iter([(x, y) for x, y in zip(X, Y, strict=True)])


def test_a_data_set_that_says_too_little_is_believed_what_it_gives() -> None:
    """And torch, which was not asked for its length, does not warn."""
    assert [o.trained for o in loop(DataLoader(Short(), batch_size=4)).course] == [64] * 4


def test_passes_that_are_not_kept_need_no_room() -> None:
    tape = Tape(Source(300, lambda: torch.zeros(1000)), limit=3 * MIB)
    drawn(tape)
    tape.forget_before(1)
    for _ in range(3):
        assert sum(1 for _ in tape.play(0, fresh=True)) == 300


# In a loop ------------------------------------------------------------------------------------------------


def test_another_order_leaves_the_streams_alone_whether_it_is_kept_or_not() -> None:
    """So that a course that was trained behind another, whose batches are gone, can be repeated by itself."""
    came = []
    for fresh in (False, True):
        tape = Tape(DataLoader(Drawn(), 4))  # which draws a seed where a pass begins
        torch.manual_seed(3)
        came.append([batch.tolist() for batch in tape.play(0, order=2, fresh=fresh)] + [torch.rand(1).item()])
    torch.manual_seed(3)
    assert came[0] == came[1]
    assert came[0][-1] == torch.rand(1).item()


class Drawn(IterableDataset[Any]):
    def __iter__(self) -> Iterator[torch.Tensor]:
        yield from torch.rand(20)


def loop(given: Any, *, budget: float = 1.5, epochs: int = 4, **options: Any) -> Any:
    """A loop over `given` under the default policy; its result."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    examples = options.pop("examples", None)
    with gammatune.Tuner(model=model, optimizer=optimizer, epochs=epochs, budget=budget, **options) as tuner:
        for run in tuner:
            for x, y in run.batches(given, examples=examples):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(
                **run.evaluate(lambda: {"loss": nn.functional.cross_entropy(model(X), Y), "accuracy": 0.5})
            )
    return tuner.result


def shuffled() -> Iterator[Any]:
    for places in torch.randperm(64).split(4):
        yield X[places], Y[places]


class Data:
    def batches(self) -> Iterator[Any]:
        return shuffled()


def test_a_generator_function_is_a_loader() -> None:
    result = loop(shuffled)
    assert [o.trained for o in result.course] == [64] * 4
    assert {o.epoch_batches for o in result.rollouts} == {16}


def test_so_is_a_method_that_gives_one() -> None:
    data = Data()
    calls = [data.batches, data.batches]
    assert calls[0] is not calls[1]
    assert [o.trained for o in loop(data.batches, epochs=40).course] == [64] * 40


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda size: [], r"a function with parameters, .*\(size\).*add batch_size to the space"),
        (3, r"is a int \(3\), which has no batches to go through; give a DataLoader"),
        (DataLoader, "is a DataLoader, which has no batches"),
        (lambda: 3, r"\(\), given to run.batches, is a int \(3\)"),
        (None, "NoneType"),
    ],
)
def test_what_gives_no_batches_is_refused(given: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        loop(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (shuffled, r"needs a function of the batch size that makes a loader, not shuffled\(\)"),
        ([(X, Y)], "needs a function of the batch size that makes a loader, not list"),
        (lambda size: 3, r"\(\d+\), given to run.batches, is a int"),
    ],
)
def test_where_batch_sizes_are_searched_a_factory_is_needed(given: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        loop(given, policy="greedy", budget=2, space=["batch_size=16,32"])


def test_an_endless_sampler_is_refused_before_any_training() -> None:
    data = TensorDataset(X, Y)
    endless = DataLoader(data, 32, sampler=RandomSampler(data, replacement=True, num_samples=10**10))
    with pytest.raises(InvalidArgument, match=r"has 312,500,000 batches.*num_samples"):
        loop(endless)


def test_a_forgotten_run_batches_is_said() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        pytest.raises(
            InvalidArgument, match=r"run 0 took no batch from run\.batches\(loader\).*how long an epoch"
        ),
        gammatune.Tuner(model=model, optimizer=optimizer, epochs=4) as tuner,
    ):
        for run in tuner:
            nn.functional.cross_entropy(model(X), Y).backward()
            optimizer.step()
            run.report(loss=1.0, accuracy=0.5)


def test_batches_that_count_no_example_are_said() -> None:
    with pytest.raises(InvalidArgument, match=r"examples= said 0"):
        loop([(X, Y)] * 3, examples=lambda batch: 0)


def test_a_run_over_a_generator_function_is_gone_on_with(tmp_path: Path) -> None:
    """Its passes are drawn again as they were, from the random streams as they stood."""
    expected = loop(shuffled)
    drawn = itertools.count()

    def failing() -> Iterator[Any]:
        for batch in shuffled():
            if next(drawn) == 40:
                raise RuntimeError("the source broke")
            yield batch

    failing.__qualname__ = shuffled.__qualname__  # the same function, in another process
    with pytest.raises(RuntimeError, match="the source broke"):
        loop(failing, run_dir=str(tmp_path))
    found = loop(shuffled, run_dir=str(tmp_path))
    assert [o.score for o in found.rollouts] == [o.score for o in expected.rollouts]
