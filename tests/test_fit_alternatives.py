"""`fit` where the optimizer is chosen: each trains the same parameters, and what is found can be gone on with and
repeated."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import pytest
import torch
from torch import Tensor, nn

import gammatune
from gammatune.errors import InvalidArgument, JournalError
from gammatune.journal.history import FILE, replay
from gammatune.records import Outcome
from gammatune.report.html.bands import bands
from gammatune.report.html.page import write_report
from gammatune.report.html.searches import searches
from gammatune.space import OPTIMIZER
from gammatune.supervised.fit import FitResult
from gammatune.supervised.optimizers import automatic
from gammatune.supervised.reading import CLASSES
from gammatune.supervised.training import Supervised

G = torch.Generator().manual_seed(1)
X = torch.randn(400, 6, generator=G)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).long()
TRAIN, SELECT = (X[:300], Y[:300]), (X[300:], Y[300:])
GIVEN: dict[str, Any] = {
    "epochs": 20, "budget": 3.8, "batch_size": 20, "seed": 3, "device": "cpu", "progress": False,
}  # fmt: skip


def new() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


def fit(**options: Any) -> tuple[FitResult, nn.Module]:
    torch.manual_seed(1)
    model = new()
    given = GIVEN | {"optimizer": "auto", "new_model": new} | options
    return gammatune.fit(model, TRAIN, SELECT, **given), model


def weights(model: nn.Module) -> list[Tensor]:
    return list(model.state_dict().values())


def timeless(result: FitResult) -> list[Outcome]:
    return [replace(outcome, seconds=0.0) for outcome in result.rollouts]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


@pytest.mark.parametrize("ensemble", [True, False])
def test_each_is_looked_at_and_a_rival_gets_a_whole_training(ensemble: bool) -> None:
    result, model = fit(ensemble=ensemble)
    looked = {o.values[OPTIMIZER] for o in result.rollouts if o.role == "miniature"}
    assert looked == {"adamw", "muon"}
    assert result.said.count("The optimizer is chosen from adamw, muon.") == 1
    role = "net 2" if ensemble else "walk 2"
    rival = {o.values[OPTIMIZER] for o in result.rollouts if o.role == role}
    first = {o.values[OPTIMIZER] for o in result.rollouts if o.role == "course"}
    assert rival | first == looked
    again, other = fit(ensemble=ensemble)
    assert timeless(again) == timeless(result)
    assert same(model, other)


def test_what_is_found_can_be_repeated() -> None:
    result, model = fit(ensemble=False)
    torch.manual_seed(1)
    other = new()
    gammatune.fit(
        other, TRAIN, SELECT, policy=gammatune.replay(result.schedule), **{**GIVEN, "epochs": None, "budget": None}
    )  # fmt: skip
    assert same(model, other)


def test_killed_anywhere_it_goes_on_as_it_would_have(tmp_path: Path) -> None:
    """Within the looks at either, in the course, and in the training of a rival."""
    straight, model = fit(run_dir=str(tmp_path / "whole"))
    count = len(straight.rollouts)
    looks = [o.number for o in straight.rollouts if o.role == "miniature"]
    into = str(tmp_path / "stopped")  # again and again
    for after in (looks[1], looks[-1], looks[-1] + 3, count - 8):

        def stop(event: Any, after: int = after) -> None:
            if event["event"] == "rollout" and event["number"] == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(run_dir=into, listeners=[stop])
    gone_on, other = fit(run_dir=into)
    assert timeless(gone_on) == timeless(straight)
    assert gone_on.nets == straight.nets
    assert same(model, other)


def test_an_optimizer_that_does_not_step_holds_nothing() -> None:
    """A fork before the first step holds no moments, and a run with one fills those of one."""
    model = new()
    steppers = {
        "adamw": torch.optim.AdamW(model.parameters(), lr=1e-3),
        "momentum": torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9),
    }
    training = Supervised(
        model, steppers, ["lr", OPTIMIZER], train=[TRAIN], select=[SELECT],
        loss=nn.functional.cross_entropy, reading=CLASSES, device=torch.device("cpu"),
    )  # fmt: skip
    begun = weights(model)[0].clone()
    try:
        training.capture("start")
        for name in ("momentum", "adamw", "momentum"):
            training.restore("start")
            meter = gammatune.cost.Meter()
            training.apply({"lr": 0.01, OPTIMIZER: name}, meter)
            training.advance(0, {"lr": 0.01, OPTIMIZER: name}, meter)
            assert meter.steps == 1
            assert [bool(one.state) for one in steppers.values()] == [n == name for n in steppers]
            assert not torch.equal(weights(model)[0], begun)
            group = steppers[name].param_groups[0]
            assert group["lr"] == 0.01
        training.restore("start")
        assert torch.equal(weights(model)[0], begun)
        known = {each.name: each.known for each in training.alternatives(["lr"])}
        assert {name: (one.family, one.rate) for name, one in known.items()} == {
            "adamw": ("adam", 1e-3), "momentum": ("momentum", 1e-2),
        }  # fmt: skip
    finally:
        training.close()
    assert not any(one._optimizer_step_pre_hooks for one in steppers.values())


def test_weights_that_are_averaged_on_the_way_are_those_handed_over() -> None:
    """Schedule-Free steps with other weights than it is scored with; AdamW beside it does not disturb that."""
    needs.package("schedulefree")
    result, model = fit(optimizer="adamw", space=["optimizer=schedulefree,adamw"], ensemble=False, budget=1.6)
    with torch.no_grad():
        right = (model.eval()(SELECT[0]).argmax(1) == SELECT[1]).float().mean()
    assert result.report is not None
    assert result.report.accuracy == pytest.approx(float(right))  # type: ignore[union-attr]
    assert result.metrics["accuracy"] == pytest.approx(float(right))


def test_among_what_the_space_names_more_than_rates_is_searched(tmp_path: Path) -> None:
    space = ["optimizer=momentum,adamw", "weight_decay=0,0.01", "batch_size=10,20"]
    result, _ = fit(optimizer="adamw", space=space, run_dir=str(tmp_path), budget=1.95, epochs=24)
    names = {"lr", OPTIMIZER, "weight_decay", "batch_size"}
    assert all(set(o.values) == names for o in result.rollouts)
    own = {o.values[OPTIMIZER]: o.values["weight_decay"] for o in result.rollouts if o.role == "miniature"}
    assert set(own) == {"momentum", "adamw"}
    page = write_report(tmp_path).read_text()
    assert "Looks at rates with momentum" in page
    assert "Looks at rates with adamw" in page
    story = replay(tmp_path)
    assert all(len(search.told) == 3 for search in searches(story) if search.is_beaten)
    if story.course[0].values[OPTIMIZER] != story.course[-1].values[OPTIMIZER]:
        assert bands(story) == []


def test_of_a_run_that_ended_among_its_looks_the_page_shows_them(tmp_path: Path) -> None:
    fit(run_dir=str(tmp_path / "whole"))
    lines = (tmp_path / "whole" / FILE).read_text().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / FILE).write_text("".join(lines[:7]))
    page = write_report(tmp_path / "cut").read_text()
    assert "Looks at rates with adamw" in page


def test_without_a_matrix_there_is_nothing_to_choose() -> None:
    """Muon is AdamW there."""
    assert automatic(nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)).parameters()) == ("adamw",)
    assert automatic(nn.Linear(2, 2).parameters()) == ("adamw", "muon")


def test_a_torch_without_muon_has_nothing_to_choose_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    assert automatic(nn.Linear(2, 2).parameters()) == ("adamw",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lr": 1e-3}, "is the rate of one optimizer, and adamw, muon are chosen from"),
        ({"policy": "greedy", "budget": 4}, "policy='greedy' trains with one optimizer"),
        ({"parallel": "vmap"}, "parallel='vmap' trains several values of one optimizer"),
        ({"optimizer": "adamw", "space": ["optimizer=1,2"]}, "optimizers go by name"),
        ({"optimizer": "adamw", "space": ["optimizer=adamw,sdg"]}, "optimizer 'sdg' is not known"),
        ({"optimizer": "sgd", "space": ["optimizer=adamw,muon"]}, "optimizer='sgd' beside optimizer=adamw,muon"),
        (
            {"optimizer": lambda p: torch.optim.SGD(p, 0.1), "space": ["optimizer=adamw,muon"]},
            "leave one of the two out",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_said_before_any_training(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said.replace("(", r"\(")):
        fit(**options)


def test_a_loop_of_ones_own_steps_with_the_optimizer_it_has() -> None:
    model = new()
    with pytest.raises(InvalidArgument, match="steps with the optimizer it was written with"):
        gammatune.Tuner(
            model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), epochs=3,
            space=["lr=1e-3:1:log", "optimizer=adamw,muon"],
        )  # fmt: skip


def test_another_choice_is_another_run(tmp_path: Path) -> None:
    fit(run_dir=str(tmp_path / "one"), epochs=2, budget=1.5)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with pytest.raises(JournalError, match="space"):
        fit(
            run_dir=str(tmp_path / "two"), epochs=2, budget=1.5, optimizer="adamw",
            space=["optimizer=muon,adamw"],
        )  # fmt: skip
