"""What `gammatune train` was asked for: its options, as they cross from the command line to whoever uses them."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields

from gammatune.errors import JournalError
from gammatune.journal.history import replay


@dataclass(frozen=True, slots=True)
class Asked:
    """The options, which `gammatune train --help` explains; the journal keeps them.

    usual: where no epochs were asked for, how many a training has by rule and by the clock of the machine; a run that
    is gone on with has what its journal says.
    """

    data: str
    model: str
    optimizer: str
    epochs: int | None
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
    lr: float | None = None
    weights: str | None = None
    freeze: list[str] | None = None
    target: str | None = None
    positive: str | None = None
    exact_labels: bool = False
    metric: str | None = None
    class_weights: str | None = None
    group: str | None = None
    time_column: str | None = None
    test: str | None = None
    drop: list[str] | None = None
    column: list[str] | None = None
    image_size: int | None = None
    time: float | None = None
    patience: int | None = None
    compare: bool = True
    parallel: str | None = None
    workers: int | None = None
    at_once: int | None = None
    ensemble: bool | None = None
    total_epochs: float | None = None
    usual: int | None = None

    @property
    def is_open(self) -> bool:
        """The length of the training is the policy's to choose."""
        return self.epochs is None and self.policy == "lookahead"

    @classmethod
    def of_run(cls, run: str) -> "Asked":
        """What a run was begun with. Raises JournalError where it was not begun by this command."""
        command = replay(run).begin["facts"].get("command")
        known = {field.name: field.default is MISSING for field in fields(cls)}
        needed = {name for name, is_needed in known.items() if is_needed}
        if not isinstance(command, Mapping) or not needed <= set(command) <= set(known):
            raise JournalError(
                f"{run} was not begun by `gammatune train`, or by another version of it; call what began it again, "
                "with the same run directory"
            )
        return cls(**command)
