"""Would Student-t expected improvement help who uses BoTorch? Its own GP, twice: LogEI, and the EI that remains when
the precision of that GP is not plugged in but has a Gamma posterior.

The model is SingleTaskGP, fitted as ever, its outcomes standardised. Given its kernel, noise and constant mean the
covariance of the n scores is C / lambda with lambda ~ Gamma(2, 1) (surrogate/gamma.py), so that the posterior of f is
Student-t with 4 + n degrees of freedom and the scale sd sqrt(b_n / a_n), b_n = 1 + r' C^-1 r / 2, a_n = 2 + n / 2.
Both EIs are maximised over the same candidates (1,024 of Sobol's points and 256 near the best), both begin with the
same two points; problems are the learning rates of problems.py and the small ones of tuning.py, 12 trials.

Found (results/bo_student_t.json): level. After 12 trials the regret is +0.009 [-0.003, +0.026] on 24 curves, +0.016
[-0.006, +0.051] on 8 surfaces, +0.006 [-0.038, +0.041] on 13 functions (above 0: LogEI is better), one seed. It does
not help, and is not offered.

Run:  python benchmarks/bo/student_t.py --seeds 1 --out benchmarks/results/bo_student_t.json
"""

import math
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import harness
import numpy as np
import problems as measured
import tuning
from peers import Encoded, Params, followed, quiet
from problems import Problem
from scipy import stats

from gammatune.surrogate.acquisition import log_ei
from gammatune.surrogate.predictive import Normal, StudentT

A0, B0 = 2.0, 1.0
TRIALS, AT = 12, (5, 8, 12)


class Search(Encoded):
    def __init__(self, problem_space: dict, seed: int, student: bool) -> None:
        super().__init__(problem_space, seed, startup=2)
        self._student, self._seed = student, seed

    def ask(self) -> Params:
        if len(self.X) < self.startup or np.isinf(self.losses).all():
            return self.sobol()
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        torch.manual_seed(self._seed)
        X = torch.tensor(np.array(self.X))
        model = SingleTaskGP(X, torch.tensor(self.y)[:, None])
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        rng = np.random.default_rng([self._seed, len(self.X)])
        d = X.shape[1]
        Z = stats.qmc.Sobol(d, rng=rng).random(1024)
        near = X.numpy()[np.argmax(self.y)] + 0.05 * rng.standard_normal((256, d))
        Z = np.clip(np.concatenate([Z, near]), 0.0, 1.0)
        with torch.no_grad():
            at, there = model.posterior(torch.tensor(Z)), model.posterior(X)
            mean, sd = at.mean[:, 0].numpy(), at.variance[:, 0].sqrt().numpy()
            best = float(there.mean.max())
            if self._student:
                model.train()
                prior = model.likelihood(model(X))  # of the standardised scores
                residual = (model.train_targets - prior.mean)[:, None]
                square = float(residual.T @ torch.linalg.solve(prior.covariance_matrix, residual))
                model.eval()
        if not self._student:
            value = log_ei(Normal(mean, sd), best)
        else:
            n = len(self.X)
            a_n, b_n = A0 + n / 2, B0 + square / 2
            value = log_ei(StudentT(mean, sd * math.sqrt(b_n / a_n), 2 * a_n), best)
        return self.decode(Z[int(np.argmax(value))])


def run(problem: Problem, seed: int, student: bool) -> list[float]:
    made = problem.make(seed)
    return followed(made, Search(dict(made.space), seed, student), TRIALS)[0]


def main() -> None:
    args = harness.arguments(__doc__, seeds=1).parse_args()
    chosen = measured.problems(("lr-1d", "lr-2d"))
    chosen += [p for p in tuning.problems() if p.group == "cube"]
    pairs = {}
    with quiet():
        for problem in chosen:
            for seed in range(args.seeds):
                pairs[problem.name, problem.group, seed] = [
                    run(problem, seed, student) for student in (False, True)
                ]
            print(problem.name, flush=True)
    lines = []
    for group in dict.fromkeys(group for _, group, _ in pairs):
        these = {key: np.array(pair) for key, pair in pairs.items() if key[1] == group}
        names, seeds = [key[0] for key in these], [key[2] for key in these]
        for n in AT:
            at = np.stack([pair[:, n - 1] for pair in these.values()])
            mean, low, high = harness.crossed(np.column_stack([at, at[:, 1] - at[:, 0]]), names, seeds)
            lines.append({
                "group": group, "n": n, "runs": len(at),
                "log_ei": round(mean[0], 4), "student_t_ei": round(mean[1], 4),
                "difference": [round(float(x), 4) for x in (mean[2], low[2], high[2])],
            })  # fmt: skip
            print(lines[-1])
    if args.out:
        where = harness.machine("gammatune", "botorch", "torch", "numpy")
        harness.save(args.out, {"command": harness.command(), **where, "lines": lines})


if __name__ == "__main__":
    main()
