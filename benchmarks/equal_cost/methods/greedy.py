"""gammatune's policies of the thesis, through the public front door.

greedy          every epoch the best of twelve candidates by that epoch's own score, 1e-5 .. 10 by the Gamma process;
                the best epoch is handed back
grid-100        figure 7: every epoch the best of a grid of 100 rates, 0 .. 0.5 evenly as in the thesis, ends included
grid-100-log    the same with the grid over 1e-5 .. 10 on a logarithmic scale, the range of all other searches here
grid-100-once   the other reading of the thesis's grid (figures 14 to 17, tables 8 to 11): one rate for the whole
                run, constant, the best of the same 100 by the run's last epoch

The thesis's range was made for SGD; under AdamW, whose useful rates lie at its lower end, only the grid on the
logarithmic scale can be fine enough.
"""

from functools import partial

import torch
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Task
from training import Trace, clock, cost, objective

import gammatune
from gammatune.errors import AllDiverged

BUDGET = 12  # plain runs
GRID = 100  # rates, and plain runs
WIDE = "lr=1e-5:10:log"
THESIS = "lr=0:0.5"


def by_thesis(name: str, policy: str, budget: int, sampler: str, space: str, task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    note = ""
    began = clock()
    model = setting.model()
    optimizer = setting.optimizer(model, task.default_lr)
    loader = setting.loader()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(setting.seed)
        tuner = gammatune.Tuner(
            model=model,
            optimizer=optimizer,
            epochs=task.epochs,
            budget=budget,
            policy=policy,
            sampler=sampler,
            space=[space],
            objective=objective(setting),
            seed=seed,
        )
        model.train()
        try:
            with tuner:
                for run in tuner:
                    for x, y in run.batches(loader):
                        optimizer.zero_grad()
                        setting.loss(model(x), y).backward()
                        optimizer.step()
                    run.report(**run.evaluate(lambda: setting.score(model, "select")))
        except AllDiverged as error:  # the weights are those of the last epoch that went well
            note = str(error)
    seconds = clock() - began
    spent = tuner.result.cost
    metrics = {part: setting.score(model, part) for part in ("select", "second", "test")}
    score = objective(setting)(metrics["select"])
    trace = Trace(
        metrics, [], score, cost(setting, spent.trained, spent.evaluated), seconds, not tuner.result.course
    )
    schedule = [float(f"{values['lr']:.3g}") for values in tuner.result.schedule]
    return cell_of(setting, name, trace, chosen={"lr": schedule}, note=note)


METHODS: dict[str, Method] = {
    "greedy": partial(by_thesis, "greedy", "greedy", BUDGET, "gamma", WIDE),
    "grid-100": partial(by_thesis, "grid-100", "greedy", GRID, "grid", THESIS),
    "grid-100-log": partial(by_thesis, "grid-100-log", "greedy", GRID, "grid", WIDE),
    "grid-100-once": partial(by_thesis, "grid-100-once", "once", GRID, "grid", THESIS),
}
