"""`trainer.train` of Transformers, with the learning rate found on the way.

    from gammatune.integrations import transformers as gamma_transformers

    trainer = transformers.Trainer(model, args, train_dataset=..., eval_dataset=..., compute_metrics=...)
    result = gamma_transformers.train(trainer)

A callback cannot re-enter its trainer, so this goes the other way: `trainer.train` sets everything up as always, and
where it would run its epochs the tuner does. An epoch of the course is the trainer's own, so that its
`training_step`, `compute_loss`, collators, accumulation, clipping, precision, callbacks, logs, evaluations and
checkpoints mean what they mean. A rollout is the same epoch without callbacks, and the trainer's counters are put
back afterwards.

The `lr_scheduler_type` of the arguments is not used: the rate follows the schedule that was found, and the trainer
logs it as "learning_rate". With `max_steps` the course is counted in steps: what stands for an epoch is `eval_steps`
of them, or a twentieth of all, and "epoch" in the logs counts these. What is not taken, each with a sentence: a
scheduler that was handed in, several devices, epochs of data without a length, optimizers that set their own rate.
"""

import contextlib
import copy
import logging
from collections.abc import Iterator, Mapping, Sized
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from gammatune.cost import Meter
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.modes import evaluating
from gammatune.errors import ConflictingControl, InvalidArgument, require
from gammatune.integrations.callbacks import (
    BUDGET,
    ShownLoop,
    Wanted,
    named_metrics,
    no_validation,
    prepared,
)
from gammatune.integrations.transformers_data import Pass, batches_of, examples_of, length_of_course
from gammatune.metrics.objectives import plain_number
from gammatune.records import Metrics, StepCount, Values
from gammatune.tuning.options import Running
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run

if TYPE_CHECKING:
    from transformers import Trainer

logger = logging.getLogger(__name__)

CLOCKED = ("_runtime", "_per_second", "_preparation_time")  # of an evaluation: no measures


def train(
    trainer: "Trainer",
    *,
    loss: str = "eval_loss",
    accuracy: str | None = None,
    budget: float = BUDGET,
    **options: Any,
) -> Result:
    """Train for `args.num_train_epochs` or `args.max_steps` as `trainer.train` does, and find the learning rate.

    Callbacks and logs see the course only; where an epoch of it blows up and is taken back, they have seen that.
    loss, accuracy: what `evaluate` calls them; an accuracy that is left out is "eval_accuracy" where
    `compute_metrics` gives one. The objective is "kappa" where there is an accuracy, else "log-loss".
    budget: the ceiling on all compute, in multiples of the plain run. options: those of `gammatune.Tuner` (seed,
    time, run_dir, search, running and their fields). Only lr can be searched.

    Raises MissingExtra, InvalidArgument, ConflictingControl before any training.
    """
    _refuse(require("transformers", "transformers"), trainer)
    wanted = Wanted.of("train", budget, options)
    if trainer.args.lr_scheduler_type != "constant":
        logger.warning(
            "gammatune: lr_scheduler_type=%r is not used; the learning rate follows the schedule that is found",
            str(getattr(trainer.args.lr_scheduler_type, "value", trainer.args.lr_scheduler_type)),
        )
    run_epoch = trainer._run_epoch
    results: list[Result] = []

    def run(**arguments: Any) -> None:
        """What `trainer.train` calls in the place of its first epoch, and of all others."""
        length = length_of_course(trainer, arguments["train_dataloader"])
        training = _Training(trainer, run_epoch, arguments, (loss, accuracy), length, wanted.running)
        accelerated: Any = trainer.optimizer
        results.append(prepared(training, accelerated.optimizer, length, wanted)())
        trainer.control.should_training_stop = True

    vars(trainer)["_run_epoch"] = run
    followed: Any = _Followed(trainer)
    trainer.lr_scheduler, trainer._created_lr_scheduler = followed, False
    try:
        trainer.train()
    finally:
        del vars(trainer)["_run_epoch"]
        trainer.lr_scheduler = None
    return results[0]


class _Training(ShownLoop):
    """A `Trainable` over a trainer in the midst of `train`.

    run_epoch: the trainer's own; arguments: those it was to be called with for its first epoch. named: loss and
    accuracy, as `evaluate` calls them.
    """

    def __init__(
        self,
        trainer: Any,
        run_epoch: Any,
        arguments: Mapping[str, Any],
        named: tuple[str, str | None],
        length: int | StepCount,
        running: Running,
    ) -> None:
        self._trainer, self._run_epoch, self._arguments, self._named = trainer, run_epoch, arguments, named
        self._loader = batches_of(trainer, arguments["train_dataloader"])
        self._progress = _Counters(trainer)
        self.stopped = False
        self._begun = False  # the trainer has told its callbacks of its first epoch
        # the last evaluation: after which step, what it said
        self._scored: tuple[int, Mapping[str, Any]] | None = None
        scaler = trainer.accelerator.scaler
        super().__init__(
            arguments["model"],
            trainer.optimizer.optimizer,
            running,
            [self._progress, *([] if scaler is None else [scaler])],
            course=length,
        )
        evaluate = trainer.evaluate

        def noting(*args: Any, **kwargs: Any) -> Any:
            metrics = evaluate(*args, **kwargs)
            self._scored = trainer.state.global_step, metrics
            return metrics

        vars(trainer)["evaluate"] = noting

    def is_onlooker(self, frame: FrameType) -> bool:
        return frame.f_locals.get("self") is self._trainer.callback_handler

    def committed(self, run: Run, reason: str) -> None:
        if run.epoch == 0:
            logger.warning("gammatune: lr %.3g; %s", run.values["lr"], reason)

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        trainer, loader = self._trainer, self._loader
        every = trainer.args.gradient_accumulation_steps
        planned, whole = self.batches_of_run(loader, epoch, meter, every)
        batches = self.batches(loader, epoch, meter)
        self._scored = None
        # the last epoch sets it, which may have been taken back
        trainer.control.should_training_stop = False
        with contextlib.nullcontext() if self._shown is not None else self._unheard():
            while planned > 0 and not meter.ended:
                count = min(planned, whole)
                planned -= count
                if self._shown is None or self._begun:
                    handler = trainer.callback_handler
                    trainer.control = handler.on_epoch_begin(trainer.args, trainer.state, trainer.control)
                self._begun |= self._shown is not None
                given = {
                    "epoch": epoch,
                    "train_dataloader": Pass(batches, loader, trainer, meter.order),
                    "steps_in_epoch": count,
                    "num_update_steps_per_epoch": -(-count // every),
                }
                self._run_epoch(**{**self._arguments, **given})
                epoch += 1
            if self._shown is not None:
                state = trainer.state
                self.stopped = trainer.control.should_training_stop and state.global_step < state.max_steps
            if not planned:
                next(batches, None)  # to its end, where the examples of an epoch are counted

    def evaluate(self, meter: Meter) -> Metrics:
        trainer = self._trainer
        meter.evaluated += examples_of(trainer.eval_dataset)
        if self._scored is None or self._scored[0] != trainer.state.global_step:
            # the trainer's own evaluation, if it had one, was not at the end of the epoch
            streams = StreamStates([], cuda=True)
            with self._unheard(), evaluating(self._arguments["model"]):
                trainer.evaluate()
            streams.restore()
        assert self._scored is not None
        return self._metrics(self._scored[1])

    def close(self) -> None:
        vars(self._trainer).pop("evaluate", None)
        super().close()

    def _metrics(self, said: Mapping[str, Any]) -> Metrics:
        kept = {name: value for name, value in said.items() if name != "epoch" and not name.endswith(CLOCKED)}
        metrics = {name: plain_number(name, value) for name, value in kept.items()}
        loss, accuracy = self._named
        accuracy = accuracy or ("eval_accuracy" if "eval_accuracy" in metrics else None)
        how = "give the evaluation data labels"
        return named_metrics(metrics, loss, accuracy, said="evaluate says", how=how)

    @contextlib.contextmanager
    def _unheard(self) -> Iterator[None]:
        """No callback hears what is trained or evaluated inside, and nothing is logged, evaluated or saved."""
        trainer = self._trainer
        kept = trainer.callback_handler, trainer.control, trainer.state.log_history
        trainer.callback_handler, trainer.control = copy.copy(kept[0]), type(kept[1])()
        trainer.callback_handler.callbacks = []
        trainer.state.log_history = []
        try:
            yield
        finally:
            trainer.callback_handler, trainer.control, trainer.state.log_history = kept


class _Counters:
    """What a trainer counts while it trains; it goes back with a fork."""

    STATE = ("epoch", "global_step", "num_input_tokens_seen", "total_flos")
    OWN = ("_total_loss_scalar", "_globalstep_last_logged", "current_flos")

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def state_dict(self) -> dict[str, Any]:
        trainer = self._trainer
        kept = {name: getattr(trainer.state, name) for name in self.STATE}
        kept |= {name: getattr(trainer, name) for name in self.OWN}
        return kept | {"_tr_loss": float(trainer._tr_loss)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        trainer = self._trainer
        for name in self.STATE:
            setattr(trainer.state, name, state[name])
        for name in self.OWN:
            setattr(trainer, name, state[name])
        trainer._tr_loss = torch.tensor(state["_tr_loss"], device=trainer.args.device)


class _Followed:
    """In the place of the trainer's scheduler: it says what the rate is, and sets nothing."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def step(self, *args: Any) -> None:
        """The rate is set elsewhere."""

    def get_last_lr(self) -> list[float]:
        return [float(group["lr"]) for group in self._trainer.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is none."""


def _refuse(transformers: Any, trainer: Any) -> None:
    if not isinstance(trainer, transformers.Trainer):
        raise InvalidArgument(f"train takes a transformers.Trainer, not {type(trainer).__name__}")
    args = trainer.args
    if trainer.lr_scheduler is not None and not trainer._created_lr_scheduler:
        raise ConflictingControl(
            f"a {type(trainer.lr_scheduler).__name__} was handed to the trainer, which sets the learning rate, and "
            "so does gammatune: write optimizers=(optimizer, None)"
        )
    in_steps = args.max_steps > 0
    if not in_steps and (args.num_train_epochs != int(args.num_train_epochs) or args.num_train_epochs < 1):
        raise InvalidArgument(
            f"num_train_epochs={args.num_train_epochs}: a course is counted in whole epochs or in steps; write "
            "TrainingArguments(num_train_epochs=3), or max_steps=1000"
        )
    if args.world_size > 1 or args.n_gpu > 1 or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        raise InvalidArgument(
            "several devices train here, where a rollout cannot be taken back yet: make one visible "
            "(CUDA_VISIBLE_DEVICES=0), without DeepSpeed or FSDP"
        )
    if args.auto_find_batch_size:
        raise InvalidArgument("auto_find_batch_size=True begins the training anew; leave it out")
    if trainer.train_dataset is None or not (in_steps or isinstance(trainer.train_dataset, Sized)):
        raise InvalidArgument(
            "the training data have no length; give a train_dataset with __len__, or count in steps (max_steps=1000)"
        )
    if trainer.eval_dataset is None:
        raise no_validation("an eval_dataset")
    if args.optim in ("lomo", "adalomo") or "relative_step=True" in (args.optim_args or ""):
        raise ConflictingControl(
            f"the optimizer {args.optim} sets its own rate; use another, such as adamw_torch"
        )


__all__ = ["train"]
