"""`.. gammatune-more::` documents every name of `gammatune.__all__` that the page does not name itself, so that a new
one is in the reference from its first day."""

import inspect
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.nodes import nested_parse_with_titles

import gammatune


class More(Directive):
    def run(self) -> list[nodes.Node]:
        page = Path(self.state.document["source"]).read_text()
        named = {line.rpartition("gammatune.")[2] for line in page.splitlines() if line.startswith(".. auto")}
        lines: list[str] = []
        for name in gammatune.__all__:
            thing = getattr(gammatune, name)
            if name in named or inspect.ismodule(thing):
                continue
            kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "data"
            lines += [f".. auto{kind}:: gammatune.{name}", *(["   :members:"] if kind == "class" else []), ""]
        if not lines:
            return []
        text = StringList(["More", "----", "", *lines], "gammatune.__all__")
        holder = nodes.section()
        holder.document = self.state.document
        nested_parse_with_titles(self.state, text, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("gammatune-more", More)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
