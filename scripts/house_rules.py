"""What must hold of the house: each rule a function of the parsed source that yields who breaks it, the worst first.

What no rule sees: whether a first sentence is true, whether two formulas are of one measure, whether the driver keeps
a run's state beside the journal's, and English that is put together from single words. Those are for whoever reads.
"""

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from house_source import (
    MARKS,
    Finding,
    Function,
    House,
    Module,
    defaults_of,
    design,
    length_of,
    name_of,
    parameters_of,
    texts_of,
    tree,
)

START = 37_448  # lines in src (wc -l) at 8be1d44, where the redrawing began
FEWER = 1_200  # lines, at least, at its end
LONG_FUNCTION, LONG_FILE = 60, 400  # lines
SIMILAR = 8  # pylint tells passages that are longer, by the lines it counts
LISTED = 3  # options or measures: so many together are a list of them, fewer may be chance
WORDS = re.compile(
    "(purse|walk|crew|gang|asked|leaving|rehearsal|lineage|sentinel|steering|reach)(s|es)?", re.IGNORECASE
)
POLICIES = {"lookahead", "greedy", "once", "replay"}
MEASURES = {
    "accuracy", "balanced-accuracy", "f1", "precision", "recall", "mcc", "auc", "average-precision", "log-loss",
    "brier", "r2", "mae", "rmse", "mse", "medae", "mape",
}  # fmt: skip
METRICS = {"metrics", "measures", "objectives"}  # the room, and what it is made of
OLDER = "older"  # a module of this name reads what earlier versions wrote, and has to speak as they did
SPOKEN = {"reason", "text", "said", "note", "message", "sentence"}  # variables that hold sentences
# Of torch and gloo, who say it no other way.
FOREIGN = {"Timed out", "Connection closed by peer", "gloo", "out of memory"}
TRAINING = re.compile(r"_*(\w+_)?train(ing|able)")  # variables that hold one
SENTENCE = re.compile(r"([a-zA-Z]+,? ){3}")

Measure: TypeAlias = Callable[[House], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """target: what it may count in the end. slow: it needs pylint, and takes longer than all others together."""

    target: int
    measure: Measure
    slow: bool


RULES: dict[str, Rule] = {}


def rule(name: str, target: int = 0, *, slow: bool = False) -> Callable[[Measure], Measure]:
    def put(measure: Measure) -> Measure:
        RULES[name] = Rule(target, measure, slow)
        return measure

    return put


# What one finds where -------------------------------------------------------------------------------------


@rule("modules at the root", target=12)
def root_modules(house: House) -> Iterable[Finding]:
    """The smallest first: they are the easiest to fold into others."""
    loose = [m for m in house.places.values() if m.name == house.package or not m.is_package]
    return [m.at(1, f"{m.lines} lines") for m in sorted(loose, key=lambda m: m.lines)]


@rule("places", target=24)
def places(house: House) -> Iterable[Finding]:
    """Where one looks first: a package within a package is not counted."""
    return [module.at(1, name) for name, module in house.places.items() if name.count(".") < 2]


@rule("places on a cycle")
def cycles(house: House) -> Iterable[Finding]:
    beyond = {place: house.reached_from(place) for place in house.places}
    for place in house.places:
        around = {other for other in beyond[place] if place in beyond[other]} - {place}
        first = next(
            (house.arrows[place, other][0] for other in sorted(around) if (place, other) in house.arrows),
            None,
        )
        if first is not None:
            yield first.source.at(first.line, f"{place}, with {', '.join(sorted(around))}")


@rule("arrows upwards or sideways")
def upwards(house: House) -> Iterable[Finding]:
    """An arrow counts once, however many imports make it."""
    for (source, target), imports in house.arrows.items():
        wrong = [i for i in imports if any(c.forbids(i.source.name, i.target) for c in house.contracts)]
        if wrong:
            yield wrong[0].source.at(wrong[0].line, f"{source} -> {target}")


@rule("places without a floor")
def floorless(house: House) -> Iterable[Finding]:
    inside = [module for name, module in house.places.items() if name != house.package]
    return [module.at(1, module.name) for module in inside if house.floor(module.name) is None]


@rule("places without a first sentence")
def wordless(house: House) -> Iterable[Finding]:
    return [module.at(1, name) for name, module in house.places.items() if not module.sentence]


@rule("the tree in docs/design.md")
def drawn(house: House) -> Iterable[Finding]:
    """Not drawn yet counts 1; drawn wrong is worse, and counts 1 more than there are wrong lines."""
    page = design(house)
    if page is None:
        return [Finding("docs/design.md:1", f"no {MARKS[0]} and {MARKS[1]}")]
    lines = enumerate(zip_longest(page[1].splitlines(), tree(house).splitlines()), page[0].count("\n") + 1)
    wrong = [(n, f"{has!r}, not {must!r}") for n, (has, must) in lines if has != must]
    return [Finding(f"docs/design.md:{n}", what, 1 + (not i)) for i, (n, what) in enumerate(wrong)]


# How large things are -------------------------------------------------------------------------------------


@rule("named parameters of fit", target=15)
def parameters_of_fit(house: House) -> Iterable[Finding]:
    return _parameters(*house.public("fit"))


@rule("named parameters of Tuner", target=12)
def parameters_of_tuner(house: House) -> Iterable[Finding]:
    return _parameters(*house.public("Tuner"))


@rule(f"functions over {LONG_FUNCTION} lines")
def long_functions(house: House) -> Iterable[Finding]:
    """From def to the last line, the docstring included."""
    found = [(length_of(f), module, f) for module, f in house.functions if length_of(f) > LONG_FUNCTION]
    found.sort(key=lambda each: -each[0])
    return [module.at(f, f"{f.name}: {length} lines") for length, module, f in found]


@rule(f"files over {LONG_FILE} lines")
def long_files(house: House) -> Iterable[Finding]:
    return [m.at(1, f"{m.lines} lines") for m in _longest_first(house) if m.lines > LONG_FILE]


@rule("lines in src", target=START - FEWER)
def all_lines(house: House) -> Iterable[Finding]:
    return [module.at(1, f"{module.lines} lines", count=module.lines) for module in _longest_first(house)]


@rule(f"passages said twice (pylint, at {SIMILAR} lines)", slow=True)
def said_twice(house: House) -> Iterable[Finding]:
    call = [sys.executable, "-m", "pylint", "--rcfile=", "--persistent=n", "--output-format=json"]
    call += ["--disable=all", "--enable=duplicate-code", f"--min-similarity-lines={SIMILAR}"]
    call += [f"src/{house.package}"]
    done = subprocess.run(call, cwd=house.root, capture_output=True, text=True, check=False)
    if done.returncode & 32 or not done.stdout:  # it was called wrongly, or fell over
        raise RuntimeError(f"pylint failed: {done.stderr}")
    for message in json.loads(done.stdout):
        lines = re.findall(r"^==([\w.]+?)(?:\.__init__)?:\[(\d+):", message["message"], re.MULTILINE)
        where, *others = [f"{house.modules[name].file}:{int(line) + 1}" for name, line in lines]
        yield Finding(where, f"and {', '.join(others)}")


# One place for one thing ----------------------------------------------------------------------------------


@rule("defaults of options written again")
def options_again(house: House) -> Iterable[Finding]:
    """Literals other than None, beyond the first of a name, in signatures and records that list several options.

    An option is what has a default in fit, in Tuner, in a record that one of them takes, in a command or in a record
    called ...Options.
    """
    nodes: list[tuple[Module, ast.AST]] = [*house.functions, *house.each(ast.ClassDef)]
    takers: list[ast.AST] = [house.public("fit")[1], *house.public("Tuner")[1].body]
    taken = {word for node in takers for word in _words_of_annotations(node)}
    declaring: list[ast.AST] = [node for _, node in nodes if _declares(node) or _is_record(node, taken)]
    declaring += takers
    options = {name for node in declaring for name, _ in defaults_of(node)}
    written = defaultdict(list)
    for module, node in nodes:
        defaults = dict(defaults_of(node))
        names = options & defaults.keys()
        for name in names if len(names) >= LISTED else ():
            if _is_literal(defaults[name]):
                written[name].append(module.at(defaults[name], name))
    for name, (first, *more) in sorted(written.items(), key=lambda each: (-len(each[1]), each[0])):
        if more:
            others = ", ".join(found.where for found in more)
            yield Finding(first.where, f"{name}, and {others}", count=len(more))


@rule("modules that tell events apart", target=1)
def reducers(house: House) -> Iterable[Finding]:
    """Several kinds by name in one function: so does a reducer of the journal, and there is to be one."""
    seen: set[str] = set()
    for module, function in house.functions:
        kinds = _kinds(function) if "event" in module.text else set()
        if len(kinds) >= LISTED and module.name not in seen:
            seen.add(module.name)
            yield module.at(function, f"{function.name}: {', '.join(sorted(kinds))}")


@rule("policies by name outside policy")
def policies_by_name(house: House) -> Iterable[Finding]:
    """Any string that is one; what a module exports excepted, and the front door, whose names are its own."""
    assigned = [node for _, node in house.each(ast.Assign) if name_of(node.targets[0]) == "__all__"]
    apart = house.docstrings | {id(part) for node in assigned for part in ast.walk(node)}
    for module, node in house.each(ast.Constant):
        is_name = bool(POLICIES.intersection(texts_of(node)))
        if is_name and module.room not in ("policy", "") and id(node) not in apart:
            yield module.at(node, ast.unparse(node))


@rule("measures listed outside metrics")
def measures_listed(house: House) -> Iterable[Finding]:
    """Collections of their names, and formulas that are had from elsewhere."""
    for kind in (ast.Dict, ast.List, ast.Tuple, ast.Set):
        for module, node in house.each(kind):
            names = MEASURES.intersection(texts_of(node))
            if len(names) >= LISTED and module.room not in METRICS:
                yield module.at(node, ", ".join(sorted(names)))
    for module, imported in house.each(ast.ImportFrom):
        if imported.module == "sklearn.metrics" and module.room not in METRICS:
            yield module.at(imported, "sklearn.metrics")


@rule("sentences in policy")
def sentences(house: House) -> Iterable[Finding]:
    """Errors excepted: a reason is a kind with its numbers, and the English about runs is one table elsewhere."""
    apart = house.docstrings | {id(node) for _, top in house.each(ast.Raise) for node in ast.walk(top)}
    for module, node in house.each(ast.Constant):
        is_reason = module.room == "policy" and module.stem != OLDER and id(node) not in apart
        if is_reason and any(SENTENCE.search(text) for text in texts_of(node)):
            yield module.at(node, ast.unparse(node))


@rule("extras asked for without require()")
def extras(house: House) -> Iterable[Finding]:
    inside = {id(node) for _, f in house.functions if f.name == "require" for node in ast.walk(f)}
    for module, call in house.each(ast.Call):
        if name_of(call.func) == "MissingExtra" and id(call) not in inside:
            yield module.at(call, "MissingExtra(...)")


@rule("probes of a training")
def probes(house: House) -> Iterable[Finding]:
    """hasattr, and getattr with a default, where a protocol should say it."""
    for module, call in house.each(ast.Call):
        is_probe = (name_of(call.func), len(call.args)) in (("hasattr", 2), ("getattr", 3))
        if is_probe and TRAINING.fullmatch(name_of(call.args[0])):
            yield module.at(call, ast.unparse(call))


@rule("decisions by a sentence")
def by_sentence(house: House) -> Iterable[Finding]:
    """By several words of one, or by whatever is in a variable that is called like one."""
    nodes: list[tuple[Module, ast.AST]] = [*house.each(ast.Compare), *house.each(ast.Call)]
    for module, node in nodes:
        if module.stem != OLDER and _is_by_sentence(node):
            yield module.at(node, ast.unparse(node))


@rule("names made of the old words")
def old_words(house: House) -> Iterable[Finding]:
    """Of modules, classes, parameters, public functions and attributes. (A journal's fields are strings.)"""
    for module in house.modules.values():
        if module.stem != OLDER:
            for node, name in _names(module):
                if any(WORDS.fullmatch(part) for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)):
                    yield module.at(node, name)


# What they look at ----------------------------------------------------------------------------------------


def _longest_first(house: House) -> list[Module]:
    return sorted(house.modules.values(), key=lambda module: -module.lines)


def _parameters(module: Module, node: Function | ast.ClassDef) -> list[Finding]:
    """Of a function, or of what makes an object of a class: __init__, or the fields of a record."""
    if isinstance(node, Function):
        return [module.at(given, given.arg) for given in parameters_of(node)]
    for made in node.body:
        if isinstance(made, Function) and made.name == "__init__":
            return _parameters(module, made)[1:]
    fields = [node for node in node.body if isinstance(node, ast.AnnAssign)]
    return [module.at(field, name_of(field.target)) for field in fields]


def _declares(node: ast.AST) -> bool:
    """Whether it is a command, or a record of options."""
    if not isinstance(node, Function):
        return isinstance(node, ast.ClassDef) and node.name.endswith("Options")
    annotations = [given.annotation for given in parameters_of(node) if given.annotation is not None]
    return any("Option(" in ast.unparse(annotation) for annotation in annotations)


def _words_of_annotations(node: ast.AST) -> Iterator[str]:
    for given in parameters_of(node) if isinstance(node, Function) else ():
        yield from re.findall(r"\w+", "" if given.annotation is None else ast.unparse(given.annotation))


def _is_record(node: ast.AST, names: set[str]) -> bool:
    """Whether it is a dataclass that is called so."""
    is_data = isinstance(node, ast.ClassDef) and any(
        "dataclass" in ast.unparse(d) for d in node.decorator_list
    )
    return is_data and node.name in names


def _is_literal(node: ast.expr) -> bool:
    try:
        return ast.literal_eval(node) not in (None, ...)  # of an overload, which says that there is one
    except ValueError:
        return False


def _kinds(function: Function) -> set[str]:
    """What an event's "event", or a variable that it was put into, is compared with."""
    put: set[str] = set()
    kinds: set[str] = set()

    def is_kind(node: ast.AST) -> bool:
        if isinstance(node, ast.Subscript | ast.Call):
            return ast.unparse(node).endswith(("['event']", ".get('event')"))
        return name_of(node) in put

    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and is_kind(node.value):
            put.add(name_of(node.targets[0]))
        elif isinstance(node, ast.Match) and is_kind(node.subject):
            kinds.update(text for case in node.cases for n in ast.walk(case.pattern) for text in texts_of(n))
        elif isinstance(node, ast.Compare) and is_kind(node.left):
            kinds.update(texts_of(node.comparators[0]))
    return kinds


def _is_phrase(node: ast.AST) -> bool:
    """Several words that are ours."""
    return any(re.search(r"\w,? \w", text) and text not in FOREIGN for text in texts_of(node))


def _is_by_sentence(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        left, right = node.left, node.comparators[0]
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            words = [text for text in texts_of(left) if len(text) > 1 and text not in FOREIGN]
            return _is_phrase(left) or (name_of(right) in SPOKEN and bool(words))
        return isinstance(node.ops[0], ast.Eq | ast.NotEq) and (_is_phrase(left) or _is_phrase(right))
    if not isinstance(node, ast.Call) or not node.args:
        return False
    method, argument = node.func, node.args[0]
    if isinstance(method, ast.Attribute) and method.attr in ("startswith", "endswith"):
        return name_of(method.value) in SPOKEN or _is_phrase(argument)
    return name_of(method) in ("search", "match", "fullmatch") and name_of(argument) in SPOKEN


def _names(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Its own, those of classes and parameters, and what is public in it; of an attribute the first place only."""
    classes = module.of(ast.ClassDef)
    yield module.tree, module.stem
    yield from ((given, given.arg) for given in module.of(ast.arg))
    yield from ((node, node.name) for node in classes)
    public: list[tuple[ast.AST, str]] = [(node, node.name) for node in module.functions]
    for node in [*module.tree.body, *(node for each in classes for node in each.body)]:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        public += [(target, name_of(target)) for target in targets]
    public += [(node, node.attr) for node in module.of(ast.Attribute) if isinstance(node.ctx, ast.Store)]
    first = {name: node for node, name in public[::-1]}
    yield from ((node, name) for name, node in first.items() if not name.startswith("_"))
