"""A supervised PyTorch training that can be driven: one epoch, one score."""

import time as clock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from gammatune.cost import Meter
from gammatune.engine.batches import (
    Loader,
    LoaderFactory,
    LossFunction,
    drawn,
    streams_of,
    to_device,
    to_its_end,
)
from gammatune.engine.ensemble import Ensemble, Price
from gammatune.engine.forks.streams import StreamStates, reseed
from gammatune.engine.loop import TorchLoop, unwrapped
from gammatune.engine.modes import evaluating, has_mode, into_training
from gammatune.engine.prepared import refuse_in_a_loop_of_ours
from gammatune.engine.ranks import SINGLE, Ranks
from gammatune.engine.trainable import TAPE_BYTES, Roots, Where
from gammatune.metrics.predictions import Answers
from gammatune.records import Known, Metrics, StepCount, Values
from gammatune.seeds import stream
from gammatune.supervised.batch_form import PAIRS, Form, answer
from gammatune.supervised.evaluation import Evaluation, Scale
from gammatune.supervised.losses import WeightedCrossEntropy, default_loss
from gammatune.supervised.reading import Reading

if TYPE_CHECKING:
    from gammatune.supervised.stack import Stack

# Here in earlier versions, all of them.
__all__ = ["LossFunction", "Scale", "Supervised", "WeightedCrossEntropy", "default_loss"]

TIMED = 5  # passes over one batch, the fastest of which tells how long an answer takes


class Supervised(TorchLoop):
    """A `Trainable`: batches of inputs, targets and maybe weights, a model, a loss, an optimizer or, by name, several
    to choose from.

    train: a loader, or a function of the batch size that makes one. select: a loader to score on.
    select_loss: what is scored, where that is another loss than the one trained with. metric: a measure of
    `gammatune.metrics.catalogue`, scored too: in every evaluation all outputs are collected (of labels 16 bytes an
    example, of probabilities 4 a class more) and handed to scikit-learn once. scale: of standardised targets;
    `metric` is told in their original unit.
    reading: how outputs are held against targets: right answers are counted too, or R2 and MSE are scored.
    comparable: whether outputs and targets can be held against each other; if not, only the loss is scored.
    single: there is one class an example. form: how batches are taken apart; where they hold weights the loss takes
    them. ordered: the classes follow each other.
    rate_is_own: the user, not the library, chose the rate that the optimizer comes with.
    device: where batches go. state, forks, tape_bytes, ranks: see `TorchLoop`; of several ranks each scores its own
    examples, and what is told is of all of them. steps: how they are counted, where epochs are not.
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
        reading: Reading,
        comparable: bool = True,
        device: torch.device,
        state: Sequence[Any] = (),
        forks: Where = "auto",
        tape_bytes: int = TAPE_BYTES,
        select_loss: LossFunction | None = None,
        metric: str | None = None,
        scale: Scale | None = None,
        ranks: Ranks = SINGLE,
        rate_is_own: bool = True,
        single: bool = False,
        form: Form = PAIRS,
        ordered: bool = False,
        steps: StepCount | None = None,
    ) -> None:
        several = list(optimizer.values()) if isinstance(optimizer, Mapping) else [optimizer]
        refuse_in_a_loop_of_ours(model, *several, train, select)
        loss_state = [loss] if isinstance(loss, nn.Module) else []
        super().__init__(
            *(model, optimizer, names),
            state=[*state, *loss_state],
            tape_bytes=tape_bytes,
            forks=forks,
            course=steps,
            ranks=ranks,
        )
        self._model = model
        self._forward = unwrapped(model)  # without a gradient to exchange
        self._train = train
        self._select = select
        self._loss = loss
        self._device = device
        self._evaluation = Evaluation(select_loss or loss, reading, comparable, metric, scale, ranks, ordered)
        self.rate_is_own = rate_is_own
        self.averages_probabilities = reading.family == "classes"
        self.averages_labels = reading.family == "labels"
        self._single = single
        self._form = form

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        """Train one epoch; out of memory makes it infeasible where a batch size is searched (`attempting`)."""
        into_training(self._model)
        if has_mode(self._optimizer):
            self._optimizer.train()  # type: ignore[attr-defined]
        with self.attempting(meter):
            for batch in self.batches(self._train, epoch, meter):
                inputs, *told = self._told(batch)
                self._optimizer.zero_grad()
                self._loss(answer(self._model, inputs), *told).backward()
                self._optimizer.step()
            self._optimizer.zero_grad()

    def evaluate(self, meter: Meter) -> Metrics:
        """loss and accuracy, or loss, mse and r2, or only the loss, on the selection data; and the metric asked for.

        Raises InvalidData where that has no value on them."""
        return self.measure(lambda: self.score(drawn(self._select, meter)), meter)

    def score(self, loader: Iterable[Any]) -> Metrics:
        """Metrics over a loader with the model as it stands; the caller sets the mode."""
        self._share_buffers()
        tally = self._evaluation.tally()
        for batch in loader:
            inputs, *told = self._told(batch)
            tally.add(answer(self._forward, inputs), *told)
        return tally.metrics

    def roots(self) -> Roots:
        """See `Reachable`."""
        found = super().roots()
        return replace(found, others={**found.others, "loss_fn": self._loss})

    def _known_with(self, optimizers: Sequence[Optimizer]) -> Known:
        return replace(super()._known_with(optimizers), classes=self._single)

    @property
    def _optimizer(self) -> Optimizer:
        """That which takes the steps of this run."""
        return self._hyperparameters.optimizers[0]

    # -- several nets

    def hear(self, net: int, meter: Meter) -> None:
        """See `Joinable`. Under the same random streams as every other net, in whatever process, since the loader may
        draw from them; they are put back."""
        self._at = None
        streams = streams_of(self._select)
        before = StreamStates(streams, cuda=True)

        def listen() -> Metrics:
            for batch in drawn(self._select, meter):
                inputs, *told = self._told(batch)
                tell(answer(self._forward, inputs), *told)
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
        tally = self._evaluation.tally()
        with torch.no_grad():
            kinds = {"classify": self.averages_probabilities, "labels": self.averages_labels}
            for output, *told in self.kept.together(nets, **kinds):
                tally.add(output.to(self._device), *to_device(told, self._device))
        return tally.metrics

    def price(self, ensemble: Ensemble, loader: Loader) -> Price:
        """Of the model and of the ensemble, on the first batch of a loader; no random stream is moved."""
        before = StreamStates(streams_of(loader), cuda=True)
        try:
            with evaluating(self._model, optimizers=self._optimizers):
                inputs, targets, *_ = self._told(next(iter(loader)))
                one, all_ = (self._seconds(net, inputs) for net in (self._forward, ensemble))
        finally:
            before.restore()
        count = len(targets)
        return Price((_bytes(self._forward), _bytes(ensemble)), (one / count, all_ / count))

    def _seconds(self, net: nn.Module, inputs: Any) -> float:
        taken = []
        for _ in range(TIMED):
            began = clock.perf_counter()
            answer(net, inputs)
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
            inputs, targets, *weights = self._told(batch)
            stack.step(inputs, targets, self._hyperparameters.bent, *weights)
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
        tallies = {id(meter): self._evaluation.tally() for meter in alive}

        def first() -> Metrics:
            for batch in drawn(self._select, alive[0]):
                inputs, *told = self._told(batch)
                for meter, output in zip(meters, stack.outputs(inputs), strict=True):
                    if id(meter) in tallies:
                        tallies[id(meter)].add(output, *told)
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

    def answers(self, loader: Loader, ensemble: Ensemble | None = None) -> Answers:
        """What the model, or the ensemble, says of a loader's examples, in eval mode; numbers as the network sees
        them.

        Of a classification flat: (n,), one an example or one a pixel; probabilities where there is room for them.
        """
        self._share_buffers()
        classify = self._evaluation.classify
        heard = self._evaluation.listening("probabilities" if classify else "numbers")
        spreads: list[Tensor] = []  # of an ensemble, which nobody has in several processes
        with evaluating(self._model, optimizers=self._optimizers):
            for batch in to_its_end(loader):
                inputs, *told = self._told(batch)
                if ensemble is None:
                    output = answer(self._forward, inputs)
                else:
                    output, spread = answer(ensemble.with_spread, inputs)
                    spreads.append(self._evaluation.spread(spread, output, told[0]).cpu())
                heard.add(output, *told)
        answers = self._evaluation.of_all_ranks(heard)
        return answers if ensemble is None else replace(answers, spread=torch.cat(spreads).numpy())

    def _told(self, batch: Any) -> list[Any]:
        """Inputs and targets, and weights where there are some."""
        return [to_device(part, self._device) for part in self._form.parts(batch)]


def _bytes(net: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))
