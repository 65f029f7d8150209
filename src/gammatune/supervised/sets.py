"""The examples that a `fit` trains on, selects by and reports on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.utils.data import Dataset, TensorDataset

from gammatune.engine.batches import Loader, LoaderFactory, length_of
from gammatune.errors import InvalidArgument
from gammatune.policy.registry import chosen_by_name
from gammatune.space import BATCH_SIZE
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.defaults import epochs_for
from gammatune.supervised.loaders import (
    as_set,
    batch_size_for,
    count,
    forward_loader,
    hold_out,
    leaves_one,
    training_loader,
)
from gammatune.supervised.sample_weights import by_set, counting_alike
from gammatune.tuning.arguments import total_of


@dataclass(frozen=True, slots=True)
class Sets:
    """train, val: sets, or loaders. select: batches of those to select by; reported: of those to report on, the same
    where no others were given. size: examples of a batch. dtype: what floats are, the model's own. weighted: some
    examples come with weights, as a third part."""

    train: Any
    val: Any
    select: Loader
    reported: Loader
    size: int
    dtype: torch.dtype
    weighted: bool

    @classmethod
    def of(cls, given: Arguments, said: list[str]) -> "Sets":
        parameters = given.model.parameters()
        dtype = next((p.dtype for p in parameters if p.is_floating_point()), torch.get_default_dtype())
        there = {"train_set": given.train_set, "val_set": given.val_set, "test_set": given.test_set}
        names = [name for name, held in there.items() if held is not None]
        weights = by_set(given.training.sample_weight, names, said)
        parts = {
            name: None if held is None else as_set(held, name, dtype, weights.get(name))
            for name, held in there.items()
        }
        if weights:
            parts |= {name: counting_alike(parts[name]) for name in names if name not in weights}
        _refuse_unheard(given, parts)
        train, val, test = parts.values()
        if val is None:
            train, val = hold_out(train, given.seed, said)
            val = as_set(val, "val_set", dtype, bool(weights) or None)
        told = [] if _is_size_searched(given) else said
        size = batch_size_for(train, given.training.batch_size, told, given.ranks.world)
        select = forward_loader(val, size, given.training.collate, given.ranks)
        reported = select if test is None else forward_loader(test, size, given.training.collate, given.ranks)
        return cls(train, val, select, reported, size, dtype, bool(weights))

    def parts(self, given: Arguments) -> Mapping[str, Loader]:
        """Each once, by the name of its argument."""
        parts = {
            "train_set": training_loader(self.train, self.size, given.training.collate),
            "val_set": self.select,
        }
        return parts if given.test_set is None else parts | {"test_set": self.reported}

    def batches(self, given: Arguments, said: list[str]) -> Loader | LoaderFactory:
        """To train on; where a batch size is searched, by that."""
        if not _is_size_searched(given):
            if leaves_one(self.train, self.size, given.ranks.world):
                said.append("The last batch of an epoch would hold one example, and is left out.")
            return training_loader(self.train, self.size, given.training.collate, given.ranks, given.seed)
        if not isinstance(self.train, Dataset):
            raise InvalidArgument(
                "batch_size is searched, so train_set must be a set or arrays, not a loader"
            )
        said.append("A last batch of an epoch that would hold one example is left out.")
        return partial(
            training_loader, self.train, collate=given.training.collate, ranks=given.ranks, seed=given.seed
        )

    @property
    def usual_epochs(self) -> int | None:
        """How long a training of them usually is; None where nobody can tell."""
        examples = count(self.train)
        if examples is None and (batches := length_of(self.train)) is not None:
            examples = batches * self.size
        if examples is None:
            return None
        # of one input, where that is a tensor in a set; else nothing is known of it
        first = self.train.tensors[0] if isinstance(self.train, TensorDataset) else None
        shape = () if first is None else tuple(first.shape[1:])
        return epochs_for(shape, examples, self.size, table=False)


def _refuse_unheard(given: Arguments, parts: Mapping[str, Any]) -> None:
    """Raises InvalidArgument at what makes batches, where none are made."""
    training, train = given.training, parts["train_set"]
    if training.batch_size is not None and not isinstance(train, Dataset):
        raise InvalidArgument(
            f"batch_size={training.batch_size!r} is for sets and arrays, and train_set is a {type(train).__name__}, "
            "whose batches are as large as it makes them; leave it out"
        )
    if training.collate is not None and not any(isinstance(part, Dataset) for part in parts.values()):
        raise InvalidArgument(
            f"collate= is for sets and arrays, and train_set is a {type(train).__name__}, which makes its own "
            "batches; give that the function (of a DataLoader collate_fn=)"
        )


def _is_size_searched(given: Arguments) -> bool:
    space = given.space
    return space is not None and BATCH_SIZE in space.names


def with_length(given: Arguments, sets: Sets, said: list[str]) -> Arguments:
    """With the usual length of a training, and what all may take together, where no length was given and one can be
    chosen; the time alone may limit it."""
    if (
        given.epochs is not None
        or given.steps is not None
        or not chosen_by_name(given.search.policy).chooses_length
        or given.search.guide is not None
    ):
        return given
    guide, total, budget = sets.usual_epochs, given.search.total_epochs, given.budget
    if total is not None or given.time is not None or guide is None:
        if budget is not None and total is not None:
            raise InvalidArgument(
                f"budget={budget!r} is a multiple of a plain run, whose length is left open here; total_epochs= says "
                "it all"
            )
    else:
        total = total_of(budget, guide)
        said.append(
            f"A training of these data usually has {guide} epochs, by the number of examples; all together may take "
            f"{total / guide:g} times that."
        )
    return replace(given, budget=None).with_search(guide=guide, total_epochs=total)
