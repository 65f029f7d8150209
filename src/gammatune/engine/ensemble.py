"""Several nets as one: a module that averages what they say, and the nets of a run kept until it is made."""

import copy
import hashlib
import io
import math
import pickle
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from gammatune.engine.forks import archive
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import InvalidArgument, InvalidData, JournalWarning
from gammatune.files import net_file

NewModel: TypeAlias = Callable[[], nn.Module]
Hear: TypeAlias = Callable[[Tensor, Tensor], None]  # (output, target) of the next batch


class Ensemble(nn.Module):
    """Nets that are asked together; it takes and gives what one of them does.

    members: nets of one kind. classify: whether dimension 1 of what they give are scores of classes. Then the
    logarithms of the averaged probabilities are given, which are scores too: their softmax are those probabilities.
    labels: each number is the score of a label that is there or not, as a binary cross entropy takes it; the scores
    of the averaged probabilities are given. Else the averaged numbers.
    """

    def __init__(self, members: Sequence[nn.Module], *, classify: bool, labels: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.classify, self.labels = classify, labels

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return average(self._each(*args, **kwargs), classify=self.classify, labels=self.labels)

    def spread(self, *args: Any, **kwargs: Any) -> Tensor:
        """How far the nets are apart: of classes, and of each label, the share of the probability, between 0 and 1,
        that the mean net places otherwise than the average (the total variation), (n, ...); of numbers their standard
        deviation."""
        return spread(self._each(*args, **kwargs), classify=self.classify, labels=self.labels)

    def with_spread(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """What they say, and how far they are apart, from one pass."""
        said = self._each(*args, **kwargs)
        how = {"classify": self.classify, "labels": self.labels}
        return average(said, **how), spread(said, **how)

    def _each(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        return [member(*args, **kwargs) for member in self.members]


def members_of(net: nn.Module) -> list[nn.Module]:
    """The nets that answer together, or the one."""
    return list(net.members) if isinstance(net, Ensemble) else [net]


def average(outputs: Sequence[Tensor], *, classify: bool, labels: bool = False) -> Tensor:
    """Of what nets say of the same examples, (n, ...) each; see `Ensemble`."""
    if labels:  # logit p = log p - log(1 - p); of both the mean over the nets
        there, not_there = (
            reduce(torch.logaddexp, [nn.functional.logsigmoid(sign * said) for said in outputs])
            for sign in (1, -1)
        )
        return there - not_there
    if not classify:
        return torch.stack(list(outputs)).mean(dim=0)
    # one after the other: of pixels a stack of them all takes three times as long
    return reduce(torch.logaddexp, [said.log_softmax(dim=1) for said in outputs]) - math.log(len(outputs))


def spread(outputs: Sequence[Tensor], *, classify: bool, labels: bool = False) -> Tensor:
    """Of what nets say of the same examples; see `Ensemble.spread`."""
    said = torch.stack(list(outputs))
    if labels:
        said = said.sigmoid()
        return (said - said.mean(dim=0)).abs().mean(dim=0)
    if not classify:
        return said.std(dim=0, correction=0)
    said = said.softmax(dim=2)
    return (said - said.mean(dim=0)).abs().sum(dim=2).mean(dim=0) / 2


@dataclass(frozen=True, slots=True)
class Price:
    """What one net takes, and all of them together. memory: bytes of weights and buffers. seconds: to answer one
    example, measured on one batch."""

    memory: tuple[int, int]
    seconds: tuple[float, float]


class Nets:
    """The nets of a run that have ended: their weights and what each says of the selection data, on disk.

    directory: where the weights go, which lie there for whoever wants them later; None: nowhere for longer than this
    object is there.
    """

    def __init__(self, directory: Path | None) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="gammatune-"))
        self._forget = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._directory = self._scratch if directory is None else directory
        self._sums: dict[int, str] = {}  # of the files in the directory
        self._astray: set[int] = set()  # nets that it would not take

    def close(self) -> None:
        self._forget()

    def keep(self, net: int, weights: Mapping[str, Any]) -> str | None:
        """The SHA-256 of the file; None where the directory would not take it, which is said: then the weights last
        no longer than this object."""
        self._astray.discard(net)
        try:
            self._sums[net] = archive.put(self._path(net), dict(weights))
            return self._sums[net]
        except OSError as error:
            if self._directory == self._scratch:
                raise
            warnings.warn(
                f"cannot write {self._path(net)} ({error.strerror or error}); the training goes on, and another "
                f"process would have to train net {net + 1} again",
                JournalWarning,
                stacklevel=2,
            )
        self._astray.add(net)
        archive.put(self._path(net), dict(weights))
        return None

    def find(self, net: int, checksum: str) -> bool:
        """Whether the file that another process wrote is there, and is what it wrote."""
        try:
            with self._path(net).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                    return False
        except OSError:
            return False
        self._sums[net] = checksum
        return True

    def remove_others(self, nets: Collection[int], known: Collection[int]) -> None:
        """The files of all but `nets`, and halves of them that a killed process left. known: those kept elsewhere."""
        for net in {*self._sums, *known} - {*nets}:
            path = self._directory / net_file(net)
            for file in (path, path.with_name(path.name + ".part")):
                with suppress(OSError):
                    file.unlink()

    def weights(self, net: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = torch.load(self._path(net), map_location="cpu", weights_only=True)
        return found

    def _path(self, net: int) -> Path:
        return (self._scratch if net in self._astray else self._directory) / net_file(net)

    @contextmanager
    def hearing(self, net: int) -> Iterator[Hear]:
        """Within, what a net says of the selection data is told batch after batch; no more than one is held."""
        with (self._scratch / f"said-{net}").open("wb") as file:
            # clones: of a slice all that it is a slice of would be written
            yield lambda *batch: pickle.dump(tuple(part.detach().cpu().clone() for part in batch), file)

    def together(
        self, nets: Sequence[int], *, classify: bool, labels: bool = False
    ) -> Iterator[tuple[Tensor, ...]]:
        """What they say together, and what was told with that, the targets first, batch after batch."""
        with ExitStack() as opened:
            heard = [_said(opened.enter_context((self._scratch / f"said-{net}").open("rb"))) for net in nets]
            while any(batches := [next(said, None) for said in heard]):
                there = [batch for batch in batches if batch is not None]
                told = there[0][1:]
                same = (all(map(torch.equal, told, others)) for _, *others in there)
                if len(there) < len(heard) or not all(same):
                    raise InvalidData(
                        "the selection data came otherwise in a second pass, so that the nets cannot be asked "
                        "together: give a loader as val_set that does not shuffle, or pass ensemble=False"
                    )
                yield average([output for output, *_ in there], classify=classify, labels=labels), *told

    def ensemble(
        self, model: nn.Module, nets: Sequence[int], *, classify: bool, labels: bool = False
    ) -> Ensemble:
        """A module of its own, in eval mode, where `model` is; that stays as it is."""
        members = []
        for net in nets:
            member = copy.deepcopy(model)
            member.load_state_dict(self.weights(net))
            members.append(member)
        return Ensemble(members, classify=classify, labels=labels).eval()


def obstacle(model: nn.Module) -> str | None:
    """Why there cannot be an `Ensemble` of nets like it, found out without a second copy of its numbers; None where
    there can be one."""
    own = (*model.parameters(), *model.buffers())
    others = {name: held for name, held in model.state_dict().items() if not isinstance(held, Tensor)}
    try:
        copy.deepcopy(model, {id(tensor): tensor for tensor in own})
        content = io.BytesIO()
        torch.save(others, content)
        content.seek(0)
        torch.load(content, weights_only=True)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {first}"
    return None


def refuse_another_kind(new_model: NewModel, model: nn.Module) -> None:
    """Raises InvalidArgument where it does not make nets like this one. Random streams are where they were."""
    before = StreamStates([], cuda=True)
    try:
        made = new_model()
    finally:
        before.restore()
    if not isinstance(made, nn.Module):
        raise InvalidArgument(
            f"new_model= gave a {type(made).__name__}; give a function that makes another net like the model"
        )
    here, there = _shapes(model), _shapes(made)
    for name in {**here, **there}:
        own, other = here.get(name, "missing"), there.get(name, "missing")
        if own != other:
            raise InvalidArgument(
                f"new_model= makes a net of another kind: {name} is {other} there and {own} in the model"
            )


def _shapes(model: nn.Module) -> dict[str, str]:
    return {
        name: "without a shape before a batch has passed through"
        if isinstance(held, (UninitializedParameter, UninitializedBuffer))
        else " x ".join(map(str, held.shape)) or "a single number"
        for name, held in model.state_dict().items()
        if isinstance(held, Tensor)
    }


def _said(file: BinaryIO) -> Iterator[tuple[Tensor, ...]]:
    with suppress(EOFError):
        while True:
            yield pickle.load(file)
