"""Several nets for the budget, through `gammatune.fit`: their predictions are averaged.

nets-B          a budget of B plain runs of the task's epochs
nets-open-B     the number of epochs left open, B plain runs' worth of epochs for everything
nets-..-adamw   the optimizer left to the library too, which is AdamW's
nets-..-auto    the optimizer chosen between AdamW and Muon
single-B        the same budget for one plain net

`chosen` has beside the rate: how many nets, their epochs, the test error of the best net alone, the log-loss of the
average and how far its confidence lies from its accuracy (expected calibration error, 15 bins), both on the test
part.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Setting, Task
from torch import nn
from training import Trace, clock, cost, objective

import gammatune

BINS = 15


def run(task: Task, seed: int, name: str, **choices: Any) -> Cell:
    setting = setting_of(task, seed)
    model = setting.model()
    horizon = {} if "total_epochs" in choices else {"epochs": task.epochs}
    given = {} if "optimizer" in choices else {"optimizer": partial(_optimizer, setting, model)}
    began = clock()
    found = gammatune.fit(
        model,
        setting.loader(),
        [(x, y) for x, y in zip(*(part.split(500) for part in setting.parts["select"]), strict=True)],
        seed=seed,
        device="cpu",
        new_model=task.net,
        progress=False,
        **(given | horizon | choices),
    )
    seconds = clock() - began
    answering: nn.Module = model if found.ensemble is None else found.ensemble
    metrics = {part: setting.score(answering, part) for part in ("select", "second", "test")}
    trace = Trace(
        metrics, [], objective(setting)(metrics["select"]),
        cost(setting, found.cost.trained, found.cost.evaluated), seconds, not found.course,
    )  # fmt: skip
    chosen = {
        "lr": float(f"{max(float(v['lr']) for v in found.schedule):.4g}"),
        "epochs": len(found.course),
        "optimizer": str(found.schedule[0].get("optimizer", "")),
        "nets": max(1, len(found.nets)),
        "single": setting.error(setting.score(model, "test")),
        "log-loss": metrics["test"]["loss"],
        "calibration": _calibration(setting, answering),
    }
    return cell_of(setting, name, trace, chosen=chosen)


def _optimizer(setting: Setting, model: nn.Module, parameters: Any) -> torch.optim.Optimizer:
    return setting.optimizer(model, setting.task.default_lr)


@torch.no_grad()
def _calibration(setting: Setting, model: nn.Module) -> float | None:
    if not setting.classify:
        return None
    model.eval()
    x, y = setting.parts["test"]
    said = torch.cat([model(part) for part in x.split(500)]).softmax(dim=1)
    sure, answer = (part.numpy() for part in said.max(dim=1))
    right = answer == y.numpy()
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    apart = [abs(sure[places == b].sum() - right[places == b].sum()) for b in range(BINS)]
    return float(sum(apart) / len(y))


def method(name: str, **choices: Any) -> Method:
    return lambda task, seed: run(task, seed, name, **choices)


def open_horizon(name: str, times: float, **choices: Any) -> Method:
    return lambda task, seed: run(task, seed, name, total_epochs=times * task.epochs, **choices)


BUDGETS = (1.5, 2.5, 4, 8, 12)
METHODS: dict[str, Method] = {f"nets-{b:g}": method(f"nets-{b:g}", budget=b) for b in BUDGETS}
METHODS |= {f"nets-open-{b:g}": open_horizon(f"nets-open-{b:g}", b) for b in BUDGETS}
METHODS |= {f"single-{b:g}": method(f"single-{b:g}", budget=b, ensemble=False) for b in (2.5, 4, 12)}
for chosen in ("adamw", "auto"):
    for b in (1.5, 4, 12):
        METHODS[f"nets-{b:g}-{chosen}"] = method(f"nets-{b:g}-{chosen}", budget=b, optimizer=chosen)
        name = f"nets-open-{b:g}-{chosen}"
        METHODS[name] = open_horizon(name, b, optimizer=chosen)
