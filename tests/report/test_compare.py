"""Several runs on one page: what differs, whether it is more than chance, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import keep_predictions, rewrite
from test_page import Read, page_of

from gammatune.errors import InvalidArgument, JournalError
from gammatune.report.html.comparison import write_comparison


def copy(run: Path, to: Path, **begin: Any) -> Path:
    return rewrite(run, to, lambda e: e | begin if e["event"] == "begin" else e)


def text(runs: list[Path], to: Path) -> str:
    return Read(write_comparison(runs, to / "page.html").read_text(encoding="utf-8")).text


def test_what_was_asked_for_differently_is_listed(flower_run: Path, tmp_path: Path) -> None:
    other = copy(flower_run, tmp_path / "other", seed=7, budget=3.5)
    said = text([flower_run, other], tmp_path)
    assert "budget 1.5 3.5" in said
    assert "different seeds" in said
    assert "epochs 8 8" not in said
    alike = text([flower_run, copy(flower_run, tmp_path / "alike")], tmp_path)
    assert "all of them were asked for the same" in alike


def test_runs_of_two_versions_of_the_policy_were_not_asked_for_the_same(
    flower_run: Path, tmp_path: Path
) -> None:
    """Those of the first do not say so."""

    def first(event: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in event.items() if name != "policy_version"}

    runs = [rewrite(flower_run, tmp_path / "first", first)]
    runs += [copy(flower_run, tmp_path / f"version-{n}", policy_version=n) for n in (1, 2)]
    assert "policy_version 1 2" in text([runs[0], runs[2]], tmp_path)
    assert "all of them were asked for the same" in text(runs[:2], tmp_path)


def test_other_data_and_unfinished_runs_are_said(flower_run: Path, tmp_path: Path) -> None:
    def elsewhere(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["event"] == "begin":
            event["facts"]["data"] = "weeds.npz"
        return None if event["event"] in ("end", "report") else event

    said = text([flower_run, rewrite(flower_run, tmp_path / "weeds", elsewhere)], tmp_path)
    assert "on different data" in said
    assert "weeds did not come to its end (unfinished)" in said
    assert "none can be called the better one" in said


@pytest.mark.parametrize("apart", [0, 3, 40])
def test_a_difference_is_real_only_where_chance_does_not_explain_it(
    apart: int, flower_run: Path, tmp_path: Path
) -> None:
    runs = [copy(flower_run, tmp_path / name) for name in ("good", "other")]
    targets = np.arange(60) % 3
    for run, wrong in zip(runs, (0, apart), strict=True):
        p = np.eye(3, dtype=np.float32)[(targets + (np.arange(60) < wrong)) % 3]
        np.savez(run / "predictions.npz", probabilities=p, targets=targets)
    said = text(runs, tmp_path)
    assert ("good is better by more than chance explains" in said) is (apart == 40)
    assert ("is no more than chance may bring" in said) is (apart != 40)


def test_other_examples_are_not_compared_one_by_one(flower_run: Path, tmp_path: Path) -> None:
    other = copy(flower_run, tmp_path / "other")
    keep_predictions(other, 45, 3)
    said = text([flower_run, other], tmp_path)
    assert "Is the difference real?" not in said
    assert "kept no predictions of the same examples" in said


def test_nonsense_is_refused(flower_run: Path, number_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="1 run given; compare 2 to 8"):
        write_comparison([flower_run], tmp_path / "page.html")
    with pytest.raises(InvalidArgument, match="given twice"):
        write_comparison([flower_run, flower_run / "journal.jsonl"], tmp_path / "page.html")
    with pytest.raises(InvalidArgument, match=r"a classification and .* a regression"):
        write_comparison([flower_run, number_run], tmp_path / "page.html")
    with pytest.raises(JournalError, match="there is no run"):
        write_comparison([flower_run, tmp_path / "no"], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_command_names_its_file(flower_run: Path, tmp_path: Path, said: Any) -> None:
    other = copy(flower_run, tmp_path / "other")
    code, out, _ = said("compare", str(flower_run), str(other), "--out", str(tmp_path / "c.html"))
    assert code == 0
    assert out.startswith(f"{tmp_path / 'c.html'}: ")


def test_that_examples_are_counted_and_not_weighed_is_said(flower_run: Path, tmp_path: Path) -> None:
    runs = [copy(flower_run, tmp_path / name) for name in ("one", "other")]
    for run in runs:
        keep_predictions(run, 60, 3)
    assert "whatever its weight" not in text(runs, tmp_path)
    held = dict(np.load(runs[0] / "predictions.npz"))
    np.savez(runs[0] / "predictions.npz", **held, weights=np.ones(60))
    assert "whatever its weight" not in page_of(runs[0], tmp_path).text
    np.savez(runs[0] / "predictions.npz", **held, weights=1.0 + np.arange(60))
    assert "example by example each counts once, whatever its weight" in text(runs, tmp_path)
    assert "of their answers each counts once, whatever its weight" in page_of(runs[0], tmp_path).text
