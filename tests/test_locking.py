"""One writer a run: who holds the lock, who is refused, and what a killed process leaves behind."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import needs
import pytest

from gammatune.errors import JournalError, JournalWarning, RunIsLocked
from gammatune.journal.events import begin_event, note_event, resume_event
from gammatune.journal.history import FILE, replay
from gammatune.journal.lock import LOCK, OWNER, RunLock
from gammatune.journal.writer import Journal

BEGIN = begin_event(
    seed=0,
    epochs=1,
    budget=2.0,
    policy="greedy",
    sampler="gamma",
    objective="kappa",
    space=["lr=0:1"],
    facts={},
)
# A process that holds the run in its first argument, says so, and waits to be told what to do.
HOLDER = """
import os, sys
from gammatune.journal import Journal, note_event
journal = Journal(sys.argv[1], resume=True)
journal.append(note_event("held"))
{more}
print(os.getpid(), flush=True)
sys.stdin.readline()
"""


@contextmanager
def holder(directory: Path, more: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process at work in a run."""
    command = [sys.executable, "-c", HOLDER.format(more=more), str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline(), "the holder did not start"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that nobody works in."""
    with Journal(tmp_path / "run") as journal:
        journal.append(BEGIN)
    return tmp_path / "run"


def test_the_second_process_is_refused_and_told_who_is_first(run: Path) -> None:
    with holder(run) as first:
        with pytest.raises(RunIsLocked) as refused:
            Journal(run, resume=True)
        assert f"process {first.pid} on {socket.gethostname()} (since 20" in str(refused.value)
        assert "give another run directory" in str(refused.value)
        assert replay(run).notes == ["held"]  # reading needs no lock


def test_a_killed_process_holds_nothing(run: Path) -> None:
    with holder(run) as first:
        first.kill()
        first.wait()
    assert (run / OWNER).exists()  # it could not tidy up
    with Journal(run, resume=True) as journal:
        assert json.loads((run / OWNER).read_text())["pid"] == os.getpid()
        journal.append(resume_event({}))
    assert not (run / OWNER).exists()


def test_a_new_run_is_locked_from_its_first_event_on(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "run"), Journal(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    first.append(BEGIN)
    with pytest.raises(RunIsLocked, match="this very process"):
        second.append(BEGIN)
    second.close()
    first.append(note_event("undisturbed"))
    first.close()
    assert replay(tmp_path / "run").notes == ["undisturbed"]
    late = Journal(tmp_path / "other")
    (tmp_path / "run").rename(tmp_path / "other")
    with pytest.raises(JournalError, match="already holds a run"):
        late.append(BEGIN)
    assert replay(tmp_path / "other").notes == ["undisturbed"]
    Journal(tmp_path / "other", resume=True).close()  # nor has the refusal left it locked


def test_twice_in_one_process_is_refused(run: Path) -> None:
    with (
        Journal(run, resume=True) as first,
        pytest.raises(RunIsLocked, match=r"in use by this very process \(since"),
    ):
        Journal(run, resume=True)
    first.close()
    Journal(run, resume=True).close()


def test_only_one_of_many_threads_gets_it(run: Path) -> None:
    """And a journal opened in one thread is closed in another."""
    opened: list[Journal] = []
    refused: list[RunIsLocked] = []

    def work() -> None:
        try:
            opened.append(Journal(run, resume=True))
        except RunIsLocked as error:
            refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(opened), len(refused)) == (1, 7)
    opened[0].close()
    Journal(run, resume=True).close()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[]", b"{}", b'{"pid": 3}', b"[" * 10_000])
def test_a_name_that_cannot_be_read_is_no_obstacle(run: Path, content: bytes | None) -> None:
    with Journal(run, resume=True) as first:
        if content is None:
            (run / OWNER).unlink()
        else:
            (run / OWNER).write_bytes(content)
        with pytest.raises(RunIsLocked, match="in use by another process"):
            Journal(run, resume=True)
        first.append(note_event("on"))
    assert not (run / OWNER).exists()


def test_a_disk_too_full_for_the_name_still_locks(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / OWNER).write_text('{"host": "gone", "pid": 1, "since": "long ago"}')

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        journal = Journal(run, resume=True)
    with pytest.raises(RunIsLocked, match="another process"):  # and not the one that is gone
        Journal(run, resume=True)
    journal.close()


@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL]
)
def test_a_file_system_that_cannot_lock_is_refused_by_name(
    run: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fcntl = needs.package("fcntl")

    def flock(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")  # the library would fall back to a lock that outlives a kill, and warn
        patch.setattr(fcntl, "flock", flock)
        for directory in (run, run.with_name("new")):
            with pytest.raises(
                JournalError, match=r"cannot lock files .*give a run directory on another"
            ) as refused:
                Journal(directory, resume=True).append(BEGIN)
            assert os.strerror(number) in str(refused.value)
            assert not isinstance(refused.value, RunIsLocked)
    assert not (run.with_name("new") / FILE).exists()
    Journal(run, resume=True).close()


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason=needs.UNIX)
def test_the_kind_of_file_system_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gammatune.journal import lock

    here = tmp_path.resolve()
    mounts = f"rootfs / ext4 rw 0 0\nserver:/x {here} nfs4 rw 0 0\nother {here}x tmpfs rw 0 0\nbroken\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)
    assert lock._file_system(tmp_path) == "nfs4"
    assert lock._file_system(tmp_path.parent) == "ext4"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "")
    assert lock._file_system(tmp_path) == "of unknown kind"


def test_a_directory_that_cannot_be_written_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def read_only(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if str(path).endswith(LOCK):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(JournalError, match=r"cannot write a journal in .*Read-only"):
        Journal(run, resume=True)
    with pytest.raises(JournalError, match=r"cannot write a journal in .*Read-only"):
        Journal(run.with_name("new")).append(BEGIN)


def test_a_directory_that_was_moved_is_gone_on_with(run: Path) -> None:
    with Journal(run, resume=True) as journal:
        journal.append(note_event("one"))
    elsewhere = run.parent / "an archive" / "old run"
    elsewhere.parent.mkdir()
    run.rename(elsewhere)
    with Journal(elsewhere, resume=True) as journal:
        journal.append(note_event("two"))
    assert replay(elsewhere).notes == ["one", "two"]
    assert not run.exists()
    assert {path.name for path in elsewhere.iterdir()} == {FILE, LOCK}
    assert all(str(run.parent).encode() not in path.read_bytes() for path in elsewhere.iterdir())


# fork -----------------------------------------------------------------------------------------------------


def child(body: Any) -> int:
    """Run `body` in a forked child; its exit status (0: it returned)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads
        process = os.fork()
    if process == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@needs.fork
def test_a_forked_child_does_not_free_its_parents_lock(run: Path) -> None:
    """Neither by ending nor by closing what it has inherited, as a loader's worker may."""
    with Journal(run, resume=True) as journal:
        journal.append(note_event("one"))
        assert child(lambda: None) == 0
        assert child(journal.close) == 0
        assert child(lambda: journal.__exit__(None, None, None)) == 0
        assert (run / OWNER).exists()
        with pytest.raises(RunIsLocked, match="this very process"):
            Journal(run, resume=True)
        journal.append(note_event("two"))
    assert replay(run).notes == ["one", "two"]
    Journal(run, resume=True).close()


@needs.fork
def test_a_forked_child_writes_nothing(run: Path) -> None:
    def append() -> None:
        with pytest.raises(JournalError, match="this is a child of it"):
            journal.append(note_event("by the child"))

    def refused() -> None:
        with pytest.raises(RunIsLocked):
            Journal(run, resume=True)

    with Journal(run, resume=True) as journal:
        journal.append(note_event("one"))
        assert child(append) == 0
        assert child(refused) == 0
    assert replay(run).notes == ["one"]


@needs.fork
def test_a_forked_child_does_not_write_what_its_parent_has_in_memory(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(run, resume=True) as journal:
        journal.append(note_event("one"))
        with monkeypatch.context() as patch, pytest.warns(JournalWarning):
            patch.setattr(os, "fsync", full)
            journal.append(note_event("two"))
        (run / FILE).write_bytes((run / FILE).read_bytes().replace(b'"two"', b'"..."'))
        assert child(journal.close) == 0
        assert replay(run).notes == ["one", "..."]  # nobody has touched it
    assert replay(run).notes[:2] == ["one", "two"]


@needs.fork
def test_children_that_live_on_do_not_keep_the_lock_of_a_killed_parent(run: Path) -> None:
    """A run that is killed is gone on with, though a worker of its loader has not noticed yet."""
    worker = """
worker = os.fork()
if worker == 0:
    os.close(1)  # or the test would wait for it
    import time
    time.sleep(60)
    os._exit(0)
journal.append(note_event(str(worker)))
"""
    with holder(run, worker) as first:
        first.kill()
        first.wait()
    living = int(replay(run).notes[-1])
    try:
        os.kill(living, 0)  # it is there
        with Journal(run, resume=True) as journal:
            journal.append(resume_event({}))
    finally:
        os.kill(living, signal.SIGKILL)


def test_letting_go_twice_does_not_disturb_the_next(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    first.release()
    second = RunLock(tmp_path)
    first.release()
    with pytest.raises(RunIsLocked):
        RunLock(tmp_path)
    assert (tmp_path / OWNER).exists()
    second.release()
