"""What a run of the pipeline holds: the trained network, or several of them, as a torch module, and the models that
were fitted beside it."""

import hashlib
import io
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gammatune.engine.ensemble import Ensemble
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidArgument, InvalidData, JournalError, first_line
from gammatune.files import net_file
from gammatune.journal.history import WEIGHTS, replay
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing, preparing_from_dict
from gammatune.pipeline.families import Answering
from gammatune.pipeline.kept import NETS, kept, kept_nets
from gammatune.pipeline.kinds import answer
from gammatune.pipeline.models import make_model
from gammatune.report.models import AVERAGE, NET, beside_of, name_of
from gammatune.supervised.weights import check_sums

BATCH = 4096  # examples at a time


@dataclass(frozen=True, slots=True)
class Plan:
    """What the journal of a run says of its network: enough to make it again, untrained.

    model: its name, as `make_model` takes it. facts: all that the journal's first line keeps. nets: the SHA-256 of
    the file of each whose predictions are averaged, by number; empty where the run hands back one. report:
    what was said of the models that were compared (`kinds.Models.in_event`).
    """

    run: str
    model: str
    preprocessing: Preprocessing | TablePreprocessing
    facts: Mapping[str, Any]
    nets: Mapping[int, str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Of the model that the run hands over, one of `kinds.KINDS`."""
        kind: str = self.report.get("model", NET)
        return kind

    @property
    def has_net(self) -> bool:
        """Whether a network was trained: not where another kind alone was asked for."""
        return self.facts.get("command", {}).get("only") in (None, NET)

    @property
    def name(self) -> str:
        """What that model is called in sentences."""
        return name_of(self.kind, self.report.get("members", ()), self.report.get("nets", 1))


def plan_of(run: str) -> Plan:
    """Raises JournalError: no run there, or a damaged one. InvalidArgument: not a run of the command line."""
    story = replay(run)
    facts = story.begin["facts"]
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
    nets = {net: story.kept.get(net, "") for net in story.nets}
    return Plan(run, facts["model"], preprocessing, facts, nets, beside_of(story.report))


def network(plan: Plan, *, single: bool = False) -> nn.Module:
    """The network with the run's weights, on the CPU, in eval mode; an `Ensemble` where the run averages several, of
    its own or of the cross-fitting.

    single: the best of those alone. Raises JournalError: no network was trained, no weights yet, or weights that
    cannot be read or do not fit; every error of `make_model`.
    """
    if not plan.has_net:
        gives = (
            f"it hands over {plan.name}, which predict() asks" if plan.report else "and it has not ended yet"
        )
        raise JournalError(f"{plan.run} trained no network; {gives}")
    checksum = plan.report.get("folds")
    if single or not (plan.nets or checksum):
        return _made(plan, weights_of(plan), WEIGHTS)
    members = [
        _made(plan, _weights_of_net(plan, net, its), net_file(net)) for net, its in plan.nets.items()
    ] or [_made(plan, weights_of(plan), WEIGHTS)]
    if checksum:
        members += [_made(plan, state, NETS) for state in kept_nets(Path(plan.run), checksum)]
    return Ensemble(members, classify=plan.preprocessing.task == "classification").eval()


def parts(plan: Plan, net: nn.Module | None = None) -> dict[str, nn.Module | Answering]:
    """By kind what the model is made of that the run hands over, where that is not the network alone.

    net: the network, where it has been read already. Raises JournalError where what was fitted is not there or cannot
    be read, MissingExtra.
    """
    members = plan.report.get("members", ()) if plan.kind == AVERAGE else (plan.kind,)
    found: dict[str, nn.Module | Answering] = dict(kept(Path(plan.run), plan.report.get("sha256")))
    if NET in members:
        found[NET] = network(plan) if net is None else net
    if missing := [kind for kind in members if kind not in found]:
        raise JournalError(
            f"the journal of {plan.run} speaks of {', '.join(missing)}, which it does not hold"
        )
    return {kind: found[kind] for kind in members}


def fitted(plan: Plan, found: Mapping[str, nn.Module | Answering] | None = None) -> Answering:
    """The model that the run hands over: from rows, as the network takes them, to probabilities (n, k), or to
    standardised targets (n, t). found: its `parts`, whose errors it raises where they are still to be read."""
    found = parts(plan) if found is None else found
    task = plan.preprocessing.task

    def answering_of(part: nn.Module | Answering) -> Answering:
        return (lambda x: answered(part, torch.from_numpy(x), task)) if isinstance(part, nn.Module) else part

    answering = {kind: answering_of(part) for kind, part in found.items()}
    return lambda x: answer(answering, plan.kind, tuple(answering), x)


def answered(net: nn.Module, x: torch.Tensor, task: str) -> NDArray[np.float64]:
    """Probabilities (n, k), or standardised targets (n, t), of rows or images x, some at a time."""
    device = next(net.parameters()).device
    with evaluating(net):
        said = torch.cat([net(part.to(device)) for part in x.split(BATCH)])
    return (said.softmax(dim=1) if task == "classification" else said).cpu().numpy().astype(np.float64)


def _made(plan: Plan, state: Mapping[str, Any], file: str) -> nn.Module:
    preparing = plan.preprocessing
    model = make_model(plan.model, preparing.shape, preparing.outputs, 0, preparing.cardinalities)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise JournalError(
            f"{Path(plan.run) / file} does not fit the run's model ({first_line(error)}); the file or the model "
            "was changed"
        ) from error
    return model.eval()


def _weights_of_net(plan: Plan, net: int, checksum: str) -> Mapping[str, Any]:
    """Those that the journal speaks of, and no others."""
    path = Path(plan.run) / net_file(net)
    instead = (
        f"; `gammatune resume {shlex.quote(plan.run)}` trains that net again, and single=True, on the command line "
        "--single, takes the best net alone"
    )
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(f"{path}, one of {len(plan.nets)} nets of the run, is missing{instead}") from None
    except OSError as error:
        raise JournalError(f"{path} cannot be read ({error.strerror or error}); allow it") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise JournalError(f"{path} is not what the run wrote{instead}")
    state: Mapping[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


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
