"""One pass of the loop body, as the user sees it."""

import math
import time as clock
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from gammatune.cost import Meter
from gammatune.engine.ranks import Ranks
from gammatune.engine.trainable import Forkable, Guards
from gammatune.errors import GammatuneError, InvalidArgument, MissingReport
from gammatune.metrics.objectives import Objective, plain_number
from gammatune.records import FLAT, Metrics, Outcome, Rollout, Shape, Status, Unscored, Values
from gammatune.space import BATCH_SIZE

ROUNDING = 1e-9  # of a sum of examples held against a ceiling


@dataclass(frozen=True, slots=True)
class Own:
    """What nobody can call a candidate.

    values: those the optimizer came with. shape: what the rate is multiplied by under them, `STILL` where it is the
    library that chose it, so that it may be too high itself; None: as in the rollout.
    """

    values: Values
    shape: Shape | None = None

    def is_searched(self, request: Rollout) -> bool:
        """Whether its values are a candidate's."""
        return (request.values, request.shape) != (self.of(request).values, self.of(request).shape)

    def of(self, request: Rollout) -> Rollout:
        """The same rollout under the own values; its batches are those that it had."""
        own = {name: value for name, value in self.values.items() if name != BATCH_SIZE}
        return replace(
            request,
            values={**request.values, **own},
            shape=request.shape if self.shape is None else self.shape,
            course=False,
        )


UNSEARCHED = Own({})  # whatever a rollout is trained under is the user's


@dataclass(frozen=True, slots=True)
class _Said:
    """What one rank has seen and said of a run."""

    metrics: Mapping[str, float] | None
    score: float | None
    evaluated: int
    diverged: bool
    infeasible: bool
    note: str
    raised: str
    in_evaluation: bool


class Run:
    """One pass of the loop body: a rollout, or the course itself. The weights are already where they must be.

    epoch: from 0. values: the candidate. number: counts the rollouts from 0. role: what it is for, in a word or two.
    scored: whether anybody asks for its score. is_repeated: this rollout has been trained before, and is trained once
    more because the state after it was lost.
    net: which of several nets it trains, from 0, the one that was handed over. nets: whose averaged predictions are
    what the model says while it is evaluated; empty where it is the model's own.
    is_course: it goes on with the course as it stands, and what it trains is kept unless something better comes: the
    epoch may blow up and be taken back, a later walk may end better, an earlier epoch may be handed back. Of the
    candidates of "greedy" and "once", and of later walks, nobody knows yet whether they are kept, and it is False.
    So a curve to look at meanwhile may follow it; `Result.kept` says afterwards which runs, by number, made the
    training that was kept.

    Of those that are tried, one rate may be too high, so that the loop body raises, and one batch size too large.
    `attempt` makes that an outcome of the candidate instead of an error that ends the run:

        for run in tuner:
            with run.attempt():
                for x, y in run.batches(make_loader):
                    ...
                run.report(**run.evaluate(validate))
    """

    def __init__(
        self,
        training: Forkable,
        request: Rollout,
        number: int,
        allowance: float,
        *,
        fresh: bool = False,
        is_repeated: bool = False,
        origin: int | None = None,
        leaves: tuple[int, ...] = (),
        seen: tuple[int, ...] = (),
        is_searched: bool = True,
        suspect: Exception | None = None,
    ) -> None:
        self.epoch = request.epoch
        self.values = request.values
        self.number = number
        self.is_course = request.course
        self.role = request.role
        self.scored = request.scored
        self.net = request.net
        self.nets = request.nets
        self.is_repeated = is_repeated
        self._training = training
        self._request = request
        self._origin = origin
        self._is_searched = is_searched  # what is raised may be the candidate's
        self._suspect = suspect  # what is raised says that this one is not
        self._is_attempted = False
        self.error: Exception | None = None  # what the candidate raised
        self.in_evaluation = False  # or was about to
        self._raised = ""
        plan = request.length, request.shape, request.order, fresh, allowance, request.course, request.small
        self.meter = Meter(*plan, leaves=leaves, seen=seen)
        self._given: list[Iterator[Any]] = []  # by `batches`
        self._started, self._processor = clock.perf_counter(), clock.process_time()
        self._metrics: dict[str, float] | None = None
        self._score: float | None = None

    @property
    def diverged(self) -> bool:
        """The training blew up in this run; `batches` has ended or is about to."""
        return self.meter.diverged

    @property
    def seen(self) -> int:
        """Training examples seen so far in this run, by all processes that train the model."""
        return self.meter.trained

    def batches(self, loader: Any, *, examples: Callable[[Any], int] | None = None) -> Iterator[Any]:
        """The batches of this run, the same ones for every candidate: a part of an epoch, one, or several.

        loader: a DataLoader, any iterable of batches, or a generator function, called for each pass; where
        batch_size is searched, a function of the batch size that makes one. examples: how many examples a batch
        holds, where that cannot be seen.

        A body that leaves them before their end makes its epochs as long as it takes: the schedule and the cost go by
        that from the next run on, and it is said.
        """
        counted = {} if examples is None else {"examples": examples}
        given: Iterator[Any] = self._training.batches(loader, self.epoch, self.meter, **counted)  # type: ignore[attr-defined]
        self._given.append(given)
        return given

    def evaluate(
        self, function: Callable[[], Mapping[str, Any]] | None = None, *, examples: int | None = None
    ) -> Metrics:
        """Call `function`, which returns metrics, in eval mode and without gradients; its cost is counted.

        function: may be left out where the training knows how to score itself (`Tuner(training=...)`).
        examples: how many it passes through the model, where that cannot be seen from the model's own calls.
        A run that diverged, or whose score nobody needs, is not evaluated: the answer is empty (each metric asked of
        it by name is NaN), and `report(**{})` takes it.
        """
        if self.meter.diverged or self.meter.infeasible or not self._request.scored:
            return Unscored()
        self.in_evaluation = True
        if function is None:
            return self._training.evaluate(self.meter)  # type: ignore[attr-defined, no-any-return]
        return self._training.measure(function, self.meter, examples)  # type: ignore[attr-defined, no-any-return]

    def advance(self) -> None:
        """Train as far as this run goes, where the training can be driven (`Tuner(training=...)`)."""
        self._training.advance(self.epoch, self.values, self.meter)  # type: ignore[attr-defined]

    def drive(self) -> None:
        """Train as far as this run goes, score and report, where the training can be driven, as an `attempt`."""
        with closing(self.meter), self.attempt():
            self.advance()
            self.report(**self.evaluate())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Within, what a candidate raises is its outcome, and nothing need be reported.

        Out of memory makes a batch size infeasible, and none as large is tried again; where none is searched the
        error goes through: nothing that is searched would need less. Any other `Exception` makes the run diverge.
        The rollout is trained once more then, at the optimizer's own rate and as far as the step that raised: an
        error that comes there too is no candidate's, and goes through. So does at once what is raised at that rate,
        by a loader, by gammatune itself, or after `report`.
        """
        self._is_attempted = True
        training = self._training
        raised_again = False
        try:
            with training.attempting(self.meter) if isinstance(training, Guards) else nullcontext():
                yield
        except Exception as error:
            if self._is_the_candidates(error):
                self._end_with(error)
            elif self._suspect is not None and self._is_of_the_body(error) and error is not self._suspect:
                raised_again = True
            else:
                raise
        if raised_again:
            self._raise_the_suspect()
        if (self.meter.infeasible or self.error is not None) and self._metrics is None:
            self._metrics = {}

    @property
    def is_examination(self) -> bool:
        """It is trained to see whether an error comes at the optimizer's own rate too, and is told to nobody."""
        return self._suspect is not None

    @property
    def worth_again(self) -> float:
        """Units it may take once more: as far as the step that raised; where its evaluation did, all it might."""
        allowance = self.meter.allowance
        return allowance if self.in_evaluation else min(allowance, (1 + ROUNDING) * self.meter.trained)

    def may_be_at_fault(self, error: BaseException) -> bool:
        """Whether an error that ended the run may be the candidate's, and was raised outside of an `attempt`."""
        is_one = isinstance(error, Exception) and self._is_the_candidates(error)
        return is_one and not self._is_attempted

    def _is_the_candidates(self, error: Exception) -> bool:
        return self._is_of_the_body(error) and (self._is_searched or self.meter.diverged)

    def _is_of_the_body(self, error: Exception) -> bool:
        """Not gammatune's own, a loader's, for want of memory, or raised after the report."""
        is_another = isinstance(error, GammatuneError) or error is self.meter.foreign
        return not is_another and self._metrics is None

    def _end_with(self, error: Exception) -> None:
        meter = self.meter
        self.error = error
        if not meter.diverged:  # else that is why it raised
            said = str(error).splitlines()
            self._raised = type(error).__name__.lstrip("_")  # torch.linalg.LinAlgError is a _LinAlgError
            meter.diverged, meter.note = True, f"{self._raised}: {said[0]}" if said else self._raised
        if isinstance(self._training, Guards):
            self._training.end_run(meter, error)

    def _raise_the_suspect(self) -> None:
        assert self._suspect is not None
        context = self._suspect.__context__
        try:
            raise self._suspect
        finally:
            self._suspect.__context__ = context  # what was raised again says no more than this

    def report(self, *, score: float | None = None, **metrics: float) -> None:
        """What came of this run: metrics for the objective, or a `score` of your own (higher is better).

        Where several processes train the model each reports what it saw of its share, or nothing, and the mean
        counts, weighted by the examples that each passed through the model in `evaluate`: exact for accuracy and
        loss. What is no mean over examples (an AUC, an F1) is to be made of all answers before, and reported alike.
        """
        if self._metrics is not None:
            if self.error is not None or self.meter.infeasible:
                return  # after an `attempt`: what was raised there is what came of this run
            raise InvalidArgument(
                f"run {self.number} has been reported already; report once at the end of the body"
            )
        numbers = {name: plain_number(name, value) for name, value in metrics.items()}
        self._score = None if score is None else plain_number("score", score)
        self._metrics = numbers

    def pool(self, ranks: Ranks) -> None:
        """Make one of what the ranks have seen and said of this run.

        A metric is the mean over the ranks that report it, weighted by the examples that each evaluated (each alike
        where none were counted): exact for means over examples, such as accuracy and loss.
        """
        meter = self.meter
        own = _Said(
            *(self._metrics, self._score, meter.evaluated, meter.diverged, meter.infeasible, meter.note),
            *(self._raised, self.in_evaluation),
        )
        told = ranks.each("reports", lambda: own)
        meter.evaluated = sum(one.evaluated for one in told)
        meter.diverged = any(one.diverged for one in told)
        meter.infeasible = any(one.infeasible for one in told)
        meter.note = next((one.note for one in (own, *told) if one.note), "")
        self.in_evaluation = any(one.in_evaluation for one in told)
        for one in told:
            if one.raised:  # says more than that a rank has ended the run
                self._raised, meter.note = one.raised, one.note
                break
        if any(one.metrics is None for one in told):
            self._metrics = None
            return
        weights = [one.evaluated for one in told] if meter.evaluated else [1] * len(told)
        names = dict.fromkeys(name for one in told for name in one.metrics or ())
        self._metrics = {
            name: _mean([(one.metrics or {}).get(name) for one in told], weights) for name in names
        }
        self._score = (
            _mean([one.score for one in told], weights) if any(o.score is not None for o in told) else None
        )

    def outcome(self, objective: Objective) -> Outcome:
        if self._metrics is None:
            raise MissingReport(
                f"the loop body ended without run.report(...) in epoch {self.epoch + 1} (rollout {self.number}); "
                "end it with run.report(accuracy=..., loss=...) or run.report(score=...)"
            )
        meter = self.meter
        self._settle()
        if not meter.trained and not meter.ended:
            self._say_untrained()
        status: Status = "infeasible" if meter.infeasible else "diverged" if meter.diverged else "ok"
        score = None
        note = meter.note
        if status == "ok" and self._request.scored:
            objective = objective.instead(self._metrics) or objective
            score = self._score if self._score is not None else objective(self._metrics)
            if not math.isfinite(score):
                status, score = "diverged", None
                told = self._metrics if self._score is None else {**self._metrics, "score": self._score}
                note = "a metric was not finite: " + ", ".join(f"{k} {v:g}" for k, v in told.items())
        # of a training that is driven nobody's loop is heard
        left = meter.left if status == "ok" and self._given else meter.seen
        leaves = meter.leaves_after(left)
        if leaves and not meter.leaves and not self.is_repeated:
            self._say_left()
        return Outcome(
            number=self.number,
            epoch=self.epoch,
            values=self.values,
            status=status,
            metrics=self._metrics,
            score=score,
            steps=meter.steps,
            trained=meter.trained,
            evaluated=meter.evaluated,
            seconds=clock.perf_counter() - self._started,
            processor=clock.process_time() - self._processor,
            note=note,
            batches=meter.batches,
            epoch_batches=meter.epoch_batches,
            epoch_examples=meter.epoch_examples,
            shape=self._request.shape,
            order=self._request.order,
            length=self._request.length,
            cut=meter.cut,
            role=self._request.role,
            origin=self._origin,
            leaves=leaves,
            left=left,
            clipped=meter.clipped,
            raised=self._raised,
            net=self._request.net,
            nets=self._request.nets,
        )

    def _settle(self) -> None:
        """The loop body has ended: what it left of its batches it leaves, and what was set must still stand."""
        for given in self._given:
            if hasattr(given, "close"):
                given.close()
        if isinstance(self._training, Guards):
            self._training.refuse_changed()

    def _say_untrained(self) -> None:
        taken = (
            "counted no example in any batch (examples= said 0)"
            if self.meter.batches
            else "took no batch from run.batches(loader)"
        )
        if self._request.length.passes is None or self._request.shape != FLAT:
            raise InvalidArgument(
                f"run {self.number} {taken}, so that nobody knows how long an epoch is and no rate was brought down "
                "along it; write: for x, y in run.batches(loader)"
            )
        warnings.warn(
            f"this run {taken}, so its cost is not counted and other runs may see other batches; write: for x, y in "
            "run.batches(loader)",
            stacklevel=5,
        )

    def _say_left(self) -> None:
        first = next(call for call in self.meter.calls if call.left)
        warnings.warn(
            f"the loop body left run.batches after {first.batches} of {first.planned} batches, twice: from now on "
            f"an epoch counts as {first.batches} batches, in the learning rate's schedule and in the cost. Where "
            "that is meant nothing need be done",
            stacklevel=5,
        )


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float:
    """Of those that are there; to the bit where all are alike, as after a reduction of the user's own."""
    there = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    first = there[0][0]
    if all(value == first for value, _ in there):
        return first
    total = sum(weight for _, weight in there)
    if not total:  # who counted the examples has not reported this
        return sum(value for value, _ in there) / len(there)
    return sum(value * weight for value, weight in there if weight) / total
