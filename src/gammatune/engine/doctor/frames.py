"""What a loop carries from one pass to the next: of the variables of the function that it stands in, those that a
pass reads before it writes them, or changes without writing them.

A batch, a loss, the time at which a pass began are written anew in every pass, and nothing follows from what they
were. The order in which the function's instructions stand tells the one from the other, branches left aside.
"""

import dis
import itertools
import types
from collections.abc import Iterator
from typing import Any

from gammatune.engine.doctor.ownership import is_users_own
from gammatune.engine.doctor.things import names_used

VERBS = ("LOAD", "STORE", "DELETE")
WHERE = ("FAST", "NAME", "GLOBAL", "DEREF", "CLOSURE", "CLASSDEREF")
MISSING = object()


class Carried:
    """The variables that a loop carries, by name. frame: of the function, standing at the head of its loop."""

    def __init__(self, frame: types.FrameType) -> None:
        self._frame = frame
        self._names = list(dict.fromkeys(_carried(frame.f_code, frame.f_lasti)))

    def now(self) -> dict[str, Any]:
        """What they hold at present, those that hold anything."""
        scope, beyond = self._frame.f_locals, self._frame.f_globals
        found: dict[str, Any] = {}
        for name in self._names:
            owner, _, attribute = name.partition(".")
            value = scope.get(owner, beyond.get(owner, MISSING))
            if attribute:
                is_own = isinstance(value, types.ModuleType) and is_users_own(value.__name__)
                value = vars(value).get(attribute, MISSING) if is_own else MISSING
            if value is not MISSING and not isinstance(value, types.ModuleType):
                found[name] = value
        return found


def _carried(code: types.CodeType, since: int) -> Iterator[str]:
    written: set[str] = set()
    for verb, name in _uses(code, since):
        if verb == "LOAD" and name not in written:
            yield name
        elif verb == "STORE":
            written.add(name)


def _uses(code: types.CodeType, since: int) -> Iterator[tuple[str, str]]:
    """(verb, variable) of what stands behind an instruction, in order; attributes of variables as "module.name"."""
    last = ""
    for instruction in dis.get_instructions(code):
        if instruction.offset <= since:
            continue
        value = instruction.argval
        verbs = [part for part in instruction.opname.split("_") if part in (*VERBS, *WHERE)]
        named = [verb for verb, where in itertools.pairwise(verbs) if verb in VERBS and where in WHERE]
        if named:
            # from Python 3.13 on one instruction may use two variables
            names = value if isinstance(value, tuple) else (value,)
            yield from zip(named, names, strict=False)
            last = names[-1]
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR") and last:
            yield "LOAD", f"{last}.{value}"
            last = ""
        elif isinstance(value, types.CodeType):  # a function that the pass makes, and may call
            for name, attributes in names_used(value):
                yield "LOAD", name
                yield from (("LOAD", f"{name}.{attribute}") for attribute in attributes)
        else:
            last = ""
