"""Methods without a search: the default rate, the rule of thumb, longer at the default rate, averages of weights, a
range test.

    defaults            the optimizer's own default rate, constant
    rule-of-thumb       the rate that people begin with, by the optimizer (RULE_OF_THUMB), as the peak of linear
    rule-of-thumb-1.5   the same with 1.5 times the epochs
    longer-N            N times the epochs, the default rate as the peak of a cosine with warm-up
    longer-N-ema        the same training; an exponential average of its weights, horizon a tenth of the steps
    longer-N-swa        the same training; the mean of its weights after each epoch of the last quarter
    longer-12-both      on the validation data too, since it chooses nothing; as many epochs as 12 plain runs pay for
    range-test          an LR range test, then one cycle with its rate of steepest fall as the peak
    range-test-valley   the same with the rate that fastai's lr_find suggests by default as the peak
    range-test-valley-11  that with a cycle of 11 times the epochs, near the cost of a search of 12 runs

The averaged weights get BatchNorm statistics of their own (a forward pass over the training data) and are then
evaluated once; both are in their cost.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from outcomes import Cell, Method, cell_of, kept, setting_of
from tasks import Setting, Task
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from training import SHAPES, Trace, clock, constant, cost, objective, plain_cost, train

# Adam's is its paper's (Kingma and Ba 2015, arXiv 1412.6980); the others are habit (guess).
RULE_OF_THUMB = {"adamw": 1e-3, "momentum": 0.05, "sgd": 0.1}

HORIZON = 0.1  # of the steps: what the exponential average looks back over (guess)
LAST = 0.25  # of the epochs: what SWA averages over, as in Izmailov et al. 2018 (1803.05407), section 5

RAMP = (1e-5, 10.0)  # rates of the range test
RAMP_STEPS = 100  # as in fastai's lr_find
SMOOTHING = 0.98  # fastai's; corrected for its start
BLOWN_UP = 4.0  # times the lowest smoothed loss: where fastai ends the ramp


def defaults(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    made = kept(setting, "defaults", lambda: train(setting, task.default_lr, constant).as_json())
    return cell_of(setting, "defaults", Trace(**made), chosen={"lr": task.default_lr})


def rule_of_thumb(name: str, times: float, task: Task, seed: int) -> Cell:
    setting, lr = setting_of(task, seed), RULE_OF_THUMB[task.optimizer]
    trace = train(setting, lr, SHAPES["linear"], round(times * task.epochs))
    return cell_of(setting, name, trace, chosen={"lr": lr})


# Longer ---------------------------------------------------------------------------------------------------


class Average:
    """Keeps an average of the weights while a training goes on, and the seconds that takes.

    due: (step, steps) -> whether the weights after this step join the average.
    """

    def __init__(
        self, model: nn.Module, due: Callable[[int, int], bool], average: Mapping[str, Any] | None = None
    ) -> None:
        self.averaged = AveragedModel(model, **(average or {}))
        self.seconds = 0.0
        self._due = due

    def after_step(self, model: nn.Module, step: int, steps: int) -> None:
        if self._due(step, steps):
            began = clock()
            self.averaged.update_parameters(model)
            self.seconds += clock() - began

    def after_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None: ...

    def finished(self, setting: Setting, last: Trace) -> Trace:
        """The trace of the averaged model, `last` being that of the training."""
        began = clock()
        setting.recalibrate(self.averaged.module)
        metrics = {"select": setting.score(self.averaged.module, "select")}
        seconds = last.seconds + self.seconds + clock() - began
        metrics |= {part: setting.score(self.averaged.module, part) for part in ("second", "test")}
        norm = any(isinstance(module, nn.BatchNorm2d) for module in self.averaged.modules())
        looked = setting.validation + (setting.examples if norm else 0)
        finite = not last.diverged and math.isfinite(metrics["test"]["loss"])
        score = objective(setting)(metrics["select"]) if finite else -math.inf
        return Trace(metrics, [], score, last.cost + cost(setting, 0, looked), seconds, not finite)


def longer(times: int, average: str, task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    made = kept(setting, f"longer-{times}", lambda: _longer(setting, times))[average]
    name = f"longer-{times}" + (f"-{average}" if average != "last" else "")
    return cell_of(setting, name, Trace(**made), chosen={"lr": task.default_lr})


def _longer(setting: Setting, times: int) -> dict[str, Any]:
    """The training with both averages taken along: "last", "ema" and "swa", a trace each."""
    task, model = setting.task, setting.model()
    epochs = times * task.epochs
    per_epoch = len(setting.loader())
    decay = 1 - 1 / max(HORIZON * epochs * per_epoch, 1)
    averages = {
        "ema": Average(model, lambda step, steps: True, {"multi_avg_fn": get_ema_multi_avg_fn(decay)}),
        "swa": Average(
            model, lambda step, steps: (step + 1) % per_epoch == 0 and step + 1 > (1 - LAST) * steps
        ),
    }
    last = train(
        setting, task.default_lr, SHAPES["cosine"], epochs, model=model, callbacks=list(averages.values())
    )
    traces = {name: average.finished(setting, last) for name, average in averages.items()}
    return {name: trace.as_json() for name, trace in ({"last": last} | traces).items()}


def longer_both(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    epochs = round(12 * plain_cost(setting) / (setting.examples + 2 * setting.validation))

    def make() -> dict[str, Any]:
        return train(setting, task.default_lr, SHAPES["cosine"], epochs, both=True).as_json()

    trace = Trace(**kept(setting, "longer-12-both", make))
    return cell_of(setting, "longer-12-both", trace, chosen={"lr": task.default_lr, "epochs": epochs})


# Range test -----------------------------------------------------------------------------------------------


def range_test(name: str, suggestion: str, times: int, task: Task, seed: int) -> Cell:
    """suggestion: "steep" or "valley"."""
    setting = setting_of(task, seed)
    ramp = kept(setting, "ramp", lambda: _ramp(setting))
    peak = ramp[suggestion]

    def make() -> dict[str, Any]:
        return train(setting, peak, SHAPES["one-cycle"], times * task.epochs).as_json()

    run = Trace(**kept(setting, f"one-cycle-{suggestion}-{times}", make))
    return cell_of(setting, name, run, seconds=ramp["seconds"], cost=ramp["cost"], chosen={"lr": peak})


def _ramp(setting: Setting) -> dict[str, float]:
    """The rate rises exponentially over RAMP in 100 steps; two suggestions from the smoothed loss on the way.

    The ramp ends early where the smoothed loss is four times its lowest.
    """
    lrs = np.geomspace(*RAMP, RAMP_STEPS)
    model = setting.model()
    optimizer = setting.optimizer(model, RAMP[0])
    began, trained, running, smoothed = clock(), 0, 0.0, []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(setting.seed)
        model.train()
        loader = setting.loader()
        batches = itertools.chain.from_iterable(itertools.repeat(loader))
        for k, (x, y) in zip(range(RAMP_STEPS), batches, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = float(lrs[k])
            optimizer.zero_grad()
            loss = setting.loss(model(x), y)
            trained += len(y)
            running = SMOOTHING * running + (1 - SMOOTHING) * loss.item()
            smoothed.append(running / (1 - SMOOTHING ** (k + 1)))
            if not smoothed[-1] <= BLOWN_UP * min(smoothed):
                smoothed.pop()
                break
            loss.backward()
            optimizer.step()
    # as fastai: without the first tenth of the steps and the last five
    skip = RAMP_STEPS // 10
    losses = np.array(smoothed[skip:-5])
    lrs = lrs[skip : skip + len(losses)]
    found = {"cost": cost(setting, trained, 0), "seconds": clock() - began}
    if len(losses) < 2:
        return found | dict.fromkeys(("steep", "valley"), setting.task.default_lr)
    return found | {"steep": _steep(lrs, losses), "valley": _valley(lrs, losses)}


def _steep(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Where the loss falls steepest by the logarithm of the rate."""
    return float(lrs[int(np.argmin(np.diff(losses) / np.diff(np.log(lrs))))])


def _valley(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Half way down the longest falling run of losses (gaps allowed), as fastai's `valley` counts it."""
    longest = np.ones(len(losses), dtype=int)  # falling subsequence that ends here
    for i in range(1, len(losses)):
        longest[i] += max((longest[j] for j in range(i) if losses[j] > losses[i]), default=0)
    end = int(np.argmax(longest))
    start = end - int(longest[end])
    third = (end - start) / 3
    return float(lrs[max(start + int(third) + int(third / 2), 0)])


METHODS: dict[str, Method] = {
    "defaults": defaults,
    "rule-of-thumb": partial(rule_of_thumb, "rule-of-thumb", 1.0),
    "rule-of-thumb-1.5": partial(rule_of_thumb, "rule-of-thumb-1.5", 1.5),
    **{
        f"longer-{times}" + (f"-{average}" if average != "last" else ""): partial(longer, times, average)
        for times in (4, 12)
        for average in ("last", "ema", "swa")
    },
    "longer-12-both": longer_both,
    "range-test": partial(range_test, "range-test", "steep", 1),
    "range-test-valley": partial(range_test, "range-test-valley", "valley", 1),
    "range-test-valley-11": partial(range_test, "range-test-valley-11", "valley", 11),
}
