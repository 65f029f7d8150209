"""Is this training restorable? An examination on the user's own objects.

    plain       some steps, twice from the same state: is the training deterministic at all
    control     a fork, a rollout at another rate, an evaluation, the fork again; then the same steps
    checkpoint  some steps, a checkpoint, more steps; then from the beginning: the checkpoint read, the same steps

Each ends with a comparison to the bit. Where the steps agree, what is named is what they leave behind that they would
not have left without the rollout: a counter, an average, a list. Where they disagree, it is what the fork did not put
back. The objects are put back to how they were in the end, by another way than that of forks
(engine/doctor/object_graph.py).
"""

import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from gammatune.cost import Meter
from gammatune.engine.batches import Loader, LossFunction, empty_loader, examples_in, restorable
from gammatune.engine.doctor.comparison import Differences, StepDone, Trace
from gammatune.engine.doctor.findings import Diagnosis, Finding, counted, refused
from gammatune.engine.doctor.object_graph import Held, Survey, digest_of
from gammatune.engine.doctor.subject import Step, Subject
from gammatune.engine.loop import TorchLoop
from gammatune.errors import ConflictingControl, GammatuneError, InvalidArgument, NotRestorable, whole

__all__ = ["Diagnosis", "Finding", "doctor"]

OTHER = 0.3  # times the training's own rate, in the rollout: another one, and as stable

STEPS = 5  # trained each time


def doctor(
    model: nn.Module | Sequence[nn.Module],
    optimizer: Optimizer | Sequence[Optimizer],
    loader: Loader,
    step: Step | None = None,
    state: Sequence[Any] = (),
    *,
    loss_fn: LossFunction | None = None,
    evaluate: Callable[[], Any] | None = None,
    steps: int = STEPS,
) -> Diagnosis:
    """Try on the user's own objects whether a rollout leaves their training as it was, and a checkpoint too.

    model, optimizer, state: as `Tuner` takes them. loader: an iterable of batches that can be passed over again.
    step: trains on one batch: `zero_grad`, loss, `backward`, `optimizer.step`. What it returns, such as the loss, is
    compared too. loss_fn(outputs, targets) -> mean loss, a scalar, instead of a step: for batches (inputs, targets).
    evaluate: validates the model; without it the model is called once in eval mode as the step had called it.
    steps: how many are trained each time, about eight times in all, of one batch each.

    Afterwards all objects are what they were before, also where something raises. What an exception of the user's
    code says goes through, with a note. Memory: one copy of all numbers that can be reached, and one more fork.
    Raises InvalidArgument where something else was given than is asked for.
    """
    subject = Subject(model, optimizer, loader, step, state, loss_fn, evaluate)
    return _Examination(subject, whole(steps, "steps", least=1)).diagnosis()


class _Examination:
    def __init__(self, subject: Subject, steps: int) -> None:
        self._subject = subject
        self._count = steps
        self._call: tuple[Any, Any] | None = None  # the arguments of the model's first call
        self._doing = "looking over what was given"
        self._findings: list[Finding] = []
        self._checked: list[str] = []

    def diagnosis(self) -> Diagnosis:
        # workers that persist have seen batches already: the examination has workers of its own
        loader = self._subject.loader
        workers = vars(loader).get("_iterator") if isinstance(loader, DataLoader) else None
        if workers is not None:
            loader._iterator = None
        self._held = Held(self._subject.roots)
        try:
            unseen = Survey(self._subject.roots).unseen
            self._examine()
        except GammatuneError:
            raise
        except Exception as error:
            error.add_note(
                f"This came up in gammatune's doctor, in {self._doing}. Model, optimizer and all that goes with them "
                "are as they were before."
            )
            raise
        finally:
            self._held.put_back()
            if workers is not None:
                loader._iterator = workers
        return Diagnosis(tuple(self._findings), tuple(self._checked), tuple(unseen))

    def _examine(self) -> None:
        self._find_schedulers()
        try:
            with self._subject.looped() as loop:
                loop.capture("home")
        except (NotRestorable, ConflictingControl) as error:
            self._findings.append(refused(error, "model, optimizer and state"))
            return
        plain, again = self._plain("the first plain run"), self._plain("the second plain run")
        self._differences = Differences(
            frozenset(
                leaf.node.where
                for pair in plain.survey.differences(again.survey)
                for leaf in pair
                if leaf is not None
            ),
            self._subject.handed(),
        )
        if (difference := plain.first_difference(again)) is not None:
            self._findings.append(_restless(difference, plain, again))
            return
        self._checked += [*plain.compared, f"{counted(self._count, 'step')}, twice from the same state"]
        for experiment in (self._control, self._checkpoint):
            try:
                experiment(plain)
            except (NotRestorable, ConflictingControl) as error:
                self._findings.append(refused(error, self._doing))
            finally:
                self._held.put_back()

    # -- the experiments: each begins with everything as it was, and may leave it anyhow

    def _plain(self, name: str) -> Trace:
        hooks = [] if self._call or self._subject.evaluate else [self._record_the_first_call()]
        try:
            taken = self._follow(lambda _: self._subject.loader, name)
        finally:
            for hook in hooks:
                hook.remove()
        trace = Trace.of(self._subject, taken)
        self._held.put_back()
        return trace

    def _control(self, plain: Trace) -> None:
        with self._subject.looped() as loop:
            rate = float(loop.own(["lr"])["lr"])
            loop.capture("home")
            before = Survey(self._subject.roots)
            self._run(loop, 0, "the rollout", {"lr": OTHER * rate})
            loop.restore("home")
            after = Survey(self._subject.roots)
            taken = self._run(loop, 0, "the steps after the rollout", {})
        if taken is None:
            return
        course = Trace.of(self._subject, taken)
        self._checked.append(
            f"{self._count} steps without and after a rollout of {self._count} steps at {OTHER:g} times the rate"
        )
        difference = self._difference(plain, course, "a rollout")
        if difference is None:
            return
        causes = self._causes(before, after, "a rollout", alike=plain.same_batches(course))
        self._findings.append(
            Finding(
                f"after a rollout the training is another one: {difference}",
                "loader" if not plain.same_batches(course) else "training",
                "put right what is named below, and ask again"
                if causes
                else "something takes part that no fork puts back and that cannot be seen from model, optimizer, "
                "loader, step and state: look for what is kept in other modules, in files, or in C extensions",
            )
        )
        self._findings += causes

    def _difference(self, one: Trace, other: Trace, what: str) -> str | None:
        """The first in the training itself; where there is none, what else did not come back is noted."""
        difference = one.first_difference(other)
        if difference is None:
            self._findings += self._differences.findings(one.survey, other.survey, what)
        return difference

    def _causes(self, before: Survey, after: Survey, what: str, *, alike: bool) -> list[Finding]:
        """What did not come back after `what`, where the training changed. alike: the batches are the same."""
        # batches from a tape are drawn ahead of the training: their source does not go back, and need not
        is_ahead = alike and not restorable(self._subject.loader, trusted=self._subject.state)
        return self._differences.findings(before, after, what, without="loader" if is_ahead else None)

    def _checkpoint(self, plain: Trace) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "state.pt"
            with self._subject.looped() as loop:
                self._run(loop, 0, "the steps before the checkpoint", {})
                loop.capture("saved")
                checksum = loop.save("saved", path)
                size = path.stat().st_size
                before = Survey(self._subject.roots)
                taken = self._run(loop, 1, "the steps after the checkpoint", {})
            if taken is None:
                return
            straight = Trace.of(self._subject, taken)
            self._held.put_back()
            with self._subject.looped() as loop:  # all is as in a process that has just begun
                self._doing = "reading the checkpoint"
                loop.load(path, checksum)
                after = Survey(self._subject.roots)
                taken = self._run(loop, 1, "the steps after the checkpoint was read", {})
        if taken is None:
            return
        resumed = Trace.of(self._subject, taken)
        self._checked.append(
            f"{self._count} steps after a checkpoint of {size / 1e3:,.1f} kB, and after reading it again"
        )
        difference = self._difference(straight, resumed, "a checkpoint")
        if difference is None:
            return
        if self._findings:
            return  # what is named already explains it
        causes = self._causes(before, after, "a checkpoint", alike=straight.same_batches(resumed))
        self._findings.append(
            Finding(
                f"after a checkpoint is read the training is another one: {difference}",
                "checkpoint",
                "put right what is named below, and ask again"
                if causes
                else "forks in memory work; a run that is interrupted cannot be gone on with to the bit",
            )
        )
        self._findings += causes

    # -- their parts

    def _run(
        self, loop: TorchLoop, epoch: int, name: str, values: Mapping[str, float]
    ) -> list[StepDone] | None:
        """Steps as a tuner has them trained, a rollout (with values) validated; None where the training diverges."""
        meter = Meter()
        loop.apply(values, meter)
        taken = self._follow(
            lambda number: loop.batches(self._subject.loader, epoch + number, meter, _examples_in),
            name,
            meter,
        )
        if meter.diverged:
            if not any(finding.where == "training" for finding in self._findings):
                self._findings.append(
                    Finding(
                        f"it blows up by itself: {meter.note}",
                        "training",
                        "find data, loss and rate with which steps are finite; a rollout ends where they are not",
                    )
                )
            return None
        if values:
            self._doing = "an evaluation after the rollout (evaluate= takes one of your own)"
            loop.measure(self._evaluated, Meter(), examples=0)
        return taken

    def _follow(
        self, passes: Callable[[int], Iterable[Any]], name: str, meter: Meter | None = None
    ) -> list[StepDone]:
        """Train so many steps, in several passes where one is too short."""
        taken: list[StepDone] = []
        for number in itertools.count():
            begun = len(taken)
            self._doing = f"{name}, at step {begun + 1}"
            for batch in passes(number):
                seen = digest_of(batch)
                returned = self._subject.step(batch)
                loss = digest_of(returned) if isinstance(returned, (Tensor, np.generic, float, int)) else None
                taken.append(StepDone(seen, loss, self._subject.weights()))
                if len(taken) == self._count:
                    return taken
                self._doing = f"{name}, at step {len(taken) + 1}"
            if meter is not None and meter.ended:
                return taken
            if len(taken) == begun:
                raise empty_loader(self._subject.loader)
        raise AssertionError("unreachable")

    def _record_the_first_call(self) -> Any:
        def before_forward(module: nn.Module, args: Any, kwargs: Any) -> None:
            self._call = self._call or (args, kwargs)

        return self._subject.models[0].register_forward_pre_hook(before_forward, with_kwargs=True)

    def _evaluated(self) -> Mapping[str, Any]:
        if self._subject.evaluate is not None:
            self._subject.evaluate()
        elif self._call is not None:
            args, kwargs = self._call
            self._subject.models[0](*args, **kwargs)
        return {}

    def _find_schedulers(self) -> None:
        """Schedulers of these optimizers that were not handed in: named, and from then on taken as if they were."""
        for node in Survey(self._subject.roots).nodes:
            inside = any(isinstance(one.value, LRScheduler) for one in node.from_root[:-1])
            if not isinstance(node.value, LRScheduler) or inside:
                continue
            scheduled = getattr(node.value, "optimizer", None)
            if any(scheduled is o for o in self._subject.optimizers) and not any(
                node.value is s for s in self._subject.state
            ):
                self._subject.schedulers.append(node.value)
                self._findings.append(
                    Finding(
                        f"a {type(node.value).__name__} moves on in every step, and no fork puts it back",
                        node.where,
                        f"hand it in as state=[{node.name}], with multiplier=True",
                    )
                )


def _restless(difference: str, first: Trace, second: Trace) -> Finding:
    data = not first.same_batches(second)
    return Finding(
        f"two plain runs from the same state are not the same: {difference}. Nothing else can be told",
        "loader" if data else "training",
        "let all data follow from seeded generators and the index alone, not from the clock, the system's entropy or "
        "the time at which a worker is done"
        if data
        else "look for what draws from the clock or the system's entropy, and try torch.use_deterministic_algorithms"
        "(True), which names operations that are not deterministic",
    )


def _examples_in(batch: Any) -> int:
    """Costs are nobody's concern here, so a batch that cannot be counted is one example."""
    try:
        return examples_in(batch)
    except InvalidArgument:
        return 1
