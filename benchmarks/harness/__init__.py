"""The one harness of benchmarks/ and experiments/: cells, seeds, intervals, result files. It knows no network.

    cells.py        a file of JSON lines, a cell a line, written as it comes; what is there is not computed again
    clocks.py       seconds, by the clock and of the processor
    commands.py     the options that scripts share, the command of a result file, other processes
    machine.py      where a number was measured: processor, cores, versions
    numbers.py      geometric means, bootstrap and t-intervals, quartiles
    results.py      a result file, in one move

A script imports `harness` before NumPy and torch: one thread each is the rule, and they read it on import.

A benchmark in ten lines, which may be killed anywhere and goes on where it was, and counts what failed:

    import harness

    def cell(width: int, seed: int) -> dict[str, float]:        # of plain values, and gives plain values
        return {"error": ...}

    if __name__ == "__main__":
        args = harness.arguments(__doc__, "results/width.json", seeds=5, jobs=1, minutes=60).parse_args()
        cells = harness.Cells.beside(args.out, "width", "seed")
        keys = [{"width": w, "seed": s} for s in range(args.seeds) for w in (8, 64)]
        harness.sweep(cells, keys, cell, **harness.bounds(args))
        errors = [row["error"] for row in cells.good()]
        harness.save(args.out, {**harness.about("torch"), "error": harness.bootstrap(errors)})

The key of a cell says all that it depends on but the code. Every cell begins with the global streams of random
numbers set by its seed, so that no cell depends on those before it.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from harness.cells import Cells, Row, append, each, read, seed_all, sweep  # noqa: E402 (after the thread counts)
from harness.clocks import timed  # noqa: E402
from harness.commands import about, arguments, bounds, command, in_a_process  # noqa: E402
from harness.machine import machine  # noqa: E402
from harness.numbers import (  # noqa: E402
    CLIP,
    Ratio,
    bootstrap,
    crossed,
    geometric_mean,
    rounded,
    spread,
    t_half,
)
from harness.results import save  # noqa: E402

__all__ = [
    "CLIP",
    "Cells",
    "Ratio",
    "Row",
    "about",
    "append",
    "arguments",
    "bootstrap",
    "bounds",
    "command",
    "crossed",
    "each",
    "geometric_mean",
    "in_a_process",
    "machine",
    "read",
    "rounded",
    "save",
    "seed_all",
    "spread",
    "sweep",
    "t_half",
    "timed",
]
