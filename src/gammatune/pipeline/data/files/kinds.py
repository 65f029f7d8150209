"""Kinds of file that hold tables: by how their names end, and by their first bytes, where the two disagree."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "text", "spreadsheet", "stata", "spss", "spss portable", "sas", "r", "arff", "parquet", "arrow", "json"
]

# How a name ends, and what it holds then: here alone.
KINDS: Mapping[str, Kind] = {
    ".csv": "text", ".tsv": "text", ".txt": "text", ".data": "text", ".dat": "text", ".tab": "text",
    ".xlsx": "spreadsheet", ".xlsm": "spreadsheet", ".xls": "spreadsheet", ".xlsb": "spreadsheet",
    ".ods": "spreadsheet",
    ".dta": "stata", ".sav": "spss", ".zsav": "spss", ".por": "spss portable", ".sas7bdat": "sas",
    ".rds": "r", ".rdata": "r", ".rda": "r",
    ".arff": "arff",
    ".parquet": "parquet", ".pq": "parquet",
    ".feather": "arrow", ".arrow": "arrow", ".ipc": "arrow",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip
PACKED = (".gz", ".bz2", ".xz", ".zip")  # each of them may be so

# What files of these kinds begin with. Text and JSON begin with anything.
_FIRST: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"ARROW1|FEA1"), "arrow"),
    (
        re.compile(rb"\xd0\xcf\x11\xe0|PK\x03\x04"),
        "spreadsheet",
    ),  # what else a zip holds is taken out of it before
    (re.compile(rb"<stata_dta>|[\x6c-\x73][\x01\x02]\x01\x00"), "stata"),
    (re.compile(rb"\$FL[23]"), "spss"),
    (re.compile(rb"\x00{12}\xc2\xea\x81\x60"), "sas"),
    (re.compile(rb"RD[ABX][23]\n|X\n\x00\x00\x00[\x02\x03]"), "r"),
    (re.compile(rb"([^\S\n]*(%[^\n]*)?\n)*[^\S\n]*@relation\s", re.IGNORECASE), "arff"),
)


def kind_of(name: str) -> Kind | None:
    """By how the name ends, compressed or not."""
    return KINDS.get(PurePath(unpacked_name(name)).suffix.lower())


def is_table(path: object) -> bool:
    """Whether the file's name says that it holds a table."""
    name = str(path)
    return kind_of(name) is not None or name.lower().endswith(".zip")


def unpacked_name(name: str) -> str:
    """Without the endings of compression: survey.csv of survey.csv.gz; and survey of survey.zip."""
    while name.lower().endswith(PACKED):
        name = name.rpartition(".")[0]
    return name


def kind_by_content(head: bytes) -> Kind | None:
    """By the first bytes of a file; None where they tell nothing."""
    return next((kind for pattern, kind in _FIRST if pattern.match(head)), None)
