"""Images beneath a folder as `Data`.

    FOLDER/cat/a.jpg  FOLDER/dog/b.png                        all of one part
    FOLDER/train/cat/a.jpg  FOLDER/val/cat/b.jpg  FOLDER/test/cat/c.jpg
    FOLDER/cat_001.jpg  FOLDER/dog_001.jpg                    labelled by their names
    FOLDER/a.jpg  FOLDER/b.jpg  and a table                   labelled by its rows

Of any size and mode: `framing` says how they are brought to one shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gammatune.errors import InvalidData
from gammatune.pipeline.data.dataset import Data, Task, encode, make_data
from gammatune.pipeline.data.files.dialect import AS_IT_IS, HowToRead
from gammatune.pipeline.data.images import loading
from gammatune.pipeline.data.images.files import images
from gammatune.pipeline.data.images.framing import Framing, Head, check_options, choose
from gammatune.pipeline.data.images.labels import Labelled, labelled

LARGEST_BYTES = 8 * 2**30  # of all images together, as bytes
UNREADABLE = 0.5  # of the images, beyond which this is not the folder that was meant [guess]


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How images in a folder are to be read; None: by rule.

    size: the side of the squares they become. fit: of `framing.FITS`. labels: a table that has them; target: its
    column; how: it is read. like: as an earlier run has them, whose network is gone on with; size and fit still go
    before.
    """

    size: int | None = None
    fit: str | None = None
    labels: str | None = None
    target: str | None = None
    how: HowToRead = AS_IT_IS
    like: Framing | None = None


BY_RULE = ImageOptions()


def load_folder(
    path: str | Path, options: ImageOptions = BY_RULE, *, task: Task | None = None, said: list[str]
) -> Data:
    """The images beneath a folder as uint8 (n, H, W) or (n, H, W, 3), with their labels, or numbers from a table.

    task: as of `make_data`. said: takes what was chosen and what was left out.
    Raises InvalidData: no classes, no images, more than half that cannot be read, a class of which none can, too many
    to hold; InvalidArgument: size, fit, target. MissingExtra: Pillow, or for a table pandas, is not installed.
    """
    check_options(options.size, options.fit)
    path = Path(path)
    found = labelled(path, options.labels, options.target, options.how, said)
    heads, skipped = _heads(path, found.files)
    framing = _framing(options, list(heads.values()), said)
    _refuse_too_many(len(heads), framing)
    files = {part: [file for _, file in pairs if file in heads] for part, pairs in found.parts.items()}
    parts = {part: loading.read_images(there, framing) for part, there in files.items()}
    skipped += [each for there in parts.values() for each in there.skipped]
    if len(skipped) > UNREADABLE * len(found.files):
        raise InvalidData(
            f"{path}: {len(skipped)} of {len(found.files)} images cannot be read, more than half: "
            f"{loading.named(skipped, path)}; is this the folder that was meant? Replace them, or remove them"
        )
    if skipped:
        said.append(loading.skipped_in_words(skipped, len(found.files), path))
    read = {part: [files[part][place] for place in there.kept] for part, there in parts.items()}
    return _data(path, found, parts, read, framing, task, said)


def _heads(path: Path, files: Sequence[Path]) -> tuple[dict[Path, Head], list[loading.Skipped]]:
    """Of the files that can be opened, and the others. Raises InvalidData where none can."""
    told = loading.heads_of(files)
    heads = {file: head for file, head in zip(files, told, strict=True) if isinstance(head, Head)}
    skipped = [head for head in told if isinstance(head, loading.Skipped)]
    if not heads:
        raise InvalidData(
            f"{path}: none of {len(files)} images can be read: {loading.named(skipped, path)}; replace them"
        )
    return heads, skipped


def _framing(options: ImageOptions, heads: Sequence[Head], said: list[str]) -> Framing:
    moving = sum(head.moves for head in heads)
    if moving:
        said.append(
            f"Several pictures in one file, moving or as pages, have {images(moving)}: the first is taken."
        )
    if options.like is None:
        return choose(heads, options.size, options.fit, said)
    like, side = options.like, options.size
    return replace(like, fit=options.fit or like.fit, height=side or like.height, width=side or like.width)


def _refuse_too_many(count: int, framing: Framing) -> None:
    wanted = count * int(np.prod(framing.array))
    if wanted > LARGEST_BYTES:
        raise InvalidData(
            f"{images(count)} of {framing.height} x {framing.width} take {wanted / 2**30:.0f} GiB; choose a smaller "
            "--image-size"
        )


def _data(
    path: Path,
    found: Labelled,
    parts: Mapping[str, loading.Images],
    read: Mapping[str, Sequence[Path]],
    framing: Framing,
    task: Task | None,
    said: list[str],
) -> Data:
    """read: the files of each part that could be read."""
    label_of = {file: label for pairs in found.parts.values() for label, file in pairs}
    labels = {part: [label_of[file] for file in files] for part, files in read.items()}
    if task != "regression" and not isinstance(labels["train"][0], float):
        _refuse_missing(path, found, labels)
    pixels: dict[str, Any] = {part: there.pixels for part, there in parts.items()}
    data = make_data(
        path.resolve().name,
        pixels["train"],
        np.array(labels["train"]),
        pixels.get("test"),
        labels.get("test"),
        task=task,
    )
    if "select" in parts:
        codes = encode(f"{path}: select", np.array(labels["select"]), data.classes)
        data = replace(data, x_select=pixels["select"], y_select=codes)
    what = f"{len(data.classes)} classes" if data.classes else "numbers"
    tail = "grey" if framing.mode == "L" else "in colour"
    count = images(sum(map(len, labels.values())))
    said.append(f"{count} of {framing.height} x {framing.width} pixels, {tail}, {what} {found.how}.")
    reported = read.get("test", read["train"])
    names = np.array([str(file.relative_to(path)) for file in reported])
    return replace(
        data, files=names, fit=framing.fit, levels=framing.levels, float_levels=framing.float_levels
    )


def _refuse_missing(path: Path, found: Labelled, labels: Mapping[str, Sequence[Any]]) -> None:
    """Raise InvalidData where a class has no image to train on, or there is one alone."""
    there = set(labels["train"])
    for part, pairs in found.parts.items():
        for label, file in pairs:
            if label in there:
                continue
            if part == "train":
                raise InvalidData(
                    f"{path}: no image of {label!r} can be read, such as {file.relative_to(path)}; replace its "
                    "images, or remove the class"
                )
            raise InvalidData(
                f"{path}: there is no image of {label!r} to train on, and there is in {part} "
                f"({file.relative_to(path)}); every class needs images to train on"
            )
    if len(there) < 2:
        raise InvalidData(
            f"{path} holds the one class {min(there)!r}; give images of two classes or more, {found.how}"
        )
