"""`gammatune.fit` of a frame or a path goes the way of the command; `gammatune.load` gives what came of it again."""

import pickle
import shutil
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import mixed
import needs
import numpy as np
import pandas as pd
import pytest
import torch

import gammatune
from gammatune.cli.app import app
from gammatune.errors import AnotherRun, DataWarning, InvalidArgument, InvalidData
from gammatune.journal.history import replay
from gammatune.pipeline.keywords import TableOptions, TrainOptions, names_of
from gammatune.pipeline.options import Options
from gammatune.pipeline.predict import predict_file
from gammatune.report.html.tables import command
from gammatune.report.live import Progressing

WINE = mixed.wine()
QUICK: dict[str, Any] = {"epochs": 4, "seed": 1, "device": "cpu"}
ALONE: dict[str, Any] = QUICK | {"only": "net"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gammatune.Predictor:
    directory = tmp_path_factory.mktemp("door") / "wine"
    return gammatune.fit(WINE, target="grape", run_dir=directory, **QUICK)


# What comes out -------------------------------------------------------------------------------------------


def test_a_frame_goes_in_and_raw_rows_are_predicted(run: gammatune.Predictor) -> None:
    said, probabilities = run.predict(WINE), run.predict_proba(WINE)
    assert run.classes == ("barbera", "barolo", "grignolino")
    assert probabilities.shape == (178, 3)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert said.tolist() == [run.classes[place] for place in probabilities.argmax(axis=1)]
    assert (said == WINE["grape"]).mean() > 0.85
    assert np.array_equal(run.predict(WINE.drop(columns="grape")), said)  # the target is not looked at
    assert np.array_equal(run.predict(WINE[WINE.columns[::-1]].assign(more=1)), said)
    assert np.array_equal(run.predict(WINE.set_index("bottle").assign(grape="none of these")), said)


def test_what_is_known_of_it(run: gammatune.Predictor) -> None:
    assert run.model.kind in ("linear", "trees", "average")  # four epochs teach the net little
    assert set(run.model.parts) <= {"linear", "trees", "net"}
    story = replay(run.run_dir)
    assert story.report is not None
    assert [run.measures["accuracy"].value, run.measures["accuracy"].low] == story.report["measures"][
        "accuracy"
    ][:2]
    assert run.model.name in repr(run)
    assert "accuracy" in repr(run)
    assert any(line.startswith("Handed over: ") for line in run.said)
    assert any("bottle (differs in every row" in line for line in run.said)
    assert run.schedule == story.schedule
    assert len(run.schedule) == 4
    assert run.write_report().is_file()


def test_load_gives_the_same_object_and_so_does_a_pickle(run: gammatune.Predictor, tmp_path: Path) -> None:
    shutil.copytree(run.run_dir, tmp_path / "run")
    pickled = pickle.dumps(gammatune.load(tmp_path / "run"))
    shutil.rmtree(tmp_path / "run")
    assert np.array_equal(pickle.loads(pickled).predict_proba(WINE), run.predict_proba(WINE))
    for copy in (gammatune.load(run.run_dir), pickle.loads(pickle.dumps(run))):
        assert np.array_equal(copy.predict_proba(WINE), run.predict_proba(WINE))
        assert (copy.measures, copy.said, repr(copy)) == (run.measures, run.said, repr(run))


def test_it_is_its_network_where_a_network_is_asked_for(run: gammatune.Predictor) -> None:
    alone = gammatune.load(run.run_dir, single=True)
    assert isinstance(alone.module, torch.nn.Module)
    assert not alone.module.training
    assert alone.model.kind == "net"
    assert alone.model.parts["net"] is alone.module
    x = torch.zeros(2, *run._plan.preprocessing.shape)
    assert torch.equal(alone(x), alone.module(x))
    assert alone.eval() is alone.module
    assert alone.state_dict().keys() == torch.load(f"{run.run_dir}/weights.pt", weights_only=True).keys()
    assert not np.array_equal(alone.predict_proba(WINE), run.predict_proba(WINE))  # not what is handed over
    with pytest.raises(AttributeError, match="a Predictor has no attribute 'nothing', nor has its module"):
        alone.nothing  # noqa: B018


def test_the_command_predicts_the_same(run: gammatune.Predictor, tmp_path: Path) -> None:
    WINE.to_csv(tmp_path / "new.csv", index=False)
    predict_file(run.run_dir, str(tmp_path / "new.csv"), str(tmp_path / "out.csv"))
    written = pd.read_csv(tmp_path / "out.csv")
    assert np.array_equal(run.predict(tmp_path / "new.csv"), run.predict(WINE))
    assert written["prediction"].tolist() == run.predict(WINE).tolist()
    told = written[[f"p({label})" for label in run.classes]].to_numpy()
    assert np.allclose(told, run.predict_proba(WINE), atol=1e-6)


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_frames_of_others_say_the_same(run: gammatune.Predictor, kind: str) -> None:
    if kind == "polars":
        other = needs.package("polars").from_pandas(WINE)
    else:
        other = needs.package("pyarrow").Table.from_pandas(WINE)
    assert np.array_equal(run.predict_proba(other), run.predict_proba(WINE))


def test_a_saved_run_is_loaded_without_the_first(run: gammatune.Predictor, tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(run.run_dir, first)
    saved = gammatune.load(first).save(tmp_path / "saved")
    shutil.rmtree(first)
    assert np.array_equal(gammatune.load(saved).predict_proba(WINE), run.predict_proba(WINE))
    with pytest.raises(InvalidArgument, match="is there, and not empty; name a new directory"):
        gammatune.load(saved).save(saved)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match="is there, and not empty"):
        gammatune.load(saved).save(tmp_path / "file")
    assert not list(tmp_path.glob("*.part"))


def test_what_is_unusual_in_new_rows_is_a_warning(run: gammatune.Predictor) -> None:
    strange = WINE.head(4).assign(hue=["green", "pale", None, "deep"], alcohol=["strong", "13.2", None, "12"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(run.predict(strange)) == 4
    told = [str(each.message) for each in caught if each.category is DataWarning]
    assert any("1 value of hue was not among the levels learned, such as 'green'" in line for line in told)
    assert any("1 of 3 values of alcohol are no numbers, such as 'strong'" in line for line in told)
    assert caught[0].filename == __file__


def test_rows_that_do_not_fit_are_refused(run: gammatune.Predictor, tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="lacks the column proline, which the network was trained with"):
        run.predict(WINE.drop(columns="proline"))
    with pytest.raises(InvalidData, match="a ndarray is no table, and the network was trained on one"):
        run.predict(np.zeros((2, 5)))
    with pytest.raises(InvalidData, match="is not there"):
        run.predict(tmp_path / "none.csv")


def test_a_regression_is_in_its_unit() -> None:
    frame = mixed.diabetes()
    found = gammatune.fit(frame, "progression", run_dir="regression", metric="mae", **ALONE)
    assert found.predict(frame).shape == (442,)
    assert found.metric == "mae"
    assert found.measures["mae"].value < 120
    assert abs(found.predict(frame).mean() - frame["progression"].mean()) < 40
    with pytest.raises(
        InvalidArgument, match=r"of a regression there are no probabilities; predict\(\) gives"
    ):
        found.predict_proba(frame)


def test_labels_come_back_as_they_were() -> None:
    for labels in ([1, 2, 3], [True, False, True]):
        grape = WINE["grape"].map(dict(zip(("barbera", "barolo", "grignolino"), labels, strict=True)))
        frame = WINE.assign(grape=grape.astype("category"))
        found = gammatune.fit(frame, "grape", run_dir=f"labels-{labels[0]}", **(ALONE | {"epochs": 1}))
        assert set(found.predict(frame).tolist()) <= set(labels)
        assert found.classes == tuple(sorted(set(labels)))


# What goes in ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_path_a_frame_and_a_table_that_was_read_are_one_door() -> None:
    WINE.to_csv("wine.csv", index=False)
    WINE.to_parquet("wine.parquet")
    given = ("wine.csv", Path("wine.parquet"), WINE, gammatune.read_table("wine.csv", "grape"))
    found = [
        gammatune.fit(each, *([] if place == 3 else ["grape"]), **ALONE) for place, each in enumerate(given)
    ]
    assert [each.run_dir for each in found] == ["runs/wine-1", "runs/wine-2", "runs/frame-1", "runs/wine-3"]
    for other in found[1:]:
        assert np.array_equal(other.predict_proba(WINE), found[0].predict_proba(WINE))


def test_options_are_those_of_the_command() -> None:
    found = gammatune.fit(
        data=WINE.drop(columns="bottle"), target="grape", run_dir="run", column={"proline": "category"},
        drop="tasted", metric="f1", time="10m", epochs=np.int64(2), seed=3, search="lr=1e-4:1e-1:log",
        only="net", test=WINE.head(30), progress=False,
    )  # fmt: skip
    begin = replay("run").begin
    assert begin["space"] == ["lr=0.0001:0.1:log"]
    command = begin["facts"]["command"]
    assert (command["drop"], command["column"], command["time"]) == (["tasted"], ["proline=category"], 600.0)
    assert (command["epochs"], command["seed"], command["metric"]) == (2, 3, "f1")
    assert begin["facts"]["frames"] == ["data", "test"]
    assert command["test"].startswith("a frame of 30 rows and 7 columns (sha256 ")
    assert found._report["extra"]["examples"] == 30


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"epoch": 3}, TypeError, r"unexpected keyword argument 'epoch'; did you mean 'epochs'\?"),
        ({"usual": 3}, TypeError, "unexpected keyword argument 'usual'"),
        ({"test_set": WINE}, TypeError, "unexpected keyword argument 'test_set'"),
        ({"epochs": "ten"}, InvalidArgument, "epochs='ten': give a whole number"),
        ({"epochs": True}, InvalidArgument, "epochs=True: give a whole number"),
        ({"budget": "much"}, InvalidArgument, "budget='much': give a number"),
        ({"exact_labels": "no"}, InvalidArgument, "exact_labels='no': give True or False"),
        ({"time": -1}, InvalidArgument, "time=-1: give a finite number above 0"),
        ({"time": "soon"}, InvalidArgument, "write a time such as 90s, 5m or 1h30m"),
        ({"drop": 3}, InvalidArgument, "drop=3: give text, or a list of it"),
        ({"drop": ["nothing"]}, InvalidArgument, "there is no column 'nothing'"),
        ({"column": {"proline": "text"}}, InvalidArgument, "write NAME=number, NAME=category"),
        (
            {"target": "grap"},
            InvalidArgument,
            "there is no such column; perhaps grape; the table has alcohol",
        ),
        ({"target": None}, InvalidArgument, "which column is to be predicted"),
        ({"target": WINE["grape"]}, InvalidArgument, "target is a Series: give text, the name of a column"),
        ({"group": "grape"}, InvalidArgument, "that is the target"),
        ({"image_size": 8}, InvalidArgument, "goes with a folder of images"),
    ],
)
def test_what_is_no_option_or_no_value_is_refused(options: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        gammatune.fit(**{"data": WINE, "target": "grape", **options})
    assert not Path("runs").exists()


def test_where_a_sentence_calls_an_option_as_the_command_does_it_says_so() -> None:
    with pytest.raises(InvalidArgument) as caught:
        gammatune.fit(WINE)
    assert caught.value.__notes__ == [
        "In Python the options are keyword arguments: --time-column is time_column=."
    ]


def test_what_is_neither_a_module_nor_data_is_named() -> None:
    for given in ([1, 2], None, np.zeros(3)):
        with pytest.raises(
            InvalidArgument, match=f"was given a {type(given).__name__}; give a torch.nn.Module"
        ):
            gammatune.fit(given, WINE)
    with pytest.raises(TypeError, match="data and a target by position, but 3 were given"):
        gammatune.fit(WINE, "grape", WINE)
    with pytest.raises(TypeError, match="multiple values for argument 'target'"):
        gammatune.fit(WINE, "grape", target="grape")
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'model' and 'train_set'"):
        gammatune.fit()
    lazy = needs.package("polars").from_pandas(WINE).lazy()
    with pytest.raises(
        InvalidArgument, match=r"a LazyFrame is no frame .*; compute it first, with its collect\(\)"
    ):
        gammatune.fit(lazy, "grape")


def test_images_and_arrays_go_through_the_same_door() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.repeat([0, 1, 2], 20)
    x[:, 0] += y
    np.savez("in.npz", x_train=x, y_train=y)
    np.savez("new.npz", x=x)
    found = gammatune.fit("in.npz", run_dir="arrays", epochs=3)
    assert found.predict(x).dtype.kind == "i"
    assert np.array_equal(found.predict_proba(x), found.predict_proba("new.npz"))
    with pytest.raises(InvalidData, match="is a table, and the network was trained on examples of shape"):
        found.predict(WINE)
    # a module is one still, and so is what came of a run
    for again in (found, found.module):
        assert isinstance(gammatune.fit(again, (x.astype(np.float32), y), epochs=1), gammatune.FitResult)


# Gone on with ---------------------------------------------------------------------------------------------


class Interrupting(Progressing):
    """Ctrl-C after the second commit."""

    def __call__(self, event: Any) -> None:
        super().__call__(event)
        if event["event"] == "commit" and not event.get("past") and len(self.story.course) == 2:
            raise KeyboardInterrupt


def test_a_run_that_was_interrupted_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gammatune.fit(WINE, "grape", run_dir="whole", **ALONE)
    threads = torch.get_num_threads()
    with monkeypatch.context() as patched:
        patched.setattr("gammatune.pipeline.fitting.display_for", lambda progress: Interrupting())
        with pytest.raises(
            KeyboardInterrupt, match=r"kept in half: the same call with run_dir='half' goes on"
        ):
            gammatune.fit(WINE, "grape", run_dir="half", **ALONE)
    assert torch.get_num_threads() == threads
    assert replay("half").end is None or replay("half").end["how"] != "complete"  # type: ignore[index]
    half = gammatune.fit(needs.package("pyarrow").Table.from_pandas(WINE), "grape", run_dir="half", **ALONE)
    assert replay("half").resumes
    assert np.array_equal(half.predict_proba(WINE), whole.predict_proba(WINE))


def test_another_frame_is_another_run(run: gammatune.Predictor) -> None:
    shutil.copytree(run.run_dir, "run")
    again = gammatune.fit(WINE.copy(), "grape", run_dir="run", **QUICK)  # complete: nothing is trained
    assert np.array_equal(again.predict_proba(WINE), run.predict_proba(WINE))
    for other in (
        WINE.head(170),
        WINE.rename(columns={"hue": "colour"}),
        WINE.assign(proline=WINE.proline + 1),
    ):
        with pytest.raises(
            AnotherRun, match=r"run was begun with a frame of 178 rows .* as data, and this is a"
        ):
            gammatune.fit(other, "grape", run_dir="run", **QUICK)
    with pytest.raises(
        InvalidArgument, match="which lay in memory and is not in the run; give that again to"
    ):
        app(["resume", "run"], standalone_mode=False)
    assert command(replay("run").begin["facts"]) is None  # no command line makes it again


# One declaration ------------------------------------------------------------------------------------------


READ_BY = ("Tables", "How a file is written")


def test_what_type_checkers_know_of_is_what_the_command_has() -> None:
    declared = {each.name for each in fields(Options) if "help" in each.metadata}
    assert set(names_of(TrainOptions)) | {"data"} == declared
    of_tables = {each.name for each in fields(Options) if each.metadata.get("panel") in READ_BY}
    assert set(names_of(TableOptions)) == (of_tables | {"task"}) - {"test", "only"}
