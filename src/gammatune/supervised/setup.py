"""All that `fit` makes before it trains: examples, task, goal, what is searched, and the training of them."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import UninitializedParameter
from torch.utils.data import Dataset

from gammatune.engine.batches import Loader, LoaderFactory, LossFunction
from gammatune.engine.forks.sharding import is_spread
from gammatune.engine.forks.streams import StreamStates
from gammatune.engine.forks.tensors import refuse_without_numbers
from gammatune.engine.ranks import Ranks
from gammatune.errors import InvalidArgument
from gammatune.journal.writer import Echo, Journal
from gammatune.seeds import stream
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.choice import Searched
from gammatune.supervised.dry_run import Task, rehearse
from gammatune.supervised.goal import Goal
from gammatune.supervised.loaders import count, digest
from gammatune.supervised.pretrained import has_frozen
from gammatune.supervised.sets import Sets
from gammatune.supervised.training import Supervised


@dataclass(frozen=True, slots=True)
class Setup:
    """given: with what was found where nothing was said. model: as it is trained, wrapped where several processes do.
    batches: to train on."""

    given: Arguments
    device: torch.device
    sets: Sets
    task: Task
    goal: Goal
    searched: Searched
    batches: Loader | LoaderFactory
    model: nn.Module

    @classmethod
    def of(cls, given: Arguments, said: list[str]) -> "Setup":
        """Raises InvalidArgument, InvalidSpace, InvalidData or ModelMismatch, and nothing was trained."""
        device = device_of(given.training.device)
        sets = Sets.of(given, said)
        _move(given.model, given.loss_fn, device)
        asked, parts = given.training.task, sets.parts(given)
        task = rehearse(given.model, parts, given.loss_fn, device, weighted=sets.weighted, task=asked)
        goal = Goal.of(given, sets, task, device, said)
        if given.training.pretrained is None and has_frozen(given.model):
            given = given.with_training(pretrained=True)
        searched = Searched.of(given, said)
        batches = sets.batches(given, said)
        model = _wrapped(given.model, given.ranks, device)
        if model is not given.model:
            said.append(
                f"{given.ranks.world} processes train the model together, each on its share of the examples."
            )
        return cls(given, device, sets, task, goal, searched, batches, model)

    @property
    def build(self) -> Callable[[], Supervised]:
        """Makes the training, in a worker of its own too."""
        given, task, goal = self.given, self.task, self.goal
        return partial(
            Supervised,
            self.model,
            self.searched.optimizer,
            self.searched.space.names,
            train=self.batches,
            select=self.sets.select,
            loss=goal.loss,
            reading=task.reading,
            comparable=task.comparable,
            device=self.device,
            state=given.running.state,
            forks=given.running.forks,
            tape_bytes=given.running.tape_bytes,
            steps=given.steps,
            select_loss=goal.select_loss,
            metric=goal.metric,
            scale=goal.scale,
            ranks=given.ranks,
            rate_is_own=given.training.lr is not None or not isinstance(given.optimizer, str),
            single=task.single,
            form=task.form,
            ordered=given.training.ordinal,
        )

    def facts(
        self, journal: Journal | Echo | None, said: Sequence[str], *, own_weights: bool
    ) -> dict[str, Any]:
        """For the first line of the journal. own_weights: each of several nets has initial weights of its own."""
        given, sets = self.given, self.sets
        named, weights = given.optimizer, given.training.class_weights
        return {
            "model": type(given.model).__name__,
            "parameters": sum(p.numel() for p in given.model.parameters()),
            "optimizer": named if isinstance(named, str) else type(self.searched.optimizers[0]).__name__,
            "batch_size": sets.size if isinstance(sets.train, Dataset) else None,
            "train": count(sets.train),
            "data_digest": None if journal is None else digest([sets.train, sets.val]),
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "metric": self.goal.metric,
            "own_weights": own_weights,
            "class_weights": weights
            if weights is None or isinstance(weights, str)
            else np.asarray(weights).tolist(),
            "ordinal": given.training.ordinal,
            "task": self.task.reading.task if self.task.comparable else None,
            **(given.running.facts or {}),
            "said": [*(given.running.facts or {}).get("said", ()), *said],
        }


def device_of(given: str | torch.device | None) -> torch.device:
    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=given).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = str(error).splitlines()[0]
        raise InvalidArgument(
            f"device={given!r} cannot be used ({first_line:.60}); write cpu, cuda, cuda:1 or mps"
        ) from error


def _move(model: nn.Module, loss_fn: LossFunction | None, device: torch.device) -> None:
    for parameter in model.parameters():
        # those without a shape yet are made by the first batch that is tried
        if not isinstance(parameter, UninitializedParameter):
            refuse_without_numbers(parameter)
    model.to(device)
    if isinstance(loss_fn, nn.Module):
        loss_fn.to(device)


def _wrapped(model: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """The model with its gradients exchanged between the processes that train it."""
    if ranks.world == 1:
        return model
    if isinstance(model, DistributedDataParallel) or any(map(is_spread, model.parameters())):
        raise InvalidArgument(
            f"fit wraps the model itself where several processes train it, and was given a {type(model).__name__}: "
            "give it as it was before, or write the loop yourself with gammatune.Tuner"
        )
    # whoever was refused before has hung up, which the wrapper, on a line of the group's, would not notice
    ranks.sum("begins the run")
    places = None if device.type == "cpu" else [device]
    return DistributedDataParallel(model, device_ids=places, process_group=getattr(ranks, "group", None))


@contextmanager
def seeded(seed: int, rank: int) -> Iterator[None]:
    """The global streams set by the seed, those of each process to others, and put back to where they were."""
    before = StreamStates([], cuda=True)
    numbers = stream(seed, "training", *([rank] if rank else [])).integers(2**31, size=3).tolist()
    try:
        random.seed(numbers[0])
        np.random.seed(numbers[1])  # noqa: NPY002 - the user's data sets may draw from it
        torch.manual_seed(numbers[2])
        yield
    finally:
        before.restore()
