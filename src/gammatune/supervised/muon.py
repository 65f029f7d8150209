"""Muon for the matrices, AdamW for the rest, in one optimizer with one rate, both by torch's own steps.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) moves a matrix along its momentum with all
singular values made about 1. A step of it is scaled to the size of one of AdamW's ("match_rms_adamw", Liu et al.
2025, arXiv 2502.16982), so that the two can share rate and weight decay.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument

# A matrix here is any parameter of two dimensions. The literature leaves embeddings and the output layer to AdamW;
# here they are matrices like others, since so they were where the prior of the family "muon" (policy/prior.json) was
# learned (experiments/population/loops.py, `Both`), and it would not hold otherwise. Kernels of convolutions are
# AdamW's for the same reason, though a kernel could be flattened to a matrix.


class MuonAdamW(Optimizer):
    """Every group given becomes two, its matrices and the rest, where it has both.

    The groups of the rest have the options of `torch.optim.AdamW`, those of matrices the ones of `torch.optim.Muon`.

    Raises InvalidArgument where torch is older than its Muon.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.01) -> None:
        if not has_muon():
            raise InvalidArgument(
                f"optimizer 'muon' takes its steps from torch.optim.Muon, which torch {torch.__version__} has not: "
                "install torch 2.9 or newer, or choose another optimizer"
            )
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        given = param_group["params"]
        parameters = [given] if isinstance(given, Tensor) else list(given)
        matrices = [p for p in parameters if is_matrix(p)]
        rest = [p for p in parameters if not is_matrix(p)]
        if matrices:
            muon = torch.optim.Muon([torch.zeros(1, 1)], adjust_lr_fn="match_rms_adamw")
            super().add_param_group(_options(muon) | param_group | {"params": matrices})
        if rest:
            super().add_param_group(
                _options(torch.optim.AdamW([torch.zeros(1)])) | param_group | {"params": rest}
            )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            kind = torch.optim.Muon if "ns_steps" in group else torch.optim.AdamW
            # Made anew for every step, as a pickle would be (4 us): what an optimizer holds, forks, copies and loads
            # is then this one's groups and state, and nothing has to be kept in agreement with them.
            part: Any = kind.__new__(kind)
            part.__setstate__({"defaults": {}, "state": self.state, "param_groups": [group]})
            part.step()
        return loss


def has_muon() -> bool:
    """Whether this torch has it, as 2.9 and later have."""
    return hasattr(torch.optim, "Muon")


def is_matrix(parameter: Any) -> bool:
    """Whether Muon moves it. parameter: or a pair of its name and it, as an optimizer may be given."""
    tensor = parameter[1] if isinstance(parameter, tuple) else parameter  # with its name
    return isinstance(tensor, Tensor) and tensor.ndim == 2 and not tensor.is_complex()


def _options(made: Optimizer) -> dict[str, Any]:
    """What a group of that kind holds beside what both share."""
    return {name: value for name, value in made.defaults.items() if name not in ("lr", "weight_decay")}
