"""A supervised PyTorch training that can be driven: one epoch, one score."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gammatune.engine.batches import Loader, LoaderFactory
from gammatune.engine.modes import evaluating, has_mode, into_training
from gammatune.engine.torch_loop import TorchLoop
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.ledger import Meter
from gammatune.records import Metrics, Values

LossFunction: TypeAlias = Callable[[Any, Any], Tensor]  # (output, target) -> mean loss, a scalar


def default_loss(classify: bool) -> LossFunction:
    """Cross entropy, or the mean squared error."""
    return nn.functional.cross_entropy if classify else _mean_squared_error


def _mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.mse_loss(output.reshape(target.shape), target)


class Supervised(TorchLoop):
    """A `Trainable`: batches of (inputs, targets), a model, a loss, an optimizer.

    train: a loader, or a function of the batch size that makes one. select: a loader to score on.
    classify: count right answers too (the output has one column a class); otherwise R2 and MSE are scored.
    comparable: whether outputs and targets can be held against each other; if not, only the loss is scored.
    device: where batches go. state, forks: see `TorchLoop`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        names: Sequence[str],
        *,
        train: Loader | LoaderFactory,
        select: Loader,
        loss: LossFunction,
        classify: bool,
        comparable: bool = True,
        device: torch.device,
        state: Sequence[Any] = (),
        forks: str = "device",
    ) -> None:
        loss_state = [loss] if isinstance(loss, nn.Module) else []
        super().__init__(model, optimizer, names, state=[*state, *loss_state], forks=forks)
        self._model = model
        self._optimizer = optimizer
        self._train = train
        self._select = select
        self._loss = loss
        self._classify = classify
        self._comparable = comparable
        self._device = device

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """Train one epoch; out of memory makes it infeasible where a batch size is searched (`attempting`)."""
        into_training(self._model)
        if has_mode(self._optimizer):
            self._optimizer.train()  # type: ignore[attr-defined]
        with self.attempting(meter):
            for batch in self.batches(self._train, epoch, meter):
                inputs, targets = self._pair(batch)
                self._optimizer.zero_grad()
                self._loss(self._model(inputs), targets).backward()
                self._optimizer.step()
            self._optimizer.zero_grad()

    def evaluate(self, meter: Meter) -> Metrics:
        """loss and accuracy, or loss, mse and r2, or only the loss, on the selection data."""
        return self.measure(lambda: self.score(self._select), meter)

    def score(self, loader: Loader) -> Mapping[str, float]:
        """Metrics over a loader with the model as it stands; the caller sets the mode."""
        total, examples, right, answers = 0.0, 0, 0, 0
        errors = _Errors()
        for batch in loader:
            inputs, targets = self._pair(batch)
            output = self._model(inputs)
            size = len(targets)
            total += self._loss(output, targets).item() * size
            examples += size
            if not self._comparable:
                continue
            if self._classify:
                right += int((output.argmax(dim=1) == targets).sum())
                answers += targets.numel()  # one an example, or one a pixel
            else:
                errors.add(*_columns(output, targets))
        if not examples:
            raise InvalidData("there is nothing to select by: the validation set is empty")
        metrics = {"loss": total / examples}
        if not self._comparable:
            return metrics
        return metrics | ({"accuracy": right / answers} if self._classify else errors.metrics)

    def predict(self, loader: Loader) -> tuple[Tensor, Tensor]:
        """(predictions, targets) over a loader, in eval mode, on the CPU.

        Labels, flat: (n,). Or numbers, one column for each of a target's: (n, m), in double precision.
        """
        predictions, all_targets = [], []
        with evaluating(self._model, optimizers=[self._optimizer]):
            for batch in loader:
                inputs, targets = self._pair(batch)
                output = self._model(inputs)
                if self._classify:
                    predicted, targets = output.argmax(dim=1).flatten(), targets.flatten()
                else:
                    predicted, targets = _columns(output, targets)
                predictions.append(predicted.cpu())
                all_targets.append(targets.cpu())
        return torch.cat(predictions), torch.cat(all_targets)

    def _pair(self, batch: Any) -> tuple[Any, Any]:
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise InvalidArgument(
                f"a batch must be a pair (inputs, targets), not {type(batch).__name__}; give collate=, or use "
                "gammatune.Tuner with a loop of your own"
            )
        return to_device(batch[0], self._device), to_device(batch[1], self._device)


class _Errors:
    """Sums over batches, one for each of the m columns, for MSE and R2, averaged over the columns.

    R2 = 1 - residual / total sum of squares; of a column that does not vary 1 if it is met exactly, else 0,
    as scikit-learn has it. Targets are counted from the first row, so that a large mean costs no digits.
    """

    def __init__(self) -> None:
        self.n = 0
        self.origin: Tensor | None = None  # (m,), as are the three sums
        self.residual = self.sum = self.square = torch.zeros(())

    def add(self, output: Tensor, target: Tensor) -> None:
        """output, target: (n, m), in double precision."""
        if self.origin is None:
            self.origin = target[0]
            self.residual = self.sum = self.square = torch.zeros_like(target[0])
        if target.shape[1:] != self.origin.shape:
            raise InvalidData(
                f"a batch has targets of {target.shape[1]} numbers and an earlier one of {len(self.origin)}; give "
                "all examples targets of one shape"
            )
        centred = target - self.origin
        self.n += len(target)
        self.residual = self.residual + (output - target).square().sum(dim=0)
        self.sum = self.sum + centred.sum(dim=0)
        self.square = self.square + centred.square().sum(dim=0)

    @property
    def metrics(self) -> dict[str, float]:
        total = self.square - self.sum**2 / self.n
        constant = (self.residual == 0).to(total.dtype)
        r2 = torch.where(total > 0, 1 - self.residual / total, constant)
        return {"mse": float(self.residual.mean()) / self.n, "r2": float(r2.mean())}


def _columns(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (n, m) in double precision: m numbers an example, whatever shape they come in."""
    rows = len(target)
    return output.reshape(rows, -1).double(), target.reshape(rows, -1).double()


def to_device(item: Any, device: torch.device) -> Any:
    """Tensors in lists, tuples, named tuples and mappings moved; anything else as it is."""
    if isinstance(item, Tensor):
        return item.to(device, non_blocking=True)
    if isinstance(item, Mapping):
        return {key: to_device(child, device) for key, child in item.items()}
    if isinstance(item, (list, tuple)):
        children = [to_device(child, device) for child in item]
        return type(item)(*children) if hasattr(item, "_fields") else type(item)(children)
    return item
