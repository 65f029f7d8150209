"""Small runs that pages are made of, and journals changed after the fact."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gammatune.pipeline.options import Options
from gammatune.testing.fakes import FakeTraining
from gammatune.tuning.result import Result
from gammatune.tuning.tuner import Tuner

GIVEN: dict[str, Any] = {
    "model": "mlp", "optimizer": "adamw", "epochs": 8, "budget": None, "policy": "lookahead", "schedule": None,
    "sampler": "gamma", "objective": None, "lam": 0.5, "search": None, "batch_size": 8, "weight_decay": None,
    "limit": None, "validation": 0.2, "task": None, "keep": "best", "seed": 0, "device": None, "threads": 1,
}  # fmt: skip


def asked(**options: Any) -> Options:
    """What the command line was asked for; options it has gained since keep their defaults."""
    return Options(**(GIVEN | options))


def flowers(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return (rng.normal(size=(n, 4)) + 1.6 * y[:, None]).astype(np.float32), y


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]


def rewrite(run: Path, to: Path, change: Any) -> Path:
    """A copy of a journal, each event changed by `change`, which gives None for one to leave out."""
    to.mkdir(parents=True, exist_ok=True)
    kept = [new for event in events(run) if (new := change(event)) is not None]
    (to / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in kept))
    return to


def keep_predictions(run: Path, n: int, k: int) -> None:
    rng = np.random.default_rng(1)
    targets = np.arange(n) % k
    p = rng.dirichlet(np.ones(k), n) + 0.6 * np.eye(k)[targets]
    np.savez(
        run / "predictions.npz",
        probabilities=(p / p.sum(axis=1, keepdims=True)).astype(np.float32),
        targets=targets,
    )


def tuned(run_dir: Path | None = None, **options: Any) -> Result:
    """A run of the fake training, with a network's loop around it."""
    given: dict[str, Any] = {
        "epochs": 6,
        "space": ["lr=1e-6:10:log"],
        "training": FakeTraining(examples=1000, steps=100),
    }
    with Tuner(**(given | options), run_dir=None if run_dir is None else str(run_dir)) as tuner:
        for one in tuner:
            one.advance()
            one.report(**one.evaluate())
    return tuner.result
