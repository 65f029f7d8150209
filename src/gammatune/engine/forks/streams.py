"""The states of random streams: Python's, NumPy's and torch's global ones, and every generator handed in."""

import copy
import random
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch

Stream: TypeAlias = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


class StreamStates:
    """The global streams and some generators as they stood at one moment.

    cuda: the streams of the CUDA devices too; asking for them waits for the device, so only forks do.
    """

    __slots__ = ("_cuda", "_numpy", "_python", "_streams", "_torch")

    def __init__(self, streams: Iterable[Stream], *, cuda: bool = False) -> None:
        self._streams = [(stream, state_of(stream)) for stream in streams]
        self._python = random.getstate()
        self._numpy = np.random.get_state()  # noqa: NPY002 - the user's code may draw from it
        self._torch = torch.get_rng_state()
        # A process that has not used CUDA has nothing to keep, and asking would start CUDA.
        self._cuda = torch.cuda.get_rng_state_all() if cuda and torch.cuda.is_initialized() else []

    def share(self, earlier: "StreamStates") -> None:
        """Of the streams, the same ones, that stand where they stood earlier, hold that state with it, once."""
        pairs = zip(self._streams, earlier._streams, strict=True)
        self._streams = [(of, kept if same(now, kept) else now) for (of, now), (_, kept) in pairs]
        self._python = earlier._python if self._python == earlier._python else self._python
        self._numpy = earlier._numpy if same(self._numpy, earlier._numpy) else self._numpy
        self._torch = earlier._torch if same(self._torch, earlier._torch) else self._torch

    def parts(self) -> list[Any]:
        """The state of each stream, the very objects that are held."""
        return [self._python, self._numpy, self._torch, *self._cuda, *(state for _, state in self._streams)]

    def add(self, stream: Stream, state: Any = None) -> None:
        """One more stream, as it stands, or in a state that it had or will have."""
        self._streams.append((stream, state_of(stream) if state is None else state))

    def kept(self, stream: Stream) -> Any:
        """The state that is kept of one of the streams."""
        return next(state for known, state in self._streams if known is stream)

    def knows(self, stream: Stream) -> bool:
        return any(known is stream for known, _ in self._streams)

    def export(self, streams: Iterable[Stream] = ()) -> dict[str, Any]:
        """The states as plain values: of the global streams by name, of `streams` (kept here) by position."""
        return {
            "python": self._python,
            "numpy": self._numpy,
            "torch": self._torch,
            "cuda": self._cuda,
            "own": tuple(self.kept(stream) for stream in streams),
        }

    @classmethod
    def adopt(cls, saved: Mapping[str, Any], streams: Iterable[Stream]) -> "StreamStates":
        """The states that were exported, for `streams` in the same order."""
        adopted = cls([])
        adopted._streams = list(zip(streams, saved["own"], strict=True))
        adopted._python, adopted._numpy, adopted._torch = saved["python"], saved["numpy"], saved["torch"]
        # a process with fewer devices, or none, keeps what its own do
        adopted._cuda = saved["cuda"][: torch.cuda.device_count()] if torch.cuda.is_available() else []
        return adopted

    def restore(self) -> None:
        for stream, state in self._streams:
            set_state(stream, state)
        random.setstate(self._python)
        np.random.set_state(self._numpy)  # noqa: NPY002
        torch.set_rng_state(self._torch)
        for index, state in enumerate(self._cuda):
            torch.cuda.set_rng_state(state, index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamStates):
            return NotImplemented
        return (
            same(self._python, other._python)
            and same(self._numpy, other._numpy)
            and same(self._torch, other._torch)
            and all(same(a, b) for (_, a), (_, b) in zip(self._streams, other._streams, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]


def kind_of(stream: Stream) -> str:
    """What kind of stream it is: states are exchanged within a kind only."""
    if isinstance(stream, torch.Generator):
        return f"torch.Generator on {stream.device.type}"
    if isinstance(stream, np.random.Generator):
        return f"NumPy Generator ({type(stream.bit_generator).__name__})"
    return type(stream).__name__


def state_of(stream: Stream) -> Any:
    """Where a stream stands, as plain values."""
    if isinstance(stream, np.random.Generator):
        return copy.deepcopy(stream.bit_generator.state)
    return stream.getstate() if isinstance(stream, random.Random) else stream.get_state()


def set_state(stream: Stream, state: Any) -> None:
    """Put a stream where it was when `state` was taken."""
    if isinstance(stream, np.random.Generator):
        stream.bit_generator.state = copy.deepcopy(state)
    elif isinstance(stream, random.Random):
        stream.setstate(state)
    else:
        stream.set_state(state)


def reseed(
    streams: Iterable[Stream], source: np.random.Generator, globally: np.random.Generator | None = None
) -> None:
    """Start the global streams, and these, anew from numbers that `source` draws. globally: for the global ones."""
    common = source if globally is None else globally
    random.seed(_draw(common))
    np.random.seed(_draw(common))  # noqa: NPY002
    torch.manual_seed(_draw(common))  # CUDA's too
    for stream in streams:
        start_anew(stream, source)


def start_anew(stream: Stream, source: np.random.Generator) -> None:
    """Start one stream anew from a number that `source` draws."""
    if isinstance(stream, torch.Generator):
        stream.manual_seed(_draw(source))
    elif isinstance(stream, np.random.Generator):
        fresh = type(stream.bit_generator)(_draw(source))
        stream.bit_generator.state = fresh.state
    else:
        stream.seed(_draw(source))


def _draw(source: np.random.Generator) -> int:
    return int(source.integers(2**32))


def same(a: Any, b: Any) -> bool:
    """Equality of states: nested tuples, dictionaries and arrays."""
    if a is b:
        return True
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
