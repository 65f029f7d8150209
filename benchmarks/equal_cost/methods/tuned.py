"""Twelve plain runs, the best of them by gammatune's default objective on "select": shapes times searches.

    constant|cosine|linear - tpe      Optuna's TPE as it comes (10 random trials first)
                             tpe3     TPE with 3 random trials first
                             grid     12 rates, half a decade apart
                             gamma    gammatune's own sampler
    oracle-constant|cosine|linear     25 rates, a quarter of a decade apart, the best by its TEST error: a line
                                      that nobody can reach honestly
    linear-grid-error                 linear-grid, the best by its error on "select" alone (ablation of the score)

All search 1e-5 to 10 on a logarithmic scale, whatever the optimizer. A proposed rate is snapped to a grid of 49
(an eighth of a decade; at most 7 % off), so that trainings are shared between searches; each pays for every
trial in full, a repeated one too. The oracle's rates are every second of the 49, the grid's every second of
those, away from the ends.
"""

from collections.abc import Callable, Sequence
from functools import partial
from zlib import crc32

import numpy as np
from outcomes import LRS, Cell, Method, cell_of, setting_of, snapped, trained
from tasks import Setting, Task
from training import Trace, clock

from gammatune.metrics.objectives import rank
from gammatune.records import Observation
from gammatune.samplers import make_sampler
from gammatune.space import Float, Space

TRIALS = 12
ORACLE = tuple(range(0, len(LRS), 2))  # 25 places
GRID = ORACLE[1::2]  # 12 places

Trials = Sequence[tuple[int, Trace]]  # places and what became of them, in the order tried
Search = Callable[
    [Setting, str], tuple[Trials, float]
]  # setting, shape -> trials, seconds of the search itself


def _seed(setting: Setting) -> list[int]:
    return [setting.seed, crc32(setting.task.name.encode())]


def grid(setting: Setting, shape: str) -> tuple[Trials, float]:
    """In random order, which decides ties."""
    order = np.random.default_rng(_seed(setting)).permutation(GRID)
    return [(int(place), trained(setting, shape, int(place))) for place in order], 0.0


def tpe(startup: int, setting: Setting, shape: str) -> tuple[Trials, float]:
    """A diverged trial is told as pruned, which Optuna ranks below every finished one."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = clock()
    seed = int(np.random.default_rng(_seed(setting)).integers(2**31))
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    rates = {"lr": optuna.distributions.FloatDistribution(LRS[0], LRS[-1], log=True)}
    seconds, trials = clock() - began, []
    for _ in range(TRIALS):
        began = clock()
        trial = study.ask(rates)
        seconds += clock() - began
        place = snapped(trial.params["lr"])
        trace = trained(setting, shape, place)
        trials.append((place, trace))
        began = clock()
        if trace.diverged:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, trace.score)
        seconds += clock() - began
    return trials, seconds


def gamma(setting: Setting, shape: str) -> tuple[Trials, float]:
    began = clock()
    space = Space({"lr": Float(LRS[0], LRS[-1], log=True)})
    sampler = make_sampler("gamma", space, np.random.default_rng(_seed(setting)))
    seconds, trials = clock() - began, []
    for _ in range(TRIALS):
        began = clock()
        values = sampler.ask()
        seconds += clock() - began
        assert values is not None  # a continuous space is never exhausted
        place = snapped(float(values["lr"]))
        trace = trained(setting, shape, place)
        trials.append((place, trace))
        began = clock()
        sampler.tell(Observation(values, None if trace.diverged else trace.score))
        seconds += clock() - began
    return trials, seconds


def tuned(name: str, search: Search, shape: str, task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    trials, seconds = search(setting, shape)
    return _chosen(setting, name, trials, lambda t: rank(t.score, t.metrics["select"]), seconds)


def by_error(name: str, shape: str, task: Task, seed: int) -> Cell:
    """The ablation: only the error on "select" counts."""
    setting = setting_of(task, seed)
    trials, _ = grid(setting, shape)
    return _chosen(setting, name, trials, lambda t: (not t.diverged, -setting.error(t.metrics["select"])))


def oracle(name: str, shape: str, task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    trials = [(place, trained(setting, shape, place)) for place in ORACLE]
    return _chosen(setting, name, trials, lambda t: (not t.diverged, -setting.error(t.metrics["test"])))


def _chosen(
    setting: Setting, name: str, trials: Trials, worth: Callable[[Trace], tuple], seconds: float = 0.0
) -> Cell:
    place, best = max(trials, key=lambda trial: worth(trial[1]))
    runs = [trace for _, trace in trials]
    chosen = {"lr": LRS[place], "diverged": sum(trace.diverged for trace in runs)}
    return cell_of(setting, name, best, runs, seconds=seconds, chosen=chosen)


SEARCHES: dict[str, Search] = {"tpe": partial(tpe, 10), "tpe3": partial(tpe, 3), "grid": grid, "gamma": gamma}
METHODS: dict[str, Method] = {
    **{
        f"{shape}-{name}": partial(tuned, f"{shape}-{name}", search, shape)
        for shape in ("constant", "cosine", "linear")
        for name, search in SEARCHES.items()
    },
    "linear-grid-error": partial(by_error, "linear-grid-error", "linear"),
    **{
        f"oracle-{shape}": partial(oracle, f"oracle-{shape}", shape)
        for shape in ("constant", "cosine", "linear")
    },
}
