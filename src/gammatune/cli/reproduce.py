"""The command `gammatune reproduce`: experiments/thesis/command.py, where the repository is at hand."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from gammatune.errors import InvalidArgument

FOLDER = Path("experiments") / "thesis"


def folder() -> Path:
    """The folder of the experiments: beneath the working directory, or in the checkout gammatune runs from."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[3]):
        if (root / FOLDER / "reproduction.py").is_file():
            return root / FOLDER
    raise InvalidArgument(
        f"there is no {FOLDER} here: the reproductions lie in gammatune's repository; clone it, and run this there"
    )


def names() -> list[str]:
    """fig2, fig3, ..., table11: figures first, by number."""
    found = [path.stem for path in folder().glob("*.py") if re.fullmatch(r"(fig|table)\d+", path.stem)]
    return sorted(found, key=lambda name: (name.startswith("table"), int(re.sub(r"\D", "", name))))


def reproduce(wanted: list[str], *arguments: Any, **options: Any) -> Any:
    """Run each of those; the reports. The arguments, and what is raised, are those of the experiments' own."""
    known = names()
    if str(folder()) not in sys.path:
        sys.path.insert(0, str(folder()))
    return importlib.import_module("command").reproduce(wanted, known, *arguments, **options)
