"""What a network said of the report part, as its run directory keeps it: predictions, pictures of its mistakes.

    predictions.npz  probabilities (n, k) and targets (n,) codes, or predictions (n, t) and targets (n, t); of several
                     nets whose predictions are averaged spread (n,) or (n, t), how far they are apart; origins (n,)
                     where they are known, the rows of the file, from 1, or the names of files; weights (n,) of
                     examples that have some; said (n,), codes of answers that need not be the likeliest
    pictures.npz     index (m,) into the report part, pictures uint8 (m, H, W) or (m, H, W, 3)

A file that is missing leaves its part of a page out; one that cannot be used is said.
"""

import base64
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammatune.journal.history import FILE, PREDICTIONS, SHEET, Story
from gammatune.metrics.bootstrap import Measure
from gammatune.metrics.predictions import decided
from gammatune.report.held import listed, mapping, reals

PICTURES = "pictures.npz"
MOST_PICTURES = 24
LARGEST = 96  # pixels a side, of a picture on a page
WORST = 10  # rows where there are no pictures
Z95 = 1.959964  # of the standard normal


@dataclass(slots=True)
class Findings:
    """probabilities (n, k), or predictions (n, t), beside targets (n,) or (n, t); None where the run kept none.

    answered: (n,) codes, where a run says so; else None, and it is the likeliest.
    spread: (n,) or (n, t), of several nets (`engine.ensemble.Ensemble.spread`); else None. origins: (n,), where each
    example comes from; see the module.
    weighted: some count for more than others, which nothing here goes by: a page says so.
    pictures: by the place of the example in the report part. sheet: the contact sheet, for a page.
    problems: files that could not be used, in sentences.
    """

    probabilities: NDArray[Any] | None = None
    predictions: NDArray[Any] | None = None
    targets: NDArray[Any] | None = None
    answered: NDArray[Any] | None = None
    spread: NDArray[Any] | None = None
    origins: NDArray[Any] | None = None
    weighted: bool = False
    pictures: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    sheet: str | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def said(self) -> NDArray[Any]:
        """(n,) codes of the answers, where there are probabilities."""
        assert self.probabilities is not None
        return np.asarray(decided(self.probabilities) if self.answered is None else self.answered)

    @property
    def sure(self) -> NDArray[Any]:
        """(n,): the probability that was given to each answer."""
        assert self.probabilities is not None
        return np.asarray(self.probabilities[np.arange(len(self.probabilities)), self.said])

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,)"""
        return np.asarray(self.said == self.targets)

    @property
    def told_by(self) -> str:
        """What `origin` gives: 'row', 'file' or, where that is not known, 'example'."""
        if self.origins is None:
            return "example"
        return "row" if self.origins.dtype.kind in "iu" else "file"

    def origin(self, index: int) -> str:
        """By which people find an example. index: its place in the report part, where no more is known."""
        return str(index if self.origins is None else self.origins[index])


def run_path(run: str | os.PathLike[str]) -> Path:
    """Where a run lies, as people call it. Raises nothing."""
    path = Path(run)
    return path.parent if path.name == FILE else path


def load_findings(run: Path | None) -> Findings:
    """What lies in a run directory; empty for None."""
    found = Findings()
    if run is None:
        return found
    held = _arrays(run / PREDICTIONS, found.problems)
    if held is not None:
        _take_predictions(held, found)
    held = _arrays(run / PICTURES, found.problems)
    if held is not None:
        _take_pictures(held, found)
    if (run / SHEET).is_file():
        found.sheet = _uri((run / SHEET).read_bytes())
    return found


def _arrays(path: Path, problems: list[str]) -> dict[str, NDArray[Any]] | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (
        OSError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        NotImplementedError,
    ) as error:
        problems.append(
            f"{path.name} cannot be read ({str(error).splitlines()[0] if str(error) else 'damaged'})."
        )
        return None


def _take_predictions(held: Mapping[str, NDArray[Any]], found: Findings) -> None:
    targets = held.get("targets")
    p, y = held.get("probabilities"), held.get("predictions")
    if p is not None and targets is not None and _fits_labels(p, targets):
        found.probabilities, found.targets = p.astype(np.float64), targets.astype(np.int64)
        said = held.get("said")
        if said is not None and _fits_labels(p, said):
            found.answered = said.astype(np.int64)
    elif y is not None and targets is not None and _fits_numbers(y, targets):
        found.predictions = y.astype(np.float64).reshape(len(y), -1)
        found.targets = targets.astype(np.float64).reshape(len(targets), -1)
    elif p is not None and targets is not None and targets.dtype.kind == "i" and targets.shape == p.shape:
        return  # several labels an example, of which nothing more is shown
    else:
        found.problems.append(f"{PREDICTIONS} does not hold what it should, and is left out.")
        return
    origins = held.get("origins")
    if origins is not None and origins.dtype.kind in "iuU" and origins.shape == found.targets.shape[:1]:
        found.origins = origins
    weights = held.get("weights")
    if weights is not None and weights.shape == found.targets.shape[:1]:
        found.weighted = bool((weights != weights[0]).any())
    spread = held.get("spread")
    if spread is not None and spread.dtype.kind == "f" and np.isfinite(spread).all() and (spread >= 0).all():
        spread = (
            spread.astype(np.float64).reshape(len(spread), -1) if found.predictions is not None else spread
        )
        if spread.shape == found.targets.shape:
            found.spread = spread


def _fits_labels(p: NDArray[Any], targets: NDArray[Any]) -> bool:
    return bool(
        p.ndim == 2
        and p.dtype.kind == "f"
        and targets.dtype.kind in "iu"
        and targets.shape == p.shape[:1]
        and p.size
        and np.isfinite(p).all()
        and ((p >= 0) & (p <= 1.001)).all()
        and ((targets >= 0) & (targets < p.shape[1])).all()
    )


def _fits_numbers(y: NDArray[Any], targets: NDArray[Any]) -> bool:
    numbers = y.dtype.kind in "iuf" and targets.dtype.kind in "iuf"
    return bool(numbers and y.ndim in (1, 2) and y.size and y.shape == targets.shape)


def _take_pictures(held: Mapping[str, NDArray[Any]], found: Findings) -> None:
    index, pictures = held.get("index"), held.get("pictures")
    known = (
        index is not None
        and pictures is not None
        and index.ndim == 1
        and index.dtype.kind in "iu"
        and pictures.dtype == np.uint8
        and len(index) == len(pictures)
        and (pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 3))
        and 0 not in pictures.shape[1:]
    )
    if not known:
        found.problems.append(f"{PICTURES} does not hold what it should, and is left out.")
        return
    assert index is not None
    assert pictures is not None
    for place, picture in list(zip(index.tolist(), pictures, strict=True))[:MOST_PICTURES]:
        found.pictures[int(place)] = picture


def labels_of(story: Story, found: Findings) -> list[str]:
    """What the classes are called, by code."""
    held = mapping(story.begin["facts"].get("preprocessing")).get("classes")
    labels = [str(label) for label in listed(held)]
    confusion = square((story.report or {}).get("confusion"))
    count = len(confusion) if confusion else 0
    if found.probabilities is not None:
        count = max(count, found.probabilities.shape[1])
    return labels if len(labels) >= count else [str(i) for i in range(count)]


def scale_of(story: Story, found: Findings) -> tuple[Any, Any] | None:
    """Mean and standard deviation of a regression's targets, where they were standardised."""
    if found.predictions is None or found.targets is None:
        return None
    held, t = mapping(story.begin["facts"].get("preprocessing")), found.targets.shape[1]
    mean, std = reals(held.get("target_mean"), t), reals(held.get("target_std"), t)
    return None if mean is None or std is None else (mean, std)


@dataclass(frozen=True, slots=True)
class Mistake:
    """index: in the report part. true, said: codes. probability: given to what was said; of_true: to the truth."""

    index: int
    true: int
    said: int
    probability: float
    of_true: float
    picture: str | None = None


def mistakes(found: Findings) -> tuple[list[Mistake], int]:
    """The wrong answers it was surest of, with pictures first where there are any; and how many were wrong in all."""
    p, targets = found.probabilities, found.targets
    if p is None or targets is None:
        return [], 0
    said, wrong = found.said, np.flatnonzero(~found.right)
    order = wrong[np.argsort(-found.sure[wrong], kind="stable")]
    if found.pictures:
        order = np.array([i for i in order if int(i) in found.pictures], dtype=int)[:MOST_PICTURES]
    done = []
    for i in order[: MOST_PICTURES if found.pictures else WORST]:
        picture = found.pictures.get(int(i))
        shown = None if picture is None else as_uri(picture)
        t, s = int(targets[i]), int(said[i])
        done.append(Mistake(int(i), t, s, float(p[i, s]), float(p[i, t]), shown))
    return done, len(wrong)


def farthest(found: Findings) -> list[int]:
    """The examples of a regression that were missed by most, summed over standardised targets."""
    if found.predictions is None or found.targets is None:
        return []
    spread = found.targets.std(axis=0)
    off = np.abs(found.predictions - found.targets) / np.where(spread > 0, spread, 1.0)
    total = np.nan_to_num(off, nan=np.inf).sum(axis=1)
    return [int(i) for i in np.argsort(-total, kind="stable")[:WORST]]


def as_uri(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W) or (H, W, 3) as a PNG within the page, made smaller by whole steps to LARGEST a side."""
    step = -(-max(picture.shape[:2]) // LARGEST)
    if step > 1:
        h, w = (max(1, side // step) for side in picture.shape[:2])
        short = [
            (0, max(0, wanted - side))
            for wanted, side in zip((h * step, w * step), picture.shape, strict=False)
        ]
        whole = np.pad(picture, [*short, *[(0, 0)] * (picture.ndim - 2)], mode="edge")[: h * step, : w * step]
        small = whole.reshape(h, step, w, step, -1).mean(axis=(1, 3)).astype(np.uint8)
        picture = small if picture.ndim == 3 else small[..., 0]
    return _uri(_png(picture))


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _png(picture: NDArray[np.uint8]) -> bytes:
    """The format's least: signature, IHDR, one IDAT, IEND (ISO/IEC 15948)."""
    height, width = picture.shape[:2]
    kind = 2 if picture.ndim == 3 else 0  # truecolour, or greyscale
    rows = picture.reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # no filter in any row

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw, 9))
        + chunk(b"IEND", b"")
    )


def of_mean(mean: float, square: float, n: int) -> Measure:
    """A mean over n examples, 2 or more, with its 95 % interval, the normal one. square: the mean of the squares."""
    spread = math.sqrt(max(square - mean**2, 0.0) * n / (n - 1))
    half = Z95 * spread / math.sqrt(n)
    return Measure(mean, mean - half, mean + half)


def lead_of(confusion: Sequence[Sequence[int]]) -> tuple[float, Measure]:
    """What always naming the most frequent class comes to, and by how much the answers are ahead of that, example by
    example. confusion: rows true, columns said; two examples or more."""
    n, named = sum(map(sum, confusion)), max(range(len(confusion)), key=lambda i: sum(confusion[i]))
    won = sum(row[i] for i, row in enumerate(confusion) if i != named)
    lost = sum(confusion[named]) - confusion[named][named]
    return sum(confusion[named]) / n, of_mean((won - lost) / n, (won + lost) / n, n)


@dataclass(frozen=True, slots=True)
class Sureness:
    """said: the mean probability of the answers. right: the share of right ones. surer: the difference."""

    said: float
    right: float
    surer: Measure


def sureness(p: NDArray[Any], is_right: NDArray[np.bool_]) -> Sureness | None:
    """Whether it is as sure as it is right, by the difference of each example; None of fewer than two.

    p: what was given to each answer, (n,).

    The standard error is the larger of that of the differences and of what answers as sure as these would have if
    they were right as often as they say, which a few examples, all of them right, do not show.
    """
    n = len(p)
    if n < 2:
        return None
    right = is_right.astype(float)
    mean = float(np.mean(p - right))
    square = max(float(np.mean((p - right) ** 2)), mean**2 + float(np.mean(p * (1 - p))))
    return Sureness(float(p.mean()), float(right.mean()), of_mean(mean, square, n))


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927). count: 1 or more."""
    share, z2 = right / count, Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def square(confusion: Any) -> list[list[int]] | None:
    """The confusion matrix of a report event, where it is one."""
    if not isinstance(confusion, Sequence) or isinstance(confusion, str) or len(confusion) < 2:
        return None
    for row in confusion:
        if not isinstance(row, Sequence) or len(row) != len(confusion):
            return None
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in row):
            return None
    return [list(row) for row in confusion]
