"""Tables and folders of images from the command line: trained, shown, predicted, gone on with."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from gammatune.course import Schedule
from gammatune.journal.history import replay

LEFT = ("schedule", "preprocessing", "measures")
FAST = ("--epochs", "2", "--budget", "4")


def survey(n: int = 160, seed: int = 0) -> pd.DataFrame:
    """Who answers yes: the older ones, and those from Ulm."""
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "person": [f"p{i:04d}" for i in range(n)],
            "age": np.where(np.arange(n) % 9 == 0, np.nan, r.integers(18, 80, n)),
            "region": r.choice(["Ulm", "Bonn", "Kiel"], n),
            "income": r.lognormal(10, 0.5, n).round(),
            "asked": pd.date_range("2023-01-01", periods=n).strftime("%d.%m.%Y"),
        }
    )
    frame["answer"] = np.where((frame.age.fillna(40) > 50) | (frame.region == "Ulm"), "yes", "no")
    return frame


def pictures(root: str, count: int = 12) -> str:
    for value, name in ((60, "dark"), (190, "light")):
        folder = Path(root) / name
        folder.mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng(i).integers(0, 50, (10, 10, 3)) + value
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return root


def test_a_table_from_training_to_predictions(gammatune: Any) -> None:
    survey().to_csv("survey.csv", index=False)
    said = gammatune("train", "survey.csv", "--target", "answer")
    assert said.code == 0
    for words in (
        "answer is one of 2 classes (no, yes): a classification.",
        "2 numbers: age, income.",
        "Not used: person (differs in every row, as an identifier does)",
        "The net is tabular, by the data.",
        "Handed over: ",
        "95 % interval",
        "Needed most",
    ):
        assert words in said.out
    told = {name: json.loads(Path("runs/survey-1", f"{name}.json").read_text()) for name in LEFT}
    assert told["preprocessing"]["target"] == "answer"
    assert told["measures"]["measures"]["accuracy"][0] == told["measures"]["accuracy"]
    found = Path("runs/survey-1/schedule.json").read_text()
    assert Schedule.from_json(found) == replay("runs/survey-1").schedule
    new = survey(40, seed=1)
    new.drop(columns=["answer"]).to_csv("new.csv", index=False)
    said = gammatune("predict", "runs/survey-1", "new.csv")
    assert said.out.startswith("40 predictions written to new.predictions.csv")
    rows = list(csv.DictReader(Path("new.predictions.csv").read_text().splitlines()))
    own = [name for name in new if name != "answer"]
    assert [name for name in rows[0] if name != "spread"] == [*own, "prediction", "p(no)", "p(yes)"]
    assert [row["person"] for row in rows] == new.person.tolist()
    right = np.mean([row["prediction"] == answer for row, answer in zip(rows, new.answer, strict=True)])
    assert right > 0.8
    new.to_csv("known.csv", index=False)
    said = gammatune("predict", "runs/survey-1", "known.csv")
    assert f"accuracy {100 * right:.2f} %" in said.out
    event = replay("runs/survey-1").report
    assert event is not None
    assert {feature["name"] for feature in event["extra"]["importance"]["features"]} == {
        "age", "region", "income", "asked"
    }  # fmt: skip


def test_of_many_columns_the_ones_that_matter_are_ranked(gammatune: Any) -> None:
    """One is known to matter; the others are said to be unranked, and what comes after the learning is announced."""
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(300, 115)).round(3), columns=[f"n{i}" for i in range(115)])
    frame["town"] = r.choice(["Ulm", "Bonn"], 300)
    frame["answer"] = np.where(frame.town == "Ulm", "yes", "no")
    frame.to_csv("wide.csv", index=False)
    said = gammatune("train", "wide.csv", "--target", "answer", "--epochs", "12", "--lr", "0.003")
    assert said.code == 0
    event = replay("runs/wide-1").report
    assert event is not None
    found = event["extra"]["importance"]
    assert found["features"][0]["name"] == "town"
    assert found["repeats"] == 1
    assert len(found["features"]) + found["unranked"] == 116
    assert len(found["features"]) <= 100
    assert f"the other {found['unranked']} are unranked" in said.out
    lines = said.out.splitlines()
    assert any(line.startswith("a linear model and boosted trees beside the net: up to ") for line in lines)
    assert any(line.startswith("what each column is worth: up to ") for line in lines)
    # what a complete run has said is not found out again
    again = gammatune("resume", "runs/wide-1")
    assert "what each column is worth: up to" not in again.out
    assert f"the other {found['unranked']} are unranked" in again.out


def test_rows_too_few_to_be_shared_out_are_refused(gammatune: Any) -> None:
    frame = survey(30)
    frame.loc[12:, "answer"] = None
    frame.to_csv("few.csv", index=False)
    said = gammatune("train", "few.csv", "--target", "answer")
    assert said.code == 1
    assert not Path("runs").exists()
    assert said.err == (
        "error: few.csv: 30 rows were read and 12 can be used (18 of 30 rows have no answer and are left out), too "
        "few to train on some, to select by others and to judge by the rest; fill in answer where it is missing, or "
        "give 20 or more\n"
    )
    survey(19).to_csv("few.csv", index=False)
    said = gammatune("train", "few.csv", "--target", "answer", "--dry-run")
    assert "few.csv: 19 rows were read and all can be used, too few" in said.err
    assert "missing" not in said.err
    survey(20).to_csv("few.csv", index=False)
    assert gammatune("train", "few.csv", "--target", "answer", *FAST, "--only", "net").code == 0
    np.savez("few.npz", x_train=np.eye(8), y_train=np.arange(8) % 2)
    said = gammatune("train", "few.npz")
    assert "few.npz: 8 examples were read and all can be used, too few" in said.err


def test_a_regression_in_the_unit_of_its_target(gammatune: Any) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"x": r.normal(size=300), "z": r.choice(["a", "b"], 300)})
    frame["price"] = 1000 + 200 * frame.x + np.where(frame.z == "a", 50, 0)
    frame.to_parquet("t.parquet")
    said = gammatune("train", "t.parquet", "--target", "price", "--metric", "mae", "--json", "--only", "net")
    event = json.loads(said.out)["report"]
    assert event["metric"] == "mae"
    assert event["measures"]["mae"][0] < 60  # of prices that differ by 200
    assert [each["kind"] for each in event["extra"]["beside"]["models"]] == ["net"]
    gammatune("predict", "runs/t-1", "t.parquet", "--out", "said.csv")
    told = pd.read_csv("said.csv")["prediction"]
    assert np.abs(told - frame.price).mean() < 60


def test_folders_of_images(gammatune: Any) -> None:
    said = gammatune("train", pictures("zoo"), *FAST)
    assert said.code == 0
    assert "24 images of 10 x 10 pixels, in colour, 2 classes by folder." in said.out
    said = gammatune("predict", "runs/zoo-1", "zoo")
    assert "24 predictions written to" in said.out
    assert "accuracy" in said.out  # the folders are called after the classes
    assert gammatune("predict", "runs/zoo-1", "zoo/dark/3.png").code == 0
    rows = list(csv.DictReader(Path("zoo/dark/3.predictions.csv").read_text().splitlines()))
    assert rows[0]["file"] == "3.png"


def test_the_worst_mistakes_are_kept_as_pictures(gammatune: Any) -> None:
    r = np.random.default_rng(0)
    x = r.integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)
    np.savez("noise.npz", x_train=x[:60], y_train=np.arange(60) % 3, x_test=x[60:], y_test=np.arange(60) % 3)
    gammatune("train", "noise.npz", *FAST)
    with np.load("runs/noise-1/pictures.npz") as kept, np.load("runs/noise-1/predictions.npz") as told:
        index, p, y = kept["index"], told["probabilities"], told["targets"]
        np.testing.assert_array_equal(kept["pictures"], x[60:][index])
    wrong = p.argmax(1) != y
    assert wrong[index].all()
    assert len(index) == min(24, wrong.sum())
    certainty = p.max(1)[index]
    assert (np.diff(certainty) <= 0).all()
    assert certainty[-1] >= np.sort(p.max(1)[wrong])[::-1][: len(index)][-1]


def test_a_dry_run_trains_nothing(gammatune: Any) -> None:
    survey().to_csv("survey.csv", index=False)
    said = gammatune("train", "survey.csv", "--target", "answer", "--dry-run")
    assert said.code == 0
    assert "102 examples train" in said.out
    assert "As they are:\n  " in said.out
    assert ": number, " in said.out
    assert "Nothing was trained." in said.out
    assert not Path("runs").exists()


@pytest.mark.parametrize("model", ["mlp", "tabular"])
def test_other_nets_and_options_for_tables(gammatune: Any, model: str) -> None:
    frame = survey()
    frame["house"] = np.arange(len(frame)) // 2
    frame.to_csv("survey.csv", index=False)
    survey(50, seed=2).assign(house=0).to_csv("later.csv", index=False)
    said = gammatune(
        *("train", "survey.csv", "--target", "answer", "--model", model, *FAST, "--only", "net"),
        *("--class-weights", "balanced", "--metric", "auc", "--drop", "income", "--column", "age=category"),
        *("--test", "later.csv", "--group", "house"),
    )
    assert said.code == 0
    assert "50 report the result" in said.out
    assert "Rows of one house stay together" in said.out
    assert gammatune("predict", "runs/survey-1", "later.csv").code == 0


def test_the_order_of_time(gammatune: Any) -> None:
    survey().sample(frac=1, random_state=0).to_csv("survey.csv", index=False)
    said = gammatune(
        "train", "survey.csv", "--target", "answer", "--time-column", "asked", *FAST, "--only", "net"
    )
    assert "held out to report on, the latest ones" in said.out


def test_a_limit_on_time_shortens_the_training(gammatune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    survey().to_csv("survey.csv", index=False)
    common = ("train", "survey.csv", "--target", "answer", "--only", "net")
    assert gammatune(*common, "--time", "1m", "--dry-run").code == 0  # measured for real
    monkeypatch.setattr("gammatune.pipeline.prepare._seconds_per_epoch", lambda *_: 1.0)
    said = gammatune(*common, "--time", "1m")
    assert said.code == 0
    assert "The time allows 25 of these epochs, at 1 s each." in said.out  # 0.8 x 48 s / 1.5
    assert replay("runs/survey-1").begin["facts"]["command"]["usual"] == 25
    # the same call goes on with it, though the clock would choose another length today
    monkeypatch.setattr("gammatune.pipeline.prepare._seconds_per_epoch", lambda *_: 2.0)
    assert gammatune(*common, "--time", "1m", "--run-dir", "runs/survey-1").code == 0
    assert "more than the 0.64 s that 1 s leave for it" in gammatune(*common, "--time", "1s").err


def test_a_time_too_short_for_a_net_is_enough_for_trees(
    gammatune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey().to_csv("survey.csv", index=False)
    call = ("train", "survey.csv", "--target", "answer", "--time", "10s", "--run-dir", "run")
    monkeypatch.setattr("gammatune.pipeline.prepare._seconds_per_epoch", lambda *_: 60.0)
    assert "trees would be fitted, and no network" in gammatune(*call, "--dry-run").out
    said = gammatune(*call)
    assert said.code == 0
    assert (
        "No network is trained: one epoch takes about 60 s, and with the search 90 s: more than" in said.out
    )
    assert gammatune("predict", "run", "survey.csv").code == 0
    # the same call finds it complete, though the clock would allow a net today
    monkeypatch.setattr("gammatune.pipeline.prepare._seconds_per_epoch", lambda *_: 1e-3)
    assert gammatune(*call).code == 0
    assert replay("run").begin["facts"]["command"]["only"] == "trees"
    # who names a net gets that or a refusal
    monkeypatch.setattr("gammatune.pipeline.prepare._seconds_per_epoch", lambda *_: 60.0)
    assert "one epoch takes about 60 s" in gammatune(*call[:-1], "other", "--model", "mlp").err


def test_a_table_is_gone_on_with(gammatune: Any) -> None:
    """Resuming a complete run trains nothing, and tells the same."""
    survey().to_csv("survey.csv", index=False)
    gammatune("train", "survey.csv", "--target", "answer", *FAST, "--only", "net")
    before = torch.load("runs/survey-1/weights.pt", weights_only=True)
    rollouts = len(replay("runs/survey-1").rollouts)
    assert gammatune("resume", "runs/survey-1").code == 0
    after = torch.load("runs/survey-1/weights.pt", weights_only=True)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(replay("runs/survey-1").rollouts) == rollouts


def test_checkpoints_hold_nets_for_tables(gammatune: Any, recwarn: pytest.WarningsRecorder) -> None:
    frame = survey()[["age", "income", "answer"]]  # no categories: an empty list of embeddings
    frame.to_csv("survey.csv", index=False)
    assert gammatune("train", "survey.csv", "--target", "answer", *FAST, "--only", "net").code == 0
    assert any(Path("runs/survey-1").glob("state-*.pt"))


def test_few_members_of_a_class_are_said(gammatune: Any) -> None:
    survey().assign(answer=["rare"] * 8 + ["often"] * 152).to_csv("survey.csv", index=False)
    said = gammatune("train", "survey.csv", "--target", "answer", *FAST, "--only", "net")
    assert "rare" in said.out
    assert "often" in said.out
    assert "balanced-accuracy" in said.out


def test_a_measure_without_a_value_on_the_report_ends_no_run(gammatune: Any) -> None:
    frame = survey()
    frame.loc[120:, "answer"] = "no"  # the latest fifth is of one class
    frame.to_csv("survey.csv", index=False)
    said = gammatune(
        "train", "survey.csv", "--target", "answer", "--time-column", "asked", "--metric", "auc", *FAST
    )
    assert said.code == 0
    assert "On the data that is reported on auc has no value" in said.out
    event = replay("runs/survey-1").report
    assert event is not None
    assert "importance" not in event["extra"]


def test_a_small_file_to_report_on(gammatune: Any) -> None:
    survey().to_csv("survey.csv", index=False)
    survey(1, seed=3).drop(columns=["person", "income"]).to_csv("last.csv", index=False)
    said = gammatune(
        *("train", "survey.csv", "--target", "answer", "--test", "last.csv", "--drop", "income"), *FAST
    )
    assert said.code == 0
    assert "1 report the result" in said.out


def test_new_values_that_are_none_are_said(gammatune: Any) -> None:
    survey().to_csv("survey.csv", index=False)
    gammatune("train", "survey.csv", "--target", "answer", *FAST, "--only", "net")
    survey(3).astype({"income": object}).assign(income=["10", "much", None]).to_csv("new.csv", index=False)
    said = gammatune("predict", "runs/survey-1", "new.csv")
    assert "1 of 2 values of income are no numbers, such as 'much': they count as missing." in said.out


def test_labels_that_are_numbers_are_known_from_folders(gammatune: Any) -> None:
    r = np.random.default_rng(0)
    x = r.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez("noise.npz", x_train=x, y_train=np.arange(40) % 2)
    gammatune("train", "noise.npz", *FAST)
    Path("new/1").mkdir(parents=True)
    Image.fromarray(x[1]).save("new/1/a.png")
    said = gammatune("predict", "runs/noise-1", "new")
    assert said.code == 0
    assert "accuracy" in said.out


QUICK = ("--epochs", "1", "--budget", "1", "--only", "net", "--quiet")


def predicted(path: str, delimiter: str = ",") -> list[dict[str, str]]:
    """What was said of the rows, without their own columns."""
    rows = csv.DictReader(Path(path).read_text().splitlines(), delimiter=delimiter)
    return [{n: held for n, held in row.items() if n.startswith(("prediction", "p("))} for row in rows]


def test_columns_without_a_name_are_told_by_their_place_or_refused(gammatune: Any) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.integers(0, 10, (120, 4)) * [1, 10, 100, 1000])
    frame.insert(0, "answer", np.where(frame[1] > frame[3] / 100, "yes", "no"))
    names = ["answer", "rate each film", "", "", ""]
    frame.to_csv("films.csv", index=False, header=names)
    assert gammatune("train", "films.csv", "--target", "answer", *QUICK).code == 0
    gammatune("predict", "runs/films-1", "films.csv")
    frame.drop(columns=["answer"]).to_csv("new.csv", index=False, header=names[1:])
    assert gammatune("predict", "runs/films-1", "new.csv").code == 0
    assert predicted("new.predictions.csv") == predicted("films.predictions.csv")
    frame.drop(columns=["answer", 3]).to_csv("fewer.csv", index=False, header=names[1:-1])
    said = gammatune("predict", "runs/films-1", "fewer.csv")
    assert said.code == 1
    assert (
        "trained on rate each film, 3 without a name, and here rate each film, 2 without a name" in said.err
    )
    assert not Path("fewer.predictions.csv").exists()


def test_a_new_row_is_read_as_the_table_trained_on(gammatune: Any) -> None:
    rows = [f"{1 + i % 9}.{(i * 37) % 1000:03d};{i % 10},5;{'ab'[i % 9 > 3]}" for i in range(120)]
    Path("homes.csv").write_text("households;rate;y\n" + "\n".join(rows) + "\n")
    assert gammatune("train", "homes.csv", "--target", "y", *QUICK).code == 0
    Path("dotted.csv").write_text("households;rate\n8.619;4\n")
    Path("bare.csv").write_text("households;rate\n8619;4\n")
    said = gammatune("predict", "runs/homes-1", "dotted.csv").out
    assert "dotted.csv groups digits with a dot (8.619), as the table trained on does." in said
    gammatune("predict", "runs/homes-1", "bare.csv")
    assert predicted("dotted.predictions.csv", ";") == predicted("bare.predictions.csv", ";")


def test_labels_are_one_or_exact(gammatune: Any) -> None:
    frame = survey()
    frame["answer"] = np.where(np.arange(160) % 8 == 0, frame.answer + " ", frame.answer)
    frame.to_csv("survey.csv", index=False)
    said = gammatune("train", "survey.csv", "--target", "answer", *FAST, "--only", "net")
    assert "counts as 'no'; 'yes ' (" in said.out
    assert "--exact-labels keeps them apart." in said.out
    said = gammatune("predict", "runs/survey-1", "survey.csv")
    assert "counts as 'no'; 'yes ' (" in said.out
    assert "accuracy" in said.out
    assert {row["prediction"] for row in predicted("survey.predictions.csv")} <= {"yes", "no"}
    assert gammatune("train", "survey.csv", "--target", "answer", "--exact-labels", *QUICK).code == 0
    survey(20, seed=1).assign(answer="NO").to_csv("new.csv", index=False)
    assert "'NO', which the training data never shows; known: no, no " in gammatune(
        "predict", "runs/survey-2", "new.csv"
    ).err  # fmt: skip
    said = gammatune("train", "digits", "--exact-labels")
    assert "--exact-labels goes with a table" in said.err
