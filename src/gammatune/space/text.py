"""Spaces as text, for a command line."""

from gammatune.errors import InvalidSpace
from gammatune.records import Value
from gammatune.space.dimensions import Choice, Dimension, Float, Int
from gammatune.space.product import Space


def parse(*texts: str) -> Space:
    """The space written as `name=low:high[:log][:int]` or `name=option,option,...`, one text a dimension.

    "lr=1e-4:1:log", "lr=0:0.5", "layers=1:8:int", "width=8:512:int,log", "batch_size=16,32,64".
    Raises InvalidSpace with one line naming the text and what to write instead.
    """
    dimensions: dict[str, Dimension] = {}
    for text in texts:
        name, dimension = _parse_dimension(text)
        if name in dimensions:
            raise InvalidSpace(f"{name} is given twice; write each name once")
        dimensions[name] = dimension
    return Space(dimensions)


def _parse_dimension(text: str) -> tuple[str, Dimension]:
    name, equals, body = (part.strip() for part in text.partition("="))
    if not equals or not name or not body:
        raise InvalidSpace(f"cannot read {text!r}; write name=low:high, for example lr=1e-4:1:log")
    if ":" not in body:
        return name, Choice(tuple(_parse_option(text, option.strip()) for option in body.split(",")))
    low, high, *rest = (part.strip() for part in body.split(":"))
    flags = [flag.strip() for part in rest for flag in part.split(",")]
    if unknown := sorted(set(flags) - {"log", "int"}):
        raise InvalidSpace(
            f"{unknown[0]!r} in {text!r} is unknown; after the bounds write log, int or int,log"
        )
    kind, number = (Int, int) if "int" in flags else (Float, float)
    try:
        bounds = [number(low), number(high)]
    except ValueError:
        what = "whole numbers" if number is int else "numbers"
        raise InvalidSpace(f"the bounds in {text!r} are not {what}; write for example {name}=1:8") from None
    try:
        return name, kind(bounds[0], bounds[1], log="log" in flags)  # type: ignore[arg-type]
    except InvalidSpace as error:
        raise InvalidSpace(f"{text!r}: {error}") from None


def _parse_option(text: str, option: str) -> Value:
    if not option:
        raise InvalidSpace(f"an option in {text!r} is empty; write for example batch_size=16,32,64")
    for number in (int, float):
        try:
            return number(option)
        except ValueError:
            pass
    return option
