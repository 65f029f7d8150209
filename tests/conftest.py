"""The test world is stricter than the real one: one thread, every stream seeded, warnings are errors."""

import os
import random
from pathlib import Path

import needs
import numpy as np
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("full", settings.get_profile("house"))  # see tries.py
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global stream is one of those a fork must keep
    # torch.manual_seed keeps where it was called from, for each kind of device that is not there
    (torch if torch.cuda.is_available() else torch.default_generator).manual_seed(0)


@pytest.fixture(autouse=True)
def not_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said does not depend on what else the machine does."""
    if hasattr(os, "getloadavg"):
        monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))


# Files that take longest: begun first, so that at the end none of two processes waits for the other.
LONGEST = (
    "tests/test_documents.py",
    "tests/ranks/",
    "tests/test_exporting.py",
    "tests/test_site.py",
    "tests/integrations/",
    "tests/resume/",
    "tests/test_ray.py",
    "tests/test_fit_alternatives.py",
    "tests/search/test_samplers.py",
    "tests/engine/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (i for i, name in enumerate(LONGEST) if item.nodeid.startswith(name))
        return next(found, len(LONGEST))

    items.sort(key=place)


# Skipped is not passed: the last line of a run says what was, and what would run it. MAY_SKIP, a list with commas
# ("CUDA, the extra bench"), says what may be absent: CI fails where a test is skipped for want of something else.
MAY_SKIP = "MAY_SKIP"


def reasons(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    return [report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if MAY_SKIP in os.environ and needs.forbidden(reasons(session.config), os.environ[MAY_SKIP]):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    for line in needs.last_lines(reasons(config), os.environ.get(MAY_SKIP)):
        print(line)
