"""Runs in a tracker of experiments. `python examples/trackers.py`, or with mlflow, wandb or tensorboard behind it.

A `gammatune.Tracker` is told of every rollout, of every epoch that is committed for now (a draft), and in the end of
the epochs of the course, which alone belong on the main axis. MLflow and Weights & Biases need no more than this.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

import gammatune

RUN = Path("runs") / "tracked"


class MLflow(gammatune.Tracker):
    """The course as the metrics of an MLflow run; rollouts as metrics "rollout.*", whose steps are their numbers."""

    def begin(self, asked: Any, *, resumed: bool) -> None:
        import mlflow

        self.mlflow, kept = (
            mlflow,
            RUN / "mlflow-run",
        )  # beside the journal, so that the same run is gone on with
        if resumed and kept.exists():
            mlflow.start_run(run_id=kept.read_text())
        else:
            kept.write_text(mlflow.start_run().info.run_id)
            names = ("policy", "sampler", "objective", "epochs", "budget", "seed", "space")
            mlflow.log_params({name: asked[name] for name in names})

    def rollout(self, outcome: Any) -> None:
        told = {**outcome.values, **outcome.metrics}
        numbers = {f"rollout.{name}": v for name, v in told.items() if isinstance(v, (int, float))}
        self.mlflow.log_metrics(numbers, step=outcome.number)

    def epoch(self, number: int, metrics: Any, values: Any) -> None:
        numbers = {name: v for name, v in {**values, **metrics}.items() if isinstance(v, (int, float))}
        self.mlflow.log_metrics(numbers, step=number)

    def end(self, how: str, cost: Any) -> None:
        self.mlflow.log_metrics({"trained": cost.trained, "seconds": cost.seconds})
        self.mlflow.end_run("FINISHED" if how == "complete" else "KILLED")


class WandB(gammatune.Tracker):
    """Three groups of charts in Weights & Biases, each on an axis of its own: its steps only ever rise."""

    def begin(self, asked: Any, *, resumed: bool) -> None:
        import wandb

        kept = RUN / "wandb-run"
        known = kept.read_text() if resumed and kept.exists() else None
        self.run = wandb.init(project="gammatune", id=known, resume="allow", config=dict(asked))
        kept.write_text(self.run.id)
        for group, axis in (("course", "epoch"), ("draft", "draft/epoch"), ("rollout", "rollout/number")):
            self.run.define_metric(f"{group}/*", step_metric=axis)

    def rollout(self, outcome: Any) -> None:
        told = {**outcome.values, **outcome.metrics, "number": outcome.number}
        self.run.log({f"rollout/{name}": value for name, value in told.items()})

    def draft(self, version: int, number: int, metrics: Any, values: Any) -> None:
        if version == 1:  # W&B has one line a name: what takes the place of the first draft waits for the end
            self.run.log({f"draft/{n}": v for n, v in {**values, **metrics, "epoch": number}.items()})

    def epoch(self, number: int, metrics: Any, values: Any) -> None:
        self.run.log({"epoch": number, **{f"course/{n}": v for n, v in {**values, **metrics}.items()}})

    def end(self, how: str, cost: Any) -> None:
        self.run.summary["trained"] = cost.trained
        if how != "complete":
            self.run.finish(exit_code=1)

    def report(self, measures: Any) -> None:
        self.run.summary.update({f"report/{name}": value for name, value in measures.items()})
        self.run.finish()


class Printed(gammatune.Tracker):
    """The smallest one."""

    def epoch(self, number: int, metrics: Any, values: Any) -> None:
        print(
            f"epoch {number}: lr {values['lr_start']:.3g} to {values['lr_end']:.3g}, loss {metrics['loss']:.3f}"
        )


def tracker(name: str) -> gammatune.Tracker:
    if name == "tensorboard":
        from gammatune.integrations.tensorboard import TensorBoard

        return TensorBoard(RUN / "tensorboard")
    return {"mlflow": MLflow, "wandb": WandB, "printed": Printed}[name]()


torch.manual_seed(0)
x = torch.randn(400, 8)
y = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
result = gammatune.fit(
    model, (x, y), epochs=20, run_dir=str(RUN), listeners=[tracker((sys.argv[1:] or ["printed"])[0])]
)
print(f"{len(result.rollouts)} rollouts, {len(result.course)} epochs, {result.cost}")
