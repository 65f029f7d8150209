"""From what a run left behind, be it an object or a directory, to the policy that repeats its course."""

import os
from pathlib import Path

from gammatune import journal
from gammatune.course import Schedule
from gammatune.errors import InvalidArgument
from gammatune.policy.replay import Replay


def replay(found: Schedule | str | os.PathLike[str]) -> Replay:
    """A policy that repeats a course without a search: `fit(..., policy=gammatune.replay(result.schedule))`.

    found: a schedule, the .json file one was saved in, or a run directory. With the weights, data, seed and other
    arguments of that run the training ends in the very weights it handed back (to the bit on a CPU; a loader whose
    order cannot be restored, such as one over an IterableDataset, may show other batches). It needs neither epochs
    nor a budget.

    Raises InvalidArgument where it is no schedule or an empty one, JournalError where there is no run.
    """
    return Replay(found if isinstance(found, Schedule) else _read(Path(found)))


def _read(path: Path) -> Schedule:
    if path.suffix.lower() != ".json":
        return journal.replay(path).schedule
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"cannot read the schedule {path}: {error}") from error
    return Schedule.from_json(text)
