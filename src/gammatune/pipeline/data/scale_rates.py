"""Answers on a scale that say how often: never, once a year or less, 2-3 times a month, weekly, every day."""

import re
from collections.abc import Sequence

_A_YEAR = {
    "hour": 8_766.0, "day": 365.0, "night": 365.0, "morning": 365.0, "evening": 365.0, "weekday": 260.0, "week": 52.0,
    "fortnight": 26.0, "month": 12.0, "quarter": 4.0, "year": 1.0,
}  # fmt: skip
_ADVERBS = {
    "hourly": "hour", "daily": "day", "nightly": "night", "weekly": "week", "fortnightly": "fortnight",
    "monthly": "month", "quarterly": "quarter", "yearly": "year", "annually": "year",
}  # fmt: skip
_WORDS = (
    "once 1|twice 2|a couple of 2|a few 3|few 3|several 4|multiple 4|many 6|one 1|two 2|three 3|four 4|five 5"
)
_TIMES = {words: float(times) for each in _WORDS.split("|") for words, times in [each.rsplit(" ", 1)]}
_SELDOM = {  # without a period, and less than any that has one
    "never": 0.0, "not at all": 0.0, "almost never": 0.01, "hardly ever": 0.01, "rarely": 0.02, "seldom": 0.02,
    "less often": 0.03, "less frequently": 0.03,
}  # fmt: skip
_MORE = 1.3  # times the number that "more than" is said of, and "less than" the inverse: nearer than the next answer
_SHADES = {
    "less than": 1 / _MORE, "fewer than": 1 / _MORE, "under": 1 / _MORE, "nearly": 1 / _MORE, "almost": 1 / _MORE,
    "up to": 1 / _MORE, "more than": _MORE, "over": _MORE, "at least": _MORE, "about": 1.0, "around": 1.0,
    "approximately": 1.0,
}  # fmt: skip
_MOST_DAYS = 0.7  # of the days
_APART = {None: 1.0, "other": 2.0, "two": 2.0, "few": 3.0, "three": 3.0}
_ONE_OF = "|".join(sorted(_TIMES, key=len, reverse=True))
_COUNT = rf"(?:(\d+)(?: ?(?:-|to|or) ?(\d+))?|({_ONE_OF})(?: (?:-|to|or) ({_ONE_OF}))?)"
_PERIOD = "|".join(_A_YEAR)


def rates(labels: Sequence[str]) -> list[float | None]:
    """How often in a year, or in all where none has a period; nothing where fewer than two labels are such rates."""
    read = [_rate(label) for label in labels]
    periods = [each[1] is None for each in read if each is not None and each[1] != "seldom"]
    if len(periods) < 2 or len({*periods}) > 1:
        return [None] * len(labels)
    return [None if each is None else each[0] for each in read]


def _rate(label: str) -> tuple[float, str | None] | None:
    """How often, and the period that is counted in: None where there is none, "seldom" of words without a number."""
    text = " ".join(re.sub(r"[^\w\s-]|_", " ", label.lower().replace("–", "-")).split())
    if text in _SELDOM:
        return _SELDOM[text], "seldom"
    begins = re.match(rf"({'|'.join(_SHADES)}) ", text)
    shade = 1.0 if begins is None else _SHADES[begins[1]]
    text = text if begins is None else text[begins.end() :]
    ends = re.search(r" (?:or|and) (less|fewer|more)( often)?$", text)
    if ends is not None:
        text, shade = text[: ends.start()], _MORE if ends[1] == "more" else 1 / _MORE
    found = _times_per(text)
    return None if found is None else (found[0] * shade, found[1])


def _times_per(text: str) -> tuple[float, str | None] | None:
    if text in _ADVERBS:
        return _A_YEAR[_ADVERBS[text]], _ADVERBS[text]
    every = re.fullmatch(rf"(?:once )?(?:every|each) (?:(\d+|other|two|three|few) )?({_PERIOD})s?", text)
    if every is not None:
        apart = _APART[every[1]] if every[1] in _APART else float(every[1])
        return _A_YEAR[every[2]] / max(apart, 1.0), every[2]
    most = re.fullmatch(r"most (day|night|week)s", text)
    if most is not None:
        return _A_YEAR[most[1]] * _MOST_DAYS, most[1]
    found = re.fullmatch(
        rf"{_COUNT}(?: (?:times?|days|nights))*(?: (?:a|an|per|each|every) ({_PERIOD}))?", text
    )
    if found is None or (found[5] is None and not re.search(r"\btimes?\b|ce$", text)):  # five of what
        return None
    values = [_TIMES[each] if each in _TIMES else float(each) for each in found.groups()[:4] if each]
    return sum(values) / len(values) * _A_YEAR.get(found[5], 1.0), found[5]
