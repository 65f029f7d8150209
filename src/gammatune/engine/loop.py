"""A PyTorch training whose loop belongs to the user: gammatune goes back in time and sets values in it."""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gammatune.cost import Meter
from gammatune.engine.batches import TAPE_BYTES, Loader, LoaderFactory, examples_in
from gammatune.engine.counting import ForwardCounts
from gammatune.engine.device_memory import give_up, let_go, out_of_memory, place_for_forks
from gammatune.engine.forks import archive
from gammatune.engine.forks.averaging import Mean, averaged_tensors
from gammatune.engine.forks.sharding import is_spread, settle
from gammatune.engine.forks.snapshot import Snapshot
from gammatune.engine.forks.streams import StreamStates, reseed, state_of
from gammatune.engine.hyperparameters import Hyperparameters
from gammatune.engine.known import known_of
from gammatune.engine.loaders import Loaders, Saved
from gammatune.engine.lockstep import Lockstep
from gammatune.engine.modes import evaluating, has_mode
from gammatune.engine.nets import SeveralNets, unwrapped
from gammatune.engine.own_schedule import OwnSchedule
from gammatune.engine.parts import Parts, lr_of
from gammatune.engine.prepared import refuse_without_accelerator
from gammatune.engine.ranks import PATIENCE, SINGLE, Ranks, beside
from gammatune.engine.run_passes import batches_of
from gammatune.engine.trainable import Roots, Where
from gammatune.errors import DamagedCheckpoint, InvalidArgument, RankFailed
from gammatune.metrics.objectives import plain_number
from gammatune.records import Alternative, Known, Metrics, StepCount, Values
from gammatune.schedules import ScheduleName
from gammatune.seeds import stream
from gammatune.space import BATCH_SIZE, OPTIMIZER

__all__ = ["TorchLoop", "lr_of", "refuse_without_accelerator", "unwrapped"]


class TorchLoop(SeveralNets):
    """A `Storable` over modules, optimizers and whatever else takes part.

    model, optimizer: one or several; or a mapping of names to optimizers of the same parameters, of which the value
    "optimizer" says which takes the steps of a run.
    state: anything else that changes while training and must go back with it: a GradScaler, an EMA copy, an LR
    scheduler (with multiplier=True), generators, any object with state_dict and load_state_dict.
    names: the hyperparameters that will be searched.
    forks: where the copies of weights, buffers and optimizer state are held, "device" beside them, "host" in the
    CPU's memory, pinned where there is CUDA, or "disk" in temporary files; going back is slower then. "auto": the
    first of these with room for them (`device_memory.place_for_forks`), and `said` says so.
    course: how long it is, as far as anybody knows: in epochs of the loader, or in steps of the optimizer, in which
    runs are counted then.
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
        course: int | StepCount | None = None,
        ranks: Ranks = SINGLE,
    ) -> None:
        self.steps = course if isinstance(course, StepCount) else None
        self._parts = parts = Parts(model, optimizer, state, multiplier=multiplier)
        super().__init__(parts.modules, parts.optimizers)
        self._ranks = ranks
        self._lockstep = Lockstep(ranks)
        self._streams = [*parts.streams]  # and those of loaders, which are met on the way
        self._forks: dict[str, Snapshot] = {}
        self._at: str | None = None  # the fork at which the training stands, as far as that is known
        self._loaders = Loaders(
            self._streams, self._forks, parts.extras, tape_bytes, in_steps=self.steps is not None
        )
        self._searches_batch_size = BATCH_SIZE in names
        self._pools: dict[str, Mean] = {}
        self._counts = ForwardCounts(parts.models, parts.modules, parts.extras)
        self._values: Values = {}
        self._place = place_for_forks(forks, self._modules, self._optimizers)
        # each of several to choose from has its own, of which one is that of those that take the steps
        self._choice = {
            name: Hyperparameters([one], names, multiplier=multiplier) for name, one in parts.choice.items()
        }
        own = OwnSchedule(parts.schedulers, self._optimizers, course) if multiplier else None
        self._all_hyperparameters = list(self._choice.values()) or [
            Hyperparameters(self._optimizers, names, multiplier=multiplier, own=own)
        ]
        self._hyperparameters = self._all_hyperparameters[0]

    @property
    def said(self) -> tuple[str, ...]:
        """What was chosen, in sentences."""
        return (self._place.said,) if self._place.said else ()

    # -- Forkable

    def capture(self, fork: str) -> None:
        snapshot = self._forks.setdefault(fork, Snapshot(self._place.where))
        spent = set().union(*(each.gradients.ids for each in self._all_hyperparameters))
        snapshot.capture(self._modules, self._optimizers, self._parts.extras, self._streams, spent)
        self._loaders.captured(fork)
        self._at = fork

    def restore(self, fork: str) -> None:
        self._at = None  # an interrupt may leave half of it done
        self._forks[fork].restore()
        self._loaders.restored(fork)
        self._at = fork

    def forget(self, fork: str) -> None:
        """See `Frees`."""
        del self._forks[fork]
        self._loaders.forget(fork)

    def apply(self, values: Values, meter: Meter) -> None:
        self._at = None
        self._values = values
        self._loaders.begin_run(meter)
        if self._choice:
            self._hyperparameters = self._choice[str(values[OPTIMIZER])]
        self._hyperparameters.gradients.begin_run()
        self._hyperparameters.apply(values, meter)

    def reorder(self, seed: int, *names: int) -> None:
        self._at = None
        if self._ranks.world == 1:
            self._loaders.order = stream(seed, "order", *names)
            reseed(self._streams, self._loaders.order)
            return
        # Streams that the ranks have alike may share out the data, those that differ may draw it: both stay so.
        own = archive.digest([state_of(each) for each in self._streams])
        told = self._ranks.each(
            "asks what comes next", lambda: (own, archive.digest(StreamStates([]).export()))
        )
        whose = [() if len(set(digests)) == 1 else (self._ranks.rank,) for digests in zip(*told, strict=True)]
        self._loaders.order = stream(seed, "order", *names, *whose[0])
        reseed(self._streams, self._loaders.order, stream(seed, "order", *names, "global", *whose[1]))

    def renew(self, seed: int, net: int) -> None:
        self._at = None
        super().renew(seed, net)

    def join(self, net: int) -> str | None:
        self._at = None  # an optimizer that holds two sets of weights goes from one to the other and back
        return super().join(net)

    def pool(self, name: str, count: int) -> None:
        if count == 1:
            self._pools[name] = Mean()
        self._pools[name].add(averaged_tensors(self._modules, self._optimizers))

    def average(self, name: str) -> None:
        self._at = None
        self._pools.pop(name).put(averaged_tensors(self._modules, self._optimizers))

    def close(self) -> None:
        self._counts.stop()  # an interrupt may have come before that was done
        for each in self._all_hyperparameters:
            each.close()
        self._forks.clear()
        self._pools.clear()
        self._loaders.close()

    # -- Storable

    def save(self, fork: str, path: Path) -> str:
        """See `Storable`. Raises NotRestorable where the fork holds what a file cannot, naming it."""
        rank = self._ranks.rank

        def write(**more: Any) -> str:
            tree = {"fork": self._exported(fork), "loaders": self._loaders.export(fork), **more}
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
            parts = self._parts
            adopted.append(
                Snapshot.adopted(
                    first[0]["fork"], parts.modules, parts.optimizers, parts.extras, parts.streams
                )
            )

        adopted: list[Snapshot] = []
        others = self._ranks.agree("reads a checkpoint", checksums)
        self._ranks.each("reads a checkpoint", adopt)
        self._at = None
        adopted[0].restore()
        self._loaders.adopt(first[0]["loaders"])

    def structure(self) -> dict[str, str]:
        """See `Storable`. Raises NotRestorable where a parameter is yet to be made."""
        return self._parts.structure()

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
        return self.alternatives(names)[0].own if self._choice else self._hyperparameters.own(names)

    def roots(self) -> Roots:
        """See `Reachable`."""
        parts = self._parts
        loaders = {f"loader {number}": met for number, met in enumerate(self._loaders.met, start=1)}
        return Roots(parts.modules, parts.optimizers, [*parts.extras, *parts.streams], loaders)

    rate_is_own = True  # the user chose the rate that the optimizer comes with

    def known(self) -> Known:
        """What a prior on the learning rate asks of it; of several optimizers to choose from, with the first."""
        return self._known_with(self._hyperparameters.optimizers)

    def alternatives(self, names: Sequence[str]) -> tuple[Alternative, ...]:
        """The optimizers to choose from, with what each came with of `names`; none where there is one."""
        return tuple(
            Alternative({**each.own(names), OPTIMIZER: name}, self._known_with(each.optimizers))
            for name, each in self._choice.items()
        )

    def _known_with(self, optimizers: Sequence[Optimizer]) -> Known:
        return known_of(self._modules, optimizers, is_own=self.rate_is_own)

    @property
    def base_schedule(self) -> ScheduleName:
        """ "constant" for an optimizer that averages by itself and so wants no decay, else "linear"; of several to
        choose from where they all do."""
        averaging = (all if self._choice else any)(map(has_mode, self._optimizers))
        return "constant" if averaging else "linear"

    # -- what a loop body calls, through `Run`

    def batches(
        self,
        loader: Loader | LoaderFactory,
        epoch: int,
        meter: Meter,
        examples: Callable[[Any], int] = examples_in,
    ) -> Iterator[Any]:
        """The batches of this run, counted; ends early when the rollout diverges or may use no more."""
        given = self._batches(loader, epoch, meter, examples)
        meter.held.append(given)
        return given

    def _batches(
        self, loader: Loader | LoaderFactory, epoch: int, meter: Meter, examples: Callable[[Any], int]
    ) -> Generator[Any, None, None]:
        size = self._values[BATCH_SIZE] if self._searches_batch_size else None
        assert size is None or isinstance(size, int)
        met = self._loaders.loader_for(loader, size)
        yield from batches_of(
            *(met, epoch, meter, examples),
            extras=self._parts.extras,
            steps=self.steps,
            loaders=self._loaders,
            lockstep=self._lockstep,
            hyperparameters=self._hyperparameters,
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
                self._lockstep.share(meter, patience=PATIENCE)
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
            self._lockstep.share(meter, patience=PATIENCE)
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
        self._loaders.forget_before(epoch)

    def measure(
        self, function: Callable[[], Mapping[str, Any]], meter: Meter, examples: int | None = None
    ) -> Metrics:
        """Call `function` with the modules in eval mode and without gradients; modes are put back.

        The examples it passes through the models are counted unless the caller says how many they are.
        """
        counts = self._counts
        counts.begin()
        with (
            counts.counting() if examples is None else nullcontext(),
            evaluating(*self._modules, optimizers=self._optimizers),
            self._answering() as nets,
        ):
            metrics = function()
        if not isinstance(metrics, Mapping):
            raise InvalidArgument(
                f"the function given to run.evaluate returned {type(metrics).__name__}; return metrics by name, "
                'such as {"accuracy": 0.9, "loss": 0.3}'
            )
        if examples is None and not counts.examples:
            warnings.warn(
                "run.evaluate saw no example go through the model, so this evaluation is not in the cost; pass "
                "examples= to count it",
                stacklevel=3,
            )
        meter.evaluated += nets * (counts.examples if examples is None else examples)
        return {name: plain_number(name, value) for name, value in metrics.items()}

    def refuse_changed(self) -> None:
        """Raises ConflictingControl where a value that was set does not stand any more."""
        self._hyperparameters.refuse_changed()

    # -- inside

    def _exported(self, fork: str) -> dict[str, Any]:
        return self._forks[fork].export(self._parts.streams, stands=self._at == fork)


def _read(path: Path, checksum: str) -> Saved:
    saved = archive.read(path, checksum)
    if not isinstance(saved, dict) or not {"fork", "loaders"} <= saved.keys():
        raise DamagedCheckpoint(f"{path.name} is a file of gammatune and holds no fork of a training")
    return saved
