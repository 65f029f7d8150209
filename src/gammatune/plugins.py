"""Samplers and policies of other packages, by name: entry points of the groups below.

A package says in its pyproject.toml

    [project.entry-points."gammatune.samplers"]
    halving = "their_package:Halving"          # (space, rng, **options) -> Sampler
    [project.entry-points."gammatune.policies"]
    patient = "their_package:patient"          # Job -> generator of requests

and, once it is installed, `sampler=gammatune.plugin("halving")` and `policy=gammatune.plugin("patient")` work
wherever a name does. The plain name works too, but a type checker knows gammatune's own alone, so that it finds what
is misspelt. Nothing of it is imported before it is asked for. The names of gammatune's own come first.
"""

import warnings
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias

from gammatune.errors import InvalidArgument, PluginWarning

Kind: TypeAlias = Literal["sampler", "policy"]
GROUPS: dict[Kind, str] = {"sampler": "gammatune.samplers", "policy": "gammatune.policies"}


class Plugin(str):
    """The name of a sampler or policy of an installed package; it is looked up where it is used."""

    __slots__ = ()


def plugin(name: str) -> Plugin:
    """A sampler or policy that an installed package offers, by name: `policy=gammatune.plugin("patient")`.

    Where nobody offers it, the `fit` or `Tuner` that it is handed to raises InvalidArgument.
    """
    return Plugin(name)


_loaded: dict[tuple[Kind, str], Any] = {}
_shadowed: set[tuple[Kind, str]] = set()  # said once a process


def installed(kind: Kind) -> dict[str, list[EntryPoint]]:
    """What other packages offer, by name; several of one name where they clash."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUPS[kind]):
        same = found.setdefault(point.name, [])
        if all((point.value, _package(point)) != (other.value, _package(other)) for other in same):
            same.append(point)
    return found


def load(kind: Kind, name: str, own: Collection[str]) -> Any:
    """What an installed package offers under a name. own: the names of gammatune's, for the message.

    Raises InvalidArgument where nobody offers it, or two do, or it cannot be called. What its import raises goes
    through, with a note that says whose it is.
    """
    if (kind, name) in _loaded:  # a sampler is made anew for every decision
        return _loaded[kind, name]
    found = installed(kind)
    if name not in found:
        others = ", ".join(f"{n} (of {_package(those[0])})" for n, those in sorted(found.items()))
        more = f"; installed besides: {others}" if others else ""
        raise InvalidArgument(f"there is no {kind} {name!r}; write one of {', '.join(own)}{more}")
    point, *clash = found[name]
    if clash:
        whose = " and ".join(f"{_package(one)} ({one.value})" for one in found[name])
        raise InvalidArgument(
            f"the {kind} {name!r} is offered by {whose}; uninstall one of them, or hand the {kind} itself over "
            "instead of its name"
        )
    try:
        loaded = point.load()
    except Exception as error:
        error.add_note(
            f"This comes from importing the {kind} {name!r} of the package {_package(point)} ({point.value}); "
            f"reinstall or fix that package, or choose another {kind}."
        )
        raise
    if not callable(loaded):
        wanted = "a function (space, generator) -> sampler" if kind == "sampler" else "a function of the job"
        raise InvalidArgument(
            f"the {kind} {name!r} of the package {_package(point)} ({point.value}) is a "
            f"{type(loaded).__name__}, not {wanted}; ask its authors"
        )
    _loaded[kind, name] = loaded
    return loaded


def version_of(kind: Kind, name: str) -> dict[str, str]:
    """{package: version} of what a name stands for; empty where that is not known."""
    points = installed(kind).get(name, [])
    return {p.dist.name: p.dist.version for p in points[:1] if p.dist is not None}


def say_shadowed(kind: Kind, name: str) -> None:
    """Warn, once, where a package offers what has the name of one of gammatune's own."""
    if (kind, name) in _shadowed:
        return
    _shadowed.add((kind, name))
    for point in installed(kind).get(name, []):
        warnings.warn(
            f"the package {_package(point)} offers a {kind} {name!r} too ({point.value}); gammatune's own is used. "
            "To use the other, hand it over instead of its name",
            PluginWarning,
            stacklevel=4,
        )


def _package(point: EntryPoint) -> str:
    return "an unnamed package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
