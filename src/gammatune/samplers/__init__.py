"""Searches by name. Importing this package imports neither scipy nor Optuna: a sampler's own needs come with it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gammatune import plugins
from gammatune.errors import InvalidArgument
from gammatune.records import Values
from gammatune.samplers.sampler import Sampler
from gammatune.space import Space

if TYPE_CHECKING:
    from gammatune.samplers.bayes import Acquisition, Surrogate
    from gammatune.surrogate.dataset import Dataset

Factory: TypeAlias = Callable[..., Sampler]
Initial: TypeAlias = int | Sequence[Values]


def _grid(space: Space, rng: np.random.Generator, *, points: int = 12) -> Sampler:
    from gammatune.samplers.grid import Grid

    return Grid(space, rng, points)


def _random(space: Space, rng: np.random.Generator) -> Sampler:
    from gammatune.samplers.combinators import Distinct
    from gammatune.samplers.uniform import Uniform

    return Distinct(Uniform(space, rng), space, rng)


def _tabu(space: Space, rng: np.random.Generator) -> Sampler:
    from gammatune.samplers.combinators import Distinct
    from gammatune.samplers.tabu import Tabu

    return Distinct(Tabu(space, rng), space, rng)


def _tpe(space: Space, rng: np.random.Generator, *, initial: int = 10) -> Sampler:
    from gammatune.samplers.combinators import Distinct
    from gammatune.samplers.tpe import TPE

    return Distinct(TPE(space, rng, initial), space, rng)


def _bayes(
    space: Space,
    rng: np.random.Generator,
    surrogate: "Callable[[Dataset], Surrogate]",
    acquisition: "Acquisition",
    initial: Initial,
) -> Sampler:
    from gammatune.samplers.bayes import Bayes
    from gammatune.samplers.combinators import Distinct, Fallback
    from gammatune.samplers.uniform import Uniform

    return Distinct(
        Fallback(Bayes(space, rng, surrogate, acquisition, initial), Uniform(space, rng)), space, rng
    )


def _improvement(acquisition: str, xi: float) -> "Acquisition":
    from gammatune.samplers.bayes import expected_improvement, probability_of_improvement

    _check_option("acquisition", acquisition, ("ei", "pi"))
    return expected_improvement(xi) if acquisition == "ei" else probability_of_improvement(xi)


def _surrogate(name: Literal["gamma", "gaussian", "gaussian-quadrature"]) -> "Callable[[Dataset], Surrogate]":
    if name == "gamma":
        from gammatune.surrogate.gamma import GammaProcess

        return GammaProcess
    from gammatune.surrogate.gp import QuadratureGP, fit

    return fit if name == "gaussian" else QuadratureGP


def _improving(surrogate: Literal["gamma", "gaussian", "gaussian-quadrature"], default_xi: float) -> Factory:
    """A search by PI or EI."""

    def make(
        space: Space,
        rng: np.random.Generator,
        *,
        initial: Initial = 2,
        acquisition: Literal["ei", "pi"] = "ei",
        xi: float = default_xi,
    ) -> Sampler:
        return _bayes(space, rng, _surrogate(surrogate), _improvement(acquisition, xi), initial)

    return make


def _plugin(reading: Literal["a", "b"]) -> Factory:
    def make(
        space: Space,
        rng: np.random.Generator,
        *,
        initial: Initial = 2,
        variance: Literal["mean", "variance"] = "mean",
        xi: float = 0.01,
    ) -> Sampler:
        from gammatune.samplers.thesis_gamma import plugin_improvement

        _check_option("variance", variance, ("mean", "variance"))
        return _bayes(space, rng, _surrogate("gaussian"), plugin_improvement(reading, variance, xi), initial)

    return make


def _check_option(name: str, value: object, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise InvalidArgument(f"{name} is one of {', '.join(legal)}, got {value!r}")


SamplerName: TypeAlias = Literal[
    "gamma", "gaussian", "gaussian-quadrature", "gamma-plugin-a", "gamma-plugin-b", "grid", "random", "tabu", "tpe"
]  # fmt: skip
SAMPLERS: Mapping[str, Factory] = MappingProxyType(
    {
        "gamma": _improving("gamma", 0.0),  # the default: Gamma process, Student-t EI
        # the thesis's Gaussian search: fitted GP, EI with xi = 0.01
        "gaussian": _improving("gaussian", 0.01),
        # ablation: the Gamma process without its Gamma
        "gaussian-quadrature": _improving("gaussian-quadrature", 0.0),
        "gamma-plugin-a": _plugin("a"),  # the thesis's Gamma search, two readings
        "gamma-plugin-b": _plugin("b"),
        "grid": _grid,
        "random": _random,
        "tabu": _tabu,
        "tpe": _tpe,  # needs the extra `optuna`
    }
)


def make_sampler(name: str, space: Space, rng: np.random.Generator, **options: Any) -> Sampler:
    """The sampler of that name; the same seed of `rng` gives the same proposals.

    name: one of SAMPLERS, or what an installed package offers (`gammatune.plugins`); ours come first.
    Options: grid takes points (12); gamma, gaussian and gaussian-quadrature take initial (2, or a list of
    values), acquisition ("ei" or "pi") and xi (in standard deviations of the scores); gamma-plugin-a and -b
    take initial, variance ("mean": b_n / a_n, "variance": b_n / (a_n - 1)) and xi; tpe takes initial (10).
    Raises InvalidArgument for an unknown name or option, MissingExtra where a package is not installed; what the
    import of a sampler of another package raises goes through.
    """
    factory: Factory = SAMPLERS[name] if name in SAMPLERS else plugins.load("sampler", name, SAMPLERS)
    known = _options(factory)
    if known is not None and (unknown := sorted(set(options) - set(known))):
        raise InvalidArgument(
            f"the sampler {name} has no option {unknown[0]!r}; it takes {', '.join(known) or 'none'}"
        )
    return factory(space, rng, **options)


def _options(factory: Factory) -> list[str] | None:
    """What it takes behind the space and the generator; None where that cannot be told."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # written in C
        return None
    if any(option.kind is inspect.Parameter.VAR_KEYWORD for option in parameters):
        return None
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [option.name for place, option in enumerate(parameters) if option.kind in named and place >= 2]


__all__ = ["SAMPLERS", "Sampler", "make_sampler"]
