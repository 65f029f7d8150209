"""Whole-run search with Optuna by the Gamma process: each trial trains a net, the sampler chooses the next one.

Needs the extra `optuna`. For one learning rate `gammatune.fit` is cheaper: it needs no second training.
"""

import optuna
import torch
from torch import nn

from gammatune.integrations.optuna import GammaSampler

torch.manual_seed(0)
x = torch.randn(300, 8)
y = (x[:, 0] * x[:, 1] > 0).long()


def objective(trial: optuna.Trial) -> float:
    width = trial.suggest_int("width", 8, 128, log=True)
    trial.set_constraint("units", width - 100)  # above 0: too large a net to be used
    name = trial.suggest_categorical("optimizer", ["adam", "sgd"])
    lr = trial.suggest_float("lr", 1e-5, 10, log=True)

    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))
    if name == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr)
    else:  # a parameter that only some trials have
        momentum = trial.suggest_float("momentum", 0.0, 0.95)
        optimizer = torch.optim.SGD(net.parameters(), lr, momentum=momentum)
    for _ in range(10):
        for batch in torch.randperm(200).split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        return float(
            nn.functional.cross_entropy(net(x[200:]), y[200:])
        )  # nan: a failed trial, ranked below all


optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=GammaSampler(seed=0))  # direction="minimize"
study.enqueue_trial({"width": 32, "optimizer": "adam", "lr": 1e-3})  # what is used now, first
study.optimize(objective, n_trials=20)

for trial in study.trials:
    shown = " ".join(
        f"{name}={trial.params[name]:.3g}" for name in ("lr", "momentum") if name in trial.params
    )
    said = "infeasible" if any(v > 0 for v in trial.constraints.values()) else trial.state.name.lower()
    loss = f"{trial.value:.3f}" if trial.value is not None else "  nan"
    print(
        f"{trial.number:2} {loss} {said:10} {trial.params['optimizer']:4} width={trial.params['width']:<3} {shown}"
    )
print(f"best: trial {study.best_trial.number}, loss {study.best_value:.3f}, {study.best_params}")
