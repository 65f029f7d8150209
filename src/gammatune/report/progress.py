"""The progress of `fit` and of a loop of one's own, where somebody is watching: on a terminal or in a notebook."""

import sys
import threading
from collections.abc import Sequence
from html import escape
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from gammatune.journal.events import Event
from gammatune.report.live import LiveDisplay, PlainLines, Progressing
from gammatune.report.wording import duration, place_in_range
from gammatune.tuning.driver import Listener

EVERY = 0.3  # seconds between looks at a run in a notebook (guess: a person sees it move)


class Progress:
    """A listener that shows how far a run is: `Tuner(..., listeners=[gammatune.progress()])`.

    It begins with the run and ends with it, however that ends.
    """

    def __init__(self) -> None:
        self._shown: Progressing | None = None

    def __call__(self, event: Event) -> None:
        if event["event"] == "begin":
            self._end("cut off")
            self._shown = _display()
            self._shown.__enter__()
        if self._shown is None:
            return
        self._shown(event)
        if event["event"] == "end":
            self._end(str(event["how"]))

    def _end(self, how: str) -> None:
        shown, self._shown = self._shown, None
        if shown is not None:
            error = None if how == "complete" else RuntimeError(how)
            shown.__exit__(None if error is None else RuntimeError, error, None)


def progress() -> Progress:
    """What shows the progress of a run while it runs, for `Tuner(..., listeners=[gammatune.progress()])`.

    In a notebook and on a terminal a display that redraws itself, elsewhere a line a commit. `fit` has it by itself
    (`progress=`).
    """
    return Progress()


def listeners_for(progress: bool | None, listeners: Sequence[Listener]) -> list[Listener]:
    """The listeners of `fit`, with one that shows its progress where that is wanted.

    progress: None shows it where somebody watches (a notebook, a terminal), unless a listener does already.
    """
    shows = any(isinstance(listener, (Progress, Progressing)) for listener in listeners)
    wanted = progress if progress is not None else not shows and _is_watched()
    return [*listeners, Progress()] if wanted else list(listeners)


def display_for(progress: bool | None) -> Progressing:
    """What shows how far a run is, as a context manager; nothing where that is not wanted. progress: see
    `listeners_for`."""
    return _display() if (_is_watched() if progress is None else progress) else Progressing()


def _is_watched() -> bool:
    # None: a process without a console
    return _in_notebook() or (sys.stdout is not None and sys.stdout.isatty())


def _in_notebook() -> bool:
    return "IPython" in sys.modules and Console().is_jupyter


def _display() -> Progressing:
    if _in_notebook():
        return NotebookDisplay()
    console = Console() if sys.stdout.isatty() else Console(width=160)  # a pipe has no width of its own
    return LiveDisplay(console) if console.is_terminal else PlainLines(console)


class NotebookDisplay(Progressing):
    """A piece of HTML below the cell that is replaced while the run goes on; in the end one line is left.

    Rich's own live display needs ipywidgets in a notebook, this needs nothing but IPython.
    """

    def __init__(self) -> None:
        super().__init__()
        self._commits: list[str] = []
        self._handle: Any = None
        self._html: Any = None
        self._shown = ""
        self._over = threading.Event()
        self._drawing: threading.Thread | None = None

    def __enter__(self) -> Self:
        from IPython import display

        ipython: Any = display
        self._html = ipython.HTML
        self._handle = ipython.display(self._html(self._box(["preparing ..."])), display_id=True)
        self._drawing = threading.Thread(target=self._draw, name="gammatune progress", daemon=True)
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._drawing is not None:
            self._drawing.join()
        story = self.story
        done = f"{len(story.course)} epochs, {len(story.rollouts)} rollouts in {duration(self.elapsed)}"
        if error is None:
            self._show(self._box([escape(done)]))
        else:  # what was reached stays
            self._show(self._box([*map(escape, self._commits), escape(f"{error}; {done}")]))

    def show_commit(self) -> None:
        self._commits = self.epochs_in_words()

    def render(self) -> str:
        """The HTML of the moment."""
        if not self.story.begin:
            return self._box(["preparing ..."])
        run = self.run  # the training goes on meanwhile
        share = 100 * self.done
        lines = [escape(line) for line in self._commits]
        lines += [escape(self.said)] if self.said else []
        lines.append(
            f'<progress value="{share:.0f}" max="100" aria-label="share of the budget" '
            f'style="width:16em;vertical-align:middle"></progress> {share:.0f} % {escape(self.phase)}'
        )
        lines.append(escape(f"compute {self.compute}, time {self.time}"))
        if run is not None:
            what = "chosen" if self._walk else "trying"
            lines += [escape(f"{what} {place}") for place in place_in_range(self.space, run.values)]
        return self._box(lines)

    def _draw(self) -> None:
        while not self._over.wait(EVERY):
            self._show(self.render())

    def _show(self, html: str) -> None:
        if html != self._shown and self._handle is not None:
            self._shown = html
            self._handle.update(self._html(html))

    @staticmethod
    def _box(lines: Sequence[str]) -> str:
        rows = "".join(f'<div style="white-space:pre-wrap">{line}</div>' for line in lines)
        return f'<div style="font-family:monospace;font-size:.9em;line-height:1.45">{rows}</div>'
