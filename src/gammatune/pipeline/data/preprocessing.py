"""`Preprocessing`: what the training part taught, to be applied to every other part and to new files.

    images  (n, C, H, W)   z = (x - mean_c) / std_c, one mean and std a channel
    vectors (n, F)         z = (x - mean_f) / std_f, one mean and std a feature
    targets (n, t)         z = (y - mean_t) / std_t, for a regression

uint8 images are scaled to [0, 1] first. A channel, feature or target that does not vary keeps std 1. The sums
are scikit-learn's StandardScaler's, fed in pieces so that a large set is never copied to float64 whole.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.dataset import Label, Task, check_inputs, encode, make_targets
from gammatune.pipeline.data.images.framing import FITS, Framing
from gammatune.pipeline.data.layout import Shape, to_torch_layout, torch_shape

_FEW = 256  # examples standardised at a time, so that no second copy of them all is made
_PIECE = 1024  # examples a piece; bounds the float64 copy, nothing depends on it


class OfTargets:
    """What both kinds of preprocessing know of the targets, for those that have these fields."""

    __slots__ = ()
    task: Task
    classes: tuple[Label, ...]
    target_mean: tuple[float, ...]
    target_std: tuple[float, ...]

    @property
    def outputs(self) -> int:
        """How many numbers a model must return for one example: one a class, or one a target."""
        return len(self.classes) if self.task == "classification" else len(self.target_mean)

    def labels(self, codes: ArrayLike) -> list[Label]:
        """The original labels of codes (n,), such as the likeliest by a model's output."""
        return [self.classes[code] for code in np.asarray(codes).tolist()]

    def original_targets(self, outputs: ArrayLike) -> NDArray[np.float64]:
        """A regression model's outputs (n, t) back in the unit of the original targets, (n, t)."""
        return np.asarray(outputs, dtype=np.float64) * self.target_std + self.target_mean

    def _standardised(self, values: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(((values - self.target_mean) / self.target_std).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Preprocessing(OfTargets):
    """Plain numbers, so that it can be saved as JSON (`to_dict`, `from_dict`) beside the weights.

    shape: of one example as a model receives it, (C, H, W) or (F,).
    pixels: the training images were uint8; then new ones must be uint8 too, or floats in [0, 1].
    mean, std: C or F numbers, in units of the scaled input; std > 0.
    classes: the original labels by code; empty for a regression.
    target_mean, target_std: t numbers in the target's unit; empty for a classification.
    fit, levels, float_levels: how image files become examples (`images.framing.Framing`); older runs cut the middle
    out.
    """

    cardinalities: ClassVar[tuple[int, ...]] = ()  # no column of x holds codes: see `TablePreprocessing`
    ordered: ClassVar[bool] = False  # nor are classes a scale

    task: Task
    shape: Shape
    pixels: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[Label, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    fit: str = "crop"
    levels: tuple[float, ...] = ()
    float_levels: tuple[float, ...] = ()

    @property
    def framing(self) -> Framing:
        """How image files become examples. Raises InvalidData where it was not images that were trained on."""
        if len(self.shape) != 3:
            raise InvalidData(f"the network was trained on rows of {self.shape[0]} numbers, not on images")
        channels, height, width = self.shape
        return Framing(
            height, width, "L" if channels == 1 else "RGB", self.fit, self.levels, self.float_levels
        )

    def inputs(self, x: ArrayLike) -> torch.Tensor:
        """Examples `x` (n, ...) as the model wants them: float32 (n, *shape), standardised.

        Raises InvalidData: not numbers, not finite, another shape, or pixels in another range than the
        training images had.
        """
        x = np.asarray(x)
        check_inputs("x", x)
        if torch_shape(x.shape[1:]) != self.shape:
            hint = "; for a single example write x[None]" if x.shape in (self.shape, self.shape[1:]) else ""
            raise InvalidData(f"x holds examples of shape {x.shape[1:]}, trained on {self.shape}{hint}")
        x = to_torch_layout(x)
        is_bytes = self.pixels and x.dtype == np.uint8
        if self.pixels and not is_bytes:
            _check_unit(x)
        per_channel = (len(self.mean),) + (1,) * (len(self.shape) - 1)  # (C, 1, 1) or (F,)
        mean = np.asarray(self.mean, dtype=np.float32).reshape(per_channel)
        std = np.asarray(self.std, dtype=np.float32).reshape(per_channel)
        found = np.empty(x.shape, dtype=np.float32)
        for start in range(0, len(x), _FEW):
            piece = x[start : start + _FEW].astype(np.float32)
            if is_bytes:
                piece /= np.float32(255)
            found[start : start + _FEW] = (piece - mean) / std
        return torch.from_numpy(found)

    def targets(self, y: ArrayLike) -> torch.Tensor:
        """Original labels (n,) as int64 codes (n,), or targets (n,) or (n, t) as standardised float32 (n, t).

        Raises InvalidData: labels the training never showed, or not one an example, another number of targets,
        not finite.
        """
        if self.task == "classification":
            labels = np.asarray(y)
            if labels.ndim == 0 or labels.size != len(labels):
                raise InvalidData(f"y must hold one label an example, got an array of shape {labels.shape}")
            return torch.from_numpy(encode("y", labels.reshape(len(labels)), self.classes))
        values = make_targets("y", np.asarray(y))
        if values.shape[1] != len(self.target_mean):
            raise InvalidData(f"y holds {values.shape[1]} targets, trained on {len(self.target_mean)}")
        return self._standardised(values)

    def following(self, earlier: "Preprocessing") -> "Preprocessing":
        """The same, with the inputs standardised as `earlier` has them, for a network that was trained on those.

        The targets of a regression are too, as long as there are as many, of much the same size. classes stay.
        Raises InvalidData: examples of another shape.
        """
        if self.shape != earlier.shape:
            raise InvalidData(
                f"the data has examples of shape {self.shape}, and the network was trained on {earlier.shape}; "
                "give examples of that shape, or begin with a new network"
            )
        known = replace(self, pixels=earlier.pixels, mean=earlier.mean, std=earlier.std)
        moments = (self.target_mean, self.target_std, earlier.target_mean, earlier.target_std)
        if len(self.target_mean) == len(earlier.target_mean) and all(map(_alike, *moments)):
            known = replace(known, target_mean=earlier.target_mean, target_std=earlier.target_std)
        return known

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, text and lists, ready for `json.dumps`."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Preprocessing":
        """The record that `to_dict` wrote, JSON in between or not. Raises InvalidData where it is another."""
        try:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
            fields.setdefault("float_levels", fields.get("levels", ()))  # earlier versions had one for both
            found = cls(**fields)
            found._check()
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InvalidData(
                f"no preprocessing as Preprocessing.to_dict writes it: {saved!r:.60} ({error})"
            ) from error
        return found

    def _check(self) -> None:
        """Raises InvalidData, TypeError, ... where the fields have other types or do not fit each other."""
        sizes_known = len(self.shape) in (1, 3) and all(type(size) is int and size > 0 for size in self.shape)
        moments = (self.mean, self.std, self.target_mean, self.target_std, self.levels)
        numbers_known = all(type(n) in (int, float) and math.isfinite(n) for part in moments for n in part)
        fit = len(self.mean) == len(self.std) == self.shape[0] and len(self.target_mean) == len(
            self.target_std
        )
        if self.task == "classification":
            task_known = len(self.classes) >= 2 and all(
                isinstance(label, (int, str)) for label in self.classes
            )
        else:
            task_known = self.task == "regression" and len(self.target_mean) >= 1
        framing_known = self.fit in FITS and all(
            not levels or (len(levels) == 2 and levels[0] < levels[1])
            for levels in (self.levels, self.float_levels)
        )
        if not (sizes_known and numbers_known and fit and task_known and framing_known) or not isinstance(
            self.pixels, bool
        ):
            raise InvalidData("its fields do not fit each other")
        if min(*self.std, *self.target_std, 1) <= 0:
            raise InvalidData("a std is above 0")


def learn(task: Task, x: NDArray[Any], y: NDArray[Any], classes: tuple[Label, ...]) -> Preprocessing:
    """The preprocessing that the training examples `x` (n, ...) and their targets `y` give.

    y: codes (n,) for a classification, which teach nothing, or targets (n, t) for a regression.
    """
    shape = torch_shape(x.shape[1:])
    pixels = x.dtype == np.uint8 and len(shape) == 3
    pieces = (x[i : i + _PIECE] for i in range(0, len(x), _PIECE))
    mean, std = _moments(
        # (n, C, H, W) -> (n * H * W, C): one row a pixel; (n, F) stays
        np.moveaxis(to_torch_layout(piece), 1, -1).reshape(-1, shape[0]) / (255 if pixels else 1)
        for piece in pieces
    )
    target_mean, target_std = _moments([y]) if task == "regression" else ((), ())
    return Preprocessing(task, shape, pixels, mean, std, classes, target_mean, target_std)


def _moments(pieces: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of each column over all rows of all pieces; std 1 where a column does not vary."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    for piece in pieces:
        scaler.partial_fit(np.asarray(piece, dtype=np.float64))
    return tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist())


def _alike(mean: float, std: float, earlier_mean: float, earlier_std: float) -> bool:
    """Whether a target is near enough to an earlier one that a network's output for that is worth keeping (guess)."""
    return abs(mean - earlier_mean) <= 3 * earlier_std and 0.1 <= std / earlier_std <= 10


def _check_unit(x: NDArray[Any]) -> None:
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise InvalidData(
            f"x holds {x.dtype} pixels from {low:g} to {high:g}, trained on uint8 pixels; "
            "give uint8 (0 to 255) or floats from 0 to 1"
        )
