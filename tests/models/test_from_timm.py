"""Nets of timm's by name: made for the data, begun with weights of a file, refused where they cannot be."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from timm_beside import theirs, timm_here
from torch import nn

import gammatune
from gammatune.errors import InvalidArgument, MissingExtra, ModelMismatch
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.export import export
from gammatune.pipeline.models import embeds_categories, make_model
from gammatune.pipeline.models.check import check_output
from gammatune.pipeline.start import beginning
from gammatune.supervised.weights import load_weights


@pytest.fixture(scope="module", autouse=True)
def timm() -> Iterator[None]:
    with timm_here():
        yield


NAME = "timm:test_resnet.r160_in1k"  # timm's own nets for tests: 0.5 million parameters


def prepared(channels: int = 3, side: int = 32, classes: int = 2) -> Preprocessing:
    return Preprocessing(
        "classification",
        (channels, side, side),
        True,
        (0.5,) * channels,
        (0.2,) * channels,
        tuple(range(classes)),
    )


@pytest.mark.parametrize("name", [NAME, "timm:test_vit", "timm:test_efficientnet"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_net_fits_the_data(name: str, channels: int) -> None:
    shape = (channels, 48, 32)
    net = make_model(name, shape, 5, 0)
    check_output(net, shape, 5)
    same, other = make_model(name, shape, 5, 0), make_model(name, shape, 5, 1)
    pairs = zip(net.parameters(), same.parameters(), other.parameters(), strict=True)
    alike = [(torch.equal(a, b), torch.equal(a, c)) for a, b, c in pairs]
    assert all(a for a, _ in alike)
    assert not all(b for _, b in alike)
    assert not embeds_categories(name)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("timm:resnet81", (3, 32, 32), r"timm has no net 'resnet81'; did you mean resnet18"),
        ("timm:zzzz", (3, 32, 32), r"timm has no net 'zzzz'; timm\.list_models\(\) names them"),
        (NAME + "z", (3, 32, 32), r"timm makes no test_resnet\.r160_in1kz .*Invalid pretrained tag"),
        ("timm:test_vit", (3, 20, 20), r"timm makes no test_vit for .*|the model raises AssertionError"),
        (
            NAME,
            (4,),
            r"--model timm:test_resnet.r160_in1k takes images, and an example here is a row of 4 numbers",
        ),
    ],
)
def test_what_timm_cannot_make_is_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises((InvalidArgument, ModelMismatch), match=message):
        check_output(make_model(name, shape, 2, 0), shape, 2)


def test_weights_of_a_file_are_begun_with(tmp_path: Path) -> None:
    learned = make_model(NAME, (3, 32, 32), 7, 5)
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in learned.state_dict().items()}}, tmp_path / "net.pth"
    )
    said: list[str] = []
    begun = beginning(NAME, str(tmp_path / "net.pth"))
    net = begun.network(prepared(), 0, said)
    assert torch.equal(net.conv1[0].weight, learned.conv1[0].weight)
    file = tmp_path / "net.pth"
    assert said == [
        f"The weights begin as {file} has them; the last layer (fc) begins anew, with 2 outputs, 7 in the file.",
        "These weights were learned on images of 160 x 160 pixels: --image-size 160 takes longer, and often goes "
        "further.",
    ]
    assert begun.is_pretrained


def test_weights_for_colours_take_grey_images_as_grey_colours(tmp_path: Path) -> None:
    learned = make_model(NAME, (3, 32, 32), 2, 5).eval()
    torch.save(learned.state_dict(), tmp_path / "net.pt")
    said: list[str] = []
    net = beginning(NAME, str(tmp_path / "net.pt")).network(prepared(channels=1), 0, said).eval()
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(net(grey), learned(grey.expand(2, 3, 32, 32)))
    assert (
        "The images are grey: conv1.0.weight, which was learned on colours, is summed over them." in said[0]
    )
    own = nn.Sequential(nn.Conv2d(1, 4, 3))
    with pytest.raises(ModelMismatch, match=r"fits nothing of the model|of shape \(4, 2, 3, 3\)"):
        load_weights(own, nn.Sequential(nn.Conv2d(2, 4, 3)).state_dict())


def test_the_hub_is_asked_where_that_is_said_and_a_failure_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import timm

    calls: list[dict[str, Any]] = []
    make = timm.create_model

    def create(name: str, pretrained: bool = False, **options: Any) -> nn.Module:
        calls.append({"pretrained": pretrained, **options})
        if pretrained and len(calls) < 3:
            raise OSError("We couldn't connect to the hub\nand more")
        return make(name, **options)

    monkeypatch.setattr(timm, "create_model", create)
    begun = beginning(NAME, "hub")
    assert begun.fact == f"of {NAME}, from its hub"
    with pytest.raises(
        InvalidArgument, match=r"weights of test_resnet\.r160_in1k cannot be fetched \(We couldn't .* hub\)"
    ):
        begun.network(prepared(), 0, [])
    said: list[str] = []
    begun.network(prepared(channels=1), 0, said)
    assert [call["pretrained"] for call in calls] == [False, True, False, True]
    assert said[0].startswith(
        f"The weights begin as timm's hub, {NAME}, has them; the last layer (fc) begins anew"
    )
    with pytest.raises(InvalidArgument, match="timm has no weights for test_resnet; leave --weights hub out"):
        monkeypatch.setattr(timm, "is_model_pretrained", lambda _: False)
        beginning("timm:test_resnet", "hub").network(prepared(), 0, [])
    with pytest.raises(InvalidArgument, match="--weights hub is for nets of timm's, and --model cnn is none"):
        beginning("cnn", "hub")


def test_where_torchvision_is_missing_or_of_another_torch_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in theirs():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        MissingExtra, match=r"made with torchvision, which is not installed; .*gammatune\[timm\]"
    ):
        make_model(NAME, (3, 32, 32), 2, 0)
    monkeypatch.delitem(sys.modules, "torchvision")

    class Broken:
        @staticmethod
        def find_spec(name: str, path: object = None, target: ModuleType | None = None) -> None:
            if name == "torchvision":
                raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])
    with pytest.raises(
        MissingExtra,
        match=r"torchvision, which does not go with what else is installed \(operator torch.*; install it",
    ):
        make_model(NAME, (3, 32, 32), 2, 0)


def test_a_run_is_read_back_gone_on_with_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    r = np.random.default_rng(0)
    x = r.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    x[::2] //= 2
    np.savez("shades.npz", x_train=x, y_train=np.arange(40) % 2)
    torch.save(make_model(NAME, (3, 32, 32), 9, 1).state_dict(), "net.pt")
    asked: dict[str, Any] = {
        "model": NAME,
        "weights": "net.pt",
        "epochs": 1,
        "budget": 1.0,
        "progress": False,
    }
    run = gammatune.fit("shades.npz", **asked)
    assert any("the last layer (fc) begins anew, with 2 outputs, 9 in the file" in line for line in run.said)
    answers = run.predict_proba(x)
    np.testing.assert_array_equal(gammatune.load(run.run_dir).predict_proba(x), answers)
    again = gammatune.fit("shades.npz", run_dir=run.run_dir, **asked)
    np.testing.assert_array_equal(again.predict_proba(x), answers)
    export(run.run_dir, "net.pt2")
    said = torch.export.load("net.pt2").module()(torch.from_numpy(x).movedim(3, 1))
    np.testing.assert_allclose(said.detach(), answers, atol=1e-4)
