"""Journals older than the fields that say what was decided: it is told by their sentences."""

import re

from gammatune.records import Kind

# How the sentences of the verdicts began, and what else stood in them; the first that fits.
_SAID: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"blew up.* and was taken back"), "guard"),
    (re.compile(r"out of memory in epoch"), "memory"),
    (re.compile(r"^along the schedule|^epoch \d+ of \d+ of a course found before"), "schedule"),
    (re.compile(r"^best of \d+ candidates"), "epoch"),
    (re.compile(r"^best of |^no search: |^every candidate diverged"), "search"),
    (re.compile(r"^no better score for "), "patience"),
    (re.compile(r"^again from the start|it becomes the course$"), "walk"),
    (re.compile(r"handed back$"), "handed back"),
)


def kind_of(reason: str) -> Kind:
    """What a verdict decided whose journal has nothing but its words; the one place that looks at them."""
    return next((kind for words, kind in _SAID if words.search(reason)), "other")


def is_of_the_start(note: str) -> bool:
    """Whether a note says that the weights a model came with were handed back."""
    return note.startswith("No epoch was better than the weights the model came with") and note.endswith(
        "they are handed back."
    )
