"""A command line made from a record: an option for each of its fields."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any

import typer


def options_of(record: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Of `command(record, **others)` a function that typer reads: it takes the fields of the dataclass `record` that
    have a help (`pipeline.options.option`), and what else the command takes, one by one. A field without a default is
    an argument."""
    declared = [each for each in fields(record) if "help" in each.metadata]

    def taking(command: Callable[..., None]) -> Callable[..., None]:
        _, *others = inspect.signature(command).parameters.values()

        def by_field(**given: Any) -> None:
            values = {each.name: _read(each, given.pop(each.name)) for each in declared}
            command(record(**values), **given)

        named = (each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in others)
        parameters = [*map(_parameter, declared), *named]
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
