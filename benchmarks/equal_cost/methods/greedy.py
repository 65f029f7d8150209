"""gammatune's policy of the thesis, through the public front door.

greedy      every epoch the best of twelve candidates by that epoch's own score; the best epoch is handed back
"""

import torch
from harness import Cell, Method, cell_of, setting_of
from tasks import Task
from training import Trace, clock, cost, objective

import gammatune
from gammatune.errors import AllDiverged

BUDGET = 12  # plain runs


def greedy(task: Task, seed: int) -> Cell:
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
            budget=BUDGET,
            policy="greedy",
            space=["lr=1e-5:10:log"],
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
    return cell_of(setting, "greedy", trace, chosen={"lr": schedule}, note=note)


METHODS: dict[str, Method] = {"greedy": greedy}
