"""Does a long search stay as large as it began? Memory, live tensors, files and descriptors over 1,000 rollouts.

    python benchmarks/memory.py [--rollouts 1000] [--out benchmarks/results/memory.json]

A small net in a loop of one's own, with a run directory and without, each in a process of its own. A hundred rollouts
warm up; then, after every hundred:

    rss        resident memory of the process, MiB
    traced     what Python's own objects hold, MiB (tracemalloc, in a run of its own, since it slows and fills memory)
    tensors    live tensors
    files      in the run directory, and their size without the journal, which grows by a line a rollout, KiB
    open       file descriptors

How large a net of 51 million weights gets, in memory and on disk, is the other part (benchmarks/large_net.py).
"""

import argparse
import gc
import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import harness
import large_net
import torch
from torch import nn

import gammatune

WARM_UP = 100
EVERY = 100


def measured(directory: Path | None, traced: bool) -> dict[str, float]:
    gc.collect()
    files = (
        [] if directory is None else [path for path in directory.iterdir() if path.name != "journal.jsonl"]
    )
    statm = Path("/proc/self/statm").read_text().split()
    return {
        "rss": int(statm[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "traced": tracemalloc.get_traced_memory()[0] / 2**20 if traced else 0.0,
        "tensors": sum(1 for item in gc.get_objects() if type(item) in (torch.Tensor, nn.Parameter)),
        "files": len(files),
        "kib": sum(path.stat().st_size for path in files) / 2**10,
        "open": len(os.listdir("/proc/self/fd")),
    }


def search(rollouts: int, directory: Path | None, *, traced: bool = False) -> list[dict[str, float]]:
    """What is held after the warm-up, and after every hundred rollouts from there on."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = [(torch.randn(8, 16), torch.randint(4, (8,))) for _ in range(3)]
    candidates = 10
    tuner = gammatune.Tuner(
        model=model,
        optimizer=optimizer,
        epochs=(WARM_UP + rollouts) // candidates,
        budget=candidates,
        policy="greedy",
        sampler="random",
        run_dir=None if directory is None else str(directory),
    )
    seen: list[dict[str, float]] = []
    if traced:
        tracemalloc.start()
    with tuner:
        for run in tuner:
            if run.number >= WARM_UP and (run.number - WARM_UP) % EVERY == 0:
                seen.append(measured(directory, traced))
            for x, y in run.batches(batches):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(score=-float(run.number % 7))
        seen.append(measured(directory, traced))
    if traced:
        tracemalloc.stop()
    return seen


def in_a_process(rollouts: int, kept: bool, traced: bool) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as scratch:
        place = [str(Path(scratch) / "run")] if kept else []
        call = (__file__, "--one", str(int(traced)), "--rollouts", str(rollouts), *place)
        found: list[dict[str, float]] = harness.in_a_process(*call)
    return found


def main() -> None:
    parser = harness.arguments(__doc__, "benchmarks/results/memory.json")
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--only", choices=("long", "large"), help="one of the two parts")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--large", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("directory", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        place = None if given.directory is None else Path(given.directory)
        print(json.dumps(search(given.rollouts, place, traced=given.one == "1")))
        return
    if given.large is not None:
        print(json.dumps(large_net.trained(*given.large)))
        return
    out = Path(given.out)
    result: dict[str, Any] = json.loads(out.read_text()) if given.only and out.exists() else {}
    if given.only != "large":
        result |= long_search(given.rollouts)
    if given.only != "long":
        result["a large net"] = harness.about("gammatune", "torch") | large_net.measured(__file__)
    harness.save(given.out, result)


def long_search(rollouts: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        **harness.about("gammatune", "torch", "numpy"),
        "rollouts": rollouts,
        "warm_up": WARM_UP,
        "units": {"rss": "MiB", "traced": "MiB", "kib": "KiB, the journal left out"},
    }
    for name, kept in (("memory only", False), ("with a run directory", True)):
        series = in_a_process(rollouts, kept, False)
        for entry, traced in zip(series, in_a_process(rollouts, kept, True), strict=True):
            entry["traced"] = traced["traced"]
        first, last = series[0], series[-1]
        growth = {key: last[key] - first[key] for key in first}
        result[name] = {"before": first, "after": last, "growth": growth, "every_100": series}
        print(f"{name}: " + ", ".join(f"{key} {first[key]:.3g} -> {last[key]:.3g}" for key in first))
    return result


if __name__ == "__main__":
    main()
