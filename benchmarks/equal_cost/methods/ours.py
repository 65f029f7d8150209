"""gammatune's default policy through the public front door, and controls for its parts.

lookahead-B            the default policy at a budget of B plain runs; nothing else is said: the learning rate is
                       searched around the optimizer's own default
prior                  budget 1 and no rate of anybody's own: what other trainings say is best, and no look at all
lookahead-open-B       the number of epochs left open, B plain runs' worth of epochs for everything
lookahead-12-single    control: no averaging; the same compute goes to trials at eleven rates in all
lookahead-12-average   control: all that is left for averages goes to one trial, at the best rate, none to twice that
lookahead-12-random    control: the same number of trials at random multiples, from a quarter to four times
lookahead-1.5-blind    control: every score is a random number, so that everything is chosen blindly
lookahead-1.5-loss, -accuracy   other objectives
lookahead-4-decay      weight decay searched together with the learning rate
lookahead-1.5-far-up, -far-down   the optimizer's default rate off by a factor of 1000
lookahead-B-orders     five runs that differ in nothing but the order of the data (augmentation and dropout with it);
                       errors, cost and seconds are the means of the five, `chosen` has the rate of each
"""

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Task
from training import Trace, clock, cost, objective

import gammatune
from gammatune.engine.loop import TorchLoop
from gammatune.errors import AllDiverged
from gammatune.policy.job import Job, Steps
from gammatune.policy.lookahead import lookahead as lookahead_policy
from gammatune.records import Rollout

ELEVEN = (2.0, 0.5, 4.0, 0.25, 1.41, 0.71, 2.83, 0.35, 1.19, 0.84)  # multiples of the first trial's rate
ORDERS = 5
LOOKS = ("scout", "miniature")  # their roles


def run(
    task: Task, seed: int, name: str, factor: float = 1.0, order: int = 0, is_own: bool = True, **choices: Any
) -> Cell:
    """One cell. factor: what the optimizer's default rate is multiplied by. order: of the data; 0 is every other
    method's. is_own: the policy is told that somebody chose that rate. choices: for the tuner.
    ensemble: what the budget pays for beyond one training goes into more nets, whose average is handed over.
    """
    setting = setting_of(task, seed).reordered(order)
    note = ""
    began = clock()
    model = setting.model()
    lr = task.default_lr * factor
    optimizer = setting.optimizer(model, lr)
    loader = setting.loader()
    horizon = {} if "total_epochs" in choices else {"epochs": task.epochs}
    space = choices.pop("space", [f"lr={lr * 1e-6:g}:{lr * 1e6:g}:log"])  # the policy's own, about that rate
    training = TorchLoop(model, optimizer, [line.partition("=")[0] for line in space])
    training.rate_is_own = is_own
    if choices.get("ensemble"):
        training.several(task.net, None, probabilities=setting.classify)
    with torch.random.fork_rng(devices=[]), closing(training):
        torch.default_generator.manual_seed(setting.noise)
        tuner = gammatune.Tuner(
            training=training,
            **({"objective": objective(setting), "seed": seed, "space": space} | horizon | choices),
        )
        model.train()
        try:
            with tuner:
                for one in tuner:
                    for x, y in one.batches(loader):
                        optimizer.zero_grad()
                        setting.loss(model(x), y).backward()
                        optimizer.step()
                    one.report(
                        **one.evaluate(lambda: setting.score(model, "select"), examples=setting.validation)
                    )
        except AllDiverged as error:
            note = str(error)
        seconds = clock() - began
        answering = tuner.ensemble() or model
        metrics = {part: setting.score(answering, part) for part in ("select", "second", "test")}
    found = tuner.result
    trace = Trace(
        metrics, [], objective(setting)(metrics["select"]),
        cost(setting, found.cost.trained, found.cost.evaluated), seconds, not found.course,
    )  # fmt: skip
    chosen = {
        "lr": float(f"{max((float(v['lr']) for v in found.schedule), default=0.0):.4g}"),
        "epochs": len(found.course),
        "nets": max(1, len(found.nets)),
        "looks": [
            [float(f"{float(o.values['lr']):.3g}"), o.steps, o.score and float(f"{o.score:.4g}")]
            for o in found.rollouts
            if o.role in LOOKS
        ],  # rate, steps, score
        "failed": sum(not o.ok for o in found.rollouts),
        "handed back": found.verdicts[-1].reason if found.verdicts else "",
    }
    return cell_of(setting, name, trace, chosen=chosen, note=note)


def lookahead(budget: float, name: str, **choices: Any) -> Method:
    return lambda task, seed: run(task, seed, name, budget=budget, **choices)


def open_horizon(times: float, name: str) -> Method:
    return lambda task, seed: run(task, seed, name, total_epochs=times * task.epochs)


METHODS: dict[str, Method] = {"prior": lookahead(1, "prior", is_own=False)} | {
    f"lookahead-{budget:g}": lookahead(budget, f"lookahead-{budget:g}") for budget in (1.25, 1.5, 2, 4, 12)
}


def single(job: Job) -> Steps:
    return lookahead_policy(job, factors=ELEVEN, averages=())


def one_average(job: Job) -> Steps:
    return lookahead_policy(job, averages=(1.0,))


def random_multiples(seed: int, job: Job) -> Steps:
    factors = 4 ** np.random.default_rng(seed).uniform(-1, 1, len(ELEVEN))
    return lookahead_policy(job, factors=tuple(map(float, factors)), averages=())


def blind(seed: int, job: Job) -> Steps:
    """The policy itself, but of short rollouts it is told a random score; the course's are left alone."""
    rng = np.random.default_rng(seed)
    steps = lookahead_policy(job)
    outcome = None
    while True:
        try:
            request = steps.send(outcome)
        except StopIteration:
            return
        outcome = yield request
        if (
            isinstance(request, Rollout)
            and not request.course
            and outcome is not None
            and outcome.score is not None
        ):
            outcome = replace(outcome, score=float(rng.normal()))


def decay(task: Task, seed: int) -> Cell:
    low, high = task.default_lr * 1e-4, task.default_lr * 1e4
    space = [f"lr={low:g}:{high:g}:log", "weight_decay=1e-5:1:log"]
    return run(task, seed, "lookahead-4-decay", budget=4, space=space)


def orders(budget: float, task: Task, seed: int) -> Cell:
    name = f"lookahead-{budget:g}-orders"
    runs = [run(task, seed, name, order=order, budget=budget) for order in range(ORDERS)]
    means = {
        part: float(np.mean([getattr(r, part) for r in runs]))
        for part in ("test", "second", "select", "cost", "seconds")
    }
    rates = [r.chosen["lr"] for r in runs]
    return replace(runs[0], diverged=any(r.diverged for r in runs), chosen={"lr": rates}, **means)


METHODS |= {f"lookahead-open-{b:g}": open_horizon(b, f"lookahead-open-{b:g}") for b in (1.5, 4, 12)}
METHODS |= {
    "lookahead-12-single": lookahead(12, "lookahead-12-single", policy=single),
    "lookahead-12-average": lookahead(12, "lookahead-12-average", policy=one_average),
    "lookahead-12-random": lambda task, seed: run(
        task, seed, "lookahead-12-random", budget=12, policy=partial(random_multiples, seed)
    ),
    "lookahead-1.5-loss": lambda task, seed: run(
        task, seed, "lookahead-1.5-loss", budget=1.5, objective="log-loss"
    ),
    "lookahead-1.5-accuracy": lambda task, seed: run(
        task, seed, "lookahead-1.5-accuracy", budget=1.5, objective="accuracy" if task.classes else "log-loss"
    ),
    "lookahead-1.5-blind": lambda task, seed: run(
        task, seed, "lookahead-1.5-blind", budget=1.5, policy=partial(blind, seed)
    ),
    "lookahead-4-decay": decay,
    "lookahead-1.5-orders": partial(orders, 1.5),
    "lookahead-4-orders": partial(orders, 4),
    "lookahead-1.5-far-up": lookahead(1.5, "lookahead-1.5-far-up", factor=1e3),
    "lookahead-1.5-far-down": lookahead(1.5, "lookahead-1.5-far-down", factor=1e-3),
}
