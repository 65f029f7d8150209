"""Trained networks in other programs' hands: what a file gives is what the network gave."""

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from gammatune.errors import InvalidArgument, JournalError, MissingExtra, ModelMismatch
from gammatune.pipeline import export as exporting
from gammatune.pipeline import export_formats
from gammatune.pipeline.data.preprocessing import Preprocessing, learn
from gammatune.pipeline.export import export
from gammatune.pipeline.export_formats import DETAILS, KEY
from gammatune.pipeline.load import Plan
from gammatune.pipeline.models import MODELS, make_model

CLASSES = ("ant", "bee", "cat")
SHAPES = {
    "mlp": (5,),
    "tabular": (5,),
    "alexnet": (3, 8, 8),
    "googlenet": (3, 8, 8),
    "keras-cnn": (3, 12, 12),
    "thesis": (1, 28, 28),
}


def plan(name: str, x: np.ndarray, *, targets: int = 0) -> Plan:
    if targets:
        y = np.random.default_rng(1).normal(50, 20, size=(len(x), targets))
        return Plan("run", name, learn("regression", x, y, ()), {})
    return Plan("run", name, learn("classification", x, np.arange(len(x)) % 3, CLASSES), {})


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Exports the network of a plan, given a little life; the file, and the network."""

    def make(
        plan: Plan, ending: str, net: nn.Module | None = None, *, lively: bool = True, **options: Any
    ) -> tuple[Path, nn.Module]:
        known = plan.preprocessing
        net = net or make_model(plan.model, known.shape, known.outputs, seed=0)
        with torch.no_grad():  # statistics that a BatchNorm did not begin with
            net.train(lively)(torch.randn(8, *known.shape))
        monkeypatch.setattr(exporting, "plan_of", lambda run: plan)
        monkeypatch.setattr(exporting, "network", lambda plan, single: net.eval())
        out = tmp_path / f"model{ending}"
        said = export("run", str(out), **options)
        assert str(out) in said
        return out, net.eval()

    return make


def answers(path: Path, x: np.ndarray) -> np.ndarray:
    if path.suffix == ".onnx":
        onnx.checker.check_model(onnx.load(path))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": x})[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(path).module()
    return np.asarray(program(torch.from_numpy(x)).detach())


def by_hand(plan: Plan, net: nn.Module, x: np.ndarray) -> np.ndarray:
    """What `gammatune predict` says."""
    with torch.no_grad():
        out = net(plan.preprocessing.inputs(x))
    if plan.preprocessing.task == "regression":
        return plan.preprocessing.original_targets(out.numpy())
    return out.softmax(dim=1).numpy()


@pytest.mark.parametrize("name", MODELS)
def test_every_net_of_the_library(
    name: str, exported: Any, recwarn: Any, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = SHAPES.get(name, (3, 8, 8))
    x = np.random.default_rng(0).normal(3, 2, size=(7, *shape)).astype(np.float32)
    about = plan(name, x)
    net, trace, traced = make_model(name, shape, 3, seed=0), export_formats._exported, []

    def once(program: nn.Module, example: torch.Tensor) -> Any:
        if not traced:  # it takes most of the time, and is the same for both
            traced.append(trace(program, example))
        return traced[0]

    monkeypatch.setattr(export_formats, "_exported", once)
    for ending in (".pt2", ".onnx"):
        path, net = exported(about, ending, net, lively=not traced)
        assert not recwarn.list  # torch's own affairs
        assert capfd.readouterr() == ("", "")
        for n in (1, 2, 7):
            assert np.abs(answers(path, x[:n]) - by_hand(about, net, x[:n])).max() < 1e-5


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_pixels_go_in_as_bytes(ending: str, exported: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, size=(6, 8, 8, 3), dtype=np.uint8)
    about = plan("cnn", x)
    path, net = exported(about, ending)
    assert np.abs(answers(path, x.transpose(0, 3, 1, 2).copy()) - by_hand(about, net, x)).max() < 1e-5


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_targets_come_out_in_their_unit(ending: str, exported: Any) -> None:
    x = np.random.default_rng(0).normal(-4, 3, size=(9, 5)).astype(np.float32)
    about = plan("mlp", x, targets=2)
    path, net = exported(about, ending)
    expected = by_hand(about, net, x)
    assert expected.mean() > 20
    assert np.abs(answers(path, x) / expected - 1).max() < 1e-5


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
@pytest.mark.parametrize("targets", [0, 2])
def test_raw_is_the_network_alone(ending: str, targets: int, exported: Any) -> None:
    x = np.random.default_rng(0).normal(-4, 3, size=(9, 5)).astype(np.float32)
    path, net = exported(plan("mlp", x, targets=targets), ending, raw=True)
    with torch.no_grad():
        assert np.abs(answers(path, x) - net(torch.from_numpy(x)).numpy()).max() < 1e-5


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
@pytest.mark.parametrize("raw", [False, True])
def test_the_file_says_what_it_is(ending: str, raw: bool, exported: Any) -> None:
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    about = plan("mlp", x)
    path, _ = exported(about, ending, raw=raw)
    if ending == ".onnx":
        model = onnx.load(path)
        kept = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(kept["classes"]) == list(CLASSES)
        sides = model.graph.input[0], model.graph.output[0]
        assert [[d.dim_param or d.dim_value for d in s.type.tensor_type.shape.dim] for s in sides] == [
            ["n", 5],
            ["n", 3],
        ]
        text = kept[KEY]
    else:
        files = {DETAILS: ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.load(path, extra_files=files)
        text = files[DETAILS]
    details = json.loads(text)
    assert details["classes"] == list(CLASSES)
    assert details["preprocessing_is_inside"] is not raw
    assert details["output"]["words"] == ("logits" if raw else "probabilities")
    assert Preprocessing.from_dict(details["preprocessing"]) == about.preprocessing


def test_a_pt2_needs_no_gammatune(exported: Any, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(3, 2, size=(4, 1, 8, 8)).astype(np.float32)
    about = plan("cnn", x)
    path, net = exported(about, ".pt2")
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "gammatune.py").write_text("raise ImportError('not here')")
    code = (
        "import sys, numpy, torch\n"
        "try:\n    import gammatune\nexcept ImportError as error:\n    assert 'not here' in str(error)\n"
        "else:\n    raise SystemExit('gammatune is here')\n"
        f"program = torch.export.load({str(path)!r}).module()\n"
        "y = program(torch.from_numpy(numpy.load('x.npy')))\n"
        "assert 'gammatune' not in sys.modules\n"
        "numpy.save('y.npy', y.detach().numpy())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert np.abs(np.load(tmp_path / "y.npy") - by_hand(about, net, x)).max() < 1e-5


class Codes:
    """Stands for the preprocessing of a table, whose columns are encoded elsewhere."""

    task, classes, shape, outputs = "classification", CLASSES, (4,), 3
    target_mean = target_std = ()
    ordered = False

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "table", "columns": [{"name": "colour", "levels": ["red", "green"]}]}


class Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(4, 2), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([x[:, :3], self.embedding(x[:, 3].long().clamp(0, 3))], dim=1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_a_table_has_its_columns_beside_it(ending: str, exported: Any) -> None:
    path, net = exported(Plan("run", "mlp", Codes(), {}), ending, Embedding())  # type: ignore[arg-type]
    beside = json.loads(path.with_suffix(".json").read_text())
    assert beside["preprocessing"]["columns"][0]["levels"] == ["red", "green"]
    assert beside["input"]["words"] == "encoded columns"
    x = np.array([[0.5, 1, -1, 3], [1, 0, 2, 0]], dtype=np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).softmax(dim=1).numpy()
    assert np.abs(answers(path, x) - expected).max() < 1e-5
    with pytest.raises(InvalidArgument, match=r"model.*is there already"):
        exported(Plan("run", "mlp", Codes(), {}), ending, Embedding())  # type: ignore[arg-type]


# Mistakes ---------------------------------------------------------------------------------------------------


def test_mistakes_are_told_in_a_line(exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match=r"end it in .pt2, .onnx or .skops"):
        export("run", "model.h5")
    with pytest.raises(JournalError, match="there is no run at"):
        export(str(tmp_path), "model.pt2")
    about = plan("mlp", np.random.default_rng(0).normal(size=(6, 5)))
    path, _ = exported(about, ".pt2")
    before = path.read_bytes()
    with pytest.raises(
        InvalidArgument, match="is there already; name another file, or write over it with --force"
    ):
        exported(about, ".pt2")
    assert path.read_bytes() == before
    exported(about, ".pt2", force=True)
    with pytest.raises(InvalidArgument, match=r"cannot write .*nowhere.*; choose another place"):
        exported(about, "/nowhere/model.pt2")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gammatune\[onnx\]', or write .pt2"):
        exported(about, ".onnx")


class OnlyTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y if float(y.sum()) > 1e9 else y + 1  # what is done depends on numbers, which no graph can say


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_a_network_that_torch_cannot_export(ending: str, exported: Any, tmp_path: Path) -> None:
    about = plan("mlp", np.random.default_rng(0).normal(size=(6, 5)))
    with pytest.raises(ModelMismatch, match="torch cannot export the network of run") as raised:
        exported(about, ending, OnlyTwo())
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())
    assert not logging.root.manager.disable  # heard again
