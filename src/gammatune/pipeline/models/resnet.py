"""ResNet-20, the smallest of the CIFAR nets of He et al. 2015 (1512.03385, section 4.2).

6 n + 2 layers, n = 3: a 3x3 convolution, three stages of n blocks with 16, 32, 64 channels, a linear layer.
A block is y = relu(F(x) + shortcut(x)), F two 3x3 convolutions with BatchNorm.
"""

import torch
from torch import nn
from torch.nn import functional

from gammatune.pipeline.models.init import he
from gammatune.pipeline.models.shapes import image_shape

BLOCKS = 3  # n
WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters (option A of the paper).

    stride 2 halves the map; the shortcut then drops every second pixel and pads new channels with zeros.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = functional.relu(self.norm1(self.conv1(x)))
        residual = self.norm2(self.conv2(residual))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        # pads (left, right, top, bottom, front, back): only the channels grow
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return functional.relu(residual + shortcut)


def resnet(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, C, H, W) of any size -> outputs (n, outputs), logits. He initialisation.

    269,722 parameters at (3, 32, 32) -> 10, the paper's 0.27 million.
    Raises InvalidArgument where `shape` is no image.
    """
    channels, _, _ = image_shape("resnet", shape)
    blocks: list[nn.Module] = []
    inputs = WIDTHS[0]
    for stage, width in enumerate(WIDTHS):
        for block in range(BLOCKS):
            blocks.append(Block(inputs, width, stride=2 if stage > 0 and block == 0 else 1))
            inputs = width
    return he(
        nn.Sequential(
            nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(WIDTHS[-1], outputs),
        )
    )
