"""`gammatune.integrations.keras.fit` beside `model.fit`. Skipped where Keras is not installed."""

import os
import random
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import needs
import numpy as np
import pytest
import torch
from candidates import blowing_up, two_epochs

from gammatune.errors import (
    ConflictingControl,
    EscapeWarning,
    InvalidArgument,
    JournalError,
    MissingExtra,
    NotRestorable,
)
from gammatune.integrations.keras import fit
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.testing.control import control_rollouts

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = needs.package("keras")
if keras.config.backend() != "torch":
    pytest.skip("needs Keras on torch: KERAS_BACKEND=torch", allow_module_level=True)

# how Keras makes NumPy arrays of tensors
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(80, 6)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")
TRAIN, SELECT = slice(0, 60), slice(60, 80)
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear()),
]


class Noise(keras.layers.Layer):  # type: ignore[misc]
    """Draws from Keras's global generator and from Python's, and counts its calls in a plain number."""

    calls = 0

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return x
        self.calls += 1
        return x + 0.01 * keras.random.normal((1, 6)) * random.random() * self.calls


def make(optimizer: str = "Adam", **options: Any) -> Any:
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            Noise(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    made = getattr(keras.optimizers, optimizer)(0.01, **options)
    model.compile(optimizer=made, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def evidence(model: Any) -> list[Any]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    counts = [layer.calls for layer in model.layers if isinstance(layer, Noise)]
    modes = [module.training for module in model.modules()]
    return [
        [variable.numpy() for variable in variables],
        counts,
        modes,
        torch.get_rng_state().numpy(),
        np.random.get_state()[1],  # noqa: NPY002
        random.getstate(),
    ]


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(one, other, strict=True):
        if isinstance(a, (list, tuple)):
            assert_same(a, b)
        else:
            assert np.array_equal(a, b)


def plain(model: Any, *data: Any, **options: Any) -> Any:
    return model.fit(*data, validation_data=(X[SELECT], Y[SELECT]), epochs=2, verbose=0, **options)


def disturbed(model: Any, *data: Any, **options: Any) -> Any:
    return fit(
        model,
        *data,
        validation_data=(X[SELECT], Y[SELECT]),
        epochs=2,
        verbose=0,
        policy=control_rollouts({"lr": 0.01}, DISTURBED),
        space=["lr=1e-4:1:log"],
        budget=50,
        **options,
    )


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("Adam", {"amsgrad": True, "clipnorm": 1.0}),
        ("AdamW", {"use_ema": True, "ema_overwrite_frequency": 3}),
        ("Nadam", {}),
        ("Lion", {"gradient_accumulation_steps": 3}),
    ],
)
def test_control_rollouts_change_nothing(optimizer: str, options: dict[str, Any]) -> None:
    """Against `model.fit` itself: weights, optimizer, metrics, dropout, modes and every random stream."""
    one = make(optimizer, **options)
    history = plain(one, X[TRAIN], Y[TRAIN], batch_size=16)
    expected = evidence(one)
    other = make(optimizer, **options)
    result = disturbed(other, X[TRAIN], Y[TRAIN], batch_size=16)
    assert_same(expected, evidence(other))
    assert len(result.rollouts) == (1 + len(DISTURBED)) * 2
    assert other.history.history == history.history


def test_mixed_precision_with_skipped_steps() -> None:
    def half() -> Any:
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        layers = [keras.layers.Dense(8, activation="relu", dtype="mixed_float16"), keras.layers.Dense(2)]
        model = keras.Sequential(layers)
        # a scale this large overflows half precision: steps are skipped until it has come down
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(0.01), initial_scale=2.0**22, dynamic_growth_steps=3
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        return model

    one = half()
    plain(one, X[TRAIN], Y[TRAIN], batch_size=8)
    expected = evidence(one)
    other = half()
    disturbed(other, X[TRAIN], Y[TRAIN], batch_size=8)
    assert_same(expected, evidence(other))
    assert 0 < int(other.optimizer.inner_optimizer.iterations) < 16  # of 16 batches some were skipped


class Pieces(keras.utils.PyDataset):  # type: ignore[misc]
    """Ten at a time, in an order of its own that it draws after every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.order = np.arange(6)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        at = self.order[index] * 10
        return X[at : at + 10], Y[at : at + 10]

    def on_epoch_end(self) -> None:
        self.order = np.random.permutation(6)  # noqa: NPY002


def generated() -> Any:
    at = 0
    while True:
        at = (at + 7) % 50
        yield X[at : at + 10], Y[at : at + 10]


def torch_loader() -> Any:
    pairs = torch.utils.data.TensorDataset(torch.tensor(X[TRAIN]), torch.tensor(Y[TRAIN]))
    return torch.utils.data.DataLoader(pairs, batch_size=16, shuffle=True)


DATA: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "unshuffled": (lambda: (X[TRAIN], Y[TRAIN]), {"shuffle": False, "batch_size": 16}),
    "shuffled by batch": (lambda: (X[TRAIN], Y[TRAIN]), {"shuffle": "batch", "batch_size": 16}),
    "weights": (lambda: (X[TRAIN], Y[TRAIN]), {"class_weight": {0: 1.0, 1: 3.0}}),
    "PyDataset": (lambda: (Pieces(),), {}),
    "generator": (lambda: (generated(),), {"steps_per_epoch": 5, "shuffle": False}),
    "DataLoader": (lambda: (torch_loader(),), {"shuffle": False}),
}


@pytest.mark.parametrize("name", DATA)
def test_data(name: str) -> None:
    data, options = DATA[name]
    one = make()
    plain(one, *data(), **options)
    expected = evidence(one)
    other = make()
    disturbed(other, *data(), **options)
    assert_same(expected, evidence(other))


def test_the_disturbances_disturb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were nothing but the model captured, the property would not hold: the optimizer's state is in variables."""
    from gammatune.integrations import keras as ours

    monkeypatch.setattr(ours._Rest, "register_buffer", lambda self, name, tensor: None)
    one = make()
    plain(one, X[TRAIN], Y[TRAIN])
    expected = evidence(one)
    other = make()
    with pytest.warns(EscapeWarning, match=r"optimizer._iterations._value: a tensor changed"):
        disturbed(other, X[TRAIN], Y[TRAIN])
    with pytest.raises(AssertionError):
        assert_same(expected, evidence(other))


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("on_") or (
            "_batch_" not in name and "_epoch_" not in name and "_train_" not in name
        ):
            return found

        def record(at: Any = None, logs: Any = None) -> None:
            said = sorted(logs.items()) if isinstance(logs, dict) else None
            if "_batch_" not in name and "_begin" not in name:
                said = [*(said or []), float(self.model.trainable_weights[0].numpy().sum())]
            self.heard.append((name, at if isinstance(at, int) else None, str(said)))

        return record


def test_callbacks_hear_the_course_only() -> None:
    """The same calls, in the same order, with the same numbers and the same weights as under `model.fit`."""
    one, first = make(), Recorder()
    plain(one, X[TRAIN], Y[TRAIN], callbacks=[first])
    other, second = make(), Recorder()
    disturbed(other, X[TRAIN], Y[TRAIN], callbacks=[second])
    assert first.heard == second.heard
    assert sum(name == "on_epoch_end" for name, _, _ in second.heard) == 2
    assert sum(name == "on_train_batch_end" for name, _, _ in second.heard) == 4


def test_a_search_and_what_callbacks_hear(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    result = fit(
        model,
        np.tile(X[TRAIN], (10, 1)),
        np.tile(Y[TRAIN], 10),
        validation_data=(X[SELECT], Y[SELECT]),
        epochs=6,
        batch_size=16,
        verbose=2,
        callbacks=[recorder],
    )
    assert len(result.rollouts) > len(result.course) == 6
    assert result.schedule[0]["lr"] > 3e-3  # the optimizer's own is too small for six epochs
    assert result.metrics["accuracy"] >= 0.8
    assert [at for name, at, _ in recorder.heard if name == "on_epoch_end"] == list(range(6))
    assert model.history.history["val_loss"] == [pytest.approx(o.metrics["loss"]) for o in result.course]
    assert 0 < float(model.optimizer.learning_rate.numpy()) < result.schedule[5]["lr"]
    said = capsys.readouterr().out
    assert said.count("gammatune: lr") == 1
    assert said.count("Epoch") == 6


def test_a_callback_ends_the_run() -> None:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    model = make()
    result = fit(
        model,
        X[TRAIN],
        Y[TRAIN],
        validation_data=(X[SELECT], Y[SELECT]),
        epochs=6,
        verbose=0,
        callbacks=[Stop()],
    )
    assert len(result.course) == 2
    assert model.stop_training
    assert model.evaluate(X[SELECT], Y[SELECT], verbose=0)[0] == pytest.approx(result.metrics["loss"])


def test_a_checkpoint_holds_the_best_of_the_course(tmp_path: Any) -> None:
    model, path = make(), tmp_path / "best.weights.h5"
    keep = keras.callbacks.ModelCheckpoint(str(path), save_best_only=True, save_weights_only=True)
    fit(
        model,
        X[TRAIN],
        Y[TRAIN],
        validation_data=(X[SELECT], Y[SELECT]),
        epochs=4,
        verbose=0,
        callbacks=[keep],
    )
    model.load_weights(path)
    best = min(model.history.history["val_loss"])
    assert model.evaluate(X[SELECT], Y[SELECT], verbose=0)[0] == pytest.approx(best)


def test_gone_on_with(tmp_path: Any) -> None:
    """A run that was interrupted ends as one that was not."""

    def run(directory: Any, **options: Any) -> Any:
        model = make()
        validation = X[SELECT], Y[SELECT]
        fit(
            model,
            np.tile(X[TRAIN], (4, 1)),
            np.tile(Y[TRAIN], 4),
            validation_data=validation,
            epochs=4,
            verbose=0,
            run_dir=str(directory),
            **options,
        )
        return model

    class Fail(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", callbacks=[Fail()])
    parts = run(tmp_path / "parts")
    for one, other in zip(whole.weights, parts.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


def test_a_model_built_again_in_one_process_is_told_how(tmp_path: Any) -> None:
    """Keras counts layers on, so that it is another model by its names."""
    for match in (None, "clear_session"):
        layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2, activation="softmax")]
        model = keras.Sequential(layers)
        model.compile("sgd", "sparse_categorical_crossentropy")
        given = {
            "validation_data": (X[SELECT], Y[SELECT]),
            "epochs": 1,
            "verbose": 0,
            "run_dir": str(tmp_path),
        }
        with nullcontext() if match is None else pytest.raises(JournalError, match=match):
            fit(model, X[TRAIN], Y[TRAIN], **given)


def tender(module: Any, args: Any) -> None:
    if module.training and module.kernel.value.abs().max() > 50:
        raise ValueError("large weights")


def test_a_candidate_that_raises_leaves_no_trace() -> None:
    def run(*rates: float) -> Any:
        model = make()
        model.build((None, 6))
        model.layers[1].register_forward_pre_hook(tender)
        result = fit(
            *(model, X[TRAIN], Y[TRAIN]),
            epochs=2,
            batch_size=16,
            validation_data=(X[SELECT], Y[SELECT]),
            verbose=0,
            policy=two_epochs(*rates),
            budget=20,
        )
        return evidence(model), result

    (plain_evidence, _), (other, result) = run(), run(1e3)
    assert_same(plain_evidence, other)
    assert [o.raised for o in result.rollouts if not o.ok] == ["ValueError"] * 2


@pytest.mark.parametrize("method", ["on_train_batch_end", "on_test_batch_end"])
def test_an_error_of_a_callback_is_the_users(method: str) -> None:
    def fail(self: Any, *args: Any, **logs: Any) -> None:
        raise ValueError("mine")

    callback = type("Fail", (keras.callbacks.Callback,), {method: fail})()
    with pytest.raises(ValueError, match="mine"):
        fit(
            *(make(), X[TRAIN], Y[TRAIN]),
            epochs=4,
            batch_size=4,
            validation_data=(X[SELECT], Y[SELECT]),
            verbose=0,
            callbacks=[callback],
        )


def test_an_epoch_that_is_taken_back() -> None:
    """It has no end, and the one in its place is told under the same number."""
    recorder, model = Recorder(), make("SGD")
    result = fit(
        model,
        X[TRAIN],
        Y[TRAIN],
        validation_data=(X[SELECT], Y[SELECT]),
        epochs=3,
        verbose=0,
        callbacks=[recorder],
        policy=blowing_up,
        space=["lr=1e-4:1e31:log"],
        budget=50,
    )
    assert [outcome.status for outcome in result.rollouts] == ["ok", "diverged", "ok", "ok"]
    epochs = [(name, at) for name, at, _ in recorder.heard if "_epoch_" in name]
    begin, end = "on_epoch_begin", "on_epoch_end"
    assert epochs == [(begin, 0), (end, 0), (begin, 1), (begin, 1), (end, 1), (begin, 2), (end, 2)]
    assert int(model.optimizer.iterations) == 6


def attempt(model: Any = None, **options: Any) -> None:
    given: dict[str, Any] = {"validation_data": (X[SELECT], Y[SELECT]), "epochs": 2, "verbose": 0} | options
    fit(make() if model is None else model, X[TRAIN], Y[TRAIN], **given)


def test_what_is_refused() -> None:
    scheduled = make()
    rate = keras.optimizers.schedules.CosineDecay(0.1, 100)
    scheduled.compile(optimizer=keras.optimizers.SGD(rate), loss="sparse_categorical_crossentropy")
    with pytest.raises(ConflictingControl, match="compile with a number"):
        attempt(scheduled)
    with pytest.raises(InvalidArgument, match="not a compiled Keras model"):
        attempt(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(InvalidArgument, match="validation_split"):
        attempt(validation_data=None)
    with pytest.raises(InvalidArgument, match="only afterwards"):
        attempt(policy="greedy")
    with pytest.raises(InvalidArgument, match="weight_decay cannot be searched"):
        attempt(space=["weight_decay=1e-4:1:log"])
    with pytest.raises(ConflictingControl, match="ReduceLROnPlateau sets the learning rate"):
        attempt(callbacks=[keras.callbacks.ReduceLROnPlateau()])
    for option in ({"initial_epoch": 3}, {"validation_freq": 2}):
        with pytest.raises(InvalidArgument, match="begins with its first epoch"):
            attempt(**option)
    compiled = make()
    compiled.jit_compile = True
    with pytest.raises(InvalidArgument, match="jit_compile"):
        attempt(compiled)


def test_a_callback_that_sets_the_rate_is_told() -> None:
    class Sets(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 0.5

    with pytest.raises(ConflictingControl, match=r"lr was 0\.5"):
        attempt(callbacks=[Sets()])


def test_what_does_not_fit_on_the_tape() -> None:
    with pytest.raises(NotRestorable, match="tape_bytes"):
        fit(make(), Pieces(), validation_data=(X, Y), epochs=2, verbose=0, tape_bytes=100)


def test_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(InvalidArgument, match="Keras runs on jax"):
        attempt()


def test_without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtra, match=r"gammatune\[keras\]"):
        attempt(model)
