"""A PyTorch training whose loop belongs to the user: gammatune goes back in time and sets values in it."""

import hashlib
import inspect
import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.hooks import RemovableHandle

from gammatune.cost import Call, Meter, units
from gammatune.engine.batches import (
    TAPE_BYTES,
    Epoch,
    Loader,
    LoaderFactory,
    Passes,
    described,
    drawn,
    empty_loader,
    epoch_of,
    examples_in,
    examples_in_call,
    in_order,
    length_of,
    named,
    of_the_loader,
    refuse_endless,
    refuse_no_loader,
    restorable,
    streams_of,
    versions,
)
from gammatune.engine.device_memory import give_up, let_go, out_of_memory, place_for_forks
from gammatune.engine.ensemble import Ensemble, Nets, NewModel
from gammatune.engine.forks import archive
from gammatune.engine.forks.averaging import Mean, averaged_tensors
from gammatune.engine.forks.sharding import is_spread, refuse_flat, settle
from gammatune.engine.forks.snapshot import Snapshot, refuse_without_numbers
from gammatune.engine.forks.streams import (
    Stream,
    StreamStates,
    kind_of,
    reseed,
    set_state,
    start_anew,
    state_of,
)
from gammatune.engine.hyperparameters import Steering, rate_of
from gammatune.engine.known import known_of
from gammatune.engine.modes import evaluating, has_mode
from gammatune.engine.ranks import PATIENCE, SINGLE, Ranks, beside
from gammatune.engine.recorded_loader import Tape
from gammatune.engine.trainable import Where
from gammatune.errors import (
    ConflictingControl,
    DamagedCheckpoint,
    InvalidArgument,
    NotRestorable,
    RankFailed,
)
from gammatune.metrics.objectives import plain_number
from gammatune.records import FLAT, Alternative, Known, Metrics, Values
from gammatune.schedules import ScheduleName
from gammatune.seeds import stream
from gammatune.space import BATCH_SIZE, OPTIMIZER

Saved: TypeAlias = Mapping[str, Any]  # what a file says of a loader
MANY = 32  # loaders, or generators in loaders; guess: nobody has so many on purpose


class TorchLoop:
    """A `Storable` over modules, optimizers and whatever else takes part.

    model, optimizer: one or several; or a mapping of names to optimizers of the same parameters, of which the value
    "optimizer" says which takes the steps of a run.
    state: anything else that changes while training and must go back with it: a GradScaler, an EMA copy, an LR
    scheduler (with multiplier=True), generators, any object with state_dict and load_state_dict.
    names: the hyperparameters that will be searched.
    forks: where the copies of weights, buffers and optimizer state are held, "device" beside them or "host" in the
    CPU's memory, pinned where there is CUDA; going back is slower then. "auto": "host" where a GPU has no room for
    them (`device_memory.place_for_forks`), and `said` says so.
    ranks: the processes that train this model together. Each keeps the forks of its own state, and its own file of a
    checkpoint; a batch is taken where all have one, and ends the run where that is over for one of them.
    """

    def __init__(
        self,
        model: nn.Module | Sequence[nn.Module],
        optimizer: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
        names: Sequence[str],
        *,
        state: Sequence[Any] = (),
        multiplier: bool = False,
        tape_bytes: int = TAPE_BYTES,
        forks: Where = "auto",
        ranks: Ranks = SINGLE,
    ) -> None:
        self._ranks = ranks
        self._modules = _listed(model, nn.Module, "model")
        choice = dict(optimizer) if isinstance(optimizer, Mapping) else {}
        self._optimizers = _listed(list(choice.values()) or optimizer, Optimizer, "optimizer")
        self._streams: list[Stream] = []
        self._extras: list[Any] = []
        for item in state:
            self._sort_in(item, multiplier=multiplier)
        self._uneven = False  # it has been said
        self._given = len(self._streams)  # those after them are loaders', met on the way
        self._refuse_unseen_schedulers(multiplier)
        self._refuse_nothing_to_train()
        refuse_flat(self._modules)
        self._searches_batch_size = BATCH_SIZE in names
        self._loaders: dict[tuple[int, int], Loader] = {}  # (factory, batch size) -> loader
        self._factories: dict[int, int] = {}  # in the order they were met
        self._functions: list[Passes] = []  # that give the batches of a pass
        self._met: dict[int, _Met] = {}  # the loaders that have random streams of their own, or a tape
        # what a file said of loaders that this process has not met: of the training as it stands, and of the forks
        self._pending: tuple[Saved, ...] = ()
        self._unmet: dict[str, tuple[Saved, ...]] = {}
        self._tapes: dict[int, Tape] = {}
        self._tape_bytes = tape_bytes
        self._passed: set[int] = set()  # loaders passed over to the end
        self._passes: dict[int, int] = {}  # loader -> passes over it in this run
        self._forks: dict[str, Snapshot] = {}
        self._pools: dict[str, Mean] = {}
        self._counters: list[RemovableHandle] = []  # hooks on the models while they are evaluated
        self._values: Values = {}
        self._order: np.random.Generator | None = None  # starts the streams of a run with an order of its own
        self._new_model: NewModel | None = None
        self._directory: Path | None = None
        self._nets: Nets | None = None  # made for the first of several
        self._asked: Ensemble | None = None  # instead of the model
        self._place = place_for_forks(forks, self._modules, self._optimizers)
        # each of several to choose from has its own, of which one is that of those that take the steps
        self._choice = {name: Steering([one], names, multiplier=multiplier) for name, one in choice.items()}
        self._steerings = list(self._choice.values()) or [
            Steering(self._optimizers, names, multiplier=multiplier)
        ]
        self._steering = self._steerings[0]

    @property
    def said(self) -> tuple[str, ...]:
        """What was chosen, in sentences."""
        return (self._place.said,) if self._place.said else ()

    # -- Forkable

    def capture(self, fork: str) -> None:
        snapshot = self._forks.setdefault(fork, Snapshot(host=self._place.host))
        snapshot.capture(self._modules, self._optimizers, self._extras, self._streams)
        self._unmet[fork] = self._pending

    def restore(self, fork: str) -> None:
        self._forks[fork].restore()
        self._pending = self._unmet[fork]

    def apply(self, values: Values, meter: Meter) -> None:
        self._values = values
        self._passes = {}
        if not meter.order:
            self._order = None
        if self._choice:
            self._steering = self._choice[str(values[OPTIMIZER])]
        self._steering.apply(values, meter)

    def reorder(self, seed: int, *names: int) -> None:
        if self._ranks.world == 1:
            self._order = stream(seed, "order", *names)
            reseed(self._streams, self._order)
            return
        # Streams that the ranks have alike may share out the data, those that differ may draw it: both stay so.
        own = archive.digest([state_of(each) for each in self._streams])
        told = self._ranks.each(
            "asks what comes next", lambda: (own, archive.digest(StreamStates([]).export()))
        )
        whose = [() if len(set(digests)) == 1 else (self._ranks.rank,) for digests in zip(*told, strict=True)]
        self._order = stream(seed, "order", *names, *whose[0])
        reseed(self._streams, self._order, stream(seed, "order", *names, "global", *whose[1]))

    def pool(self, name: str, count: int) -> None:
        if count == 1:
            self._pools[name] = Mean()
        self._pools[name].add(averaged_tensors(self._modules, self._optimizers))

    def average(self, name: str) -> None:
        self._pools.pop(name).put(averaged_tensors(self._modules, self._optimizers))

    def close(self) -> None:
        self._stop_counting()  # an interrupt may have come before that was done
        for steering in self._steerings:
            steering.close()
        self._forks.clear()
        self._unmet.clear()
        self._pools.clear()
        self._tapes.clear()

    # -- Storable

    def save(self, fork: str, path: Path) -> str:
        """See `Storable`. Raises NotRestorable where the fork holds what a file cannot, naming it."""
        rank = self._ranks.rank

        def write(**more: Any) -> str:
            loaders = [met.export(self._forks[fork], self._tapes.get(key)) for key, met in self._met.items()]
            tree = {"fork": self._exported(fork), "loaders": [*loaders, *self._unmet[fork]], **more}
            return archive.write(beside(path, rank), tree)

        if self._ranks.world == 1:
            return write()
        # rank 0's file has the checksums of the others, and so vouches for them
        _, *others = self._ranks.each("writes a checkpoint", lambda: write() if rank else "")
        return self._ranks.agree("writes a checkpoint", lambda: write(ranks=others))

    def load(self, path: Path, checksum: str) -> None:
        """See `Storable`. Raises InvalidArgument, naming the first difference, where the model, the optimizer or what
        was handed in as state is not made as it was when the file was written; nothing has moved then.

        Loaders are known again when they are met, by the order in which that happened and by what they are."""
        rank = self._ranks.rank
        first: list[Saved] = []

        def checksums() -> list[str]:
            first.append(_read(path, checksum))
            others: list[str] = list(first[0].get("ranks", []))
            if len(others) + 1 != self._ranks.world:
                raise InvalidArgument(
                    f"{path.name} was written by {len(others) + 1} processes, and {self._ranks.world} read it; go on "
                    "with as many"
                )
            return others

        def adopt() -> None:
            first.append(_read(beside(path, rank), others[rank - 1]) if rank else first.pop())
            given = self._streams[: self._given]
            adopted.append(
                Snapshot.adopted(first[0]["fork"], self._modules, self._optimizers, self._extras, given)
            )

        adopted: list[Snapshot] = []
        others = self._ranks.agree("reads a checkpoint", checksums)
        self._ranks.each("reads a checkpoint", adopt)
        saved = first[0]
        adopted[0].restore()
        self._order = None
        self._pending = tuple(sorted(saved["loaders"], key=lambda loader: loader["number"]))
        for met in self._met.values():
            found, self._pending = _claimed(met, self._pending)
            if found is not None:
                for stream_, state in zip(met.streams, found["streams"], strict=True):
                    set_state(stream_, state)

    def structure(self) -> dict[str, str]:
        """See `Storable`. Raises NotRestorable where a parameter is yet to be made."""
        others = [type(item).__qualname__ for item in (*self._extras, *self._streams[: self._given])]
        said = {
            "model": "; ".join(map(_model_in_words, self._modules)),
            "optimizer": "; ".join(map(_optimizer_in_words, self._optimizers)),
        }
        return said | ({"state": ", ".join(others)} if others else {})

    def digest(self, fork: str) -> str:
        """See `Storable`. The global random streams are left out, and those of loaders, which are met later."""
        saved = self._exported(fork)
        tables = ("tensors", "streams")  # where things were, and streams
        content = {name: part for name, part in saved.items() if name not in tables}
        own = archive.digest({**content, "own streams": saved["streams"]["own"]})
        digests = self._ranks.each("writes a checkpoint", lambda: own)
        return own if len(digests) == 1 else archive.digest(digests)

    def weights_digest(self) -> str:
        """A checksum of the parameters alone, which processes that train one model have alike; but for those that
        are spread over them."""
        settle(self._modules)
        parameters = [p for module in self._modules for p in module.parameters() if not is_spread(p)]
        return archive.digest([p.detach() for p in parameters])

    def own(self, names: Sequence[str]) -> Values:
        """The values the optimizers came with, of those of `names` that they have; of several to choose from the
        first one's."""
        return self.alternatives(names)[0].own if self._choice else self._steering.own(names)

    rate_is_own = True  # the user chose the rate that the optimizer comes with

    def known(self) -> Known:
        """What a prior on the learning rate asks of it; of several optimizers to choose from, with the first."""
        return self._known_with(self._steering.optimizers)

    def alternatives(self, names: Sequence[str]) -> tuple[Alternative, ...]:
        """The optimizers to choose from, with what each came with of `names`; none where there is one."""
        return tuple(
            Alternative({**steering.own(names), OPTIMIZER: name}, self._known_with(steering.optimizers))
            for name, steering in self._choice.items()
        )

    def _known_with(self, optimizers: Sequence[Optimizer]) -> Known:
        return known_of(self._modules, optimizers, is_own=self.rate_is_own)

    @property
    def base_schedule(self) -> ScheduleName:
        """ "constant" for an optimizer that averages by itself and so wants no decay, else "linear"; of several to
        choose from where they all do."""
        averaging = (all if self._choice else any)(map(has_mode, self._optimizers))
        return "constant" if averaging else "linear"

    # -- several nets

    averages_probabilities = True  # of what several nets say; else the numbers themselves

    def several(
        self, new_model: NewModel | None, directory: Path | None, *, probabilities: bool | None = None
    ) -> None:
        """Let there be several nets. new_model: makes another of the same kind, with initial weights drawn from
        torch's random stream; None: all begin with the same. directory: where their weights are kept; None: a
        temporary one. probabilities: what they give are scores of classes (`ensemble.average`)."""
        others = [module for module in self._modules[1:] if any(True for _ in module.parameters())]
        if new_model is not None and others:
            raise InvalidArgument(
                f"new_model= makes one module, and {1 + len(others)} take part in this training: the others would "
                "go on from another net's weights. Leave it out; the nets differ by the order of their data then"
            )
        self._new_model, self._directory = new_model, directory
        if probabilities is not None:
            self.averages_probabilities = probabilities

    @property
    def kept(self) -> Nets:
        if self._nets is None:
            self._nets = Nets(self._directory)
        return self._nets

    def renew(self, seed: int, net: int) -> None:
        """See `Joinable`. Random streams are where they were."""
        if self._new_model is None:
            return
        before = StreamStates([], cuda=True)
        try:
            reseed((), stream(seed, "net", net))
            self._net.load_state_dict(self._new_model().state_dict())
        finally:
            before.restore()

    def join(self, net: int) -> str | None:
        """See `Joinable`."""
        with evaluating(self._net, optimizers=self._optimizers):  # the weights that are meant to be used
            return self.kept.keep(net, self._net.state_dict())

    def rejoin(self, net: int, checksum: str) -> bool:
        """See `Joinable`."""
        return self.kept.find(net, checksum)

    def ask(self, nets: Sequence[int]) -> None:
        """See `Joinable`."""
        self._asked = self.ensemble(nets) if nets else None

    def ensemble(self, nets: Sequence[int]) -> Ensemble:
        """Of nets that were kept."""
        return self.kept.ensemble(self._net, nets, classify=self.averages_probabilities)

    def forget_others(self, nets: Collection[int], known: Collection[int]) -> None:
        """Remove the files of all nets but these. known: those that other processes kept."""
        if known or self._nets is not None:
            self.kept.remove_others(nets, known)

    def forget_nets(self) -> None:
        """What was kept of them for this process alone; after `close`, since an ensemble may be made in between."""
        if self._nets is not None:
            self._nets.close()
            self._nets = None

    @property
    def _net(self) -> nn.Module:
        return unwrapped(self._modules[0])

    # -- what a loop body calls, through `Run`

    def batches(
        self,
        loader: Loader | LoaderFactory,
        epoch: int,
        meter: Meter,
        examples: Callable[[Any], int] = examples_in,
    ) -> Iterator[Any]:
        """The batches of this run, counted; ends early when the rollout diverges or may use no more."""
        loader = self._loader_for(loader)
        again = restorable(loader, trusted=self._extras)
        refuse_endless(loader, length_of(loader))
        passes = meter.length.passes
        # A loader drawn onto a tape is drawn ahead only where its length must be known: in a plain loop its
        # draws and the training's alternate.
        known = again or passes is None or meter.shape != FLAT
        with of_the_loader(meter):
            plain = (
                self._of_all(partial(self._epoch_of, loader, again, epoch, examples))
                if known
                else Epoch(0, 0)
            )
        if known and not plain.batches:
            raise empty_loader(loader)
        # An epoch is as long as the loop body goes; how long it may be, only the loader says.
        leaving = meter.leaving(len(meter.calls))
        epoch_batches = min(leaving, plain.batches) or plain.batches
        if passes is None:
            planned = meter.length.batches(epoch_batches)
            passes = math.ceil(planned / plain.batches)
        else:
            planned = passes * plain.batches  # 0 where it is not known
        call = Call(planned)
        meter.calls.append(call)
        horizon = min(planned, leaving) or planned  # where the shape ends
        # a list's batches come again as they are; a loop that spoils them does so in its first pass
        watched = isinstance(loader, (list, tuple)) and id(loader) not in self._passed
        done = idle = 0  # idle: batches without a step
        nth = self._nth_pass(loader)
        trained = meter.trained
        try:
            for ahead in range(passes):
                if meter.ended:
                    break
                # after a whole pass the loader comes to its own end, which may draw random numbers
                whole = not known or planned - done >= plain.batches
                source = (
                    in_order(loader, meter.order, epoch + ahead, nth)
                    if again
                    else self._tape_for(loader).play(epoch + ahead, nth, meter.order, fresh=meter.fresh)
                )
                started = done
                for batch, size in self._paid(source, examples, meter):
                    meter.trained += size
                    meter.batches += 1
                    if known:
                        self._steering.bend(meter.shape((done + 0.5) / horizon))
                    done += 1
                    call.batches = done
                    before = versions(batch) if watched else None
                    steps = meter.steps
                    idle += 1
                    yield batch
                    idle -= meter.steps > steps
                    if watched and versions(batch) != before:
                        raise NotRestorable(
                            "the loop changed a batch of the list in place, so no other run would see it as it was; "
                            "work on a copy (x = x * 2 instead of x *= 2), or give a DataLoader"
                        )
                    if meter.diverged or (done == planned and not whole):
                        break
                if done == started and not meter.ended:
                    raise empty_loader(loader)
                if whole:
                    self._passed.add(id(loader))
        except GeneratorExit:  # the loop body goes on without the rest
            if not meter.ended:  # else it raised
                if (
                    idle == 1 and meter.steps == steps and done > 1
                ):  # it has drawn one to see that it had enough
                    done, call.batches = done - 1, done - 1
                    meter.trained, meter.batches = meter.trained - size, meter.batches - 1
                call.left = 0 < done < planned
            if known:
                of_epoch = done if call.left else leaving
                self._count_epoch(meter, plain, epoch_batches, of_epoch, done, meter.trained - trained)
            raise
        if known and done > leaving:  # to the end, whatever was believed
            self._count_epoch(meter, plain, plain.batches, 0, done, meter.trained - trained)
        elif known:
            self._count_epoch(meter, plain, epoch_batches, leaving, done, meter.trained - trained)
        elif not meter.ended:
            meter.epoch_batches += done // passes
            meter.epoch_examples += (meter.trained - trained) // passes
        if not meter.diverged and self._steering.diverged_at_last():
            meter.diverged = True
            meter.note = "the gradient was not finite near the end of the rollout"
        if not meter.told:
            self._share(meter)

    @staticmethod
    def _count_epoch(meter: Meter, plain: Epoch, batches: int, leaving: int, done: int, seen: int) -> None:
        """What an epoch has, told by so many batches of it and their examples. batches: along which the rate went.
        leaving: after which the loop body leaves it; 0: it does not."""
        meter.epoch_batches += batches
        examples, of = (seen, done) if leaving and done else (plain.examples(done, seen), plain.batches)
        meter.epoch_examples += round(examples * (min(leaving, plain.batches) or of) / of)

    def _paid(
        self, source: Iterable[Any], examples: Callable[[Any], int], meter: Meter
    ) -> Iterator[tuple[Any, int]]:
        """The batches of a pass, as far as every rank has one and the allowance goes, each with the number of its
        examples, those of all ranks together."""
        for batch in drawn(source, meter):
            size, evaluated, ready = self._share(meter, examples(batch), ready=True)
            if not ready:
                return
            if units(meter.trained, evaluated) + size > meter.allowance:
                meter.cut = True
                meter.note = "the budget was spent before the rollout had ended"
                return
            yield batch, size
        self._share(meter)

    def _share(
        self, meter: Meter, size: int = 0, *, ready: bool = False, patience: float | None = None
    ) -> tuple[int, int, bool]:
        """What all ranks know before a batch: the examples in it, those evaluated so far, and whether all have one.
        Where the run is over for one of them it is for all."""
        world = self._ranks.world
        if world == 1:
            return size, meter.evaluated, ready
        there, total, evaluated, diverged, infeasible = self._ranks.sum(
            "takes a batch",
            *(ready, size, meter.evaluated, meter.diverged, meter.infeasible),
            patience=patience,
        )
        if diverged or infeasible:
            meter.told = True
            if not meter.ended:
                meter.note = f"of {world} ranks " + (
                    f"{infeasible:.0f} had no memory left"
                    if infeasible
                    else f"{diverged:.0f} had a gradient that was not finite"
                )
            meter.diverged |= diverged > 0
            meter.infeasible |= infeasible > 0
        elif 0 < there < world:
            self._say_uneven()
        return int(total), int(evaluated), there == world and not meter.told

    def _of_all(self, measure: Callable[[], Epoch]) -> Epoch:
        """The epoch of all ranks together, which ends with the shortest."""
        epochs = self._ranks.each("begins to pass over a loader", measure)
        batches = min(epoch.batches for epoch in epochs)
        if any(epoch.batches > batches for epoch in epochs):
            self._say_uneven()
        return Epoch(
            batches,
            sum(epoch.first(batches) for epoch in epochs),
            None if any(epoch.size is None for epoch in epochs) else sum(epoch.size or 0 for epoch in epochs),
        )

    def _say_uneven(self) -> None:
        if not self._uneven:
            self._uneven = True
            warnings.warn(
                "the ranks have not the same number of batches: an epoch ends with the shortest. A "
                "DistributedSampler gives all as many",
                stacklevel=5,
            )

    @contextmanager
    def attempting(self, meter: Meter) -> Iterator[None]:
        """Within, out of memory makes the rollout infeasible, where a batch size is searched that can be lowered.

        Elsewhere it goes through, with advice: nothing that is searched would help, and the run can be gone on with
        once there is memory again. Any other error goes through as it is.
        """
        try:
            yield
        except Exception as error:
            if error is meter.foreign or not out_of_memory(error):
                raise
            if not self._searches_batch_size:
                meter.foreign = error
                error.add_note("Lower the batch size, or have it searched: batch_size=8,16,32")
                raise
            meter.infeasible = True
            meter.note = give_up(error, self._optimizers)
            try:
                self._share(meter, patience=PATIENCE)
            except TimeoutError:
                meter.foreign = error
                error.add_note(
                    "Other ranks have memory left, and wait in the midst of a step, so that the run must end. It has "
                    "noted that this batch size does not fit: the same call goes on without it"
                )
                raise error from None

    def end_run(self, meter: Meter, error: Exception) -> None:
        """A candidate has raised, and `meter` says that it diverged: what the step held is freed, and all ranks end
        this run.

        Raises the error where the others wait in the midst of a step."""
        let_go(error, self._optimizers)
        alone = False
        try:
            self._share(meter, patience=PATIENCE)
        except (TimeoutError, RankFailed):
            alone = True
        if alone:
            error.add_note(
                "It was raised on this rank alone, and the others wait in the midst of a step, so that the run must "
                "end"
            )
            raise error

    def forget_before(self, epoch: int) -> None:
        """The course has passed this point: drop the batches kept for rollouts before it."""
        for tape in self._tapes.values():
            tape.forget_before(epoch)

    def measure(
        self, function: Callable[[], Mapping[str, Any]], meter: Meter, examples: int | None = None
    ) -> Metrics:
        """Call `function` with the modules in eval mode and without gradients; modes are put back.

        The examples it passes through the models are counted unless the caller says how many they are.
        """
        modules = [unwrapped(module) for module in self._modules]
        counts = [0] * len(modules)

        def count(index: int) -> Callable[..., None]:
            def before_forward(module: nn.Module, args: Any, kwargs: Any) -> None:
                counts[index] += examples_in_call(args, kwargs)

            return before_forward

        try:
            for index, model in enumerate(modules if examples is None else []):
                self._counters.append(model.register_forward_pre_hook(count(index), with_kwargs=True))
            with evaluating(*self._modules, optimizers=self._optimizers), self._answering():
                metrics = function()
        finally:
            self._stop_counting()
        if not isinstance(metrics, Mapping):
            raise InvalidArgument(
                f"the function given to run.evaluate returned {type(metrics).__name__}; return metrics by name, "
                'such as {"accuracy": 0.9, "loss": 0.3}'
            )
        if examples is None and not max(counts):
            warnings.warn(
                "run.evaluate saw no example go through the model, so this evaluation is not in the cost; pass "
                "examples= to count it",
                stacklevel=3,
            )
        passes = 1 if self._asked is None else len(self._asked.members)
        meter.evaluated += passes * (max(counts) if examples is None else examples)
        return {name: plain_number(name, value) for name, value in metrics.items()}

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Within, the model says what the nets that are asked say together."""
        if self._asked is None:
            yield
            return
        net = self._net
        net.forward = self._asked.forward
        try:
            yield
        finally:
            del net.forward

    def refuse_changed(self) -> None:
        """Raises ConflictingControl where a value that was set does not stand any more."""
        self._steering.refuse_changed()

    # -- inside

    def _stop_counting(self) -> None:
        for hook in self._counters:
            hook.remove()
        self._counters.clear()

    def _exported(self, fork: str) -> dict[str, Any]:
        return self._forks[fork].export(self._streams[: self._given])

    def _refuse_nothing_to_train(self) -> None:
        modules = any(True for module in self._modules for _ in module.parameters())
        if not modules and not any(group["params"] for o in self._optimizers for group in o.param_groups):
            raise InvalidArgument(
                f"there is nothing to train: neither the model ({type(self._modules[0]).__name__}) nor the optimizer "
                "has a parameter"
            )

    def _refuse_unseen_schedulers(self, multiplier: bool) -> None:
        """In multiplier mode a scheduler stays, so forks must put it back, so it must be handed in."""
        known = any(isinstance(extra, LRScheduler) for extra in self._extras)
        if (
            multiplier
            and not known
            and any(hasattr(o.step, "_wrapped_by_lr_sched") for o in self._optimizers)
        ):
            raise NotRestorable(
                "a learning-rate scheduler is attached to the optimizer; hand it in as state=[scheduler], so that "
                "a rollout does not move it"
            )

    def _sort_in(self, item: Any, *, multiplier: bool) -> None:
        if isinstance(item, LRScheduler) and not multiplier:
            raise ConflictingControl(
                f"a {type(item).__name__} sets the learning rate, and so does gammatune: leave it out, or pass "
                "multiplier=True so that gammatune scales what it sets"
            )
        if isinstance(item, nn.Module):
            self._modules.append(item)
        elif isinstance(item, Optimizer):
            raise InvalidArgument(
                f"a {type(item).__name__} optimizer was handed in as state: give it as optimizer=[...]"
            )
        elif isinstance(item, Stream):
            self._streams.append(item)
        elif hasattr(item, "state_dict") and hasattr(item, "load_state_dict"):
            self._extras.append(item)
        else:
            raise NotRestorable(
                f"state=[{type(item).__name__}]: the object has no state_dict and load_state_dict, so a fork "
                "cannot put it back; give it both, or leave it out if it does not change while training"
            )

    def _loader_for(self, loader: Loader | LoaderFactory) -> Loader:
        is_function = callable(loader) and not hasattr(loader, "__iter__")
        if self._searches_batch_size:
            if not is_function or not _takes(loader, 1):
                raise InvalidArgument(
                    "batch_size is searched, so run.batches needs a function of the batch size that makes a loader, "
                    f"not {named(loader)}{'()' if is_function else ''}"
                )
            size = self._values[BATCH_SIZE]
            assert isinstance(size, int)
            return self._loader_of(loader, size)
        if is_function:
            loader = self._passes_of(loader)
        refuse_no_loader(loader, "what run.batches was given")
        self._meet(loader, None, None)  # type: ignore[arg-type]
        return loader  # type: ignore[return-value]

    def _passes_of(self, function: Any) -> Loader:
        """The loader that a generator function is; the same one for the same function."""
        if not _takes(function, 0):
            raise InvalidArgument(
                f"run.batches was given a function with parameters, {named(function)}{_parameters(function)}: one of "
                "the batch size is for searching that (add batch_size to the space), one without parameters gives "
                "the batches of an epoch; or give the loader itself"
            )
        # found by equality: a method is a new object each time it is looked up
        for known in self._functions:
            if known.function == function:
                return known
        self._functions.append(Passes(function))
        self._refuse_too_many(len(self._functions))
        return self._functions[-1]

    def _loader_of(self, factory: Any, size: int) -> Loader:
        """A factory's loader of one batch size; at the first call also those that another process had made of it,
        since they may share a generator."""
        number = self._factories.setdefault(id(factory), len(self._factories))
        sizes = [saved["size"] for saved in self._pending if saved["factory"] == number]
        for each in (*sizes, size):
            if (id(factory), each) not in self._loaders:
                made = factory(each)
                refuse_no_loader(made, f"{named(factory)}({each}), given to run.batches,")
                self._loaders[id(factory), each] = made
            self._meet(self._loaders[id(factory), each], number, each)
        return self._loaders[id(factory), size]

    def _epoch_of(self, loader: Any, again: bool, epoch: int, examples: Callable[[Any], int]) -> Epoch:
        return epoch_of(loader, examples) if again else self._tape_for(loader).measure(epoch, examples)

    def _tape_for(self, loader: Loader) -> Tape:
        if id(loader) not in self._tapes:
            self._tapes[id(loader)] = Tape(loader, self._tape_bytes, self._met[id(loader)].recipe)
            self._refuse_too_many(len(self._tapes))
        return self._tapes[id(loader)]

    def _nth_pass(self, loader: Loader) -> int:
        self._passes[id(loader)] = self._passes.get(id(loader), -1) + 1
        return self._passes[id(loader)]

    def _refuse_too_many(self, count: int) -> None:
        if count > MANY:
            raise NotRestorable(
                f"run.batches has been given {count} different loaders: one seems to be made anew in every run, so "
                "that runs cannot be given the same batches; make it once, before the loop"
            )

    def _meet(self, loader: Loader, factory: int | None, size: int | None) -> None:
        """A loader's own generators belong to every fork, those captured before it was met included."""
        new = [found for found in streams_of(loader) if not any(found is known for known in self._streams)]
        met = self._met.get(id(loader))
        here: Saved | None = None
        there: dict[str, Saved | None] = {}
        if met is None:
            if not new and restorable(loader, trusted=self._extras):
                return  # nothing of its own to keep
            met = self._met[id(loader)] = _Met(loader, factory, size)
            here, self._pending = _claimed(met, self._pending)
            for fork, unmet in self._unmet.items():
                there[fork], self._unmet[fork] = _claimed(met, unmet)
            self._number(met, here)
        for found in new:
            self._streams.append(found)
            self._refuse_too_many(len(self._streams))
            for fork, snapshot in self._forks.items():
                snapshot.add_stream(found, met.state_in(there.get(fork), found))
            if (state := met.state_in(here, found)) is not None:
                set_state(found, state)
            if self._order is not None:  # the run began before its loader was met
                start_anew(found, self._order)

    def _number(self, met: "_Met", saved: Saved | None) -> None:
        """The place of a loader that was just met: the one it had in another process, or the next."""
        if saved is not None:
            met.number, met.recipe = saved["number"], saved["tape"]
            return
        numbers = [one["number"] for one in self._pending] + [one.number for one in self._met.values()]
        met.number = 1 + max(numbers)
        if any((one["factory"], one["size"]) == (met.factory, met.size) for one in self._pending):
            known = "; ".join(one["what"] for one in self._pending)
            warnings.warn(
                f"a loader ({met.what}) is none of those that the checkpoint knows and this process has not met yet "
                f"({known}), so its random order begins anew",
                stacklevel=6,
            )


class _Met:
    """A loader that was met, and what of it goes into a file.

    number: in the order of meeting, over all processes of a run. factory, size: where a factory made it.
    recipe: what another process had drawn from it (`Tape.export`).
    """

    def __init__(self, loader: Loader, factory: int | None, size: int | None) -> None:
        self.loader = loader  # kept alive, since it is known by its identity
        self.factory, self.size = factory, size
        self.what = described(loader)
        self.number = -1
        self.recipe: Saved | None = None

    @property
    def streams(self) -> list[Stream]:
        """The generators in it, in an order that is the same in every process."""
        return streams_of(self.loader)

    def state_in(self, saved: Saved | None, found: Stream) -> Any:
        """What a file says of one of its streams."""
        if saved is None:
            return None
        return next(s for own, s in zip(self.streams, saved["streams"], strict=True) if own is found)

    def export(self, fork: Snapshot, tape: Tape | None) -> dict[str, Any]:
        streams = [found for found in self.streams if fork.knows(found)]  # not those made since it was met
        return {
            "number": self.number,
            "factory": self.factory,
            "size": self.size,
            "what": self.what,
            "kinds": [kind_of(stream_) for stream_ in streams],
            "streams": [fork.state_of(stream_) for stream_ in streams],
            "tape": self.recipe if tape is None else tape.export(),
        }


def _claimed(met: _Met, unmet: tuple[Saved, ...]) -> tuple[Saved | None, tuple[Saved, ...]]:
    """What is said of a loader among those not met, and the others. Raises InvalidArgument where it has changed."""
    for index, saved in enumerate(unmet):
        if (saved["factory"], saved["size"], saved["what"]) == (met.factory, met.size, met.what):
            kinds = [kind_of(stream_) for stream_ in met.streams]
            if saved["kinds"] != kinds:
                raise InvalidArgument(
                    f"a loader ({met.what}) has {len(kinds)} random generators of its own here and had "
                    f"{len(saved['kinds'])}, or others, when the checkpoint was written; make them together with it"
                )
            return saved, unmet[:index] + unmet[index + 1 :]
    return None, unmet


def _read(path: Path, checksum: str) -> Saved:
    saved = archive.read(path, checksum)
    if not isinstance(saved, dict) or not {"fork", "loaders"} <= saved.keys():
        raise DamagedCheckpoint(f"{path.name} is a file of gammatune and holds no fork of a training")
    return saved


def unwrapped(module: nn.Module) -> nn.Module:
    """What DistributedDataParallel wraps: an evaluation may do without the wrapper, which waits for other ranks."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def lr_of(optimizer: Optimizer | Sequence[Optimizer]) -> float:
    """The absolute learning rate a search starts around: the first group's that is above 0."""
    for one in _listed(optimizer, Optimizer, "optimizer"):
        for group in one.param_groups:
            if (lr := rate_of(group, one)) > 0:
                return lr
    raise InvalidArgument("no parameter group has a learning rate above 0: set one on the optimizer")


def _model_in_words(model: nn.Module) -> str:
    """ "Net: 12 tensors, 12,345 numbers, 3fa9c1"; the last from names, shapes, dtypes and classes."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for _, tensor in tensors:
        refuse_without_numbers(tensor)
    distinct = {id(tensor): tensor.numel() for _, tensor in tensors}
    parts = [(name, type(part).__qualname__) for name, part in model.named_modules(remove_duplicate=False)]
    described = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in tensors]
    short = hashlib.sha256(repr((parts, described)).encode()).hexdigest()[:6]
    return f"{type(model).__name__}: {len(distinct)} tensors, {sum(distinct.values()):,} numbers, {short}"


def _optimizer_in_words(optimizer: Optimizer) -> str:
    groups = len(optimizer.param_groups)
    parameters = sum(len(group["params"]) for group in optimizer.param_groups)
    return (
        f"{type(optimizer).__name__}: {groups} group{'' if groups == 1 else 's'}, "
        f"{parameters} parameter{'' if parameters == 1 else 's'}"
    )


def _takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many things; where that cannot be told it is believed."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C
        return True
    return True


def _parameters(function: Any) -> str:
    return str(inspect.signature(function))


def _listed(given: Any, kind: type, name: str) -> list[Any]:
    items = [given] if isinstance(given, kind) else list(given) if isinstance(given, (list, tuple)) else []
    if not items or not all(isinstance(item, kind) for item in items):
        wrong = next((item for item in items if not isinstance(item, kind)), given)
        what = wrong.__name__ if isinstance(wrong, type) else type(wrong).__name__
        raise InvalidArgument(
            f"{name}= takes a {kind.__module__}.{kind.__name__} or a list of them, not "
            + (
                f"the class {what}; make one of it"
                if isinstance(wrong, type)
                else f"{what}{_instead(wrong, name)}"
            )
        )
    return items


def _instead(given: Any, name: str) -> str:
    """Where a thing belongs that was given as the optimizer or the model."""
    if isinstance(given, LRScheduler):
        return ": a scheduler is handed in as state=[scheduler], with multiplier=True"
    if isinstance(given, (nn.Module, Optimizer)):
        return f": give it as {'model' if isinstance(given, nn.Module) else 'optimizer'}="
    if hasattr(given, "state_dict"):  # a GradScaler
        return ": what else changes while training is handed in as state=[...]"
    return ""


def refuse_prepared(*given: Any) -> None:
    """Raises InvalidArgument at what accelerate has prepared: its Accelerator decides whether a step is one, by
    counters that no fork knows of, so that a trial would move the accumulation of the training itself."""
    for item in given:
        if getattr(item, "_is_accelerate_prepared", False):
            raise InvalidArgument(
                f"a {type(item).__name__} was prepared by accelerate, which decides by counters of its own when a "
                "step is one, so that a trial cannot be taken back. Hand over model, optimizer, loader and scheduler "
                "as they were before accelerator.prepare, write loss.backward() for accelerator.backward(loss), and "
                "step in every k-th batch where gradients are accumulated"
            )
