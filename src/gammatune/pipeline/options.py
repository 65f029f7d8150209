"""The options of `gammatune train`, each declared here alone: the command line is made from them, the journal keeps
them, and a run that is gone on with is asked for the same.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from functools import partial
from typing import Any

from gammatune.errors import InvalidArgument, JournalError
from gammatune.policy import DEFAULT
from gammatune.report.models import LINEAR, NET, TREES


def option(
    panel: str | None,
    help: str,
    default: Any = None,
    *,
    flag: str | None = None,
    read: Callable[[str | None], Any] | None = None,
) -> Any:
    """A field of `Options`. panel: of the help, under which it stands. flag: how it is spelled, where that does not
    follow from its name. read: what makes its value of the text on the command line."""
    return field(default=default, metadata={"panel": panel, "help": help, "flag": flag, "read": read})


def flag(name: str) -> str:
    """How an option is spelled on the command line."""
    return f"--{name.replace('_', '-')}"


def seconds_in(text: str | None) -> float | None:
    """'90', '90s', '5m', '1h30m' in seconds. Raises InvalidArgument at anything else, and at nothing."""
    if text is None:
        return None
    found = re.fullmatch(
        r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip().lower()
    )
    parts = [float(part or 0) for part in found.groups()] if found and text.strip() else []
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not seconds > 0:
        raise InvalidArgument(f"--time {text}: write a time such as 90s, 5m or 1h30m")
    return seconds


ONLY = (NET, TREES, LINEAR)
OF_FILES = "How a file is written"
in_tables, in_files = (partial(option, panel) for panel in ("Tables", OF_FILES))
of_data, of_goal = (partial(option, panel) for panel in ("Data", "Goal"))
of_length, of_network = partial(option, "Length and cost"), partial(option, "Network")
of_search, of_processes, plain = (partial(option, panel) for panel in ("Search", "Several processes", None))


@dataclass(frozen=True, slots=True)
class Options:
    """usual: where no epochs were asked for, how many a training has by rule and by the clock of the machine; a run
    that is gone on with has what its journal says."""

    data: str = field(
        metadata={
            "help": "A table (.csv, .xlsx, .sav, .dta, .rds, .parquet, .json, ...) or its address, a folder of "
            "images (one sub-folder a class, or train, val and test folders of such), an .npz with x_train, y_train, "
            "x_test, y_test, or digits, mnist, fashion-mnist, cifar10."
        }
    )

    target: str | None = in_tables("The column to predict.")
    positive: str | None = in_tables(
        "Of two labels the one whose finding counts in f1, precision, recall. Default: yes, true, 1, "
        "..., or the rarer one."
    )
    order: str | None = in_tables(
        "The labels from low to high, with commas between, where they are a scale whose order is not known; "
        "with ; or | where a label holds a comma."
    )
    exact_labels: bool = in_tables(
        "Keep labels apart that differ in blanks, accents' encoding or rare case only.",
        False,
        flag="--exact-labels",
    )
    test: str | None = in_tables("Another table to report on. Default: a fifth of the rows.")
    group: str | None = in_tables("A column; rows with the same value stay in one part.")
    time_column: str | None = in_tables("A column; the latest rows report, those before them select.")
    sample_weight: str | None = in_tables(
        "A column that says what each row counts for, such as a survey's weight; it is no input."
    )
    drop: list[str] | None = in_tables("A column to leave out, once for each.")
    column: list[str] | None = in_tables(
        "NAME=number, NAME=category, NAME=date, NAME=date:%d/%m/%Y: what a column is. Default: told from its values."
    )
    columns: str | None = in_tables(
        "A columns.toml, as runs keep it: what each column is, how it is written, and what is missing."
    )
    missing: str | None = in_tables(
        "What stands for a missing value, with commas between: -999,99; none: nothing is taken for such a code."
    )
    sheet: str | None = in_files("Of several sheets the one to read. Default: the largest table.")
    header: int | None = in_files("The line that holds the names of the columns, from 1; 0: none does.")
    encoding: str | None = in_files("utf-8, cp1252, utf-16, shift_jis, ... Default: told from the file.")
    delimiter: str | None = in_files("What parts the columns; tab for a tabulator.")
    decimal: str | None = in_files("What parts a number from its decimals: . or ,")
    skip_last: int | None = in_files(
        "How many lines at the end are no rows, such as totals and footnotes. Default: told from the file."
    )
    only: str | None = in_tables(
        "net, trees or linear: fit that kind of model alone. Default: all of them, and the best, or the average of "
        "the best two, is handed over."
    )

    task: str | None = of_data(
        "classification, regression, or ordinal: classes in order, such as never, sometimes, often. Default: told "
        "from the targets."
    )
    validation: float = of_data("Share of the training examples to select by.", 0.2)
    limit: int | None = of_data("Use this many training examples, those to select by included.")
    image_size: int | None = of_data("Side of the squares that images in a folder become.")
    fit: str | None = of_data(
        "crop, pad or stretch: how images of other shapes become squares. Default: crop, or pad where too much would "
        "be cut away."
    )
    labels: str | None = of_data(
        "A table with the file names of the images in the folder, and their labels (--target says in which column)."
    )

    metric: str | None = of_goal(
        "What counts: accuracy, auc, f1, balanced-accuracy, mcc, ...; mae, rmse, r2, mape, ... for a regression."
    )
    class_weights: str | None = of_goal("balanced: rare classes weigh as much as common ones.")
    objective: str | None = of_goal(
        "kappa, accuracy, loss, kappa11, kappa12, ... Default: kappa, or log-loss for regression."
    )
    lam: float = of_goal("Lambda of kappa, above 0 and at most 1.", 0.5)
    keep: str = of_goal("Weights handed back: of the best epoch, or of the last.", "best")

    epochs: int | None = of_length(
        "Length of a training. Default: by the number of examples and what the budget leaves."
    )
    budget: float | None = of_length(
        "Ceiling on compute, in multiples of a plain run. Default: 1.5 for lookahead, which trains "
        "several nets for it and averages their answers, with --epochs from 2.5 on; 12 for the others."
    )
    total_epochs: float | None = of_length(
        "What everything together may take, in epochs; in the place of --epochs and --budget."
    )
    time: float | None = of_length(
        "Ceiling on time, from when the data have been read to the report: 90s, 5m, 1h30m.", read=seconds_in
    )
    patience: int | None = of_length(
        "Epochs without progress after which the training ends early; 0 never. Default: half of the "
        "epochs, 10 at least, where their number was left open."
    )

    model: str = of_network(
        "auto, tabular, mlp, cnn, resnet, thesis, keras-cnn, alexnet, googlenet, lstm; timm:NAME, a net of timm's; "
        "package.module:factory; or an earlier run's directory, whose network is gone on with.",
        "auto",
    )
    weights: str | None = of_network(
        "Begin with the weights in this file: a state_dict (.pt, .pth) or .safetensors; hub: with those that timm "
        "downloads for its nets."
    )
    freeze: list[str] | None = of_network(
        "Parameters that stay as they are, such as 'features.*'; once for each pattern."
    )
    optimizer: str = of_network(
        "sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, muon; with the extra optimizers also "
        "prodigy and schedulefree; auto: adamw or muon, whichever leads further.",
        "adamw",
    )
    lr: float | None = of_network(
        "The optimizer's own rate: three decades about it are searched, in place of twelve, and it "
        "stays unless another is likely to be better."
    )
    batch_size: int | None = of_network("Default: by the number of examples.")
    weight_decay: float | None = of_network("Default: the optimizer's own.")

    policy: str = of_search(
        "lookahead: a few short rollouts find the rate, then one training along a schedule. greedy: the "
        "best candidate each epoch. once: the best of several whole runs.",
        DEFAULT,
    )
    schedule: str | None = of_search(
        "What lookahead makes of the rate, after a short rise: linear (straight down to zero), cosine, 1-sqrt, wsd "
        "(the peak, and down in the last fifth) or constant. Default: linear."
    )
    sampler: str = of_search(
        "gamma, gaussian, gaussian-quadrature, gamma-plugin-a, gamma-plugin-b, random, grid, tabu or tpe. "
        "lookahead asks it only for what is searched beside the learning rate.",
        "gamma",
    )
    ensemble: bool | None = of_search(
        "Spend a budget that pays for several trainings on several nets whose answers are averaged, or on "
        "whole trainings at other rates. Default: on several nets, unless the network is gone on with.",
        flag="--ensemble/--no-ensemble",
    )
    search: list[str] | None = of_search(
        "What to search, once for each: lr=1e-4:1:log, lr=0:0.5, batch_size=16,32,64."
    )

    seed: int = plain("Fixes the run, to the last bit on one machine.", 0)
    device: str | None = plain("cpu, cuda, cuda:1, ... Default: cuda where there is one.")
    threads: int | None = plain("CPU threads. Default: 1 where steps are small, else torch's.")

    parallel: str | None = of_processes(
        "ray: several rollouts at a time, in processes of their own; ray:ADDRESS: on that cluster; vmap: in "
        "one batched pass, for small networks on a GPU."
    )
    workers: int | None = of_processes("Processes. Default: as many as there is room for.")
    at_once: int | None = of_processes(
        "Rollouts chosen together; the result depends on it, not on --workers. Default: 4 with --parallel, "
        "else 1."
    )

    usual: int | None = None  # no option: nobody is asked for it

    @property
    def without_net(self) -> bool:
        return self.only not in (None, NET)

    @property
    def is_open(self) -> bool:
        """The length of the training is the policy's to choose."""
        from gammatune.policy.registry import called

        return self.epochs is None and called(self.policy).chooses_length

    @classmethod
    def of_run(cls, run: str) -> "Options":
        """What a run was begun with. Raises JournalError where it was not begun by this command."""
        from gammatune.journal.history import replay

        facts = replay(run).begin["facts"]
        command = facts.get("command")
        if isinstance(command, dict):
            command = _of_today(command, facts)
        known = {each.name for each in fields(cls)}
        if not isinstance(command, Mapping) or "data" not in command or not set(command) <= known:
            raise JournalError(
                f"{run} was not begun by `gammatune train`, or by another version of it; call what began it again, "
                "with the same run directory"
            )
        return cls(**command)


# What is asked of the reading of one file, as for `gammatune predict`: those fields of `Options`.
FileOptions: Any = make_dataclass(
    "FileOptions",
    [
        (each.name, each.type, field(default=each.default, metadata=each.metadata))
        for each in fields(Options)
        if each.metadata.get("panel") == OF_FILES
    ],
    frozen=True,
    slots=True,
)


def _of_today(command: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a run of an earlier version was begun with, so that it is gone on with as it was begun."""
    preparing = facts.get("preprocessing", {})
    is_table = preparing.get("kind") == "table"
    found = {name: held for name, held in command.items() if name != "compare"}
    if not command.get("compare", True) and is_table:
        found["only"] = NET
    if "fit" not in preparing and not is_table:
        found["fit"] = "crop"
    if "ordered" not in preparing and is_table and preparing.get("task") == "classification":
        found["task"] = "classification"  # whose classes nobody knew to be in order
    return found
