"""GammaSampler beside Optuna's own samplers: simple regret and time of a suggestion, on functions of known minima.

Simple regret after n trials: the noise-free loss of the trial with the best score seen, less the minimum. Every seed
is another instance of the problem, the same for all methods; intervals are 95 % bootstrap intervals of the mean over
seeds. "-2" behind a name: two start-up trials, as GammaSampler has, in place of the ten that are Optuna's default;
"gamma-10": ten, as theirs.
`gauss` is the ablation: the same quadrature, search and opening with a Gaussian in the Gamma's place.

Run:  python benchmarks/bo/run.py --quick            (some minutes on one core)
      python benchmarks/bo/run.py --seeds 100 --out benchmarks/results/bo.json
Results are written as they come; `--only PROBLEM,...` and `--methods NAME,...` choose.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402 (the thread counts are read on import)
import optuna  # noqa: E402
from machine import machine  # noqa: E402
from problems import Problem, problems  # noqa: E402

from gammatune.integrations.optuna import GammaSampler  # noqa: E402
from gammatune.surrogate.gp import QuadratureGP  # noqa: E402


class GaussSampler(GammaSampler):
    _surrogate = QuadratureGP  # type: ignore[assignment]


Maker = Callable[[int], optuna.samplers.BaseSampler]

METHODS: dict[str, Maker] = {
    "gamma": lambda seed: GammaSampler(seed=seed),
    "gamma-10": lambda seed: GammaSampler(seed=seed, n_startup_trials=10),
    "gauss": lambda seed: GaussSampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "tpe-2": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=2),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "gp-2": lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=2),
}
STARTUP = {"gamma": 2, "gamma-10": 10, "gauss": 2, "random": 0, "tpe": 10, "tpe-2": 2, "gp": 10, "gp-2": 2}


def run(problem: Problem, method: str, seed: int) -> dict[str, Any]:
    """One study: the regret after each trial, and the mean seconds of an `ask` (wall, processor) after start-up."""
    instance = problem.make(seed)
    rng = np.random.default_rng([seed, 5])
    noise = instance.noise * rng.standard_normal(problem.n)  # of trial i, the same for all methods
    study = optuna.create_study(sampler=METHODS[method](seed))
    best, regret, seconds = np.inf, [], []
    for i in range(problem.n):
        began = time.perf_counter(), time.process_time()
        trial = study.ask(instance.space)
        seconds.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        true = instance.loss(trial.params)
        study.tell(trial, true + noise[i])
        if true + noise[i] < best:
            best, held = true + noise[i], true - instance.least
        regret.append(held)
    return {
        "problem": problem.name, "method": method, "seed": seed, "regret": [float(f"{r:.5g}") for r in regret],
        "ask_seconds": np.mean(seconds[max(STARTUP[method], 1):], axis=0).tolist(),
    }  # fmt: skip


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and its 95 % bootstrap interval."""
    drawn = np.random.default_rng(0).choice(values, (4000, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def table(rows: Iterable[dict[str, Any]], chosen: list[Problem]) -> list[dict[str, Any]]:
    rows, out = list(rows), []
    for problem in chosen:
        for method in METHODS:
            these = [r for r in rows if r["problem"] == problem.name and r["method"] == method]
            if not these:
                continue
            regrets = np.array([r["regret"] for r in these])
            wall, processor = 1e3 * np.mean([r["ask_seconds"] for r in these], axis=0)
            line = {
                "problem": problem.name, "method": method, "seeds": len(these),
                "ms_wall": round(wall, 2), "ms_processor": round(processor, 2),
            }  # fmt: skip
            for n in problem.at:
                line[f"regret_{n}"] = [float(f"{x:.3g}") for x in interval(regrets[:, n - 1])]
            out.append(line)
    return out


def document(written: dict[str, Any]) -> str:
    """JSON with a line for each entry of a list."""
    parts = []
    for name, value in written.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join("  " + json.dumps(each) for each in value) + "\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def show(lines: list[dict[str, Any]]) -> None:
    shown = None
    for line in lines:
        if line["problem"] != shown:
            shown = line["problem"]
            print(f"\n{shown} ({line['seeds']} seeds): mean simple regret [95 %]")
        cells = [
            f"n={key[7:]} {mean:.3g} [{low:.3g}, {high:.3g}]"
            for key, (mean, low, high) in ((k, v) for k, v in line.items() if k.startswith("regret"))
        ]
        print(f"  {line['method']:8} {'   '.join(cells)}   {line['ms_processor']:.1f} ms of processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few seeds, 30 trials at most")
    parser.add_argument("--seeds", type=int, help="of the rates' problems; the others have a third")
    parser.add_argument("--only", default="", help="problems, by commas")
    parser.add_argument("--methods", default=",".join(METHODS), help="methods, by commas")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    seeds = args.seeds or (40 if args.quick else 100)
    chosen = [p for p in problems(args.quick) if not args.only or p.name in args.only.split(",")]
    methods = args.methods.split(",")
    results = Path(__file__).resolve().parents[1] / "results"
    out = args.out or results / ("bo_quick.json" if args.quick else "bo.json")
    rows: list[dict[str, Any]] = []
    about = {"command": "python benchmarks/bo/run.py " + " ".join(sys.argv[1:]), "load": os.getloadavg()[0]}
    about |= machine("gammatune", "optuna", "torch", "numpy", "scipy")

    def write() -> None:
        rewritten = out.with_suffix(".part")
        lines = table(rows, chosen)
        rewritten.write_text(document({**about, "table": lines, "runs": rows}))
        rewritten.replace(out)

    run(chosen[0], "gamma", 10**6)  # imports and first calls
    if "gp" in methods or "gp-2" in methods:
        run(chosen[0], "gp", 10**6)
    for problem in chosen:
        for seed in range(seeds if problem.name.startswith("lr") else max(seeds // 3, 1)):
            rows += [run(problem, method, seed) for method in methods]  # methods take turns
        write()
        show([line for line in table(rows, chosen) if line["problem"] == problem.name])
        sys.stdout.flush()
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
