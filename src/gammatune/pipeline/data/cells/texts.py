"""Text that is neither a number nor a date: what it is, where that can be told."""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from gammatune.pipeline.data.cells.amounts import MOSTLY
from gammatune.pipeline.data.cells.sample import some

if TYPE_CHECKING:
    import pandas as pd

LOOKED_AT = 500  # values
SEVERAL = 0.2  # of the cells hold more than one answer, at least [guess]
RECURRING = 3  # cells that an answer is in, in the mean, at least [guess]

_KINDS = {
    "e-mail addresses": re.compile(r"\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*"),
    "web addresses": re.compile(r"\s*(https?://|www\.)\S+\s*", re.IGNORECASE),
    "phone numbers": re.compile(r"\s*(\+\d|\(\d|0\d|\d{3}[-. ]\d{3})[\d ()/.-]{5,16}\s*"),
}
_PHONE = re.compile(
    r"(^|[\W_])(phone|telephone|tel|mobile|fax|telefon|telefono|handy)([\W_]|$)", re.IGNORECASE
)
_POSTCODE = re.compile(
    r"(^|[\W_])(zip|zip_?code|postcode|postal|postal_?code|post_?code|plz|postleitzahl|code_?postal|codigo_?postal|"
    r"postnr|postnummer|pincode)([\W_]|$)",
    re.IGNORECASE,
)


def kind_of_text(text: "pd.Series[Any]") -> str:
    """'e-mail addresses', 'web addresses' or 'phone numbers'; "" where it is none of these."""
    few = some(text, LOOKED_AT).tolist()
    for what, pattern in _KINDS.items():
        if sum(pattern.fullmatch(value) is not None for value in few) >= MOSTLY * len(few):
            return what
    return ""


def kind_of_numbers(name: str, numbers: "pd.Series[Any]") -> tuple[str, bool]:
    """'postcodes' or 'phone numbers', where a column of whole numbers is called so and they are as long, else ""; and
    whether something is to be learned of them."""
    wanted = (("postcodes", _POSTCODE, 1e2, 1e7, True), ("phone numbers", _PHONE, 1e6, 1e16, False))
    for what, pattern, low, high, is_input in wanted:
        if pattern.search(name) and bool(((numbers == numbers.round()) & numbers.between(low, high)).all()):
            return what, is_input
    return "", False


def answers_mark(text: "pd.Series[Any]") -> str:
    """What parts the answers, where cells hold several of a few that recur: 'tea; milk', 'milk'; else ""."""
    few = some(text, LOOKED_AT).tolist()
    for mark in (";", "|", ","):
        parts = [[part.strip(" '\"[]") for part in cell.split(mark)] for cell in few]
        if (
            sum(len(cell) > 1 for cell in parts) < SEVERAL * len(few)
            or len({len(cell) for cell in parts}) == 1
        ):
            continue  # as many in each are a first and a second thing: Ulm, Germany
        counts = Counter(part for cell in parts for part in set(cell) if part)
        short = all(part.count(" ") < 4 and not part.replace(".", "").isdigit() for part in counts)
        if short and counts and counts.total() >= RECURRING * len(counts):
            return mark
    return ""
