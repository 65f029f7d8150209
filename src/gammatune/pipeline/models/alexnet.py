"""AlexNet (Krizhevsky et al. 2012), drawn to the scale of small images.

Kept: five convolutions with overlapping 3x3 max-pooling of stride 2 after the first, second and fifth, two
hidden linear layers with dropout 1/2 before each. Changed: 3x3 kernels throughout, for 11x11 with stride 4
would leave nothing of 28 x 28 pixels; 1,024 units for 4,096; no local response normalisation, which later
work found to do little (VGG, 1409.1556); He initialisation for normal(0, 0.01), which stalls without it.
"""

from torch import nn

from gammatune.pipeline.models.init import he
from gammatune.pipeline.models.shapes import image_shape

UNITS = 1024  # of each hidden linear layer [guess]
LARGE = 64  # from this side on, in pixels, the first convolution has stride 2 [guess]


def alexnet(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, C, H, W), sides of 8 pixels or more -> outputs (n, outputs), logits.

    7,506,762 parameters at (3, 32, 32) -> 10. Raises InvalidArgument where `shape` is no image, or smaller.
    """
    channels, height, width = image_shape("alexnet", shape, smallest=8)
    stride = 2 if min(height, width) >= LARGE else 1
    flat = 256 * _after_pooling(height, stride) * _after_pooling(width, stride)
    return he(
        nn.Sequential(
            *_convolution(channels, 64, stride),
            nn.MaxPool2d(3, 2, padding=1),
            *_convolution(64, 192),
            nn.MaxPool2d(3, 2, padding=1),
            *_convolution(192, 384),
            *_convolution(384, 256),
            *_convolution(256, 256),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(flat, UNITS),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(UNITS, UNITS),
            nn.ReLU(),
            nn.Linear(UNITS, outputs),
        )
    )


def _convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.ReLU()]


def _after_pooling(side: int, stride: int) -> int:
    """Pixels that are left of `side`: the stride and each of the three poolings divide it, rounding up."""
    for divisor in (stride, 2, 2, 2):
        side = -(-side // divisor)
    return side
