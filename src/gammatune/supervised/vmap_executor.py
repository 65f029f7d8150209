"""Rollouts of one decision in one batched pass, in this process (`supervised.stack`).

For small networks on a GPU, which several of them fill no more than one does. On a CPU nothing is gained (benchmarks/
stacked.py). The arithmetic is that of a single rollout in another order, so that results agree up to rounding, not to
the bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gammatune.errors import GammatuneError
from gammatune.metrics.objectives import Objective
from gammatune.records import Outcome
from gammatune.space import BATCH_SIZE
from gammatune.supervised.training import Supervised
from gammatune.tuning.executor import Task, train
from gammatune.tuning.run import Run


class StackedExecutor:
    """An `Executor` for a `Supervised`: tasks that are alike but for values that an optimizer holds are trained in
    one pass, the others one after the other; so too where there is no memory for several.

    Raises InvalidArgument at the first tasks where its network or optimizer cannot be batched
    (`supervised.stack.Stack`).
    """

    def __init__(self) -> None:
        self._came: dict[int, Outcome] = {}
        self._ends: dict[int, str] = {}  # number -> the fork of the training that holds where it ended

    def begin(
        self,
        training: Any,
        fork: str,
        tasks: Sequence[Task],
        objective: Objective,
        *,
        keep: bool,
        anew: bool,
    ) -> None:
        if anew:
            self._ends.clear()
        self._came.clear()
        for group in _alike(tasks):
            training.restore(fork)
            if len(group) > 1 and self._train_all(training, group, objective, keep=keep):
                continue
            for task in group:
                self._came[task.number] = train(training, task, objective, fork)
                if keep:
                    self._keep(training, task)

    def outcome(self, number: int) -> Outcome:
        return self._came.pop(number)

    def stand(self, training: Any, number: int) -> bool:
        if number not in self._ends:
            return False
        training.restore(self._ends[number])
        return True

    def close(self) -> None:
        self._came.clear()
        self._ends.clear()

    # -- inside

    def _train_all(
        self, training: Supervised, tasks: Sequence[Task], objective: Objective, *, keep: bool
    ) -> bool:
        """False where there is no memory for so many at once, or one of them raises: each alone tells whose it is."""
        first = tasks[0].request
        runs = [
            Run(training, task.request, task.number, task.allowance, fresh=task.fresh, origin=task.origin)
            for task in tasks
        ]
        meters = [run.meter for run in runs]
        if first.order:
            training.reorder(tasks[0].seed, first.epoch, first.order)
        try:
            stack = training.advance_all(first.epoch, [task.request.values for task in tasks], meters)
            metrics = training.evaluate_all(stack, meters) if first.scored else [{} for _ in tasks]
        except GammatuneError:
            raise
        except Exception as error:
            if any(error is meter.foreign for meter in meters):
                raise
            return False
        for k, (task, run, said) in enumerate(zip(tasks, runs, metrics, strict=True)):
            run.report(**said)
            outcome = run.outcome(objective)
            self._came[task.number] = replace(outcome, seconds=outcome.seconds / len(tasks), processor=0.0)
            if keep:
                stack.put(k)
                self._keep(training, task)
        return True

    def _keep(self, training: Supervised, task: Task) -> None:
        """Under a name that the next decision takes again."""
        name = f"executor {len(self._ends)}"
        training.capture(name)
        self._ends[task.number] = name


def _alike(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Those that differ in nothing but values of the optimizer, together."""
    groups: list[tuple[Any, list[Task]]] = []
    for task in tasks:
        values = task.request.values
        # SGD without momentum keeps no velocity
        still = tuple(name for name, value in values.items() if name.startswith("momentum") and not value)
        request = replace(task.request, values={}, role="")
        kind = request, values.get(BATCH_SIZE), still, task.allowance, task.fresh, task.seed
        for known, group in groups:
            if known == kind:
                group.append(task)
                break
        else:
            groups.append((kind, [task]))
    return (group for _, group in groups)
