"""Every exception gammatune raises on purpose: what happened, what was received, what to do."""

import importlib
import operator
from typing import Any


class GammatuneError(Exception):
    """The family: catch this to catch all of ours and nothing of yours."""


class InvalidSpace(GammatuneError, ValueError):
    """A search space that cannot be searched: bounds reversed, log of zero, an empty choice."""


class InvalidArgument(GammatuneError, ValueError):
    """A value handed to a public function that it cannot use."""


class InvalidData(GammatuneError, ValueError):
    """A data set that cannot be trained on: unreadable, empty, NaN inside, labels out of range."""


class ModelMismatch(GammatuneError, ValueError):
    """A model whose output does not fit the data."""


class MissingReport(GammatuneError, RuntimeError):
    """The loop body ended without `run.report(...)`: the rollout has no score."""


class ConflictingControl(GammatuneError, RuntimeError):
    """Two hands on one hyperparameter: a value gammatune set was found changed, or could not be set."""


class NotRestorable(GammatuneError, RuntimeError):
    """Something takes part in the training that a fork cannot capture and put back."""


class AllDiverged(GammatuneError, RuntimeError):
    """Every candidate of a decision diverged; the weights are back where the decision began.

    tried: the numbers of their rollouts, where they are known.
    """

    def __init__(self, said: str, tried: list[int] | tuple[int, ...] = ()) -> None:
        super().__init__(said)
        self.tried = tuple(tried)


class JournalError(GammatuneError, RuntimeError):
    """A run directory or journal that cannot be read or written."""


class AnotherRun(JournalError):
    """A run directory holds a run that was begun otherwise than the one that is asked for."""


class RunIsLocked(JournalError):
    """Another process works in the run directory."""


class DamagedCheckpoint(GammatuneError):
    """A checkpoint that is missing, is not what was written, or cannot be read."""


class WorkerLost(GammatuneError, RuntimeError):
    """A rollout that was begun several times, and lost each time with the worker that trained it."""


class RankFailed(GammatuneError, RuntimeError):
    """Another process of a training in several has ended, or does something else than this one.

    infeasible: because its memory ran out.
    """

    def __init__(self, said: str, *, infeasible: bool = False) -> None:
        super().__init__(said)
        self.infeasible = infeasible


class MissingExtra(GammatuneError, ImportError):
    """An optional dependency is needed and not installed."""


_PACKAGES = {"PIL": "Pillow", "keras": "Keras", "lightning": "Lightning", "optuna": "Optuna", "ray": "Ray"}
_PACKAGES |= {"torch": "TensorBoard", "transformers": "Transformers"}  # torch has only the writer for it


def require(module: str, extra: str | None, use: str = "", *, instead: str = "") -> Any:
    """The module, which the extra of that name brings; None: a package that no extra does.

    use: what it is for, up to its name ("images are read by"). instead: what else would do. Raises MissingExtra where
    it is not installed, or was built for another version of what it stands on.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        package = module.partition(".")[0]
        package = _PACKAGES.get(package, package)
        state = "is not installed"
        if not isinstance(error, ImportError):
            state = f"does not go with what else is installed ({first_line(error)})"
        said = f"{use} {package}, which {state}" if use else f"{package} {state}"
        what = package if extra is None else f"'gammatune[{extra}]'"
        other = f", or {instead}" if instead else ""
        raise MissingExtra(f"{said}; install it with: pip install {what}{other}") from error


def first_line(error: BaseException) -> str:
    """Of what an error says, 200 characters at most; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(":")[:200]


def whole(value: Any, name: str, *, least: int) -> int:
    """A whole number that was handed over as `name`. Raises InvalidArgument where it is none, or below `least`."""
    try:
        number = operator.index(value)  # an int, or NumPy's
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise InvalidArgument(f"{name}={value!r}: give a whole number of {least} or more")
    return number


class PluginWarning(UserWarning):
    """A sampler or policy of another package that is passed over."""


class EscapeWarning(UserWarning):
    """Something that takes part in the training is put back by no fork; what is said names it."""


class WorkerWarning(UserWarning):
    """A worker was lost; another does its work."""


class JournalWarning(UserWarning):
    """The journal of a run cannot be written for now; the training goes on."""


class DataWarning(UserWarning):
    """Something unusual in rows that are predicted: it was read all the same, and how is said."""
