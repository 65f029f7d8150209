"""What `gammatune train` does: data by name or file, a net by name, and the run that comes of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from gammatune.errors import InvalidArgument, JournalError
from gammatune.journal import FILE, replay

if TYPE_CHECKING:
    from gammatune.report.live import Follower

RUNS = "runs"
SEEDS = 2**32  # what every generator behind it takes


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `gammatune train`, which say there what they mean; the journal keeps them."""

    data: str
    model: str
    optimizer: str
    epochs: int
    budget: float | None
    policy: str
    schedule: str | None
    sampler: str
    objective: str | None
    lam: float
    search: list[str] | None
    batch_size: int | None
    weight_decay: float | None
    limit: int | None
    validation: float
    task: str | None
    keep: str
    seed: int
    device: str | None
    threads: int | None
    lr: float | None
    weights: str | None
    freeze: list[str] | None

    @classmethod
    def of_run(cls, run: str) -> "Asked":
        """What a run was begun with. Raises JournalError where it was not begun by this command."""
        command = replay(run).begin["facts"].get("command")
        if not isinstance(command, Mapping) or set(command) != {field.name for field in fields(cls)}:
            raise JournalError(
                f"{run} was not begun by `gammatune train`, or by another version of it; call what began it again, "
                "with the same run directory"
            )
        return cls(**command)


class Stopped(BaseException):
    """The user, or the system, ended the run. status: for the shell. directory: what was trained is kept there;
    None where nothing was."""

    def __init__(self, directory: str | None, status: int) -> None:
        self.directory = directory
        self.status = status


def train(asked: Asked, run_dir: str | None, follower: "Follower") -> str:
    """Train; the run directory, a new one in RUNS where none was given.

    Raises every error of `fit`, InvalidData of the loading, and Stopped.
    """
    import torch

    from gammatune.data import load
    from gammatune.data.dataset import look_like_labels
    from gammatune.data.split import split_data
    from gammatune.engine.threads import suitable_threads
    from gammatune.fine_tuning import beginning
    from gammatune.fitting import fit
    from gammatune.freezing import freeze
    from gammatune.objectives import DEFAULT_CLASSIFICATION, DEFAULT_REGRESSION, make_objective
    from gammatune.signals import Terminated

    if asked.task not in (None, "classification", "regression"):
        raise InvalidArgument(f"--task {asked.task}: write classification or regression")
    if asked.threads is not None and asked.threads < 1:
        raise InvalidArgument(f"--threads {asked.threads}: give 1 or more")
    if not 0 <= asked.seed < SEEDS:
        raise InvalidArgument(f"--seed {asked.seed}: give a whole number from 0 to {SEEDS - 1}")
    if run_dir is not None and not run_dir.strip():
        raise InvalidArgument(f"--run-dir {run_dir!r}: name a directory, or leave --run-dir out")
    loaded = load(asked.data, task=asked.task)  # type: ignore[arg-type]
    begun = beginning(asked.model, asked.weights)
    split = split_data(
        loaded, seed=asked.seed, limit=asked.limit, validation=asked.validation, like=begun.like
    )
    said = list(split.said)
    if asked.task is None and look_like_labels(loaded):
        said.append(
            "The targets are a few whole numbers written as decimals, and are read as a regression; --task "
            "classification reads them as classes."
        )
    default = DEFAULT_CLASSIFICATION if split.task == "classification" else DEFAULT_REGRESSION
    net = begun.network(split.preprocessing, asked.seed, said)
    if asked.freeze:
        freeze(net, *asked.freeze)
    torch.set_num_threads(asked.threads or suitable_threads(net, split.shape, asked.batch_size or 32))
    directory = run_dir if run_dir is not None else next_run(split.name)
    try:
        with follower:
            fit(
                net,
                split.train,
                split.select,
                test_set=split.report,
                epochs=asked.epochs,
                budget=asked.budget,
                policy=asked.policy,
                schedule=asked.schedule,
                sampler=asked.sampler,
                objective=make_objective(asked.objective or default, lam=asked.lam),
                space=asked.search or None,
                optimizer=asked.optimizer,
                lr=asked.lr,
                weight_decay=asked.weight_decay,
                pretrained=begun.is_pretrained or None,
                batch_size=asked.batch_size,
                device=asked.device,
                keep=asked.keep,
                seed=asked.seed,
                run_dir=directory,
                facts={
                    "data": asked.data,
                    "model": begun.model,
                    **({"weights": begun.fact} if begun.is_pretrained else {}),
                    "shape": list(split.shape),
                    "preprocessing": split.preprocessing.to_dict(),
                    "limit": asked.limit,
                    "validation": asked.validation,
                    "weight_decay": asked.weight_decay,
                    "said": said,
                    "command": asdict(asked),
                },
                listeners=[follower],
            )
    except (KeyboardInterrupt, Terminated) as stop:
        kept = directory if (Path(directory) / FILE).is_file() else None
        raise Stopped(kept, stop.status if isinstance(stop, Terminated) else 130) from None
    return directory


def next_run(name: str) -> str:
    """runs/NAME-1, runs/NAME-2, ...: the first that is not there."""
    number = 1
    while (path := Path(RUNS) / f"{name}-{number}").exists():
        number += 1
    return str(path)
