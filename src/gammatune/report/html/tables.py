"""The tables of a page beside that of the measures: epochs, rollouts, and what makes the run again."""

import shlex
from collections.abc import Mapping
from typing import Any

from gammatune.journal.history import Story
from gammatune.journal.wording import values_in_words
from gammatune.report.held import mapping
from gammatune.report.html import figures
from gammatune.report.html.timeline import joined
from gammatune.report.wording import objective_in_words, stretch_in_words
from gammatune.space import OPTIMIZER


def epochs(story: Story) -> dict[str, Any]:
    names = figures.metrics_of(story)
    rows = []
    for outcome, stretch in zip(story.course, story.schedule.stretches, strict=True):
        mean = f", mean of {stretch.count}" if stretch.count > 1 else ""
        rows.append(
            [
                str(outcome.epoch + 1),
                stretch_in_words(stretch) + mean,
                *(f"{outcome.metrics[n]:.4g}" if n in outcome.metrics else "" for n in names),
                "" if outcome.score is None else f"{outcome.score:.4g}",
            ]
        )
    return {"heads": ["epoch", "chosen", *names, objective_in_words(story.objective)], "rows": rows}


def rollouts(story: Story) -> list[list[str]]:
    fates = dict.fromkeys(joined(story), "of a net that is averaged")
    fates |= {m.number: "averaged" for members in story.members.values() for m in members}
    fates |= {o.number: "kept" for o in story.course}
    rows = []
    for o in story.rollouts:
        other = "asked" if o.nets else "thrown away" if o.ok else o.status
        fate = fates.get(o.number, other)
        length = f"{o.batches} batches" if o.batches else ""
        score = "" if o.score is None else f"{o.score:.4g}"
        rows.append([str(o.number), o.role, str(o.epoch + 1), values_in_words(o.values), length, score, fate])
    return rows


def made(story: Story) -> list[tuple[str, str]]:
    """Versions, seed and what is known of the machine."""
    begin, facts = story.begin, story.begin["facts"]
    versions = mapping(begin.get("versions"))
    held = [
        ("seed", begin["seed"]),
        ("gammatune", begin.get("gammatune")),
        ("Python", begin.get("python")),
        *((name, version) for name, version in versions.items()),
        ("device", facts.get("device")),
        ("threads", facts.get("threads")),
        ("optimizer", facts.get("optimizer")),
        ("of which", story.course[-1].values.get(OPTIMIZER) if story.course else None),
        ("batch size", facts.get("batch_size")),
        ("searched", ", ".join(begin["space"])),
        ("begun", begin.get("time")),
        ("data digest", facts.get("data_digest")),
    ]
    known = [(name, str(value)) for name, value in held if value is not None]
    if story.resumes:
        known.append(("gone on with", f"{len(story.resumes)} times"))
    return known


def command(facts: Mapping[str, Any]) -> str | None:
    """The command line that makes the run again, every option written out; None where it was no command, or began
    with a table in memory."""
    asked = facts.get("command")
    if not isinstance(asked, Mapping) or not isinstance(asked.get("data"), str) or facts.get("frames"):
        return None
    words = ["gammatune", "train", asked["data"]]
    for name, value in asked.items():
        option = f"--{str(name).replace('_', '-')}"
        if name == "data" or value is None:
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            for one in value if isinstance(value, list) else [value]:
                words += [option, str(one)]
    return shlex.join(words)
