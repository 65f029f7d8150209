"""Whether the rollouts of a decision are trained beside each other, by whom, and what cannot be."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument
from gammatune.policy.registry import chosen_by_name
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.training import Supervised
from gammatune.tuning.arguments import refuse_beside
from gammatune.tuning.executor import Executor

# Rollouts chosen together where they can be trained so (guess: a decision has four or a few more).
AT_ONCE = 4


def chosen_together(given: Arguments, said: list[str]) -> int:
    """How many rollouts are chosen before the first of them has been heard of."""
    count = given.search.at_once
    if count is None:
        count = 1 if given.training.parallel is None and given.running.executor is None else AT_ONCE
    if given.training.parallel is not None:
        said.append(f"Rollouts of one decision are chosen {count} at a time, and trained beside each other.")
    return count


def executor_for(
    given: Arguments,
    model: nn.Module,
    optimizers: Sequence[Optimizer],
    build: Callable[[], Supervised],
    device: torch.device,
) -> Executor | None:
    """Who trains the rollouts of one decision; None: this process, one after the other.

    build: makes the training in another process. To be called before the training puts its hooks on the optimizer.
    """
    parallel, workers = given.training.parallel, given.training.workers
    if parallel is not None and given.running.executor is not None:
        raise InvalidArgument(f"executor= and parallel={parallel!r} both say who trains: give one of them")
    if parallel is None:
        if workers is not None:
            raise InvalidArgument(f"workers={workers!r} goes with parallel='ray'")
        return given.running.executor
    refuse_beside(given.ranks, f"parallel={parallel!r}")
    _refuse_what_does_not_travel(parallel, model, optimizers)
    kind, _, address = parallel.partition(":")
    if kind != "ray" and parallel != "vmap":
        raise InvalidArgument(
            f"parallel={parallel!r}: write 'ray', 'ray:ADDRESS' for a cluster that is there, or 'vmap'"
        )
    if not chosen_by_name(given.search.policy).beside:
        raise InvalidArgument(
            f"parallel={parallel!r}: policy={given.search.policy!r} trains one rollout after the other; leave "
            "parallel= out"
        )
    if parallel == "vmap":
        if workers is not None:
            raise InvalidArgument(f"workers={workers!r} goes with parallel='ray'; parallel='vmap' has none")
        from gammatune.supervised.vmap_executor import StackedExecutor

        return StackedExecutor()
    from gammatune.tuning.ray_executor import RayExecutor

    return RayExecutor(build, device, address=address or None, workers=workers)


def _refuse_what_does_not_travel(parallel: str, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Hooks run in this process and on single tensors alone, and so do optimizers within an optimizer."""
    if parallel == "vmap" and len(optimizers) > 1:
        raise InvalidArgument(
            "parallel='vmap' trains several values of one optimizer in one pass, and more than one is chosen from; "
            "name one, or write parallel='ray'"
        )
    hooked = [
        f"{name} has a gradient hook"
        for name, parameter in model.named_parameters()
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks
    ]
    for optimizer in optimizers:
        kind = type(optimizer).__name__
        if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
            hooked.append(f"{kind} has a step hook")
        hooked += [
            f"{kind} holds another optimizer ({name})"
            for name, value in vars(optimizer).items()
            if isinstance(value, Optimizer)
        ]
    if hooked:
        raise InvalidArgument(
            f"{hooked[0]}, which parallel={parallel!r} cannot follow: leave parallel= out, or write the loop "
            "yourself with gammatune.Tuner"
        )
