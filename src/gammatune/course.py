"""The schedule that was found, as a thing of its own: read it, save it, follow it without a search.

Legend: a *leg* is one rollout the weights went through; a *stretch* is what one commit added to the course, an
epoch as a rule: one leg, or the average of several, its *members*, and then the leg that *settles* and scores it.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from gammatune.errors import InvalidArgument
from gammatune.records import EPOCH, FLAT, Length, Outcome, Shape, Value, Values
from gammatune.schedules import along, follow, leading_group
from gammatune.space import BATCH_SIZE, OPTIMIZER

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Leg:
    """One rollout of the course: all that is needed to ask for it again.

    values, shape, length, order, net, scored: as in `records.Rollout`. batches: how many it saw; 0 where nobody
    counted. cut: the ceiling of the budget, or the loop body, ended it early, after those. pooled: of a member,
    whether it was taken into the average; False where it diverged, and left only its random streams.
    """

    values: Values
    shape: Shape = FLAT
    length: Length = EPOCH
    order: int = 0
    batches: int = 0
    scored: bool = True
    cut: bool = False
    pooled: bool = True
    net: int = 0


@dataclass(frozen=True, slots=True)
class Stretch(Leg):
    """What one commit added to the course; of an average, what is said of the leg is said of its last member.

    epoch: the epoch in which it begins, from 0; it may lie beyond the stretch's place in the course, where an
    epoch was taken back that could not be paid twice. epoch_batches: how many an epoch has; 0 where nobody knows.
    members: what was averaged, in the order trained; empty for a single training. settle: what scored the average.
    """

    epoch: int = 0
    epoch_batches: int = 0
    members: tuple[Leg, ...] = ()
    settle: Leg | None = None

    @property
    def planned(self) -> int:
        """The batches it was to have; 0 where nobody knows."""
        return self.length.batches(self.epoch_batches) if self.epoch_batches else 0

    @property
    def reached(self) -> float:
        """How far it came along its shape, in [0, 1]."""
        return self.batches / self.planned if self.cut and self.planned else 1.0

    @property
    def levels(self) -> list[float]:
        """The multipliers where its shape begins, turns and ends, as far as it came; a bend of a curve is no turn."""
        knots = self.shape.knots
        way = [(a < b) - (a > b) for (_, a), (_, b) in pairwise(knots)]  # up, down or level
        inner = zip(knots[1:], way, way[1:], strict=False)
        turns = [level for (at, level), before, after in inner if before != after and 0 < at < self.reached]
        found = [self.shape(0.0), *turns, self.shape(self.reached)]
        return [level for i, level in enumerate(found) if i == 0 or level != found[i - 1]]

    @property
    def rates(self) -> dict[str, float]:
        """The highest learning rate in it, by name; of none that was chosen the highest multiplier, as "rate x"."""
        highest = max(self.levels)
        chosen = {name: float(value) * highest for name, value in self.values.items() if _is_rate(name)}
        return chosen or ({"rate x": highest} if self.shape != FLAT else {})

    @property
    def multipliers(self) -> list[float]:
        """What the learning rate was multiplied by in each of its batches."""
        return along(self.shape, [(batch + 0.5) / self.planned for batch in range(self.batches)])

    @property
    def count(self) -> int:
        """How many trainings it is the average of."""
        return sum(member.pooled for member in self.members) or 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Schedule(Sequence[Values]):
    """A course, as the sequence of the values chosen, one mapping an epoch.

        schedule[0]["lr"]                what was chosen for the first epoch
        schedule.lr_at(0.5)              the rate in the middle of it
        schedule.save("found.json")      kept; also .csv
        schedule.to_lambda_lr(optimizer) for a plain loop, without gammatune
        gammatune.replay(schedule)       a policy that repeats it, average and all

    multiplier: the learning rates scale what the user's own scheduler sets (`Tuner(multiplier=True)`).
    """

    stretches: tuple[Stretch, ...]
    multiplier: bool = False

    @classmethod
    def of(
        cls,
        course: Sequence[Outcome],
        rollouts: Sequence[Outcome],
        members: Mapping[int, Sequence[Outcome]],
        *,
        multiplier: bool = False,
    ) -> "Schedule":
        """What a run found. rollouts: all of it, by number. members: of the averaged outcomes, by number."""
        return cls(tuple(_stretch(o, rollouts, members.get(o.number, ())) for o in course), multiplier)

    # -- a sequence

    def __len__(self) -> int:
        return len(self.stretches)

    @overload
    def __getitem__(self, index: int) -> Values: ...
    @overload
    def __getitem__(self, index: slice) -> "Schedule": ...
    def __getitem__(self, index: int | slice) -> "Values | Schedule":
        if isinstance(index, slice):
            first, _, _ = index.indices(len(self))
            kept = self.stretches[index]
            if first:  # it goes on with a training, and another net's begins with initial weights of its own
                kept = tuple(replace(stretch, net=0) for stretch in kept)
            return Schedule(kept, self.multiplier)
        return self.stretches[index].values

    def __iter__(self) -> Iterator[Values]:
        return (stretch.values for stretch in self.stretches)

    def __eq__(self, other: object) -> bool:
        """Equal to another schedule in all it holds, to a tuple or list in the values alone."""
        if isinstance(other, Schedule):
            return self.stretches == other.stretches and self.multiplier == other.multiplier
        return list(self) == list(other) if isinstance(other, (tuple, list)) else NotImplemented

    def __repr__(self) -> str:
        return f"Schedule({[dict(values) for values in self]})"

    # -- read

    def lr_at(self, epoch: float) -> float:
        """The learning rate after so many epochs of the course, from 0 to its length: the one chosen times the shape.

        Where two epochs meet, that of the one which begins. With `multiplier` it is the factor. Raises
        InvalidArgument outside the course, and where it has no learning rate or several.
        """
        name = self._rate()
        if not 0 <= epoch <= len(self):
            raise InvalidArgument(f"epoch={epoch!r} lies outside the course; give 0 to {len(self)}")
        place = min(int(epoch), len(self) - 1)
        stretch = self.stretches[place]
        return float(stretch.values[name]) * stretch.shape((epoch - place) * stretch.reached)

    # -- written down

    def to_json(self) -> str:
        """All of it as text, which `from_json` reads back equal.

        Raises InvalidArgument at values JSON cannot hold.
        """
        stretches = [asdict(s) | {"values": dict(s.values)} for s in self.stretches]
        held = {"format": FORMAT, "multiplier": self.multiplier, "stretches": stretches}
        try:
            return json.dumps(held, allow_nan=False, indent=1) + "\n"
        except (TypeError, ValueError) as error:
            raise InvalidArgument(
                f"the schedule cannot be written as JSON ({error}); values are finite numbers or text"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> "Schedule":
        """What `to_json` wrote. Raises InvalidArgument where it is something else."""
        try:
            held = json.loads(text)
            if held["format"] != FORMAT:
                raise InvalidArgument(
                    f"the schedule has format {held['format']!r}; this gammatune reads {FORMAT}"
                )
            return cls(tuple(map(_stretch_from, held["stretches"])), bool(held["multiplier"]))
        except InvalidArgument:
            raise
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise InvalidArgument(
                f"this is not a schedule as Schedule.to_json writes it ({type(error).__name__}: {error}): "
                f"{text[:40]!r}"
            ) from error

    def to_csv(self, *, per_batch: bool = False) -> str:
        """One row an epoch, or one a batch.

        An epoch's: its place from 0, each chosen rate with the rate it starts and ends at, other values, and of how
        many trainings it is the average. A batch's: its place and its epoch's from 0, the rates it was trained
        with, the rest as above. The batch that settles an average, trained at rate 0, is left out.
        Raises InvalidArgument where batches are asked for and were not counted.
        """
        names = list(dict.fromkeys(name for values in self for name in values))
        rates = [name for name in names if _is_rate(name)]
        others = [name for name in names if not _is_rate(name)]
        ends = [] if per_batch else ["start", "end"]
        titles = [column for name in rates for column in (name, *(f"{name}_{end}" for end in ends))]
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*(["batch"] if per_batch else []), "epoch", *titles, *others, "members"])
        batch = 0
        for place, stretch in enumerate(self.stretches):
            rest = [*(stretch.values.get(name, "") for name in others), stretch.count]
            if per_batch:
                for multiplier in self._counted(place).multipliers:
                    rows.writerow([batch, place, *_times(stretch, rates, [multiplier]), *rest])
                    batch += 1
            else:
                along = [1.0, stretch.shape(0.0), stretch.shape(stretch.reached)]
                rows.writerow([place, *_times(stretch, rates, along), *rest])
        return text.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, as its ending says: .json (which `gammatune.replay` reads) or .csv."""
        writers: dict[str, Callable[[], str]] = {".json": self.to_json, ".csv": self.to_csv}
        ending = Path(path).suffix.lower()
        if ending not in writers:
            raise InvalidArgument(f"path={os.fspath(path)!r}: end it in {' or '.join(writers)}")
        Path(path).write_text(writers[ending](), encoding="utf-8")

    # -- followed

    def to_lambda_lr(self, optimizer: "Optimizer", last_epoch: int = -1) -> "LambdaLR":
        """PyTorch's scheduler for a plain loop, stepped once after every batch: the very rates of the course.

        For a run with one optimizer, whose loop went over its batches once an epoch. optimizer: one as the run began
        with; the chosen rate goes to its first group whose rate is above 0, the others keep their ratio to it, as the
        tuner has it. last_epoch: as in PyTorch, the batches done less one, where a run is taken up again. After the
        last batch the rate stays where the course ended.

        Raises InvalidArgument where the course is more than a learning rate, which `gammatune.replay` can follow:
        averaged epochs, other values that change or that the optimizer has not, several rates; also where the
        batches were not counted.
        """
        name = self._rate()
        self._refuse_more_than(name)
        along = [
            (float(stretch.values[name]), multiplier)
            for place, stretch in enumerate(self.stretches)
            for multiplier in self._counted(place).multipliers
        ]
        last = self.stretches[-1]
        _refuse_other_values(leading_group(optimizer), self[0], name)
        end = float(last.values[name]), last.shape(last.reached)
        return follow(optimizer, along, end, last_epoch)

    # -- inside

    def _rate(self) -> str:
        """The name of the only learning rate."""
        found = list(dict.fromkeys(name for values in self for name in values if _is_rate(name)))
        if len(found) != 1 or any(found[0] not in values for values in self):
            what = f"several: {', '.join(found)}" if len(found) > 1 else "none in every epoch"
            raise InvalidArgument(
                f"this asks for the one learning rate of a course of {len(self)} epochs, which has {what}; read "
                "`schedule.stretches`"
            )
        return found[0]

    def _counted(self, place: int) -> Stretch:
        stretch = self.stretches[place]
        if not stretch.planned or not (stretch.batches or stretch.cut):
            raise InvalidArgument(
                f"nobody counted the batches of epoch {place + 1} of the course (the loop did not take them from "
                "run.batches, or left it early), so that there is no rate of each; ask lr_at instead"
            )
        return stretch

    def _refuse_more_than(self, rate: str) -> None:
        advice = "; gammatune.replay follows it"
        if self.multiplier:
            raise InvalidArgument(
                "the course scales what a scheduler of your own set (multiplier=True), so it is no rate by itself"
                + advice
            )
        if rate != "lr" or any("." in name for values in self for name in values):
            raise InvalidArgument(
                f"the course steers several optimizers ({', '.join(self[0])}), and this is for one" + advice
            )
        for place, stretch in enumerate(self.stretches):
            if stretch.members:
                raise InvalidArgument(
                    f"epoch {place + 1} of the course is the average of {stretch.count} trainings, which no "
                    "scheduler of a learning rate can repeat" + advice
                )
            changed = [n for n in {**self[0], **stretch.values} if n != rate and self._changes(n, place)]
            if changed:
                raise InvalidArgument(
                    f"the course changes {', '.join(changed)} in epoch {place + 1}, which no scheduler of a learning "
                    "rate can repeat" + advice
                )

    def _changes(self, name: str, place: int) -> bool:
        return self[0].get(name) != self[place].get(name)


# From outcomes, from text ---------------------------------------------------------------------------------


def _stretch(outcome: Outcome, rollouts: Sequence[Outcome], members: Sequence[Outcome]) -> Stretch:
    if not members:
        return Stretch(**_facts(outcome), epoch=outcome.epoch, epoch_batches=outcome.epoch_batches)
    # Every member starts from the same fork, and the last one trained leaves its random streams and counters
    # behind, also where it diverged and is no part of the average.
    before = rollouts[outcome.number - 1]
    stray = () if before.number == members[-1].number else (Leg(**_facts(before), pooled=False),)
    return Stretch(
        **_facts(members[-1]) | {"values": outcome.values, "scored": outcome.score is not None},
        epoch=outcome.epoch,
        epoch_batches=members[-1].epoch_batches,
        members=(*(Leg(**_facts(member)) for member in members), *stray),
        settle=Leg(**_facts(outcome)),
    )


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "values": outcome.values,
        "shape": outcome.shape,
        "length": outcome.length,
        "order": outcome.order,
        "batches": outcome.batches,
        "scored": outcome.score is not None,  # whoever is asked for a score and does not diverge has one
        "cut": outcome.cut or bool(outcome.leaves),
        "net": outcome.net,
    }


def _stretch_from(held: dict[str, Any]) -> Stretch:
    members = tuple(Leg(**_leg_from(member)) for member in held["members"])
    settle = None if held["settle"] is None else Leg(**_leg_from(held["settle"]))
    return Stretch(**_leg_from(held) | {"members": members, "settle": settle})


def _leg_from(held: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Value] = dict(held["values"])
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError(f"{name} is {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}")
    knots = tuple((float(progress), float(level)) for progress, level in held["shape"]["knots"])
    if not knots or not all(math.isfinite(number) for knot in knots for number in knot):
        raise ValueError("a shape needs finite knots")
    net = held.get("net", 0)  # not in those of before there were several
    if isinstance(net, bool) or not isinstance(net, int) or net < 0:
        raise ValueError(f"net is {net!r}")
    return held | {"values": values, "shape": Shape(knots), "length": Length(**held["length"])}


# Names and numbers ----------------------------------------------------------------------------------------


def _is_rate(name: str) -> bool:
    return name.partition(".")[0] == "lr"


def _times(stretch: Stretch, rates: list[str], factors: list[float]) -> list[float | str]:
    chosen = [float(stretch.values[name]) if name in stretch.values else None for name in rates]
    return ["" if lr is None else lr * factor for lr in chosen for factor in factors]


def _refuse_other_values(group: Mapping[str, Any], values: Values, rate: str) -> None:
    """What else the course was trained with, the optimizer must have; a batch size is the loader's, and of which kind
    the optimizer has to be, where that was chosen, the schedule says by a name of `fit`'s."""
    for name, value in values.items():
        if name in (rate, BATCH_SIZE, OPTIMIZER):
            continue
        own = group.get("betas", (None,))[0] if name == "momentum" and name not in group else group.get(name)
        if own is None or not math.isclose(float(own), float(value), rel_tol=1e-6):
            raise InvalidArgument(
                f"the course was trained with {name} {value}, and the optimizer has {own}; make it with "
                f"{name}={value}"
            )
