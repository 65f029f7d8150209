"""A loop written with Lightning Fabric, under `Tuner`: to the bit what it is alone. Skipped where it is missing."""

import random
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import needs
import pytest
import torch
from alike import same
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Sampler, TensorDataset

import gammatune
from gammatune.engine.loop import TorchLoop
from gammatune.errors import ConflictingControl
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.testing.control import control_rollouts

fabric = needs.package("lightning.fabric")

EPOCHS, RATE, BATCHES = 3, 0.05, 8
X = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear()),
    Rollout({"lr": 0.03}, 0, None, length=Length(1.4)),
]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for x, y in zip(X, Y, strict=True):
            yield x + 0.01 * torch.randn(6), y


class Told(Sampler[int]):
    """Another order in every epoch it is told of."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 60

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(60, generator=torch.Generator().manual_seed(self.epoch)).tolist())


def loader_of(name: str) -> Any:
    if name == "stream":
        return DataLoader(Stream(), batch_size=8)
    data = TensorDataset(X, Y)
    return DataLoader(data, batch_size=8, **({"sampler": Told()} if name == "told" else {"shuffle": True}))


class Loop:
    """A loop as Fabric's pages have it. every: batches a step; what is left at the end of a pass goes into the next
    one, or with `tail` makes a step."""

    def __init__(
        self,
        every: int = 1,
        clip: float = 0.0,
        precision: str = "32-true",
        loader: str = "shuffled",
        *,
        tail: bool = False,
    ) -> None:
        torch.manual_seed(3)
        random.seed(3)
        self.fabric = fabric.Fabric(accelerator="cpu", devices=1, precision=precision)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.loader = self.fabric.setup_dataloaders(loader_of(loader))
        self.validation = self.fabric.setup_dataloaders(DataLoader(TensorDataset(X, Y), batch_size=25))
        self.every, self.clip, self.tail = every, clip, tail
        self.heard: list[float] = []

    def body(self, batches: Any) -> None:
        self.model.train()
        for number, (x, y) in enumerate(batches, start=1):
            steps = number % self.every == 0 or (self.tail and number == BATCHES)
            with (
                self.fabric.no_backward_sync(self.model, enabled=not steps)
                if self.every > 1
                else nullcontext()
            ):
                loss = nn.functional.cross_entropy(self.model(x), y)
                self.fabric.backward(loss / self.every)
            if steps:
                if self.clip:
                    self.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
            self.heard.append(loss.item())

    def validate(self) -> dict[str, float]:
        said = [(self.model(x), y) for x, y in self.validation]
        output, target = (torch.cat(parts) for parts in zip(*said, strict=True))
        return {
            "accuracy": (output.argmax(1) == target).float().mean().item(),
            "loss": nn.functional.cross_entropy(output, target).item(),
        }

    def plain(self) -> list[Any]:
        for _ in range(EPOCHS):
            self.body(self.loader)
            self.model.eval()
            with torch.no_grad():
                self.validate()
        return self.evidence()

    def tuned(self, by: Sequence[Any] = (), **options: Any) -> Any:
        usual: dict[str, Any] = {"epochs": EPOCHS, "budget": 50}
        if by:
            usual |= {"policy": control_rollouts({"lr": RATE}, by), "space": ["lr=1e-4:1:log"]}
        with gammatune.Tuner(model=self.model, optimizer=self.optimizer, **(usual | options)) as tuner:
            for run in tuner:
                before = len(self.heard)
                self.body(run.batches(self.loader))
                if not run.is_course:
                    del self.heard[before:]
                run.report(**run.evaluate(self.validate))
        return tuner.result

    def evidence(self) -> list[Any]:
        return [
            dict(self.model.state_dict()),
            self.optimizer.state_dict(),
            [None if p.grad is None else p.grad.clone() for p in self.model.parameters()],
            [torch.get_rng_state(), random.getstate()],
            self.heard,
        ]


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"every": 4},
    "accumulation that goes on in the next pass": {"every": 3},
    "a step at the end of a pass": {"every": 3, "tail": True},
    "clipping": {"every": 3, "clip": 0.1},
    "bfloat16": {"precision": "bf16-mixed", "every": 3, "clip": 0.1},
    "bfloat16 weights": {"precision": "bf16-true"},
    "an order by the epoch": {"loader": "told"},
    "stream": {"loader": "stream", "every": 3},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_control_rollouts_change_nothing(name: str) -> None:
    """Weights, optimizer, gradients, random streams and every loss are those of the plain loop."""
    one, loop = Loop(**OPTIONS[name]).plain(), Loop(**OPTIONS[name])
    # what is recorded is drawn ahead for the others
    loop.tuned(DISTURBED[:2] if name in ("an order by the epoch", "stream") else DISTURBED)
    for place, (a, b) in enumerate(zip(one, loop.evidence(), strict=True)):
        assert same(a, b), place


def test_its_loader_is_no_more_recorded_than_the_bare_one() -> None:
    loop = Loop()
    engine = TorchLoop(loop.model, loop.optimizer, ["lr"])
    found = engine._loaders.loader_for(loop.loader, None)
    assert engine._loaders.is_restorable(found)
    assert engine.structure()["optimizer"] == "SGD: 1 group, 6 parameters"
    engine.close()


def test_in_steps() -> None:
    plain = Loop(every=2)

    def batches() -> Iterator[Any]:
        while True:
            yield from plain.loader

    drawn = batches()
    for steps in (4, 4, 4, 1):
        plain.body(next(drawn) for _ in range(2 * steps))
        plain.model.eval()
        with torch.no_grad():
            plain.validate()
    loop = Loop(every=2)
    policy = control_rollouts({"lr": RATE}, DISTURBED[:2])
    loop.tuned(epochs=None, steps=13, every=4, policy=policy, space=["lr=1e-4:1:log"])
    assert same(plain.evidence(), loop.evidence())


def test_several_nets_are_asked_in_its_precision() -> None:
    loop = Loop(precision="bf16-mixed")
    result = loop.tuned(epochs=4, budget=6, ensemble=True)
    assert len(result.nets) > 1
    assert "forward" not in vars(loop.model.module)


class Scaler:
    """Stands for the GradScaler of a precision plugin, which a CPU has not."""

    def __init__(self) -> None:
        self.scale = 1.0

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale = state["scale"]


def test_its_scaler_goes_back_with_a_fork() -> None:
    loop = Loop()
    scaler = loop.fabric.strategy.precision.scaler = Scaler()
    engine = TorchLoop(loop.model, loop.optimizer, ["lr"])
    engine.capture("home")
    scaler.scale = 0.5
    engine.restore("home")
    assert scaler.scale == 1.0
    engine.close()


def test_a_scheduler_on_its_optimizer_is_seen() -> None:
    loop = Loop()
    torch.optim.lr_scheduler.StepLR(loop.optimizer, 1)
    with pytest.raises(ConflictingControl, match="a learning-rate scheduler is attached"):
        loop.tuned()
