"""An LSTM (Hochreiter & Schmidhuber 1997) that reads an image row by row, or a sequence step by step."""

import math

import torch
from torch import nn

from gammatune.errors import InvalidArgument

UNITS = 128  # [guess]


class RowReader(nn.Module):
    """(n, C, T, F) images, one step a row of C x F numbers, or (n, T, F) sequences -> (n, outputs), logits.

    The last step's hidden state decides. Forget gates start open, bias 1 (Jozefowicz et al. 2015), or the
    first rows would be forgotten before anything is learned.
    """

    def __init__(self, step: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(step, UNITS, batch_first=True)
        self.head = nn.Linear(UNITS, outputs)
        with torch.no_grad():
            # PyTorch adds two biases, each for the gates in the order input, forget, cell, output.
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias"):
                    parameter.zero_()
                if name.startswith("bias_ih"):
                    parameter[UNITS : 2 * UNITS] = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim == 4:
            x = x.transpose(1, 2).flatten(2)  # (n, C, T, F) -> (n, T, C * F)
        states, _ = self.lstm(x)  # (n, T, UNITS)
        logits: torch.Tensor = self.head(states[:, -1])
        return logits


def lstm(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A RowReader for images (C, H, W) or sequences (T, F). Raises InvalidArgument for vectors."""
    if len(shape) not in (2, 3):
        raise InvalidArgument(
            f"lstm needs images (C, H, W) or sequences (T, F), got examples of shape {shape}; use mlp"
        )
    return RowReader(math.prod(shape) // shape[-2], outputs)
