"""Labels that say that there is no answer, and those that are one."""

import pytest

from gammatune.pipeline.data.cells.no_answer import says_nothing

SILENT = """no answer|No answer.|DON'T KNOW|Don’t know|dk|DK/NA|Don't know, no answer|99. Don't know|-9: refused
Refused (vol.)|(Refused)|Not applicable|Not asked / skipped|Inap.|Keine Angabe|k.A.|K. A.|Weiß nicht
weiß nicht/keine Angabe|VERWEIGERT|Sans réponse|Ne sait pas|NSP|refus
No sabe / No contesta|NS/NC|Não sabe|Non so|Weet niet|vet ej|n/a|NA"""
ANSWERS = """none|never|no|not at all|other|neither|nothing|trifft nicht zu|nein|nie|not important|I know|no children
refuse dump|know a lot|1|99|yes|don't know him|undecided|rather not|0 no|keine||( )|or"""


@pytest.mark.parametrize("label", SILENT.replace("\n", "|").split("|"))
def test_no_answer(label: str) -> None:
    assert says_nothing(label)


@pytest.mark.parametrize("label", ANSWERS.replace("\n", "|").split("|"))
def test_an_answer(label: str) -> None:
    assert not says_nothing(label)
