"""Several nets as one: a module that averages what they say, and the nets of a run kept until it is made."""

import copy
import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gammatune.engine import archive
from gammatune.errors import InvalidData
from gammatune.files import net_file

Said: TypeAlias = Sequence[tuple[Tensor, Tensor]]  # output and target of each batch
NewModel: TypeAlias = Callable[[], nn.Module]


class Ensemble(nn.Module):
    """Nets that are asked together; it takes and gives what one of them does.

    members: nets of one kind. classify: whether dimension 1 of what they give are scores of classes. Then the
    logarithms of the averaged probabilities are given, which are scores too: their softmax are those probabilities.
    Else the averaged numbers.
    """

    def __init__(self, members: Sequence[nn.Module], *, classify: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.classify = classify

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return average(self._each(*args, **kwargs), classify=self.classify)

    def spread(self, *args: Any, **kwargs: Any) -> Tensor:
        """How far the nets are apart: of classes the share of the probability, between 0 and 1, that the mean net
        places otherwise than the average (the total variation), (n, ...); of numbers their standard deviation."""
        return spread(self._each(*args, **kwargs), classify=self.classify)

    def with_spread(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """What they say, and how far they are apart, from one pass."""
        said = self._each(*args, **kwargs)
        return average(said, classify=self.classify), spread(said, classify=self.classify)

    def _each(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        return [member(*args, **kwargs) for member in self.members]


def average(outputs: Sequence[Tensor], *, classify: bool) -> Tensor:
    """Of what nets say of the same examples, (n, ...) each; see `Ensemble`."""
    said = torch.stack(list(outputs))
    if not classify:
        return said.mean(dim=0)
    return said.log_softmax(dim=2).logsumexp(dim=0) - torch.tensor(float(len(outputs))).log()


def spread(outputs: Sequence[Tensor], *, classify: bool) -> Tensor:
    """Of what nets say of the same examples; see `Ensemble.spread`."""
    said = torch.stack(list(outputs))
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
        self._sums: dict[int, str] = {}

    def close(self) -> None:
        self._forget()

    def keep(self, net: int, weights: Mapping[str, Any]) -> str:
        """The SHA-256 of the file."""
        self._sums[net] = archive.put(self._directory / net_file(net), dict(weights))
        return self._sums[net]

    def find(self, net: int, checksum: str) -> Mapping[str, Any] | None:
        """The weights that another process kept; None where they are gone or are not what was kept."""
        path = self._directory / net_file(net)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                    return None
        except OSError:
            return None
        self._sums[net] = checksum
        return self.weights(net)

    def remove_others(self, nets: Collection[int], known: Collection[int]) -> None:
        """The files of all but `nets`, and halves of them that a killed process left. known: those kept elsewhere."""
        for net in {*self._sums, *known} - {*nets}:
            path = self._directory / net_file(net)
            for file in (path, path.with_name(path.name + ".part")):
                with suppress(OSError):
                    file.unlink()

    def weights(self, net: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = torch.load(
            self._directory / net_file(net), map_location="cpu", weights_only=True
        )
        return found

    def hear(self, net: int, said: Said) -> None:
        """What a net says of the selection data, batch after batch."""
        torch.save(
            [(output.cpu(), target.cpu()) for output, target in said], self._scratch / f"said-{net}.pt"
        )

    def together(self, nets: Sequence[int], *, classify: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """What they say together, and the targets, batch after batch."""
        heard = [torch.load(self._scratch / f"said-{net}.pt", weights_only=True) for net in nets]
        if any(len(said) != len(heard[0]) for said in heard):
            raise _unlike()
        for batches in zip(*heard, strict=True):
            target = batches[0][1]
            if any(not torch.equal(target, other) for _, other in batches):
                raise _unlike()
            yield average([output for output, _ in batches], classify=classify), target

    def ensemble(self, model: nn.Module, nets: Sequence[int], *, classify: bool) -> Ensemble:
        """A module of its own, in eval mode, where `model` is; that stays as it is."""
        members = []
        for net in nets:
            member = copy.deepcopy(model)
            member.load_state_dict(self.weights(net))
            members.append(member)
        return Ensemble(members, classify=classify).eval()


def _unlike() -> InvalidData:
    return InvalidData(
        "the selection data came otherwise in a second pass, so that the nets cannot be asked together: give a "
        "loader as val_set that does not shuffle, or pass ensemble=False"
    )
