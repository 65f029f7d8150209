"""The doctor: healthy trainings are called healthy, each planted illness is named, and nothing is left behind."""

import copy
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

import gammatune
from gammatune.cli.app import main
from gammatune.engine.doctor.doctor import Diagnosis, Finding, doctor
from gammatune.engine.doctor.object_graph import Survey
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import InvalidArgument, NotRestorable

X = torch.randn(48, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()


class Given:
    """What a user would hand to the doctor; `illness` functions change a part of it."""

    def __init__(self, model: nn.Module | None = None, optimizer: str = "AdamW", **options: Any) -> None:
        torch.manual_seed(5)
        self.model = model if model is not None else mlp()
        self.optimizer: Any = getattr(torch.optim, optimizer)(self.model.parameters(), lr=0.01, **options)
        self.loader: Any = DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)
        self.state: list[Any] = []
        self.step: Callable[[Any], Any] = self.train

    def train(self, batch: Any) -> torch.Tensor:
        return train(self.model, self.optimizer, batch)

    def objects(self) -> dict[str, Any]:
        model, optimizer = self.model, self.optimizer
        step = self.step if self.step != self.train else lambda batch: train(model, optimizer, batch)
        return {
            "model": model,
            "optimizer": optimizer,
            "loader": self.loader,
            "step": step,
            "state": self.state,
        }


def train(model: nn.Module, optimizer: Any, batch: Any, factor: float = 1.0) -> torch.Tensor:
    x, y = batch
    optimizer.zero_grad()
    loss = factor * nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def batchnorm() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2))


def examined(given: Given, **options: Any) -> Diagnosis:
    """The diagnosis, and the promise that goes with every one: all is as it was."""
    objects = given.objects()
    before = (
        Survey(objects),
        StreamStates([]),
        list(vars(given.model)),
        copy.deepcopy(given.optimizer.state_dict()),
    )
    diagnosis = doctor(**objects, **options)
    unchanged(before, objects, given)
    return diagnosis


def unchanged(before: Any, objects: dict[str, Any], given: Given) -> None:
    survey, streams, attributes, state_dict = before
    assert [(a or b).node.where for a, b in survey.differences(Survey(objects))] == []
    assert streams == StreamStates([])
    assert list(vars(given.model)) == attributes
    assert str(given.optimizer.state_dict()) == str(state_dict)
    assert not given.optimizer._optimizer_step_pre_hooks
    assert not given.model._forward_pre_hooks


def the_finding(given: Given, **options: Any) -> Finding:
    diagnosis = examined(given, **options)
    assert len(diagnosis.findings) == 1, str(diagnosis)
    return diagnosis.findings[0]


# -- the healthy ----------------------------------------------------------------------------------------------------


class Numbers(IterableDataset[Any]):
    """Its place is its own, and it never ends."""

    def __init__(self) -> None:
        self.place = 0

    def __iter__(self) -> Iterator[Any]:
        while True:
            self.place += 1
            yield X[self.place % 48] + 0.1 * torch.randn(6), Y[self.place % 48]


class Shuffled(Sampler[int]):
    """An order of its own, from a generator that no state_dict tells of."""

    def __init__(self) -> None:
        self.random = random.Random(3)

    def __iter__(self) -> Iterator[int]:
        return iter(self.random.sample(range(48), 48))

    def __len__(self) -> int:
        return 48


class Noisy(Dataset[Any]):
    """Draws from a generator in a transform, in a worker where there is one."""

    def __init__(self) -> None:
        self.transform = Transform()

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> Any:
        return self.transform(X[index]), Y[index]


class Transform:
    def __init__(self) -> None:
        self.random = np.random.default_rng(4)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.1 * float(self.random.normal())


LOADERS: dict[str, Callable[[], Any]] = {
    "shuffled": lambda: DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True),
    "own generator": lambda: DataLoader(
        TensorDataset(X, Y), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(2)
    ),
    "shorter than the steps": lambda: DataLoader(TensorDataset(X, Y), batch_size=24, shuffle=True),
    "without an end": lambda: DataLoader(Numbers(), batch_size=8),
    "own sampler": lambda: DataLoader(TensorDataset(X, Y), batch_size=8, sampler=Shuffled()),
    "noise": lambda: DataLoader(Noisy(), batch_size=4, shuffle=True),
    "noise in a worker": lambda: DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=1),
    "a worker that persists": lambda: DataLoader(
        Noisy(), batch_size=4, shuffle=True, num_workers=1, persistent_workers=True
    ),
    "list": lambda: [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 48, 8)],
}


@pytest.mark.parametrize("name", LOADERS)
def test_ordinary_loaders_are_healthy(name: str) -> None:
    given = Given(dropout(), "SGD", momentum=0.9)
    given.loader = LOADERS[name]()
    assert examined(given).findings == ()


@pytest.mark.parametrize(("make", "optimizer"), [(mlp, "SGD"), (batchnorm, "Adam"), (dropout, "AdamW")])
def test_ordinary_nets_are_healthy(make: Callable[[], nn.Module], optimizer: str) -> None:
    diagnosis = examined(Given(make(), optimizer))
    assert diagnosis.healthy, str(diagnosis)
    assert diagnosis.unseen == ()
    diagnosis.raise_if_ill()


def test_what_was_compared_is_said() -> None:
    diagnosis = examined(Given(batchnorm(), "AdamW"))
    assert diagnosis.checked[:2] == (
        "6 parameters, 3 buffers, 6 gradients, 18 tensors of optimizer state",
        "5 batches, 5 loss values, 3 random streams",
    )
    assert "checkpoint" in str(diagnosis)
    assert str(diagnosis).startswith("healthy")


def test_training_that_has_begun_is_healthy() -> None:
    given = Given(batchnorm())
    for batch in given.loader:
        given.train(batch)
    assert examined(given).healthy


def test_a_loss_does_instead_of_a_step() -> None:
    given = Given(batchnorm())
    objects = given.objects() | {"step": None}
    assert gammatune.doctor(**objects, loss_fn=nn.CrossEntropyLoss()).healthy


def test_schedule_free_is_healthy() -> None:
    schedulefree = needs.package("schedulefree")
    given = Given()
    given.optimizer = schedulefree.AdamWScheduleFree(given.model.parameters(), lr=0.01)
    objects = given.objects() | {"step": None}
    assert doctor(**objects, loss_fn=nn.CrossEntropyLoss()).healthy


def test_two_optimizers_and_groups_of_other_rates() -> None:
    given = Given(batchnorm())
    first, second = given.model[0], given.model[3]  # type: ignore[index]
    optimizers = [
        torch.optim.SGD([{"params": [first.weight], "lr": 0.1}, {"params": [first.bias], "lr": 0.7}]),
        torch.optim.Adam(second.parameters()),
    ]

    def step(batch: Any) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        nn.functional.cross_entropy(given.model(batch[0]), batch[1]).backward()
        for optimizer in optimizers:
            optimizer.step()

    diagnosis = doctor(given.model, optimizers, given.loader, step)
    assert diagnosis.healthy, str(diagnosis)
    assert "no loss value" in str(diagnosis)


def test_an_average_and_a_scheduler_that_were_handed_in_are_healthy() -> None:
    given = Given(batchnorm())
    ema = torch.optim.swa_utils.AveragedModel(given.model)
    scheduler = torch.optim.lr_scheduler.StepLR(given.optimizer, 2)
    given.state = [ema, scheduler]

    def step(batch: Any) -> torch.Tensor:
        loss = given.train(batch)
        ema.update_parameters(given.model)
        scheduler.step()
        return loss

    given.step = step
    assert examined(given).healthy


def test_a_grad_scaler_and_a_trainer() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.model = batchnorm()
            self.optimizer = torch.optim.Adam(self.model.parameters())
            self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)

        def step(self, batch: Any) -> None:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()

    trainer = Trainer()
    given: Any = (trainer.model, trainer.optimizer, LOADERS["shuffled"](), trainer.step)
    (finding,) = doctor(*given).findings
    assert finding.where == "step: self.scaler"
    assert finding.advice == "hand it in as state=[self.scaler]"
    assert doctor(*given, [trainer.scaler]).healthy


def test_workers_that_have_begun_are_left_alone() -> None:
    given = Given()
    given.loader = LOADERS["a worker that persists"]()
    next(iter(given.loader))
    workers = given.loader._iterator
    assert examined(given).healthy
    assert given.loader._iterator is workers
    assert len(list(given.loader)) == 6
    given.loader._iterator = None  # ends them now


def test_large_data_are_told_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gammatune.engine.doctor.object_graph.LARGE", 48 * 6 * 4 - 1)
    assert examined(Given()).unseen == ("loader.dataset.tensors[0] (0 MiB)",)


def test_a_cache_that_fills_once_is_no_illness() -> None:
    class Masked:
        def __init__(self) -> None:
            self.mask: torch.Tensor | None = None

    masked, given = Masked(), Given()

    def step(batch: Any) -> torch.Tensor:
        if masked.mask is None:
            masked.mask = torch.ones(6)
        return given.train((batch[0] * masked.mask, batch[1]))

    given.step = step
    assert examined(given).healthy


# -- the ill --------------------------------------------------------------------------------------------------------


def test_an_average_in_the_closure() -> None:
    given = Given(batchnorm())
    ema = torch.optim.swa_utils.AveragedModel(given.model)

    def step(batch: Any) -> torch.Tensor:
        loss = given.train(batch)
        ema.update_parameters(given.model)
        return loss

    given.step = step
    finding = the_finding(given)
    assert finding.where == "step: closure variable `ema`"
    assert finding.what == "parameters of AveragedModel changed and did not come back after a rollout"
    assert finding.advice == "hand it in as state=[ema]"


def test_a_scheduler_that_was_not_handed_in() -> None:
    given = Given()
    scheduler = torch.optim.lr_scheduler.StepLR(given.optimizer, 2)

    def step(batch: Any) -> torch.Tensor:
        loss = given.train(batch)
        scheduler.step()
        return loss

    given.step = step
    finding = the_finding(given)
    assert finding.where == "step: closure variable `scheduler`"
    assert "StepLR" in finding.what
    assert finding.advice == "hand it in as state=[scheduler], with multiplier=True"


def test_a_rate_that_the_step_sets_itself() -> None:
    given = Given()

    def step(batch: Any) -> torch.Tensor:
        given.optimizer.param_groups[0]["lr"] *= 0.9
        return given.train(batch)

    given.step = step
    assert "lr was" in str(examined(given))


calls = 0


def counting(model: nn.Module, optimizer: Any) -> Callable[[Any], torch.Tensor]:
    def step(batch: Any) -> torch.Tensor:
        global calls
        calls += 1
        return train(model, optimizer, batch, factor=1 / calls)

    return step


def test_a_counter_that_bends_the_loss() -> None:
    given = Given()
    given.step = counting(given.model, given.optimizer)
    first, second = examined(given).findings
    assert first.where == "training"
    assert "since step 1 the weights differ" in first.what
    assert second.where == "step: global variable `calls`"
    assert "a number changed" in second.what
    assert "it is 5, and would be 0" in second.what
    assert calls == 0


def test_a_counter_in_a_closure_and_one_in_a_list() -> None:
    given = Given()
    count, history = 0, []

    def step(batch: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        history.append(count)
        return given.train(batch)

    given.step = step
    findings = examined(given).findings
    assert {f.where for f in findings} == {
        "step: closure variable `count`",
        "step: closure variable `history`",
    }
    assert "(it is 10, and would be 5)" in str(findings)
    assert (count, history) == (0, [])


ORDER = random.Random(7)


class Reordered(Dataset[Any]):
    """Another example than the one asked for, as a generator says of which no loader knows."""

    def __len__(self) -> int:
        return 48

    def __getitem__(self, index: int) -> Any:
        index = ORDER.randrange(48)
        return X[index], Y[index]


def test_an_order_from_a_generator_that_nobody_sees() -> None:
    given = Given()
    given.loader = DataLoader(Reordered(), batch_size=8)
    stood = ORDER.getstate()
    first, second = examined(given).findings
    assert first.where == "loader"
    assert "since step 1 the batches differ" in first.what
    assert second.where == "loader.dataset.__getitem__: global variable `ORDER`"
    assert second.advice == "hand it in as state=[ORDER]"
    assert ORDER.getstate() == stood
    given.state = [ORDER]
    assert examined(given).healthy


def test_a_tensor_hidden_from_the_model() -> None:
    class Memory:
        def __init__(self) -> None:
            self.items = [torch.zeros(6)]

    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = Memory()
            self.leave = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = self.memory.items[0]
            if self.training:
                mean.mul_(0.9).add_(0.1 * x.detach().mean(dim=0))
            return self.leave(x - mean)

    first, second = examined(Given(Remembering())).findings
    assert first.where == "training"
    assert second.where == "model.memory.items"
    assert "give Memory state_dict and load_state_dict" in second.advice
    assert "state=[model.memory]" in second.advice


@pytest.mark.parametrize("source", [lambda: time.perf_counter() % 1e-3, lambda: os.urandom(1)[0] / 100])
def test_an_operation_that_is_not_deterministic(source: Callable[[], float]) -> None:
    class Uncertain(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x + source())

    given = Given(Uncertain(6, 2))
    given.optimizer = torch.optim.SGD(given.model.parameters(), lr=0.01)
    finding = the_finding(given)
    assert finding.where == "training"
    assert "two plain runs from the same state are not the same" in finding.what
    assert "since step 1 the weights differ" in finding.what


def test_data_that_are_not_deterministic() -> None:
    class Entropy(Dataset[Any]):
        def __len__(self) -> int:
            return 48

        def __getitem__(self, index: int) -> Any:
            return X[index] + os.urandom(1)[0], Y[index]

    given = Given()
    given.loader = DataLoader(Entropy(), batch_size=8)
    finding = the_finding(given)
    assert finding.where == "loader"
    assert "since step 1 the batches differ" in finding.what


def test_an_optimizer_that_keeps_copies_elsewhere() -> None:
    class Lookahead:
        def __init__(self, optimizer: Any) -> None:
            self.optimizer, self.steps = optimizer, 0
            self.slow = [p.detach().clone() for g in optimizer.param_groups for p in g["params"]]

        def step(self) -> None:
            self.optimizer.step()
            self.steps += 1
            if self.steps % 2 == 0:
                fast = [p for g in self.optimizer.param_groups for p in g["params"]]
                for slow, p in zip(self.slow, fast, strict=True):
                    slow.lerp_(p.detach(), 0.5)
                    p.data.copy_(slow)

    given = Given()
    lookahead = Lookahead(given.optimizer)

    def step(batch: Any) -> None:
        given.optimizer.zero_grad()
        nn.functional.cross_entropy(given.model(batch[0]), batch[1]).backward()
        lookahead.step()

    given.step = step
    diagnosis = examined(given)
    where = {finding.where for finding in diagnosis.findings}
    assert "training" in where
    assert "step: closure variable `lookahead`.slow" in where
    assert "step: closure variable `lookahead`.steps" in where
    assert "give Lookahead state_dict and load_state_dict and hand it in as state=[lookahead]" in str(
        diagnosis
    )


class Counted(Dataset[Any]):
    served = 0

    def __init__(self) -> None:
        self.calls = 0

    def __len__(self) -> int:
        return 48

    def __getitem__(self, index: int) -> Any:
        self.calls += 1
        Counted.served += 1
        return X[index], Y[index]


def test_a_dataset_that_counts_its_calls() -> None:
    given = Given()
    given.loader = DataLoader(Counted(), batch_size=8)
    findings = {finding.where: finding for finding in examined(given).findings}
    assert findings.keys() == {"loader.dataset.calls", "loader.dataset.served"}
    assert "it is 80, and would be 40" in findings["loader.dataset.calls"].what
    assert "give Counted state_dict" in findings["loader.dataset.calls"].advice
    assert Counted.served == 0


def test_a_state_dict_that_forgets() -> None:
    class Forgetful:
        def __init__(self) -> None:
            self.count = 0

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

    given, forgetful = Given(), Forgetful()

    def step(batch: Any) -> torch.Tensor:
        forgetful.count += 1
        return given.train(batch)

    given.step, given.state = step, [forgetful]
    finding = the_finding(given)
    assert finding.where == "state[0].count"
    assert "state_dict of Forgetful does not have it" in finding.advice


def test_what_a_checkpoint_cannot_hold() -> None:
    class Holding:
        def state_dict(self) -> dict[str, Any]:
            return {"thing": Shuffled}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

    given = Given()
    given.state = [Holding()]
    finding = the_finding(given)
    assert finding.where == "the steps before the checkpoint, at step 5"
    assert "Holding" in finding.what


def test_a_parameter_without_a_shape() -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    diagnosis = doctor(model, optimizer, [(X, Y)], loss_fn=nn.CrossEntropyLoss())
    assert "has no shape yet" in str(diagnosis)
    assert isinstance(model[0], nn.LazyLinear)


def test_a_training_that_blows_up_by_itself() -> None:
    given = Given()
    given.step = lambda batch: train(given.model, given.optimizer, batch, factor=float("nan"))
    assert "blows up by itself" in the_finding(given).what


def test_what_cannot_be_looked_into_is_said() -> None:
    numbers, given = iter(range(10**6)), Given()
    rows = (row for row in [1])

    def step(batch: Any) -> torch.Tensor:
        assert rows
        return train(given.model, given.optimizer, batch, factor=1 + 0 * next(numbers))

    given.step = step
    assert examined(given).unseen == (
        "step: closure variable `numbers` (a range_iterator)",
        "step: closure variable `rows` (a generator)",
    )


# -- nothing is left behind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 7, 13, 33])
def test_an_exception_goes_through_and_all_is_as_it_was(at: int) -> None:
    given = Given(batchnorm())
    done: list[int] = []
    fate = itertools.count(1)

    def step(batch: Any) -> torch.Tensor:
        done.append(1)
        loss = given.train(batch)
        if next(fate) == at:
            raise ZeroDivisionError("the user's own")
        return loss

    given.step = step
    objects = given.objects()
    before = Survey(objects), StreamStates([]), list(vars(given.model)), given.optimizer.state_dict()
    with pytest.raises(ZeroDivisionError, match="the user's own") as raised:
        doctor(**objects)
    assert "as they were before" in raised.value.__notes__[0]
    assert "at step" in raised.value.__notes__[0]
    unchanged(before, objects, given)
    assert done == []


def test_everything_is_the_same_object_as_before() -> None:
    class Odd:
        __slots__ = ("number", "unset")

        def __init__(self) -> None:
            self.number = [1]

    odd, given = Odd(), Given()
    table, queue, kinds = {"b": 1, "a": 2}, np.zeros(3), {1, 2}
    weight = given.model[0].weight  # type: ignore[index]
    weight.grad = torch.ones_like(weight)
    gradient, storage = weight.grad, weight.data_ptr()

    def step(batch: Any, seen: list[int] = []) -> torch.Tensor:  # noqa: B006 - kept on purpose
        odd.number = [*odd.number, 2]
        odd.unset = 3  # type: ignore[attr-defined]
        table["c"] = table.pop("b")
        table["b"] = 3
        queue[0] += 1
        kinds.add(3)
        seen.append(1)
        weight.data = weight.data.clone()
        weight.requires_grad_(not weight.requires_grad)
        step.told = True  # type: ignore[attr-defined]
        return given.train(batch)

    given.step = step
    number = odd.number
    doctor(**given.objects(), steps=2)
    assert odd.number is number == [1]
    assert not hasattr(odd, "unset")
    assert list(table.items()) == [("b", 1), ("a", 2)]
    assert queue.tolist() == [0, 0, 0]
    assert kinds == {1, 2}
    assert step.__defaults__ == ([],)
    assert not hasattr(step, "told")
    assert weight.grad is gradient
    assert weight.data_ptr() == storage
    assert weight.requires_grad


def test_an_evaluation_of_the_users_own_is_a_part_of_it() -> None:
    given, seen = Given(), []
    finding = the_finding(given, evaluate=lambda: seen.append(given.model.training))
    assert finding.where == "evaluate: closure variable `seen`"
    assert seen == []


# -- what it is asked with ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"model": 3}, "model= takes .* not int"),
        ({"optimizer": [object()]}, "optimizer= takes .* not object"),
        ({"loader": iter([])}, "passed over again"),
        ({"steps": 0}, "steps=0"),
        ({"state": X}, "state= takes a list, not Tensor"),
        ({"step": None}, "neither step= and loss_fn="),
        ({"loss_fn": nn.functional.cross_entropy}, "both step= and loss_fn="),
    ],
)
def test_bad_input(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        doctor(**{**Given().objects(), **wrong})


def test_an_ill_training_can_be_raised() -> None:
    diagnosis = Diagnosis(
        (Finding("a list changed", "step: closure variable `a`", "hand it in"),), ("5 batches",)
    )
    with pytest.raises(NotRestorable, match="closure variable `a`"):
        diagnosis.raise_if_ill()
    assert not diagnosis.healthy


# -- the command ----------------------------------------------------------------------------------------------------

MODULE = """
import torch
from torch import nn

calls = 0


def made():
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, [(torch.ones(3, 4), torch.tensor([0, 1, 1]))] * 3


def healthy():
    model, optimizer, loader = made()
    return {"model": model, "optimizer": optimizer, "loader": loader, "loss_fn": nn.functional.cross_entropy}


def ill():
    model, optimizer, loader = made()

    def step(batch):
        global calls
        calls += 1
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return model, optimizer, loader, step


def wrong():
    return 3


def needy(shape):
    return healthy()


def unknown():
    return healthy() | {"epochs": 3}
"""


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    (tmp_path / "mine_to_examine.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_to_examine", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gammatune", "doctor", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_the_command_says_healthy(command: Any) -> None:
    code, out, err = command("mine_to_examine:healthy")
    assert (code, err) == (0, "")
    assert out.startswith("healthy")


def test_the_command_says_ill(command: Any) -> None:
    code, out, _ = command("mine_to_examine:ill", "--steps", "2")
    assert code == 1
    assert "step: global variable `calls`" in out
    code, out, _ = command("mine_to_examine:ill", "--json")
    told = json.loads(out)
    assert code == 1
    assert told["healthy"] is False
    assert told["findings"][0]["where"] == "step: global variable `calls`"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("mine_to_examine:wrong", "returned int"),
        ("mine_to_examine:needy", "needs the argument 'shape'"),
        ("mine_to_examine:unknown", "epochs"),
        ("mine_to_examine:none", "has no 'none'"),
        ("nowhere:none", "no module 'nowhere'"),
        ("nowhere", "package.module:factory"),
    ],
)
def test_the_command_on_what_it_cannot_use(command: Any, name: str, match: str) -> None:
    code, out, err = command(name)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert match in err
