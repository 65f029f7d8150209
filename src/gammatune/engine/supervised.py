"""A supervised PyTorch training that can be driven: one epoch, one score."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gammatune.engine.batches import Loader, LoaderFactory
from gammatune.engine.torch_loop import TorchLoop
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.ledger import Meter
from gammatune.records import Metrics, Values

LossFunction: TypeAlias = Callable[[Any, Any], Tensor]  # (output, target) -> mean loss, a scalar


class Supervised(TorchLoop):
    """A `Trainable`: batches of (inputs, targets), a model, a loss, an optimizer.

    train: a loader, or a function of the batch size that makes one. select: a loader to score on.
    classify: count right answers too (the output has one column a class); otherwise R2 and MSE are scored.
    device: where batches go.
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
        device: torch.device,
        state: Sequence[Any] = (),
    ) -> None:
        loss_state = [loss] if isinstance(loss, nn.Module) else []
        super().__init__(model, optimizer, names, state=[*state, *loss_state])
        self._model = model
        self._optimizer = optimizer
        self._train = train
        self._select = select
        self._loss = loss
        self._classify = classify
        self._device = device

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """Train one epoch; out of memory makes the rollout infeasible instead of ending the run."""
        self._model.train()
        try:
            for batch in self.batches(self._train, epoch, meter):
                inputs, targets = self._pair(batch)
                self._optimizer.zero_grad()
                self._loss(self._model(inputs), targets).backward()
                self._optimizer.step()
            self._optimizer.zero_grad()
        except torch.OutOfMemoryError as error:
            meter.infeasible = True
            meter.note = f"out of memory: {str(error).splitlines()[0]}"
            self._optimizer.zero_grad()
            torch.cuda.empty_cache()

    def evaluate(self, meter: Meter) -> Metrics:
        """loss and accuracy, or loss, mse and r2, on the selection data."""
        return self.measure(lambda: self.score(self._select), meter)

    def score(self, loader: Loader) -> Mapping[str, float]:
        """Metrics over a loader with the model as it stands; the caller sets the mode."""
        total, examples, right = 0.0, 0, 0
        errors = _Errors()
        for batch in loader:
            inputs, targets = self._pair(batch)
            output = self._model(inputs)
            size = len(targets)
            total += self._loss(output, targets).item() * size
            examples += size
            if self._classify:
                right += int((output.argmax(dim=1) == targets).sum())
            else:
                errors.add(output.double(), targets.double())
        if not examples:
            raise InvalidData("there is nothing to select by: the validation set is empty")
        metrics = {"loss": total / examples}
        return metrics | ({"accuracy": right / examples} if self._classify else errors.metrics)

    def predict(self, loader: Loader) -> tuple[Tensor, Tensor]:
        """(outputs, targets) over a loader, in eval mode, on the CPU."""
        mode = self._model.training
        self._model.eval()
        outputs, all_targets = [], []
        with torch.no_grad():
            for batch in loader:
                inputs, targets = self._pair(batch)
                outputs.append(self._model(inputs).cpu())
                all_targets.append(targets.cpu())
        self._model.train(mode)
        return torch.cat(outputs), torch.cat(all_targets)

    def _pair(self, batch: Any) -> tuple[Any, Any]:
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise InvalidArgument(
                f"a batch must be a pair (inputs, targets), not {type(batch).__name__}; give collate=, or use "
                "gammatune.Tuner with a loop of your own"
            )
        return _to(batch[0], self._device), _to(batch[1], self._device)


class _Errors:
    """Sums for MSE and R2 over batches: R2 = 1 - residual / total sum of squares.

    Targets are counted from the first one, so that a large mean costs no digits.
    """

    def __init__(self) -> None:
        self.n = 0
        self.origin: float | None = None
        self.residual = self.sum = self.square = 0.0

    def add(self, output: Tensor, target: Tensor) -> None:
        if self.origin is None:
            self.origin = target.reshape(-1)[0].item()
        self.n += target.numel()
        self.residual += float((output.reshape(target.shape) - target).square().sum())
        self.sum += float((target - self.origin).sum())
        self.square += float((target - self.origin).square().sum())

    @property
    def metrics(self) -> dict[str, float]:
        total = self.square - self.sum**2 / self.n
        r2 = 1 - self.residual / total if total > 0 else float(self.residual == 0)
        return {"mse": self.residual / self.n, "r2": r2}


def _to(item: Any, device: torch.device) -> Any:
    if isinstance(item, Tensor):
        return item.to(device, non_blocking=True)
    if isinstance(item, Mapping):
        return {key: _to(child, device) for key, child in item.items()}
    if isinstance(item, (list, tuple)):
        return type(item)(_to(child, device) for child in item)
    return item
