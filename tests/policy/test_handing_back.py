"""Which epoch is handed back, and which is taken back: metrics that are told, not trained."""

import torch

from gammatune import Tuner
from gammatune.tuning.result import Result


def told(*metrics: tuple[float, float], keep: str = "best") -> Result:
    """A course whose epoch k reports metrics[k] = (accuracy, loss) over 100 examples."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [torch.ones(4, 2)] * 3
    with Tuner(
        model=model,
        optimizer=optimizer,
        epochs=len(metrics),
        budget=1.2,
        keep=keep,
        space=["lr=0.05:0.2:log"],
    ) as tuner:
        for run in tuner:
            for x in run.batches(batches):
                optimizer.zero_grad()
                model(x).sum().backward()
                optimizer.step()
            accuracy, loss = metrics[run.epoch] if run.is_course else (0.1, 2.3)
            run.report(**run.evaluate(lambda: {"accuracy": accuracy, "loss": loss}, examples=100))  # noqa: B023
    return tuner.result


def test_a_surer_end_that_is_no_better_is_not_handed_back() -> None:
    course = told((0.5, 1.0), (0.8, 0.5), (0.9, 0.3), (0.9, 0.4), (0.9, 0.5)).course
    assert [outcome.epoch for outcome in course] == [0, 1, 2]


def test_an_end_that_makes_fewer_errors_is_handed_back_however_sure_it_is() -> None:
    course = told((0.5, 1.0), (0.8, 0.5), (0.9, 0.3), (0.9, 0.4), (0.91, 0.5)).course
    assert len(course) == 5


def test_an_end_that_is_little_surer_is_handed_back() -> None:
    course = told((0.5, 1.0), (0.8, 0.5), (0.9, 0.3), (0.9, 0.4)).course
    assert len(course) == 4


def test_the_last_is_handed_back_where_that_was_asked_for() -> None:
    assert len(told((0.5, 1.0), (0.9, 0.3), (0.9, 0.9), keep="last").course) == 3


def test_the_last_few_examples_are_no_blow_up() -> None:
    """From a loss of 0.002 to 0.05 kappa falls by 6, and one example in a hundred is missed."""
    found = told((0.6, 1.0), (0.99, 0.002), (0.99, 0.05), (1.0, 0.01))
    assert not any("blew up" in verdict.reason for verdict in found.verdicts)


def test_a_fall_in_every_respect_is_a_blow_up() -> None:
    found = told((0.6, 1.0), (0.99, 0.002), (0.5, 0.8), (1.0, 0.01))
    assert any("blew up" in verdict.reason for verdict in found.verdicts), [v.reason for v in found.verdicts]


def by_loss(*losses: float) -> Result:
    """A course whose epoch k reports losses[k], the objective being the loss alone."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [torch.ones(4, 2)] * 3
    with Tuner(
        model=model,
        optimizer=optimizer,
        epochs=len(losses),
        budget=1.2,
        objective="loss",
        space=["lr=0.05:0.2:log"],
    ) as tuner:
        for run in tuner:
            for x in run.batches(batches):
                optimizer.zero_grad()
                model(x).sum().backward()
                optimizer.step()
            run.report(loss=losses[run.epoch] if run.is_course else 2.3)
    return tuner.result


def test_no_epoch_is_handed_back_and_no_rate_halved_for_luck() -> None:
    """A loss that falls from 1 to .35 is measured on few examples, so that each is off by about .03."""
    for seed in range(6):
        noise = torch.randn(20, generator=torch.Generator().manual_seed(seed)) * 0.03
        losses = [0.35 + 0.65 * 0.7**k + float(noise[k]) for k in range(20)]
        found = by_loss(*losses)
        assert len(found.course) == 20
        assert not any("blew up" in verdict.reason for verdict in found.verdicts)


def test_a_loss_that_rises_steadily_is_overfitting_and_handed_back() -> None:
    losses = [1.0, 0.7, 0.5, 0.4, 0.36, 0.35, 0.36, 0.38, 0.41, 0.44, 0.47, 0.5]
    assert len(by_loss(*losses).course) == 6


def test_a_loss_alone_that_leaps_up_is_a_blow_up() -> None:
    losses = [1.0, 0.7, 0.5, 0.41, 0.36, 0.33, 1.1, 0.32, 0.31, 0.3]
    assert any("blew up" in verdict.reason for verdict in by_loss(*losses).verdicts)
