"""Images that the tests draw."""

from pathlib import Path

from PIL import Image


def draw(path: Path, size: tuple[int, int] = (12, 10), mode: str = "RGB", value: int = 100) -> None:
    """Of one grey; size: (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).convert(mode).save(path)


def zoo(root: Path, parts: tuple[str, ...] = ("",), count: int = 4) -> Path:
    """Cats of grey 0 and more, dogs of 100 and more."""
    for part in parts:
        for value, name in enumerate(("cat", "dog")):
            for i in range(count):
                draw(root / part / name / f"{i}.png", value=100 * value + i)
    return root
