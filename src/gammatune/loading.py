"""The trained network of a run that `gammatune train` made, as a torch module."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gammatune.data.preprocessing import Preprocessing
from gammatune.data.table_preprocessing import TablePreprocessing, preparing_from_dict
from gammatune.errors import InvalidArgument, InvalidData, JournalError
from gammatune.journal import WEIGHTS, replay
from gammatune.models import make_model
from gammatune.weights import check_sums, first_line


@dataclass(frozen=True, slots=True)
class Plan:
    """What the journal of a run says of its network: enough to make it again, untrained.

    model: its name, as `make_model` takes it. facts: all that the journal's first line keeps.
    """

    run: str
    model: str
    preprocessing: Preprocessing | TablePreprocessing
    facts: Mapping[str, Any]


def plan_of(run: str) -> Plan:
    """Raises JournalError: no run there, or a damaged one. InvalidArgument: not a run of the command line."""
    facts = replay(run).begin["facts"]
    if "preprocessing" not in facts:
        raise InvalidArgument(
            f"{run} was not made by `gammatune train`, so how its data was prepared is not known; load "
            f"{WEIGHTS} into your own model instead"
        )
    try:
        preprocessing = preparing_from_dict(facts["preprocessing"])
        if not isinstance(facts["model"], str) or tuple(facts["shape"]) != preprocessing.shape:
            raise InvalidData(f"a net {facts['model']!r:.40} for {facts['shape']!r:.40}")
    except (InvalidData, KeyError, TypeError) as error:
        raise JournalError(
            f"the journal of {run} does not say how its data was prepared ({error}); it is damaged, train again"
        ) from error
    return Plan(run, facts["model"], preprocessing, facts)


def network(plan: Plan) -> nn.Module:
    """The network with the run's weights, on the CPU, in eval mode.

    Raises JournalError: no weights yet, or weights that cannot be read or do not fit; every error of `make_model`.
    """
    preparing = plan.preprocessing
    model = make_model(plan.model, preparing.shape, preparing.outputs, 0, cardinalities_of(preparing))
    state = weights_of(plan)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise JournalError(
            f"{Path(plan.run) / WEIGHTS} does not fit the run's model ({first_line(error)}); the file or the model "
            "was changed"
        ) from error
    return model.eval()


def cardinalities_of(preparing: Preprocessing | TablePreprocessing) -> tuple[int, ...]:
    """How many codes each of the last columns of a table has; none of anything else."""
    return preparing.cardinalities if isinstance(preparing, TablePreprocessing) else ()


def load(run: str) -> nn.Module:
    """The trained network of a run directory that `gammatune train` made, on the CPU, in eval mode.

    It takes inputs as it was trained on them, (n, C, H, W) or (n, F), standardised, and returns (n, outputs): logits,
    or standardised targets. `gammatune export` writes one that takes the raw inputs.
    Raises JournalError: no finished run there, or weights that cannot be read. InvalidArgument: not a run of the
    command line.
    """
    return network(plan_of(run))


def weights_of(plan: Plan) -> Mapping[str, Any]:
    """The state_dict that the run ended with. Raises JournalError: none yet, or one that cannot be read."""
    path = Path(plan.run) / WEIGHTS
    try:
        check_sums(path)
        state: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise JournalError(
            f"{path.parent} holds no weights yet ({WEIGHTS}): the run has not ended, or committed nothing"
        ) from None
    except MemoryError:  # no fault of the file
        raise
    except PermissionError as error:
        raise JournalError(f"{path} cannot be read ({error.strerror}); allow it") from error
    except Exception as error:  # zip, pickle and torch each have their own kinds for a damaged file
        raise JournalError(
            f"{path} cannot be read ({first_line(error)}); the file is damaged, train again"
        ) from error
    return state
