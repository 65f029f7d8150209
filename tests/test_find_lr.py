"""`find_lr` names the rate that `fit` would, and leaves everything as it was."""

import itertools
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import gammatune
from gammatune.errors import AllDiverged, InvalidArgument, InvalidData

STEPS = 1000


def data(examples: int = 256) -> TensorDataset:
    x = torch.randn(examples, 8, generator=torch.Generator().manual_seed(5))
    return TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long())


def net(*, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


OPTIMIZERS: dict[str, Any] = {
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3),
    "amsgrad in two groups": lambda m: torch.optim.Adam(
        [{"params": m[0].parameters(), "lr": 1e-4}, {"params": m[4].parameters()}], lr=1e-2, amsgrad=True
    ),
    "momentum": lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9),
    "a rate that is a tensor": lambda m: torch.optim.AdamW(m.parameters(), lr=torch.tensor(1e-3)),
}


def everything(model: nn.Module, optimizer: Any, loader: Any, loss: nn.Module) -> list[Any]:
    """All that a training goes on from, by value, the next batches among it; the streams are left where they were."""
    told = [{n: t.clone() for n, t in module.state_dict().items()} for module in (model, loss)]
    told.append([None if p.grad is None else p.grad.clone() for p in model.parameters()])
    told.append([module.training for module in model.modules()])
    held = optimizer.state_dict()
    told.append([{n: torch.as_tensor(v).clone() for n, v in each.items()} for each in held["state"].values()])
    told.append([{n: v for n, v in group.items() if n != "params"} for group in held["param_groups"]])
    told += [torch.get_rng_state(), np.random.get_state()[1], random.getstate()]  # noqa: NPY002
    if loader.generator is not None:
        told.append(loader.generator.get_state())
    return told


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, (torch.Tensor, np.ndarray)):
        return bool(torch.equal(torch.as_tensor(one), torch.as_tensor(other)))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


@settings(max_examples=8, deadline=None)
@given(
    named=st.sampled_from(sorted(OPTIMIZERS)),
    has_generator=st.booleans(),
    taken=st.integers(0, 2),
    is_training=st.booleans(),
    has_validation=st.booleans(),
    steps=st.sampled_from((40, 400)),
)
def test_everything_stands_where_it_stood(
    named: str, has_generator: bool, taken: int, is_training: bool, has_validation: bool, steps: int
) -> None:
    """After steps that the user has taken, or before any; to the bit."""
    model, held = net(), data()
    optimizer, loss = OPTIMIZERS[named](model), nn.CrossEntropyLoss(torch.tensor([1.0, 2.0]))
    generator = torch.Generator().manual_seed(3) if has_generator else None
    loader = DataLoader(held, 32, shuffle=True, generator=generator)
    for x, y in list(loader)[:taken]:
        loss(model(x), y).backward()  # what was summed up stays, too
        optimizer.step()
    model.train(is_training)
    before = everything(model, optimizer, loader, loss)
    found = gammatune.find_lr(
        *(model, optimizer, loader, loss),
        steps=steps,
        val_loader=DataLoader(held, 64) if has_validation else None,
    )
    after = everything(model, optimizer, loader, loss)
    assert alike(before, after)
    assert found.band[0] < found.rate < found.band[1]
    for x, y in loader:  # no hook is left behind that would stop a step
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def test_a_sampler_that_is_told_the_epoch_and_a_scaler_are_put_back() -> None:
    held = data()
    sampler = DistributedSampler(held, num_replicas=1, rank=0, seed=1)
    sampler.set_epoch(7)
    loader = DataLoader(held, 32, sampler=sampler)
    model = net()
    counted = Counter()
    gammatune.find_lr(
        *(model, torch.optim.SGD(model.parameters(), 0.1), loader, nn.CrossEntropyLoss()),
        steps=STEPS,
        running=gammatune.Running(state=[counted]),
    )
    assert sampler.epoch == 7
    assert counted.count == 4


class Counter:
    def __init__(self) -> None:
        self.count = 4

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


@pytest.mark.parametrize(("cost", "epochs"), [(0.1, 125), (0.3, 60), (0.5, 60)])
def test_the_looks_are_those_with_which_fit_begins(cost: float, epochs: int) -> None:
    loader, select = DataLoader(data(), 32, shuffle=True), DataLoader(data(), 64)

    def optimizer(model: nn.Module) -> Any:
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    model, loss, begun = net(), nn.CrossEntropyLoss(), Begun()
    found = gammatune.find_lr(
        *(model, optimizer(model), loader, loss),
        steps=epochs * len(loader),
        cost=cost,
        val_loader=select,
        seed=2,
    )
    with pytest.raises(EnoughSeen):
        gammatune.fit(
            *(model, loader, select),
            loss_fn=loss,
            optimizer=optimizer(model),
            seed=2,
            epochs=epochs,
            budget=1 + cost,
            listeners=[begun],
            progress=False,
        )
    assert begun.looks, "some were made"
    assert [(look.rate, look.steps, look.score) for look in found.looks] == begun.looks
    assert begun.rate == found.rate
    assert found.cost <= cost


class EnoughSeen(Exception):
    """The course has begun."""


class Begun:
    """Hears the looks of a run, and the rate of its course."""

    def __init__(self) -> None:
        self.looks: list[tuple[float, int, float | None]] = []
        self.rate = 0.0

    def __call__(self, event: Any) -> None:
        if event["event"] == "rollout" and event["role"] in ("scout", "miniature"):
            self.looks.append((event["values"]["lr"], event["batches"], event["score"]))
        if event["event"] == "rollout" and event["role"] == "course":
            self.rate = event["values"]["lr"]
            raise EnoughSeen


def test_what_was_found_in_one_sentence_a_number_and_a_picture(tmp_path: Path) -> None:
    model = net()
    loader = DataLoader(data(), 32, shuffle=True)
    found = gammatune.find_lr(
        model, torch.optim.AdamW(model.parameters(), lr=1e-3), loader, nn.CrossEntropyLoss(), steps=STEPS
    )
    assert float(found) == found.rate
    assert re.fullmatch(
        r"<FoundRate: lr [\d.e-]+, the best between [\d.e-]+ and [\d.e+-]+ with 95 %, by \d looks of 80 steps, "
        r"for 0\.\d+ of a training of 1,000 steps>",
        repr(found),
    )
    assert found.cost <= 0.5
    assert [look.steps for look in found.looks] == [80] * len(found.looks)
    svg = found.plot().svg
    assert svg.count("<svg") == 1
    assert "var(--" not in svg
    found.plot().save(tmp_path / "looks.svg")
    assert (tmp_path / "looks.svg").read_text() == svg
    page = found.to_html(tmp_path / "looks.html")
    assert (tmp_path / "looks.html").read_text() == page
    assert all(f"{look.rate:.3g}" in page for look in found.looks)


def test_other_trainings_alone_tell_where_looks_do_not_pay() -> None:
    """A training of a hundred steps, and a share that pays for no look."""
    held = (np.random.default_rng(0).normal(size=(400, 8)).astype("float32"), np.arange(400) % 2)
    short = gammatune.find_lr(net(), "adamw", held, steps=90)
    cheap = gammatune.find_lr(net(), "adamw", held, steps=300, cost=0.05)
    for found in (short, cheap):
        assert not found.looks
        assert found.cost < 0.1
        assert "by other trainings alone, without a look" in repr(found)
        assert math.isclose(math.log10(found.rate), -2, abs_tol=0.7)
        assert "</svg>" in found.plot().svg


def test_inputs_in_mappings_and_numbers_as_targets() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(3, 1), nn.Linear(2, 1)

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.one(a) + self.other(b)
            return out

    generator = torch.Generator().manual_seed(0)
    batches = [
        {"a": torch.randn(16, 3, generator=generator), "b": torch.ones(16, 2), "labels": torch.zeros(16, 1)}
        for _ in range(10)
    ]
    model = Sum()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    found = gammatune.find_lr(model, optimizer, batches, nn.MSELoss(), steps=400)
    assert found.looks
    assert found.looks[0].loss is not None


class Again:
    """The same batches over and over, which do not say how many they are."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.cycle(DataLoader(data(), 32))


def test_of_a_loader_without_an_end_as_much_is_looked_at_as_the_training_sees() -> None:
    listed = asked(loader=list(itertools.islice(Again(), 400)), steps=400)
    endless = asked(loader=Again(), steps=400)
    assert [(one.rate, one.steps) for one in endless.looks] == [(one.rate, one.steps) for one in listed.looks]
    assert len(endless.looks) >= 3
    assert endless.cost == listed.cost


# -- refused


def stream_of(held: TensorDataset) -> Iterator[Any]:
    yield from DataLoader(held, 32)


def asked(**changes: Any) -> gammatune.FoundRate:
    model = changes.pop("model", net())
    optimizer = changes.pop("optimizer", None) or torch.optim.SGD(model.parameters(), lr=0.1)
    usual = {"loader": DataLoader(data(), 32), "loss": nn.CrossEntropyLoss(), "steps": STEPS}
    return gammatune.find_lr(model, optimizer, **usual | changes)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"steps": 0}, InvalidArgument, "steps=0: give a whole number of 1 or more"),
        ({"steps": 2.5}, InvalidArgument, "steps=2.5: give a whole number"),
        ({"cost": 0}, InvalidArgument, "cost=0: give a finite number above 0"),
        ({"cost": math.nan}, InvalidArgument, "cost=nan: give a finite number above 0"),
        ({"steps": 40, "cost": 1e-3}, InvalidArgument, "cost=0.001 of a training of 40 steps pays for nothing"),
        ({"loader": []}, InvalidData, "loader gave no batch"),
        ({"loader": DataLoader(data(0), 32)}, InvalidData, "loader gave no batch"),
        ({"loader": stream_of(data())}, InvalidArgument, "loader is a generator, which can be read only once"),
        ({"optimizer": "auto"}, InvalidArgument, "optimizer='auto' chooses between several"),
        ({"model": nn.Sequential(nn.LazyLinear(2)), "optimizer": "adamw"}, InvalidArgument, "without a shape yet"),
        ({"loss": lambda out, y: out.sum() * math.nan}, AllDiverged, "the gradient is not finite at the very first"),
    ],
)  # fmt: skip
def test_mistakes_are_said_in_a_sentence(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        asked(**changes)


def test_an_interrupt_in_a_look_goes_through_and_everything_is_put_back() -> None:
    model, calls = net(), []

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(output, target)

    optimizer, loader = torch.optim.AdamW(model.parameters(), lr=1e-3), DataLoader(data(), 32, shuffle=True)
    before = everything(model, optimizer, loader, nn.Identity())
    with pytest.raises(KeyboardInterrupt):
        gammatune.find_lr(model, optimizer, loader, loss, steps=STEPS)
    assert alike(before, everything(model, optimizer, loader, nn.Identity()))
