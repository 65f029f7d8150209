"""Weights from a file into a network: names and shapes compared, and nothing left out in silence.

A file is what `torch.save(model.state_dict(), path)` writes, as it is or within a checkpoint, or a .safetensors.
"""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from gammatune.errors import InvalidArgument, MissingExtra, ModelMismatch, first_line, require

# Where checkpoints keep the weights: torch's tutorials, Lightning, and the training scripts of torchvision and timm.
NESTS = ("state_dict", "model_state_dict", "model", "network", "net")
# What wrappers put before every name: DistributedDataParallel, torch.compile, a module that holds the network.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
# of BatchNorm and AveragedModel; a file may lack them, or have more
COUNTERS = ("num_batches_tracked", "n_averaged")
FEW = 3  # names that are told


def load_weights(
    model: nn.Module,
    source: str | Path | Mapping[str, Tensor],
    *,
    new_head: bool = False,
    name: str | None = None,
) -> list[str]:
    """Put the weights in `source` into `model`; what was done, in sentences.

    source: a file (.pt, .pth or any that torch.save wrote; .safetensors), or a state_dict. Only tensors are read,
    never objects; a state_dict within a checkpoint is found, and the prefixes of wrappers are dropped.
    A last layer of another number of outputs stays as the model came with it, and the sentences say so.
    new_head: leave the last layer as it came in any case, for other classes. name: of the source, for sentences.

    Raises InvalidArgument: no such file, or one that cannot be read, holds no weights, or some that are not
    finite. ModelMismatch: names or shapes are not the model's. MissingExtra: safetensors is not installed. The model
    is as it was then.
    """
    if isinstance(source, Mapping):
        name = "the state_dict" if name is None else name
        state = _unwrapped(name, source)
    else:
        name = str(source) if name is None else name
        state = _unwrapped(name, read(Path(source)))
    own = {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    for key, tensor in own.items():
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            raise InvalidArgument(
                f"{key} of the model has no shape yet; pass one batch through it before its weights are loaded"
            )
    state = _without_prefix(state, own)
    grey = _sum_colours(state, own)
    fits = {key: value for key, value in state.items() if key in own and _shape(value) == _shape(own[key])}
    if not any(not key.endswith(COUNTERS) for key in fits):
        raise ModelMismatch(
            f"{name} fits nothing of the model: it holds {_few(state)}, the model {_few(own)}; give the model "
            "that it was saved from"
        )
    other = {key for key in state.keys() & own.keys() if key not in fits}
    head = _head(model)
    fresh = {key for key in other if key in head and _shape(state[key])[1:] == _shape(own[key])[1:]}
    if fresh or new_head:
        fresh = set(head)  # its bias too, though it may fit
    missing = [key for key in own if key not in state and key not in fresh and not key.endswith(COUNTERS)]
    foreign = [key for key in state if key not in own and not key.endswith(COUNTERS)]
    wrong = [key for key in own if key in other - fresh]
    _refuse(name, own, state, missing, foreign, wrong)
    taken = {key: value for key, value in fits.items() if key not in fresh}
    _refuse_not_finite(name, taken)
    model.load_state_dict(taken, strict=False)
    if not fresh:
        return [f"The weights begin as {name} has them.{grey}"]
    layer = head[0].rpartition(".")[0] or head[0]
    here, there = _outputs(head, own), _outputs(head, state)
    why = "for other targets" if here == there else f"with {here} outputs, {there or 'none'} in the file"
    return [f"The weights begin as {name} has them; the last layer ({layer}) begins anew, {why}.{grey}"]


def read(path: Path) -> Mapping[str, object]:
    """What a file of weights holds. Raises InvalidArgument, MissingExtra."""
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        check_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other kinds of files of torch's, which are then refused
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InvalidArgument(f"there is no file {path}; give one with a network's weights") from None
    except IsADirectoryError:
        raise InvalidArgument(
            f"{path} is a directory; name the file with the weights in it, such as {path}/weights.pt"
        ) from None
    except MissingExtra:
        raise
    except (
        Exception
    ) as error:  # zip, pickle, torch and safetensors each have their own kinds for a damaged file
        why = first_line(error).partition(". ")[0]
        raise InvalidArgument(
            f"{path} cannot be read as weights ({why}); write it with torch.save(model.state_dict(), path), which "
            "holds tensors and nothing else"
        ) from error
    if not isinstance(found, Mapping):
        raise InvalidArgument(
            f"{path} holds a {type(found).__name__}, no weights by name; write it with "
            "torch.save(model.state_dict(), path)"
        )
    return found


def check_sums(path: Path) -> None:
    """torch does not look at the checksums it writes, and a flipped bit is a number like any other to it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if (wrong := archive.testzip()) is not None:
                raise ValueError(f"{wrong!r:.60} is not what was written")


def _read_safetensors(path: Path) -> Mapping[str, object]:
    if not path.exists():
        raise FileNotFoundError(path)
    found: Mapping[str, object] = require("safetensors.torch", None, f"{path} is read by").load_file(path)
    return found


def _unwrapped(name: str, found: Mapping[str, object]) -> dict[str, Tensor]:
    """The state_dict itself, wherever a checkpoint keeps it."""
    for _ in range(3):  # {"model": {"state_dict": {...}}} has been seen
        if any(isinstance(value, Tensor) for value in found.values()):
            break
        nest = next((key for key in NESTS if isinstance(found.get(key), Mapping)), None)
        if nest is None:
            break
        found = found[nest]  # type: ignore[assignment]
    state = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    if not state:
        raise InvalidArgument(
            f"{name} holds no weights by name, only {_few(map(str, found))}; save model.state_dict()"
        )
    return state


def _without_prefix(state: dict[str, Tensor], own: Mapping[str, object]) -> dict[str, Tensor]:
    """Names as the model has them. A prefix goes where every name has it and more of them are the model's then."""
    for _ in range(3):  # of DistributedDataParallel around a compiled network, say
        known = sum(key in own for key in state)
        for prefix in PREFIXES:
            if not all(key.startswith(prefix) or key in COUNTERS for key in state):
                continue
            stripped = {key.removeprefix(prefix): value for key, value in state.items()}
            nested = any(key.startswith(PREFIXES) for key in stripped) and not known
            if sum(key in own for key in stripped) > known or nested:
                state = stripped
                break
        else:
            break
    return state


def _sum_colours(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """Let a first convolution that was learned on colour images take grey ones, as if they were RGB of three equal
    parts; a sentence where it does."""
    first = next((key for key, value in own.items() if value.ndim == 4), None)
    if first is None or first not in state:
        return ""
    learned, wanted = _shape(state[first]), _shape(own[first])
    if len(learned) != 4 or learned[1] != 3 or wanted != (learned[0], 1, *learned[2:]):
        return ""
    state[first] = state[first].sum(dim=1, keepdim=True)
    return f" The images are grey: {first}, which was learned on colours, is summed over them."


def _head(model: nn.Module) -> list[str]:
    """The names in the last layer: the module that holds the last parameter. [guess] A module registers its layers in
    the order in which they follow each other nearly always."""
    last = [name for name, _ in model.named_parameters()][-1:]
    owner = last[0].rpartition(".")[0] if last else ""
    if not owner:
        return last
    return [name for name in model.state_dict() if name.rpartition(".")[0] == owner]


def _outputs(head: list[str], state: Mapping[str, Tensor]) -> int | None:
    """How many outputs the last layer has in a state_dict; None where that has no such layer."""
    return next((len(state[key]) for key in head if key in state and state[key].ndim), None)


def _refuse(
    name: str,
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    missing: list[str],
    foreign: list[str],
    wrong: list[str],
) -> None:
    if wrong:
        first = wrong[0]
        raise ModelMismatch(
            f"{name} has {first} of shape {_shape(state[first])}, the model {_shape(own[first])}"
            f"{_and_more(wrong)}; only the last layer may differ, so make the model as it was when this was saved"
        )
    if missing or foreign:
        lacks = f"lacks {_few(missing)}" if missing else ""
        more = f"has {_few(foreign)}, which the model has not" if foreign else ""
        raise ModelMismatch(
            f"{name} {' and '.join(part for part in (lacks, more) if part)}; make the model as it was when this was "
            "saved, or load what you want of it within your factory"
        )


def _refuse_not_finite(name: str, taken: Mapping[str, Tensor]) -> None:
    wrong = [key for key, value in taken.items() if not bool(torch.isfinite(value).all())]
    if wrong:
        raise InvalidArgument(
            f"{name} holds NaN or infinity in {_few(wrong)}; the training it came from had blown up, take "
            "an earlier file"
        )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _few(names: object) -> str:
    listed = list(names)  # type: ignore[call-overload]
    rest = f" and {len(listed) - FEW} more" if len(listed) > FEW else ""
    return (", ".join(listed[:FEW]) or "nothing") + rest


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more differ)" if len(names) > 1 else ""
