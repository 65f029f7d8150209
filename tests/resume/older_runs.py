"""Runs of the policy `lookahead` as each of its versions made them, kept to be read and gone on with by later ones.

    python tests/resume/older_runs.py

makes those of the version that is installed, in tests/resume/older/policy-N:

    finished               `gammatune train` to its end
    whole                  `fit` at a budget of 1.5, to its end; what is interrupted below is to come to
    walks-whole            the same at a budget that pays for two walks
    four-whole             for three
    averages-whole         for three, and one whose epochs are averages
    unlooked-whole         for three of a course too short for looks, each where most is promised
    open-whole             the length left open
    in-the-...             each of these killed or stopped by Ctrl-C there (`INTERRUPTED`)
    expected.json          what made them

    python tests/resume/older_runs.py kinds

makes in tests/resume/older/kinds-N what there is beside those by now (`KINDS`): several nets, a choice of the
optimizer, the policies of the thesis, each whole and interrupted.

Of the whole ones the journal and the weights are kept; of the others what going on needs, which is the beginning and
the state that the training goes on from. Runs of an earlier version cannot be made again: make new ones with every
version, and leave those that are there.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import special
from scipy.linalg import lapack
from torch import nn

from gammatune.cli.app import main
from gammatune.journal.events import gone_event, text_of
from gammatune.journal.history import FILE, WEIGHTS, replay
from gammatune.supervised.fit import FitResult, fit
from gammatune.tuning import checkpoints

OLDER = Path(__file__).resolve().parent / "older"

ROWS, TRAIN, FEATURES = 360, 320, 6
PLAIN: dict[str, Any] = {"epochs": 6, "budget": 1.5}
ALONE: dict[str, Any] = {"ensemble": False}  # of a budget for several nets, walks of one
WALKS: dict[str, Any] = {"epochs": 4, "budget": 3} | ALONE
OPEN: dict[str, Any] = {"total_epochs": 20}
WHOLE: dict[str, dict[str, Any]] = {
    "whole": PLAIN,
    "walks-whole": WALKS,
    "four-whole": {"epochs": 4, "budget": 4} | ALONE,
    "averages-whole": {"epochs": 3, "budget": 6} | ALONE,
    "unlooked-whole": {"epochs": 2, "budget": 4} | ALONE,
    "open-whole": OPEN,
}


class Cut(NamedTuple):
    """Where a run was interrupted: as the `count`-th rollout of a role began. whole: what it is to come to. killed:
    the directory is as a process leaves it that is killed; else as after Ctrl-C. kept: places, in their order, of
    the states that are kept."""

    whole: str
    role: str
    count: int
    killed: bool
    kept: tuple[int, ...]


INTERRUPTED = {
    "in-the-search": Cut("whole", "miniature", 2, True, (0,)),
    "in-the-course": Cut("whole", "course", 4, False, (0, -1)),
    "in-the-first-walk": Cut("walks-whole", "course", 3, True, (0, -1)),
    "in-the-second-walk": Cut("walks-whole", "walk 2", 2, True, (0, -2, -1)),
    "in-the-first-of-three": Cut("four-whole", "course", 2, False, (0, -1)),
    "in-the-third-walk": Cut("four-whole", "walk 3", 3, True, (0, -2, -1)),
    "in-the-averages": Cut("averages-whole", "walk 4", 4, True, (0, -2, -1)),
    "in-the-unlooked-course": Cut("unlooked-whole", "course", 2, True, (0, -1)),
    "in-the-unlooked-walk": Cut("unlooked-whole", "walk 3", 2, True, (0, -2, -1)),
    "open-in-the-course": Cut("open-whole", "course", 3, False, (0, -1)),
}
KINDS: dict[str, dict[str, Any]] = {
    "nets-whole": {"epochs": 4, "budget": 4, "optimizer": "momentum"},
    "nets-open-whole": {"total_epochs": 16, "guide": 5, "optimizer": "momentum"},
    "auto-whole": {"epochs": 10, "budget": 3.8, "space": ["optimizer=momentum,adamw"]},
    "greedy-whole": {"epochs": 3, "budget": 3, "policy": "greedy"},
    "once-whole": {"epochs": 3, "budget": 3, "policy": "once"},
}
KINDS_INTERRUPTED = {
    "in-the-second-net": Cut("nets-whole", "net 2", 3, True, (0, -2, -1)),
    "in-the-third-net": Cut("nets-whole", "net 3", 2, True, (0, -2, -1)),
    "in-the-second-of-open": Cut("nets-open-whole", "net 2", 2, False, (0, -2, -1)),
    "in-the-looks-at-another": Cut("auto-whole", "miniature", 5, True, (0,)),
    "in-the-net-of-another": Cut("auto-whole", "net 2", 4, True, (0, -2, -1)),
    "in-the-second-epoch": Cut("greedy-whole", "candidate", 5, True, (0, -1)),
    "in-the-second-run": Cut("once-whole", "run 2", 2, True, (0, -1)),
}
TRAINED = (  # `gammatune train ...`, where the table lies
    *("train", "table.csv", "--target", "label", "--model", "older_runs:net", "--only", "net", "--quiet"),
    *("--epochs", "6", "--batch-size", "8", "--threads", "1", "--run-dir", "finished"),
)


def features() -> list[list[float]]:
    """Without a random generator, and rounded: the same numbers with every version of everything."""
    return [[round(math.sin(1.7 * i * (j + 1) + j), 3) for j in range(FEATURES)] for i in range(ROWS)]


def labels() -> list[int]:
    return [int(row[0] + row[1] * row[2] > 0) for row in features()]


def write_table(path: Path) -> None:
    lines = [",".join("abcdef") + ",label"]
    lines += [
        ",".join(map(str, row)) + (",yes" if label else ",no")
        for row, label in zip(features(), labels(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def net(shape: tuple[int, ...] = (FEATURES,), outputs: int = 2) -> nn.Module:
    """134 parameters."""
    return nn.Sequential(nn.Linear(shape[0], 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, outputs))


def train(directory: Path, **options: Any) -> tuple[FitResult, dict[str, Any]]:
    """What came of it, and the weights."""
    x, y = torch.tensor(features()), torch.tensor(labels())
    torch.manual_seed(1)
    model = net()
    result = fit(
        *(model, (x[:TRAIN], y[:TRAIN]), (x[TRAIN:], y[TRAIN:])),
        **{"batch_size": 8, "seed": 3, "device": "cpu", "run_dir": str(directory)} | options,
    )
    return result, model.state_dict()


def arithmetic() -> str:
    """A checksum of what a few steps come to: where it is another, so are the last bits of every training."""
    torch.manual_seed(1)
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    x, y = torch.tensor(features()), torch.tensor(labels())
    for step in range(40):
        batch = slice(8 * step, 8 * step + 8)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    numbers = [value.numpy().tobytes() for value in model.state_dict().values()]
    return hashlib.sha256(b"".join(numbers)).hexdigest()


def deciding() -> str:
    """The same of what rates are chosen with, which is not torch's arithmetic."""
    x = np.array(features()[:24])
    apart = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    C = np.exp(-apart) + 0.1 * np.eye(len(x))
    solved = np.linalg.solve(np.linalg.cholesky(np.stack([C, 2 * C])), x[None, :, :1])
    inverse, _ = lapack.dtrtri(np.linalg.cholesky(C), lower=1)
    numbers = [solved, inverse @ x, special.stdtr(5.0, x), np.log(C), np.einsum("ij,ij->i", C, apart)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(n).tobytes() for n in numbers)).hexdigest()


# Made -----------------------------------------------------------------------------------------------------


def make(home: Path) -> None:
    """All of them, in the working directory, which is empty; then to `home`."""
    checkpoints.SHARE = 1.0  # every state that may be written is
    write_table(Path("table.csv"))
    sys.argv = ["gammatune", *TRAINED]
    with contextlib.suppress(SystemExit):
        main()
    into = home / f"policy-{make_each(WHOLE, INTERRUPTED)}"
    put(into, {"finished": (0, -1)}, WHOLE, INTERRUPTED)


def make_kinds(home: Path) -> None:
    """Those of `KINDS`, likewise."""
    checkpoints.SHARE = 1.0
    put(home / f"kinds-{make_each(KINDS, KINDS_INTERRUPTED)}", {}, KINDS, KINDS_INTERRUPTED)


def make_each(whole: Mapping[str, dict[str, Any]], interrupted: Mapping[str, Cut]) -> int:
    """In the working directory; the version of the policy that made them."""
    for name, options in whole.items():
        train(Path(name), **options)
    for name, there in interrupted.items():
        interrupt(Path(name), whole[there.whole], nth(there.role, there.count), killed=there.killed)
    return int(replay(next(iter(whole))).begin.get("policy_version", 1))


def put(
    into: Path,
    states: dict[str, tuple[int, ...]],
    whole: Mapping[str, dict[str, Any]],
    interrupted: Mapping[str, Cut],
) -> None:
    """From the working directory, without the states that are not kept."""
    into.mkdir(parents=True)
    states = {**states, **dict.fromkeys(whole, ())}
    states |= {name: there.kept for name, there in interrupted.items()}
    for name, kept in states.items():
        keep_only(Path(name), kept)
        shutil.move(name, into / name)
    made = {
        "policy_version": int(into.name.rpartition("-")[2]),
        **{name: metadata.version(name) for name in ("gammatune", "torch", "numpy")},
        "arithmetic": arithmetic(),
        "deciding": deciding(),
    }
    (into / "expected.json").write_text(json.dumps(made, indent=1) + "\n")


def nth(role: str, count: int) -> Callable[[Any], bool]:
    """True of the run that is the `count`-th of its role."""
    seen = 0

    def is_it(run: Any) -> bool:
        nonlocal seen
        seen += run.role == role
        return seen == count

    return is_it


def interrupt(
    directory: Path, options: Mapping[str, Any], here: Callable[[Any], bool], *, killed: bool = False
) -> None:
    """A run that ends as one of its rollouts begins."""
    then = directory.with_name("then")

    def listen(event: Any) -> None:
        if event["event"] == "start" and here(event["run"]):
            if killed:
                shutil.copytree(directory, then)
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        train(directory, listeners=[listen], **options)
    if killed:
        shutil.rmtree(directory)
        then.rename(directory)
    assert (replay(directory).end is None) == killed


def keep_only(run: Path, places: tuple[int, ...]) -> None:
    """Delete all states but those at these places, in their order, and say so in the journal."""
    for name in ("run.lock", "owner.json"):  # the latter names the machine
        (run / name).unlink(missing_ok=True)
    states = sorted(replay(run).states)
    kept = [states[place] for place in places]
    with (run / FILE).open("a") as journal:
        for after in states:
            if after not in kept:
                journal.write(text_of(gone_event(after)))
                (run / f"state-{after + 1}.pt").unlink()
    if run.name.endswith("whole"):
        for path in run.iterdir():
            if path.name not in (FILE, WEIGHTS) and not path.name.startswith("net-"):
                path.unlink()


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.modules["older_runs"] = sys.modules["__main__"]
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        (make_kinds if "kinds" in sys.argv[1:] else make)(OLDER)
