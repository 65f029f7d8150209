"""What was fitted beside a network, in its run directory and read again.

models.skops    the linear model and the trees, which a pickle would run code to read
folds.pt        the weights of the networks of the cross-fitting, one after the other
"""

import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gammatune.engine.forks import archive
from gammatune.errors import JournalError, JournalWarning, require
from gammatune.files import whole_file
from gammatune.pipeline.families import Answering
from gammatune.pipeline.models.linear import Linear
from gammatune.pipeline.models.trees import Bag, Trees
from gammatune.report.models import LINEAR, TREES

MODELS, NETS = "models.skops", "folds.pt"
# What scikit-learn's boosting is made of, beside what skops knows to be harmless.
TRUSTED = (
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)


def keep(fitted: Mapping[str, Answering], directory: Path) -> str | None:
    """Write linear model and trees; the SHA-256 of the file, None where there are none, or the disk takes none."""
    held: dict[str, Any] = {}
    for kind, model in fitted.items():
        if isinstance(model, Linear):
            held[kind] = {"model": model.model, "classes": model.classes, "penalty": model.penalty}
        elif isinstance(model, Bag):
            held[kind] = {"members": [_of_trees(member) for member in model.members]}
        elif isinstance(model, Trees):
            held[kind] = _of_trees(model)
        elif kind in (LINEAR, TREES):
            raise AssertionError(f"nobody knows how {kind} is kept")
    if not held:
        return None
    content = require("skops.io", "tables").dumps(held)
    try:
        whole_file(directory / MODELS, lambda file: file.write(content))
    except OSError as error:
        _warn_of(MODELS, directory, error)
        return None
    return hashlib.sha256(content).hexdigest()


def keep_nets(weights: Sequence[Mapping[str, Any]], directory: Path) -> str | None:
    """Write the weights of networks; the SHA-256 of the file, None where the disk does not take it."""
    try:
        return archive.put(directory / NETS, [dict(each) for each in weights])
    except OSError as error:
        _warn_of(NETS, directory, error)
        return None


def kept(directory: Path, sha256: str | None) -> dict[str, Answering]:
    """What `keep` wrote, by kind. Raises JournalError where it is not that, or cannot be read."""
    if sha256 is None:
        return {}
    path = directory / MODELS
    content = _content(path, sha256)
    try:
        held = require("skops.io", "tables").loads(content, trusted=list(TRUSTED))
    except (TypeError, ValueError, AttributeError, KeyError, ImportError) as error:
        raise JournalError(
            f"{path} cannot be read by this scikit-learn ({error}); install the one that the run was made with, or "
            "train again"
        ) from error
    found: dict[str, Answering] = {}
    if LINEAR in held:
        found[LINEAR] = Linear(**held[LINEAR])
    if TREES in held:
        members = held[TREES].get("members")
        found[TREES] = _trees(held[TREES]) if members is None else Bag(tuple(map(_trees, members)))
    return found


def kept_nets(directory: Path, sha256: str) -> list[Mapping[str, Any]]:
    """What `keep_nets` wrote. Raises JournalError."""
    content = io.BytesIO(_content(directory / NETS, sha256))
    weights: list[Mapping[str, Any]] = torch.load(content, map_location="cpu", weights_only=True)
    return weights


def _of_trees(trees: Trees) -> dict[str, Any]:
    return {"boosters": list(trees.boosters), "classes": trees.classes, "rounds": list(trees.rounds)}


def _trees(held: Mapping[str, Any]) -> Trees:
    return Trees(tuple(held["boosters"]), held["classes"], tuple(held["rounds"]))


def _content(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(
            f"{path} cannot be read ({error.strerror or error}); allow it, or train again"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise JournalError(f"{path} is not what the run wrote; train again")
    return content


def _warn_of(name: str, directory: Path, error: OSError) -> None:
    warnings.warn(
        f"cannot write {name} to {directory} ({error.strerror or error}), so that the network is handed over "
        "whatever is best. Free the disk, and begin again in another directory",
        JournalWarning,
        stacklevel=3,
    )
