"""The command as its users run it: what it prints, what it keeps, and what it says to their mistakes."""

import csv
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch

from gammatune.cli.app import main

FAST = ("--epochs", "1", "--model", "mlp", "--limit", "200")
GREEDY = ("--policy", "greedy", "--budget", "3")


def write(path: str, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return path


def blobs(n: int = 120, classes: int = 3, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    return (rng.normal(size=(n, features)) + 3 * y[:, None]).astype(np.float32), y


def test_train_show_runs_predict(gammatune: Any) -> None:
    x, y = blobs()
    labels = np.array(["ant", "bee", "cat"])[y]
    write("data.npz", x_train=x[:90], y_train=labels[:90], x_test=x[90:], y_test=labels[90:])
    options = ("--epochs", "60", "--batch-size", "8", "--optimizer", "momentum", "--lr", "0.0005")
    trained = gammatune("train", "data.npz", *options)
    assert trained.code == 0, trained.err
    assert "course: lr " in trained.out
    assert "epoch 60/60  lr " in trained.out
    assert "neither trained on nor selected by" in trained.out
    for word in ("Sens", "Spec", "Acc", "MCC", "learning time", " x a plain run (", "runs/data-1"):
        assert word in trained.out

    shown = gammatune("show", "runs/data-1", "--rollouts")
    assert shown.code == 0
    assert "policy lookahead" in shown.out
    assert "leads furthest" in shown.out
    assert "better than the optimizer's own with probability" in " ".join(shown.out.split())
    assert "along the schedule" not in shown.out
    assert shown.out.count(" ok ") >= 60
    assert " 1 epoch " in shown.out

    listed = gammatune("runs")
    assert "data-1" in listed.out
    assert "complete" in listed.out

    write("new.npz", x=x[90:], y=labels[90:])
    predicted = gammatune("predict", "runs/data-1", "new.npz")
    assert predicted.code == 0, predicted.err
    assert "30 predictions written to new.predictions.csv; accuracy" in predicted.out
    with open("new.predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"prediction", "p(ant)", "p(bee)", "p(cat)"}
    assert {row["prediction"] for row in rows} <= {"ant", "bee", "cat"}
    assert all(sum(float(row[f"p({c})"]) for c in ("ant", "bee", "cat")) == pytest.approx(1) for row in rows)
    right = sum(row["prediction"] == label for row, label in zip(rows, labels[90:], strict=True))
    shown_accuracy = float(predicted.out.split("accuracy ")[1].split(" %")[0])
    assert right / 30 == pytest.approx(shown_accuracy / 100, abs=1e-4)


def test_the_thesis_policy(gammatune: Any) -> None:
    said = gammatune("train", "digits", *FAST, *GREEDY, "--epochs", "2")
    assert said.code == 0, said.err
    assert "epoch 2/2  lr " in said.out
    assert "3.00 x a plain run" in said.out
    shown = gammatune("show", "runs/digits-1", "--rollouts")
    assert shown.out.count("best of 3 candidates") == 2
    assert shown.out.count(" ok ") == 6


def test_a_schedule_and_a_budget(gammatune: Any) -> None:
    options = ("--epochs", "4", "--model", "mlp", "--limit", "600", "--json")
    constant = json.loads(gammatune("train", "digits", *options, "--schedule", "constant").out)
    assert [leg["shape"]["knots"][-1] for leg in constant["course"]] == [[1.0, 1.0]] * 4
    assert constant["begin"]["policy"] == "lookahead"
    assert constant["begin"]["budget"] == 1.5
    assert 1 < constant["end"]["plain_runs"] < 1.5 + 1e-9
    linear = json.loads(gammatune("train", "digits", *options, "--keep", "last", "--budget", "6").out)
    assert linear["course"][-1]["shape"]["knots"][-1] == [1.0, 0.0] or linear["members"]
    assert 4 < linear["end"]["plain_runs"] < 6 + 1e-9
    greedy = gammatune("train", "digits", *FAST, "--policy", "greedy", "--json")
    assert json.loads(greedy.out)["begin"]["budget"] == 12


def test_a_regression_from_the_command_line(gammatune: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = 100 + 10 * (x @ np.array([1.0, 2.0, -1.0]))
    write("house.npz", x_train=x[:160], y_train=y[:160], x_test=x[160:], y_test=y[160:])
    trained = gammatune("train", "house.npz", "--epochs", "20", "--optimizer", "momentum")
    assert trained.code == 0, trained.err
    assert "R2" in trained.out
    write("new.npz", x=x[160:], y=y[160:])
    predicted = gammatune("predict", "runs/house-1", "new.npz", "--out", "p.csv")
    assert float(predicted.out.split("R2 ")[1]) > 0.7
    values = [float(line) for line in Path("p.csv").read_text().splitlines()[1:]]
    assert np.mean(values) == pytest.approx(np.mean(y[160:]), rel=0.2)


def test_json_is_one_object_and_quiet_is_silent(gammatune: Any) -> None:
    said = gammatune("train", "digits", *FAST, "--json", "--run-dir", "a")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["report"]["on"] == "test"
    assert answer["begin"]["seed"] == 0
    assert len(answer["schedule"]) == 1
    assert 1 <= answer["end"]["plain_runs"] <= 1.5
    assert json.loads(gammatune("show", "a", "--json").out) == answer
    quiet = gammatune("train", "digits", *FAST, "--quiet", "--run-dir", "b")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.parametrize(
    ("optimizer", "package"), [("muon", "torch"), ("prodigy", "prodigyopt"), ("schedulefree", "schedulefree")]
)
def test_optimizers_that_came_after_the_thesis(gammatune: Any, optimizer: str, package: str) -> None:
    needs.package(package)
    options = ("--optimizer", optimizer, "--weight-decay", "0.01", "--epochs", "3", "--model", "mlp")
    said = gammatune("train", "digits", *options, "--json", "--run-dir", "a")
    assert said.code == 0, said.err
    answer = json.loads(said.out)  # and nothing that the optimizer prints
    assert answer["begin"]["facts"]["optimizer"] == optimizer
    assert answer["begin"]["known"]["family"] == optimizer
    assert answer["report"]["accuracy"] > 0.5
    assert gammatune("resume", "a").code == 0


def test_an_optimizer_whose_package_is_missing(gammatune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prodigyopt", None)
    said = gammatune("train", "digits", *FAST, "--optimizer", "prodigy", "--run-dir", "a")
    assert said.code == 1
    assert "pip install 'gammatune[optimizers]'" in " ".join(said.err.split())


def test_same_seed_same_run_seed_in_the_journal(gammatune: Any) -> None:
    def events(directory: str, seed: str) -> list[Any]:
        said = gammatune("train", "digits", *FAST, "--quiet", "--run-dir", directory, "--seed", seed)
        assert said.code == 0, said.err
        lines = [json.loads(line) for line in Path(directory, "journal.jsonl").read_text().splitlines()]
        for line in lines:
            for clock in ("time", "seconds", "elapsed", "processor", "plain_processor", "spent"):
                line.pop(clock, None)
        return [line for line in lines if line["event"] not in ("state", "gone")]  # written as time allows

    first, again, other = events("a", "5"), events("b", "5"), events("c", "6")
    assert first == again
    assert first[0]["seed"] == 5
    assert first != other
    weights = [torch.load(f"{d}/weights.pt", weights_only=True) for d in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_runs_are_numbered_and_a_damaged_one_does_not_hide_the_others(gammatune: Any) -> None:
    assert gammatune("train", "digits", *FAST, "--quiet").code == 0
    assert gammatune("train", "digits", *FAST, "--quiet").code == 0
    Path("runs/broken").mkdir()
    Path("runs/broken/journal.jsonl").write_text("{}\n{}\n")
    listed = gammatune("runs").out
    assert "digits-1" in listed
    assert "digits-2" in listed
    assert "broken" in listed


@pytest.mark.parametrize("sampler", ["grid", "gaussian", "gamma", "tabu"])
@pytest.mark.parametrize("policy", ["lookahead", "greedy", "once"])
def test_every_policy_with_the_samplers(gammatune: Any, policy: str, sampler: str) -> None:
    said = gammatune(
        *("train", "digits", "--epochs", "2", "--budget", "3", "--model", "thesis", "--limit", "200"),
        *("--optimizer", "sgd", "--search", "lr=0:0.5", "--batch-size", "50", "--weight-decay", "0.001"),
        *("--policy", policy, "--sampler", sampler, "--objective", "kappa12-cut", "--quiet"),
    )
    assert said.code == 0, said.err


def test_several_hyperparameters(gammatune: Any) -> None:
    said = gammatune(
        *("train", "digits", "--epochs", "1", "--budget", "4", "--model", "mlp", "--limit", "300", "--json"),
        *(
            "--search",
            "lr=1e-3:0.1:log",
            "--search",
            "batch_size=16,32,64",
            "--search",
            "weight_decay=1e-5:1e-2:log",
        ),
    )
    assert said.code == 0, said.err
    assert set(json.loads(said.out)["schedule"][0]) == {"lr", "batch_size", "weight_decay"}


def test_a_model_of_ones_own(gammatune: Any) -> None:
    Path("mine.py").write_text(
        "from torch import nn\n"
        "def net(shape, outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))\n"
        "def wrong(shape, outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))\n"
        "def broken(shape, outputs):\n"
        "    raise LookupError('my own')\n"
    )
    common = ("train", "digits", "--epochs", "1", "--budget", "2", "--limit", "200", "--quiet")
    assert gammatune(*common, "--model", "mine:net").code == 0
    assert gammatune("predict", "runs/digits-1", write("n.npz", x=np.zeros((2, 8, 8)))).code == 0
    said = gammatune(*common, "--model", "mine:wrong")
    assert said.code == 1
    assert "10 outputs instead of" in said.err
    with pytest.raises(LookupError, match="my own"):  # the user's own error, with its own traceback
        sys.argv = ["gammatune", *common, "--model", "mine:broken"]
        main()


def test_stopping_keeps_what_was_committed(gammatune: Any) -> None:
    Path("stopping.py").write_text(
        "from torch import nn\n"
        "CALLS = []\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, outputs):\n"
        "        super().__init__()\n"
        "        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))\n"
        "        Net.made = self\n"
        "    def forward(self, x):\n"
        "        CALLS.append(self.training)  # a global, which no fork puts back\n"
        "        if sum(CALLS) > 42:\n"
        "            raise KeyboardInterrupt\n"
        "        return self.inner(x)\n"
        "def net(shape, outputs):\n"
        "    return Net(outputs)\n"
    )
    # 5 batches an epoch and 2 candidates, and before them 2 by which the training is looked at: the fifth decision is
    # cut off
    said = gammatune(
        *("train", "digits", "--epochs", "9", "--policy", "greedy", "--budget", "2", "--limit", "200"),
        *("--model", "stopping:net", "--run-dir", "my run", "--batch-size", "32"),
    )
    assert said.code == 130
    assert said.err == ("stopped; what was trained is kept in my run; `gammatune resume 'my run'` goes on\n")
    lines = [json.loads(line) for line in Path("my run/journal.jsonl").read_text().splitlines()]
    assert lines[-1]["event"] == "end"
    assert lines[-1]["how"] == "interrupted"
    assert sum(line["event"] == "commit" for line in lines) == 4
    model = sys.modules["stopping"].Net.made
    saved = torch.load("my run/weights.pt", weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())
    shown = gammatune("show", "my run")
    assert shown.code == 0
    assert "interrupted" in shown.out


def test_stopping_before_the_training_keeps_nothing(gammatune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*sets: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gammatune.supervised.fit.fit", interrupted)
    said = gammatune("train", "digits", *FAST)
    assert (said.code, said.err) == (130, "stopped before the training began\n")
    assert not Path("runs").exists()


def test_a_mistake_leaves_no_run_directory(gammatune: Any) -> None:
    assert gammatune("train", "digits", "--epochs", "0", "--run-dir", "b").code == 1
    assert not Path("b").exists()


def test_predict_writes_only_what_was_checked(gammatune: Any) -> None:
    assert gammatune("train", "digits", *FAST, "--quiet", "--run-dir", "a").code == 0
    x = np.zeros((4, 8, 8))
    out = Path("p.csv")
    for y, message in ((np.zeros(3), "4 examples and 3 targets"), (np.full(4, 77), "77")):
        said = gammatune("predict", "a", write("n.npz", x=x, y=y), "--out", str(out))
        assert (said.code, said.err.count("\n")) == (1, 1)
        assert message in said.err
        assert not out.exists()
    write("n.npz", x=x)
    for place in ("", "nowhere/p.csv", "a"):
        said = gammatune("predict", "a", "n.npz", "--out", place)
        assert (said.code, said.err.count("\n")) == (1, 1)
        assert "choose another place with --out" in said.err
    weights = Path("a/weights.pt")
    whole = weights.read_bytes()
    torch.save({"other": torch.zeros(1)}, "other.pt")
    spoiled = {"the file is damaged": [whole[:100], whole[:-300], b"", b"text"]}
    spoiled["does not fit the run's model"] = [Path("other.pt").read_bytes()]
    for message, contents in spoiled.items():
        for content in contents:
            weights.write_bytes(content)
            said = gammatune("predict", "a", "n.npz", "--out", str(out))
            assert (said.code, said.err.count("\n")) == (1, 1)
            assert message in said.err
            assert not out.exists()


def test_runs_lists_one_whose_first_line_lacks_what_is_needed(gammatune: Any) -> None:
    Path("runs/odd").mkdir(parents=True)
    Path("runs/odd/journal.jsonl").write_text('{"event":"begin","format":1}\n')
    said = gammatune("runs")
    assert (said.code, said.err) == (0, "")
    assert "odd" in said.out


X, Y = blobs(60, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X, "y_train": Y * 0}, "two or more"),
        ({"x_train": np.where(X > 5, np.nan, X), "y_train": Y}, "NaN"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}, "label 3"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "empty"),
        ({"x_train": X, "y_train": Y[:50]}, "60 examples and y_train 50"),
        ({"x_train": X}, "lacks y_train"),
        ({"images": X}, "found images"),
        ({"x_train": X.astype(str), "y_train": Y}, "not numbers"),
    ],
)
def test_bad_data_is_one_line(gammatune: Any, arrays: dict[str, Any], message: str) -> None:
    said = gammatune("train", write("bad.npz", **arrays))
    assert said.code == 1
    assert message in said.err
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "nothing.npz"), "no such file"),
        (("train", "unknown"), "no data set"),
        (("train", "digits", "--search", "lr=1:0.1:log"), "lr=1:0.1:log"),
        (("train", "digits", "--search", "lr=0:1:log"), "lr=0:1:log"),
        (("train", "digits", "--search", "lr"), "lr=1e-4:1:log"),
        (("train", "digits", "--search", "speed=0:1"), "'speed' cannot be searched"),
        (("train", "digits", "--model", "transformer"), "no model 'transformer'"),
        (("train", "digits", "--model", "nowhere:net"), "nowhere"),
        (("train", "digits", "--optimizer", "speedy"), "choose one of sgd"),
        (("train", "digits", "--sampler", "magic"), "gamma"),
        (("train", "digits", "--policy", "lazy"), "write one of lookahead, greedy, once"),
        (("train", "digits", "--schedule", "cosin"), "'linear', 'cosine', '1-sqrt', 'wsd', 'constant'"),
        (("train", "digits", "--objective", "joy"), "kappa"),
        (("train", "digits", "--objective", "r2"), "r2"),
        (("train", "digits", "--epochs", "0"), "epochs=0"),
        (("train", "digits", "--policy", "once", "--budget", "1.5"), "cannot pay for two"),
        (("train", "digits", "--budget", "0"), "budget=0"),
        (("train", "digits", "--lam", "0"), "lam"),
        (("train", "digits", "--limit", "1"), "limit"),
        (("train", "digits", "--validation", "1.5"), "validation"),
        (("train", "digits", "--device", "toaster"), "device='toaster'"),
        (("train", "digits", "--task", "guess"), "classification, ordinal or regression"),
        (("train", "digits", "--threads", "0"), "--threads 0"),
        (("train", "digits", "--seed", "-1"), "--seed -1"),
        (("train", "digits", "--seed", "4294967296"), "--seed 4294967296"),
        (("train", "digits", "--run-dir", ""), "--run-dir ''"),
        (("show", "nowhere"), "there is no run"),
        (("runs", "nowhere"), "no directory"),
        (("predict", "nowhere", "x.npz"), "there is no run"),
    ],
)
def test_mistakes_are_one_line_with_advice(gammatune: Any, arguments: tuple[str, ...], message: str) -> None:
    said = gammatune(*arguments)
    assert said.code == 1
    assert message in said.err
    assert said.err.count("\n") == 1


def test_wrong_types_are_refused_by_the_parser(gammatune: Any) -> None:
    said = gammatune("train", "digits", "--epochs", "many")
    assert said.code == 2
    assert "--epochs" in said.err


def test_help_is_instant_and_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['gammatune', '--help']\n"
        "from gammatune.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'scipy', 'sklearn'} & set(sys.modules)"
    )
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # the processor's time: what else the machine does is not the command's
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5


def test_importing_costs_next_to_nothing_beside_torch() -> None:
    code = (
        "import gc, time\n"
        "began = time.process_time()\n"  # the processor's: what else the machine does is not ours
        "import torch\n"
        # the garbage collector walks all of torch's objects at some point, for 0.1 s: they are not ours
        "gc.freeze()\n"
        "started = time.process_time()\n"
        "import gammatune\n"
        "gammatune.Tuner, gammatune.fit, gammatune.Space\n"
        "print((time.process_time() - started) / (started - began))"
    )
    shares: list[float] = []
    while len(shares) < 5 and min(shares, default=1.0) >= 0.3:
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        shares.append(float(done.stdout))
    assert min(shares) < 0.3, shares  # .25 to .26 beside another test run, .22 to .24 alone


def test_what_takes_long_to_load_waits_until_it_is_needed() -> None:
    code = (
        "import sys, gammatune\n"
        "gammatune.Tuner, gammatune.fit, gammatune.Space\n"
        "from gammatune.cli import main\n"
        "sys.argv = ['gammatune', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print('it ended')\n"
        "print('scipy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "usage" in said.lower()
    assert said.splitlines()[-2:] == ["it ended", "False"]


def test_the_tuner_itself_imports_no_torch() -> None:
    code = "import sys, gammatune.tuning.tuner, gammatune.testing.fakes\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version(gammatune: Any) -> None:
    from importlib.metadata import version

    assert gammatune("--version").out.strip() == f"gammatune {version('gammatune')}"


def test_a_choice_at_the_edge_of_its_range_is_remarked(gammatune: Any) -> None:
    narrow = ("--search", "lr=1e-9:1e-8:log")
    said = gammatune("train", "digits", *FAST, *GREEDY, *narrow, "--sampler", "grid")
    assert "upper end of its range, 1e-08, in 1 of 1 epochs" in said.out
    assert "end of its range" not in gammatune("train", "digits", "--model", "mlp", "--epochs", "4").out
    assert "end of its range" not in gammatune("train", "digits", *FAST, "--search", "lr=1e-4,1e-3").out
    searched_nothing = gammatune("train", "digits", *FAST, *narrow, "--budget", "1").out
    assert "no look at rates: lr 1e-08 is the nearest that may be taken" in " ".join(searched_nothing.split())
    assert "end of its range" not in searched_nothing


def test_what_is_searched_and_what_is_not_is_said(gammatune: Any) -> None:
    said = gammatune("train", "digits", *FAST, "--search", "batch_size=16,32")
    assert "Searched: batch_size=16,32." in said.out
    assert "The batch size is" not in said.out
    assert "The learning rate stays at" in said.out


def test_labels_written_as_decimals_are_remarked(gammatune: Any) -> None:
    x, y = blobs()
    write("d.npz", x_train=x, y_train=y.astype(float))
    said = gammatune("train", "d.npz", "--epochs", "1", "--budget", "2")
    assert "--task classification" in said.out
    assert "MSE of standardised targets" in said.out
    told = gammatune("train", "d.npz", "--epochs", "1", "--budget", "2", "--task", "classification")
    assert "--task classification" not in told.out


def test_runs_are_listed_in_their_order(gammatune: Any) -> None:
    for number in (10, 9, 1):
        assert gammatune("train", "digits", *FAST, "--quiet", "--run-dir", f"runs/digits-{number}").code == 0
    lines = [line.split()[0] for line in gammatune("runs").out.splitlines()[1:]]
    assert lines == ["digits-1", "digits-9", "digits-10"]


def test_an_interrupted_run_is_gone_on_with(gammatune: Any) -> None:
    """By `resume`, or by the same command again; a third time nothing is left to train."""
    Path("twice.py").write_text(
        "from torch import nn\n"
        "CALLS = []\n"
        "STOP_AT = [40]\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, outputs):\n"
        "        super().__init__()\n"
        "        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))\n"
        "    def forward(self, x):\n"
        "        CALLS.append(self.training)\n"
        "        if sum(CALLS) == STOP_AT[0]:\n"
        "            raise KeyboardInterrupt\n"
        "        return self.inner(x)\n"
        "def net(shape, outputs):\n"
        "    return Net(outputs)\n"
    )
    command = ("train", "digits", "--epochs", "4", "--policy", "greedy", "--budget", "3", "--limit", "200")
    command = (*command, "--model", "twice:net", "--batch-size", "32")
    for again in (("resume", "r"), (*command, "--run-dir", "r")):
        for path in Path().glob("r/*"):
            path.unlink()
        assert gammatune(*command, "--run-dir", "r").code == 130
        module = sys.modules["twice"]
        module.CALLS.clear()
        said = gammatune(*again)
        module.CALLS.clear()
        module.STOP_AT[0] = 10**6
        said = gammatune(*again) if said.code == 130 else said
        assert said.code == 0, said.err
        assert "gone on with after" in said.out
        assert gammatune(*command, "--run-dir", "whole").code == 0
        interrupted, whole = (torch.load(f"{d}/weights.pt", weights_only=True) for d in ("r", "whole"))
        assert all(torch.equal(interrupted[name], value) for name, value in whole.items())
        calls = len(module.CALLS)
        assert gammatune("resume", "r").code == 0
        assert sum(module.CALLS[calls:]) <= 1  # the rehearsal's one look in train mode
        module.STOP_AT[0] = 40
        module.CALLS.clear()
    said = gammatune(*command, "--run-dir", "r", "--epochs", "5")
    assert said.code == 1
    assert "epochs=4, and epochs=5 is asked for now" in said.err


def test_a_run_of_python_code_is_not_resumed_from_the_shell(gammatune: Any) -> None:
    journal = Path("old/journal.jsonl")
    journal.parent.mkdir()
    journal.write_bytes((Path(__file__).parent.parent / "assets" / "journal-format-1.jsonl").read_bytes())
    said = gammatune("resume", "old")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "was not begun by `gammatune train`" in said.err
