"""Writes the verdicts of docs/thesis.md from the result files, so that none of them is typed: `--check` compares.

    python experiments/thesis/page.py [--check]

A claim has the result with the most seeds: of results/ (scale small) or results/power/ (scale power). What stands
between the two marks in the document is written; the rest is prose, whose numbers have anchors (`scripts/numbers`).
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from reproduction import HERE, RESULTS, hours, together
from verdicts import FEWEST, UNTOLD, Verdict

PAGE = HERE.parents[1] / "docs" / "thesis.md"
BEGIN, END = "<!-- verdicts: written by experiments/thesis/page.py -->", "<!-- verdicts end -->"
OURS = ("not in the thesis", "not a claim of the thesis", "the contrast")
BESIDE = (
    "thesis's way",
    "on the images it chose by",
)  # judged by the images that were chosen by: not counted
Claim = dict[str, Any]


def names() -> list[str]:
    """Figures first, by number."""
    found = [path.stem for path in HERE.glob("*.py") if re.fullmatch(r"(fig|table)\d+", path.stem)]
    return sorted(found, key=lambda name: (name.startswith("table"), int(re.sub(r"\D", "", name))))


def results_of(name: str, folder: Path) -> list[Mapping[str, Any]]:
    paths = (folder / f"{name}.json", folder / "power" / f"{name}.json")
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def merged(results: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """Each claim once, of the result with the most seeds, with its command and the seeds asked for."""
    found: dict[str, Claim] = {}
    for result in results:
        asked = result.get("seeds", {}).get("asked")
        for claim in result["claims"]:
            held = found.get(claim["text"])
            if held is None or _seeds(claim) >= _seeds(held):
                found[claim["text"]] = {**claim, "command": result["command"], "asked": asked}
    return list(found.values())


def _seeds(claim: Claim) -> int:
    return claim["effect"]["n"] if claim.get("effect") else 0


def is_counted(claim: Claim) -> bool:
    return not any(words in claim["text"] for words in (*OURS, *BESIDE))


def effect(claim: Claim) -> str:
    """'+1.2 [-0.3, +2.7] points', the 90 % interval in brackets; where there is none, the words of the result."""
    told = claim.get("effect")
    if not told:
        return str(claim["words"]).replace("|", "/")
    if told["unit"] == "share of seeds":
        numbers = [100 * told[part] for part in ("value", "low", "high")]
        return "{:.0f} [{:.0f}, {:.0f}] % of seeds".format(*numbers)
    value, low, high = (
        told[part] and round(told[part], 9) + 0.0 for part in ("value", "low", "high")
    )  # no -3e-16
    interval = "" if low is None else f" [{low:+.3g}, {high:+.3g}]"
    return f"{value:+.3g}{interval}{_unit(told)}"


def _unit(told: Mapping[str, Any]) -> str:
    return f" {told['unit']}s" if told["unit"] else ""


def n(claim: Claim) -> str:
    """'17 of 30' where a run has not reached all its seeds."""
    count = _seeds(claim)
    if not count:
        return ""
    return f"{count} of {claim['asked']}" if claim["asked"] and count < claim["asked"] else f"{count}"


def seen(claim: Claim) -> str:
    """What would have been told with a chance of 80 %; of claims that are not told."""
    told = claim.get("effect")
    if claim["verdict"] != UNTOLD or not told or told["seen"] is None:
        return ""
    if told["unit"] == "share of seeds":
        return f"{100 * told['seen']:.0f} % of seeds, or {100 - 100 * told['seen']:.0f} %"
    if told["differ"] < FEWEST:  # of mostly zeros the spread says nothing
        return f"only {told['differ']} seeds differ"
    return f"{told['seen']:.3g}{_unit(told)}"


def written(folder: Path) -> str:
    """The block between the marks."""
    every = {name: (results_of(name, folder), merged(results_of(name, folder))) for name in names()}
    lines = [*_summary([(name, claim) for name, (_, claims) in every.items() for claim in claims])]
    lines[4:4] = _reached([result for results, _ in every.values() for result in results])
    for name, (results, claims) in every.items():
        lines += ["", f"### {name}: {results[0]['title']}", ""] if results else []
        lines += list(_table(claims))
        commands = dict.fromkeys(claim["command"] for claim in claims) or [
            result["command"] for result in results
        ]
        lines += ["", *(f"`{command}`  " for command in commands)]
    return "\n".join(lines)


def _summary(claims: Sequence[tuple[str, Claim]]) -> Iterator[str]:
    theirs = [(name, claim) for name, claim in claims if is_counted(claim)]
    counts = Counter(claim["verdict"] for _, claim in theirs)
    yield (
        f"Of {len(theirs)} claims of the thesis: "
        + ", ".join(f"{counts[v]} *{v}*" for v in get_args(Verdict) if counts[v])
        + "."
    )
    yield (
        f"Some stand in several tables. {len(claims) - len(theirs)} more are not counted: our own, and those "
        "judged by the images that the search chose by, as the thesis does; both say so."
    )
    yield ""
    costs = hours(together(names()), None)
    yield (
        f"Scale `power` costs about {sum(costs.values()):.0f} hours of one core from an empty cache: "
        + "; ".join(f"{cost:.1f} for {line}" for line, cost in sorted(costs.items(), key=lambda one: one[1]))
        + "."
    )
    yield ""
    yield "| where | not told | effect [90 % interval] | n | could have been seen |"
    yield "|---|---|---|---|---|"
    for name, claim in theirs:
        if claim["verdict"] == UNTOLD:
            yield f"| {name} | {claim['text']} | {effect(claim)} | {n(claim)} | {seen(claim)} |"


def _reached(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How far scale power has come."""
    names: dict[str, list[str]] = {}
    for result in results:
        if result.get("scale") == "power":
            done, asked, long = (result["seeds"][part] for part in ("done", "asked", "long"))
            far = f"n = {done} of {asked}" + (
                "" if long is None else f" in runs of 1 and 2 epochs, {long} in those of 50"
            )
            names.setdefault(far, []).append(result["name"])
    told = [f"{far} ({', '.join(those)})" for far, those in names.items()]
    yield f"Of it has been run: {'; '.join(told) or 'nothing'}. Everything else on this page is scale `small`."


def _table(claims: Sequence[Claim]) -> Iterator[str]:
    if not claims:
        yield "No claim: a description, shown in the result."
        return
    yield "| claim | verdict | effect [90 % interval] | n |"
    yield "|---|---|---|---|"
    for claim in claims:
        yield f"| {claim['text']} | **{claim['verdict']}** | {effect(claim)} | {n(claim)} |"


def placed(page: str, block: str) -> str:
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}"


def main(arguments: Sequence[str] | None = None, page: Path = PAGE, folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where it differs")
    checks = parser.parse_args(arguments).check
    text = page.read_text(encoding="utf-8")
    right = placed(text, written(folder))
    if checks and text != right:
        print(f"{page.name} is not what the result files say; write it anew with experiments/thesis/page.py")
        return 1
    if not checks:
        page.write_text(right, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
