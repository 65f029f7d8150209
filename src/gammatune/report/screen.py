"""The screen at the end of a run, and what `gammatune show` and `gammatune runs` print. Read off a `Story`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gammatune.errors import JournalError
from gammatune.journal import FILE, Story, replay
from gammatune.records import Outcome
from gammatune.report.words import (
    at_an_edge,
    cost_in_words,
    duration,
    in_order,
    number,
    place_in_range,
    values_in_words,
)
from gammatune.space import parse


def final_screen(story: Story, run_dir: str | None) -> RenderableType:
    """Schedule found, measures, learning time, cost, where the run lies."""
    parts: list[RenderableType] = [Text("schedule found", style="italic"), schedule_table(story)]
    if story.verdicts and not _is_plain_best(story):
        parts.append(Text(story.verdicts[-1].reason, style="dim"))
    parts += [Text(line) for line in at_an_edge(parse(*story.begin["space"]), story.course)]
    if story.report is not None:
        parts.append(measures(story.report, standardised="preprocessing" in story.begin["facts"]))
    parts += [Text(line) for line in ending(story, run_dir)]
    return Group(*parts)


def _is_plain_best(story: Story) -> bool:
    return story.verdicts[-1].reason.startswith("best of") and story.begin["policy"] == "greedy"


def schedule_table(story: Story) -> Table:
    """The course: one row an epoch."""
    space = parse(*story.begin["space"])
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("epoch", justify="right")
    table.add_column("chosen")
    names = in_order(name for outcome in story.course for name in outcome.metrics)
    for name in names:
        table.add_column(name, justify="right")
    table.add_column(story.begin["objective"], justify="right")
    for outcome in story.course:
        table.add_row(
            str(outcome.epoch + 1),
            "\n".join(place_in_range(space, outcome.values)),
            *(f"{outcome.metrics[name]:.4f}" if name in outcome.metrics else "" for name in names),
            "" if outcome.score is None else number(outcome.score),
        )
    return table


def measures(report: dict[str, Any], *, standardised: bool) -> RenderableType:
    """Sens, Spec, Acc, MCC (or R2 and MSE), and on which data.

    standardised: the targets of a regression were, as the command does; the MSE is in their unit.
    """
    held_out = report["on"] == "test"
    where = (
        "on data it neither trained on nor selected by"
        if held_out
        else "selected on this data: expect less on new data"
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    if "accuracy" in report:
        names = {
            "Sens": "sensitivity",
            "Spec": "specificity",
            "Acc": "accuracy",
            "MCC": "mcc",
            "MCC macro": "mcc_macro",
        }
        for title in names:
            table.add_column(title, justify="right")
        table.add_row(*(f"{100 * float(report[key]):.2f} %" for key in names.values()))
    else:
        table.add_column("R2", justify="right")
        table.add_column("MSE of standardised targets" if standardised else "MSE", justify="right")
        table.add_row(f"{float(report['r2']):.4f}", f"{float(report['mse']):.4g}")
    return Group(Text(f"measured {where}", style="italic"), table)


def ending(story: Story, run_dir: str | None) -> list[str]:
    """Learning time, cost, seed, where the run lies, and what was not well."""
    lines = []
    if story.end is None:
        lines.append("the run has not ended, or was cut off")
    else:
        lines.append(f"learning time  {duration(story.end['seconds'])}")
        lines.append(f"cost           {cost_in_words(story.end)}")
        if story.end["how"] != "complete":
            lines.append(f"ended          {story.end['how']}")
    lines.append(f"seed           {story.begin['seed']}")
    if run_dir is not None:
        lines.append(f"run            {run_dir}")
    if story.torn:
        lines.append("the last line of the journal was torn and has been left out")
    return lines


def rollout_table(outcomes: Sequence[Outcome]) -> Table:
    """Every rollout, one row each."""
    table = Table(title="rollouts", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for title in ("#", "epoch", "candidate", "status", "metrics", "score", "seconds"):
        table.add_column(title, justify="right" if title in ("#", "epoch", "score", "seconds") else "left")
    for o in outcomes:
        table.add_row(
            str(o.number),
            str(o.epoch + 1),
            values_in_words(o.values),
            o.status,
            ", ".join(f"{k} {v:.4f}" for k, v in o.metrics.items()) or o.note,
            "" if o.score is None else number(o.score),
            f"{o.seconds:.2f}",
        )
    return table


def verdict_lines(story: Story) -> list[str]:
    return [f"decision {i + 1}: {verdict.reason}" for i, verdict in enumerate(story.verdicts)]


def runs_table(directory: Path) -> Table:
    """The runs below a directory, the damaged ones included."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("run", "data", "model", "policy", "sampler", "epochs", "measured", "cost", "state"):
        table.add_column(title)
    for path in sorted(directory.glob(f"*/{FILE}"), key=_natural):
        try:
            story = replay(path)
        except JournalError as error:
            table.add_row(path.parent.name, *[""] * 7, str(error))
            continue
        begin, facts = story.begin, story.begin["facts"]
        state = "unfinished" if story.end is None else story.end["how"]
        table.add_row(
            path.parent.name,
            str(facts.get("data", "")),
            str(facts.get("model", "")),
            begin["policy"],
            begin["sampler"],
            f"{len(story.course)}/{begin['epochs']}",
            _measured(story),
            "" if story.end is None else cost_in_words(story.end).split(" (")[0],
            state,
        )
    return table


def _natural(path: Path) -> list[tuple[int, str]]:
    """digits-2 before digits-10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.parent.name)
    ]


def _measured(story: Story) -> str:
    if story.report is None:
        return ""
    on = "" if story.report["on"] == "test" else " (selected)"
    if "accuracy" in story.report:
        return f"{100 * float(story.report['accuracy']):.2f} %{on}"
    return f"R2 {float(story.report['r2']):.3f}{on}"


def show(console: Console, story: Story, run_dir: str, *, rollouts: bool) -> None:
    """What `gammatune show` prints."""
    facts = story.begin["facts"]
    asked = ", ".join(
        f"{name} {story.begin[name]}" for name in ("policy", "sampler", "objective", "epochs", "budget")
    )
    console.print(Text(f"{facts.get('data', 'a training')}, {facts.get('model', '')}: {asked}"))
    if rollouts:
        console.print(rollout_table(story.rollouts))
    console.print(final_screen(story, run_dir))
    if rollouts:
        for line in verdict_lines(story):
            console.print(Text(line, style="dim"))
