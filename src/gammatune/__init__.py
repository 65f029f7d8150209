"""Train once; the learning rate finds itself.

    fit     a model and data in, the trained model and what was found out
    Tuner   the same inside a training loop of your own
    load    the trained network of a run that `gammatune train` made
    freeze, load_weights   for a network that was trained before
    replay  what one of them found, followed again without a search
    doctor  whether a training of your own comes back from a fork as it was
    GammaTunedClassifier, GammaTunedRegressor    `fit` as scikit-learn estimators
    write_report  a run as one HTML page
    importance  what each column of a table is worth to a model
    plugin  the name of a policy or sampler that an installed package offers

Names are loaded when first used, so that `import gammatune` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from gammatune import errors
    from gammatune.course import Schedule
    from gammatune.examination import Diagnosis, doctor
    from gammatune.fitting import FitResult, fit
    from gammatune.flat import rollouts
    from gammatune.freezing import freeze
    from gammatune.integrations.sklearn import GammaTunedClassifier, GammaTunedRegressor
    from gammatune.loading import load
    from gammatune.measures import Measure
    from gammatune.permuting import Importance, importance
    from gammatune.plugins import plugin
    from gammatune.repeating import replay
    from gammatune.report.page import write_report
    from gammatune.report.progress import progress
    from gammatune.run import Run
    from gammatune.space import Choice, Float, Int, Space
    from gammatune.tracking import Tracker
    from gammatune.tuner import Result, Tuner
    from gammatune.weights import load_weights

__all__ = [
    "Choice",
    "Diagnosis",
    "FitResult",
    "Float",
    "GammaTunedClassifier",
    "GammaTunedRegressor",
    "Importance",
    "Int",
    "Measure",
    "Result",
    "Run",
    "Schedule",
    "Space",
    "Tracker",
    "Tuner",
    "doctor",
    "errors",
    "fit",
    "freeze",
    "importance",
    "load",
    "load_weights",
    "plugin",
    "progress",
    "replay",
    "rollouts",
    "write_report",
]

_HOMES = {
    "fit": "gammatune.fitting",
    "FitResult": "gammatune.fitting",
    "Tuner": "gammatune.tuner",
    "Tracker": "gammatune.tracking",
    "Run": "gammatune.run",
    "Result": "gammatune.tuner",
    "Schedule": "gammatune.course",
    "freeze": "gammatune.freezing",
    "load": "gammatune.loading",
    "load_weights": "gammatune.weights",
    "plugin": "gammatune.plugins",
    "progress": "gammatune.report.progress",
    "replay": "gammatune.repeating",
    "rollouts": "gammatune.flat",
    "write_report": "gammatune.report.page",
    "doctor": "gammatune.examination",
    "importance": "gammatune.permuting",
    "Importance": "gammatune.permuting",
    "Measure": "gammatune.measures",
    "Diagnosis": "gammatune.examination",
    "GammaTunedClassifier": "gammatune.integrations.sklearn",
    "GammaTunedRegressor": "gammatune.integrations.sklearn",
    "Space": "gammatune.space",
    "Float": "gammatune.space",
    "Int": "gammatune.space",
    "Choice": "gammatune.space",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        globals()[name] = importlib.import_module("importlib.metadata").version("gammatune")
        return globals()[name]
    if name == "errors":
        return importlib.import_module("gammatune.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'gammatune' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
