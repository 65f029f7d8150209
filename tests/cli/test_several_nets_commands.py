"""Several nets from the command line: trained, told, loaded, asked, exported; and their files, whatever happens."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import programs
import pytest
import torch

import gammatune as library
from gammatune.engine.ensemble import Ensemble
from gammatune.errors import JournalError, JournalWarning
from gammatune.journal.history import replay
from gammatune.pipeline.load import plan_of
from gammatune.pipeline.options import Options
from gammatune.pipeline.prepare import prepare
from gammatune.report.html.tables import command

OPTIONS = ("--epochs", "8", "--batch-size", "8", "--threads", "1", "--model", "mlp", "--budget", "3.6")


def flowers(n: int = 260) -> None:
    r = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = (r.normal(size=(n, 4)) + 1.2 * y[:, None]).astype(np.float32)
    labels = np.array(["iris", "rose", "tulip"])[y]
    np.savez("flowers.npz", x_train=x[:200], y_train=labels[:200], x_test=x[200:], y_test=labels[200:])
    np.savez("new.npz", x=x[200:], y=labels[200:])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained once, with what was printed."""
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        flowers()
    words = ["-m", "gammatune.cli", "train", "flowers.npz", *OPTIONS, "--run-dir", "run"]
    done = programs.run("-W", "error", *words, cwd=home)
    assert done.returncode == 0, done.stderr
    (home / "said.txt").write_text(done.stdout)
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy, which is the working directory too."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def member_files(run: Path) -> list[str]:
    return sorted(path.name for path in run.glob("net-*"))


def test_the_journal_says_how_many_and_what_the_best_is_worth_alone(home: Path) -> None:
    story = replay(home / "run")
    assert len(story.nets) >= 2
    assert member_files(home / "run") == [f"net-{net}.pt" for net in sorted(story.nets)]
    assert set(story.nets) <= set(story.kept)
    report = story.report
    assert report is not None
    assert report["nets"] == len(story.nets)
    assert set(report["single"]) == {"sensitivity", "specificity", "accuracy", "mcc", "mcc_macro"}
    small, large = report["price"]["memory"]
    assert large == len(story.nets) * small
    assert all(seconds > 0 for seconds in report["price"]["seconds"])
    left = json.loads((home / "run" / "measures.json").read_text())
    assert left["single"] == report["single"]


def test_the_run_loads_as_the_average_that_was_reported_on(home: Path) -> None:
    net = library.load("run")
    assert isinstance(net.module, Ensemble)
    assert not net.training
    story = replay("run")
    preparing = plan_of("run").preprocessing
    with np.load("new.npz") as held:
        x, labels = preparing.inputs(held["x"]), held["y"]  # type: ignore[arg-type]
    with torch.no_grad():
        said = net(x).softmax(1)
        each = torch.stack([member(x).softmax(1) for member in net.members])
        spread = net.spread(x)
    assert torch.allclose(said, each.mean(0), atol=1e-6)
    assert torch.allclose(spread, (each - each.mean(0)).abs().sum(2).mean(0) / 2, atol=1e-6)
    right = np.asarray(preparing.labels(said.argmax(1).numpy())) == labels
    assert story.report is not None
    assert right.mean() == pytest.approx(story.report["accuracy"])
    with np.load("run/predictions.npz") as held:
        assert np.allclose(held["probabilities"], said.numpy(), atol=1e-6)
        assert np.allclose(held["spread"], spread.numpy(), atol=1e-6)

    alone = library.load("run", single=True)
    weights = torch.load("run/weights.pt", weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value in alone.state_dict().items())
    with torch.no_grad():
        right = np.asarray(preparing.labels(alone(x).argmax(1).numpy())) == labels
    assert right.mean() == pytest.approx(story.report["single"]["accuracy"])


def test_what_is_printed_tells_both_apart(home: Path, gammatune: Any) -> None:
    said = (home / "said.txt").read_text()
    count = len(replay("run").nets)
    assert "nets 1, 2 together  accuracy " in said
    assert "lr 0  " not in said  # the average is no epoch
    assert said.count("predictions of 2 nets are averaged") <= 2  # on the way, and at the end
    shown = gammatune("show", "run").out
    for words in (
        "together ",
        "best alone ",
        f"{count} nets together take {count} times the memory (",
        f"handed back    the average of {count} nets; the best alone: epoch ",
        f"the predictions of {count} nets are averaged, at a score of ",
    ):
        assert words in said
        assert words in shown
    assert json.loads(gammatune("show", "run", "--json").out)["nets"] == list(replay("run").nets)
    rollouts = gammatune("show", "run", "--rollouts").out
    assert f"{count} nets" in rollouts


def test_predictions_have_the_spread_beside_them(home: Path, gammatune: Any) -> None:
    said = gammatune("predict", "run", "new.npz")
    count = len(replay("run").nets)
    assert f"each the average of {count} nets, how far these are apart in 'spread'" in said.out
    frame = pd.read_csv("new.predictions.csv")
    assert list(frame) == ["prediction", "p(iris)", "p(rose)", "p(tulip)", "spread"]
    with np.load("run/predictions.npz") as held:
        assert np.allclose(frame["spread"], held["spread"], atol=1e-6)
        assert np.allclose(frame[["p(iris)", "p(rose)", "p(tulip)"]], held["probabilities"], atol=1e-6)
    assert frame["spread"].between(0, 1).all()
    alone = gammatune("predict", "run", "new.npz", "--single", "--out", "alone.csv")
    assert "nets" not in alone.out
    assert list(pd.read_csv("alone.csv")) == ["prediction", "p(iris)", "p(rose)", "p(tulip)"]


@pytest.mark.parametrize("options", [(), ("--raw",), ("--single",)])
@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_one_file_holds_them_all(home: Path, gammatune: Any, ending: str, options: tuple[str, ...]) -> None:
    single = "--single" in options
    said = gammatune("export", "run", "--out", f"model{ending}", *options)
    assert said.code == 0, said.err
    count = len(replay("run").nets)
    assert (f"the average of {count} nets" in said.out) == (not single)
    net = library.load("run", single=single)
    preparing = plan_of("run").preprocessing
    with np.load("new.npz") as held:
        raw = held["x"]
    with torch.no_grad():
        expected = net(preparing.inputs(raw))  # type: ignore[arg-type]
    if "--raw" in options:
        raw = preparing.inputs(raw).numpy()  # type: ignore[arg-type]
    else:
        expected = expected.softmax(1)
    for x in (raw, raw[:1]):
        if ending == ".onnx":
            session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
            (out,) = session.run(None, {"x": x})
        else:
            out = torch.export.load("model.pt2").module()(torch.from_numpy(x)).detach().numpy()
        assert np.allclose(out, expected.numpy()[: len(x)], atol=1e-5)


def test_a_file_that_is_gone_or_another_is_said_and_comes_back(home: Path, gammatune: Any) -> None:
    first, second, *_ = replay("run").nets
    whole = library.load("run").state_dict()
    (home / "run" / f"net-{first}.pt").unlink()
    with (home / "run" / f"net-{second}.pt").open("ab") as file:
        file.write(b"more")
    with pytest.raises(
        JournalError, match=rf"net-{first}\.pt, one of \d nets of the run, is missing; `gamma"
    ):
        library.load("run")
    refused = gammatune("predict", "run", "new.npz")
    assert refused.code == 1
    assert "`gammatune resume run` trains that net again" in refused.err
    assert "--single, takes the best net alone" in refused.err
    assert not isinstance(library.load("run", single=True).module, Ensemble)
    shutil.copy(f"run/net-{second}.pt", f"run/net-{first}.pt")
    with pytest.raises(JournalError, match=rf"net-{first}\.pt is not what the run wrote"):
        library.load("run")

    with pytest.warns(JournalWarning, match="damaged or gone; it is trained again"):
        gammatune("resume", "run", "--quiet")
    again = library.load("run").state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in again.items())


def test_a_complete_run_is_not_measured_again(home: Path, gammatune: Any) -> None:
    before = (home / "run" / "journal.jsonl").read_text().splitlines()
    assert gammatune("resume", "run", "--quiet").code == 0
    after = (home / "run" / "journal.jsonl").read_text().splitlines()
    assert [line for line in after if '"report"' in line] == [line for line in before if '"report"' in line]
    assert member_files(home / "run") == [f"net-{net}.pt" for net in sorted(replay("run").nets)]


def test_one_net_where_that_was_asked_for(gammatune: Any) -> None:
    flowers()
    said = gammatune("train", "flowers.npz", *OPTIONS, "--no-ensemble", "--run-dir", "run")
    assert said.code == 0
    assert "nets" not in said.out
    assert "walk 2" in said.out  # at another rate
    story = replay("run")
    assert story.nets == ()
    assert story.report is not None
    assert "single" not in story.report
    assert not list(Path("run").glob("net-*"))
    assert "spread" not in gammatune("predict", "run", "new.npz").out
    assert list(pd.read_csv("new.predictions.csv"))[-1] == "p(tulip)"
    assert Options.of_run("run").ensemble is False
    assert "--no-ensemble" in str(command(story.begin["facts"]))
    assert gammatune("resume", "run", "--quiet").code == 0
    other = gammatune("train", "flowers.npz", *OPTIONS, "--ensemble", "--run-dir", "run")
    assert other.code == 1
    assert "ensemble" in other.err


def test_nets_begin_with_weights_of_their_own(home: Path) -> None:
    prepared = prepare(Options.of_run("run"))
    assert prepared.another is not None
    torch.manual_seed(3)
    made = [next(prepared.another().parameters()) for _ in range(2)]
    torch.manual_seed(3)
    again = [next(prepared.another().parameters()) for _ in range(2)]
    assert not torch.equal(made[0], made[1])
    assert all(torch.equal(one, other) for one, other in zip(made, again, strict=True))
    assert not torch.equal(made[0], next(prepared.net.parameters()))


def test_a_network_that_is_gone_on_with_is_one(home: Path, gammatune: Any) -> None:
    begun = ("train", "flowers.npz", "--model", "run")
    refused = gammatune(*begun, "--ensemble", "--epochs", "8", "--budget", "3.6")
    assert refused.code == 1
    assert "--ensemble trains nets from initial weights of their own" in refused.err
    done = gammatune(*begun, "--epochs", "4", "--budget", "3", "--run-dir", "fine", "--quiet")
    assert done.code == 0, done.err
    assert replay("fine").nets == ()
    refused = gammatune("train", "flowers.npz", "--ensemble", "--policy", "greedy", "--epochs", "2")
    assert refused.code == 1
    assert "policy='greedy' trains one net" in refused.err


def table(n: int = 200) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"age": r.integers(18, 80, n), "town": r.choice(["Ulm", "Bonn", "Kiel"], n)})
    frame["rent"] = 400 + 5 * frame.age + 80 * (frame.town == "Ulm") + r.normal(0, 20, n)
    frame.to_csv("rents.csv", index=False)


def test_a_table_with_a_number_to_predict(gammatune: Any) -> None:
    table()
    words = ("--target", "rent", "--epochs", "8", "--batch-size", "8", "--threads", "1", "--budget", "3.6")
    said = gammatune("train", "rents.csv", *words, "--run-dir", "run", "--only", "net")
    assert said.code == 0, said.err
    count = len(replay("run").nets)
    assert count >= 2
    assert "MSE of standardised targets" in said.out
    gammatune("predict", "run", "rents.csv")
    frame = pd.read_csv("rents.predictions.csv")
    assert list(frame)[-2:] == ["prediction", "spread"]
    preparing = plan_of("run").preprocessing
    net = library.load("run").module
    assert isinstance(net, Ensemble)
    with torch.no_grad():
        x = preparing.encode(pd.read_csv("rents.csv"), [])  # type: ignore[union-attr]
        each = [preparing.original_targets(member(x).numpy()) for member in net.members]
    assert np.allclose(frame["prediction"], np.mean(each, axis=0).ravel(), rtol=1e-5)
    assert np.allclose(frame["spread"], np.std(each, axis=0).ravel(), rtol=1e-3, atol=1e-4)
    assert frame["spread"].mean() > 0.1  # in units of rent
    said = gammatune("export", "run", "--out", "rents.onnx")
    assert said.code == 0, said.err
    session = onnxruntime.InferenceSession("rents.onnx", providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"x": x.numpy()})
    assert np.allclose(out, np.mean(each, axis=0), rtol=1e-4)
    assert json.loads(Path("rents.json").read_text())["nets"] == count
    page = gammatune("report", "run")
    assert page.code == 0
    text = Path("run/report.html").read_text(encoding="utf-8")
    assert "standard deviation of what the nets say, in the target&#39;s own unit" in text
    assert "MSE of standardised targets" in text
