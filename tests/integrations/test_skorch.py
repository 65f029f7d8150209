"""`gammatune.integrations.skorch` beside `net.fit`. Skipped where skorch is not installed."""

import pickle
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import needs
import numpy as np
import pytest
import torch
from candidates import blowing_up, two_epochs
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gammatune.errors import ConflictingControl, InvalidArgument, MissingExtra
from gammatune.integrations.skorch import GammaTuned, fit
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.testing.control import control_rollouts
from gammatune.tuning.options import Search

skorch = needs.package("skorch")
callbacks = skorch.callbacks

EPOCHS, RATE = 3, 0.05
RNG = np.random.default_rng(1)
X = RNG.normal(size=(80, 6)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int64)
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear()),
    Rollout({"lr": 0.03}, 0, None, length=Length(1.4)),
]


class Module(nn.Module):
    """Draws random numbers and counts its calls. outputs: 0 for one number an example."""

    def __init__(self, outputs: int = 2, hidden: int = 8) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, outputs or 1),
        )
        self.outputs, self.calls = outputs, 0

    def forward(self, X: Any) -> Any:
        self.calls += self.training
        noise = 0.01 * torch.randn(6) * random.random() if self.training else 0.0
        said = self.net(X + noise)
        return said if self.outputs else said.squeeze(1)


def net_of(kind: Any = None, outputs: int = 2, **options: Any) -> Any:
    usual: dict[str, Any] = {
        "module__outputs": outputs,
        "max_epochs": EPOCHS,
        "lr": RATE,
        "batch_size": 16,
        "verbose": 0,
        "iterator_train__shuffle": True,
    }
    if kind is None:
        kind = skorch.NeuralNetClassifier
        usual["criterion"] = nn.CrossEntropyLoss
    return kind(Module, **(usual | options))


def seed() -> None:
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002


def plain(net: Any, y: Any = Y, data: Any = X) -> Any:
    net.fit(data, y)


def disturbed(net: Any, y: Any = Y, data: Any = X, by: Sequence[Any] = DISTURBED) -> None:
    policy = control_rollouts({"lr": net.lr}, by)
    result = fit(net, data, y, policy=policy, space=["lr=1e-4:1:log"], budget=50)
    assert len(result.rollouts) == (1 + len(by)) * net.max_epochs


def evidence(net: Any) -> list[Any]:
    clocked = {"dur"}
    return [
        dict(net.module_.state_dict()),
        [net.module_.calls, net.module_.training],
        net.optimizer_.state_dict(),
        [torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()],  # noqa: NPY002
        [{name: value for name, value in row.items() if name not in clocked} for row in net.history],
    ]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) or (a != a and b != b)


class Accumulating(skorch.NeuralNetClassifier):  # type: ignore[misc]
    """As skorch's pages have it: a step every third batch."""

    every = 3

    def get_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().get_loss(*args, **kwargs) / self.every

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        step = self.train_step_single(batch, **fit_params)
        if len(self.history[-1, "batches"]) % self.every == 0:
            self.notify("on_grad_computed", named_parameters=self.module_.named_parameters())
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


class Mixed(skorch.NeuralNetClassifier):  # type: ignore[misc]
    def infer(self, x: Any, **fit_params: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().infer(x, **fit_params).float()


CLIPPED = {"callbacks": [("clip", callbacks.GradientNormClipping(0.1))]}
CROSS = {"criterion": nn.CrossEntropyLoss}
NETS: dict[str, Any] = {
    "classifier": {},
    "momentum": {"optimizer__momentum": 0.9},
    "adam": {"optimizer": torch.optim.AdamW},
    "second order": {"optimizer": torch.optim.LBFGS, "optimizer__max_iter": 3},
    "clipping": CLIPPED,
    "accumulation": {"kind": Accumulating, **CROSS},
    "accumulation and clipping": {"kind": Accumulating, **CROSS, **CLIPPED},
    "bfloat16": {"kind": Mixed, **CROSS},
    "in order": {"iterator_train__shuffle": False},
    "binary": {"kind": skorch.classifier.NeuralNetBinaryClassifier, "outputs": 0},
    "regressor": {"kind": skorch.NeuralNetRegressor, "outputs": 1},
}


def target_of(name: str) -> Any:
    if name == "regressor":
        return X.sum(axis=1, keepdims=True)
    return Y.astype(np.float32) if name == "binary" else Y


@pytest.mark.parametrize("name", NETS)
def test_control_rollouts_change_nothing(name: str) -> None:
    """Against `net.fit` itself: weights, optimizer, the module's counters, random streams and the whole history."""
    found = []
    for how in (plain, disturbed):
        seed()
        net = net_of(**NETS[name])
        how(net, target_of(name))
        found.append(evidence(net))
    for place, (a, b) in enumerate(zip(*found, strict=True)):
        assert same(a, b), place


class Averaging(skorch.NeuralNetClassifier):  # type: ignore[misc]
    """With a mean of its weights that lies outside of the module, and that the loss looks at."""

    def initialize(self) -> Any:
        super().initialize()
        self.mean = [
            AveragedModel(self.module_, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        ]  # which skorch knows nothing of
        return self

    def get_loss(self, *args: Any, **kwargs: Any) -> Any:
        far = sum(
            (p - q).square().sum()
            for p, q in zip(self.module_.parameters(), self.mean[0].parameters(), strict=True)
        )
        return super().get_loss(*args, **kwargs) + 0.1 * far

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        step = super().train_step(batch, **fit_params)
        self.mean[0].update_parameters(self.module_)
        return step


@pytest.mark.parametrize("forks", ["auto", "disk"])
def test_state_of_ones_own_goes_back_with_every_fork(forks: Any) -> None:
    ends = []
    for policy in (control_rollouts({"lr": RATE}, []), control_rollouts({"lr": RATE}, DISTURBED)):
        seed()
        net = net_of(Averaging, criterion=nn.CrossEntropyLoss).initialize()
        net.warm_start = True  # so that what is handed in is what is trained
        fit(
            net,
            X,
            Y,
            policy=policy,
            space=["lr=1e-4:1:log"],
            budget=50,
            state=net.mean,
            forks=forks,
        )
        ends.append([dict(net.module_.state_dict()), dict(net.mean[0].state_dict())])
    assert same(*ends)


def test_what_a_framework_has_of_its_own_is_refused() -> None:
    """With whatever value, in a record too, and before any training; nothing is passed over."""
    for options in (
        {"ensemble": True, "budget": 4},
        {"extra_epochs": 2},
        {"multiplier": True},
        {"search": Search(new_model=lambda: Module())},
    ):
        net = net_of()
        with pytest.raises(InvalidArgument, match=r"cannot be had here: .* with gammatune\.Tuner"):
            fit(net, X, Y, **options)
        assert not net.history
    seed()
    assert len(fit(net_of(), X, Y, ensemble=False).course) == EPOCHS


def test_the_loss_and_the_accuracy_are_those_of_skorch() -> None:
    for name in ("classifier", "binary"):
        seed()
        net = net_of(**NETS[name])
        policy = control_rollouts({"lr": RATE}, [])
        result = fit(net, X, target_of(name), policy=policy, space=["lr=1e-4:1:log"])
        assert [o.metrics["loss"] for o in result.course] == pytest.approx(net.history[:, "valid_loss"])
        assert [o.metrics["accuracy"] for o in result.course] == pytest.approx(net.history[:, "valid_acc"])


class Recorder(callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def initialize(self) -> "Recorder":
        self.heard = []
        return self

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("on_") or name == "on_grad_computed":
            return found

        def record(net: Any, **told: Any) -> None:
            self.heard.append(
                (name, sorted(told), len(net.history), float(net.module_.net[0].weight.detach().sum()))
            )

        return record


def test_callbacks_hear_the_course_only() -> None:
    """The same calls, in the same order, with the same rows of the history and the same weights."""
    heard = []
    for how in (plain, disturbed):
        seed()
        net = net_of(callbacks=[("recorder", Recorder())])
        how(net)
        (recorder,) = [each for name, each in net.callbacks_ if name == "recorder"]
        assert sum(name == "on_epoch_end" for name, *_ in recorder.heard) == EPOCHS
        heard.append(recorder.heard)
    assert heard[0] == heard[1]


def test_a_search_and_what_goes_on_beside_it(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With a checkpoint of the best epoch, a file of the net itself, `predict`, `score` and a pickle."""
    seed()
    keep = callbacks.Checkpoint(dirname=tmp_path, monitor="valid_loss_best", f_pickle="net.pkl")
    net = net_of(max_epochs=6, lr=1e-3, callbacks=[("keep", keep)], verbose=1)
    many = np.tile(X, (8, 1)), np.tile(Y, 8)
    result = fit(net, *many, seed=1)
    assert len(result.rollouts) > len(result.course) == len(net.history) == 6
    assert result.schedule[0]["lr"] > 2e-3  # the net's own is too small for six epochs
    assert net.score(X, Y) > 0.8
    assert net.predict_proba(X).shape == (80, 2)
    assert "gammatune: lr" in capsys.readouterr().out
    again = pickle.loads(pickle.dumps(net))
    assert (again.predict(X) == net.predict(X)).all()
    assert not {"notify", "run_single_epoch", "fit_loop"} & vars(net).keys()
    assert pickle.loads((tmp_path / "net.pkl").read_bytes()).predict(X).shape == (80,)
    assert len(list(tmp_path.glob("*.pt"))) >= 3


class Tuned(GammaTuned, skorch.NeuralNetClassifier):  # type: ignore[misc]
    pass


def test_as_an_estimator() -> None:
    """It is cloned, searched over and put in a pipeline; its own options are parameters like others."""
    net = net_of(Tuned, **CROSS, budget=2.0, tuner={"seed": 1}, max_epochs=2)
    assert net.get_params()["budget"] == clone(net).get_params()["budget"] == 2.0
    net.set_params(budget=1.5)
    search = GridSearchCV(net, {"module__hidden": [4, 8]}, cv=2).fit(X, Y)
    best = search.best_estimator_
    assert len(best.result_.course) == len(best.history) == 2
    assert len(best.result_.rollouts) > 2
    assert make_pipeline(StandardScaler(), clone(net)).fit(X, Y).score(X, Y) > 0.4
    assert (pickle.loads(pickle.dumps(best)).predict(X) == best.predict(X)).all()


def test_the_mixin_trains_as_the_function_does() -> None:
    found = []
    for kind in (skorch.NeuralNetClassifier, Tuned):
        seed()
        net = net_of(kind, **CROSS)
        if kind is Tuned:
            net.set_params(tuner={"seed": 2}).fit(X, Y)
        else:
            fit(net, X, Y, seed=2)
        found.append(evidence(net))
    assert same(*found)


def test_fitting_goes_on() -> None:
    """`partial_fit` trains on, and its epochs are counted on."""
    net = net_of(Tuned, **CROSS)
    net.fit(X, Y)
    net.partial_fit(X, Y)
    assert net.history[:, "epoch"] == list(range(1, 2 * EPOCHS + 1))


def test_early_stopping_ends_the_run() -> None:
    class Stop(callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, net: Any, **told: Any) -> None:
            if len(net.history) == 2:
                raise KeyboardInterrupt

    seed()
    net = net_of(max_epochs=6, callbacks=[("stop", Stop())])
    result = fit(net, X, Y)
    assert len(result.course) == len(net.history) == 2


def test_an_interrupt_is_not_swallowed() -> None:
    class Interrupting(skorch.NeuralNetClassifier):  # type: ignore[misc]
        def validation_step(self, *args: Any, **kwargs: Any) -> Any:
            if len(self.history) == 2:
                raise KeyboardInterrupt
            return super().validation_step(*args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        fit(net_of(Interrupting, **CROSS), X, Y)


def test_gone_on_with(tmp_path: Any) -> None:
    """A run that was interrupted ends as one that was not."""

    class Fail(callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, net: Any, **told: Any) -> None:
            if len(net.history) == 3:
                raise RuntimeError("pulled the plug")

    def weights(directory: str, **options: Any) -> Any:
        seed()
        net = net_of(max_epochs=4, **options)
        fit(net, X, Y, run_dir=str(tmp_path / directory))
        return dict(net.module_.state_dict())

    whole = weights("whole")
    with pytest.raises(RuntimeError, match="pulled the plug"):
        weights("parts", callbacks=[("fail", Fail())])
    assert same(whole, weights("parts"))


def test_an_epoch_that_is_taken_back() -> None:
    """It has been begun, and the one in its place stands in the same row."""
    seed()
    net = net_of(callbacks=[("recorder", Recorder())])
    result = fit(net, X, Y, policy=blowing_up, space=["lr=1e-4:1e31:log"], budget=50)
    assert [outcome.status for outcome in result.rollouts] == ["ok", "diverged", "ok", "ok"]
    assert net.history[:, "epoch"] == [1, 2, 3]
    heard = dict(net.callbacks_)["recorder"].heard
    assert [rows for name, _, rows, _ in heard if name == "on_epoch_begin"] == [1, 2, 2, 3]
    assert sum(name == "on_epoch_end" for name, *_ in heard) == 3


def test_a_candidate_that_raises_leaves_no_trace() -> None:
    class Tender(skorch.NeuralNetClassifier):  # type: ignore[misc]
        def train_step_single(self, *args: Any, **kwargs: Any) -> Any:
            if self.module_.net[0].weight.abs().max() > 50:
                raise ValueError("large weights")
            return super().train_step_single(*args, **kwargs)

    def train(*rates: float) -> Any:
        seed()
        net = net_of(Tender, **CROSS, max_epochs=2)
        return fit(net, X, Y, policy=two_epochs(*rates), budget=20), evidence(net)

    (_, one), (result, other) = train(), train(1e3)
    assert same(one, other)
    assert [o.note for o in result.rollouts if not o.ok] == ["ValueError: large weights"] * 2


def test_an_error_of_a_callback_is_the_users() -> None:
    class Fail(callbacks.Callback):  # type: ignore[misc]
        def on_batch_end(self, net: Any, training: bool = False, **told: Any) -> None:
            if len(net.history) == 2:
                raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fit(net_of(callbacks=[("fail", Fail())]), X, Y)


def test_with_accelerate() -> None:
    """skorch's own mixin: what accelerate counts goes back with every fork."""
    accelerate = needs.package("accelerate")
    hf = needs.package("skorch.hf")

    class Accelerated(hf.AccelerateMixin, skorch.NeuralNetClassifier):  # type: ignore[misc]
        pass

    found = []
    for how in (plain, disturbed):
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        accelerate.state.GradientState._reset_state()
        seed()
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=3, mixed_precision="bf16")
        net = net_of(Accelerated, **CROSS, accelerator=accelerator)
        how(net)
        found.append([*evidence(net), accelerator.step, accelerator.sync_gradients])
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()
    for place, (a, b) in enumerate(zip(*found, strict=True)):
        assert same(a, b), place


# Mistakes -------------------------------------------------------------------------------------------------


class Unsized(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return zip(X, Y, strict=True)


def test_what_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="give the net a train_split="):
        fit(net_of(train_split=None), X, Y)
    with pytest.raises(ConflictingControl, match="LRScheduler sets the learning rate"):
        fit(net_of(callbacks=[callbacks.LRScheduler]), X, Y)
    with pytest.raises(ConflictingControl, match="Freezer changes parameters"):
        fit(net_of(callbacks=[("freeze", callbacks.Freezer("net.0.*"))]), X, Y)
    with pytest.raises(InvalidArgument, match="a net of skorch, made, not the class NeuralNetClassifier"):
        fit(skorch.NeuralNetClassifier, X, Y)
    with pytest.raises(InvalidArgument, match="not Linear"):
        fit(nn.Linear(2, 2), X, Y)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="max_epochs"):
        fit(net_of(max_epochs=0), X, Y)
    with pytest.raises(InvalidArgument, match="only afterwards"):
        fit(net_of(), X, Y, policy="once")
    with pytest.raises(InvalidArgument, match="cannot be searched here"):
        fit(net_of(), X, Y, space=["weight_decay=0:1"])
    held = needs.package("skorch.helper").predefined_split(skorch.dataset.Dataset(X, Y))
    with pytest.raises(InvalidArgument, match=r"Unsized.* have no length"):
        fit(net_of(train_split=held, iterator_train__shuffle=False), Unsized(), None)


def test_without_skorch(monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_of()
    monkeypatch.setitem(sys.modules, "skorch", None)
    with pytest.raises(MissingExtra, match=r"gammatune\[skorch\]"):
        fit(net, X, Y)
