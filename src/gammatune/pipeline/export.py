"""A trained model as one file for programs that know nothing of gammatune.

    .pt2     torch's exported program: torch.export.load(path).module()(x)
    .onnx    for ONNX Runtime and others; trees and linear models too, and their average with a network
    .skops   the trees and the linear model of a run that hands over those, as scikit-learn has them:
             skops.io.load(path)

Within the file the preparation comes first and the meaning last, so that raw numbers go in and answers come out:

    images of bytes   uint8 (n, C, H, W), 0 to 255    (x / 255 - mean) / std  ->  network
    other inputs      float32 (n, C, H, W) or (n, F)  (x - mean) / std        ->  network
    classification    softmax                     ->  probabilities float32 (n, k), in the order of `classes`
    regression        y * target_std + target_mean    ->  values float32 (n, t), in the unit of the targets

n is free. Several nets whose predictions are averaged go into one file, and what comes out is the average. A table
has text and dates, which neither format reads: its file begins with the columns encoded.
"""

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gammatune.engine.ensemble import Ensemble, members_of
from gammatune.errors import InvalidArgument
from gammatune.files import whole_file
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.export_formats import (
    WRITERS,
    Write,
    checked,
    onnx_of,
    quietly,
    require_onnx,
    written,
)
from gammatune.pipeline.kept import MODELS
from gammatune.pipeline.load import Plan, fitted, network, parts, plan_of
from gammatune.pipeline.models import onnx_graphs
from gammatune.pipeline.models.seeded import seeded
from gammatune.report.models import AVERAGE, NET

ONNX, SKOPS = ".onnx", ".skops"
FITTED = (ONNX, SKOPS)  # endings of what was fitted beside a network
LAYOUT = {
    "linear": {"model": "scikit-learn's pipeline", "classes": "how many; 0 for a regression"},
    "trees": {
        "boosters": "scikit-learn's, one for a classification, else one for each target",
        "members": "where there are any, several such, whose answers are averaged",
    },
}
MEDIAN = "the median: the first class at which the probabilities, added up in their order, come to a half"
EXAMPLES = 3  # tried in torch and in the file
ROWS = 100  # tried of trees, each of which goes another way


class Prepared(nn.Module):
    """Raw inputs -> what they mean, around a network. See the module docstring.

    prepares: the inputs come raw; else as the network was trained on them.
    """

    mean: Tensor
    std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, plan: Plan, net: nn.Module, *, prepares: bool) -> None:
        super().__init__()
        known = plan.preprocessing
        self.network = net
        self.classifies = known.task == "classification"
        self.prepares = prepares and isinstance(known, Preprocessing)
        self.pixels = False
        if prepares and isinstance(known, Preprocessing):
            self.pixels = known.pixels
            per_channel = (len(known.mean),) + (1,) * (len(known.shape) - 1)  # (C, 1, 1) or (F,)
            for name, values in (("mean", known.mean), ("std", known.std)):
                self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(per_channel))
        for name, values in (("target_mean", known.target_mean), ("target_std", known.target_std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        if self.prepares:
            x = x.to(torch.float32)
            x = ((x / 255 if self.pixels else x) - self.mean) / self.std
        y: Tensor = self.network(x)
        return y.softmax(dim=1) if self.classifies else y * self.target_std + self.target_mean


class _OneInput(nn.Module):
    """An ensemble, of whose arguments torch.export wants to know how many there are."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.network = net

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network(x)
        return y


def export(run: str, out: str, *, raw: bool = False, force: bool = False, single: bool = False) -> str:
    """Write the model that `run` hands over to `out`, whose ending says how; what was done, in words.

    raw: the network alone, its inputs and outputs as it was trained on them. force: write over a file. single: of
    several nets whose predictions are averaged the best alone.
    A description (`details_of`) goes into the file, and for a table beside it too, as OUT with the ending .json.

    Raises JournalError: no finished run there. InvalidArgument: not a run of the command line, another ending, a file
    that is there already or cannot be written. ModelMismatch: a network that torch cannot export. MissingExtra.
    """
    path = _path(out)
    plan = plan_of(run)
    is_net = plan.kind == NET or raw or single
    if path.suffix not in (WRITERS if is_net else FITTED):
        raise InvalidArgument(_another_ending(plan, out))
    is_table = not isinstance(plan.preprocessing, Preprocessing)
    beside = path.with_suffix(".json") if is_table and not raw else None
    _refuse_what_is_there(path, beside, force=force)
    if not is_net:
        return _of_fitted(plan, path)
    if path.suffix == ONNX:
        require_onnx(instead="write .pt2")
    net = network(plan, single=single)
    nets = len(members_of(net))
    program: nn.Module = Prepared(plan, net, prepares=not is_table).eval()
    if raw:
        program = _OneInput(net).eval() if isinstance(net, Ensemble) else net
    details = details_of(plan, raw=raw, nets=nets)
    example = _zeros(plan, details)
    tried, text = _random(EXAMPLES, example), json.dumps(details, ensure_ascii=False)
    with quietly(), torch.no_grad():
        write, nearly = checked(
            lambda: WRITERS[path.suffix](program, example, details, text),
            *(tried, program(tried)),
            f"torch cannot export the network of {run} with any number of examples at a time",
            "load it with gammatune.load instead",
        )
        _put(path, write)
    also = "" if beside is None else _put_columns(beside, details)
    averaged = f", the average of {nets} nets" if nets > 1 else ""
    return f"{path}{also}: {_both_sides(details)}{averaged}, for any n{nearly}"


def _of_fitted(plan: Plan, path: Path) -> str:
    """What was fitted beside the network, or its average with that; and how it is read beside it."""
    members = plan.report.get("members", ()) if plan.kind == AVERAGE else (plan.kind,)
    nets = plan.report.get("nets", 1) if NET in members else 0
    details = details_of(plan, raw=False, nets=nets) | {"model": plan.kind, "members": list(members)}
    answering = fitted(plan)  # refuses what is damaged
    beside = path.with_suffix(".json")
    if path.suffix == ONNX:
        write, said = _as_onnx(plan, answering, details)
    else:
        it, how = (
            ("The networks are among", "their average") if _several(plan) else ("The network is one of", "it")
        )
        net = f" {it} those averaged: export {how} too, with {_alone(plan)}." if NET in members else ""
        # as they were fitted: of a classification a column for each class that was met in training (`classes_`)
        result = "probabilities" if plan.preprocessing.task == "classification" else "standardised targets"
        details["output"] |= {"words": result}
        details["layout"] = LAYOUT
        content = (Path(plan.run) / MODELS).read_bytes()
        write, said = (lambda file: file.write(content)), f", for skops.io.load.{net}"
    _put(path, write)
    return f"{path}{_put_columns(beside, details)}: {plan.name}, {_both_sides(details)}{said}"


def _as_onnx(plan: Plan, answering: Any, details: Mapping[str, Any]) -> tuple[Write, str]:
    """details["members"]: whose average it is."""
    require_onnx(instead="write .skops", torch=NET in details["members"])
    known, text = plan.preprocessing, json.dumps(details, ensure_ascii=False)
    tried = _rows(plan)
    with quietly(), torch.no_grad():
        said = answering(tried.numpy())
        expected = said if known.task == "classification" else known.original_targets(said)
        write, nearly = checked(
            lambda: written(_graph(plan, details), details, text),
            *(tried, torch.from_numpy(expected)),
            f"{plan.name} of {plan.run} cannot be written as ONNX",
            f"end it in {SKOPS} instead",
        )
    return write, f", for any n{nearly}"


def _graph(plan: Plan, details: Mapping[str, Any]) -> Any:
    """An onnx.ModelProto of all that answers together."""
    known, found = plan.preprocessing, parts(plan)
    net, made, opset = found.pop(NET, None), [], onnx_graphs.OPSET
    if isinstance(net, nn.Module):
        program = Prepared(plan, net, prepares=False).eval()
        made = [onnx_of(program, _zeros(plan, details), details)]
        opset = next(each.version for each in made[0].opset_import if not each.domain)
    shape = onnx_graphs.Shape(known.shape[0], known.outputs, known.cardinalities, opset)
    for model in found.values():
        graph = onnx_graphs.graph_of(model, shape)
        if known.task == "regression":
            graph = onnx_graphs.in_unit(graph, known.target_mean, known.target_std, shape)
        made.append(graph)
    return onnx_graphs.joined(made, shape)


def _another_ending(plan: Plan, out: str) -> str:
    if plan.kind == NET:
        return (
            f"{out}: the run hands over its network, which that cannot hold; end it in {' or '.join(WRITERS)}"
        )
    what = "the average of the networks" if _several(plan) else "the network"
    alone = f", or write {what} alone with {_alone(plan)}" if plan.has_net else ""
    return f"{out}: the run hands over {plan.name}; end it in {' or '.join(FITTED)}{alone}"


def _several(plan: Plan) -> bool:
    """Whether several networks answer together, as the network."""
    return len(plan.nets) > 1 or plan.report.get("nets", 1) > 1


def _alone(plan: Plan) -> str:
    """The option that exports what the run means by the network: of several --single writes one."""
    return "--raw" if _several(plan) else "--single"


def _path(out: str) -> Path:
    if Path(out).suffix not in (*WRITERS, SKOPS):
        raise InvalidArgument(
            f"{out or 'an empty name'} does not say what to write; end it in {', '.join(WRITERS)} or {SKOPS}"
        )
    return Path(out)


def _refuse_what_is_there(*places: Path | None, force: bool) -> None:
    for place in places:
        if place is not None and place.exists() and not force:
            raise InvalidArgument(
                f"{place} is there already; name another file, or write over it with --force"
            )


def _both_sides(details: Mapping[str, Any]) -> str:
    return f"{_in_words(details['input'])}, to {_in_words(details['output'])}"


def _in_words(side: Mapping[str, Any]) -> str:
    """'pixels from 0 to 255, uint8 (n, 1, 28, 28)'."""
    return f"{side['words']}, {side['dtype']} ({', '.join(map(str, side['shape']))})"


def details_of(plan: Plan, *, raw: bool, nets: int = 1) -> dict[str, Any]:
    """What is written into the file: task, classes, input, output, and all of the preprocessing, ready for JSON.

    nets: how many are averaged in it."""
    known = plan.preprocessing
    is_table = not isinstance(known, Preprocessing)
    classifies = known.task == "classification"
    if raw or is_table:
        kind, words = "float32", "encoded columns" if is_table else "standardised inputs"
    elif isinstance(known, Preprocessing) and known.pixels:
        kind, words = "uint8", "pixels from 0 to 255"
    else:
        kind, words = "float32", "inputs as the data has them"
    if raw:
        logits = "logits" if nets == 1 else "logarithms of the averaged probabilities"
        result = logits if classifies else "standardised targets"
    else:
        result = "probabilities" if classifies else "targets in their unit"
    axes = "channel, row, column" if len(known.shape) == 3 else "feature"
    return {
        "gammatune": metadata.version("gammatune"),
        "model": plan.model,
        "nets": nets,
        "task": known.task,
        "classes": list(known.classes),
        "input": {"name": "x", "dtype": kind, "shape": ["n", *known.shape], "axes": axes, "words": words},
        "output": {"name": "y", "dtype": "float32", "shape": ["n", known.outputs], "words": result},
        "preprocessing": known.to_dict(),
        "preprocessing_is_inside": not (raw or is_table),
        **({"answer": MEDIAN} if known.ordered else {}),
    }


def _put(path: Path, write: Write) -> None:
    """Whole or not at all."""
    try:
        whole_file(path, write)
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {path} ({error.strerror or error}); choose another place with --out"
        ) from error


def _put_columns(beside: Path, details: Mapping[str, Any]) -> str:
    """In words."""
    listing = json.dumps(details, indent=1, ensure_ascii=False) + "\n"
    _put(beside, lambda file: file.write(listing.encode()))
    return f", its columns in {beside}"


def _zeros(plan: Plan, details: Mapping[str, Any]) -> Tensor:
    """Two examples."""
    return torch.zeros(2, *plan.preprocessing.shape, dtype=getattr(torch, details["input"]["dtype"]))


def _rows(plan: Plan) -> Tensor:
    """Encoded rows of a table: numbers about 0, and codes of every kind."""
    known, rng = plan.preprocessing, np.random.default_rng(0)
    rows = rng.normal(size=(ROWS, known.shape[0]))
    for place, codes in enumerate(reversed(known.cardinalities), start=1):
        rows[:, -place] = rng.integers(codes, size=ROWS)
    return torch.from_numpy(rows.astype(np.float32))


def _random(n: int, example: Tensor) -> Tensor:
    with seeded(0):
        if example.dtype == torch.uint8:
            return torch.randint(0, 256, (n, *example.shape[1:]), dtype=torch.uint8)
        return torch.rand(n, *example.shape[1:], dtype=example.dtype)
