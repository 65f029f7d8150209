"""Is our PBT that of Ray Tune? The same members on one task, led by either; the errors should be alike.

Ray is in no extra of the project (some 200 MB to fetch, 600 MB unpacked): pip install 'ray[tune]==2.60.0'.

    python benchmarks/equal_cost/check_pbt.py --task digits-cnn --seeds 10

Ray's scheduler is the synchronous PopulationBasedTraining with its own defaults (a quarter, 0.25, 1.2 and 0.8) and
12 trials from a log-uniform rate. A seed fixes data and weights; the rates are other draws, so that only means can be
compared: each line gives ours and Ray's, the last one both means and the difference with its standard error.

Found (digits-cnn, 10 seeds, Ray 2.60.0): ours 0.0363, Ray's 0.0379, difference -0.0016 +- 0.0020.
"""

import itertools
import math
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
import ray
import torch
from course import Course
from methods.population import INTERVALS, MEMBERS, PERTURB, QUARTER, RESAMPLE, perturb, population
from outcomes import LRS
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from tasks import TASKS, Task

WORST = -1e9  # Ray leaves trials without a finite score out of its quarters


class Trial(tune.Trainable):
    """A member of the population as Ray runs it; an iteration is an interval."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        self.situation = TASKS[config["task"]].setting(config["seed"])
        self.course = Course(self.situation)
        self.lr = config["lr"]

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True

    def step(self) -> dict[str, float]:
        self.course.advance(self.course.total // intervals(self.situation.task), lambda k: self.lr)
        test = self.situation.error(self.situation.score(self.course.model, "test"))
        return {"score": max(self.course.score(), WORST), "test": 1.0 if self.course.diverged else test}

    def save_checkpoint(self, folder: str) -> None:
        torch.save((self.course.state(), self.course.diverged), Path(folder) / "state.pt")

    def load_checkpoint(self, folder: str) -> None:
        state, diverged = torch.load(Path(folder) / "state.pt", weights_only=False)
        self.course = Course(self.situation)
        self.course.load(state)
        self.course.diverged = diverged
        for _ in itertools.islice(self.course._batches, state.step):  # to where ours stand too
            pass


def intervals(task: Task) -> int:
    return task.epochs // max(1, round(task.epochs / INTERVALS))


def rays(task: Task, seed: int) -> float:
    """The test error of the trial that ends with the best score."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (Ray draws from it)
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        hyperparam_mutations={"lr": tune.loguniform(LRS[0], LRS[-1])},
        quantile_fraction=QUARTER / MEMBERS,
        resample_probability=RESAMPLE,
        perturbation_factors=PERTURB,
        synch=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(Trial, {"cpu": 1}),
            param_space={"lr": tune.loguniform(LRS[0], LRS[-1]), "task": task.name, "seed": seed},
            tune_config=tune.TuneConfig(
                metric="score", mode="max", scheduler=scheduler, num_samples=MEMBERS, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=folder, stop={"training_iteration": intervals(task)}, verbose=0
            ),
        )
        return float(tuner.fit().get_best_result(scope="last").metrics["test"])


def main() -> None:
    parser = harness.arguments(__doc__, seeds=10)
    parser.add_argument("--task", default="digits-cnn")
    args = parser.parse_args()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    errors = []
    for seed in range(args.seeds):
        pair = population("pbt", perturb, TASKS[args.task], seed).test, rays(TASKS[args.task], seed)
        errors.append(pair)
        print("seed {}: ours {:.4f}, Ray's {:.4f}".format(seed, *pair), flush=True)
    ours, theirs = np.array(errors).T
    gap, error = (ours - theirs).mean(), (ours - theirs).std(ddof=1) / math.sqrt(len(errors))
    print(f"mean: ours {ours.mean():.4f}, Ray's {theirs.mean():.4f}, difference {gap:+.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
