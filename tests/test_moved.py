"""Modules of earlier versions are found where they lie now."""

import importlib
import importlib.util
import pickle
import pkgutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest

import gammatune
from gammatune._moved import MOVED, PARTS
from gammatune.cost import Cost

OF_EXTRAS = {"gammatune.crew.ray": "ray", "gammatune.tuning.executor.ray": "ray"}  # what these import
OLD = sorted(f"gammatune.{old}" for old in MOVED)
SRC = Path(gammatune.__file__).parent


@pytest.fixture
def forgotten() -> Iterator[None]:
    """No old path has been asked for in this process; afterwards neither."""
    asked = [*OLD, *(f"gammatune.{part}" for part in PARTS)]
    for name in asked:
        sys.modules.pop(name, None)
    yield
    for name in asked:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("old", OLD)
def test_an_old_path_gives_the_module_of_the_new_one(old: str) -> None:
    new = f"gammatune.{MOVED[old.removeprefix('gammatune.')]}"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if old in OF_EXTRAS:
            needs.package(OF_EXTRAS[old], OF_EXTRAS[old])
        module = importlib.import_module(old)
    assert module is sys.modules[new]
    assert module.__name__ == module.__spec__.name == new, "which keeps its own name"
    ours = [
        one
        for one in said
        if one.category is DeprecationWarning and str(one.message) == f"{old} is {new} now"
    ]
    assert len(ours) == 1
    assert importlib.import_module(old) is module, "and again, from sys.modules"


def test_the_table_names_what_is_gone_and_what_is_there() -> None:
    real = {m.name.removeprefix("gammatune.") for m in pkgutil.walk_packages([str(SRC)], "gammatune.")}
    assert not real & set(MOVED)
    assert {*MOVED.values(), *PARTS.values()} <= real


@pytest.mark.usefixtures("forgotten")
def test_what_lies_in_a_moved_package_is_loaded_once() -> None:
    from gammatune.pipeline.data import columns

    sys.modules.pop("gammatune.data.columns", None)
    with pytest.warns(DeprecationWarning, match=r"gammatune\.data.* is gammatune\.pipeline\.data"):
        assert importlib.import_module("gammatune.data.columns") is columns
    sys.modules.pop("gammatune.data.columns")


@pytest.mark.usefixtures("forgotten")
def test_a_package_that_was_taken_apart_still_gives_its_parts() -> None:
    from gammatune.tuning import ray_executor
    from gammatune.tuning.executor import Executor

    scope: dict[str, object] = {}
    with pytest.warns(DeprecationWarning, match=r"gammatune\.crew is gammatune\.tuning\.executor now"):
        exec("from gammatune.crew import Crew, ray", scope)
    assert scope["ray"] is ray_executor
    assert scope["Crew"] is Executor


@pytest.mark.usefixtures("forgotten")
def test_what_was_pickled_under_an_old_path_is_read() -> None:
    with pytest.warns(DeprecationWarning, match=r"gammatune\.ledger is gammatune\.cost now"):
        assert pickle.loads(b"cgammatune.ledger\nCost\n.") is Cost


@pytest.mark.usefixtures("forgotten")
def test_an_old_path_that_never_was_is_an_import_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"gammatune\.never"):
        importlib.import_module("gammatune.never")
    with (
        pytest.warns(DeprecationWarning, match=r"gammatune\.data is gammatune\.pipeline\.data now"),
        pytest.raises(ModuleNotFoundError, match="never"),
    ):
        importlib.import_module("gammatune.data.never")


def test_modules_that_became_packages_give_their_public_names() -> None:
    for package, names in {
        "cli": "app main",
        "journal": "Echo Event FILE FORMAT Journal PREDICTIONS Repeat State Story WEIGHTS begin_event commit_event "
        "gone_event net_event note_event objective_event outcome_from repeat_event replay resume_event rollout_event "
        "state_event text_of",
        "metrics": "Classification Regression classification regression",
    }.items():
        module = importlib.import_module(f"gammatune.{package}")
        assert [name for name in names.split() if not hasattr(module, name)] == []


@pytest.mark.usefixtures("forgotten")
@pytest.mark.filterwarnings("ignore:gammatune.* now:DeprecationWarning")
def test_modules_that_were_parted_give_the_names_they_had() -> None:
    for old, names in {
        "engine.supervised": "LossFunction Supervised WeightedCrossEntropy default_loss",
        "examination": "Diagnosis Finding doctor",
        "fitting": "FitResult fit",
        "freezing": "freeze",
    }.items():
        module = importlib.import_module(f"gammatune.{old}")
        assert [name for name in names.split() if not hasattr(module, name)] == []


def test_the_warning_points_at_who_imports(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("from gammatune.objectives import Objective\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert (
        "mine.py:1: DeprecationWarning: gammatune.objectives is gammatune.metrics.objectives now"
        in done.stderr
    )


def test_the_command_runs_as_a_module() -> None:
    call = [sys.executable, "-W", "error", "-m", "gammatune.cli", "--version"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("gammatune ")


def test_importing_gammatune_loads_nothing_for_it() -> None:
    code = "import sys, gammatune; print(*sorted(m for m in sys.modules if m.startswith('gammatune')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gammatune", "gammatune._moved"]
