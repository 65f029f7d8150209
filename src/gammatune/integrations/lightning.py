"""`trainer.fit` of Lightning 2, with the learning rate found on the way.

    from gammatune.integrations import lightning as gamma_lightning

    trainer = lightning.Trainer(max_epochs=20, callbacks=[ModelCheckpoint(monitor="val_loss")])
    result = gamma_lightning.fit(trainer, module, train_loader, val_loader)

A callback cannot re-enter its trainer, so this goes the other way: `trainer.fit` sets everything up as always, and
where it would loop over epochs the tuner does. An epoch of the course is Lightning's own epoch, so that precision,
gradient accumulation and clipping, `val_check_interval`, hooks, loggers, checkpoints and early stopping mean what
they mean. A rollout is the same epoch loop with callbacks taken away, loggers that write nothing, no validation in
the middle, and the trainer's counters put back afterwards. A validation in the middle of an epoch is not in the cost.

With `max_steps` the course is counted in steps: what stands for an epoch is `val_check_interval` batches, where that
is a number of them, or a twentieth of all, and "epoch" in the logs counts these.

What is not taken, each with a sentence: several optimizers, manual optimization, learning-rate schedulers, strategies
over several devices, several training loaders, epochs of one without a length, `limit_train_batches`, callbacks
that take part in the training (stochastic weight averaging, fine-tuning, accumulation schedules, ...).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from gammatune.cost import Meter
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import ConflictingControl, InvalidArgument, require
from gammatune.integrations.callbacks import (
    BUDGET,
    ShownLoop,
    Wanted,
    named_metrics,
    no_validation,
    prepared,
)
from gammatune.integrations.lightning_data import batches_of, examples_of, length_of_course
from gammatune.metrics.objectives import plain_number
from gammatune.records import Metrics, StepCount, Values
from gammatune.tuning.options import Running
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

# Callbacks that take part in the training, whose state no fork holds.
REFUSED = (
    "StochasticWeightAveraging", "WeightAveraging", "GradientAccumulationScheduler", "BaseFinetuning", "ModelPruning",
    "LearningRateFinder", "BatchSizeFinder",
)  # fmt: skip
LOSSES = ("val_loss", "val/loss", "valid_loss", "validation_loss", "loss")
ACCURACIES = ("val_acc", "val_accuracy", "val/acc", "val/accuracy", "valid_acc", "accuracy", "acc")


def fit(
    trainer: "Trainer",
    model: "LightningModule",
    train_dataloaders: Any = None,
    val_dataloaders: Any = None,
    datamodule: Any = None,
    *,
    loss: str | None = None,
    accuracy: str | None = None,
    budget: float = BUDGET,
    **options: Any,
) -> Result:
    """Train for `trainer.max_epochs` or `trainer.max_steps` as `trainer.fit` does, and find the learning rate.

    Callbacks and loggers see the course only; where an epoch of it blows up and is taken back, they have seen that.
    loss, accuracy: what `validation_step` logs them as; where they are left out, "val_loss", "val_acc" and the like
    are looked for. The loss is needed; the objective is "kappa" where there is an accuracy, else "log-loss".
    budget: the ceiling on all compute, in multiples of the plain run. options: those of `gammatune.Tuner` (seed,
    time, run_dir, search, running and their fields). Only lr can be searched.

    Raises MissingExtra, InvalidArgument, ConflictingControl before any training.
    """
    _refuse(require("lightning.pytorch", "lightning"), trainer, model)
    wanted = Wanted.of("fit", budget, options)
    results: list[Result] = []
    named = loss, accuracy
    vars(trainer.fit_loop)["run"] = lambda: results.extend(_run(trainer, named, wanted))
    try:
        trainer.fit(model, train_dataloaders, val_dataloaders, datamodule)
    finally:
        del vars(trainer.fit_loop)["run"]
    if not results:
        raise InvalidArgument(
            "there is nothing to train: the trainer has no batches, or has run its epochs already"
        )
    return results[0]


def _run(trainer: Any, named: tuple[str | None, str | None], wanted: Wanted) -> Iterator[Result]:
    """What `trainer.fit` calls in the place of its loop over epochs; no result where there is nothing to train."""
    loop = trainer.fit_loop
    loop.setup_data()
    if loop.skip:
        return
    loop.reset()
    loop.on_run_start()
    _refuse_what_was_configured(trainer)
    length = length_of_course(trainer)
    training = _Training(trainer, named, length, wanted.running)
    yield prepared(training, trainer.optimizers[0], length, wanted)()
    loop._restarting = False
    loop.on_run_end()


class _Training(ShownLoop):
    """A `Trainable` over a trainer in the midst of `fit`. named: loss and accuracy, as they are logged."""

    def __init__(
        self,
        trainer: Any,
        named: tuple[str | None, str | None],
        length: int | StepCount,
        running: Running,
    ) -> None:
        self._trainer = trainer
        self._loop = loop = trainer.fit_loop
        self._named = named
        self._loader = batches_of(trainer)
        # the last validation: after how many batches, what was logged
        self._scored: tuple[int, Any] | None = None
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        self._progress = _Counters(loop)
        state = [self._progress, *([] if scaler is None else [scaler])]
        model, optimizer = trainer.lightning_module, trainer.optimizers[0]
        super().__init__(model, optimizer, running, state, course=length)
        validate = loop.epoch_loop.val_loop.run

        def noting() -> Any:
            logged = validate()
            self._scored = loop.epoch_loop.batch_progress.total.ready, logged
            return logged

        vars(loop.epoch_loop.val_loop)["run"] = noting

    @property
    def stopped(self) -> bool:
        return bool(self._trainer.should_stop and self._loop._can_stop_early)

    def is_onlooker(self, frame: FrameType) -> bool:
        trainer = self._trainer
        known = (*trainer.callbacks, *trainer.loggers)
        caller = frame.f_code.co_name == "_call_callback_hooks"
        return caller or any(frame.f_locals.get("self") is one for one in known)

    def committed(self, run: Run, reason: str) -> None:
        if run.epoch == 0:
            from lightning.pytorch.utilities import rank_zero_info

            rank_zero_info(f"gammatune: lr {run.values['lr']:.3g}; {reason}")

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        loop, usual = self._loop, self._loop.max_batches
        accumulated = self._trainer.accumulate_grad_batches
        planned, whole = self.batches_of_run(self._loader, epoch, meter, accumulated)
        batches = self.batches(self._loader, epoch, meter)
        self._scored = None
        with self._heard(in_epoch=True):
            while planned > 0 and not meter.ended:
                count = min(planned, whole)
                planned -= count
                loop.max_batches = count
                try:
                    loop.on_advance_start()
                    loop.epoch_loop.run(_Fetcher(batches, count))
                    loop.on_advance_end()
                finally:
                    loop.max_batches = usual
                if self._shown is not None and self.stopped:
                    break
            if not planned:
                next(batches, None)  # to its end, where the examples of an epoch are counted

    def evaluate(self, meter: Meter) -> Metrics:
        trainer, epoch_loop = self._trainer, self._loop.epoch_loop
        meter.evaluated += examples_of(trainer)
        at = epoch_loop.batch_progress.total.ready
        if self._scored is None or self._scored[0] != at:
            # the trainer's own validation, if it had one, was not at the end of the epoch
            streams, counters = StreamStates([], cuda=True), self._progress.state_dict()
            with self._heard(in_epoch=False, silent=True):
                trainer.validating = True  # as the epoch loop does it
                try:
                    epoch_loop.val_loop.run()
                finally:
                    trainer.training = True
            self._progress.load_state_dict(counters)
            streams.restore()
        assert self._scored is not None
        logged = {name: value for part in self._scored[1] for name, value in part.items()}
        return self._metrics(logged)

    def close(self) -> None:
        vars(self._loop.epoch_loop.val_loop).pop("run", None)
        super().close()

    def _metrics(self, logged: Mapping[str, Any]) -> Metrics:
        metrics = {name: plain_number(name, value) for name, value in logged.items()}
        loss, accuracy = self._named
        loss = loss or next((name for name in LOSSES if name in metrics), None)
        accuracy = accuracy or next((name for name in ACCURACIES if name in metrics), None)
        how = "self.log('val_loss', ...)"
        return named_metrics(metrics, loss, accuracy, said="validation_step logs", how=how)

    @contextmanager
    def _heard(self, *, in_epoch: bool, silent: bool = False) -> Iterator[None]:
        """Nobody hears what is trained inside, unless it is shown."""
        if self._shown is not None and not silent:
            yield
            return
        from lightning.pytorch.loggers.logger import DummyLogger
        from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector

        trainer, epoch_loop = self._trainer, self._loop.epoch_loop
        val_loop = epoch_loop.val_loop
        kept = trainer.callbacks, trainer.loggers, trainer._logger_connector, trainer.should_stop
        results = epoch_loop._results, val_loop._results
        trainer.callbacks, trainer.loggers = [], [DummyLogger() for _ in kept[1]]
        trainer._logger_connector = _LoggerConnector(trainer)
        epoch_loop._results = type(results[0])(training=True)
        val_loop._results = type(results[1])(training=False)
        if in_epoch:
            vars(epoch_loop)["_should_check_val_fx"] = lambda fetcher: False
        try:
            yield
        finally:
            vars(epoch_loop).pop("_should_check_val_fx", None)
            epoch_loop._results, val_loop._results = results
            trainer.callbacks, trainer.loggers, trainer._logger_connector, trainer.should_stop = kept


class _Fetcher:
    """The next `count` batches, as the epoch loop of Lightning asks for them."""

    def __init__(self, batches: Iterator[Any], count: int) -> None:
        self._batches, self._count = batches, count
        self.fetched = 0

    def __iter__(self) -> "_Fetcher":
        return self

    def __next__(self) -> tuple[Any, int, int]:
        if self.done:
            raise StopIteration
        batch = next(self._batches)
        self.fetched += 1
        return batch, self.fetched - 1, 0

    @property
    def done(self) -> bool:
        return self.fetched >= self._count


class _Counters:
    """Epochs, batches and steps that the loops of a trainer count; they go back with a fork."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        steps = loop.epoch_loop
        self._trackers = (
            loop.epoch_progress,
            steps.batch_progress,
            steps.automatic_optimization.optim_progress,
            steps.val_loop.batch_progress,
        )

    def state_dict(self) -> dict[str, Any]:
        progress = [one.state_dict() for one in self._trackers]
        return {"progress": progress, "stepped": self._loop.epoch_loop._batches_that_stepped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for one, saved in zip(self._trackers, state["progress"], strict=True):
            one.load_state_dict(saved)
        self._loop.epoch_loop._batches_that_stepped = state["stepped"]


def _refuse(pl: Any, trainer: Any, model: Any) -> None:
    """What can be told before `fit` has begun."""
    from lightning.pytorch import callbacks
    from lightning.pytorch.strategies import SingleDeviceStrategy

    if not isinstance(trainer, pl.Trainer) or not isinstance(model, pl.LightningModule):
        raise InvalidArgument(
            f"fit takes a lightning.pytorch.Trainer and a LightningModule, not {type(trainer).__name__} and "
            f"{type(model).__name__}"
        )
    if not isinstance(trainer.strategy, SingleDeviceStrategy) or trainer.world_size > 1:
        raise InvalidArgument(
            f"{type(trainer.strategy).__name__} trains on several devices, where a rollout cannot be taken back yet: "
            "use Trainer(devices=1)"
        )
    if not model.automatic_optimization:
        raise InvalidArgument(
            "manual optimization steps by itself, so that a rollout cannot be told from the course: use automatic "
            "optimization, or write the loop yourself with gammatune.Tuner"
        )
    in_steps, epochs = trainer.max_steps != -1, trainer.max_epochs
    if not (epochs in (None, -1) if in_steps else epochs is not None and epochs >= 1):
        raise InvalidArgument(
            f"max_epochs={epochs}, max_steps={trainer.max_steps}: the length of a course is counted in epochs or in "
            "steps; write Trainer(max_epochs=20), or Trainer(max_steps=1000)"
        )
    for name, usual in (
        ("limit_train_batches", 1.0),
        ("overfit_batches", 0.0),
        ("fast_dev_run", False),
        ("reload_dataloaders_every_n_epochs", 0),
    ):
        if (value := getattr(trainer, name)) != usual:
            raise InvalidArgument(f"Trainer({name}={value!r}) changes what an epoch is; leave it out")
    known = tuple(kind for name in REFUSED if (kind := getattr(callbacks, name, None)) is not None)
    for callback in trainer.callbacks:
        if isinstance(callback, known):
            raise ConflictingControl(
                f"the callback {type(callback).__name__} takes part in the training, and rollouts are trained "
                "without callbacks: leave it out"
            )


def _refuse_what_was_configured(trainer: Any) -> None:
    """What is known once Lightning has set up the training."""
    if len(trainer.optimizers) != 1:
        raise InvalidArgument(
            f"configure_optimizers returns {len(trainer.optimizers)} optimizers, and one is steered here; write the "
            "loop yourself with gammatune.Tuner, which takes several"
        )
    if trainer.lr_scheduler_configs:
        kind = type(trainer.lr_scheduler_configs[0].scheduler).__name__
        raise ConflictingControl(
            f"configure_optimizers returns a {kind}, which sets the learning rate, and so does gammatune: return the "
            "optimizer alone"
        )
    if not trainer.enable_validation:
        raise no_validation("a validation_step and validation data")


__all__ = ["fit"]
