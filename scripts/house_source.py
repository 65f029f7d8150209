"""The house as it is read: modules, the places they make up, what they import, their floors, and the tree.

A *place* is a package, a nested one too, or a module at the root. Floors are import-linter's contracts of layers.
"""

import ast
import re
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

MARKS = ("<!-- house -->", "<!-- /house -->")  # between them lies the tree of docs/design.md
WIDTH, NAME = 110, 20  # characters, of the tree and of the names in it

Node = TypeVar("Node", bound=ast.AST)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """where: file:line, from the repository's root. count: what it adds to the number of its rule."""

    where: str
    what: str
    count: int = 1


@dataclass(frozen=True)
class Module:
    """name: dotted, from the package on. file: from the repository's root."""

    name: str
    file: str
    text: str
    tree: ast.Module
    is_package: bool

    @cached_property
    def _nodes(self) -> Mapping[type, list[Any]]:
        nodes = defaultdict(list)
        for node in ast.walk(self.tree):
            nodes[type(node)].append(node)
        return nodes

    def of(self, kind: type[Node]) -> list[Node]:
        """The nodes of a kind, in the order of their lines."""
        return sorted(self._nodes.get(kind, ()), key=lambda node: getattr(node, "lineno", 0))

    @property
    def functions(self) -> list[Function]:
        return [*self.of(ast.FunctionDef), *self.of(ast.AsyncFunctionDef)]

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def room(self) -> str:
        """The first name below the root's; empty for the root."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def sentence(self) -> str:
        """The first of the docstring; empty where there is none."""
        paragraph = " ".join((ast.get_docstring(self.tree) or "").partition("\n\n")[0].split())
        found = re.match(r".+?\.(?=\s|$)", paragraph)
        return found[0] if found else ""

    def at(self, node: ast.AST | int, what: str, count: int = 1) -> Finding:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return Finding(f"{self.file}:{line}", what, count)


def _known(name: str, names: Container[str]) -> str:
    """The longest beginning of a dotted name that is one of `names`; empty if none is."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name


@dataclass(frozen=True)
class Contract:
    """Of each room its floor, from 0 at the bottom, and whether it may know nothing of others there."""

    rooms: Mapping[str, tuple[int, bool]]

    @classmethod
    def read(cls, contract: Mapping[str, Any]) -> "Iterator[Contract]":
        """As import-linter does: "a | b" know nothing of each other, "a : b" may, and "(a)" may be missing."""
        for container in contract.get("containers", [""]):
            rooms = {}
            for floor, names in enumerate(reversed(contract["layers"])):
                for name in re.split("[|:]", names):
                    rooms[f"{container}.{name.strip(' ()')}".lstrip(".")] = (floor, "|" in names)
            yield cls(rooms)

    def forbids(self, source: str, target: str) -> bool:
        source, target = _known(source, self.rooms), _known(target, self.rooms)
        if source == target or not source or not target:
            return False
        (at, is_apart), (to, _) = self.rooms[source], self.rooms[target]
        return to > at or (to == at and is_apart)


@dataclass(frozen=True)
class Import:
    source: Module
    target: str
    line: int


@dataclass(frozen=True)
class House:
    root: Path
    package: str
    modules: Mapping[str, Module]
    contracts: list[Contract]

    @classmethod
    def read(cls, root: Path) -> "House":
        """root: of the repository. The package is the one that pyproject.toml has import-linter look at."""
        linter = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
        modules = {}
        for path in sorted((root / "src" / linter["root_package"]).rglob("*.py")):
            name = ".".join(path.relative_to(root / "src").with_suffix("").parts).removesuffix(".__init__")
            text, file = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
            modules[name] = Module(name, file, text, ast.parse(text), path.stem == "__init__")
        layers = [each for each in linter.get("contracts", ()) if each["type"] == "layers"]
        return cls(root, linter["root_package"], modules, [c for each in layers for c in Contract.read(each)])

    @cached_property
    def places(self) -> dict[str, Module]:
        return {name: m for name, m in self.modules.items() if m.is_package or name.count(".") == 1}

    def each(self, kind: type[Node]) -> list[tuple[Module, Node]]:
        return [(module, node) for module in self.modules.values() for node in module.of(kind)]

    @property
    def functions(self) -> list[tuple[Module, Function]]:
        return [(module, function) for module in self.modules.values() for function in module.functions]

    @cached_property
    def docstrings(self) -> set[int]:
        """By id: strings that stand alone."""
        return {id(statement.value) for _, statement in self.each(ast.Expr)}

    @cached_property
    def imports(self) -> list[Import]:
        """All of them, those inside functions and for types alone too."""
        return [found for module in self.modules.values() for found in self._imports(module)]

    def _imports(self, module: Module) -> Iterator[Import]:
        names = [(alias.name, node.lineno) for node in module.of(ast.Import) for alias in node.names]
        for node in module.of(ast.ImportFrom):
            parts = module.name.split(".")
            above = parts[: len(parts) - (node.level - module.is_package)] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            names += [(f"{start}.{alias.name}", node.lineno) for alias in node.names]
        for name, line in names:
            target = _known(name, self.modules)  # what is imported may be a name in it
            if target and target != module.name:
                yield Import(module, target, line)

    @cached_property
    def arrows(self) -> Mapping[tuple[str, str], list[Import]]:
        """From place to place, each with the imports that make it."""
        arrows = defaultdict(list)
        for found in self.imports:
            source, target = _known(found.source.name, self.places), _known(found.target, self.places)
            if source != target:
                arrows[source, target].append(found)
        return arrows

    def reached_from(self, place: str) -> set[str]:
        """The places to which arrows lead from there, one after another."""
        reached: set[str] = set()
        waiting = {place}
        while waiting:
            at = waiting.pop()
            waiting |= {target for source, target in self.arrows if source == at} - reached
            reached |= waiting
        return reached

    def public(self, name: str) -> tuple[Module, Function | ast.ClassDef]:
        """What the front door imports by this name. Raises LookupError, lest a rule about it look at nothing."""
        for imported in self.modules[self.package].of(ast.ImportFrom):
            module = self.modules.get(imported.module or "")
            if module is not None and any(alias.name == name for alias in imported.names):
                for node in module.tree.body:
                    if isinstance(node, Function | ast.ClassDef) and node.name == name:
                        return module, node
        raise LookupError(f"{self.package} imports no {name} from where it is defined")

    def floor(self, place: str) -> int | None:
        """By the contract that speaks of it most precisely."""
        rooms = [(room, c.rooms[room][0]) for c in self.contracts if (room := _known(place, c.rooms))]
        return max(rooms, key=lambda each: len(each[0]))[1] if rooms else None


def tree(house: House) -> str:
    """Each place with its first sentence, from the ground up; what lies in a package below it."""

    def order(place: str) -> list[tuple[float, str]]:
        parts = place.split(".")
        above = [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
        floors = [house.floor(each) for each in above]
        return [(float("inf") if at is None else at, each) for at, each in zip(floors, above, strict=True)]

    lines = ["```text"]
    for name in sorted(house.places, key=order):
        module, depth = house.places[name], name.count(".")
        title = (
            "  " * depth + (module.stem if depth else f"src/{name}") + ("/" if module.is_package else ".py")
        )
        lines += textwrap.wrap(
            f"{title:<{NAME}} {module.sentence}", WIDTH, subsequent_indent=" " * (NAME + 1)
        )
    return "\n".join([*lines, "```"])


def design(house: House) -> tuple[str, str, str] | None:
    """docs/design.md: up to the tree, the tree, and what follows; None where its marks are missing."""
    page = (house.root / "docs" / "design.md").read_text(encoding="utf-8")
    found = re.fullmatch(rf"(.*^{MARKS[0]}\n)(.*?)(^{MARKS[1]}$.*)", page, re.DOTALL | re.MULTILINE)
    return None if found is None else (found[1], found[2], found[3])


# Nodes ----------------------------------------------------------------------------------------------------


def name_of(node: ast.AST) -> str:
    """Of a variable, the last of a dotted one; empty for whatever else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def texts_of(node: ast.AST | None) -> list[str]:
    """A string, or those that a collection holds or a mapping has for keys."""
    if isinstance(node, ast.Dict | ast.List | ast.Tuple | ast.Set):
        items = node.keys if isinstance(node, ast.Dict) else node.elts
        return [text for item in items if isinstance(item, ast.Constant) for text in texts_of(item)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def length_of(function: Function) -> int:
    """From def to the last line, the docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters_of(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def defaults_of(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Of the parameters of a function, or of the fields of a class."""
    if isinstance(node, Function):
        placed = [*node.args.posonlyargs, *node.args.args]
        both = [*zip(placed[::-1], node.args.defaults[::-1], strict=False)]
        both += [
            (g, d) for g, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None
        ]
        yield from ((given.arg, default) for given, default in both)
    elif isinstance(node, ast.ClassDef):
        fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
        yield from ((name_of(field.target), field.value) for field in fields if field.value is not None)
