"""Several nets in a loop of one's own: each is a pass of it, and the model answers for all of them in between."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune
from gammatune.engine.ensemble import Ensemble
from gammatune.errors import InvalidArgument

loss_of = nn.functional.cross_entropy


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))


def examples() -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(3)
    x = torch.randn(240, 4, generator=drawn)
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).long() + (x[:, 3] > 1).long()


def loop(
    new_model: Callable[[], nn.Module] | None = net, budget: float = 4.0, **options: Any
) -> tuple[gammatune.Result, Ensemble | None, nn.Module, list[tuple[int, tuple[int, ...]]]]:
    """The result, the ensemble, the model, and what each run was."""
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    x, y = examples()
    loader = DataLoader(TensorDataset(x[:160], y[:160]), 10, shuffle=True)

    def validate() -> dict[str, float]:
        out = model(x[160:])
        return {
            "accuracy": float((out.argmax(1) == y[160:]).float().mean()),
            "loss": float(loss_of(out, y[160:])),
        }

    runs = []
    told = {"ensemble": True, "new_model": new_model, "seed": 1} | options
    with gammatune.Tuner(model=model, optimizer=optimizer, epochs=8, budget=budget, **told) as tuner:
        for run in tuner:
            runs.append((run.net, run.nets))
            for inputs, targets in run.batches(loader):
                optimizer.zero_grad()
                loss_of(model(inputs), targets).backward()
                optimizer.step()
            run.report(**run.evaluate(validate))
    return tuner.result, tuner.ensemble(), model, runs


def said_by(nets: Sequence[nn.Module], x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([one.eval()(x).softmax(1) for one in nets]).mean(0)


def test_the_score_of_several_is_that_of_their_average() -> None:
    result, ensemble, model, runs = loop()
    assert ensemble is not None
    assert result.nets == (0, 1, 2)
    assert {net for net, nets in runs if not nets} == {0, 1, 2}
    together = [outcome for outcome in result.rollouts if outcome.nets]
    assert [outcome.nets for outcome in together] == [(0,), (0, 1), (0, 1, 2)]
    x, y = examples()
    probabilities = said_by(list(ensemble.members), x[160:])
    torch.testing.assert_close(ensemble(x[160:]).softmax(1), probabilities)
    right = float((probabilities.argmax(1) == y[160:]).float().mean())
    assert together[-1].metrics["accuracy"] == pytest.approx(right)
    assert together[-1].metrics["loss"] == pytest.approx(
        float(nn.functional.nll_loss(probabilities.log(), y[160:])), rel=1e-5
    )
    assert together[-1].evaluated == 3 * 80  # each of the nets is asked
    assert (result.cost.plain_runs or 0) <= 4
    # the model is its own again, and holds one of them
    torch.testing.assert_close(model.eval()(x), _closest(ensemble, model)(x))


def _closest(ensemble: Ensemble, model: nn.Module) -> nn.Module:
    held = model.state_dict()["0.weight"]
    return next(one for one in ensemble.members if torch.equal(one.state_dict()["0.weight"], held))


def test_without_a_factory_they_differ_by_order_and_that_is_said() -> None:
    result, ensemble, _, _ = loop(new_model=None)
    assert ensemble is not None
    assert result.nets == (0, 1, 2)
    weights = [one.state_dict()["0.weight"] for one in ensemble.members]
    assert not torch.equal(weights[0], weights[1])


def test_a_budget_of_one_training_and_a_tuner_that_is_not_asked_have_one_net() -> None:
    for told in ({"budget": 1.5}, {"ensemble": False, "new_model": None}):
        result, ensemble, _, runs = loop(**told)  # type: ignore[arg-type]
        assert result.nets == ()
        assert ensemble is None
        assert {net for net, _ in runs} == {0}


def test_a_finished_run_is_read_again_with_its_nets(tmp_path: Path) -> None:
    before, ensemble, *_ = loop(run_dir=str(tmp_path / "run"))
    after, again, _, runs = loop(run_dir=str(tmp_path / "run"))
    assert not runs
    assert after.nets == before.nets
    assert ensemble is not None
    assert again is not None
    x, _ = examples()
    assert torch.equal(ensemble(x), again(x))


def test_what_is_raised_while_several_are_asked_is_no_candidates(tmp_path: Path) -> None:
    """Each of them has been evaluated by itself; the error goes through, and the same call goes on."""

    def attempt(broken: bool) -> gammatune.Result:
        torch.manual_seed(0)
        model = net()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        x, y = examples()
        loader = DataLoader(TensorDataset(x[:160], y[:160]), 10, shuffle=True)
        told: dict[str, Any] = {"epochs": 4, "budget": 4, "run_dir": str(tmp_path), "new_model": net}
        with gammatune.Tuner(model=model, optimizer=optimizer, ensemble=True, **told) as tuner:
            for run in tuner:
                with run.attempt():
                    for inputs, targets in run.batches(loader):
                        optimizer.zero_grad()
                        loss_of(model(inputs), targets).backward()
                        optimizer.step()

                    def validate(several: bool = len(run.nets) > 1) -> dict[str, float]:
                        if broken and several:
                            raise ValueError("of the validation")
                        out = model(x[160:])
                        return {"accuracy": 0.5, "loss": float(loss_of(out, y[160:]))}

                    run.report(**run.evaluate(validate))
        return tuner.result

    with pytest.raises(ValueError, match="of the validation"):
        attempt(broken=True)
    result = attempt(broken=False)
    assert len(result.nets) > 1
    assert [o.number for o in result.rollouts] == list(range(len(result.rollouts)))


def test_what_a_factory_cannot_make_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="ensemble=True"):
        loop(ensemble=False)
    with pytest.raises(InvalidArgument, match="others would"):
        loop(state=[net()])
