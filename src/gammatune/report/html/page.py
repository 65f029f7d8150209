"""`write_report`: one run as one HTML file that needs nothing else: no server, no network, no script of others.

What stands in a journal is anybody's text: the templates escape it, the pictures do so for themselves.
"""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidArgument, require
from gammatune.journal.events import text_of
from gammatune.journal.history import Story, replay
from gammatune.report.glossary import page_words
from gammatune.report.held import listed
from gammatune.report.html import answers, figures, sentences, tables
from gammatune.report.html.bands import bands
from gammatune.report.html.columns import columns
from gammatune.report.html.costs import cost_picture
from gammatune.report.html.looks import has_looks
from gammatune.report.html.measures import measures, models_beside
from gammatune.report.html.posterior import MOST_VIEWS, Surfaces, surfaces
from gammatune.report.html.slices import view_pictures
from gammatune.report.html.timeline import lanes
from gammatune.report.html.tree import tree_picture
from gammatune.report.learnt import headline
from gammatune.report.methods import methods_of
from gammatune.report.predictions import load_findings
from gammatune.report.several import nets_of
from gammatune.report.understood import understood
from gammatune.report.what_now import what_now
from gammatune.report.wording import compares, cost_in_words, objective_in_words, settings_in_words, state_of

if TYPE_CHECKING:
    from gammatune.tuning.result import Result

NAME = "report.html"  # in the run directory, where no other is given


def write_report(run: "str | os.PathLike[str] | Result", path: str | os.PathLike[str] | None = None) -> Path:
    """Write a run as one HTML page, and say where it lies.

    run: a run directory, or what `fit` or `Tuner` gave back. path: the file; `report.html` in the run directory
    where none is given. A run without a directory kept no predictions, and its page has no calibration and no
    mistakes.
    Raises JournalError: no run there. MissingExtra: jinja2 is not installed. InvalidArgument: `path` is missing and
    there is no run directory, or cannot be written.
    """
    story, place = _story(run)
    if path is None:
        if place is None:
            raise InvalidArgument(
                "the run has no directory (run_dir= was not given); write a path for its page"
            )
        path = place / NAME
    return write(path, render("page.html.j2", page(story, place)))


def write(path: str | os.PathLike[str], text: str) -> Path:
    """Raises InvalidArgument where that cannot be done."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidArgument(
            f"cannot write {os.fspath(path) or 'to an empty name'} ({error.strerror or error}); choose another place"
        ) from error
    return Path(path)


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template of ours, style and script put into it. Raises MissingExtra."""
    jinja2 = require("jinja2", "report", "a page is made with")
    home = Path(__file__).parent / "templates"
    world = jinja2.Environment(
        loader=jinja2.FileSystemLoader(home),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    own = {name: (home / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    page: str = world.get_template(template).render(**own, **context)
    return page


def _story(run: "str | os.PathLike[str] | Result") -> tuple[Story, Path | None]:
    if isinstance(run, (str, os.PathLike)):
        path = Path(run)
        return replay(path), path if path.is_dir() else path.parent
    events = getattr(run, "events", None)
    if events is None:
        raise InvalidArgument(f"run={run!r:.60}: give a run directory, or what fit or Tuner gave back")
    if not events:
        raise InvalidArgument(
            "this result holds no events, so there is nothing to show; give its run directory"
        )
    story = Story()
    for event in events:
        story.tell(json.loads(text_of(event)))
    directory = getattr(run, "run_dir", None)
    return story, None if directory is None else Path(directory)


def page(story: Story, run: Path | None) -> dict[str, Any]:
    """What the template shows."""
    facts = story.begin["facts"]
    return {
        "title": sentences.title(story),
        "has_net": story.has_net,
        "doubt": headline(story.report),
        "now": what_now(story, None if run is None else str(run)),
        "methods": methods_of(story),
        "status": state_of(story),
        **_quality(story, run),
        **_rate(story),
        "progress": _progress(story),
        "epochs": tables.epochs(story),
        "tree": tree_picture(story),
        "compared": compares(story),
        "words": page_words(lowered=not has_looks(story), nets=nets_of(story)),
        "policy": story.begin["policy"],
        "rollouts": tables.rollouts(story),
        **_believed(story, surfaces(story)),
        "cost": cost_picture(story),
        "cost_words": None if story.end is None else cost_in_words(story.end, story.begin),
        "said": [str(s) for s in listed(facts.get("said"))],
        "understood": [column.cells for column in understood(facts.get("columns"))],
        "notes": story.notes,
        "asked": settings_in_words(story.begin),
        "made": tables.made(story),
        "command": tables.command(facts),
        "run": None if run is None else str(run),
        "quoted": None if run is None else shlex.quote(str(run)),
    }


def _quality(story: Story, run: Path | None) -> dict[str, Any]:
    found = load_findings(run)
    return {
        "verdict": sentences.verdict(story, run),
        "warnings": sentences.warnings_of(story, found),
        "tiles": sentences.tiles(story),
        "measures": measures(story),
        "unseen": story.report is not None and story.report["on"] == "test",
        "nets": nets_of(story),
        "models": models_beside(story),
        "columns": columns(story, found),
        **answers.shown(story, found, sentences.subject(story)),
    }


def _rate(story: Story) -> dict[str, Any]:
    found = bands(story)
    return {
        "rate": figures.rate_picture(story, found),
        "band": found[-1] if found else None,
        "bands": len(found),
        "tail": figures.after_course(story),
        "epoch": story.course[-1].epoch + 1 if story.course else 0,
        "verdicts": sentences.verdicts(story),
    }


def _believed(story: Story, seen: Surfaces) -> dict[str, Any]:
    """What the search believed, decision by decision."""
    scale = objective_in_words(story.objective)
    slices = [part for view in seen.views for part in view.slices]
    return {
        "views": [(view, view_pictures(view, i, scale)) for i, view in enumerate(seen.views)],
        "left_out": seen.left_out,
        "most_views": MOST_VIEWS,
        "searched": seen.searched,
        "promised": any(part.promise is not None for part in slices),
        "whole": any(part.whole is not None for part in slices),
        "lowered": not has_looks(story),
    }


def _progress(story: Story) -> list[str]:
    names: list[str | None] = [*figures.metrics_of(story)[:6], None]
    if not story.course and not any(lane.what in ("walk", "rollout") for lane in lanes(story)):
        return []
    pictures = [figures.progress_picture(story, name, f"progress{i}") for i, name in enumerate(names)]
    return [picture for picture in pictures if picture]
