"""Labels, levels and names that are spelled in several ways: which of them are one.

    blanks     in front, behind, and several in a row; no-break spaces are blanks too
    Unicode    forms of canonical equivalence, such as é as one character or as e and an accent (NFC). NFKC would also
               make m2 of m² and 12 of ①, which may be meant
    case       in a table learned from, only where the other spelling is rare: genotypes AA, Aa and aa are three

A file may be read in other types than the one trained on: '01' as the number 1 where no letter stands in the column,
'true' as a truth value. What is not met as it was written is therefore met as it is read, then as it is spelled.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number as AnyNumber
from string import ascii_letters
from typing import Any

RARE = 0.05  # of the commoner spelling's count, below which another case is a slip of the hand [guess]
SHOWN = 12  # in a sentence
_LETTERS = frozenset(ascii_letters) - set("tfTF")
_NUMERAL = re.compile(r"[+-]?(\d{1,300}|\d+\.\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def plain(text: str) -> str:
    """Without what only the hand that wrote it differs in: blanks, and forms of Unicode."""
    if text.isalnum() and text.isascii():  # as most are, of which there may be many
        return text
    return " ".join(unicodedata.normalize("NFC", text).split())


def plain_in_lower_case(texts: Sequence[str]) -> list[str]:
    """`plain` of each, in lower case; at once where nothing stands in them that `plain` changes."""
    whole = "\n".join(texts)
    if whole.isascii() and whole.split() == [*texts]:
        return whole.lower().split("\n") if texts else []
    return [plain(text).lower() for text in texts]


@dataclass(frozen=True, slots=True)
class Spellings:
    """counts: how often each spelling was met. one: what those are taken for that are not taken as they are, the
    commonest. apart: those that differ in case alone and are kept, as none of them is rare."""

    counts: Mapping[str, int]
    one: Mapping[str, str]
    apart: tuple[tuple[str, ...], ...] = ()

    def __call__(self, value: Any) -> Any:
        return self.one.get(value, value) if isinstance(value, str) else value

    def said(self, name: str, hint: str = "") -> list[str]:
        """A sentence where some are taken for others; hint: another one behind it."""
        others = defaultdict(list)
        for spelling, taken in self.one.items():
            others[taken].append(f"{spelling!r:.40} ({self.counts[spelling]})")
        words = [
            f"{', '.join(sorted(of))} count{'s' * (len(of) == 1)} as {taken!r:.40}"
            for taken, of in sorted(others.items())
        ]
        more = "; ..." if len(words) > SHOWN else ""
        return [f"{name}: {'; '.join(words[:SHOWN])}{more}.{hint}"] if words else []


def spellings(counts: Mapping[str, int]) -> Spellings:
    """Which spellings are one, by how often each was met."""
    if len({*plain_in_lower_case([*counts])}) == len(counts):
        return Spellings(counts, {})
    by_form, forms_by_case = defaultdict(list), defaultdict(list)
    for text in counts:
        by_form[plain(text)].append(text)
    totals = {form: sum(counts[text] for text in texts) for form, texts in by_form.items()}
    chosen = {form: min(texts, key=lambda t: (-counts[t], t != form, t)) for form, texts in by_form.items()}
    for form in sorted(totals, key=lambda form: (-totals[form], form)):
        forms_by_case[form.lower()].append(form)  # not casefold, which makes Masse of Maße
    apart = []
    for commonest, *others in forms_by_case.values():
        rare = [form for form in others if totals[form] < RARE * totals[commonest]]
        chosen |= dict.fromkeys(rare, chosen[commonest])
        if len(rare) < len(others):
            apart.append((chosen[commonest], *(chosen[form] for form in others if form not in rare)))
    one = {text: chosen[form] for form, texts in by_form.items() for text in texts if text != chosen[form]}
    return Spellings(counts, one, tuple(apart))


def find(texts: Sequence[str], known: Sequence[str], *, exact: bool = False) -> list[int | None]:
    """Where in `known` each text stands; None where it does not.

    What is not there as it is written is looked for as it is read, as a number or a truth value; then without
    regard to blanks and Unicode's forms; then to case: each where only one of those known is that. exact: as it is
    read only.
    """
    places = {text: place for place, text in enumerate(known)}
    forms: list[Callable[[str], str]] = [
        _read,
        lambda text: _read(plain(text)),
        lambda text: _read(plain(text)).lower(),
    ]
    loosest = set(map(forms[-1], known))  # what is none of these is none of the others
    missed = {
        text
        for text, lower in zip(texts, plain_in_lower_case(texts), strict=True)
        if (lower in loosest or text[:1] not in _LETTERS)  # which most are not: no need to read them
        and text not in places
        and forms[-1](text) in loosest
    }
    for form in forms[: 1 if exact else None]:
        if not missed:
            break
        formed = [form(text) for text in known]
        counts = Counter(formed)
        by_form = {text: place for place, text in enumerate(formed) if counts[text] == 1}
        met = {text: by_form[read] for text in missed if (read := form(text)) in by_form}
        places |= met
        missed -= met.keys()
    return list(map(places.get, texts))


def otherwise(texts: Mapping[str, int], known: Sequence[str]) -> Spellings:
    """Those of `texts`, with how often each was met, that `find` takes for one spelled otherwise."""
    found = zip(texts, find(list(texts), known), strict=True)
    return Spellings(
        texts,
        {t: known[place] for t, place in found if place is not None and _read(t) != _read(known[place])},
    )


def written(value: Any) -> str:
    """A level or a label as text. 3.0 is '3', since whole numbers become decimals where a file lacks one."""
    if isinstance(value, (str, bool)) or not isinstance(value, AnyNumber):
        return str(value)
    try:
        whole = int(value)  # type: ignore[call-overload]
        return str(whole) if value == whole else f"{value:.12g}"
    except (TypeError, ValueError, OverflowError):  # complex, infinite
        return str(value)


def _read(text: str) -> str:
    """'1' of '01' and of '1.0', 'True' of 'TRUE': alike for all that a reader of tables may take for the same."""
    if text[:1] in _LETTERS:  # neither a number nor a truth value
        return text
    bare = text.strip()
    if bare.lower() in ("true", "false"):
        return bare.capitalize()
    if not _NUMERAL.fullmatch(bare):
        return text
    return str(int(bare)) if bare.lstrip("+-").isdigit() else written(float(bare))
