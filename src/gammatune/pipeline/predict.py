"""Predictions of a trained run for new examples."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gammatune.engine.ensemble import Ensemble
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidArgument, InvalidData
from gammatune.pipeline.answer_columns import answer_columns
from gammatune.pipeline.data.cells.amounts import numbers_in
from gammatune.pipeline.data.cells.numerals import Mark
from gammatune.pipeline.data.files.dialect import PLAIN, Dialect, without_clash, write_rows
from gammatune.pipeline.data.files.finding import holds_table, is_address, name_of
from gammatune.pipeline.data.files.kinds import KINDS, SHOWN, unpacked_name
from gammatune.pipeline.data.files.reading import as_written, read_table
from gammatune.pipeline.data.frames import as_pandas, is_frame
from gammatune.pipeline.data.images.files import ENDINGS, composed, image_files, is_image
from gammatune.pipeline.data.images.labels import label_in_name
from gammatune.pipeline.data.images.loading import named, read_images, skipped_in_words
from gammatune.pipeline.data.new_amounts import read_as_here
from gammatune.pipeline.data.npz import load_new
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.row_weights import weights_in
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.data.values import codes_of
from gammatune.pipeline.families import Answering
from gammatune.pipeline.load import fitted, network, plan_of
from gammatune.pipeline.met import flattered, in_words, met
from gammatune.pipeline.options import flag
from gammatune.report.models import NET

if TYPE_CHECKING:
    import pandas as pd

NOTHING = partial(repeat, ())  # is known of each row
AS_THE_RUN: Mapping[str, Any] = MappingProxyType({})
BATCH = 256  # examples at a time; bounds memory, changes nothing else


@dataclass(frozen=True, slots=True, eq=False)
class New:
    """New examples. x: as the network takes them. y: their targets as they came, where they are known; weights: what
    each counts for in how well these are met, (n,); None: all the same.

    header: of the columns that say which example is meant, of a table all of them; rows: gives these. dialect: of the
    table. said: what was unusual, in sentences.
    """

    x: torch.Tensor
    y: NDArray[Any] | None = None
    header: Sequence[str] = ()
    rows: Callable[[], Iterable[Sequence[str]]] = NOTHING
    dialect: Dialect = PLAIN
    said: Sequence[str] = ()
    weights: NDArray[np.float64] | None = None


def predict_file(
    run: str, file: str, out: str, *, single: bool = False, reading: Mapping[str, Any] = AS_THE_RUN
) -> str:
    """Write a CSV of predictions for the examples in `file`; returns what was done, in words.

    file: what the run was trained on: an .npz, a table, or an image or a folder of them.
    What tells the examples apart comes first: all columns of a table, as its file has them, or the names of images.
    Behind them stands what `answer_columns` makes of the answers; a name that the table has already gets a number.
    A table is answered in its own dialect (`Dialect`), what is no text as CSV with commas.
    single: ask the best of several nets alone. Where the file has targets too, it says how well they are met.
    reading: what is asked of the reading of a table, by the names of `HowToRead`, in the place of what the run was.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: not a run of
    the command line, or `out` cannot be written. InvalidData: a file that does not fit. Nothing is written then.
    """
    plan = plan_of(run)
    preparing = plan.preprocessing
    new = new_examples(file, preparing, reading=reading)
    is_net = single or plan.kind == NET
    net = network(plan, single=single) if is_net else None
    said, spread = answers(fitted(plan) if net is None else net, new.x, preparing.task)
    columns = answer_columns(said, spread, preparing, new.dialect)
    names = without_clash(columns, new.header)
    quality = "" if is_net else f" by {plan.name}"
    noticed = list(new.said)
    if new.y is not None:
        quality += f"; {in_words(met(new.y, said, preparing, new.weights))}"
        noticed += flattered(plan, file, new.x, new.y, single=single)
    if isinstance(net, Ensemble):
        apart = [name for name, column in zip(names, columns, strict=True) if column.startswith("spread")]
        quality += f"; each the average of {len(net.members)} nets, how far these are apart in {apart[0]!r}"
        quality += f" to {apart[-1]!r}" if len(apart) > 1 else ""

    def rows() -> Iterator[list[str]]:
        told = zip(*columns.values(), strict=True)
        return (list(chain(*both)) for both in zip(new.rows(), told, strict=False))

    write_rows(out, new.dialect, [*new.header, *names], rows, noticed)
    count = f"{len(said)} prediction{'s' if len(said) != 1 else ''}"
    return "\n".join([*noticed, f"{count} written to {out}{quality}"])


def default_out(file: str) -> str:
    """Where predictions for `file` go: beside it, or here where it comes from elsewhere, with the ending
    .predictions.csv, or .tsv as it has."""
    if Path(file).is_dir():
        path = Path(file).resolve()
        return str(path.with_name(f"{path.name}.predictions.csv"))
    name = unpacked_name(name_of(file))
    stem = PurePath(name).stem if PurePath(name).suffix.lower() in (*KINDS, *ENDINGS, ".npz") else name
    out = f"{stem}.predictions{'.tsv' if name.lower().endswith('.tsv') else '.csv'}"
    return out if is_address(file) else str(Path(file).with_name(out))


def new_examples(
    given: Any,
    preparing: Preprocessing | TablePreprocessing,
    *,
    targets: bool = True,
    reading: Mapping[str, Any] = AS_THE_RUN,
) -> New:
    """New examples as the network takes them.

    given: the path of what the run was trained on, a table, an .npz, an image or a folder of them; or, in memory, a
    frame, or examples (n, ...). targets: of a table, whether those that are known are looked at too. reading: as in
    `predict_file`.
    Raises InvalidData where it does not fit.
    """
    if isinstance(preparing, TablePreprocessing):
        return _rows(given, preparing, targets, reading)
    asked = [name for name, value in reading.items() if value is not None]
    if asked:
        raise InvalidArgument(f"{flag(asked[0])} goes with a table, and {given} is none")
    is_path = isinstance(given, (str, os.PathLike))
    if is_frame(given) or (is_path and holds_table(given)):
        what = given if is_path else f"a {type(given).__name__}"
        raise InvalidData(
            f"{what} is a table, and the network was trained on examples of shape {preparing.shape}"
        )
    if not is_path:
        return New(preparing.inputs(given))
    path = Path(given)
    if path.is_dir() or is_image(path):
        return _images(path, preparing)
    x, y = load_new(path)
    inputs = preparing.inputs(x)  # looked at before a net is made for what the journal says of them
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise InvalidData(f"{path} holds {len(x)} examples and {y.size} targets; give one target for each")
    return New(inputs, y)


def _rows(given: Any, preparing: TablePreprocessing, targets: bool, reading: Mapping[str, Any]) -> New:
    said: list[str] = []
    how = replace(preparing.how, **{name: value for name, value in reading.items() if value is not None})
    name, header, dialect = "the frame", list[str](), PLAIN
    mark: Mark = ""
    rows: Callable[[], Iterable[Sequence[str]]] = NOTHING
    path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if is_frame(given):
        frame = as_pandas(given)
    elif path is not None and holds_table(path):
        read, name = read_table(path, said, preparing.learned, how), name_of(path)
        frame, dialect, mark = read.frame, read.dialect, read.decimal
        assert read.source is not None
        header, rows = as_written(read.source, read)
    else:
        what = f"a {type(given).__name__}" if path is None else path
        raise InvalidData(
            f"{what} is no table, and the network was trained on one; give a file that ends in "
            f"{SHOWN}, in Python a frame too"
        )
    frame = preparing.matched(frame, said)
    frame = read_as_here(frame, preparing.forms, (preparing.decimal, mark), said)
    x = preparing.encode(frame, said)
    said += preparing.misread(frame)
    y = _targets(name, frame, preparing, said) if targets else None
    weights = None if y is None else _weights(frame, preparing, said)
    return New(x, y, header, rows, dialect, tuple(dict.fromkeys(said)), weights)


def _weights(
    frame: "pd.DataFrame", preparing: TablePreprocessing, said: list[str]
) -> NDArray[np.float64] | None:
    """What each row counts for, where the file says it as the one trained on did; a row without weight counts for
    nothing."""
    name = preparing.sample_weight
    if name is None or name not in frame.columns:
        return None
    weights = np.nan_to_num(weights_in(frame[name], name))
    if not weights.any():
        said.append(f"{name} is missing or 0 in every row, so that all rows count alike.")
        return None
    said.append(f"How well the targets are met is told with each row counting for its {name}.")
    return weights


def _targets(
    name: str, frame: "pd.DataFrame", preparing: TablePreprocessing, said: list[str]
) -> NDArray[Any] | None:
    """The targets of rows, as labels are kept; None where they are not known for every row."""
    if preparing.target not in frame.columns or frame[preparing.target].isna().all():
        return None
    values = frame[preparing.target]
    numbers = numbers_in(values, preparing.target_form, preparing.target_missing)
    if (np.isnan(numbers) if preparing.task == "regression" else values.isna()).any():
        said.append(f"{preparing.target} is missing in some rows, so how well they are met is not said.")
        return None
    if preparing.task == "regression":
        return numbers
    codes = codes_of(name, preparing.target, values, preparing.classes, said, exact=preparing.exact_labels)
    return np.asarray(preparing.labels(codes))


def _images(path: Path, preparing: Preprocessing) -> New:
    """Those that can be read, and what is said of the others."""
    files = image_files(path) if path.is_dir() else [path]
    if not files:
        raise InvalidData(f"{path} holds no image ({', '.join(ENDINGS[:4])}, ...)")
    root = path if path.is_dir() else path.parent
    images = read_images(files, preparing.framing)
    if len(images.skipped) == len(files):
        what = "it cannot" if len(files) == 1 else f"none of {len(files)} images can"
        raise InvalidData(f"{path}: {what} be read: {named(images.skipped, root)}; replace it")
    said = [skipped_in_words(images.skipped, len(files), root)] if images.skipped else []
    read = [files[place] for place in images.kept]
    names = [[os.fspath(file.relative_to(root))] for file in read]
    y = _truth(read, preparing) if path.is_dir() else None
    return New(preparing.inputs(images.pixels), y, ["file"], lambda: names, said=said)


def _truth(files: Sequence[Path], preparing: Preprocessing) -> NDArray[Any] | None:
    """What images are, where they lie in folders called after the classes, or are called so themselves."""
    labels = {composed(str(label)): label for label in preparing.classes}
    for label_of in (lambda file: composed(file.parent.name), label_in_name):
        told = [label_of(file) for file in files]
        if set(told) <= set(labels):
            return np.asarray([labels[label] for label in told])
    return None


def answers(
    model: torch.nn.Module | Answering, x: torch.Tensor, task: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Probabilities or standardised targets, and of an ensemble how far its nets are apart."""
    if not isinstance(model, torch.nn.Module):
        return model(x.numpy()), None
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with evaluating(model):
        if not isinstance(model, Ensemble):
            said, spread = torch.cat([model(part.to(device)) for part in x.split(BATCH)]), None
        else:
            parts, spreads = zip(
                *(model.with_spread(part.to(device)) for part in x.split(BATCH)), strict=True
            )
            said, spread = torch.cat(parts), torch.cat(spreads).cpu().numpy()
    return (said.softmax(dim=1) if task == "classification" else said).cpu().numpy(), spread
