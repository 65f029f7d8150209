"""Pictures that a person can read without the caption: axes with units, a legend, the chosen points marked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")

# Okabe and Ito's palette, told apart by people who do not see red and green; with a marker and a line style each.
COLOURS = {
    "grid": "#000000",
    "random": "#999999",
    "gaussian": "#0072B2",
    "gamma": "#D55E00",
    "gamma-plugin-a": "#CC79A7",
    "gamma-plugin-b": "#E69F00",
    "lookahead": "#009E73",
}
MARKERS = {"grid": ".", "random": "x", "gaussian": "s", "gamma": "o", "lookahead": "D"}
STYLES = {"grid": "-", "random": ":", "gaussian": "--", "gamma": "-", "lookahead": "-."}


@contextmanager
def figure(report: Any, options: Any, name: str | None = None, **arguments: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes; saved as PNG and SVG, and named in the report, when the block ends; not at scale
    power, since small has drawn the same.

    arguments: of `matplotlib.pyplot.subplots`.
    """
    import matplotlib.pyplot as plt

    settings = {
        "font.size": 10, "axes.grid": True, "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False,
        "svg.hashsalt": "gammatune", "svg.fonttype": "none",
    }  # fmt: skip
    with plt.rc_context(settings):
        fig, axes = plt.subplots(**({"figsize": (7, 4), "layout": "constrained"} | arguments))
        yield fig, axes
        if options.scale == "power":
            plt.close(fig)
            return
        options.out.mkdir(parents=True, exist_ok=True)
        for ending in ("png", "svg"):
            path = options.out / f"{name or report.name}.{ending}"
            metadata = {"Date": None} if ending == "svg" else {"Software": None}  # the same bytes every time
            fig.savefig(path, dpi=150, metadata=metadata)
            report.pictures.append(path.name)
        plt.close(fig)
