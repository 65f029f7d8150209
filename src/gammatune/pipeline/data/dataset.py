"""`Data`: a whole data set as arrays, checked once, at birth; what comes after need not check again."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammatune.errors import InvalidData
from gammatune.pipeline.data.layout import Shape, torch_shape

Task: TypeAlias = Literal["classification", "regression"]
TargetTask: TypeAlias = Literal["classification", "regression", "ordinal"]  # ordinal: of classes in order
Label: TypeAlias = int | str | bool

# More distinct integers than this, and more than half as many as examples, are no labels [guess].
_MANY_CLASSES = 20
LARGEST = float(np.finfo(np.float32).max) / 4  # a difference of two still fits


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A data set; `make_data` builds one from labels as they come.

    x_train (n, ...), x_test (m, ...): real numbers, finite, in one of the shapes of `gammatune.pipeline.data.layout`.
    y_train, y_test: for a classification (n,) int64 codes 0 .. k-1, indices into `classes`; for a regression
    (n, t) float64, t targets an example.
    x_test and y_test are both None where the set has no test part of its own; x_select and y_select where it has no
    part to select by. files: of the examples of the test part, or, where there is none, of those to train on, the
    names of their files; None where they have none. fit, levels, float_levels: how images of any shape and depth
    were brought to this one (`images.framing.Framing`).
    classes: the k labels as the source has them, in the order of their codes; empty for a regression.
    Raises InvalidData, in one line: what was received and what to write instead.
    """

    name: str
    task: Task
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any] | None
    y_test: NDArray[Any] | None
    classes: tuple[Label, ...]
    x_select: NDArray[Any] | None = None
    y_select: NDArray[Any] | None = None
    files: NDArray[Any] | None = None
    fit: str = "crop"
    levels: tuple[float, ...] = ()
    float_levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.task == "classification" and len(self.classes) < 2:
            only = f"the one class {self.classes[0]!r}" if self.classes else "no class"
            raise InvalidData(f"{self.name}: the labels hold {only}; a classification needs two or more")
        self._check_part("train", self.x_train, self.y_train)
        self._check_other("test", self.x_test, self.y_test)
        self._check_other("select", self.x_select, self.y_select)
        torch_shape(self.x_train.shape[1:])

    @property
    def shape(self) -> Shape:
        """The shape of one example as a model receives it: (C, H, W) or (F,)."""
        return torch_shape(self.x_train.shape[1:])

    @property
    def outputs(self) -> int:
        """How many numbers a model must return for one example: one a class, or one a target."""
        return len(self.classes) if self.task == "classification" else int(self.y_train.shape[1])

    def _check_other(self, part: str, x: NDArray[Any] | None, y: NDArray[Any] | None) -> None:
        if (x is None) != (y is None):
            have, lack = (f"x_{part}", f"y_{part}") if y is None else (f"y_{part}", f"x_{part}")
            raise InvalidData(f"{self.name}: {have} comes without {lack}; give both or neither")
        if x is not None and y is not None:
            self._check_part(part, x, y)
            if x.shape[1:] != self.x_train.shape[1:]:
                raise InvalidData(
                    f"{self.name}: examples of x_{part} have shape {x.shape[1:]}, "
                    f"those of x_train {self.x_train.shape[1:]}; both must be the same"
                )

    def _check_part(self, part: str, x: NDArray[Any], y: NDArray[Any]) -> None:
        check_inputs(f"{self.name}: x_{part}", x)
        if len(x) != len(y):
            raise InvalidData(
                f"{self.name}: x_{part} holds {len(x)} examples and y_{part} {len(y)}; each needs one target"
            )
        if self.task == "classification":
            codes_wrong = (
                y.ndim != 1 or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= len(self.classes)
            )
            if codes_wrong:
                raise InvalidData(
                    f"{self.name}: y_{part} must hold whole numbers from 0 to {len(self.classes) - 1}, "
                    f"got {_describe(y)}; make_data() encodes labels"
                )
        elif y.ndim != 2 or y.dtype.kind != "f" or not np.isfinite(y).all():
            raise InvalidData(
                f"{self.name}: y_{part} must hold finite floats (n, targets), got {_describe(y)}"
            )


def make_data(
    name: str,
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    task: Task | None = None,
) -> Data:
    """A `Data` from arrays as they come, labels encoded, the original ones kept in `classes`.

    task: None tells it from y_train: whole numbers, truth values or text are labels, floats are targets.
    y: (n,) or (n, 1) for labels, (n,) or (n, t) for targets; labels of the test part must occur in y_train.
    Raises InvalidData as `Data` does.
    """
    y_of_train = _column("y_train", name, y_train)
    task = task or _guess_task(name, y_of_train)
    y_of_test = None if y_test is None else _column("y_test", name, y_test)
    classes: tuple[Label, ...] = ()
    if task == "classification":
        y_of_train = _labels(name, "y_train", y_of_train)
        classes = tuple(np.unique(y_of_train).tolist())
        y_of_train = encode(f"{name}: y_train", y_of_train, classes)
        if y_of_test is not None:
            y_of_test = encode(f"{name}: y_test", _labels(name, "y_test", y_of_test), classes)
    else:
        y_of_train = make_targets(f"{name}: y_train", y_of_train)
        y_of_test = None if y_of_test is None else make_targets(f"{name}: y_test", y_of_test)
    return Data(
        name=name,
        task=task,
        x_train=np.asarray(x_train),
        y_train=y_of_train,
        x_test=None if x_test is None else np.asarray(x_test),
        y_test=y_of_test,
        classes=classes,
    )


def look_like_labels(data: Data) -> bool:
    """Whether the targets of a regression may have been meant as labels: a few whole numbers, as decimals."""
    y = data.y_train
    return data.task == "regression" and bool((y == np.round(y)).all()) and len(np.unique(y)) <= _MANY_CLASSES


def check_inputs(what: str, x: NDArray[Any]) -> None:
    """Raises InvalidData unless `x` is a non-empty array (n, ...) of real numbers that 32-bit floats hold.

    what: names it.
    """
    if x.dtype.kind == "O":
        raise InvalidData(f"{what} is an array of Python objects; stack examples of one shape into numbers")
    if x.dtype.kind not in "biuf":
        raise InvalidData(f"{what} holds {x.dtype}, not numbers; convert it with .astype(float)")
    if x.ndim < 2:
        raise InvalidData(f"{what} has shape {x.shape}; the first axis counts examples, so write x[:, None]")
    if x.size == 0:
        raise InvalidData(f"{what} is empty, its shape is {x.shape}; give at least one example")
    if x.dtype.kind == "f" and not (finite := np.isfinite(x)).all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise InvalidData(
            f"{what} holds {int((~finite).sum())} values that are NaN or infinite (the first, {x[first]}, "
            f"at {first}); drop or fill them"
        )
    _check_range(what, x)


def _check_range(what: str, values: NDArray[Any]) -> None:
    """Numbers are standardised, and then become the 32-bit floats that nets are made of."""
    if values.dtype.kind == "f" and values.size and (largest := float(np.abs(values).max())) > LARGEST:
        raise InvalidData(f"{what} holds {largest:g}, beyond what 32-bit floats hold; scale it, or drop it")


def encode(what: str, labels: NDArray[Any], classes: tuple[Label, ...]) -> NDArray[np.int64]:
    """The index in `classes` of each label, (n,). Raises InvalidData at a label that is none of them."""
    codes = {label: code for code, label in enumerate(classes)}
    unknown = sorted(set(labels.tolist()) - codes.keys(), key=str)
    if unknown:
        raise InvalidData(
            f"{what} holds the label {unknown[0]!r}, which the training data never shows; "
            f"known labels: {_shorten(classes)}"
        )
    return np.array([codes[label] for label in labels.tolist()], dtype=np.int64)


def make_targets(what: str, y: NDArray[Any]) -> NDArray[np.float64]:
    """The targets `y` (n,) or (n, t) of a regression as (n, t). Raises InvalidData unless finite numbers."""
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or not np.isfinite(y).all():
        raise InvalidData(f"{what} must hold finite numbers (n,) or (n, targets), got {_describe(y)}")
    if y.size == 0:
        raise InvalidData(f"{what} is empty, its shape is {y.shape}; give one target an example")
    _check_range(what, y)
    return y.reshape(len(y), -1).astype(np.float64)


def _guess_task(name: str, y: NDArray[Any]) -> Task:
    if y.dtype.kind == "f":
        return "regression"
    if y.dtype.kind not in "iu" or y.ndim != 1:
        return "classification"
    distinct = len(np.unique(y))
    if distinct > _MANY_CLASSES and distinct > len(y) / 2:
        raise InvalidData(
            f"{name}: y_train holds {distinct} different whole numbers in {len(y)} examples, too many to be "
            "labels; say task='regression', or task='classification' if they are"
        )
    return "classification"


def _column(key: str, name: str, y: ArrayLike) -> NDArray[Any]:
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:  # Keras's CIFAR-10 keeps its labels in a column
        y = y[:, 0]
    if y.ndim == 0 or y.size == 0:
        raise InvalidData(f"{name}: {key} is empty, its shape is {y.shape}; give one target an example")
    return y


def _labels(name: str, key: str, y: NDArray[Any]) -> NDArray[Any]:
    whole = y.dtype.kind == "f" and bool(np.isfinite(y).all()) and bool((y == np.round(y)).all())
    if y.ndim != 1 or not (whole or y.dtype.kind in "iubU"):
        raise InvalidData(
            f"{name}: {key} must hold one label an example, whole numbers or text, got {_describe(y)}; "
            "for targets that are numbers say task='regression'"
        )
    return y.astype(np.int64) if whole else y


def _describe(y: NDArray[Any]) -> str:
    sample = _shorten(y.reshape(-1)[:3].tolist()) if y.size else "nothing"
    return f"{y.dtype} of shape {y.shape} ({sample}{', ...' if y.size > 3 else ''})"


def _shorten(labels: Any) -> str:
    shown = ", ".join(repr(label) for label in labels[:10])
    return shown + (", ..." if len(labels) > 10 else "")
