"""`.. gammatune-commands::` writes the reference of the command line from the Typer application itself."""

from typing import Any

import typer
from docstrings import as_text
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.nodes import nested_parse_with_titles


def commands() -> dict[str, Any]:
    """Every command by name."""
    from gammatune.cli.app import app

    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def _value(parameter: Any) -> str:
    """What an option takes, in one word; nothing for a flag."""
    if getattr(parameter, "is_flag", False):
        return ""
    return str(parameter.metavar or parameter.name).upper().replace("-", "_")


def _default(parameter: Any) -> str:
    value = parameter.default
    said = "default" in (parameter.help or "").lower()
    nothing = value is None or value is False or value in ((), [], "")
    if nothing or callable(value) or said or getattr(parameter, "is_flag", False):
        return ""
    return f" Default: {value}."


def _lines(name: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
    usage = " ".join(_value(a) if a.required else f"[{_value(a)}]" for a in arguments)
    about = (command.help or "").split("\n\n")
    lines = [name, "-" * len(name), "", f".. program:: gammatune {name}", ""]
    lines += ["::", "", f"    gammatune {name} {usage}{' [options]' if options else ''}".rstrip(), ""]
    for paragraph in about:
        lines += [as_text(paragraph), ""]
    for argument in arguments:
        lines += [
            f".. option:: {_value(argument)}",
            "",
            f"    {as_text((argument.help or '') + _default(argument))}",
            "",
        ]
    panel = ""
    for option in sorted(options, key=lambda o: not getattr(o, "rich_help_panel", None)):  # the unnamed last
        panel, before = str(getattr(option, "rich_help_panel", None) or "Other"), panel
        if panel != before and any(getattr(o, "rich_help_panel", None) for o in options):
            lines += [f"**{panel}**", ""]
        flags = [*option.opts, *option.secondary_opts]
        value = _value(option)
        taking = ", ".join(f"{flag} {value}".rstrip() for flag in flags)
        needed = " Required." if option.required else ""
        often = " May be given several times." if option.multiple else ""
        lines += [
            f".. option:: {taking}",
            "",
            f"    {as_text((option.help or '') + often + needed + _default(option))}",
            "",
        ]
    return lines


class Commands(Directive):
    def run(self) -> list[nodes.Node]:
        text = StringList()
        for name, command in commands().items():
            for line in _lines(name, command):
                text.append(line, "gammatune --help")
        holder = nodes.section()
        holder.document = self.state.document
        nested_parse_with_titles(self.state, text, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("gammatune-commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
