"""A small world of gloo processes for tests: cases run one after the other in one start, on every rank.

The processes are forked from a server that has imported torch once, so that a world costs little more than its work.
"""

import datetime
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

SECONDS = 60  # that a rank waits for another before it gives up: a hang is an error, and no long one

HERE = str(Path(__file__).parent)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["ranks_cases"])


def serve() -> None:
    """Start the server, if it does not run. It finds what it is to import by the environment alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()


def start(directory: Path, cases: Sequence[str], world: int) -> list[BaseProcess]:
    """One process a rank, which meet by a file in the directory. What they say is in RANK.txt."""
    serve()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "meeting").unlink(missing_ok=True)
    processes = [CONTEXT.Process(target=live, args=(directory, rank, world, cases)) for rank in range(world)]
    for process in processes:
        process.start()
    return processes  # type: ignore[return-value]


def finish(processes: Sequence[BaseProcess], seconds: float = 120) -> list[int | None]:
    """The exit status of each, below 0 the signal that ended it; None where it hangs."""
    for process in processes:
        process.join(seconds)
    statuses = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return statuses


def run(directory: Path, cases: Sequence[str], world: int) -> list[dict[str, Any]]:
    """What the cases answer, by name, on each rank. Raises AssertionError with all that was said where one fails."""
    statuses = finish(start(directory, cases, world))
    assert not any(statuses), "\n".join(said(directory, world))
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(world)]


def said(directory: Path, world: int) -> list[str]:
    return [(directory / f"{rank}.txt").read_text() for rank in range(world)]


def live(directory: Path, rank: int, world: int, names: Sequence[str]) -> None:
    """One rank."""
    with (directory / f"{rank}.txt").open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    try:
        _live(directory, rank, world, names)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _live(directory: Path, rank: int, world: int, names: Sequence[str]) -> None:
    import ranks_cases
    import torch.distributed as dist

    from gammatune.engine import loop

    loop.PATIENCE = 4.0  # seconds: on one machine nobody is far
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    meeting = f"file://{directory / 'meeting'}"
    waits = datetime.timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world, timeout=waits)
    found = {}
    for name in names:
        found[name] = getattr(ranks_cases, name)(rank, world, directory)
        dist.barrier()
    torch.save(found, directory / f"{rank}.pt")
    dist.destroy_process_group()
