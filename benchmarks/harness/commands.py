"""What the command lines share."""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.machine import machine

ROOT = Path(__file__).resolve().parents[2]


def arguments(
    doc: str | None,
    out: Path | str | None = None,
    *,
    seeds: int | None = None,
    minutes: float | None = None,
    jobs: int | None = None,
    quick: str = "",
) -> argparse.ArgumentParser:
    """A parser with --out and those of the common options that are given a value; `quick` is that option's help."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=out and Path(out), help="the result file")
    if seeds is not None:
        parser.add_argument("--seeds", type=int, default=seeds, help="how many, from 0")
    if minutes is not None:
        parser.add_argument("--minutes", type=float, default=minutes, help="nothing begins after them")
    if jobs is not None:
        parser.add_argument("--jobs", type=int, default=jobs, help="processes")
        parser.add_argument(
            "--memory", type=float, help="GiB of a process; a cell that takes more has failed"
        )
    if quick:
        parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def bounds(args: argparse.Namespace) -> dict[str, Any]:
    """What a sweep is bounded by: the options that were given, of --minutes, --jobs and --memory."""
    given = vars(args)
    minutes, processes = given.get("minutes", math.inf), given.get("jobs", 1)
    return {"minutes": minutes, "processes": processes, "memory": given.get("memory")}


def command() -> str:
    """As it was given, from the root of the repository; of a path elsewhere the last part."""
    script = Path(sys.argv[0]).resolve()
    script = script.relative_to(ROOT) if script.is_relative_to(ROOT) else Path(script.name)
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join(["python", str(script), *words])


def about(*packages: str) -> dict[str, Any]:
    """How a result file begins."""
    return {"command": command(), "machine": machine(*packages)}


def in_a_process(*call: str, environment: dict[str, str] | None = None) -> Any:
    """What Python prints as JSON, called with these arguments in a process of its own; its memory is its own."""
    done = subprocess.run(
        [sys.executable, *call], capture_output=True, text=True, env=os.environ | (environment or {})
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)
