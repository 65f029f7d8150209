"""Whether a run directory holds the run that is wanted for, so that it can be gone on with."""

import json
import reprlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from gammatune.errors import AnotherRun, InvalidArgument, JournalError, JournalWarning
from gammatune.journal.events import Event, text_of
from gammatune.journal.history import Story
from gammatune.policy.older import Taken

# Another value of these is another run: every decision would be taken otherwise.
COMPARED = (
    "seed", "steps", "every", "epochs", "budget", "open", "total_epochs", "seconds", "policy", "schedule", "knots",
    "sampler", "sampler_options", "objective", "lam", "space", "multiplier", "keep",
    "patience", "at_once", "ensemble", "guide",
)  # fmt: skip
FACTS = (
    "data", "train", "limit", "validation", "batch_size", "model", "parameters", "optimizer",
    "weight_decay", "data_digest", "weights", "metric", "class_weights", "ordinal", "task",
)  # fmt: skip
# Another value of these may change the last bits, or more.
VERSIONS = ("gammatune", "python")
VERSIONS_IN_FACTS = ("device", "threads")
MISSING = object()


def refuse_another_run(past: Event, wanted: Event) -> None:
    """Compare the begin events of the run that is there and of the one that is wanted for.

    Raises JournalError, naming the first difference, where they are not one run; warns where versions differ.
    """
    wanted = json.loads(text_of(wanted))  # as the journal has it
    pairs = [(name, past.get(name, MISSING), wanted.get(name)) for name in COMPARED]
    pairs += _in("facts", FACTS, past, wanted)
    pairs.append(("ranks", past.get("ranks", 1), wanted.get("ranks", 1)))
    names = dict.fromkeys([*past.get("structure", {}), *wanted.get("structure", {})])
    if "structure" in past:
        pairs += [
            (name, past["structure"].get(name), wanted.get("structure", {}).get(name)) for name in names
        ]
    for name, was, now in pairs:
        if was is not MISSING and was != now:
            raise AnotherRun(
                f"the run directory holds another run: it was begun with {_words(name, was)}, and "
                f"{_words(name, now)} is asked for now. To go on with it ask for the same; for a new run give "
                "another directory"
            )
    versions = [(name, past.get(name, MISSING), wanted.get(name)) for name in VERSIONS]
    versions += _in("versions", tuple(wanted["versions"]), past, wanted)
    versions += _in("facts", VERSIONS_IN_FACTS, past, wanted)
    changed = [
        f"{name} {was} then, {now} now" for name, was, now in versions if was is not MISSING and was != now
    ]
    if changed:
        warnings.warn(
            f"the run was begun elsewhere or earlier ({'; '.join(changed)}): it goes on, but not to the "
            "last bit as it would have",
            JournalWarning,
            stacklevel=5,
        )


def opening_taken(past: Story, wanted: Event) -> Taken | None:
    """The opening of a run that an older version of its policy began; None where it was this version.

    wanted: the begin event of the same run as it is wanted for now.
    Raises JournalError where the two versions cannot be joined: in the middle of the search, where the length of the
    course was left open or the optimizer was chosen (either hangs on more of the opening than its values), and where
    the version is a newer one.
    """
    version, ours = past.begin.get("policy_version", 1), wanted["policy_version"]
    if version == ours:
        return None
    begun = f"the run was begun by version {version} of the policy {wanted['policy']!r}, and this is version {ours}"
    advice = (
        "Begin a new run in another directory, or go on with the version of gammatune that began it "
        f"({past.begin.get('gammatune', 'its number is not known')})"
    )
    if version > ours:
        raise JournalError(f"{begun}, which does not know what that asks for. {advice}")
    if past.begin.get("open"):
        raise JournalError(
            f"{begun}, which cannot go on with it where the number of epochs was left open. {advice}"
        )
    if past.begin.get("alternatives"):
        raise JournalError(f"{begun}, which cannot go on with it where the optimizer was chosen. {advice}")
    taken = Taken.of(version, past.rollouts)
    if taken is None:
        raise JournalError(
            f"{begun}: it ended in the middle of its search, which the two do otherwise. {advice}"
        )
    return taken


def refuse_unlike(wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raise InvalidArgument, naming the first difference, where the ranks, in order, do not ask for one run."""
    for rank, other in enumerate(wanted):
        for name, value in wanted[0].items():
            if other[name] == value:
                continue
            if name == "weights":
                raise InvalidArgument(
                    f"rank {rank} begins with other weights than rank 0: wrap the model in DistributedDataParallel, "
                    "which hands rank 0's to all, or load the same weights on every rank before"
                )
            raise InvalidArgument(
                f"rank {rank} was called with {_words(name, other[name])}, rank 0 with {_words(name, value)}: call "
                "the tuner alike on every rank, or with ranks='off' where each trains a model of its own"
            )


def _in(
    key: str, names: tuple[str, ...], past: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    then, now = past.get(key, {}), wanted.get(key, {})
    return [(name, then.get(name, MISSING), now.get(name)) for name in names]


def _words(name: str, value: Any) -> str:
    if name == "space":
        return f"the space {', '.join(value)}"
    if name == "data_digest":
        return f"data whose checksum is {value}"
    if isinstance(value, str) and ":" in value:  # of the structure: it says what it is
        return f"{name} {value}"
    return f"{name}={reprlib.repr(value) if name == 'knots' else repr(value)}"
