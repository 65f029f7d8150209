"""What `fit` says and keeps of several nets: figures of one beside theirs, the price, and files on disk."""

import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gammatune
from gammatune.engine.ensemble import Ensemble, Nets
from gammatune.errors import InvalidArgument, JournalError
from gammatune.journal.events import text_of
from gammatune.journal.history import Story, replay
from gammatune.metrics.predictions import Answers
from gammatune.pipeline.models import make_model
from gammatune.pipeline.table_diagnostics import _moved
from gammatune.policy import nets as policy_nets
from gammatune.supervised.fit import FitResult, fit

SEED = partial(torch.Generator().manual_seed, 0)
X = torch.randn(300, 6, generator=SEED())
CODES = (X[:, 0] * X[:, 1] > 0).long()
NUMBERS = X[:, :1] * 3 + X[:, 1:2] ** 2


def net(outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))


def several(y: torch.Tensor = CODES, outputs: int = 2, **options: Any) -> FitResult:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "epochs": 6, "budget": 3.6, "batch_size": 8, "device": "cpu", "new_model": partial(net, outputs),
        "test_set": (X[240:], y[240:]),
    }  # fmt: skip
    return fit(net(outputs), (X[:180], y[:180]), (X[180:240], y[180:240]), **(given | options))


@pytest.fixture(scope="module")
def result() -> FitResult:
    return several()


def member_files(run: Path) -> list[str]:
    return sorted(path.name for path in run.glob("net-*"))


def test_the_figures_of_the_best_alone_stand_beside_theirs(result: FitResult) -> None:
    assert result.ensemble is not None
    assert result.single is not None
    assert result.report is not None
    with torch.no_grad():
        together = result.ensemble(X[240:]).argmax(1)
    assert result.report.accuracy == pytest.approx(float((together == CODES[240:]).float().mean()))  # type: ignore[union-attr]
    event = result.events[-1]
    assert event["nets"] == len(result.nets) >= 2
    assert event["single"]["accuracy"] == result.single.accuracy  # type: ignore[union-attr]
    assert result.price is not None
    size = sum(p.numel() * p.element_size() for p in net().parameters())
    assert result.price.memory == (size, size * len(result.nets))
    assert event["price"] == {"memory": result.price.memory, "seconds": result.price.seconds}
    assert f"of {len(result.nets)} nets together (the best alone: accuracy " in repr(result)
    assert f"of {len(result.nets)} nets together (the best alone: accuracy " in result._repr_html_()
    assert repr(pickle.loads(pickle.dumps(result))) == repr(result)


def test_a_regression_of_two_numbers(tmp_path: Path) -> None:
    y = torch.cat([NUMBERS, -NUMBERS + X[:, 2:3]], dim=1)
    run = tmp_path / "run"
    found = several(y, outputs=2, run_dir=str(run), target_scale=((0.0, 5.0), (2.0, 3.0)))
    assert found.ensemble is not None
    assert "R2 " in repr(found)
    with np.load(run / "predictions.npz") as held:
        spread = held["spread"]
    with torch.no_grad():
        each = torch.stack([member(X[240:]) for member in found.ensemble.members])
    assert np.allclose(spread, each.std(dim=0, correction=0).numpy(), atol=1e-6)
    assert found.events[-1]["single"].keys() == {"r2", "mse"}


def test_answers_keep_their_spread_through_scales_and_samples() -> None:
    answers = Answers(
        np.zeros((3, 2)), np.ones((3, 2)), spread=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    )
    scaled = answers.scaled((1.0, 1.0), (2.0, 10.0))
    assert scaled.spread is not None
    assert scaled.spread.tolist() == [[2.0, 20.0], [6.0, 40.0], [10.0, 60.0]]
    some = answers.some(np.array([2, 0]))
    assert some.spread is not None
    assert some.spread.tolist() == [[5.0, 6.0], [1.0, 2.0]]


def test_what_is_asked_after_the_search_is_asked_of_all(tmp_path: Path) -> None:
    heard: list[nn.Module] = []

    def extra(answers: Answers, said_by: nn.Module) -> dict[str, Any]:
        heard.append(said_by)
        return {}

    found = several(extra=extra)
    assert heard == [found.ensemble]
    torch.manual_seed(0)
    model = net()
    fit(model, (X[:180], CODES[:180]), epochs=2, batch_size=8, device="cpu", extra=extra)
    assert heard[1] is model


# -- files


def test_a_complete_run_keeps_the_files_of_its_nets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = policy_nets.Nets._join

    def without_the_third(self: policy_nets.Nets, net: int, walk: Any, **options: Any) -> Any:
        before = self.chosen, self.said, list(self.losses)
        yield from join(self, net, walk, **options)
        if net == 2:
            self.chosen, self.said, self.losses = before

    monkeypatch.setattr(policy_nets.Nets, "_join", without_the_third)
    monkeypatch.setattr(policy_nets, "WORTH", -1.0)
    run = tmp_path / "run"
    found = several(run_dir=str(run), budget=4.7)
    assert found.nets == (0, 1, 3)
    story = replay(run)
    assert 2 in story.kept  # it was, while the run went on
    assert member_files(run) == [f"net-{k}.pt" for k in found.nets]
    (run / "net-2.pt.part").write_bytes(b"half")  # as a kill leaves it
    again = several(run_dir=str(run), budget=4.7)
    assert member_files(run) == [f"net-{k}.pt" for k in found.nets]
    assert again.report == found.report
    assert again.single == found.single


def test_one_net_in_the_end_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_nets.Nets, "_is_harmed", lambda self, before, after, harm: after.nets != (1,))
    run = tmp_path / "run"
    found = several(run_dir=str(run))
    assert found.nets == ()
    assert found.ensemble is None
    assert replay(run).kept
    assert member_files(run) == []
    assert "single" not in found.events[-1]


def test_an_interrupted_run_loses_no_file_and_ends_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_nets, "WORTH", -1.0)
    whole = several(run_dir=str(tmp_path / "whole"), budget=3.7)
    assert len(whole.nets) == 3

    class Cut(Exception):
        pass

    def cut(event: Any) -> None:
        if event["event"] == "start" and event["run"].net == 2 and event["run"].epoch == 3:
            raise Cut

    run = tmp_path / "run"
    with pytest.raises(Cut):
        several(run_dir=str(run), budget=3.7, listeners=[cut])
    story = replay(run)
    assert story.nets == (0, 1)
    assert member_files(run) == ["net-0.pt", "net-1.pt"]
    ended = several(run_dir=str(run), budget=3.7)
    assert ended.nets == whole.nets
    assert ended.report == whole.report
    assert ended.ensemble is not None
    assert whole.ensemble is not None
    pairs = zip(ended.ensemble.parameters(), whole.ensemble.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
    assert member_files(run) == ["net-0.pt", "net-1.pt", "net-2.pt"]


def test_others_are_removed_and_nothing_else(tmp_path: Path) -> None:
    nets = Nets(tmp_path)
    for k in range(3):
        nets.keep(k, {"w": torch.ones(1)})
    for name in ("net-9.pt", "net-10.pt", "weights.pt"):
        (tmp_path / name).touch()
    nets.remove_others((0, 2), known=(9,))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0.pt",
        "net-10.pt",
        "net-2.pt",
        "weights.pt",
    ]
    nets.close()


# -- where there is one net


def test_a_start_that_no_net_beats_is_handed_back_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = net()
    fit(model, (X[:240], CODES[:240]), epochs=20, batch_size=8, device="cpu")
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    run = tmp_path / "run"
    found = fit(
        model, (X[:180], 1 - CODES[:180]), (X[180:240], CODES[180:240]), test_set=(X[240:], CODES[240:]),
        epochs=3, budget=3.6, batch_size=8, device="cpu", pretrained=True, ensemble=True, lr=0.1, run_dir=str(run),
    )  # fmt: skip
    assert found.is_start
    assert found.ensemble is None
    assert found.nets == ()
    assert replay(run).nets == ()
    assert member_files(run) == []
    assert all(torch.equal(value, begun[name]) for name, value in model.state_dict().items())


def test_a_policy_that_trains_one_net_refuses_several() -> None:
    with pytest.raises(InvalidArgument, match="policy='once' trains one net"):
        several(policy="once", ensemble=True)


class Weighted(nn.Module):
    """A loss with weights of classes, which are learned or not."""

    def __init__(self, *, learned: bool) -> None:
        super().__init__()
        weights = torch.tensor([1.0, 2.0])
        if learned:
            self.weights = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights)

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, target, weight=self.weights)


def test_a_loss_that_is_a_module_goes_with_other_nets_unless_it_learns() -> None:
    assert len(several(loss_fn=Weighted(learned=False)).nets) >= 2
    with pytest.raises(InvalidArgument, match="new_model= makes one module, and 2 take part"):
        several(loss_fn=Weighted(learned=True))


# -- what an event can say


def story_of(**changes: Any) -> Story:
    story = Story()
    report = {
        "event": "report",
        "on": "test",
        "r2": 0.5,
        "mse": 1.0,
        "nets": 2,
        "single": {"r2": 0.4, "mse": "inf"},
    }
    report |= {"price": {"memory": [1, 2], "seconds": [0.1, 0.2]}} | changes
    story.tell(json.loads(text_of(report)))
    return story


@pytest.mark.parametrize(
    "changes",
    [
        {"nets": -1},
        {"nets": "two"},
        {"single": {"r2": "good", "mse": 1}},
        {"single": {"mse": 1}},
        {"single": 3},
        {"price": {"memory": [1], "seconds": [1, 2]}},
        {"price": {"memory": [-1, 2], "seconds": [1, 2]}},
        {"price": {"memory": [1, 2]}},
        {"price": None},
    ],
)
def test_a_report_that_cannot_be_is_not_believed(changes: dict[str, Any]) -> None:
    assert story_of().report is not None
    with pytest.raises((ValueError, TypeError, KeyError)):
        story_of(**changes)


def test_older_reports_are_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    several(run_dir=str(run), budget=1.5)
    story = replay(run)
    assert story.report is not None
    assert not {"nets", "single", "price"} & set(story.report)
    assert story.nets == ()
    with pytest.raises(JournalError, match="there is no run at"):
        gammatune.load(str(tmp_path / "none"))


# -- columns


@pytest.mark.parametrize("codes", [0, 2])
def test_columns_of_a_net_twice_are_those_of_the_net(codes: int) -> None:
    torch.manual_seed(0)
    one = make_model("tabular", (6,), 1, 0, (3,) * codes).eval()
    x = torch.cat([X[:50, : 6 - codes], torch.randint(0, 3, (50, codes)).float()], dim=1)
    both = Ensemble([one, one], classify=False).eval()
    assert np.allclose(_moved(both, x, codes), _moved(one, x, codes), rtol=1e-4)
