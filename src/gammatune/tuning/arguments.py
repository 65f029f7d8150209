"""What a tuner is called with: looked at, and completed by what follows where nothing was said."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from gammatune import plugins
from gammatune.engine.ranks import SINGLE, Ranks
from gammatune.engine.trainable import Forkable, Where
from gammatune.errors import InvalidArgument, InvalidSpace, whole
from gammatune.journal.history import Story
from gammatune.journal.writer import Echo, Journal
from gammatune.plugins import Plugin
from gammatune.policy import DEFAULT, registry
from gammatune.policy.registry import AnyPolicy, default_budget
from gammatune.policy.replay import Replay
from gammatune.samplers import SAMPLERS, SamplerName, make_sampler
from gammatune.samplers.sampler import Sampler
from gammatune.seeds import stream
from gammatune.space import BATCH_SIZE, OPTIMIZER, Choice, Dimension, Float, Space, parse

OPEN = 10**6  # epochs, where only the time is limited
FEW_DECADES = (
    3.0  # around a rate that is known to be about right, or for weights that are worth keeping (guess)
)

SamplerFactory: TypeAlias = Callable[[Space, Any], Sampler]  # (space, numpy Generator) -> sampler
AnySampler: TypeAlias = SamplerName | Plugin | SamplerFactory
Keep: TypeAlias = Literal["best", "last"]


def torch_training(
    model: Any,
    optimizer: Any,
    space: Space,
    state: Sequence[Any],
    multiplier: bool,
    tape_bytes: int,
    forks: Where,
    ranks: Ranks,
) -> Forkable:
    from gammatune.engine.loop import TorchLoop, refuse_prepared

    for given in (model, optimizer, state):
        refuse_prepared(*(given if isinstance(given, (list, tuple)) else [given]))
    return TorchLoop(
        *(model, optimizer, space.names),
        state=state,
        multiplier=multiplier,
        tape_bytes=tape_bytes,
        forks=forks,
        ranks=ranks,
    )


def open_journal(run_dir: str, ranks: Ranks) -> Journal | Echo:
    """That of a run which begins or is gone on with; rank 0 writes it, the others know what it says."""
    found: list[Journal] = []

    def open_it() -> Story | None:
        found.append(Journal(run_dir, resume=True))
        return found[0].past

    past = ranks.agree("begins the run", open_it)
    return found[0] if found else Echo(run_dir, past)


def process_ranks(given: Any) -> Ranks:
    """Without torch where nobody has imported it: then there is no process group either."""
    if given is None and "torch" not in sys.modules:
        return SINGLE
    from gammatune.engine.process_group import ranks_of

    return ranks_of(given)


def refuse_beside(ranks: Ranks, option: str) -> None:
    """Raises InvalidArgument where several ranks train each rollout together; `option` trains several at once."""
    if ranks.world > 1:
        raise InvalidArgument(
            f"{option} trains rollouts beside each other, and {ranks.world} processes train each of them together: "
            f"leave {option.partition('=')[0]}= out, or pass ranks='off'"
        )


def around_the_optimizer(optimizer: Any, multiplier: bool, policy: AnyPolicy) -> dict[str, Dimension]:
    from gammatune.engine.loop import lr_of, refuse_prepared

    refuse_prepared(*(optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]))
    return {"lr": around(1.0 if multiplier else lr_of(optimizer), policy)}


def searched(
    space: Any, policy: AnyPolicy, training: Forkable | None, model: Any, optimizer: Any, multiplier: bool
) -> Space:
    """The space that was given, that of the course which is repeated, or one around the optimizer's own rate.

    Raises InvalidArgument, InvalidSpace where there is nothing to train or to search.
    """
    if isinstance(policy, Replay):
        policy.refuse_other_rates(multiplier=multiplier)
        space = policy.space if space is None else space
    if training is None:
        if model is None or optimizer is None:
            raise InvalidArgument("Tuner needs model= and optimizer= (or training=, a Trainable of your own)")
        space = around_the_optimizer(optimizer, multiplier, policy) if space is None else space
        if OPTIMIZER in as_space(space).names:
            raise InvalidArgument(
                "optimizer= in the space: a loop of your own steps with the optimizer it was written with; "
                "`gammatune.fit` and the command choose between several"
            )
    elif space is None:
        raise InvalidArgument("training=... needs a space to search: space=['lr=1e-4:1:log']")
    found = as_space(space)
    _check_space(found)
    return found


def _check_space(space: Space) -> None:
    """Refuse ranges that what they steer cannot take, before any training."""
    for name in space.names:
        dimension, key = space[name], name.partition(".")[0]
        options = dimension.options if isinstance(dimension, Choice) else (dimension.low, dimension.high)
        if key == BATCH_SIZE:
            if isinstance(dimension, Float) or not all(isinstance(o, int) and o >= 1 for o in options):
                raise InvalidSpace(
                    f"{'; '.join(space.lines)}: a batch size is a whole number of 1 or more; write "
                    "batch_size=16,32,64 or batch_size=16:64:int"
                )
        elif key in ("lr", "weight_decay", "momentum") and not all(
            isinstance(o, (int, float)) and o >= 0 for o in options
        ):
            raise InvalidSpace(
                f"{'; '.join(space.lines)}: {name} takes numbers of 0 or more, not {options!r}"
            )


def total_of(budget: float | None, usual: float) -> float:
    """What all of a lookahead run may take, in epochs, where a training usually has so many, and may have others."""
    factor = default_budget(DEFAULT) if budget is None else positive(budget, "budget")
    return factor * usual


def around(lr: float, policy: AnyPolicy | None = None, *, near: bool = False) -> Float:
    """The range searched around a learning rate that somebody chose, centred on it. near: a few decades only."""
    if near:
        half = 10 ** (FEW_DECADES / 2)
        return Float(
            float(f"{lr / half:.2g}"), float(f"{lr * half:.2g}"), log=True
        )  # so that they can be read
    decades = registry.FEWER_DECADES if policy is None else registry.record_of(policy).decades
    half = 10 ** (decades / 2)
    return Float(lr / half, lr * half, log=True)


def as_space(space: Any) -> Space:
    if isinstance(space, Space):
        return space
    if isinstance(space, Mapping):
        return Space(space)
    return parse(space) if isinstance(space, str) else parse(*space)


def plugin_versions(policy: AnyPolicy, sampler: AnySampler) -> dict[str, str]:
    """Of the packages that the names of policy and sampler stand for, where they are not gammatune's own."""
    found = registry.version_of(policy)
    if isinstance(sampler, str) and sampler not in SAMPLERS:
        found |= plugins.version_of("sampler", sampler)
    return found


def _points(space: Space, budget: float) -> int:
    """How many grid points a float dimension gets, so that the whole grid fits the budget; at least two."""
    floats = sum(isinstance(space[name], Float) for name in space.names)
    others = math.prod(space[name].size for name in space.names if not isinstance(space[name], Float))
    return max(2, int((budget / others) ** (1 / floats) + 1e-9)) if floats else 2


def sampler_of(
    sampler: AnySampler, given: Mapping[str, Any] | None, space: Space, budget: float
) -> tuple[SamplerFactory, dict[str, Any]]:
    """What makes the sampler of each decision, and its options, completed. A wrong name or option is said now."""
    options = dict(given or {})
    if sampler == "grid":
        options.setdefault("points", _points(space, budget))
    if callable(sampler):
        return sampler, options
    if sampler in SAMPLERS:
        plugins.say_shadowed("sampler", sampler)
    make_sampler(sampler, space, stream(0, "trial"), **options)

    def make(space: Space, rng: np.random.Generator) -> Sampler:
        return make_sampler(sampler, space, rng, **options)

    return make, options


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is trained. epochs: of a plain run; where they are left open, what everything together may cost.
    budget: in plain runs of so many. total_epochs, time: as they were given."""

    epochs: int
    budget: float
    total_epochs: float | None
    time: float | None
    is_open: bool

    @classmethod
    def of(cls, epochs: Any, budget: Any, total_epochs: Any, time: Any, policy: AnyPolicy) -> Self:
        """Raises InvalidArgument."""
        total = None if total_epochs is None else positive(total_epochs, "total_epochs")
        seconds = None if time is None else positive(time, "time")
        if epochs is None and isinstance(policy, Replay):
            epochs = len(policy.schedule)
        is_open = epochs is None
        if is_open:
            _refuse_to_leave_open(total, seconds, budget, policy)
            epochs = OPEN if total is None else max(1, int(total))
            return cls(epochs, 1.0, total, seconds, True)  # of `total_epochs`
        epochs = whole(epochs, "epochs", least=1)
        most = default_budget(policy) if budget is None else positive(budget, "budget")
        return cls(epochs, most if total is None else min(most, total / epochs), total, seconds, False)


def _refuse_to_leave_open(total: float | None, time: float | None, budget: Any, policy: AnyPolicy) -> None:
    registry.refuse_open(policy)
    if total is None and time is None:
        raise InvalidArgument(
            "epochs= is missing: give the number of epochs to train, or leave it open with total_epochs= (what "
            "everything together may cost, in epochs) or time= (in seconds)"
        )
    if budget is not None:
        raise InvalidArgument(
            f"budget={budget!r} is a multiple of a plain run, whose length is left open here; "
            "total_epochs= says it all"
        )


def positive(value: Any, name: str) -> float:
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or not 0 < float(value) < math.inf:
        raise InvalidArgument(f"{name}={value!r}: give a finite number above 0")
    return float(value)
