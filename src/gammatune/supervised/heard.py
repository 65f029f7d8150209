"""What a model said of examples, kept batch after batch until a measure is taken of it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gammatune.errors import InvalidArgument
from gammatune.metrics.predictions import Answers, decided
from gammatune.supervised.reading import Reading

# Probabilities that are held at once, four bytes each (guess); where a set has more, the measures that need all of
# them have no value.
MOST = 2**28


class Heard:
    """What a model said, batch after batch, on the CPU, or on its way there from a GPU."""

    def __init__(self, reading: Reading, probabilities: bool, *, ordered: bool = False) -> None:
        self._reading, self._ordered = reading, ordered
        self._numbers = not reading.classify
        self._wanted = probabilities and reading.classify
        self._classes = 0
        self._labels = 1  # an example
        self._held = 0  # numbers in the probabilities
        self._targets: list[Tensor] = []
        self._said: list[Tensor] = []
        self._scores: list[Tensor] = []  # (n, k) each
        self._weights: list[Tensor] = []
        self._shares: list[Tensor] = []  # (n, k) each, of targets that are distributions over the classes
        self._waited_for: set[torch.device] = set()

    def add(self, output: Any, targets: Tensor, weights: Tensor | None = None) -> None:
        """What `Reading.pair` takes. weights: of the examples, (n,)."""
        refuse_mixed(self._targets, self._weights, weights)
        said, codes = self._reading.pair(output, targets)
        said = said.detach()
        each = 1 if self._numbers or self._reading.is_multilabel else codes.numel() // len(codes)
        weighs = None if weights is None else weights.repeat_interleave(each)  # of a class a pixel
        if self._numbers:
            self._hold(said, codes, weighs)
            return
        self._classes = said.shape[1]
        self._labels = codes.shape[1] if self._reading.is_multilabel else 1
        self._held += said.numel() * self._wanted
        if self._held > MOST:
            self._wanted = False
            self._scores.clear()
            self._shares.clear()
        scores = said.movedim(1, -1).reshape(-1, self._classes) if self._wanted else None
        if self._wanted and self._reading.family == "classes" and targets.is_floating_point():
            self._shares.append(self._brought(targets.movedim(1, -1).reshape(-1, self._classes)))
        codes, said = codes.flatten(), said_by(said, ordered=self._ordered).flatten()
        if self._reading.ignored is not None:
            kept = codes != self._reading.ignored
            codes, said = codes[kept], said[kept]
            scores, weighs = (None if part is None else part[kept] for part in (scores, weighs))
        if scores is not None:
            self._scores.append(self._brought(scores))
        self._hold(said, codes, weighs)

    def _hold(self, said: Tensor, targets: Tensor, weights: Tensor | None) -> None:
        self._said.append(self._brought(said))
        self._targets.append(self._brought(targets))
        if weights is not None:
            self._weights.append(self._brought(weights))

    def _brought(self, tensor: Tensor) -> Tensor:
        if tensor.is_cuda:
            self._waited_for.add(tensor.device)
        return tensor.to("cpu", non_blocking=tensor.is_cuda, copy=True)  # into pinned memory

    @property
    def answers(self) -> Answers:
        for device in self._waited_for:
            torch.cuda.synchronize(device)
        said, targets = self._said, self._targets
        if self._numbers:
            pairs = [columns(*pair) for pair in zip(said, targets, strict=True)]
            said, targets = [one for one, _ in pairs], [one for _, one in pairs]
        scores = [probabilities(each) for each in self._scores]
        codes, labels, p = torch.cat(targets).numpy(), torch.cat(said).numpy(), None
        if scores:
            p = torch.cat(scores).numpy()
        if self._reading.is_multilabel:
            shape = (-1, self._labels)
            codes, labels = codes.reshape(shape), labels.reshape(shape)
            p = None if p is None else p[:, 1].reshape(shape)
        weights = torch.cat(self._weights).double().numpy() if self._weights else None
        shares = torch.cat(self._shares).numpy() if len(self._shares) == len(self._targets) else None
        told: dict[str, Any] = {"weights": weights, "shares": shares, "ordered": self._ordered}
        return Answers(codes, labels, self._classes, p, **told)


def refuse_mixed(before: Sequence[Any], weighed: Sequence[Any], weights: Tensor | None) -> None:
    """before: batches so far, in any form; weighed: those of them with weights."""
    if before and bool(weighed) != (weights is not None):
        this, others = ("no weights", "some") if weights is None else ("weights", "none")
        raise InvalidArgument(
            f"a batch to evaluate holds {this}, and those before it {others}; let the loader give (inputs, targets, "
            "weights) in every batch, or in none"
        )


def probabilities(output: Tensor) -> Tensor:
    """(n, k, ...), float32: the softmax of scores; as they are where they are probabilities already. No GPU is waited
    for."""
    output = precise(output)
    return torch.where(_are_probabilities(output), output, output.softmax(dim=1)).float()


def said_by(output: Tensor, *, ordered: bool) -> Tensor:
    """The codes (n, ...) that scores or probabilities (n, k, ...) come to: see `decided`."""
    codes: Tensor = decided(probabilities(output) if ordered else output, ordered=ordered)
    return codes


def are_probabilities(output: Tensor) -> bool:
    """Whether each row of them, (n, k, ...), is a distribution, as a softmax gives it, and no scores."""
    return bool(_are_probabilities(output))


def _are_probabilities(output: Tensor) -> Tensor:
    return (output >= 0).all() & ((output.sum(dim=1) - 1).abs() < 1e-4).all()


def columns(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (n, m) in double precision, which MPS has not: m numbers an example, whatever shape they come in."""
    rows = len(target)
    return precise(output.reshape(rows, -1)), precise(target.reshape(rows, -1))


def precise(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)
