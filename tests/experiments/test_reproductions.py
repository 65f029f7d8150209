"""The reproductions of the thesis: each runs in miniature and leaves what it names; what they share counts right."""

import importlib
import importlib.util
import json
import math
import sys
import types
from pathlib import Path
from typing import get_args

import needs
import pytest

from gammatune.cli.reproduce import folder, names
from gammatune.cli.reproduce import reproduce as run_command

sys.path.insert(0, str(folder()))

from reproduction import (
    SHARED,
    Asked,
    Report,
    Sample,
    cells_of,
    reproduce,
    together,
)
from verdicts import Claim, Paired, Verdict, judged, paired

ROOT = Path(__file__).resolve().parents[2]
VERDICTS = set(get_args(Verdict))

pytestmark = pytest.mark.usefixtures("matplotlib_here")


@pytest.fixture(scope="module")
def matplotlib_here():
    needs.package("matplotlib")


def test_no_two_processes_compute_the_same_cells():
    """Every name once; those that share cells in one line, in whatever order they are asked for."""
    for wanted in (names(), list(reversed(names())), ["fig21", "fig9", "table7"]):
        lines = together(wanted)
        assert sorted(name for line in lines for name in line) == sorted(wanted)
    assert together(["fig21", "fig9", "table7"]) == [["table7", "fig21"], ["fig9"]]
    for line in SHARED:
        assert set(line) <= set(names())
        for name in line:  # whoever opens the same file of cells is in the same line
            text = (folder() / f"{name}.py").read_text()
            if "mnist_small" in text:
                assert "table4" in line


def test_processes_give_what_one_gives(tmp_path):
    wanted = ["fig9", "fig3", "fig10"]
    one = run_command(wanted, "smoke", 2, None, str(tmp_path / "one"))
    two = run_command(wanted, "smoke", 2, None, str(tmp_path / "two"), jobs=2)
    assert [r.name for r in two] == wanted
    assert [(r.rows, r.claims, r.notes) for r in one] == [(r.rows, r.claims, r.notes) for r in two]


# Every figure and table -----------------------------------------------------------------------------------

# Those that need no data; every other one reads MNIST or CIFAR-10, or is skipped where those are not at hand.
OF_FORMULAS = ("fig3", "fig4", "fig5", "fig6", "fig9", "fig10", "fig11", "fig12", "fig13")
OF_CIFAR = ("table1", "table7", "fig21")


def missing(name: str) -> list[Path]:
    """The files that the reproduction needs and that are not here."""
    if name in OF_FORMULAS:
        return []
    needed = [needs.data_folder() / "mnist.npz"]
    if name in OF_CIFAR:
        needed += [needs.data_folder() / f"cifar10_{part}_jpeg.npz" for part in ("train", "test")]
    return [path for path in needed if not path.is_file()]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", names())
def test_a_reproduction_runs_in_miniature_and_leaves_what_it_names(name, tmp_path):
    if missing(name):
        pytest.skip(needs.DATA)
    module = importlib.import_module(name)
    data = None if name in OF_FORMULAS else needs.data_folder()
    report = reproduce(
        module, Asked("smoke", 1, data=data, out=tmp_path / "out", cache=tmp_path / "out" / ".cache")
    )
    written = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert (report.name, report.title) == (module.NAME, module.TITLE) == (name, written["title"])
    assert (tmp_path / "out" / f"{name}.md").read_text().startswith(f"## {name}: ")
    assert report.rows or report.pictures
    assert all(len(row) == len(report.columns) for row in report.rows)
    assert {claim["verdict"] for claim in written["claims"]} <= VERDICTS
    assert all((tmp_path / "out" / picture).stat().st_size > 0 for picture in report.pictures)
    drawn = {Path(picture) for picture in report.pictures}
    assert all(path.with_suffix(".svg") in drawn for path in drawn if path.suffix == ".png")
    if name.startswith("fig"):
        assert any(path.suffix == ".png" for path in drawn)


@pytest.mark.parametrize("path", sorted((folder() / "results").glob("*.svg")), ids=lambda path: path.name)
def test_committed_drawings_are_small_and_have_their_picture(path):
    assert path.stat().st_size < 300_000
    assert path.with_suffix(".png").is_file()


@pytest.mark.parametrize("path", sorted((folder() / "results").glob("**/*.json")), ids=lambda path: path.name)
def test_committed_results_name_what_is_there(path):
    result = json.loads(path.read_text())
    assert result["name"] == path.stem
    assert path.stem in result["command"]
    assert path.with_suffix(".md").is_file()
    assert [name for name in result["pictures"] if not (path.parent / name).is_file()] == []


# Numbers --------------------------------------------------------------------------------------------------


def test_paired_by_hand():
    # differences 1, -2, 3, 0, 4: of the four that tell, ranks 1, 2, 3, 4; in favour 1 + 3 + 4, against 2
    test = paired([2, 1, 5, 4, 9], [1, 3, 2, 4, 5])
    assert test.difference == pytest.approx((1 - 2 + 3 + 0 + 4) / 5)
    assert test.effect == pytest.approx((8 - 2) / 10)
    # a rank sum of 2 or less against: of the 16 ways to sign four ranks {}, {1} and {2}; twice, both sides
    assert test.p == pytest.approx(2 * 3 / 16)
    assert test.n == 5


def test_paired_shares_the_ranks_of_equal_differences():
    # differences 1, 1, -1: each has rank 2
    assert paired([2, 2, 1], [1, 1, 2]).effect == pytest.approx((2 + 2 - 2) / 6)


def test_paired_turns_its_sign_with_its_sides():
    one, other = [3.0, 5.0, 2.5, 8.0], [1.0, 5.5, 2.0, 4.0]
    there, back = paired(one, other), paired(other, one)
    assert (there.difference, there.effect, there.p) == pytest.approx(
        (-back.difference, -back.effect, back.p)
    )


def test_paired_of_equal_samples_tells_nothing():
    assert paired([1, 2, 3], [1, 2, 3]) == Paired(0.0, 1.0, 0.0, 3, 0.0, 0)


def test_paired_takes_the_same_seeds_on_both_sides():
    with pytest.raises(ValueError, match=r"longer|shorter"):
        paired([1, 2, 3], [1, 2])


@pytest.mark.parametrize(
    ("difference", "p", "better", "margin", "verdict"),
    [
        (2.0, 0.01, "more", 0.0, "holds"),
        (-2.0, 0.01, "more", 0.0, "does not hold"),
        (-2.0, 0.01, "less", 0.0, "holds"),
        (2.0, 0.01, "less", 0.0, "does not hold"),
        (2.0, 0.05, "more", 0.0, "cannot be told"),  # not below 0.05
        (-2.0, 0.3, "more", 0.0, "cannot be told"),
        (2.0, 0.01, "more", 2.5, "cannot be told"),  # that way, but not by the margin
        (3.0, 0.01, "more", 2.5, "holds"),
    ],
)
def test_judged(difference, p, better, margin, verdict):
    claim = judged("one is better", Paired(difference, p, 0.5, 8, 4.0, 8), better=better, margin=margin)
    assert claim.verdict == verdict
    assert claim.text == "one is better"
    assert "n 8" in claim.words


def test_five_seeds_can_not_make_a_claim_hold():
    # the smallest p that five pairs can have is 2 / 32
    assert judged("", paired([2, 3, 4, 5, 6], [1, 1, 1, 1, 1]), better="more").verdict == "cannot be told"
    assert judged("", paired([2, 3, 4, 5, 6, 7], [1] * 6), better="more").verdict == "holds"


def test_sample_text():
    assert Sample((1.0, 3.0)).text() == f"2.00 ± {math.sqrt(2):.2f}"
    assert Sample((1.0, 3.0), thesis=46.0).text(1) == "2.0 ± 1.4 (46.0)"
    assert Sample((2.5,), thesis=3.0).text() == "2.50 (3.00)"  # one seed has no spread
    assert Sample((2.5,)).sd == 0.0


# Cells ----------------------------------------------------------------------------------------------------


def test_a_cell_is_computed_once_and_survives_a_reopen(tmp_path):
    options, computed = Asked(cache=tmp_path / "cache"), []

    def compute():
        computed.append(1)
        return {"accuracy": (0.5, 0.25)}

    cells = cells_of(options, "grids")
    first = cells.get({"lr": 0.1, "seed": 0}, compute)
    assert first == cells.get({"seed": 0, "lr": 0.1}, compute)  # the order of a key is nothing
    assert (
        first == cells_of(options, "grids").get({"lr": 0.1, "seed": 0}, compute) == {"accuracy": [0.5, 0.25]}
    )
    assert len(computed) == 1
    cells_of(options, "grids").get({"lr": 0.1, "seed": 1}, compute)
    cells_of(options, "other").get({"lr": 0.1, "seed": 0}, compute)
    assert len(computed) == 3


def test_a_cell_that_fails_is_not_kept(tmp_path):
    options = Asked(cache=tmp_path)
    with pytest.raises(ZeroDivisionError):
        cells_of(options, "grids").get({"seed": 0}, lambda: 1 / 0)
    assert cells_of(options, "grids").get({"seed": 0}, lambda: 7) == 7


# The report -----------------------------------------------------------------------------------------------


def test_a_report_is_written_as_json_and_as_a_table(tmp_path):
    def run(options):
        report = Report("table0", "A title", ["search", "accuracy"], [["grid", "47.00"]])
        report.claims.append(Claim("gamma is better", "cannot be told", "p 0.4"))
        report.pictures += ["table0.png", "table0.svg"]
        report.notes.append("A note.")
        return report

    reproduce(types.SimpleNamespace(run=run), Asked("smoke", 2, out=tmp_path))
    assert (tmp_path / "table0.md").read_text() == (
        "## table0: A title\n\n| search | accuracy |\n| --- | --- |\n| grid | 47.00 |\n\n"
        "- **cannot be told**: gamma is better (p 0.4)\n\nA note.\n\n![A title](table0.png)\n"
    )
    result = json.loads((tmp_path / "table0.json").read_text())
    assert result["command"] == "gammatune reproduce table0 --scale smoke --seeds 2"
    assert result["rows"] == [["grid", "47.00"]]


# The sine example -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian", "gamma"])
def test_the_drawn_acquisition_is_the_one_that_the_search_followed(name):
    import numpy as np
    import sine_example as sine

    steps = sine.play(name, seed=0, evaluations=6)
    assert [step["x"] for step in steps[:2]] == pytest.approx([-0.9, 1.1])
    for seen in range(2, 6):
        surrogate, acquisition = sine.beliefs(name, steps[:seen])
        taken = acquisition(surrogate, sine.unit([steps[seen]["x"]]))[0]
        line = acquisition(surrogate, sine.unit(np.linspace(sine.LOW, sine.HIGH, 61)))
        assert taken >= line.max() - 1e-3
        assert surrogate.data.n == seen


def test_evaluations_are_counted_until_the_recommended_point_is_close():
    import sine_example as sine

    far, near = {"x": 1.1, "score": 0.0}, {"x": sine.TOP_X, "score": 0.0}
    steps = [{**far, "recommended": 1.1}, {**near, "recommended": 1.1}, {**far, "recommended": sine.TOP_X}]
    assert (sine.visit(steps), sine.evaluations(steps)) == (2, 3)
    assert sine.evaluations(steps[:2]) == 3  # never: one more than there are
    used_up = [*steps[:1], {"x": None, "score": None, "recommended": 1.1}]
    assert sine.visit(used_up) == 3
    assert len(sine.told(used_up)) == 1


def test_the_verdict_on_a_count():
    import sine_example as sine

    assert sine.needs("", [8, 9, 8, 9], 8, 9).verdict == "holds"
    assert sine.needs("", [12, 13, 14, 12, 13, 15], 8, 9).verdict == "does not hold"
    assert sine.needs("", [4, 14, 12, 3, 13, 12], 8, 9).verdict == "cannot be told"
