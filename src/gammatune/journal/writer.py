"""The diary of a run: append-only JSON lines, one event each; whatever is shown later is rebuilt by replay.

`events.py` says what stands in it, `history.py` reads it back, `lock.py` keeps it to one writer.
"""

import contextlib
import errno
import os
import warnings
from io import FileIO
from pathlib import Path
from typing import Self

from gammatune.errors import JournalError, JournalWarning
from gammatune.files import make_durable
from gammatune.journal.events import Event, note_event, text_of
from gammatune.journal.history import FILE, Story, read
from gammatune.journal.lock import RunLock
from gammatune.records import Reason

TAIL = 4096  # bytes, about the last ten events


class Journal:
    """Writes the journal of one run, new or gone on with; every event is on disk when `append` returns.

    directory: made with the first event, so that a run that is refused before it begins leaves nothing. It is locked
    against other processes from the first event on, or from here where it holds a run, until `close`.
    resume: go on with a run that is there, behind its last whole line. Without it such a directory is refused.
    past: that run as it stands; None where there is none, or where it was killed before its first event was on disk.
    torn: its last line was cut off; it is cut away before the next event is written.

    Where the disk is full, read-only or gone, the events are kept in memory, a JournalWarning says so once, and every
    later event tries again.
    Raises JournalError where the directory holds a run and `resume` is not given, where what it holds cannot be read,
    or where it cannot be written or locked; RunIsLocked where another process has it.
    """

    def __init__(self, directory: str | os.PathLike[str], *, resume: bool = False) -> None:
        if not os.fspath(directory):
            raise JournalError("the run directory is an empty name; write where the run is to be kept")
        self.directory = Path(directory)
        self.past: Story | None = None
        self.torn = False
        # Absolute, since the training may change the working directory; nothing on disk knows it.
        self._path = Path(os.path.abspath(directory)) / FILE
        self._lock: RunLock | None = None
        self._file: FileIO | None = None
        self._durable = 0  # bytes, the length of what is known to be on disk
        self._tail = b""  # the end of that, by which the file is known again
        self._waiting: list[bytes] = []  # lines that are not
        self._outage: str | None = None  # why, in the words of the system
        self._begun = self._abandoned = self._closed = False
        if os.path.exists(self._path):
            if not resume:
                raise self._taken()
            self._look_back()

    @property
    def pending(self) -> int:
        """How many events are in memory alone, because they could not be written."""
        return len(self._waiting)

    def refuse_to_continue(self) -> None:
        """For whoever cannot go on with a run: close, and raise JournalError where one is there."""
        if self.past is not None:
            self.close()
            raise self._taken()

    def append(self, event: Event) -> None:
        """Write an event.

        Raises JournalError where the first one cannot be written (nothing has been lost then), InvalidArgument at a
        value that JSON cannot hold.
        """
        line = text_of(event).encode()
        if self._closed:
            raise JournalError(f"the journal in {self.directory} has been closed")
        if self._lock is not None and not self._lock.mine:
            raise JournalError(
                f"the journal in {self.directory} belongs to process {self._lock.pid}, and this is a child of it; "
                "let the parent train"
            )
        if self._abandoned:  # it has been said
            return
        if not self._begun:
            self._write_first(line)
            return
        self._waiting.append(line)
        try:
            self._write()
        except OSError as error:
            self._put_off(error)

    def close(self) -> None:
        """Try for the last time to write what is in memory, and let go of the directory."""
        if self._closed:
            return
        self._closed = True
        mine = self._lock is None or self._lock.mine
        try:
            if mine and self._waiting:
                self._write()
        except OSError as error:
            warnings.warn(
                f"cannot write {self.directory / FILE} ({_why(error)}): the last {self.pending} events of the run "
                "are lost; it can be taken up again where its journal ends",
                JournalWarning,
                stacklevel=2,
            )
        finally:
            self._let_go_of_the_file()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beginning

    def _look_back(self) -> None:
        try:
            self._lock = RunLock(self.directory)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            story, self._durable = read(self._path)
        except BaseException:
            self._lock.release()
            raise
        self.torn = story.torn
        self.past = story if story.begin else None

    def _write_first(self, line: bytes) -> None:
        is_new = self._lock is None
        try:
            if is_new:
                self._create()
            self._waiting = [line]
            self._write()
        except BaseException as error:
            self._abandon(is_new)
            if isinstance(error, OSError):
                raise self._unwritable(error) from error
            raise
        self._begun = True

    def _create(self) -> None:
        directory = self._path.parent
        missing = [place for place in (directory, *directory.parents) if not place.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        lock = RunLock(self.directory)
        try:
            self._file = self._path.open("xb", buffering=0)
        except BaseException as error:
            lock.release()
            if isinstance(error, FileExistsError):  # since this was made, another process has had a run here
                raise self._taken() from None
            raise
        self._lock = lock
        for place in (directory, *(new.parent for new in missing)):
            make_durable(place)

    def _abandon(self, is_new: bool) -> None:
        """What has not begun leaves no journal behind, which would be taken for a run, and has no more to say."""
        self._abandoned, self._waiting = True, []
        self._let_go_of_the_file()
        if self._lock is not None:
            if is_new:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)
            self._lock.release()

    def _taken(self) -> JournalError:
        return JournalError(
            f"{self.directory} already holds a run; give another run directory, or remove this one"
        )

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(f"cannot write a journal in {self.directory}: {_why(error)}")

    # -- writing

    def _write(self) -> None:
        """All that waits, behind what is durable; all of it is on disk afterwards, or it waits on."""
        data = b"".join(self._waiting)
        if self._outage is not None:
            data += text_of(note_event(Reason("outage", {"why": self._outage}))).encode()
        try:
            if self._file is None:
                self._file = self._reopen()
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
            if not os.fstat(self._file.fileno()).st_nlink:  # written into nothing
                raise FileNotFoundError(errno.ENOENT, "the file has been removed")
        except BaseException:  # Ctrl-C too: what it interrupted is written anew by the next event
            self._let_go_of_the_file()
            raise
        self._tail = (self._tail + data)[-TAIL:]
        self._durable, self._waiting = self._durable + len(data), []
        self._outage = None

    def _reopen(self) -> FileIO:
        """The file, without what lies behind its last durable line: a torn one, or half of one that did not fit."""
        file = self._path.open("r+b", buffering=0)
        try:
            file.seek(self._durable - len(self._tail))
            if file.read(len(self._tail)) != self._tail:
                raise OSError(errno.ENOENT, "another file is in its place")
            file.truncate(self._durable)
            file.seek(self._durable)
        except BaseException:
            file.close()
            raise
        return file

    def _put_off(self, error: OSError) -> None:
        if self._outage is not None:  # said already
            return
        self._outage = _why(error)
        warnings.warn(
            f"cannot write {self.directory / FILE} ({self._outage}); the training goes on, its events are kept in "
            "memory and written as soon as that is possible",
            JournalWarning,
            stacklevel=3,
        )

    def _let_go_of_the_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


class Echo:
    """The journal of another process: what it says is known here, and nothing is written.

    directory: made with the first event, for the checkpoints of this process.
    """

    pending = 0

    def __init__(self, directory: str | os.PathLike[str], past: Story | None) -> None:
        self.directory = Path(directory)
        self.past = past

    def append(self, event: Event) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        pass


def _why(error: OSError) -> str:
    return error.strerror or str(error)
