"""The screen at the end of a run, and what `gammatune show` and `gammatune runs` print. Read off a `Story`."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gammatune.course import Stretch
from gammatune.errors import JournalError
from gammatune.journal.history import FILE, Story, replay
from gammatune.journal.wording import number, reasons_shown, values_in_words
from gammatune.metrics.catalogue import FIRST, words_of
from gammatune.policy import DEFAULT
from gammatune.records import FLAT
from gammatune.report import wording
from gammatune.report.glossary import words_in
from gammatune.report.learnt import headline
from gammatune.report.models import Models, handed_back_in_words, models_of
from gammatune.report.predictions import load_findings, run_path
from gammatune.report.several import several
from gammatune.report.understood import Understood, lines_of
from gammatune.report.what_now import what_now
from gammatune.report.worst import worst
from gammatune.space import parse

WORST = 3  # mistakes
SHOWN = 4  # measures with their intervals, which fit beside each other
RUN_COLUMNS = (
    "run", "begun", "data", "model", "params", "policy", "sampler", "epochs", "measured", "cost", "state",
)  # fmt: skip
DEFAULTS = {"policy": DEFAULT, "sampler": "gamma"}
LABELS = {
    "Sens": "sensitivity", "Spec": "specificity", "Acc": "accuracy", "MCC": "mcc", "MCC macro": "mcc_macro",
}  # fmt: skip
BAR = 12  # characters; so that the final table fits a terminal of 80 columns


def final_screen(story: Story, run_dir: str | None) -> RenderableType:
    """Schedule found and why, measures, the worst mistakes, learning time, cost, where the run lies, what the words
    mean, and what to do with it. Where nothing was learnt, that first."""
    doubt = headline(story.report)
    parts: list[RenderableType] = [] if doubt is None else [Text(doubt, style="bold"), Text()]
    if story.has_net:
        parts += [Text("schedule found", style="italic"), schedule_table(story)]
        parts += [Text(line, style="dim") for line in [*reasons(story), *story.notes]]
        parts += [Text(line) for line in wording.at_an_edge(parse(*story.begin["space"]), story)]
    if story.report is not None:
        parts.append(measures(story.report, standardised="preprocessing" in story.begin["facts"]))
        parts += _worst(story, run_dir)
    parts += [Text(line) for line in ending(story, run_dir)]
    if meanings := words_in(_as_text(Group(*parts)), wording.objective_in_words(story.objective)):
        parts += [Text("what the words mean", style="italic"), _pairs(meanings)]
    if following := what_now(story, run_dir):
        parts += [Text("what now", style="italic"), *(Text(f"- {line}") for line in following)]
    return Group(*parts)


def _as_text(shown: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def _worst(story: Story, run_dir: str | None) -> list[RenderableType]:
    """The worst mistakes on the examples that are reported on, of a run that kept what it said of them."""
    found = None if run_dir is None else worst(story, load_findings(run_path(run_dir)), WORST)
    if found is None:
        return []
    return [Text("the worst mistakes", style="italic"), _grid(found.heads, found.rows, found.heads[:3])]


def reasons(story: Story) -> list[str]:
    return reasons_shown(story.verdicts)


def schedule_table(story: Story) -> RenderableType:
    """The course: one row an epoch, with the way of its learning rate, or what was chosen for each."""
    space = parse(*story.begin["space"])
    stretches = story.schedule.stretches
    shaped = any(stretch.shape != FLAT for stretch in stretches)
    rates = (wording.rates_of(stretches[0].values) or ["lr"]) if shaped else []
    left = (
        [*(name if name in stretches[0].values else "rate ×" for name in rates), ""] if shaped else ["chosen"]
    )
    names = wording.in_order(name for outcome in story.course for name in outcome.metrics)
    rows = []
    highest = max((_mean(stretch) for stretch in stretches), default=0.0)
    for outcome, stretch in zip(story.course, stretches, strict=True):
        if shaped:
            length = max(1, round(BAR * _mean(stretch) / highest)) if highest else 0
            chosen = [*(wording.way(stretch, name) for name in rates), "█" * length]
        else:
            chosen = ["\n".join(wording.place_in_range(space, stretch.values))]
        metrics = [f"{outcome.metrics[name]:.4f}" if name in outcome.metrics else "" for name in names]
        score = "" if outcome.score is None else number(outcome.score)
        rows.append([str(outcome.epoch + 1), *chosen, *metrics, score])
    table = _grid(["epoch", *left, *names, wording.objective_in_words(story.objective)], rows, left)
    if not shaped:
        return table
    lines = [f"chosen {line}" for line in wording.place_in_range(space, stretches[0].values)]
    counts = sorted({stretch.count for stretch in stretches})
    if counts[-1] > 1:
        lines.append(f"every epoch is the mean of {' or '.join(map(str, counts))} trainings")
    return Group(*map(Text, lines), table)


def _grid(titles: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = ("",)) -> Table:
    """Numbers to the right, the columns `left` to the left."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(Text(title), justify="left" if title in left else "right")
    for row in rows:
        _row(table, *row)
    return table


def _pairs(rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for row in rows:
        _row(table, *row)
    return table


def _row(table: Table, *cells: str) -> None:
    """Cells as they are: square brackets in a name or a note are no markup."""
    table.add_row(*map(Text, cells))


def _mean(stretch: Stretch) -> float:
    """The mean learning rate of an epoch, near enough for a bar."""
    rates = wording.rates_of(stretch.values)
    chosen = float(stretch.values[rates[0]]) if rates else 1.0
    return chosen * (stretch.shape(0.25) + stretch.shape(0.75)) / 2


def measures(report: dict[str, Any], *, standardised: bool) -> RenderableType:
    """Sens, Spec, Acc, MCC (or R2 and MSE), and on which data; some measures with their 95 % intervals.

    standardised: the targets of a regression were, as the command does; the MSE is in their unit, what has an
    interval in the original one. Of several nets the figures of the best alone stand below theirs.
    """
    nets = several(report)
    held_out = report["on"] == "test"
    where = (
        "on data it neither trained on nor selected by"
        if held_out
        else "selected on this data: expect less on new data"
    )
    measured = [report] if nets is None else [report, report["single"]]
    if "accuracy" in report:
        titles = list(LABELS)
        rows = [[f"{100 * float(of[key]):.2f} %" for key in LABELS.values()] for of in measured]
    else:
        titles = ["R2", "MSE of standardised targets" if standardised else "MSE"]
        rows = [[f"{float(of['r2']):.4f}", f"{float(of['mse']):.4g}"] for of in measured]
    parts: list[RenderableType] = [Text(f"measured {where}", style="italic")]
    if nets is None:
        parts.append(_grid(titles, rows))
    else:
        parts.append(_grid(["", *titles], [["together", *rows[0]], ["best alone", *rows[1]]]))
        parts.append(Text(f"{nets.count} nets together take {nets.price}"))
    if report.get("measures"):
        parts.append(_intervals(report["measures"], report.get("metric")))
    if (models := models_of(report)) is not None:
        parts.append(_beside(models))
    said = report.get("extra", {}).get("said", ())
    parts += [Text(line) for line in (said if isinstance(said, list) else ()) if isinstance(line, str)]
    return Group(*parts)


def _intervals(measures: Mapping[str, Sequence[float]], metric: str | None) -> RenderableType:
    """The first few measures, and under each its interval."""
    names = [name for name in dict.fromkeys([metric or FIRST[0], *FIRST]) if name in measures][:SHOWN]
    values = [_value(name, measures[name][0]) for name in names]
    intervals = [_interval(name, measures[name]) for name in names]
    return _grid(["", *names], [["", *values], ["95 % interval", *intervals]])


def _beside(models: Models) -> RenderableType:
    """The models of a table, each with its value on both parts; a mark at the one that is handed over."""
    metric, rows = models.metric, []
    for each in models.beside:
        selected = "" if each.selected is None else _value(metric, each.selected)
        ends = ["", ""]
        if each.reported is not None:
            ends = [_value(metric, each.reported[0]), _interval(metric, each.reported)]
        rows.append([f"{'→' if each.is_chosen else ' '} {each.name}", selected, *ends])
    return _grid(["", f"{metric} {models.selected_on}", "on those reported on", "95 % interval"], rows)


def _value(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if words_of(name).in_percent else f"{value:.3g}"


def _interval(name: str, measure: Sequence[float]) -> str:
    _, low, high = measure
    return f"{100 * low:.1f} – {100 * high:.1f} %" if words_of(name).in_percent else f"{low:.3g} – {high:.3g}"


def ending(story: Story, run_dir: str | None) -> list[str]:
    """Learning time, cost, seed, where the run lies, and what was not well."""
    lines = []
    lines += [f"{name}    {what}" for name, what in handed_back_in_words(story)]
    if story.end is None:
        lines.append(f"the run {wording.UNENDED}")
    else:
        lines.append(f"learning time  {wording.duration(story.end['seconds'])}")
        if story.has_net:
            lines.append(f"cost           {wording.cost_in_words(story.end, story.begin)}")
        if story.end["how"] != "complete":
            lines.append(f"ended          {story.end['how']}")
    lines.append(f"seed           {story.begin['seed']}")
    if run_dir is not None:
        lines.append(f"run            {run_dir}")
    if story.torn:
        lines.append(wording.TORN)
    return lines


def rollout_table(story: Story) -> Table:
    """Every rollout, one row each."""
    left = ("length", "candidate", "status", "metrics")
    rows = [
        (
            str(o.number),
            str(o.epoch + 1),
            wording.length_in_words(o, len(story.members.get(o.number, ()))),
            values_in_words(o.values),
            o.status,
            ", ".join(f"{k} {v:.4f}" for k, v in o.metrics.items()) or o.note,
            "member" if o.ok and o.score is None else "" if o.score is None else number(o.score),
            f"{o.seconds:.2f}",
        )
        for o in story.rollouts
    ]
    table = _grid(["#", "epoch", *left, "score", "seconds"], rows, left)
    table.title, table.title_justify = "rollouts", "left"
    return table


def runs_table(directory: Path) -> Table:
    """The runs below a directory, the damaged ones included; without the columns that say nothing of any of them."""
    rows = [_of_run(path) for path in sorted(directory.glob(f"*/{FILE}"), key=_natural)]
    titles = [title for title in RUN_COLUMNS if any(row.get(title) for row in rows)]
    for title, default in DEFAULTS.items():
        if title in titles and all(row.get(title, default) == default for row in rows):
            titles.remove(title)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    whole = {"run", "begun", "params", "epochs"}
    if max((len(row["state"]) for row in rows), default=0) < 12:  # no sentence on what is damaged
        whole.add("state")
    for title in titles:
        table.add_column(
            title,
            justify="right" if title == "params" else "left",
            no_wrap=title in whole,
            overflow="fold",
        )
    for row in rows:
        _row(table, *(row.get(title, "") for title in titles))
    return table


def _of_run(path: Path) -> dict[str, str]:
    """The row of a journal, by column."""
    try:
        story = replay(path)
    except JournalError as error:
        return {"run": path.parent.name, "state": str(error)}
    begin, facts = story.begin, story.begin["facts"]
    of_search = {
        "policy": begin["policy"],
        "sampler": begin["sampler"],
        "epochs": str(len(story.course))
        if wording.is_open(begin)
        else f"{len(story.course)}/{begin['epochs']}",
        "cost": "" if story.end is None else wording.cost_in_short(story.end, begin),
    }
    return {
        "run": path.parent.name,
        "begun": wording.day_in_words(begin.get("time")),
        "data": str(facts.get("data", "")),
        "model": str(facts.get("model", "")),
        "params": wording.size_in_words(facts.get("parameters")),
        "measured": _measured(story),
        "state": wording.state_of(story),
        **(of_search if story.has_net else {}),
    }


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
    asked = wording.settings_in_words(story.begin)
    console.print(Text(f"{facts.get('data', 'a training')}, {facts.get('model', '')}: {asked}"))
    if rollouts:
        console.print(rollout_table(story))
    console.print(final_screen(story, run_dir))
    if rollouts and wording.compares(story) == "epochs":  # of the others the screen has said them
        for i, verdict in enumerate(story.verdicts):
            console.print(Text(f"decision {i + 1}: {verdict.reason}", style="dim"))


def plan_lines(
    said: Sequence[str], columns: Sequence[Understood], expected: Mapping[str, float]
) -> list[str]:
    """What `gammatune train --dry-run` prints. columns: of a table. expected: nothing where no network would be
    trained."""
    said = [*lines_of(columns), *said]
    if not expected:
        return [*said, "Nothing was trained."]
    seconds = wording.duration(expected["seconds"])
    return [
        *said,
        f"{int(expected['parameters']):,} parameters, batch size {int(expected['batch_size'])}, "
        f"{int(expected['epochs'])} epochs of about {wording.duration(expected['seconds_per_epoch'])}.",
        f"With the search at a budget of {expected['budget']:g}: about {seconds}. Nothing was trained.",
    ]
