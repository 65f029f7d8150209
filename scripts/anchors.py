"""Numbers of the documents that come of result files: `scripts/numbers` writes them anew, `--check` compares.

A number has an anchor right behind it, a comment that no page shows:

    a test error of 1.02<!-- equal_cost_ratios.json#frozen/lookahead-1.5/ratio;.2f --> times

    FILE.json # PATH [; FILTER ...] [; FORMAT]

FILE      of a result, by its name; it lies in one of RESULTS
PATH      keys and positions from the outermost in, parted by "/" ("~1" is a "/" within a key, as in JSON Pointer,
          RFC 6901). In a list of records `method=gamma&n=20` is the one that has these fields; "*" is all, and gives
          a list; `*method=gamma` all that have them
FILTER    one of FILTERS, left to right: of a list one number, of a ratio a percentage
FORMAT    as of Python's `format`: `.2f`, `,`; a whole number needs none. `word` writes three for 3

Anchors in fenced blocks are not read, and the form has no "|", which would end a cell of a table.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = "README.md", "docs/*.md", "docs/site/*.md"
RESULTS = "benchmarks/results", "experiments/results", "experiments/thesis/results"
WORDS = (
    "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
FILTERS: dict[str, Callable[[Any], Any]] = {
    "count": len,
    "sum": sum,
    "mean": fmean,
    "geometric mean": geometric_mean,
    "median": median,
    "min": min,
    "max": max,
    "percent": lambda share: 100 * share,
    "more": lambda ratio: 100 * (ratio - 1),  # per cent
    "less": lambda ratio: 100 * (1 - ratio),  # per cent
    "thousandth": lambda value: value / 1000,  # microseconds to milliseconds, kB to MB
}
NUMBER = r"[-−+]?(?:\d+(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:e[-+]\d+)?"
ANCHOR = re.compile(
    rf"(?P<number>(?<![\w.]){NUMBER}|\b(?i:{'|'.join(WORDS)}))?<!-- (?P<file>[\w.-]+)#(?P<terms>.*?) -->"
)
FENCE = re.compile(r"^ *```")


class AnchorError(Exception):
    """An anchor leads nowhere, or to what is no number."""


@dataclass(frozen=True)
class Anchor:
    """terms: the path, then filters and format."""

    file: str
    terms: tuple[str, ...]

    @classmethod
    def of(cls, found: re.Match[str]) -> "Anchor":
        return cls(found["file"], tuple(term.strip() for term in found["terms"].split(";")))

    def text(self, contents: Mapping[str, Any]) -> str:
        """What should stand in front of it. contents: of result files, by name."""
        if self.file not in contents:
            raise AnchorError(f"there is no {self.file} in {', '.join(RESULTS)}")
        value = follow(contents[self.file], self.terms[0].split("/"))
        terms = list(self.terms[1:])
        while terms and terms[0] in FILTERS:
            value = FILTERS[terms.pop(0)](value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise AnchorError(f"{'; '.join(self.terms)} is no number but {str(value)[:60]}")
        if not terms and isinstance(value, int):
            return f"{value:,}"
        if len(terms) != 1:
            raise AnchorError(f"{'; '.join(self.terms)} needs one format, {value!r} as it is")
        text = _in_words(value) if terms[0] == "word" else format(value, terms[0])
        return text.removeprefix("-") if not text.strip("-0.%") else text  # no -0.0


def _in_words(value: float) -> str:
    if value not in range(len(WORDS)):
        raise AnchorError(f"there is no word for {value}; WORDS has 0 to {len(WORDS) - 1}")
    return WORDS[int(value)]


def follow(value: Any, path: Sequence[str]) -> Any:
    """What lies at the path; see PATH above."""
    if not path:
        return value
    part, rest = path[0].replace("~1", "/"), path[1:]
    if part == "*":
        return [follow(each, rest) for each in (value.values() if isinstance(value, dict) else value)]
    if isinstance(value, list) and part.startswith("*") and "=" in part:
        return [follow(each, rest) for each in _records(value, part[1:])]
    if isinstance(value, dict) and part in value:
        return follow(value[part], rest)
    if isinstance(value, list) and re.fullmatch(r"-?\d+", part) and -len(value) <= int(part) < len(value):
        return follow(value[int(part)], rest)
    if isinstance(value, list) and "=" in part:
        found = _records(value, part)
        if len(found) == 1:
            return follow(found[0], rest)
        raise AnchorError(f"{len(found)} records have {part}")
    there = ", ".join(map(str, value)) if isinstance(value, dict) else f"{len(value)} entries"
    raise AnchorError(f"there is no {part!r}; there are {there[:200]}")


def _records(rows: Sequence[Mapping[str, Any]], part: str) -> list[Mapping[str, Any]]:
    """Those that have the fields `a=b&c=d`."""
    wanted = dict(each.split("=", 1) for each in part.split("&"))
    return [row for row in rows if all(str(row.get(name)) == text for name, text in wanted.items())]


def read_results(root: Path) -> dict[str, Any]:
    """Result files by name."""
    paths = [path for folder in RESULTS for path in sorted((root / folder).glob("*.json"))]
    twice = {path.name for path in paths if sum(path.name == other.name for other in paths) > 1}
    if twice:
        raise AnchorError(f"names of result files must differ: {', '.join(sorted(twice))}")
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1; those in fenced blocks empty."""
    is_code = False
    for number, line in enumerate(text.split("\n"), 1):
        is_fence = FENCE.match(line) is not None
        yield number, "" if is_code or is_fence else line
        is_code ^= is_fence


@dataclass(frozen=True)
class Difference:
    line: int
    page: str
    result: str
    anchor: str


def rewrite(text: str, contents: Mapping[str, Any]) -> tuple[str, list[Difference]]:
    """The document with the numbers that the files have, and which ones differed."""
    lines, differences = text.split("\n"), []
    for number, line in prose(text):
        parts, end = [], 0
        for found in ANCHOR.finditer(line):
            anchor = found[0][len(found["number"] or "") :]
            try:
                right = Anchor.of(found).text(contents)
            except (AnchorError, TypeError, ValueError) as error:
                raise AnchorError(f"line {number}: {anchor}: {error}") from error
            if found["number"] is None:
                raise AnchorError(f"line {number}: {anchor} has no number in front of it; it is {right}")
            if found["number"][0] in "−":
                right = right.replace("-", "−")
            if found["number"][0].isupper():
                right = right.capitalize()
            if found["number"] != right:
                differences.append(Difference(number, found["number"], right, anchor))
            parts += [line[end : found.start()], right, anchor]
            end = found.end()
        if parts:
            lines[number - 1] = "".join(parts) + line[end:]
    return "\n".join(lines), differences


def documents(root: Path) -> list[Path]:
    return [path for pattern in DOCUMENTS for path in sorted(root.glob(pattern))]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where one differs")
    args = parser.parse_args(arguments)
    contents, wrong, count = read_results(root), 0, 0
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        count += sum(len(ANCHOR.findall(line)) for _, line in prose(text))
        try:
            right, differences = rewrite(text, contents)
        except AnchorError as error:
            print(f"{path.relative_to(root)}, {error}")
            wrong += 1
            continue
        for each in differences:
            print(
                f"{path.relative_to(root)}, line {each.line}: {each.page} is {each.result} by {each.anchor}"
            )
        if differences and args.check:
            wrong += len(differences)
        elif differences:
            path.write_text(right, encoding="utf-8")
    print(f"{count} numbers of documents come of result files; {wrong} are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
