"""The sentences about runs: one for each kind of reason, made of its numbers.

Policies and tuning say `records.Reason`s, which cross floors as they are; whoever writes or shows text looks here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gammatune.records import Because, Reason, Values, Verdict

SURE = 0.99  # beyond that a probability is told as a bound


def worded(verdict: Verdict) -> Verdict:
    """With its reason in words; that of a policy of one's own has them."""
    if verdict.reason or not verdict.because:
        return verdict
    return replace(verdict, reason=joined(verdict.because))


def joined(reasons: Iterable[Reason | str]) -> str:
    return "; ".join(map(in_words, reasons))


def in_words(reason: Reason | str) -> str:
    """A string is a sentence already: somebody else's, or of a journal that is older than the kinds."""
    if isinstance(reason, str):
        return reason
    told = {"of": joined(reason.of)} if reason.of else {}
    return SENTENCES[reason.kind](**reason.numbers, **told)


def reasons_shown(verdicts: Sequence[Verdict]) -> list[str]:
    """In words, those of the verdicts that say more than the course does; of those on whose predictions are averaged
    the last."""
    last = next((v for v in reversed(verdicts) if v.kind == "ensemble"), None)
    shown = [v for v in verdicts if not v.is_routine and (v.kind != "ensemble" or v is last)]
    return list(dict.fromkeys(v.reason for v in shown))


# Parts of sentences ---------------------------------------------------------------------------------------


def number(value: Any) -> str:
    """Three significant digits for a float, anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def values_in_words(values: Values) -> str:
    """'lr 0.00321, batch_size 32'."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def failures_in_words(diverged: int, infeasible: int) -> str:
    """'2 diverged, 1 infeasible', or nothing."""
    counts = {"diverged": diverged, "infeasible": infeasible}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def _in_brackets(words: str) -> str:
    return f" ({words})" if words else ""


def _probability(p: float) -> str:
    """'0.83'; never the certainty that a posterior cannot have."""
    return "> 0.99" if p > SURE else "< 0.01" if p < 1 - SURE else f"{p:.2g}"


# Sentences that are more than their numbers in a row ------------------------------------------------------

_WHENCE = {
    "own": "is the optimizer's own",
    "prior": "is what did best in other trainings of this kind",
    "nearest": "is the nearest that may be taken to what did best in other trainings of this kind",
    "looks": "leads furthest over the whole course",
}


def _looks(
    count: int,
    rates: Values,
    whence: str,
    says_nothing: bool,
    low: float | None,
    high: float | None,
    **failed: int,
) -> str:
    said = _best_of(count, "rollouts", failed) if count else "no look at rates"
    if says_nothing:
        said += ": none scores otherwise than doing nothing does, so that no rate follows from them"
    for name, rate in rates.items():
        said += f": {name} {number(rate)} {_WHENCE[whence]}"
    return said if low is None else f"{said} (95 %: {low:.2g} to {high:.2g})"


def _best_of(count: int, what: str, failed: Mapping[str, int]) -> str:
    return f"best of {count} {what}" + _in_brackets(failures_in_words(**failed))


def _other_values(count: int, values: Values, **failed: int) -> str:
    return f"{_best_of(count, 'rollouts', failed)}: {values_in_words(values)} leads furthest there"


def _not_beaten(better: float, least: float) -> str:
    return f"nothing is better with a probability of {least:g} (at most {_probability(better)})"


def _optimizers(optimizer: str, better: Mapping[str, float]) -> str:
    rivals = ", ".join(f"{name} is better with probability {_probability(p)}" for name, p in better.items())
    return f"{optimizer} ({rivals})" if rivals else f"{optimizer}, the first of them"


def _candidates(count: int, lead: float | None, **failed: int) -> str:
    ahead = "" if lead is None else f", {lead:.3g} ahead of the next"
    return _best_of(count, f"candidates{ahead}", failed)


def _average(members: int, factor: float) -> str:
    times = f" times {factor:g}" if factor != 1 else ""
    return f"every epoch the average of {members}, at the best rate so far{times}"


def _extended(more: int, begins: int, rates: Values, stands: int) -> str:
    at = f" at {values_in_words(rates)}" if rates else ""
    how = "where the rate stands" if stands else "after a short rise"
    epochs = "epoch" if more == 1 else "epochs"
    return f"gone on with for {more} more {epochs}, from the end of epoch {begins}{at}, {how}"


def _blew_up(epoch: int, note: str, score: float | None, batches: int | None = None) -> str:
    what = note or ("" if score is None else f"it ended at a score of {score:.3g}")
    left = "" if batches is None else f", for the {batches} batches that are left"
    return f"epoch {epoch} blew up{_in_brackets(what)} and was taken back; on at half the rate{left}"


def _patience(count: int, since: int) -> str:
    epochs = "epoch" if count == 1 else "epochs"
    return (
        f"no better score for {count} {epochs}, since epoch {since}: the rate goes to zero in this one, and the "
        "course ends with it"
    )


def _raised(rollout: int, values: Values, raised: str) -> str:
    return (
        f"Rollout {rollout} ({values_in_words(values)}) raised {raised}. At the optimizer's own rate that was not "
        "raised again, so that the candidate counts as one that diverged; so does any other that raises."
    )


def _below_zero(loss: float, rollout: int, objective: str) -> str:
    return (
        f"The loss fell below 0 ({number(loss)} in rollout {rollout}), and objective {objective!r} takes its "
        "logarithm: scores are minus the loss from here on, and those before were taken anew."
    )


_START = (
    "No epoch was better than the weights the model came with ({objective} {own:.4g} against {other:.4g})"
)


# All of them ----------------------------------------------------------------------------------------------

SENTENCES: Final[Mapping[Because, Callable[..., str]]] = {
    "looks": _looks,
    "beats own": lambda better: f"better than the optimizer's own with probability {_probability(better)}",
    "not beaten": _not_beaten,
    "other values": _other_values,
    "optimizers": _optimizers,
    "no search": (
        "no search: what is left beside a course of {batches} batches is too little for rollouts that mean "
        "something; the values are the optimizer's own"
    ).format,
    "all diverged": "every candidate diverged".format,
    "whole runs": lambda count, **failed: _best_of(count, "whole runs by its last epoch", failed),
    "older version": "chosen by an older version of the policy, after {count} rollouts".format,
    "candidates": _candidates,
    "rival": lambda optimizer, rates: f"with {optimizer} at {values_in_words(rates)}, which may be better",
    "other rate": "at {factor:g} times the rate".format,
    "promising rate": lambda rates: f"at {values_in_words(rates)}, where most is promised",
    "average": _average,
    "net": "net {net}, {of}".format,
    "like the first": "trained like the first".format,
    "like the best": "trained like the best so far".format,
    "walk won": (
        "walk {walk} ({of}) ended at a score of {score:.4g}, ahead of {before:.4g}: it becomes the course"
    ).format,
    "net won": (
        "net {net}, by itself, ended at a score of {score:.4g}, ahead of {before:.4g}: it becomes the course"
    ).format,
    "walk stays": "walk {walk} of {count} ended best and is handed back".format,
    "best commit": "the last epoch ended below epoch {epoch}, whose weights are handed back".format,
    "ended below": "the last epoch ended below epoch {epoch}; that one is handed back".format,
    "blew up after": "what followed epoch {epoch} blew up; that one is handed back".format,
    "averaged": "the predictions of {nets} nets are averaged, at a score of {score:.4g}".format,
    "left out": "net {net} is left out: {of}".format,
    "alone": "net {net} is much better alone, at a score of {score:.4g}: nothing is averaged".format,
    "extended": _extended,
    "extension left": (
        "the {more} epochs more ended below the {epochs} before them, in every respect: those are handed back"
    ).format,
    "schedule": "along the schedule".format,
    "course found": "epoch {epoch} of {epochs} of a course found before".format,
    "course repeated": "a course of {epochs} epochs that was found before is repeated".format,
    "blew up": _blew_up,
    "out of memory": "out of memory in epoch {epoch}: the batch size goes down to {batch_size}".format,
    "patience": _patience,
    "outage": "the journal could not be written for a while ({why})".format,
    "raised": _raised,
    "below zero": _below_zero,
    "start handed back": (_START + "; they are handed back.").format,
    "start left": (_START + ', but keep="last" was asked for.').format,
}
