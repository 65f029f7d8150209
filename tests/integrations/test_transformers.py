"""`gammatune.integrations.transformers.train` beside `trainer.train`. Skipped where Transformers is not installed."""

import logging
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from alike import same
from candidates import blowing_up, two_epochs
from torch.utils.data import IterableDataset

from gammatune.errors import ConflictingControl, EscapeWarning, InvalidArgument, MissingExtra
from gammatune.integrations.transformers import train
from gammatune.records import Length, Rollout
from gammatune.schedules import linear
from gammatune.testing.control import control_rollouts

transformers = needs.package("transformers")
needs.package("accelerate")

pytestmark = pytest.mark.filterwarnings("ignore::Warning:transformers", "ignore::Warning:accelerate")

IDS = torch.randint(1, 6, (400, 8), generator=torch.Generator().manual_seed(1))
LABELS = ((IDS == 1).sum(1) > (IDS == 2).sum(1)).long()
ROWS = [{"input_ids": i, "labels": y} for i, y in zip(IDS, LABELS, strict=True)]
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5), shape=linear()),
    Rollout({"lr": 0.03}, 0, None, length=Length(1.4)),
]


def accuracy(said: Any) -> dict[str, float]:
    return {"accuracy": float((said.predictions.argmax(1) == said.label_ids).mean())}


class Recorder(transformers.TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_") or name == "on_init_end":
            return super().__getattribute__(name)

        def record(args: Any, state: Any, control: Any, **others: Any) -> None:
            weights = float(next(others["model"].parameters()).detach().sum())
            self.heard.append((name, state.global_step, state.epoch, weights))

        return record


def make(
    folder: Path,
    callbacks: Any = (),
    given: Any = None,
    examples: Any = None,
    noise: float = 0.05,
    **options: Any,
) -> Any:
    """With dropout, and a data collator that draws from Python's stream and from torch's."""

    def collate(rows: Any) -> Any:
        batch = transformers.default_data_collator(rows)
        spoiled = torch.rand(batch["input_ids"].shape) < noise * random.random()
        return {**batch, "input_ids": torch.where(spoiled, 5, batch["input_ids"])}

    transformers.set_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=6, max_position_embeddings=8, **sizes)
    usual: dict[str, Any] = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "logging_steps": 2,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    trainer = transformers.Trainer(
        transformers.BertForSequenceClassification(config),
        transformers.TrainingArguments(str(folder), **(usual | options)),
        **({"train_dataset": ROWS[:60], "eval_dataset": ROWS[300:320]} | (examples or {})),
        data_collator=collate,
        compute_metrics=accuracy,
        callbacks=[*callbacks],
        **(given or {}),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def told(trainer: Any) -> list[dict[str, Any]]:
    """What was logged, without what the clock says."""
    return [
        {name: v for name, v in entry.items() if not name.endswith(("runtime", "per_second"))}
        for entry in trainer.state.log_history
    ]


def evidence(trainer: Any) -> list[Any]:
    optimizer = trainer.optimizer.optimizer.state_dict()
    state = trainer.state
    return [
        dict(trainer.model.state_dict()),
        [
            {name: v for name, v in group.items() if name != "initial_lr"}
            for group in optimizer["param_groups"]
        ],
        optimizer["state"],
        torch.get_rng_state(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
        [state.global_step, state.epoch, state.total_flos],
        told(trainer),
        trainer.model.training,
    ]


def plain(trainer: Any) -> list[Any]:
    trainer.train()
    return evidence(trainer)


def disturbed(trainer: Any) -> list[Any]:
    policy = control_rollouts({"lr": 0.01}, DISTURBED)
    result = train(trainer, policy=policy, space=["lr=1e-4:1:log"], budget=50)
    assert len(result.rollouts) == (1 + len(DISTURBED)) * trainer.args.num_train_epochs
    return evidence(trainer)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"gradient_accumulation_steps": 3, "max_grad_norm": 0.1},
    "bfloat16": {"bf16": True},
    "evaluation in the middle": {"eval_strategy": "steps", "eval_steps": 3},
    "evaluation never": {"eval_strategy": "no"},
    "by length": {"train_sampling_strategy": "group_by_length"},
    "adafactor": {"optim": "adafactor"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_control_rollouts_change_nothing(name: str, tmp_path: Path) -> None:
    """Against `trainer.train` itself: weights, optimizer, counters, logs and every random stream."""
    one = plain(make(tmp_path, **OPTIONS[name]))
    other = disturbed(make(tmp_path, **OPTIONS[name]))
    for index, (a, b) in enumerate(zip(one, other, strict=True)):
        assert same(a, b), index


STEPS: dict[str, dict[str, Any]] = {
    "evaluated by step": {"eval_strategy": "steps", "eval_steps": 4},
    "accumulation": {
        "gradient_accumulation_steps": 3,
        "per_device_train_batch_size": 10,
        "eval_strategy": "no",
    },
    "no length": {"eval_strategy": "no"},
}


class Endless(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Any:
        while True:
            yield from ROWS[:60]


@pytest.mark.parametrize("name", STEPS)
def test_control_rollouts_change_nothing_in_steps(name: str, tmp_path: Path) -> None:
    """As above, but for the epochs that the trainer counts: 13 steps, which end in the midst of a pass."""
    options = {"max_steps": 13, **STEPS[name]}
    examples = {"train_dataset": Endless()} if name == "no length" else None

    def steps_of(seen: list[Any]) -> list[Any]:
        logs = [{n: v for n, v in entry.items() if n not in ("epoch", "train_loss")} for entry in seen[-2]]
        return [
            *seen[:6],
            seen[6][0],
            seen[6][2],
            [one for one in logs if "loss" in one or "eval_loss" in one],
        ]

    one = make(tmp_path, examples=examples, **options)
    one.train()
    other = make(tmp_path, examples=examples, **options)
    policy = control_rollouts({"lr": 0.01}, DISTURBED)
    result = train(other, policy=policy, space=["lr=1e-4:1:log"], budget=50)
    assert sum(outcome.steps for outcome in result.course) == 13
    for index, (a, b) in enumerate(zip(steps_of(evidence(one)), steps_of(evidence(other)), strict=True)):
        assert same(a, b), index


def test_steps_that_take_fewer_batches_are_refused(tmp_path: Path) -> None:
    trainer = make(tmp_path, max_steps=10, gradient_accumulation_steps=7)
    with pytest.raises(
        InvalidArgument, match=r"gradients accumulate over 7, so that the last step of each pass"
    ):
        train(trainer)


def test_the_disturbances_disturb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gammatune.integrations import transformers as ours

    monkeypatch.setattr(ours._Counters, "load_state_dict", lambda self, state: None)
    with pytest.raises(AssertionError), pytest.warns(EscapeWarning, match="state_dict of state"):
        assert same(plain(make(tmp_path)), disturbed(make(tmp_path)))


def test_callbacks_and_logs_hear_the_course_only(tmp_path: Path) -> None:
    """The same calls, in the same order, with the same counters and the same weights as under `trainer.train`."""
    heard = []
    for how in (plain, disturbed):
        recorder = Recorder()
        how(make(tmp_path, [recorder], gradient_accumulation_steps=3))
        heard.append(recorder.heard)
    assert heard[0] == heard[1]
    names = [name for name, *_ in heard[1]]
    assert names.count("on_epoch_end") == names.count("on_evaluate") == 2
    assert names.count("on_step_end") == 6


def test_a_search(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With checkpoints of the course, the best of which is loaded at the end."""
    recorder = Recorder()
    examples = {"train_dataset": ROWS[:300], "eval_dataset": ROWS[300:]}
    options = {"save_strategy": "epoch", "load_best_model_at_end": True, "save_total_limit": 1}
    trainer = make(
        tmp_path,
        [recorder],
        examples=examples,
        noise=0.0,
        num_train_epochs=5,
        learning_rate=1e-5,
        lr_scheduler_type="linear",
        **options,
    )
    with caplog.at_level(logging.WARNING, logger="gammatune"):
        result = train(trainer)
    said = [r.getMessage() for r in caplog.records if r.name.startswith("gammatune")]
    assert said[0].startswith("gammatune: lr_scheduler_type='linear' is not used")
    assert said[1].startswith("gammatune: lr ")
    assert len(said) == 2
    assert len(result.rollouts) > len(result.course) == 5
    assert result.schedule[0]["lr"] > 5e-5  # the arguments' own is far too small
    assert [epoch for name, _, epoch, _ in recorder.heard if name == "on_epoch_end"] == [1, 2, 3, 4, 5]
    rates = [entry["learning_rate"] for entry in told(trainer) if "learning_rate" in entry]
    assert rates[-1] < 0.1 * max(rates)
    losses = [entry["eval_loss"] for entry in told(trainer) if "eval_loss" in entry]
    assert losses == [outcome.metrics["loss"] for outcome in result.course]
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses))
    assert 1 <= len(list(tmp_path.glob("checkpoint-*"))) <= 2


def test_a_callback_ends_the_run(tmp_path: Path) -> None:
    class Stop(transformers.TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            control.should_training_stop = state.epoch == 2

    trainer = make(tmp_path, [Stop()], noise=0.0, num_train_epochs=6)
    result = train(trainer)
    assert len(result.course) == 2
    assert trainer.state.epoch == 2
    assert trainer.evaluate()["eval_loss"] == pytest.approx(result.metrics["loss"])


def test_gone_on_with(tmp_path: Path) -> None:
    """A run that was interrupted ends as one that was not."""

    class Fail(transformers.TrainerCallback):  # type: ignore[misc]
        def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.epoch == 3:
                raise RuntimeError("pulled the plug")

    def run(directory: str, *callbacks: Any) -> Any:
        trainer = make(tmp_path, callbacks, num_train_epochs=4, examples={"train_dataset": ROWS[:240]})
        train(trainer, run_dir=str(tmp_path / directory))
        return dict(trainer.model.state_dict())

    whole = run("whole")
    with pytest.raises(RuntimeError, match="pulled the plug"):
        run("parts", Fail())
    assert same(whole, run("parts"))


def refuse_large(module: Any, args: Any) -> None:
    if module.training and module.weight.abs().max() > 50:
        raise ValueError("large weights")


def test_a_candidate_that_raises_leaves_no_trace(tmp_path: Path) -> None:
    def run(*rates: float) -> Any:
        trainer = make(tmp_path, num_train_epochs=2, examples={"train_dataset": ROWS[:120]})
        trainer.model.classifier.register_forward_pre_hook(refuse_large)
        result = train(trainer, policy=two_epochs(*rates), budget=20)
        state = trainer.state
        return dict(trainer.model.state_dict()), state.global_step, state.total_flos, result

    plain, disturbed = run(), run(1e3)
    assert same(plain[0], disturbed[0])
    assert plain[1:3] == disturbed[1:3]
    assert [o.note for o in disturbed[3].rollouts if not o.ok] == ["ValueError: large weights"] * 2


def test_an_error_of_a_callback_is_the_users(tmp_path: Path) -> None:
    class Fail(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.epoch > 1:
                raise ValueError("mine")

    trainer = make(tmp_path, [Fail()], num_train_epochs=4, examples={"train_dataset": ROWS[:240]})
    with pytest.raises(ValueError, match="mine"):
        train(trainer)


def test_an_epoch_that_is_taken_back(tmp_path: Path) -> None:
    """It has been seen, and the one in its place is told with the same counters, the last one too."""
    recorder = Recorder()
    trainer = make(tmp_path, [recorder], num_train_epochs=3, optim="sgd")
    result = train(trainer, policy=blowing_up, space=["lr=1e-4:1e31:log"], budget=50)
    assert [outcome.status for outcome in result.rollouts] == ["ok", "diverged", "ok", "ok"]
    begins = [(step, epoch) for name, step, epoch, _ in recorder.heard if name == "on_epoch_begin"]
    assert begins == [(0, 0), (8, 1), (8, 1), (16, 2)]
    assert (trainer.state.global_step, trainer.state.epoch) == (24, 3)


class Unsized(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(ROWS)


def test_what_is_refused(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    refusals: list[tuple[type[Exception], str, Callable[[], Any], dict[str, Any]]] = [
        (
            ConflictingControl,
            "StepLR was handed",
            lambda: make(tmp_path, given={"optimizers": (optimizer, scheduler)}),
            {},
        ),
        (InvalidArgument, "whole epochs", lambda: make(tmp_path, num_train_epochs=1.5), {}),
        (InvalidArgument, "auto_find_batch_size", lambda: make(tmp_path, auto_find_batch_size=True), {}),
        (
            InvalidArgument,
            "give an eval_dataset",
            lambda: make(tmp_path, eval_strategy="no", examples={"eval_dataset": None}),
            {},
        ),
        (InvalidArgument, "only afterwards", lambda: make(tmp_path), {"policy": "greedy"}),
        (InvalidArgument, "loss='name'", lambda: make(tmp_path), {"loss": "eval_los"}),
        (InvalidArgument, "accuracy='f1': evaluate says", lambda: make(tmp_path), {"accuracy": "f1"}),
        (
            InvalidArgument,
            "momentum cannot be searched",
            lambda: make(tmp_path),
            {"space": ["momentum=0:0.9"]},
        ),
        (InvalidArgument, r"transformers\.Trainer", lambda: torch.nn.Linear(2, 2), {}),
    ]
    for error, words, made, asked in refusals:
        with pytest.raises(error, match=words):
            train(made(), **asked)
    trainer = make(tmp_path)
    trainer.train_dataset = Unsized()
    with pytest.raises(InvalidArgument, match="no length"):
        train(trainer)


def test_without_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"gammatune\[transformers\]"):
        train(trainer)
