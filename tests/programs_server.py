"""Forks a process for each program that it is told of, a line of JSON each, and answers with its exit status.

It never computes, so that no thread is lost in a fork.
"""

import builtins
import gc
import importlib
import json
import os
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

PLAIN = list(warnings.filters)
LOADED = (
    *("torch", "torch.utils.data", "torch._dynamo"),  # the last is loaded by the first optimizer
    *("scipy.optimize", "scipy.stats"),
    *("sklearn.datasets", "sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics"),
)
for name in LOADED:
    importlib.import_module(name)
OF_LIBRARIES = warnings.filters[: len(warnings.filters) - len(PLAIN)]  # each puts its own before the rest
gc.freeze()  # a fork that looked through all of that for garbage would copy it


def serve() -> dict[str, Any]:
    """Returns in the fork, with what is to be run there. The server ends here."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            order: dict[str, Any] = json.loads(line)
            return order
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def become(order: dict[str, Any]) -> None:
    """The process that `python` would have begun."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    for descriptor, name in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        opened = os.open(name, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)


def warn(options: list[str]) -> None:
    """-W ACTION or ACTION::CATEGORY: behind what libraries ask for when they are loaded, the last one first."""
    warnings.filters[:] = OF_LIBRARIES  # type: ignore[index]
    sys.warnoptions = options
    for option in reversed(options):
        action, _, category = option.partition("::")
        warnings.simplefilter(action, getattr(builtins, category or "Warning"), append=True)  # type: ignore[arg-type]
    warnings.filters += PLAIN  # type: ignore[operator]


def run(words: list[str]) -> None:
    options = []
    while words[0] == "-W":
        options.append(words[1])
        words = words[2:]
    warn(options)
    if words[0] == "-m":
        sys.path[0], sys.argv = os.getcwd(), words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.path[0], sys.argv = "", ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path[0], sys.argv = str(Path(words[0]).resolve().parent), words
        runpy.run_path(words[0], run_name="__main__")


order = serve()
become(order)
run(order["words"])
