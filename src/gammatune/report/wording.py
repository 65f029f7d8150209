"""How numbers, candidates and courses are written for people."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gammatune.cost import units
from gammatune.course import Stretch
from gammatune.journal.events import NO_POLICY
from gammatune.journal.history import Story
from gammatune.journal.wording import number, values_in_words
from gammatune.metrics.catalogue import METRICS, words_of
from gammatune.policy.registry import Compares, called
from gammatune.records import FLAT, Metrics, Outcome, Values
from gammatune.schedules import STILL
from gammatune.space import Choice, Space

EDGE = 0.01  # of a range, in the unit cube; guess
COARSE_EDGE = 0.03  # the same where the choice was read off a posterior on a grid (policy/choice.py); guess
TRACK = 20  # characters; so that the final table fits a terminal of 80 columns


def compares(story: Story) -> Compares:
    """What the run's policy holds against each other."""
    return called(str(story.begin["policy"])).compares


def metrics_in_words(metrics: Metrics) -> str:
    """'accuracy 0.9561, loss 0.1234'."""
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in in_order(metrics))


def objective_in_words(name: str) -> str:
    """'-log loss' for log-loss, which is higher for a better network; other objectives as they are called."""
    return f"-log {name.removeprefix('log-')}" if name.startswith("log-") else name


def in_sentence(metric: str) -> str:
    """'accuracy', 'AUC': the title of a measure as it stands within a sentence."""
    title = words_of(metric).title
    return title if metric not in METRICS or title[:2].isupper() or title[1:2].isdigit() else title.lower()


def in_order(names: Iterable[str]) -> list[str]:
    """The names of metrics, the ones everybody looks at first."""
    first = ("accuracy", "r2", "loss")
    return sorted(dict.fromkeys(names), key=lambda name: first.index(name) if name in first else len(first))


# A learning rate on its way --------------------------------------------------------------------------------


def rates_of(values: Values) -> list[str]:
    """The names of the learning rates among the values."""
    return [name for name in values if name.partition(".")[0] == "lr"]


def way(stretch: Stretch, name: str) -> str:
    """'0.0332 → 0.0295': what the schedule made of a chosen rate, from the start of an epoch to its end.

    name: one that was not chosen stays the optimizer's own, and its multipliers are told.
    """
    chosen = float(stretch.values[name]) if name in stretch.values else 1.0
    return " → ".join(number(chosen * level) for level in stretch.levels)


def stretch_in_words(stretch: Stretch) -> str:
    """'lr 0.0332 → 0.0295, batch_size 32'."""
    if stretch.shape == FLAT:
        return values_in_words(stretch.values)
    rates = rates_of(stretch.values)
    said = [
        f"{name} {way(stretch, name) if name in rates else number(v)}" for name, v in stretch.values.items()
    ]
    return ", ".join(said if rates else [*said, f"rate × {way(stretch, 'lr')}"])


def nets_in_words(nets: Sequence[int]) -> str:
    """'nets 1, 2, 3 together', or 'net 1'. nets: from 0."""
    names = ", ".join(str(net + 1) for net in nets)
    return f"net {names}" if len(nets) == 1 else f"nets {names} together"


def length_in_words(outcome: Outcome, averaged: int = 0) -> str:
    """'27 batches', '1 epoch'; empty where nobody counted. averaged: of how many trainings it scored the mean."""
    if outcome.nets:
        return f"{len(outcome.nets)} nets" if len(outcome.nets) > 1 else "1 net"
    if averaged:
        return f"mean of {averaged}"
    if not outcome.epoch_batches or not outcome.batches:
        return ""
    if outcome.shape == STILL:
        return "a look"  # nothing moves at a rate of 0
    epochs, rest = divmod(outcome.batches, outcome.epoch_batches)
    if not rest:
        return f"{epochs} epoch{'s' if epochs > 1 else ''}"
    return f"{outcome.batches} batch{'es' if outcome.batches > 1 else ''}"


# Where a value stands --------------------------------------------------------------------------------------


def place_in_range(space: Space, values: Values) -> list[str]:
    """One line a dimension: where the value stands between the ends of its range."""
    lines = []
    for name in space.names:
        value = values.get(name)  # a policy of one's own may choose less, or otherwise, than the space says
        options = getattr(space[name], "options", None)
        if options is not None:
            others = " ".join(f"[{number(o)}]" if o == value else number(o) for o in options)
            lines.append(f"{name}  {others}")
            continue
        if value is None or isinstance(value, str):
            continue
        dimension: Any = space[name]
        at = round(_unit(dimension, value) * (TRACK - 1))
        track = "─" * at + "●" + "─" * (TRACK - 1 - at)
        lines.append(f"{name} {number(value):<9} {dimension.low:g} {track} {dimension.high:g}")
    return lines


def at_an_edge(space: Space, story: Story) -> list[str]:
    """A line for each end of a range at which the search chose: the best may lie beyond.

    Chosen once for the whole course, or in half of its epochs or more.
    """
    once = compares(story) == "looks"
    choices = (
        [values] if once and (values := _found(story)) else [] if once else [o.values for o in story.course]
    )
    lines = []
    for name in space.names:
        dimension: Any = space[name]
        chosen = [values[name] for values in choices if not isinstance(values.get(name, ""), str)]
        if isinstance(dimension, Choice) or not chosen:
            continue
        for end, at in (("lower", 0.0), ("upper", 1.0)):
            width = COARSE_EDGE if once else EDGE
            count = sum(abs(_unit(dimension, value) - at) < width for value in chosen)
            if 2 * count >= len(chosen):
                bound = dimension.low if at == 0 else dimension.high
                when = "" if once else f", in {count} of {len(choices)} epochs"
                lines.append(
                    f"{name} was chosen at or near the {end} end of its range, {bound:g}{when}; the best may lie "
                    f"beyond: widen it with --search {name}=..."
                )
    return lines


def _found(story: Story) -> Values | None:
    """What a search over the whole course found best, before a rate was adapted to its length; None without one."""
    if not story.course or not story.verdicts[0].numbers.get("candidates"):
        return None
    told = story.verdicts[0].numbers
    return {name: told.get(f"{name} of rollouts", value) for name, value in story.course[0].values.items()}


def _unit(dimension: Any, value: Any) -> float:
    return float(dimension.to_unit(min(max(value, dimension.low), dimension.high))[0])


# Decisions, time, cost -------------------------------------------------------------------------------------

UNENDED = "has not ended, or was cut off"  # of a run
TORN = "the last line of the journal was torn and has been left out"


def state_of(story: Story) -> str:
    """'complete', 'interrupted', 'unfinished', ..."""
    return "unfinished" if story.end is None else str(story.end["how"])


def in_bytes(count: float) -> str:
    """'340 kB', '1.0 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 9.95 or unit == "B" else f"{count:.1f} {unit}"


def brief(seconds: float) -> str:
    """'5.1 µs', '12 ms': of what takes next to no time."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}" if seconds < 99.5 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e6:.2g} µs"


def duration(seconds: float) -> str:
    """'12.3 s', '4:05 min', '2:07:30 h'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


def seconds_of(story: Story) -> float:
    """Of all processes together; of the rollouts alone in older journals."""
    return story.elapsed or sum(o.seconds for o in story.rollouts)


def day_in_words(time: Any) -> str:
    """'2026-11-23', by the calendar on the wall here; empty where it is not known. time: as a journal has it."""
    try:
        return f"{datetime.datetime.fromisoformat(time).astimezone():%Y-%m-%d}"
    except (TypeError, ValueError, OverflowError, OSError):  # nobody looked at it as the journal was read
        return ""


def size_in_words(parameters: Any) -> str:
    """'4,810', '1.2 M': the numbers that a model learns; empty where they were not counted."""
    if not isinstance(parameters, int) or isinstance(parameters, bool) or parameters < 0:
        return ""
    if parameters < 100_000:
        return f"{parameters:,}"
    return f"{parameters / 1e6:.1f} M" if parameters < 999_950_000 else f"{parameters / 1e9:.1f} G"


def is_open(begin: Mapping[str, Any]) -> bool:
    """Whether the number of epochs was left to the policy, so that there is no plain run to compare with."""
    return bool(begin.get("open", False))


def epoch_in_words(story: Story, epoch: int) -> str:
    """'epoch 3/20', or 'step 750/3000' where steps are counted. epoch: from 0."""
    begin = story.begin
    if begin.get("steps"):
        steps = story.epochs * begin["every"] if story.extensions else begin["steps"]
        return f"step {min((epoch + 1) * begin['every'], steps)}/{steps}"
    is_known = story.extensions or not is_open(begin)
    return f"epoch {epoch + 1}/{story.epochs}" if is_known else f"epoch {epoch + 1}"


def settings_in_words(begin: Mapping[str, Any]) -> str:
    """'policy lookahead, sampler gamma, objective kappa, epochs 20, budget 1.5'."""
    if begin["policy"] == NO_POLICY:
        return "without a network"
    length = ["steps", "every"] if begin.get("steps") else ["epochs"]
    names = ["policy", "sampler", "objective", *([] if is_open(begin) else [*length, "budget"])]
    said = [f"{name} {begin[name]}" for name in names]
    if begin.get("total_epochs") is not None:
        said.append(f"at most {begin['total_epochs']:g} epochs in all")
    if begin.get("seconds") is not None:
        said.append(f"at most {duration(begin['seconds'])}")
    if begin.get("patience") is not None:
        said.append(f"patience {begin['patience']}")
    return ", ".join(said)


def plain_in_words(epochs: float, begin: Mapping[str, Any]) -> str:
    """'14.3 plain epochs', or as many plain steps."""
    return (
        f"{epochs * begin['every']:,.0f} plain steps" if begin.get("steps") else f"{epochs:.1f} plain epochs"
    )


def cost_in_short(end: Mapping[str, Any], begin: Mapping[str, Any]) -> str:
    """'1.43 x', of a plain run; its plain epochs or examples where that says nothing."""
    if end.get("plain_runs") is None:
        return f"{end['trained']:,} examples trained"
    return plain_in_words(end["plain_epochs"], begin) if is_open(begin) else f"{end['plain_runs']:.2f} x"


def cost_in_words(end: Mapping[str, Any], begin: Mapping[str, Any]) -> str:
    """'1.43 x a plain run (14.3 plain epochs, 17,860 examples' worth)'; the examples where no epoch was completed."""
    if end.get("plain_runs") is None:
        return f"{end['trained']:,} examples trained, {end['evaluated']:,} evaluated"
    epochs = plain_in_words(end["plain_epochs"], begin)
    worth = f"{units(end['trained'], end['evaluated']):,.0f} examples' worth"
    if is_open(begin):
        return f"{epochs} ({worth})"
    spent, plain = end.get("spent"), end.get("plain_processor")
    beside = f"; {spent / plain:.2f} x in processor time" if spent and plain else ""
    return f"{end['plain_runs']:.2f} x a plain run ({epochs}, {worth}{beside})"


def mean_of(members: Sequence[Outcome]) -> str:
    """' (mean of 3)', behind what was averaged."""
    return f" (mean of {len(members)})" if members else ""
