"""What `gammatune train` trains: data read and split, a net that fits it, and how long it is trained.

Every choice that nobody made is made here by a rule of `gammatune.supervised.defaults` and said.
"""

import copy
import math
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.data import SPREADSHEETS, load
from gammatune.pipeline.data.columns import kinds_asked
from gammatune.pipeline.data.dataset import look_like_labels
from gammatune.pipeline.data.reading import is_table
from gammatune.pipeline.data.split import Split, split_data
from gammatune.pipeline.data.table import load_table, load_test, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.models import embeds_categories
from gammatune.pipeline.options import Asked
from gammatune.pipeline.start import Beginning, beginning
from gammatune.pipeline.threads import suitable_threads
from gammatune.seeds import stream
from gammatune.supervised.defaults import LEAST_EXAMPLES, epochs_for, kept_for_after, model_for, patience_for
from gammatune.supervised.loaders import batch_size_for
from gammatune.supervised.pretrained import freeze
from gammatune.tuning.tuner import default_budget

FEW_STEPS = 5  # that an estimate is made of
SLACK = 0.8  # of the time allowed is planned for: machines get slower, and a start costs [guess]
FOR_TABLES = ("target", "positive", "exact_labels", "group", "time_column", "test", "drop", "column")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """net: for the examples of split. model: its name, as `make_model` takes it. weights: what it began with, for the
    journal. another: makes a net like it, with initial weights drawn from torch's random stream; None where it began
    with weights. batch_size: the one asked for, or by rule. patience: epochs, or None. said: what was chosen, in
    sentences.
    """

    split: Split
    net: nn.Module
    another: Callable[[], nn.Module] | None
    model: str
    weights: str | None
    is_table: bool
    batch_size: int
    epochs: int
    patience: int | None
    said: tuple[str, ...]


def prepare(asked: Asked) -> Prepared:
    """Raises InvalidArgument, InvalidData, ModelMismatch and MissingExtra, all before any training."""
    said: list[str] = []
    table = is_table(asked.data)
    if (
        not table
        and not _is_spreadsheet(asked.data)
        and (wrong := [name for name in FOR_TABLES if getattr(asked, name)])
    ):
        raise InvalidArgument(
            f"--{wrong[0].replace('_', '-')} goes with a table (a file ending in .csv or .parquet), "
            f"and {asked.data} is "
            "none"
        )
    if table and asked.image_size is not None:
        raise InvalidArgument("--image-size goes with images, and this is a table; leave it out")
    model = asked.model
    begun = None if table and model == "auto" else beginning(model, asked.weights)
    if table:
        split = _split_table(asked, begun, said)
    else:
        like = begun.like if begun is not None else None
        if isinstance(like, TablePreprocessing):
            raise InvalidArgument(f"{model} was trained on a table, and {asked.data} is none")
        split = _split_arrays(asked, like, said)
    accelerated = torch.cuda.is_available() and (asked.device or "cuda").startswith("cuda")
    if model == "auto":
        model = model_for(split.shape, len(split.train.x), table=table, accelerated=accelerated)
        said.append(f"The net is {model}, by the data.")
        begun = beginning(model, asked.weights)
    assert begun is not None
    net = begun.network(split.preprocessing, asked.seed, said)
    if begun.is_pretrained and asked.ensemble:
        raise InvalidArgument(
            "--ensemble trains nets from initial weights of their own, and this one is gone on with; leave it out"
        )
    another = None if begun.is_pretrained else partial(_another, begun, split)
    if asked.freeze:
        freeze(net, *asked.freeze)
    size = batch_size_for(TensorDataset(*split.train), asked.batch_size, [])
    torch.set_num_threads(asked.threads or suitable_threads(net, split.shape, asked.batch_size or 32))
    epochs = asked.usual if asked.epochs is None else asked.epochs
    if epochs is None:
        epochs = epochs_for(split.shape, len(split.train.x), size, table=table)
        said.append(_length_in_words(asked, epochs))
        if asked.time is not None:
            epochs = _within(asked, epochs, net, split, size, said)
    patience = asked.patience
    if patience is None and asked.policy == "lookahead" and asked.epochs is None:
        patience = patience_for(epochs)
    return Prepared(
        split,
        net,
        another,
        begun.model,
        begun.fact if begun.is_pretrained else None,
        table,
        size,
        epochs,
        patience or None,
        tuple(dict.fromkeys([*split.said, *said])),
    )


def _another(begun: Beginning, split: Split) -> nn.Module:
    """A net like the first."""
    return begun.network(split.preprocessing, int(torch.randint(2**31, ())), [])


def estimate(prepared: Prepared, asked: Asked) -> Mapping[str, float]:
    """What the job costs, without doing it: seconds_per_epoch, measured in a few steps on a copy of the net, and
    seconds for all of it."""
    per_epoch = _seconds_per_epoch(prepared.net, prepared.split, prepared.batch_size, asked.device)
    budget = _budget(asked)
    return {
        "parameters": sum(p.numel() for p in prepared.net.parameters()),
        "batch_size": prepared.batch_size,
        "seconds_per_epoch": per_epoch,
        "budget": budget,
        "seconds": per_epoch * prepared.epochs * budget,
    }


def _is_spreadsheet(data: str) -> bool:
    return data.lower().endswith(SPREADSHEETS)  # which has advice of its own


# Data -----------------------------------------------------------------------------------------------------


def _split_arrays(asked: Asked, like: Any, said: list[str]) -> Split:
    loaded = load(asked.data, task=asked.task, size=asked.image_size, said=said)  # type: ignore[arg-type]
    if asked.task is None and look_like_labels(loaded):
        said.append(
            "The targets are a few whole numbers written as decimals, and are read as a regression; --task "
            "classification reads them as classes."
        )
    parts = (loaded.y_train, loaded.y_select, loaded.y_test)
    count = sum(len(part) for part in parts if part is not None)
    _refuse_too_few(asked.data, "example", count, count)
    return split_data(loaded, seed=asked.seed, limit=asked.limit, validation=asked.validation, like=like)


def _split_table(asked: Asked, begun: Any, said: list[str]) -> Split:
    if begun is not None and begun.like is not None:
        raise InvalidArgument(
            f"--model {asked.model}: going on from an earlier run is for images and arrays; train on "
            f"a table from scratch"
        )
    kinds = kinds_asked(asked.column or (), asked.drop or ())
    options: dict[str, Any] = {
        "task": asked.task, "kinds": kinds, "group": asked.group, "time": asked.time_column,
        "positive": asked.positive, "exact_labels": asked.exact_labels,
    }  # fmt: skip
    table = load_table(asked.data, asked.target, **options)
    test = None
    if asked.test is not None:
        if not is_table(asked.test):
            raise InvalidArgument(f"--test {asked.test}: give a table, as the data is")
        test = load_test(asked.test, table)
    left_out = [*table.left_out, *(() if test is None else test.left_out)]
    read, used = (sum(sizes) for sizes in zip(*((t.read, len(t.y)) for t in (table, test) if t), strict=True))
    _refuse_too_few(
        asked.data, "row", read, used, left_out, f"fill in {table.target} where it is missing, or "
    )
    knows_codes = asked.model == "auto" or embeds_categories(asked.model)
    return split_table(
        table,
        seed=asked.seed,
        limit=asked.limit,
        validation=asked.validation,
        test=test,
        one_hot=not knows_codes,
    )


def _refuse_too_few(
    data: str, what: str, read: int, used: int, left_out: Sequence[str] = (), instead: str = ""
) -> None:
    """Raise InvalidData where the rows that can be used are too few to be shared out. left_out: why others cannot."""
    if used >= LEAST_EXAMPLES:
        return
    why = f" ({' '.join(left_out).removesuffix('.')})" if left_out else ""
    many = f"{read} {what}{'' if read == 1 else 's'}"
    raise InvalidData(
        f"{data}: {many} were read and {'all' if used == read else used} can be used{why}, too few to train on some, "
        f"to select by others and to judge by the rest; {instead if left_out else ''}give {LEAST_EXAMPLES} or more"
    )


def _length_in_words(asked: Asked, epochs: int) -> str:
    if not asked.is_open:
        return f"The training is {epochs} epochs long, by the number of examples."
    if asked.total_epochs is not None:
        return f"All of it together may take {asked.total_epochs:g} epochs."
    return (
        f"A training of so many examples usually has {epochs} epochs; all of it together may take "
        f"{_budget(asked):g} times that, as one net or as several."
    )


# Time -----------------------------------------------------------------------------------------------------


def _budget(asked: Asked) -> float:
    return default_budget(asked.policy) if asked.budget is None else asked.budget


def _within(asked: Asked, epochs: int, net: nn.Module, split: Split, size: int, said: list[str]) -> int:
    """As many epochs as the time allows."""
    assert asked.time is not None
    per_epoch = _seconds_per_epoch(net, split, size, asked.device)
    budget = _budget(asked)
    judged = asked.compare and is_table(asked.data)
    learning = asked.time - kept_for_after(asked.time, judged=judged)
    possible = math.floor(SLACK * learning / (per_epoch * budget))
    if possible < 1:
        raise InvalidArgument(
            f"one epoch takes about {per_epoch:.3g} s, and with the search {per_epoch * budget:.3g} "
            f"s: more than the time "
            f"allows ({asked.time:g} s); give more, or fewer examples with --limit"
        )
    if possible < epochs:
        said.append(f"The time allows {possible} of these epochs, at {per_epoch:.2g} s each.")
    return min(epochs, possible)


def _seconds_per_epoch(net: nn.Module, split: Split, size: int, device: str | None) -> float:
    """A few steps on a copy, forward, backward and AdamW; the fastest, times the steps of an epoch, a third more for
    the look at the examples to select by."""
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    trial = copy.deepcopy(net).to(place).train()
    parameters = [p for p in trial.parameters() if p.requires_grad]
    stepper = torch.optim.AdamW(parameters, lr=1e-6)
    x, y = (part[:size].to(place) for part in split.train)
    loss_of = nn.functional.cross_entropy if split.task == "classification" else nn.functional.mse_loss
    times = []
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(int(stream(0, "estimate").integers(2**31)))
        for _ in range(FEW_STEPS):
            started = clock.perf_counter()
            stepper.zero_grad()
            loss_of(trial(x), y).backward()
            stepper.step()
            if place.type == "cuda":
                torch.cuda.synchronize(place)
            times.append(clock.perf_counter() - started)
    steps = math.ceil(len(split.train.x) / size)
    forward = len(split.select.x) / len(split.train.x) / 3
    return min(times[1:]) * steps * (1 + forward)
