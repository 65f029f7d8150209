"""`fit`: a model and data in, the trained model and what was found out."""

import time as clock
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.engine.batches import LossFunction
from gammatune.engine.ensemble import NewModel
from gammatune.engine.modes import has_mode
from gammatune.engine.process_group import telling
from gammatune.engine.trainable import Where
from gammatune.journal.events import Event, note_event
from gammatune.journal.history import PREDICTIONS, WEIGHTS
from gammatune.journal.wording import in_words
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.catalogue import MetricName
from gammatune.metrics.objectives import Objective, ObjectiveName
from gammatune.metrics.predictions import Answers
from gammatune.policy import DEFAULT
from gammatune.schedules import ScheduleName
from gammatune.space import Dimension, Space
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.evaluation import Scale
from gammatune.supervised.final_report import FinalReport, save_predictions, save_weights
from gammatune.supervised.loaders import Examples
from gammatune.supervised.nets import maker_of_others, together_in_words, wants_several
from gammatune.supervised.optimizers import DEFAULT_OPTIMIZER, OptimizerName
from gammatune.supervised.parallel import chosen_together, executor_for
from gammatune.supervised.pretrained import Start
from gammatune.supervised.result import FitResult
from gammatune.supervised.sets import with_length
from gammatune.supervised.setup import Setup, seeded
from gammatune.supervised.training import Supervised
from gammatune.tuning.driver import Listener
from gammatune.tuning.executor import Crew
from gammatune.tuning.tuner import AnyPolicy, AnySampler, Keep, Result, Tuner, open_journal

__all__ = ["FitResult", "fit"]


@telling
def fit(
    model: nn.Module,
    train_set: Examples,
    val_set: Examples | None = None,
    *,
    epochs: int | None = None,
    budget: float | None = None,
    total_epochs: float | None = None,
    time: float | None = None,
    reserve: float = 0.0,
    test_set: Examples | None = None,
    policy: AnyPolicy = DEFAULT,
    schedule: ScheduleName | None = None,
    sampler: AnySampler = "gamma",
    sampler_options: Mapping[str, Any] | None = None,
    objective: ObjectiveName | Objective | None = None,
    metric: MetricName | None = None,
    class_weights: Literal["balanced"] | Sequence[float] | None = None,
    target_scale: Scale | None = None,
    space: Space | Mapping[str, Dimension] | Sequence[str] | str | None = None,
    loss_fn: LossFunction | None = None,
    optimizer: OptimizerName
    | Literal["auto"]
    | Optimizer
    | Callable[[Iterable[nn.Parameter]], Optimizer] = DEFAULT_OPTIMIZER,
    lr: float | None = None,
    weight_decay: float | None = None,
    pretrained: bool | None = None,
    state: Sequence[Any] = (),
    batch_size: int | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
    device: str | torch.device | None = None,
    keep: Keep = "best",
    patience: int | None = None,
    seed: int = 0,
    run_dir: str | None = None,
    facts: Mapping[str, Any] | None = None,
    extra: Callable[[Answers, nn.Module], Mapping[str, Any]] | None = None,
    listeners: Sequence[Listener] = (),
    progress: bool | None = None,
    forks: Where = "auto",
    parallel: str | None = None,
    workers: int | None = None,
    at_once: int | None = None,
    ranks: Any = None,
    ensemble: bool | None = None,
    new_model: NewModel | None = None,
    guide: float | None = None,
) -> FitResult:
    """Train `model` while finding its learning rate; it holds the best weights afterwards.

    train_set, val_set, test_set: a torch Dataset of (input, target), a loader of batches of them, or a pair
    of arrays or tensors. Without val_set a fifth of train_set is kept aside to select by. Without test_set
    the figures are marked as selected. The first batch of each is tried before any training, the targets of
    arrays are all looked at; floats of arrays become the model's kind of float.
    epochs, budget, total_epochs, time, reserve, policy, schedule, sampler, objective, space, keep, patience,
    seed, run_dir, listeners, forks: see `Tuner`. The seed fixes the
    training too; the global random streams are put back afterwards.
    metric: a measure by name (`gammatune.metrics.catalogue`: "auc", "f1", "balanced-accuracy", ...; "mae", "rmse",
    ...), which is told of every evaluation and selects: with the loss in kappa, in the place of the accuracy; an
    error by its logarithm (`gammatune.metrics.objectives.for_metric`). An objective given too selects instead of it.
    class_weights: "balanced" (examples / (classes x examples of the class)), or one positive number a class: weighs
    the cross entropy that is trained with. The selection and the report stay unweighted; where a metric is asked
    for, the loss it is selected with is weighted too.
    target_scale: (mean, standard deviation), one number or one for each of a target's: of a regression whose
    targets were standardised, so that metric and measures are told in the original unit.
    loss_fn: (output, target) -> mean loss; without it cross entropy for whole-number targets, mean squared
    error for others. Where outputs and targets differ in size only the loss is scored, and nothing reported.
    optimizer: a name (`gammatune.supervised.optimizers.OPTIMIZERS`), an object, or a function of the parameters.
    "auto" chooses between AdamW and Muon, and "optimizer=adamw,momentum,muon" in the space between those: by looks at
    rates with each, and where the budget pays for more than one whole training by one with each that they do not rule
    out. lr, weight_decay: for an optimizer given by name; around that rate no more than three decades are searched,
    and it stays unless another is likely to be better. Without lr the search begins where other trainings did best.
    pretrained: the weights the model comes with are worth something. Only three decades are searched around the
    optimizer's own rate then, and with keep="best" they are handed back where no epoch is better; one pass over
    val_set, beyond the budget, tells. Left out, it is true where parameters are frozen (`gammatune.freeze`).
    state: whatever else changes while training, as in `Tuner`.
    batch_size, collate: for sets; a loader has its own. A last batch of one example is left out of a set,
    since batch normalisation cannot train on it. device: CUDA where there is one, else the CPU.
    facts: kept in the first line of the journal. extra: called once after the search with what is said of the
    report's examples, and the module that says it, the model or the ensemble; the mapping it returns is kept in the
    journal's report event as "extra", and its sentences under "said" are shown.
    progress: whether to show how far it is, on the standard output; None does where somebody watches, in a notebook
    or on a terminal, and is silent in a pipe, where True writes a line a commit.
    parallel: "ray" trains the rollouts of one decision beside each other, in the processes of a Ray cluster: of one
    on this machine for as long as it takes, of the one this process is connected to, or of "ray:ADDRESS". workers:
    how many at most; None: as many as there is room for. "vmap" trains them in one batched pass, for small networks
    on a GPU (`gammatune.supervised.stack`); the result is the same up to rounding. at_once: how many rollouts are
    chosen together, 1 if nothing is parallel, else 4: on it and on the seed the result depends, not on how many work.
    ranks: as in `Tuner`: where torch.distributed is initialised, every process calls this with the same arguments,
    each on a device of its own. The model is wrapped in DistributedDataParallel meanwhile, sets are shared out, batch
    sizes are those of one process, and a loader must give each its own share.
    ensemble: whether a budget that pays for several trainings buys several nets, whose predictions are averaged
    (`FitResult.ensemble`). None: where outputs can be averaged, and the model is not pretrained nor trained by
    several processes. Only the policy "lookahead" has it: with `epochs` from a budget of about 2.5 on; where the
    length is left open, that of each and their number are chosen together. `model` holds the best of them afterwards;
    the weights of all that are averaged lie in `run_dir`.
    guide: as in `Tuner`; None: by the number of examples (`gammatune.supervised.defaults`). Without epochs,
    total_epochs and time all together takes `budget` times that.
    new_model: a function that makes another net like `model`, with other initial weights; it draws them from torch's
    random stream. Without it the layers of `model` draw theirs anew where their own way of doing so is plainly how
    they were drawn; else the nets differ by the order of their data alone, which is said.
    run_dir: a directory that holds this very run, interrupted or complete, is gone on with: call the same again.
    What the model says of the report's examples is written there too, as predictions.npz.

    Out of memory makes a candidate infeasible where a batch size is searched. A candidate under which model, loss or
    optimizer raise has diverged; what they raise at the optimizer's own rate too goes through.

    Raises InvalidArgument, InvalidSpace, InvalidData or ModelMismatch before any training, AllDiverged where
    no candidate trains; whatever your own code raises goes through, the weights back at the last commit.
    """
    return _fit(Arguments(**locals()))  # by name, each of the above


def _fit(given: Arguments) -> FitResult:
    # here, since rich comes with it, for which an import need not wait
    from gammatune.report.progress import listeners_for

    started = clock.perf_counter()
    shown = given.progress if given.ranks.rank == 0 else False
    given = replace(given, listeners=listeners_for(shown, given.listeners)).checked()
    said: list[str] = []

    # what there is
    ready = Setup.of(given, said)
    given = replace(ready.given, ensemble=wants_several(ready.given, ready.task, said))
    given = replace(given, at_once=chosen_together(given, said))
    executor = executor_for(given, ready.model, ready.searched.optimizers, ready.build, ready.device)
    given = with_length(given, ready.sets, said)
    training = ready.build()
    said += training.said

    # what becomes of it
    run = _Run(given, ready, training, executor, said)
    try:
        # Closed here too: where the tuner is refused, or cannot begin, nobody else takes the hooks off.
        with closing(training), seeded(given.seed, given.ranks.rank):
            run.train()
            run.judge()
        return run.result(clock.perf_counter() - started)
    finally:
        run.close()


class _Run:
    """From where a training stands to its end, or to what is left of it where something raises.

    given: with all that was settled. executor: who trains the rollouts of one decision. said: the defaults that were
    chosen, in sentences; more come.
    """

    def __init__(
        self, given: Arguments, ready: Setup, training: Supervised, executor: Crew | None, said: list[str]
    ) -> None:
        self._given = given
        self._ready = ready
        self._training = training
        self._executor = executor
        self._said = said
        self._start: Start | None = None
        self._is_start = False
        self._journal: Journal | Echo | None = None
        self._tuner: Tuner | None = None
        self._report: FinalReport | None = None
        self._after: list[Event] = []  # what is told once the tuner has ended

    def train(self) -> None:
        given, training = self._given, self._training
        if given.pretrained:
            self._start = Start.of(given.model, training, self._ready.sets.select)
        self._journal = None if given.run_dir is None else open_journal(given.run_dir, given.ranks)
        new_model = maker_of_others(given, self._ready.model, self._journal)
        self._own_weights = new_model is not None
        training.several(new_model, None if given.run_dir is None else Path(given.run_dir))
        self._tuner = self._tuner_of()
        with self._tuner:
            for run in self._tuner:
                run.drive()
        self._said += [e["text"] for e in self._tuner.result.events if e["event"] in ("note", "objective")]
        # the weights that are meant to be used, not those it steps with
        for optimizer in filter(has_mode, self._ready.searched.optimizers):
            optimizer.eval()  # type: ignore[attr-defined]

    def judge(self) -> None:
        """Settle which weights are handed back, and find out how good they are."""
        self._hold_against_the_start()
        if self._nets:
            self._said.append(together_in_words(len(self._nets), own_weights=self._own_weights))
        past = None if self._journal is None else self._journal.past
        known = None if past is None else past.report
        self._report = FinalReport.of(self._ready, self._training, self._nets, known, self._said)
        if isinstance(self._journal, Journal) and not self._journal.pending:  # complete, and on disk
            self._training.forget_others(self._nets, () if past is None else past.kept)

    def result(self, seconds: float) -> FitResult:
        """Tell what was found out, and hand it back."""
        report = self._report
        if report is not None:
            if isinstance(self._journal, Journal):
                save_predictions(report.answers, self._journal.directory / PREDICTIONS)
            event = report.event(seconds)
            self._append(event)
            for listener in self._given.listeners:
                listener(event)
        found = self._ended.result
        several = None if report is None else report.several
        known = {one.name: getattr(found, one.name) for one in fields(Result)}
        return FitResult(
            **known | {"nets": self._nets, "events": (*found.events, *self._after)},
            report=None if report is None else report.figures,
            reported_on=None if report is None else report.on,
            said=tuple(self._said),
            seconds=seconds,
            measures={} if report is None else report.measures,
            metric=self._ready.goal.metric,
            start=None if self._start is None else self._start.metrics,
            is_start=self._is_start,
            ensemble=None if several is None else several.together,
            single=None if several is None else several.single,
            price=None if several is None else several.price,
        )

    def close(self) -> None:
        self._training.forget_nets()
        if self._journal is None:
            return
        self._journal.close()
        is_first = isinstance(self._journal, Journal)
        if is_first and self._tuner is not None and self._tuner.result.course and self._tuner.is_home:
            # after an error or Ctrl-C too: the model is back at its last commit, and is not lost
            save_weights(self._given.model, self._journal.directory / WEIGHTS)

    # -- inside

    @property
    def _ended(self) -> Tuner:
        assert self._tuner is not None
        return self._tuner

    @property
    def _nets(self) -> tuple[int, ...]:
        return () if self._is_start else self._ended.result.nets

    def _tuner_of(self) -> Tuner:
        given, ready = self._given, self._ready
        assert given.at_once is not None  # settled, as is the next
        assert given.ensemble is not None
        return Tuner(
            training=self._training,
            epochs=given.epochs,
            budget=given.budget,
            total_epochs=given.total_epochs,
            time=given.time,
            reserve=given.reserve,
            policy=given.policy,
            schedule=given.schedule,
            sampler=given.sampler,
            sampler_options=given.sampler_options,
            objective=ready.goal.objective,
            space=ready.searched.space,
            keep=given.keep,
            patience=given.patience,
            seed=given.seed,
            journal=self._journal,
            listeners=given.listeners,
            crew=self._executor,
            at_once=given.at_once,
            ranks=given.ranks,
            ensemble=given.ensemble,
            guide=given.guide,
            facts=ready.facts(self._journal, self._said, own_weights=self._own_weights),
        )

    def _hold_against_the_start(self) -> None:
        """Of a pretrained model: it may have come with better weights than the training ended with."""
        told = None if self._start is None else self._start.held_against(self._ended, self._given.keep)
        if self._start is None or told is None:
            return
        self._is_start = self._given.keep == "best"
        if self._is_start:
            self._given.model.load_state_dict(self._start.weights)
        self._said.append(in_words(told))
        self._append(note_event(told, is_start=self._is_start))

    def _append(self, event: Event) -> None:
        """To the result; to the journal too, unless the run was complete."""
        self._after.append(event)
        journal = self._journal
        if journal is not None and (journal.past is None or journal.past.report is None):
            journal.append(event)
