"""A loop written with accelerate, under `Tuner`: to the bit what it is alone. Skipped where it is not installed."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import needs
import numpy as np
import pytest
import torch
from alike import same
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import gammatune
from gammatune.errors import ConflictingControl, InvalidArgument, NotRestorable
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.testing.control import control_rollouts

accelerate = needs.package("accelerate")

EPOCHS, RATE = 3, 0.05
X = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear()),
    Rollout({"lr": 0.03}, 0, None, length=Length(1.4)),
]


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    """What accelerate shares between all that it has made, made anew."""
    forget()
    yield
    forget()


def forget() -> None:
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


class Stream(IterableDataset[Any]):
    """Tells which pass it is by noise in its numbers."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        for x, y in zip(X, Y, strict=True):
            yield x + 0.1 * self.epoch + 0.01 * torch.randn(6), y


LOADERS: dict[str, Callable[[], Any]] = {
    "shuffled": lambda: DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True),
    "own generator": lambda: DataLoader(
        TensorDataset(X, Y), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(7)
    ),
    "stream": lambda: DataLoader(Stream(), batch_size=8),
}


class Loop:
    """A loop as accelerate's pages have it. every: batches a step, of 8 in a pass. by_hand: without `accumulate`."""

    def __init__(
        self,
        loader: str = "shuffled",
        every: int = 1,
        clip: float = 0.0,
        precision: str = "no",
        *,
        seeded: bool = False,
        scheduled: bool = False,
        passes: int = 1,
    ) -> None:
        forget()
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        self.accelerator = accelerate.Accelerator(
            cpu=True,
            gradient_accumulation_steps=every,
            mixed_precision=precision,
            dataloader_config=accelerate.DataLoaderConfiguration(use_seedable_sampler=seeded),
        )
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5) if scheduled else None
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            model, optimizer, LOADERS[loader]()
        )
        self.scheduler = None if scheduler is None else self.accelerator.prepare(scheduler)
        self.validation = self.accelerator.prepare(DataLoader(TensorDataset(X, Y), batch_size=25))
        self.clip, self.passes = clip, passes
        self.heard: list[Any] = []

    def body(self, batches: Any) -> None:
        accelerator, model, optimizer = self.accelerator, self.model, self.optimizer
        model.train()
        for x, y in batches:
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(x), y)
                accelerator.backward(loss)
                if self.clip and accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), self.clip)
                optimizer.step()
                if self.scheduler is not None:
                    self.scheduler.step()
                optimizer.zero_grad()
            state = accelerator.gradient_state
            self.heard.append(
                (loss.item(), accelerator.sync_gradients, state.end_of_dataloader, state.remainder)
            )

    def validate(self) -> dict[str, float]:
        outputs, targets = [], []
        for x, y in self.validation:
            outputs.append(self.accelerator.gather_for_metrics(self.model(x)))
            targets.append(self.accelerator.gather_for_metrics(y))
        output, target = torch.cat(outputs), torch.cat(targets)
        return {
            "accuracy": (output.argmax(1) == target).float().mean().item(),
            "loss": nn.functional.cross_entropy(output, target).item(),
        }

    def plain(self) -> list[Any]:
        for _ in range(EPOCHS):
            for _ in range(self.passes):
                self.body(self.loader)
            self.model.eval()
            with torch.no_grad():
                self.validate()
        return self.evidence()

    def tuned(self, by: Sequence[Any] = (), **options: Any) -> Any:
        usual: dict[str, Any] = {"epochs": EPOCHS, "state": [self.accelerator], "budget": 50}
        if by:
            usual |= {"policy": control_rollouts({"lr": RATE}, by), "space": ["lr=1e-4:1:log"]}
        with gammatune.Tuner(model=self.model, optimizer=self.optimizer, **(usual | options)) as tuner:
            for run in tuner:
                before = len(self.heard)
                for _ in range(self.passes):
                    self.body(run.batches(self.loader))
                if not run.is_course:
                    del self.heard[before:]
                run.report(**run.evaluate(self.validate))
        return tuner.result

    def evidence(self) -> list[Any]:
        accelerator, state = self.accelerator, self.accelerator.gradient_state
        return [
            dict(self.model.state_dict()),
            self.optimizer.state_dict(),
            [None if p.grad is None else p.grad.clone() for p in self.model.parameters()],
            [accelerator.step, state.sync_gradients, state.in_dataloader, self.loader.iteration],
            None if self.scheduler is None else self.scheduler.state_dict(),
            [torch.get_rng_state(), random.getstate()],
        ]


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"every": 4},
    "accumulation that does not come out even": {"every": 3},
    "longer than a pass": {"every": 20},
    "clipping": {"every": 3, "clip": 0.1},
    "bfloat16": {"precision": "bf16", "every": 3},
    "own generator": {"loader": "own generator", "every": 3},
    "seeded sampler": {"seeded": True, "every": 3},
    "two passes an epoch": {"seeded": True, "every": 3, "passes": 2},
    "stream": {"loader": "stream", "every": 3},
    "scheduler": {"scheduled": True, "every": 3},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_control_rollouts_change_nothing(name: str) -> None:
    """Weights, optimizer, gradients, accelerate's counters and random streams are those of the plain loop, and so is
    all that the loop was told in each batch."""
    options = OPTIONS[name]
    plain = Loop(**options)
    one, heard = plain.plain(), plain.heard
    by = DISTURBED if name != "stream" else DISTURBED[:2]  # a tape is drawn ahead for the others
    loop = Loop(**options)
    if options.get("scheduled"):
        multiplied = [{"lr": 3.0}, Rollout({"lr": 0.3}, 0, None, order=2)]
        policy = control_rollouts({"lr": 1.0}, multiplied)
        loop.tuned(
            state=[loop.accelerator, loop.scheduler],
            multiplier=True,
            policy=policy,
            space=["lr=0.01:10:log"],
        )
    else:
        loop.tuned(by)
    for place, (a, b) in enumerate(zip(one, loop.evidence(), strict=True)):
        assert same(a, b), place
    assert len(loop.heard) == len(heard)
    assert same(loop.heard, heard)


@pytest.mark.filterwarnings("ignore:one batch, trained twice")  # which is what is meant here
@pytest.mark.parametrize("name", ["counters", "marks"])
def test_the_disturbances_disturb(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the counters not part of a fork, or the end of a pass not told again, the property would not hold."""
    from gammatune.engine.prepared import AcceleratorCounters
    from gammatune.engine.prepared_loaders import AcceleratedLoader

    options: dict[str, Any] = {"every": 3, "loader": "shuffled" if name == "counters" else "stream"}
    one = Loop(**options).plain()
    if name == "counters":
        monkeypatch.setattr(AcceleratorCounters, "load_state_dict", lambda self, state: None)
    else:
        monkeypatch.setattr(AcceleratedLoader, "shown", lambda self, given: (batch for batch, *_ in given))
    loop = Loop(**options)
    loop.tuned([{"lr": 0.5}, Rollout({"lr": 0.1}, 0, None, length=Length(0.5))][: 1 + (name == "counters")])
    assert not same(one[0], loop.evidence()[0])


STEPS, EVERY = 13, 4


@pytest.mark.parametrize("name", ["shuffled", "own generator", "stream", "seeded"])
@pytest.mark.parametrize("disturbed", [False, True])
def test_in_steps(name: str, disturbed: bool) -> None:
    """13 steps of 3 batches, the last of each pass of 2: the pass ends where it does in a plain loop."""
    options: dict[str, Any] = {"every": 3, "clip": 0.1, "seeded": name == "seeded"}
    options |= {"loader": name} if name != "seeded" else {}
    plain = Loop(**options)

    def batches() -> Iterator[Any]:
        while True:
            yield from plain.loader

    drawn, steps = batches(), 0
    while steps < STEPS:
        until = min(steps + EVERY, STEPS)
        while steps < until:
            plain.body([next(drawn)])
            steps += plain.heard[-1][1]
        plain.model.eval()
        with torch.no_grad():
            plain.validate()
    loop = Loop(**options)
    by = DISTURBED[:2] if disturbed else []
    policy = control_rollouts({"lr": RATE}, by)
    result = loop.tuned(epochs=None, steps=STEPS, every=EVERY, policy=policy, space=["lr=1e-4:1:log"])
    assert sum(outcome.steps for outcome in result.course) == STEPS
    assert same(loop.heard, plain.heard)
    assert same(loop.evidence(), plain.evidence())
    assert loop.accelerator.gradient_state.in_dataloader  # its last pass has not ended


def test_a_search_and_going_on_with_it(tmp_path: Any) -> None:
    """A run that was interrupted, in the midst of what accelerate counts, ends as one that was not."""

    def weights(directory: str, fails_at: int = 0) -> tuple[Any, Any]:
        loop = Loop(every=3, precision="bf16", seeded=True)
        calls = 0
        validate = loop.validate

        def failing() -> dict[str, float]:
            nonlocal calls
            calls += 1
            if calls == fails_at:
                raise RuntimeError("pulled the plug")
            return validate()

        loop.validate = failing  # type: ignore[method-assign]
        result = loop.tuned(run_dir=str(tmp_path / directory), epochs=6, budget=3)
        return loop.evidence(), result

    whole, result = weights("whole")
    assert len(result.rollouts) > len(result.course) == 6
    with pytest.raises(RuntimeError, match="pulled the plug"):
        weights("parts", 8)
    parts, _ = weights("parts")
    assert same(whole[:4], parts[:4])


@pytest.mark.filterwarnings("ignore:the loop body left run.batches after 5 of 8")
@pytest.mark.parametrize("every", [1, 3])
def test_a_body_that_leaves_its_batches_early(every: int) -> None:
    """As a plain loop that does."""

    class Leaving(Loop):
        def body(self, batches: Any) -> None:
            super().body(itertools.islice(batches, 5))

    plain = Leaving(every=every)
    one = plain.plain()
    loop = Leaving(every=every)
    loop.tuned([{"lr": 0.5}])
    assert same(one[:3], loop.evidence()[:3])
    assert same(plain.heard, loop.heard)


def test_a_rollout_that_diverges_leaves_no_trace() -> None:
    plain = Loop(every=3)
    one = plain.plain()
    loop = Loop(every=3)
    result = loop.tuned([{"lr": 1e30}])
    assert "diverged" in {outcome.status for outcome in result.rollouts}
    assert same(one, loop.evidence())


def test_several_nets_are_asked_in_its_precision() -> None:
    """`forward`, which accelerate has changed, is what it was afterwards."""
    loop = Loop(precision="bf16")
    before = loop.model.forward
    result = loop.tuned(epochs=4, budget=6, ensemble=True)
    assert len(result.nets) > 1
    assert loop.model.forward is before


def test_the_doctor_finds_it_healthy() -> None:
    loop = Loop(every=3)
    accelerator, model, optimizer = loop.accelerator, loop.model, loop.optimizer

    def step(batch: Any) -> torch.Tensor:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()

    diagnosis = gammatune.doctor(model, optimizer, loop.loader, step, [accelerator])
    assert diagnosis.healthy, str(diagnosis)


# Mistakes -------------------------------------------------------------------------------------------------


def weights_of(loop: Loop) -> Any:
    return {name: tensor.clone() for name, tensor in loop.model.state_dict().items()}


def test_what_is_refused_before_anything_is_trained() -> None:
    loop = Loop(every=2, scheduled=True)
    bare = torch.optim.SGD(loop.model.parameters(), lr=RATE)
    before = weights_of(loop)
    with pytest.raises(InvalidArgument, match=r"a Sequential was prepared .* state=\[accelerator\]"):
        loop.tuned(state=[])
    loop.model, loop.optimizer = nn.Linear(6, 2), loop.optimizer
    with pytest.raises(
        InvalidArgument, match=r"an? AcceleratedOptimizer was prepared .* state=\[accelerator\]"
    ):
        loop.tuned(state=[])
    loop.optimizer = bare
    with pytest.raises(InvalidArgument, match=r"DataLoaderShard, was prepared .* state=\[accelerator\]"):
        loop.tuned(state=[])
    loop = Loop(every=2, scheduled=True)
    with pytest.raises(ConflictingControl, match=r"AcceleratedScheduler sets the learning rate"):
        loop.tuned(state=[loop.accelerator, loop.scheduler])
    with pytest.raises(ConflictingControl, match=r"scheduler is attached .* multiplier=True"):
        loop.tuned()
    with pytest.raises(NotRestorable, match=r"state=\[scheduler\]"):
        loop.tuned(multiplier=True)
    loop.optimizer = loop.scheduler
    with pytest.raises(InvalidArgument, match=r"not AcceleratedScheduler: a scheduler is handed in as state"):
        loop.tuned()
    assert same(before, weights_of(loop))


def test_a_loader_of_another_make_is_refused() -> None:
    loop = Loop(every=2)
    loader = loop.loader
    before = weights_of(loop)
    loop.loader = accelerate.skip_first_batches(loader, 2)
    with pytest.raises(
        InvalidArgument, match=r"is not what the Accelerator in state=\[\.\.\.\] has prepared"
    ):
        loop.tuned()
    loop.loader = map(tuple, loader)
    with pytest.raises(InvalidArgument, match=r"tqdm\(run\.batches\(loader\)\)"):
        loop.tuned()
    assert same(before, weights_of(loop))


def test_a_net_that_is_shared_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    monkeypatch.setattr(type(loop.accelerator), "distributed_type", accelerate.DistributedType.DEEPSPEED)
    with pytest.raises(InvalidArgument, match="accelerate trains by DEEPSPEED here"):
        loop.tuned()


def test_fit_has_a_loop_of_its_own() -> None:
    loop, bare = Loop(), nn.Linear(6, 2)
    for model, optimizer, train in (
        (loop.model, "adamw", (X, Y)),
        (bare, loop.accelerator.prepare(torch.optim.SGD(bare.parameters(), lr=0.1)), (X, Y)),
        (bare, "adamw", loop.loader),
    ):
        with pytest.raises(InvalidArgument, match=r"as it was before accelerator\.prepare"):
            gammatune.fit(model, train, (X, Y), epochs=1, optimizer=optimizer)
