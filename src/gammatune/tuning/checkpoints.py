"""Checkpoints of one run: files beside its journal, each a state of the training.

On disk lies the last state of the course, and of what the policy may come back to the nearest on the way there, the
beginning among it; a file is whole and durable before the journal names it, and named as gone before it is deleted.
"""

import contextlib
import hashlib
import time as clock
import warnings
from collections.abc import Collection
from pathlib import Path

from gammatune.engine.ranks import SINGLE, Ranks, beside
from gammatune.engine.trainable import Forkable, Storable
from gammatune.errors import DamagedCheckpoint, JournalWarning, NotRestorable
from gammatune.journal.events import State, gone_event, state_event
from gammatune.journal.writer import Echo, Journal

BEGIN = -1  # what `State.after` says of the state in which a training was handed over
SHARE = 0.05  # of the time: more is not spent on writing (guess)


class Checkpoints:
    """journal: of the run; its directory takes the files. training: of one that is not `Storable` nothing is written.
    ranks: each writes its own file of a state (`files_of`), and all take the same way here.

    known: what lies there, by the number of the rollout after which it was (`State.after`). beginning: what a process
    before this one had written of the beginning, which may be gone.
    """

    def __init__(self, journal: Journal | Echo, training: Forkable, ranks: Ranks = SINGLE) -> None:
        self._journal = journal
        self._ranks = ranks
        self._training: Storable | None = training if isinstance(training, Storable) else None
        self._outage = False
        self._next = 0.0  # on the clock: not to be written before
        self.known: dict[int, State] = dict(journal.past.states) if journal.past is not None else {}
        self.beginning = None if journal.past is None else journal.past.beginning
        if journal.past is not None:
            self._remove_strays()

    @property
    def are_due(self) -> bool:
        """Whether the next state of the course is to be written, or time is better spent on training."""
        return self._training is not None and self._ranks.agree(
            "writes a checkpoint", lambda: clock.perf_counter() >= self._next
        )

    def save(self, fork: str, after: int, held: Collection[int] = ()) -> None:
        """Write a fork as the state after a rollout. held: other states whose files must stay.

        A disk that is full costs nothing but the checkpoint: it is said once, and tried again with the next.
        """
        if self._training is None or after in self.known:
            return
        name = f"state-{after + 1}.pt"
        began = clock.perf_counter()
        try:
            checksum = self._training.save(fork, self._journal.directory / name)
        except OSError as error:
            self._next = clock.perf_counter() + (clock.perf_counter() - began) / SHARE
            if not self._outage:
                self._outage = True
                self._warn(
                    f"cannot write a checkpoint in {self._journal.directory} ({error.strerror or error}); the "
                    "training goes on, and it is tried again. Free the disk: until then an interruption costs time"
                )
            return
        except NotRestorable as error:
            self._training = None
            self._warn(f"no checkpoints are written, and a run that is interrupted begins anew: {error}")
            return
        self._outage = False
        # Only the beginning is ever compared with what another process was handed.
        digest = self._training.digest(fork) if after == BEGIN else None
        state = State(after, name, checksum, digest)
        self._journal.append(state_event(state))
        self.known[after] = state
        if after != BEGIN:
            self.retire({after, *held})
        ended = clock.perf_counter()
        self._next = ended + (ended - began) * (1 / SHARE - 1)

    def is_sound(self, after: int) -> bool:
        """Whether the file is what was written; said aloud, and forgotten, where it is not."""
        state = self.known[after]
        path = beside(self._journal.directory / state.file, self._ranks.rank)

        def is_mine() -> bool:
            try:
                with path.open("rb") as file:  # the first rank's file knows the checksums of the others
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                return False
            return self._ranks.rank > 0 or found == state.sha256

        sound = all(self._ranks.each("reads a checkpoint", is_mine))
        if not sound:
            self._warn(f"the checkpoint {state.file} is damaged or gone")
            self.forget(after)
        return sound

    def load(self, after: int) -> bool:
        """Put the training into the state after that rollout; False, said aloud, where the file is damaged."""
        state = self.known[after]
        assert self._training is not None
        try:
            self._training.load(self._journal.directory / state.file, state.sha256)
        except DamagedCheckpoint as error:
            self._warn(f"{error}; an earlier state is used, and what followed is trained again")
            self.forget(after)
            return False
        return True

    def forget(self, after: int) -> None:
        """That file is of no use."""
        del self.known[after]

    def retire(self, keep: Collection[int]) -> None:
        """Remove all others."""
        if self._ranks.agree("writes a checkpoint", lambda: bool(self._journal.pending)):
            return  # the journal on disk may still name only the older ones
        for after in [number for number in self.known if number not in keep]:
            self._journal.append(gone_event(after))
            with contextlib.suppress(OSError):
                beside(self._journal.directory / self.known[after].file, self._ranks.rank).unlink()
            self.forget(after)

    def _remove_strays(self) -> None:
        """Files that a killed process left: whole ones that the journal does not name, and halves."""
        named = {state.file for state in self.known.values()}
        directory = Path(self._journal.directory)
        for path in [*directory.glob("state-*.pt"), *directory.glob("state-*.pt.part")]:
            if f"{path.name.partition('.')[0]}.pt" not in named or path.suffix == ".part":
                with contextlib.suppress(OSError):
                    path.unlink()

    def _warn(self, text: str) -> None:
        warnings.warn(text, JournalWarning, stacklevel=2)
