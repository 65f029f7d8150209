"""CITATION.cff: what tools read of it, and that it speaks of this version."""

import tomllib
from pathlib import Path
from typing import Any

import needs
import pytest

from gammatune.report.citation import AUTHORS, TITLE, citations

ROOT = Path(__file__).resolve().parent.parent
yaml = needs.package("yaml")
# What the schema of CFF 1.2.0 lets stand there, as far as we use it.
WORK = {"title", "authors", "type"}
PERSON, ENTITY = {"family-names", "given-names"}, {"name"}
ALLOWED = {
    "cff-version",
    "message",
    "abstract",
    "version",
    "license",
    "keywords",
    "preferred-citation",
    "references",
}
OF_A_WORK = {"department", "institution", "scope", "journal", "year", "volume", "issue", "start", "doi"}


@pytest.fixture
def cited() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return loaded


def check_work(work: dict[str, Any], more: set[str]) -> None:
    assert WORK <= set(work) <= WORK | more
    assert work["authors"]
    for author in work["authors"]:
        assert set(author) <= PERSON or set(author) == ENTITY
        assert all(isinstance(part, str) and part for part in author.values())


def test_it_is_what_the_schema_asks_for(cited: dict[str, Any]) -> None:
    assert cited["cff-version"] == "1.2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    check_work(cited, ALLOWED)
    assert cited["type"] == "software"
    thesis, (article,) = cited["preferred-citation"], cited["references"]
    check_work(thesis, OF_A_WORK)
    check_work(article, OF_A_WORK)
    assert (thesis["type"], article["type"]) == ("thesis", "article")
    assert isinstance(article["start"], str), "a page is text"


def test_it_speaks_of_this_version(cited: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert cited["authors"] == project["authors"]
    assert cited["keywords"] == project["keywords"]


def test_it_cites_what_the_readme_names(cited: dict[str, Any]) -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    thesis, (article,) = cited["preferred-citation"], cited["references"]
    assert f"{thesis['authors'][0]['given-names']} {thesis['authors'][0]['family-names']}" in readme
    assert thesis["title"] in readme
    assert thesis["institution"]["name"] in readme
    assert (
        f"{article['journal']} {article['year']}, {article['volume']}({article['issue']}), {article['start']}"
        in readme
    )


def test_it_is_what_a_run_says_to_cite(cited: dict[str, Any]) -> None:
    software, thesis = citations("1.2.3")
    assert software == f"{cited['authors'][0]['name']}. {cited['title']}, version 1.2.3. Computer software."
    work = cited["preferred-citation"]
    author = work["authors"][0]
    name = f"{author['given-names']} {author['family-names']}"
    where = f"{work['department']}, {work['institution']['name']}"
    assert thesis == f"{name}. {work['title']}. Thesis, {where}."
    assert citations(None)[0] == f"{AUTHORS}. {TITLE}. Computer software."
