"""Train once; the learning rate finds itself.

    fit     a model and data in, the trained model and what was found out
    Tuner   the same inside a training loop of your own
    Search, Running, Training   their options, in records
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

from gammatune import _moved

_moved.install()

if TYPE_CHECKING:
    __version__: str

    from gammatune import errors
    from gammatune.course import Schedule
    from gammatune.engine.doctor.doctor import Diagnosis, doctor
    from gammatune.integrations.sklearn import GammaTunedClassifier, GammaTunedRegressor
    from gammatune.journal.table import rollouts
    from gammatune.journal.tracker import Tracker
    from gammatune.metrics.bootstrap import Measure
    from gammatune.metrics.permutation_importance import Importance, importance
    from gammatune.pipeline.load import load
    from gammatune.plugins import plugin
    from gammatune.report.html.page import write_report
    from gammatune.report.progress import progress
    from gammatune.space import Choice, Float, Int, Space
    from gammatune.supervised.arguments import Training
    from gammatune.supervised.fit import fit
    from gammatune.supervised.pretrained import freeze
    from gammatune.supervised.result import FitResult
    from gammatune.supervised.weights import load_weights
    from gammatune.tuning.options import Running, Search
    from gammatune.tuning.replay import replay
    from gammatune.tuning.result import Result
    from gammatune.tuning.run import Run
    from gammatune.tuning.tuner import Tuner

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
    "Running",
    "Schedule",
    "Search",
    "Space",
    "Tracker",
    "Training",
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
    "fit": "gammatune.supervised.fit",
    "FitResult": "gammatune.supervised.result",
    "Tuner": "gammatune.tuning.tuner",
    "Tracker": "gammatune.journal.tracker",
    "Run": "gammatune.tuning.run",
    "Search": "gammatune.tuning.options",
    "Running": "gammatune.tuning.options",
    "Training": "gammatune.supervised.arguments",
    "Result": "gammatune.tuning.result",
    "Schedule": "gammatune.course",
    "freeze": "gammatune.supervised.pretrained",
    "load": "gammatune.pipeline.load",
    "load_weights": "gammatune.supervised.weights",
    "plugin": "gammatune.plugins",
    "progress": "gammatune.report.progress",
    "replay": "gammatune.tuning.replay",
    "rollouts": "gammatune.journal.table",
    "write_report": "gammatune.report.html.page",
    "doctor": "gammatune.engine.doctor.doctor",
    "importance": "gammatune.metrics.permutation_importance",
    "Importance": "gammatune.metrics.permutation_importance",
    "Measure": "gammatune.metrics.bootstrap",
    "Diagnosis": "gammatune.engine.doctor.doctor",
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
