"""Several nets as one: what they say together, and that asking them leaves everything else as it was."""

import copy
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gammatune.cost import Meter
from gammatune.engine.ensemble import Ensemble, obstacle, refuse_another_kind
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import InvalidArgument, InvalidData, JournalWarning
from gammatune.supervised.reading import CLASSES
from gammatune.supervised.reading import NUMBERS as AS_NUMBERS
from gammatune.supervised.training import Supervised, WeightedCrossEntropy

CPU = torch.device("cpu")


class Says(nn.Module):
    """The same whatever it is asked."""

    def __init__(self, answer: np.ndarray[Any, Any]) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.tensor(answer))

    def forward(self, x: Tensor) -> Tensor:
        return self.answer


def ensemble_of(answers: np.ndarray[Any, Any], *, classify: bool) -> Ensemble:
    return Ensemble([Says(answer) for answer in answers], classify=classify).eval()


# What they say together -------------------------------------------------------------------------------------


def slowly_averaged(answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of (nets, n, k, ...) the averaged probabilities, one example and one place at a time."""
    nets, n, k = answers.shape[:3]
    flat = answers.astype(np.float64).reshape(nets, n, k, -1)
    found = np.zeros(flat.shape[1:])
    for i in range(n):
        for place in range(flat.shape[-1]):
            for net in range(nets):
                scores = flat[net, i, :, place]
                powers = np.exp(scores - scores.max())
                found[i, :, place] += powers / powers.sum() / nets
    return found.reshape(answers.shape[1:])


def shapes(classify: bool) -> st.SearchStrategy[tuple[int, ...]]:
    """(nets, n, k), with places behind it; of numbers (nets, n) too."""
    sides = st.integers(1, 4)
    ends = st.sampled_from([(), (2,), (2, 3)])
    least = 2 if classify else 1
    whole = st.tuples(sides, sides, st.integers(least, 5), ends).map(lambda s: (*s[:3], *s[3]))
    return whole if classify else st.one_of(whole, st.tuples(sides, sides))


def some_answers(classify: bool, dtype: type = np.float32) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    numbers = st.floats(-60, 60, width=32)
    return shapes(classify).flatmap(lambda shape: some.arrays(dtype, shape, elements=numbers))


@settings(max_examples=80)
@given(some_answers(classify=True))
def test_classes_are_averaged_as_probabilities(answers: np.ndarray[Any, Any]) -> None:
    said = ensemble_of(answers, classify=True)(torch.zeros(1)).detach()
    assert said.shape == answers.shape[1:]
    expected = slowly_averaged(answers)
    np.testing.assert_allclose(said.softmax(1).numpy(), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(said.exp().numpy(), expected, rtol=1e-4, atol=1e-6)  # they are the logarithms


@settings(max_examples=60)
@given(some_answers(classify=False))
def test_numbers_are_averaged(answers: np.ndarray[Any, Any]) -> None:
    said = ensemble_of(answers, classify=False)(torch.zeros(1)).detach().numpy()
    np.testing.assert_allclose(said, answers.astype(np.float64).mean(axis=0), rtol=1e-5, atol=1e-5)


@settings(max_examples=60)
@given(some_answers(classify=True))
def test_classes_are_apart_by_the_share_that_is_placed_otherwise(answers: np.ndarray[Any, Any]) -> None:
    spread = ensemble_of(answers, classify=True).spread(torch.zeros(1)).detach().numpy()
    each = np.stack([slowly_averaged(answer[None]) for answer in answers])
    apart = np.zeros(answers.shape[1:2] + answers.shape[3:])
    for p in each:
        apart += np.abs(p - each.mean(axis=0)).sum(axis=1) / 2 / len(each)
    np.testing.assert_allclose(spread, apart, rtol=1e-4, atol=1e-5)
    assert ((spread >= -1e-6) & (spread <= 1 + 1e-6)).all()


@settings(max_examples=60)
@given(some_answers(classify=False))
def test_numbers_are_apart_by_their_standard_deviation(answers: np.ndarray[Any, Any]) -> None:
    spread = ensemble_of(answers, classify=False).spread(torch.zeros(1)).detach().numpy()
    np.testing.assert_allclose(spread, answers.astype(np.float64).std(axis=0), rtol=1e-4, atol=1e-4)


@settings(max_examples=40)
@given(some_answers(classify=True), st.randoms(use_true_random=False), st.integers(1, 3))
def test_neither_their_order_nor_how_often_all_are_there_matters(
    answers: np.ndarray[Any, Any], rng: random.Random, times: int
) -> None:
    order = [net for net in range(len(answers)) for _ in range(times)]
    rng.shuffle(order)
    one = ensemble_of(answers, classify=True)(torch.zeros(1))
    other = ensemble_of(answers[order], classify=True)(torch.zeros(1))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_scores_however_far_apart_give_finite_logarithms() -> None:
    answers = np.array([[[1e4, -1e4, 0.0]], [[-1e4, 1e4, 0.0]]], dtype=np.float32)
    said = ensemble_of(answers, classify=True)(torch.zeros(1))
    assert bool(torch.isfinite(said).all())
    torch.testing.assert_close(said.exp(), torch.tensor([[0.5, 0.5, 0.0]]))


def test_in_double_precision_the_probabilities_add_up_to_it() -> None:
    answers = np.random.default_rng(0).normal(size=(3, 4, 5))
    said = ensemble_of(answers, classify=True)(torch.zeros(1))
    assert said.dtype == torch.float64
    torch.testing.assert_close(said.exp().sum(1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-14)


# A module like any other ------------------------------------------------------------------------------------


def new() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def pixels() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return make()


KINDS = [(new, (5,)), (pixels, (2, 4, 4))]


@pytest.mark.parametrize(("make", "shape"), KINDS, ids=["(n, k)", "(n, k, h, w)"])
def test_it_is_copied_saved_loaded_and_put_into_a_mode(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    whole = Ensemble([seeded(make, seed) for seed in range(3)], classify=True).eval()
    x = torch.randn(6, *shape)
    said = whole(x)
    assert torch.equal(copy.deepcopy(whole)(x), said)
    other = Ensemble([seeded(make, 10 + seed) for seed in range(3)], classify=True).eval()
    assert not torch.equal(other(x), said)
    other.load_state_dict(whole.state_dict())
    assert torch.equal(other(x), said)
    assert not any(module.training for module in whole.modules())
    assert all(module.training for module in whole.train().modules())
    with pytest.raises(RuntimeError, match=r"members\.2"):
        Ensemble([seeded(make, 0), seeded(make, 1)], classify=True).load_state_dict(whole.state_dict())


@pytest.mark.parametrize(("make", "shape"), KINDS, ids=["(n, k)", "(n, k, h, w)"])
def test_it_is_exported_for_any_number_of_examples(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    whole = Ensemble([seeded(make, seed) for seed in range(3)], classify=True).eval()
    x, more = torch.randn(6, *shape), torch.randn(11, *shape)
    any_number = {"args": ({0: torch.export.Dim("n")},)}
    exported = torch.export.export(whole, (x,), dynamic_shapes=any_number).module()
    for asked in (x, more):
        torch.testing.assert_close(exported(asked), whole(asked))


# The nets of a training -------------------------------------------------------------------------------------

N, KEPT = 96, 40
RNG = np.random.default_rng(0)
ROWS = torch.tensor(RNG.normal(size=(N, 5)), dtype=torch.float32)
IMAGES = torch.tensor(RNG.normal(size=(N, 2, 4, 4)), dtype=torch.float32)
LABELS = (ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2] > 0).long() + (ROWS[:, 3] > 0.5)
NUMBERS = torch.stack([ROWS[:, 0] * ROWS[:, 1], ROWS[:, 2]], dim=1)


def regressing() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2))


def two() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module] = new
    inputs: Tensor = ROWS
    targets: Tensor = LABELS
    metric: str | None = None
    weights: Tensor | None = None
    scale: Any = None
    optimizer: str = "SGD"

    @property
    def classify(self) -> bool:
        return not self.targets.is_floating_point()

    def training(self, model: nn.Module | None = None, select: Any = None, **options: Any) -> Supervised:
        model = seeded(self.make, 7) if model is None else model
        held = TensorDataset(self.inputs[KEPT:], self.targets[KEPT:])
        kept = TensorDataset(self.inputs[:KEPT], self.targets[:KEPT])
        plain = nn.functional.cross_entropy if self.classify else nn.functional.mse_loss
        weighted = plain if self.weights is None else WeightedCrossEntropy(self.weights)
        if self.optimizer == "schedule-free":
            stepper = needs.package("schedulefree").AdamWScheduleFree(model.parameters(), lr=0.01)
        else:
            stepper = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        return Supervised(
            *(model, stepper, ["lr"]),
            train=DataLoader(held, 8, shuffle=True),
            select=DataLoader(kept, 16) if select is None else select,
            loss=weighted,  # type: ignore[arg-type]
            reading=CLASSES if self.classify else AS_NUMBERS,
            device=CPU,
            select_loss=weighted if self.metric else plain,  # type: ignore[arg-type]
            metric=self.metric,
            scale=self.scale,
            **options,
        )

    @property
    def select(self) -> TensorDataset:
        return TensorDataset(self.inputs[:KEPT], self.targets[:KEPT])


def learn(training: Supervised, seed: int, epochs: int = 2) -> None:
    torch.manual_seed(seed)
    for epoch in range(epochs):
        meter = Meter()
        training.apply({"lr": 0.05}, meter)
        training.advance(epoch, {"lr": 0.05}, meter)


def train_nets(
    training: Supervised, make: Callable[[], nn.Module] | None, directory: Path | None, count: int = 3
) -> list[str | None]:
    """As many, one after the other, each heard; the checksums of their files."""
    training.several(make, directory)
    training.capture("start")
    sums = []
    for net in range(count):
        training.restore("start")
        if net:
            training.renew(0, net)
        learn(training, net)
        sums.append(training.join(net))
        training.hear(net, Meter())
    return sums


@pytest.fixture
def closed() -> Iterator[Callable[[Supervised], Supervised]]:
    """Trainings that are closed afterwards, with the nets that they kept."""
    made: list[Supervised] = []
    yield lambda training: made.append(training) or training  # type: ignore[func-returns-value]
    for training in made:
        training.close()
        training.forget_nets()


Closed = Callable[[Supervised], Supervised]

CASES = {
    "classes": Case(),
    "two, auc": Case(two, targets=(LABELS > 0).long(), metric="auc"),
    "auc": Case(metric="auc"),
    "weighted": Case(weights=torch.tensor([1.0, 3.0, 0.5])),
    "weighted, f1": Case(weights=torch.tensor([1.0, 3.0, 0.5]), metric="f1"),
    "pixels": Case(pixels, IMAGES, (IMAGES[:, 0] > 0).long() + (IMAGES[:, 1] > 0.5)),
    "numbers": Case(regressing, targets=NUMBERS),
    "numbers in their unit": Case(
        regressing, targets=NUMBERS, metric="mae", scale=(np.array([3.0, -1.0]), np.array([10.0, 0.5]))
    ),
    "schedule-free": Case(optimizer="schedule-free"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_together_they_score_what_the_ensemble_does(case: Case, closed: Closed) -> None:
    """To the bit, and to a person's own figures."""
    training = closed(case.training())
    train_nets(training, case.make, None)
    for nets in ((0,), (1,), (0, 2), (2, 0), (0, 1, 2)):
        told = training.together(nets)
        whole = training.ensemble(nets)
        assert told == closed(case.training(whole)).evaluate(Meter())
        with torch.no_grad():
            said = whole(case.inputs[:KEPT])
        if case.classify:
            right = (said.argmax(1) == case.targets[:KEPT]).float().mean()
            assert told["accuracy"] == pytest.approx(float(right))
        else:
            error = (said - case.targets[:KEPT]).square().mean()
            assert told["mse"] == pytest.approx(float(error), rel=1e-5)


def test_one_alone_scores_what_it_does_and_an_average_no_worse_than_the_mean(closed: Closed) -> None:
    """The logarithm of a mean is not below the mean of logarithms, a squared mean no more than that of squares."""
    for case in (Case(), Case(regressing, targets=NUMBERS)):
        training = closed(case.training())
        train_nets(training, case.make, None)
        alone = []
        for net in range(3):
            training.hear(net, Meter())  # leaves its weights in the model
            own = training.evaluate(Meter())
            assert training.together([net]) == pytest.approx(own)
            alone.append(own["loss"])
        assert len(set(alone)) == 3
        assert training.together([0, 1, 2])["loss"] < sum(alone) / 3


@pytest.mark.parametrize("make", [new, None], ids=["own weights", "order alone"])
def test_nets_begin_with_weights_of_their_own_where_they_can_be_made(make: Any, closed: Closed) -> None:
    training = closed(Case().training())
    training.several(make, None)
    begun = []
    for seed, net in ((0, 1), (0, 2), (1, 1), (0, 1)):
        training.renew(seed, net)
        begun.append(copy.deepcopy(training._model.state_dict()))
    same = [all(torch.equal(begun[0][name], other[name]) for name in other) for other in begun]
    assert same == ([True, False, False, True] if make else [True] * 4)
    if make is None:
        first = seeded(new, 7).state_dict()
        assert all(torch.equal(value, first[name]) for name, value in begun[0].items())


def test_whatever_a_new_model_draws_from_follows_from_the_seed(closed: Closed) -> None:
    def drawn() -> nn.Module:
        net = two()
        net[0].bias.data = torch.tensor([random.random() for _ in range(8)])  # type: ignore[union-attr]
        net[2].bias.data = torch.tensor(np.random.normal(size=2), dtype=torch.float32)  # type: ignore[union-attr]  # noqa: NPY002
        return net

    training = closed(Case(two, targets=(LABELS > 0).long()).training())
    training.several(drawn, None)
    begun = []
    for net in (1, 2, 1):
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        training.renew(0, net)
        begun.append({name: value.clone() for name, value in training._model.state_dict().items()})
    for name, value in begun[0].items():
        assert torch.equal(value, begun[2][name])
        assert not torch.equal(value, begun[1][name])


class Noisy(TensorDataset):
    """Draws from every kind of stream, one of its own among them."""

    def __init__(self, *tensors: Tensor) -> None:
        super().__init__(*tensors)
        self.own = np.random.default_rng(3)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        x, y = super().__getitem__(index)
        noise = random.random() + np.random.random() + self.own.random()  # noqa: NPY002
        return x + 0.01 * (float(torch.rand(())) + noise), y


def noisy_loader() -> DataLoader[Any]:
    case = Case()
    generator = torch.Generator().manual_seed(5)
    return DataLoader(Noisy(*case.select.tensors), 16, shuffle=True, generator=generator)


def test_random_streams_and_modes_are_where_they_were(closed: Closed, tmp_path: Path) -> None:
    loader = noisy_loader()
    training = closed(Case().training(select=loader))
    training.several(new, tmp_path)
    learn(training, 0, epochs=1)
    streams = [loader.generator, loader.dataset.own]  # type: ignore[attr-defined]
    model = training._model
    model[1].eval()  # one that is not where the others are
    modes = [module.training for module in model.modules()]
    checksum = ""

    def steps() -> Iterator[Any]:
        nonlocal checksum
        yield training.renew(0, 1)
        checksum = training.join(0) or ""
        yield checksum
        yield training.join(1)
        yield training.rejoin(0, checksum)
        yield training.hear(0, Meter())
        yield training.hear(1, Meter())
        yield training.together([0, 1])
        yield training.ensemble([0, 1])(ROWS)

    before = StreamStates(streams)  # type: ignore[arg-type]
    for _ in steps():
        assert StreamStates(streams) == before  # type: ignore[arg-type]
        assert [module.training for module in model.modules()] == modes
    assert not training.ensemble([0, 1]).training


class Failing(TensorDataset):
    broken = False

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        if self.broken and index == KEPT - 1:
            raise OSError("the file is gone")
        return super().__getitem__(index)


def test_streams_and_modes_are_put_back_where_the_data_raise(closed: Closed) -> None:
    data = Failing(*Case().select.tensors)
    training = closed(Case().training(select=DataLoader(data, 16, shuffle=True)))
    training.several(new, None)
    training.join(0)
    data.broken = True
    before, meter = StreamStates([]), Meter()
    with pytest.raises(OSError, match="gone") as caught:
        training.hear(0, meter)
    assert meter.foreign is caught.value  # no candidate's fault
    assert StreamStates([]) == before
    assert all(module.training for module in training._model.modules())
    data.broken = False
    training.hear(0, Meter())
    assert training.together([0])["loss"] > 0


def shuffling(kind: str) -> DataLoader[Any]:
    if kind == "noisy":
        return noisy_loader()
    own = torch.Generator().manual_seed(9) if kind == "a generator of its own" else None
    return DataLoader(Case().select, 16, shuffle=True, generator=own)


@pytest.mark.parametrize("kind", ["the global stream", "a generator of its own", "noisy"])
def test_a_loader_that_shuffles_is_heard_alike_by_all(kind: str, closed: Closed, tmp_path: Path) -> None:
    """In another process too, whose streams stand elsewhere: to the bit."""
    one = closed(Case().training(select=shuffling(kind)))
    sums = train_nets(one, new, tmp_path)
    told = one.together([0, 1, 2])
    torch.manual_seed(123)
    other = closed(Case().training(select=shuffling(kind)))
    other.several(new, tmp_path)
    for net in (2, 0, 1):
        assert other.rejoin(net, sums[net] or "")
        other.hear(net, Meter())
    assert other.together([0, 1, 2]) == told
    if kind != "noisy":
        ordered = closed(Case().training())
        train_nets(ordered, new, None)
        assert told == pytest.approx(ordered.together([0, 1, 2]), rel=1e-5)


class Turning(IterableDataset[Any]):
    """Begins with another example in every pass."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        Turning.passes += 1
        for i in range(KEPT):
            yield ROWS[(i + Turning.passes) % KEPT], LABELS[(i + Turning.passes) % KEPT]


class Shrinking(Turning):
    def __iter__(self) -> Iterator[Any]:
        Turning.passes += 1
        yield from ((ROWS[i], LABELS[i]) for i in range(KEPT - 16 * (Turning.passes % 2)))


@pytest.mark.parametrize("kind", [Turning, Shrinking])
def test_a_loader_that_comes_otherwise_every_time_is_said(kind: type[Turning], closed: Closed) -> None:
    training = closed(Case().training(select=DataLoader(kind(), 16)))
    train_nets(training, new, None, count=2)
    with pytest.raises(InvalidData, match="does not shuffle, or pass ensemble=False"):
        training.together([0, 1])


def test_the_examples_that_are_heard_are_counted(closed: Closed) -> None:
    training = closed(Case().training())
    training.several(new, None)
    training.join(0)
    meter = Meter()
    training.hear(0, meter)
    assert (meter.trained, meter.evaluated) == (0, KEPT)


@pytest.mark.parametrize("optimizer", ["SGD", "schedule-free"])
def test_another_process_takes_up_what_was_kept_to_the_bit(
    optimizer: str, closed: Closed, tmp_path: Path
) -> None:
    case = Case(optimizer=optimizer)
    one = closed(case.training())
    sums = train_nets(one, new, tmp_path)
    told, whole = one.together([0, 1, 2]), one.ensemble([0, 1, 2])
    other = closed(case.training(seeded(new, 99)))
    other.several(None, tmp_path)
    learn(other, 5)  # it stands elsewhere
    for net, checksum in enumerate(sums):
        assert other.rejoin(net, checksum or "")
        other.hear(net, Meter())
    assert other.together([0, 1, 2]) == told
    again = other.ensemble([0, 1, 2])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_weights_that_are_kept_are_those_that_are_meant_to_be_used(closed: Closed, tmp_path: Path) -> None:
    """Of an optimizer that steps with others than it answers with."""
    training = closed(Case(optimizer="schedule-free").training())
    train_nets(training, new, tmp_path, count=1)
    training._optimizer.eval()  # type: ignore[attr-defined]
    learn(training, 0)  # puts it into its mode for training
    stepped = copy.deepcopy(training._model.state_dict())
    training._optimizer.eval()  # type: ignore[attr-defined]
    used = copy.deepcopy(training._model.state_dict())
    training._optimizer.train()  # type: ignore[attr-defined]
    training.join(1)
    kept = torch.load(tmp_path / "net-1.pt", weights_only=True)
    assert not torch.equal(stepped["0.weight"], used["0.weight"])
    torch.testing.assert_close(kept["0.weight"], used["0.weight"])


@pytest.mark.parametrize("harm", ["gone", "cut", "turned", "another's"])
def test_a_file_that_is_damaged_is_none(harm: str, closed: Closed, tmp_path: Path) -> None:
    one = closed(Case().training())
    first, second = train_nets(one, new, tmp_path, count=2)
    path = tmp_path / "net-0.pt"
    content = path.read_bytes()
    match harm:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(content[:-1])
        case "turned":
            path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
        case _:
            shutil.copy(tmp_path / "net-1.pt", path)
    other = closed(Case().training())
    other.several(new, tmp_path)
    assert not other.rejoin(0, first or "")
    assert other.rejoin(1, second or "")


def test_where_the_disk_takes_nothing_the_nets_are_averaged_all_the_same(
    closed: Closed, tmp_path: Path
) -> None:
    training = closed(Case().training())
    with pytest.warns(JournalWarning, match=r"cannot write .*net-0\.pt .* have to train net 1 again"):
        (checksum,) = train_nets(training, new, tmp_path / "gone", count=1)
    assert checksum is None
    expected = closed(Case().training())
    train_nets(expected, new, None, count=1)
    assert training.together([0]) == expected.together([0])
    assert not (tmp_path / "gone").exists()


def test_nothing_stays_behind_where_nobody_wants_the_nets(closed: Closed) -> None:
    training = closed(Case().training())
    train_nets(training, new, None, count=2)
    places = {training.kept._scratch, training.kept._directory}
    assert len(places) == 1
    whole = training.ensemble([0, 1])
    training.forget_nets()
    assert not any(place.exists() for place in places)
    assert whole(ROWS).shape == (N, 3)


def test_the_model_stays_as_it_is(closed: Closed) -> None:
    training = closed(Case().training())
    train_nets(training, new, None)
    before = copy.deepcopy(training._model.state_dict())
    whole = training.ensemble([0, 1, 2])
    for member in whole.members:
        nn.init.zeros_(member[4].weight)  # type: ignore[index, arg-type]
    assert training._model.training
    assert all(torch.equal(value, before[name]) for name, value in training._model.state_dict().items())


# What is refused --------------------------------------------------------------------------------------------


class Holding(nn.Module):
    def __init__(self, held: Any) -> None:
        super().__init__()
        self.net, self.held = new(), held


class Telling(Holding):
    def get_extra_state(self) -> Any:
        return self.held

    def set_extra_state(self, state: Any) -> None:
        self.held = state


def test_a_model_that_cannot_be_copied_or_read_back_is_told_apart() -> None:
    import threading

    assert obstacle(new()) is None
    assert obstacle(Telling({"steps": 3, "rate": torch.ones(2)})) is None
    assert "cannot pickle" in (obstacle(Holding(threading.Lock())) or "")
    assert "Weights only load failed" in (obstacle(Telling(Case())) or "")


def test_looking_for_an_obstacle_copies_no_weights() -> None:
    model = new()
    here = [parameter.data_ptr() for parameter in model.parameters()]
    seen: list[int] = []

    class Watched(nn.Module):
        def __deepcopy__(self, memo: Any) -> "Watched":
            seen.extend(id(held) for held in memo.values() if isinstance(held, nn.Parameter))
            return self

    model.append(Watched())  # type: ignore[operator]
    assert obstacle(model) is None
    assert seen == [id(parameter) for parameter in model.parameters()]
    assert [parameter.data_ptr() for parameter in model.parameters()] == here


def with_end(end: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*[*new()][:4], end())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: 3, "gave a int"),
        (two, "1.weight is missing there and 8 in the model"),
        (with_end(lambda: nn.Linear(8, 4)), "4.weight is 4 x 8 there and 3 x 8 in the model"),
        (with_end(lambda: nn.LazyLinear(3)), "4.weight is without a shape before a batch"),
    ],
)
def test_a_function_that_makes_another_kind_of_net_is_refused(make: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        refuse_another_kind(make, new())


def test_looking_at_what_it_makes_moves_no_stream() -> None:
    model = new()
    before = StreamStates([])
    refuse_another_kind(new, model)
    assert StreamStates([]) == before
