"""Several nets in a run that is interrupted at any event and gone on with: each ends as it would have, to the bit."""

import errno
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import needs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_disks import Disk
from test_resume import Own, finish, outcome_of, tuner_in
from torch import Tensor, nn

import gammatune
from gammatune.errors import InvalidArgument, JournalError, JournalWarning
from gammatune.journal.history import FILE, replay
from gammatune.journal.writer import Journal
from gammatune.records import Outcome
from gammatune.supervised.fit import FitResult
from gammatune.tuning import checkpoints
from gammatune.tuning.tuner import Tuner

# Nothing is searched: a survey, the course, and two more nets.
NETS: dict[str, Any] = {"epochs": 4, "budget": 4, "ensemble": True, "space": ["lr=0.05"]}


@pytest.fixture
def always() -> Iterator[None]:
    before, checkpoints.SHARE = checkpoints.SHARE, 1.0
    yield
    checkpoints.SHARE = before


@pytest.fixture
def seldom() -> Iterator[None]:
    """Of the course only its first state is written."""
    before, checkpoints.SHARE = checkpoints.SHARE, 1e-9
    yield
    checkpoints.SHARE = before


def kept_after_every_event(
    into: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]
) -> list[tuple[Path, dict[str, Any]]]:
    """Copies of the run directory as a process leaves it that is killed behind an event, and the event."""
    copies: list[tuple[Path, dict[str, Any]]] = []
    append = Journal.append

    def copying(self: Journal, event: Any) -> None:
        append(self, event)
        there = into / f"after-{len(copies)}"
        shutil.copytree(self.directory, there, ignore=shutil.ignore_patterns("run.lock", "owner.json"))
        copies.append((there, dict(event)))

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", copying)
        work()
    return copies


# In milliseconds --------------------------------------------------------------------------------------------


def training(directory: Path, **options: Any) -> Own:
    return Own(steps=30, examples=300, validation=30, directory=directory, **options)


def came_to(tuner: Tuner, one: Own) -> Any:
    result = tuner.result
    nets = {net: one._nets[net] for net in result.nets}
    asked = [(o.number, o.nets, o.score, o.evaluated, o.net) for o in result.rollouts]
    return outcome_of(tuner, one), one.net, result.nets, nets, asked, list(result.verdicts)


def go_on(directory: Path, one: Own, event: dict[str, Any], **options: Any) -> tuple[Tuner, list[int]]:
    """With the run that was killed behind that event, to its end."""
    with warnings.catch_warnings():
        if event["event"] == "rollout" and event["number"] == 0:  # which is said
            warnings.filterwarnings("ignore", "the run has no checkpoint of its beginning", JournalWarning)
        tuner = tuner_in(directory, one, **options)
        return tuner, finish(tuner)


CASES: list[dict[str, Any]] = [
    {},
    {"luck": {1: 30.0}},
    {"luck": {2: float("nan")}},
    {"luck": {0: 30.0, 1: 20.0}},
    {"space": ["lr=1e-6:1e2:log"]},  # looks before
    {"space": ["lr=1e-6:1e2:log"], "epochs": 1, "budget": 6},  # walks at other rates before
]


@pytest.mark.parametrize("share", [1.0, 1e-9])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed_behind_any_event_it_ends_as_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any], share: float
) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", share)
    options, luck = NETS | {k: v for k, v in case.items() if k != "luck"}, case.get("luck", {})
    reference = training(tmp_path / "whole", luck=luck)
    straight = tuner_in(tmp_path / "whole", reference, **options)
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: finish(straight))
    expected = came_to(straight, reference)
    assert sum(event["event"] == "net" for _, event in copies) >= 2
    if len(options["space"][0]) > 10:  # what comes before the course is as ever, and takes longest
        copies = copies[-16:]
    for directory, event in copies:
        one = training(directory, luck=luck)
        again, _ = go_on(directory, one, event, **options)
        assert came_to(again, one) == expected
        assert again.cost.trained + again.cost.evaluated == straight.cost.trained + straight.cost.evaluated
        story = replay(directory)
        assert story.nets == straight.result.nets
        assert all(repeat.same for repeat in story.repeats)


@settings(max_examples=12)
@given(
    kills=st.lists(st.integers(0, 60), min_size=1, max_size=3),
    lost=st.sets(st.integers(0, 3)),
    share=st.sampled_from([1.0, 1e-9]),
)
def test_killed_again_and_again_with_files_lost_in_between(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int], lost: set[int], share: float
) -> None:
    """lost: the nets whose files are damaged before the last of the processes."""
    home = tmp_path_factory.mktemp("nets")
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        patched.setattr(checkpoints, "SHARE", share)
        reference = training(home / "whole")
        straight = tuner_in(home / "whole", reference, **NETS)
        finish(straight)
        directory = home / "run"
        for number, events in enumerate(kills):
            one = training(directory)
            tuner = tuner_in(directory, one, **NETS)
            copies = kept_after_every_event(home / str(number), patched, lambda t=tuner: finish(t))  # type: ignore[misc]
            if copies:
                directory = copies[min(events, len(copies) - 1)][0]
        for net in lost:
            if (path := directory / f"net-{net}.pt").exists():
                path.write_bytes(path.read_bytes()[:-1])
        one = training(directory)
        again = tuner_in(directory, one, **NETS)
        finish(again)
        assert came_to(again, one) == came_to(straight, reference)


def test_what_is_asked_again_after_an_interruption_is_no_cost_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: None
) -> None:
    """A process that comes later has not heard the nets of before; that is told apart, as what is trained again."""
    straight = tuner_in(tmp_path / "whole", training(tmp_path / "whole"), **NETS)
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: finish(straight))
    for directory, event in copies:
        again, _ = go_on(directory, training(directory), event, **NETS)
        known = replay(directory).kept
        assert again.cost.evaluated == straight.cost.evaluated
        if (
            event["event"] == "net" and event["net"] == 2
        ):  # the others are heard again, the third for the first time
            assert again.cost.repeated == pytest.approx(2 * 30 / 3)
        assert set(known) == {0, 1, 2}


def test_a_complete_run_is_neither_trained_nor_asked_nor_written_again(tmp_path: Path, always: None) -> None:
    one, two = training(tmp_path), training(tmp_path)
    first = tuner_in(tmp_path, one, **NETS)
    finish(first)
    journal = (tmp_path / FILE).read_bytes()
    second = tuner_in(tmp_path, two, **NETS)
    assert finish(second) == []
    assert came_to(second, two) == came_to(first, one)
    assert not any(call.startswith(("hear", "advance", "join")) for call in two.calls)
    assert second.cost.repeated == 0
    assert (tmp_path / FILE).read_bytes() == journal


@pytest.mark.parametrize("harm", ["gone", "damaged"])
@pytest.mark.parametrize("net", [0, 1, 2])
def test_a_complete_run_whose_net_is_lost_trains_that_one_again(
    tmp_path: Path, harm: str, net: int, always: None
) -> None:
    one, two = training(tmp_path), training(tmp_path)
    first = tuner_in(tmp_path, one, **NETS)
    finish(first)
    path = tmp_path / f"net-{net}.pt"
    before = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(before[:-1])
    second = tuner_in(tmp_path, two, **NETS)
    with pytest.warns(
        JournalWarning, match=f"the file of net {net + 1} is damaged or gone; it is trained again"
    ):
        trained = finish(second)
    assert path.read_bytes() == before
    assert all(number < 0 for number in trained)  # nothing that is new
    assert len(trained) <= NETS["epochs"]
    assert came_to(second, two) == came_to(first, one)
    assert finish(tuner_in(tmp_path, training(tmp_path), **NETS)) == []


def test_interrupted_in_the_middle_of_a_net_the_training_goes_back_and_says_how_to_go_on(
    tmp_path: Path, always: None
) -> None:
    whole = training(tmp_path / "whole")
    straight = tuner_in(tmp_path / "whole", whole, **NETS)
    finish(straight)
    for role in ("net 2", "net 3"):
        directory = tmp_path / role
        one = training(directory)
        tuner = tuner_in(directory, one, **NETS)
        with pytest.raises(KeyboardInterrupt) as caught, tuner:
            for run in tuner:
                run.advance()
                if run.role == role and run.epoch == 2:
                    raise KeyboardInterrupt
                run.report(**run.evaluate())
        assert any("goes on with it" in note for note in caught.value.__notes__)
        assert one.net == tuner.result.course[-1].net
        assert max(one.loss, one.floor) == tuner.result.course[-1].metrics["loss"]
        assert tuner.result.nets == ((0, 1) if role == "net 3" else ())
        again, two = tuner_in(directory, later := training(directory), **NETS), later
        finish(again)
        assert came_to(again, two) == came_to(straight, whole)


def test_another_number_of_nets_is_another_run(tmp_path: Path) -> None:
    finish(tuner_in(tmp_path, training(tmp_path), **NETS))
    with pytest.raises(JournalError, match="begun with ensemble=True, and ensemble=False"):
        tuner_in(tmp_path, training(tmp_path), **NETS | {"ensemble": False})


@pytest.mark.parametrize("cut", [4, 12, None])
def test_a_run_that_knew_of_one_net_goes_on_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int | None
) -> None:
    """As versions before there were several began them; cut: after so many rollouts."""
    plain = NETS | {"ensemble": False, "space": ["lr=1e-6:1e2:log"]}
    straight = tuner_in(tmp_path / "whole", one := training(tmp_path / "whole"), **plain)
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: finish(straight))
    rollouts = [directory for directory, event in copies if event["event"] == "rollout"]
    directory = copies[-1][0] if cut is None else rollouts[cut]
    lines = (directory / FILE).read_text().splitlines(keepends=True)
    begin = json.loads(lines[0])
    del begin["ensemble"], begin["guide"]
    (directory / FILE).write_text("".join([json.dumps(begin) + "\n", *lines[1:]]))
    again = tuner_in(directory, two := training(directory), **plain | {"ensemble": True})
    finish(again)
    assert came_to(again, two) == came_to(straight, one)
    assert any(
        v.numbers.get("factor") == 2.0 for v in again.result.verdicts
    )  # a walk at another rate instead
    assert not list(directory.glob("net-*.pt"))


def test_a_policy_that_asks_other_nets_than_the_journal_has_is_told(tmp_path: Path) -> None:
    finish(tuner_in(tmp_path, training(tmp_path), **NETS))
    lines = (tmp_path / FILE).read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if '"nets":[0,1]' in line and '"rollout"' in line)
    lines[place] = lines[place].replace('"nets":[0,1]', '"nets":[1]')
    (tmp_path / FILE).write_text("".join(lines))
    with pytest.raises(JournalError, match=r"asks the nets \(1,\), and the policy now asks \(0, 1\)"):
        finish(tuner_in(tmp_path, training(tmp_path), **NETS))


# Networks ---------------------------------------------------------------------------------------------------

G = torch.Generator().manual_seed(1)
X = torch.randn(170, 6, generator=G)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).long()
SMALL: dict[str, Any] = {
    "epochs": 4,
    "budget": 4,
    "space": ["lr=0.02"],
    "batch_size": 10,
    "seed": 3,
    "device": "cpu",
}


def new() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def fit(directory: Path | None, **options: Any) -> tuple[FitResult, nn.Module]:
    torch.manual_seed(1)
    model = new()
    where = None if directory is None else str(directory)
    given_ = SMALL | {"new_model": new, "run_dir": where} | options
    return gammatune.fit(model, (X[:120], Y[:120]), (X[120:], Y[120:]), **given_), model


def bits(result: FitResult, model: nn.Module) -> Any:
    """All that came of it, without what a clock says."""
    assert result.ensemble is not None
    weights = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
    nets = {name: value.numpy().tobytes() for name, value in result.ensemble.state_dict().items()}
    rollouts = [replace(o, seconds=0.0, processor=0.0) for o in result.rollouts]
    report = asdict(result.report), asdict(result.single)  # type: ignore[arg-type]
    measures = {name: (m.value, m.low, m.high) for name, m in result.measures.items()}
    return weights, nets, rollouts, list(result.verdicts), result.nets, repr(report), measures


@pytest.fixture(scope="module")
def whole() -> Any:
    return bits(*fit(None))


def test_without_a_run_directory_it_is_the_same_run(tmp_path: Path, whole: Any) -> None:
    assert len(whole[4]) == 3
    assert bits(*fit(tmp_path / "run")) == whole
    assert sorted(path.name for path in (tmp_path / "run").glob("net-*")) == [f"net-{n}.pt" for n in range(3)]


def test_networks_killed_behind_any_event_end_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: None, whole: Any
) -> None:
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: fit(tmp_path / "run"))
    kinds = [event["event"] for _, event in copies]
    wanted = {place for place, kind in enumerate(kinds) if kind in ("net", "end")}
    wanted |= {place + 1 for place in wanted if place + 1 < len(copies)}
    wanted |= {p for p, (_, e) in enumerate(copies) if e.get("role") == "net 2" or e["event"] == "commit"}
    wanted |= {place for place in range(len(copies)) if place % 9 == 0}
    for place in sorted(wanted):
        directory, event = copies[place]
        assert bits(*fit(directory)) == whole, f"behind event {place}: {event}"


@pytest.mark.parametrize("optimizer", ["adamw", "schedule-free"])
@pytest.mark.parametrize("kind", ["tape", "list", "own generator"])
def test_other_loaders_and_optimizers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seldom: None, kind: str, optimizer: str
) -> None:
    """Killed as the second net ends and as it has been kept; what lies before is trained again."""
    made: Any = "adamw"
    if optimizer == "schedule-free":
        package = needs.package("schedulefree")
        made = lambda parameters: package.AdamWScheduleFree(parameters, lr=0.01)  # noqa: E731

    def train(directory: Path) -> Any:
        torch.manual_seed(1)
        model = new()
        given_ = SMALL | {"new_model": new, "run_dir": str(directory), "optimizer": made, "batch_size": None}
        return bits(gammatune.fit(model, loader(kind), (X[120:], Y[120:]), **given_), model)

    straight: list[Any] = []
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: straight.append(train(tmp_path / "run")))
    assert len(straight[0][4]) >= 2
    second = [place for place, (_, event) in enumerate(copies) if event.get("role") == "net 2"]
    for place in (second[1], second[-1], second[-1] + 1):
        assert train(copies[place][0]) == straight[0], copies[place][1]


class Drawn(torch.utils.data.IterableDataset[Any]):
    """In another order in every pass, of which nobody but itself knows."""

    def __init__(self) -> None:
        self._rng = torch.Generator().manual_seed(4)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from ((X[i], Y[i]) for i in torch.randperm(120, generator=self._rng).tolist())


def loader(kind: str) -> Any:
    if kind == "tape":
        return torch.utils.data.DataLoader(Drawn(), 10)
    if kind == "list":
        return [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 120, 10)]
    own = torch.Generator().manual_seed(8)
    data = torch.utils.data.TensorDataset(X[:120], Y[:120])
    return torch.utils.data.DataLoader(data, 10, shuffle=True, generator=own)


def test_a_net_of_the_second_process_is_that_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: None
) -> None:
    """Its file, byte for byte but for the name of the archive: the weights are the same."""
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: fit(tmp_path / "run"))
    place = next(p for p, (_, e) in enumerate(copies) if e.get("role") == "net 2" and e["epoch"] == 1)
    fit(copies[place][0])
    for net in range(3):
        one, other = (
            torch.load(at / f"net-{net}.pt", weights_only=True) for at in (tmp_path / "run", copies[place][0])
        )
        assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_complete_run_called_again_returns_the_same_ensemble(
    tmp_path: Path, always: None, whole: Any
) -> None:
    fit(tmp_path)
    journal = (tmp_path / FILE).read_bytes()
    trained: list[int] = []

    def listen(event: Any) -> None:
        if event["event"] == "start":
            trained.append(event["run"].number)

    assert bits(*fit(tmp_path, listeners=[listen])) == whole
    assert trained == []
    assert (tmp_path / FILE).read_bytes() == journal


def test_a_broken_disk_costs_nothing_but_safety(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any
) -> None:
    """The files of nets go elsewhere meanwhile, and a later process trains those again."""
    disk = Disk(tmp_path, monkeypatch)

    def listen(event: Any) -> None:
        if event["event"] == "rollout" and event["role"] == "net 2":
            disk.error = errno.ENOSPC

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert bits(*fit(tmp_path / "run", listeners=[listen])) == whole
    disk.error = None
    told = [str(w.message) for w in said if issubclass(w.category, JournalWarning)]
    assert sum("net-1.pt" in text for text in told) == 1
    assert [path.name for path in (tmp_path / "run").glob("net-*")] == ["net-0.pt"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        assert bits(*fit(tmp_path / "run")) == whole


def loop(directory: Path | None) -> Any:
    """The same in a loop of one's own, whose body is asked for the average."""
    torch.manual_seed(1)
    model = new()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X[:120], Y[:120]), 10, shuffle=True)

    def validate() -> dict[str, float]:
        out = model(X[120:])
        right = float((out.argmax(1) == Y[120:]).float().mean())
        return {"accuracy": right, "loss": float(nn.functional.cross_entropy(out, Y[120:]))}

    options: dict[str, Any] = {"epochs": 4, "budget": 4.5, "space": ["lr=0.02"], "seed": 3, "ensemble": True}
    where = None if directory is None else str(directory)
    tuner = Tuner(model=model, optimizer=optimizer, new_model=new, run_dir=where, **options)
    with tuner:
        for run in tuner:
            for x, y in run.batches(batches):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            run.report(**run.evaluate(validate))
    result, ensemble = tuner.result, tuner.ensemble()
    assert ensemble is not None
    held = [value.numpy().tobytes() for one in (model, ensemble) for value in one.state_dict().values()]
    rollouts = [replace(o, seconds=0.0, processor=0.0) for o in result.rollouts]
    return held, result.nets, rollouts, list(result.verdicts)


def test_a_loop_of_ones_own_killed_behind_any_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: None
) -> None:
    expected = loop(None)
    assert len(expected[1]) == 3
    copies = kept_after_every_event(tmp_path, monkeypatch, lambda: loop(tmp_path / "run"))
    first = next(place for place, (_, event) in enumerate(copies) if event["event"] == "net")
    for place in [0, first - 1, *range(first, len(copies), 2)]:
        assert loop(copies[place][0]) == expected, f"behind event {place}: {copies[place][1]}"


def test_interrupted_in_the_middle_of_the_second_net(tmp_path: Path, whole: Any) -> None:
    seen: list[Outcome] = []

    def interrupt(event: Any) -> None:
        if event["event"] == "start" and event["run"].role == "net 2" and event["run"].epoch == 1:
            raise KeyboardInterrupt

    torch.manual_seed(1)
    model = new()
    with pytest.raises(KeyboardInterrupt):
        gammatune.fit(
            *(model, (X[:120], Y[:120]), (X[120:], Y[120:])),
            **SMALL | {"new_model": new, "run_dir": str(tmp_path), "listeners": [interrupt]},
        )
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    assert bits(*fit(tmp_path)) == whole
    assert not seen


def test_a_function_that_makes_other_nets_is_refused_before_the_optimizer_is_touched() -> None:
    torch.manual_seed(1)
    model = new()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for options, words in (
        ({"new_model": lambda: nn.Linear(6, 2)}, "of another kind"),
        ({"ensemble": True, "loss_fn": lambda out, y: out.square().mean(), "new_model": None}, "compared"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            gammatune.fit(
                model, (X[:120], X[:120] if "loss_fn" in options else Y[:120]),
                **SMALL | {"optimizer": optimizer} | options,
            )  # fmt: skip
        assert not optimizer._optimizer_step_pre_hooks
