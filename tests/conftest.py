"""The test world is stricter than the real one: one thread, every stream seeded, warnings are errors."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global stream is one of those a fork must keep
    torch.manual_seed(0)


# Files that take longest: begun first, so that at the end none of two processes waits for the other.
LONGEST = (
    "tests/ranks/",
    "tests/test_documents.py",
    "tests/resume/",
    "tests/test_ray.py",
    "tests/integrations/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (i for i, name in enumerate(LONGEST) if item.nodeid.startswith(name))
        return next(found, len(LONGEST))

    items.sort(key=place)
