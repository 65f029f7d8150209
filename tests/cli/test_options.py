"""The command line is made from the record of options, each of which is declared there alone."""

import inspect
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gammatune.cli.app import app, train
from gammatune.cli.options import Printing, options_of
from gammatune.pipeline.options import Options, option

ITS_OWN = [
    "dry_run",
    "run_dir",
    *(each.name for each in fields(Printing)),
]  # what the command is asked beside them


@dataclass(frozen=True)
class Few:
    name: str = field(metadata={"help": "a name"})
    size: int = option("Sizes", "how large", 3)
    half: bool | None = option(None, "a half", flag="--half/--whole")
    words: list[str] | None = option("Sizes", "several")  # noqa: RUF009 (it gives a field)
    length: float | None = option(
        None, "read from text", read=lambda text: None if text is None else len(text)
    )
    kept: int = 7


def test_a_command_takes_what_a_record_has() -> None:
    seen: list[Any] = []
    few = typer.Typer()

    @few.command()
    @options_of(Few)
    def run(given: Few, loud: bool = False) -> None:
        """Runs."""
        seen.append((given, loud))

    def call(*words: str) -> Any:
        return CliRunner().invoke(few, list(words))

    assert call("x").exit_code == 0
    assert (
        call(
            "y", "--size", "5", "--whole", "--words", "a", "--words", "b", "--length", "abc", "--loud"
        ).exit_code
        == 0
    )
    assert seen == [(Few("x"), False), (Few("y", 5, False, ["a", "b"], 3), True)]
    assert call().exit_code == 2
    assert call("x", "--kept", "1").exit_code == 2
    shown = call("--help").output
    assert "Sizes" in shown
    assert "Runs." in shown


def test_a_command_takes_what_several_records_have() -> None:
    seen: list[Any] = []
    both = typer.Typer()

    @both.command()
    @options_of(Few, Printing)
    def run(given: Few, printing: Printing, loud: bool = False) -> None:
        """Runs."""
        seen.append((given, printing, loud))

    assert CliRunner().invoke(both, ["x", "--json", "--strict", "--size", "2"]).exit_code == 0
    assert seen == [(Few("x", 2), Printing(as_json=True, strict=True), False)]


def test_every_option_of_the_command_is_a_field_and_the_other_way_round() -> None:
    asked = [name for name in inspect.signature(train).parameters if name not in ITS_OWN]
    assert asked == [each.name for each in fields(Options) if each.name != "usual"]
    assert all(each.metadata["help"] for each in fields(Options) if each.name != "usual")


@pytest.mark.parametrize("text", ["", "0", "soon", "1x"])
def test_a_time_that_is_none_is_said(text: str) -> None:
    result = CliRunner().invoke(app, ["train", "digits", "--time", text])
    assert "write a time such as 90s, 5m or 1h30m" in str(result.exception)
