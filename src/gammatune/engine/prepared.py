"""What accelerate and Lightning Fabric have prepared: told from what they wrap, with all that it counts.

Neither is imported here: an object of theirs is known by a class that whoever made it has imported.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument

OF_A_LOADER = "iteration", "end_of_dataloader", "remainder"  # of accelerate's: its passes, where it stands
# how accelerate trains, one process or several with the whole net
DATA_PARALLEL = ("NO", "MULTI_CPU", "MULTI_GPU")
FABRIC = "lightning.fabric.wrappers", "lightning_fabric.wrappers"  # the package goes by two names


class AcceleratorCounters:
    """What an Accelerator counts while it trains, which decides when a step is one; it goes back with a fork.

    Raises InvalidArgument where several processes share out the net.
    """

    def __init__(self, accelerator: Any) -> None:
        kind = getattr(accelerator.distributed_type, "value", accelerator.distributed_type)
        if kind not in DATA_PARALLEL:
            raise InvalidArgument(
                f"accelerate trains by {kind} here, which keeps parts of the training where no fork reaches them: "
                "start it as one process, or as several that have the whole net each (DistributedDataParallel, as "
                "accelerate does by itself)"
            )
        self.accelerator = accelerator
        # passes that were made before there was a tuner
        self._first = {id(loader): passes_over(loader) for loader in accelerator._dataloaders}

    def knows(self, loader: Any) -> bool:
        """Whether the Accelerator has prepared it."""
        return any(loader is one for one in self.accelerator._dataloaders)

    def first(self, loader: Any) -> int:
        """The number of the pass over it that was the tuner's first."""
        return self._first.get(id(loader), 0)

    def state_dict(self) -> dict[str, Any]:
        accelerator = self.accelerator
        loaders, active = accelerator._dataloaders, accelerator.gradient_state.dataloader_references
        return {
            "step": accelerator.step,
            "sync_gradients": accelerator.gradient_state.sync_gradients,
            "num_steps": accelerator.gradient_accumulation_steps,
            "overflow": [optimizer._is_overflow for optimizer in accelerator._optimizers],
            "loaders": [{name: getattr(loader, name) for name in OF_A_LOADER} for loader in loaders],
            "within": [n for n, loader in enumerate(loaders) if any(loader is one for one in active)],
            "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        accelerator, loaders = self.accelerator, self.accelerator._dataloaders
        accelerator.step = state["step"]
        accelerator.gradient_state.sync_gradients = state["sync_gradients"]
        if accelerator.gradient_accumulation_steps != state["num_steps"]:
            accelerator.gradient_accumulation_steps = state["num_steps"]
        # not strict: more may have been prepared since
        for optimizer, overflow in zip(accelerator._optimizers, state["overflow"], strict=False):
            optimizer._is_overflow = overflow
        for loader, kept in zip(loaders, state["loaders"], strict=False):
            vars(loader).update({name: was for name, was in kept.items() if getattr(loader, name) != was})
        # of whichever Accelerator, loaders stand in one list
        others = [one for one in accelerator.gradient_state.dataloader_references if not self.knows(one)]
        accelerator.gradient_state.dataloader_references = [*others, *(loaders[n] for n in state["within"])]
        if accelerator.scaler is not None and state["scaler"] is not None:
            accelerator.scaler.load_state_dict(state["scaler"])


def passes_over(loader: Any) -> int:
    """How often a loader of accelerate's has been passed over."""
    return int(getattr(loader, "iteration", 0))


def is_a(thing: Any, name: str, *modules: str) -> bool:
    """Whether a thing is of the class that one of these modules calls so, if anybody has imported it."""
    kinds = (getattr(sys.modules.get(module), name, None) for module in modules)
    return any(isinstance(kind, type) and isinstance(thing, kind) for kind in kinds)


def is_of_accelerate(thing: Any) -> bool:
    """Whether it has been prepared, or is a loader or a wrapper of that package."""
    own = type(thing).__module__.startswith("accelerate.")
    return own or bool(getattr(thing, "_is_accelerate_prepared", False))


def as_state(item: Any) -> Any:
    """What a fork holds of a thing that was handed in as state: of an Accelerator what it counts."""
    return AcceleratorCounters(item) if is_a(item, "Accelerator", "accelerate.accelerator") else item


def counters_in(extras: Sequence[Any]) -> list[AcceleratorCounters]:
    return [extra for extra in extras if isinstance(extra, AcceleratorCounters)]


def bare_optimizer(optimizer: Optimizer) -> Optimizer:
    """The one that takes the steps, of which a wrapper does not tell."""
    while is_a(optimizer, "AcceleratedOptimizer", "accelerate.optimizer") or is_a(
        optimizer, "_FabricOptimizer", *FABRIC
    ):
        optimizer = optimizer.optimizer  # type: ignore[attr-defined]
    return optimizer


def bare_scheduler(thing: Any) -> Any:
    """The one that sets the rate, where accelerate has wrapped a scheduler; anything else as it is."""
    return thing.scheduler if is_a(thing, "AcceleratedScheduler", "accelerate.scheduler") else thing


def bare_module(module: nn.Module) -> nn.Module:
    """The user's own, whose `forward` Fabric calls between changes of precision."""
    return module.module if is_a(module, "_FabricModule", *FABRIC) else module  # type: ignore[return-value]


def scaler_of(optimizer: Optimizer) -> Any:
    """The GradScaler with which Fabric steps; None: there is none."""
    if not is_a(optimizer, "_FabricOptimizer", *FABRIC):
        return None
    return getattr(optimizer._strategy.precision, "scaler", None)  # type: ignore[attr-defined]


def refuse_without_accelerator(things: Sequence[Any], state: Sequence[Any]) -> None:
    """Raises InvalidArgument at what accelerate has prepared where its Accelerator is not among the state."""
    found = next((thing for thing in things if is_of_accelerate(thing)), None)
    if found is not None and not counters_in([as_state(item) for item in state]):
        raise without_accelerator(f"a {type(found).__name__}")


def refuse_in_a_loop_of_ours(*things: Any) -> None:
    """Raises InvalidArgument at what accelerate has prepared, where nobody asks its Accelerator."""
    for thing in things:
        if is_of_accelerate(thing):
            raise InvalidArgument(
                f"a {type(thing).__name__} was prepared by accelerate, and what trains here is no loop that asks its "
                "Accelerator when a step is one: give it as it was before accelerator.prepare, or write the loop "
                "yourself with gammatune.Tuner(..., state=[accelerator])"
            )


def without_accelerator(what: str) -> InvalidArgument:
    return InvalidArgument(
        f"{what} was prepared by accelerate, whose Accelerator counts when a step is one: hand it in as "
        "state=[accelerator], so that a trial can be taken back"
    )


def refuse_unhooked(optimizer: Optimizer) -> None:
    """Raises InvalidArgument at a wrapper that is an optimizer by its class alone, and tells nobody of its steps."""
    if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        kind, inner = type(optimizer).__name__, getattr(optimizer, "optimizer", None)
        wrapped = f", the {type(inner).__name__} it wraps" if isinstance(inner, Optimizer) else " it wraps"
        raise InvalidArgument(
            f"a {kind} ({type(optimizer).__module__}) wraps an optimizer and does not tell of its steps: give the "
            f"optimizer itself{wrapped}, and call that in the loop (loss.backward(), optimizer.step())"
        )
