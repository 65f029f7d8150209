"""Ctrl-C, SIGTERM and the user's own exceptions, at every place: the last commit, nothing left, and gone on with."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty import PHASES, Interrupt, Mine, Once, Training, at_last_commit, end_of, same
from torch import nn

import gammatune
from gammatune.errors import InvalidArgument
from gammatune.journal.history import WEIGHTS, replay
from gammatune.tuning import checkpoints
from gammatune.tuning.signals import Terminated

POLICIES: dict[str, dict[str, Any]] = {
    "lookahead": {},
    "averages": {"budget": 7, "epochs": 2},
    "greedy": {"policy": "greedy"},
    "once": {"policy": "once", "epochs": 2},
}
REFERENCES: dict[str, tuple[Training, list[Any]]] = {}


def reference(name: str) -> tuple[Training, list[Any]]:
    """A run that nothing happens to, and its end."""
    if name not in REFERENCES:
        one = Training(options=dict(POLICIES[name]))
        one.run()
        REFERENCES[name] = one, end_of(one)
    return REFERENCES[name]


def goes_on(directory: Path, name: str) -> None:
    """The same call without the fault ends as if there had been none."""
    again = Training(options=dict(POLICIES[name]))
    again.run(directory)
    assert same(end_of(again), reference(name)[1])
    assert replay(directory).end is not None


def fails(one: Training, error: type[BaseException], directory: Path | None, name: str) -> BaseException:
    with pytest.raises(error) as caught:
        one.run(directory)
    assert at_last_commit(one, reference(name)[0])
    assert one.left_behind(directory) == []
    return caught.value


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Mine])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("when", ["rollout", "course"])
def test_an_error_in_any_phase_of_the_body(
    phase: str, when: str, kind: type[BaseException], tmp_path: Path
) -> None:
    """In the course: of its second epoch, or of the first, where a phase has many calls."""
    error = kind("own")
    course = when == "course"
    fault = Once(phase, 1, error, lambda run: run is not None and run.is_course is course)
    one = Training(fault=fault)
    raised = fails(one, kind, tmp_path, "lookahead")
    assert raised is error
    assert fault.raised == 1
    assert any("goes on with it" in note for note in raised.__notes__)
    story = replay(tmp_path)
    assert story.end is not None
    assert story.end["how"] == ("failed: Mine" if isinstance(error, Mine) else "interrupted")
    assert len(story.course) == len(one.tuner.result.course)
    goes_on(tmp_path, "lookahead")


@pytest.mark.parametrize("name", ["averages", "greedy", "once"])
@pytest.mark.parametrize("count", [0, 14, 30])
def test_an_error_under_every_policy(name: str, count: int, tmp_path: Path) -> None:
    one = Training(fault=Once("batch", count, Mine("own")), options=dict(POLICIES[name]))
    fails(one, Mine, tmp_path, name)
    goes_on(tmp_path, name)


def test_the_traceback_is_the_users(tmp_path: Path) -> None:
    def deep() -> None:
        raise Mine("own")

    class Deep(Once):
        def __call__(self, phase: str, run: Any) -> None:
            if phase == "loss":
                deep()

    with pytest.raises(Mine) as caught:
        Training(fault=Deep("loss", 0, Mine())).run(tmp_path)
    assert caught.traceback[-1].name == "deep"
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


INSIDE = (
    "gammatune/tuning/driver.py",
    "gammatune/tuning/tuner.py",
    "gammatune/tuning/run.py",
    "gammatune/tuning/checkpoints.py",
    "gammatune/journal/writer.py",
    "engine/loop.py",
    "engine/forks/snapshot.py",
    "engine/hyperparameters.py",
    "engine/batches.py",
    "engine/forks/averaging.py",
    "engine/modes.py",
    "engine/forks/streams.py",
    "engine/forks/archive.py",
    "policy/trial.py",
    "policy/lookahead.py",
    "policy/greedy.py",
)
SAMPLE = 8  # of some 35 000 lines; tests of 400 and more were run by hand when this was written


@pytest.mark.parametrize("name", POLICIES)
def test_ctrl_c_at_any_line_of_our_own(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a fork is captured or restored, a checkpoint or the journal written, the policy asked, hooks put on."""
    monkeypatch.setattr(
        checkpoints, "SHARE", 1.0
    )  # all are written; else the clock says which, and how many lines
    counted = []
    for number in range(2):  # the first run of a process imports
        counting = Training(options=dict(POLICIES[name]))
        with Interrupt(None, INSIDE) as counter:
            counting.run(tmp_path / f"counted-{number}")
        assert same(end_of(counting), reference(name)[1])
        counted.append(counter.lines)
    lines, most = random.Random(name), int(0.95 * min(counted))
    for number in range(SAMPLE):
        directory = tmp_path / str(number)
        one = Training(options=dict(POLICIES[name]))
        with (
            pytest.raises(KeyboardInterrupt),
            Interrupt(lines.randrange(1, most), INSIDE) as interrupt,
        ):
            one.run(directory)
        where = f"at {interrupt.place}"
        if hasattr(one, "tuner"):
            assert at_last_commit(one, reference(name)[0]), where
        assert one.left_behind(directory) == [], where
        goes_on(directory, name)


def test_half_of_a_fork_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt amid a restore: the training stands nowhere then, whatever it stood at before."""
    from gammatune.engine.forks.tensors import Tensors

    one = Training(options={"policy": "greedy", "keep": "last"})
    put_back = Tensors.put_back

    def half(self: Tensors) -> None:
        if len(one.commits) == 2 and not one.ended:  # the first candidate of the second epoch
            one.ended = True
            with torch.no_grad():
                for parameter in one.model.parameters():
                    parameter.zero_()
            raise KeyboardInterrupt
        put_back(self)

    monkeypatch.setattr(Tensors, "put_back", half)
    with pytest.raises(KeyboardInterrupt):
        one.run()
    assert same(one.weights(), one.commits[1])


# -- listeners ---------------------------------------------------------------------------------------------


class Deaf:
    """A listener that raises at the `count`-th event of a kind."""

    def __init__(self, kind: str, count: int = 0, *, always: bool = False) -> None:
        self.kind, self.count, self.always = kind, count, always
        self.error = Mine(f"at {kind}")
        self.second = False

    def __call__(self, event: Any) -> None:
        if event["event"] != self.kind and not (self.always and self.second):
            return
        self.count -= 1
        if self.count < 0:
            if self.second:
                raise RuntimeError("once more")
            self.second = True
            raise self.error


@pytest.mark.parametrize(
    ("kind", "count"),
    [(kind, count) for kind in ("start", "rollout", "commit") for count in (0, 2)]
    + [("begin", 0), ("end", 0)],
)
@pytest.mark.parametrize("name", ["lookahead", "greedy"])
def test_a_listener_that_raises(kind: str, count: int, name: str, tmp_path: Path) -> None:
    listener = Deaf(kind, count)
    one = Training(options={**POLICIES[name], "listeners": [listener]})
    raised = fails(one, Mine, tmp_path, name)
    assert raised is listener.error
    story = replay(tmp_path)
    assert story.end is not None
    assert story.end["how"] == ("complete" if kind == "end" else "failed: Mine")
    goes_on(tmp_path, name)


def test_of_two_errors_the_first_is_heard(tmp_path: Path) -> None:
    """A listener that goes on raising, at the end too, does not hide what ended the run."""
    listener = Deaf("rollout", 1, always=True)
    raised = fails(Training(options={"listeners": [listener]}), Mine, tmp_path, "lookahead")
    assert raised is listener.error
    assert any("RuntimeError was raised too: once more" in note for note in raised.__notes__)
    goes_on(tmp_path, "lookahead")


def test_a_listener_that_hears_the_end_alone(tmp_path: Path) -> None:
    """Left by `break`, there is no other error, so that of the listener goes through."""
    one = Training(options={"listeners": [Deaf("end")]})
    tuner = gammatune.Tuner(
        model=one.model, optimizer=one.optimizer, epochs=2, run_dir=str(tmp_path), listeners=[Deaf("end")]
    )
    with pytest.raises(Mine), tuner:
        for _ in tuner:
            break
    assert one.left_behind(tmp_path) == []


def test_a_run_that_failed_does_not_end_as_complete(tmp_path: Path) -> None:
    one = Training()
    tuner = gammatune.Tuner(
        model=one.model,
        optimizer=one.optimizer,
        epochs=2,
        run_dir=str(tmp_path),
        listeners=[Deaf("start")],
        check=False,
    )
    with tuner:
        with pytest.raises(Mine):
            tuner.ask()
        with pytest.raises(InvalidArgument, match="ended with an error; leave the tuner's with block"):
            tuner.ask()
    end = replay(tmp_path).end
    assert end is not None
    assert end["how"] == "stopped"


# -- SIGTERM, stalls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_loader_that_stalls_can_be_interrupted(sign: signal.Signals, tmp_path: Path) -> None:
    waiting = threading.Event()

    def stall(phase: str, run: Any) -> None:
        if phase == "batch" and run is not None and run.is_course:
            waiting.set()
            time.sleep(60)

    def send() -> None:
        waiting.wait(20)
        time.sleep(0.05)  # so that it waits indeed
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, sign)  # as a system does where it can; the thread that waits must wake up

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # test runners may ignore it
    sender = threading.Thread(target=send)
    sender.start()
    began = time.monotonic()
    one = Training(fault=stall)
    try:
        with pytest.raises(KeyboardInterrupt if sign == signal.SIGINT else Terminated):
            one.run(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    sender.join()
    assert time.monotonic() - began < 30
    assert at_last_commit(one, reference("lookahead")[0])
    assert one.left_behind(tmp_path) == []
    goes_on(tmp_path, "lookahead")


# -- fit ---------------------------------------------------------------------------------------------------


X = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


def fit(directory: Path, **options: Any) -> tuple[nn.Module, gammatune.FitResult]:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.1), nn.ReLU(), nn.Linear(6, 2))
    given: dict[str, Any] = {"epochs": 3, "batch_size": 8, "run_dir": str(directory)}
    return model, gammatune.fit(model, (X[:40], Y[:40]), (X[40:], Y[40:]), **(given | options))


def failing(error: BaseException, after: int) -> Callable[..., torch.Tensor]:
    """At the optimizer's own rate as at any other."""
    calls = iter(range(10**6))

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if next(calls) >= after:
            raise error
        return nn.functional.cross_entropy(output, target)

    return loss


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    model, result = fit(tmp_path_factory.mktemp("whole"), loss_fn=nn.functional.cross_entropy)
    return model.state_dict(), result


@pytest.mark.parametrize("kind", [Mine, KeyboardInterrupt])
@pytest.mark.parametrize("after", [2, 8, 15, 20])
def test_fit_goes_on_after_any_error(
    kind: type[BaseException], after: int, tmp_path: Path, whole: Any
) -> None:
    error = kind("own")
    with pytest.raises(kind) as caught:
        fit(tmp_path, loss_fn=failing(error, after))
    assert caught.value is error
    assert caught.traceback[-1].name == "loss"
    assert not list(tmp_path.glob("*.part"))
    model, result = fit(tmp_path, loss_fn=nn.functional.cross_entropy)
    assert same(model.state_dict(), whole[0])
    assert result.schedule == whole[1].schedule
    assert [o.score for o in result.rollouts] == [o.score for o in whole[1].rollouts]
    assert result.report == whole[1].report


@pytest.mark.parametrize("kind", ["rollout", "commit", "end", "report"])
def test_fit_goes_on_after_a_listener(kind: str, tmp_path: Path, whole: Any) -> None:
    with pytest.raises(Mine):
        fit(tmp_path, loss_fn=nn.functional.cross_entropy, listeners=[Deaf(kind)])
    model, result = fit(tmp_path, loss_fn=nn.functional.cross_entropy)
    assert same(model.state_dict(), whole[0])
    assert result.report == whole[1].report
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert sum('"event": "report"' in line or '"event":"report"' in line for line in lines) == 1


def test_ctrl_c_while_the_weights_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's writer closes what it has begun, and would make another error of it."""
    from gammatune.engine.forks import archive

    written = archive._Hashing.write

    def interrupted(self: Any, data: bytes) -> int:
        if self._file.name.endswith(WEIGHTS + ".part"):
            raise KeyboardInterrupt
        return written(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(archive._Hashing, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path)
    assert not list(tmp_path.glob("*.part"))
    fit(tmp_path)
    assert (tmp_path / WEIGHTS).exists()


def test_weights_of_the_last_commit_are_not_written_over_by_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is gone on with, and fails before it is there again, leaves the file as it was."""
    with pytest.raises(Mine):
        fit(tmp_path, loss_fn=failing(Mine(), 20))
    before = (tmp_path / WEIGHTS).read_bytes()
    assert replay(tmp_path).course
    with pytest.raises(Mine):
        fit(tmp_path, loss_fn=nn.functional.cross_entropy, listeners=[Deaf("commit")])
    assert (tmp_path / WEIGHTS).read_bytes() == before


# -- refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "magic"},
        {"state": [object()]},
        {"facts": {"x": object()}},
        {"seed": 7},
        {"forks": "cloud"},
    ],
)
def test_a_call_that_is_refused_holds_no_lock_and_no_hook(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Mine):
        Training(fault=Once("batch", 30, Mine())).run(tmp_path)
    refused = Training(options=dict(wrong))
    with pytest.raises(Exception) as caught:
        refused.run(tmp_path)
    assert refused.left_behind(tmp_path) == []
    goes_on(tmp_path, "lookahead")
    del caught


@pytest.mark.parametrize(
    "wrong", [{"optimizer": "none"}, {"forks": "cloud"}, {"seed": 7}, {"state": [object()]}]
)
def test_a_fit_that_is_refused_holds_no_lock(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Mine):
        fit(tmp_path, loss_fn=failing(Mine(), 20))
    with pytest.raises(Exception) as caught:
        fit(tmp_path, **wrong)
    fit(tmp_path, loss_fn=nn.functional.cross_entropy)
    del caught


@pytest.fixture(autouse=True)
def _streams() -> Iterator[None]:
    yield
    torch.manual_seed(0)
