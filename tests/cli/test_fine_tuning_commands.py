"""--weights, --model RUN, --freeze, --lr, and export, as their users run them."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gammatune as package
from gammatune.cli.app import main


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gammatune(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; (exit status, what it printed, its errors)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gammatune", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, captured.out, captured.err

    return run


def write(path: str, first: int, n: int = 90, *, scale: float = 1.0) -> None:
    """Blobs of the classes first, first + 1, first + 2, in units that `scale` gives."""
    rng = np.random.default_rng(first)
    y = np.arange(n) % 3 + first
    x = ((rng.normal(size=(n, 4)) + 3 * y[:, None]) * scale).astype(np.float32)
    np.savez(path, x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])


def said_in(run: str) -> list[str]:
    facts = json.loads((Path(run) / "journal.jsonl").read_text().splitlines()[0])["facts"]
    return list(facts["said"])


def begin(gammatune: Any, *options: str) -> None:
    write("low.npz", 0)
    assert gammatune("train", "low.npz", "--model", "mlp", "--epochs", "3", *options)[0] == 0


def test_going_on_from_a_run_on_other_classes(gammatune: Any) -> None:
    begin(gammatune)
    write("high.npz", 3)
    code, out, err = gammatune(
        *(
            "train",
            "high.npz",
            "--model",
            "runs/low-1",
            "--freeze",
            "1",
            "--freeze",
            "3",
            "--epochs",
            "2",
            "--lr",
            "0.01",
        )
    )
    assert code == 0, err
    flat = " ".join(out.split())
    assert (
        "The weights begin as runs/low-1 has them; the last layer (5) begins anew, for other targets." in flat
    )
    assert "The inputs are standardised as in runs/low-1." in flat
    assert "Of the model, 771 of 67,843 parameters are trained." in flat
    assert "searched from 0.00032 to 0.32, 3 decades around 0.01 since the model is pretrained" in flat

    before, after = package.load("runs/low-1").module, package.load("runs/high-1").module
    assert torch.equal(before[1].weight, after[1].weight)  # type: ignore[index]
    assert not torch.equal(before[5].weight, after[5].weight)  # type: ignore[index]
    assert not after.training
    moments = [json.loads(Path(f"runs/{run}/journal.jsonl").read_text().splitlines()[0])["facts"]["preprocessing"]
               for run in ("low-1", "high-1")]  # fmt: skip
    assert moments[0]["mean"] == moments[1]["mean"]
    assert moments[0]["std"] == moments[1]["std"]
    assert moments[1]["classes"] == [3, 4, 5]

    assert gammatune("predict", "runs/high-1", "high.npz")[0] == 0  # with the earlier run out of the way, too
    Path("runs/low-1").rename("elsewhere")
    assert gammatune("predict", "runs/high-1", "high.npz")[0] == 0
    assert gammatune("export", "runs/high-1", "--out", "m.pt2")[0] == 0


def test_going_on_with_the_same_classes_keeps_the_last_layer(gammatune: Any) -> None:
    begin(gammatune)
    code, out, err = gammatune("train", "low.npz", "--model", "runs/low-1", "--epochs", "1", "--seed", "1")
    assert code == 0, err
    assert "The weights begin as runs/low-1 has them. " in " ".join(out.split())


def test_targets_of_much_the_same_size_keep_their_unit(gammatune: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    for name, scale in (("house", 1.0), ("near", 1.1), ("far", 1000.0)):
        y = scale * (100 + 10 * x.sum(axis=1))
        np.savez(f"{name}.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    assert gammatune("train", "house.npz", "--epochs", "2")[0] == 0
    for name, anew in (("near", False), ("far", True)):
        code, out, err = gammatune("train", f"{name}.npz", "--model", "runs/house-1", "--epochs", "1")
        assert code == 0, err
        assert ("begins anew" in out) == anew


def test_weights_from_a_file_and_a_run_that_is_gone_on_with(gammatune: Any) -> None:
    begin(gammatune)
    weights = torch.load("runs/low-1/weights.pt", weights_only=True)
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights.items()}}, "pre.pth")
    options = (
        "train",
        "low.npz",
        "--model",
        "mlp",
        "--weights",
        "pre.pth",
        "--epochs",
        "2",
        "--run-dir",
        "tuned",
    )
    assert gammatune(*options)[0] == 0
    assert "The weights begin as pre.pth has them." in said_in("tuned")
    assert gammatune("resume", "tuned")[0] == 0
    weights["5.bias"] += 1
    torch.save(weights, "pre.pth")
    code, _, err = gammatune(*options)
    assert code == 1
    assert "holds another run" in err
    assert "weights" in err


def test_what_load_gives_is_what_predict_says(gammatune: Any) -> None:
    begin(gammatune)
    x = np.load("low.npz")["x_test"]
    np.savez("new.npz", x=x)
    assert gammatune("predict", "runs/low-1", "new.npz", "--out", "p.csv")[0] == 0
    predicted = np.loadtxt("p.csv", delimiter=",", skiprows=1)[:, 1:]
    facts = json.loads(Path("runs/low-1/journal.jsonl").read_text().splitlines()[0])["facts"]["preprocessing"]
    z = (x - np.float32(facts["mean"])) / np.float32(facts["std"])
    with torch.no_grad():
        probabilities = package.load("runs/low-1")(torch.from_numpy(z.astype(np.float32))).softmax(dim=1)
    assert np.abs(probabilities.numpy() - predicted).max() < 1e-6


def test_weights_load_in_plain_torch(gammatune: Any) -> None:
    """As docs say: the state_dict of the very module that was trained."""
    begin(gammatune)
    nn = torch.nn
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 3)
    )
    net.load_state_dict(torch.load("runs/low-1/weights.pt", weights_only=True))
    x = torch.randn(5, 4)
    assert torch.equal(net(x), package.load("runs/low-1")(x))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "runs"), "--model runs is a directory without a journal.jsonl"),
        (("--model", "runs/low-1", "--weights", "w.pt"), "brings its own weights; leave --weights out"),
        (("--model", "mlp", "--weights", "w.pt"), "there is no file w.pt"),
        (("--model", "cnn", "--weights", "runs/low-1/weights.pt"), "needs images"),
        (
            ("--model", "mlp", "--freeze", "fc.*"),
            "'fc.*' names none of the model's 6 parameters; it has 1, 3, 5",
        ),
        (("--model", "mlp", "--freeze", "*"), "leave out its last layer, 5"),
        (("--model", "mlp", "--lr", "-1"), "lr=-1.0: give a finite number above 0"),
    ],
)
def test_mistakes(gammatune: Any, arguments: tuple[str, ...], words: str) -> None:
    begin(gammatune, "--epochs", "1")
    code, _, err = gammatune("train", "low.npz", *arguments, "--run-dir", "new")
    assert code == 1
    assert words in err
    assert len(err.splitlines()) == 1
    assert not Path("new").exists()


def test_another_shape_is_refused(gammatune: Any) -> None:
    begin(gammatune)
    np.savez("wide.npz", x_train=np.ones((20, 7)), y_train=np.arange(20) % 2)
    code, _, err = gammatune("train", "wide.npz", "--model", "runs/low-1")
    assert code == 1
    assert "the data has examples of shape (7,), and the network was trained on (4,)" in err


def test_export(gammatune: Any) -> None:
    begin(gammatune)
    code, out, err = gammatune("export", "runs/low-1", "--out", "m.onnx")
    assert (code, err) == (0, "")
    assert out.startswith(
        "m.onnx: inputs as the data has them, float32 (n, 4), to probabilities, float32 (n, 3), "
    )
    assert len(out.splitlines()) == 1
    code, _, err = gammatune("export", "runs/low-1", "--out", "m.onnx")
    assert code == 1
    assert err == "error: m.onnx is there already; name another file, or write over it with --force\n"
    assert gammatune("export", "runs/low-1", "--out", "m.onnx", "--force")[0] == 0
