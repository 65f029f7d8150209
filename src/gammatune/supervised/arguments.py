"""What `fit` was asked, as one record that its phases hand on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from gammatune.engine.batches import LossFunction
from gammatune.engine.ensemble import NewModel
from gammatune.engine.trainable import Where
from gammatune.errors import InvalidArgument
from gammatune.metrics.catalogue import MetricName, recipe
from gammatune.metrics.objectives import Objective, ObjectiveName
from gammatune.metrics.predictions import Answers
from gammatune.policy.replay import Replay
from gammatune.schedules import ScheduleName
from gammatune.space import Dimension, Space
from gammatune.supervised.evaluation import Scale
from gammatune.supervised.loaders import Examples
from gammatune.supervised.optimizers import OptimizerName
from gammatune.tuning.driver import Listener
from gammatune.tuning.tuner import AnyPolicy, AnySampler, Keep, as_space


@dataclass(frozen=True, slots=True)
class Arguments:
    """Each is a parameter of `fit`, whose docstring says what it is; a phase that settles one replaces it."""

    model: nn.Module
    train_set: Examples
    val_set: Examples | None
    epochs: int | None
    budget: float | None
    total_epochs: float | None
    time: float | None
    reserve: float
    test_set: Examples | None
    policy: AnyPolicy
    schedule: ScheduleName | None
    sampler: AnySampler
    sampler_options: Mapping[str, Any] | None
    objective: ObjectiveName | Objective | None
    metric: MetricName | None
    class_weights: Literal["balanced"] | Sequence[float] | None
    target_scale: Scale | None
    space: Space | Mapping[str, Dimension] | Sequence[str] | str | None
    loss_fn: LossFunction | None
    optimizer: OptimizerName | Literal["auto"] | Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer]
    lr: float | None
    weight_decay: float | None
    pretrained: bool | None
    state: Sequence[Any]
    batch_size: int | None
    collate: Callable[[list[Any]], Any] | None
    device: str | torch.device | None
    keep: Keep
    patience: int | None
    seed: int
    run_dir: str | None
    facts: Mapping[str, Any] | None
    extra: Callable[[Answers, nn.Module], Mapping[str, Any]] | None
    listeners: Sequence[Listener]
    progress: bool | None
    forks: Where
    parallel: str | None
    workers: int | None
    at_once: int | None
    ranks: Any
    ensemble: bool | None
    new_model: NewModel | None
    guide: float | None

    def checked(self) -> "Arguments":
        """What can be judged before any data are looked at: metric and space as they are known further on."""
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InvalidArgument(f"seed={seed!r}: give a whole number of 0 or more")
        metric = None if self.metric is None else recipe(self.metric).name
        # a course that is repeated has a space of its own
        space = self.policy.space if self.space is None and isinstance(self.policy, Replay) else self.space
        return replace(self, metric=metric, space=None if space is None else as_space(space))

    @property
    def given_space(self) -> Space | None:
        return None if self.space is None else as_space(self.space)
