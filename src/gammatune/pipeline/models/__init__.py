"""Nets by name, and what stands beside them on a table. Importing this does not import torch; making a net does."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidArgument
from gammatune.pipeline.models.from_timm import is_timm, timm_factory
from gammatune.supervised.defaults import model_for

if TYPE_CHECKING:
    from torch import nn

# name -> module and factory; a factory takes (shape, outputs), and cardinalities if it embeds categories.
MODELS: Mapping[str, str] = {
    "thesis": "gammatune.pipeline.models.thesis:thesis",
    "mlp": "gammatune.pipeline.models.mlp:mlp",
    "tabular": "gammatune.pipeline.models.tabular:tabular",
    "cnn": "gammatune.pipeline.models.cnn:cnn",
    "keras-cnn": "gammatune.pipeline.models.keras_cifar:keras_cifar",
    "resnet": "gammatune.pipeline.models.resnet:resnet",
    "alexnet": "gammatune.pipeline.models.alexnet:alexnet",
    "googlenet": "gammatune.pipeline.models.googlenet:googlenet",
    "lstm": "gammatune.pipeline.models.lstm:lstm",
}


def make_model(
    name: str, shape: tuple[int, ...], outputs: int, seed: int, cardinalities: tuple[int, ...] = ()
) -> "nn.Module":
    """A new net for examples of `shape`, (C, H, W) or (F,), with `outputs` numbers an example.

    name: one of MODELS; "auto", which is cnn for images and mlp for vectors; "timm:NAME", a net of timm's; or
    "package.module:factory", your own. Your factory is called with those of the keywords shape, outputs and
    cardinalities that it takes, and the current directory is on the import path.
    cardinalities: how many codes each of the last columns of a table has; only for a net that `embeds_categories`.
    seed: fixes the initial weights; torch's global random state stays as it was.
    Raises InvalidArgument: a name that is not known, a module or factory that cannot be found, a factory that
    needs other arguments or returns no nn.Module, a shape the net cannot take. MissingExtra: timm, or what that
    needs. What your own code raises is passed on as it is.
    """
    if name == "auto":
        name = model_for(shape)
    module_named = ":" in name and name[0] not in ":."
    if name not in MODELS and not module_named:
        raise InvalidArgument(
            f"there is no model {name!r}; choose from auto, {', '.join(MODELS)}, one of timm's as timm:NAME, "
            "or name your own as package.module:factory"
        )
    factory = timm_factory(name) if is_timm(name) else find_factory(MODELS.get(name, name))
    offered = {"shape": shape, "outputs": outputs, "cardinalities": cardinalities}
    arguments = _arguments(name, factory, offered)
    if cardinalities and "cardinalities" not in arguments:
        raise InvalidArgument(f"{name} takes no codes of categories; give it one column a level")

    from torch import nn

    from gammatune.pipeline.models.seeded import seeded

    with seeded(seed):
        model = factory(**arguments)
    if not isinstance(model, nn.Module):
        raise InvalidArgument(f"{name} must return a torch.nn.Module, got {type(model).__name__}")
    return model


def embeds_categories(name: str) -> bool:
    """Whether the net takes codes of categories, and learns what they mean. Raises what `find_factory` does."""
    if is_timm(name) or (name not in MODELS and not (":" in name and name[0] not in ":.")):
        return False
    return "cardinalities" in _arguments(
        name, find_factory(MODELS.get(name, name)), {"cardinalities": (), "shape": (), "outputs": 0}
    )


def find_factory(path: str, makes: str = "a model") -> Callable[..., Any]:
    """The function or class that "package.module:factory" names; the current directory is on the import path.

    makes: what it is to make, for the error. Raises InvalidArgument where it is not there or is no function.
    """
    module_name, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # for good, as `python -m` does: the module may import later
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # found, but something that it imports is not
        raise InvalidArgument(
            f"there is no module {error.name!r} on the import path or in {os.getcwd()}; "
            f"got {path!r}, write package.module:factory, without .py"
        ) from error
    if not hasattr(module, attribute):
        raise InvalidArgument(f"module {module_name!r} has no {attribute!r}; write package.module:factory")
    factory: Callable[..., Any] = getattr(module, attribute)
    if not callable(factory):
        raise InvalidArgument(
            f"{path!r} is of type {type(factory).__name__}, not a function or class that makes {makes}"
        )
    return factory


def _arguments(name: str, factory: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `offered` that the factory takes by name."""
    parameters = inspect.signature(factory).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(offered)
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    required = {
        p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    foreign = sorted(required - offered.keys())
    if foreign:
        raise InvalidArgument(
            f"{name} needs the argument {foreign[0]!r}; a factory gets shape and outputs (and cardinalities), or "
            "nothing: give the rest a default"
        )
    return {key: value for key, value in offered.items() if key in named}
