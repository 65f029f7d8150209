"""The words of answers on a scale, by their place from low to high.

    ladders    never < rarely < sometimes < ...: words of how often, how good, how large, which stand for themselves
    degrees    "very satisfied": how much, and of what. What it is of needs no list: it is what the labels share, or
               two opposites, of which one is the other with a prefix (satisfied, dissatisfied) or one of a few pairs
               (bad, good). Degrees of the lower one count down, "neither ... nor" stands between

A place is an order only: rungs are not equally far apart. Where two answers are on one rung (fair, average), or usage
differs (quite satisfied, satisfied), nothing is concluded.
"""

import re
from collections.abc import Sequence

# From low to high; words of one rung stand in one string. By what questionnaires print under their scales.
_LADDERS = (
    ("never|not ever|at no time|none of the time", "almost never|nearly never|hardly ever|very rarely|very seldom",
     "rarely|seldom|infrequently|not often|not very often|a little of the time",
     "occasionally|once in a while|now and then|every now and then|from time to time|on occasion",
     "sometimes|some of the time|at times",
     "half the time|half of the time|about half the time|about half of the time",
     "often|frequently|regularly|fairly often|much of the time|a good bit of the time",
     "usually|generally|mostly|very often|very frequently|most of the time|most of time|most times",
     "almost always|nearly always|almost all the time", "always|all the time|all of the time|every time|constantly"),
    ("terrible|awful|very bad|very poor|extremely poor", "bad|poor", "below average",
     "fair|average|ok|okay|acceptable|adequate|satisfactory|so so", "good|above average", "very good",
     "excellent|ideal|outstanding|exceptional"),
    ("bad|poor", "good", "better", "best"),
    ("none", "very low|extremely low|lowest", "low", "lower middle|medium low|low medium",
     "medium|moderate|middle|average|normal|mid", "upper middle|medium high", "high|elevated",
     "very high|extremely high|highest|critical|urgent"),
    ("none|no", "minimal|very mild|trace", "mild|slight", "moderate|some", "severe|marked|serious",
     "very severe|extremely severe|extreme|critical"),
    ("none", "very small|tiny", "small", "medium|moderate|average", "large|big",
     "very large|very big|extra large|huge"),
    ("none", "very light", "light|weak", "medium|moderate", "heavy|strong", "very heavy|very strong"),
    ("no experience|none", "novice|beginner|basic|elementary", "advanced beginner", "intermediate|competent",
     "advanced|proficient|experienced", "expert"),
    ("no schooling|none", "primary|primary school|elementary|elementary school",
     "some high school|less than high school|below high school|did not complete high school",
     "high school|high school graduate|high school or ged|high school or g e d|high school or less|secondary"
     "|secondary school",
     "some college|some college or associate", "associate|associates",
     "bachelor|bachelors|college|college graduate|college or more|university|undergraduate",
     "master|masters|graduate|graduate school|postgraduate|post graduate", "doctor|doctorate|phd"),
    ("impossible", "very unlikely", "unlikely", "possible|possibly|neutral", "likely|probable", "very likely",
     "certain"),
    ("far too little|much too little", "too little|too few", "about right|just right|right amount",
     "too much|too many", "far too much|much too much"),
    ("not at all", "several days", "more than half the days", "nearly every day"),
    ("much less", "less|fewer", "same", "more", "much more"),
)  # fmt: skip

_DEGREES = (
    "not at all|not|no|none|none at all|nothing|nothing at all|not in the least",
    "not very|not too|not so|not that|not much|not really|not particularly|hardly|hardly any|barely|very little",
    "slightly|a little|a little bit|a bit|only a little|little|mildly|minimally|few|a few",
    "somewhat|some|partly|partially|rather|to some extent|tend to|probably",
    "moderately|fairly|reasonably|moderate|a moderate amount|a fair amount",
    "quite|pretty|mostly",
    "quite a bit|quite a lot|considerably|largely|much|many|a lot|lots|a good deal",
    "very|very much|highly|strongly|greatly|most|a great deal|to a great extent|to a large extent|definitely",
    "extremely|completely|totally|fully|entirely|absolutely|exceptionally|all",
)
_RUNGS = {word: rung for rung, words in enumerate(_DEGREES) for word in words.split("|")}
_NONE, _HARDLY, _BARE, _VERY = 0.0, 1.0, float(_RUNGS["quite"]), float(_RUNGS["very"])
_LESS = float(_RUNGS["somewhat"])
_BETWEEN = (_HARDLY + _RUNGS["slightly"]) / 2  # the neutral answer, where no opposite stands below it

# What counts down, and what up, beside those that a prefix tells.
_OPPOSITES = {
    "worse": "better", "bad": "good", "poor": "good", "difficult": "easy", "hard": "easy",
    "oppose": "support|favor|favour", "against": "for|in favor|in favour",
    "low": "high", "small": "large", "negative": "positive", "less": "more",
    "decrease": "increase", "decreased": "increased", "dangerous": "safe", "sad": "happy",
    "cold": "hot|warm",
    "slow": "fast", "rude": "polite", "liberal": "conservative", "no": "yes", "not": "|yes", "will not": "will",
    "would not": "would",
}  # fmt: skip
_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "not ")
_NEUTRAL = re.compile(
    r"neutral|neither( .+)?|undecided|indifferent|mixed|moderate|middle of the road|no change|unchanged|no difference"
    r"|(about |stayed |stay )?(the )?same|in between|might or might not|maybe|about right"
)


def places(labels: Sequence[str]) -> list[list[float | None]]:
    """Of each scale that knows one of the labels its place; None where that scale does not know it."""
    answers = without_shared([plain(label) for label in labels])
    found = [[ladder.get(answer) for answer in answers] for ladder in _ladders()]
    found.append(_of_degree(answers))
    return [each for each in found if any(place is not None for place in each)]


def plain(label: str) -> str:
    """In small letters, without marks, without what stands in brackets behind an answer, or a "yes," before it."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label.strip())
    text = re.sub(r"(?<=\w)\s*[(\[].*$", "", text).lower()
    text = re.sub(r"^(yes|no)\s*[,;:-]\s*(?=\w)", "", text)
    text = " ".join(re.sub(r"[\W_]+", " ", re.sub(r"['’`]", "", text)).split())
    text = re.sub(r"^(\d+) (?=[a-z])", "", text)  # the number of an answer
    text = re.sub(r"\b(degree|diploma)$", "", text).strip()
    return re.sub(r"^not (.+) at all$", r"not at all \1", text)


def without_shared(answers: Sequence[str]) -> list[str]:
    """Without the words that all begin or end with: "low risk", "high risk"."""
    words = [answer.split() for answer in answers]
    while all(len(each) > 1 for each in words) and len({each[-1] for each in words}) == 1:
        words = [each[:-1] for each in words]
    while all(len(each) > 1 for each in words) and len({each[0] for each in words}) == 1:
        words = [each[1:] for each in words]
    return [" ".join(each) for each in words]


def _ladders() -> list[dict[str, float]]:
    return [
        {word: float(rung) for rung, words in enumerate(ladder) for word in words.split("|")}
        for ladder in _LADDERS
    ]


def _of_degree(answers: Sequence[str]) -> list[float | None]:
    """By degree and what it is of; of the thing, or the pair of opposites, that most answers are of."""
    neutral = [_NEUTRAL.fullmatch(answer) is not None for answer in answers]
    parts = [
        [] if is_neutral else _parts(answer) for answer, is_neutral in zip(answers, neutral, strict=True)
    ]
    heads = list(dict.fromkeys(head for each in parts for _, head in each))
    with_degree = {head for each in parts for rung, head in each if rung != _BARE}
    best: list[float | None] = [None] * len(answers)
    pairs = [(low, high) for high in heads for low in heads if is_opposite(low, high)]
    for low, high in [*pairs, *((None, head) for head in heads if head in with_degree)]:
        found = [_place(each, low, high) for each in parts]
        if {abs(place) for place in found if place is not None} <= {_BARE} and (
            low in (None, "no", "not") or not any(neutral)
        ):
            continue  # no degree at all, such as yes, no and maybe
        middle = 0.0 if low is not None else _BETWEEN
        found = [middle if is_neutral else place for is_neutral, place in zip(neutral, found, strict=True)]
        if known(found) > known(best):
            best = found
    return best


def _parts(answer: str) -> list[tuple[float, str]]:
    """The ways to part an answer into a degree, as a rung, and what it is of."""
    words = answer.split()
    found = [(_BARE, answer)]
    for n in range(1, len(words) + 1):
        for degree, rest in ((words[:n], words[n:]), (words[-n:], words[:-n])):
            rung = _RUNGS.get(" ".join(degree))
            if rung is not None:
                found.append((float(rung), " ".join(rest)))
    return found


def _place(parts: Sequence[tuple[float, str]], low: str | None, high: str) -> float | None:
    """Of an answer about `high`, or its opposite; the longest degree counts, and none where it is one of them."""
    if low is not None and parts and parts[0][1] == low:
        return -_BARE
    for rung, head in reversed(parts):
        if head == low:
            return None if rung <= _HARDLY else -rung
        if _alike(head, high) or (not head and rung != _BARE):
            return rung if low is None else {_NONE: -_VERY, _HARDLY: -_LESS}.get(rung, rung)
    return None


def is_opposite(low: str, high: str) -> bool:
    """Whether `low` says no to `high`."""
    return any(_alike(low, prefix + high) for prefix in _PREFIXES if high) or high in _OPPOSITES.get(
        low, "-"
    ).split("|")


def _alike(one: str, other: str) -> bool:
    """Whether they are one word, as adjective or as adverb: comfortable, comfortably."""
    return re.sub(r"bl[ey]$", "bl", one) == re.sub(r"bl[ey]$", "bl", other)


def known(found: Sequence[float | None]) -> int:
    """How many places are known."""
    return sum(place is not None for place in found)
