"""The default net for images: small, with BatchNorm, and as deep as the image is large."""

from torch import nn

from gammatune.pipeline.models.init import he
from gammatune.pipeline.models.shapes import image_shape

# Channels of the blocks: one block more than there are halvings, but two at least and four at most [guess].
WIDTHS = (32, 64, 96, 128)
SMALLEST = 4  # halve while the shorter side keeps this many pixels [guess]


def cnn(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, C, H, W) -> blocks of (3x3 convolution, BatchNorm, ReLU), halved between -> (n, outputs).

    8 x 8 digits get two blocks, 28 x 28 images three, 32 x 32 and larger ones four. The last
    map is averaged over its pixels. He initialisation. Raises InvalidArgument where `shape` is no image.
    """
    channels, height, width = image_shape("cnn", shape)
    layers: list[nn.Module] = []
    side = min(height, width)
    for block, block_width in enumerate(WIDTHS):
        halved = block > 0 and side // 2 >= SMALLEST
        if block >= 2 and not halved:
            break
        if halved:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        layers += _convolution(channels, block_width)
        channels = block_width
    return he(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs)))


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    # No bias: BatchNorm has its own.
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
