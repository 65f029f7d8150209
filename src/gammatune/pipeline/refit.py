"""The network of a run once more, on other rows: from initial weights of its own along the course that was found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from gammatune.course import Schedule
from gammatune.journal.history import replay
from gammatune.pipeline.data.split import Part
from gammatune.pipeline.models.seeded import seeded
from gammatune.policy.replay import Replay


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """course: as far as the weights that the run hands back had come. seconds: that one training takes, as the run's
    own did. classify: as `Ensemble` has it."""

    course: Schedule
    make: Callable[[], nn.Module]
    trained_with: Mapping[str, Any]
    seconds: float
    classify: bool

    def __call__(self, train: Part, held: Part, seed: int) -> nn.Module:
        """A network, in eval mode. held: is asked after every epoch, and decides nothing."""
        from gammatune.supervised.fit import fit

        parts = {"train_set": train, "val_set": held}
        weights = {name: part.w.numpy() for name, part in parts.items() if part.w is not None}
        with seeded(seed):
            net = self.make()
        fit(
            net,
            train.pair,
            held.pair,
            sample_weight=weights or None,
            seed=seed,
            policy=Replay(self.course),
            keep="last",
            progress=False,
            ensemble=False,
            **self.trained_with,
        )
        return net.eval()


def refit_of(
    directory: str | Path,
    make: Callable[[], nn.Module] | None,
    trained_with: Mapping[str, Any],
    *,
    classify: bool,
) -> Refit | None:
    """None where there is nothing to repeat: a pretrained network, or one that its training left as it was.

    directory: of the run. make: another network like its own, with initial weights drawn from torch's random stream.
    trained_with: options of `fit` that a training without a search knows.
    The course is plain: where the run averaged several trainings of an epoch it is the one that they share.
    """
    story = replay(directory)
    back, end = story.handed_back, story.end
    if make is None or back is None or not back.epoch or end is None or not end["plain_epochs"]:
        return None
    stretches = story.schedule.stretches  # as far as the weights that are handed back had come
    course = Schedule(tuple(replace(each, members=(), settle=None, net=0) for each in stretches))
    seconds = float(end["seconds"]) / float(end["plain_epochs"]) * len(course)
    return Refit(course, make, trained_with, seconds, classify)
