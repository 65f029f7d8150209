"""GoogLeNet (Szegedy et al. 2014, 1409.4842), with a stem for small images.

The nine inception blocks are those of the paper's table 1. The stem halves the image once, or twice from 64 pixels
on, and not three times, so that blocks 3a and 3b see 14 x 14 to 24 x 24 pixels. BatchNorm after every
convolution, as in the next paper of the family (1502.03167); the two auxiliary heads, which helped gradients
through before there was BatchNorm, are left out.
"""

import torch
from torch import nn

from gammatune.pipeline.models.init import he
from gammatune.pipeline.models.shapes import image_shape

LARGE = 64  # from this side on, in pixels, the stem halves the image twice [guess]

# Table 1: channels of the branches 1x1, 3x3 (reduced to, then), 5x5 (reduced to, then), pool projection.
THREE = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))
FOUR = (
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
)
FIVE = ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))


class Inception(nn.Module):
    """Four branches side by side, their channels joined: (n, inputs, H, W) -> (n, outputs, H, W).

    widths: one row of table 1. outputs: the sum of the four branches' channels.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, three_reduced, three, five_reduced, five, pooled = widths
        self.outputs = one + three + five + pooled
        self.branches = nn.ModuleList(
            [
                _convolution(inputs, one, 1),
                nn.Sequential(_convolution(inputs, three_reduced, 1), _convolution(three_reduced, three, 3)),
                nn.Sequential(_convolution(inputs, five_reduced, 1), _convolution(five_reduced, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _convolution(inputs, pooled, 1)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def googlenet(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, C, H, W), sides of 8 pixels or more -> outputs (n, outputs), logits. He initialisation.

    5,983,402 parameters at (3, 32, 32) -> 10.
    Raises InvalidArgument where `shape` is no image, or smaller.
    """
    channels, height, width = image_shape("googlenet", shape, smallest=8)
    layers: list[nn.Module] = [
        _convolution(channels, 64, 3),
        _halve(),
        _convolution(64, 64, 1),
        _convolution(64, 192, 3),
    ]
    if min(height, width) >= LARGE:
        layers.append(_halve())
    inputs = 192
    for stage in (THREE, FOUR, FIVE):
        if stage is not THREE:
            layers.append(_halve())
        for widths in stage:
            block = Inception(inputs, widths)
            layers.append(block)
            inputs = block.outputs
    return he(
        nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(inputs, outputs)
        )
    )


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _halve() -> nn.Module:
    return nn.MaxPool2d(3, stride=2, padding=1)
