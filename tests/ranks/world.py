"""A small world of gloo processes for tests: cases run one after the other in one spawn, on every rank.

    python world.py DIRECTORY RANK WORLD MODULE CASE...     (what `run` starts)
"""

import datetime
import importlib.util
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECONDS = 60  # that a rank waits for another before it gives up: a hang is an error, and no long one


def start(
    directory: Path, module: str, cases: Sequence[str], world: int
) -> list[subprocess.Popen[bytes]]:
    """One process a rank, which meet by a file in the directory. Each writes what its cases answer to RANK.pt."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "meeting").unlink(missing_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = []
    for rank in range(world):
        with (directory / f"{rank}.txt").open("wb") as said:
            command = [sys.executable, __file__, directory, rank, world, module, *cases]
            processes.append(
                subprocess.Popen(list(map(str, command)), env=environment, stdout=said, stderr=subprocess.STDOUT)
            )
    return processes


def finish(directory: Path, processes: Sequence[subprocess.Popen[bytes]], seconds: float = 120) -> list[int]:
    """The exit status of each."""
    try:
        return [process.wait(seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(directory: Path, module: str, cases: Sequence[str], world: int) -> list[dict[str, Any]]:
    """What the cases answer on each rank, by name; an error of one of them is raised here."""
    import torch

    statuses = finish(directory, start(directory, module, cases, world))
    said = "\n".join((directory / f"{rank}.txt").read_text() for rank in range(world))
    if any(statuses):
        raise AssertionError(said)
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(world)]


def main(directory: Path, rank: int, world: int, module: str, names: Sequence[str]) -> None:
    import torch
    import torch.distributed as dist

    warnings.simplefilter("error")
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{directory / 'meeting'}",
        rank=rank,
        world_size=world,
        timeout=datetime.timedelta(seconds=SECONDS),
    )
    spec = importlib.util.spec_from_file_location("cases", module)
    assert spec is not None and spec.loader is not None
    cases = importlib.util.module_from_spec(spec)
    sys.modules["cases"] = cases
    spec.loader.exec_module(cases)
    found = {}
    for name in names:
        found[name] = getattr(cases, name)(rank, world, directory)
        dist.barrier()
    torch.save(found, directory / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
    except Exception:
        traceback.print_exc()
        sys.exit(1)
