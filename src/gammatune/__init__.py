"""Train once; the learning rate finds itself.

    fit     a model and data in, the trained model and what was found out; or a table in, the best model for it out
    read_table  how a table is understood, column by column
    Tuner   the same inside a training loop of your own
    find_lr  a rate for a training that you do, and everything as it was before
    Search, Running, Training   their options, in records
    load    what a run of `gammatune train`, or of `fit` with a table, hands over
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

    from gammatune import errors as errors
    from gammatune.course import Schedule as Schedule
    from gammatune.engine.doctor.doctor import Diagnosis as Diagnosis
    from gammatune.engine.doctor.doctor import doctor as doctor
    from gammatune.integrations.sklearn import GammaTunedClassifier as GammaTunedClassifier
    from gammatune.integrations.sklearn import GammaTunedRegressor as GammaTunedRegressor
    from gammatune.journal.table import rollouts as rollouts
    from gammatune.journal.tracker import Tracker as Tracker
    from gammatune.metrics.bootstrap import Measure as Measure
    from gammatune.metrics.permutation_importance import Importance as Importance
    from gammatune.metrics.permutation_importance import importance as importance
    from gammatune.pipeline.front_door import fit as fit
    from gammatune.pipeline.predictor import Predictor as Predictor
    from gammatune.pipeline.predictor import load as load
    from gammatune.pipeline.table_reading import TableReading as TableReading
    from gammatune.pipeline.table_reading import read_table as read_table
    from gammatune.plugins import plugin as plugin
    from gammatune.report.html.page import write_report as write_report
    from gammatune.report.progress import progress as progress
    from gammatune.space import Choice as Choice
    from gammatune.space import Float as Float
    from gammatune.space import Int as Int
    from gammatune.space import Space as Space
    from gammatune.supervised.arguments import Training as Training
    from gammatune.supervised.find_lr import find_lr as find_lr
    from gammatune.supervised.found_rate import FoundRate as FoundRate
    from gammatune.supervised.pretrained import freeze as freeze
    from gammatune.supervised.result import FitResult as FitResult
    from gammatune.supervised.weights import load_weights as load_weights
    from gammatune.tuning.options import Running as Running
    from gammatune.tuning.options import Search as Search
    from gammatune.tuning.replay import replay as replay
    from gammatune.tuning.result import Result as Result
    from gammatune.tuning.run import Run as Run
    from gammatune.tuning.tuner import Tuner as Tuner

_HOMES = {
    "fit": "gammatune.pipeline.front_door",
    "Predictor": "gammatune.pipeline.predictor",
    "read_table": "gammatune.pipeline.table_reading",
    "TableReading": "gammatune.pipeline.table_reading",
    "find_lr": "gammatune.supervised.find_lr",
    "FoundRate": "gammatune.supervised.found_rate",
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
    "load": "gammatune.pipeline.predictor",
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
__all__ = sorted([*_HOMES, "errors"])


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
    return __all__
