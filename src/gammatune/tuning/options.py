"""The options of a run, in two records, each option declared here alone.

`Tuner` and `fit` take a record (`search=Search(keep="last")`), or its fields by name (`keep="last"`), which go before
those of the record.
"""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypedDict

from gammatune.engine.trainable import TAPE_BYTES, Where
from gammatune.errors import InvalidArgument, whole
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.objectives import Objective, ObjectiveName
from gammatune.plugins import Plugin
from gammatune.policy import DEFAULT, registry
from gammatune.policy.registry import AnyPolicy
from gammatune.samplers import SamplerName
from gammatune.samplers.sampler import Sampler
from gammatune.schedules import AnySchedule
from gammatune.schedules import schedule as schedule_of
from gammatune.space import Dimension, Space
from gammatune.tuning.executor import Executor
from gammatune.tuning.teller import Listener

if TYPE_CHECKING:
    from torch import nn

SamplerFactory: TypeAlias = Callable[[Space, Any], Sampler]  # (space, numpy Generator) -> sampler
AnySampler: TypeAlias = SamplerName | Plugin | SamplerFactory
AnySpace: TypeAlias = Space | Mapping[str, Dimension] | Sequence[str] | str
Keep: TypeAlias = Literal["best", "last"]

RENAMED = {"crew": "executor"}  # options of earlier versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for, how, and how much that may take.

    policy: "lookahead" (a few looks at rates, short trainings from the initial weights, then the course; it begins
    where other trainings did best, and keeps the optimizer's own rate unless another is likely to be better),
    "greedy" (the thesis: each epoch the best of `budget` candidates) or "once" (one candidate for the whole run, the
    best of `budget` runs), one that an installed package offers (`gammatune.plugin("name")`), or a policy of your
    own; `gammatune.replay` makes one of a course that was found before, which needs neither epochs nor budget.
    schedule: what the chosen learning rate is multiplied by along the course of "lookahead", after a short warm-up:
    "linear" (straight down to zero), "cosine", "1-sqrt", "wsd" (the peak, and down in the last fifth, so that a
    longer training can go on from before that), "constant"; or a function of the progress from 0 to 1, taken at 257
    points of it, such as `gammatune.schedules.wsd(decay=0.1)`. None: "linear"; an optimizer that wants a constant
    one, such as Schedule-Free, gets that.
    sampler: "gamma", "gaussian", "random", "grid", ... (`gammatune.samplers.SAMPLERS`), of an installed package
    (`gammatune.plugin`), or a function (space, generator) -> sampler; "lookahead" asks it only where more than
    learning rates is searched. sampler_options: handed to one given by name.
    objective: "kappa" (accuracy and loss together) and others (`gammatune.metrics.objectives.OBJECTIVES`). None:
    "kappa"; `fit` goes by metric and targets.
    space: a `Space`, a mapping of names to dimensions, or lines such as "lr=1e-4:1:log"; without it the
    learning rate is searched around the optimizer's own: twelve decades in all, three under the other policies.
    multiplier: the searched lr scales what the own scheduler of a loop of yours sets.
    total_epochs: what everything together may cost, in epochs, where their number is left open.
    reserve: seconds of `time` that are kept for what comes after the run.
    keep: "best" hands back the weights of the best commit, "last" those of the last epoch.
    patience: end the course early, with the short decay that `Tuner.stop` gives, once so many of its epochs have
    brought no better score; None: never. The score often rises only as the rate falls towards the end of the
    schedule, so that a small patience may end a good course. Rollouts do not count.
    at_once: of the rollouts of one decision, how many are chosen before the first of them has been heard of; with
    more of them each knows less, and an executor can train them at the same time. On it and on the seed the result
    depends, not on how many work. None: 1; 4 where `fit` trains in parallel.
    ensemble: spend a budget that pays for several trainings on several nets whose predictions are averaged; only
    "lookahead" does. In a `Tuner` each is one more pass of the loop, told by `run.net`, `run.evaluate` hears the
    average now and then (`run.nets`), and None is False. `fit` hands them back as `FitResult.ensemble`: with `epochs`
    from a budget of about 2.5 on; where the length is left open, that of each and their number are chosen together;
    its None is True where outputs can be averaged and the model is neither pretrained nor trained by several
    processes. The model holds the best of them; the weights of all that are averaged lie in `run_dir`.
    new_model: a function that makes another net like `model`, with other initial weights, drawn from torch's random
    stream. Without it nets differ by the order of their data alone; `fit` draws weights anew where the layers' own
    way of doing so is plainly how they were drawn, else says so.
    extra_epochs: for so many more epochs the course goes on once it has come to its end; see `Tuner.extend`.
    guide: where the length is left open, the epochs that such a training usually has, by which they are shared
    between more nets and longer ones; None: one net; `fit` goes by the number of examples
    (`gammatune.supervised.defaults`), and without epochs, total_epochs and time all together takes `budget` times
    that.
    """

    policy: AnyPolicy = DEFAULT
    schedule: AnySchedule | None = None
    sampler: AnySampler = "gamma"
    sampler_options: Mapping[str, Any] | None = None
    objective: ObjectiveName | Objective | None = None
    space: AnySpace | None = None
    multiplier: bool = False
    total_epochs: float | None = None
    reserve: float = 0.0
    keep: Keep = "best"
    patience: int | None = None
    at_once: int | None = None
    ensemble: bool | None = None
    new_model: "Callable[[], nn.Module] | None" = None
    guide: float | None = None
    extra_epochs: int | None = None

    def checked(self) -> Self:
        """With numbers as Python has them. Raises InvalidArgument."""
        if self.schedule is not None:
            schedule_of(self.schedule)
        if self.keep not in ("best", "last"):
            raise InvalidArgument(f"keep={self.keep!r}: write 'best' or 'last'")
        patience = None if self.patience is None else whole(self.patience, "patience", least=1)
        if patience is not None:
            registry.refuse_patience(self.policy, patience)
        extra = None if self.extra_epochs is None else whole(self.extra_epochs, "extra_epochs", least=1)
        if extra is not None:
            registry.refuse_extension(self.policy)
        return replace(
            self,
            patience=patience,
            guide=None if self.guide is None else positive(self.guide, "guide"),
            extra_epochs=extra,
            at_once=None if self.at_once is None else whole(self.at_once, "at_once", least=1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Who hears of a run, who trains it, and where its states lie.

    state: whatever else changes while training (GradScaler, EMA, generators, ...).
    listeners: called with every event of the journal, and with {"event": "start", "run": Run} before each run but
    those of the check.
    What one raises ends the run as an error of the loop body does.
    facts: kept in the first line of the journal. journal: one that is open already, in the place of `run_dir`.
    executor: trains the rollouts of one decision at the same time (`gammatune.tuning.executor`), of a training that
    is driven; `fit` makes one of `parallel`.
    forks: where the copies of weights and optimizer state are held: "device", beside the model; "host", in the CPU's
    memory; "disk", in files in the directory for temporary ones (TMPDIR); going back is slower from each to the next.
    "auto": the first of them of whose free room a few copies take no more than half.
    tape_bytes: memory for the batches of an epoch that are kept because a loader cannot show them again, with the
    states of the random streams that their drawing moves. Where steps are counted, for those that one trial has seen
    and the next is to see; trials that go further pass over these again, and it is said.
    check: before the first look train one batch twice from the same fork, at the optimizer's own values, and warn
    (`EscapeWarning`) of what comes out otherwise or is carried on: an average of weights, a counter, a clock, a
    generator that no fork puts back. The loop body is given those two runs like any (`run.is_repeated`); results are
    the same with and without.
    resume_from: a run that is gone on with, complete or not: its directory, or what `fit` or `Tuner` gave back.
    Call as it was begun; epochs may be left out. With run_dir= it is copied there first, and stays as it is.
    ranks: where torch.distributed trains one model in several processes, each calls this alike, on its share of the
    data and a device of its own, rank 0 decides, and examples are counted over all of them. None: the processes of
    the default group, where one is initialised; a process group; or "off": this process trains a model of its own.
    `fit` wraps the model in DistributedDataParallel meanwhile and shares sets out; a batch size is that of one
    process, and a loader must give each its own share.
    """

    state: Sequence[Any] = ()
    listeners: Sequence[Listener] = ()
    facts: Mapping[str, Any] | None = None
    journal: Journal | Echo | None = None
    executor: Executor | None = None
    forks: Where = "auto"
    tape_bytes: int = TAPE_BYTES
    check: bool = True
    resume_from: Any = None
    ranks: Any = None


class SearchOptions(TypedDict, total=False):
    """The fields of `Search`, for type checkers and editors of those who give them one by one."""

    policy: AnyPolicy
    schedule: AnySchedule | None
    sampler: AnySampler
    sampler_options: Mapping[str, Any] | None
    objective: ObjectiveName | Objective | None
    space: AnySpace | None
    multiplier: bool
    total_epochs: float | None
    reserve: float
    keep: Keep
    patience: int | None
    at_once: int | None
    ensemble: bool | None
    new_model: "Callable[[], nn.Module] | None"
    guide: float | None
    extra_epochs: int | None


class RunningOptions(TypedDict, total=False):
    """Likewise, of `Running`."""

    state: Sequence[Any]
    listeners: Sequence[Listener]
    facts: Mapping[str, Any] | None
    journal: Journal | Echo | None
    executor: Executor | None
    forks: Where
    tape_bytes: int
    check: bool
    resume_from: Any
    ranks: Any


class Options(SearchOptions, RunningOptions, total=False):
    """What `Tuner` takes beside what it names."""


def with_options(call: str, given: Mapping[str, Any], *records: Any) -> tuple[Any, ...]:
    """The records, each with those of the options that are its fields.

    Raises TypeError at an option that none of them has, as Python does: call is the name that was called.
    """
    for old, new in RENAMED.items():
        if old in given and new in given:
            raise TypeError(f"{call}() got {new} twice, as {old} too")
    left = {RENAMED.get(name, name): value for name, value in given.items()}
    completed = [
        replace(record, **{one.name: left.pop(one.name) for one in fields(record) if one.name in left})
        for record in records
    ]
    for name in left:
        raise unexpected(call, name, [one.name for record in records for one in fields(record)])
    return tuple(completed)


def unexpected(call: str, name: str, known: Sequence[str]) -> TypeError:
    """As Python says it of a keyword argument that is none of those known, with the nearest of these."""
    near = difflib.get_close_matches(name, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return TypeError(f"{call}() got an unexpected keyword argument {name!r}{meant}")


def positive(value: Any, name: str) -> float:
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or not 0 < float(value) < math.inf:
        raise InvalidArgument(f"{name}={value!r}: give a finite number above 0")
    return float(value)
