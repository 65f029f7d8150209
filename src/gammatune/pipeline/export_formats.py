"""The formats of an exported network: what writes each, and what runs its content again, to compare."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

import torch
from torch import Tensor, nn

from gammatune.errors import ModelMismatch, first_line, require

DETAILS = "gammatune.json"  # in a .pt2, among its extra files
KEY = "gammatune"  # in an .onnx, among its metadata
TOLERANCE = 1e-4  # between their outputs, relative to the largest (guess; 1e-6 is usual)

# A writer makes of (program, example, details, text) what writes the file, and what runs its content again, if
# that can be tried here.
Run: TypeAlias = Callable[[Tensor], Tensor]
Write: TypeAlias = Callable[[BinaryIO], object]
Writer: TypeAlias = Callable[[nn.Module, Tensor, Mapping[str, Any], str], tuple[Write, Run | None]]


def _pt2(program: nn.Module, example: Tensor, details: Mapping[str, Any], text: str) -> Any:
    exported = _exported(program, example)
    return lambda file: torch.export.save(exported, file, extra_files={DETAILS: text}), exported.module()


def _onnx(program: nn.Module, example: Tensor, details: Mapping[str, Any], text: str) -> Any:
    return written(onnx_of(program, example, details), details, text)


def onnx_of(program: nn.Module, example: Tensor, details: Mapping[str, Any]) -> Any:
    """An onnx.ModelProto of it, for any n."""
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
    return made.model_proto


def written(made: Any, details: Mapping[str, Any], text: str) -> tuple[Write, Run | None]:
    """made: an onnx.ModelProto."""
    from onnx import helper

    classes = json.dumps(details["classes"], ensure_ascii=False)
    helper.set_model_props(made, {KEY: text, "classes": classes})
    content = made.SerializeToString()
    return lambda file: file.write(content), _with_onnxruntime(content)


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


def _with_onnxruntime(content: bytes) -> Run | None:
    """What runs an ONNX program, where that package is there."""
    try:
        import onnxruntime  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


def checked(
    make: Callable[[], tuple[Write, Run | None]], tried: Tensor, expected: Tensor, failed: str, instead: str
) -> tuple[Write, str]:
    """What writes the file, and how near it comes to what is expected of the inputs tried, in words. failed, instead:
    of the sentences where it cannot be made, or says something else."""
    try:
        write, run_again = make()
    except Exception as error:  # of torch.export's many kinds, and whatever the network's own code raises
        raise ModelMismatch(f"{failed}: {_said_by_torch(error)}; {instead}") from error
    if run_again is None:
        return write, ""
    apart = _apart(run_again(tried), expected)
    if not apart <= TOLERANCE:
        raise ModelMismatch(
            f"what is exported says something else than the run (by {apart:.2g} of the largest output); {instead}"
        )
    nearly = f"{apart:.0e} of the largest output from the run's" if apart else "the same as the run's"
    return write, f"; tried on {len(tried)} inputs, {nearly}"


def require_onnx(*, instead: str, torch: bool = True) -> None:
    """torch: a network is written, by torch's own exporter."""
    for package in ("onnx", "onnxscript") if torch else ("onnx",):
        require(package, "onnx", "writing .onnx needs", instead=instead)


@contextmanager
def quietly() -> Iterator[None]:
    """Without torch's warnings and logs, which speak of its own inside."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-30))


def _said_by_torch(error: Exception) -> str:
    """The line of an error that says something; torch puts empty ones and the traced code before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else first_line(error)
