"""Files of Stata, SPSS and SAS: labels of values and columns, what is missing, and what is damaged."""

import datetime
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import needs
import pandas as pd
import pytest

import gammatune
from gammatune.errors import InvalidData, MissingExtra
from gammatune.pipeline.data.files.dialect import Read
from gammatune.pipeline.data.files.reading import read_table

pyreadstat = needs.package("pyreadstat")

SEX = {1: "male", 2: "female", 9: "no answer"}
AGREE = {1: "strongly disagree", 2: "disagree", 3: "agree", 4: "strongly agree"}
WRITE: Mapping[str, Callable[..., None]] = {".sav": pyreadstat.write_sav, ".dta": pyreadstat.write_dta}
both = pytest.mark.parametrize("ending", WRITE)


def kept(tmp_path: Path, ending: str, columns: Mapping[str, Any], **options: Any) -> tuple[Read, list[str]]:
    """The columns as they are written and read back, and what was said."""
    path, said = tmp_path / f"t{ending}", list[str]()
    WRITE[ending](pd.DataFrame(columns), str(path), **options)
    return read_table(path, said), said


@both
def test_labels_of_values_stand_in_their_place_in_the_order_of_codes(tmp_path: Path, ending: str) -> None:
    read, said = kept(
        tmp_path,
        ending,
        {"sex": [2.0, 1, 9, None, 2]},
        variable_value_labels={"sex": SEX},
        column_labels={"sex": "Sex"},
    )
    sex = read.frame["sex"]
    assert sex.cat.categories.tolist() == ["male", "female"]
    assert sex.isna().tolist() == [False, False, True, True, False]
    assert sex.dropna().tolist() == ["female", "male", "female"]
    assert read.labels == {"sex": "Sex"}
    assert said == [
        f"t{ending} says more of its columns than their names: sex 'Sex'.",
        f"Values whose labels say that there is no answer are missing in t{ending}: 1 of sex (no answer).",
        f"In t{ending} the labels of values stand in their place: sex (1 male, 2 female).",
    ]


@both
def test_a_scale_with_labels_at_its_ends_keeps_its_numbers(tmp_path: Path, ending: str) -> None:
    labels = {"how": {0: "not at all", 10: "very", 99: "refused"}}
    read, said = kept(tmp_path, ending, {"how": [0.0, 3, 10, 99, 5]}, variable_value_labels=labels)
    assert read.frame["how"].tolist()[:3] == [0, 3, 10]
    assert read.frame["how"].isna().tolist() == [False, False, False, True, False]
    assert (
        said[-1]
        == f"In t{ending} numbers stay numbers where only some of them have labels: how (0 not at all, 10 very)."
    )


@both
def test_labels_that_are_the_numbers_themselves(tmp_path: Path, ending: str) -> None:
    labels = {"age": {18: "18", 19: "19", 20: "20", 89: "89 or older"}}
    read, _ = kept(tmp_path, ending, {"age": [18, 20, 89, 19]}, variable_value_labels=labels)
    assert read.frame["age"].tolist() == [18, 20, 89, 19]


@both
def test_a_code_without_a_label_among_many_with_one(tmp_path: Path, ending: str) -> None:
    codes = [1, 2] * 20 + [7]
    read, _ = kept(tmp_path, ending, {"sex": codes}, variable_value_labels={"sex": SEX})
    assert read.frame["sex"].tolist() == ["male", "female"] * 20 + ["7"]


@both
def test_two_codes_of_one_label_are_one(tmp_path: Path, ending: str) -> None:
    labels = {"a": {1: "yes", 2: "no", 3: "yes"}}
    read, _ = kept(tmp_path, ending, {"a": [3, 1, 2]}, variable_value_labels=labels)
    assert read.frame["a"].tolist() == ["yes", "yes", "no"]


def test_what_spss_measures_as_ordinal_is_in_order(tmp_path: Path) -> None:
    for measure in ("ordinal", "nominal"):
        options = {"variable_value_labels": {"a": AGREE}, "variable_measure": {"a": measure}}
        read, _ = kept(tmp_path, ".sav", {"a": [4, 1, 3, 4]}, **options)
        assert read.frame["a"].cat.ordered == (measure == "ordinal")
        assert read.frame["a"].cat.categories.tolist() == ["strongly disagree", "agree", "strongly agree"]


def test_values_that_spss_declares_missing(tmp_path: Path) -> None:
    ranges = {"income": [{"lo": 97.0, "hi": 99.0}], "t": ["x"]}
    read, said = kept(
        tmp_path, ".sav", {"income": [98.0, 5, 97, 6], "t": ["x", "y", "", "z"]}, missing_ranges=ranges
    )
    assert read.frame["income"].isna().tolist() == [True, False, True, False]
    assert read.frame["t"].isna().tolist() == [True, False, True, False]
    assert said == ["t.sav declares values to be missing: income (97 to 99); t (x)."]


def test_values_that_stata_says_why_they_are_missing(tmp_path: Path) -> None:
    labels = {"a": {1: "yes", 2: "no", "b": "moved away"}}
    options = {"missing_user_values": {"a": ["a", "b"]}, "variable_value_labels": labels}
    read, said = kept(tmp_path, ".dta", {"a": [1, 2, "a", "b"]}, **options)
    assert read.frame["a"].tolist()[:2] == ["yes", "no"]
    assert read.frame["a"].isna().tolist() == [False, False, True, True]
    assert "declares values to be missing: a (.b moved away)" in said[0]


@both
def test_types_are_kept(tmp_path: Path, ending: str) -> None:
    days = [datetime.date(2024, 1, 31), None, datetime.date(1900, 1, 1)]
    moments = pd.Series([datetime.datetime(2024, 1, 31, 4, 5), None, datetime.datetime(1990, 1, 1)])
    columns = {"n": [1.0, 2, 3], "x": [0.5, None, -1e9], "t": ["naïve", "?", " "], "d": days, "m": moments}
    columns["h"] = [datetime.time(3, 4), None, datetime.time(23)]
    read, said = kept(tmp_path, ending, columns)
    frame = read.frame
    assert frame["n"].dtype.kind == "i"
    assert frame["x"].isna().tolist() == [False, True, False]
    assert frame["t"].isna().tolist() == [False, True, True]
    assert frame["d"].dropna().tolist() == [pd.Timestamp(2024, 1, 31), pd.Timestamp(1900, 1, 1)]
    assert frame["m"].dropna().tolist() == moments.dropna().tolist()
    assert frame["h"].dropna().tolist() == ["03:04:00", "23:00:00"]
    assert said == []


def test_portable_files_of_spss(tmp_path: Path) -> None:
    pyreadstat.write_por(pd.DataFrame({"a": [1.0, 2], "t": ["x", "y"]}), str(tmp_path / "t.por"))
    assert read_table(tmp_path / "t.por", []).frame.to_dict("list") == {"A": [1, 2], "T": ["x", "y"]}


def test_sas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing writes it: what pyreadstat gives is put in its place."""
    pyreadstat.write_sav(
        pd.DataFrame({"a": [1.0, 2]}), str(tmp_path / "t.sav"), variable_value_labels={"a": SEX}
    )
    read, _ = pyreadstat.read_sav, (tmp_path / "t.sas7bcat").write_bytes(b"")
    asked = []

    def read_sas(path: str, **options: Any) -> Any:
        asked.append(options.pop("catalog_file", None))
        return read(str(tmp_path / "t.sav"), **options)

    monkeypatch.setattr(pyreadstat, "read_sas7bdat", read_sas)
    (tmp_path / "t.sas7bdat").write_bytes(b"\x00" * 12 + b"\xc2\xea\x81\x60")
    assert read_table(tmp_path / "t.sas7bdat", []).frame["a"].tolist() == ["male", "female"]
    assert asked == [str(tmp_path / "t.sas7bcat")] * 2


@pytest.mark.parametrize("ending", [".sav", ".dta", ".por", ".sas7bdat"])
def test_what_is_cut_says_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    if ending == ".sas7bdat":
        path.write_bytes(b"\x00" * 12 + b"\xc2\xea\x81\x60" + b"\x00" * 100)
    else:
        frame = pd.DataFrame({"a": [1.0, 2] * 50})
        (pyreadstat.write_por if ending == ".por" else WRITE[ending])(frame, str(path))
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InvalidData, match=r"cannot be read .*it may be cut"):
        read_table(path, [])


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, ending in (("pyreadstat", ".sav"), ("pyreadr", ".rds"), ("python_calamine", ".xlsx")):
        (tmp_path / f"t{ending}").write_bytes(b"\x00\x01")
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtra, match=rf"read by {package}.*pip install 'gammatune\[files\]'"):
            read_table(tmp_path / f"t{ending}", [])


def test_labels_of_columns_stand_in_what_was_understood(tmp_path: Path) -> None:
    path = tmp_path / "t.sav"
    frame = pd.DataFrame({"v1": [18.5, 20, 30, 40], "v2": [1.0, 2, 1, 2]})
    pyreadstat.write_sav(frame, str(path), column_labels={"v1": "Age in years"})
    notes = {column.name: column.note for column in gammatune.read_table(path).columns}
    assert notes["v1"].startswith("'Age in years'")
    assert "'" not in notes["v2"]
