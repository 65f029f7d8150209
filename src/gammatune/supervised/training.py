"""A supervised PyTorch training that can be driven: one epoch, one score."""

import time as clock
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from gammatune.cost import Meter
from gammatune.engine.batches import Loader, LoaderFactory, drawn, streams_of
from gammatune.engine.ensemble import Ensemble, Price
from gammatune.engine.forks.streams import StreamStates, reseed
from gammatune.engine.loop import TorchLoop, unwrapped
from gammatune.engine.modes import evaluating, has_mode, into_training
from gammatune.engine.ranks import SINGLE, Ranks
from gammatune.engine.trainable import Where
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.metrics.catalogue import METRICS, undefined, value
from gammatune.metrics.predictions import Answers
from gammatune.records import Known, Metrics, Values
from gammatune.seeds import stream

if TYPE_CHECKING:
    from gammatune.supervised.stack import Stack

LossFunction: TypeAlias = Callable[[Any, Any], Tensor]  # (output, target) -> mean loss, a scalar
Scale: TypeAlias = tuple[Any, Any]  # mean and standard deviation of targets that were standardised, (t,) each

# Probabilities that are held at once, four bytes each (guess); where a set has more, the measures that need all of
# them have no value.
MOST = 2**28
TIMED = 5  # passes over one batch, the fastest of which tells how long an answer takes


def default_loss(classify: bool) -> LossFunction:
    """Cross entropy, or the mean squared error."""
    return nn.functional.cross_entropy if classify else _mean_squared_error


def _mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.mse_loss(output.reshape(target.shape), target)


class WeightedCrossEntropy:
    """Cross entropy, each example's times the weight of its class, over the number of examples.

    Not over the sum of the weights, as torch has it: there an example would weigh by what else is in its batch, and
    one of a rare class nothing more than others in a batch of its own.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        weights = self.weights.to(output)
        return nn.functional.cross_entropy(output, target, weight=weights, reduction="sum") / target.numel()


class Supervised(TorchLoop):
    """A `Trainable`: batches of (inputs, targets), a model, a loss, an optimizer or, by name, several to choose from.

    train: a loader, or a function of the batch size that makes one. select: a loader to score on.
    select_loss: what is scored, where that is another loss than the one trained with. metric: a measure of
    `gammatune.metrics.catalogue`, scored too: in every evaluation all outputs are collected (of labels 16 bytes an
    example, of probabilities 4 a class more) and handed to scikit-learn once. scale: of standardised targets;
    `metric` is told in their original unit.
    classify: count right answers too (the output has one column a class); otherwise R2 and MSE are scored.
    comparable: whether outputs and targets can be held against each other; if not, only the loss is scored.
    single: there is one class an example.
    rate_is_own: the user, not the library, chose the rate that the optimizer comes with.
    device: where batches go. state, forks, ranks: see `TorchLoop`; of several ranks each scores its own examples, and
    what is told is of all of them.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Mapping[str, Optimizer],
        names: Sequence[str],
        *,
        train: Loader | LoaderFactory,
        select: Loader,
        loss: LossFunction,
        classify: bool,
        comparable: bool = True,
        device: torch.device,
        state: Sequence[Any] = (),
        forks: Where = "auto",
        select_loss: LossFunction | None = None,
        metric: str | None = None,
        scale: Scale | None = None,
        ranks: Ranks = SINGLE,
        rate_is_own: bool = True,
        single: bool = False,
    ) -> None:
        loss_state = [loss] if isinstance(loss, nn.Module) else []
        super().__init__(model, optimizer, names, state=[*state, *loss_state], forks=forks, ranks=ranks)
        self._model = model
        self._forward = unwrapped(model)  # without a gradient to exchange
        self._train = train
        self._select = select
        self._loss = loss
        self._classify = classify
        self._comparable = comparable
        self._device = device
        self._select_loss = select_loss or loss
        self._metric = metric
        self._scale = scale
        self.rate_is_own = rate_is_own
        self.averages_probabilities = classify
        self._single = single

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
        """loss and accuracy, or loss, mse and r2, or only the loss, on the selection data; and the metric asked for.

        Raises InvalidData where that has no value on them."""
        return self.measure(lambda: self.score(drawn(self._select, meter)), meter)

    def score(self, loader: Iterable[Any]) -> Metrics:
        """Metrics over a loader with the model as it stands; the caller sets the mode."""
        self._share_buffers()
        tally = self._tally()
        for batch in loader:
            inputs, targets = self._pair(batch)
            tally.add(self._forward(inputs), targets)
        return tally.metrics

    def _known_with(self, optimizers: Sequence[Optimizer]) -> Known:
        return replace(super()._known_with(optimizers), classes=self._single)

    @property
    def _optimizer(self) -> Optimizer:
        """That which takes the steps of this run."""
        return self._steering.optimizers[0]

    # -- several nets

    def hear(self, net: int, meter: Meter) -> None:
        """See `Joinable`. Under the same random streams as every other net, in whatever process, since the loader may
        draw from them; they are put back."""
        streams = streams_of(self._select)
        before = StreamStates(streams, cuda=True)

        def listen() -> Metrics:
            for batch in drawn(self._select, meter):
                inputs, targets = self._pair(batch)
                tell(self._forward(inputs), targets)
            return {}

        try:
            reseed(streams, stream(0, "heard"))
            # around the measuring: an optimizer that has weights of its own for that puts none of them in between
            with self.kept.hearing(net) as tell, evaluating(self._model, optimizers=self._optimizers):
                self._forward.load_state_dict(self.kept.weights(net))
                self.measure(listen, meter)
        finally:
            before.restore()

    def together(self, nets: Sequence[int]) -> Metrics:
        """See `Joinable`."""
        tally = self._tally()
        with torch.no_grad():
            for output, target in self.kept.together(nets, classify=self._classify):
                tally.add(output.to(self._device), to_device(target, self._device))
        return tally.metrics

    def price(self, ensemble: Ensemble, loader: Loader) -> Price:
        """Of the model and of the ensemble, on the first batch of a loader; no random stream is moved."""
        before = StreamStates(streams_of(loader), cuda=True)
        try:
            with evaluating(self._model, optimizers=self._optimizers):
                inputs, _ = batch = self._pair(next(iter(loader)))
                one, all_ = (self._seconds(net, inputs) for net in (self._forward, ensemble))
        finally:
            before.restore()
        count = len(batch[1])
        return Price((_bytes(self._forward), _bytes(ensemble)), (one / count, all_ / count))

    def _seconds(self, net: nn.Module, inputs: Any) -> float:
        taken = []
        for _ in range(TIMED):
            began = clock.perf_counter()
            net(inputs)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            taken.append(clock.perf_counter() - began)
        return min(taken)

    # -- several rollouts in one pass

    def advance_all(self, epoch: int, values: Sequence[Values], meters: Sequence[Meter]) -> "Stack":
        """What `apply` and `advance` do, for each of `values` and its meter, from where the training stands.

        The training stays there; where each of them ends is a member of the stack (`Stack.put`). meters: of one
        length, shape, order and allowance. Raises what `Stack` raises.
        """
        from gammatune.supervised.stack import Stack, options_of  # late: vmap, which nobody else needs

        members = []
        for each, meter in zip(values, meters, strict=True):
            self.apply(each, meter)
            members.append(options_of(self._optimizer))
        lead = meters[-1]
        into_training(self._model)
        stack = Stack(self._model, self._optimizer, self._loss, members)
        passed = []  # examples and batches after each step
        for batch in self.batches(self._train, epoch, lead):
            inputs, targets = self._pair(batch)
            stack.step(inputs, targets, self._steering.bent)
            passed.append((lead.trained, lead.batches))
            lead.diverged = stack.is_due and all(stack.diverged())
        for meter, step in zip(meters, stack.diverged(), strict=True):
            meter.steps = step or len(passed)
            meter.trained, meter.batches = passed[meter.steps - 1] if passed else (0, 0)
            meter.epoch_batches, meter.epoch_examples = lead.epoch_batches, lead.epoch_examples
            meter.cut, meter.diverged = lead.cut and not step, bool(step)
            meter.note = f"the gradient was not finite at step {step}" if step else lead.note
        return stack

    def evaluate_all(self, stack: "Stack", meters: Sequence[Meter]) -> list[Metrics]:
        """What `evaluate` says, of each member; of one that has diverged nothing."""
        alive = [meter for meter in meters if not meter.diverged]
        tallies = {id(meter): self._tally() for meter in alive}

        def first() -> Metrics:
            for batch in drawn(self._select, alive[0]):
                inputs, targets = self._pair(batch)
                for meter, output in zip(meters, stack.outputs(inputs), strict=True):
                    if id(meter) in tallies:
                        tallies[id(meter)].add(output, targets)
            return tallies[id(alive[0])].metrics

        if alive:
            before = alive[0].evaluated
            self.measure(first, alive[0])
            for meter in alive[1:]:
                meter.evaluated += alive[0].evaluated - before
        return [tallies[id(meter)].metrics if id(meter) in tallies else {} for meter in meters]

    # -- inside

    def _share_buffers(self) -> None:
        """Running statistics are those of rank 0, as in the next step of training: one net is scored."""
        model = self._model
        if isinstance(model, DistributedDataParallel) and model.broadcast_buffers:
            first = dist.get_global_rank(model.process_group, 0)
            for buffer in model.module.buffers():
                dist.broadcast(buffer, first, group=model.process_group)

    def _of_all_ranks(self, heard: "_Heard") -> Answers:
        if self._ranks.world == 1:
            return heard.answers
        told = self._ranks.each("evaluates", lambda: heard.answers)
        kept = [each.probabilities for each in told if each.probabilities is not None]
        return Answers(
            np.concatenate([each.targets for each in told]),
            np.concatenate([each.said for each in told]),
            told[0].classes,
            np.concatenate(kept) if len(kept) == len(told) else None,
        )

    def answers(self, loader: Loader, ensemble: Ensemble | None = None) -> Answers:
        """What the model, or the ensemble, says of a loader's examples, in eval mode; numbers as the network sees
        them.

        Of a classification flat: (n,), one an example or one a pixel; probabilities where there is room for them.
        """
        self._share_buffers()
        heard = self._listening("probabilities" if self._classify else "numbers")
        spreads: list[Tensor] = []  # of an ensemble, which nobody has in several processes
        with evaluating(self._model, optimizers=self._optimizers):
            for batch in loader:
                inputs, targets = self._pair(batch)
                if ensemble is None:
                    output = self._forward(inputs)
                else:
                    output, spread = ensemble.with_spread(inputs)
                    spreads.append(
                        spread.flatten().cpu() if self._classify else _columns(spread, targets)[0].cpu()
                    )
                heard.add(output, targets)
        answers = self._of_all_ranks(heard)
        return answers if ensemble is None else replace(answers, spread=torch.cat(spreads).numpy())

    def _tally(self) -> "_Tally":
        heard = None if self._metric is None else self._listening(METRICS[self._metric].needs)
        return _Tally(self, heard)

    def _listening(self, needs: str) -> "_Heard":
        return _Heard(needs == "probabilities") if self._classify else _Heard(False, numbers=True)

    def _measured(self, name: str, answers: Answers) -> float:
        if not answers.is_finite:
            return float("nan")  # a candidate that blew up: no error of the data
        if self._scale is not None:
            answers = answers.scaled(*self._scale)
        found = value(name, answers)
        if found is None:
            raise InvalidData(
                f"{undefined(name, answers)}. These are the examples to select by (val_set); give others, or another "
                "metric"
            )
        return found

    def _pair(self, batch: Any) -> tuple[Any, Any]:
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise InvalidArgument(
                f"a batch must be a pair (inputs, targets), not {type(batch).__name__}; give collate=, or use "
                "gammatune.Tuner with a loop of your own"
            )
        return to_device(batch[0], self._device), to_device(batch[1], self._device)


class _Tally:
    """What one model says of batches, added up; it stays on its device until the metrics are asked for."""

    def __init__(self, training: Supervised, heard: "_Heard | None") -> None:
        self._of = training
        self._heard = heard
        self._losses: list[Tensor] = []  # the mean of each batch
        self._sizes: list[int] = []
        self._right: list[Tensor] = []
        self._answers = 0  # one an example, or one a pixel
        self._errors = _Errors()

    def add(self, output: Tensor, targets: Tensor) -> None:
        of = self._of
        # clones: a captured graph writes its outputs again and again into the same place
        self._losses.append(of._select_loss(output, targets).detach().reshape(()).clone())
        self._sizes.append(len(targets))
        if not of._comparable:
            return
        if self._heard is not None:
            self._heard.add(output, targets)
        if of._classify:
            self._right.append((output.argmax(dim=1) == targets).sum())
            self._answers += targets.numel()
        else:
            self._errors.add(*_columns(output, targets))

    @property
    def metrics(self) -> Metrics:
        """Of all ranks together."""
        of = self._of
        sums = self.sums
        if of._ranks.world > 1:
            sums = _Sums.of(of._ranks.each("evaluates", lambda: sums))
        if not sums.examples:
            raise InvalidData("there is nothing to select by: the validation set is empty")
        metrics = {"loss": sums.loss / sums.examples}
        if not of._comparable:
            return metrics
        metrics |= {"accuracy": sums.right / sums.answers} if of._classify else sums.errors.metrics
        if self._heard is not None:
            assert of._metric is not None
            metrics[of._metric] = of._measured(of._metric, of._of_all_ranks(self._heard))
        return metrics

    @property
    def sums(self) -> "_Sums":
        sums = _Sums(examples=sum(self._sizes), answers=self._answers, errors=self._errors)
        for mean, size in zip(_read(self._losses), self._sizes, strict=True):
            sums.loss += mean * size
        sums.right = sum(_read(self._right))
        return sums


@dataclass(slots=True)
class _Sums:
    """What a tally comes to, on the CPU."""

    loss: float = 0.0
    examples: int = 0
    right: int = 0
    answers: int = 0
    errors: "_Errors" = field(default_factory=lambda: _Errors())

    @classmethod
    def of(cls, ranks: Sequence["_Sums"]) -> "_Sums":
        """Of all together, added up in one order everywhere."""
        joined = cls()
        for each in ranks:
            joined.loss += each.loss
            joined.examples += each.examples
            joined.right += each.right
            joined.answers += each.answers
            joined.errors.join(each.errors)
        return joined


class _Heard:
    """What a model said, batch after batch, on the CPU, or on its way there from a GPU."""

    def __init__(self, probabilities: bool, *, numbers: bool = False) -> None:
        self._numbers = numbers
        self._wanted = probabilities
        self._classes = 0
        self._held = 0  # numbers in the probabilities
        self._targets: list[Tensor] = []
        self._said: list[Tensor] = []
        self._scores: list[Tensor] = []  # (n, k) each
        self._waited_for: set[torch.device] = set()

    def add(self, output: Tensor, targets: Tensor) -> None:
        output = output.detach()
        if self._numbers:
            self._said.append(self._brought(output))
            self._targets.append(self._brought(targets))
            return
        self._classes = output.shape[1]
        self._held += output.numel() * self._wanted
        if self._held > MOST:
            self._wanted = False
            self._scores.clear()
        if self._wanted:
            self._scores.append(self._brought(output.movedim(1, -1).reshape(-1, self._classes)))
        self._said.append(self._brought(output.argmax(dim=1).flatten()))
        self._targets.append(self._brought(targets.flatten()))

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
            pairs = [_columns(*pair) for pair in zip(said, targets, strict=True)]
            said, targets = [one for one, _ in pairs], [one for _, one in pairs]
        scores = [_probabilities(each) for each in self._scores]
        return Answers(
            targets=torch.cat(targets).numpy(),
            said=torch.cat(said).numpy(),
            classes=self._classes,
            probabilities=torch.cat(scores).numpy() if scores else None,
        )


def _bytes(net: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))


def _read(numbers: Sequence[Tensor]) -> list[Any]:
    """Scalars of one kind, brought from their device in one piece."""
    read: list[Any] = torch.stack(list(numbers)).cpu().tolist() if numbers else []
    return read


def _probabilities(output: Tensor) -> Tensor:
    """(n, k), float32: the softmax of scores; as they are where they are probabilities already."""
    output = output.double()
    return (output if are_probabilities(output) else output.softmax(dim=1)).float()


def are_probabilities(output: Tensor) -> bool:
    """Whether each row of them, (n, k, ...), is a distribution, as a softmax gives it, and no scores."""
    return bool((output >= 0).all()) and bool(((output.sum(dim=1) - 1).abs() < 1e-4).all())


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

    def join(self, other: "_Errors") -> None:
        """Those of other examples too, whose targets were counted from another row."""
        if other.origin is None:
            return
        residual, total, square, origin = (
            part.cpu() for part in (other.residual, other.sum, other.square, other.origin)
        )
        self.origin = origin if self.origin is None else self.origin
        apart = origin - self.origin
        self.n += other.n
        self.residual = self.residual + residual
        self.square = self.square + square + 2 * apart * total + other.n * apart.square()
        self.sum = self.sum + total + other.n * apart

    @property
    def metrics(self) -> dict[str, float]:
        total = self.square - self.sum**2 / self.n
        constant = (self.residual == 0).to(total.dtype)
        r2 = torch.where(total > 0, 1 - self.residual / total, constant)
        return {"mse": float(self.residual.mean()) / self.n, "r2": float(r2.mean())}


def _columns(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (n, m) in double precision, which MPS has not: m numbers an example, whatever shape they come in."""
    rows = len(target)
    precise = torch.float32 if output.device.type == "mps" else torch.float64
    return output.reshape(rows, -1).to(precise), target.reshape(rows, -1).to(precise)


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
