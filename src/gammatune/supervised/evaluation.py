"""What a model scores on examples, and what it says of them: collected batch by batch, of all processes together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gammatune.engine.batches import LossFunction
from gammatune.engine.ranks import Ranks
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.metrics.catalogue import METRICS, undefined, value
from gammatune.metrics.predictions import Answers, decided
from gammatune.records import Metrics
from gammatune.supervised.reading import Reading

Scale: TypeAlias = tuple[Any, Any]  # mean and standard deviation of targets that were standardised, (t,) each

# Probabilities that are held at once, four bytes each (guess); where a set has more, the measures that need all of
# them have no value.
MOST = 2**28


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

    def listening(self, needs: str) -> "Heard":
        return Heard(self.reading, needs == "probabilities", ordered=self.ordered)

    def of_all_ranks(self, heard: "Heard") -> Answers:
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

    def __init__(self, of: Evaluation, heard: "Heard | None") -> None:
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
        _refuse_mixed(self._sizes, self._weights, weights)
        of = self._of
        told = [] if weights is None else [weights]
        # clones: a captured graph writes its outputs again and again into the same place
        self._losses.append(of.loss(output, targets, *told).detach().reshape(()).clone())
        self._sizes.append(len(targets))
        if weights is not None:
            self._weights.append(_precise(weights).sum())
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
        _refuse_mixed(self._targets, self._weights, weights)
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


def _weighed(which: Tensor, weights: Tensor | None) -> Tensor:
    """How many of (n, ...) there are, each counting for the weight of its example, (n,)."""
    if weights is None:
        return which.sum()
    return (which.reshape(len(which), -1).sum(dim=1) * _precise(weights)).sum()


def _refuse_mixed(before: Sequence[Any], weighed: Sequence[Any], weights: Tensor | None) -> None:
    """before: batches so far, in any form; weighed: those of them with weights."""
    if before and bool(weighed) != (weights is not None):
        this, others = ("no weights", "some") if weights is None else ("weights", "none")
        raise InvalidArgument(
            f"a batch to evaluate holds {this}, and those before it {others}; let the loader give (inputs, targets, "
            "weights) in every batch, or in none"
        )


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
            w = _precise(weights)[:, None]
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


def probabilities(output: Tensor) -> Tensor:
    """(n, k, ...), float32: the softmax of scores; as they are where they are probabilities already. No GPU is waited
    for."""
    output = _precise(output)
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


def _read(numbers: Sequence[Tensor]) -> list[Any]:
    """Scalars of one kind, brought from their device in one piece."""
    read: list[Any] = torch.stack(list(numbers)).cpu().tolist() if numbers else []
    return read


def columns(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (n, m) in double precision, which MPS has not: m numbers an example, whatever shape they come in."""
    rows = len(target)
    return _precise(output.reshape(rows, -1)), _precise(target.reshape(rows, -1))


def _precise(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)
