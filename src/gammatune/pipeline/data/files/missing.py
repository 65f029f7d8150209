"""What stands in a file where a value is missing."""

import re
from collections.abc import Sequence

# Beside what pandas knows ("", NA, N/A, NaN, null, None, ...), a guess; the last is LimeSurvey's.
MISSING = (
    "?", "-", "--", ".", "n.a.", "N.A.", "k.A.", "k. A.", "keine Angabe", "no answer", "{question_not_shown}",
)  # fmt: skip

# What spreadsheets write where a formula has no value, in English, German, French and Spanish.
ERRORS = (
    "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!",
    "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#NOM?", "#VALEUR!", "#NOMBRE!", "#NOMBRE?", "#VALOR!", "#¡DIV/0!",
)  # fmt: skip

# What pandas reads as missing, which Arrow has to be told (pandas, `read_csv`, na_values).
KNOWN = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def said_of_errors(body: bytes, separator: str, name: str) -> list[str]:
    """A sentence where formulas failed in cells of a text. name: of the file."""
    if b"#" not in body:
        return []
    errors = b"|".join(re.escape(error.encode()) for error in ERRORS)
    edge = re.escape(separator.encode()) + rb'\r\n"'
    found = re.findall(rb"(?:(?<=[" + edge + rb"])|^)(" + errors + rb")(?=[" + edge + rb"]|$)", body)
    return in_words([error.decode() for error in found], name)


def in_words(errors: Sequence[str], name: str) -> list[str]:
    if not errors:
        return []
    what = f"{len(errors)} cells" if len(errors) > 1 else "a cell"
    return [f"{name} holds {what} in which a formula failed, such as {errors[0]}: missing."]
