"""Reasons as kinds with numbers: each has its sentence, each is made somewhere, and a journal keeps both."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import gammatune
from gammatune.journal.events import commit_event, note_event, text_of
from gammatune.journal.fields import because
from gammatune.journal.history import Story, replay
from gammatune.journal.wording import SENTENCES, in_words, worded
from gammatune.policy.job import Job, Steps
from gammatune.records import Because, Commit, Outcome, Reason, Rollout, Verdict
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.tuner import Result, Tuner

SRC = Path(gammatune.__file__).parent
OLDER = Path(__file__).parent / "resume" / "older"

LOOKS: dict[str, Any] = {
    "count": 5, "diverged": 1, "infeasible": 0, "rates": {"lr": 0.0123}, "whence": "looks", "says_nothing": False,
    "low": 0.001, "high": 0.1,
}  # fmt: skip
FAILED = {"diverged": 0, "infeasible": 2}
ENDED = {"score": 2.345678, "before": float("-inf")}
PLAIN = Reason("averaged", {"nets": 2, "score": 1.5})
# One of each kind, and what it says.
SAID: list[tuple[Reason, str]] = [
    (
        Reason("looks", LOOKS),
        "best of 5 rollouts (1 diverged): lr 0.0123 leads furthest over the whole course (95 %: 0.001 to 0.1)",
    ),
    (Reason("beats own", {"better": 0.834}), "better than the optimizer's own with probability 0.83"),
    (
        Reason("not beaten", {"better": 0.999, "least": 0.6}),
        "nothing is better with a probability of 0.6 (at most > 0.99)",
    ),
    (
        Reason("other values", {"count": 7, "values": {"lr": 0.5, "batch_size": 8}, **FAILED}),
        "best of 7 rollouts (2 infeasible): lr 0.5, batch_size 8 leads furthest there",
    ),
    (
        Reason("optimizers", {"optimizer": "muon", "better": {"adamw": 0.001}}),
        "muon (adamw is better with probability < 0.01)",
    ),
    (
        Reason("no search", {"batches": 30}),
        "no search: what is left beside a course of 30 batches is too little for rollouts that mean something; the "
        "values are the optimizer's own",
    ),
    (Reason("all diverged"), "every candidate diverged"),
    (
        Reason("whole runs", {"count": 3, **FAILED}),
        "best of 3 whole runs by its last epoch (2 infeasible)",
    ),
    (
        Reason("older version", {"count": 4}),
        "chosen by an older version of the policy, after 4 rollouts",
    ),
    (
        Reason("candidates", {"count": 3, "lead": 0.25, **FAILED}),
        "best of 3 candidates, 0.25 ahead of the next (2 infeasible)",
    ),
    (
        Reason("rival", {"optimizer": "sgd", "rates": {"lr": 0.1}}),
        "with sgd at lr 0.1, which may be better",
    ),
    (Reason("other rate", {"factor": 0.5}), "at 0.5 times the rate"),
    (Reason("promising rate", {"rates": {"lr": 0.1}}), "at lr 0.1, where most is promised"),
    (
        Reason("average", {"members": 3, "factor": 2.0}),
        "every epoch the average of 3, at the best rate so far times 2",
    ),
    (Reason("net", {"net": 2}, (Reason("like the first"),)), "net 2, trained like the first"),
    (Reason("like the first"), "trained like the first"),
    (Reason("like the best"), "trained like the best so far"),
    (
        Reason("walk won", {"walk": 2, **ENDED}, ("on a hunch",)),
        "walk 2 (on a hunch) ended at a score of 2.346, ahead of -inf: it becomes the course",
    ),
    (
        Reason("net won", {"net": 2, **ENDED}),
        "net 2, by itself, ended at a score of 2.346, ahead of -inf: it becomes the course",
    ),
    (Reason("walk stays", {"walk": 1, "count": 2}), "walk 1 of 2 ended best and is handed back"),
    (
        Reason("best commit", {"epoch": 2}),
        "the last epoch ended below epoch 2, whose weights are handed back",
    ),
    (Reason("ended below", {"epoch": 2}), "the last epoch ended below epoch 2; that one is handed back"),
    (Reason("blew up after", {"epoch": 2}), "what followed epoch 2 blew up; that one is handed back"),
    (PLAIN, "the predictions of 2 nets are averaged, at a score of 1.5"),
    (
        Reason("left out", {"net": 3}, (PLAIN,)),
        "net 3 is left out: the predictions of 2 nets are averaged, at a score of 1.5",
    ),
    (
        Reason("alone", {"net": 3, "score": 1.5}),
        "net 3 is much better alone, at a score of 1.5: nothing is averaged",
    ),
    (
        Reason("extended", {"more": 1, "begins": 8, "rates": {"lr": 0.1}, "stands": 1}),
        "gone on with for 1 more epoch, from the end of epoch 8 at lr 0.1, where the rate stands",
    ),
    (
        Reason("extension left", {"epochs": 6, "more": 5}),
        "the 5 epochs more ended below the 6 before them, in every respect: those are handed back",
    ),
    (Reason("schedule"), "along the schedule"),
    (Reason("course found", {"epoch": 1, "epochs": 3}), "epoch 1 of 3 of a course found before"),
    (Reason("course repeated", {"epochs": 3}), "a course of 3 epochs that was found before is repeated"),
    (
        Reason("blew up", {"epoch": 3, "note": "", "score": -1.657, "batches": 7}),
        "epoch 3 blew up (it ended at a score of -1.66) and was taken back; on at half the rate, for the 7 batches "
        "that are left",
    ),
    (
        Reason("out of memory", {"epoch": 1, "batch_size": 8}),
        "out of memory in epoch 1: the batch size goes down to 8",
    ),
    (
        Reason("patience", {"count": 1, "since": 4}),
        "no better score for 1 epoch, since epoch 4: the rate goes to zero in this one, and the course ends with it",
    ),
    (
        Reason("outage", {"why": "No space left on device"}),
        "the journal could not be written for a while (No space left on device)",
    ),
    (
        Reason("raised", {"rollout": 3, "values": {"lr": 10.0}, "raised": "ValueError: nan"}),
        "Rollout 3 (lr 10) raised ValueError: nan. At the optimizer's own rate that was not raised again, so that "
        "the candidate counts as one that diverged; so does any other that raises.",
    ),
    (
        Reason("below zero", {"loss": -0.1234, "rollout": 3, "objective": "log-loss"}),
        "The loss fell below 0 (-0.123 in rollout 3), and objective 'log-loss' takes its logarithm: scores are minus "
        "the loss from here on, and those before were taken anew.",
    ),
    (
        Reason("start handed back", {"objective": "kappa", "own": 0.5, "other": 0.25}),
        "No epoch was better than the weights the model came with (kappa 0.5 against 0.25); they are handed back.",
    ),
    (
        Reason("start left", {"objective": "kappa", "own": 0.5, "other": 0.25}),
        "No epoch was better than the weights the model came with (kappa 0.5 against 0.25), but "
        'keep="last" was asked for.',
    ),
]  # fmt: skip
KINDS = [reason.kind for reason, _ in SAID]


def test_every_kind_has_a_sentence_and_every_sentence_a_kind() -> None:
    assert list(SENTENCES) == list(get_args(Because))
    assert list(SENTENCES) == KINDS


def test_every_kind_is_made_somewhere() -> None:
    """No row of the table is dead."""
    assert set(_made()) == set(SENTENCES)


def _made() -> Iterator[str]:
    for path in SRC.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Reason":
                kind = call.args[0]
                branches = [kind.body, kind.orelse] if isinstance(kind, ast.IfExp) else [kind]
                yield from (branch.value for branch in branches if isinstance(branch, ast.Constant))


@pytest.mark.parametrize(("reason", "said"), SAID, ids=KINDS)
def test_a_reason_goes_through_a_journal_with_its_sentence(reason: Reason, said: str) -> None:
    assert in_words(reason) == said
    verdict = worded(Verdict(kind="other", because=(reason, "and so on")))
    events = (commit_event([], 0, verdict, {})["verdict"], note_event(reason))
    held, note = (json.loads(text_of(event)) for event in events)
    assert (held["reason"], note["text"]) == (f"{said}; and so on", said)
    assert because(held["because"]) == (reason, "and so on")
    assert because(note["because"]) == (reason,)
    assert worded(Verdict(because=because(held["because"]))).reason == held["reason"]


def mine(job: Job) -> Steps:
    """A policy of one's own, which says why in words."""
    outcome: Outcome | None = yield Rollout({"lr": 0.1}, 0, None, course=True)
    assert outcome is not None
    yield Commit((outcome,), 1, None, Verdict("I like it"))


def run(home: Path, **options: Any) -> Result:
    given: dict[str, Any] = {"epochs": 3, "space": ["lr=1e-6:10:log"]}
    given["training"] = FakeTraining(examples=1000, steps=100)
    with Tuner(**(given | options), run_dir=str(home)) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner.result


@pytest.mark.parametrize(
    "options",
    [
        {"budget": 8.0},
        {"budget": 6.0, "ensemble": True},
        {"budget": 4.0, "space": ["lr=1e-4:10:log", "weight_decay=1e-6:1e-2:log"]},
        {"budget": 3, "policy": "greedy"},
        {"budget": 3, "policy": "once"},
        {"policy": mine},
    ],
    ids=["walks", "nets", "other values", "greedy", "once", "mine"],
)
def test_what_a_run_says_is_what_its_journal_says_and_has_as_fields(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    result = run(tmp_path / "run", **options)
    story = replay(tmp_path / "run")
    assert tuple(story.verdicts) == result.verdicts
    for verdict in story.verdicts:
        assert verdict.reason
        assert bool(verdict.because) == (options.get("policy") is not mine)
        assert worded(verdict).reason == verdict.reason
    if options.get("policy") is mine:
        assert [verdict.reason for verdict in story.verdicts] == ["I like it"]


def test_a_journal_that_has_the_words_alone_is_shown_as_it_is() -> None:
    for journal in sorted(OLDER.glob("*-*/*/journal.jsonl")):
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        told = [event["verdict"]["reason"] for event in events if event["event"] == "commit"]
        assert [verdict.reason for verdict in replay(journal).verdicts] == told


@pytest.mark.parametrize("held", [[{"kind": "a whim", "numbers": {}, "of": []}], [{"kind": "schedule"}], [3]])
def test_what_is_no_reason_is_no_event(held: Any) -> None:
    event = note_event("why") | {"because": held}
    with pytest.raises((ValueError, KeyError, TypeError)):
        Story().tell(event)
