"""One writer a run: a lock on the run directory that dies with the process that holds it.

run.lock    what is locked; stays behind, empty. The kernel lets go of it however the process ends, so that it is
            never stale; a file whose mere existence were the lock would outlive a kill.
owner.json  who holds it, for whoever is refused: host, process id, since when. A courtesy, and believed only then.
"""

import contextlib
import datetime
import errno
import json
import os
import socket
from pathlib import Path

from gammatune.errors import JournalError, RunIsLocked

LOCK = "run.lock"
OWNER = "owner.json"

# How file systems say that they do not lock (flock(2), and what NFS, Lustre and FUSE answer without a lock service).
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class RunLock:
    """Holds a run directory, which must exist, from birth to `release`.

    Children made by fork do not hold it, and neither free it nor keep it by ending or living on.
    Raises RunIsLocked where somebody holds it, JournalError where the file system cannot lock, OSError as it comes.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        from filelock import FileLock, Timeout  # here: 50 ms that only a run needs

        self.pid = os.getpid()
        self._owner = Path(os.path.abspath(directory)) / OWNER
        # One for all threads: a run may be closed by another thread. No soft lock in the place of a real one.
        self._lock = FileLock(self._owner.with_name(LOCK), thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RunIsLocked(
                f"{directory} is in use by {_words(self._owner)}; wait for it to end, or give another run directory"
            ) from None
        except (NotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                raise
            kind = _file_system(self._owner.parent)
            raise JournalError(
                f"the file system of {directory} ({kind}) cannot lock files ({error}), so that nothing would keep "
                "two processes from writing one run; give a run directory on another one, such as a local disk"
            ) from error
        self._sign()

    @property
    def mine(self) -> bool:
        """Whether this is the process that locked it, and no child of it."""
        return os.getpid() == self.pid

    def release(self) -> None:
        """Let go; once more does nothing."""
        if self.mine and self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._owner.unlink(missing_ok=True)
            self._lock.release()

    def _sign(self) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        text = json.dumps({"host": socket.gethostname(), "pid": self.pid, "since": now})
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            # of a process that was killed: a wrong name is worse than none
            self._owner.unlink(missing_ok=True)
            self._owner.write_text(text + "\n", encoding="utf-8")


def _words(owner: Path) -> str:
    try:
        held = json.loads(owner.read_text(encoding="utf-8"))
        host, pid, since = (f"{held[name]!s:.60}" for name in ("host", "pid", "since"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    if (host, pid) == (socket.gethostname(), str(os.getpid())):
        return f"this very process (since {since})"
    return f"process {pid} on {host} (since {since})"


def _file_system(directory: Path) -> str:
    """What kind it is, such as nfs4, where the system tells (Linux)."""
    place, kind, longest = directory.resolve(), "of unknown kind", 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
            _, mount, its_kind, *_ = line.split()
            # of several on one place the last holds
            if place.is_relative_to(mount) and len(mount) >= longest:
                kind, longest = its_kind, len(mount)
    return kind
