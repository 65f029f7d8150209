"""How many examples the longest properties are tried with: all of them under `pytest --hypothesis-profile=full`."""

from typing import Any

from hypothesis import settings


def tries(usual: int, *, full: int, **others: Any) -> settings:
    """usual: as many as find what such a property can find, kept low where each is a run or several."""
    is_full = settings.get_current_profile_name() == "full"
    return settings(max_examples=full if is_full else usual, deadline=None, **others)
