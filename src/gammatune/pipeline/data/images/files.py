"""Which files are images, and which parts of a data set a folder has.

What is hidden (a name with a dot in front) and what macOS packs beside an archive are passed over.
"""

import unicodedata
from collections import Counter
from pathlib import Path

from gammatune.errors import InvalidData

ENDINGS = (
    ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif", ".avif", ".jp2",
)  # fmt: skip
# Pictures that Pillow does not read by itself: said where they lie, since a folder of photographs may hold no others.
OTHERS = (".heic", ".heif", ".svg", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".psd", ".dcm", ".nii")
PARTS = {
    "train": ("train", "training", "trainset"),
    "select": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "testset", "eval"),
}
BESIDE_AN_ARCHIVE = "__MACOSX"
FEW = 3  # names that are told


def image_files(folder: Path) -> list[Path]:
    """The images beneath a folder, in the order of their names."""
    return [file for file in _files(folder) if is_image(file)]


def is_image(path: Path) -> bool:
    """Whether a file's name says so."""
    return path.suffix.lower() in ENDINGS


def folders(path: Path) -> list[Path]:
    """Those within `path` that may be parts or classes, in the order of their names."""
    return [
        sub for sub in sorted(path.iterdir()) if sub.is_dir() and not _is_passed_over(sub.relative_to(path))
    ]


def loose_images(folder: Path) -> list[Path]:
    """Those within it, not deeper."""
    return sorted(
        file
        for file in folder.iterdir()
        if is_image(file) and file.is_file() and not file.name.startswith(".")
    )


def parts_of(path: Path) -> dict[str, Path]:
    """The folder of each part; all of it is to train on where there is no folder called so.

    Raises InvalidData where there are folders beside those of the parts.
    """
    within = folders(path)
    named = {
        part: folder for folder in within for part, names in PARTS.items() if folder.name.lower() in names
    }
    if "train" not in named:
        return {"train": path}
    if len(named) != len(within):
        other = next(folder for folder in within if folder not in named.values())
        raise InvalidData(
            f"{path} holds {named['train'].name} and {other.name}; beside train there may be val and test, nothing "
            "else"
        )
    return {part: named[part] for part in PARTS if part in named}


def others_in_words(folder: Path) -> list[str]:
    """A sentence where pictures of a kind that is not read lie beneath the folder."""
    endings = Counter(file.suffix.lower() for file in _files(folder) if file.suffix.lower() in OTHERS)
    if not endings:
        return []
    kinds = ", ".join(f"{count} ending in {ending}" for ending, count in sorted(endings.items()))
    return [f"Pictures that are not read are left out ({kinds}); save them as JPEG or PNG."]


def composed(name: str) -> str:
    """With each letter and its accent as one character, which macOS takes apart in the names of files."""
    return unicodedata.normalize("NFC", name)


def images(count: int) -> str:
    """'1 image', '2 images'."""
    return f"{count} image{'' if count == 1 else 's'}"


def few(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    rest = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + rest


def _files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.rglob("*") if not _is_passed_over(file.relative_to(folder)) and file.is_file()
    )


def _is_passed_over(path: Path) -> bool:
    return any(part.startswith(".") or part == BESIDE_AN_ARCHIVE for part in path.parts)
