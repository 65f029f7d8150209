"""What an image stands for: by the folder, by a row of a table, by its own name; what does not fit is said."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from drawn import draw, zoo
from hypothesis import given
from hypothesis import strategies as st

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data.files.dialect import AS_IT_IS
from gammatune.pipeline.data.folder import ImageOptions, load_folder
from gammatune.pipeline.data.images.labels import label_in_name, labelled


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat_001.jpg", "cat"),
        ("dog.12.png", "dog"),
        ("golden_retriever_04.jpg", "golden_retriever"),
        ("cat (3).jpeg", "cat"),
        ("cat-a.gif", "cat"),
        ("Kater 7 b.png", "Kater"),
        ("cat_2024-01-02_3.png", "cat"),
        (unicodedata.normalize("NFD", "bär_1.png"), "bär"),
        ("cat.jpg", "cat"),
        ("001.jpg", ""),
        ("001_cat.jpg", ""),
    ],
)
def test_the_label_in_a_name(name: str, label: str) -> None:
    assert label_in_name(Path(name)) == label


@given(
    st.text(st.characters(categories=["L"]), min_size=1, max_size=8),
    st.sampled_from(["", "_", "-", " ", "."]),
    st.integers(0, 10**6),
)
def test_a_word_and_a_number_give_the_word(word: str, between: str, number: int) -> None:
    assert label_in_name(Path(f"{word}{between}{number}.png")) == unicodedata.normalize("NFC", word)


def test_images_without_folders_are_labelled_by_their_names(tmp_path: Path) -> None:
    for i in range(3):
        draw(tmp_path / f"cat_{i}.png", value=i)
        draw(tmp_path / f"dog.{i}.png", value=100 + i)
    said: list[str] = []
    data = load_folder(tmp_path, said=said)
    assert (data.classes, data.y_train.tolist()) == (("cat", "dog"), [0, 0, 0, 1, 1, 1])
    assert said == ["6 images of 10 x 12 pixels, in colour, 2 classes by the names of the files."]
    draw(tmp_path / "owl_1.png")
    with pytest.raises(
        InvalidData, match=r"7 images and no folders, and their names \(cat_0\.png, .*and 4 more\)"
    ):
        load_folder(tmp_path, said=[])


def test_parts_may_be_labelled_by_names_too(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for i in range(count):
            draw(tmp_path / part / f"cat_{i}.png")
            draw(tmp_path / part / f"dog_{i}.png")
    data = load_folder(tmp_path, said=[])
    assert data.y_test is not None
    assert data.y_test.tolist() == [0, 0, 1, 1]
    assert data.files is not None
    assert data.files.tolist()[0] == "test/cat_0.png"


# By a table ---------------------------------------------------------------------------------------------


def table(path: Path, head: str, rows: Sequence[str]) -> str:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return str(path)


def by_table(
    root: Path, head: str, rows: Sequence[str], **options: str
) -> tuple[dict[str, object], list[str]]:
    """The label of each file, by its path within the folder, and what was said."""
    said: list[str] = []
    found = labelled(root, table(root / "labels.csv", head, rows), options.get("target"), AS_IT_IS, said)
    return {file.relative_to(root).as_posix(): label for label, file in found.parts["train"]}, said


@pytest.fixture
def loose(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "old/c.jpg", "old/Ö 1.png"):
        draw(tmp_path / name)
    return tmp_path


WANTED = {"a.png": "cat", "b.png": "dog", "old/c.jpg": "cat", "old/Ö 1.png": "dog"}


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "b.png", "old/c.jpg", "old/Ö 1.png"],
        ["a", "b", "c", "Ö 1"],
        ["./a.png", "x/y/b.png", "old\\c.jpg", "C.PNG".replace("C.PNG", "OLD/ö 1.PNG")],
        ["images/a.png", "images/b.png", "images/old/c.jpg", unicodedata.normalize("NFD", "Ö 1.png")],
    ],
)
def test_names_with_and_without_endings_folders_and_case(loose: Path, names: list[str]) -> None:
    labels = ["cat", "dog", "cat", "dog"]
    found, said = by_table(
        loose, "label,file", [f"{y},{name}" for y, name in zip(labels, names, strict=True)]
    )
    assert found == WANTED
    assert said == []


def test_names_that_are_numbers_keep_their_zeros(tmp_path: Path) -> None:
    for name in ("1.png", "01.png", "0010.png"):
        draw(tmp_path / name)
    found, _ = by_table(tmp_path, "id;kind", ["1;x", "01;y", "0010;x"])
    assert found == {"1.png": "x", "01.png": "y", "0010.png": "x"}


def test_what_is_missing_or_stands_twice_is_said(loose: Path) -> None:
    rows = ["a.png,cat", "a.png,cat", "b.png,dog", "gone.png,dog", "old/c.jpg,"]
    found, said = by_table(loose, "file,label", rows)
    assert found == {"a.png": "cat", "b.png": "dog"}
    assert said == [
        "Rows of labels.csv that name no image which is there, 1: gone.png.",
        "Rows of labels.csv that repeat another and count once, 1: a.png.",
        "1 image left out that have no label in labels.csv: c.jpg.",
        "1 image left out that no row of labels.csv names: old/Ö 1.png.",
    ]


def test_two_spellings_are_one_label(loose: Path) -> None:
    found, said = by_table(loose, "file,label", ["a.png,cat", "b.png, cat ", "c.jpg,dog", "Ö 1.png,dog"])
    assert set(found.values()) == {"cat", "dog"}
    assert said == ["label: 'cat ' (1) counts as 'cat'."]


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        ("file,label", ["a,cat", "a.png,dog", "b,dog"], r"'a\.png' has the label 'cat' in row 1 and 'dog' in row 2"),
        ("file,label", ["x,cat", "y,dog", "a,dog"], "no column of .*labels.csv names the images: the best, 'file',"),
        ("file,size,age", ["a,1,2", "b,3,4"], "has the columns 'size', 'age' beside .*; say which .* with --target"),
        ("file", ["a", "b"], "has the one column 'file'; give one with labels beside it"),
        ("file,label", ["a,", "b,"], "the column 'label' is empty wherever an image is named"),
        ("file,label", ["1,x", "2,y"], "names the images"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(loose: Path, head: str, rows: list[str], message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        by_table(loose, head, rows)


def test_a_name_that_may_be_two_files_is_refused(loose: Path) -> None:
    draw(loose / "old" / "a.jpg")
    with pytest.raises(
        InvalidData, match=r"row 1: 'a' may be any of a\.png, old/a\.jpg; write the folder and the"
    ):
        by_table(loose, "file,label", ["a,cat", "b,dog"])
    found, _ = by_table(loose, "file,label", ["a.png,cat", "a.jpg,dog"])
    assert found == {"a.png": "cat", "old/a.jpg": "dog"}


def test_the_column_of_the_labels_is_told_by_its_name_or_by_target(loose: Path) -> None:
    rows = ["3,a,cat,red", "4,b,dog,blue"]
    found, _ = by_table(loose, "age,file,label,colour", rows)
    assert found == {"a.png": "cat", "b.png": "dog"}
    found, _ = by_table(loose, "age,file,label,colour", rows, target="colour")
    assert found == {"a.png": "red", "b.png": "blue"}
    with pytest.raises(InvalidArgument, match=r"--target hue: .* it has 'age', 'label', 'colour'"):
        by_table(loose, "age,file,label,colour", rows, target="hue")


def test_numbers_in_a_table_are_a_regression(tmp_path: Path) -> None:
    root = zoo(tmp_path)
    rows = [f"{name}/{i}.png,{10 * k + i}.5" for k, name in enumerate(("cat", "dog")) for i in range(4)]
    said: list[str] = []
    options = ImageOptions(labels=table(root / "ages.csv", "file,age", rows))
    data = load_folder(root, options, said=said)
    assert data.task == "regression"
    np.testing.assert_array_equal(data.y_train[:, 0], [0.5, 1.5, 2.5, 3.5, 10.5, 11.5, 12.5, 13.5])
    assert said == ["8 images of 10 x 12 pixels, in colour, numbers by ages.csv."]
    whole = ImageOptions(
        labels=table(root / "ages.csv", "file,age", [row.removesuffix(".5") for row in rows])
    )
    assert load_folder(root, whole, said=[]).classes == (0, 1, 2, 3, 10, 11, 12, 13)
    assert load_folder(root, whole, task="regression", said=[]).task == "regression"
