"""Kinds of file that hold tables: by how their names end, and by their first bytes, where the two disagree."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal, TypeAlias

from gammatune.errors import InvalidData

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
SHOWN = ".csv, .xlsx, .ods, .sav, .dta, .rds, .parquet, .json, ..."  # a few of them, for sentences
PACKED = (".gz", ".bz2", ".xz", ".zip")  # each of them may be so

# What files of these kinds begin with. Text and JSON begin with anything.
_FIRST: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"ARROW1|FEA1"), "arrow"),
    # what else a .zip holds is taken out of it before
    (re.compile(rb"\xd0\xcf\x11\xe0|PK\x03\x04"), "spreadsheet"),
    (re.compile(rb"<stata_dta>|[\x6c-\x73][\x01\x02]\x01\x00"), "stata"),
    (re.compile(rb"\$FL[23]"), "spss"),
    (re.compile(rb"\x00{12}\xc2\xea\x81\x60"), "sas"),
    (re.compile(rb"RD[ABX][23]\n|X\n\x00\x00\x00[\x02\x03]"), "r"),
    (re.compile(rb"([^\S\n]*(%[^\n]*)?\n)*[^\S\n]*@relation\s", re.IGNORECASE), "arff"),
)
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*)?\{\s*\"")
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|table|\?xml)\b", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WORDS: Mapping[Kind, str] = {
    "text": "text", "spreadsheet": "a spreadsheet", "stata": "a table of Stata", "spss": "a table of SPSS",
    "spss portable": "a table of SPSS", "sas": "a table of SAS", "r": "a table of R", "arff": "ARFF",
    "parquet": "Parquet", "arrow": "Arrow", "json": "JSON",
}  # fmt: skip


def kind_of(name: str) -> Kind | None:
    """By how the name ends, compressed or not."""
    return KINDS.get(PurePath(unpacked_name(name)).suffix.lower())


def is_table(name: str) -> bool:
    """Whether the name of a file says that it holds one."""
    return kind_of(name) is not None or name.lower().endswith(".zip")


def unpacked_name(name: str) -> str:
    """Without the endings of compression: survey.csv of survey.csv.gz; and survey of survey.zip."""
    while name.lower().endswith(PACKED):
        name = name.rpartition(".")[0]
    return name


def kind_in(name: str, head: bytes, said: list[str]) -> Kind:
    """What a file holds: as its name says, but where its first bytes are of another kind, which is said.

    name: without endings of compression. Raises InvalidData: it is a page of the web, or of a kind not known.
    """
    if _PAGE.match(head):
        raise InvalidData(
            f"{name} holds a page for a browser (HTML or XML), and no table; open it in a spreadsheet program and "
            "save it as .xlsx, or fetch the file itself"
        )
    named = kind_of(name)
    found = next((kind for pattern, kind in _FIRST if pattern.match(head)), None)
    if found is None and _is_text(head):
        written: tuple[Kind, ...] = ("text", "json", "arff", "spss portable")
        found = named if named in written else "text"
        found = "json" if named in (None, "text") and _JSON.match(head) else found
    if found is None:
        found = named
    if found is None:
        raise InvalidData(f"{name} is of no kind that is read; give a table that ends in {SHOWN}")
    if named is not None and found != named:
        said.append(f"{name} holds {_WORDS[found]}, whatever its name says, and was read as that.")
    return found


def _is_text(head: bytes) -> bool:
    """Whether it holds nothing that stands only in other files; UTF-16 has zeros, and a mark."""
    return head[:2] in (b"\xff\xfe", b"\xfe\xff") or _CONTROL.search(head) is None
