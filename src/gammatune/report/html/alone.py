"""A picture by itself, in a file or a notebook, with the part of the pages' style sheet that it needs."""

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gammatune.report.html.page import write

SCOPE = "gammatune"  # class of the picture, so that its style touches nothing else on a page


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture as SVG text, on white; a notebook shows it."""

    svg: str

    @classmethod
    def of(cls, picture: str) -> "Plot":
        """picture: as `report.html.svg.Picture` has it."""
        opening, rest = picture.removeprefix("<svg").split(">", 1)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" class="{SCOPE}" width="540"{opening}>'
        ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
        return cls(f"{head}<style>{_style()}</style>{ground}{rest}\n")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a .svg file. Raises InvalidArgument where that cannot be done."""
        write(path, self.svg)

    def _repr_svg_(self) -> str:
        return self.svg


@cache
def _style() -> str:
    """The rules for pictures, in the colours of a light page, for what has the class SCOPE alone."""
    sheet = (Path(__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    # the first of each, which are the light ones
    colours = dict(reversed(re.findall(r"--(\w+): ([^;]+);", sheet)))
    rules = sheet[sheet.index("\ntext {") : sheet.index("\n@media print")]
    rules = re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], rules)
    found = [f".{SCOPE} {{ font-family: system-ui, sans-serif; }}"]
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", rules):
        scoped = ", ".join(f".{SCOPE} {each.strip()}" for each in selectors.split(","))
        found.append(f"{scoped} {{{body}}}")
    return " ".join(found)
