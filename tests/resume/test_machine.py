"""Any sequence of training, killing, going on, damage and full disks ends as the run that nothing happened to.

The invariants, as docs/robustness.md has them:
    1. the rollouts in the journal are a beginning of those of the undisturbed run, after every step
    2. no rollout stands in the journal twice, and what is trained again is told apart
    3. there is always a way back: the run can be gone on with after anything
    4. at the end weights, schedule, rollouts and ledger are those of the undisturbed run
    5. few files lie in the run directory, however long it takes
"""

import contextlib
import errno
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tries import tries

from gammatune.journal.history import FILE, replay
from gammatune.records import Values
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning import checkpoints
from gammatune.tuning.run import Run
from gammatune.tuning.tuner import Tuner

OPTIONS: list[dict[str, Any]] = [
    {"epochs": 4, "budget": 1.5},
    {"epochs": 3, "budget": 7},
    {"total_epochs": 20},
    {"epochs": 4, "policy": "greedy", "budget": 3},
    {"epochs": 3, "policy": "once", "budget": 3},
    {"epochs": 3, "budget": 4, "ensemble": True},
    {"epochs": 2, "budget": 5, "ensemble": True, "patience": 1},
    {"total_epochs": 20, "ensemble": True, "guide": 4.0},
]


class Own(FakeTraining):
    """Comes with a rate of its own; its disk may be full."""

    full = False

    def own(self, names: Any) -> Values:
        return {"lr": 1e-3}

    def save(self, fork: str, path: Path) -> str:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().save(fork, path)

    def join(self, net: int) -> str | None:
        if not self.full:
            return super().join(net)
        directory, self.directory = self.directory, None  # this process has them all the same
        super().join(net)
        self.directory = directory
        return None


class Interruptions(RuleBasedStateMachine):
    """One run directory, and the process that works in it, if one does."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="gammatune-machine-"))
        self.directory = self.home / "run"
        self.tuner: Tuner | None = None
        self.run: Run | None = None
        self.share = checkpoints.SHARE

    @initialize(options=st.sampled_from(OPTIONS), share=st.sampled_from([1.0, 0.05, 1e-9]))
    def begin(self, options: dict[str, Any], share: float) -> None:
        checkpoints.SHARE = share
        self.options = options
        whole = self._tuner(self.home / "whole")
        with whole:
            for run in whole:
                self._train(run)
        self.whole = self._come_to(whole)
        self._start()

    # -- what may happen

    @precondition(lambda self: self.tuner is None)
    @rule()
    def go_on(self) -> None:
        self._start()

    @precondition(lambda self: self.tuner is not None)
    @rule(steps=st.integers(1, 12))
    def train(self, steps: int) -> None:
        assert self.tuner is not None
        for _ in range(steps):
            run = self.tuner.ask()
            if run is None:
                return
            self._train(run)
            self.tuner.tell(run)

    @precondition(lambda self: self.tuner is not None)
    @rule(midway=st.booleans())
    def be_killed(self, midway: bool) -> None:
        """The directory stays as it is now; what the process would still have written is not."""
        assert self.tuner is not None
        if midway and self.tuner.current is None and (run := self.tuner.ask()) is not None:
            run.advance()
        then = self.home / "then"
        if self.directory.exists():
            shutil.copytree(self.directory, then)
        self._leave()
        if then.exists():
            shutil.rmtree(self.directory)
            then.rename(self.directory)

    @precondition(lambda self: self.tuner is not None)
    @rule()
    def be_interrupted(self) -> None:
        """Ctrl-C: it saves first."""
        self._leave()

    @precondition(lambda self: self.tuner is None)
    @rule(which=st.integers(0, 5))
    def lose_a_checkpoint(self, which: int) -> None:
        files = sorted(self.directory.glob("state-*.pt"))[1:]  # the beginning is lost in a test of its own
        if files:
            path = files[which % len(files)]
            path.write_bytes(path.read_bytes()[:-1])

    @precondition(lambda self: self.tuner is None)
    @rule(which=st.integers(0, 5), gone=st.booleans())
    def lose_a_net(self, which: int, gone: bool) -> None:
        files = sorted(self.directory.glob("net-*.pt"))
        if files and gone:
            files[which % len(files)].unlink()
        elif files:
            files[which % len(files)].write_bytes(b"another file")

    @precondition(lambda self: self.tuner is None)
    @rule(count=st.integers(1, 60))
    def tear_the_journal(self, count: int) -> None:
        """The end of the last line is lost."""
        path = self.directory / FILE
        if path.exists():
            content = path.read_bytes()
            last = content.rstrip(b"\n").rfind(b"\n") + 1
            path.write_bytes(content[: max(last, len(content) - count)])

    @precondition(lambda self: self.tuner is not None)
    @rule(full=st.booleans())
    def fill_or_free_the_disk(self, full: bool) -> None:
        assert self.tuner is not None
        self.tuner._training.full = full  # type: ignore[attr-defined]

    # -- what always holds

    @invariant()
    def the_journal_is_a_beginning_of_the_whole_run(self) -> None:
        if (self.directory / FILE).exists() and (self.directory / FILE).read_bytes().count(b"\n"):
            story = replay(self.directory)
            told = [self._told(o) for o in story.rollouts]
            assert told == self.whole["rollouts"][: len(told)]
            assert all(repeat.same for repeat in story.repeats)

    @invariant()
    def few_files_lie_there(self) -> None:
        assert len(list(self.directory.glob("state-*"))) <= 7

    def teardown(self) -> None:
        try:
            if hasattr(self, "whole"):
                if self.tuner is None:
                    self._start()
                assert self.tuner is not None
                self.tuner._training.full = False  # type: ignore[attr-defined]
                while (run := self.tuner.ask()) is not None:
                    self._train(run)
                    self.tuner.tell(run)
                assert self._come_to(self.tuner) == self.whole
                self._leave()
        finally:
            checkpoints.SHARE = self.share
            shutil.rmtree(self.home, ignore_errors=True)

    # -- inside

    def _tuner(self, directory: Path) -> Tuner:
        training = Own(steps=30, examples=300, directory=directory)
        given: dict[str, Any] = {"space": ["lr=1e-6:1e2:log"], "objective": "log-loss"}
        return Tuner(training=training, run_dir=str(directory), **(given | self.options))

    def _start(self) -> None:
        self.tuner = self._tuner(self.directory)
        self.tuner.__enter__()

    def _leave(self) -> None:
        assert self.tuner is not None
        with contextlib.suppress(KeyboardInterrupt):
            error = KeyboardInterrupt()
            self.tuner.__exit__(KeyboardInterrupt, error, None)
        self.tuner = None

    def _train(self, run: Run) -> None:
        run.advance()
        run.report(**run.evaluate())

    def _told(self, o: Any) -> Any:
        return o.number, o.epoch, dict(o.values), o.status, o.score, o.trained, o.evaluated, o.role, o.nets

    def _come_to(self, tuner: Tuner) -> dict[str, Any]:
        result, training = tuner.result, tuner._training
        return {
            "rollouts": [self._told(o) for o in result.rollouts],
            "course": [o.number for o in result.course],
            "schedule": list(result.schedule),
            "cost": (result.cost.trained, result.cost.evaluated),
            "training": (training.progress, training.loss, training.net),  # type: ignore[attr-defined]
            "nets": {net: training._nets[net] for net in result.nets},  # type: ignore[attr-defined]
        }


Interruptions.TestCase.settings = tries(20, full=40, stateful_step_count=14)
TestInterruptions = pytest.mark.filterwarnings("ignore::gammatune.errors.JournalWarning")(
    Interruptions.TestCase
)
