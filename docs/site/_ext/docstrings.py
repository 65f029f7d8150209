"""Docstrings as this code base writes them, as reStructuredText.

What stands there is plain text: paragraphs, indented blocks kept as they are, and within a paragraph sentences that
begin with the names of parameters ("epochs, budget: what they are."). Those become a list; a paragraph is begun at
"Raises"; `one backtick` is code.
"""

import contextlib
import dataclasses
import inspect
import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

from gammatune import errors

BREAK = re.compile(r"(?<=[.)]) (?=Raises \w|Twin: |Source: |Attributes: )")
CODE = re.compile(r"`+([^`]+)`+")
SPECIAL = re.compile(r"([\\*|])|(?<=\w)(_)(?=\W|$)")
NUMBERED = re.compile(r"^(?=\(?(?:\d+|[a-zA-Z])[.)] )")  # a list to reStructuredText
UNWRITABLE = re.compile(r"<function [\w.]*(?:<lambda>)?>|<factory>")
CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")
SHORT = {
    stringify_annotation(ArrayLike, mode="smart"): "ArrayLike",
    stringify_annotation(NDArray[np.float64], mode="smart"): "Array",
}
LINKS = {"Tuner", "fit", "Result", "FitResult", "Schedule", "Run", "Space", "Diagnosis"}
ERRORS = {
    name
    for name, thing in vars(errors).items()
    if inspect.isclass(thing) and thing.__module__ == errors.__name__
}
ERROR = re.compile(r"\b(" + "|".join(sorted(ERRORS)) + r")\b")


def _escaped(text: str) -> str:
    text = SPECIAL.sub(lambda found: "\\" + found.group(0), text)
    return ERROR.sub(r":py:obj:`~gammatune.errors.\1`", text)


def as_text(text: str) -> str:
    """A paragraph, with what is special to reStructuredText escaped outside of code."""
    parts = CODE.split(" ".join(text.split()))
    out = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            # what is marked ends at a letter only behind an empty escape
            out.append(("\\ " if place and part[:1].isalnum() else "") + _escaped(part))
        elif part in LINKS:
            out.append(f":py:obj:`~gammatune.{part}`")
        else:
            out.append(f"``{part}``")
    return NUMBERED.sub(r"\\", "".join(out))


def _named(text: str, names: set[str]) -> list[str]:
    """The paragraph cut in front of each "name, name: " whose names are all parameters."""
    if not names:
        return [text]
    one = "(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + ")"
    cut = re.compile(rf"(?:^|(?<=[.;)] ))(?={one}(?:, {one})*: )")
    places = [found.start() for found in cut.finditer(text)]
    return [
        text[a:b].strip()
        for a, b in zip([0, *places], [*places, len(text)], strict=True)
        if text[a:b].strip()
    ]


def _paragraph(lines: list[str], names: set[str]) -> list[str]:
    text, out = " ".join(" ".join(lines).split()), []
    for part in BREAK.split(text):
        for piece in _named(part, names):
            piece = re.sub(r";$", ".", piece)
            head, colon, rest = piece.partition(": ")
            if colon and all(word in names for word in head.split(", ")):
                bold = ", ".join(f"**{word}**" for word in head.split(", "))
                out += [f"- {bold}: {as_text(rest)}"]
            else:
                out += ["", as_text(piece), ""]
        out.append("")
    return out


def as_rst(lines: list[str], names: set[str]) -> list[str]:
    out: list[str] = []
    paragraph: list[str] = []
    literal: list[str] = []

    def flush() -> None:
        nonlocal paragraph, literal
        if paragraph:
            out.extend([*_paragraph(paragraph, names), ""])
        while literal and not literal[-1].strip():
            literal.pop()
        if literal:
            out.extend(["::", "", *(f"    {line}" for line in literal), ""])
        paragraph, literal = [], []

    for line in lines:
        if line.startswith("    ") or (literal and not line.strip()):
            if paragraph:
                flush()
            literal.append(line[4:])
        elif line.strip():
            if literal:
                flush()
            paragraph.append(line)
        else:
            flush()
    flush()
    return out


def _names(thing: Any) -> set[str]:
    """Whatever its docstring may explain: parameters, fields, properties."""
    names: set[str] = set()
    if inspect.isclass(thing):
        names |= {name for name in (*vars(thing), *getattr(thing, "__annotations__", {})) if name[0] != "_"}
        if dataclasses.is_dataclass(thing):
            names |= {field.name for field in dataclasses.fields(thing)}
        init = vars(thing).get("__init__")
        names |= set(init.__code__.co_names) if inspect.isfunction(init) else set()
    with contextlib.suppress(TypeError, ValueError):
        names |= set(inspect.signature(thing).parameters)
    return names


def _signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Without what is no Python, so that it can be laid out, and without what nobody writes."""
    if signature is None:
        return None
    if getattr(thing, "_is_protocol", False):
        return "", returns
    for long, short in SHORT.items():
        signature = signature.replace(long, short)
        returns = returns and returns.replace(long, short)
    return CLASS.sub(r"\1", UNWRITABLE.sub("...", signature)), returns


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines, _names(thing))


def _skip(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """What scikit-learn puts on every estimator is explained there."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
