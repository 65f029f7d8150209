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
result: gammatune.FitResult = gammatune.fit(model=nn.Linear(1, 2), train_set=[], lr=1e-3)
found: gammatune.Predictor = gammatune.fit("survey.csv", "churn", metric="auc", time="5m", column={"zip": "category"})
again: gammatune.Predictor = gammatune.fit(gammatune.read_table("survey.csv"), target="churn", test="later.csv")
gammatune.load("runs/survey-1").predict("new.csv")
version: str = gammatune.__version__
"""
WRONG = {
    "policy": "lookahed",
    "sampler": "gama",
    "schedule": "cosin",
    "objective": "acuracy",
    "keep": "first",
    "forks": "gpu",
}


DATA = {"metric": "acuracy", "keep": "first", "epoch": 3, "column": {"zip": "text"}}


def test_a_type_checker_finds_what_is_misspelt(tmp_path: Path) -> None:
    needs.package("mypy")
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(
        "import gammatune\n\n"
        + "".join(f"gammatune.Tuner({name}={word!r})\n" for name, word in WRONG.items())
    )
    (tmp_path / "data.py").write_text(
        "import gammatune\n\n"
        + "".join(f"gammatune.fit('survey.csv', {name}={word!r})\n" for name, word in DATA.items())
    )
    # what the names have nothing to do with is not read, which takes most of the time
    others = ", ".join(f"mypy-{name}.*" for name in ("torch", "numpy", "scipy", "sklearn", "rich", "typer"))
    (tmp_path / "mypy.ini").write_text(
        f"[mypy]\nfollow_imports = silent\nignore_missing_imports = true\n[{others}]\nfollow_imports = skip\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "right.py", "wrong.py", "data.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    lines = checked.stdout.splitlines()
    errors = [line for line in lines if ": error:" in line]
    of_tuner = [line for line in errors if line.startswith("wrong.py")]
    assert not [line for line in errors if line.startswith("right.py")], checked.stdout
    of_fit = {line.split(":")[1] for line in errors if line.startswith("data.py")}
    assert of_fit == {str(3 + place) for place in range(len(DATA))}, checked.stdout
    for name, line in zip(WRONG, of_tuner, strict=True):
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
