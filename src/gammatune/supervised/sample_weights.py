"""What each example counts for: a third part of it, beside input and target.

Where `fit` was given arrays of weights they become that here; from there on a batch is (inputs, targets, weights), or
(inputs, targets) of a set whose examples count alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.supervised.batch_form import WEIGHTS

SampleWeight: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | Literal[True]


class Weighted(Dataset[Any]):
    """A set of (input, target), or of mappings, and what each example counts for. weights: (n,)."""

    def __init__(self, dataset: Any, weights: Tensor) -> None:
        self.dataset, self.weights = dataset, weights

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, place: int) -> tuple[Any, Any, Tensor] | dict[Any, Any]:
        example = self.dataset[place]
        if isinstance(example, Mapping):
            return {**example, WEIGHTS: self.weights[place]}
        *inputs, target = example
        return inputs[0] if len(inputs) == 1 else tuple(inputs), target, self.weights[place]


def by_set(given: SampleWeight | None, names: Sequence[str], said: list[str]) -> Mapping[str, Any]:
    """The weights of each set by the name of its argument, (n,) float64, or True; empty where none tells its
    examples apart.

    names: of the sets there are. Raises InvalidArgument, InvalidData.
    """
    if given is None or given is False:
        return {}
    if given is True:
        return dict.fromkeys(names, True)
    arrays = given if isinstance(given, Mapping) else {"train_set": given}
    for name in arrays:
        if name not in names:
            raise InvalidArgument(
                f"sample_weight= names {name!r}, and the sets given are {', '.join(names)}; name these"
            )
    weights = {name: _checked(held, name) for name, held in arrays.items()}
    if all((w == w[0]).all() for w in weights.values()):
        said.append("All sample weights are the same, and change nothing.")
        return {}
    others = [name for name in names if name not in weights]
    if others:
        said.append(f"The examples of {' and '.join(others)} come without weights, and count alike.")
    return weights


def attached(data: Any, weights: Any, name: str, dtype: torch.dtype) -> Any:
    """A set of (input, target) with the weights of its examples, (n,); those trained on are divided by their mean, so
    that a rate means what it means without weights."""
    if not isinstance(data, Dataset) or not hasattr(data, "__len__"):
        raise InvalidArgument(
            f"sample_weight= holds weights for {name}, a {type(data).__name__}; give a set or arrays, or "
            "sample_weight=True and batches of (inputs, targets, weights)"
        )
    if len(weights) != len(data):
        raise InvalidData(
            f"sample_weight= holds {len(weights)} weights for {name}, which has {len(data)} examples; give as many"
        )
    if name == "train_set":
        weights = weights / weights.mean()
    held = torch.from_numpy(weights).to(torch.float64 if dtype == torch.float64 else torch.float32)
    if type(data) is TensorDataset and len(data.tensors) == 2:
        return TensorDataset(*data.tensors, held.to(data.tensors[0].device))
    return Weighted(data, held)


def counting_alike(data: Any) -> Any:
    """A set whose examples have no weights, where others have: of several inputs, whose targets would else be taken
    for weights, with weights of 1."""
    if type(data) is TensorDataset and len(data.tensors) > 2:
        return Weighted(data, torch.ones(len(data)))
    return data


def refuse_no_weights(weights: Any, targets: Tensor, name: str) -> None:
    """Raise InvalidArgument where the third part of a batch is not the weights of its examples."""
    if not isinstance(weights, Tensor) or weights.shape != targets.shape[:1]:
        shape = f" of shape {tuple(weights.shape)}" if isinstance(weights, Tensor) else ""
        raise InvalidArgument(
            f"{name}: the weights of a batch are a {type(weights).__name__}{shape}; give one number for each of its "
            f"{len(targets)} examples"
        )
    if weights.is_complex() or not bool((weights.isfinite() & (weights >= 0)).all()):
        raise InvalidArgument(f"{name}: a batch holds weights that are negative, NaN or infinite")


def _checked(given: ArrayLike, name: str) -> Any:
    held = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if held.ndim != 1 or held.dtype.kind not in "iubf" or not len(held):
        raise InvalidArgument(
            f"sample_weight= of {name} is {held.dtype} of shape {held.shape}; give one number for each example"
        )
    weights = held.astype(np.float64)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise InvalidData(
            f"sample_weight= of {name} holds {weights[wrong][0]:g}; give numbers of 0 or more, and leave examples "
            "without a weight out"
        )
    if not weights.any():
        raise InvalidData(f"sample_weight= of {name} is 0 for every example; some must count")
    return weights
