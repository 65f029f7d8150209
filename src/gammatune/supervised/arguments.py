"""What `fit` was asked, as one record that its phases hand on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.engine.batches import LossFunction
from gammatune.engine.ranks import Ranks
from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import MetricName, recipe
from gammatune.metrics.predictions import Answers
from gammatune.policy.replay import Replay
from gammatune.records import StepCount
from gammatune.space import Space
from gammatune.supervised.evaluation import Scale
from gammatune.supervised.loaders import Examples
from gammatune.supervised.optimizers import OptimizerName
from gammatune.supervised.reading import TaskName
from gammatune.supervised.sample_weights import SampleWeight
from gammatune.tuning.arguments import as_space, refuse_two_places, steps_of
from gammatune.tuning.extensions import taken_up
from gammatune.tuning.options import Options, Running, Search

AnyOptimizer: TypeAlias = (
    OptimizerName | Literal["auto"] | Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How `fit` trains the model, and what it tells beside.

    lr, weight_decay: of an optimizer given by name; around that rate no more than three decades are searched, and it
    stays unless another is likely to be better. Without lr the search begins where other trainings did best.
    steps, every: see `Tuner`: the length in steps of the optimizer, in the place of `epochs`, where train_set has no
    end, or its end means nothing.
    batch_size, collate: for sets; a loader has its own. A last batch of one example is left out of a set, since batch
    normalisation cannot train on it. None: by the number of examples.
    task: what is learnt, where it is not to be told by loss and targets: "classification", a column of scores a
    class, targets whole numbers or distributions over the classes; "binary", one output, targets of 0 and 1;
    "multilabel", an output a label, each 0 or 1; "regression". It chooses the loss where none is given; with one of
    torch's own it must agree.
    class_weights: "balanced" (examples / (classes x examples of the class)), or one positive number a class: weighs
    the cross entropy that is trained with. The selection and the report stay unweighted; where a metric is asked
    for, the loss it is selected with is weighted too.
    sample_weight: what each example counts for, 0 or more, in loss, selection, measures and intervals: numbers (n,)
    for train_set, or a mapping from "train_set", "val_set", "test_set" to such; or True, where sets and loaders give
    (input, target, weight). Examples of a set without weights count alike. Those trained on are divided by their
    mean; weights that come in the batches of a loader are taken as they are, and are best given so that their mean
    is 1. Losses of torch are weighed as they are; a loss_fn of your own takes (output, target, weight=None) then, and
    gives the mean of weight times loss; collate gets (input, target, weight) too.
    ordinal: the classes follow each other in the order of their codes. The default loss is then the ranked
    probability score (`losses.ranked_probability_score`), and the report holds the error in steps and the weighted
    kappa.
    target_scale: (mean, standard deviation), one number or one for each of a target's: of a regression whose
    targets were standardised, so that metric and measures are told in the original unit.
    pretrained: the weights the model comes with are worth something. Only three decades are searched around the
    optimizer's own rate then, and with keep="best" they are handed back where no epoch is better; one pass over
    val_set, beyond the budget, tells. None: whether parameters are frozen (`gammatune.freeze`).
    device: None: CUDA where there is one, else the CPU.
    parallel: "ray" trains the rollouts of one decision beside each other, in the processes of a Ray cluster: of one
    on this machine for as long as it takes, of the one this process is connected to, or of "ray:ADDRESS". "vmap"
    trains them in one batched pass, for small networks on a GPU (`gammatune.supervised.stack`); the result is the
    same up to rounding. workers: how many at most; None: as many as there is room for.
    progress: whether to show how far it is, on the standard output; None does where somebody watches, in a notebook
    or on a terminal, and is silent in a pipe, where True writes a line a commit.
    extra: called once after the search with what is said of the report's examples, and the module that says it, the
    model or the ensemble; the mapping it returns is kept in the journal's report event as "extra", and its sentences
    under "said" are shown. Under "answers" it may hold those of another model (`gammatune.metrics.predictions`) that
    is handed over in the net's place: they are reported on then, and not kept.
    """

    lr: float | None = None
    weight_decay: float | None = None
    steps: int | None = None
    every: int | None = None
    batch_size: int | None = None
    collate: Callable[[list[Any]], Any] | None = None
    task: TaskName | None = None
    class_weights: Literal["balanced"] | Sequence[float] | None = None
    sample_weight: SampleWeight | None = None
    ordinal: bool = False
    target_scale: Scale | None = None
    pretrained: bool | None = None
    device: str | torch.device | None = None
    parallel: str | None = None
    workers: int | None = None
    progress: bool | None = None
    extra: Callable[[Answers, nn.Module], Mapping[str, Any]] | None = None


class FitOptions(Options, total=False):
    """What `fit` takes beside what it names: the fields of `Training` too, for type checkers and editors."""

    lr: float | None
    weight_decay: float | None
    steps: int | None
    every: int | None
    batch_size: int | None
    collate: Callable[[list[Any]], Any] | None
    task: TaskName | None
    class_weights: Literal["balanced"] | Sequence[float] | None
    sample_weight: SampleWeight | None
    ordinal: bool
    target_scale: Scale | None
    pretrained: bool | None
    device: str | torch.device | None
    parallel: str | None
    workers: int | None
    progress: bool | None
    extra: Callable[[Answers, nn.Module], Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Arguments:
    """Each is a parameter of `fit`, whose docstring says what it is; a phase that settles one replaces it."""

    model: nn.Module
    train_set: Examples
    val_set: Examples | None
    test_set: Examples | None
    epochs: int | None
    budget: float | None
    time: float | None
    metric: MetricName | None
    loss_fn: LossFunction | None
    optimizer: AnyOptimizer
    seed: int
    run_dir: str | None
    training: Training
    search: Search
    running: Running

    def taken_up(self) -> "Arguments":
        """With the directory of the run that is gone on with, and the epochs it was begun with."""
        run, ranks = self.running.resume_from, self.ranks
        run_dir, epochs = taken_up(run, self.run_dir, self.epochs, ranks)
        return replace(self, run_dir=run_dir, epochs=epochs).with_running(resume_from=None)

    def checked(self) -> "Arguments":
        """What can be judged before any data are looked at: metric and space as they are known further on."""
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InvalidArgument(f"seed={seed!r}: give a whole number of 0 or more")
        refuse_two_places(self.running, self.run_dir)
        if self.search.multiplier:
            raise InvalidArgument(
                "multiplier=True scales what a scheduler of your own sets in a loop of your own (`Tuner`); here the "
                "rate has no other schedule than schedule="
            )
        if self.steps is not None and self.training.parallel is not None:
            raise InvalidArgument(
                f"parallel={self.training.parallel!r} trains epochs, each rollout apart from the others: with steps= "
                "leave it out"
            )
        metric = None if self.metric is None else recipe(self.metric).name
        space, policy = self.search.space, self.search.policy
        # a course that is repeated has a space of its own
        space = policy.space if space is None and isinstance(policy, Replay) else space
        return replace(self, metric=metric).with_search(space=None if space is None else as_space(space))

    @property
    def steps(self) -> StepCount | None:
        """How they are counted; None where epochs are. Raises InvalidArgument."""
        return steps_of(self.training.steps, self.training.every, self.epochs, None)

    @property
    def space(self) -> Space | None:
        """The one that was given."""
        return None if self.search.space is None else as_space(self.search.space)

    @property
    def ranks(self) -> Ranks:
        """Of `running`, as `telling` has put them there."""
        ranks: Ranks = self.running.ranks
        return ranks

    def with_search(self, **changes: Any) -> "Arguments":
        return replace(self, search=replace(self.search, **changes))

    def with_training(self, **changes: Any) -> "Arguments":
        return replace(self, training=replace(self.training, **changes))

    def with_running(self, **changes: Any) -> "Arguments":
        return replace(self, running=replace(self.running, **changes))
