"""A trained network as one file for programs that know nothing of gammatune.

    .pt2     torch's exported program: torch.export.load(path).module()(x)
    .onnx    for ONNX Runtime and others
    .skops   the trees and the linear model of a run that hands over those: skops.io.load(path)

Within the file the preparation comes first and the meaning last, so that raw numbers go in and answers come out:

    images of bytes   uint8 (n, C, H, W), 0 to 255    (x / 255 - mean) / std  ->  network
    other inputs      float32 (n, C, H, W) or (n, F)  (x - mean) / std        ->  network
    classification    softmax                     ->  probabilities float32 (n, k), in the order of `classes`
    regression        y * target_std + target_mean    ->  values float32 (n, t), in the unit of the targets

n is free. Several nets whose predictions are averaged go into one file, and what comes out is the average. A table
has text and dates, which neither format reads: its file begins with the columns encoded.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from gammatune.engine.ensemble import Ensemble, members_of
from gammatune.errors import InvalidArgument, ModelMismatch, first_line, require
from gammatune.files import whole_file
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.kept import MODELS
from gammatune.pipeline.load import Plan, fitted, network, plan_of
from gammatune.pipeline.models.seeded import seeded
from gammatune.report.models import AVERAGE, NET

DETAILS = "gammatune.json"  # in a .pt2, among its extra files
KEY = "gammatune"  # in an .onnx, among its metadata
SKOPS = ".skops"
LAYOUT = {
    "linear": {"model": "scikit-learn's pipeline", "classes": "how many; 0 for a regression"},
    "trees": {
        "boosters": "scikit-learn's, one for a classification, else one for each target",
        "members": "where there are any, several such, whose answers are averaged",
    },
}
EXAMPLES = 3  # tried in torch and in the file
TOLERANCE = 1e-4  # between their outputs, relative to the largest (guess; 1e-6 is usual)


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
    """Write the trained network of `run` to `out`, whose ending says how; what was done, in words.

    raw: the network alone, its inputs and outputs as it was trained on them. force: write over a file. single: of
    several nets whose predictions are averaged the best alone.
    A description (`details_of`) goes into the file, and for a table beside it too, as OUT with the ending .json.

    Raises JournalError: no finished run there. InvalidArgument: not a run of the command line, another ending, a file
    that is there already or cannot be written. ModelMismatch: a network that torch cannot export. MissingExtra.
    """
    path = _path(out)
    plan = plan_of(run)
    if (plan.kind == NET or raw or single) == (path.suffix == SKOPS):
        raise InvalidArgument(_another_ending(plan, out))
    is_table = not isinstance(plan.preprocessing, Preprocessing)
    beside = path.with_suffix(".json") if is_table and not raw else None
    _refuse_what_is_there(path, beside, force=force)
    if path.suffix == SKOPS:
        return _of_fitted(plan, path)
    for package in ("onnx", "onnxscript") if path.suffix == ".onnx" else ():
        require(package, "onnx", "writing .onnx needs", instead="write .pt2")
    net = network(plan, single=single)
    nets = len(members_of(net))
    program: nn.Module = Prepared(plan, net, prepares=not is_table).eval()
    if raw:
        program = _OneInput(net).eval() if isinstance(net, Ensemble) else net
    details = details_of(plan, raw=raw, nets=nets)
    kind = details["input"]["dtype"]
    example = torch.zeros(2, *plan.preprocessing.shape, dtype=getattr(torch, kind))
    tried = _random(EXAMPLES, example)
    text = json.dumps(details, ensure_ascii=False)
    with _quietly(), torch.no_grad():
        expected = program(tried)
        try:
            write, run_again = WRITERS[path.suffix](program, example, details, text)
        except Exception as error:  # of torch.export's many kinds, and whatever the network's own code raises
            raise ModelMismatch(
                f"torch cannot export the network of {run} with any number of examples at a time: "
                f"{_said_by_torch(error)}; load it with gammatune.load instead"
            ) from error
        apart = None if run_again is None else _apart(run_again(tried), expected)
        if apart is not None and not apart <= TOLERANCE:
            raise ModelMismatch(
                f"the network of {run} says something else once it is exported (by {apart:.2g} of the largest "
                "output); load it with gammatune.load instead"
            )
        _put(path, write)
    also = ""
    if beside is not None:
        listing = json.dumps(details, indent=1, ensure_ascii=False) + "\n"
        _put(beside, lambda file: file.write(listing.encode()))
        also = f", its columns in {beside}"
    nearly = f"{apart:.0e} of the largest output from torch's" if apart else "the same as torch's"
    checked = "" if apart is None else f"; tried on {EXAMPLES} inputs, {nearly}"
    averaged = f", the average of {nets} nets" if nets > 1 else ""
    return (
        f"{path}{also}: {_in_words(details['input'])}, to {_in_words(details['output'])}{averaged}, for any "
        f"n{checked}"
    )


def _of_fitted(plan: Plan, path: Path) -> str:
    """What was fitted beside the network, as it lies in the run directory, and how it is read beside it."""
    fitted(plan)  # refuses what is damaged
    members = plan.report.get("members", ()) if plan.kind == AVERAGE else (plan.kind,)
    it, how = (
        ("The networks are among", "their average") if _several(plan) else ("The network is one of", "it")
    )
    net = f" {it} those averaged: export {how} too, with {_alone(plan)}." if NET in members else ""
    # as they were fitted: of a classification a column for each class that was met in training (`classes_`)
    result = "probabilities" if plan.preprocessing.task == "classification" else "standardised targets"
    details = details_of(plan, raw=False) | {"model": plan.kind, "members": list(members), "layout": LAYOUT}
    details["output"] |= {"words": result}
    content = (Path(plan.run) / MODELS).read_bytes()
    beside = path.with_suffix(".json")
    listing = json.dumps(details, indent=1, ensure_ascii=False) + "\n"
    _put(path, lambda file: file.write(content))
    _put(beside, lambda file: file.write(listing.encode()))
    return (
        f"{path}, its columns in {beside}: {plan.name}, for skops.io.load; "
        f"{_in_words(details['input'])}, to {_in_words(details['output'])}.{net}"
    )


def _another_ending(plan: Plan, out: str) -> str:
    if plan.kind == NET:
        return (
            f"{out}: the run hands over its network, which that cannot hold; end it in {' or '.join(WRITERS)}"
        )
    what = "the average of the networks" if _several(plan) else "the network"
    alone = f", or write {what} alone with {_alone(plan)}" if plan.has_net else ""
    return f"{out}: the run hands over {plan.name}; end it in {SKOPS}{alone}"


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
    for written in places:
        if written is not None and written.exists() and not force:
            raise InvalidArgument(
                f"{written} is there already; name another file, or write over it with --force"
            )


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
    }


# Formats --------------------------------------------------------------------------------------------------

# A writer makes of (program, example, details, text) what writes the file, and what runs its content again, if
# that can be tried here.
Write = Callable[[BinaryIO], object]
Writer = Callable[
    [nn.Module, Tensor, Mapping[str, Any], str], tuple[Write, Callable[[Tensor], Tensor] | None]
]


def _pt2(program: nn.Module, example: Tensor, details: Mapping[str, Any], text: str) -> Any:
    exported = _exported(program, example)
    return lambda file: torch.export.save(exported, file, extra_files={DETAILS: text}), exported.module()


def _onnx(program: nn.Module, example: Tensor, details: Mapping[str, Any], text: str) -> Any:
    made = torch.onnx.export(
        _exported(program, example),
        (example,),
        dynamo=True,
        verbose=False,
        input_names=[details["input"]["name"]],
        output_names=[details["output"]["name"]],
    )
    assert made is not None
    _name_the_batch(made.model.graph)
    made.model.metadata_props[KEY] = text
    made.model.metadata_props["classes"] = json.dumps(details["classes"], ensure_ascii=False)
    return lambda file: file.write(made.model_proto.SerializeToString()), _with_onnxruntime(made)


WRITERS: Mapping[str, Writer] = {".pt2": _pt2, ".onnx": _onnx}


def _name_the_batch(graph: Any) -> None:
    """n, where torch has a name of its own for it."""
    from onnxscript import ir  # type: ignore[import-untyped, unused-ignore]

    for value in (*graph.inputs, *graph.outputs):
        value.shape = ir.Shape(["n", *value.shape[1:]])


def _exported(program: nn.Module, example: Tensor) -> Any:
    import torch.export

    for parameter in program.parameters():
        parameter.requires_grad_(False)
    shapes = ({0: torch.export.Dim("n", min=1)},)
    return torch.export.export(program, (example,), dynamic_shapes=shapes)


def _with_onnxruntime(made: Any) -> Callable[[Tensor], Tensor] | None:
    """What runs an ONNX program, where that package is there."""
    try:
        import onnxruntime  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(
        made.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda x: torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


# Files ----------------------------------------------------------------------------------------------------


def _put(path: Path, write: Write) -> None:
    """Whole or not at all."""
    try:
        whole_file(path, write)
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {path} ({error.strerror or error}); choose another place with --out"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Without torch's warnings and logs, which speak of its own inside."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _random(n: int, example: Tensor) -> Tensor:
    with seeded(0):
        if example.dtype == torch.uint8:
            return torch.randint(0, 256, (n, *example.shape[1:]), dtype=torch.uint8)
        return torch.rand(n, *example.shape[1:], dtype=example.dtype)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-30))


def _said_by_torch(error: Exception) -> str:
    """The line of an error that says something; torch puts empty ones and the traced code before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else first_line(error)
