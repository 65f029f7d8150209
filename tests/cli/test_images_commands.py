"""Folders of images as people have them, from the command line: trained on, shown, predicted, gone on with."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gammatune as library
from gammatune.errors import DataWarning
from gammatune.journal.history import FILE, replay
from gammatune.pipeline.options import Options

FAST = ("--epochs", "2", "--budget", "1", "--batch-size", "8", "--threads", "1", "--model", "mlp")


def photographs(root: Path, size: tuple[int, int] = (90, 45), count: int = 15) -> Path:
    """Of dark and of light grey, with a white frame. size: (width, height)."""
    r = np.random.default_rng(0)
    width, height = size
    for low, name in ((0, "dunkel"), (150, "hell é")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = r.integers(low, low + 90, (height, width, 3)).astype(np.uint8)
            pixels[:5] = pixels[-5:] = pixels[:, :5] = pixels[:, -5:] = 255
            Image.fromarray(pixels).save(root / name / f"Bild {i:02}.png")
    return root


@pytest.fixture
def zoo() -> Path:
    """Two of its 32 images cannot be read."""
    root = photographs(Path("zoo"))
    (root / "dunkel" / "kaputt.jpg").write_bytes(b"\xff\xd8\xff no image")
    (root / "hell é" / "leer.png").touch()
    return root


LEFT_OUT = (
    "2 of 32 images left out that cannot be read: dunkel/kaputt.jpg (no image that Pillow knows), hell é/leer.png "
    "(empty)."
)


def rows_of(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))


def test_unreadable_files_are_left_out_in_training_and_prediction(gammatune: Any, zoo: Path) -> None:
    said = gammatune("train", "zoo", *FAST)
    assert said.code == 0
    flat = " ".join(said.out.split())
    assert LEFT_OUT in flat
    assert "filled up beside with the colour of their edges, since 100 % of them would lose" in flat
    assert "30 images of 32 x 32 pixels, in colour, 2 classes by folder." in flat
    said = gammatune("predict", "runs/zoo-1", "zoo")
    assert said.code == 0
    assert LEFT_OUT in " ".join(said.out.split())
    assert "30 predictions written to" in said.out
    assert "accuracy" in said.out
    files = [row["file"] for row in rows_of("zoo.predictions.csv")]
    assert files == [f"{name}/Bild {i:02}.png" for name in ("dunkel", "hell é") for i in range(15)]
    said = gammatune("predict", "runs/zoo-1", "zoo/dunkel/kaputt.jpg")
    assert said.code == 1
    assert "kaputt.jpg: it cannot be read: kaputt.jpg (no image that Pillow knows); replace it" in said.err
    assert not Path("zoo/dunkel/kaputt.predictions.csv").exists()
    with pytest.warns(DataWarning, match="2 of 32 images left out"):
        assert len(library.load("runs/zoo-1").predict("zoo")) == 30


def test_mistakes_are_named_by_file(gammatune: Any) -> None:
    photographs(Path("zoo"))
    for file in Path("zoo/hell é").iterdir():  # what cannot be learned: the same pictures are of both classes
        file.write_bytes((Path("zoo/dunkel") / file.name).read_bytes())
    said = gammatune("train", "zoo", *FAST)
    told = rows_of("runs/zoo-1/predictions.csv")
    wrong = [row["file"] for row in told if row["truth"] != row["prediction"]]
    assert wrong
    assert any(name in said.out for name in wrong)
    gammatune("report", "runs/zoo-1")
    page = Path("runs/zoo-1/report.html").read_text(encoding="utf-8")
    assert all(f"file {name}" in page for name in wrong)


def test_the_contact_sheet_shows_what_the_network_sees(gammatune: Any) -> None:
    photographs(Path("zoo"))
    assert gammatune("train", "zoo", *FAST, "--fit", "pad").code == 0
    sheet = Path("runs/zoo-1/contact-sheet.png")
    with Image.open(sheet) as opened:
        seen = np.asarray(opened)
    for top, low, high in (
        (4, 0, 100),
        (4 + 68, 140, 250),
    ):  # the first of either class, each pixel four times
        picture = seen[top : top + 64, 150 : 150 + 64]
        assert (picture[:16] == 255).all()  # filled up with the white of the frame
        assert low < picture[32, 16:48].mean() < high
    gammatune("report", "runs/zoo-1")
    uri = base64.b64encode(sheet.read_bytes()).decode()
    assert uri in Path("runs/zoo-1/report.html").read_text(encoding="utf-8")


def test_a_run_whose_budget_was_spent_before_its_first_step_has_a_page(gammatune: Any) -> None:
    photographs(Path("zoo"))
    assert gammatune("train", "zoo", "--epochs", "1").code == 0
    rollouts = replay("runs/zoo-1").rollouts
    assert any(each.steps == 0 and "the budget was spent" in each.note for each in rollouts)
    assert gammatune("report", "runs/zoo-1").code == 0


def test_predictions_see_images_as_the_run_did(gammatune: Any) -> None:
    photographs(Path("zoo"))
    for number, fit in enumerate(("crop", "pad", "stretch"), start=1):
        assert gammatune("train", "zoo", *FAST, "--fit", fit).code == 0
        facts = replay(f"runs/zoo-{number}").begin["facts"]
        assert facts["preprocessing"]["fit"] == facts["command"]["fit"] == fit
        run = library.load(f"runs/zoo-{number}")
        told = {row["file"]: float(row["p(dunkel)"]) for row in rows_of(f"runs/zoo-{number}/predictions.csv")}
        assert len(told) == 6
        for file, p in told.items():
            assert run.predict_proba(Path("zoo") / file)[0, 0] == pytest.approx(p, abs=1e-6)


def test_a_run_of_an_earlier_version_cuts_the_middle_out(gammatune: Any) -> None:
    photographs(Path("zoo"))
    gammatune("train", "zoo", *FAST, "--fit", "crop")
    journal = Path("runs/zoo-1") / FILE
    first, *rest = journal.read_text().splitlines(keepends=True)
    event = json.loads(first)
    for kept, names in (("preprocessing", ("fit", "levels")), ("command", ("fit", "labels"))):
        for name in names:
            del event["facts"][kept][name]
    journal.write_text(json.dumps(event) + "\n" + "".join(rest))
    assert Options.of_run("runs/zoo-1").fit == "crop"
    assert gammatune("resume", "runs/zoo-1").code == 0
    assert gammatune("train", "zoo", *FAST, "--run-dir", "runs/zoo-1").code == 0


def test_labels_by_a_table_and_by_names(gammatune: Any) -> None:
    root = photographs(Path("zoo"))
    lines = [f"{file.stem},{file.parent.name},{i}" for i, file in enumerate(sorted(root.rglob("*.png")))]
    Path("labels.csv").write_text("\n".join(["id,kind,number", *lines]), encoding="utf-8")
    said = gammatune("train", "zoo", *FAST, "--labels", "labels.csv", "--target", "kind")
    assert "'Bild 00' may be any of dunkel/Bild 00.png, hell é/Bild 00.png" in said.err
    Path("labels.csv").write_text(
        "\n".join(["id,kind,number", *(f"{line.split(',')[1]}/{line}" for line in lines)]), encoding="utf-8"
    )
    said = gammatune("train", "zoo", *FAST, "--labels", "labels.csv", "--target", "kind")
    assert "30 images of 32 x 32 pixels, in colour, 2 classes by labels.csv." in said.out
    said = gammatune(
        "train", "zoo", *FAST, "--labels", "labels.csv", "--target", "number", "--task", "regression"
    )
    assert "numbers by labels.csv." in said.out
    assert Path("runs/zoo-2/contact-sheet.png").is_file()

    written = Path("labels.csv").read_text(encoding="utf-8").replace(",", "#")
    Path("labels.txt").write_text(f"a survey of 2024\n{written}", encoding="cp850")
    how = ("--header", "2", "--encoding", "cp850", "--delimiter", "#")
    said = gammatune("train", "zoo", *FAST, "--labels", "labels.txt", "--target", "kind", *how)
    assert "2 classes by labels.txt." in said.out, said.err

    Path("flat").mkdir()
    for file in sorted(root.rglob("*.png")):
        file.rename(Path("flat") / f"{file.parent.name[0]}_{file.stem[-2:]}.png")
    assert "2 classes by the names of the files." in gammatune("train", "flat", *FAST).out
    assert "accuracy" in gammatune("predict", "runs/flat-1", "flat").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("zoo", "--fit", "fold"), "--fit fold: write crop, pad or stretch"),
        (("zoo", "--labels", "gone.csv"), "gone.csv is not there"),
        (("zoo", "--target", "kind"), "--target goes with a table"),
        (("digits", "--fit", "pad"), "--fit goes with a folder of images, and digits is none; leave it out"),
        (
            ("a.csv", "--target", "y", "--labels", "b.csv"),
            "--labels goes with a folder of images, and this is",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(gammatune: Any, words: tuple[str, ...], message: str) -> None:
    photographs(Path("zoo"), count=2)
    said = gammatune("train", *words)
    assert said.code == 1
    assert message in said.err
    assert not Path("runs").exists()
