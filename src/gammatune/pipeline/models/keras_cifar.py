"""The CIFAR-10 CNN of the Keras examples, which the thesis trains (its table 7).

By its own documentation it reaches 79 % in 50 epochs, with RMSprop and augmentation.
"""

from torch import nn

from gammatune.pipeline.models.init import glorot
from gammatune.pipeline.models.shapes import image_shape


def keras_cifar(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Inputs (n, C, H, W), sides of 10 pixels or more -> outputs (n, outputs), logits.

    Two blocks of two 3x3 convolutions, the first of each padded ("same") and the second not ("valid"), 32
    and 64 channels, max-pooling, dropout 1/4; then 512 units, dropout 1/2. Glorot uniform initialisation
    with zero biases, Keras's default. 1,250,858 parameters at (3, 32, 32) -> 10, as Keras prints.
    Raises InvalidArgument where `shape` is no image, or too small for the unpadded convolutions.
    """
    channels, height, width = image_shape("keras-cnn", shape, smallest=10)
    flat = 64 * _after_two_blocks(height) * _after_two_blocks(width)
    return glorot(
        nn.Sequential(
            *_block(channels, 32),
            *_block(32, 64),
            nn.Flatten(),
            nn.Linear(flat, 512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, outputs),
        )
    )


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
    ]


def _after_two_blocks(side: int) -> int:
    """Pixels that are left of `side`: each block takes 2 and halves what is left, rounding down."""
    return ((side - 2) // 2 - 2) // 2
