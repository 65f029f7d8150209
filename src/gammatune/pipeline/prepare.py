"""What `gammatune train` trains: data read and split, a net that fits it, and how long it is trained.

Every choice that nobody made is made here by a rule of `gammatune.supervised.defaults` and said.
"""

import copy
import math
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils.data import TensorDataset

from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.columns_file import read_columns
from gammatune.pipeline.data import DATA_SETS, NUMBERS, load
from gammatune.pipeline.data.columns import kinds_given
from gammatune.pipeline.data.dataset import look_like_labels
from gammatune.pipeline.data.files.dialect import HowToRead
from gammatune.pipeline.data.files.finding import holds_table
from gammatune.pipeline.data.files.kinds import SHOWN
from gammatune.pipeline.data.folder import ImageOptions
from gammatune.pipeline.data.frames import NAME as FRAME
from gammatune.pipeline.data.sheet import sheet_of
from gammatune.pipeline.data.split import Split, split_data
from gammatune.pipeline.data.table import as_test, load_table, load_test, make_table, split_table
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.models import embeds_categories
from gammatune.pipeline.options import Options, flag
from gammatune.pipeline.start import Beginning, beginning
from gammatune.pipeline.threads import busy, suitable_threads
from gammatune.policy.registry import default_budget
from gammatune.seeds import stream
from gammatune.supervised.defaults import LEAST_EXAMPLES, epochs_for, kept_for_after, model_for, patience_for
from gammatune.supervised.loaders import batch_size_for
from gammatune.supervised.pretrained import freeze

# Tables in memory, as pandas has them, by the option that they are given as.
Frames: TypeAlias = Mapping[str, Any]

FEW_STEPS = 5  # that an estimate is made of
SLACK = 0.8  # of the time allowed is planned for: machines get slower, and a start costs [guess]
OF_READING = tuple(each.name for each in fields(HowToRead))
FOR_TABLES = (
    "only",
    "target",
    "positive",
    "order",
    "exact_labels",
    "group",
    "time_column",
    "sample_weight",
    "test",
    "drop",
    "column",
    "columns",
    "missing",  # said before the others of its kind
    *OF_READING,
)
# by options, those in columns.toml
USE_OF = {"target": "target", "group": "group", "sample_weight": "weight"}
FOR_IMAGES = ("image_size", "fit", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """net: for the examples of split. model: its name, as `make_model` takes it. weights: what it began with, for the
    journal. another: makes a net like it, with initial weights drawn from torch's random stream; None where it began
    with weights. batch_size: the one asked for, or by rule. epochs: 0 where no net is trained. patience: epochs, or
    None. said: what was chosen, in sentences.
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


def prepare(options: Options, frames: Frames | None = None) -> Prepared:
    """frames: where data or test are tables in memory.

    Raises InvalidArgument, InvalidData, ModelMismatch and MissingExtra, all before any training.
    """
    said = busy()
    frames = {} if frames is None else frames
    table = "data" in frames or holds_table(options.data)
    _refuse_of_another_kind(options, table=table)
    model = options.model
    begun = None if table and model == "auto" else beginning(model, options.weights)
    if table:
        split = _split_table(options, frames, begun)
    else:
        like = begun.like if begun is not None else None
        if isinstance(like, TablePreprocessing):
            raise InvalidArgument(f"{model} was trained on a table, and {options.data} is none")
        split = _split_arrays(options, like, said)
    accelerated = torch.cuda.is_available() and (options.device or "cuda").startswith("cuda")
    if model == "auto":
        model = model_for(split.shape, len(split.train.x), table=table, accelerated=accelerated)
        said.append(f"The net is {model}, by the data.")
        begun = beginning(model, options.weights)
    assert begun is not None
    net = begun.network(split.preprocessing, options.seed, said)
    if begun.is_pretrained and options.ensemble:
        raise InvalidArgument(
            "--ensemble trains nets from initial weights of their own, and this one is gone on with; leave it out"
        )
    another = None if begun.is_pretrained else partial(_another, begun, split)
    if options.freeze:
        freeze(net, *options.freeze)
    size = batch_size_for(TensorDataset(split.train.x, split.train.y), options.batch_size, [])
    if options.without_net:
        return Prepared(split, net, another, begun.model, None, table, size, 0, None, split.said)
    torch.set_num_threads(options.threads or suitable_threads(net, split.shape, options.batch_size or 32))
    epochs = options.usual if options.epochs is None else options.epochs
    if epochs is None:
        epochs = epochs_for(split.shape, len(split.train.x), size, table=table)
        said.append(_length_in_words(options, epochs))
        if options.time is not None:
            epochs = _within(options, epochs, net, split, size, said, judged=table)
    patience = options.patience
    if patience is None and options.is_open:
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


def _refuse_of_another_kind(options: Options, *, table: bool) -> None:
    """Options that go with other data than these."""
    of_labels = ("target", *OF_READING) if options.labels is not None else ()
    wrong = [name for name in FOR_TABLES if getattr(options, name) and name not in of_labels]
    # of what is not there the nearest name is said instead, later
    is_there = Path(options.data).exists() and Path(options.data).suffix.lower() != NUMBERS
    if wrong and not table and (options.data in DATA_SETS or is_there):
        raise InvalidArgument(
            f"{flag(wrong[0])} goes with a table (a file that ends in {SHOWN}), and {options.data} is none"
        )
    if options.task == "ordinal" and not table:
        raise InvalidArgument(
            f"--task ordinal goes with a table, and {options.data} is none; say classification or regression"
        )
    of_images = [name for name in FOR_IMAGES if getattr(options, name) is not None]
    is_there = table or Path(options.data).exists() or options.data in DATA_SETS
    if of_images and is_there and not Path(options.data).is_dir():
        it_is = "this is a table" if table else f"{options.data} is none"
        raise InvalidArgument(f"{flag(of_images[0])} goes with a folder of images, and {it_is}; leave it out")


def _another(begun: Beginning, split: Split) -> nn.Module:
    """A net like the first."""
    return begun.network(split.preprocessing, int(torch.randint(2**31, ())), [])


def estimate(prepared: Prepared, options: Options) -> Mapping[str, float]:
    """What the job costs, without doing it: seconds_per_epoch, measured in a few steps on a copy of the net, and
    seconds for all of it."""
    per_epoch = _seconds_per_epoch(prepared.net, prepared.split, prepared.batch_size, options.device)
    budget = _budget(options)
    return {
        "parameters": sum(p.numel() for p in prepared.net.parameters()),
        "batch_size": prepared.batch_size,
        "seconds_per_epoch": per_epoch,
        "budget": budget,
        "seconds": per_epoch * prepared.epochs * budget,
    }


def _split_arrays(options: Options, like: Any, said: list[str]) -> Split:
    framing = like.framing if like is not None and len(like.shape) == 3 else None
    images = ImageOptions(
        options.image_size, options.fit, options.labels, options.target, how_of(options), framing
    )
    loaded = load(options.data, task=options.task, images=images, said=said)  # type: ignore[arg-type]
    if options.task is None and look_like_labels(loaded):
        said.append(
            "The targets are a few whole numbers written as decimals, and are read as a regression; --task "
            "classification reads them as classes."
        )
    parts = (loaded.y_train, loaded.y_select, loaded.y_test)
    count = sum(len(part) for part in parts if part is not None)
    _refuse_too_few(options.data, "example", count, count)
    return split_data(
        loaded, seed=options.seed, limit=options.limit, validation=options.validation, like=like
    )


def _split_table(options: Options, frames: Frames, begun: Any) -> Split:
    if begun is not None and begun.like is not None:
        raise InvalidArgument(
            f"--model {options.model}: going on from an earlier run is for images and arrays; train on a table from "
            "scratch"
        )
    options = with_uses(options)
    reading = reading_of(options)
    if "data" in frames:
        table = make_table(FRAME, frames["data"], options.target, **reading)
    else:
        table = load_table(options.data, options.target, **reading)
    test = None
    if "test" in frames:
        test = as_test(table, "test", frames["test"])
    elif options.test is not None:
        if not holds_table(options.test):
            raise InvalidArgument(f"--test {options.test}: give a table, as the data is")
        test = load_test(options.test, table)
    left_out = [*table.left_out, *(() if test is None else test.left_out)]
    read, used = (sum(sizes) for sizes in zip(*((t.read, len(t.y)) for t in (table, test) if t), strict=True))
    _refuse_too_few(
        options.data, "row", read, used, left_out, f"fill in {table.target} where it is missing, or "
    )
    knows_codes = options.model == "auto" or embeds_categories(options.model)
    split = split_table(
        table,
        seed=options.seed,
        limit=options.limit,
        validation=options.validation,
        test=test,
        one_hot=not knows_codes,
    )
    return replace(split, sheet=sheet_of(table))


def with_uses(options: Options) -> Options:
    """With the target, its task, the group and the weight that the file of --columns names, where none is given."""
    if options.columns is None:
        return options
    file = read_columns(options.columns)
    by_file = {option: file.uses.get(use) for option, use in USE_OF.items()}
    if options.time_column is not None:
        del by_file["group"]  # each says how the parts are made
    if options.target in (None, by_file["target"]):
        by_file["task"] = file.task
    known: dict[str, Any] = {n: value for n, value in by_file.items() if getattr(options, n) is None}
    asked = (options.target, options.group, options.sample_weight, *(options.drop or ()))
    of_inputs = {*kinds_given(options.column or (), ())} - {by_file["target"]}
    taken = {*asked, *of_inputs}  # as another thing
    return replace(options, **{option: name for option, name in known.items() if name not in taken})


def reading_of(options: Options) -> dict[str, Any]:
    """How a table is read, as `make_table` takes it."""
    file = {} if options.columns is None else read_columns(options.columns).given
    kinds = {**file, **kinds_given(options.column or (), options.drop or ())}
    return {
        "task": options.task, "order": options.order, "group": options.group, "time": options.time_column,
        "kinds": kinds, "sample_weight": options.sample_weight, "positive": options.positive,
        "exact_labels": options.exact_labels, "how": how_of(options),
    }  # fmt: skip


def how_of(options: Options) -> HowToRead:
    """What was asked of the reading of files: by options, else by the file of --columns."""
    wanted = {name: getattr(options, name) for name in OF_READING}
    codes = (text.strip() for text in (options.missing or "").split(","))
    wanted["missing"] = tuple(code for code in codes if code)
    file = {} if options.columns is None else read_columns(options.columns).how
    return HowToRead(**wanted | {name: value for name, value in file.items() if wanted[name] in (None, ())})


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


def _length_in_words(options: Options, epochs: int) -> str:
    if not options.is_open:
        return f"The training is {epochs} epochs long, by the number of examples."
    if options.total_epochs is not None:
        return f"All of it together may take {options.total_epochs:g} epochs."
    return (
        f"A training of so many examples usually has {epochs} epochs; all of it together may take "
        f"{_budget(options):g} times that, as one net or as several."
    )


def _budget(options: Options) -> float:
    return default_budget(options.policy) if options.budget is None else options.budget


def _within(
    options: Options, epochs: int, net: nn.Module, split: Split, size: int, said: list[str], *, judged: bool
) -> int:
    """As many epochs as the time allows; 0 where it allows none and other models can do without the net.

    judged: other models stand beside the net."""
    assert options.time is not None
    per_epoch = _seconds_per_epoch(net, split, size, options.device)
    budget = _budget(options)
    learning = SLACK * (options.time - kept_for_after(options.time, judged=judged))
    possible = math.floor(learning / (per_epoch * budget))
    if possible < 1:
        why = (
            f"one epoch takes about {per_epoch:.3g} s, and with the search {per_epoch * budget:.3g} s: more than the "
            f"{learning:.3g} s that {options.time:g} s leave for it"
        )
        if judged and options.only is None and options.model == "auto":
            said[-1] = f"No network is trained: {why}. Boosted trees are fitted alone."
            return 0
        raise InvalidArgument(f"{why}; give more, or fewer examples with --limit")
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
    x, y = (part[:size].to(place) for part in (split.train.x, split.train.y))
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
