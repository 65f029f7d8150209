"""scripts/numbers: the documents' numbers are those of the result files, and each file says where it is from."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks" / "equal_cost"))

import anchors
import ratios  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parent.parent

FILE = {
    "rows": [
        {"method": "gamma", "n": 5, "ms": 2.56, "runs": 3},
        {"method": "gamma", "n": 20, "ms": 2.21, "runs": 1001},
        {"method": "random", "n": 20, "ms": 0.07, "runs": 0},
    ],
    "a/b": {"share": 0.0327, "ratio": 1.146},
    "difference": -0.04,
    "name": "gamma",
}


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ("rows/method=gamma&n=20/ms;.1f", "2.2"),
        ("rows/1/runs", "1,001"),
        ("rows/-1/runs", "0"),
        ("rows/*/ms;max;.2f", "2.56"),
        ("rows/*method=gamma/ms;mean;.3f", "2.385"),
        ("rows;count", "3"),
        ("rows;count;word", "three"),
        ("a~1b/share;percent;.0f", "3"),
        ("a~1b/ratio;more;.1f", "14.6"),
        ("difference;+.2f", "-0.04"),
        ("difference;.1f", "0.0"),
        ("difference;.1e", "-4.0e-02"),
    ],
)
def test_a_number_is_found(terms: str, text: str) -> None:
    written, _ = anchors.rewrite(f"about 7<!-- file.json#{terms} --> of them", {"file.json": FILE})
    assert written == f"about {text}<!-- file.json#{terms} --> of them"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1<!-- other.json#rows -->", "there is no other.json"),
        ("1<!-- file.json#row;count -->", "there is no 'row'; there are rows, a/b, difference, name"),
        ("1<!-- file.json#rows/7/ms;.1f -->", "there is no '7'; there are 3 entries"),
        ("1<!-- file.json#rows/method=gamma/ms;.1f -->", "2 records have method=gamma"),
        ("1<!-- file.json#name -->", "is no number but gamma"),
        ("1<!-- file.json#difference -->", "needs one format"),
        ("1<!-- file.json#rows/0/ms;.1f;.2f -->", "needs one format"),
        ("1<!-- file.json#rows/1/runs;word -->", "there is no word for 1001"),
        ("much<!-- file.json#rows;count -->", "has no number in front of it; it is 3"),
        ("<!-- file.json#rows;count -->", "has no number in front of it"),
    ],
)
def test_an_anchor_that_leads_nowhere_is_told(line: str, why: str) -> None:
    with pytest.raises(anchors.AnchorError, match=f"line 2: <!-- .*{re.escape(why)}"):
        anchors.rewrite(f"a page\n{line}", {"file.json": FILE})


def test_what_stands_about_a_number_stays() -> None:
    page = (
        "| **1<!-- file.json#rows;count -->** | −9<!-- file.json#difference;.2f --> |\n"
        "Three<!-- file.json#rows;count;word -->, 5"
    )
    written, differences = anchors.rewrite(page, {"file.json": FILE})
    assert written == page.replace("**1<", "**3<").replace("−9<", "−0.04<")
    assert [(d.line, d.page, d.result) for d in differences] == [(1, "1", "3"), (1, "−9", "−0.04")]


def test_fenced_blocks_are_left_alone() -> None:
    page = "```\n1<!-- nowhere.json#rows -->\n```\n<!-- a comment -->\n"
    assert anchors.rewrite(page, {}) == (page, [])


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from([".0f", ".1f", ".3f", "+.2f", ",.0f", ".2e", ".3g"]),
    st.text("a0 .,|*-", max_size=6),
)
def test_written_twice_is_written_once(value: float, form: str, before: str) -> None:
    """Whatever stands before it: the number is found again, and is the file's."""
    contents = {"file.json": {"value": value}}
    page = f"{before} 0<!-- file.json#value;{form} --> after"
    once, _ = anchors.rewrite(page, contents)
    assert anchors.rewrite(once, contents) == (once, [])
    assert once.endswith("<!-- file.json#value;" + form + " --> after")


def test_the_command_compares_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "file.json").write_text(json.dumps(FILE))
    page = tmp_path / "README.md"
    page.write_text("4<!-- file.json#rows;count --> rows\n")
    assert anchors.main(["--check"], tmp_path) == 1
    assert "README.md, line 1: 4 is 3 by <!-- file.json#rows;count -->" in capsys.readouterr().out
    assert page.read_text().startswith("4<")
    assert anchors.main([], tmp_path) == 0
    assert page.read_text() == "3<!-- file.json#rows;count --> rows\n"
    assert anchors.main(["--check"], tmp_path) == 0


def test_the_documents_say_what_the_files_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert anchors.main(["--check"]) == 0, capsys.readouterr().out


def test_readme_and_promises_have_anchors() -> None:
    for name, least in (("README.md", 9), ("docs/site/promises.md", 50), ("docs/site/not-this.md", 80)):
        assert len(anchors.ANCHOR.findall((ROOT / name).read_text())) >= least, name


def test_the_ratios_are_those_of_the_cells() -> None:
    cells = json.loads(ratios.RESULTS.read_text())
    assert json.loads(ratios.OUT.read_text()) == json.loads(json.dumps(ratios.ratios(cells)))


# Where a number is from --------------------------------------------------------------------------------------

PATHS = [path for folder in anchors.RESULTS for path in sorted((ROOT / folder).glob("*.json"))]
BEFORE = "written before heads had a command: "
LACKS: dict[str, tuple[set[str], str]] = {  # what a result file's head does not say, and why
    "equal_cost.json": ({"command"}, "grown over many calls: benchmarks/equal_cost/run.py, whose commits it lists"),
    "ranks.json": ({"command"}, BEFORE + "python benchmarks/ranks.py"),
    "sizes.json": ({"command"}, BEFORE + "python benchmarks/sizes.py"),
    "stacked.json": ({"command"}, BEFORE + "python benchmarks/stacked.py"),
    "suggestion.json": ({"command"}, BEFORE + "python benchmarks/suggestion.py"),
    "digits.json": ({"command"}, BEFORE + "python experiments/digits.py"),
    "mnist.json": ({"command"}, BEFORE + "python experiments/mnist.py"),
    "plateau.json": ({"command"}, BEFORE + "python experiments/plateau.py"),
    "sine.json": ({"command"}, BEFORE + "python experiments/sine.py, whose source it has"),
    "surrogate_prior.json": ({"command", "processor"}, BEFORE + "python experiments/surrogate_prior.py"),
    "thesis_dropout.json": ({"command"}, BEFORE + "python experiments/thesis_dropout.py"),
    "truth.json": ({"command"}, BEFORE + "python experiments/population/truth.py"),
}  # fmt: skip


def lacking(content: dict[str, Any]) -> set[str]:
    """What is not said of the machine, its versions and the command."""
    parts = [
        content,
        *(value for value in content.values() if isinstance(value, dict) and "machine" in value),
    ]
    head = {key: value for part in parts for key, value in {**part, **part.get("machine", {})}.items()}
    head |= {"processor": head.get("processor") or head.get("cpu")}
    return {name for name in ("command", "processor", "cores", "python", "versions") if not head.get(name)}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_result_file_says_where_it_is_from(path: Path) -> None:
    allowed, why = LACKS.get(path.name, (set(), ""))
    assert lacking(json.loads(path.read_text())) == allowed, why or "see LACKS"
    for script in re.findall(r"[\w/]+\.py", why):
        assert (ROOT / script).exists(), script


def test_no_exception_is_left_over() -> None:
    assert set(LACKS) <= {path.name for path in PATHS}
