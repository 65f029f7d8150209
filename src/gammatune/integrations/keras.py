"""`model.fit` of Keras 3 (torch backend), with the learning rate found on the way.

    import os; os.environ["KERAS_BACKEND"] = "torch"
    import gammatune.integrations.keras as gamma_keras

    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    result = gamma_keras.fit(model, x, y, validation_data=(x_val, y_val), epochs=20)

Batches come from Keras's own iterator, steps from the model's `train_function` (so from a `train_step` of one's own),
scores from `model.evaluate`; the rate is set in the optimizer's learning-rate variable, in place. A fork holds every
variable of the model, its metrics, its optimizer and its seed generators. With control rollouts a run ends bit for
bit where `model.fit` does.

With run_dir= the same call again goes on with a run; in one process after `keras.utils.clear_session()`, or Keras
numbers the layers of the model on, which then is another. Afterwards the optimizer holds the rate that the course
ended with, near zero on the default schedule.

What is not taken, each with a sentence: other backends, a `LearningRateSchedule`, callbacks that set the rate,
`BackupAndRestore`, `jit_compile=True`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import BatchSampler, DataLoader

from gammatune.cost import Meter
from gammatune.engine.batches import restorable
from gammatune.engine.modes import evaluating
from gammatune.errors import AnotherRun, ConflictingControl, InvalidArgument, JournalError, require
from gammatune.integrations.callbacks import (
    BUDGET,
    ShownLoop,
    Wanted,
    default_objective,
    no_validation,
    prepared,
)
from gammatune.integrations.keras_seeds import global_seeds, seed_generators, start_anew
from gammatune.integrations.loaders import passes
from gammatune.metrics.objectives import plain_number
from gammatune.records import Metrics, Values
from gammatune.tuning.options import Running
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run

if TYPE_CHECKING:
    import keras

# What sets the rate, or goes back in time, beside us; by name, since Keras is imported late.
REFUSED = {
    "LearningRateScheduler": "sets the learning rate, and so does gammatune",
    "ReduceLROnPlateau": "sets the learning rate, and so does gammatune",
    "BackupAndRestore": "does not know of rollouts; gammatune keeps a run that can be gone on with in run_dir=",
}


def fit(
    model: "keras.Model",
    x: Any = None,
    y: Any = None,
    *,
    epochs: int,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool | str = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    budget: float = BUDGET,
    **options: Any,
) -> Result:
    """Train a compiled model as `model.fit` does, and find its learning rate while doing so.

    The first block of arguments is that of `model.fit`. Callbacks see the course only, and `model.history` is filled
    as usual; a callback that sets `model.stop_training` ends the run at the last whole epoch.
    Validation data are needed: a rate is chosen by them. Keep others to report on.
    budget: the ceiling on all compute, in multiples of the plain run. options: those of `gammatune.Tuner` (seed,
    time, run_dir, search, running and their fields). Only lr can be searched. The objective is "kappa" where the
    compiled metrics have an "accuracy", else "log-loss".

    Raises MissingExtra, InvalidArgument, ConflictingControl before any training.
    """
    _keras()
    _refuse(model, callbacks, options)
    wanted = Wanted.of("fit", budget, options)
    given = {"x": x, "y": y, "sample_weight": sample_weight}
    train, held_out = _parted(given, validation_split, validation_data)
    drawing = {"batch_size": batch_size, "steps_per_epoch": steps_per_epoch, "shuffle": shuffle}
    drawn = _drawn(model, **train, **drawing, class_weight=class_weight)
    told = _told(model, callbacks, epochs, drawn.num_batches, verbose)
    scored = _scored(held_out, validation_batch_size or batch_size, validation_steps)
    training = _Training(model, _loader(drawn), scored, told, wanted.running, aloud=verbose != 0)
    if wanted.search.objective is None:
        objective = default_objective(model.get_metrics_result())
        wanted = replace(wanted, search=replace(wanted.search, objective=objective))
    return training.search(epochs, wanted)


class _Training(ShownLoop):
    """A `Trainable` over a Keras model.

    loader: batches as `train_step` takes them. scored: the arguments of `model.evaluate`. told: the callbacks.
    """

    def __init__(
        self, model: Any, loader: Any, scored: Mapping[str, Any], told: Any, running: Running, *, aloud: bool
    ) -> None:
        import keras

        optimizer = model.optimizer
        self._inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
        self.mirror = _Mirror([v.value for v in model.trainable_weights], optimizer.learning_rate.value)
        self._seeds = seed_generators(model)
        super().__init__(
            model,
            self.mirror,
            running,
            [*_unknown_to_torch(model), _Rest(model, self._seeds, self.mirror), global_seeds()],
        )
        self._model = model
        self._loader = loader
        self._scored = scored
        self._callbacks = told
        self._unheard = keras.callbacks.Callback()  # does nothing
        self._aloud = aloud
        self.stopped = False
        self.logs: dict[str, Any] = {}  # of the epoch shown last
        # what a hook is for an optimizer of torch's: gradients are there, and nothing has moved
        apply = self._inner.apply
        vars(self._inner)["apply"] = lambda *args, **kwargs: self.mirror.step(lambda: apply(*args, **kwargs))

    def search(self, epochs: int, wanted: Wanted) -> Result:
        """Train to the end, as `model.fit` does."""
        model, told = self._model, self._callbacks
        try:
            train = prepared(self, self.mirror, epochs, wanted)
        except AnotherRun as error:
            raise JournalError(
                f"{error}. Where this process has built the model before, Keras has numbered its layers on: call "
                "keras.utils.clear_session() before it is built again"
            ) from error
        told.on_train_begin()
        result = train()
        model.optimizer.finalize_variable_values(model.trainable_weights)
        model.stop_training = self.stopped
        told.on_train_end(logs=self.logs)
        return result

    def is_onlooker(self, frame: FrameType) -> bool:
        told, caller = self._callbacks, frame.f_locals.get("self")
        # `model.evaluate` leaves Keras's own frames out of a traceback
        return any(caller is one for one in (told, *told.callbacks))

    def committed(self, run: Run, reason: str) -> None:
        self._callbacks.on_epoch_end(run.epoch, self.logs)
        if self._aloud and run.epoch == 0:
            print(f"gammatune: lr {run.values['lr']:.3g}; {reason}")
        self.stopped |= bool(self._model.stop_training)

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        model = self._model
        told = self._unheard if self._shown is None else self._callbacks
        model.reset_metrics()
        told.on_epoch_begin(epoch)
        model.train()
        logs: Any = {}
        for step, batch in enumerate(self.batches(self._loader, epoch, meter)):
            told.on_train_batch_begin(step)
            logs = model.train_function([batch])
            told.on_train_batch_end(step, logs)
            if self._shown is not None and model.stop_training:
                self.stopped = True
                break
        if self._shown is not None:
            measured = model.get_metrics_result()
            same = isinstance(logs, dict) and logs.keys() == measured.keys()
            self.logs = dict(measured if same else logs)  # those of a train_step of one's own as they are
        model.eval()

    def evaluate(self, meter: Meter) -> Metrics:
        model = self._model
        told = None if self._shown is None else self._callbacks
        test = model.test_function

        def counting(data: Any) -> Any:
            meter.evaluated += _examples(data[0])
            return test(data)

        model.test_function = counting
        try:
            with evaluating(model):
                logs = model.evaluate(**self._scored, callbacks=told)
        finally:
            model.test_function = test
        if self._shown is not None:
            self.logs |= {f"val_{name}": value for name, value in logs.items()}
        return {name: plain_number(name, value) for name, value in logs.items()}

    def reorder(self, seed: int, *names: int) -> None:
        super().reorder(seed, *names)
        assert self._loaders.order is not None
        start_anew(self._seeds, self._loaders.order)

    def close(self) -> None:
        vars(self._inner).pop("apply", None)
        super().close()


class _Mirror(Optimizer):
    """A Keras optimizer as one of torch's: the model's weights, and the very tensor that holds its learning rate.

    `step` is called with the Keras optimizer's own step, which is what trains.
    """

    def __init__(self, weights: list[Tensor], lr: Tensor) -> None:
        super().__init__(weights, {"lr": lr})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        closure()


class _Rest(nn.Module):
    """Every variable that the model does not have as its parameter: of its optimizer, metrics and seed generators."""

    def __init__(self, model: Any, seeds: Sequence[Any], mirror: _Mirror) -> None:
        super().__init__()
        known = {id(tensor) for tensor in (*model.parameters(), mirror.param_groups[0]["lr"])}
        variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
        for variable in (*variables, *(generator.state for generator in seeds)):
            tensor = variable.value
            if id(tensor) not in known:
                known.add(id(tensor))
                self.register_buffer(str(len(self._buffers)), tensor)


def _unknown_to_torch(model: Any) -> list[nn.Module]:
    """Layers that Keras keeps in lists, where torch does not find them; they may count, or hold buffers."""
    known = set(map(id, model.modules()))
    return [layer for layer in model._flatten_layers() if id(layer) not in known]


def _parted(train: dict[str, Any], split: float, held_out: Any) -> tuple[dict[str, Any], Any]:
    """What to train on, and what is kept aside to select by: as it was given, or taken out of the former."""
    from keras.src.trainers.data_adapters import array_slicing

    if split and held_out is None:
        parts, held_out = array_slicing.train_validation_split(tuple(train.values()), validation_split=split)
        train = dict(zip(train, parts, strict=True))
    if held_out is None:
        raise no_validation("validation_data= or validation_split=")
    return train, held_out


def _drawn(model: Any, **train: Any) -> Any:
    """What `model.fit` itself draws from; the model is built for it."""
    from keras.src.backend.torch.trainer import TorchEpochIterator

    drawn = TorchEpochIterator(**train)
    model._symbolic_build(iterator=drawn)
    drawn.reset()
    return drawn


def _scored(held_out: Any, batch_size: int | None, steps: int | None) -> dict[str, Any]:
    """The arguments of `model.evaluate`."""
    import keras

    x, y, weight = keras.utils.unpack_x_y_sample_weight(held_out)
    data = {"x": x, "y": y, "sample_weight": weight}
    return data | {"batch_size": batch_size, "steps": steps, "verbose": 0, "return_dict": True}


def _loader(drawn: Any) -> Any:
    """Keras's own batches: drawn again after each restore where they follow from torch's streams, else taped."""
    inner = drawn._get_iterator()
    if isinstance(inner, DataLoader) and drawn.steps_per_epoch is None and restorable(inner):
        sampler = inner.batch_sampler
        if type(sampler) is BatchSampler and not inner.num_workers:
            return passes(_passed, drawn, inner=inner)
    return passes(_passed, drawn, inner=None)


def _passed(drawn: Any) -> Iterator[Any]:
    """An epoch of Keras's iterator."""
    return (data[0] for _, _, data in drawn)


def _examples(batch: Any) -> int:
    from keras import tree

    return int(next(array for array in tree.flatten(batch) if array is not None).shape[0])


def _keras() -> None:
    keras = require("keras", "keras")
    if (backend := keras.config.backend()) != "torch":
        raise InvalidArgument(
            f"Keras runs on {backend} here, and gammatune steers trainings of torch: set the environment variable "
            "KERAS_BACKEND=torch before keras is imported"
        )


def _told(model: Any, callbacks: Any, epochs: int, steps: int | None, verbose: str | int) -> Any:
    """The callbacks, with those that `model.fit` adds; the model is made ready as it does."""
    import keras

    told = keras.callbacks.CallbackList(
        callbacks,
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=epochs,
        steps=steps,
        model=model,
    )
    model.stop_training = False
    model.make_train_function()  # before any fork, which knows the model's attributes
    model.make_test_function()
    return told


def _refuse(model: Any, callbacks: Any, options: Mapping[str, Any]) -> None:
    import keras

    if not isinstance(model, keras.Model) or not model.compiled:
        raise InvalidArgument(
            f"the model ({type(model).__name__}) is not a compiled Keras model: call model.compile(optimizer=..., "
            "loss=...) first"
        )
    if not isinstance(model.optimizer.learning_rate, keras.Variable):
        raise ConflictingControl(
            "the optimizer's learning rate is a schedule or a function, and gammatune finds one itself: compile with "
            "a number, such as keras.optimizers.Adam(1e-3)"
        )
    if model.jit_compile:
        raise InvalidArgument(
            "jit_compile=True hides the optimizer's steps; compile the model with jit_compile=False"
        )
    given = callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks
    for callback in keras.tree.flatten(given or []):
        for name, why in REFUSED.items():
            if isinstance(callback, getattr(keras.callbacks, name)):
                raise ConflictingControl(f"the callback {name} {why}; leave it out")
    for name in ("initial_epoch", "validation_freq"):
        if name in options:
            raise InvalidArgument(
                f"{name}={options[name]!r}: a run begins with its first epoch and is evaluated after each; leave it "
                "out"
            )


__all__ = ["fit"]
