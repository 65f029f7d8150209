"""The best of several kinds is what a run on a table hands over: told, predicted with, exported, and gone on with."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from gammatune import load
from gammatune.engine.ensemble import Ensemble
from gammatune.errors import JournalError
from gammatune.journal.history import replay
from gammatune.pipeline.data.folds import FOLDS
from gammatune.pipeline.data.table_preprocessing import preparing_from_dict
from gammatune.pipeline.kept import kept
from gammatune.pipeline.limits import REPEATS


def killed(*given: Any) -> None:
    """In the place of what a run is cut off in."""
    raise KeyboardInterrupt


SHORT = ("--epochs", "2", "--budget", "1.5", "--lr", "1e-5")  # a net that has learnt nothing


def table(kind: str, n: int = 400, seed: int = 0) -> pd.DataFrame:
    """straight: what a line tells. curved: what it does not, and trees do."""
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(r.normal(size=(n, 3)).round(3), columns=["a", "b", "c"])
    noise = r.random(n) < 0.05
    known = frame.a + frame.b > 0 if kind == "straight" else (frame.a > 0) ^ (frame.b > 0.3)
    frame["answer"] = np.where(known ^ noise, "yes", "no")
    return frame


def with_onnxruntime(name: str, file: str) -> np.ndarray:
    """What an exported file says of a table whose columns are encoded as the listing beside it has them."""
    preparing = preparing_from_dict(json.loads(Path(f"{name}.json").read_text())["preprocessing"])
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    x = preparing.inputs(pd.read_csv(file)).numpy()
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize(
    ("kind", "chosen", "name"),
    [("straight", "linear", "the linear model"), ("curved", "trees", "the boosted trees")],
)
def test_it_is_told_predicted_with_and_exported(gammatune: Any, kind: str, chosen: str, name: str) -> None:
    table(kind).to_csv("t.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "answer", *SHORT)
    assert said.code == 0
    assert f"Handed over: {name}" in said.out
    assert f"→ {name}" in said.out
    assert f"handed over    {name}" in said.out
    event = replay("runs/t-1").report
    assert event is not None
    assert event["extra"]["beside"]["model"] == chosen
    held = {each["kind"]: each["value"]["value"] for each in event["extra"]["beside"]["models"]}
    assert event["measures"]["accuracy"][0] == pytest.approx(held[chosen])
    assert held[chosen] > held["net"]

    table(kind, 300, seed=1).to_csv("new.csv", index=False)
    said = gammatune("predict", "runs/t-1", "new.csv")
    assert f"300 predictions written to new.predictions.csv by {name}; accuracy 9" in said.out
    rows = list(csv.DictReader(Path("new.predictions.csv").read_text().splitlines()))
    assert list(rows[0]) == ["a", "b", "c", "answer", "prediction", "p(no)", "p(yes)"]
    with np.load("runs/t-1/predictions.npz") as held_out:
        right = (held_out["probabilities"].argmax(axis=1) == held_out["targets"]).mean()
    assert right == pytest.approx(held[chosen])
    alone = gammatune("predict", "runs/t-1", "new.csv", "--out", "net.csv", "--single")
    assert " by the " not in alone.out

    said = gammatune("export", "runs/t-1", "--out", "t.pt2")
    assert (
        f"t.pt2: the run hands over {name}; end it in .onnx or .skops, or write the average of the networks alone"
        in said.err
    )
    said = gammatune("export", "runs/t-1", "--out", "t.onnx")
    assert (
        f"t.onnx, its columns in t.json: {name}, encoded columns, float32 (n, 3), to probabilities"
        in said.out
    )
    assert "tried on 100 inputs, " in said.out
    expected = load("runs/t-1").predict_proba("new.csv")
    assert np.abs(with_onnxruntime("t", "new.csv") - expected).max() < 1e-5
    Path("t.json").unlink()
    said = gammatune("export", "runs/t-1", "--out", "t.skops")
    assert f"t.skops, its columns in t.json: {name}, encoded columns" in said.out
    assert ", for skops.io.load." in said.out
    details = json.loads(Path("t.json").read_text())
    assert (details["model"], details["classes"]) == (chosen, ["no", "yes"])
    page = Path(gammatune("report", "runs/t-1").out.split(":")[0]).read_text()
    assert f"What the run hands over is {name}, and what follows is of that." in page
    assert "Models beside each other" in page


def test_killed_while_they_are_compared_it_hands_over_the_same(
    gammatune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table("curved").to_csv("t.csv", index=False)
    asked = ("train", "t.csv", "--target", "answer", *SHORT)
    assert gammatune(*asked, "--run-dir", "whole").code == 0

    with monkeypatch.context() as during:
        during.setattr("gammatune.pipeline.model_choice.keep", killed)
        assert gammatune(*asked, "--run-dir", "cut").code == 130
    assert replay("cut").report is None
    understood = Path("cut/columns.toml")  # before anything is learnt, to be edited
    assert understood.read_text() == Path("whole/columns.toml").read_text()
    understood.write_text("# edited\n")
    assert gammatune("resume", "cut").code == 0
    assert understood.read_text() == "# edited\n"
    whole, cut = (replay(run).report for run in ("whole", "cut"))
    assert whole is not None
    assert cut is not None
    assert whole["measures"] == cut["measures"]
    rows = np.random.default_rng(0).normal(size=(50, 3))
    fitted = [
        kept(Path(run), event["extra"]["beside"]["sha256"]) for run, event in (("whole", whole), ("cut", cut))
    ]
    for kind in ("linear", "trees"):
        np.testing.assert_array_equal(fitted[0][kind](rows), fitted[1][kind](rows))
    again = gammatune("resume", "cut")  # complete: what was said is said again
    assert "→ the boosted trees" in again.out
    assert f"{100 * cut['accuracy']:.2f} %" in again.out


def test_without_others_the_net_is_handed_over(gammatune: Any) -> None:
    table("curved").to_csv("t.csv", index=False)
    assert gammatune("train", "t.csv", "--target", "answer", *SHORT, "--only", "net").code == 0
    event = replay("runs/t-1").report
    assert event is not None
    assert [each["kind"] for each in event["extra"]["beside"]["models"]] == ["net"]
    assert not any("Handed over" in line for line in event["extra"]["said"])
    assert not Path("runs/t-1/models.skops").exists()
    said = gammatune("export", "runs/t-1", "--out", "t.skops")
    assert "the run hands over its network, which that cannot hold" in said.err
    assert gammatune("predict", "runs/t-1", "t.csv").code == 0


def test_within_a_time_they_are_fitted_as_far_as_it_goes(gammatune: Any) -> None:
    table("curved").to_csv("t.csv", index=False)
    assert gammatune("train", "t.csv", "--target", "answer", *SHORT, "--time", "60s").code == 0
    limits = json.loads(Path("runs/t-1/limits.json").read_text())
    assert limits["rounds"] > 10
    event = replay("runs/t-1").report
    assert event is not None
    assert event["extra"]["beside"]["model"] == "trees"


def test_the_networks_of_a_run_answer_together_wherever_they_are_asked(gammatune: Any) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(240, 2)).round(3), columns=["a", "b"])
    frame["y"] = (np.sin(3 * frame.a) + frame.b).round(4)
    frame.to_csv("t.csv", index=False)
    said = gammatune(
        "train", "t.csv", "--target", "y", "--epochs", "4", "--budget", "1.5", "--batch-size", "16"
    )
    assert said.code == 0
    assert "kept aside in turn" in said.out
    story = replay("runs/t-1")
    assert story.report is not None
    beside = story.report["extra"]["beside"]
    count = max(1, len(story.nets)) + FOLDS * REPEATS
    assert (beside["parts"], beside["repeats"], beside["nets"]) == (FOLDS, REPEATS, count)
    assert beside["examples"] == 192
    net = load("runs/t-1")
    assert isinstance(net.module, Ensemble)
    assert len(net.members) == count
    first, second = (member(torch.ones(1, 2)) for member in list(net.members)[-2:])
    assert not torch.equal(first, second)

    # an average of them with another model: what is exported beside that is their average
    lines = [json.loads(line) for line in Path("runs/t-1/journal.jsonl").read_text().splitlines()]
    lines[-1]["extra"]["beside"] |= {"model": "average", "members": ["linear", "net"]}
    shutil.copytree("runs/t-1", "runs/averaged")
    Path("runs/averaged/journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = gammatune("export", "runs/averaged", "--out", "averaged.pt2")
    assert "or write the average of the networks alone with --raw" in said.err
    said = gammatune("export", "runs/averaged", "--out", "averaged.onnx")
    assert "averaged.onnx, its columns in averaged.json: the average of " in said.out
    expected = load("runs/averaged").predict("t.csv")[:, None]
    assert np.allclose(with_onnxruntime("averaged", "t.csv"), expected, atol=1e-4)
    Path("averaged.json").unlink()
    said = gammatune("export", "runs/averaged", "--out", "averaged.skops")
    assert "The networks are among those averaged: export their average too, with --raw." in said.out

    # on the rows that are reported on they say what the report says of them
    said = gammatune("predict", "runs/t-1", "t.csv", "--single")
    alone = pd.read_csv("t.predictions.csv").prediction
    assert said.code == 0
    assert gammatune("export", "runs/t-1", "--out", "net.pt2", "--single").code == 0
    event = {each["kind"]: each for each in beside["models"]}
    assert event["net"]["value"] is not None
    with open("runs/t-1/folds.pt", "r+b") as file:
        file.seek(100)
        file.write(b"damaged")
    with pytest.raises(JournalError, match="is not what the run wrote"):
        load("runs/t-1")
    assert gammatune("predict", "runs/t-1", "t.csv", "--single").code == 0
    assert pd.read_csv("t.predictions.csv").prediction.equals(alone)


@pytest.mark.parametrize(("only", "name"), [("trees", "the boosted trees"), ("linear", "the linear model")])
def test_one_kind_alone_needs_no_network(
    gammatune: Any, only: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table("curved" if only == "trees" else "straight", 300).to_csv("t.csv", index=False)
    asked = ("train", "t.csv", "--target", "answer", "--only", only)

    with monkeypatch.context() as during:
        during.setattr("gammatune.pipeline.model_choice.keep", killed)
        assert gammatune(*asked, "--run-dir", "runs/t-1").code == 130
    with pytest.raises(JournalError, match="trained no network; and it has not ended"):
        load("runs/t-1", single=True)
    said = gammatune("resume", "runs/t-1")
    assert said.code == 0
    assert f"handed over    {name}" in said.out
    assert "schedule" not in said.out
    story = replay("runs/t-1")
    assert (story.has_net, story.rollouts, story.course) == (False, [], [])
    assert story.report is not None
    assert [each["kind"] for each in story.report["extra"]["beside"]["models"]] == [only]
    assert story.report["accuracy"] > 0.85
    for words in (("show", "runs/t-1"), ("methods", "runs/t-1"), ("report", "runs/t-1"), ("runs", "runs")):
        assert gammatune(*words).code == 0
    assert f"by {name}; accuracy 9" in gammatune("predict", "runs/t-1", "t.csv").out
    assert gammatune("export", "runs/t-1", "--out", "t.skops").code == 0
    assert "end it in .onnx or .skops" in gammatune("export", "runs/t-1", "--out", "t.pt2").err
    Path("t.json").unlink()
    assert gammatune("export", "runs/t-1", "--out", "t.onnx").code == 0
    expected = load("runs/t-1").predict_proba("t.csv")
    assert np.abs(with_onnxruntime("t", "t.csv") - expected).max() < 1e-5
    for option in ("--single", "--raw"):
        assert "trained no network" in gammatune("export", "runs/t-1", "--out", "net.onnx", option).err
    assert "trained no network" in gammatune("predict", "runs/t-1", "t.csv", "--single").err
    assert not {"policy", "none", "0/0"} & set(gammatune("runs", "runs").out.split())
    planned = gammatune(*asked, "--dry-run").out
    assert f"{name[0].upper()}{name[1:]} would be fitted, and no network." in planned
    assert "parameters" not in planned
    found = load("runs/t-1")
    assert found.predict(table("straight", 9))[0] in ("yes", "no")
    with pytest.raises(JournalError, match="trained no network"):
        _ = found.module
    assert not hasattr(found, "anything")
    again = gammatune(*asked, "--run-dir", "runs/t-1")  # complete
    assert (again.code, replay("runs/t-1").report) == (0, story.report)
    other = gammatune(*asked, "--run-dir", "runs/t-1", "--seed", "3")
    assert "holds another run" in other.err


def test_a_kind_that_is_none_is_refused(gammatune: Any) -> None:
    table("curved").to_csv("t.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "answer", "--only", "forest")
    assert said.err.strip() == "error: --only forest: write net, trees or linear, or leave it out"
    assert not Path("runs").exists()


def test_one_kind_alone_is_fitted_however_little_time_there_is(gammatune: Any) -> None:
    table("curved", 200).to_csv("t.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "answer", "--only", "trees", "--time", "0.001s")
    assert said.code == 0
    assert "handed over    the boosted trees" in said.out


def test_rows_of_one_class_are_refused_before_anything_is_kept(gammatune: Any) -> None:
    pd.DataFrame({"a": range(40), "answer": ["u"] * 38 + ["v", "w"]}).to_csv("t.csv", index=False)
    said = gammatune("train", "t.csv", "--target", "answer", "--only", "trees", "--column", "a=number")
    assert (said.code, "all of one class" in said.err) == (1, True)
    assert not Path("runs").exists()


def test_killed_between_its_end_and_its_report_a_run_without_a_network_ends(
    gammatune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table("straight", 200).to_csv("t.csv", index=False)
    asked = ("train", "t.csv", "--target", "answer", "--only", "linear", "--run-dir", "run")

    with monkeypatch.context() as during:
        during.setattr("gammatune.pipeline.without_net.save_predictions", killed)
        assert gammatune(*asked).code == 130
    assert Path("run/columns.toml").is_file()
    assert gammatune("resume", "run").code == 0
    story = replay("run")
    assert story.end is not None
    assert story.report is not None


def test_a_full_disk_is_said_and_the_same_call_goes_on(
    gammatune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table("straight", 200).to_csv("t.csv", index=False)
    asked = ("train", "t.csv", "--target", "answer", "--only", "linear", "--run-dir", "run")

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as during, pytest.warns(UserWarning, match="cannot write"):
        during.setattr("gammatune.pipeline.kept.whole_file", full)
        said = gammatune(*asked)
    assert "does not take the model that was fitted; free the disk" in said.err
    assert replay("run").report is None
    assert gammatune(*asked).code == 0


def test_where_a_network_of_the_cross_fitting_diverges_one_part_selects(
    gammatune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gammatune.errors import AllDiverged
    from gammatune.pipeline.refit import Refit

    def diverged(*given: Any) -> None:
        raise AllDiverged("epoch 1 of the course that is repeated failed", [0])

    monkeypatch.setattr(Refit, "__call__", diverged)
    table("straight", 200).to_csv("t.csv", index=False)
    with pytest.warns(UserWarning, match="did not train"):
        said = gammatune("train", "t.csv", "--target", "answer", *SHORT)
    assert said.code == 0
    assert "examples to select by." in said.out
    assert not Path("runs/t-1/folds.pt").exists()
