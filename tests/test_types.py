"""What a type checker knows of names: the very ones that there are, so that it finds what is misspelt."""

import subprocess
import sys
import typing
from importlib import metadata
from pathlib import Path
from typing import Any

import needs
import pytest

import gammatune
from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import METRICS, MetricName
from gammatune.metrics.objectives import FOR_METRICS, OBJECTIVES, ObjectiveName
from gammatune.plugins import Plugin
from gammatune.policy.registry import POLICIES, PolicyName
from gammatune.samplers import SAMPLERS, SamplerName
from gammatune.schedules import SCHEDULES, ScheduleName
from gammatune.supervised.optimizers import OPTIMIZERS, OptimizerName
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Tuner


@pytest.mark.parametrize(
    ("names", "registry"),
    [
        (PolicyName, POLICIES),
        (SamplerName, SAMPLERS),
        (ScheduleName, SCHEDULES),
        (ObjectiveName, [*OBJECTIVES, *FOR_METRICS]),
        (MetricName, METRICS),
        (OptimizerName, OPTIMIZERS),
    ],
)
def test_the_types_are_the_registries(names: Any, registry: Any) -> None:
    assert typing.get_args(names) == tuple(registry)


RIGHT = """
import gammatune
from torch import nn

gammatune.fit(nn.Linear(1, 2), [], policy="greedy", sampler="tpe", schedule="constant", objective="kappa",
    metric="f1", optimizer="sgd", keep="last", forks="host")
gammatune.Tuner(policy=gammatune.plugin("patient"), sampler=gammatune.plugin("halving"))
gammatune.Tuner(policy=gammatune.replay("found.json"))
version: str = gammatune.__version__
"""
WRONG = {
    "policy": "lookahed",
    "sampler": "gama",
    "schedule": "cosine",
    "objective": "acuracy",
    "keep": "first",
    "forks": "gpu",
}


def test_a_type_checker_finds_what_is_misspelt(tmp_path: Path) -> None:
    needs.package("mypy")
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(
        "import gammatune\n\n"
        + "".join(f"gammatune.Tuner({name}={word!r})\n" for name, word in WRONG.items())
    )
    # what the names have nothing to do with is not read, which takes most of the time
    others = ", ".join(f"mypy-{name}.*" for name in ("torch", "numpy", "scipy", "sklearn", "rich", "typer"))
    (tmp_path / "mypy.ini").write_text(
        f"[mypy]\nfollow_imports = silent\nignore_missing_imports = true\n[{others}]\nfollow_imports = skip\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "right.py", "wrong.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    lines = checked.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines if ": error:" in line] == ["wrong.py"] * len(WRONG), (
        checked.stdout
    )
    for name, line in zip(WRONG, (line for line in lines if ": error:" in line), strict=True):
        assert f'Argument "{name}" to "Tuner" has incompatible type' in line


def test_a_plugin_is_looked_up_where_it_is_used() -> None:
    assert isinstance(gammatune.plugin("patient"), Plugin)
    for given in ({"policy": gammatune.plugin("patient")}, {"sampler": gammatune.plugin("halving")}):
        with pytest.raises(
            InvalidArgument, match=r"there is no (policy 'patient'|sampler 'halving'); write one of"
        ):
            Tuner(training=FakeTraining(), space=["lr=1e-3:1:log"], epochs=1, **given)  # type: ignore[arg-type]


def test_the_version_is_that_of_the_package() -> None:
    assert gammatune.__version__ == metadata.version("gammatune")
