"""What a finished run leaves beside its journal, for people and programs that do not read journals.

    schedule.json        the rates that were found; `gammatune.replay` and a plain loop follow it
    preprocessing.json   how the data was prepared
    measures.json        what was measured on the report part, with 95 % intervals, and what else was said of it

The journal holds all of it, and is what gammatune itself reads.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gammatune.files import whole_file_of_run
from gammatune.journal.history import replay

SCHEDULE, PREPROCESSING, MEASURES = "schedule.json", "preprocessing.json", "measures.json"


def leave(run: str) -> None:
    """Write the three files of a run; those that are there are written anew."""
    story, folder = replay(run), Path(run)
    if story.course:
        story.schedule.save(folder / SCHEDULE)
    if "preprocessing" in story.begin["facts"]:
        _put(folder / PREPROCESSING, story.begin["facts"]["preprocessing"])
    if story.report is not None:
        _put(folder / MEASURES, {name: held for name, held in story.report.items() if name != "event"})


def _put(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    whole_file_of_run(path, lambda file: file.write(text.encode()), path.stem)
