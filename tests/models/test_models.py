"""Every net: shapes, the literature's parameter counts, the power to overfit, weights that a seed fixes."""

import math
import os
import subprocess
import sys

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from gammatune.errors import InvalidArgument
from gammatune.pipeline.models import MODELS, make_model
from gammatune.pipeline.models.check import check_output
from gammatune.pipeline.models.googlenet import THREE, Inception
from gammatune.pipeline.models.resnet import Block
from gammatune.pipeline.models.thesis import thesis

ANY = [name for name in MODELS if name != "tabular"]  # which has a file of its own
IMAGES = [name for name in ANY if name not in ("thesis", "mlp")]


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ANY)
@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 28, 20)])
def test_returns_one_row_of_logits_an_example(name: str, shape: tuple[int, ...]) -> None:
    model = make_model(name, shape, 7, seed=0)
    logits = model(torch.randn(3, *shape))
    assert logits.shape == (3, 7)
    assert torch.isfinite(logits).all()
    check_output(model, shape, 7)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 9), (1, 8, 8), (3, 33, 47), (3, 96, 96)])
@pytest.mark.parametrize("name", ["cnn", "resnet", "auto"])
def test_the_default_nets_fit_any_image(name: str, shape: tuple[int, ...]) -> None:
    check_output(make_model(name, shape, 4, seed=0), shape, 4)


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "keras-cnn"])
def test_the_large_nets_fit_large_images(name: str) -> None:
    check_output(make_model(name, (3, 64, 80), 4, seed=0), (3, 64, 80), 4)


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        # 784 * 100 + 100, five times 100 * 100 + 100, 100 * 10 + 10
        ("thesis", (1, 28, 28), 130_010),
        ("keras-cnn", (3, 32, 32), 1_250_858),  # what Keras's summary() of its example prints
        # He et al.: 0.27 million. 3x3 weights 432 + 13,824 + 50,688 + 202,752, BatchNorm 1,376, linear 650
        ("resnet", (3, 32, 32), 269_722),
        # ours, of the docstrings, by hand: convolutions 2,251,584, linear 4,195,328 + 1,049,600 + 10,250
        ("alexnet", (3, 32, 32), 7_506_762),
        # blocks 5,842,176, stem 116,416, BatchNorm 2 * 7,280, linear 10,250
        ("googlenet", (3, 32, 32), 5_983_402),
    ],
)
def test_parameter_counts(name: str, shape: tuple[int, ...], parameters: int) -> None:
    assert count(make_model(name, shape, 10, seed=0)) == parameters


@pytest.mark.parametrize(
    ("inputs", "widths", "thousands", "outputs"),
    [(192, THREE[0], 159, 256), (256, THREE[1], 379, 480)],  # the paper's table 1: 159K and 380K, K = 1024
)
def test_inception_blocks_are_the_papers(
    inputs: int, widths: tuple[int, ...], thousands: int, outputs: int
) -> None:
    block = Inception(inputs, widths)
    weights = sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))
    assert weights // 1024 == thousands
    assert block.outputs == outputs
    assert block(torch.randn(2, inputs, 5, 6)).shape == (2, outputs, 5, 6)


def test_a_residual_of_zero_leaves_the_shortcut() -> None:
    """Option A: every second pixel, new channels zero."""
    block = Block(2, 4, stride=2)
    nn.init.zeros_(block.norm2.weight)
    x = torch.rand(3, 2, 6, 6)
    y = block(x)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2])
    assert not y[:, 2:].any()


@pytest.mark.parametrize("name", ANY)
def test_overfits_32_examples(name: str) -> None:
    digits = load_digits()
    x = torch.tensor(digits.images[:32], dtype=torch.float32)[:, None] / 16 - 0.3
    x = nn.functional.pad(x, (1, 1, 1, 1))  # 10 x 10, the least that keras-cnn takes
    y = torch.tensor(digits.target[:32])
    model = make_model(name, (1, 10, 10), 10, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(400):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), y).backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                right = (model.eval()(x).argmax(1) == y).sum().item()
            if right == 32:
                return
    pytest.fail(f"{name} learned {right} of 32 examples by heart")


@pytest.mark.parametrize("name", ANY)
def test_a_seed_fixes_the_weights_and_disturbs_nothing(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (make_model(name, (1, 12, 12), 3, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    differs = [not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)]
    assert any(differs)


def test_he_and_glorot_have_the_variance_of_their_papers() -> None:
    relu_layer = make_model("thesis", (1, 28, 28), 10, seed=0)[1]  # type: ignore[index]
    assert relu_layer.weight.std().item() == pytest.approx(math.sqrt(2 / 784), rel=0.02)
    assert not relu_layer.bias.any()
    keras = make_model("keras-cnn", (3, 32, 32), 10, seed=0)
    dense = next(m for m in keras.modules() if isinstance(m, nn.Linear))
    bound = math.sqrt(6 / (2304 + 512))
    assert dense.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert dense.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("dropped", [0, 1, 6])
def test_thesis_dropout_sits_behind_the_last_layers(dropped: int) -> None:
    layers = list(thesis((4,), 2, dropped=dropped))  # type: ignore[call-overload]
    behind = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Dropout)]
    assert len(behind) == dropped
    assert all(layers[i].p == 0.5 and isinstance(layers[i - 1], nn.ReLU) for i in behind)
    assert sum(isinstance(layer, nn.Linear) for layer in layers) == 7
    if dropped == 1:
        assert behind == [len(layers) - 2]


def test_lstm_reads_the_rows_in_order_and_sequences_alike() -> None:
    model = make_model("lstm", (2, 5, 3), 4, seed=0)
    x = torch.randn(6, 2, 5, 3)
    rows = torch.stack([torch.cat([x[:, 0, t], x[:, 1, t]], dim=1) for t in range(5)], dim=1)  # (n, T, C * F)
    assert torch.allclose(model(x), model(rows))
    for row in (0, 4):  # the first row still counts, and the last one already does
        other = x.clone()
        other[:, :, row] += 1
        assert not torch.allclose(model(x), model(other))
    check_output(make_model("lstm", (5, 6), 4, seed=0), (5, 6), 4)


def test_lstm_forget_gates_start_open() -> None:
    lstm = make_model("lstm", (1, 4, 4), 2, seed=0).lstm
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0  # type: ignore[operator, union-attr]
    assert bias.reshape(4, -1).mean(1).tolist() == [0.0, 1.0, 0.0, 0.0]


def test_auto_is_a_cnn_for_images_and_an_mlp_for_vectors() -> None:
    assert count(make_model("auto", (1, 8, 8), 10, 0)) == count(make_model("cnn", (1, 8, 8), 10, 0))
    assert count(make_model("auto", (64,), 10, 0)) == count(make_model("mlp", (64,), 10, 0))


@pytest.mark.parametrize("name", IMAGES)
def test_image_nets_refuse_vectors(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"got examples of shape \(64,\); use mlp"):
        make_model(name, (64,), 10, seed=0)


@pytest.mark.parametrize(("name", "least"), [("keras-cnn", 10), ("alexnet", 8), ("googlenet", 8)])
def test_the_smallest_image_works_and_a_smaller_one_is_refused(name: str, least: int) -> None:
    check_output(make_model(name, (1, least, least), 2, seed=0), (1, least, least), 2)
    with pytest.raises(InvalidArgument, match=f"{least} x {least} pixels or more, got 12 x {least - 1}"):
        make_model(name, (1, 12, least - 1), 2, seed=0)


def test_the_list_of_models_does_not_import_torch() -> None:
    code = "import sys, gammatune.pipeline.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
