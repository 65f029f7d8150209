"""What stands for what on an image: the folder that it lies in, its own name, or a row of a table.

pets/cat/a.jpg  pets/dog/b.png              the folder, one for each class
pets/cat_001.jpg  pets/dog.12.png           the name, up to its first digit, or else its first separator
pets/a.jpg  pets/old/b.png  + labels.csv    a row that names the file, with or without ending or folders
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.cells.spelling import spellings
from gammatune.pipeline.data.files.dialect import HowToRead
from gammatune.pipeline.data.files.reading import as_written, read_table
from gammatune.pipeline.data.images.files import (
    ENDINGS,
    composed,
    few,
    folders,
    image_files,
    images,
    loose_images,
    others_in_words,
    parts_of,
)

if TYPE_CHECKING:
    import pandas as pd

MOST_BY_NAME = 100  # classes; more of them are names and no kinds [guess]
LEAST_BY_NAME = 2  # images of each
NAMED = 0.5  # of the rows of a table, that must name an image [guess]
LABEL_NAMES = ("label", "labels", "class", "class_name", "category", "target", "y")
ADVICE = (
    "put the images of each class into a folder of its own, named after the class, or give --labels FILE.csv"
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """parts: of each ("train", "select", "test") the label and the file of each image. how: they were labelled, as
    'by folder'."""

    parts: Mapping[str, Sequence[tuple[Any, Path]]]
    how: str

    @property
    def files(self) -> list[Path]:
        return [file for images in self.parts.values() for _, file in images]


def labelled(path: Path, table: str | None, target: str | None, how: HowToRead, said: list[str]) -> Labelled:
    """The images beneath `path` with their labels. table: a file that has them; target: its column; how: it is read.

    said: takes what was left out. Raises InvalidData: no images, no labels, or labels that contradict each other.
    InvalidArgument: target. MissingExtra: pandas is not installed, where there is a table.
    """
    said += others_in_words(path)
    if table is not None:
        return Labelled({"train": _by_table(path, Path(table), target, how, said)}, f"by {Path(table).name}")
    within = parts_of(path)
    if not any(folders(folder) for folder in within.values()):
        return Labelled(
            {part: _by_name(folder) for part, folder in within.items()}, "by the names of the files"
        )
    return Labelled({part: _by_folder(folder, said) for part, folder in within.items()}, "by folder")


def label_in_name(file: Path) -> str:
    """'cat' of cat_001.jpg, cat (2).png and cat-a.gif; '' of 001.jpg."""
    found = re.match(r"(\D*)\d", file.stem) or re.match(r"(.*?)(?:[\s._-]|$)", file.stem)
    return "" if found is None else composed(found[1].strip(" ._-()[]#"))


def _by_folder(folder: Path, said: list[str]) -> list[tuple[str, Path]]:
    found = []
    for sub in folders(folder):
        files = image_files(sub)
        if not files:
            raise InvalidData(
                f"the folder {sub} holds no image ({', '.join(ENDINGS[:4])}, ...); fill it, or remove it"
            )
        found += [(composed(sub.name), file) for file in files]
    if not found:
        raise InvalidData(f"{folder} holds no folders of images; {ADVICE}")
    if loose := loose_images(folder):
        said.append(f"{images(len(loose))} beside the folders of {folder.name} belong to no class: left out.")
    return found


def _by_name(folder: Path) -> list[tuple[str, Path]]:
    files = loose_images(folder)
    if not files:
        raise InvalidData(f"{folder} holds no folders of images; {ADVICE}")
    found = [(label_in_name(file), file) for file in files]
    counts = Counter(label for label, _ in found)
    if 2 <= len(counts) <= MOST_BY_NAME and "" not in counts and min(counts.values()) >= LEAST_BY_NAME:
        return found
    raise InvalidData(
        f"{folder} holds {images(len(files))} and no folders, and their names ({few([file.name for file in files])}) "
        f"do not begin with one of 2 to {MOST_BY_NAME} classes of {LEAST_BY_NAME} or more images each; {ADVICE}"
    )


def _by_table(
    path: Path, table: Path, target: str | None, how: HowToRead, said: list[str]
) -> list[tuple[Any, Path]]:
    files = image_files(path)
    if not files:
        raise InvalidData(f"{path} holds no image ({', '.join(ENDINGS[:4])}, ...)")
    read = read_table(table, said, how=how)
    assert read.source is not None
    header, rows = as_written(read.source, read)  # a name that is a number keeps its zeros
    cells = list(rows())
    finder = _Finder(path, files)
    place = _column_of_names(table, header, cells, finder)
    label = _column_of_labels(table, header, place, target)
    labels = _values(read.frame.iloc[:, label], header[label], said)
    return _joined(path, table, [row[place] for row in cells], labels, finder, header[label], said)


class _Finder:
    """Files by what a table may call them: with or without their ending, folders or the case of their letters."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self.files = files
        self._by_name: dict[Hashable, set[Path]] = defaultdict(set)
        for file in files:
            within = file.relative_to(root)
            for name in (within, within.with_suffix(""), Path(file.name), Path(file.stem)):
                self._by_name[_key(name.as_posix())].add(file)

    def __call__(self, name: str) -> set[Path]:
        """Those that may be meant; the longest that the name has in common decides."""
        parts = _key(name).split("/")
        for start in range(len(parts)):
            rest = "/".join(parts[start:])
            if found := self._by_name.get(rest):
                exact = {file for file in found if _key(file.name) == parts[-1]}  # a.jpg beside a.jpg.png
                return exact or found
        return set()


def _key(name: str) -> str:
    """Windows writes backslashes, and neither it nor macOS tells a from A."""
    return composed(name.strip().replace("\\", "/").removeprefix("./")).casefold()


def _column_of_names(
    table: Path, header: Sequence[str], cells: Sequence[Sequence[str]], finder: _Finder
) -> int:
    hits = [
        sum(bool(row[place].strip() and finder(row[place])) for row in cells) for place in range(len(header))
    ]
    best = max(range(len(header)), key=hits.__getitem__)
    if hits[best] < NAMED * len(cells):
        shown = few([repr(row[best]) for row in cells[:1]])
        raise InvalidData(
            f"no column of {table} names the images: the best, {header[best]!r}, names {hits[best]} of them in "
            f"{len(cells)} rows (the first is {shown}, a file is {finder.files[0].name!r}); give a column with their "
            "file names"
        )
    return best


def _column_of_labels(table: Path, header: Sequence[str], names: int, target: str | None) -> int:
    others = [place for place in range(len(header)) if place != names]
    if target is not None:
        if target not in header or header.index(target) == names:
            listed = ", ".join(repr(header[place]) for place in others) or "none"
            raise InvalidArgument(
                f"--target {target}: {table} has no such column beside that of the file names; it has {listed}"
            )
        return header.index(target)
    if not others:
        raise InvalidData(f"{table} has the one column {header[names]!r}; give one with labels beside it")
    meant = [place for place in others if header[place].strip().lower() in LABEL_NAMES]
    found = others if len(others) == 1 else meant
    if len(found) != 1:
        raise InvalidData(
            f"{table} has the columns {', '.join(repr(header[place]) for place in others)} beside that of the file "
            "names; say which has the labels with --target"
        )
    return found[0]


def _values(column: "pd.Series[Any]", name: str, said: list[str]) -> list[Any]:
    """None where there is none. Whole numbers are whole, spellings of one label are one."""
    import pandas as pd

    missing = column.isna()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        known = column[~missing]
        whole = bool((known == known.round()).all())
        return [
            None if gone else int(v) if whole else float(v) for v, gone in zip(column, missing, strict=True)
        ]
    texts = [None if gone else str(v) for v, gone in zip(column, missing, strict=True)]
    alike = spellings(Counter(text for text in texts if text is not None))
    said += alike.said(name)
    return [alike(text) for text in texts]


def _joined(
    path: Path,
    table: Path,
    names: Sequence[str],
    labels: Sequence[Any],
    finder: _Finder,
    column: str,
    said: list[str],
) -> list[tuple[Any, Path]]:
    """(label, file) of each file that has one. Rows are counted from 1 below the names."""
    met: dict[Path, tuple[Any, int]] = {}
    absent, twice = [], []
    for row, (name, label) in enumerate(zip(names, labels, strict=True), start=1):
        found = finder(name) if name.strip() else set()
        if len(found) > 1:
            both = few([str(file.relative_to(path)) for file in sorted(found)])
            raise InvalidData(
                f"{table}, row {row}: {name!r} may be any of {both}; write the folder and the ending too"
            )
        if not found:
            absent.append(name)
            continue
        (file,) = found
        if file in met:
            before, first = met[file]
            if before != label:
                raise InvalidData(
                    f"{table}: {name!r} has the {column} {before!r} in row {first} and {label!r} in row {row}; keep "
                    "one of the two"
                )
            twice.append(name)
        met[file] = (label, row)
    unlabelled = [file for file in finder.files if file in met and met[file][0] is None]
    unnamed = [str(file.relative_to(path)) for file in finder.files if file not in met]
    said += _left_out(table, column, absent, twice, unlabelled, unnamed)
    if len(unlabelled) == len(met):
        raise InvalidData(f"{table}: the column {column!r} is empty wherever an image is named; fill it")
    return [(met[file][0], file) for file in finder.files if file in met and met[file][0] is not None]


def _left_out(
    table: Path,
    column: str,
    absent: list[str],
    twice: list[str],
    unlabelled: list[Path],
    unnamed: list[str],
) -> list[str]:
    told = []
    if absent:
        told.append(f"Rows of {table.name} that name no image which is there, {len(absent)}: {few(absent)}.")
    if twice:
        told.append(f"Rows of {table.name} that repeat another and count once, {len(twice)}: {few(twice)}.")
    if unlabelled:
        names = few([file.name for file in unlabelled])
        told.append(f"{images(len(unlabelled))} left out that have no {column} in {table.name}: {names}.")
    if unnamed:
        told.append(f"{images(len(unnamed))} left out that no row of {table.name} names: {few(unnamed)}.")
    return told
