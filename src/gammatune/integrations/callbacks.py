"""What the frameworks' integrations share: one course, followed by the user's callbacks and loggers as it is trained.

A framework's callbacks expect a training that goes forwards, and look at the model while it does. So only rollouts
that are the course itself are shown to them, and the policy is one that trains the course as such: `one_trial`. What
the guard takes back they have seen all the same (of Keras's all but the end of the epoch that blew up); what is
trained in its place is told again, under the same numbers, and the framework's own counters have gone back too.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import Any, Protocol, Self

from gammatune.cost import Meter
from gammatune.engine.loop import TorchLoop, lr_of
from gammatune.errors import InvalidArgument
from gammatune.journal.events import Event
from gammatune.metrics.objectives import DEFAULT_CLASSIFICATION, DEFAULT_REGRESSION, ObjectiveName
from gammatune.policy import DEFAULT
from gammatune.policy.job import Job, Policy, Steps
from gammatune.policy.lookahead import lookahead
from gammatune.policy.registry import AnyPolicy
from gammatune.records import Metrics, StepCount
from gammatune.tuning.arguments import around, as_space, step_count
from gammatune.tuning.options import Running, Search, with_options
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run
from gammatune.tuning.tuner import Tuner

NAMED = "time", "seed", "run_dir"  # of `Tuner`, beside its records
_OF_ONE = "callbacks and loggers follow the training of one net, and that is what is handed back"
# What `Search` offers to loops alone, and why.
NOT_HERE = {
    "ensemble": _OF_ONE,
    "new_model": _OF_ONE,
    "extra_epochs": "the framework's own counters end with the course; give it all epochs from the start",
    "multiplier": "the rate follows the schedule that is found, and no scheduler of the framework's",
}
BUDGET = 1.5  # plain runs, as for "lookahead": one walk, its opening and a reserve


def one_trial(job: Job) -> Steps:
    """The lookahead policy without further walks: what they find is known only when they have ended."""
    yield from lookahead(job, factors=(), averages=())


one_trial.__name__ = "one_walk"  # as journals have it


def followed_policy(policy: AnyPolicy) -> Policy:
    if policy == DEFAULT:
        return one_trial
    if isinstance(policy, str):
        raise InvalidArgument(
            f"policy={policy!r} knows which rollouts were the course only afterwards, so that callbacks and loggers "
            f"could not follow it; leave it out ({DEFAULT!r}), or write the loop yourself with gammatune.Tuner"
        )
    return policy


def default_objective(names: object) -> ObjectiveName:
    """Of a validation that gives metrics of these names."""
    return DEFAULT_CLASSIFICATION if "accuracy" in names else DEFAULT_REGRESSION  # type: ignore[operator]


def no_validation(advice: str) -> InvalidArgument:
    return InvalidArgument(
        f"a learning rate is chosen by how well the model does on data it is not trained on: give {advice}"
    )


def counted_course(steps: int, every: int | None, *, batches: int | None, accumulated: int) -> StepCount:
    """A course that a framework counts in steps, each of so many batches; a report every so many, or twenty in all.
    batches: of a pass over the data, where anybody knows. Raises InvalidArgument where the last step of a pass takes
    fewer batches than the others, as none of a stream does."""
    if batches is not None and batches % accumulated:
        raise InvalidArgument(
            f"a pass over the training data has {batches} batches, and gradients accumulate over {accumulated}, so "
            "that the last step of each pass takes fewer; where steps are counted all take as many: choose the batch "
            f"size so that a pass has a multiple of {accumulated}, or count in epochs"
        )
    return step_count(steps, every)


def named_metrics(
    metrics: Metrics, loss: str | None, accuracy: str | None, *, said: str, how: str
) -> Metrics:
    """With the loss and the accuracy, by which a rate is chosen, under these names.

    loss, accuracy: what they are called; None: not there. said: who gave the metrics, such as "evaluate says".
    how: a loss comes to be among them. Raises InvalidArgument without a loss, or where a name is not among them.
    """
    told = f"{said} {', '.join(metrics) or 'nothing'}"
    if loss is None or loss not in metrics:
        raise InvalidArgument(
            f"{told}, and a loss is needed to choose a learning rate by: {how}, or say which it is with loss='name' "
            "(and accuracy='name')"
        )
    if accuracy is not None and accuracy not in metrics:
        raise InvalidArgument(f"accuracy={accuracy!r}: {told}; give one of these names, or leave it out")
    named = {"loss": metrics[loss]} | ({} if accuracy is None else {"accuracy": metrics[accuracy]})
    return {**metrics, **named}


class Shown(Protocol):
    """A training whose course is shown to callbacks."""

    @property
    def stopped(self) -> bool:
        """A callback has asked to end."""

    def show(self, run: Run | None) -> None:
        """What is trained next is the course (`run`), or is shown to nobody."""

    def committed(self, run: Run, reason: str) -> None:
        """The epoch that was shown last has become part of the course, and the training stands at its end."""


class ShownLoop(TorchLoop):
    """What trainings whose epochs are a framework's own have in common. state: of the framework, that goes back with
    a fork as that of `running` does."""

    _shown: Run | None = None

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        running: Running,
        state: Sequence[Any],
        *,
        course: int | StepCount | None = None,
    ) -> None:
        super().__init__(
            *(model, optimizer, ["lr"]),
            state=[*state, *running.state],
            tape_bytes=running.tape_bytes,
            forks=running.forks,
            course=course,
        )

    def show(self, run: Run | None) -> None:
        self._shown = run

    @contextmanager
    def attempting(self, meter: Meter) -> Iterator[None]:
        """What those raise who look on is no candidate's."""
        with super().attempting(meter):
            try:
                yield
            except Exception as error:
                frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
                if self._shown is not None and any(map(self.is_onlooker, frames)):
                    meter.foreign = error
                raise

    def is_onlooker(self, frame: FrameType) -> bool:
        """Whether it belongs to a callback, to a logger, or to what calls them."""
        raise NotImplementedError

    def evaluate(self, meter: Meter) -> Metrics:
        """On the framework's own validation data."""
        raise NotImplementedError

    def batches_of_run(self, loader: Any, epoch: int, meter: Meter, accumulated: int) -> tuple[int, int]:
        """How many batches a run is to have, of which so many make a step; and how many of them the framework is to
        take for one of its epochs."""
        if self.steps is None:
            return meter.length.batches(len(loader)), len(loader)
        planned = accumulated * meter.length.batches(self.steps.in_epoch(epoch))
        return planned, planned

    def trial(self) -> Metrics:
        """The metrics of an evaluation that leaves no trace."""
        self.capture("trial")
        try:
            return self.evaluate(Meter())
        finally:
            self.restore("trial")
            self.forget("trial")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `Tuner` is to be called with, beside what the framework has of its own. named: by name."""

    search: Search
    running: Running
    named: Mapping[str, Any]

    @classmethod
    def of(cls, call: str, budget: float, options: Mapping[str, Any]) -> Self:
        """options: those of `Tuner`, by name or in its records. call: the name that was called with them.

        Raises InvalidArgument for a policy under which nobody can tell the course while it is trained, and for what
        the framework has of its own.
        """
        left = dict(options)
        records = left.pop("search", None) or Search(), left.pop("running", None) or Running()
        named: dict[str, Any] = {name: left.pop(name) for name in NAMED if name in left}
        search, running = with_options(call, left, *records)
        for option, why in NOT_HERE.items():
            if (value := getattr(search, option)) not in (None, False):
                raise InvalidArgument(
                    f"{option}={value!r} cannot be had here: {why}; leave it out, or write the loop yourself with "
                    "gammatune.Tuner"
                )
        search = replace(search, policy=followed_policy(search.policy))
        return cls(search, running, {**named, "budget": budget})


def prepared(training: Any, optimizer: Any, length: int | StepCount, wanted: Wanted) -> Callable[[], Result]:
    """Refuse what cannot be searched; what is returned trains so many epochs, or steps, followed by whoever looks on.

    optimizer: whose rate is searched around, where no space is given. Where no objective is, `training` is a
    `ShownLoop`, which tries an evaluation.
    """
    follower, search = Follower(training), wanted.search
    space = as_space({"lr": around(lr_of(optimizer))} if search.space is None else search.space)
    refuse_space(space.names)
    objective = default_objective(training.trial()) if search.objective is None else search.objective
    steps = length if isinstance(length, StepCount) else None
    tuner = Tuner(
        training=training,
        epochs=None if isinstance(length, StepCount) else length,
        steps=None if steps is None else steps.total,
        every=None if steps is None else steps.every,
        search=replace(search, space=space, objective=objective),
        running=replace(wanted.running, listeners=[*wanted.running.listeners, follower]),
        **wanted.named,
    )
    return partial(follower.train, tuner)


class Follower:
    """A listener that tells a training of its commits, and the loop that drives it."""

    def __init__(self, training: Shown) -> None:
        self._training = training
        self._shown: Run | None = None

    def __call__(self, event: Event) -> None:
        run = self._shown
        if event["event"] == "commit" and run is not None and run.number in event["rollouts"]:
            self._shown = None
            self._training.committed(run, event["verdict"]["reason"])

    def train(self, tuner: Tuner) -> Result:
        """Train to the end, or until a callback asks to stop: the weights are then those of the last commit."""
        with tuner:
            for run in tuner:
                if self._training.stopped:
                    break
                shown = run if run.is_course and not run.is_repeated else None
                self._training.show(shown)
                run.drive()
                self._shown = shown
        return tuner.result


def refuse_space(names: Any) -> None:
    """Raises InvalidArgument where more is searched than an integration can set."""
    if others := [name for name in names if name != "lr"]:
        raise InvalidArgument(
            f"{', '.join(others)} cannot be searched here, only lr; write the loop yourself with gammatune.Tuner"
        )
