"""Every file that the command reads, damaged in every way: one clear sentence or a reading, never a traceback."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from gammatune.errors import GammatuneError, JournalError
from gammatune.journal.events import (
    Repeat,
    State,
    gone_event,
    note_event,
    repeat_event,
    resume_event,
    state_event,
    text_of,
)
from gammatune.journal.history import FILE, WEIGHTS, Story, replay
from gammatune.journal.writer import Journal
from gammatune.pipeline.data.npz import load_npz
from gammatune.pipeline.data.split import split_data
from gammatune.pipeline.models import make_model
from gammatune.pipeline.predict import predict_file
from gammatune.report.terminal import runs_table, show

ASSETS = Path(__file__).parent / "assets" / "journals"
GOOD = {path.stem: path.read_bytes() for path in sorted(ASSETS.glob("*.jsonl"))}


def with_every_event(content: bytes) -> bytes:
    """A journal of the present format, in which every event occurs."""
    lines = [json.loads(line) for line in content.splitlines()]
    lines[0]["format"] = 2
    for event in lines:
        if event["event"] in ("rollout", "commit", "end"):
            event |= {"asked": [3.5, "inf"], "elapsed": 1.5}
    *course, end, report = lines
    report |= {
        "measures": {"auc": [0.9, 0.85, 0.95], "log-loss": [0.5, 0.4, 0.6]},
        "metric": "auc",
        "extra": {"level": 0.95, "said": ["a sentence"]},
    }
    more = [
        end,
        resume_event({"torch": "2.13"}),
        state_event(State(-1, "state-a.pt", "ab" * 32, "cd" * 8)),
        state_event(State(2, "state-b.pt", "ab" * 32)),
        gone_event(-1),
        repeat_event(Repeat(2, 10, 5, 0.25, True)),
        note_event("a sentence"),
    ]
    return "".join(map(text_of, [lines[0], *course[1:], *more, end, report])).encode()


def with_every_dimension(content: bytes) -> bytes:
    """A journal of a regression, that searched more than a rate."""
    lines = [json.loads(line) for line in content.splitlines()]
    lines[0]["space"] += ["batch_size=16,32,64", "depth=1:8:int,log", "kind=wide,narrow"]
    for event in lines:
        if event["event"] == "rollout":
            event["values"] |= {"batch_size": 32, "depth": 3, "kind": "wide"}
    lines[-1] = {
        "event": "report",
        "on": "selection",
        "seconds": 1.5,
        "r2": 0.5,
        "mse": 0.25,
        "per_output_r2": [0.5],
    }
    return "".join(map(text_of, lines)).encode()


GOOD["every-dimension"] = with_every_dimension(GOOD["second-greedy"])
GOOD["every-event"] = with_every_event(GOOD["second-lookahead"])


# Damage ---------------------------------------------------------------------------------------------------

HOSTILE = st.sampled_from(
    [
        None, True, False, 0, -1, 1, 2, 7, 10**6, 2**63, -(2**63), 10**400, 0.5, -0.5, 1e-320, 1e300, -1e300,
        "", "nan", "inf", "x", "0", "ok", "begin", "rollout", "commit", "end", "../x", "[/]", "\x00", "\ud800",
        [], [None], {}, {"lr": "x"}, {"lr": -1}, {"": 0}, [[0, 1]],
        {"knots": []}, {"knots": [[0, 1], [1, 1]]}, {"epochs": 1e300},
    ]
)  # fmt: skip
RAW = st.sampled_from(
    [b"NaN", b"1e999", b"-Infinity", b"9" * 5000, b"[" * 20_000, b'{"a":' * 20_000, b"[" * 90 + b"]" * 90, b"[" * 300
     + b"]" * 300, b"\xff", b"1.", b"\xe2\x80\xa8"]
)  # fmt: skip


@st.composite
def bytes_changed(draw: st.DrawFn, name: str) -> bytes:
    changed = bytearray(GOOD[name])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(changed) - 1)))
        match draw(st.sampled_from(("flip", "cut", "drop", "insert", "zero", "digit"))):
            case "flip" if changed:
                changed[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del changed[place:]
            case "drop":
                del changed[place : place + draw(st.integers(1, 40))]
            case "insert":
                changed[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "zero":
                changed[place : place + 20] = bytes(20)
            case "digit" if changed:
                changed[place] = draw(st.sampled_from(b'0123456789-.eE"[]{},:'))
    return bytes(changed)


@st.composite
def lines_moved(draw: st.DrawFn, name: str) -> bytes:
    lines = GOOD[name].splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(st.sampled_from(("drop", "double", "swap", "move"))):
            case "drop" if len(lines) > 1:
                del lines[one]
            case "double":
                lines.insert(other, lines[one])
            case "swap":
                lines[one], lines[other] = lines[other], lines[one]
            case "move":
                lines.insert(min(other, len(lines) - 1), lines.pop(one))
    return b"".join(lines)


def places(event: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value within an event."""
    parts = event.items() if isinstance(event, dict) else enumerate(event) if isinstance(event, list) else ()
    for key, part in parts:
        yield (*way, key)
        yield from places(part, (*way, key))


@st.composite
def fields_changed(draw: st.DrawFn, name: str) -> bytes:
    """Some values of some events are others, of other types, or gone."""
    lines = [json.loads(line) for line in GOOD[name].splitlines()]
    raw: bytes | None = None
    for _ in range(draw(st.integers(1, 3))):
        event = draw(st.sampled_from(lines))
        if not (ways := list(places(event))):
            continue
        *way, last = draw(st.sampled_from(ways))
        for key in way:
            event = event[key]
        match draw(st.sampled_from(("other", "other", "other", "gone", "raw", "wrapped", "more"))):
            case "other":
                event[last] = deepcopy(draw(HOSTILE))
            case "gone":
                del event[last]
            case "raw":
                event[last], raw = "raw", draw(RAW)
            case "wrapped":
                event[last] = [event[last]]
            case "more" if isinstance(event, dict):
                more = draw(st.sampled_from(("more", "asked", "elapsed", "members", "format", "lr")))
                event[more] = deepcopy(draw(HOSTILE))
    text = "".join(json.dumps(event) + "\n" for event in lines).encode()
    return text if raw is None else text.replace(b'"raw"', raw)


def damaged(name: str) -> st.SearchStrategy[bytes]:
    return st.one_of(bytes_changed(name), lines_moved(name), fields_changed(name))


# Journals -------------------------------------------------------------------------------------------------


@contextmanager
def a_run(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        run.mkdir()
        (run / FILE).write_bytes(content)
        yield run


def printed(show_it: Callable[[Console], None]) -> str:
    console = Console(file=io.StringIO(), width=160)
    show_it(console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def a_sentence(work: Callable[[], Any]) -> bool:
    """Whether it was done; where not, one sentence says why."""
    why: str | None = None
    try:
        work()
    except GammatuneError as error:
        why = str(error)
    if why is None:
        return True
    assert why
    assert "\n" not in why
    assert len(why) < 1000
    return False


def look_at(content: bytes) -> Story | None:
    """Whatever the command does with a journal: each part works, or says in a sentence why it cannot."""
    with a_run(content) as run:
        told = a_sentence(lambda: replay(run))
        story = replay(run) if told else None
        table = printed(lambda console: console.print(runs_table(run.parent)))
        assert "run" in table
        with Journal(run, resume=True) if told else a_refusal(run):
            assert (run / FILE).read_bytes() == content
    if story is not None:
        assert len(story.schedule) == len(story.course)
        a_sentence(lambda: printed(lambda console: show(console, story, "run", rollouts=True)))
    return story


@contextmanager
def a_refusal(run: Path) -> Iterator[None]:
    """What cannot be shown cannot be gone on with either, but for a run that was cut off before it began."""
    try:
        with Journal(run, resume=True) as journal:
            assert journal.past is None
    except JournalError:
        pass
    yield


JOURNALS = sorted(GOOD)


@pytest.mark.parametrize("name", JOURNALS)
def test_good_journals_are_told_and_shown(name: str) -> None:
    story = look_at(GOOD[name])
    assert story is not None
    assert story.course
    assert story.end is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"plain_runs":', b'"plain_runs":1e999,"more":'),
        (b'"budget":3.0', b'"budget":1e999'),
        (b'"evaluated":60', b'"evaluated":NaN'),
        (b'"depth":3', b'"depth":' + b"9" * 400),
        (b'"lr":0.0', b'"lr":-Infinity,"more":0.0'),
        (b'"data":"digits"', b'"data":' + b"[" * 900 + b"]" * 900),
        (b'"data":"digits"', b'"data":' + b"[" * 100_000),
        (b'"number":3', b'"number":-1'),
        (b'"rollouts":[5]', b'"rollouts":[-1]'),
        (b'"rollouts":[5]', b'"rollouts":[99]'),
        (b'"epochs":2', b'"epochs":null'),
        (b'"objective":"kappa"', b'"objective":7'),
    ],
)
def test_what_no_event_says_is_refused(old: bytes, new: bytes) -> None:
    assert old in GOOD["every-dimension"]
    assert look_at(GOOD["every-dimension"].replace(old, new, 1)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"objective":"kappa"', b'"objective":"[/]"'),
        (b'"data":"digits"', b'"data":"[/red]"'),
        (b'"accuracy":', b'"[/]":'),
        (b'"how":"complete"', b'"how":"failed: [/]"'),
        (b'"depth":3', b'"depth":-3'),
        (b'"depth":3', b'"depth":1e300'),
        (b'"depth":3', b'"depth":"three"'),
        (b',"depth":3', b""),
        (b'"kind":"wide"', b'"kind":"else"'),
        (b'"batch_size":32', b'"batch_size":33'),
    ],
)
def test_what_an_event_may_say_is_shown(old: bytes, new: bytes) -> None:
    """A policy, a metric or a data set of somebody's own."""
    assert old in GOOD["every-dimension"]
    assert look_at(GOOD["every-dimension"].replace(old, new)) is not None


@pytest.mark.parametrize(
    "name", ["first-once", "second-lookahead-averaged", "every-event", "every-dimension"]
)
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_journal_is_told_or_refused(name: str, data: st.DataObject) -> None:
    look_at(data.draw(damaged(name)))


@given(content=st.binary(max_size=300))
@example(content=b"")
@example(content=b"[" * 100_000 + b"\n")
def test_any_bytes_are_told_or_refused(content: bytes) -> None:
    look_at(content)
    begin = GOOD["every-event"].splitlines(keepends=True)[0]
    look_at(begin + content)


# Arrays and weights ---------------------------------------------------------------------------------------


def npz(compressed: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def weights() -> bytes:
    file = io.BytesIO()
    torch.save(make_model("mlp", (1, 8, 8), 10, seed=0).state_dict(), file)
    return file.getvalue()


RNG = np.random.default_rng(0)
X, Y = RNG.random((20, 8, 8)), np.arange(20) % 10
GOOD["new"] = npz(x=X[:3], y=Y[:3])
GOOD["new-compressed"] = npz(True, x_test=X[:3])
GOOD["data"] = npz(x_train=X, y_train=Y, x_test=X, y_test=Y)
GOOD["data-compressed"] = npz(True, x_train=X.astype(np.float32), y_train=Y / 7)
GOOD["weights"] = weights()
RUN = GOOD["second-lookahead"]  # of the net that `weights` are of


def load(content: bytes) -> bool:
    """What `gammatune train FILE.npz` does with it before any training."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "data.npz").write_bytes(content)
        return a_sentence(lambda: split_data(load_npz(Path(place) / "data.npz"), seed=0))


def predict(*, new: bytes = GOOD["new"], state: bytes = GOOD["weights"], journal: bytes = RUN) -> bool:
    with a_run(journal) as run:
        (run / WEIGHTS).write_bytes(state)
        (run / "new.npz").write_bytes(new)
        out = run / "new.csv"
        done = a_sentence(lambda: predict_file(str(run), str(run / "new.npz"), str(out)))
        assert out.exists() == done
        return done


@settings(max_examples=60)
@given(place=st.integers(0, len(GOOD["weights"]) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_weights_is_noticed(place: int, bit: int) -> None:
    """torch reads it as another number; what it changes in the file's table of contents may change nothing."""
    flipped = bytearray(GOOD["weights"])
    flipped[place] ^= 1 << bit
    if predict(state=bytes(flipped)):
        read = torch.load(io.BytesIO(flipped), weights_only=True)
        written = torch.load(io.BytesIO(GOOD["weights"]), weights_only=True)
        assert all(torch.equal(read[name], written[name]) for name in written)


def test_names_in_an_archive_that_fill_the_screen() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("a\nb", "c" * 3000, *map(str, range(1000))):
            archive.writestr(f"{name}.npy", b"")
    assert not load(file.getvalue())
    assert not predict(new=file.getvalue())


def test_good_files_are_read() -> None:
    assert predict()
    assert predict(new=GOOD["new-compressed"])
    assert load(GOOD["data"])
    assert load(GOOD["data-compressed"])


@pytest.mark.parametrize("name", ["data", "data-compressed"])
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_arrays_to_train_with(name: str, data: st.DataObject) -> None:
    load(data.draw(bytes_changed(name)))


@pytest.mark.parametrize("name", ["new", "new-compressed"])
@settings(max_examples=100)
@given(data=st.data())
def test_damaged_arrays_to_predict_from(name: str, data: st.DataObject) -> None:
    predict(new=data.draw(bytes_changed(name)))


@settings(max_examples=100)
@given(content=bytes_changed("weights"))
def test_damaged_weights(content: bytes) -> None:
    predict(state=content)


@settings(max_examples=100)
@given(content=fields_changed("second-lookahead"))
def test_a_run_to_predict_with_whose_journal_is_damaged(content: bytes) -> None:
    predict(journal=content)


@settings(max_examples=50)
@given(content=st.binary(max_size=200))
@example(content=b"PK\x05\x06" + bytes(18))  # an empty archive
def test_any_bytes_in_the_place_of_any_file(content: bytes) -> None:
    assert not load(content)
    assert not predict(new=content)
    assert not predict(state=content)
    assert not predict(journal=content)


ODD = {
    "no dimension": np.float64(1),
    "empty": np.zeros((0, 8, 8)),
    "empty examples": np.zeros((20, 0)),
    "no examples of labels": np.zeros(0, dtype=np.int64),
    "NaN": np.full((20, 8, 8), np.nan),
    "complex": np.ones((20, 8, 8), dtype=complex),
    "text": np.array([["a", "b"]] * 20),
    "bytes": np.array([b"a", b"b"] * 10),
    "dates": np.array(["2020-01-01"] * 20, dtype="datetime64[D]"),
    "record": np.zeros(20, dtype=[("a", int), ("b", float)]),
    "objects": np.array([None, {}] * 10),
    "void": np.zeros(20, dtype="V8"),
    "half": np.ones((20, 8, 8), dtype=np.float16),
    "large": np.full((20, 8, 8), 1e308),
    "long double": np.ones((20, 8, 8), dtype=np.longdouble),
    "truth values": np.ones((20, 8, 8), dtype=bool),
    "many dimensions": np.ones((20, 1, 1, 1, 1, 8, 8)),
    "labels in a table": np.ones((20, 3), dtype=np.int64),
    "large labels": np.arange(20, dtype=np.uint64) + np.uint64(2**63),
    "one label": np.zeros(20, dtype=np.int64),
    "one example": np.ones((1, 8, 8)),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_arrays(odd: str) -> None:
    """Whole files, whose arrays are not what they are taken for: in the place of each, and of all of them."""
    arrays = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
    for key in arrays:
        load(npz(**(arrays | {key: ODD[odd]})))
    load(npz(**dict.fromkeys(arrays, ODD[odd])))
    for new in (
        {"x": ODD[odd]},
        {"x": X, "y": ODD[odd]},
        {"x": ODD[odd], "y": ODD[odd]},
        {"x_test": ODD[odd]},
    ):
        predict(new=npz(**new))


@pytest.mark.parametrize("name", ["x_train.npy", "x_train"])
def test_a_part_of_an_archive_that_is_no_array(name: str) -> None:
    file = io.BytesIO(npz(y_train=Y))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"no array")
    assert not load(file.getvalue())


def test_an_array_that_claims_to_be_larger_than_any_memory() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**20)}
    )
    for key, read in (("x_train", load), ("x", lambda content: predict(new=content))):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{key}.npy", header.getvalue())
            archive.writestr("y_train.npy", header.getvalue())
        assert not read(file.getvalue())
