"""What goes into a paper, true to the run, and what to cite; what is said first, and what to do next."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_runs import events, rewrite
from test_page import ASSETS, Read, page_of

from gammatune.journal.history import Story, replay
from gammatune.report.html.page import write_report
from gammatune.report.learnt import by_labels, headline, whether_of
from gammatune.report.live import LiveDisplay
from gammatune.report.methods import methods_of
from gammatune.report.terminal import final_screen
from gammatune.report.what_now import next_step, what_now


def changed(run: Path, to: Path, report: Any = None, command: Any = None) -> Story:
    """The run with other fields in its report's extra, and in what was asked for."""

    def change(event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "report" and report is not None:
            report(event)
        if event["event"] == "begin":
            event["facts"]["command"] |= command or {}
        return event

    return replay(rewrite(run, to, change))


def screen(story: Story, run: Path | None = None) -> str:
    console = Console(width=160)
    with console.capture() as said:
        console.print(final_screen(story, None if run is None else str(run)))
    return said.get()


# -- a paragraph ---------------------------------------------------------------------------------------------


def test_a_table_is_told_by_its_journal(table_run: Path) -> None:
    story = replay(table_run)
    text = methods_of(story).paragraph
    report = story.report
    assert report is not None
    value, low, high = report["measures"]["accuracy"]
    for said in (
        "Models were trained on people.csv to predict answer (2 classes: no, yes).",
        "80 were held out and took no part in either; the parts were drawn at random",
        "Predictors were 2 numeric columns, 1 categorical column and 1 date.",
        "Missing values of numbers and dates (income) were replaced by the median",
        "A logistic regression with an L2 penalty, gradient-boosted trees and a neural network",
        f"accuracy was {100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]",
        f"gammatune {story.begin['gammatune']}, PyTorch",
        f"scikit-learn {story.begin['versions']['scikit-learn']}",
        "the random seed was 0.",
    ):
        assert said in text
    assert "None" not in text


def test_what_was_asked_for_is_told(table_run: Path, tmp_path: Path) -> None:
    def text(**command: Any) -> str:
        name = "-".join(command)
        return methods_of(changed(table_run, tmp_path / name, command=command)).paragraph

    assert "examples of the same who were kept in one part" in text(group="who")
    assert "the latest by asked were held out" in text(time_column="asked")
    assert "the held-out examples are those of later.csv" in text(test="there/later.csv")
    assert "weighted inversely to their frequency" in text(class_weights="balanced")
    assert "Examples were weighted by weight." in text(sample_weight="weight")


def test_a_cross_validation_is_told(table_run: Path, tmp_path: Path) -> None:
    def crossed(event: dict[str, Any]) -> None:
        event["extra"]["beside"] |= {"parts": 5, "repeats": 2, "examples": 320, "nets": 11}

    text = methods_of(changed(table_run, tmp_path / "run", crossed)).paragraph
    assert "320 examples were used for training and for choosing among models and settings" in text
    assert "in a cross-validation of 5 parts, repeated 2 times, on 320 examples" in text
    assert "all 11 answer together, by their average" in text
    assert "The linear model was then fitted anew to all examples but those that are reported on." in text
    assert "The boosted trees are the average of the 10 that were grown in the cross-validation" in text


def test_the_choice_is_told_as_it_was_made(table_run: Path, tmp_path: Path) -> None:
    def untold(event: dict[str, Any]) -> None:
        for each in event["extra"]["beside"]["models"]:
            each["selected"] = None

    def lost(event: dict[str, Any]) -> None:
        event["extra"]["beside"] |= {"model": "net", "sha256": None}

    def text(change: Any, **command: Any) -> str:
        return methods_of(changed(table_run, tmp_path / change.__name__, change, command)).paragraph

    assert "half a standard error" in text(lambda event: None)
    for change, said in (
        (untold, "accuracy had no value on those to choose by"),
        (lost, "could not be kept"),
    ):
        assert said in text(change)
        assert "half a standard error" not in text(change)
    assert "in the proportions" not in text(lost)
    assert "models and settings" not in text(lost, only="trees")


@pytest.mark.parametrize("journal", sorted((ASSETS / "journals").glob("*.jsonl")), ids=lambda path: path.stem)
def test_older_journals_tell_what_they_know(journal: Path) -> None:
    methods = methods_of(replay(journal))
    assert "seed" in methods.paragraph
    assert "None" not in str(methods)


def test_a_run_without_figures_has_a_paragraph(flower_run: Path, tmp_path: Path) -> None:
    only = rewrite(flower_run, tmp_path / "run", lambda e: e if e["event"] == "begin" else None)
    assert "the random seed was 0" in methods_of(replay(only)).paragraph


def test_the_command_and_the_page_say_the_same(table_run: Path, tmp_path: Path, said: Any) -> None:
    code, out, _ = said("methods", str(table_run))
    methods = methods_of(replay(table_run))
    assert (code, out) == (0, f"{methods}\n")
    page = page_of(table_run, tmp_path)
    assert methods.paragraph in page.text
    assert all(one in page.text for one in methods.citations)
    assert out.splitlines()[2].startswith("The gammatune authors. gammatune: trains a neural network")
    assert said("methods", str(tmp_path / "none"))[0] == 1


# -- what is said first, and what comes next --------------------------------------------------------------------


@pytest.mark.parametrize("whether", ["nothing", "untold"])
def test_what_learnt_nothing_says_so_first(whether: str, table_run: Path, tmp_path: Path) -> None:
    story = changed(table_run, tmp_path / "run", lambda event: event["extra"].update(learnt=whether))
    doubt = headline(story.report)
    assert doubt is not None
    assert screen(story).startswith(doubt)
    text = page_of(tmp_path / "run", tmp_path).text
    assert text.index(doubt) < text.index("neural network (")
    assert "do not show that the model predicts better" in methods_of(story).paragraph
    assert next_step(story) == whether
    lines = what_now(story, "runs/a b-1")
    assert len(lines) == 3
    assert "What would help" in lines[0]
    assert not any("predict" in line for line in lines)


def test_what_learnt_something_does_not(table_run: Path, tmp_path: Path) -> None:
    story = replay(table_run)
    assert whether_of(story.report) == "something"
    assert headline(story.report) is None
    assert screen(story).startswith("schedule found")


def test_runs_that_do_not_say_are_judged_by_their_figures(
    flower_run: Path, number_run: Path, tmp_path: Path
) -> None:
    def guess(event: dict[str, Any]) -> None:
        event |= {"confusion": [[20, 0, 0], [20, 0, 0], [20, 0, 0]], "accuracy": 1 / 3}

    assert whether_of(replay(flower_run).report) == "something"
    assert whether_of(changed(flower_run, tmp_path / "run", guess).report) == "nothing"
    assert whether_of(replay(number_run).report) == "something"
    assert whether_of(None) is None
    assert whether_of({"accuracy": 0.5, "extra": {"learnt": "much"}}) is None


def test_where_examples_weigh_differently_none_are_counted(table_run: Path, tmp_path: Path) -> None:
    """The confusion matrix counts each once, and would say another accuracy beside the weighted one."""

    def weighted(event: dict[str, Any]) -> None:
        event |= {"confusion": [[60, 0], [20, 0]], "accuracy": 0.9}
        event["extra"] |= {"weighted": True, "learnt": "untold"}

    story = changed(table_run, tmp_path / "run", weighted)
    assert whether_of(story.report) == "untold"
    assert by_labels(story.report or {}) is None
    assert "most frequent class" not in methods_of(story).paragraph
    text = page_of(tmp_path / "run", tmp_path).text
    assert (
        "right for 90.0 % of examples that played no part in the training, by what they weigh (95 %" in text
    )
    assert "Whether it has learnt anything cannot be told from so few examples." in text
    assert " of 80 examples" not in text
    assert "Always naming" not in text


def test_the_next_step_fits_the_result(table_run: Path, tmp_path: Path) -> None:
    def rare(event: dict[str, Any]) -> None:
        event["confusion"] = [[60, 0], [20, 0]]

    def wide(event: dict[str, Any]) -> None:
        event["measures"]["accuracy"] = [0.75, 0.6, 0.9]

    def narrow(event: dict[str, Any]) -> None:
        event["measures"]["accuracy"] = [0.75, 0.74, 0.76]

    def alone(event: dict[str, Any]) -> None:
        narrow(event)
        del event["extra"]["beside"]["models"][0]

    def once(event: dict[str, Any]) -> None:
        narrow(event)
        event["extra"]["beside"] |= {"once_by_time": True, "rounds_in_time": 60}

    def perfect(event: dict[str, Any]) -> None:
        event["measures"]["balanced-accuracy"] = [0.995, 0.98, 1.0]

    found = {
        each.__name__: changed(
            table_run, tmp_path / each.__name__, each, {"time": 60.0 if each in (alone, once) else None}
        )
        for each in (rare, wide, narrow, alone, once, perfect)
    }
    assert {name: next_step(story) for name, story in found.items()} == {
        "rare": "rare", "wide": "wide", "narrow": "seed", "alone": "time", "once": "one part",
        "perfect": "too good",
    }  # fmt: skip
    assert "number of boosting rounds (at most 60, for the time)" in methods_of(found["once"]).paragraph
    assert "wide, 60 to 90 %: about 4 times the rows" in what_now(found["wide"], "run")[2]
    most = found["perfect"].report["extra"]["importance"]["features"][0]["name"]  # type: ignore[index]
    assert what_now(found["perfect"], "run")[2] == (
        "Nearly all of it is told right, which may be too good to be true. "
        f"If {most}, needed most, is only known once answer is, leave it out: --drop {most}."
    )
    lines = what_now(found["narrow"], "a run")
    assert lines[0] == "To predict new rows: gammatune predict 'a run' NEW.csv"
    assert lines[1].startswith("To take the model elsewhere: gammatune export 'a run' --out model.")
    assert what_now(found["narrow"], None) == []


def test_the_next_step_is_none_that_was_taken(table_run: Path, tmp_path: Path) -> None:
    def rare(event: dict[str, Any]) -> None:
        event["confusion"] = [[60, 0], [20, 0]]

    def alone(event: dict[str, Any]) -> None:
        event["measures"]["accuracy"] = [0.75, 0.74, 0.76]
        del event["extra"]["beside"]["models"][0]

    def five(event: dict[str, Any]) -> None:
        event["confusion"] = [[9, 0, 0], [5, 0, 0], [4, 0, 0]]

    two = what_now(changed(table_run, tmp_path / "five", five), "run")[2]
    assert two.startswith("2 classes are never predicted (")
    assert "since they are rare" in two
    weighted = changed(table_run, tmp_path / "w", rare, {"class_weights": "balanced"})
    assert "--class-weights" not in what_now(weighted, "run")[2]
    only = changed(table_run, tmp_path / "o", alone, {"time": 60.0, "only": "trees"})
    assert next_step(only) == "seed"
    assert "--seed 1 divides the rows otherwise" in what_now(only, "run")[2]
    in_time = changed(table_run, tmp_path / "t", alone, {"time_column": "asked"})
    in_time.begin["seed"] = 1
    assert "--seed 2 draws anew what is drawn" in what_now(in_time, "run")[2]


# -- one result, said alike everywhere ------------------------------------------------------------------------


def test_which_model_and_epoch_is_the_same_everywhere(
    table_run: Path, flower_run: Path, tmp_path: Path, said: Any
) -> None:
    story = replay(table_run)
    back = story.handed_back
    model = story.report["extra"]["beside"]["model"]  # type: ignore[index]
    assert back is not None
    assert model != "net"
    name = {"linear": "the linear model", "trees": "the boosted trees"}.get(model, "the average of")
    _, shown, _ = said("show", str(table_run))
    assert f"handed over    {name}" in shown
    assert f"the network    {back}" in shown
    told = json.loads(said("show", str(table_run), "--json")[1])
    assert (told["handed_over"], told["learnt"]) == (model, "something")
    assert told["handed_back"]["epoch"] == back.epoch
    text = page_of(table_run, tmp_path).text
    assert f"What the run hands over is {name}" in text
    assert f"{back.epoch} of {back.trained} epoch of the network" in text
    both = tmp_path / "both.html"
    assert said("compare", str(table_run), str(flower_run), "--out", str(both))[0] == 0
    compared = Read(both.read_text()).text
    assert f"handed over {name}" in compared
    assert f"the network {back}" in compared
    assert f"handed back {replay(flower_run).handed_back}" in compared
    assert f"after epoch {back.epoch} of {back.trained}" in methods_of(story).paragraph


def test_mistakes_name_the_rows_of_the_file(table_run: Path, tmp_path: Path) -> None:
    lines = (table_run.parent / "people.csv").read_text().splitlines()
    text = screen(replay(table_run), table_run)
    at = text.index("the worst mistakes")
    heads, *rows = [line.split() for line in text[at:].splitlines()[1:5]]
    assert heads[:3] == ["row", "true", "predicted"]
    for row, true, predicted, *_ in rows:
        assert lines[int(row)].split(",")[-1] == true != predicted
    page = page_of(table_run, tmp_path)
    assert "The row in the file, from 1 below the names" in page.text
    assert f"{rows[0][0]} {rows[0][1]} {rows[0][2]}" in page.text


# -- the columns ----------------------------------------------------------------------------------------------


def test_columns_are_drawn(table_run: Path, tmp_path: Path) -> None:
    held = events(table_run)[-1]["extra"]
    names = [each["name"] for each in held["dependence"]]
    assert names == [each["name"] for each in held["importance"]["features"]][:3]
    age = next(each for each in held["dependence"] if each["name"] == "age")
    assert age["kind"] == "number"
    assert age["values"] == sorted(age["values"])
    assert all(18 <= value <= 85 for value in age["values"])
    yes = [row[1] for row in age["outputs"]]
    assert yes[-1] > yes[0] + 0.3
    text = write_report(table_run, tmp_path / "page.html").read_text()
    assert "What each column is worth" in text
    assert all(f"The mean answer along {name}" in text for name in names)


def test_other_columns_than_expected_do_no_harm(table_run: Path, tmp_path: Path) -> None:
    odd: list[Any] = [
        None,
        3,
        "text",
        [],
        {},
        [{}],
        [{"name": 3, "values": [1, "x"], "outputs": [["nan"], [1]]}],
    ]
    for place, value in enumerate(odd):
        for name in ("dependence", "importance", "learnt"):

            def change(event: dict[str, Any], name: str = name, value: Any = value) -> None:
                event["extra"][name] = value

            changed(table_run, tmp_path / f"{place}{name}", change)
            page_of(tmp_path / f"{place}{name}", tmp_path)
    strange = [
        {"name": "<b>", "kind": "category", "values": ["<i>", "b"], "outputs": [[0.1, 0.9], [0.2, 0.8]]}
    ]
    changed(table_run, tmp_path / "s", lambda event: event["extra"].update(dependence=strange))
    text = write_report(tmp_path / "s", tmp_path / "s.html").read_text()
    assert "&lt;i&gt;" in text
    assert "<i>" not in text.split("What the columns do")[1].split("</section>")[0]


def test_a_run_without_a_network_speaks_of_none(table_run: Path, tmp_path: Path) -> None:
    def alone(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["event"] not in ("begin", "end", "report"):
            return None
        if event["event"] == "begin":
            event |= {"policy": "none", "sampler": "none"}
            event["facts"]["model"] = "trees"
        if event["event"] == "report":
            beside = event["extra"]["beside"]
            beside["models"] = [each for each in beside["models"] if each["kind"] == "trees"]
            beside["model"] = "trees"
        return event

    run = rewrite(table_run, tmp_path / "run", alone)
    text = methods_of(replay(run)).paragraph
    assert text.startswith("Gradient-boosted trees were trained on people.csv to predict answer")
    assert "network" not in text
    page = page_of(run, tmp_path).text
    assert "The boosted trees were trained on 320 examples of people.csv, and no network." in page
    assert "The model of boosted trees is right for" in page
    for left_out in ("The learning rate it found", "How the training went", "What these words mean"):
        assert left_out not in page
    assert not page_of(run, tmp_path).open


def test_a_run_without_a_network_that_was_killed_speaks_of_none(table_run: Path, tmp_path: Path) -> None:
    def begun(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["event"] != "begin":
            return None
        event |= {"policy": "none", "sampler": "none"}
        event["facts"]["model"] = "trees"
        return event

    run = rewrite(table_run, tmp_path / "run", begun)
    assert methods_of(replay(run)).paragraph.startswith("Gradient-boosted trees were trained on people.csv")
    assert "network" not in methods_of(replay(run)).paragraph
    page = page_of(run, tmp_path).text
    assert "The boosted trees were trained on" in page
    assert "The learning rate it found" not in page
    display = LiveDisplay(Console(width=80))
    display(events(run)[0])
    with (console := Console(width=80)).capture() as shown:
        console.print(display.render())
    assert "epochs" not in shown.get()
