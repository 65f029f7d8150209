"""`gammatune.integrations.lightning.fit` beside `trainer.fit`. Skipped where Lightning is not installed."""

import copy
import logging
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from alike import same
from candidates import blowing_up, two_epochs
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gammatune.errors import ConflictingControl, EscapeWarning, InvalidArgument, MissingExtra
from gammatune.integrations.lightning import fit
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.testing.control import control_rollouts

pl = needs.package("lightning.pytorch")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
]
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

X = torch.randn(80, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(dim=1) > 0).long()
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear()),
    Rollout({"lr": 0.03}, 0, None, length=Length(1.4)),
]


class Net(pl.LightningModule):  # type: ignore[misc]
    """Draws random numbers, counts its steps, logs in every way, and looks at the epoch and at its logger."""

    def __init__(self, optimizer: Callable[..., Any] = torch.optim.Adam, lr: float = 0.01) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.net = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
        )
        self.calls, self.make, self.lr = 0, optimizer, lr

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        self.calls += 1
        if self.logger is not None:
            self.logger.log_metrics({"mine": float(self.calls)}, step=self.global_step)
        noise = 0.01 * torch.randn(6) * random.random() * (1 + self.current_epoch)
        loss = nn.functional.cross_entropy(self.net(x + noise), y)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        output = self.net(x)
        self.log("val_loss", nn.functional.cross_entropy(output, y))
        self.log("val_acc", (output.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> Any:
        return self.make(self.parameters(), lr=self.lr)


def trainer_of(**options: Any) -> Any:
    usual: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**(usual | options))


def loaders(**options: Any) -> tuple[Any, Any]:
    return (
        DataLoader(TensorDataset(X[:60], Y[:60]), batch_size=16, shuffle=True, **options),
        DataLoader(TensorDataset(X[60:], Y[60:]), batch_size=16),
    )


def evidence(trainer: Any, model: Any) -> list[Any]:
    return [
        dict(model.state_dict()),
        [model.calls, model.training],
        trainer.optimizers[0].state_dict(),
        torch.get_rng_state(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
        [trainer.current_epoch, trainer.global_step],
        dict(trainer.callback_metrics),
    ]


def run(
    how: Callable[..., Any], data: Callable[[], Any] = loaders, model: Any = None, **options: Any
) -> list[Any]:
    trainer, model = trainer_of(**options), Net() if model is None else model
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    how(trainer, model, *data())
    return evidence(trainer, model)


def plain(trainer: Any, *rest: Any) -> None:
    trainer.fit(*rest)


def disturbed(trainer: Any, *rest: Any, by: Sequence[Any] = DISTURBED) -> None:
    policy = control_rollouts({"lr": 0.01}, by)
    result = fit(trainer, *rest, policy=policy, space=["lr=1e-4:1:log"], budget=50)
    assert len(result.rollouts) == (1 + len(by)) * trainer.max_epochs


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation and clipping": {"accumulate_grad_batches": 3, "gradient_clip_val": 0.1},
    "bfloat16": {"precision": "bf16-mixed"},
    "double": {"precision": "64-true"},
    "validation in the middle": {"val_check_interval": 0.5},
    "validation every other epoch": {"check_val_every_n_epoch": 2, "max_epochs": 3},
    "no sanity check": {"num_sanity_val_steps": 0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_control_rollouts_change_nothing(name: str) -> None:
    """Against `trainer.fit` itself: weights, optimizer, counters, logged metrics, modes and every random stream."""
    one, other = run(plain, **OPTIONS[name]), run(disturbed, **OPTIONS[name])
    for a, b in zip(one, other, strict=True):
        assert same(a, b)


class Counting(Net):
    """Draws from a generator that is no part of it as torch knows one."""

    def __init__(self, source: torch.Generator) -> None:
        super().__init__()
        self.source = [source]  # which Lightning does not pickle

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        return super().training_step((x + torch.randn(x.shape, generator=self.source[0]), y), batch_idx)


@pytest.mark.parametrize("forks", ["auto", "disk"])
def test_state_of_ones_own_goes_back_with_every_fork(forks: Any) -> None:
    def with_state(trainer: Any, model: Any, *rest: Any) -> None:
        policy = control_rollouts({"lr": 0.01}, DISTURBED)
        options: dict[str, Any] = {"policy": policy, "space": ["lr=1e-4:1:log"], "budget": 50}
        fit(trainer, model, *rest, **options, state=model.source, forks=forks)

    one, other = (run(how, model=Counting(torch.Generator().manual_seed(5))) for how in (plain, with_state))
    for a, b in zip(one, other, strict=True):
        assert same(a, b)


STEPS: dict[str, dict[str, Any]] = {
    "validated by step": {"val_check_interval": 4, "check_val_every_n_epoch": None},
    "a twentieth": {"check_val_every_n_epoch": 50},
    "accumulation": {"accumulate_grad_batches": 2, "val_check_interval": 8, "check_val_every_n_epoch": None},
    "no length": {"check_val_every_n_epoch": 50},
}


class Endless(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Any:
        while True:
            yield from zip(X[:60], Y[:60], strict=True)


@pytest.mark.parametrize("name", STEPS)
def test_control_rollouts_change_nothing_in_steps(name: str) -> None:
    """As above, but for the epochs that Lightning counts: 13 steps, which end in the midst of a pass."""

    class Still(Net):
        current_epoch = 0

    def data() -> Any:
        if name != "no length":
            return loaders()
        return DataLoader(Endless(), batch_size=16), loaders()[1]

    def stepped(trainer: Any, *rest: Any) -> None:
        policy = control_rollouts({"lr": 0.01}, DISTURBED)
        result = fit(trainer, *rest, policy=policy, space=["lr=1e-4:1:log"], budget=50)
        assert sum(outcome.steps for outcome in result.course) == 13

    options = {"max_steps": 13, "max_epochs": -1, "num_sanity_val_steps": 0, **STEPS[name]}
    one, other = (run(how, data, Still(), **options) for how in (plain, stepped))
    for place, (a, b) in enumerate(zip(one[:6], other[:6], strict=True)):
        assert same(a, b), place
    assert one[6][1] == other[6][1] == 13


def test_steps_that_take_fewer_batches_are_refused() -> None:
    trainer = trainer_of(max_steps=13, max_epochs=-1, accumulate_grad_batches=3)
    with pytest.raises(
        InvalidArgument, match=r"gradients accumulate over 3, so that the last step of each pass"
    ):
        fit(trainer, Net(), *loaders())


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "RMSprop", "LBFGS"])
def test_optimizers(optimizer: str) -> None:
    make = getattr(torch.optim, optimizer)
    one, other = run(plain, model=Net(make)), run(disturbed, model=Net(make))
    assert same(one, other)


class Stateful(torch.utils.data.Sampler[int]):
    """An order that its own generator goes on drawing, so that it cannot be drawn again."""

    def __init__(self) -> None:
        self.source = np.random.default_rng(4)

    def __len__(self) -> int:
        return 60

    def __iter__(self) -> Any:
        return iter(self.source.permutation(60).tolist())


@pytest.mark.parametrize("name", ["generator", "sampler"])
def test_loaders(name: str) -> None:
    def data() -> Any:
        if name == "generator":
            return loaders(generator=torch.Generator().manual_seed(4))
        train = DataLoader(TensorDataset(X[:60], Y[:60]), batch_size=16, sampler=Stateful())
        return train, loaders()[1]

    # of a tape an epoch is drawn where it is first played, and a rollout across epochs has no validation between them
    by = DISTURBED if name == "generator" else DISTURBED[:2]
    assert same(run(plain, data), run(partial(disturbed, by=by), data))


def test_the_disturbances_disturb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the counters not part of a fork, the property would not hold: the noise grows with the epoch."""
    from gammatune.integrations import lightning as ours

    monkeypatch.setattr(ours._Counters, "load_state_dict", lambda self, state: None)
    with pytest.warns(EscapeWarning, match="came out otherwise"):
        other = run(disturbed)
    assert not same(run(plain), other)


class Recorder(pl.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("on_") or "checkpoint" in name:
            return found

        def record(trainer: Any, module: Any, *rest: Any, **options: Any) -> None:
            weights = float(module.net[0].weight.detach().sum())
            counters = trainer.current_epoch, trainer.global_step, weights
            self.heard.append((name, counters, copy.deepcopy(dict(trainer.callback_metrics))))

        return record


class Logger(pl.loggers.logger.Logger):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    name = "recorder"
    version = 0

    def log_hyperparams(self, *rest: Any, **options: Any) -> None:
        self.heard.append("hyperparams")

    def log_metrics(self, metrics: Any, step: Any = None) -> None:
        self.heard.append((step, dict(metrics)))


def test_callbacks_and_loggers_hear_the_course_only() -> None:
    """The same calls, in the same order, with the same numbers and the same weights as under `trainer.fit`."""
    heard = []
    for how in (plain, disturbed):
        callback, logger = Recorder(), Logger()
        run(how, callbacks=[callback], logger=logger, log_every_n_steps=1, val_check_interval=0.5)
        assert sum(name == "on_train_epoch_end" for name, _, _ in callback.heard) == 2
        assert sum(name == "on_train_batch_end" for name, _, _ in callback.heard) == 8
        heard.append((callback.heard, logger.heard))
    (callbacks, logs), (our_callbacks, our_logs) = heard
    assert [name for name, _, _ in callbacks] == [name for name, _, _ in our_callbacks]
    assert same(callbacks, our_callbacks)
    assert logs == our_logs


def many(scale: int = 10) -> tuple[Any, Any]:
    train = TensorDataset(X[:60].repeat(scale, 1), Y[:60].repeat(scale))
    return DataLoader(train, batch_size=16, shuffle=True), loaders()[1]


def test_a_search(tmp_path: Path) -> None:
    """With a checkpoint of the best epoch, and its logger."""
    model, recorder = Net(lr=1e-3), Recorder()
    keep = pl.callbacks.ModelCheckpoint(tmp_path, monitor="val_loss", save_weights_only=True)
    trainer = trainer_of(max_epochs=6, enable_checkpointing=True, callbacks=[keep, recorder])
    torch.manual_seed(3)
    result = fit(trainer, model, *many())
    assert len(result.rollouts) > len(result.course) == 6
    assert result.schedule[0]["lr"] > 2e-3  # the optimizer's own is too small for six epochs
    assert result.metrics["accuracy"] == result.metrics["val_acc"] >= 0.8
    ends = [counters for name, counters, _ in recorder.heard if name == "on_train_epoch_end"]
    assert [epoch for epoch, _, _ in ends] == list(range(6))
    assert keep.best_model_score == pytest.approx(min(o.metrics["val_loss"] for o in result.course))
    assert len(list(tmp_path.glob("*.ckpt"))) == 1


def test_early_stopping_ends_the_run() -> None:
    class Stop(pl.Callback):  # type: ignore[misc]
        def on_validation_end(self, trainer: Any, module: Any) -> None:
            trainer.should_stop = trainer.current_epoch == 1 and not trainer.sanity_checking

    model, trainer = Net(), trainer_of(max_epochs=6, callbacks=[Stop()])
    result = fit(trainer, model, *loaders())
    assert len(result.course) == 2
    assert trainer.current_epoch == 2
    assert trainer.validate(model, loaders()[1], verbose=False)[0]["val_loss"] == pytest.approx(
        result.metrics["loss"]
    )


def test_gone_on_with(tmp_path: Path) -> None:
    """A run that was interrupted ends as one that was not."""

    class Fail(pl.Callback):  # type: ignore[misc]
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            if trainer.current_epoch == 2:
                raise RuntimeError("pulled the plug")

    def train(directory: str, **options: Any) -> Any:
        model = Net()
        torch.manual_seed(3)
        random.seed(3)
        fit(trainer_of(max_epochs=4, **options), model, *many(4), run_dir=str(tmp_path / directory))
        return dict(model.state_dict())

    whole = train("whole")
    with pytest.raises(RuntimeError, match="pulled the plug"):
        train("parts", callbacks=[Fail()])
    assert same(whole, train("parts"))


class Tender(Net):
    """Raises in training where its weights are large."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.net[0].weight.abs().max() > 50:
            raise ValueError("large weights")
        return super().training_step(batch, batch_idx)


def test_a_candidate_that_raises_leaves_no_trace() -> None:
    def train(*rates: float) -> Any:
        model, trainer = Tender(), trainer_of()
        torch.manual_seed(3)
        random.seed(3)
        result = fit(trainer, model, *many(4), policy=two_epochs(*rates), budget=20)
        return dict(model.state_dict()), trainer.global_step, dict(trainer.callback_metrics), result

    plain, disturbed = train(), train(1e3)
    assert same(plain[:3], disturbed[:3])
    assert [o.note for o in disturbed[3].rollouts if not o.ok] == ["ValueError: large weights"] * 2


def test_an_error_of_the_module_or_of_a_callback_is_the_users() -> None:
    class Buggy(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if self.calls > 40:
                raise ValueError("mine")
            return super().training_step(batch, batch_idx)

    class Fail(pl.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: Any, *others: Any) -> None:
            if trainer.current_epoch == 1:
                raise ValueError("mine")

    for model, callbacks in ((Buggy(), []), (Net(), [Fail()])):
        with pytest.raises(ValueError, match="mine"):
            fit(trainer_of(max_epochs=4, callbacks=callbacks), model, *many(4))


def test_an_epoch_that_is_taken_back() -> None:
    """It has been seen, and the one in its place is told with the same counters."""
    recorder = Recorder()
    trainer, model = trainer_of(max_epochs=3, callbacks=[recorder]), Net(torch.optim.SGD)
    result = fit(trainer, model, *loaders(), policy=blowing_up, space=["lr=1e-4:1e31:log"], budget=50)
    assert [outcome.status for outcome in result.rollouts] == ["ok", "diverged", "ok", "ok"]
    starts = [counters[:2] for name, counters, _ in recorder.heard if name == "on_train_epoch_start"]
    assert starts == [(0, 0), (1, 4), (1, 4), (2, 8)]
    assert (trainer.current_epoch, trainer.global_step, model.calls) == (3, 12, 12)


def attempt(model: Any = None, data: Any = None, options: Any = None, **asked: Any) -> None:
    fit(trainer_of(**(options or {})), Net() if model is None else model, *(data or loaders()), **asked)


class Scheduled(Net):
    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class Two(Net):
    def configure_optimizers(self) -> Any:
        return [super().configure_optimizers(), torch.optim.SGD(self.parameters(), lr=0.1)]


class Stepping(Net):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


class Silent(Net):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("something", torch.tensor(1.0))


class Unsized(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(zip(X, Y, strict=True))


def test_what_is_refused() -> None:
    with pytest.raises(ConflictingControl, match="returns a StepLR"):
        attempt(Scheduled())
    with pytest.raises((InvalidArgument, RuntimeError), match="optimizers"):
        attempt(Two())
    with pytest.raises(InvalidArgument, match="manual optimization"):
        attempt(Stepping())
    with pytest.raises(InvalidArgument, match="logs something, and a loss is needed"):
        attempt(Silent())
    with pytest.raises(InvalidArgument, match="loss='name'"):
        attempt(loss="val_los")
    with pytest.raises(InvalidArgument, match="accuracy='f1': validation_step logs"):
        attempt(accuracy="f1")
    with pytest.raises(InvalidArgument, match="on data it is not trained on"):
        attempt(data=loaders()[:1])
    with pytest.raises(InvalidArgument, match="one loader that has a length"):
        attempt(data=(DataLoader(Unsized(), batch_size=16), loaders()[1]))
    with pytest.raises(InvalidArgument, match="one loader that has a length"):
        attempt(data=({"a": loaders()[0]}, loaders()[1]))
    with pytest.raises(InvalidArgument, match="max_steps=10"):
        attempt(options={"max_steps": 10})
    with pytest.raises(InvalidArgument, match="limit_train_batches=2"):
        attempt(options={"limit_train_batches": 2})
    with pytest.raises(ConflictingControl, match="StochasticWeightAveraging takes part"):
        attempt(options={"callbacks": [pl.callbacks.StochasticWeightAveraging(0.1)]})
    with pytest.raises(InvalidArgument, match="only afterwards"):
        attempt(policy="once")
    with pytest.raises(
        InvalidArgument, match="ensemble=True cannot be had here: callbacks and loggers follow"
    ):
        attempt(ensemble=True, budget=4)
    with pytest.raises(InvalidArgument, match=r"lightning\.pytorch\.Trainer"):
        fit(trainer_of(), nn.Linear(2, 2))  # type: ignore[arg-type]


def test_several_devices() -> None:
    trainer = trainer_of()
    trainer.strategy.__class__ = type("DDPStrategy", (pl.strategies.Strategy,), {})
    with pytest.raises(InvalidArgument, match="DDPStrategy trains on several devices"):
        fit(trainer, Net())


def test_without_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, model = trainer_of(), Net()
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(MissingExtra, match=r"gammatune\[lightning\]"):
        fit(trainer, model)
