"""What a fork must bring back that ordinary trainings seldom have, each seen to leak by a reviewer."""

import gc
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, Subset, TensorDataset

from gammatune.cost import Meter
from gammatune.engine.device_memory import Place
from gammatune.engine.hyperparameters import Hyperparameters
from gammatune.engine.loop import TorchLoop
from gammatune.errors import ConflictingControl, InvalidArgument, NotRestorable
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

X = torch.randn(48, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()
COURSE, WILD = {"lr": 0.1}, [{"lr": 0.9}, {"lr": 0.001}]


class Setting:
    """A training whose parts a test exchanges."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Linear(4, 2)
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader: Any = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
        self.state: list[Any] = []
        self.watch: Callable[[], Any] = lambda: None

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self.model(x), y)

    def epoch(self, batches: Any, number: int) -> None:
        for x, y in batches:
            self.optimizer.zero_grad()
            self.loss(x, y).backward()
            self.optimizer.step()


def end(make: Callable[[], Setting], disturbed: bool, epochs: int = 3) -> list[Any]:
    setting = make()
    torch.manual_seed(4)
    if disturbed:
        policy = control_rollouts(COURSE, WILD)
        tuner = Tuner(
            model=setting.model,
            optimizer=setting.optimizer,
            state=setting.state,
            epochs=epochs,
            policy=policy,
        )
        with tuner:
            for run in tuner:
                setting.epoch(run.batches(setting.loader), run.epoch)
                run.report(score=1.0)
    else:
        for number in range(epochs):
            setting.epoch(setting.loader, number)
    gradients = [None if p.grad is None else p.grad.to_dense() for p in setting.model.parameters()]
    return [setting.model.state_dict(), gradients, setting.watch(), torch.rand(3)]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def parameter_outside_the_model() -> Setting:
    setting = Setting()
    sigma = nn.Parameter(torch.zeros(()))
    setting.optimizer = torch.optim.SGD([*setting.model.parameters(), sigma], lr=0.1)
    setting.loss = lambda x, y: nn.functional.cross_entropy(setting.model(x), y) * sigma.exp() - sigma  # type: ignore[method-assign]
    setting.watch = lambda: sigma.detach().clone()
    return setting


class HomeMade(nn.Module):
    """Keeps a tensor, a list, a NumPy number and a generator as plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2)
        self.mean = torch.zeros(4)
        self.seen: list[float] = []
        self.temperature: Any = 1.0
        self.generator = torch.Generator().manual_seed(8)
        self.table = {"calls": np.zeros(2)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        self.seen.append(float(x[0, 0]))
        self.temperature *= np.exp(-0.01)
        self.table["calls"] += 1
        noise = torch.randn(4, generator=self.generator)
        return self.inner(x - self.mean + 0.01 * noise) / float(self.temperature) + 0.001 * len(self.seen)


def home_made_module() -> Setting:
    setting = Setting()
    model = HomeMade()
    setting.model, setting.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.1)
    setting.watch = lambda: [model.mean, model.seen, float(model.temperature), model.table["calls"]]
    return setting


class Lookahead(torch.optim.Optimizer):
    """Wraps an optimizer and keeps slow weights in an attribute of its own."""

    def __init__(self, parameters: Any, lr: float) -> None:
        parameters = list(parameters)
        self.base = torch.optim.SGD(parameters, lr=lr, momentum=0.9)
        super().__init__(parameters, {"lr": lr})
        self.param_groups = self.base.param_groups
        self.slow = [p.detach().clone() for p in parameters]
        self.count = {"steps": 0}

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.base.step()
        self.count["steps"] += 1
        if self.count["steps"] % 2 == 0:
            for slow, p in zip(self.slow, self.param_groups[0]["params"], strict=True):
                slow += 0.5 * (p - slow)
                p.copy_(slow)


def wrapping_optimizer() -> Setting:
    setting = Setting()
    optimizer = Lookahead(setting.model.parameters(), 0.1)
    setting.optimizer = optimizer
    setting.watch = lambda: [optimizer.slow, optimizer.count, optimizer.base.state_dict()]
    return setting


def frozen_on_the_way() -> Setting:
    setting = Setting()
    body = setting.epoch

    def epoch(batches: Any, number: int) -> None:
        if number == 1:
            setting.model.weight.requires_grad_(False)  # type: ignore[union-attr]
        body(batches, number)

    setting.epoch = epoch  # type: ignore[method-assign]
    setting.watch = lambda: [p.requires_grad for p in setting.model.parameters()]
    return setting


def group_added_on_the_way() -> Setting:
    setting = Setting()
    extra = nn.Parameter(torch.zeros(2))
    setting.model.register_parameter("extra", extra)
    body = setting.epoch
    setting.loss = lambda x, y: nn.functional.cross_entropy(setting.model(x) + extra, y)  # type: ignore[method-assign]

    def epoch(batches: Any, number: int) -> None:
        if number == 1:
            setting.optimizer.add_param_group({"params": [extra], "lr": 0.05})
        body(batches, number)

    setting.epoch = epoch  # type: ignore[method-assign]
    setting.watch = lambda: [extra.detach().clone(), [g["lr"] for g in setting.optimizer.param_groups]]
    return setting


def sparse_gradient_left_over() -> Setting:
    setting = Setting()
    model = nn.EmbeddingBag(8, 2, sparse=True)
    setting.model, setting.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.1)

    def epoch(batches: Any, number: int) -> None:
        for index, (x, y) in enumerate(batches):
            nn.functional.cross_entropy(model((x.abs() * 2).long().clamp(max=7)), y).backward()
            if index % 2 == 1:
                setting.optimizer.step()
                setting.optimizer.zero_grad()

    setting.epoch = epoch  # type: ignore[method-assign]
    return setting


class Extra(nn.Module):
    """State that only get_extra_state shows, behind something the attribute walk cannot hold."""

    class Box:
        def __init__(self) -> None:
            self.n = 0

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2)
        self.box = Extra.Box()
        self.register_buffer("ones", torch.ones(1).expand(2))  # an expanded buffer cannot be copied into

    def get_extra_state(self) -> Any:
        return {"n": self.box.n}

    def set_extra_state(self, state: Any) -> None:
        self.box.n = state["n"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.box.n += 1
        return self.inner(x) * self.ones + 0.001 * self.box.n


def extra_state() -> Setting:
    setting = Setting()
    model = Extra()
    setting.model, setting.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.1)
    setting.watch = lambda: model.box.n
    return setting


def exchanged_storage() -> Setting:
    """The loop swaps the weights for an average kept in another storage, and leaves them swapped."""
    setting = Setting()
    weight: Any = setting.model.weight
    average = weight.detach().clone()
    setting.state = [Holder(average)]
    body = setting.epoch

    def epoch(batches: Any, number: int) -> None:
        body(batches, number)
        average.mul_(0.5).add_(weight.detach(), alpha=0.5)
        weight.data = weight.data.clone()

    setting.epoch = epoch  # type: ignore[method-assign]
    setting.watch = lambda: average.clone()
    return setting


class Holder:
    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def state_dict(self) -> dict[str, Any]:
        return {"tensor": self.tensor}  # not copied: the fork must copy

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tensor.copy_(state["tensor"])


def exchanged_layer() -> Setting:
    setting = Setting()
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    setting.model, setting.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.1)
    body = setting.epoch

    def epoch(batches: Any, number: int) -> None:
        body(batches, number)
        model[1] = nn.Tanh() if number == 1 else model[1]

    setting.epoch = epoch  # type: ignore[method-assign]
    setting.watch = lambda: [type(layer).__name__ for layer in model]
    return setting


class OwnSampler(Sampler[int]):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)
        self.epochs = 0

    def __len__(self) -> int:
        return 48

    def __iter__(self) -> Iterator[int]:
        self.epochs += 1
        order = self.rng.permutation(48)
        return iter(np.roll(order, self.epochs).tolist())


class OwnNoise(Dataset[Any]):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)

    def __len__(self) -> int:
        return 48

    def __getitem__(self, index: int) -> Any:
        return X[index] + 0.1 * torch.tensor(self.rng.normal(size=4), dtype=torch.float32), Y[index]


class OwnBatches(Sampler[list[int]]):
    def __init__(self) -> None:
        self.order = RandomSampler(range(48), generator=torch.Generator().manual_seed(2))

    def __iter__(self) -> Iterator[list[int]]:
        return iter(BatchSampler(self.order, 16, drop_last=False))

    def __len__(self) -> int:
        return 3


class Wrapper:
    """Shows progress, as many do, and keeps a loader with its own generator inside."""

    def __init__(self) -> None:
        data = TensorDataset(X, Y)
        self.loader = DataLoader(
            data, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(2)
        )

    def __iter__(self) -> Any:
        return iter(self.loader)


def with_loader(make: Callable[[], Any]) -> Callable[[], Setting]:
    def setting() -> Setting:
        made = Setting()
        made.loader = make()
        return made

    return setting


CASES: dict[str, Callable[[], Setting]] = {
    "parameter outside the model": parameter_outside_the_model,
    "home-made module": home_made_module,
    "wrapping optimizer": wrapping_optimizer,
    "frozen on the way": frozen_on_the_way,
    "group added on the way": group_added_on_the_way,
    "sparse gradient left over": sparse_gradient_left_over,
    "extra state": extra_state,
    "exchanged storage": exchanged_storage,
    "exchanged layer": exchanged_layer,
    "own sampler": with_loader(lambda: DataLoader(TensorDataset(X, Y), batch_size=16, sampler=OwnSampler())),
    "own noise": with_loader(lambda: DataLoader(OwnNoise(), batch_size=16)),
    "subset of own noise": with_loader(lambda: DataLoader(Subset(OwnNoise(), range(40)), batch_size=16)),
    "own batches": with_loader(lambda: DataLoader(TensorDataset(X, Y), batch_sampler=OwnBatches())),
    "wrapper": with_loader(Wrapper),
}


@pytest.mark.parametrize("name", CASES)
def test_on_disk_neither(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plain = end(CASES[name], disturbed=True)
    monkeypatch.setattr("gammatune.engine.loop.place_for_forks", lambda *_: Place("disk"))
    assert all(same(a, b) for a, b in zip(plain, end(CASES[name], disturbed=True), strict=True))
    gc.collect()
    assert not list(tmp_path.glob("gammatune*"))  # the files are gone with the run


@pytest.mark.parametrize("name", CASES)
def test_a_control_rollout_changes_nothing(name: str) -> None:
    plain, disturbed = end(CASES[name], disturbed=False), end(CASES[name], disturbed=True)
    for part, a, b in zip(("state", "gradients", "own", "stream"), plain, disturbed, strict=True):
        assert same(a, b), f"{part} differs"


def test_a_list_whose_batches_are_changed_in_place_is_refused() -> None:
    setting = Setting()
    data = [(X[:16].clone(), Y[:16])]
    with (
        pytest.raises(NotRestorable, match="in place"),
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1) as tuner,
    ):
        for run in tuner:
            for x, _ in run.batches(data):
                x.mul_(2)


def test_a_loader_made_in_every_run_is_refused_before_memory_grows() -> None:
    setting = Setting()
    with (
        pytest.raises(NotRestorable, match="before the loop"),
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=20, policy="greedy") as tuner,
    ):
        for run in tuner:
            list(run.batches(Wrapper()))
            run.report(score=1.0)


def test_two_passes_in_one_run_are_two_passes() -> None:
    setting = Setting()
    source = iter([(X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)])

    class Halves:
        def __iter__(self) -> Any:
            return iter([next(source), next(source)])

    halves = Halves()
    drawn = []
    with Tuner(
        model=setting.model, optimizer=setting.optimizer, epochs=1, budget=2, policy="greedy", check=False
    ) as tuner:
        for run in tuner:
            drawn.append([x[0, 0].item() for _ in range(2) for x, _ in run.batches(halves)])
            run.report(score=1.0)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4


# -- setting values -----------------------------------------------------------------------------------------


def test_an_optimizer_that_does_not_take_a_value_is_caught_by_reading_back() -> None:
    class Clamped(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, min(value, 0.2) if key == "lr" else value)

    setting = Setting()
    setting.optimizer.param_groups[0] = Clamped(setting.optimizer.param_groups[0])
    hyperparameters = Hyperparameters([setting.optimizer], ["lr"], multiplier=False)
    hyperparameters.apply({"lr": 0.1}, Meter())
    with pytest.raises(ConflictingControl, match=r"set to 0\.5 and read back as 0\.2"):
        hyperparameters.apply({"lr": 0.5}, Meter())


def test_the_rates_an_optimizer_came_with_are_set_to_the_bit() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [first], "lr": 0.3}, {"params": [second], "lr": 0.7}])
    hyperparameters = Hyperparameters([optimizer], ["lr"], multiplier=False)
    hyperparameters.apply({"lr": 0.6}, Meter())
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.6, 1.4])
    hyperparameters.apply(hyperparameters.own(["lr"]), Meter())
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.7]


@pytest.mark.parametrize("tensor", [False, True])
def test_a_multiplier_scales_the_step_and_gives_the_rate_back(tensor: bool) -> None:
    rate = torch.tensor(0.1) if tensor else 0.1
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=rate)
    hyperparameters = Hyperparameters([optimizer], ["lr"], multiplier=True)
    hyperparameters.apply({"lr": 3.0}, Meter())
    weight.grad = torch.ones(1)
    optimizer.step()
    assert weight.item() == pytest.approx(-0.3)
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)
    assert not tensor or optimizer.param_groups[0]["lr"] is rate


def test_a_multiplier_works_while_the_schedule_is_at_zero() -> None:
    setting = Setting()
    scheduler = torch.optim.lr_scheduler.LambdaLR(setting.optimizer, lambda k: min(1.0, k / 5))
    options: dict[str, Any] = {"state": [scheduler], "multiplier": True, "epochs": 1, "budget": 2}
    with Tuner(model=setting.model, optimizer=setting.optimizer, **options) as tuner:
        for run in tuner:
            for x, y in run.batches(setting.loader):
                setting.optimizer.zero_grad()
                setting.loss(x, y).backward()
                setting.optimizer.step()
                scheduler.step()
            run.report(score=1.0)
    assert scheduler.last_epoch == 3


def test_a_scheduler_that_stays_must_be_handed_in() -> None:
    setting = Setting()
    torch.optim.lr_scheduler.StepLR(setting.optimizer, 1)
    with pytest.raises(NotRestorable, match=r"state=\[scheduler\]"):
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1, multiplier=True)


@pytest.mark.parametrize("key", ["weight_decay", "momentum"])
def test_every_searched_value_is_held_in_every_step(key: str) -> None:
    setting = Setting()
    setting.optimizer = torch.optim.SGD(setting.model.parameters(), lr=0.1, momentum=0.5, weight_decay=0.01)
    with (
        pytest.raises(ConflictingControl, match=f"{key} was 0.123"),
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1, space=[f"{key}=0.2:0.3"]) as tuner,
    ):
        for run in tuner:
            for x, y in run.batches(setting.loader):
                setting.optimizer.param_groups[0][key] = 0.123
                setting.loss(x, y).backward()
                setting.optimizer.step()


def test_a_shared_rate_and_one_of_its_own_are_refused_together() -> None:
    setting = Setting()
    with pytest.raises(InvalidArgument, match=r"'lr' and 'lr\.0'"):
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1, space=["lr=0.1:1", "lr.0=0.1:1"])


def test_whole_numbers_reach_the_optimizer_as_such() -> None:
    model = nn.Linear(4, 4, bias=False)
    optimizer = torch.optim.Muon(model.parameters(), lr=0.01)
    seen = set()
    with Tuner(model=model, optimizer=optimizer, epochs=1, budget=2, space=["ns_steps=2:6:int"]) as tuner:
        for run in tuner:
            for x, _ in run.batches([(X, Y)]):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
            seen.add(type(optimizer.param_groups[0]["ns_steps"]))
            run.report(score=1.0)
    assert seen == {int}


@pytest.mark.parametrize(
    "space", ["batch_size=16:64", "batch_size=0,16", "batch_size=16.5,32", "lr=fast,slow", "lr=-1:1"]
)
def test_ranges_that_cannot_be_set_are_refused_before_any_training(space: str) -> None:
    setting = Setting()
    with pytest.raises(InvalidArgument.__mro__[1], match=space.split("=")[0]):
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1, space=[space])


# -- the rest -----------------------------------------------------------------------------------------------


def test_an_interrupt_while_a_fork_is_captured_keeps_the_course() -> None:
    setting = Setting()

    class Interrupting(Holder):
        def state_dict(self) -> dict[str, Any]:
            if len(tuner.result.course) == 1:  # the new master of the second epoch
                raise KeyboardInterrupt
            return super().state_dict()

    tuner = Tuner(
        model=setting.model,
        optimizer=setting.optimizer,
        state=[Interrupting(torch.zeros(1))],
        epochs=3,
        budget=2,
        policy="greedy",
        keep="last",
        space=["lr=0.1,0.2"],
    )
    ends: dict[Any, torch.Tensor] = {}
    weight: Any = setting.model.weight
    with pytest.raises(KeyboardInterrupt), tuner:
        for run in tuner:
            setting.epoch(run.batches(setting.loader), run.epoch)
            ends[run.values["lr"]] = weight.detach().clone()
            run.report(score=float(run.values["lr"]))
    assert [o.values["lr"] for o in tuner.result.course] == [0.2]
    assert torch.equal(weight, ends[0.2])


@pytest.mark.parametrize("wrong", [{"sampler": "magic"}, {"facts": {"x": object()}}, {"state": [object()]}])
def test_a_tuner_that_is_refused_leaves_no_hook(wrong: dict[str, Any]) -> None:
    setting = Setting()
    with pytest.raises(Exception, match=r"magic|journal|state_dict"):
        Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1, **wrong)
    assert not setting.optimizer._optimizer_step_pre_hooks


def test_a_tuner_that_was_left_says_so() -> None:
    setting = Setting()
    with Tuner(model=setting.model, optimizer=setting.optimizer, epochs=1) as tuner:
        pass
    with pytest.raises(InvalidArgument, match="has been left"):
        tuner.ask()


def test_validating_through_an_average_is_counted() -> None:
    setting = Setting()
    ema = torch.optim.swa_utils.AveragedModel(setting.model)
    meter = Meter()
    loop = TorchLoop(setting.model, setting.optimizer, ["lr"], state=[ema])
    loop.measure(lambda: {"loss": ema(X).mean()}, meter)
    assert meter.evaluated == 48


def test_an_evaluation_that_cannot_be_counted_is_said() -> None:
    setting = Setting()
    loop = TorchLoop(setting.model, setting.optimizer, ["lr"])
    with pytest.warns(UserWarning, match="examples="):
        loop.measure(lambda: {"loss": 0.0}, Meter())
    with pytest.raises(InvalidArgument, match="returned NoneType"):
        loop.measure(lambda: None, Meter())  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (([torch.zeros(3, 8, 8)] * 5, [{"boxes": torch.zeros(2, 4)}] * 5), 5),
        (((torch.zeros(7, 2), torch.zeros(7, 3)), torch.zeros(7)), 7),
        ({"meta": "x", "x": torch.zeros(6, 2)}, 6),
        ([torch.zeros(4, 2), torch.zeros(4)], 4),
        ((["a", "b", "c"], torch.zeros(3)), 3),
        ([1.0, 2.0], 2),
    ],
)
def test_examples_in_a_batch(batch: Any, size: int) -> None:
    from gammatune.engine.batches import examples_in

    assert examples_in(batch) == size


def test_complex_parameters() -> None:
    weight = nn.Parameter(torch.ones(4, dtype=torch.complex64))
    model = nn.Module()
    model.weight = weight
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with Tuner(model=model, optimizer=optimizer, epochs=1, budget=2) as tuner:
        for run in tuner:
            for _ in run.batches([torch.zeros(1)]):
                optimizer.zero_grad()
                weight.abs().sum().backward()
                optimizer.step()
            run.report(score=1.0)
    assert all(o.status == "ok" for o in tuner.result.rollouts)


def test_a_tape_forgets_what_the_course_has_passed() -> None:
    from gammatune.engine.recorded_loader import Tape

    tape = Tape(Wrapper())
    for epoch in range(3):
        list(tape.play(epoch))
    tape.forget_before(2)
    assert [key[0] for key in tape._passes] == [2]

    setting = Setting()
    held = []
    data = Wrapper()
    with Tuner(model=setting.model, optimizer=setting.optimizer, epochs=3, budget=2) as tuner:
        for run in tuner:
            setting.epoch(run.batches(data), run.epoch)
            run.report(score=1.0)
            held.append(sum(len(t._passes) for t in tuner._training._loaders._tapes.values()))  # type: ignore[attr-defined]
    assert max(held) == 1
