"""A training of which several nets are made, one after the other, that are then asked together."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from gammatune.engine.ensemble import Ensemble, Nets, NewModel
from gammatune.engine.forks.streams import StreamStates, reseed
from gammatune.engine.modes import evaluating
from gammatune.engine.prepared import bare_module
from gammatune.errors import InvalidArgument
from gammatune.seeds import stream


def unwrapped(module: nn.Module) -> nn.Module:
    """What DistributedDataParallel wraps: an evaluation may do without the wrapper, which waits for other ranks."""
    return module.module if isinstance(module, DistributedDataParallel) else module


class SeveralNets:
    """modules: the first is the net. optimizers: theirs, some of which hold other weights for use than to train."""

    averages_probabilities = True  # of what several nets say; else the numbers themselves
    averages_labels = False  # what they say are scores of labels, each of its own

    def __init__(self, modules: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        self._modules, self._optimizers = modules, optimizers
        self._new_model: NewModel | None = None
        self._directory: Path | None = None
        self._nets: Nets | None = None  # made for the first of several
        self._ensemble: Ensemble | None = None  # evaluated instead of the model

    def several(
        self, new_model: NewModel | None, directory: Path | None, *, probabilities: bool | None = None
    ) -> None:
        """Let there be several nets. new_model: makes another of the same kind, with initial weights drawn from
        torch's random stream; None: all begin with the same. directory: where their weights are kept; None: a
        temporary one. probabilities: what they give are scores of classes (`ensemble.average`)."""
        trained = {id(p) for o in self._optimizers for group in o.param_groups for p in group["params"]}
        if not any(id(p) in trained for p in self._net.parameters()):
            raise InvalidArgument(
                "several nets are kept by the weights of the model, and the optimizer trains none of these (tensors "
                "of your own, as torch.func.functional_call takes them?): let the model hold what is trained, or "
                "leave ensemble= out"
            )
        others = [module for module in self._modules[1:] if any(True for _ in module.parameters())]
        if new_model is not None and others:
            raise InvalidArgument(
                f"new_model= makes one module, and {1 + len(others)} take part in this training: the others would "
                "go on from another net's weights. Leave it out; the nets differ by the order of their data then"
            )
        self._new_model, self._directory = new_model, directory
        if probabilities is not None:
            self.averages_probabilities = probabilities

    @property
    def kept(self) -> Nets:
        if self._nets is None:
            self._nets = Nets(self._directory)
        return self._nets

    def renew(self, seed: int, net: int) -> None:
        """See `Joinable`. Random streams are where they were."""
        if self._new_model is None:
            return
        before = StreamStates([], cuda=True)
        try:
            reseed((), stream(seed, "net", net))
            self._net.load_state_dict(self._new_model().state_dict())
        finally:
            before.restore()

    def join(self, net: int) -> str | None:
        """See `Joinable`."""
        with evaluating(self._net, optimizers=self._optimizers):  # the weights that are meant to be used
            return self.kept.keep(net, self._net.state_dict())

    def rejoin(self, net: int, checksum: str) -> bool:
        """See `Joinable`."""
        return self.kept.find(net, checksum)

    def ask(self, nets: Sequence[int]) -> None:
        """See `Joinable`."""
        self._ensemble = self.ensemble(nets) if nets else None

    def ensemble(self, nets: Sequence[int]) -> Ensemble:
        """Of nets that were kept."""
        return self.kept.ensemble(
            self._net, nets, classify=self.averages_probabilities, labels=self.averages_labels
        )

    def forget_others(self, nets: Collection[int], known: Collection[int]) -> None:
        """Remove the files of all nets but these. known: those that other processes kept."""
        if known or self._nets is not None:
            self.kept.remove_others(nets, known)

    def forget_nets(self) -> None:
        """What was kept of them for this process alone; after `close`, since an ensemble may be made in between."""
        if self._nets is not None:
            self._nets.close()
            self._nets = None

    @property
    def _net(self) -> nn.Module:
        return bare_module(unwrapped(self._modules[0]))

    @contextmanager
    def _answering(self) -> Iterator[int]:
        """Within, the model says what the nets that are asked say together: so many, or itself alone."""
        if self._ensemble is None:
            yield 1
            return
        net = self._net
        own = vars(net).get("forward")  # accelerate's, in mixed precision
        net.forward = self._ensemble.forward
        try:
            yield len(self._ensemble.members)
        finally:
            del net.forward
            if own is not None:
                net.forward = own
