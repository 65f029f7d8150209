"""The first line of a journal: what a run was begun with."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from gammatune import plugins
from gammatune.journal.events import begin_event, text_of
from gammatune.metrics.objectives import Objective
from gammatune.policy import registry
from gammatune.samplers import SAMPLERS
from gammatune.schedules import knots_of
from gammatune.schedules import name_of as name_of_schedule
from gammatune.space import Space
from gammatune.tuning.arguments import Extent
from gammatune.tuning.options import Search


def begin(
    search: Search,
    extent: Extent,
    seed: int,
    space: Space,
    objective: Objective,
    *,
    sampler_options: Mapping[str, Any],
    facts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """objective, space, sampler_options: those of `search`, completed.

    Raises InvalidArgument at what a journal cannot hold.
    """
    policy, sampler = search.policy, search.sampler
    versions = {name: metadata.version(name) for name in ("numpy", "torch", "scikit-learn")}
    versions |= registry.version_of(policy)
    if isinstance(sampler, str) and sampler not in SAMPLERS:
        versions |= plugins.version_of("sampler", sampler)
    event = begin_event(
        gammatune=metadata.version("gammatune"),
        python=platform.python_version(),
        versions=versions,
        seed=seed,
        epochs=extent.epochs,
        budget=extent.budget,
        policy=registry.name_of(policy),
        policy_version=registry.record_of(policy).version,
        sampler=registry.name_of(sampler),
        sampler_options=dict(sampler_options),
        objective=objective.name,
        lam=objective.lam,
        space=list(space.lines),
        keep=search.keep,
        patience=search.patience,
        at_once=search.at_once or 1,
        open=extent.is_open,
        total_epochs=extent.total_epochs,
        seconds=extent.time,
        every=None if extent.steps is None else extent.steps.every,
        steps=None if extent.steps is None else extent.steps.total,
        schedule=None if search.schedule is None else name_of_schedule(search.schedule),
        knots=knots_of(search.schedule),
        multiplier=search.multiplier,
        ensemble=bool(search.ensemble),
        guide=search.guide,
        facts=dict(facts or {}),
    )
    text_of(event)
    return event
