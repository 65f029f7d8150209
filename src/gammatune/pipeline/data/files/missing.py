"""What stands in a file where a value is missing."""

# Beside what pandas knows ("", NA, N/A, NaN, null, None, ...).
MISSING = ("?", "-", "--", ".", "n.a.", "N.A.", "k.A.", "k. A.", "keine Angabe", "no answer")  # guess

# What spreadsheets write where a formula has no value, in English, German, French and Spanish.
ERRORS = (
    "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!",
    "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#NOM?", "#VALEUR!", "#NOMBRE!", "#NOMBRE?", "#VALOR!", "#¡DIV/0!",
)  # fmt: skip
