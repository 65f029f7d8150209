"""What happens, told: to the journal, and to everyone who listens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gammatune.journal.events import Event, resume_event
from gammatune.journal.writer import Echo, Journal

Listener: TypeAlias = Callable[[Event], None]


class Teller:
    def __init__(self, journal: Journal | Echo | None, listeners: Sequence[Listener]) -> None:
        self.journal = journal
        self._listeners = list(listeners)
        self._going_on: dict[str, Any] | None = None  # the event that says so, until it is said

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """What is told next is of a later process, which says so before. facts: for the event that does."""
        self._going_on = resume_event(facts)

    @property
    def is_past(self) -> bool:
        """Nothing new has happened in a run that is gone on with."""
        return self._going_on is not None

    def announce(self) -> None:
        """Before the first thing that is new in a run that is gone on with."""
        if (event := self._going_on) is not None:
            self._going_on = None
            self._write(event)

    def write(self, event: dict[str, Any]) -> None:
        """Into the journal, and to everyone who listens."""
        self.announce()
        self._write(event)

    def _write(self, event: dict[str, Any]) -> None:
        if self.journal is not None:
            self.journal.append(event)
        self.tell(event)

    def tell(self, event: dict[str, Any]) -> None:
        """To everyone who listens alone."""
        for listener in self._listeners:
            listener(event)
