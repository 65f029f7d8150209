"""What programs that ask people put beside the answers: who answered, when, how far; and the boxes of one question.

Told from the names of the columns, by which each of these programs is known; `--column NAME=KIND` always wins. What
may be learned of is left: the language in which somebody was asked, the visit, the site.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

TELLING = 2  # kinds of names, by which a program is known [guess]


class _Tool(NamedTuple):
    """known_by: names, as patterns, that hardly any other program writes. beside: names of what is no answer."""

    known_by: tuple[str, ...]
    beside: tuple[str, ...]


# By codes and by labels: codes of LimeSurvey and REDCap as files that people share have them, the rest as the tools
# are known to write them, not held against an export.
_TOOLS: Mapping[str, _Tool] = {
    "LimeSurvey": _Tool(
        ("submitdate|Date submitted", "lastpage|Last page", "startlanguage|Start language"),
        (
            "id|response_?id|submitdate|lastpage|seed|startdate|datestamp|token|ipaddr|refurl|interviewtime",
            r"groupTime\d*",
            "Response ID|Date submitted|Last page|Seed|Date started|Date last action|Token|Access code|IP address",
            "Referrer URL|Total time|(Group|Question) time: .*",
        ),
    ),
    "REDCap": _Tool(
        (
            "record_id|Record ID", r"redcap_\w+", r"\w+_complete|Complete\?( \d+)?", r"\w+___\w+",
            "Repeat (Instrument|Instance)|Event Name", r".*\(choice=.*\)", "Survey (Identifier|Timestamp)( \\d+)?",
        ),
        (
            r"record_id|\w+_complete|\w+_timestamp|redcap_survey_identifier|redcap_repeat_instrument",
            r"Record ID|Complete\?( \d+)?|Survey (Identifier|Timestamp)( \d+)?|Repeat Instrument",
        ),
    ),
    "Qualtrics": _Tool(
        ("ResponseId|Response ID", "RecordedDate|Recorded Date", "DistributionChannel|Distribution Channel"),
        (
            "(Start|End|Recorded) ?Date|Status|Response Type|IP ?Address|Progress|Duration \\(in seconds\\)|Finished",
            "Response ?I[dD]|Recipient ?(First|Last) ?Name|Recipient ?Email|External ?(Data )?Reference",
            "Location ?(Latitude|Longitude)|Distribution ?Channel",
        ),
    ),
    "SurveyMonkey": _Tool(
        ("respondent_?id|Respondent ID", "collector_?id|Collector ID", "date_?modified|Date ?Modified"),
        (
            "(respondent|collector)_?id|(Respondent|Collector) ?ID|date_?(created|modified)|(Start|End)Date",
            "Date ?(Created|Modified)|ip_?address|IP Address|email_?address|Email Address|(first|last)_?name",
            "(First|Last) ?Name|custom_?\\d|Custom Data( \\d)?",
        ),
    ),
}  # fmt: skip
_BOX = re.compile(r"(?P<question>.+?)(___(?P<code>\w+)|\s*\[(?P<part>[^\]]+)\]|\s*\(choice=(?P<choice>.+)\))")
_TICKS = {"y", "n", "yes", "no", "0", "1", "0.0", "1.0", "checked", "unchecked", "true", "false"}


def beside_answers(names: Sequence[str]) -> dict[str, str]:
    """Why columns that hold no answers do not, by name; none where no such program is known by its names."""
    names = [str(name) for name in names]
    for tool, (known_by, beside) in _TOOLS.items():
        if sum(any(re.fullmatch(each, name) for name in names) for each in known_by) >= TELLING:
            pattern = re.compile("|".join(beside))
            timed = {f"{name.partition('[')[0]}Time" for name in names}  # of each question, by LimeSurvey
            others = [name for name in names if pattern.fullmatch(name) or name in timed]
            return dict.fromkeys(others, f"was written by {tool} and is no answer")
    return {}


def boxes(frame: "pd.DataFrame", names: Sequence[str]) -> list[str]:
    """A sentence on the questions whose answers are boxes to tick, each a column of those named."""
    questions: dict[str, list[str]] = {}
    for name in names:
        box = _BOX.fullmatch(name) if isinstance(name, str) else None
        if (
            box is not None
            and {str(each).lower() for each in frame[name].dropna().unique()[:3].tolist()} <= _TICKS
        ):
            questions.setdefault(box["question"], []).append(box["code"] or box["part"] or box["choice"])
    several = [f"{question} ({', '.join(parts)})" for question, parts in questions.items() if len(parts) > 1]
    return [f"Boxes to tick, a column each: {'; '.join(several)}."] if several else []
