"""The page of a run: what stands on it, what it says where something is missing, and that it takes in nothing."""

import html
import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import events, rewrite, tuned

import gammatune
from gammatune.errors import InvalidArgument, JournalError, MissingExtra
from gammatune.journal.history import replay
from gammatune.metrics.catalogue import METRICS
from gammatune.report.html.measures import measures
from gammatune.report.html.page import write_report
from gammatune.report.html.sentences import verdict
from gammatune.report.html.timeline import lanes
from gammatune.report.predictions import load_findings

ASSETS = Path(__file__).resolve().parents[1] / "assets"
VOID = {"meta", "link", "input", "img", "br", "path", "circle", "rect"}


class Read(HTMLParser):
    """The text of a page, its tags, and what they ask for from elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.asked: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        held = dict(attributes)
        self.asked += [str(held[n]) for n in ("src", "href", "action", "data", "srcset") if n in held]
        self.ids += [str(held["id"])] if "id" in held else []
        if tag in ("img", "svg"):
            self.images.append(held | {"tag": tag})
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open[-1:]):
            self.words.append(data)


def page_of(run: Path, to: Path) -> Read:
    return Read(write_report(run, to / "page.html").read_text(encoding="utf-8"))


# -- what stands on it -----------------------------------------------------------------------------------------


def test_a_classification_says_what_a_newcomer_asks(flower_page: str, flower_run: Path) -> None:
    page = Read(flower_page)
    story = replay(flower_run)
    assert story.report is not None
    right = sum(row[i] for i, row in enumerate(story.report["confusion"]))
    assert f"It is right for {right} of 60 examples that played no part in the training" in page.text
    assert "Always naming the most frequent class" in page.text
    assert f"{story.end['plain_runs']:.2f} times one plain training" in page.text  # type: ignore[index]
    for said in story.begin["facts"]["said"]:
        assert said in page.text
    for heading in ("What was taken for what", "The worst mistakes", "Can its probabilities be trusted?"):
        assert heading in page.text
    for label in ("iris", "rose", "tulip"):
        assert label in page.text
    assert "gammatune train" in page.text
    assert "--epochs 8" in page.text
    assert story.verdicts[0].reason in page.text
    assert str(story.begin["versions"]["torch"]) in page.text
    assert not page.open  # every element is closed


def test_every_rollout_and_epoch_is_there_in_numbers(flower_page: str, flower_run: Path) -> None:
    page = Read(flower_page)
    story = replay(flower_run)
    assert f"All {len(story.rollouts)} rollouts in numbers" in page.text
    for outcome in story.course:
        assert f"{outcome.metrics['loss']:.4g}" in page.text


def test_pictures_can_be_read_out_and_are_well_formed(flower_page: str) -> None:
    found = re.findall(r"<svg viewBox[^>]*role=\"img\".*?</svg>", flower_page, flags=re.DOTALL)
    assert len(found) >= 8
    for text in found:
        root = ET.fromstring(text)
        names = [child.tag for child in root][:2]
        assert names == ["title", "desc"]
        assert all(child.text for child in list(root)[:2])
        assert root.attrib["aria-labelledby"].split() == [child.attrib["id"] for child in list(root)[:2]]
    page = Read(flower_page)
    assert len(page.ids) == len(set(page.ids))
    assert all("aria-hidden" in i or "aria-labelledby" in i for i in page.images if i["tag"] == "svg")


def test_nothing_comes_from_elsewhere(flower_page: str) -> None:
    assert all(asked.startswith(("#", "data:")) for asked in Read(flower_page).asked)
    assert "http" not in flower_page.replace("http-equiv", "")
    assert "default-src 'none'" in flower_page
    assert len(flower_page.encode()) < 3_000_000


def test_mistakes_are_shown_as_pictures_where_there_are_some(flower_run: Path, tmp_path: Path) -> None:
    run = rewrite(flower_run, tmp_path / "run", lambda event: event)
    (run / "predictions.npz").write_bytes((flower_run / "predictions.npz").read_bytes())
    rows = page_of(run, tmp_path)
    assert "example true predicted sure of it of the truth" in rows.text
    with np.load(run / "predictions.npz") as held:
        p, targets = held["probabilities"], held["targets"]
    wrong = np.flatnonzero(p.argmax(axis=1) != targets)
    assert f"{len(wrong)} of 60 answers were wrong" in rows.text
    pictures = np.arange(len(wrong) * 200 * 150 * 3, dtype=np.uint8).reshape(len(wrong), 200, 150, 3)
    np.savez(run / "pictures.npz", index=wrong, pictures=pictures)
    page = page_of(run, tmp_path)
    shown = [image for image in page.images if image["tag"] == "img"]
    assert len(shown) == min(24, len(wrong))
    surest = wrong[p[wrong].max(axis=1).argmax()]
    assert str(shown[0]["alt"]).startswith(f"example {surest}: true ")
    assert str(shown[0]["src"]).startswith("data:image/png;base64,iVBOR")


def test_a_regression_is_drawn_in_the_unit_of_its_targets(number_run: Path, tmp_path: Path) -> None:
    page = page_of(number_run, tmp_path)
    assert "of what makes the targets differ" in page.text
    assert "Predicted against true" in page.text
    facts = events(number_run)[0]["facts"]["preprocessing"]
    assert f"is {0.1 * facts['target_std'][0]:.3g} for the target, in the target's own unit" in page.text
    assert "Confusion" not in page.text


@pytest.mark.parametrize("policy", ["lookahead", "greedy", "once"])
def test_each_policy_has_its_tree_and_its_surfaces(policy: str, tmp_path: Path) -> None:
    budget = {} if policy == "lookahead" else {"budget": 4}
    result = tuned(policy=policy, **budget)
    path = write_report(result, tmp_path / "page.html")
    page = Read(path.read_text())
    assert "Everything that was tried, as a tree of forks" in page.text
    assert "What the search believed" in page.text
    below = "expected of the whole training" if policy == "lookahead" else "promise of a further look"
    assert below in page.text
    assert "The learning rate along the training" in page.text


def test_several_dimensions_are_shown_as_a_slice_each(tmp_path: Path) -> None:
    result = tuned(
        space=["lr=1e-4:1:log", "momentum=0.5:0.99", "kind=a,b"], policy="greedy", budget=4, epochs=2
    )
    page = Read(write_report(result, tmp_path / "page.html").read_text())
    for name in ("learning rate", "momentum", "kind"):
        assert page.text.count(name) >= 2


def test_averaged_walks_and_a_thrown_away_course_are_told_apart(tmp_path: Path) -> None:
    result = tuned(tmp_path / "run", budget=12, epochs=5)
    assert any(outcome.order for outcome in result.rollouts)
    story = replay(tmp_path / "run")
    found = {lane.name: lane for lane in lanes(story)}
    assert {"course", "walk 2"} <= set(found)
    averaged = [node for lane in found.values() for node in lane.nodes if node.members]
    assert all(len(node.members) > 1 and node.outcome.score is not None for node in averaged)
    assert sum(lane.is_kept for lane in found.values()) == 1
    told = [o.number for lane in found.values() for n in lane.nodes for o in (*n.members, n.outcome)]
    assert sorted(told) == list(range(1, len(story.rollouts)))  # each once, but the survey
    assert "averaged" in page_of(tmp_path / "run", tmp_path).text


@pytest.mark.parametrize("journal", sorted((ASSETS / "journals").glob("*.jsonl")), ids=lambda path: path.stem)
def test_older_journals_have_pages(journal: Path, tmp_path: Path) -> None:
    page = page_of(journal, tmp_path)
    assert "How the rate was looked for" in page.text


# -- from Python -----------------------------------------------------------------------------------------------


def test_a_result_writes_its_page_with_and_without_a_directory(fitted: Any, tmp_path: Path) -> None:
    path = fitted.write_report(tmp_path / "page.html")
    assert "30 examples it was also selected by" in Read(path.read_text()).text
    assert fitted.report.accuracy > 0  # the record of measures is what it was
    with pytest.raises(InvalidArgument, match="no directory"):
        fitted.write_report()
    kept = tuned(tmp_path / "run")
    assert gammatune.write_report(kept) == tmp_path / "run" / "report.html"
    with pytest.raises(InvalidArgument, match="give a run directory"):
        gammatune.write_report(3)  # type: ignore[arg-type]


def test_the_page_of_a_result_is_the_page_of_its_directory(tmp_path: Path) -> None:
    result = tuned(tmp_path / "run")
    again = tuned(tmp_path / "run")  # complete: told once more from its journal
    pages = [
        write_report(run, tmp_path / f"{i}.html").read_text()
        for i, run in enumerate([result, tmp_path / "run", again])
    ]
    assert pages[0] == pages[1] == pages[2]


def test_it_is_the_same_page_twice(flower_run: Path, tmp_path: Path) -> None:
    one = write_report(flower_run, tmp_path / "one.html").read_bytes()
    assert write_report(flower_run, tmp_path / "two.html").read_bytes() == one


# -- the unhappy runs ------------------------------------------------------------------------------------------


def test_an_interrupted_run_says_how_to_go_on(flower_run: Path, tmp_path: Path) -> None:
    def cut(event: dict[str, Any]) -> dict[str, Any] | None:
        return None if event["event"] in ("commit", "end", "report") or event.get("number", 0) > 5 else event

    run = rewrite(flower_run, tmp_path / "a run", cut)
    page = page_of(run, tmp_path)
    assert "has not ended, or was cut off" in page.text
    assert f"gammatune resume '{run}'" in page.text
    assert "No training was kept" in page.text
    assert "Nothing of the training itself is done yet" in page.text


def test_a_run_in_which_everything_diverged(flower_run: Path, tmp_path: Path) -> None:
    def fail(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["event"] in ("commit", "end", "report", "state", "gone"):
            return None
        if event["event"] == "rollout" and event["role"] != "survey":
            return event | {
                "status": "diverged",
                "score": None,
                "metrics": {"loss": "nan"},
                "note": "loss is nan",
            }
        return event

    page = page_of(rewrite(flower_run, tmp_path / "run", fail), tmp_path)
    assert "Every rollout diverged" in page.text
    assert "None of the short trainings of the search came to a score" in page.text


def test_a_run_of_one_line_has_a_page(flower_run: Path, tmp_path: Path) -> None:
    run = rewrite(flower_run, tmp_path / "run", lambda e: e if e["event"] == "begin" else None)
    page = page_of(run, tmp_path)
    assert "Nothing was trained." in page.text


@pytest.mark.parametrize("worse", [0.2, 1 / 3])
def test_no_better_than_guessing_is_said(worse: float, flower_run: Path, tmp_path: Path) -> None:
    def guess(event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] != "report":
            return event
        right = round(60 * worse)
        confusion = [[right, 20 - right, 0], [20, 0, 0], [0, 20, 0]]
        return event | {"accuracy": worse, "confusion": confusion, "measures": {}}

    text = page_of(rewrite(flower_run, tmp_path / "run", guess), tmp_path).text
    assert "by this measure it has learnt nothing" in text
    assert ("which is more" if worse < 0.3 else "which is as good") in text


@pytest.mark.parametrize("right", [2, 60])
def test_what_a_dozen_examples_cannot_tell_is_not_told(right: int, flower_run: Path, tmp_path: Path) -> None:
    """Half of two classes right is guessing; of a dozen so may be what has learnt something."""

    def change(event: dict[str, Any]) -> dict[str, Any]:
        half = [right, right + 1]
        confusion = [half, half]
        report = {"accuracy": 0.5, "confusion": confusion, "measures": {}}
        return event | report if event["event"] == "report" else event

    text = page_of(rewrite(flower_run, tmp_path / "run", change), tmp_path).text
    untold = f"whether it has learnt anything cannot be told from {4 * right + 2} examples"
    assert untold in text
    assert "has learnt nothing" not in text


def test_a_regression_rests_on_its_interval_and_its_examples(number_run: Path, tmp_path: Path) -> None:
    def of(r2: float, low: float, high: float, name: str) -> str:
        def change(event: dict[str, Any]) -> dict[str, Any]:
            held = {"r2": r2, "measures": {"r2": [r2, low, high]}, "extra": {"examples": 12, "said": []}}
            return event | held if event["event"] == "report" else event

        return page_of(rewrite(number_run, tmp_path / name, change), tmp_path).text

    assert "cannot be told from 12 examples" in of(-0.1, -0.8, 0.4, "few")
    assert "on 12 examples it has learnt nothing that shows" in of(-0.5, -0.9, -0.1, "none")
    sure = of(0.5, 0.2, 0.7, "some")
    assert "explains 50 %" in sure
    assert "cannot be told" not in sure
    assert "learnt nothing" not in sure


@pytest.mark.parametrize(
    ("said", "right", "n", "words"),
    [
        (0.696, 0.694, 400, "it is as sure as it should be:"),  # 0.2 points
        (0.75, 0.65, 20, "it is as sure as it should be:"),  # 10 points, of a few examples
        (0.95, 1.0, 12, "it is as sure as it should be:"),  # all right, as happens more often than not
        (0.9, 0.8, 1000, "It is surer than it should be:"),
        (0.6, 0.8, 1000, "It is less sure than it could be:"),
    ],
)
def test_how_sure_it_is_is_judged_beyond_chance(
    said: float, right: float, n: int, words: str, flower_run: Path, tmp_path: Path
) -> None:
    run = rewrite(flower_run, tmp_path / "run", lambda event: event)
    targets = (np.arange(n) >= round(right * n)).astype(int)
    other = np.random.default_rng(0).uniform(-0.02, 0.02, n)
    p = np.column_stack([said + other, 1 - said - other])
    np.savez(run / "predictions.npz", probabilities=p.astype(np.float32), targets=targets)
    text = page_of(run, tmp_path).text
    sentences = {"it is as sure as it should be:", "It is surer than it should be:"}
    sentences.add("It is less sure than it could be:")
    assert [sentence for sentence in sentences if sentence in text] == [words]


def test_figures_that_were_selected_by_are_marked(flower_run: Path, tmp_path: Path) -> None:
    run = rewrite(
        flower_run, tmp_path / "run", lambda e: e | {"on": "selection"} if e["event"] == "report" else e
    )
    assert "expect less on new data" in page_of(run, tmp_path).text


@pytest.mark.parametrize("name", ["predictions.npz", "pictures.npz"])
@pytest.mark.parametrize(
    "held",
    [
        b"",
        b"PK\x03\x04 no zip",
        {"x": np.zeros(3)},
        {"probabilities": np.full((3, 2), np.nan), "targets": np.zeros(3, int), "index": np.zeros(3)},
        {"probabilities": np.ones((3, 2)), "targets": np.full(3, 7), "pictures": np.zeros((3, 4), np.uint8)},
        {"predictions": np.array(["a", "b"]), "targets": np.zeros(2), "index": np.zeros(2, int)},
    ],
    ids=lambda held: "bytes" if isinstance(held, bytes) else "+".join(held),
)
def test_a_damaged_file_is_said_and_left_out(name: str, held: Any, flower_run: Path, tmp_path: Path) -> None:
    run = rewrite(flower_run, tmp_path / "run", lambda event: event)
    if isinstance(held, bytes):
        (run / name).write_bytes(held)
    else:
        np.savez(run / name, **held)
    assert name in " ".join(load_findings(run).problems)
    assert name in page_of(run, tmp_path).text


def test_names_are_text_and_never_markup(flower_run: Path, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>&\"'"

    def poison(event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "begin":
            facts = event["facts"]
            facts |= {"model": evil, "data": evil, "said": [evil], "device": evil, "optimizer": evil}
            facts["preprocessing"]["classes"] = [evil, "rose", "tulip"]
            facts["command"]["data"] = evil
            return event | {"objective": evil, "versions": {evil: evil}}
        if event["event"] == "commit":
            event["verdict"]["reason"] = evil
        if event["event"] == "rollout":
            event |= {"note": evil, "metrics": {**event["metrics"], evil: 1.0}}
            event |= {"role": evil} if event["role"] == "course" else {}
        return event

    run = rewrite(flower_run, tmp_path / "run", poison)
    (run / "predictions.npz").write_bytes((flower_run / "predictions.npz").read_bytes())
    text = write_report(run, tmp_path / "page.html").read_text()
    assert text.count("<script>") == 1
    assert "alert(1)" in text
    assert html.escape(evil, quote=False) in text or html.escape(evil) in text
    page = Read(text)
    assert not page.open
    assert evil in page.text


def test_other_facts_than_expected_do_no_harm(flower_run: Path, tmp_path: Path) -> None:
    odd: list[Any] = [None, 3, "text", [], {}, [1, [2]], True]
    for value in odd:

        def change(event: dict[str, Any], value: Any = value) -> dict[str, Any]:
            if event["event"] == "begin":
                names = (
                    "data",
                    "model",
                    "said",
                    "preprocessing",
                    "command",
                    "parameters",
                    "train",
                    "versions",
                )
                event["facts"] |= dict.fromkeys(names, value)
                event["versions"] = value
            if event["event"] == "report":
                event |= {"confusion": value}
            return event

        run = rewrite(flower_run, tmp_path / "run", change)
        (run / "predictions.npz").write_bytes((flower_run / "predictions.npz").read_bytes())
        assert page_of(run, tmp_path).text


# -- measures --------------------------------------------------------------------------------------------------


def test_intervals_of_the_journal_are_taken_before_our_own(flower_run: Path, tmp_path: Path) -> None:
    def older(event: dict[str, Any]) -> dict[str, Any]:
        return {n: v for n, v in event.items() if n not in ("measures", "metric", "extra")}

    story = replay(rewrite(flower_run, tmp_path / "older", older))
    assert [m.name for m in measures(story) if m.interval] == ["Accuracy"]  # by its counts

    def add(event: dict[str, Any]) -> dict[str, Any]:
        told = {"accuracy": [0.9, 0.81, 0.97], "auc": [0.95, 0.9, 0.99], "own <b>": [1.5, 0.0, 2.0]}
        extra = {"said": ["one class is rare"]}
        new = {"measures": told, "metric": "auc", "extra": extra}
        return event | new if event["event"] == "report" else event

    run = rewrite(flower_run, tmp_path / "run", add)
    told = replay(run)
    shown = {m.name: (m.value, m.interval) for m in measures(told)}
    assert shown["Accuracy"] == ("90.0 %", "81.0 % to 97.0 %")
    assert shown["AUC"] == ("0.950", "0.900 to 0.990")
    assert shown["own <b>"] == ("1.500", "0.000 to 2.000")
    assert measures(told)[0].name == "AUC"  # what was asked for stands first
    assert METRICS["mcc"].words.title in shown
    assert "(95 % interval 81.0 to 97.0 %)" in " ".join(verdict(told, None))
    page = page_of(run, tmp_path)
    assert "one class is rare" in page.text
    assert "own <b>" in page.text


# -- the commands ----------------------------------------------------------------------------------------------


def test_the_command_writes_and_refuses(flower_run: Path, tmp_path: Path, said: Any) -> None:
    code, out, _ = said("report", str(flower_run), "--out", str(tmp_path / "a.html"))
    assert code == 0
    assert "open it in a browser" in out
    assert (tmp_path / "a.html").stat().st_size > 20_000
    code, _, err = said("report", str(tmp_path / "nothing"))
    assert code == 1
    assert err.startswith("error: there is no run at")


def test_a_place_that_cannot_be_written_is_said(flower_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"cannot write .*choose another place"):
        write_report(flower_run, tmp_path / "no" / "page.html")
    with pytest.raises(JournalError, match="there is no run"):
        write_report(tmp_path / "no")


def test_without_jinja2_the_extra_is_named(
    flower_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gammatune\[report\]'"):
        write_report(flower_run, tmp_path / "page.html")
