"""Whether a budget buys several nets whose predictions are averaged, how others are made, and what comes of them."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from gammatune.engine.ensemble import Ensemble, NewModel, Price, obstacle, refuse_another_kind
from gammatune.errors import InvalidArgument
from gammatune.journal.writer import Echo, Journal
from gammatune.metrics.thesis import Classification, Regression
from gammatune.policy.registry import chosen_by_name
from gammatune.policy.replay import Replay
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.dry_run import Task
from gammatune.supervised.fresh import another_like, drawn_anew


def wants_several(given: Arguments, task: Task, said: list[str]) -> bool:
    """Whether several nets may be trained. Raises InvalidArgument where they were asked for and cannot be."""
    several = given.search.ensemble
    if several is None:
        can_be = (
            task.comparable
            and not task.probabilities
            and task.averages
            and not given.training.pretrained
            and given.ranks.world == 1
        )
        several = chosen_by_name(given.search.policy).trains_nets and can_be
    elif several:
        _refuse_several(given, task)
    if several and (hindered := obstacle(given.model)) is not None:
        if given.search.ensemble:
            raise InvalidArgument(
                f"ensemble=True needs copies of the model, which cannot be made ({hindered}); leave it out"
            )
        said.append(
            f"One net is trained, whatever the budget: a copy of this one cannot be made ({hindered})."
        )
        return False
    if several and given.search.new_model is not None:
        refuse_another_kind(given.search.new_model, given.model)
    return several


def _refuse_several(given: Arguments, task: Task) -> None:
    if not task.comparable:
        raise InvalidArgument(
            "ensemble=True averages predictions, and this loss goes without outputs that can be compared with the "
            "targets one to one; leave it out"
        )
    if task.probabilities:
        raise InvalidArgument(
            "ensemble=True averages the probabilities that follow from scores, and the model gives probabilities "
            "already: leave out the softmax at its end, which the cross entropy has in it"
        )
    if not task.averages:
        raise InvalidArgument(
            "ensemble=True averages predictions, and the model gives more than a tensor, or classes by a loss of "
            "labels; leave it out"
        )
    if given.ranks.world > 1:
        raise InvalidArgument(
            "ensemble=True trains one net after the other in one process; leave it out here"
        )
    if not chosen_by_name(given.search.policy).trains_nets:
        raise InvalidArgument(
            f"ensemble=True: policy={given.search.policy!r} trains one net; take policy='lookahead' or leave it out"
        )


def maker_of_others(given: Arguments, model: nn.Module, journal: Journal | Echo | None) -> NewModel | None:
    """What makes more nets; of a run that is gone on with as it did when it began, whatever the model holds now."""
    # the course of one of several is repeated
    several = given.search.ensemble or isinstance(given.search.policy, Replay)
    if (
        given.search.new_model is not None
        or not several
        or any(isinstance(item, nn.Module) for item in given.running.state)
    ):
        return given.search.new_model
    past = None if journal is None else journal.past
    if past is None:
        return another_like(model)
    return drawn_anew(model) if past.begin["facts"].get("own_weights") else None


@dataclass(frozen=True, slots=True)
class Several:
    """What came of more than one net. single: the report of the best alone; price: what one and all of them take."""

    nets: tuple[int, ...]
    together: Ensemble
    price: Price
    single: Classification | Regression

    @property
    def in_event(self) -> dict[str, Any]:
        """What a report event says of them: how many, the figures of the best alone, and what one and all take."""
        alone = {name: held for name, held in asdict(self.single).items() if isinstance(held, float)}
        return {"nets": len(self.nets), "single": alone, "price": asdict(self.price)}


def together_in_words(count: int, *, own_weights: bool) -> str:
    how = (
        "initial weights and order of the data of its own" if own_weights else "order of the data of its own"
    )
    return (
        f"{count} nets were trained, each with {how}, and their predictions are averaged; asking them takes {count} "
        "times as long as asking one. ensemble=False trains one."
    )
