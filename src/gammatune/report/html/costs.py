"""What the compute of a run went to, as a picture."""

from dataclasses import dataclass

from gammatune.cost import PlainEpoch, units
from gammatune.journal.history import Story
from gammatune.report.html.looks import has_looks
from gammatune.report.html.svg import RIGHT, Axis, Picture
from gammatune.report.html.timeline import joined
from gammatune.report.wording import is_open


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the cost. units: see `ledger`."""

    name: str
    units: float


LETTERS = "ABCDEFG"
PARTS = (
    "finding the region (scouts)",
    "finding the rate (miniatures)",
    "the training that was kept",
    "other trainings, thrown away",
    "looking at validation data",
    "trained again: after an interruption, or to check",
    "the other nets that are averaged",
)


def shares(story: Story) -> tuple[list[Share], float | None]:
    """What the compute went to, and what a plain run costs, both in units; None where nobody can tell."""
    final = {o.number for o in story.course}
    final |= {m.number for o in story.course for m in story.members.get(o.number, ())}
    region, rate, kept, thrown, looking, again, others = PARTS
    with_it = joined(story)
    first = region if not has_looks(story) or any(o.role == "scout" for o in story.rollouts) else rate
    sums = dict.fromkeys(PARTS, 0.0)
    for o in story.rollouts:
        sums[looking] += units(0, o.evaluated)
        part = first if o.role in ("survey", "scout") else rate if o.role == "miniature" else thrown
        part = others if o.number in with_it else part
        sums[kept if o.number in final else part] += units(o.trained, 0)
    for repeat in story.repeats:
        sums[again] += units(repeat.trained, repeat.evaluated)
    for check in story.checks:
        sums[again] += units(check.trained, check.evaluated)
    epoch = PlainEpoch()
    for o in story.rollouts:
        epoch.hear(o)
    plain = None
    if epoch.units and not is_open(story.begin):
        plain = epoch.units * story.epochs
    return [Share(name, value) for name, value in sums.items() if value > 0], plain


def cost_picture(story: Story) -> str | None:
    parts, plain = shares(story)
    total = sum(part.units for part in parts)
    if not total:
        return None
    widest = max(total, plain or 0.0)
    unit = plain or total
    said = "; ".join(f"{part.name} {part.units / unit:.2f}" for part in parts)
    of = "of a plain run" if plain else "of all"
    picture = Picture(
        "What the compute went to", f"In shares {of}: {said}.", 116 + 17 * len(parts), name="cost"
    )
    x = Axis(0.0, widest / unit, 6.0, RIGHT)
    at = 0.0
    picture.text(6, 16, "this run", "name")
    letters = {part.name: LETTERS[i] for i, part in enumerate(parts)}
    for part in parts:
        width, kind = part.units / unit, f"f{PARTS.index(part.name) + 1}"
        left, right = x(at), x(at + width)
        picture.bar(left, 22, right - left, 22, kind, f"{part.name}: {width:.2f}")
        if right - left > 14:
            picture.text((left + right) / 2, 37.5, letters[part.name], "letter", "middle")
        at += width
    bottom = 60.0
    if plain:
        picture.text(6, 62, "one plain training, no search", "name")
        picture.bar(6, 68, x(1.0) - 6, 12, "plain", "a plain run: 1")
        bottom = 88.0
    picture.across(x, bottom, count=4)
    for i, part in enumerate(parts):
        y = bottom + 34 + 17 * i
        picture.bar(6, y - 10.5, 13, 13, f"f{PARTS.index(part.name) + 1}")
        picture.text(12.5, y, letters[part.name], "letter", "middle")
        share = f"{part.units / unit:.2f}" if plain else f"{100 * part.units / unit:.0f} %"
        picture.text(26, y, part.name, "tick")
        picture.text(RIGHT, y, share, "tick", "end")
    return picture.svg()
