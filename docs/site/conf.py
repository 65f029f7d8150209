"""The documentation site: `make docs` builds it into build/docs, without network.

The pages are Markdown (MyST); the reference is reStructuredText, which autodoc speaks. Three small extensions lie in
_ext: formulas as MathML, docstrings as they are written here, the command line from its own definition.
"""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE / "_ext")]

_project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = "gammatune"
author = "The gammatune authors"
project_copyright = author
version = release = _project["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "mathml",
    "docstrings",
    "command_line",
    "front_door",
    "journal_fields",
]
exclude_patterns = ["_ext", "_static"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
pygments_style = "friendly"
pygments_dark_style = "github-dark"
highlight_language = "text"

# -- Python reference

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 72
add_module_names = False
toc_object_entries_show_parents = "hide"
# What a page names must be there (role obj). Types in signatures (role class) may be those of other projects, whose
# documentation is not at hand without network, or of ours that are no part of the reference.
nitpick_ignore_regex = [
    (r"py:class", r"gammatune\..*"),
    (
        r"py:.*",
        r"(torch|numpy|np|npt|nn|scipy|typing|collections|contextlib|importlib|pd|os|pathlib|datetime|types)\..*",
    ),
    (
        r"py:.*",
        r"(optional|Any|Self|Path|NDArray|Tensor|Module|Optimizer|LambdaLR|Generator|ellipsis|Array|ArrayLike|Ensemble|PathOrText|Frame)",
    ),
    (r"py:class", r"(keras\.Model|Trainer|LightningModule|NeuralNet)"),  # of packages that need not be there
    (r"py:.*", r"(dict|list|tuple)\[.*"),  # cut out of an annotation at its comma
]

# -- The pages

smartquotes = False  # what is quoted is mostly to be typed
html_theme = "furo"
html_title = f"gammatune {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#8fbcf0", "color-brand-content": "#8fbcf0"},
}
