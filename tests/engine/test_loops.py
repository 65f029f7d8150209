"""Small real loops of every kind people write, each under a search."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import gammatune
from gammatune.errors import (
    AllDiverged,
    ConflictingControl,
    InvalidArgument,
    InvalidData,
    MissingReport,
    NotRestorable,
)
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()
SPACE = ["lr=1e-3:1:log"]


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def loader(size: int = 16) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, Y), batch_size=size, shuffle=True)


def validate(model: nn.Module) -> dict[str, float]:
    output = model(X)
    return {
        "accuracy": (output.argmax(1) == Y).float().mean().item(),
        "loss": nn.functional.cross_entropy(output, Y).item(),
    }


def weights(*models: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for model in models for p in model.parameters()]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def tuner(model: Any, optimizer: Any, **options: Any) -> Tuner:
    defaults: dict[str, Any] = {
        "epochs": 2,
        "budget": 3,
        "policy": "greedy",
        "sampler": "random",
        "space": SPACE,
        "check": False,  # what its two runs are is in test_before_the_first.py
    }
    return Tuner(model=model, optimizer=optimizer, **(defaults | options))


def train(run: Any, model: nn.Module, optimizer: Any, batches: Any = None) -> None:
    model.train()
    for x, y in run.batches(loader()) if batches is None else batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    run.report(**run.evaluate(lambda: validate(model)))


def test_the_plain_loop_learns_and_counts() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = validate(model)
    with tuner(model, optimizer, epochs=4, budget=4, sampler="gamma") as tune:
        for run in tune:
            train(run, model, optimizer)
    result = tune.result
    assert result.metrics["loss"] < before["loss"]
    assert validate(model) == pytest.approx(result.metrics)
    assert len(result.rollouts) == 16
    assert {o.trained for o in result.rollouts} == {64}
    assert {o.evaluated for o in result.rollouts} == {64}
    assert result.cost.plain_runs == pytest.approx(4)
    assert result.cost.plain_epochs == pytest.approx(16)
    assert all(1e-3 <= values["lr"] <= 1 for values in result.schedule)


def test_accumulation_counts_optimizer_steps() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tuner(model, optimizer) as tune:
        for run in tune:
            for index, (x, y) in enumerate(run.batches(loader(8))):
                nn.functional.cross_entropy(model(x), y).backward()
                if index % 4 == 3:
                    optimizer.step()
                    optimizer.zero_grad()
            run.report(**run.evaluate(lambda: validate(model)))
    assert {o.steps for o in tune.result.rollouts} == {2}
    assert {o.trained for o in tune.result.rollouts} == {64}


def test_gradients_left_over_by_accumulation_come_back() -> None:
    """The tail of an epoch may leave a partial gradient; a rollout must not add to it."""

    def grads(disturbances: list[dict[str, float]] | None) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        data = loader(16)

        def body(batches: Any) -> None:
            for index, (x, y) in enumerate(batches):
                nn.functional.cross_entropy(model(x), y).backward()
                if index % 3 == 2:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=False)

        if disturbances is None:
            body(data)
            body(data)
        else:
            with tuner(model, optimizer, policy=control_rollouts({"lr": 0.1}, disturbances)) as tune:
                for run in tune:
                    body(run.batches(data))
                    run.report(score=1.0)
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    assert grads(None)
    assert equal(grads([{"lr": 0.9}]), grads(None))


def test_clipping() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tuner(model, optimizer) as tune:
        for run in tune:
            for x, y in run.batches(loader()):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
            run.report(**run.evaluate(lambda: validate(model)))
    assert {o.steps for o in tune.result.rollouts} == {4}


@pytest.mark.parametrize("fused", [False, True])
def test_amp_skipped_steps_are_not_steps(fused: bool) -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=1000)
    scales = []
    with tuner(model, optimizer, state=[scaler]) as tune:
        for run in tune:
            scales.append(scaler.get_scale())
            for x, y in run.batches(loader()):
                optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.float16):
                    loss = nn.functional.cross_entropy(model(x), y)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            run.report(**run.evaluate(lambda: validate(model)))
    # a scale of 2^40 overflows half precision in all four steps of an epoch, each of which halves it
    assert [o.steps for o in tune.result.rollouts] == [0] * 6
    assert [o.status for o in tune.result.rollouts] == ["ok"] * 6
    assert scales == [2.0**40] * 3 + [2.0**36] * 3  # restored before every rollout, kept by the course


def test_exception_in_the_body_goes_through_and_weights_come_back() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    home: list[torch.Tensor] = []

    class Mine(Exception):
        pass

    with pytest.raises(Mine) as caught, tuner(model, optimizer) as tune:
        for run in tune:
            if run.epoch == 1 and not home:
                home = weights(model)
            for index, (x, y) in enumerate(run.batches(loader())):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                if run.number == 4 and index == 1:
                    raise Mine
            run.report(**run.evaluate(lambda: validate(model)))
    assert caught.traceback[-1].name == "test_exception_in_the_body_goes_through_and_weights_come_back"
    assert equal(weights(model), home)
    # the hooks are gone: the optimizer is the user's own again
    optimizer.param_groups[0]["lr"] = 7.0
    optimizer.step()


def test_break_puts_the_weights_back_to_the_last_commit() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = weights(model)
    with tuner(model, optimizer) as tune:
        for run in tune:
            for x, y in run.batches(loader()):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            break
    assert equal(weights(model), start)
    assert tune.result.course == ()


def test_missing_report_raises() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(MissingReport, match=r"run\.report"), tuner(model, optimizer) as tune:
        for run in tune:
            list(run.batches(loader()))


def test_reporting_twice_raises() -> None:
    model = net()
    with (
        pytest.raises(InvalidArgument, match="already"),
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1)) as tune,
    ):
        for run in tune:
            run.report(score=1.0)
            run.report(score=2.0)


def test_without_with_raises() -> None:
    model = net()
    with pytest.raises(InvalidArgument, match="with statement"):
        next(iter(tuner(model, torch.optim.SGD(model.parameters(), lr=0.1))))


class Numbers(IterableDataset[Any]):
    """A source that cannot go back: every pass gives what comes next."""

    def __init__(self) -> None:
        self.drawn = 0

    def __iter__(self) -> Any:
        for _ in range(32):
            self.drawn += 1
            index = self.drawn % 64
            yield X[index], Y[index]


def test_iterable_dataset_is_drawn_once_an_epoch_and_paired() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    source = Numbers()
    data = DataLoader(source, batch_size=8)
    seen: list[torch.Tensor] = []
    with tuner(model, optimizer) as tune:
        for run in tune:
            first = True
            for x, y in run.batches(data):
                if first:
                    seen.append(x.clone())
                first = False
                x.zero_()  # a body that spoils its batch must not spoil the next rollout's
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(score=1.0)
    assert source.drawn == 2 * 32
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[2], seen[3])


def test_the_tape_has_a_limit_and_says_what_to_do() -> None:
    model = net()
    data = DataLoader(Numbers(), batch_size=8)
    with (
        pytest.raises(NotRestorable, match="tape_bytes"),
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1), tape_bytes=200) as tune,
    ):
        for run in tune:
            list(run.batches(data))
            run.report(score=1.0)


def test_dict_batches() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [{"inputs": X[i : i + 16], "labels": Y[i : i + 16], "name": "part"} for i in range(0, 64, 16)]
    with tuner(model, optimizer) as tune:
        for run in tune:
            for batch in run.batches(data):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(batch["inputs"]), batch["labels"]).backward()
                optimizer.step()
            run.report(**run.evaluate(lambda: validate(model)))
    assert {o.trained for o in tune.result.rollouts} == {64}


def test_a_batch_without_a_size_asks_for_one() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InvalidArgument, match="examples="), tuner(model, optimizer) as tune:
        for run in tune:
            list(run.batches([object()]))
    with tuner(model, optimizer) as tune:
        for run in tune:
            list(run.batches([object()], examples=lambda batch: 5))
            run.report(score=1.0)
    assert {o.trained for o in tune.result.rollouts} == {5}


def test_several_optimizers_share_one_rate_in_their_ratio() -> None:
    """A small GAN: two networks, two optimizers, a score of its own."""
    torch.manual_seed(3)
    generator, critic = nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    g = torch.optim.Adam(generator.parameters(), lr=1e-3)
    d = torch.optim.Adam(critic.parameters(), lr=4e-3)
    ratios = set()
    with tuner([generator, critic], [g, d], space=None) as tune:
        for run in tune:
            for x, _ in run.batches(loader()):
                fake = generator(torch.randn(len(x), 2))
                d.zero_grad()
                (critic(fake.detach()).mean() - critic(x).mean()).backward()
                d.step()
                g.zero_grad()
                (-critic(fake).mean()).backward()
                g.step()
                ratios.add(round(d.param_groups[0]["lr"] / g.param_groups[0]["lr"], 6))
            run.report(score=-generator(torch.randn(64, 2)).mean().abs().item())
    assert ratios == {4.0}
    assert len(tune.result.course) <= 2
    assert {o.steps for o in tune.result.rollouts} == {8}  # four batches, a step of each optimizer


def test_several_optimizers_with_a_rate_each() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 2)
    optimizers = [torch.optim.SGD(first.parameters(), lr=0.1), torch.optim.SGD(second.parameters(), lr=0.1)]
    pairs = set()
    space = ["lr.0=0.001:1:log", "lr.1=0.001:1:log"]
    with tuner([first, second], optimizers, epochs=1, space=space) as tune:
        for run in tune:
            for x, y in run.batches(loader()):
                for optimizer in optimizers:
                    optimizer.zero_grad()
                nn.functional.cross_entropy(second(first(x)), y).backward()
                for optimizer in optimizers:
                    optimizer.step()
            pairs.add(tuple(o.param_groups[0]["lr"] for o in optimizers))
            assert pairs >= {(run.values["lr.0"], run.values["lr.1"])}
            run.report(score=1.0)
    assert len(pairs) == 3


def test_groups_keep_their_ratio_and_zero_stays_zero() -> None:
    model = net()
    groups = [
        {"params": [p], "lr": lr} for p, lr in zip(model.parameters(), (0.0, 0.1, 0.01, 0.1), strict=True)
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    seen = []
    with tuner(model, optimizer, space=["lr=0.5,0.25"], sampler="grid", epochs=1, budget=2) as tune:
        for run in tune:
            train(run, model, optimizer)
            seen.append([group["lr"] for group in optimizer.param_groups])
    assert seen[0] == pytest.approx([0.0, 0.5, 0.05, 0.5]) or seen[0] == pytest.approx(
        [0.0, 0.25, 0.025, 0.25]
    )
    assert seen[0] != seen[1]


def test_weight_decay_momentum_and_batch_size() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5, weight_decay=0.1)
    space = ["lr=0.01:0.1:log", "weight_decay=1e-4:1e-2:log", "momentum=0.1:0.9", "batch_size=8,16,32"]
    sizes = []
    with tuner(model, optimizer, space=space, budget=5, epochs=1) as tune:
        for run in tune:
            for x, y in run.batches(loader):  # a function of the batch size
                sizes.append((run.values["batch_size"], len(x)))
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            group = optimizer.param_groups[0]
            assert {n: group[n] for n in ("lr", "weight_decay", "momentum")} == {
                n: run.values[n] for n in ("lr", "weight_decay", "momentum")
            }
            run.report(**run.evaluate(lambda: validate(model)))
    assert all(wanted == got for wanted, got in sizes)
    assert {o.trained for o in tune.result.rollouts} == {64}


def test_adams_momentum_is_its_first_beta() -> None:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with tuner(model, optimizer, space=["momentum=0.5:0.95"], epochs=1, budget=2) as tune:
        for run in tune:
            assert optimizer.param_groups[0]["betas"] == (run.values["momentum"], 0.999)
            train(run, model, optimizer)


def test_batch_size_needs_a_factory() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        pytest.raises(InvalidArgument, match="function of the batch size"),
        tuner(model, optimizer, space=["batch_size=8,16"]) as tune,
    ):
        for run in tune:
            list(run.batches(loader()))


def test_a_tensor_learning_rate_is_filled_in_place() -> None:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), capturable=False, foreach=False)
    rate = optimizer.param_groups[0]["lr"]
    with tuner(model, optimizer, epochs=1) as tune:
        for run in tune:
            train(run, model, optimizer)
            assert optimizer.param_groups[0]["lr"] is rate
            assert rate.item() == pytest.approx(run.values["lr"], rel=1e-6)


def test_default_range_of_greedy_is_three_decades_around_the_users_rate() -> None:
    model = net()
    tune = tuner(model, torch.optim.SGD(model.parameters(), lr=0.02), space=None)
    dimension = tune.space["lr"]
    assert (dimension.low * dimension.high) ** 0.5 == pytest.approx(0.02)
    assert dimension.high / dimension.low == pytest.approx(1000)


def test_divergence_ends_the_rollout_within_the_step() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    taken = []
    with tuner(model, optimizer, space=["lr=0.01,1e30"], sampler="grid", epochs=1, budget=2) as tune:
        for run in tune:
            count = 0
            for x, y in run.batches(loader()):
                count += 1
                optimizer.zero_grad()
                (
                    nn.functional.cross_entropy(model(x), y)
                    + sum(p.square().sum() for p in model.parameters())
                ).backward()
                optimizer.step()
            taken.append((run.values["lr"], count, run.diverged))
            run.report(**run.evaluate(lambda: validate(model)))
    assert sorted(taken) == [(0.01, 4, False), (1e30, 2, True)]
    diverged = next(o for o in tune.result.rollouts if o.status == "diverged")
    assert diverged.score is None
    assert diverged.trained == 32
    assert "step 2" in diverged.note
    assert [o.status for o in tune.result.course] == ["ok"]


def test_all_diverged_says_so_and_restores() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = weights(model)
    with (
        pytest.raises(AllDiverged, match="all 2 candidates of epoch 1 diverged"),
        tuner(model, optimizer, space=["lr=1e29,1e30"], sampler="grid", budget=2) as tune,
    ):
        for run in tune:
            train(run, model, optimizer)
    assert equal(weights(model), start)


def test_nan_loss_at_the_first_step_blames_data_and_loss_at_once() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runs = 0
    with pytest.raises(AllDiverged, match="before any update"), tuner(model, optimizer) as tune:
        for run in tune:
            runs += 1
            for x, y in run.batches(loader()):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x * float("nan")), y).backward()
                optimizer.step()
            run.report(**run.evaluate(lambda: validate(model)))
    assert runs == 1


def test_a_metric_that_is_nan_makes_the_rollout_diverged() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(AllDiverged), tuner(model, optimizer) as tune:
        for run in tune:
            for x, y in run.batches(loader()):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(accuracy=0.5, loss=float("nan"))
    assert "loss nan" in tune.result.rollouts[0].note


@pytest.mark.parametrize(
    "empty", [[], iter([]), DataLoader(TensorDataset(X[:4], Y[:4]), batch_size=8, drop_last=True)]
)
def test_an_empty_loader_is_said(empty: Any) -> None:
    model = net()
    with (
        pytest.raises(InvalidData, match="no batch"),
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1)) as tune,
    ):
        for run in tune:
            list(run.batches(empty))


def test_a_scheduler_is_refused_unless_multiplier() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(ConflictingControl, match="multiplier=True"):
        tuner(model, optimizer)
    with pytest.raises(ConflictingControl, match="StepLR"):
        tuner(model, optimizer, state=[scheduler])


def test_a_loop_that_sets_the_rate_itself_is_caught() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ConflictingControl, match="had set"), tuner(model, optimizer) as tune:
        for run in tune:
            for x, y in run.batches(loader()):
                optimizer.param_groups[0]["lr"] = 0.3
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()


def test_state_that_cannot_be_restored_is_refused() -> None:
    model = net()
    with pytest.raises(NotRestorable, match="state_dict"):
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1), state=[object()])


def test_ema_and_generators_go_back() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ema = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    noise = torch.Generator().manual_seed(4)
    first_draws, counts = [], []
    with tuner(model, optimizer, state=[ema, noise]) as tune:
        for run in tune:
            first_draws.append(torch.rand(1, generator=noise).item())
            counts.append(int(ema.n_averaged))
            for x, y in run.batches(loader()):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                ema.update_parameters(model)
            run.report(**run.evaluate(lambda: validate(ema)))
    assert len(set(first_draws[:3])) == 1
    assert len(set(first_draws)) == 2
    assert counts == [0, 0, 0, 4, 4, 4]


def test_evaluate_restores_modes_and_takes_no_gradient() -> None:
    model = net()
    model[1].eval()  # type: ignore[index]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tuner(model, optimizer, epochs=1, budget=2) as tune:
        for run in tune:
            list(run.batches(loader()))

            def look() -> dict[str, Any]:
                assert not model.training
                assert not torch.is_grad_enabled()
                return {"accuracy": torch.tensor(0.5), "loss": 1}

            model[0].train()  # type: ignore[index]
            run.report(**run.evaluate(look, examples=7))
            assert model[0].training  # type: ignore[index]
            assert not model[1].training  # type: ignore[index]
    assert {o.evaluated for o in tune.result.rollouts} == {7}


def test_stop_ends_after_the_running_decision() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tuner(model, optimizer, epochs=5, budget=4) as tune:
        for run in tune:
            train(run, model, optimizer)
            if run.number == 5:
                tune.stop()
    assert len(tune.result.rollouts) == 6
    assert len(tune.result.course) in (1, 2)  # the better of the two epochs is handed back


def test_ask_and_tell_without_the_generator() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tuner(model, optimizer) as tune:
        while (run := tune.ask()) is not None:
            train(run, model, optimizer)
            with pytest.raises(InvalidArgument, match="not been told"):
                tune.ask()
            tune.tell(run)
    assert tune.ask() is None
    assert len(tune.result.rollouts) == 6


def test_lazy_parameters_are_named() -> None:
    model = nn.Sequential(nn.LazyLinear(2))
    parameter = nn.Parameter(torch.zeros(1))
    with (
        pytest.raises(NotRestorable, match="run one batch"),
        tuner(model, torch.optim.SGD([parameter], lr=0.1)) as tune,
    ):
        next(iter(tune))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 2.5}, "epochs=2.5"),
        ({"budget": -1}, "budget=-1"),
        ({"budget": float("nan")}, "budget=nan"),
        ({"policy": "best"}, "write one of lookahead, greedy, once"),
        ({"sampler": "magic"}, "gamma"),
        ({"objective": "happiness"}, "kappa"),
        ({"keep": "some"}, "'best' or 'last'"),
        ({"seed": -1}, "seed=-1"),
        ({"space": ["lr=1:0.1:log"]}, "lr=1:0.1"),
        ({"space": ["speed=0:1"]}, "'speed' cannot be searched"),
        ({"space": ["lr.5=0.1:1"]}, "names optimizer 5"),
        ({"space": ["lr.x=0.1:1"]}, "not a hyperparameter"),
    ],
)
def test_bad_arguments_are_said_before_any_training(options: dict[str, Any], message: str) -> None:
    model = net()
    with pytest.raises(gammatune.errors.GammatuneError, match=message.replace(".", r"\.")):
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1), **options)


def test_a_budget_that_cannot_choose_is_refused_by_greedy() -> None:
    model = net()
    with (
        pytest.raises(InvalidArgument, match=r"budget=1\.5 cannot pay for two"),
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1), budget=1.5) as tune,
    ):
        next(iter(tune))


def test_model_and_optimizer_are_checked() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InvalidArgument, match="model="):
        tuner("resnet", optimizer)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="optimizer="):
        tuner(model, "sgd", space=SPACE)
    with pytest.raises(InvalidArgument, match="above 0"):
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.0))


def test_a_loop_over_the_loader_itself_is_said() -> None:
    model = net()
    data = loader()
    with (
        pytest.warns(UserWarning, match=r"for x, y in run\.batches"),
        tuner(model, torch.optim.SGD(model.parameters(), lr=0.1), epochs=1) as tune,
    ):
        for run in tune:
            list(data)
            run.report(score=1.0)


def test_a_reported_loss_may_carry_its_graph() -> None:
    model = net()
    with tuner(model, torch.optim.SGD(model.parameters(), lr=0.1), epochs=1) as tune:
        for run in tune:
            list(run.batches(loader()))
            run.report(accuracy=0.5, loss=nn.functional.cross_entropy(model(X), Y))  # type: ignore[arg-type]
    assert tune.result.metrics["accuracy"] == 0.5
