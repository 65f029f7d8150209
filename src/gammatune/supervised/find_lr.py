"""`find_lr`: a learning rate for a training of your own, after which everything stands where it stood before."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.utils.data import DataLoader, Dataset

from gammatune.engine.batches import LossFunction, Passes, epochs_told, length_of, streams_of
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.process_group import ranks_of
from gammatune.errors import InvalidArgument, InvalidData, whole
from gammatune.policy.finding import Finding
from gammatune.supervised.arguments import AnyOptimizer, Arguments, Training
from gammatune.supervised.dry_run import read_once
from gammatune.supervised.found_rate import FoundRate
from gammatune.supervised.loaders import VALIDATION, Examples, count
from gammatune.supervised.setup import Setup, seeded
from gammatune.tuning.options import Running, Search, positive
from gammatune.tuning.tuner import Tuner

# Batches of a loader that are scored on where no others are given, at most: a pass over them costs a third of
# training on them (guess).
SCORED = 32


def find_lr(
    model: nn.Module,
    optimizer: AnyOptimizer,
    loader: Examples,
    loss: LossFunction | None = None,
    *,
    steps: int,
    cost: float = 0.5,
    val_loader: Examples | None = None,
    seed: int = 0,
    training: Training | None = None,
    running: Running | None = None,
) -> FoundRate:
    """A learning rate for a training of `steps` steps, found by the looks with which `fit` begins.

    Afterwards model, optimizer, random streams, samplers and loss stand where they stood before, to the bit on a CPU;
    the rate is yours to set. It is the peak of a schedule with a short warm-up that ends at zero.

    model: on the device on which it is to be trained. optimizer: yours, or a name or a function of the parameters as
    in `fit`. Of several groups the first whose rate is above 0 is searched, the others keep their ratio to it. The
    rate that yours comes with stays unless another is likely to be better; twelve decades about it are searched, and
    by name from 1e-6 to 10.
    loader: what it will be trained on: a DataLoader, a list of batches, a Dataset or a pair of arrays, batches taken
    apart as by `fit`. A loader that can be read only once is refused, since nothing puts its batches back.
    loss: (output, target) -> mean loss; None: by the targets, or what the model gives itself.
    steps: optimizer steps of the training that the rate is for, a batch each, 1 or more. Up to 100 no look costs less
    than it tells, and the rate goes by other trainings alone.
    cost: the most that finding it may take, as a share of that training with a pass over `val_loader` each epoch;
    looks and their scores count. At 0.5 the looks are those of `fit` with its default budget. What does not pay for
    three looks of 20 steps pays for none: the rate goes by other trainings then, as it does of most short trainings
    at 0.1 (`docs/site/find-lr.md` has the errors of both). FoundRate.cost is what it took.
    val_loader: what looks are scored on. None: of a set a fifth that is kept aside; of a loader up to 32 of its own
    batches, a fifth at most, which looks may have seen.
    seed: fixes the random streams while looks are made, as in `fit`. training, running: its other options, of which
    `task`, the two weights, `collate`, `batch_size` (of sets), `state`, `forks` and `tape_bytes` count.

    Raises InvalidArgument, InvalidData, ModelMismatch, ConflictingControl or NotRestorable before any training;
    AllDiverged where no rate that was looked at gives a finite loss.
    """
    finding = Finding(whole(steps, "steps", least=1), positive(cost, "cost"))
    _refuse(model, optimizer, loader)
    said: list[str] = []
    with _put_back(loader, val_loader), ExitStack() as opened:
        named = model, optimizer, _ending(loader, finding.steps), loss, val_loader, seed
        given = _arguments(*named, training or Training(), running or Running(), said)
        ready = Setup.of(given.checked(), said)
        built = opened.enter_context(closing(ready.build()))
        opened.enter_context(seeded(given.seed, 0))
        said += built.said
        search = Search(policy=finding, objective=ready.goal.objective, space=ready.searched.space)
        most = 1 + finding.cost  # the policy has a budget of its own, and never comes near this one
        tuner = Tuner(training=built, epochs=finding.steps, budget=most, seed=given.seed, search=search)
        with tuner:
            for run in tuner:
                run.drive()
        said += [verdict.reason for verdict in tuner.result.verdicts]
    return FoundRate.of(finding, tuple(said))


def _arguments(
    model: nn.Module,
    optimizer: AnyOptimizer,
    loader: Examples,
    loss: LossFunction | None,
    val_loader: Examples | None,
    seed: int,
    training: Training,
    running: Running,
    said: list[str],
) -> Arguments:
    """What `fit` would be asked. The model stays on its device."""
    if val_loader is None and not isinstance(loader, (Dataset, tuple)):
        val_loader = _some_of(loader, said)
    parameter = next(model.parameters(), None)
    given = Arguments(
        *(model, loader, val_loader, None, 1, None, None, None, loss, optimizer, seed, None),
        *(training, Search(), replace(running, ranks=ranks_of("off"))),
    )
    return given if parameter is None else given.with_training(device=parameter.device)


def _ending(loader: Any, steps: int) -> Any:
    """A loader that does not say how long it is ends after so many batches, as the training does."""
    is_endless = not isinstance(loader, (Dataset, tuple)) and length_of(loader) is None
    return Passes(lambda: islice(iter(loader), steps)) if is_endless else loader


def _some_of(loader: Any, said: list[str]) -> list[Any]:
    """Batches of a loader to score by."""
    most = SCORED
    if (length := length_of(loader)) is not None:
        most = min(SCORED, max(1, round(VALIDATION * length)))
    found = list(islice(iter(loader), most))
    if not found:
        raise InvalidData("loader gave no batch: give at least one example")
    said.append(
        f"Looks are scored on {len(found)} batches of the loader they train on; val_loader= gives others."
    )
    return found


def _refuse(model: nn.Module, optimizer: Any, loader: Any) -> None:
    if isinstance(optimizer, str) and optimizer == "auto":
        raise InvalidArgument("optimizer='auto' chooses between several: name the one that the rate is for")
    if ranks_of(None).world > 1:
        raise InvalidArgument(
            "find_lr looks in one process, and torch.distributed runs several: call it before the process group is "
            "made, or let gammatune.fit search with all of them"
        )
    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        raise InvalidArgument(
            "the model has parameters without a shape yet, which a look would make for good: pass one batch through "
            "it first"
        )
    if not isinstance(loader, tuple) and hasattr(loader, "__iter__") and read_once(loader):
        raise InvalidArgument(
            f"loader is a {type(loader).__name__}, which can be read only once, so that the batches of a look "
            "would be gone: give a list or a DataLoader, or train with gammatune.Tuner, which keeps what it draws"
        )


@contextmanager
def _put_back(*loaders: Any) -> Iterator[None]:
    """Streams, samplers and loaders that have a state stand afterwards where they stood."""
    held = [loader for loader in loaders if loader is not None]
    # the streams of a set are found in a loader of it
    sets = [DataLoader(each) if count(each) else each for each in held]
    streams = StreamStates([found for each in sets for found in streams_of(each)], cuda=True)
    stateful = [each for each in held if hasattr(each, "state_dict") and hasattr(each, "load_state_dict")]
    states = [each.state_dict() for each in stateful]
    with ExitStack() as told:
        for each in held:
            told.enter_context(epochs_told(each))
        try:
            yield
        finally:
            for each, state in zip(stateful, states, strict=True):
                each.load_state_dict(state)
            streams.restore()
