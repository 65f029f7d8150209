"""One clean table, written in every dialect, encoding and damage, two and two: it is read as the clean one, or it is
refused by the line; and the rows of the file are those that were read."""

import re
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files.reading import as_written, read_table

NAMES = ["name", "age", "score", "city"]
CITIES = ["Århus", "Köln", "Málaga"]
ROWS = [[f"Zoë {i}", str(20 + i * 7 % 13), f"{1.25 * i:.2f}", CITIES[i % 3]] for i in range(12)]
DIALECTS = [(",", "."), (";", ","), (";", "."), ("\t", "."), ("\t", ","), ("|", ".")]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"]

Lines = list[str]


def at(place: int, *what: str) -> Callable[[Lines, str], Lines]:
    """These in front of the line of that place."""
    return lambda lines, sep: [*lines[:place], *(text.replace(";", sep) for text in what), *lines[place:]]


def behind(*what: str) -> Callable[[Lines, str], Lines]:
    return lambda lines, sep: [*lines, *(text.replace(";", sep) for text in what)]


DAMAGES: dict[str, Callable[[Lines, str], Lines]] = {
    "none": lambda lines, sep: lines,
    "titles": at(0, "Children of a school", ""),
    "a title as spreadsheets write it": at(0, "Children;;;"),
    "blank lines": at(3, "", "   ", ";;;"),
    "second line of names": at(1, "of a child;years;points;it lives in"),
    "footnote": behind("", "Source: the school, 2020"),
    "marked footnote": behind("* preliminary"),
    "total": behind("Total;;{sum};"),
    "mean": behind("Mean;{mean};;"),
    "no names": lambda lines, sep: lines[1:],
    "trailing separators": lambda lines, sep: [line + sep for line in lines],
    "separators behind the rows": lambda lines, sep: [lines[0], *(line + sep for line in lines[1:])],
    "blanks": lambda lines, sep: [line.replace(sep, f"{sep} ") for line in lines],
    "quotes": lambda lines, sep: [sep.join(f'"{cell}"' for cell in line.split(sep)) for line in lines],
    "a cell too many": at(5, "Zoë;20;1;Köln;x"),
    "a quote that is not closed": at(5, 'Zoë;20;1;"Köln'),
}  # fmt: skip
REFUSED = {"a cell too many", "a quote that is not closed"}
APART = [  # which make no sense together
    {"titles", "a title as spreadsheets write it"},
    {"no names", "second line of names"},
    {"total", "mean"},
    {"trailing separators", "separators behind the rows"},
    {"a quote that is not closed", "quotes"},
    {"trailing separators", "a cell too many"},
    REFUSED,
]


def write(path: Path, dialect: tuple[str, str], encoding: str, damages: tuple[str, ...]) -> None:
    separator, decimal = dialect
    rows = [[*row[:2], row[2].replace(".", decimal), row[3]] for row in ROWS]
    lines = [separator.join(row) for row in [NAMES, *rows]]
    for damage in sorted(
        damages, key=list(DAMAGES).index, reverse=True
    ):  # what goes around the others at last
        lines = DAMAGES[damage](lines, separator)
    total, mean = (sum(float(row[i]) for row in ROWS) for i in (2, 1))
    text = "\n".join(lines) + "\n"
    text = text.replace("{sum}", f"{total:.2f}".replace(".", decimal))
    path.write_bytes(text.replace("{mean}", f"{mean / 12:.1f}".replace(".", decimal)).encode(encoding))


def is_clean(path: Path, damages: tuple[str, ...]) -> str:
    """What is not as it is in the clean one."""
    said: list[str] = []
    read = read_table(path, said)
    frame = read.frame
    if "trailing separators" in damages:
        frame = frame.iloc[:, :4]
    expected = ["column 1", "column 2", "column 3", "column 4"] if "no names" in damages else NAMES
    if "second line of names" in damages:
        expected = ["name of a child", "age years", "score points", "city it lives in"]
    if list(frame.columns) != expected:
        return f"names {list(frame.columns)}"
    values = [[row[0], float(row[1]), float(row[2]), row[3]] for row in ROWS]
    if (found := frame.to_numpy().tolist()) != values:
        return f"rows {found}"
    assert read.source is not None
    rows = [row[:4] for row in as_written(read.source)[1]()]
    if [row[:2] for row in rows] != [row[:2] for row in ROWS]:
        return f"written {rows}"
    return ""


PAIRS = [pair for pair in combinations(DAMAGES, 2) if {*pair} not in APART]


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_any_two_damages_in_a_dialect(tmp_path: Path, pair: tuple[str, str]) -> None:
    number = PAIRS.index(pair)
    cases = [*product(DIALECTS, ENCODINGS)]
    for dialect, encoding in cases[number % 7 :: 7]:
        path = tmp_path / "t.csv"
        write(path, dialect, encoding, pair)
        if {*pair} & REFUSED:
            with pytest.raises(InvalidData, match=r"t\.csv, line \d+: ") as refused:
                read_table(path, [])
            line = int(re.findall(r"line (\d+)", str(refused.value))[0])
            text = path.read_bytes().decode(encoding)
            assert re.split(r"\n", text)[line - 1].lstrip('"').startswith("Zoë")
        else:
            assert (dialect, encoding, is_clean(path, pair)) == (dialect, encoding, "")


@pytest.mark.parametrize(("dialect", "encoding"), [*product(DIALECTS, ENCODINGS)])
def test_any_dialect_in_any_encoding(tmp_path: Path, dialect: tuple[str, str], encoding: str) -> None:
    write(tmp_path / "t.csv", dialect, encoding, ())
    assert is_clean(tmp_path / "t.csv", ()) == ""
