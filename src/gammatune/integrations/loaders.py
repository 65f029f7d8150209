"""A framework's own passes over its data, as loaders that the engine can tell apart: drawn again, or recorded."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader


def passes(begin: Callable[..., Iterator[Any]], *held: Any, inner: DataLoader[Any] | None) -> Any:
    """A loader each of whose passes is begun by `begin(*held)`.

    held: the first is as long as a pass, if it has a length. inner: what is drawn from where its order can be
    restored, by which the engine knows that of the passes.
    """
    return _Drawn(begin, *held) if inner is None else _Again(inner, begin, *held)


class _Drawn:
    def __init__(self, begin: Callable[..., Iterator[Any]], *held: Any) -> None:
        self._begin, self._held = begin, held

    def __len__(self) -> int:
        return len(self._held[0])

    def __iter__(self) -> Iterator[Any]:
        return self._begin(*self._held)


class _Again(DataLoader[Any]):
    def __init__(self, inner: DataLoader[Any], begin: Callable[..., Iterator[Any]], *held: Any) -> None:
        super().__init__(
            inner.dataset,
            batch_sampler=inner.batch_sampler,
            collate_fn=inner.collate_fn,
            generator=inner.generator,
        )
        self._begin = begin
        self._held = held  # an attribute, since generators are looked for there (`batches.streams_of`)

    def __iter__(self) -> Any:
        return self._begin(*self._held)
