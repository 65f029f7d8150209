"""scripts/house: each rule on a house of a few lines, where it holds and where it is broken; and on this one."""

import sys
from pathlib import Path

import needs
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import house as command
import house_rules as rules
from house_source import House, tree

ROOT = command.ROOT
LAYERS = ["hut.roof", "hut.left | hut.right", "hut.near : hut.far", "hut.cellar"]
DOC = '"""A room."""\n'
FRONT = {
    "__init__.py": '"""The front."""\nfrom hut.fitting import fit\nfrom hut.tuner import Tuner\n',
    "fitting.py": "def fit(model, *, seed=0): ...\n",
    "tuner.py": "class Tuner:\n    def __init__(self, model): ...\n",
}


@pytest.fixture(scope="module")
def here() -> House:
    return House.read(ROOT)


def build(root: Path, files: dict[str, str], more: str = "") -> House:
    """A repository with the package hut. more: contracts, beside that of LAYERS."""
    for name, text in {"__init__.py": '"""A hut."""\n', **files}.items():
        path = root / "src" / "hut" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for page in ("docs/design.md", "scripts/house.toml"):
        (root / page).parent.mkdir(exist_ok=True)
        (root / page).touch()
    contract = f'[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = {LAYERS!r}\n'
    (root / "pyproject.toml").write_text(
        f'[tool.importlinter]\nroot_package = "hut"\n{contract}{more}', encoding="utf-8"
    )
    return House.read(root)


def body(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


# Of each rule: what it is about, the source that counts `now`, and `now`; once as it should be, and once broken.
CASES: list[tuple[str, dict[str, str], int]] = [
    ("modules at the root", {}, 1),
    ("modules at the root", {"a.py": "", "b.py": "", "c/__init__.py": "", "c/d.py": ""}, 3),
    ("places", {"a.py": "", "c/__init__.py": "", "c/d.py": "", "c/e/__init__.py": ""}, 3),
    ("places on a cycle", {"a.py": "import hut.b", "b.py": "import hut.c", "c.py": ""}, 0),
    (
        "places on a cycle",
        {"a.py": "import hut.b", "b.py": "import hut.c", "c.py": "def f(): import hut.a"},
        3,
    ),
    (
        "places on a cycle",
        {"c/__init__.py": "", "c/d.py": "from . import e", "c/e.py": "from hut.c import d"},
        0,
    ),
    (
        "places on a cycle",
        {
            "c/__init__.py": "",
            "c/d.py": "from .e import f",
            "c/e/__init__.py": "",
            "c/e/f.py": "from ..d import x",
        },
        2,
    ),
    ("arrows upwards or sideways", {"roof.py": "import hut.cellar", "cellar.py": ""}, 0),
    ("arrows upwards or sideways", {"near.py": "import hut.far", "far.py": ""}, 0),
    (
        "arrows upwards or sideways",
        {"cellar/__init__.py": "", "cellar/a.py": "import hut.roof", "roof.py": ""},
        1,
    ),
    (
        "arrows upwards or sideways",
        {"left.py": "import hut.right\nfrom hut.right import x", "right.py": ""},
        1,
    ),
    ("places without a floor", {"roof/__init__.py": "", "roof/attic/__init__.py": ""}, 0),
    ("places without a floor", {"shed.py": ""}, 1),
    ("places without a first sentence", {"a.py": '"""A room, with\na view. And more."""'}, 0),
    ("places without a first sentence", {"a.py": '"""No sentence"""', "b/__init__.py": "", "b/c.py": ""}, 2),
    ("the tree in docs/design.md", {}, 1),  # not drawn; drawn right and wrong: further down
    ("named parameters of fit", FRONT, 2),
    ("named parameters of fit", FRONT | {"fitting.py": "def fit(a, /, b=1, *c, d, **e): ..."}, 3),
    ("named parameters of Tuner", FRONT, 1),
    ("named parameters of Tuner", FRONT | {"tuner.py": "class Tuner:\n    a: int\n    b: int = 1"}, 2),
    (f"functions over {rules.LONG_FUNCTION} lines", {"a.py": f"@cached\n\n{body(60)}"}, 0),
    (f"functions over {rules.LONG_FUNCTION} lines", {"a.py": body(61), "b.py": f"async {body(61)}"}, 2),
    (f"files over {rules.LONG_FILE} lines", {"a.py": "x = 1\n" * 400}, 0),
    (f"files over {rules.LONG_FILE} lines", {"a.py": "x = 1\n" * 401}, 1),
    ("lines in src", {"a.py": "x = 1\n" * 9}, 10),
    (
        "defaults of options written again",
        FRONT
        | {
            "a.py": "def f(seed=SEED, lr=1, keep='best'): ...\ndef g(seed=0): ...\ndef h(lr, *, epochs=None): ..."
        },
        0,
    ),
    (  # an overload says that there is a default, and not which
        "defaults of options written again",
        FRONT
        | {
            "fitting.py": "def fit(model, *, seed=0, keep='best', lr=1): ...",
            "a.py": "@overload\ndef fit(model, *, seed=..., lr=..., keep=...): ...",
        },
        0,
    ),
    (
        "defaults of options written again",
        FRONT
        | {
            "fitting.py": "def fit(model, *, seed=0, keep='best', epochs=None): ...",
            "a.py": "class RunOptions:\n    seed: int = 0\n    keep: str = 'best'\n    epochs: int | None = None\n",
            "b.py": "def train(seed: Annotated[int, typer.Option()] = 0, keep='last', x=2, lr=1): ...",
            "c.py": "def other(x=2, lr=1, seed=-1): ...",
        },
        7,  # beyond the first of each: three of seed, two of keep, and of x and lr, which are a command's, one
    ),
    (
        "modules that tell events apart",
        {
            "a.py": "def f(event):\n    match event['event']:\n        case 'a' | 'b': ...\n        case 'c': ...",
            "b.py": "def f(event):\n    return event['event'] in ('a', 'b')",
        },
        1,
    ),
    (
        "modules that tell events apart",
        {
            "a.py": "def f(event):\n    match event['event']:\n        case 'a' | 'b': ...\n        case 'c': ...",
            "b.py": "def f(event):\n    kind = event.get(\"event\")\n    return kind == 'a' or kind in ('b', 'c')",
        },
        2,
    ),
    (
        "policies by name outside policy",
        {
            "__init__.py": "HOMES = {'replay': 'hut.a'}",
            "a.py": "__all__ = ['replay']\ndef f(policy):\n    'greedy'\n    return 'at once'",
            "policy/__init__.py": "NAMES = ['greedy', 'once']",
        },
        0,
    ),
    (
        "policies by name outside policy",
        {
            "a.py": "def f(policy='lookahead'): return policy == 'greedy'",
            "b.py": "D = {'once': 1}",
            "c.py": "N = Literal['replay']",
        },
        4,
    ),
    (
        "measures listed outside metrics",
        {
            "a.py": "X = ('auc', 'f1')",
            "metrics/__init__.py": "X = ('auc', 'f1', 'mae')\nimport sklearn.metrics",
        },
        0,
    ),
    (
        "measures listed outside metrics",
        {
            "a.py": "X = ('auc', 'f1', 'mae')\nY = {'r2': 1, 'mse': 2, 'mae': 3}",
            "b.py": "from sklearn.metrics import f1_score",
        },
        3,
    ),
    (
        "sentences in policy",
        {
            "a.py": "X = 'the last epoch ended below'",
            "policy/__init__.py": "def f():\n    'The last epoch ended here.'\n    raise E('the last epoch ended')",
            "policy/older.py": "X = 'the last epoch ended below'",
        },
        0,
    ),
    (
        "sentences in policy",
        {"policy/__init__.py": "", "policy/a.py": "X = f'the last epoch ended {1} ago'"},
        1,
    ),
    ("extras asked for without require()", {"a.py": "def require(x):\n    raise MissingExtra(x)"}, 0),
    (
        "extras asked for without require()",
        {"a.py": "raise MissingExtra('x')", "b.py": "errors.MissingExtra()"},
        2,
    ),
    (
        "probes of a training",
        {"a.py": "hasattr(module, 'training')\ngetattr(self.training, 'x')\nisinstance(training, Forks)"},
        0,
    ),
    (
        "probes of a training",
        {
            "a.py": "hasattr(self._training, 'own')\ngetattr(training, 'said', ())\nhasattr(old_trainable, 'x')"
        },
        3,
    ),
    (
        "decisions by a sentence",
        {
            "a.py": "name.startswith('bias')\n'e' in text\n'lr_x' in name\nkind == 'end'\n'out of memory' in said",
            "older.py": "reason.startswith('The')",
        },
        0,
    ),
    (
        "decisions by a sentence",
        {
            "a.py": "reason.startswith(x)\n'no better' in y\nRULE.search(note)",
            "b.py": "'walk' in said\nz.endswith(('a b',))\nr == 'a b'",
        },
        6,
    ),
    (
        "names made of the old words",
        {
            "a.py": "def f(sidewalk, catwalker):\n    walk = 1\n    self._crew = 1",
            "older.py": "class Walk: ...",
        },
        0,
    ),
    (
        "names made of the old words",
        {
            "crew.py": "class RayCrew:\n    walks: int = 1\n    def gang(self): self.reach = self.reach = 1",
            "b.py": "LINEAGE = 1\ndef _f(asked, *, n_walks=0): ...\nx = lambda purse: 1",
        },
        9,
    ),
]


@pytest.mark.parametrize(("name", "files", "now"), CASES)
def test_what_a_rule_counts(tmp_path: Path, name: str, files: dict[str, str], now: int) -> None:
    found = list(rules.RULES[name].measure(build(tmp_path, files)))
    assert command.total(found) == now, found
    for finding in found:
        file, line = finding.where.split(":")
        assert (tmp_path / file).exists()
        assert int(line) >= 1


def test_every_rule_is_tried_and_has_a_ceiling() -> None:
    tried = {name for name, _, _ in CASES} | {name for name, rule in rules.RULES.items() if rule.slow}
    assert tried == set(rules.RULES)
    ceilings = command.tomllib.loads((ROOT / "scripts" / "house.toml").read_text(encoding="utf-8"))
    assert set(ceilings) == set(rules.RULES)


def test_a_rule_about_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="imports no fit"):
        list(rules.parameters_of_fit(build(tmp_path, {"fitting.py": "def fit(): ..."})))


def test_passages_said_twice(tmp_path: Path) -> None:
    needs.package("pylint")
    lines = [f"value_{n} = compute({n})\n" for n in range(rules.SIMILAR + 1)]
    passage = "".join(lines[:-1])
    assert (
        list(rules.said_twice(build(tmp_path, {"a.py": passage, "b/__init__.py": f"x = 1\n{passage}"}))) == []
    )
    passage = "".join(lines)
    files = {"a.py": passage, "b/__init__.py": f"x = 1\n{passage}"}
    (found,) = rules.said_twice(build(tmp_path, files))
    assert (found.where, found.what) == ("src/hut/a.py:1", "and src/hut/b/__init__.py:2")


def test_rooms_within_a_package_may_have_floors_of_their_own(tmp_path: Path) -> None:
    more = '[[tool.importlinter.contracts]]\ntype = "layers"\ncontainers = ["hut.roof"]\nlayers = ["top", "(low)"]\n'
    files = {"roof/__init__.py": "", "roof/top/__init__.py": "", "roof/low.py": "from .top import x"}
    assert list(rules.upwards(build(tmp_path, files))) == []
    (found,) = rules.upwards(build(tmp_path, files, more))
    assert (found.where, found.what) == ("src/hut/roof/low.py:1", "hut.roof -> hut.roof.top")


def test_imports_are_those_that_import_linter_sees(here: House) -> None:
    graph = needs.package("grimp").build_graph(here.package, cache_dir=None)
    seen = {
        (source, to) for source in graph.modules for to in graph.find_modules_directly_imported_by(source)
    }
    assert {(found.source.name, found.target) for found in here.imports} == seen


# The tree -------------------------------------------------------------------------------------------------

ROOMS = {
    "roof/__init__.py": DOC,
    "roof/a/__init__.py": '"""One within\nthe other. More."""',
    "cellar.py": DOC,
    "shed.py": "",
}
TREE = """```text
src/hut/             A hut.
  cellar.py          A room.
  roof/              A room.
    a/               One within the other.
  shed.py
```"""


def test_the_tree_is_made_of_first_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = build(tmp_path, ROOMS)
    assert tree(house) == TREE
    assert command.main(["--tree"], tmp_path) == 0
    assert capsys.readouterr().out == f"{TREE}\n"
    page = tmp_path / "docs" / "design.md"
    assert command.main(["--write-tree"], tmp_path) == 1, "nobody has said where"
    page.write_text("Before\n\n<!-- house -->\n<!-- /house -->\n\nAfter\n", encoding="utf-8")
    assert command.total(list(rules.drawn(house))) > 1
    for _ in range(2):
        assert command.main(["--write-tree"], tmp_path) == 0
        assert (
            page.read_text(encoding="utf-8")
            == f"Before\n\n<!-- house -->\n{TREE}\n<!-- /house -->\n\nAfter\n"
        )
    assert list(rules.drawn(house)) == []
    page.write_text(
        page.read_text(encoding="utf-8").replace("  cellar.py          A room", "  cellar.py  A hole")
    )
    (wrong,) = rules.drawn(house)
    assert (wrong.where, wrong.count) == ("docs/design.md:6", 2)


# The command ----------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A house with two rules: thirteen modules at the root, where twelve may be, and no file that is too long."""
    names = ("modules at the root", f"files over {rules.LONG_FILE} lines")
    monkeypatch.setattr(command, "RULES", {name: rules.RULES[name] for name in names})
    build(tmp_path, {f"m{n}.py": "x = 1\n" for n in range(12)})
    return tmp_path


def ceiling(root: Path, number: int) -> Path:
    file = root / "scripts" / "house.toml"
    file.write_text(f'"modules at the root" = {number}\n', encoding="utf-8")
    return file


def test_it_fails_above_a_ceiling_and_no_flag_raises_one(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ceiling(small, 12)
    for arguments in ([], ["--lower"]):
        assert command.main(arguments, small) == 1
        assert "ABOVE ITS CEILING" in capsys.readouterr().out
    assert '"modules at the root" = 12' in file.read_text(encoding="utf-8")
    file.write_text("", encoding="utf-8")
    assert command.main([], small) == 1, "without a ceiling the target is one"


def test_ceilings_go_down_to_what_was_reached(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ceiling(small, 20)
    assert command.main([], small) == 0
    assert "below its ceiling: lower it" in capsys.readouterr().out
    assert command.main(["--lower"], small) == 0
    assert "below its ceiling" not in capsys.readouterr().out
    assert '"modules at the root" = 13' in file.read_text(encoding="utf-8")
    for n in range(9):
        (small / "src" / "hut" / f"m{n}.py").unlink()
    assert command.main(["--lower", "--final"], small) == 0
    assert '"modules at the root" = 12' in file.read_text(encoding="utf-8"), "the target, and no further"


def test_in_the_end_targets_count(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ceiling(small, 13)
    assert command.main([], small) == 0
    assert command.main(["--final"], small) == 1
    assert "ABOVE ITS TARGET" in capsys.readouterr().out


def test_the_worst_are_shown_or_all(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ceiling(small, 13)
    command.main([], small)
    assert capsys.readouterr().out.count("src/hut/") == command.FEW
    command.main(["--verbose"], small)
    assert capsys.readouterr().out.count("src/hut/") == 13


def test_what_was_skipped_is_said_and_holds_nothing_in_the_end(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = {name: rule for name, rule in rules.RULES.items() if rule.slow}
    monkeypatch.setattr(command, "RULES", slow)
    assert command.main(["--fast"], small) == 0
    assert "skipped: --fast" in capsys.readouterr().out
    assert command.main(["--fast", "--final"], small) == 1
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert command.main([], small) == 0
    assert "skipped: pylint is not installed" in capsys.readouterr().out


def test_this_house_is_no_worse_than_it_was(
    here: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.House, "read", lambda root: here)
    assert command.main(["--fast"]) == 0, capsys.readouterr().out
