"""Capture and restore everything a training depends on.

The one list of what a fork copies:

    modules      parameters, buffers (non-persistent ones too), requires_grad, children, extra state, gradients
                 that are still to be used (engine/spent_gradients.py), and every number held as an attribute:
                 train/eval mode, a user's own counters; of home-made modules also tensors, arrays and containers
                 of numbers
    optimizers   state, parameter groups, parameters no module holds, attributes (an optimizer's own
                 train/eval mode), an inner optimizer
    extras       whatever has state_dict/load_state_dict: LR schedulers, GradScaler, EMA, samplers, ...
    streams      Python, NumPy, torch CPU and CUDA, every Generator handed in or found in a loader

Tensors are put back in place: the captured object is linked again to where it stood, over the storage it had,
and its numbers are copied into it. Nothing is deep-copied but what is small and not a tensor. Compiled steps
and CUDA graphs that hold on to the tensors stay valid.

A fork can leave its process: `export` tells it as a tree (engine/forks/archive.py) in which nothing is named by what
object it is, `adopted` makes of such a tree a fork of the training that stands in this process, to be restored like
any.
"""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer

from gammatune.engine.forks import archive, portable
from gammatune.engine.forks.filed import FiledTensors
from gammatune.engine.forks.sharding import is_spread, settle
from gammatune.engine.forks.states import States
from gammatune.engine.forks.streams import Stream, StreamStates, kind_of
from gammatune.engine.forks.tensors import Tensors
from gammatune.engine.forks.transfer import Inbound, Outbound, mapped
from gammatune.errors import NotRestorable


class Snapshot:
    """One fork of a training. Capturing again reuses its buffers. where: these are.

    streams: as they stood at the fork; one that is first met later, and not drawn from in between, is added.
    """

    def __init__(self, where: Literal["device", "host", "disk"] = "device") -> None:
        self._tensors = FiledTensors() if where == "disk" else Tensors(host=where == "host")
        self._states = States([], [], self._tensors)
        self._extras: list[tuple[Any, Any]] = []
        self.streams = StreamStates([])

    def capture(
        self,
        modules: Iterable[nn.Module],
        optimizers: Iterable[Optimizer],
        extras: Iterable[Any],
        streams: Iterable[Stream],
        spent: Collection[int] = (),
    ) -> None:
        """spent: ids of gradients that nobody needs any more."""
        modules = list(modules)
        settle(modules)
        tensors = self._tensors
        tensors.begin(without=spent)
        states = States(modules, optimizers, tensors)
        extra_states = [(extra, copy.deepcopy(extra.state_dict())) for extra in extras]
        stream_states = StreamStates([*streams, *states.found.streams], cuda=True)
        tensors.copy()
        self._states, self._extras, self.streams = states, extra_states, stream_states

    def restore(self) -> None:
        settle(self._states.roots)
        self._states.link()
        self._tensors.put_back()
        for extra, state_dict in self._extras:
            extra.load_state_dict(copy.deepcopy(state_dict))
        self.streams.restore()

    def export(self, streams: Sequence[Stream], *, stands: bool = False) -> dict[str, Any]:
        """The fork as a tree that another process can read. stands: the training stands at it.

        Its tensors are the fork's own, until it is captured again. streams: of those handed to `capture`, the ones
        that are known by their position here; who knows the others asks `streams`.
        Raises NotRestorable where the training keeps what a file cannot hold.
        """
        if any(is_spread(tensor) for tensor, _, _ in self._tensors.captured(stands=True)):
            raise NotRestorable(
                "a parameter is spread over several processes (fully_shard), which a checkpoint cannot hold yet"
            )
        outbound = Outbound(self._tensors.captured(stands=stands))
        extras = []
        for extra, state_dict in self._extras:
            archive.check(state_dict, f"the state of {type(extra).__name__}")
            extras.append({"class": type(extra).__qualname__, "state": mapped(state_dict, outbound)})
        found = self._states.found.streams
        return {
            **portable.export(self._states, outbound),
            "extras": extras,
            "streams": self.streams.export([*streams, *found]),
            "kinds": [kind_of(stream) for stream in (*streams, *found)],
            "tensors": outbound.table,
        }

    @classmethod
    def adopted(
        cls,
        saved: Mapping[str, Any],
        modules: Iterable[nn.Module],
        optimizers: Iterable[Optimizer],
        extras: Sequence[Any],
        streams: Sequence[Stream],
    ) -> "Snapshot":
        """The fork that was exported, as one of the training that stands here; nothing moves until it is restored.

        Raises InvalidArgument, naming the first difference, where this training is not made as that one was.
        """
        fork = cls()
        fork._states = States(modules, optimizers, fork._tensors)
        inbound = Inbound(saved["tensors"])
        portable.adopt(fork._states, saved, inbound)
        fork._tensors = Tensors.of(inbound.pairs)
        portable.refuse_others(
            [e["class"] for e in saved["extras"]], [type(e).__qualname__ for e in extras], "state="
        )
        fork._extras = [
            (live, inbound.moved(e["state"])) for live, e in zip(extras, saved["extras"], strict=True)
        ]
        own = [*streams, *fork._states.found.streams]
        portable.refuse_others(saved["kinds"], [kind_of(stream) for stream in own], "random generators")
        fork.streams = StreamStates.adopt(saved["streams"], own)
        return fork

    @property
    def bytes(self) -> int:
        """Memory held by the copies of tensors."""
        return self._tensors.bytes
