"""What a run leaves for people: predictions that can be traced, in the dialect of the file they came of."""

import csv
import json
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pandas as pd
import pytest

from gammatune.errors import JournalWarning
from gammatune.pipeline.held_out import trace

SHORT = ("--epochs", "2", "--budget", "1.5")


def survey(n: int = 300, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"who": [f"r{i}" for i in range(n)], "a": r.normal(size=n).round(3), "b": r.normal(size=n).round(3)}
    )
    frame["answer"] = np.where(frame.a + 0.3 * r.normal(size=n) > 0, "yes", "no")
    return frame


def rows_of(path: str, **dialect: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text("utf-8-sig").splitlines(), **dialect))


def test_held_out_rows_are_traced_to_the_file(gammatune: Any) -> None:
    frame = survey()
    frame.loc[::7, "answer"] = None  # left out, and counted
    frame.to_csv("t.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    assert gammatune("train", "t.csv", "--target", "answer", *SHORT).code == 0
    assert (
        Path("runs/t-1/predictions.csv").read_bytes().startswith(b"\xef\xbb\xbfrow;who;a;b;truth;prediction;")
    )
    found = rows_of("runs/t-1/predictions.csv", delimiter=";")
    lines = rows_of("t.csv", delimiter=";")
    with np.load("runs/t-1/predictions.npz") as held:
        origins, p = held["origins"].tolist(), held["probabilities"]
    assert [int(row["row"]) for row in found] == origins
    assert len(found) == len(set(origins)) == 51  # a fifth of 257
    for row, said in zip(found, p, strict=True):
        line = lines[int(row["row"]) - 1]
        assert [row[name] for name in ("who", "a", "b", "truth")] == [
            line[n] for n in ("who", "a", "b", "answer")
        ]
        assert row["prediction"] == ["no", "yes"][said.argmax()]
        assert float(row["p(yes)"].replace(",", ".")) == pytest.approx(said[1])


def test_rows_of_another_file_are_traced_to_that(gammatune: Any) -> None:
    survey().to_csv("t.csv", index=False)
    survey(40, 1).to_parquet("u.parquet")
    assert gammatune("train", "t.csv", "--target", "answer", "--test", "u.parquet", *SHORT).code == 0
    found = rows_of("runs/t-1/predictions.csv")
    assert [row["row"] for row in found] == [str(i + 1) for i in range(40)]
    assert [row["who"] for row in found] == [f"r{i}" for i in range(40)]


@pytest.mark.parametrize("change", ["rows", "columns"])
def test_a_file_that_was_changed_meanwhile_is_said(
    gammatune: Any, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    survey().to_csv("t.csv", index=False)

    def changed(directory: str, split: Any) -> None:
        (survey(20) if change == "rows" else survey()[["who", "answer"]].head(299)).to_csv(
            "t.csv", index=False
        )
        with pytest.warns(JournalWarning, match="t.csv has been changed since it was read"):
            trace(directory, split)

    monkeypatch.setattr("gammatune.pipeline.held_out.trace", changed)
    assert gammatune("train", "t.csv", "--target", "answer", "--only", "linear").code == 0
    assert Path("runs/t-1/predictions.npz").is_file()


def test_numbers_are_in_the_unit_of_the_file(gammatune: Any) -> None:
    frame = survey().drop(columns="answer").assign(income=lambda f: 1000 + 500 * f.a, row=7)
    frame.to_csv("t.csv", index=False, sep="\t")
    assert gammatune("train", "t.csv", "--target", "income", *SHORT).code == 0
    found = rows_of("runs/t-1/predictions.csv", delimiter="\t")
    assert list(found[0])[:4] == ["row 2", "who", "a", "b"]
    for row in found:
        assert float(row["truth"]) == pytest.approx(frame.income[int(row["row 2"]) - 1], rel=1e-5)
        assert abs(float(row["prediction"]) - float(row["truth"])) < 2000


def test_new_rows_come_back_whole_and_in_their_dialect(gammatune: Any) -> None:
    survey().to_csv("t.csv", index=False)
    assert gammatune("train", "t.csv", "--target", "answer", *SHORT).code == 0
    Path("n.csv").write_bytes("who;b;a;prediction;é\nx;?;0,50;old;007\ny;1;-1,5;;\n".encode("cp1252"))
    said = gammatune("predict", "runs/t-1", "n.csv")
    assert "2 predictions written to n.predictions.csv" in said.out
    lines = Path("n.predictions.csv").read_bytes().decode("cp1252").splitlines()
    assert lines[0] == "who;b;a;prediction;é;prediction 2;p(no);p(yes)"
    assert lines[1].startswith("x;?;0,50;old;007;yes;0,")
    assert lines[2].startswith("y;1;-1,5;;;no;0,")
    Path("n.tsv").write_text("a\tb\n1\t1\n")
    assert "n.predictions.tsv" in gammatune("predict", "runs/t-1", "n.tsv").out


def test_strict_ends_with_3_where_nothing_is_shown(gammatune: Any) -> None:
    r = np.random.default_rng(1)
    frame = pd.DataFrame({"a": r.normal(size=200).round(2), "y": r.choice(["u", "v"], 200, p=[0.6, 0.4])})
    frame.to_csv("noise.csv", index=False)
    asked = ("train", "noise.csv", "--target", "y", *SHORT)
    said = gammatune(*asked, "--strict")
    assert said.code == 3
    first = "Not shown to have learnt anything"
    assert f"\n{first}" in said.out
    assert said.err.startswith(f"--strict: {first}")
    assert gammatune("resume", "runs/noise-1").code == 0
    quiet = gammatune("resume", "runs/noise-1", "--strict", "--quiet")
    assert (quiet.code, quiet.out) == (3, "")
    told = gammatune("resume", "runs/noise-1", "--strict", "--json")
    assert told.code == 3
    assert json.loads(told.out)["learnt"] == json.loads(told.out)["report"]["extra"]["learnt"] == "untold"
    survey().to_csv("t.csv", index=False)
    assert gammatune("train", "t.csv", "--target", "answer", *SHORT, "--strict").code == 0


def test_images_are_traced_to_their_files(gammatune: Any) -> None:
    image = needs.package("PIL.Image")
    chance = np.random.default_rng(0)
    for name, bright in {"dark": 60, "light": 180}.items():
        for part, count in {"train": 20, "test": 5}.items():
            folder = Path("zoo", part, name)
            folder.mkdir(parents=True)
            for number in range(count):
                grey = chance.normal(bright, 60, (12, 12)).clip(0, 255).astype("uint8")
                image.fromarray(grey).save(folder / f"{number}.png")
    assert gammatune("train", "zoo", *SHORT).code == 0
    found = rows_of("runs/zoo-1/predictions.csv")
    assert list(found[0]) == ["file", "truth", "prediction", "p(dark)", "p(light)"]
    assert sorted(row["file"] for row in found) == sorted(
        f"test/{name}/{i}.png" for name in ("dark", "light") for i in range(5)
    )
    assert all(row["truth"] == row["file"].split("/")[1] for row in found)
