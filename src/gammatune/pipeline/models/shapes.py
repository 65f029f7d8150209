"""What the image nets ask of a shape before they are built."""

from gammatune.errors import InvalidArgument


def image_shape(model: str, shape: tuple[int, ...], smallest: int = 1) -> tuple[int, int, int]:
    """`shape` as (C, H, W). Raises InvalidArgument: no image, or a side of fewer than `smallest` pixels."""
    if len(shape) != 3:
        raise InvalidArgument(f"{model} needs images (C, H, W), got examples of shape {shape}; use mlp")
    channels, height, width = shape
    if min(height, width) < smallest:
        raise InvalidArgument(
            f"{model} needs images of {smallest} x {smallest} pixels or more, got {height} x {width}; use cnn"
        )
    return channels, height, width
