"""`fit`: a model and data in, the trained model and what was found out."""

import inspect
import os
import random
import time as clock
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer
from torch.utils.data import Dataset, TensorDataset

from gammatune.course import HandedBack, handed_back
from gammatune.engine.batches import Loader, streams_of
from gammatune.engine.ensemble import Ensemble, NewModel, Price, obstacle, refuse_another_kind
from gammatune.engine.forks import archive
from gammatune.engine.forks.sharding import is_spread
from gammatune.engine.forks.snapshot import refuse_without_numbers
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.loop import lr_of
from gammatune.engine.modes import evaluating, has_mode
from gammatune.engine.process_group import telling
from gammatune.engine.ranks import Ranks
from gammatune.engine.trainable import Where
from gammatune.errors import InvalidArgument, InvalidData, JournalWarning
from gammatune.files import whole_file_of_run
from gammatune.journal.events import Event, note_event
from gammatune.journal.history import PREDICTIONS, WEIGHTS
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.bootstrap import LEVEL, Measure, measured
from gammatune.metrics.catalogue import MetricName, imbalance, recipe, relevant, undefined
from gammatune.metrics.objectives import (
    DEFAULT_CLASSIFICATION,
    DEFAULT_OWN_LOSS,
    DEFAULT_REGRESSION,
    Objective,
    ObjectiveName,
    for_metric,
    rank,
)
from gammatune.metrics.predictions import Answers
from gammatune.metrics.thesis import Classification, Regression, classification, regression
from gammatune.policy.replay import Replay
from gammatune.records import Metrics
from gammatune.schedules import ScheduleName
from gammatune.seeds import stream
from gammatune.space import BATCH_SIZE, OPTIMIZER, Choice, Dimension, Float, Space
from gammatune.supervised.defaults import epochs_for
from gammatune.supervised.dry_run import Task, rehearse
from gammatune.supervised.freezing import trained_in_words
from gammatune.supervised.fresh import another_like, drawn_anew
from gammatune.supervised.loaders import (
    Examples,
    as_set,
    batch_size_for,
    class_counts,
    count,
    digest,
    forward_loader,
    hold_out,
    leaves_one,
    training_loader,
)
from gammatune.supervised.optimizers import (
    DEFAULT_OPTIMIZER,
    OptimizerName,
    automatic,
    make_optimizer,
    recipe_of,
)
from gammatune.supervised.training import LossFunction, Scale, Supervised, WeightedCrossEntropy, default_loss
from gammatune.tuning.driver import Listener
from gammatune.tuning.executor import Crew
from gammatune.tuning.notebook import line, number
from gammatune.tuning.tuner import (
    FEW_DECADES,
    AnyPolicy,
    AnySampler,
    Keep,
    Result,
    Tuner,
    around,
    as_space,
    open_journal,
    refuse_beside,
    total_of,
)

# Rollouts chosen together where they can be trained so (guess: a decision has four or a few more).
AT_ONCE = 4
FEW = 20  # examples reported on, below which figures are hardly worth printing [guess]
# Where nobody has said anything of the learning rate: from what moves nothing to what blows everything up.
WIDE = Float(1e-6, 10.0, log=True)


@dataclass(frozen=True, slots=True, repr=False)
class FitResult(Result):
    """A `Result`, and how good the weights handed back are.

    report: measured after the search; None where outputs and targets cannot be compared one to one (a loss of
    your own, of a mean and a variance for instance). reported_on: "test", data the run neither trained on nor
    selected by; or "selection", the very data the weights were selected by, which flatters them (the best of
    many looks better than it is); None where there is no report.
    said: the defaults that were chosen, in sentences. seconds: all of it, the report included.
    start: what a pretrained model scored before any training, on the data to select by; None for any other.
    is_start: no epoch was better than that, and the weights handed back are those the model came with.
    ensemble: the nets whose predictions are averaged, as one module in eval mode that takes and gives what the model
    does; None where there is one. report and measures are its then; single: the same report of the best net alone,
    which the model holds; price: what both take of memory, and of time to answer.
    measures: on the same data as the report, by name, with 95 % bootstrap intervals (`gammatune.metrics.catalogue`);
    of a regression in the target's original unit where `fit` was told it. metric: the one asked for.
    """

    report: Classification | Regression | None
    reported_on: str | None
    said: tuple[str, ...]
    seconds: float
    measures: Mapping[str, Measure] = field(default_factory=dict)
    metric: str | None = None
    start: Metrics | None = None
    is_start: bool = False
    ensemble: Ensemble | None = field(default=None, compare=False)
    single: Classification | Regression | None = None
    price: Price | None = field(default=None, compare=False)

    @property
    def handed_back(self) -> HandedBack | None:
        """As in `Result`; of a pretrained model it may be the weights it came with."""
        return handed_back(self.course, self.rollouts, self.schedule, is_start=self.is_start)

    @property
    def metrics(self) -> Metrics:
        """The metrics of the weights handed back, on the data they were selected by."""
        if self.is_start and self.start is not None:
            return self.start
        return self.course[-1].metrics if self.course else {}

    def write_report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the run as one HTML page: see `gammatune.write_report`."""
        from gammatune.report.html.page import write_report

        return write_report(self, path)

    def __repr__(self) -> str:
        """In one line; all of it would be hundreds."""
        told = ""
        if self.report is not None:
            told = f"{_in_one_figure(self.report)} on the {self.reported_on} data{self._beside}"
        return f"<FitResult: {line(self.course, len(self.rollouts), self.cost, told)}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        if self.report is None:
            return self._card([], "", self.said)
        told = [
            (name, f"{number(m.value)} [{number(m.low)}, {number(m.high)}]")
            for name, m in sorted(self.measures.items(), key=lambda item: item[0] != self.metric)
        ] or [
            (name, number(value)) for name, value in asdict(self.report).items() if isinstance(value, float)
        ]
        where = (
            "on data it neither trained on nor selected by"
            if self.reported_on == "test"
            else "on the data it was selected by: expect less on new data"
        )
        where += ", with 95 % intervals" if self.measures else ""
        return self._card(told, where + self._beside, self.said)

    @property
    def _beside(self) -> str:
        """', of 3 nets together (the best alone: accuracy 0.95)'."""
        if self.single is None:
            return ""
        return f", of {len(self.nets)} nets together (the best alone: {_in_one_figure(self.single)})"


def _in_one_figure(report: Classification | Regression) -> str:
    if isinstance(report, Classification):
        return f"accuracy {number(report.accuracy)}"
    return f"R2 {number(report.r2)}"


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
    policy: AnyPolicy = "lookahead",
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
    # here, since rich comes with it, for which an import need not wait
    from gammatune.report.progress import listeners_for

    started = clock.perf_counter()
    listeners = listeners_for(progress if ranks.rank == 0 else False, listeners)
    said: list[str] = []
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidArgument(f"seed={seed!r}: give a whole number of 0 or more")
    if metric is not None:
        metric = recipe(metric).name
    place = _device(device)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    train_set = as_set(train_set, "train_set", dtype)
    if val_set is None:
        train_set, val_set = hold_out(train_set, seed, said)
    val_set = as_set(val_set, "val_set", dtype)
    test = None if test_set is None else as_set(test_set, "test_set", dtype)
    if space is None and isinstance(policy, Replay):
        space = policy.space
    asked = None if space is None else as_space(space)
    searches_size = asked is not None and BATCH_SIZE in asked.names
    size = batch_size_for(train_set, batch_size, [] if searches_size else said, ranks.world)
    select = forward_loader(val_set, size, collate, ranks)
    judged = select if test is None else forward_loader(test, size, collate, ranks)

    for parameter in model.parameters():
        # those without a shape yet are made by the first batch that is tried
        if not isinstance(parameter, UninitializedParameter):
            refuse_without_numbers(parameter)
    model.to(place)
    if isinstance(loss_fn, nn.Module):
        loss_fn.to(place)
    parts = {"train_set": training_loader(train_set, size, collate), "val_set": select}
    task = rehearse(model, parts if test is None else parts | {"test_set": judged}, loss_fn, place)
    weights = _class_weights(class_weights, task, loss_fn, train_set)
    scale = _target_scale(target_scale, task)
    if loss_fn is None:
        loss_fn = default_loss(task.classify)
        name = "cross entropy" if task.classify else "the mean squared error"
        said.append(f"The loss is {name}, by the targets.")
    if not task.comparable:
        said.append(
            "The model's outputs cannot be compared with the targets one to one: only the loss is scored, and "
            "there is no report."
        )
    elif task.classify and class_weights is None and metric in (None, "accuracy"):
        counts = class_counts(train_set, task.classes)
        if counts is not None and (unequal := imbalance(counts.tolist(), _class_names(facts, task.classes))):
            said.append(unequal)
    if metric is not None:
        metric = _metric(metric, task, val_set, scale)
        if objective is None:
            objective = for_metric(metric)
            said.append(_selecting(objective, task, _class_names(facts, task.classes)))
    select_loss = loss_fn
    if weights is not None:
        loss_fn = WeightedCrossEntropy(weights.to(place, dtype))
        if metric is not None:
            select_loss = loss_fn
        said.append(
            f"The loss weighs {_weights_in_words(weights, _class_names(facts, task.classes))}: in training"
            + (
                ", and where weights are selected; what is reported is unweighted."
                if metric is not None
                else "; selection and report are unweighted."
            )
        )
    if objective is None:
        objective = DEFAULT_CLASSIFICATION if task.classify else DEFAULT_REGRESSION
        objective = objective if task.comparable else DEFAULT_OWN_LOSS

    names = _to_choose_from(optimizer, asked, model, policy)
    if any(not p.requires_grad for p in model.parameters()):
        said.append(f"Of the model, {trained_in_words(model)}.")
        pretrained = True if pretrained is None else pretrained
    near = lr is not None or bool(pretrained)
    choice: dict[str, Optimizer] = {}
    if names:
        choice, default_range = _optimizers(names, model, lr, weight_decay, policy, near=near)
        steppers = list(choice.values())
        said.append(f"The optimizer is chosen from {', '.join(names)}.")
    else:
        stepper, default_range = _optimizer(optimizer, model, lr, weight_decay, policy, near=near)
        steppers = [stepper]
    where = _where(asked, default_range, names)
    if asked is None:
        why = ""
        if near:
            why = f", {FEW_DECADES:g} decades around {lr_of(steppers):.3g}"
            why += " since the model is pretrained" if pretrained else ""
        said.append(
            f"The learning rate is searched from {default_range.low:g} to {default_range.high:g}{why}."
        )
    else:
        said.append(
            f"Nothing is searched: {policy}."
            if isinstance(policy, Replay)
            else f"Searched: {', '.join(where.lines)}."
        )
        if not any(name.partition(".")[0] == "lr" for name in where.names):
            said.append(f"The learning rate stays at {lr_of(steppers):.3g}; search lr too to have it chosen.")
    train: Any
    if not searches_size:
        train = training_loader(train_set, size, collate, ranks, seed)
        if leaves_one(train_set, size, ranks.world):
            said.append("The last batch of an epoch would hold one example, and is left out.")
    elif isinstance(train_set, Dataset):
        train = partial(training_loader, train_set, collate=collate, ranks=ranks, seed=seed)
        said.append("A last batch of an epoch that would hold one example is left out.")
    else:
        raise InvalidArgument("batch_size is searched, so train_set must be a set or arrays, not a loader")
    trained = _wrapped(model, ranks, place)
    if trained is not model:
        said.append(f"{ranks.world} processes train the model together, each on its share of the examples.")
    build = partial(
        Supervised,
        trained,
        choice or steppers[0],
        where.names,
        train=train,
        select=select,
        loss=loss_fn,
        classify=task.classify,
        comparable=task.comparable,
        device=place,
        state=state,
        forks=forks,
        select_loss=select_loss,
        metric=metric,
        scale=scale,
        ranks=ranks,
        rate_is_own=lr is not None or not isinstance(optimizer, str),
        single=task.single,
    )
    if ensemble is None:
        can_be = task.comparable and not task.probabilities and not pretrained and ranks.world == 1
        ensemble = policy == "lookahead" and can_be
        if ensemble and (hindered := obstacle(model)) is not None:
            ensemble = False
            said.append(
                f"One net is trained, whatever the budget: a copy of this one cannot be made ({hindered})."
            )
    elif ensemble:
        _refuse_ensemble(task, ranks, policy)
        if (hindered := obstacle(model)) is not None:
            raise InvalidArgument(
                f"ensemble=True needs copies of the model, which cannot be made ({hindered}); leave it out"
            )
    if new_model is not None and ensemble:
        refuse_another_kind(new_model, model)
    if at_once is None:
        at_once = 1 if parallel is None else AT_ONCE
    if parallel is not None:
        said.append(
            f"Rollouts of one decision are chosen {at_once} at a time, and trained beside each other."
        )
    # first, since the training puts its hooks on the optimizer
    if parallel is not None:
        refuse_beside(ranks, f"parallel={parallel!r}")
        _refuse_what_does_not_travel(parallel, trained, steppers)
    crew = _crew(parallel, workers, policy, build, place)
    if epochs is None and policy == "lookahead" and guide is None:
        guide, total_epochs = _length(train_set, size, budget, total_epochs, time, said)
        budget = None
    training = build()
    said += training.said
    start: _Start | None = None
    is_start = False
    together: Ensemble | None = None
    single: Classification | Regression | None = None
    price: Price | None = None
    nets: tuple[int, ...] = ()
    after: list[Event] = []  # what is told once the tuner has ended
    journal: Journal | Echo | None = None
    tuner: Tuner | None = None
    try:
        # Closed here too: where the tuner is refused, or cannot begin, nobody else takes the hooks off.
        with closing(training), _seeded(seed, ranks.rank):
            if pretrained:
                start = _Start.of(model, training, select)
            journal = None if run_dir is None else open_journal(run_dir, ranks)
            several = ensemble or isinstance(policy, Replay)  # the course of one of several is repeated
            if several and new_model is None and not any(isinstance(item, nn.Module) for item in state):
                new_model = _another(trained, journal)
            training.several(new_model, None if run_dir is None else Path(run_dir))
            tuner = Tuner(
                training=training,
                epochs=epochs,
                budget=budget,
                total_epochs=total_epochs,
                time=time,
                reserve=reserve,
                policy=policy,
                schedule=schedule,
                sampler=sampler,
                sampler_options=sampler_options,
                objective=objective,
                space=where,
                keep=keep,
                patience=patience,
                seed=seed,
                journal=journal,
                listeners=listeners,
                crew=crew,
                at_once=at_once,
                ranks=ranks,
                ensemble=ensemble,
                guide=guide,
                facts={
                    "model": type(model).__name__,
                    "parameters": sum(p.numel() for p in model.parameters()),
                    "optimizer": optimizer if isinstance(optimizer, str) else type(steppers[0]).__name__,
                    "batch_size": size if isinstance(train_set, Dataset) else None,
                    "train": count(train_set),
                    "data_digest": None if journal is None else digest([train_set, val_set]),
                    "device": str(place),
                    "threads": torch.get_num_threads(),
                    "torch": torch.__version__,
                    "numpy": np.__version__,
                    "metric": metric,
                    "own_weights": new_model is not None,
                    "class_weights": _plain(class_weights),
                    **(facts or {}),
                    "said": [*(facts or {}).get("said", ()), *said],
                },
            )
            with tuner:
                for run in tuner:
                    run.drive()
            said += [
                event["text"] for event in tuner.result.events if event["event"] in ("note", "objective")
            ]
            for stepper in filter(
                has_mode, steppers
            ):  # the weights that are meant to be used, not those it steps with
                stepper.eval()  # type: ignore[attr-defined]
            if start is not None and (told := start.held_against(tuner)):
                is_start = keep == "best"
                if is_start:
                    model.load_state_dict(start.weights)
                said.append(
                    told + ("; they are handed back." if is_start else ', but keep="last" was asked for.')
                )
                after.append(note_event(said[-1], is_start=is_start))
                if journal is not None and (journal.past is None or journal.past.report is None):
                    journal.append(after[-1])
            answers = training.answers(judged) if task.comparable else None
            report = None if answers is None else _report(answers, task)
            nets = () if is_start else tuner.result.nets
            if nets:
                together, single = training.ensemble(nets), report
                answers = training.answers(judged, together)
                report = _report(answers, task)
                price = training.price(together, judged)
                said.append(_together_in_words(len(nets), own_weights=new_model is not None))
            measures: dict[str, Measure] = {}
            more: dict[str, Any] = {}
            if answers is not None:
                measures, lacking = _measures(answers, scale, metric, seed)
                if len(answers) < FEW:
                    lacking = [
                        f"Only {len(answers)} example{'' if len(answers) == 1 else 's'} "
                        f"report{'s' if len(answers) == 1 else ''}: these figures say next to nothing.",
                        *lacking,
                    ]
                said += lacking
                more = {"level": LEVEL, "examples": len(answers), "said": lacking}
                known = None if journal is None or journal.past is None else journal.past.report
                if known is not None:  # what a complete run has said is not found out again
                    more = dict(known.get("extra", more))
                elif extra is not None:
                    added = dict(extra(answers, model if together is None else together))
                    more |= added | {"said": [*lacking, *added.get("said", ())]}
            if isinstance(journal, Journal) and not journal.pending:  # complete, and on disk
                training.forget_others(nets, () if journal.past is None else journal.past.kept)
        seconds = clock.perf_counter() - started
        reported_on = None if report is None else "selection" if test is None else "test"
        if report is not None:
            if isinstance(journal, Journal) and answers is not None:
                _save_predictions(answers, journal.directory / PREDICTIONS)
            event = {
                "event": "report",
                "on": reported_on,
                "seconds": seconds,
                **asdict(report),
                "measures": {name: [m.value, m.low, m.high] for name, m in measures.items()},
                "metric": metric,
                "extra": more,
                **_of_several(nets, single, price),
            }
            if journal is not None and (journal.past is None or journal.past.report is None):
                journal.append(event)
            after.append(event)
            for listener in listeners:
                listener(event)
    finally:
        training.forget_nets()
        if journal is not None:
            journal.close()
            is_first = isinstance(journal, Journal)
            if is_first and tuner is not None and tuner.result.course and tuner.is_home:
                # after an error or Ctrl-C too: the model is back at its last commit, and is not lost
                _save(model, journal.directory / WEIGHTS)
    found = tuner.result
    return FitResult(
        found.course,
        found.rollouts,
        found.verdicts,
        found.cost,
        found.seed,
        found.schedule,
        report,
        reported_on,
        tuple(said),
        seconds,
        measures,
        metric,
        None if start is None else start.metrics,
        is_start,
        ensemble=together,
        single=single,
        price=price,
        members=found.members,
        decided=found.decided,
        nets=nets,
        events=(*found.events, *after),
        run_dir=found.run_dir,
    )


def _length(
    train_set: Any,
    size: int,
    budget: float | None,
    total: float | None,
    time: float | None,
    said: list[str],
) -> tuple[float | None, float | None]:
    """The usual length of a training, and what all may take together, in epochs; None where nobody can tell, or the
    time alone limits it."""
    n = count(train_set)
    batches = len(train_set) if n is None and hasattr(train_set, "__len__") else None
    examples = n if n is not None else None if batches is None else batches * size
    guide = None if examples is None else epochs_for(_shape(train_set), examples, size, table=False)
    if total is not None or time is not None or guide is None:
        if budget is not None and total is not None:
            raise InvalidArgument(
                f"budget={budget!r} is a multiple of a plain run, whose length is left open here; total_epochs= says "
                "it all"
            )
        return guide, total
    everything = total_of(budget, guide)
    said.append(
        f"A training of these data usually has {guide} epochs, by the number of examples; all together may take "
        f"{everything / guide:g} times that."
    )
    return guide, everything


def _shape(train_set: Any) -> tuple[int, ...]:
    """Of one input, where that is a tensor in a set; else nothing is known of it."""
    first = train_set.tensors[0] if isinstance(train_set, TensorDataset) else None
    return () if first is None else tuple(first.shape[1:])


def _another(model: nn.Module, journal: Journal | Echo | None) -> NewModel | None:
    """What makes more nets; of a run that is gone on with as it did when it began, whatever the model holds now."""
    past = None if journal is None else journal.past
    if past is None:
        return another_like(model)
    return drawn_anew(model) if past.begin["facts"].get("own_weights") else None


def _refuse_ensemble(task: Task, ranks: Ranks, policy: AnyPolicy) -> None:
    if not task.comparable:
        raise InvalidArgument(
            "ensemble=True averages predictions, and this loss goes without outputs that can be compared with the "
            "targets one to one; leave it out"
        )
    if task.probabilities:
        raise InvalidArgument(
            "ensemble=True averages the probabilities that follow from scores, and the model gives probabilities "
            "already: leave out the softmax at its end, which the cross entropy has in it"
        )
    if ranks.world > 1:
        raise InvalidArgument(
            "ensemble=True trains one net after the other in one process; leave it out here"
        )
    if policy != "lookahead":
        raise InvalidArgument(
            f"ensemble=True: policy={policy!r} trains one net; take policy='lookahead' or leave it out"
        )


def _together_in_words(count: int, *, own_weights: bool) -> str:
    how = (
        "initial weights and order of the data of its own" if own_weights else "order of the data of its own"
    )
    return (
        f"{count} nets were trained, each with {how}, and their predictions are averaged; asking them takes {count} "
        "times as long as asking one. ensemble=False trains one."
    )


def _of_several(
    nets: Sequence[int], single: Classification | Regression | None, price: Price | None
) -> dict[str, Any]:
    """What a report event says of them: how many, the figures of the best alone, and what one and all take."""
    if single is None or price is None:
        return {}
    alone = {name: held for name, held in asdict(single).items() if isinstance(held, float)}
    return {"nets": len(nets), "single": alone, "price": asdict(price)}


def _wrapped(model: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """The model with its gradients exchanged between the processes that train it."""
    if ranks.world == 1:
        return model
    if isinstance(model, DistributedDataParallel) or any(map(is_spread, model.parameters())):
        raise InvalidArgument(
            f"fit wraps the model itself where several processes train it, and was given a {type(model).__name__}: "
            "give it as it was before, or write the loop yourself with gammatune.Tuner"
        )
    # whoever was refused before has hung up, which the wrapper, on a line of the group's, would not notice
    ranks.sum("begins the run")
    places = None if device.type == "cpu" else [device]
    return DistributedDataParallel(model, device_ids=places, process_group=getattr(ranks, "group", None))


# Model and optimizer --------------------------------------------------------------------------------------


def _to_choose_from(given: Any, asked: Space | None, model: nn.Module, policy: AnyPolicy) -> tuple[str, ...]:
    """The names of the optimizers to choose from; none where one was given."""
    spaced = asked is not None and OPTIMIZER in asked.names
    if not spaced and not (isinstance(given, str) and given == "auto"):
        return ()
    names: tuple[str, ...] = automatic(model.parameters())
    if spaced:
        assert asked is not None
        dimension = asked[OPTIMIZER]
        options = dimension.options if isinstance(dimension, Choice) else ()
        if not options or not all(isinstance(name, str) for name in options):
            raise InvalidArgument(
                f"{'; '.join(asked.lines)}: optimizers go by name; write optimizer=adamw,muon"
            )
        names = tuple(str(name) for name in options)
        if given not in ("auto", DEFAULT_OPTIMIZER, *names):
            what = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
            raise InvalidArgument(
                f"optimizer={what} beside {'; '.join(asked.lines)}, which chooses between others: leave one of the "
                "two out"
            )
    if isinstance(policy, str) and policy != "lookahead":
        raise InvalidArgument(
            f"policy={policy!r} trains with one optimizer: name it, or take policy='lookahead', which can choose "
            f"between {', '.join(names)}"
        )
    return names


def _optimizers(
    names: Sequence[str],
    model: nn.Module,
    lr: float | None,
    weight_decay: float | None,
    policy: AnyPolicy,
    *,
    near: bool,
) -> tuple[dict[str, Optimizer], Float]:
    """Those to choose from, and a range for the learning rates of all."""
    if lr is not None and len(names) > 1:
        raise InvalidArgument(
            f"lr={lr!r} is the rate of one optimizer, and {', '.join(names)} are chosen from: leave it out, or give "
            "the range that is searched, space=['lr=1e-4:1e-1:log']"
        )
    made = {
        name: _optimizer(name, model, lr, weight_decay, policy, near=near) for name in dict.fromkeys(names)
    }
    ranges = [found for _, found in made.values()]
    whole = Float(min(each.low for each in ranges), max(each.high for each in ranges), log=True)
    return {name: optimizer for name, (optimizer, _) in made.items()}, whole


def _where(asked: Space | None, rates: Float, names: Sequence[str]) -> Space:
    """What is searched. rates: where nothing else was said of the learning rate, with one optimizer or more."""
    if asked is None:
        return Space({"lr": rates} | ({OPTIMIZER: Choice(tuple(names))} if names else {}))
    if not names:
        return asked
    dimensions = {name: asked[name] for name in asked.names}
    if not any(name.partition(".")[0] == "lr" for name in dimensions):
        dimensions = {
            "lr": rates,
            **dimensions,
        }  # each at a rate of its own, or none could be told from another
    return Space({OPTIMIZER: Choice(tuple(names))} | dimensions)


def _optimizer(
    given: Any,
    model: nn.Module,
    lr: float | None,
    weight_decay: float | None,
    policy: AnyPolicy,
    *,
    near: bool,
) -> tuple[Optimizer, Float]:
    """The optimizer, and the range its learning rate is searched in by default. near: see `around`."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise InvalidArgument("the model has no parameter to train (all are frozen, or there are none)")
    if isinstance(given, str):
        recipe = recipe_of(given)
        if lr is not None and not (isinstance(lr, (int, float, np.number)) and 0 < lr < float("inf")):
            raise InvalidArgument(f"lr={lr!r}: give a finite number above 0, such as 1e-4")
        made = make_optimizer(given, parameters, weight_decay, lr)
        if near:
            return made, around(lr_of(made), near=True)
        wide = policy == "lookahead" and not recipe.is_scale
        return made, WIDE if wide else Float(recipe.low, recipe.high, log=True)
    for name, value in (("lr", lr), ("weight_decay", weight_decay)):
        if value is not None:
            raise InvalidArgument(
                f"{name}= goes with an optimizer given by name; set it on your own optimizer"
            )
    stepper = given if isinstance(given, Optimizer) else given(parameters)
    if not isinstance(stepper, Optimizer):
        raise InvalidArgument(
            f"optimizer= gave a {type(stepper).__name__}; give a name, a torch optimizer, or a function of the "
            "parameters that makes one"
        )
    closure = inspect.signature(stepper.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InvalidArgument(
            f"optimizer={type(stepper).__name__}: its step needs a closure, which `fit` does not give; write the "
            "loop yourself with gammatune.Tuner"
        )
    return stepper, around(lr_of([stepper]), policy, near=near)


def _crew(
    parallel: str | None,
    workers: int | None,
    policy: AnyPolicy,
    build: Callable[[], Supervised],
    device: torch.device,
) -> Crew | None:
    if parallel is None:
        if workers is not None:
            raise InvalidArgument(f"workers={workers!r} goes with parallel='ray'")
        return None
    kind, _, address = parallel.partition(":")
    if kind != "ray" and parallel != "vmap":
        raise InvalidArgument(
            f"parallel={parallel!r}: write 'ray', 'ray:ADDRESS' for a cluster that is there, or 'vmap'"
        )
    if policy == "once" or isinstance(policy, Replay):
        raise InvalidArgument(
            f"parallel={parallel!r}: policy={policy!r} trains one rollout after the other; leave parallel= out"
        )
    if parallel == "vmap":
        if workers is not None:
            raise InvalidArgument(f"workers={workers!r} goes with parallel='ray'; parallel='vmap' has none")
        from gammatune.supervised.vmap_executor import StackedCrew

        return StackedCrew()
    from gammatune.tuning.ray_executor import RayCrew

    return RayCrew(build, device, address=address or None, workers=workers)


def _refuse_what_does_not_travel(parallel: str, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Hooks run in this process and on single tensors alone, and so do optimizers within an optimizer."""
    if parallel == "vmap" and len(optimizers) > 1:
        raise InvalidArgument(
            "parallel='vmap' trains several values of one optimizer in one pass, and more than one is chosen from; "
            "name one, or write parallel='ray'"
        )
    hooked = [
        f"{name} has a gradient hook"
        for name, parameter in model.named_parameters()
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks
    ]
    for optimizer in optimizers:
        kind = type(optimizer).__name__
        if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
            hooked.append(f"{kind} has a step hook")
        hooked += [
            f"{kind} holds another optimizer ({name})"
            for name, value in vars(optimizer).items()
            if isinstance(value, Optimizer)
        ]
    if hooked:
        raise InvalidArgument(
            f"{hooked[0]}, which parallel={parallel!r} cannot follow: leave parallel= out, or write the loop "
            "yourself with gammatune.Tuner"
        )


def _device(given: str | torch.device | None) -> torch.device:
    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=given).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = str(error).splitlines()[0]
        raise InvalidArgument(
            f"device={given!r} cannot be used ({first_line:.60}); write cpu, cuda, cuda:1 or mps"
        ) from error


@dataclass(frozen=True, slots=True)
class _Start:
    """A pretrained model as it came. weights: its state_dict, on the CPU. metrics: on the data to select by."""

    weights: Mapping[str, Any]
    metrics: Metrics

    @classmethod
    def of(cls, model: nn.Module, training: Supervised, select: Loader) -> "_Start":
        weights = {
            name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
            for name, value in model.state_dict().items()
        }
        before = StreamStates(streams_of(select), cuda=True)
        try:
            with evaluating(model):
                return cls(weights, dict(training.score(select)))
        finally:
            before.restore()

    def held_against(self, tuner: Tuner) -> str | None:
        """What to say where these weights are better than those that the training ended with."""
        ended = tuner.result.metrics
        if not ended:
            return None
        objective = tuner.objective.instead(self.metrics) or tuner.objective
        own, other = objective(self.metrics), objective(ended)
        if rank(own, self.metrics) <= rank(other, ended):
            return None
        return (
            f"No epoch was better than the weights the model came with ({objective.name} {own:.4g} against "
            f"{other:.4g})"
        )


# What is measured, and weighed ----------------------------------------------------------------------------


def _metric(name: MetricName, task: Task, val_set: Any, scale: Scale | None) -> MetricName:
    """Refuse, before any training, what cannot be measured here."""
    if not task.comparable:
        raise InvalidArgument(
            f"metric={name!r} needs outputs that can be compared with the targets one to one, and this loss goes "
            "without; leave metric= out"
        )
    found = recipe(name, "classification" if task.classify else "regression")
    if type(val_set) is TensorDataset and len(val_set.tensors) == 2:  # elsewhere the first evaluation says so
        targets = val_set.tensors[1].detach().cpu().numpy()
        targets = targets.ravel() if task.classify else targets.reshape(len(targets), -1)
        room = np.broadcast_to(np.float32(0), (len(targets), task.classes)) if task.classify else None
        known = Answers(targets, targets, task.classes, room)
        reason = undefined(name, known if scale is None else known.scaled(*scale))
        if reason is not None:
            raise InvalidData(
                f"{reason}. These are the examples to select by; give others, or another metric"
            )
    return found.name


def _selecting(objective: Objective, task: Task, names: Sequence[str]) -> str:
    what = objective.needs[0]
    how = f"of class {names[1]}" if task.classes == 2 else "the mean over the classes"
    about = (
        f" ({how})"
        if task.classify and what not in ("accuracy", "balanced-accuracy", "mcc", "log-loss", "brier")
        else ""
    )
    beside = " and the loss together" if len(objective.needs) > 1 else ""
    return f"Weights are selected by the {what}{about}{beside} ({objective.name})."


def _class_weights(
    given: str | Sequence[float] | None, task: Task, loss_fn: LossFunction | None, train_set: Any
) -> torch.Tensor | None:
    if given is None:
        return None
    if not task.classify or not task.comparable:
        raise InvalidArgument(
            "class_weights= weighs classes, and the targets are not whole numbers; leave it out"
        )
    if loss_fn is not None:
        raise InvalidArgument(
            "class_weights= goes with the default loss; weigh the classes in your own loss_fn"
        )
    k = task.classes
    if isinstance(given, str):
        if given != "balanced":
            raise InvalidArgument(f"class_weights={given!r}: write 'balanced', or give {k} positive numbers")
        counts = class_counts(train_set, k)
        if counts is None:
            raise InvalidArgument(
                "class_weights='balanced' must know how many examples each class has, and the targets of this "
                f"{type(train_set).__name__} cannot be had at once; give {k} positive numbers"
            )
        present = counts > 0
        weights = np.ones(k)
        weights[present] = counts.sum() / (present.sum() * counts[present])
        return torch.as_tensor(weights)
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        weights = np.zeros(0)
    if weights.shape != (k,) or not bool((np.isfinite(weights) & (weights > 0)).all()):
        raise InvalidArgument(
            f"class_weights={given!r:.60}: give {k} positive numbers, one a class, or 'balanced'"
        )
    return torch.as_tensor(weights)


def _weights_in_words(weights: torch.Tensor, names: Sequence[str]) -> str:
    held = [f"class {name} {weight:.3g}" for name, weight in zip(names, weights.tolist(), strict=True)]
    return ", ".join(held if len(held) <= 4 else [*held[:3], f"... ({len(held)} classes)"])


def _class_names(facts: Mapping[str, Any] | None, classes: int) -> list[str]:
    """As whoever prepared the data calls them, else their codes."""
    preparing = (facts or {}).get("preprocessing")
    names = preparing.get("classes", ()) if isinstance(preparing, Mapping) else ()
    return [str(name) for name in (names if len(names) == classes else range(classes))]


def _target_scale(given: Any, task: Task) -> Scale | None:
    if given is None or np.size(given[0]) == 0:
        return None
    if task.classify:
        raise InvalidArgument("target_scale= is the scale of a regression's targets; leave it out")
    mean, std = (np.asarray(part, dtype=np.float64) for part in given)
    if not bool(np.isfinite(mean).all()) or not bool((np.isfinite(std) & (std > 0)).all()):
        raise InvalidArgument(
            f"target_scale={given!r:.80}: give finite means and positive standard deviations"
        )
    return mean, std


def _plain(weights: str | Sequence[float] | None) -> Any:
    """As the journal can hold them."""
    return weights if weights is None or isinstance(weights, str) else np.asarray(weights).tolist()


# The end --------------------------------------------------------------------------------------------------


def _report(answers: Answers, task: Task) -> Classification | Regression:
    if task.classify:
        return classification(answers.targets, answers.said, task.classes)
    return regression(answers.targets, answers.said)


def _measures(
    answers: Answers, scale: Scale | None, metric: str | None, seed: int
) -> tuple[dict[str, Measure], list[str]]:
    """All that say something of these examples, the one asked for first; and a sentence for each without a value."""
    names = relevant(answers)
    if metric is not None:
        names = [metric, *(name for name in names if name != metric)]
    if not answers.is_finite:
        return {}, ["The measures have no value: the model's outputs are not all finite."]
    if scale is not None:
        answers = answers.scaled(*scale)
    found, lacking = measured(names, answers, stream(seed, "bootstrap"))
    return found, [f"On the data that is reported on {reason}." for reason in lacking]


def _save(model: nn.Module, path: Path) -> None:
    """Where the disk is full the model is still in memory, and whoever asked for it gets it."""
    try:
        archive.put(path, model.state_dict())
    except OSError as error:
        warnings.warn(
            f"cannot write the weights to {path} ({error.strerror or error}); the model in memory has them. Free the "
            "disk, and run the same again: what is on disk is not trained again",
            JournalWarning,
            stacklevel=4,  # past `fit` and `telling`
        )


def _save_predictions(answers: Answers, path: Path) -> None:
    """probabilities (n, k) float32 and targets (n,) int64; or predictions and targets, (n, t) float64. Of an ensemble
    spread too, (n,) or (n, t), as `Answers` has it."""
    if answers.classes and answers.probabilities is None:  # too many to be kept
        return
    said = (
        {"probabilities": answers.probabilities, "targets": answers.targets.astype(np.int64)}
        if answers.classes
        else {"predictions": answers.said, "targets": answers.targets}
    )
    if answers.spread is not None:
        said["spread"] = answers.spread
    whole_file_of_run(path, lambda file: np.savez(file, **said), "the predictions")


@contextmanager
def _seeded(seed: int, rank: int) -> Iterator[None]:
    """The global streams set by the seed, those of each process to others, and put back to where they were."""
    before = StreamStates([], cuda=True)
    numbers = stream(seed, "training", *([rank] if rank else [])).integers(2**31, size=3).tolist()
    try:
        random.seed(numbers[0])
        np.random.seed(numbers[1])  # noqa: NPY002 - the user's data sets may draw from it
        torch.manual_seed(numbers[2])
        yield
    finally:
        before.restore()
