"""What a tuner is called with: looked at, and completed by what follows where nothing was said."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from gammatune import plugins
from gammatune.engine.ranks import SINGLE, Ranks
from gammatune.engine.trainable import CountsSteps, Forkable
from gammatune.errors import InvalidArgument, InvalidSpace, whole
from gammatune.journal.history import Story
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.objectives import DEFAULT_CLASSIFICATION, Objective, make_objective
from gammatune.policy import DEFAULT, registry
from gammatune.policy.registry import AnyPolicy, default_budget
from gammatune.policy.replay import Replay
from gammatune.records import StepCount
from gammatune.samplers import SAMPLERS, make_sampler
from gammatune.samplers.sampler import Sampler
from gammatune.seeds import stream
from gammatune.space import BATCH_SIZE, LR_RATIO, OPTIMIZER, Choice, Dimension, Float, Space, parse
from gammatune.tuning.options import Running, SamplerFactory, Search, positive

OPEN = 10**6  # epochs, where only the time is limited
REPORTS = 20  # of a course that is counted in steps, where nobody says how often; guess
# around a rate that is known to be about right, or for weights that are worth keeping (guess)
FEW_DECADES = 3.0


@dataclass(frozen=True, slots=True)
class UsersLoop:
    """What a loop of the user's own trains; see `Tuner`."""

    model: Any
    optimizer: Any
    state: Sequence[Any]
    multiplier: bool

    def around_its_rate(self, policy: AnyPolicy) -> dict[str, Dimension]:
        """What is searched where nothing else is said."""
        from gammatune.engine.loop import lr_of

        self._refuse_without_accelerator()
        return {"lr": around(1.0 if self.multiplier else lr_of(self.optimizer), policy)}

    def training(
        self, space: Space, running: Running, ranks: Ranks, course: int | StepCount | None
    ) -> Forkable:
        from gammatune.engine.loop import TorchLoop

        self._refuse_without_accelerator()
        return TorchLoop(
            *(self.model, self.optimizer, space.names),
            state=self.state,
            multiplier=self.multiplier,
            tape_bytes=running.tape_bytes,
            forks=running.forks,
            course=course,
            ranks=ranks,
        )

    def complete(
        self, training: Any, search: Search, journal: Journal | Echo | None, objective: Objective
    ) -> list[str]:
        """Have it train several nets, where that was asked for; what was chosen for it, in sentences."""
        if search.new_model is not None and not search.ensemble:
            raise InvalidArgument("new_model= goes with ensemble=True")
        said: list[str] = []
        if search.ensemble:
            directory = None if journal is None else Path(journal.directory)
            training.several(search.new_model, directory, probabilities="accuracy" in objective.needs)
            if search.new_model is None:
                said.append(
                    "Nets begin with the same weights and differ by the order of their data, without new_model=."
                )
        return said + list(training.said)

    def _refuse_without_accelerator(self) -> None:
        from gammatune.engine.loop import refuse_without_accelerator

        given = (self.model, self.optimizer)
        things = [thing for one in given for thing in (one if isinstance(one, (list, tuple)) else [one])]
        refuse_without_accelerator(things, self.state)


def open_journal(run_dir: str, ranks: Ranks) -> Journal | Echo:
    """That of a run which begins or is gone on with; rank 0 writes it, the others know what it says."""
    found: list[Journal] = []

    def open_it() -> Story | None:
        found.append(Journal(run_dir, resume=True))
        return found[0].past

    past = ranks.agree("begins the run", open_it)
    return found[0] if found else Echo(run_dir, past)


def process_ranks(given: Any) -> Ranks:
    """Without torch where nobody has imported it: then there is no process group either."""
    if given is None and "torch" not in sys.modules:
        return SINGLE
    from gammatune.engine.process_group import ranks_of

    return ranks_of(given)


def refuse_beside(ranks: Ranks, option: str) -> None:
    """Raises InvalidArgument where several ranks train each rollout together; `option` trains several at once."""
    if ranks.world > 1:
        raise InvalidArgument(
            f"{option} trains rollouts beside each other, and {ranks.world} processes train each of them together: "
            f"leave {option.partition('=')[0]}= out, or pass ranks='off'"
        )


def refuse_two_places(running: Running, run_dir: str | None) -> None:
    if running.journal is not None and run_dir is not None:
        raise InvalidArgument(
            f"journal= and run_dir={run_dir!r} both say where the run is kept: give one of them"
        )


def refuse_executor(running: Running, training: Forkable | None, ranks: Ranks) -> None:
    if running.executor is None:
        return
    if training is None:
        raise InvalidArgument("executor= trains by itself: give it a training=, not a loop of your own")
    refuse_beside(ranks, "executor=")


def objective_of(search: Search) -> Objective:
    given = DEFAULT_CLASSIFICATION if search.objective is None else search.objective
    return make_objective(given) if isinstance(given, str) else given


def searched(search: Search, training: Forkable | None, own: UsersLoop) -> Space:
    """The space that was given, that of the course which is repeated, or one around the optimizer's own rate.

    Raises InvalidArgument, InvalidSpace where there is nothing to train or to search.
    """
    space = search.space
    if isinstance(search.policy, Replay):
        search.policy.refuse_other_rates(multiplier=own.multiplier)
        space = search.policy.space if space is None else space
    if training is None:
        if own.model is None or own.optimizer is None:
            raise InvalidArgument("Tuner needs model= and optimizer= (or training=, a Trainable of your own)")
        space = own.around_its_rate(search.policy) if space is None else space
        if OPTIMIZER in as_space(space).names:
            raise InvalidArgument(
                "optimizer= in the space: a loop of your own steps with the optimizer it was written with; "
                "`gammatune.fit` and the command choose between several"
            )
    elif space is None:
        raise InvalidArgument("training=... needs a space to search: space=['lr=1e-4:1:log']")
    found = as_space(space)
    _check_space(found)
    return found


def _check_space(space: Space) -> None:
    """Refuse ranges that what they steer cannot take, before any training."""
    for name in space.names:
        dimension, key = space[name], name.partition(".")[0]
        options = dimension.options if isinstance(dimension, Choice) else (dimension.low, dimension.high)
        if key == BATCH_SIZE:
            if isinstance(dimension, Float) or not all(isinstance(o, int) and o >= 1 for o in options):
                raise InvalidSpace(
                    f"{'; '.join(space.lines)}: a batch size is a whole number of 1 or more; write "
                    "batch_size=16,32,64 or batch_size=16:64:int"
                )
        elif key in ("lr", "weight_decay", "momentum", LR_RATIO):
            is_fit = [
                isinstance(o, (int, float)) and (o > 0 or (o == 0 and key != LR_RATIO)) for o in options
            ]
            if not all(is_fit):
                what = "above 0" if key == LR_RATIO else "of 0 or more"
                raise InvalidSpace(f"{'; '.join(space.lines)}: {name} takes numbers {what}, not {options!r}")


def total_of(budget: float | None, usual: float) -> float:
    """What all of a lookahead run may take, in epochs, where a training usually has so many, and may have others."""
    factor = default_budget(DEFAULT) if budget is None else positive(budget, "budget")
    return factor * usual


def around(lr: float, policy: AnyPolicy | None = None, *, near: bool = False) -> Float:
    """The range searched around a learning rate that somebody chose, centred on it. near: a few decades only."""
    if near:
        half = 10 ** (FEW_DECADES / 2)
        # so that they can be read
        return Float(float(f"{lr / half:.2g}"), float(f"{lr * half:.2g}"), log=True)
    decades = registry.FEWER_DECADES if policy is None else registry.record_of(policy).decades
    half = 10 ** (decades / 2)
    return Float(lr / half, lr * half, log=True)


def as_space(space: Any) -> Space:
    if isinstance(space, Space):
        return space
    if isinstance(space, Mapping):
        return Space(space)
    return parse(space) if isinstance(space, str) else parse(*space)


def _points(space: Space, budget: float) -> int:
    """How many grid points a float dimension gets, so that the whole grid fits the budget; at least two."""
    floats = sum(isinstance(space[name], Float) for name in space.names)
    others = math.prod(space[name].size for name in space.names if not isinstance(space[name], Float))
    return max(2, int((budget / others) ** (1 / floats) + 1e-9)) if floats else 2


def sampler_of(search: Search, space: Space, budget: float) -> tuple[SamplerFactory, dict[str, Any]]:
    """What makes the sampler of each decision, and its options, completed. A wrong name or option is said now."""
    sampler, options = search.sampler, dict(search.sampler_options or {})
    if sampler == "grid":
        options.setdefault("points", _points(space, budget))
    if callable(sampler):
        return sampler, options
    if sampler in SAMPLERS:
        plugins.say_shadowed("sampler", sampler)
    make_sampler(sampler, space, stream(0, "trial"), **options)

    def make(space: Space, rng: np.random.Generator) -> Sampler:
        return make_sampler(sampler, space, rng, **options)

    return make, options


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is trained. epochs: of a plain run; where they are left open, what everything together may cost.
    budget: in plain runs of so many. total_epochs, time: as they were given. steps: where they are counted instead of
    epochs, of which each has as many then."""

    epochs: int
    budget: float
    total_epochs: float | None
    time: float | None
    is_open: bool
    steps: StepCount | None = None

    @property
    def course(self) -> int | StepCount | None:
        """How long it is; None where nobody knows yet."""
        return None if self.is_open else self.steps or self.epochs

    @classmethod
    def of(cls, epochs: Any, budget: Any, time: Any, search: Search, steps: StepCount | None = None) -> Self:
        """Raises InvalidArgument."""
        epochs = epochs if steps is None else steps.epochs
        policy, total = search.policy, search.total_epochs
        total = None if total is None else positive(total, "total_epochs")
        seconds = None if time is None else positive(time, "time")
        if epochs is None and isinstance(policy, Replay):
            epochs = len(policy.schedule)
        is_open = epochs is None
        if is_open:
            _refuse_to_leave_open(total, seconds, budget, policy)
            epochs = OPEN if total is None else max(1, int(total))
            return cls(epochs, 1.0, total, seconds, True)  # of `total_epochs`
        epochs = whole(epochs, "epochs", least=1)
        most = default_budget(policy) if budget is None else positive(budget, "budget")
        most = most if total is None else min(most, total / epochs)
        return cls(epochs, most, total, seconds, False, steps)


def step_count(steps: Any, every: Any) -> StepCount:
    """every: None: a twentieth. Raises InvalidArgument."""
    total = whole(steps, "steps", least=1)
    every = -(-total // REPORTS) if every is None else whole(every, "every", least=1)
    return StepCount(total, min(total, every))


def steps_of(steps: Any, every: Any, epochs: Any, training: Forkable | None) -> StepCount | None:
    """How steps are counted; None where epochs are. Raises InvalidArgument."""
    if steps is None:
        if every is not None:
            raise InvalidArgument(f"every={every!r} goes with steps=, the length of the course in steps")
        return None
    if epochs is not None:
        raise InvalidArgument(
            f"steps={steps!r} and epochs={epochs!r} both say how long the course is: give one"
        )
    counted = step_count(steps, every)
    if training is not None and not (isinstance(training, CountsSteps) and training.steps == counted):
        raise InvalidArgument(
            "steps= counts those of a loop of your own (model=, optimizer=), or of `fit`; a training= of your own "
            "counts epochs"
        )
    return counted


def _refuse_to_leave_open(total: float | None, time: float | None, budget: Any, policy: AnyPolicy) -> None:
    registry.refuse_open(policy)
    if total is None and time is None:
        raise InvalidArgument(
            "epochs= is missing: give the number of epochs to train, or steps=, or leave it open with total_epochs= "
            "(what everything together may cost, in epochs) or time= (in seconds)"
        )
    if budget is not None:
        raise InvalidArgument(
            f"budget={budget!r} is a multiple of a plain run, whose length is left open here; "
            "total_epochs= says it all"
        )
