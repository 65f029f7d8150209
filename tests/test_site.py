"""The documentation site: it builds without a warning, asks nothing of the network, leads nowhere that is not there,
names everything public, and what its pages show runs.

A line `% since: train --target` in front of a block lets it wait until the command line has that command or option,
`% since: gammatune.load` until there is that name.
"""

import importlib
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import needs
import pytest
import typer

import gammatune
from gammatune.cli.app import app
from gammatune.pipeline.models import tabular
from gammatune.supervised import defaults

needs.package("sphinx")

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "docs" / "site"
PAGES = sorted(SITE.glob("*.md"))
BLOCK = re.compile(
    r"(?:^% since: (?P<since>[^\n]*)\n)?^```(?P<kind>python|sh)\n(?P<body>.*?)^```$", re.M | re.S
)
COMMANDS = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]

# The site ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it: a warning, or a name that leads nowhere, is an error."""
    out = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-E", "-b", "html", "-d", str(out / "doctrees")]
    done = subprocess.run([*call, str(SITE), str(out / "html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


@dataclass
class Page(HTMLParser):
    """ids: what can be linked to. links: where it leads. fetched: what a browser loads to show it."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    math: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.math += tag == "math"
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and "href" in given:
            self.fetched.append(given["href"])
        self.fetched += [
            given[name] for name in ("src", "srcset", "data", "poster", "action") if name in given
        ]


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    found = {}
    for path in site.rglob("*.html"):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        found[path.relative_to(site).as_posix()] = page
    assert len(found) > 15
    return found


def test_nothing_is_asked_of_the_network(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for address in page.fetched:
            assert not urlsplit(address).scheme, f"{name} loads {address}"
            assert not urlsplit(address).netloc, f"{name} loads {address}"
    for path in site.rglob("*.css"):
        for address in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", path.read_text()):
            assert not re.match(r"(https?:)?//", "".join(address)), f"{path.name} loads {address}"
    for path in site.rglob("*.svg"):
        assert not re.search(r"(href|src)=.https?://", path.read_text()), path.name


def test_formulas_need_no_script(pages: dict[str, Page]) -> None:
    assert pages["how-it-works.html"].math > 30


def test_links_lead_somewhere(site: Path, pages: dict[str, Page]) -> None:
    checked = 0
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            assert target.resolve().is_file(), f"{name} leads to {link}"
            other = target.resolve().relative_to(site.resolve()).as_posix()
            if parts.fragment and other in pages and parts.fragment != "":
                assert unquote(parts.fragment) in pages[other].ids, f"{name} leads to {link}"
            checked += 1
    assert checked > 500


# Nothing is left out -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def names(site: Path) -> dict[str, set[str]]:
    """What can be looked up, by kind: "py:class" and so on."""
    from sphinx.util.inventory import InventoryFile

    found = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    return {kind: set(entries) for kind, entries in found.items()}


def test_every_public_name_is_in_the_reference(names: dict[str, set[str]]) -> None:
    known = set().union(*(entries for kind, entries in names.items() if kind.startswith("py:")))
    expected = {f"gammatune.{name}" for name in gammatune.__all__}
    for module in pkgutil.walk_packages(gammatune.__path__, "gammatune."):
        if module.ispkg:
            package = importlib.import_module(module.name)
            expected |= {f"{module.name}.{name}" for name in getattr(package, "__all__", ())}
    for name, thing in vars(gammatune.errors).items():
        if inspect.isclass(thing) and thing.__module__ == gammatune.errors.__name__:
            expected.add(f"gammatune.errors.{name}")
    assert not sorted(expected - known)


def test_every_command_and_option_is_in_the_reference(names: dict[str, set[str]]) -> None:
    known = names["std:cmdoption"]
    assert len(COMMANDS) > 5
    for name, command in COMMANDS.items():
        for parameter in command.params:
            flags = [flag for flag in (*parameter.opts, *parameter.secondary_opts) if flag.startswith("--")]
            for flag in flags if not getattr(parameter, "hidden", False) else []:
                assert f"gammatune-{name}.{flag}" in known


# What the pages show runs --------------------------------------------------------------------------------


def has(since: str) -> bool:
    """Whether there is a command, a command's option or a name: "report", "train --target", "gammatune.load"; of
    several, parted by commas, all."""
    if "," in since:
        return all(has(one.strip()) for one in since.split(","))
    if since.startswith("gammatune."):
        return since.removeprefix("gammatune.") in gammatune.__all__
    name, *options = since.split()
    return name in COMMANDS and set(options) <= {flag for p in COMMANDS[name].params for flag in p.opts}


# One process a page: torch is loaded once, and the names of one block are there for the next, as in a notebook.
HEAD = """
import shlex, sys
from gammatune.cli import main
names = {"__name__": "__main__"}

def python(body, line):
    exec(compile(body, f"block at line {line} of the page", "exec"), names)

def shell(command):
    sys.argv = shlex.split(command, comments=True)
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
"""


def check_other_command(line: str) -> None:
    """make's are asked for, as those of the README are; what pip would install must be on offer."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "make":
        done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return
    assert program == "pip", line
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.search(r"\[(.*)\]", arguments[-1])
    assert asked is not None
    assert set(asked.group(1).split(",")) <= set(extras), line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_blocks_of_a_page(page: Path, tmp_path: Path) -> None:
    """In the order of the page, in one directory."""
    text = page.read_text()
    waiting, steps = [], []
    for block in BLOCK.finditer(text):
        if block["since"] and not has(block["since"]):
            waiting.append(block["since"])
        elif block["kind"] == "python":
            steps.append(f"python({block['body']!r}, {text[: block.start('body')].count(chr(10)) + 1})")
        else:
            for line in filter(None, (line.split("#")[0].strip() for line in block["body"].splitlines())):
                if line.startswith("gammatune "):
                    steps.append(f"shell({line!r})")
                else:
                    check_other_command(line)
    if steps:
        (tmp_path / "page.py").write_text("\n".join([HEAD, *steps]))
        call = [sys.executable, "-W", "error", "page.py"]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    if waiting:
        pytest.skip(f"needs {', '.join(waiting)}: pip install it; the rest of the page runs")


def test_the_rules_of_choice_are_those_of_the_code() -> None:
    page = (SITE / "choosing.md").read_text()
    for number in (
        defaults.TABLE_STEPS,
        defaults.IMAGE_STEPS,
        defaults.MANY_IMAGES,
        defaults.RESNET_FROM,
        tabular.WIDTH,
    ):
        assert f"{number:,}" in page
    least, most = defaults.TABLE_EPOCHS
    assert f"{least} at least, {most} at most" in page
    assert f"{defaults.IMAGE_EPOCHS}, and for" in page


def test_there_are_blocks() -> None:
    kinds = [block["kind"] for page in PAGES for block in BLOCK.finditer(page.read_text())]
    assert kinds.count("python") >= 15
    assert kinds.count("sh") >= 8


def test_only_blocks_that_run_look_as_if_they_did() -> None:
    """A block in another language would be passed over: output is `text`, and everything else is named here. A `diff`
    is held against the example that it is of (tests/test_documents.py)."""
    for page in PAGES:
        fences = re.findall(r"^```(.+)$", page.read_text(), re.M)
        known = ("python", "sh", "text", *(["diff"] if page.name == "your-loop.md" else []))
        strange = [name for name in fences if name not in known and not name.startswith("{")]
        assert not strange, f"{page.name}: {strange}"
