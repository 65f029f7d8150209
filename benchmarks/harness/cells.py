"""Cells are computed once: a JSON object a line, in a file to which processes append that may be killed anywhere."""

import json
import math
import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """All that were written to their end; none where there is no file."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """In one write: two processes do not mix their lines. What one that was killed left of a line is taken away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        if file.read(1) not in (b"", b"\n"):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")


class Cells:
    """The cells of a file, found by their key.

    path: None holds them in memory alone. fields: of a row, which make its key; where none is named, all but "value".
    Of two rows with one key the later counts.
    """

    def __init__(self, path: Path | None, *fields: str) -> None:
        self.path, self._fields = path, fields
        self._rows: dict[Any, Row] = {}
        for row in [] if path is None else read(path):
            self.put(row)

    @classmethod
    def beside(cls, out: Path | None, *fields: str, held: str = "") -> "Cells":
        """In a file of the result's name, .jsonl; held: the list of the result file that has rows as well."""
        cells = cls(out and out.with_suffix(".jsonl"), *fields)
        if held and out is not None and out.exists():
            for row in json.loads(out.read_text())[held]:
                cells.put(row)
        return cells

    def __contains__(self, key: Mapping[str, Any]) -> bool:
        return self._name(key) in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Mapping[str, Any], compute: Callable[[], Any], *, again: bool = False) -> Any:
        """The value that belongs to the key, computed and kept where it is not known; what raises is not kept."""
        if again or key not in self:
            self.put(_written(self.path, {**key, "value": compute()}))
        return self._rows[self._name(key)]["value"]

    def good(self, **fields: Any) -> list[Row]:
        """The rows that did not fail, of those that have these values."""
        rows = (row for row in self if "failed" not in row)
        return [row for row in rows if all(row.get(field) == value for field, value in fields.items())]

    def put(self, row: Row) -> None:
        """Into memory, from a file or another process."""
        self._rows[self._name(row)] = row

    def _name(self, row: Mapping[str, Any]) -> Any:
        fields = self._fields or [field for field in row if field != "value"]
        return _frozen({field: row.get(field) for field in fields})


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((name, _frozen(held)) for name, held in value.items()))
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _written(path: Path | None, row: Mapping[str, Any]) -> Row:
    """The row as it will be read."""
    if path is not None:
        append(path, row)
    found: Row = json.loads(json.dumps(row))
    return found


def seed_all(seed: int) -> None:
    """Every global stream of random numbers that has been imported."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@contextmanager
def at_most(gibibytes: float | None) -> Iterator[None]:
    """An allocation beyond it raises, where the system can tell (Linux)."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if gibibytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(gibibytes * 2**30), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def each(work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], processes: int = 1) -> Iterator[Any]:
    """What `work` gives for each job, in turn, or as they end in processes of their own."""
    if processes == 1:
        for job in jobs:
            yield work(*job)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            yield done.result()


def sweep(
    cells: Cells,
    keys: Iterable[Mapping[str, Any]],
    compute: Callable[..., Row | list[Row]],
    *,
    minutes: float = math.inf,
    processes: int = 1,
    memory: float | None = None,
    say: Callable[[Row], str] = json.dumps,
) -> None:
    """Compute the cells that are missing, `compute(**key)` each; a row begins with its key, without what is None.

    compute: may give several rows, of keys of their own. One that raises leaves a row that says so ("failed"), which
    counts as computed: take the line out to try again. minutes: no cell begins later. memory: GiB, of a process.
    """
    until = time.time() + 60 * minutes
    missing = [(dict(key),) for key in keys if key not in cells]
    for rows in each(partial(_one, cells.path, compute, until, memory), missing, processes):
        for row in rows:
            cells.put(row)
            print(say(row), flush=True)
    if time.time() > until and (left := sum(key not in cells for (key,) in missing)):
        print(f"the time is up; {left} cells are left for another call", flush=True)


def _one(
    path: Path | None, compute: Callable[..., Any], until: float, memory: float | None, key: Row
) -> list[Row]:
    if time.time() > until:
        return []
    seed_all(int(key.get("seed") or 0))
    try:
        with at_most(memory):
            made = compute(**key)
    except Exception as error:
        traceback.print_exc()
        made = {"failed": f"{type(error).__name__}: {error}"}
    named = {field: value for field, value in key.items() if value is not None}
    return [_written(path, {**named, **row}) for row in (made if isinstance(made, list) else [made])]
