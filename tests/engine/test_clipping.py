"""Gradients that a loop cuts to a norm: seen in the survey, from outside, and not taken for it what is none."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gammatune.cost import Meter
from gammatune.engine.loop import TorchLoop
from gammatune.policy import prior
from gammatune.records import FLAT, Known
from gammatune.schedules import STILL
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

X = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def step(
    model: nn.Module, optimizer: Any, between: Callable[[nn.Module], Any], factor: float = 100.0
) -> None:
    for one in optimizer if isinstance(optimizer, list) else [optimizer]:
        one.zero_grad()
    (factor * nn.functional.cross_entropy(model(X), Y)).backward()
    between(model)
    for one in optimizer if isinstance(optimizer, list) else [optimizer]:
        one.step()


def cut(norm: float) -> Callable[[nn.Module], Any]:
    return lambda model: nn.utils.clip_grad_norm_(model.parameters(), norm)


def times(factor: float) -> Callable[[nn.Module], Any]:
    def scale(model: nn.Module) -> None:
        for p in model.parameters():
            assert p.grad is not None
            p.grad *= factor

    return scale


def seen(between: Callable[[nn.Module], Any], *, shape: Any = STILL, several: bool = False) -> float:
    model = net()
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    if several:
        optimizer = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (model[0], model[2])]
    loop, meter = TorchLoop(model, optimizer, ["lr"]), Meter(shape=shape)
    loop.apply({"lr": 0.1}, meter)
    step(model, optimizer, between)
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    loop.close()
    return meter.clipped


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("norm", [3.0, 1.0, 0.1])
def test_a_cut_gradient_is_told_by_the_weights_length_over_the_norm(norm: float, several: bool) -> None:
    weights = math.sqrt(sum(float((p.detach() ** 2).sum()) for p in net().parameters()))
    told = seen(cut(norm), several=several)
    assert (
        0.5 * weights / norm < told <= weights / norm * 1.0001
    )  # a unit may be dead, and its weights lie still


@pytest.mark.parametrize(
    "between",
    [
        lambda model: None,
        cut(1e6),
        lambda model: nn.utils.clip_grad_value_(model.parameters(), 0.5),
        times(1 / 1024),
        times(1 / 65536 / 3),
        lambda model: times(0.1)(model[0]),
        times(3.0),
        times(1 / 3),
        times(1 / 1000),
        times(1 / 27),
        cut(1 / 3),
        lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=math.inf),
    ],
    ids=[
        *(
            "nothing",
            "never",
            "by value",
            "a loss scale",
            "a loss scale and more",
            "one layer",
            "made longer",
        ),
        *(
            "a mean over three",
            "a loss scale of 1,000",
            "a mean over tokens",
            "nobody's norm",
            "another norm",
        ),
    ],
)
def test_what_is_no_cut_to_a_norm_is_not_taken_for_one(between: Callable[[nn.Module], Any]) -> None:
    assert seen(between) == 0.0


def accumulated(
    after: Callable[[nn.Module], Any], *, each: bool = False, dtype: Any = torch.float32
) -> float:
    """What is seen of a step after three backward passes. each: what comes after comes after each of them."""
    model = net().to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loop, meter = TorchLoop(model, optimizer, ["lr"]), Meter(shape=STILL)
    loop.apply({"lr": 0.1}, meter)
    for part, targets in zip(X.to(dtype).chunk(3), Y.chunk(3), strict=True):
        (100 * nn.functional.cross_entropy(model(part), targets)).backward()
        if each:
            after(model)
    if not each:
        after(model)
    optimizer.step()
    loop.close()
    return meter.clipped


def test_of_gradients_that_accumulate_the_cut_of_their_sum_is_told() -> None:
    """The norm that was cut to, whatever the passes were divided by before."""
    assert accumulated(cut(0.5)) == pytest.approx(2 * seen(cut(1.0)), rel=1e-4)
    told = pytest.approx(accumulated(cut(0.5)), rel=1e-4)
    assert accumulated(lambda model: (times(1 / 3)(model), cut(0.5)(model))) == told
    assert accumulated(cut(0.5), each=True) == told
    assert accumulated(times(1 / 3)) == 0.0


def test_gradients_of_half_precision_tell_nothing() -> None:
    """Their norm after a cut lies beside that to which they were cut, by more than another number of two digits."""
    assert accumulated(cut(1.0), dtype=torch.float32) > 0
    assert accumulated(cut(1.0), dtype=torch.float64) > 0
    assert accumulated(cut(1.0), dtype=torch.bfloat16) == 0.0


@pytest.mark.parametrize(
    ("scale", "norm", "is_seen"),
    [(2.0**16, None, False), (2.0**16, 0.1, False), (1000.0, None, False), (1000.0, 0.1, True)],
)
def test_a_scale_of_the_loss_is_taken_for_no_cut(scale: float, norm: float | None, is_seen: bool) -> None:
    """A cut under a large one is not told, and one under a small one is told as it is."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loop, meter = TorchLoop(model, optimizer, ["lr"], state=[scaler]), Meter(shape=STILL)
    loop.apply({"lr": 0.1}, meter)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(model(X), Y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    if norm is not None:
        cut(norm)(model)
    scaler.step(optimizer)
    loop.close()
    assert meter.clipped == pytest.approx(10 * seen(cut(1.0)) if is_seen else 0.0, rel=1e-2)


def test_nothing_is_looked_at_beside_a_survey() -> None:
    assert seen(cut(0.1), shape=FLAT) == 0.0


def test_sparse_gradients_tell_nothing() -> None:
    model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loop, meter = TorchLoop(model, optimizer, ["lr"]), Meter(shape=STILL)
    loop.apply({"lr": 0.1}, meter)
    nn.functional.cross_entropy(model(torch.arange(8)), torch.ones(8, dtype=torch.long)).backward()
    optimizer.step()
    loop.close()
    assert meter.clipped == 0.0


def tuned(model: nn.Module, optimizer: Any, **options: Any) -> Tuner:
    with Tuner(model=model, optimizer=optimizer, check=False, objective="loss", **options) as tuner:
        for run in tuner:
            for _ in run.batches([X] * 40):
                step(model, optimizer, cut(0.01), factor=1.0)
            run.report(loss=nn.functional.cross_entropy(model(X), Y).item())
    return tuner


def test_the_looks_begin_where_steps_of_the_cut_length_are_right() -> None:
    """At .01 the step of a usual rate of SGD is a thousandth of what trains this net in 160 steps."""
    model = net()
    before = nn.functional.cross_entropy(model(X), Y).item()
    result = tuned(model, torch.optim.SGD(model.parameters(), lr=0.1), epochs=4).result
    survey, first = result.rollouts[0], result.rollouts[1]
    place = prior.learned()["clipped"]["place"]
    assert float(first.values["lr"]) == pytest.approx(10**place * survey.clipped, rel=1e-6)
    assert result.metrics["loss"] < 0.5 * before


def test_a_survey_that_looks_changes_nothing() -> None:
    ends = []
    for disturbances in ([], [{"lr": 0.5}]):
        model = net()
        policy = control_rollouts({"lr": 0.1}, disturbances)
        tuned(
            model,
            torch.optim.SGD(model.parameters(), lr=0.1),
            policy=policy,
            epochs=1,
            space=["lr=0.01:1:log"],
        )
        ends.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_cut_moves_what_is_believed_of_sgd_alone() -> None:
    known = {family: Known(family, 0.1) for family in ("sgd", "momentum", "adam", "muon")}  # type: ignore[arg-type]
    moved = {family: prior.place(one, 400, 1e4) != prior.place(one, 400) for family, one in known.items()}
    assert moved == {"sgd": True, "momentum": True, "adam": False, "muon": False}
    tenfold = prior.place(known["sgd"], 400, 1e4).mean - prior.place(known["sgd"], 400, 1e3).mean
    assert tenfold == pytest.approx(1.0)
