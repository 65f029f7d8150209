"""What stands in a journal is anybody's: it is taken as what it should be, or as nothing."""

from collections.abc import Mapping
from typing import Any


def mapping(held: Any) -> Mapping[str, Any]:
    return held if isinstance(held, Mapping) else {}


def listed(held: Any) -> list[Any]:
    return list(held) if isinstance(held, (list, tuple)) else []


def whole(held: Any) -> int | None:
    return held if isinstance(held, int) and not isinstance(held, bool) else None


def real(held: Any) -> float | None:
    if isinstance(held, bool) or not isinstance(held, (int, float, str)):
        return None
    try:
        return float(held)
    except ValueError:
        return None


def reals(held: Any, count: int) -> Any:
    """(count,); None where it is anything else."""
    import numpy as np  # late: the command's help waits for this module

    numbers = [real(v) for v in listed(held)]
    return np.array(numbers) if len(numbers) == count and None not in numbers else None
