"""Whether the house, src/gammatune, is built as it should be: one table, and an exit status for CI.

    scripts/house               each rule: how it stands, its ceiling and target, the worst offenders (--verbose: all)
    scripts/house --lower       lower the ceilings in house.toml to what has been reached; nothing raises them
    scripts/house --final       fail wherever a target is missed, and not only where a ceiling is
    scripts/house --fast        without pylint, which takes longer than all the rest
    scripts/house --tree        the tree for docs/design.md, made of first sentences; --write-tree puts it there

The rules are in house_rules.py, how the source is read in house_source.py.
"""

import argparse
import importlib.util
import sys
import tomllib
from pathlib import Path

from house_rules import RULES
from house_source import MARKS, Finding, House, design, tree

ROOT = Path(__file__).resolve().parent.parent
FEW = 5  # offenders that are shown
FLAGS = ("verbose", "lower", "final", "fast", "tree", "write-tree")
HEADER = (
    "# The most that scripts/house may count of each; `scripts/house --lower` lowers it, nothing raises it.\n"
)


def main(arguments: list[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/house", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag in FLAGS:
        parser.add_argument(f"--{flag}", action="store_true")
    options = parser.parse_args(arguments)
    house = House.read(root)
    if options.tree:
        print(tree(house))
        return 0
    if options.write_tree:
        return write_tree(house)
    skipped = (
        "--fast" if options.fast else "" if importlib.util.find_spec("pylint") else "pylint is not installed"
    )
    found = {
        name: None if rule.slow and skipped else list(rule.measure(house)) for name, rule in RULES.items()
    }
    file = root / "scripts" / "house.toml"
    ceilings = tomllib.loads(file.read_text(encoding="utf-8"))
    if options.lower:
        ceilings = lowered(ceilings, found)
        lines = [f'"{name}" = {ceiling}\n' for name, ceiling in ceilings.items()]
        file.write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{'rule':<42} {'now':>6} {'ceiling':>7} {'target':>6}")
    fine = True
    for name, rule in RULES.items():
        findings, ceiling = found[name], ceilings.get(name, rule.target)
        now = None if findings is None else total(findings)
        holds, remark = judged(now, ceiling, rule.target, is_final=options.final)
        fine = fine and holds
        shown = f"{name:<42} {'-' if now is None else now:>6} {ceiling:>7} {rule.target:>6}"
        print(f"{shown}  {f'skipped: {skipped}' if now is None else remark}".rstrip())
        if findings and total(findings) > rule.target:
            for finding in findings if options.verbose else findings[:FEW]:
                print(f"    {finding.where}  {finding.what}".rstrip())
    return 0 if fine else 1


def judged(now: int | None, ceiling: int, target: int, *, is_final: bool) -> tuple[bool, str]:
    """Whether a rule holds, and what is to be said of it. now: None where it was skipped."""
    if now is None:
        return not is_final, ""
    if now > max(ceiling, target):
        return False, "ABOVE ITS CEILING"
    if is_final and now > target:
        return False, "ABOVE ITS TARGET"
    return True, "below its ceiling: lower it" if max(now, target) < ceiling else ""


def lowered(ceilings: dict[str, int], found: dict[str, list[Finding] | None]) -> dict[str, int]:
    """To what was counted, though not below the target; a rule that was skipped keeps its ceiling."""
    return {
        name: ceilings[name]
        if findings is None
        else min(ceilings[name], max(total(findings), RULES[name].target))
        for name, findings in found.items()
        if name in ceilings
    }


def total(findings: list[Finding]) -> int:
    return sum(finding.count for finding in findings)


def write_tree(house: House) -> int:
    page = design(house)
    if page is None:
        print(
            f"docs/design.md lacks {MARKS[0]} and {MARKS[1]}, each on a line of its own where the tree belongs"
        )
        return 1
    (house.root / "docs" / "design.md").write_text(f"{page[0]}{tree(house)}\n{page[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
