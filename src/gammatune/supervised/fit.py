"""`fit`: a model and data in, the trained model and what was found out."""

import time as clock
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Unpack

from torch import nn

from gammatune.engine.batches import LossFunction
from gammatune.engine.modes import has_mode
from gammatune.engine.process_group import ranks_of, telling
from gammatune.journal.events import Event, note_event
from gammatune.journal.history import PREDICTIONS, WEIGHTS
from gammatune.journal.wording import in_words
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.catalogue import MetricName
from gammatune.supervised.arguments import AnyOptimizer, Arguments, FitOptions, Training
from gammatune.supervised.final_report import FinalReport, save_predictions, save_weights
from gammatune.supervised.loaders import Examples
from gammatune.supervised.nets import maker_of_others, together_in_words, wants_several
from gammatune.supervised.optimizers import DEFAULT_OPTIMIZER
from gammatune.supervised.parallel import chosen_together, executor_for
from gammatune.supervised.pretrained import Start
from gammatune.supervised.result import FitResult
from gammatune.supervised.sets import with_length
from gammatune.supervised.setup import Setup, seeded
from gammatune.supervised.training import Supervised
from gammatune.tuning.arguments import open_journal
from gammatune.tuning.executor import Executor
from gammatune.tuning.options import Running, Search, with_options
from gammatune.tuning.result import Result
from gammatune.tuning.tuner import Tuner

__all__ = ["FitResult", "fit"]


def fit(
    model: nn.Module,
    train_set: Examples,
    val_set: Examples | None = None,
    *,
    test_set: Examples | None = None,
    epochs: int | None = None,
    budget: float | None = None,
    time: float | None = None,
    metric: MetricName | None = None,
    loss_fn: LossFunction | None = None,
    optimizer: AnyOptimizer = DEFAULT_OPTIMIZER,
    seed: int = 0,
    run_dir: str | None = None,
    training: Training | None = None,
    search: Search | None = None,
    running: Running | None = None,
    **options: Unpack[FitOptions],
) -> FitResult:
    """Train `model` while finding its learning rate; it holds the best weights afterwards.

    train_set, val_set, test_set: a torch Dataset of (input, target), a loader of batches of them, or a pair of
    arrays or tensors; where the model takes several inputs (a, b, target), or a mapping with "labels"
    (`batch_form`). Without val_set a fifth of train_set is kept aside to select by; without test_set the figures
    are marked as selected. The first batch of each is tried before any training; floats become the model's kind
    of float.
    epochs, budget, time: see `Tuner`. seed: fixes the training too; the global random streams are put back after it.
    metric: a measure by name (`gammatune.metrics.catalogue`: "auc", "f1", "mae", ...), told of every evaluation, and
    selected by: with the loss in kappa, in the place of the accuracy; an error by its logarithm
    (`gammatune.metrics.objectives.for_metric`). An objective given too selects instead of it.
    loss_fn: (output, target) -> mean loss; without it the loss that the model gives, of a mapping; else cross
    entropy for whole-number targets, mean squared error for others. A loss of torch tells with the targets what
    is learnt, and so what is measured; `task` of `Training` sets it. Where outputs and targets differ in size
    only the loss is scored, and nothing reported.
    optimizer: a name (`gammatune.supervised.optimizers.OPTIMIZERS`), an object, or a function of the parameters.
    "auto" chooses between AdamW and Muon, "optimizer=adamw,momentum,muon" in the space between those: by looks at
    rates with each, and where the budget pays for it by a whole training with each that they do not rule out.
    run_dir: a directory that holds this very run, interrupted or complete, is gone on with: call the same again. What
    the model says of the report's examples is written there too, as predictions.npz.
    training, search, running: see `Training`, `Search`, `Running`. options: their fields, one by one:
    `fit(..., lr=1e-3)` is `fit(..., training=Training(lr=1e-3))`.

    Out of memory makes a candidate infeasible where a batch size is searched. A candidate under which model, loss or
    optimizer raise has diverged; what they raise at the optimizer's own rate too goes through.
    Raises InvalidArgument, InvalidSpace, InvalidData or ModelMismatch before any training, AllDiverged where no
    candidate trains; whatever your own code raises goes through, the weights back at the last commit.
    """
    records = with_options("fit", options, training or Training(), search or Search(), running or Running())
    named = (test_set, epochs, budget, time, metric, loss_fn, optimizer, seed, run_dir)
    given = Arguments(model, train_set, val_set, *named, *records)
    ranks = ranks_of(given.running.ranks)
    with telling(ranks):
        return _fit(given.with_running(ranks=ranks))


def _fit(given: Arguments) -> FitResult:
    # here, since rich comes with it, for which an import need not wait
    from gammatune.report.progress import listeners_for

    started = clock.perf_counter()
    shown = given.training.progress if given.ranks.rank == 0 else False
    given = given.with_running(listeners=listeners_for(shown, given.running.listeners)).taken_up().checked()
    said: list[str] = []

    # what there is
    ready = Setup.of(given, said)
    given = ready.given.with_search(ensemble=wants_several(ready.given, ready.task, said))
    given = given.with_search(at_once=chosen_together(given, said))
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
        self, given: Arguments, ready: Setup, training: Supervised, executor: Executor | None, said: list[str]
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
        if given.training.pretrained:
            self._start = Start.of(given.model, training, self._ready.sets.select)
        self._journal = given.running.journal
        if self._journal is None and given.run_dir is not None:
            self._journal = open_journal(given.run_dir, given.ranks)
        new_model = maker_of_others(given, self._ready.model, self._journal)
        self._own_weights = new_model is not None
        training.several(new_model, None if self._journal is None else Path(self._journal.directory))
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
            known = None if self._journal is None or self._journal.past is None else self._journal.past.report
            event = report.event(seconds) if known is None else dict(known)
            if not (known and report.is_of_another) and isinstance(self._journal, Journal):
                save_predictions(report.answers, self._journal.directory / PREDICTIONS)
            self._append(event)
            for listener in self._given.running.listeners:
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
        if self._journal is not self._given.running.journal:
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
        facts = ready.facts(self._journal, self._said, own_weights=self._own_weights)
        return Tuner(
            training=self._training,
            epochs=given.epochs,
            steps=given.training.steps,
            every=given.training.every,
            budget=given.budget,
            time=given.time,
            seed=given.seed,
            search=replace(given.search, objective=ready.goal.objective, space=ready.searched.space),
            running=replace(given.running, journal=self._journal, executor=self._executor, facts=facts),
        )

    def _hold_against_the_start(self) -> None:
        """Of a pretrained model: it may have come with better weights than the training ended with."""
        told = None if self._start is None else self._start.held_against(self._ended, self._given.search.keep)
        if self._start is None or told is None:
            return
        self._is_start = self._given.search.keep == "best"
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
