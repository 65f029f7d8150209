"""A command line made from records: an option for each of their fields."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from itertools import chain
from typing import Annotated, Any

import typer

from gammatune.pipeline.options import option


@dataclass(frozen=True, slots=True)
class Printing:
    """What a command that trains prints at the end, and its status."""

    quiet: bool = option(None, "Print nothing but errors.", False, flag="--quiet")
    as_json: bool = option(None, "Print one JSON object at the end, nothing else.", False, flag="--json")
    strict: bool = option(
        None,
        "Exit with status 3 where the result is not shown to be better than a constant answer.",
        False,
        flag="--strict",
    )


def options_of(*records: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Of `command(*records, **others)` a function that typer reads: it takes the fields of the dataclasses `records`
    that have a help (`pipeline.options.option`), and what else the command takes, one by one. A field without a
    default is an argument."""
    declared = [[each for each in fields(record) if "help" in each.metadata] for record in records]

    def taking(command: Callable[..., None]) -> Callable[..., None]:
        others = list(inspect.signature(command).parameters.values())[len(records) :]

        def by_field(**given: Any) -> None:
            made = [
                record(**{each.name: _read(each, given.pop(each.name)) for each in its})
                for record, its in zip(records, declared, strict=True)
            ]
            command(*made, **given)

        named = (each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in others)
        parameters = [*map(_parameter, chain(*declared)), *named]
        by_field.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        by_field.__annotations__ = {each.name: each.annotation for each in parameters}
        by_field.__name__, by_field.__doc__ = command.__name__, command.__doc__
        return by_field

    return taking


def _read(of: "Field[Any]", given: Any) -> Any:
    read = of.metadata.get("read")
    return given if read is None else read(given)


def _parameter(of: "Field[Any]") -> inspect.Parameter:
    about = of.metadata
    kind, keyword = inspect.Parameter.KEYWORD_ONLY, {"help": about["help"]}
    if of.default is MISSING:
        return inspect.Parameter(of.name, kind, annotation=Annotated[of.type, typer.Argument(**keyword)])
    spelled = [about["flag"]] if about["flag"] else []
    option = typer.Option(*spelled, rich_help_panel=about["panel"], **keyword)
    text = of.type if about["read"] is None else str | None
    return inspect.Parameter(of.name, kind, default=of.default, annotation=Annotated[text, option])
