"""NadamW at one setting for everything, whatever the task's optimizer: what a rate that was never searched can do.

    nadamw      AdamW with Nesterov's momentum (Choi et al. 2020, arXiv 1910.05446, table 1) at PUBLISHED

The setting is AlgoPerf's baseline of the ruleset without tuning, one for all of that benchmark's workloads (Dahl et
al. 2023, arXiv 2306.07179; github.com/mlcommons/algorithmic-efficiency, folder prize_qualification_baselines/
self_tuning), weight decay included. Its dropout of 0.1 is left out: the tasks' nets have what dropout they have.
torch.optim.NAdam is another algorithm: its momentum grows with the steps.
"""

from collections.abc import Iterable
from functools import partial

import torch
from outcomes import Cell, Method, cell_of, setting_of
from tasks import Task
from torch import Tensor, nn
from torch.optim import Optimizer
from training import cosine, train

PUBLISHED = {
    "lr": 0.0017486387539278373,
    "betas": (1 - 0.06733926164, 0.9955159689799007),
    "weight_decay": 0.08121616522670176,
}
WARM_UP = 0.02  # of the steps
EPSILON = 1e-8


class NadamW(Optimizer):
    """betas: of the means of gradients and of their squares. weight_decay: decoupled, times the rate."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group["lr"], *group["betas"], group["weight_decay"])

    def _move(
        self, weight: Tensor, gradient: Tensor, lr: float, beta1: float, beta2: float, decay: float
    ) -> None:
        state = self.state[weight]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(weight), "square": torch.zeros_like(weight)}
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - beta1)
        square = state["square"].lerp_(gradient.square(), 1 - beta2)
        ahead = mean.lerp(gradient, 1 - beta1)  # the mean as it would be one step on: all that AdamW has not
        spread = (square / (1 - beta2 ** state["step"])).sqrt_().add_(EPSILON)
        weight.mul_(1 - lr * decay).addcdiv_(ahead, spread, value=-lr / (1 - beta1 ** state["step"]))


def nadamw(task: Task, seed: int) -> Cell:
    setting = setting_of(task, seed)
    model = setting.model()
    optimizer = NadamW(model.parameters(), **PUBLISHED)
    shape = partial(cosine, warm_up=WARM_UP)
    trace = train(setting, PUBLISHED["lr"], shape, model=model, optimizer=optimizer)
    return cell_of(setting, "nadamw", trace, chosen={"lr": PUBLISHED["lr"]})


METHODS: dict[str, Method] = {"nadamw": nadamw}
