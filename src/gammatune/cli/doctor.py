"""The command `gammatune doctor`: an examination (engine/doctor/doctor.py) of what a factory of the user's own
makes."""

import inspect
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gammatune.errors import InvalidArgument

TUPLE = ("model", "optimizer", "loader", "step", "state")  # in this order, the last may be missing
KEYS = (*TUPLE, "loss_fn", "evaluate")


def doctor(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="FACTORY",
            help="package.module:factory, a function of yours that returns a dict of model, optimizer, loader, and "
            "step or loss_fn (and state, evaluate), or a tuple (model, optimizer, loader, step).",
        ),
    ],
    steps: Annotated[int, typer.Option(help="How many steps are trained each time, about eight times.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Try whether a training of your own comes back from a fork as it was; exit status 1 where it does not."""
    from gammatune.engine.doctor.doctor import doctor as examine

    diagnosis = examine(**_given(factory), steps=steps)
    print(json.dumps(diagnosis.to_dict()) if as_json else diagnosis)
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _given(path: str) -> dict[str, Any]:
    """What a factory made, by name. Raises InvalidArgument where it is not what is asked for."""
    from gammatune.pipeline.models import find_factory

    if ":" not in path:
        raise InvalidArgument(f"{path!r} names no factory; write package.module:factory")
    factory = find_factory(path, "what is to be examined")
    needed = [name for name, p in inspect.signature(factory).parameters.items() if p.default is p.empty]
    if needed:
        raise InvalidArgument(
            f"{path} needs the argument {needed[0]!r}; give it a default, since it is called with none"
        )
    made = factory()
    if isinstance(made, tuple) and len(TUPLE) - 1 <= len(made) <= len(TUPLE):
        return dict(zip(TUPLE, made, strict=False))
    if not isinstance(made, Mapping):
        size = f" of {len(made)}" if isinstance(made, tuple) else ""
        raise InvalidArgument(
            f"{path} returned {type(made).__name__}{size}; return a dict with some of {', '.join(KEYS)}, or a tuple "
            "(model, optimizer, loader, step)"
        )
    wrong = [key for key in made if key not in KEYS]
    missing = [key for key in TUPLE[:3] if key not in made]
    if wrong or missing:
        said = f"has {wrong[0]!r}" if wrong else f"has no {missing[0]!r}"
        raise InvalidArgument(f"the dict that {path} returned {said}; give some of {', '.join(KEYS)}")
    return dict(made)
