"""Formulas as MathML, which browsers show without a script: docutils converts the TeX while the site is built."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def _mathml(node: nodes.Element, *, block: bool) -> str:
    tex = node.astext()
    try:
        made = latex2mathml.tex2mathml(tex, as_block=block)
    except MathError as error:
        raise ExtensionError(f"the formula {tex!r} cannot be converted: {error}") from error
    return re.sub(r"\s*\n\s*", "", made)


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    number = f'<span class="eqno">({node["number"]})</span>' if node["number"] else ""
    label = f' id="equation-{node["label"]}"' if node["number"] else ""
    self.body.append(f'<div class="formula"{label}>{_mathml(node, block=True)}{number}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
