"""What the fields of an event can hold: each look gives the value as it is kept, or raises where it cannot be one.

So that whoever shows or goes on with a story need not look again, whatever became of the file.
"""

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias, cast, get_args

from gammatune.journal.events import Event
from gammatune.records import Because, Family, Kind, Known, Length, Reason, Shape

LARGEST = 2**63  # of whole numbers; more than that was never counted

Check: TypeAlias = Callable[[Any], Any]  # raises ValueError, TypeError, AttributeError or ArithmeticError


def fields(event: Event, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The fields of the record an event is, which knows which of them it needs."""
    about_the_event = ("event", "asked", "elapsed", "spent")
    return {n: _checked(n, value, checks.get(n)) for n, value in event.items() if n not in about_the_event}


def check(event: Event, checks: Mapping[str, Check]) -> None:
    for name, look in checks.items():
        _checked(name, event[name], look)


def _checked(name: str, value: Any, look: Check | None) -> Any:
    if look is None:
        raise ValueError(f"{name!r:.40} is no part of it")
    try:
        return look(value)
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{name} is {value!r:.40}") from error


def whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < LARGEST:
        raise ValueError(f"{value!r:.40} counts nothing")
    return value


def _seed(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 0:
        raise ValueError(f"{value!r:.40} is no seed")
    return value


def after(value: Any) -> Any:
    return value if value == -1 and not isinstance(value, bool) else whole(value)


def real(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no finite number")
    return value


def measured(value: Any) -> float:
    """What was measured may be infinite or NaN, which JSON has not: they are written as text."""
    if value in ("nan", "inf", "-inf") or isinstance(value, Real):
        return float(value)
    raise ValueError(f"{value!r:.40} is no number")


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def kind(value: Any) -> Kind:
    if value not in get_args(Kind):
        raise ValueError(f"{value!r:.40} is no kind of decision")
    return cast(Kind, value)


def because(value: Any) -> tuple[Reason | str, ...]:
    """The reasons of a verdict or a note."""
    return tuple(one if isinstance(one, str) else _reason(one) for one in value)


def _reason(value: Any) -> Reason:
    if value["kind"] not in get_args(Because):
        raise ValueError(f"{value['kind']!r:.40} is no kind of reason")
    return Reason(value["kind"], {n: _fact(v) for n, v in value["numbers"].items()}, because(value["of"]))


def _fact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {text(name): _fact(held) for name, held in value.items()}
    return float(value) if value in ("nan", "inf", "-inf") else value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is neither true nor false")
    return value


def _mapping(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r:.40} maps nothing")
    return value


def _measures(value: Any) -> dict[str, tuple[float, float, float]]:
    found = {}
    for name, held in value.items():
        at, low, high = held
        found[text(name)] = (float(real(at)), float(real(low)), float(real(high)))
    return found


def _lines(value: Any) -> Any:
    return [text(line) for line in value]


def _values(value: Any) -> dict[str, Any]:
    for name, chosen in value.items():
        if not isinstance(chosen, str) or name.partition(".")[0] == "lr":
            real(chosen)
    return dict(value)


def _status(value: Any) -> str:
    if value not in ("ok", "diverged", "infeasible"):
        raise ValueError("a rollout ends otherwise")
    return text(value)


def _shape(value: Any) -> Shape:
    knots = tuple((float(real(progress)), float(real(level))) for progress, level in value["knots"])
    along = [progress for progress, _ in knots]
    if not along or along != sorted(along) or (along[0], along[-1]) != (0.0, 1.0):
        raise ValueError("progress rises from 0 to 1")
    return Shape(knots)


def _length(value: Any) -> Length:
    checks: dict[str, Check] = {"epochs": _few, "least": whole, "most": _or_none(whole)}
    return Length(**{name: _checked(name, held, checks.get(name)) for name, held in value.items()})


def _few(value: Any) -> Any:
    if not 0 <= real(value) < LARGEST:
        raise ValueError("nobody trains for so long")
    return value


def _or_none(look: Check) -> Check:
    return lambda value: None if value is None else look(value)


def _counts(held: Any) -> tuple[int, ...]:
    return tuple(whole(count) for count in held)


def _file(value: Any) -> str:
    """A name in the run's own directory, wherever that is; never a way out of it."""
    if value in ("", ".", "..") or any(mark in text(value) for mark in "/\\:\0"):
        raise ValueError("not the name of a file beside the journal")
    return text(value)


def _hexadecimal(value: Any) -> str:
    bytes.fromhex(text(value))
    return text(value)


def _known(value: Any) -> Known:
    known = Known(**value)
    if known.family is not None and known.family not in get_args(Family):
        raise ValueError(f"{known.family!r:.40} is no family of optimizers")
    flag(known.is_own)
    flag(known.classes)
    if real(known.rate) < 0 or real(known.fan_in) <= 0:
        raise ValueError("a rate is 0 or more, and units have inputs")
    return known


def _figures(held: Any) -> Any:
    checks = LABELS if "accuracy" in held else NUMBERS
    check(held, {name: look for name, look in checks.items() if name != "on"})
    return held


def _price(held: Any) -> Any:
    for one, all_ in (held["memory"], held["seconds"]):
        if real(one) < 0 or real(all_) < 0:
            raise ValueError("nothing takes less than nothing")
    return held


# What a begin event must say for the run to be shown, and what it may.
BEGIN: dict[str, Check] = {
    "seed": _seed,
    "epochs": whole,
    "budget": real,
    "policy": text,
    "sampler": text,
    "objective": text,
    "space": _lines,
    "facts": _mapping,
}
RESUME: dict[str, Check] = {"facts": _mapping}
OPTIONS: dict[str, Check] = {
    "total_epochs": _or_none(real),
    "seconds": _or_none(real),
    "patience": _or_none(whole),
    "policy_version": whole,
    "known": _known,
    "ensemble": flag,
    "guide": _or_none(real),
    "schedule": _or_none(text),
    "knots": _or_none(lambda value: _shape({"knots": value})),
    "steps": _or_none(whole),
    "every": _or_none(whole),
}
OUTCOME: dict[str, Check] = {
    "number": whole,
    "epoch": whole,
    "values": _values,
    "status": _status,
    "metrics": lambda held: {text(name): measured(value) for name, value in held.items()},
    "score": _or_none(measured),
    "steps": whole,
    "trained": real,
    "evaluated": real,
    "seconds": real,
    "note": text,
    "batches": whole,
    "epoch_batches": whole,
    "epoch_examples": real,
    "shape": _shape,
    "order": whole,
    "length": _length,
    "cut": flag,
    "role": text,
    "origin": _or_none(after),
    "processor": real,
    "leaves": _counts,
    "left": _counts,
    "examined": real,
    "raised": text,
    "net": whole,
    "nets": _counts,
    "clipped": real,
}
EXTEND: dict[str, Check] = {"epochs": whole, "budget": real}
NET: dict[str, Check] = {"net": whole, "sha256": _hexadecimal}
OBJECTIVE: dict[str, Check] = {
    "name": text,
    "scores": lambda held: {int(whole(int(number))): measured(score) for number, score in held.items()},
    "text": text,
}
REPEAT: dict[str, Check] = {
    "rollout": whole,
    "trained": real,
    "evaluated": real,
    "seconds": real,
    "same": flag,
}
CHECK: dict[str, Check] = {
    "trained": whole,
    "evaluated": whole,
    "seconds": real,
    "same": lambda value: None if value is None else flag(value),
    "found": lambda value: tuple({text(n): text(said) for n, said in one.items()} for one in value),
    "unseen": text,
}
STATE: dict[str, Check] = {
    "after": after,
    "file": _file,
    "sha256": _hexadecimal,
    "digest": _or_none(_hexadecimal),
}
END: dict[str, Check] = {
    "how": text,
    "trained": real,
    "evaluated": real,
    "seconds": real,
    "plain_runs": _or_none(real),
    "plain_epochs": _or_none(real),
}
# Of an end, what older journals have not.
LATER: dict[str, Check] = {"spent": real, "plain_processor": _or_none(real), "checked": real}
# The report of a classification, and of a regression.
LABELS: dict[str, Check] = {
    "on": text,
    "accuracy": measured,
    "sensitivity": measured,
    "specificity": measured,
    "mcc": measured,
    "mcc_macro": measured,
}
NUMBERS: dict[str, Check] = {"on": text, "r2": measured, "mse": measured}
# What older reports have not: measures with their intervals, the one that was asked for, whatever else there is; and
# where several nets are averaged, how many, the figures of the best alone, and what one and all of them take.
MEASURED: dict[str, Check] = {
    "measures": _measures,
    "metric": _or_none(text),
    "extra": _mapping,
    "nets": whole,
    "single": _figures,
    "price": _price,
}
