"""A plain run and a run with control rollouts are bit-identical (docs/design.md, fork rule 3)."""

import copy
import inspect
import itertools
import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from tries import tries

from gammatune.engine.forks.streams import StreamStates
from gammatune.records import Length, Rollout, Shape
from gammatune.schedules import STILL, linear
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

EPOCHS = 2
X = torch.randn(48, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()

# Every optimizer torch.optim has, found by looking, so that a new one is not forgotten.
OPTIMIZERS = sorted(
    name
    for name, thing in vars(torch.optim).items()
    if inspect.isclass(thing)
    and issubclass(thing, torch.optim.Optimizer)
    and thing is not torch.optim.Optimizer
)
MODELS = ("plain", "batchnorm", "dropout", "weight_norm", "spectral_norm", "tied")


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(6, 6)
        self.again = nn.Linear(6, 6)
        self.again.weight = self.enter.weight
        self.leave = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.leave(torch.tanh(self.again(torch.tanh(self.enter(x)))))


class Counting(nn.Module):
    """Keeps a plain number and a reassigned buffer, as home-made layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("mean", torch.zeros(6), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.calls += 1
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)
        return x - self.mean / (1 + self.calls)


def make_model(kind: str) -> nn.Module:
    torch.manual_seed(5)
    match kind:
        case "batchnorm":
            return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
        case "dropout":
            return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2))
        case "weight_norm":
            return nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))
        case "spectral_norm":
            return nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))
        case "tied":
            return Tied()
        case "counting":
            return nn.Sequential(Counting(), nn.Linear(6, 2))
        case _:
            return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


class Training:
    """One small training; `epoch` is the body of its loop, the same whoever calls it."""

    def __init__(self, optimizer: str, model: str = "plain", groups: int = 1, **options: Any) -> None:
        torch.manual_seed(5)
        self.model: nn.Module = (
            nn.EmbeddingBag(8, 2, sparse=True) if optimizer == "SparseAdam" else make_model(model)
        )
        parameters = list(dict.fromkeys(self.model.parameters()))
        if optimizer == "Muon":
            parameters = [p for p in parameters if p.ndim == 2]
        if groups > 1 and optimizer != "LBFGS":
            halves = [parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]]
            given: Any = [{"params": h, "lr": 0.01 * 2**i} for i, h in enumerate(halves) if h]
        else:
            given = parameters
        self.optimizer: torch.optim.Optimizer = getattr(torch.optim, optimizer)(given, lr=0.01, **options)
        self.needs_closure = optimizer == "LBFGS"
        self.sparse = optimizer == "SparseAdam"
        torch.manual_seed(6)
        random.seed(6)
        np.random.seed(6)  # noqa: NPY002
        self.loader: Any = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
        self.state: list[Any] = []

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        noise = random.random() + np.random.rand()  # noqa: NPY002 - the user's code draws from both
        inputs = (x.abs() * 2).long().clamp(max=7) if self.sparse else x + 0.01 * noise
        return nn.functional.cross_entropy(self.model(inputs), y)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        def closure() -> torch.Tensor:
            self.optimizer.zero_grad()
            loss = self.loss(x, y)
            loss.backward()
            return loss

        if self.needs_closure:
            self.optimizer.step(closure)  # type: ignore[arg-type]
        else:
            closure()
            self.optimizer.step()

    def epoch(self, batches: Any) -> None:
        self.model.train()
        for x, y in batches:
            self.step(x, y)

    def evidence(self) -> list[Any]:
        """Everything two equal trainings agree on, to the bit."""
        optimizers = getattr(self, "optimizers", [self.optimizer])
        return [
            [(n, t.detach().clone()) for n, t in self.model.named_parameters(remove_duplicate=False)],
            [(n, t.clone()) for n, t in self.model.named_buffers()],
            [m.training for m in self.model.modules()],
            [getattr(m, "calls", 0) for m in self.model.modules()],
            [copy.deepcopy(o.state_dict()) for o in optimizers],
            [copy.deepcopy(item.state_dict()) for item in self.state if hasattr(item, "state_dict")],
            StreamStates([]),
        ]


def validate(training: Training) -> dict[str, float]:
    with torch.no_grad():
        inputs = (X.abs() * 2).long().clamp(max=7) if training.sparse else X
        loss = nn.functional.cross_entropy(training.model(inputs), Y)
    return {"accuracy": 0.5, "loss": float(loss)}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def plain(training: Training) -> list[Any]:
    for _ in range(EPOCHS):
        training.epoch(training.loader)
        modes = [(m, m.training) for m in training.model.modules()]
        training.model.eval()
        validate(training)
        for module, mode in modes:
            module.training = mode
    return training.evidence()


def disturbances(base: float) -> list[Any]:
    """Whole epochs and other rates; parts of an epoch, several, shaped, in orders of their own."""

    def rollout(lr: float, **plan: Any) -> Rollout:
        return Rollout({"lr": lr}, 0, None, **plan)

    return [
        {"lr": base},
        {"lr": base * 50},
        rollout(base, length=Length(0.0, least=1), shape=STILL),
        rollout(base / 50, length=Length(0.5), shape=linear(), order=1),
        rollout(base, length=Length(1.5), shape=Shape(((0.0, 1.0), (0.5, 1.0), (0.5, 0.1), (1.0, 3.0)))),
        rollout(base, order=2, scored=False),
    ]


def disturbed(training: Training, optimizer: Any = None, **options: Any) -> list[Any]:
    base = 1.0 if options.get("multiplier") else 0.01
    tried = disturbances(base)
    policy = control_rollouts({"lr": base}, tried)
    with Tuner(
        model=training.model,
        optimizer=optimizer or training.optimizer,
        epochs=EPOCHS,
        policy=policy,
        state=training.state,
        **options,
    ) as tuner:
        for run in tuner:
            training.epoch(run.batches(training.loader))
            run.report(**run.evaluate(lambda: validate(training)))
    assert len(tuner.result.rollouts) == (1 + len(tried)) * EPOCHS
    return training.evidence()


def assert_same(first: list[Any], second: list[Any]) -> None:
    names = ("parameters", "buffers", "modes", "counters", "optimizers", "state", "streams")
    for name, a, b in zip(names, first, second, strict=True):
        assert same(a, b), f"{name} differ"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer: str) -> None:
    assert_same(plain(Training(optimizer)), disturbed(Training(optimizer)))


@tries(20, full=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    optimizer=st.sampled_from([o for o in OPTIMIZERS if o != "SparseAdam"]),
    model=st.sampled_from([*MODELS, "counting"]),
    groups=st.integers(1, 2),
)
def test_models_and_groups(optimizer: str, model: str, groups: int) -> None:
    assert_same(plain(Training(optimizer, model, groups)), disturbed(Training(optimizer, model, groups)))


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5}),
        ("Adam", {"amsgrad": True, "foreach": True}),
        ("AdamW", {"fused": True}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("LBFGS", {"line_search_fn": "strong_wolfe"}),
    ],
)
def test_options(optimizer: str, options: dict[str, Any]) -> None:
    assert_same(plain(Training(optimizer, **options)), disturbed(Training(optimizer, **options)))


def test_the_disturbances_disturb() -> None:
    """The property is worth something only if a rollout that is not undone would be seen."""
    training, untouched = Training("Adam", "batchnorm"), Training("Adam", "batchnorm")
    policy = control_rollouts({"lr": 0.5}, [])
    with Tuner(model=training.model, optimizer=training.optimizer, epochs=EPOCHS, policy=policy) as tuner:
        for run in tuner:
            training.epoch(run.batches(training.loader))
            run.report(**run.evaluate(lambda: validate(training)))
    assert not same(plain(untouched)[0], training.evidence()[0])


def test_two_optimizers() -> None:
    def make() -> Training:
        training = Training("Adam", "batchnorm")
        first, second = training.model[0], training.model[3]  # type: ignore[index]
        training.optimizers = [  # type: ignore[attr-defined]
            torch.optim.Adam(first.parameters(), lr=0.01),
            torch.optim.SGD(second.parameters(), lr=0.02, momentum=0.9),
        ]

        def step(x: torch.Tensor, y: torch.Tensor) -> None:
            for optimizer in training.optimizers:  # type: ignore[attr-defined]
                optimizer.zero_grad()
            training.loss(x, y).backward()
            for optimizer in training.optimizers:  # type: ignore[attr-defined]
                optimizer.step()

        training.step = step  # type: ignore[method-assign]
        return training

    first = plain(make())
    other = make()
    assert_same(first, disturbed(other, optimizer=other.optimizers))  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheduler", ["StepLR", "OneCycleLR", "CosineAnnealingWarmRestarts", "SequentialLR"])
def test_schedulers_in_multiplier_mode(scheduler: str) -> None:
    def make() -> Training:
        training = Training("SGD", momentum=0.9)
        lr = torch.optim.lr_scheduler
        given: Any = {
            "StepLR": lambda o: lr.StepLR(o, 2),
            "OneCycleLR": lambda o: lr.OneCycleLR(o, max_lr=0.1, total_steps=20),
            "CosineAnnealingWarmRestarts": lambda o: lr.CosineAnnealingWarmRestarts(o, 2),
            "SequentialLR": lambda o: lr.SequentialLR(
                o, [lr.ConstantLR(o, 0.5), lr.ExponentialLR(o, 0.9)], milestones=[2]
            ),
        }[scheduler]
        training.state = [given(training.optimizer)]
        step = training.step

        def step_both(x: torch.Tensor, y: torch.Tensor) -> None:
            step(x, y)
            training.state[0].step()

        training.step = step_both  # type: ignore[method-assign]
        return training

    with warnings.catch_warnings():
        # torch's own SequentialLR warns of its own epoch argument
        warnings.filterwarnings("ignore", message="The epoch parameter in", category=UserWarning)
        assert_same(plain(make()), disturbed(make(), multiplier=True))


def test_grad_scaler_with_skipped_steps() -> None:
    def make() -> Training:
        training = Training("AdamW")
        # a scale this large overflows half precision: steps are skipped until it has come down
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=3)
        training.state = [scaler]

        def step(x: torch.Tensor, y: torch.Tensor) -> None:
            training.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = training.loss(x, y)
            scaler.scale(loss).backward()
            scaler.unscale_(training.optimizer)
            nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
            scaler.step(training.optimizer)
            scaler.update()

        training.step = step  # type: ignore[method-assign]
        return training

    assert_same(plain(make()), disturbed(make()))


class Augmented(Dataset[Any]):
    """Draws from all three streams, in the worker where there are workers."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.randn(6) + random.random() + np.random.rand()  # noqa: NPY002
        return X[index] + 0.1 * noise, Y[index]


class Stream(IterableDataset[Any]):
    """A source whose order lives in itself, and which draws noise from the global stream."""

    def __init__(self) -> None:
        self.position = 0

    def __iter__(self) -> Any:
        for _ in range(24):
            self.position += 1
            yield X[self.position % 48] + 0.1 * torch.randn(6), Y[self.position % 48]


def own_generator() -> DataLoader[Any]:
    return DataLoader(Augmented(), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(3))


LOADERS: dict[str, Any] = {
    "augmented": lambda: DataLoader(Augmented(), batch_size=8, shuffle=True),
    "own generator": own_generator,
    "workers": lambda: DataLoader(Augmented(), batch_size=8, shuffle=True, num_workers=2),
    "persistent workers": lambda: DataLoader(
        Augmented(), batch_size=8, shuffle=True, num_workers=1, persistent_workers=True
    ),
    "iterable": lambda: DataLoader(Stream(), batch_size=8),
    "iterable with a worker": lambda: DataLoader(Stream(), batch_size=8, num_workers=1),
    "list": lambda: [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)],
    "iterator": lambda: itertools.chain.from_iterable([[(X[:8], Y[:8]), (X[8:16], Y[8:16])]] * EPOCHS),
}


@pytest.mark.parametrize("name", [n for n in LOADERS if n != "iterator"])
def test_loaders(name: str) -> None:
    def make() -> Training:
        training = Training("SGD", "dropout", momentum=0.9)
        training.loader = LOADERS[name]()
        torch.manual_seed(7)
        return training

    assert_same(plain(make()), disturbed(make()))


@tries(10, full=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), rates=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=3))
def test_any_seed_and_any_disturbance(seed: int, rates: list[float]) -> None:
    def run(rates: list[float]) -> list[Any]:
        training = Training("Adam", "batchnorm")
        torch.manual_seed(seed)
        policy = control_rollouts({"lr": 0.01}, [{"lr": rate} for rate in rates])
        with Tuner(model=training.model, optimizer=training.optimizer, epochs=EPOCHS, policy=policy) as tuner:
            for one in tuner:
                training.epoch(one.batches(training.loader))
                one.report(**one.evaluate(lambda: validate(training)))
        return training.evidence()

    assert_same(run([]), run(rates))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_model(backend: str) -> None:
    def make() -> Training:
        training = Training("Adam", "batchnorm")
        training.compiled = torch.compile(training.model, backend=backend)  # type: ignore[attr-defined]

        def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return nn.functional.cross_entropy(training.compiled(x), y)  # type: ignore[attr-defined]

        training.loss = loss  # type: ignore[method-assign]
        return training

    assert_same(plain(make()), disturbed(make()))
