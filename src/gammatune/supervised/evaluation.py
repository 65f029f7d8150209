"""What a model scores on examples: added up batch by batch, of all processes together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gammatune.engine.batches import LossFunction
from gammatune.engine.ranks import Ranks
from gammatune.errors import InvalidData
from gammatune.metrics.catalogue import METRICS, undefined, value
from gammatune.metrics.predictions import Answers
from gammatune.records import Metrics
from gammatune.supervised.heard import Heard, columns, precise, refuse_mixed, said_by
from gammatune.supervised.reading import Reading

Scale: TypeAlias = tuple[Any, Any]  # mean and standard deviation of targets that were standardised, (t,) each


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is scored, as `Supervised` was told it. loss: the one scored, maybe another than is trained with. reading:
    how outputs are held against targets. ordered: the classes follow each other."""

    loss: LossFunction
    reading: Reading
    comparable: bool
    metric: str | None
    scale: Scale | None
    ranks: Ranks
    ordered: bool = False

    @property
    def classify(self) -> bool:
        return self.reading.classify

    @property
    def passes_over(self) -> bool:
        """Some targets may not count."""
        return self.comparable and self.reading.ignored is not None

    def kept(self, targets: Tensor) -> Tensor:
        """Which targets count, where `passes_over`."""
        assert self.reading.ignored is not None
        return targets.ne(self.reading.ignored)

    def spread(self, spread: Tensor, output: Tensor, targets: Tensor) -> Tensor:
        """How far nets are apart, as `Answers` has it. spread: as `Ensemble.with_spread` gives it, beside output."""
        if self.reading.is_multilabel:
            return spread.reshape(len(spread), -1).mean(dim=1)
        if not self.classify:
            if self.reading.outputs == "log-rates":  # that of a rate is the rate times that of its logarithm
                spread = spread * output.exp()
            return columns(spread, targets)[0]
        codes = self.reading.codes(targets)
        return spread.reshape(codes.shape)[self.kept(codes)] if self.passes_over else spread.flatten()

    def tally(self) -> "Tally":
        heard = None if self.metric is None else self.listening(METRICS[self.metric].needs)
        return Tally(self, heard)

    def listening(self, needs: str) -> Heard:
        return Heard(self.reading, needs == "probabilities", ordered=self.ordered)

    def of_all_ranks(self, heard: Heard) -> Answers:
        if self.ranks.world == 1:
            return heard.answers
        told = self.ranks.each("evaluates", lambda: heard.answers)
        kept = [each.probabilities for each in told if each.probabilities is not None]
        weights = [each.weights for each in told if each.weights is not None]
        shares = [each.shares for each in told if each.shares is not None]
        return Answers(
            np.concatenate([each.targets for each in told]),
            np.concatenate([each.said for each in told]),
            told[0].classes,
            np.concatenate(kept) if len(kept) == len(told) else None,
            weights=np.concatenate(weights) if len(weights) == len(told) else None,
            ordered=told[0].ordered,
            shares=np.concatenate(shares) if len(shares) == len(told) else None,
        )

    def measured(self, name: str, answers: Answers) -> float:
        if not answers.is_finite:
            return float("nan")  # a candidate that blew up: no error of the data
        if self.scale is not None:
            answers = answers.scaled(*self.scale)
        found = value(name, answers)
        if found is None:
            raise InvalidData(
                f"{undefined(name, answers)}. These are the examples to select by (val_set); give others, or another "
                "metric"
            )
        return found


class Tally:
    """What one model says of batches, added up; it stays on its device until the metrics are asked for."""

    def __init__(self, of: Evaluation, heard: Heard | None) -> None:
        self._of = of
        self._heard = heard
        self._losses: list[Tensor] = []  # the mean of each batch
        self._sizes: list[int] = []
        self._weights: list[Tensor] = []  # what each batch weighs, of those that have weights
        self._right: list[Tensor] = []
        self._answers: list[int] = []  # one an example, or one a pixel
        self._counts: list[Tensor] = []  # targets of each batch that count, where some do not
        self._kept: list[Tensor] = []  # and what they weigh
        self._errors = Errors()

    def add(self, output: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """weights: of the examples, (n,). Raises InvalidArgument where some batches have them, and some none."""
        refuse_mixed(self._sizes, self._weights, weights)
        of = self._of
        told = [] if weights is None else [weights]
        # clones: a captured graph writes its outputs again and again into the same place
        self._losses.append(of.loss(output, targets, *told).detach().reshape(()).clone())
        self._sizes.append(len(targets))
        if weights is not None:
            self._weights.append(precise(weights).sum())
        if not of.comparable:
            return
        if self._heard is not None:
            self._heard.add(output, targets, weights)
        said, codes = of.reading.pair(output, targets)
        if not of.classify:
            self._errors.add(*columns(said, codes), weights)
            return
        right = said_by(said, ordered=of.ordered) == codes
        if of.passes_over:
            kept = of.kept(codes)
            right = right & kept
            self._counts.append(kept.sum())
            self._kept.append(_weighed(kept, weights))
        self._right.append(_weighed(right, weights))
        self._answers.append(codes.numel() // len(codes))

    @property
    def metrics(self) -> Metrics:
        """Of all ranks together."""
        of = self._of
        sums = self.sums
        if of.ranks.world > 1:
            sums = Sums.of(of.ranks.each("evaluates", lambda: sums))
        if not sums.examples:
            raise InvalidData("there is nothing to select by: the validation set is empty")
        if not sums.weight:
            raise InvalidData(
                "there is nothing to select by: the examples of the validation set weigh nothing"
            )
        metrics = {"loss": sums.loss / sums.weight}
        if not of.comparable:
            return metrics
        # sums of weights round
        metrics |= {"accuracy": min(1.0, sums.right / sums.answers)} if of.classify else sums.errors.metrics
        if self._heard is not None:
            assert of.metric is not None
            metrics[of.metric] = of.measured(of.metric, of.of_all_ranks(self._heard))
        return metrics

    @property
    def sums(self) -> "Sums":
        sums = Sums(examples=sum(self._sizes), errors=self._errors, right=sum(_read(self._right)))
        # a mean loss is that of the targets that count
        sizes = _read(self._counts) if self._counts else self._sizes
        for mean, size in zip(_read(self._losses), sizes, strict=True):
            sums.loss += mean * size if size else 0.0  # of none it is NaN
        if self._counts:
            sums.weight = sums.answers = sum(_read(self._kept))
            return sums
        weights = _read(self._weights) if self._weights else self._sizes
        sums.weight = sum(weights)
        sums.answers = sum(weight * each for weight, each in zip(weights, self._answers, strict=False))
        return sums


@dataclass(slots=True)
class Sums:
    """What a tally comes to, on the CPU."""

    loss: float = 0.0
    examples: int = 0
    weight: float = 0  # of the examples; so many where they have none
    right: float = 0
    answers: float = 0
    errors: "Errors" = field(default_factory=lambda: Errors())

    @classmethod
    def of(cls, ranks: Sequence["Sums"]) -> "Sums":
        """Of all together, added up in one order everywhere."""
        joined = cls()
        for each in ranks:
            joined.loss += each.loss
            joined.examples += each.examples
            joined.weight += each.weight
            joined.right += each.right
            joined.answers += each.answers
            joined.errors.join(each.errors)
        return joined


def _weighed(which: Tensor, weights: Tensor | None) -> Tensor:
    """How many of (n, ...) there are, each counting for the weight of its example, (n,)."""
    if weights is None:
        return which.sum()
    return (which.reshape(len(which), -1).sum(dim=1) * precise(weights)).sum()


class Errors:
    """Sums over batches, one for each of the m columns, for MSE and R2, averaged over the columns.

    R2 = 1 - residual / total sum of squares; of a column that does not vary 1 if it is met exactly, else 0,
    as scikit-learn has it. Targets are counted from the first row, so that a large mean costs no digits.
    """

    def __init__(self) -> None:
        self.n: float | Tensor = 0  # of examples, or what they weigh
        self.origin: Tensor | None = None  # (m,), as are the three sums
        self.residual = self.sum = self.square = torch.zeros(())

    def add(self, output: Tensor, target: Tensor, weights: Tensor | None = None) -> None:
        """output, target: (n, m), in double precision. weights: (n,)."""
        if self.origin is None:
            self.origin = target[0]
            self.residual = self.sum = self.square = torch.zeros_like(target[0])
        if target.shape[1:] != self.origin.shape:
            raise InvalidData(
                f"a batch has targets of {target.shape[1]} numbers and an earlier one of {len(self.origin)}; give "
                "all examples targets of one shape"
            )
        centred, residual = target - self.origin, (output - target).square()
        square = centred.square()
        if weights is None:
            self.n = self.n + len(target)
        else:
            w = precise(weights)[:, None]
            self.n = self.n + w.sum()
            centred, residual, square = w * centred, w * residual, w * square
        self.residual = self.residual + residual.sum(dim=0)
        self.sum = self.sum + centred.sum(dim=0)
        self.square = self.square + square.sum(dim=0)

    def join(self, other: "Errors") -> None:
        """Those of other examples too, whose targets were counted from another row."""
        if other.origin is None:
            return
        residual, total, square, origin = (
            part.cpu() for part in (other.residual, other.sum, other.square, other.origin)
        )
        self.origin = origin if self.origin is None else self.origin
        apart, n = origin - self.origin, float(other.n)
        self.n = float(self.n) + n
        self.residual = self.residual + residual
        self.square = self.square + square + 2 * apart * total + n * apart.square()
        self.sum = self.sum + total + n * apart

    @property
    def metrics(self) -> dict[str, float]:
        total = self.square - self.sum**2 / self.n
        constant = (self.residual == 0).to(total.dtype)
        r2 = torch.where(total > 0, 1 - self.residual / total, constant)
        return {"mse": float(self.residual.mean()) / float(self.n), "r2": float(r2.mean())}


def _read(numbers: Sequence[Tensor]) -> list[Any]:
    """Scalars of one kind, brought from their device in one piece."""
    read: list[Any] = torch.stack(list(numbers)).cpu().tolist() if numbers else []
    return read
