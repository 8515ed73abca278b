"""What is no longer asked of a language model changes no text and no title."""

from __future__ import annotations

from typing import Any

import pytest
import unstructured.partition.html.parser as html_parser
import unstructured.partition.text as plain
from unstructured.partition import text_type
from unstructured.partition.html import partition_html
from unstructured.partition.text import partition_text

from stillhouse.corpus.clean.text import clean_text
from stillhouse.corpus.parse.elements import SHORT
from stillhouse.corpus.parse.files import parse_data
from stillhouse.corpus.parse.headings import is_heading
from stillhouse.corpus.pii.settings import MaskSettings

MODEL = MaskSettings().nlp_model
PARAGRAPHS = [
    "we have moved, and so has the warehouse behind the station in Leeds.",
    "Dear all,",
    "1. Switch it off and wait until the lamp stops blinking.",
    "• a bulleted item\n• and another one,\nover two lines",
    "•",
    "someone@example.org",
    "Doylestown, PA 18901",
    "2024",
    "---- 12 % ----",
    "DO NOT OPEN THE LID!",
    "The pump leaks.",
    "Returns and Refunds",
    "WARRANTY TERMS",
    "Ganze Sätze auf Deutsch sind keine Überschriften, auch kurze nicht. Das steht hier.",
    "Pumpen und Ventile",
    "この文書は社外秘です。",
]
PAGES = ["\n\n".join(PARAGRAPHS), "\n".join(PARAGRAPHS), "\n\n".join(PARAGRAPHS[:-6]), "Only this"]
HTML = """<html><head><title>t</title></head><body><main><div>loose words</div>
<p>We have <b>moved</b>.<br>Ask Ann</p><ul><li>one</li><li>• two</li></ul><pre> a
  b</pre><table><tr><td>x</td><td>y</td></tr></table><blockquote>DO NOT!</blockquote></main></body>
</html>"""


@pytest.fixture
def as_it_is(monkeypatch: pytest.MonkeyPatch) -> Any:
    """unstructured, as if nobody had touched it; it has our model once something was parsed."""
    parse_data(b"a text", ".txt", nlp_model=MODEL)
    for module in (plain, html_parser):
        for name in ("is_possible_narrative_text", "is_possible_title"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(text_type, name))


@pytest.mark.usefixtures("as_it_is")
@pytest.mark.parametrize("page", PAGES)
def test_plain_text_has_the_text_and_the_title_that_unstructured_finds(page: str) -> None:
    theirs = partition_text(text=page, languages=[""])
    parsed = parse_data(page.encode(), ".txt", nlp_model=MODEL)
    assert [e.text for e in parsed.elements] == [e.text for e in theirs if e.text.strip()]
    title = next((e.text for e in theirs if e.category == "Title"), "")
    assert parsed.title == " ".join(title.split())


@pytest.mark.usefixtures("as_it_is")
def test_a_paragraph_is_a_heading_where_unstructured_says_so() -> None:
    theirs = {p: plain.element_from_text(p).category == "Title" for p in PARAGRAPHS}
    assert {p: is_heading(p) for p in PARAGRAPHS} == theirs
    assert set(theirs.values()) == {True, False}


@pytest.mark.usefixtures("as_it_is")
def test_a_web_page_has_the_text_that_unstructured_finds() -> None:
    elements = partition_html(text=HTML, languages=[""])
    theirs = [clean_text(e.text) for e in elements if e.category != "Table"]
    parsed = parse_data(HTML.encode(), ".html", nlp_model=MODEL)
    assert [e.text for e in parsed.elements if e.type != "Table"] == theirs
    assert "x | y" in parsed.text


def test_the_model_is_asked_about_few_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    narrative = text_type.is_possible_narrative_text

    def counted(text: str) -> bool:
        asked.append(text)
        return bool(narrative(text))

    monkeypatch.setattr(text_type, "is_possible_narrative_text", counted)
    page = "\n\n".join([PARAGRAPHS[0], "Returns and Refunds", *PARAGRAPHS[:4] * 5, "Other Terms"])
    parsed = parse_data(page.encode(), ".txt", nlp_model=MODEL)
    assert parsed.title == "Returns and Refunds" == asked[-1]
    assert [e.type for e in parsed.elements].count(SHORT) > len(asked)
    asked.clear()
    page = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)
    parse_data(f"<h1>Terms</h1>{page}".encode(), ".html", nlp_model=MODEL)
    assert not asked
