"""Samplers and policies of other packages, by name: small packages installed as pip leaves them."""

import os
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gammatune import plugins
from gammatune.cli.app import main
from gammatune.errors import InvalidArgument, JournalWarning, PluginWarning
from gammatune.journal.history import replay
from gammatune.policy.registry import POLICIES
from gammatune.samplers import SAMPLERS, make_sampler
from gammatune.space import parse
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.result import Result
from gammatune.tuning.tuner import Tuner

CODE = '''
from gammatune.records import Commit, Fork, Rollout, Verdict


class Halving:
    """Starts high and halves."""

    def __init__(self, space, rng, *, start=1.0):
        self.next, self.best = start, None

    def ask(self):
        self.next /= 2
        return {"lr": self.next}

    def tell(self, observation):
        self.best = observation.values

    def recommend(self):
        return self.best


def any_options(space, rng, **options):
    return Halving(space, rng, **options)


def middle(job):
    yield Fork("start")
    for epoch in range(job.epochs):
        outcome = yield Rollout(job.own, epoch, None, course=True)
        yield Commit((outcome,), epoch + 1, None, Verdict("the middle"))


number = 3
'''
POINTS = """
[gammatune.samplers]
halving = {package}:Halving
any = {package}:any_options
number = {package}:number
broken = {package}_broken:Sampler
gone = {package}:no_such_name
[gammatune.policies]
middle = {package}:middle
broken = {package}_broken:policy
"""


def install(where: Path, package: str = "acme", points: str = POINTS, version: str = "1.2") -> None:
    """What pip leaves behind: the modules, and a directory that says what they are."""
    where.mkdir(exist_ok=True)
    (where / f"{package}.py").write_text(CODE)
    (where / f"{package}_broken.py").write_text(
        "def helper():\n    return {}['a key of theirs']\n\n\nhelper()\n"
    )
    info = where / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(points.format(package=package))


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(plugins, "_shadowed", set())
    for name in ("acme", "acme_broken", "other"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def run(**options: Any) -> Result:
    given: dict[str, Any] = {"epochs": 2, "budget": 3, "space": ["lr=1e-4:1:log"], "policy": "greedy"}
    with Tuner(training=FakeTraining(), **(given | options)) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner.result


LR = parse("lr=1e-4:1:log")
RNG = np.random.default_rng(0)


@pytest.mark.usefixtures("acme")
def test_by_name(tmp_path: Path) -> None:
    tried = [o.values["lr"] for o in run(sampler="halving", run_dir=str(tmp_path / "run")).rollouts]
    assert tried == [0.5, 0.25, 0.125] * 2
    begin = replay(tmp_path / "run").begin
    assert (begin["sampler"], begin["versions"]["acme"]) == ("halving", "1.2")
    tried = [o.values["lr"] for o in run(sampler="halving", sampler_options={"start": 0.1}).rollouts]
    assert tried == [0.05, 0.025, 0.0125] * 2
    assert [o.values["lr"] for o in run(policy="middle").course] == pytest.approx([0.01, 0.01])


@pytest.mark.usefixtures("acme")
def test_options_of_theirs_are_looked_at() -> None:
    with pytest.raises(InvalidArgument, match="halving has no option 'begin'; it takes start"):
        make_sampler("halving", LR, RNG, begin=1.0)
    with pytest.raises(TypeError, match="begin"):  # it takes what it is given, and answers for it
        make_sampler("any", LR, RNG, begin=1.0)


def test_an_unknown_name_is_answered_with_what_is_installed(acme: Path) -> None:
    with pytest.raises(
        InvalidArgument, match=r"no sampler 'gama'; write one of gamma, .*any \(of acme 1.2\)"
    ):
        make_sampler("gama", LR, RNG)
    with pytest.raises(
        InvalidArgument, match=r"no policy 'lookahed'.*lookahead, greedy, once; .*middle \(of acme"
    ):
        run(policy="lookahed")
    (acme / "acme-1.2.dist-info" / "entry_points.txt").unlink()
    with pytest.raises(InvalidArgument, match=r"write one of lookahead, greedy, once$"):
        run(policy="lookahed")


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(("kind", "what"), [("sampler", "Sampler"), ("policy", "policy")])
def test_one_that_cannot_be_imported_keeps_its_traceback(kind: str, what: str) -> None:
    with pytest.raises(KeyError, match="a key of theirs") as failed:
        run(**{kind: "broken"})
    told = "".join(traceback.format_exception(failed.value))
    assert "in helper" in told
    assert f"importing the {kind} 'broken' of the package acme 1.2 (acme_broken:{what})" in told


@pytest.mark.usefixtures("acme")
def test_one_that_is_not_there_or_not_to_be_called() -> None:
    with pytest.raises(AttributeError, match="no_such_name") as failed:
        make_sampler("gone", LR, RNG)
    assert "acme 1.2 (acme:no_such_name)" in failed.value.__notes__[0]
    with pytest.raises(
        InvalidArgument, match=r"'number' of the package acme 1.2 .* is a int, not a function"
    ):
        make_sampler("number", LR, RNG)


def test_ours_come_first_and_that_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = "[gammatune.samplers]\nrandom = other_broken:Sampler\n[gammatune.policies]\ngreedy = other_broken:it\n"
    install(tmp_path, "other", points, "0.1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(PluginWarning) as said:
        result = run(sampler="random")
    told = sorted(str(one.message) for one in said)
    assert len(told) == 2
    assert told[0].startswith(
        "the package other 0.1 offers a policy 'greedy' too (other_broken:it); gammatune's own"
    )
    assert "a sampler 'random' too" in told[1]
    assert {Path(one.filename).name for one in said} == {"test_plugins.py"}, "it points at the caller"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(sampler="random").schedule == result.schedule


@pytest.mark.usefixtures("acme")
def test_two_packages_with_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "more", "other", "[gammatune.samplers]\nhalving = other:Halving\n", "0.1")
    monkeypatch.syspath_prepend(tmp_path / "more")
    with pytest.raises(InvalidArgument, match=r"offered by other 0.1 \(other:Halving\) and acme 1.2"):
        make_sampler("halving", LR, RNG)


def test_another_version_is_said_when_a_run_is_gone_on_with(acme: Path, tmp_path: Path) -> None:
    directory = str(tmp_path / "run")
    with Tuner(
        training=FakeTraining(), epochs=2, budget=3, space=["lr=1e-4:1:log"], policy="greedy", sampler="halving",
        run_dir=directory,
    ) as tuner:  # fmt: skip
        one = next(iter(tuner))
        one.advance()
        one.report(**one.evaluate())
    info = acme / "acme-1.2.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.3\n")
    with pytest.warns(JournalWarning, match=r"acme 1.2 then, 1.3 now"):
        assert len(run(sampler="halving", run_dir=directory).course) == 2


def test_nothing_of_theirs_is_imported_before_it_is_asked_for(acme: Path) -> None:
    code = (
        "import sys\n"
        "from gammatune import plugins\n"
        "from gammatune.samplers import make_sampler\n"
        "from gammatune.space import parse\n"
        "assert set(plugins.installed('sampler')) >= {'halving', 'broken'}\n"
        "assert not {'acme', 'acme_broken', 'torch'} & set(sys.modules)\n"
        "print(make_sampler('halving', parse('lr=1e-4:1:log'), None).ask())\n"
    )
    paths = os.pathsep.join([str(acme), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "{'lr': 0.5}\n", done.stderr


@pytest.mark.usefixtures("acme")
def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> str:
        fast = ("train", "digits", "--epochs", "1", "--model", "mlp", "--limit", "200", "--run-dir", "run")
        monkeypatch.setattr(sys, "argv", ["gammatune", *fast, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().err  # type: ignore[no-any-return]

    assert "installed besides: any (of acme 1.2)" in said("--sampler", "halfing")
    assert (
        said("--sampler", "halving", "--policy", "greedy", "--budget", "2", "--search", "lr=1e-4:1:log") == ""
    )
    assert [o.values["lr"] for o in replay("run").rollouts] == [0.5, 0.25]


def test_names_of_ours_are_free_of_other_packages() -> None:
    """The environment of the tests offers none, so that what follows is ours."""
    assert not set(plugins.installed("sampler")) & set(SAMPLERS)
    assert not set(plugins.installed("policy")) & set(POLICIES)
